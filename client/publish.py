"""Decides how a file is sent: checked, in batches, noted before and after, so that after a break it goes on there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from client.check import Item, Opened, ReportFault
from client.journal import Journal
from client.kafka import CannotPublishError

_BATCH: Final = 500
Outcome = Mapping[str, Any] | CannotPublishError | None


class Sender(Protocol):
    """Kafka or HTTP: of each report its receipt where there is one at once, or why it alone could not be sent."""

    async def send(self, events: Sequence[Mapping[str, Any]]) -> Sequence[Outcome]:
        """Send reports; returns once they have arrived."""


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    sent: int = 0
    before: int = 0  # acknowledged in an earlier run, not sent again
    left_out: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    rejected: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "sent": self.sent,
            "sent_before": self.before,
            "left_out": self.left_out,
            "by_status": dict(sorted(self.by_status.items())),
        }


def batches(items: Iterator[Item | None]) -> Iterator[list[Item]]:
    """Gather what is read; a sender that pauses gets what there is."""
    batch: list[Item] = []
    for item in items:
        if item is not None:
            batch.append(item)
        if batch and (item is None or len(batch) == _BATCH):
            yield batch
            batch = []
    if batch:
        yield batch


async def send_file(
    opened: Opened,
    sender: Sender,
    journal: Journal,
    tell: Callable[[ReportFault], None],
    answered: Callable[[Item, Mapping[str, Any]], None],
    progress: Callable[[int, int], None],
    summary: Summary,
    *,
    again: bool = False,
    unchecked: bool = False,
) -> None:
    """Send what is right in a file and was not acknowledged before; `tell` hears what is wrong, `answered` each
    receipt. `summary` holds what is done at any moment, also when this ends in between."""
    for batch in batches(opened.items()):
        wanted: list[Item] = []
        for item in batch:
            if item.event is None or (item.faults and not unchecked):
                summary.left_out += 1
                for fault in item.faults:
                    tell(fault)
            else:
                wanted.append(item)
        if wanted and not again:
            settled = journal.settled([item.event or {} for item in wanted])
            summary.before += sum(settled)
            wanted = [item for item, known in zip(wanted, settled, strict=True) if not known]
        await _send(wanted, sender, journal, tell, answered, summary)
        progress(opened.progress.read, summary.sent + summary.before)


async def _send(
    items: Sequence[Item],
    sender: Sender,
    journal: Journal,
    tell: Callable[[ReportFault], None],
    answered: Callable[[Item, Mapping[str, Any]], None],
    summary: Summary,
) -> None:
    if not items:
        return
    events = [item.event or {} for item in items]
    known = [event for event in events if _has_key(event)]
    journal.sending(known)
    arrived: list[Mapping[str, Any]] = []
    receipts: list[Mapping[str, Any]] = []
    for item, event, outcome in zip(items, events, await sender.send(events), strict=True):
        if isinstance(outcome, CannotPublishError):
            summary.left_out += 1
            zh, _, en = str(outcome).partition("  ")
            tell(ReportFault(item.line, "cannot-be-sent", zh, en or zh))
            continue
        summary.sent += 1
        if _has_key(event):
            arrived.append(event)
        if outcome is not None:
            receipts.append(outcome)
            summary.by_status[outcome["status"]] += 1
            summary.rejected += _rejected(outcome)
            answered(item, outcome)
    journal.acknowledged(arrived, receipts)


def _has_key(event: Mapping[str, Any]) -> bool:
    """Tell whether the journal can keep a report: one that goes out unchecked may lack anything."""
    return all(isinstance(event.get(name), str) for name in ("source", "id", "type")) and event["source"].count("/") > 1


def _rejected(receipt: Mapping[str, Any]) -> bool:
    standing = receipt.get("first") or receipt
    return bool(receipt["status"] not in ("accepted", "waiting", "duplicate") or standing["status"] == "refused")
