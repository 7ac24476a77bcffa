"""Facts that a change of the plans would take out of the numbers: counted, and the change withheld until accepted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import orjson
from typing_extensions import TypedDict

from shared.log.event_store import read_queries

_SQL: Final = read_queries("services.projection.counting", "withheld.sql")
_CODE: Final = 12  # characters of the digest by which a change is accepted
_MOST_NAMED: Final = 5
_SECONDS: Final = 600


class MissingFacts(TypedDict):
    """How many facts of one district would count no longer in one indicator."""

    plan: str
    indicator: str
    district: str
    facts: int


@dataclass(frozen=True, slots=True)
class WithheldPlans:
    """A change of the plans that waits for an operator; `facts`: how many, each once wherever it counts."""

    digest: str
    facts: int
    cells: list[MissingFacts]
    since: datetime

    @property
    def code(self) -> str:
        """By which it is accepted: the beginning of the digest of the plans and of the code that counts."""
        return self.digest[:_CODE]

    def __str__(self) -> str:
        """Say in both languages what would go, and how it is accepted."""
        named = ", ".join(
            f"{cell['plan']} {cell['indicator']} {cell['district']}: {cell['facts']}"
            for cell in sorted(self.cells, key=lambda cell: -cell["facts"])[:_MOST_NAMED]
        ) + (", …" if len(self.cells) > _MOST_NAMED else "")
        return (
            f"计划改动后,已计入的 {self.facts} 件事实不再计入({named});数字仍按原计划统计。"
            f"确认改动:make rebuild ACCEPT={self.code};否则改回计划文件,再重启投影。"
            f" The plans as they are now leave out {self.facts} facts that count ({named}); the numbers stay by the"
            f" plans before. To accept it: make rebuild ACCEPT={self.code}; else put the plan file back and start"
            " the projector again."
        )


class FactsWouldGo(Exception):
    """A change of the plans takes facts out of the numbers, and nobody has accepted that."""

    def __init__(self, withheld: WithheldPlans) -> None:
        super().__init__(str(withheld))
        self.withheld = withheld


async def current(connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> WithheldPlans | None:
    """Return the change that waits for an operator, None where none does."""
    row = await connection.fetchrow(_SQL["withheld"])
    if row is None:
        return None
    return WithheldPlans(row["digest"], row["facts"], orjson.loads(row["cells"]), row["since"])


async def withhold(connection: asyncpg.Connection, digest: str, standing: int, number: int) -> WithheldPlans | None:
    """Return what generation `number` counts no longer of what `standing` does, and note it; None where nothing goes.

    A fact is not missing where another of its member counts in its stead, and of what was recorded after the last
    fact of `standing` nothing is compared.
    """
    missing = _SQL["missing"].replace("{old}", f"numbers.g{standing}_").replace("{new}", f"numbers.g{number}_")
    async with connection.transaction():
        # These read whole tables, unlike all else on a connection that writes.
        for setting in ("seqscan", "hashjoin", "mergejoin"):
            await connection.execute(f"set local enable_{setting} = on")
        total, *cells = await connection.fetch(missing, timeout=_SECONDS)
        if not total["facts"]:
            return None
        await connection.execute(
            _SQL["withhold"], digest, total["facts"], orjson.dumps([dict(cell) for cell in cells]).decode()
        )
    return await current(connection)


async def settle(connection: asyncpg.Connection) -> None:
    """Forget the change that waits: it was accepted, or taken back."""
    await connection.execute(_SQL["settle"])
