"""The mistakes districts make: copies of good reports with one thing wrong, and what the service is to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, Final

from services.district.chronicle import DISTRICTS, Told

Envelope = dict[str, Any]
Spoil = Callable[[Envelope], Envelope | None]


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


def _new_id(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".2"}


def _only(spoil: Spoil, *facts: str) -> Spoil:
    return lambda event: spoil(event) if _fact(event) in facts else None


def _new_number(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".2", "subject": event["subject"] + ".2"}


_TWICE: Final[tuple[tuple[str, Spoil], ...]] = (
    ("duplicate", lambda event: event),
    ("id-reused", _same_id),
    ("already-open", _only(_new_id, "student-enrolled", "training-completed", "person-hired", "award-granted")),
    ("number-taken", _only(_new_id, "certificate-issued")),
    ("overlapping-training", _only(_new_number, "training-completed")),
    ("not-open", _only(_new_id, "apprenticeship-ended", "hire-ended")),
)


def _never_opened(event: Envelope) -> Envelope:
    return {**event, "id": event["id"] + ".3", "subject": event["subject"] + ".unknown"}


def _backwards(event: Envelope) -> Envelope:
    return _with(_new_number(event), until="2022-12-31")


def _too_many_passed(event: Envelope) -> Envelope:
    return _with(_new_number(event), passed=event["data"]["candidates"] + 1)


_APART: Final[tuple[tuple[str, Spoil], ...]] = (
    ("waiting", _only(_never_opened, "apprenticeship-ended", "hire-ended", "student-withdrawn")),
    ("ends-before-start", _only(_backwards, "apprenticeship-started", "practical-training-started")),
    ("parts-exceed-total", _only(_too_many_passed, "certification-session-held")),
)
_EVERY: Final = 40


def with_mistakes(feed: Iterator[Told]) -> Iterator[Told]:
    """Yield a feed with a wrong report every so often, each kind of mistake in its turn."""
    before = {code for code, _ in _REPAIRED}
    turns = cycle((*_REPAIRED, *_TWICE, *_APART))
    meant, spoil = next(turns)
    since = 0
    for told in feed:
        since += 1
        wrong = spoil(told.envelope) if since >= _EVERY and told.meant == "accepted" else None
        if wrong is None:
            yield told
            continue
        spoiled = Told(told.due, wrong, meant)
        yield from (spoiled, told) if meant in before else (told, spoiled)
        (meant, spoil), since = next(turns), 0
