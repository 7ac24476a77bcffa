"""Reports that wait for something not reported yet: how they are stored, and which of them a key wakes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from shared.contract.events import Language, Report, ReportKey, format_instant, parse_instant
from shared.deciding.decider import Wait
from shared.deciding.loading import Loader
from shared.log.event_store import Head, Recorded, StoredWaiting, Transaction, WaitingRow


@dataclass(frozen=True, slots=True)
class _Waiting:
    until: str
    number: int
    report: Report


class WaitingReports:
    """The waiting reports that a transaction has to do with; what begins or ends to wait is written to `recorded`."""

    def __init__(
        self, language: Language, transaction: Transaction, loader: Loader, head: Head, recorded: Recorded
    ) -> None:
        self._language = language
        self._transaction = transaction
        self._loader = loader
        self._head = head
        self._recorded = recorded
        self._stored = head.waiting > 0  # what begins to wait in this transaction is not read from the database
        self._waiting: dict[ReportKey, _Waiting] = {}
        self._by_key: defaultdict[str, dict[ReportKey, _Waiting]] = defaultdict(dict)
        self._watched: set[str] = set()

    async def load(self, keys: Collection[str]) -> None:
        """Load the reports that wait for one of the keys."""
        if not self._stored:
            return
        new = set(keys) - self._watched
        self._watched |= new
        if self._head.waiting and new:
            await self._take(await self._transaction.waiting(new))

    async def load_report(self, key: ReportKey) -> None:
        """Load one report, if it waits."""
        if key not in self._waiting:
            await self._take(await self._transaction.waiting_report(*key))

    async def _take(self, rows: Sequence[StoredWaiting]) -> None:
        waiting = [_Waiting(row.until, row.number, restore_waiting(row.report, self._language)) for row in rows]
        await self._loader.load_decisions([it.report.key for it in waiting])
        gone = set(self._recorded.woken)
        for it in waiting:
            if it.report.key not in self._waiting and it.report.key not in gone:
                self._insert(it)

    def _insert(self, waiting: _Waiting) -> None:
        self._waiting[waiting.report.key] = self._by_key[waiting.until][waiting.report.key] = waiting

    def reports(self) -> Iterable[Report]:
        """Return all that are loaded."""
        return [waiting.report for waiting in self._waiting.values()]

    def until(self, key: ReportKey) -> str | None:
        """Return the key that a report waits for, None when it does not wait, as far as that is loaded."""
        waiting = self._waiting.get(key)
        return waiting.until if waiting is not None else None

    def on(self, key: str) -> list[Report]:
        """Return the reports that wait for a key, in the order received (RULES C8)."""
        return [waiting.report for waiting in sorted(self._by_key.get(key, {}).values(), key=lambda it: it.number)]

    def add(self, report: Report, wait: Wait) -> None:
        """Let a report wait; its receipt is the next to be recorded."""
        self._head.waiting += 1
        number = self._head.receipts + 1
        since = self._head.at if report.resumed else report.received_at
        self._recorded.asleep[report.key] = WaitingRow(
            source=report.source,
            id=report.id,
            until=wait.until,
            number=number,
            since=since,
            never=wait.never.code,
            report=store_waiting(report),
        )
        self._insert(_Waiting(wait.until, number, report))

    def remove(self, key: ReportKey) -> Report | None:
        """Let a report wait no longer; return it, None when it does not wait, as far as that is loaded."""
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return None
        del self._by_key[waiting.until][key]
        self._head.waiting -= 1
        if self._recorded.asleep.pop(key, None) is None:
            self._recorded.woken.append(key)
        return waiting.report


_STORED: Final = (
    "id", "source", "type", "subject", "time", "district", "body", "corrects", "traceparent", "correlation_id",
    "reported_by", "resumed",
)  # fmt: skip


def store_waiting(report: Report) -> bytes:
    """Return a waiting report as it is stored; its person is sealed already."""
    stored = {name: getattr(report, name) for name in _STORED}
    clocks = {"received_at": format_instant(report.received_at), "read_at": format_instant(report.clock_at)}
    return orjson.dumps(stored | clocks | {"digest": report.digest.hex()})


def restore_waiting(stored: bytes, language: Language) -> Report:
    """Return a waiting report as it was when it began to wait."""
    fields = orjson.loads(stored)
    event = language.find(fields["type"])
    at, received_at = parse_instant(fields["time"]), parse_instant(fields.pop("received_at"))
    read_at = parse_instant(fields.pop("read_at", None))  # what began to wait before has none
    if event is None or at is None or received_at is None:
        raise ValueError("a waiting report of an unknown type")
    digest = bytes.fromhex(fields.pop("digest"))
    return Report(
        **fields,
        event=event.model_validate(fields["body"]).newest(),
        at=at,
        digest=digest,
        received_at=received_at,
        read_at=read_at,
        sunset=event.sunset,
    )
