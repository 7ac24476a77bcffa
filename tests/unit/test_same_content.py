"""What is reported again under another id is accepted, counted and flagged (RULES A23)."""

from typing import Any, Final

import pytest

from shared.deciding.stream_fold import may_repeat
from tests.contract.vocabulary import ONLY_THE_CITY, VOCABULARY
from tests.harness.languages import LANGUAGES
from tests.harness.service import report
from tests.harness.service_in_memory import ReportFields, ServiceInMemory
from tests.unit.test_ownership import CITY, HOME, prepared, retracted

REPEATING: Final = [
    (service, event.type_name)
    for service, table in VOCABULARY.items()
    for event in LANGUAGES[service].events
    if event.type_name in table and may_repeat(event)
]
LITTLE: Final = {"amount_fen": 1, "persons": 1}  # may be paid, matched, … several times


def test_every_type_that_may_repeat_is_tried() -> None:
    tried = {name for _, name in REPEATING}
    assert {"intake-reported", "standard-set", "subsidy-paid", "subsidy-recovered", "demand-matched"} <= tried


@pytest.mark.parametrize(("service", "name"), REPEATING)
def test_the_same_content_under_another_id_is_flagged(service: str, name: str) -> None:
    log = prepared(service, name)[service]
    source = CITY if name in ONLY_THE_CITY else HOME

    def sent(id_: str, **changes: Any) -> ReportFields:
        one_of = report(service, name, id_, source=source, **changes)
        return one_of | {"data": {**one_of["data"], **{k: v for k, v in LITTLE.items() if k in one_of["data"]}}}

    def flags(given: ReportFields) -> list[str]:
        flags: list[str] = log.say(given)["flags"]
        assert log.receipt(given)["flags"] == flags
        return flags

    first = sent("first")
    assert flags(first) == []
    assert flags(sent("again")) == ["same-content"]
    assert log.send(sent("again"))[0]["first"]["flags"] == ["same-content"]
    # The time of the day is no part of it; what takes the place of its own original is no repetition of that.
    log.say(retracted(sent("again"), "undo-again"))
    assert flags(sent("put-right", corrects="first")) == []
    log.say(retracted(sent("put-right"), "undo-right"))
    assert flags(sent("another")) == ["same-content"]  # the original stands again
    log.say(retracted(first, "undo-first"))
    log.say(retracted(sent("another"), "undo-another"))
    assert flags(sent("anew")) == []


def test_other_content_is_not_flagged() -> None:
    log = ServiceInMemory("enrollment")
    log.say(report("enrollment", "intake-reported", "first"))
    other = report("enrollment", "intake-reported", "other")
    other["data"] |= {"total": other["data"]["total"] + 1}
    assert log.say(other)["flags"] == []
    later = report("enrollment", "intake-reported", "later") | {"time": "2025-01-01T08:00:00+08:00"}
    assert log.say(later)["flags"] == []
    same = report("enrollment", "intake-reported", "same")
    same["time"] = same["time"][:11] + "23:00:00+08:00"  # the date counts, not the hour
    assert log.say(same)["flags"] == ["same-content"]
