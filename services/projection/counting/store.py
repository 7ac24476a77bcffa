"""The ledger of one generation in PostgreSQL: a batch of facts in one transaction, and recounts of what is stored."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

import asyncpg
import orjson

from services.projection.counting.contributions import ContributionKey, contributions_of
from services.projection.counting.facts import decode
from services.projection.counting.generations import head_held, index, of_generation
from services.projection.counting.ledger import (
    CellKey,
    Contribution,
    FactBatch,
    LaterFact,
    LineMember,
    LineSubject,
    PlanningFact,
    Posting,
)
from services.projection.counting.lines import CompiledPlans, Line, Part
from services.projection.counting.periods import place_of
from services.projection.counting.seen import FirstFacts, SeenKeys
from services.projection.counting.standing import InForce, StandingRow
from services.projection.counting.writers import OtherWriter


class Switched(Exception):
    """Another generation is the current one now."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a service's log is counted, and where to read on in its topic."""

    position: int = 0
    recorded_at: datetime | None = None
    next_offset: int = 0


class CheckpointMove(NamedTuple):
    """A checkpoint as it is stored, and as it is to be."""

    before: Checkpoint
    after: Checkpoint


# The columns of `standing`, and where a row has them.
_STANDING: Final = {
    "line": "line",
    "use": "use",
    "service": "service",
    "position": "position",
    "event_id": "event_id",
    "type": "type",
    "subject": "subject",
    "member": "member",
    "on_day": "on",
    "stop": "stop",
    "district": "district",
    "amount": "amount",
    "same": "same",
    "report_source": "report_source",
    "report_id": "report_id",
    "recorded_at": "in_force.recorded_at",
    "changes": "in_force.stored_changes",
    "root": "root",
    "retracted": "retracted",
    "suspended": "suspended",
    "replaced_by": "stored_replaced_by",
    "reported_by": "reported_by",
}
columns_of: Final[Callable[[StandingRow], tuple[object, ...]]] = attrgetter(*_STANDING.values())


# Up to so many rows a statement that takes them as JSON costs less than copying them to two tables.
_FEW: Final = 200
_PORTION: Final = 2000  # rows that a recount has at once


class _MonthlyKey(NamedTuple):
    line: int
    part: int
    period: int
    district: str


async def sizes(connection: asyncpg.Connection, number: int) -> str:
    """Return how much there is in a generation, for people."""
    rows = await connection.fetch(of_generation(number)["counted"])
    return ", ".join(f"{value:,} {name}" for row in rows for name, value in row.items())


async def positions(connection: asyncpg.Connection, number: int) -> dict[str, int]:
    """Return how far each log is counted in a generation."""
    rows = await connection.fetch(of_generation(number)["checkpoints"])
    return {row["service"]: row["position"] for row in rows}


