"""Publishes a file: checked, in batches, recorded in the journal before and after, so that a second run resumes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from client.journal import Journal
from client.messages import JsonObject, Receipt, final
from client.report_file import CheckedReport, ReportFile
from client.routing import CannotPublishError
from client.validation import ReportFault

_BATCH: Final = 500
# Over Kafka a report has no receipt yet when it has arrived.
Sent = Receipt | CannotPublishError | None


class Sender(Protocol):
    """Kafka or HTTP."""

    async def send(self, events: Sequence[JsonObject]) -> Sequence[Sent]:
        """Send reports; return once they have arrived, for each its receipt, or why it alone could not be sent."""


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    sent: int = 0
    before: int = 0  # acknowledged in an earlier run, not sent again
    left_out: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    rejected: int = 0

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "sent": self.sent,
            "sent_before": self.before,
            "left_out": self.left_out,
            "by_status": dict(sorted(self.by_status.items())),
        }


@dataclass(frozen=True, slots=True)
class PublishingRun:
    """One run over a file. `summary` is right at any moment, also when the run ends early."""

    file: ReportFile
    journal: Journal
    report_fault: Callable[[ReportFault], None]
    again: bool = False
    unchecked: bool = False
    summary: Summary = field(default_factory=Summary)

    async def run(self, sender: Sender, progress: Callable[[int, int], None]) -> None:
        """Send what is right in the file and was not acknowledged before."""
        for batch in _batches(self.file.reports()):
            await self._send(self._unsettled(self._sendable(batch)), sender)
            progress(self.file.progress.read, self.summary.sent + self.summary.before)

    def _sendable(self, batch: Sequence[CheckedReport]) -> Iterator[tuple[int, JsonObject]]:
        for report in batch:
            if report.event is not None and (self.unchecked or not report.faults):
                yield report.line, report.event
            else:
                self.summary.left_out += 1
                for fault in report.faults:
                    self.report_fault(fault)

    def _unsettled(self, reports: Iterator[tuple[int, JsonObject]]) -> list[tuple[int, JsonObject]]:
        given = list(reports)
        if self.again:
            return given
        unsettled = [(line, event) for line, event in given if not self.journal.is_settled(event)]
        self.summary.before += len(given) - len(unsettled)
        return unsettled

    async def _send(self, reports: Sequence[tuple[int, JsonObject]], sender: Sender) -> None:
        if not reports:
            return
        events = [event for _, event in reports]
        self.journal.sending([event for event in events if _has_key(event)])
        arrived: list[JsonObject] = []
        receipts: list[Receipt] = []
        for (line, event), result in zip(reports, await sender.send(events), strict=True):
            if isinstance(result, CannotPublishError):
                self.summary.left_out += 1
                self.report_fault(ReportFault(line, result.code, result.zh, result.en))
                continue
            self.summary.sent += 1
            if _has_key(event):
                arrived.append(event)
            if result is not None:
                receipts.append(result)
                self._count(result, line)
        self.journal.acknowledged(arrived, receipts)

    def _count(self, receipt: Receipt, line: int) -> None:
        self.summary.by_status[receipt["status"]] += 1
        self.summary.rejected += _is_rejected(receipt)
        for reason in final(receipt).get("reasons", ()):
            self.report_fault(ReportFault(line, reason["code"], reason["zh"], reason["en"], reason.get("pointer")))


def _batches(reports: Iterator[CheckedReport | None]) -> Iterator[list[CheckedReport]]:
    """Gather reports; where the sender of a pipe pauses (None) what was read so far is a batch."""
    batch: list[CheckedReport] = []
    for report in reports:
        if report is not None:
            batch.append(report)
        if batch and (report is None or len(batch) == _BATCH):
            yield batch
            batch = []
    if batch:
        yield batch


def _has_key(event: JsonObject) -> bool:
    """Return whether the journal can record a report: one sent unchecked may lack anything."""
    source = event.get("source")
    texts = all(isinstance(event.get(name), str) for name in ("id", "type"))
    return texts and isinstance(source, str) and source.count("/") > 1


def _is_rejected(receipt: Receipt) -> bool:
    return receipt["status"] not in ("accepted", "waiting", "duplicate") or final(receipt)["status"] == "refused"
