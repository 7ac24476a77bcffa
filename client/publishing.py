"""Publishes reports: checked, in batches, recorded in the journal before and after, so that a second run resumes them;
and says of each what the service said of this very content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from client import journal_queries
from client.journal import Arrival, ContentAnswer, FileReport, Journal, Resolved
from client.journal_queries import LineOutcome, ListedReport
from client.kafka import Appended
from client.messages import JsonObject, final, source_of
from client.output import CommandError
from client.report_file import CheckedReport
from client.routing import CannotPublishError, CannotReachError, district_of
from client.validation import ReportFault
from shared.contract.messages import Receipt

_BATCH: Final = 500
SAME_CONTENT: Final = "same-content"
# Over Kafka a report has no receipt yet when it has arrived.
Sent = Receipt | CannotPublishError | Appended


class Sender(Protocol):
    """Kafka or HTTP."""

    async def send(self, events: Sequence[JsonObject]) -> Sequence[Sent]:
        """Send reports; return once they have arrived, for each its receipt, or why it alone could not be sent."""


class UnreadableRestError(CommandError):
    """A file that cannot be read to its end: what stood before was sent."""


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    reports: int = 0
    sent: int = 0
    before: int = 0  # acknowledged in an earlier run, not sent again
    left_out: int = 0
    by_status: Counter[str] = field(default_factory=Counter)  # of what was sent now
    before_by_status: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    unsent: int = 0  # their service could not be reached
    same_content: int = 0
    renamed: int = 0  # sent under a new id, since the first was refused

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "sent": self.sent,
            "sent_before": self.before,
            "left_out": self.left_out,
            "by_status": dict(sorted(self.by_status.items())),
            "before_by_status": dict(sorted(self.before_by_status.items())),
        } | {name: count for name in ("unsent", "same_content", "renamed") if (count := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class PublishingRun:
    """One run over a file. `summary` is right at any moment, also when the run ends early.

    `catch_up` reads the receipts of a district before its first report is looked up; `id` names the run in the journal.
    """

    reports: Callable[[], Iterable[CheckedReport | None]]
    journal: Journal
    report_fault: Callable[[ReportFault], None]
    id: str
    file: bytes | None = None
    again: bool = False
    unchecked: bool = False
    catch_up: Callable[[set[str]], Awaitable[None]] | None = None
    summary: Summary = field(default_factory=Summary)
    districts: set[str] = field(default_factory=set)  # of what arrived

    async def run(self, sender: Sender, progress: Callable[[int], None]) -> None:
        """Send what is right and not settled yet. Raises CannotReachError at the end where a service was away,
        UnreadableRestError where the file breaks off, each after everything else was sent."""
        self.summary.reports = self.summary.left_out = self.summary.before = 0
        self.summary.before_by_status.clear()
        away: CannotReachError | None = None
        try:
            for batch in _batches(self.reports()):
                self.summary.reports += len(batch)
                sendable = list(self._sendable(batch))
                await self._catch_up(sendable)
                error = await self._send(self._unsettled(sendable), sender)
                away = away or error
                progress(self.summary.sent + self.summary.before)
        except UnreadableRestError as error:
            if not self.summary.sent and not self.summary.before:
                raise CommandError(error.zh, error.en, error.code, error.exit_code) from None
            raise
        if away is not None:
            raise away

    async def again_for_mended(self, sender: Sender) -> bool:
        """Send under new ids what was mended since it was refused, where that was learned only now, by this run; return
        whether there was any."""
        if self.file is None or not journal_queries.mended_of(self.journal, self.id):
            return False
        for batch in _batches(self.reports()):
            right = [(each.line, each.event) for each in batch if each.event is not None and not each.faults]
            renamed = [
                report for line, event in right if has_key(event)
                for report, resolved in (self._resolved(line, event),)
                if resolved.id != report.given and not resolved.arrived
            ]  # fmt: skip
            self.summary.renamed += len(renamed)
            await self._send(renamed, sender)
        return True

    async def _catch_up(self, reports: Iterable[tuple[int, JsonObject]]) -> None:
        named = {district for _, event in reports if (district := district_of(event.get("source")))}
        if self.catch_up is not None and (new := named - self.districts):
            self.districts.update(new)
            await self.catch_up(new)
        self.districts.update(named)

    def _sendable(self, batch: Sequence[CheckedReport]) -> Iterator[tuple[int, JsonObject]]:
        for report in batch:
            if report.event is not None and (self.unchecked or not report.faults):
                yield report.line, report.event
            else:
                self.summary.left_out += 1
                for fault in report.faults:
                    self.report_fault(fault)

    def _unsettled(self, reports: Sequence[tuple[int, JsonObject]]) -> list[FileReport]:
        """Return what is to be sent, under the id that it is to have; name what is settled and was rejected."""
        to_send, awaiting, listed = [], [], []
        for line, event in reports:
            if not has_key(event):
                to_send.append(FileReport(line, event, "", b""))
                continue
            report, resolved = self._resolved(line, event)
            source, given = source_of(event)
            listed.append(ListedReport(source, given, report.digest, str(event["type"])))
            if self.again or not self.journal.is_settled(resolved):
                self.summary.renamed += resolved.id != given and not resolved.arrived
                to_send.append(report)
            else:
                self.summary.before += 1
                if resolved.outcome is None:
                    awaiting.append(report)
                else:
                    self.summary.before_by_status[resolved.outcome.status] += 1
                    self._name(LineOutcome(line, resolved.outcome, source, given))
        journal_queries.list_reports(self.journal, listed)
        self.journal.awaiting(awaiting, self.id)
        return to_send

    def _resolved(self, line: int, event: JsonObject) -> tuple[FileReport, Resolved]:
        digest = self.journal.digest(event)
        resolved = self.journal.resolve(event, digest)
        return FileReport(line, event | {"id": resolved.id}, source_of(event)[1], digest), resolved

    async def _send(self, reports: Sequence[FileReport], sender: Sender) -> CannotReachError | None:
        """Send reports; return why a service could not be reached, None where all could. Raises where none could."""
        if not reports:
            return None
        self.journal.sending([report for report in reports if report.digest], self.id, self.file)
        arrivals: list[Arrival] = []
        not_sent: list[JsonObject] = []
        away: CannotReachError | None = None
        try:
            for report, result in zip(reports, await sender.send([report.event for report in reports]), strict=True):
                if isinstance(result, CannotPublishError):
                    not_sent += [report.event] if report.digest else []
                    if isinstance(result, CannotReachError):
                        away = result
                        self.summary.unsent += 1
                        continue
                    self.summary.left_out += 1
                    self.report_fault(ReportFault(report.line, result.code, result.zh, result.en))
                    continue
                self.summary.sent += 1
                receipt, appended = (None, result.at) if isinstance(result, Appended) else (result, None)
                if report.digest:
                    arrivals.append(Arrival(report.event, receipt, appended))
                if receipt is not None:
                    self._count(receipt, report)
        finally:
            self.journal.arrived(arrivals)
        self.journal.not_sent(not_sent)
        if away is not None and not arrivals:
            raise away
        return away

    def _count(self, receipt: Receipt, report: FileReport) -> None:
        """Count a receipt and name it where it rejects; not where the report goes out once more, under a new id."""
        outcome = outcome_of(receipt)
        if outcome.code == "id-reused" and final(receipt)["status"] == "refused" and report.digest:
            return
        self.summary.by_status[receipt["status"]] += 1
        self._name(LineOutcome(report.line, outcome, "", report.given))

    def count_answers(self) -> None:
        """Count and name what the journal has learned of this run from the receipts topics."""
        self.summary.by_status.clear()
        for answer in journal_queries.outcomes_of(self.journal, self.id):
            self.summary.by_status[answer.outcome.status] += 1
            self._name(answer)

    def _name(self, answer: LineOutcome) -> None:
        outcome = answer.outcome
        self.summary.rejected += outcome.is_rejected
        if SAME_CONTENT in outcome.flags:
            self.summary.same_content += 1
            self.report_fault(
                ReportFault(
                    answer.line, SAME_CONTENT, "已受理,但内容与已有的一份报告完全相同(编号不同)。",
                    "Accepted, but another report with another id says exactly the same.",
                )
            )  # fmt: skip
        if outcome.is_rejected:
            for reason in outcome.reasons:
                self.report_fault(
                    ReportFault(answer.line, reason["code"], reason["zh"], reason["en"], reason.get("pointer"))
                )


def outcome_of(receipt: Receipt) -> ContentAnswer:
    """Return what a receipt says of its own content; that of a repeated report is the first's."""
    own = final(receipt) if receipt["status"] == "duplicate" else receipt
    reasons = own.get("reasons") or []
    return ContentAnswer(own["status"], reasons[0]["code"] if reasons else None, reasons, own.get("flags") or [])


def _batches(reports: Iterable[CheckedReport | None]) -> Iterator[list[CheckedReport]]:
    """Gather reports; where the sender of a pipe pauses (None) what was read so far is a batch, and where the file
    breaks off what was right before is the last one."""
    batch: list[CheckedReport] = []
    broken: UnreadableRestError | None = None
    try:
        for report in reports:
            if report is not None:
                batch.append(report)
            if batch and (report is None or len(batch) == _BATCH):
                yield batch
                batch = []
    except CommandError as error:
        if isinstance(error, CannotPublishError):
            raise
        broken = UnreadableRestError(error.zh, error.en, error.code, error.exit_code)
    if batch:
        yield batch
    if broken is not None:
        raise broken


def has_key(event: JsonObject) -> bool:
    """Return whether the journal can record a report: one sent unchecked may lack anything."""
    source = event.get("source")
    texts = all(isinstance(event.get(name), str) for name in ("id", "type"))
    return texts and isinstance(source, str) and source.count("/") > 1