class Ledger:
    """The numbers of one generation, written by one connection.

    `first`: facts that have to do with one before them are counted after all others, by `count_later`. `adds_up`:
    cells and months are written too, else `sum_up` makes them of all that is there.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        number: int,
        compiled: CompiledPlans,
        *,
        first: FirstFacts | None = None,
        adds_up: bool = True,
    ) -> None:
        self._connection = connection
        self._sql = of_generation(number)
        self._compiled = compiled
        self._seen: SeenKeys | None = None
        self._first = first
        self._adds_up = adds_up
        self.number = number

    def new_batch(self) -> FactBatch:
        """Return an empty batch of facts to count."""
        return FactBatch(self._compiled, self._first)

    async def checkpoints(self, services: Sequence[str]) -> dict[str, Checkpoint]:
        """Return how far the logs of services are counted; one that is new begins at the start of its log."""
        await self._connection.execute(self._sql["begin_checkpoints"], list(services))
        fetched = await self._connection.fetch(self._sql["checkpoints"])
        rows = [row for row in fetched if row["service"] in services]
        if self._first is None and not any(row["position"] for row in rows):
            self._seen = SeenKeys()  # nothing is stored of theirs: what is new here need not be looked up
        return {row["service"]: Checkpoint(row["position"], row["recorded_at"], row["next_offset"]) for row in rows}

    async def count(self, batch: FactBatch, moves: Mapping[str, CheckpointMove], must_be_current: bool) -> Posting:
        """Write what a batch changes and move the checkpoints by service, all in one transaction.

        Raises Switched when the generation is no longer the one that is read, OtherWriter when a checkpoint is not
        where this writer left it.
        """
        async with self._connection.transaction():
            if must_be_current and await head_held(self._connection) != self.number:
                raise Switched
            if batch.planning:
                await self._insert("planning", PlanningFact._fields, batch.planning)
            if batch.later:
                await self._insert("later", LaterFact._fields, batch.later)
            posting = await self._posting(batch) if len(batch) else Posting()
            await self._post(posting, moves)
        return posting

    async def reach(self, reached: Mapping[str, Checkpoint]) -> None:
        """Move the checkpoints of an empty ledger to where other processes have counted."""
        await self._post(Posting(), {service: CheckpointMove(Checkpoint(), to) for service, to in reached.items()})

    async def empty(self) -> None:
        """Take out again what was counted without checkpoints."""
        await self._connection.execute(self._sql["empty"])

    async def aside(self, services: Sequence[str]) -> dict[str, int]:
        """Return how many facts of each service are set aside."""
        rows = await self._connection.fetch(self._sql["aside"])
        return dict.fromkeys(services, 0) | {row["service"]: row["facts"] for row in rows if row["service"] in services}

    async def set_aside(self, services: Sequence[str]) -> int:
        """Set nothing aside any more, and return how many facts are.

        Where there are any, make what looking up those before them needs.
        """
        self._first = None
        count = sum((await self.aside(services)).values())
        if count:
            await index(self._connection, self.number, "index_standing")
        return count

    async def count_later(self, services: Sequence[str], most: int) -> int:
        """Count some of the facts that were set aside, in the order of their recording; return how many."""
        rows = await self._connection.fetch(self._sql["later"], list(services), most)
        if not rows:
            return 0
        later = [LaterFact(*row.values()) for row in rows]
        batch = FactBatch(self._compiled)
        for fact in later:
            batch.add(decode(fact.bytes))
        done = [list(column) for column in zip(*(fact[:3] for fact in later), strict=True)]
        async with self._connection.transaction():
            await self._post(await self._posting(batch), {})
            await self._connection.execute(self._sql["counted_later"], *done)
        return len(later)

    async def _posting(self, batch: FactBatch) -> Posting:
        if batch.reports:
            ids = sorted({report.id for report in batch.reports})
            batch.load_reports(
                _stored(await self._connection.fetch(self._sql["of_reports"], sorted(batch.subjects), ids))
            )
        batch.take_back()
        return batch.post([row async for row in self._load(batch)])

    async def _post(self, posting: Posting, moves: Mapping[str, CheckpointMove]) -> None:
        """Write a posting, and move the checkpoints; of few rows all goes in one statement."""
        standing, contributions = posting.new, posting.contributions
        if len(standing) + len(contributions) > _FEW:
            await self._insert("standing", tuple(_STANDING), map(columns_of, standing))
            await self._insert("contribution", Contribution._fields, contributions)
            standing, contributions = [], []
        cells = posting.cells() if self._adds_up else {}
        if not (moves or cells or standing or contributions or posting.changed):
            return
        months = self.months_of(cells)
        moved = await self._connection.fetch(
            self._sql["post"],
            _json(dict(zip(_STANDING, columns_of(row), strict=True)) for row in standing),
            _json(row._asdict() for row in contributions),
            _json(map(_changes_of, posting.changed)),
            _json({**key._asdict(), "value": cells[key]} for key in sorted(cells)),
            _json({**key._asdict(), "amounts": months[key]} for key in sorted(months)),
            _json(map(_moved, moves.items())),
        )
        if lost := moves.keys() - {row["service"] for row in moved}:
            raise OtherWriter(", ".join(sorted(lost)))

    async def _insert(self, table: str, columns: Sequence[str], records: Iterable[tuple[object, ...]]) -> None:
        await self._connection.copy_records_to_table(
            f"g{self.number}_{table}", schema_name="numbers", columns=columns, records=records
        )

    def months_of(self, cells: Mapping[CellKey, int]) -> dict[_MonthlyKey, list[int]]:
        """Return what is added to each month of the plans; what lies behind a plan's end is in the cells alone."""
        months: dict[_MonthlyKey, list[int]] = {}
        for key, delta in cells.items():
            plan = self._compiled.plans[self._compiled.line(key.line).plan]
            if key.effective_on <= plan.period.last:
                amounts = months.setdefault(
                    _MonthlyKey(key.line, key.part, key.period, key.district),
                    [0] * (place_of(plan, plan.period.last) + 1),
                )
                amounts[place_of(plan, key.effective_on)] += delta
        return months

    async def _load(self, batch: FactBatch) -> AsyncIterator[StandingRow]:
        if self._first is not None:
            return
        members, subjects = batch.members_and_subjects()
        if self._seen is not None:
            seen = self._seen
            members = {member for member in members if not seen.add(member)}
            subjects = {subject for subject in subjects if not seen.add(("subject", *subject))}
        threaded = {(line, member) for line, member in members if line in self._compiled.threaded}
        if plain := members - threaded:
            for row in _stored(await self._connection.fetch(self._sql["of_members"], *_arrays(plain))):
                yield row
        if threaded or subjects:
            arrays = (*_arrays(threaded), *_arrays(subjects))
            for row in _stored(await self._connection.fetch(self._sql["of_threads"], *arrays)):
                yield row


