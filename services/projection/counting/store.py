"""The ledger of one generation in PostgreSQL: a batch of facts in one transaction, and recounts of what is stored."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from services.projection.counting.contributions import contributions_of
from services.projection.counting.generations import head_held, of_generation
from services.projection.counting.ledger import CellKey, FactBatch, Posting, ReportKey
from services.projection.counting.lines import CompiledPlans, Line, StandingRow
from services.projection.counting.periods import place_of
from services.projection.counting.writers import OtherWriter

_STANDING: Final = (
    "line", "use", "service", "position", "event_id", "type", "subject", "member", "on_day", "stop", "district",
    "amount", "same", "report_source", "report_id", "recorded_at", "changes", "root", "retracted",
    "suspended", "replaced_by", "threaded", "report", "replacing",
)  # fmt: skip
_CONTRIBUTION: Final = (
    "line", "part", "period", "district", "counted_on", "effective_on", "recorded_at", "delta", "cause", "service",
    "position",
)  # fmt: skip


class Switched(Exception):
    """Another generation is the current one now."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a service's log is counted, and where to read on in its topic."""

    position: int = 0
    recorded_at: datetime | None = None
    next_offset: int = 0


async def sizes(connection: asyncpg.Connection, number: int) -> str:
    """Return how much there is in a generation, for people."""
    rows = await connection.fetch(of_generation(number)["counted"])
    return ", ".join(f"{value:,} {name}" for row in rows for name, value in row.items())


async def positions(connection: asyncpg.Connection, number: int) -> dict[str, int]:
    """Return how far each log is counted in a generation."""
    rows = await connection.fetch(of_generation(number)["checkpoints"])
    return {row["service"]: row["position"] for row in rows}


