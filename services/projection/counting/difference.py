"""What a new generation would change: the cells, by how much, and because of which facts."""

from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson
from typing_extensions import TypedDict

from shared.log.event_store import read_queries

_SQL: Final = read_queries("services.projection.counting", "difference.sql")
_CODE: Final = 12  # characters of the digest by which it is accepted
_MOST_FACTS: Final = 50  # named of one cell; all are counted
_SECONDS: Final = 600


class ChangedFact(TypedDict):
    """A fact that adds to a cell otherwise than before, and its report. Null where neither generation keeps it."""

    service: str
    position: int
    before: int
    after: int
    type: str | None
    subject: str | None
    source: str | None
    id: str | None


class ChangedCell(TypedDict):
    """A sum that changes, up to its plan's last day; `facts`: how many change it, the first of them in `because`.

    `side`: numerator, or denominator of a ratio. `period`: a year, 0 for what is cumulative or a level.
    """

    plan: str
    indicator: str
    side: str
    period: int
    district: str
    before: int
    after: int
    facts: int
    because: list[ChangedFact]


class Difference(TypedDict):
    """What generation `beside` changes of generation `read`. `facts`: how many facts change a cell, each once."""

    code: str
    read: int
    beside: int
    facts: int
    cells: list[ChangedCell]


@dataclass(frozen=True, slots=True)
class Beside:
    """A generation that waits for somebody to accept it or let it go."""

    number: int
    digest: str
    difference: Difference

    @property
    def code(self) -> str:
        """By which it is accepted: the beginning of the digest of its plans and of the code that counts."""
        return self.digest[:_CODE]


async def compare(connection: asyncpg.Connection, digest: str, read: int, beside: int) -> Difference:
    """Compare a generation with the one that is read, in one snapshot, and keep what differs with it."""

    def on(query: str) -> str:
        return _SQL[query].replace("{old}", f"numbers.g{read}_").replace("{new}", f"numbers.g{beside}_")

    async with connection.transaction(isolation="repeatable_read"):
        # These read whole tables, unlike all else on a connection that writes.
        for setting in ("seqscan", "hashjoin", "mergejoin"):
            await connection.execute(f"set local enable_{setting} = on")
        await connection.execute("set local work_mem = '128MB'")
        await connection.execute(on("changed"), timeout=_SECONDS)
        await connection.execute(on("analyze"))
        rows = await connection.fetch(on("cells"), timeout=_SECONDS)
        cells = {_key(row): _cell(row) for row in rows}
        for row in await connection.fetch(on("facts"), _MOST_FACTS, timeout=_SECONDS):
            fields = {name: row[name] for name in ChangedFact.__annotations__}
            cells[_key(row)]["because"].append(ChangedFact(**fields))  # type: ignore[typeddict-item]
        total: int = await connection.fetchval(on("total"), timeout=_SECONDS)
        difference = Difference(code=digest[:_CODE], read=read, beside=beside, facts=total, cells=list(cells.values()))
        await connection.execute(on("drop"))
        await connection.execute(_SQL["keep"], beside, orjson.dumps(difference).decode())
    return difference


async def standing_beside(connection: asyncpg.Connection) -> list[Beside]:
    """Return the generations that wait."""
    rows = await connection.fetch(_SQL["beside"])
    return [Beside(row["number"], row["digest"], orjson.loads(row["difference"])) for row in rows]


def _key(row: asyncpg.Record) -> tuple[object, ...]:
    return row["plan"], row["indicator"], row["side"], row["period"], row["district"]


def _cell(row: asyncpg.Record) -> ChangedCell:
    return ChangedCell(
        plan=row["plan"],
        indicator=row["indicator"],
        side="denominator" if row["side"] else "numerator",
        period=row["period"],
        district=row["district"],
        before=row["before"],
        after=row["after"],
        facts=row["facts"],
        because=[],
    )