@dataclass(frozen=True, slots=True)
class RecountDifference:
    """A place where two ways to count the same do not agree."""

    line: Line
    place: str
    stored: int
    recounted: int


async def recount(connection: asyncpg.Connection, number: int, line: Line) -> AsyncIterator[RecountDifference]:
    """Yield where the ledger of a line is not what the facts in force contribute; in a transaction.

    Members are recounted one after another and compared by the sum of hashes of what they contribute, so that a long
    log takes no memory. Only where that differs is all of it taken at once, which says where.
    """
    sql = of_generation(number)
    of_facts = of_ledger = 0
    async for key, value in _contributed(connection, sql["standing_by_member"], line):
        if value:
            of_facts += hash((key, str(value)))  # -1 and -2 have one hash
    async for row in connection.cursor(sql["ledger_of_line"], line.number, prefetch=_PORTION):
        of_ledger += hash((_key_of(row), str(row["value"])))
    if of_facts == of_ledger:
        return
    in_force = list(_stored(await connection.fetch(sql["standing_of_line"], line.number)))
    recounted = {key: value for key, value in contributions_of(line, in_force).items() if value}
    stored = {_key_of(row): row["value"] for row in await connection.fetch(sql["ledger_of_line"], line.number)}
    for key in sorted({*recounted, *stored}, key=str):
        if recounted.get(key, 0) != stored.get(key, 0):
            yield RecountDifference(line, " ".join(map(str, key)), stored.get(key, 0), recounted.get(key, 0))


async def _contributed(
    connection: asyncpg.Connection, sql: str, line: Line
) -> AsyncIterator[tuple[ContributionKey, int]]:
    """Yield what the facts of each member, and of the subjects that have to do with it, contribute to a line."""
    group, name = list[asyncpg.Record](), None
    async for row in connection.cursor(sql, line.number, prefetch=_PORTION):
        if row["of"] != name:
            for item in contributions_of(line, list(_stored(group))).items():
                yield item
            group, name = [], row["of"]
        group.append(row)
    for item in contributions_of(line, list(_stored(group))).items():
        yield item


async def differences(connection: asyncpg.Connection, number: int, compiled: CompiledPlans) -> list[RecountDifference]:
    """Return where cells and the sum of the ledger do not agree."""
    rows = await connection.fetch(of_generation(number)["differences"])
    return [
        RecountDifference(
            compiled.line(row["line"]),
            f"{row['part']} {row['period']} {row['district']} {row['day']}",
            int(row["kept"]),
            int(row["counted"]),
        )
        for row in rows
    ]


def _key_of(row: asyncpg.Record) -> ContributionKey:
    return ContributionKey(
        part=Part(row["part"]),
        period=row["period"],
        district=row["district"],
        counted_on=row["counted_on"],
        effective_on=row["effective_on"],
        service=row["service"],
        position=row["position"],
    )


def _stored(rows: Iterable[asyncpg.Record]) -> Iterator[StandingRow]:
    """Yield rows as they are stored: the ledger has counted them."""
    for row in rows:
        yield StandingRow(
            row["line"],
            row["use"],
            row["service"],
            row["position"],
            row["event_id"],
            row["type"],
            row["subject"],
            row["member"],
            row["on_day"],
            row["stop"],
            row["district"],
            row["amount"],
            row["same"],
            row["report_source"],
            row["report_id"],
            InForce(row["recorded_at"], row["changes"] or (), counted=True),
            row["root"],
            row["retracted"],
            row["suspended"],
            tuple(row["replaced_by"] or ()),
            row["reported_by"],
        )


def _changes_of(row: StandingRow) -> dict[str, object]:
    """Return what of a stored row may change, by its key."""
    return {
        **row.key._asdict(),
        "changes": row.in_force.changes,
        "retracted": row.retracted,
        "suspended": row.suspended,
        "replaced_by": row.replaced_by,
        "root": row.root,
    }


def _moved(move: tuple[str, CheckpointMove]) -> dict[str, object]:
    """Return how a service's checkpoint moves."""
    service, (before, after) = move
    return {
        "service": service,
        "before": before.position,
        "position": after.position,
        "recorded_at": after.recorded_at,
        "next_offset": after.next_offset,
    }


def _json(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows for `json_to_recordset`, which takes their columns by name."""
    return orjson.dumps(list(rows)).decode()


def _arrays(keys: Iterable[LineMember] | Iterable[LineSubject]) -> tuple[list[int], list[str]]:
    """Return lines and members, or lines and subjects, as two arrays for `unnest`."""
    ordered = sorted(keys)
    return [line for line, _ in ordered], [text for _, text in ordered]
