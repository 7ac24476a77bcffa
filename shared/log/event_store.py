"""The log of one service in PostgreSQL: dense positions in commit order, exact bytes, receipts with the facts."""

import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib import resources
from operator import attrgetter
from typing import Final, NamedTuple, cast

import asyncpg

from shared.contract.events import Fact, ReportKey
from shared.contract.shapes import in_sandbox
from shared.log.ordered_connection import OrderedConnection
from shared.observability.turns import Turns
from shared.observability.unavailable import UNAVAILABLE, DatabaseNotReady

_TICK: Final = timedelta(microseconds=1)
_PORTION: Final = 64  # of a batch's receipts, from which on they are written while more is decided


class NotCompared(DatabaseNotReady):
    """The log was not compared with its topic since the database was restored or started: decide nothing (0020)."""


def read_queries(package: str, file: str) -> dict[str, str]:
    """Return the named queries of a .sql file: each starts with a line `-- name: <name>`."""
    text = (resources.files(package) / file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: *(\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+(?:\.[a-z_]+)?)")


class Statement:
    """A statement with named parameters, `:name`; a column of a list of rows is `:<rows>.<column>`."""

    def __init__(self, text: str) -> None:
        names = list(dict.fromkeys(_PARAMETER.findall(text)))
        self._parts = [name.partition(".") for name in names]
        self.sql = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", text)

    def arguments(self, **values: object) -> list[object]:
        """Return the arguments by position; lists of rows (NamedTuple) are taken apart into their columns."""
        return [
            list(map(attrgetter(column), cast("Iterable[object]", values[rows]))) if column else values[rows]
            for rows, _, column in self._parts
        ]


_SQL: Final = read_queries("shared.log", "event_store.sql")
_APPEND: Final = Statement(_SQL["append"])
_LOAD: Final = Statement(_SQL["load"])
_HEAR: Final = Statement(_SQL["hear"])
_QUARANTINE: Final = Statement(_SQL["quarantine"])


async def open_pool(dsn: str, name: str, most: int = 4, schema: str = "public") -> asyncpg.Pool:
    """Open a pool that bounds every statement; index scans always, since a growing log outruns its statistics.

    `schema`: the only one whose tables its statements reach.
    """
    settings = {"application_name": name, "enable_seqscan": "off", "jit": "off", "search_path": schema}
    return await asyncpg.create_pool(
        dsn, min_size=0, max_size=most, command_timeout=30, server_settings=settings, reset=keep_session
    )


async def keep_session(_connection: object) -> None:
    """Give a connection back to its pool as it is, where the usual four commands cost a round trip after every query.

    An open transaction is rolled back all the same; nothing else that a session holds is used here.
    """


async def foreign_keys(connection: asyncpg.Connection, keys: Mapping[str, bytes]) -> list[str]:
    """Return the names of the keys that are not those this log was begun with; the first ones given are stored."""
    rows = await connection.fetch(_SQL["key_check"], list(keys), list(keys.values()))
    return sorted(row["name"] for row in rows)


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision in force of one (source, id)."""

    decision: int
    digest: bytes
    receipt: bytes


@dataclass(slots=True)
class Head:
    """Where the log stands in a transaction; every fact and receipt gets an instant of its own by `tick`."""

    position: int
    at: datetime
    receipts: int
    waiting: int

    def tick(self) -> datetime:
        """Return an instant later than all before."""
        self.at += _TICK
        return self.at


def is_stream(key: str) -> bool:
    """Tell a stream, which is a subject (`kind/number`), from a tag: that has a colon, or no slash."""
    return "/" in key and ":" not in key


class StoredFact(NamedTuple):
    """A fact as it is stored: its tags and its exact bytes."""

    tags: tuple[str, ...]
    bytes: bytes


class StreamKnown(NamedTuple):
    """A stream of which the facts up to a version are known."""

    stream: str
    version: int


class FactRow(NamedTuple):
    """A row of `fact`; `tags` are joined by spaces, since an array of arrays must be rectangular."""

    position: int
    stream: str
    version: int
    id: str
    report_source: str
    report_id: str
    tags: str
    recorded_at: datetime
    bytes: bytes


class ReceiptRow(NamedTuple):
    """A row of `receipt`."""

    number: int
    source: str | None
    id: str | None
    decision: int | None
    digest: bytes | None
    district: str | None
    bytes: bytes


class WaitingRow(NamedTuple):
    """A row of `waiting`."""

    source: str
    id: str
    until: str
    number: int
    since: datetime
    never: str
    report: bytes


class StoredWaiting(NamedTuple):
    """A report that waits: the key that wakes it, its number in the order received, and the report."""

    until: str
    number: int
    report: bytes


class OverdueReport(NamedTuple):
    """A report that has waited too long, and the code of the rule that refuses it."""

    report: bytes
    never: str


class HeardRow(NamedTuple):
    """A row of `heard`: a fact of another service."""

    service: str
    position: int
    stream: str
    tags: tuple[str, ...]
    bytes: bytes

    @property
    def joined_tags(self) -> str:
        """The tags joined by spaces, since an array of arrays must be rectangular."""
        return " ".join(self.tags)


class QuarantineRow(NamedTuple):
    """A row of `quarantine`: bytes that could not be read, sealed, and the place they came from."""

    topic: str
    partition: int
    offset: int
    reason: str
    size: int
    digest: bytes
    sealed: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class LogHead:
    """Where a log stands; `topic`: where its topic was found ahead of it; `recorded_at`: None on an empty log."""

    position: int
    recorded_at: datetime | None
    receipts: int
    waiting: int
    compared: bool
    topic: int | None


@dataclass(slots=True)
class Recorded:
    """What one transaction writes."""

    facts: list[Fact] = field(default_factory=list)
    receipts: list[ReceiptRow] = field(default_factory=list)
    woken: list[ReportKey] = field(default_factory=list)
    asleep: dict[ReportKey, WaitingRow] = field(default_factory=dict)


class Transaction:
    """One transaction on a log; `waited`: for the lock, in seconds."""

    def __init__(self, connection: OrderedConnection, waited: float = 0.0) -> None:
        self._connection = connection
        self._facts = self._receipts = 0  # so many are written
        self.waited = waited

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement of whoever knows more of the tables than is told here."""
        return await self._connection.fetch(sql, *arguments)

    async def head(self, keys: Sequence[ReportKey] = ()) -> tuple[Head, dict[ReportKey, Decided]]:
        """Read the head, and the decision in force of each report that has one."""
        rows = await self._head(keys)
        decided = (row for row in rows if row["source"] is not None)
        return _head_of(rows[0]), {(row["source"], row["id"]): _decided_of(row) for row in decided}

    async def _head(self, keys: Sequence[ReportKey]) -> list[asyncpg.Record]:
        rows = await self._connection.fetch(
            _SQL["head_and_decisions"], [key[0] for key in keys], [key[1] for key in keys]
        )
        _compared(rows[0] if rows else None)
        return rows

    async def load(self, keys: Iterable[str], known: Sequence[StreamKnown]) -> list[StoredFact]:
        """Return every fact, this service's or another's, with one of the keys as stream or tag.

        Of the streams `known` those of this service from the known version on, that one too.
        """
        streams, tags = list[str](), list[str]()
        for key in keys:  # each is looked up in one index alone
            (streams if is_stream(key) else tags).append(key)
        arguments = _LOAD.arguments(streams=streams, tags=tags, known=known)
        rows = await self._connection.fetch(_LOAD.sql, *arguments)
        return [StoredFact(tuple(tags), raw) for tags, raw in rows]

    async def decided(self, keys: Sequence[ReportKey]) -> dict[ReportKey, Decided]:
        """Return the decision in force of each report that has one."""
        rows = await self._connection.fetch(_SQL["decided"], [key[0] for key in keys], [key[1] for key in keys])
        return {(row["source"], row["id"]): _decided_of(row) for row in rows}

    async def waiting(self, keys: Iterable[str]) -> list[StoredWaiting]:
        """Return all reports that wait for one of the keys."""
        return [StoredWaiting(*row) for row in await self._connection.fetch(_SQL["waiting"], list(keys))]

    async def waiting_report(self, source: str, id_: str) -> list[StoredWaiting]:
        """Return one report; an empty list when it does not wait."""
        return [StoredWaiting(*row) for row in await self._connection.fetch(_SQL["waiting_report"], source, id_)]

    async def overdue(self, days: int, districts: Sequence[str] | None) -> list[OverdueReport]:
        """Return some reports of these districts (None: of every one) that have waited for more than `days`."""
        return [OverdueReport(*row) for row in await self._connection.fetch(_SQL["overdue"], days, districts)]

    async def append_meanwhile(self, recorded: Recorded, head: Head) -> None:
        """Begin to write what was decided so far, where that is much: decisions go on while the database works."""
        if len(recorded.receipts) - self._receipts >= _PORTION and not self._connection.is_busy:
            await self._connection.begin(_APPEND.sql, *await self._portion(recorded, head, ()))

    async def append(self, recorded: Recorded, head: Head) -> None:
        """Write what was decided, and move the head to it."""
        if recorded.woken:
            # A statement of its own: what waits again comes back under the same key.
            sources, ids = [source for source, _ in recorded.woken], [id_ for _, id_ in recorded.woken]
            await self._connection.execute(_SQL["woken"], sources, ids)
        await self._connection.execute(_APPEND.sql, *await self._portion(recorded, head, [*recorded.asleep.values()]))

    async def _portion(self, recorded: Recorded, head: Head, asleep: Sequence[WaitingRow]) -> list[object]:
        """Return the arguments that write the facts and receipts which are not written yet."""
        rows, turns = list[FactRow](), Turns()
        for fact in recorded.facts[self._facts :]:
            rows.append(_row(fact))
            await turns.take()
        receipts = recorded.receipts[self._receipts :]
        self._facts, self._receipts = len(recorded.facts), len(recorded.receipts)
        return _APPEND.arguments(
            facts=rows,
            receipts=receipts,
            asleep=asleep,
            position=head.position,
            recorded_at=head.at,
            receipt_count=head.receipts,
            waiting_count=head.waiting,
        )

    async def subscription(self, service: str) -> int:
        """Return the position up to which another service's log is stored here."""
        rows = await self._connection.fetch(_SQL["subscription"], service)
        return rows[0]["position"] if rows else 0

    async def hear(self, facts: Sequence[HeardRow]) -> None:
        """Store facts of another service."""
        await self._connection.execute(_HEAR.sql, *_HEAR.arguments(facts=facts))

    async def move_subscription(self, service: str, position: int) -> None:
        """Store how far another service's log was read."""
        await self._connection.execute(_SQL["move_subscription"], service, position)

    async def quarantine(self, rows: Sequence[QuarantineRow]) -> set[str]:
        """Store what could not be read, once for each place; return the places that are new."""
        (head,) = await self._head(())
        arguments = _QUARANTINE.arguments(quarantined=head["quarantined"], rows=rows)
        stored = await self._connection.fetch(_QUARANTINE.sql, *arguments)
        return {row["place"] for row in stored}


class EventStore:
    """The database of one service; `sandbox`: that of its sandbox, where it has one."""

    channel = "recorded"
    sandbox: "EventStore | None" = None

    def __init__(self, pool: asyncpg.Pool, sandbox: "EventStore | None" = None) -> None:
        self.pool = pool
        self.sandbox = sandbox
        self.wake: Callable[[], bool] = lambda: False  # the relay of this process, where it is the one that sends

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run one transaction under the lock that serialises decisions.

        All of it is recorded when the block ends, nothing when it raises.
        """
        async with self.pool.acquire(timeout=5) as connection:
            began, ordered = time.perf_counter(), OrderedConnection(connection)
            try:
                await ordered.execute(_SQL["begin"])
                yield Transaction(ordered, time.perf_counter() - began)
                await ordered.execute("commit")
            except BaseException:
                with suppress(*UNAVAILABLE):  # a connection that is broken has rolled back
                    await ordered.give_up()
                    await connection.execute("rollback")
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        """Run one transaction that reads one state of everything, keeps nobody waiting and records nothing."""
        async with (
            self.pool.acquire(timeout=5) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Transaction(OrderedConnection(connection))

    async def person_keys(self, new: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the wrapped keys of persons; who has none gets the one given, whatever becomes of the report.

        Raises NotCompared where a key that is not there may come back with what is to be recovered.
        """
        keys = dict[str, bytes]()
        for _ in range(2):  # another process may be first with one of them
            async with self.pool.acquire(timeout=5) as connection:
                rows = await connection.fetch(_SQL["person_keys"], list(new), list(new.values()))
            keys = {row["token"]: row["wrapped"] for row in rows}
            if len(keys) == len(new):
                return keys
        raise NotCompared

    async def announce(self) -> None:
        """Notify the relay that something was recorded; after the commit, so that the lock is not held for it."""
        if self.wake():
            return
        with suppress(*UNAVAILABLE):  # it is recorded all the same, and the relay polls too
            await self.pool.execute(f"notify {self.channel}")

    async def receipt(self, source: str, id_: str) -> bytes | None:
        """Return the receipt of a report as it stands now (RULES A18)."""
        if self.sandbox is not None and in_sandbox(source):
            return await self.sandbox.receipt(source, id_)
        receipt: bytes | None = await self.pool.fetchval(_SQL["receipt"], source, id_)
        return receipt

    async def receipts_of(self, keys: Sequence[ReportKey]) -> dict[ReportKey, bytes]:
        """Return the same of many reports, without those that were never received."""
        if self.sandbox is not None and (tried := [key for key in keys if in_sandbox(key[0])]):
            own = [key for key in keys if not in_sandbox(key[0])]
            return await self.receipts_of(own) | await self.sandbox.receipts_of(tried)
        rows = await self.pool.fetch(_SQL["receipts"], [key[0] for key in keys], [key[1] for key in keys])
        return {(row["source"], row["id"]): row["bytes"] for row in rows}

    async def because_of(self, report: ReportKey, stream: str, version: int) -> list[bytes]:
        """Return the bytes of the facts of a stream, from a version on, that were recorded because of a report."""
        if self.sandbox is not None and in_sandbox(report[0]):
            return await self.sandbox.because_of(report, stream, version)
        return [row["bytes"] for row in await self.pool.fetch(_SQL["because_of"], stream, version, *report)]

    async def end_unreadable(self, days: int) -> int:
        """Delete the bytes of what could not be read more than so many days ago; its row stays. Returns how many."""
        rows = await self.pool.fetch(_SQL["end_unreadable"], days)
        return len(rows)

    async def subscription(self, service: str) -> int:
        """Return the position up to which another service's log is stored here."""
        return await self.pool.fetchval(_SQL["subscription"], service) or 0

    async def head(self) -> LogHead:
        """Return where the log stands, and whether it was compared with its topic."""
        return _log_head(await self.pool.fetchrow(_SQL["head"]))

    async def settled_head(self) -> LogHead:
        """Return the same after the transaction in progress; whatever is recorded later gets a later instant."""
        return _log_head(await self.pool.fetchrow(_SQL["settled_head"]))

    async def watch(self) -> asyncpg.Record:
        """Return where everything stands, and for how long the oldest of what is still to do has stood there."""
        row = await self.pool.fetchrow(_SQL["watch"])
        if row is None:
            raise LookupError("log_head is empty")
        return row

    async def log(self, after: int, limit: int) -> list[bytes]:
        """Return the exact bytes of up to `limit` facts after a position."""
        return [row["bytes"] for row in await self.pool.fetch(_SQL["log"], after, limit)]


def _compared(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise LookupError("log_head is empty")
    if not row["compared"]:
        raise NotCompared
    return row


def _decided_of(row: asyncpg.Record) -> Decided:
    return Decided(row["decision"], row["digest"], row["bytes"])


def _head_of(row: asyncpg.Record) -> Head:
    return Head(row["position"], max(row["now"] - _TICK, row["recorded_at"]), row["receipts"], row["waiting"])


def _row(fact: Fact) -> FactRow:
    return FactRow(
        position=fact.position,
        stream=fact.stream,
        version=fact.version,
        id=fact.id,
        report_source=fact.report_source,
        report_id=fact.report_id,
        tags=" ".join(fact.tags),
        recorded_at=fact.recorded_at,
        bytes=fact.take_bytes(),
    )


def _log_head(row: asyncpg.Record | None) -> LogHead:
    if row is None:
        raise LookupError("log_head is empty")
    head = LogHead(**row)
    return head if head.position else replace(head, recorded_at=None)
