"""The log of one service in memory: what the unit of work loads from and records to, with the database's constraints.

tests/integration/test_in_memory_log.py compares it with the log in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import NoReturn

from shared.contract.events import Fact, ReportKey
from shared.log.event_store import (
    Decided,
    EventStore,
    Head,
    HeardRow,
    LogHead,
    OverdueReport,
    QuarantineRow,
    ReceiptRow,
    Recorded,
    StoredFact,
    StoredWaiting,
    StreamKnown,
    Transaction,
    WaitingRow,
)

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_OVERDUE = 500


class Tables:
    """The tables of a log; each `store` method holds what the database's keys hold."""

    def __init__(self) -> None:
        self.position = self.receipt_count = self.waiting_count = 0
        self.recorded_at = _BEGINNING
        self.facts: list[StoredFact] = []
        self.by_key: dict[str, tuple[StoredFact, ...]] = {}  # by stream and by tag, facts heard, too
        self.versions: dict[tuple[str, int], int] = {}
        self.receipts: list[ReceiptRow] = []
        self.decisions: dict[tuple[str, str, int], ReceiptRow] = {}
        self.latest: dict[ReportKey, ReceiptRow] = {}
        self.waiting: dict[ReportKey, WaitingRow] = {}
        self.heard: dict[tuple[str, int], StoredFact] = {}
        self.heard_on: dict[str, tuple[StoredFact, ...]] = {}  # by stream
        self.subscriptions: dict[str, int] = {}

    def snapshot(self) -> Tables:
        """Return a copy that later changes of rows do not reach."""
        saved = Tables()
        for name, value in vars(self).items():
            setattr(saved, name, copy(value))
        return saved

    def store_fact(self, fact: Fact) -> None:
        assert fact.position == len(self.facts) + 1, "positions are dense"
        assert (fact.stream, fact.version) not in self.versions, "a version of a stream is used once"
        self.versions[fact.stream, fact.version] = fact.position
        stored = StoredFact(tuple(fact.tags), fact.encode())
        self.facts.append(stored)
        self._index(stored, fact.stream)

    def store_heard(self, row: HeardRow) -> None:
        assert (row.service, row.position) not in self.heard, "heard once"
        stored = StoredFact(row.tags, row.bytes)
        self.heard[row.service, row.position] = stored
        self.heard_on[row.stream] = (*self.heard_on.get(row.stream, ()), stored)
        self._index(stored, row.stream)

    def _index(self, stored: StoredFact, stream: str) -> None:
        for key in {stream, *stored.tags}:
            self.by_key[key] = (*self.by_key.get(key, ()), stored)

    def store_receipt(self, row: ReceiptRow) -> None:
        assert row.number == len(self.receipts) + 1, "receipts are numbered without a hole"
        self.receipts.append(row)
        if row.source is None or row.id is None or row.decision is None:
            return
        assert (row.source, row.id, row.decision) not in self.decisions, "a decision is recorded once"
        self.decisions[row.source, row.id, row.decision] = row
        before = self.latest.get((row.source, row.id))
        if before is None or (before.decision or 0) < row.decision:
            self.latest[row.source, row.id] = row

    def store_waiting(self, row: WaitingRow) -> None:
        assert (row.source, row.id) not in self.waiting, "a report waits once"
        self.waiting[row.source, row.id] = row