class Ledger:
    """The numbers of one generation, written by one connection."""

    def __init__(self, connection: asyncpg.Connection, number: int, compiled: CompiledPlans) -> None:
        self._connection = connection
        self._sql = of_generation(number)
        self._compiled = compiled
        self.number = number

    async def checkpoints(self, services: Sequence[str]) -> dict[str, Checkpoint]:
        """Return how far each log is counted; a service that is new begins at the start of its log."""
        await self._connection.execute(self._sql["begin_checkpoints"], list(services))
        rows = await self._connection.fetch(self._sql["checkpoints"])
        return {row["service"]: Checkpoint(row["position"], row["recorded_at"], row["next_offset"]) for row in rows}

    async def count(
        self, batch: FactBatch, moves: Mapping[str, tuple[Checkpoint, Checkpoint]], must_be_current: bool
    ) -> Posting:
        """Write what a batch changes and move the checkpoints, from and to, in one transaction: all of it or nothing.

        Raises Switched when the generation is no longer the one that is read, OtherWriter when a checkpoint is not
        where this writer left it.
        """
        async with self._connection.transaction():
            if must_be_current and await head_held(self._connection) != self.number:
                raise Switched
            posting = await self._post(batch) if len(batch) else Posting()
            if batch.decided:
                await self._connection.copy_records_to_table(
                    f"g{self.number}_planning", schema_name="numbers", records=batch.decided
                )
            for service, (old, new) in moves.items():
                done = await self._connection.execute(
                    self._sql["move_checkpoint"], service, old.position, new.position, new.recorded_at, new.next_offset
                )
                if done != "UPDATE 1":
                    raise OtherWriter(service)
        return posting

    async def _post(self, batch: FactBatch) -> Posting:
        if batch.reports:
            wanted = sorted({_digest(key) for key in batch.reports})
            batch.take_reports(_kept(await self._connection.fetch(self._sql["of_reports"], wanted)))
        batch.mark()
        posting = batch.post([row async for row in self._load(batch)])
        await self._connection.copy_records_to_table(
            f"g{self.number}_standing", schema_name="numbers", columns=_STANDING, records=map(self._record, posting.new)
        )
        for row in posting.changed:
            await self._connection.execute(
                self._sql["change"], row.service, row.position, row.line, row.use, row.stood[1:], row.retracted,
                row.suspended, row.replaced_by, _replacing(row), row.root,
            )  # fmt: skip
        await self._connection.copy_records_to_table(
            f"g{self.number}_contribution", schema_name="numbers", columns=_CONTRIBUTION, records=posting.contributions
        )
        if cells := posting.cells():
            keys = list(zip(*sorted(cells), strict=True))
            await self._connection.execute(self._sql["cells"], *keys, [cells[key] for key in sorted(cells)])
            if months := self._by_month(cells):
                keys = list(zip(*sorted(months), strict=True))
                # As texts: an array of arrays would be taken apart by `unnest`.
                amounts = ["{" + ",".join(map(str, months[key])) + "}" for key in sorted(months)]
                await self._connection.execute(self._sql["monthly"], *keys, amounts)
        return posting

    def _by_month(self, cells: Mapping[CellKey, int]) -> dict[tuple[int, int, int, str], list[int]]:
        """Return what is added to each month of the plans; what lies behind a plan's end is in the cells alone."""
        months: dict[tuple[int, int, int, str], list[int]] = {}
        for (line, part, period, district, day), delta in cells.items():
            plan = self._compiled.plans[self._compiled.line(line).plan]
            if day <= plan.period.last:
                amounts = months.setdefault(
                    (line, part, period, district), [0] * (place_of(plan, plan.period.last) + 1)
                )
                amounts[place_of(plan, day)] += delta
        return months

    async def _load(self, batch: FactBatch) -> AsyncIterator[StandingRow]:
        members, threads = batch.keys()
        apart: dict[bool, list[tuple[int, str]]] = {False: [], True: []}
        for key in members:
            apart[self._compiled.line(key[0]).threaded].append(key)
        if apart[False]:
            for row in _kept(await self._connection.fetch(self._sql["of_members"], *_columns(apart[False]))):
                yield row
        if apart[True] or threads:
            asked = (*_columns(apart[True]), *_columns(threads))
            for row in _kept(await self._connection.fetch(self._sql["of_threads"], *asked)):
                yield row

    def _record(self, row: StandingRow) -> tuple[object, ...]:
        return (
            row.line, row.use, row.service, row.position, row.event_id, row.type, row.subject, row.member, row.on,
            row.stop, row.district, row.amount, row.same, row.report_source, row.report_id, row.stood[0],
            row.stood[1:] or None, row.root, row.retracted,
            row.suspended, row.replaced_by, self._compiled.line(row.line).threaded,
            _digest((row.service, row.report_source, row.report_id)), _replacing(row),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecountDifference:
    """A place where two ways to count the same do not agree."""

    line: Line
    place: str
    kept: int
    recounted: int


async def recount(connection: asyncpg.Connection, number: int, line: Line) -> AsyncIterator[RecountDifference]:
    """Yield where the ledger of a line is not what the facts that stand say, all taken at once."""
    sql = of_generation(number)
    standing = list(_kept(await connection.fetch(sql["standing_of_line"], line.number)))
    told = {key: value for key, value in contributions_of(line, standing).items() if value}
    kept = {tuple(row)[:7]: row["value"] for row in await connection.fetch(sql["ledger_of_line"], line.number)}
    for key in sorted({*told, *kept}, key=str):
        if told.get(key, 0) != kept.get(key, 0):
            yield RecountDifference(line, " ".join(map(str, key)), kept.get(key, 0), told.get(key, 0))


async def differences(connection: asyncpg.Connection, number: int, compiled: CompiledPlans) -> list[RecountDifference]:
    """Return where cells and the sum of the ledger do not agree."""
    rows = await connection.fetch(of_generation(number)["differences"])
    return [
        RecountDifference(
            compiled.line(row["line"]), " ".join(map(str, tuple(row)[1:5])), int(row["kept"]), int(row["counted"])
        )
        for row in rows
    ]


def _columns(keys: Iterable[tuple[int, str]]) -> tuple[list[int], list[str]]:
    ordered = sorted(keys)
    return [key[0] for key in ordered], [key[1] for key in ordered]


def _kept(rows: Iterable[asyncpg.Record]) -> Iterable[StandingRow]:
    for row in rows:
        values = list(row)
        values[15:17] = [[row["recorded_at"], *(row["changes"] or ())]]
        kept = StandingRow(*values)
        kept.known = len(kept.stood)
        yield kept


def _digest(key: ReportKey) -> int:
    """Return 64 bits of a report's key: short to index; who looks it up compares the whole key."""
    return int.from_bytes(hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest(), "big", signed=True)


def _replacing(row: StandingRow) -> int | None:
    return None if row.replaced_by is None else _digest((row.service, row.report_source, row.replaced_by))
