"""The mistakes districts make: copies of good reports with one thing wrong, and what the service is to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from client.demo.calendar import DISTRICTS, Envelope, PlannedReport

Spoil = Callable[[Envelope], Envelope | None]  # None: no such mistake can be made in it


def _fact(event: Envelope) -> str:
    return str(event["type"]).split(".")[2]


def _with(event: Envelope, **fields: object) -> Envelope:
    return {**event, "data": {**event["data"], **fields}}


def _wrong_check_digit(event: Envelope) -> Envelope | None:
    person = event["data"].get("person")
    if person is None:
        return None
    number = person["id_number"]
    wrong = number[:17] + ("0" if number[17] != "0" else "1")
    return _with(event, person={**person, "id_number": wrong})


def _unknown_word(event: Envelope) -> Envelope | None:
    field = next((name for name in ("programme", "channel", "kind", "award", "honour") if name in event["data"]), None)
    return None if field is None else _with(event, **{field: "其他"})


def _unknown_field(event: Envelope) -> Envelope:
    return _with(event, remarks="见附件")


def _missing_field(event: Envelope) -> Envelope | None:
    field = next((name for name in ("person", "enterprise", "name") if name in event["data"]), None)
    if field is None:
        return None
    return {**event, "data": {name: value for name, value in event["data"].items() if name != field}}


def _no_such_day(event: Envelope) -> Envelope | None:
    field = next((name for name in event["data"] if name == "on" or name.endswith("_on")), None)
    return None if field is None else _with(event, **{field: event["data"][field][:5] + "02-30"})


def _other_district(event: Envelope) -> Envelope:
    return {**event, "district": next(code for code in DISTRICTS if code != event["district"])}


# None of these binds the id (RULES A3): the district repairs the report and sends it again under the same id.
_REPAIRED: Final[tuple[tuple[str, Spoil], ...]] = (
    ("bad-checksum", _wrong_check_digit),
    ("bad-value", _unknown_word),
    ("unknown-field", _unknown_field),
    ("missing-field", _missing_field),
    ("bad-date", _no_such_day),
    ("wrong-district", _other_district),
)


def _same_id(event: Envelope) -> Envelope:
    hour = "08" if event["time"][11:13] != "08" else "09"
    return {**event, "time": event["time"][:11] + hour + event["time"][13:]}


def _only(spoil: Spoil, *facts: str) -> Spoil:
    return lambda event: spoil(event) if _fact(event) in facts else None


def _again(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".again"}


def _new_number(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".second", "subject": event["subject"] + ".second"}


def _never_opened(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".unknown", "subject": event["subject"] + ".unknown"}


def _backwards(event: Envelope) -> Envelope:
    return _with(_new_number(event), until="2022-12-31")


def _too_many_passed(event: Envelope) -> Envelope:
    return _with(_new_number(event), passed=event["data"]["candidates"] + 1)


# Sent behind the good one, so that it stands already (same subject), or so that either may stand (same content).
_BEHIND: Final[tuple[tuple[str, Spoil], ...]] = (
    ("duplicate", dict),
    ("id-reused", _same_id),
    ("already-open", _only(_again, "student-enrolled", "training-completed", "person-hired", "award-granted")),
    ("number-taken", _only(_again, "certificate-issued")),
    ("overlapping-training", _only(_new_number, "training-completed")),
    ("not-open", _only(_again, "apprenticeship-ended", "hire-ended")),
    ("waiting", _only(_never_opened, "apprenticeship-ended", "hire-ended", "student-withdrawn")),
    ("ends-before-start", _only(_backwards, "apprenticeship-started", "practical-training-started")),
    ("parts-exceed-total", _only(_too_many_passed, "certification-session-held")),
)


def _corrected(event: Envelope) -> Envelope:
    field = next(name for name in ("hours", "jobs", "participants", "candidates") if name in event["data"])
    corrected = {**event, "id": event["id"] + ".corrected", "corrects": event["id"]}
    return _with(corrected, **{field: event["data"][field] + 8})


def _retracted(event: Envelope) -> Envelope:
    service = event["type"].split(".")[1]
    return {
        **event,
        "id": event["id"] + ".retracted",
        "type": f"skillplan.{service}.report-retracted.v1",
        "data": {"report_id": event["id"], "reason": "误报"},
    }


# No mistakes but their mending (RULES B): of things that nothing else rests on.
_MENDED: Final[tuple[tuple[str, Spoil], ...]] = (
    (
        "accepted",
        _only(_corrected, "training-completed", "fair-held", "competition-held", "certification-session-held"),
    ),
    ("accepted", _only(_retracted, "practical-training-started", "school-invited", "skill-factor-applied")),
)
_EVERY: Final = 40


def with_mistakes(feed: Iterator[PlannedReport], corrections: bool) -> Iterator[PlannedReport]:
    """Yield a feed with a wrong report every so often, each kind of mistake in its turn; with `corrections` some are
    mended, too."""
    turns = cycle((*_REPAIRED, *_BEHIND, *(_MENDED if corrections else ())))
    meant, spoil = next(turns)
    since = 0
    for report in feed:
        since += 1
        may = since >= _EVERY and report.meant == "accepted" and report.due > 0
        wrong = spoil(report.envelope) if may else None
        if wrong is None:
            yield report
            continue
        spoiled = PlannedReport(report.due, wrong, meant)
        yield from (spoiled, report) if (meant, spoil) in _REPAIRED else (report, spoiled)
        (meant, spoil), since = next(turns), 0