class InMemoryTransaction(Transaction):
    """One transaction; every public method of the real one has its like here, or the comparing test fails."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.waited = 0.0

    async def fetch(self, sql: str, *arguments: object) -> NoReturn:
        raise NotImplementedError("there is no database whose tables are asked")

    async def head(self, keys: Sequence[ReportKey] = ()) -> tuple[Head, dict[ReportKey, Decided]]:
        at = max(datetime.now(UTC) - timedelta(microseconds=1), self._tables.recorded_at)
        head = Head(self._tables.position, at, self._tables.receipt_count, self._tables.waiting_count)
        return head, await self.decided(keys)

    async def load(self, keys: Iterable[str], known: Sequence[StreamKnown]) -> list[StoredFact]:
        matches = [stored for key in keys for stored in self._tables.by_key.get(key, ())]
        for name, version in known:
            matches += self._tables.heard_on.get(name, ())
            versions = takewhile(lambda key: key in self._tables.versions, ((name, at) for at in count(version)))
            matches += [self._tables.facts[self._tables.versions[key] - 1] for key in versions]
        return list({id(stored): stored for stored in matches}.values())[::-1]  # the database promises no order

    async def decided(self, keys: Sequence[ReportKey]) -> dict[ReportKey, Decided]:
        rows = {key: self._tables.latest[key] for key in keys if key in self._tables.latest}
        return {key: Decided(row.decision or 0, row.digest or b"", row.bytes) for key, row in rows.items()}

    async def waiting(self, keys: Iterable[str]) -> list[StoredWaiting]:
        wanted = set(keys)
        rows = self._tables.waiting.values()
        return [StoredWaiting(row.until, row.number, row.report) for row in rows if row.until in wanted][::-1]

    async def waiting_report(self, source: str, id_: str) -> list[StoredWaiting]:
        row = self._tables.waiting.get((source, id_))
        return [StoredWaiting(row.until, row.number, row.report)] if row is not None else []

    async def overdue(self, days: int, districts: Sequence[str] | None) -> list[OverdueReport]:
        before = datetime.now(UTC) - timedelta(days=days)
        rows = [
            row
            for row in self._tables.waiting.values()
            if row.since < before and (districts is None or row.source.split("/")[2] in districts)
        ]
        rows.sort(key=lambda row: row.number)
        return [OverdueReport(row.report, row.never) for row in rows[:_MOST_OVERDUE]]

    async def append_meanwhile(self, recorded: Recorded, head: Head) -> None:
        """All of it is written at once."""

    async def append(self, recorded: Recorded, head: Head) -> None:
        for key in recorded.woken:
            self._tables.waiting.pop(key, None)
        for fact in recorded.facts:
            self._tables.store_fact(fact)
        for receipt in recorded.receipts:
            self._tables.store_receipt(receipt)
        for waiting in recorded.asleep.values():
            self._tables.store_waiting(waiting)
        self._tables.position, self._tables.recorded_at = head.position, head.at
        self._tables.receipt_count, self._tables.waiting_count = head.receipts, head.waiting

    async def subscription(self, service: str) -> int:
        return self._tables.subscriptions.get(service, 0)

    async def hear(self, facts: Sequence[HeardRow]) -> None:
        for row in facts:
            self._tables.store_heard(row)

    async def move_subscription(self, service: str, position: int) -> None:
        self._tables.subscriptions[service] = position

    async def quarantine(self, rows: Sequence[QuarantineRow]) -> set[str]:
        raise NotImplementedError("nothing unreadable comes in from a harness")


class InMemoryLog(EventStore):
    """One service's log in memory. Transactions run one after another: there is nobody else."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._person_keys: dict[str, bytes] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        before = self._tables.snapshot()
        try:
            yield InMemoryTransaction(self._tables)
        except BaseException:
            self._tables = before
            raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        yield InMemoryTransaction(self._tables.snapshot())

    async def person_keys(self, new: Mapping[str, bytes]) -> dict[str, bytes]:
        self._person_keys = {**new, **self._person_keys}
        return {token: self._person_keys[token] for token in new}

    async def announce(self) -> None:
        """Nobody listens."""

    async def receipt(self, source: str, id_: str) -> bytes | None:
        if (latest := self._tables.latest.get((source, id_))) is not None:
            return latest.bytes
        return next(
            (row.bytes for row in reversed(self._tables.receipts) if (row.source, row.id) == (source, id_)), None
        )

    async def receipts_of(self, keys: Sequence[ReportKey]) -> dict[ReportKey, bytes]:
        receipts = {key: await self.receipt(*key) for key in keys}
        return {key: receipt for key, receipt in receipts.items() if receipt is not None}

    async def because_of(self, report: ReportKey, stream: str, version: int) -> list[bytes]:
        raise NotImplementedError("no rule asks what was recorded because of a report: a page does")

    async def end_unreadable(self, days: int) -> int:
        raise NotImplementedError("nothing unreadable comes in from a harness")

    async def subscription(self, service: str) -> int:
        return self._tables.subscriptions.get(service, 0)

    async def head(self) -> LogHead:
        tables = self._tables
        at = tables.recorded_at if tables.position else None
        return LogHead(tables.position, at, tables.receipt_count, tables.waiting_count, compared=True, topic=None)

    async def settled_head(self) -> LogHead:
        return await self.head()

    async def watch(self) -> NoReturn:
        raise NotImplementedError("only a worker watches")

    async def log(self, after: int, limit: int) -> list[bytes]:
        return [stored.bytes for stored in self._tables.facts[after : after + limit]]

    # What tests ask and do besides; `PostgresLog` has the same.

    async def clear(self) -> None:
        """Forget everything."""
        self._tables = Tables()

    async def receipts(self) -> list[tuple[int | None, bytes]]:
        """Return the number of the decision and the bytes of every receipt, in order."""
        return [(row.decision, row.bytes) for row in self._tables.receipts]

    async def waiting_ids(self) -> set[str]:
        """Return the ids of the reports that wait."""
        return {row.id for row in self._tables.waiting.values()}

    async def let_pass(self, days: float) -> None:
        """Let what waits have waited for so many days more."""
        passed = timedelta(days=days)
        waiting = self._tables.waiting
        self._tables.waiting = {key: row._replace(since=row.since - passed) for key, row in waiting.items()}
