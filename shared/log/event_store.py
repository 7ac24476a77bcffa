"""The log of one service in PostgreSQL: dense positions in commit order, exact bytes, receipts with the facts."""

import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import resources
from typing import Any, Final

import asyncpg

from shared.contract.events import Fact, ReportKey
from shared.observability.unavailable import UNAVAILABLE, DatabaseNotReady

_TICK: Final = timedelta(microseconds=1)


class NotCompared(DatabaseNotReady):
    """The log was not compared with its topic since the database was restored or started: decide nothing (0020)."""


def read_queries(package: str, file: str) -> dict[str, str]:
    """Return the named queries of a .sql file: each starts with a line `-- name: <name>`."""
    text = (resources.files(package) / file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: *(\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


_SQL: Final = read_queries("shared.log", "event_store.sql")


async def open_pool(dsn: str, name: str, most: int = 4) -> asyncpg.Pool:
    """Open a pool that bounds every statement; index scans always, since a growing log outruns its statistics."""
    settings = {"application_name": name, "enable_seqscan": "off", "jit": "off"}
    return await asyncpg.create_pool(dsn, min_size=0, max_size=most, command_timeout=30, server_settings=settings)


async def foreign_keys(connection: asyncpg.Connection, keys: Mapping[str, bytes]) -> list[str]:
    """Return the names of the keys that are not those this log was begun with; the first ones asked for are kept."""
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
    """Where the log stands; it ticks on, so that every fact and receipt has an instant of its own."""

    position: int
    at: datetime
    receipts: int
    waiting: int

    def tick(self) -> datetime:
        """Return an instant later than all before."""
        self.at += _TICK
        return self.at


@dataclass(slots=True)
class Recorded:
    """What one transaction records."""

    facts: list[Fact] = field(default_factory=list)
    receipts: list[tuple[int, str | None, str | None, int | None, bytes | None, str | None, bytes]] = field(
        default_factory=list
    )
    woken: list[tuple[str, str]] = field(default_factory=list)
    asleep: dict[ReportKey, tuple[str, str, str, int, datetime, str, bytes]] = field(default_factory=dict)


class Transaction:
    """One transaction on a log; it holds the head's lock from `lock` on."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        self._connection = connection
        self.waited = 0.0  # for the lock, in seconds

    async def lock(self) -> Head:
        """Take the lock that serialises decisions, and read the head."""
        row = await self._lock()
        return Head(row["position"], max(row["now"] - _TICK, row["recorded_at"]), row["receipts"], row["waiting"])

    async def _lock(self) -> asyncpg.Record:
        asked = time.perf_counter()
        row = await self._connection.fetchrow(_SQL["lock"])
        self.waited += time.perf_counter() - asked
        if row is None:
            raise LookupError("log_head is empty")
        if not row["compared"]:
            raise NotCompared
        return row

    async def load(self, keys: Iterable[str]) -> list[tuple[tuple[str, ...], bytes]]:
        """Return (tags, bytes) of every fact, own or heard, with one of the keys as stream or tag."""
        rows = await self._connection.fetch(_SQL["load"], list(keys))
        return [(tuple(row[0]), row[1]) for row in rows]

    async def decided(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Decided]:
        """Return the decision in force of each (source, id) that has one."""
        rows = await self._connection.fetch(_SQL["decided"], [key[0] for key in keys], [key[1] for key in keys])
        return {(row[0], row[1]): Decided(row[2], row[3], row[4]) for row in rows}

    async def waiting(self, keys: Iterable[str]) -> list[tuple[str, int, bytes]]:
        """Return (the key it waits for, number, the report) of all that wait for one of the keys."""
        return [tuple(row) for row in await self._connection.fetch(_SQL["waiting"], list(keys))]

    async def waiting_report(self, source: str, id_: str) -> list[tuple[str, int, bytes]]:
        """Return the same of one report; an empty list when it does not wait."""
        return [tuple(row) for row in await self._connection.fetch(_SQL["waiting_report"], source, id_)]

    async def overdue(self, days: int, districts: Sequence[str]) -> list[tuple[bytes, str]]:
        """Return (report, code of the rule that refuses it) of some that wait for more than `days`, by district."""
        return [tuple(row) for row in await self._connection.fetch(_SQL["overdue"], days, districts)]

    async def append(self, recorded: Recorded, head: Head) -> None:
        """Write what was decided, and move the head to it."""
        facts = recorded.facts
        if recorded.woken:
            # A statement of its own: what waits again comes back under the same key.
            await self._connection.execute(_SQL["woken"], *_columns(recorded.woken, 2))
        await self._connection.execute(
            _SQL["append"],
            [fact.position for fact in facts],
            [fact.stream for fact in facts],
            [fact.version for fact in facts],
            [fact.id for fact in facts],
            [fact.report_source for fact in facts],
            [fact.report_id for fact in facts],
            [" ".join(fact.tags) for fact in facts],
            [fact.recorded_at for fact in facts],
            [fact.encode() for fact in facts],
            *_columns(recorded.receipts, 7),
            *_columns(list(recorded.asleep.values()), 7),
            head.position,
            head.at,
            head.receipts,
            head.waiting,
        )

    async def subscription(self, service: str) -> int:
        """Return the position up to which another service's log was heard."""
        return await self._connection.fetchval(_SQL["subscription"], service) or 0

    async def hear(self, facts: Sequence[tuple[str, int, str, tuple[str, ...], bytes]]) -> None:
        """Keep facts of another service: (service, position, stream, tags, bytes)."""
        columns = _columns([(s, p, stream, " ".join(tags), raw) for s, p, stream, tags, raw in facts], 5)
        await self._connection.execute(_SQL["hear"], *columns)

    async def move_subscription(self, service: str, position: int) -> None:
        """Note how far another service's log was heard."""
        await self._connection.execute(_SQL["move_subscription"], service, position)

    async def person_keys(self, tokens: Sequence[str]) -> dict[str, bytes]:
        """Return the wrapped keys of the persons who have one."""
        return {row[0]: row[1] for row in await self._connection.fetch(_SQL["person_keys"], tokens)}

    async def add_person_keys(self, keys: Mapping[str, bytes]) -> None:
        """Store keys of persons who have none yet; an existing key stays."""
        await self._connection.execute(_SQL["add_person_keys"], list(keys), list(keys.values()))

    async def quarantine(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep what could not be read: (topic, partition, offset, reason, size, digest, sealed, at)."""
        head = await self._lock()
        await self._connection.execute(_SQL["quarantine"], head["quarantined"], *_columns(rows, 8))


class EventStore:
    """The database of one service."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run one transaction; all of it is recorded when the block ends, nothing when it raises."""
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            yield Transaction(connection)

    async def announce(self) -> None:
        """Tell the relay that something was recorded; after the commit, so that the lock is not held for it."""
        with suppress(*UNAVAILABLE):  # it is recorded all the same, and the relay looks by itself
            await self.pool.execute("notify recorded")

    async def receipt(self, source: str, id_: str) -> bytes | None:
        """Return the receipt of a report as it stands now (RULES A18)."""
        receipt: bytes | None = await self.pool.fetchval(_SQL["receipt"], source, id_)
        return receipt

    async def subscription(self, service: str) -> int:
        """Return the position up to which another service's log was heard."""
        return await self.pool.fetchval(_SQL["subscription"], service) or 0

    async def head(self) -> dict[str, Any]:
        """Return position, recorded_at (None on an empty log), receipts and waiting; whether the log was compared with
        its topic, and where that stands if it was found ahead."""
        row = await self.pool.fetchrow(_SQL["head"])
        if row is None:
            raise LookupError("log_head is empty")
        return dict(row) | ({} if row["position"] else {"recorded_at": None})

    async def settled_head(self) -> dict[str, Any]:
        """Return position and recorded_at once what is being decided is recorded; what comes later is dated later."""
        row = await self.pool.fetchrow(_SQL["settled_head"])
        if row is None:
            raise LookupError("log_head is empty")
        return dict(row) | ({} if row["position"] else {"recorded_at": None})

    async def watch(self) -> asyncpg.Record:
        """Return where everything stands, and for how long the oldest of what is still to do has stood there."""
        row = await self.pool.fetchrow(_SQL["watch"])
        if row is None:
            raise LookupError("log_head is empty")
        return row

    async def log(self, after: int, limit: int) -> list[bytes]:
        """Return the exact bytes of up to `limit` facts after a position."""
        return [row[0] for row in await self.pool.fetch(_SQL["log"], after, limit)]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
