"""The demo feed: the same every time, of every size, and nothing in it wrong but what is meant to be."""

import gc
from collections import Counter
from datetime import UTC, date, datetime
from itertools import islice
from typing import Final

import pytest

from client.demo.calendar import DISTRICTS, PlannedReport
from client.demo.feed import feed
from client.fields import reported_types
from client.routing import route
from shared.contract.events import NotUnderstood, Report
from shared.contract.shapes import resident_check_digit
from tests.harness.languages import decode

# The codes that say a report was not understood; every other one needs the facts before it.
UNDERSTANDING: Final = {"bad-checksum", "bad-value", "unknown-field", "missing-field", "bad-date", "wrong-district"}
PLACES: Final = {*DISTRICTS, "330600"}


def fact_of(told: PlannedReport) -> str:
    return str(told.envelope["type"]).removeprefix("skillplan.").removesuffix(".v1")


def test_the_same_seed_and_size_give_the_same_feed() -> None:
    assert list(feed(1_500, 7)) == list(feed(1_500, 7))
    assert [told.envelope for told in feed(1_500, 7)] != [told.envelope for told in feed(1_500, 8)]


@pytest.mark.parametrize("reports", [1, 9, 100, 777, 2_000, 15_000])
def test_a_feed_has_exactly_the_size_that_was_asked_for(reports: int) -> None:
    assert sum(1 for _ in feed(reports)) == reports


@pytest.mark.parametrize("corrections", [False, True])
def test_every_report_is_understood_but_those_meant_to_be_wrong(corrections: bool) -> None:
    seen: Counter[str] = Counter()
    for told in feed(8_000, 3, corrections=corrections):
        answer = decode(str(told.envelope["type"]).split(".")[1], told.envelope)
        if told.meant in UNDERSTANDING:
            assert isinstance(answer, NotUnderstood), told
            assert {rule.code_of() for rule in answer.reasons} == {told.meant}, told
        else:
            assert isinstance(answer, Report), (told, answer.reasons)
        seen[told.meant] += 1
    assert set(seen) >= UNDERSTANDING
    wrong = 8_000 - seen["accepted"]
    assert 0.015 < wrong / 8_000 < 0.06, "a few are wrong, most are right"


def test_every_type_that_can_be_reported_is_in_the_feed() -> None:
    reportable = {
        type_.removeprefix("skillplan.").removesuffix(".v1")
        for type_ in reported_types()
        if "report-retracted" not in type_ and ".planning." not in type_  # a month is closed by people
    }
    assert {fact_of(told) for told in feed(60_000, corrections=False)} == reportable


def test_corrections_and_retractions_come_besides_the_others() -> None:
    without = {(told.envelope["id"], told.meant) for told in feed(8_000, corrections=False)}
    with_them = list(feed(8_000))
    corrected = [told.envelope for told in with_them if "corrects" in told.envelope]
    retracted = [told.envelope for told in with_them if "report-retracted" in told.envelope["type"]]
    assert corrected
    assert retracted
    kept = sum((told.envelope["id"], told.meant) in without for told in with_them)
    assert kept > 7_500, "what is there without them stays what it was"
    sent: dict[str, dict[str, object]] = {}
    for told in with_them:
        event = told.envelope
        named = event.get("corrects") or event["data"].get("report_id")
        if named:
            assert sent[named]["subject"] == event["subject"], "it comes behind what it names, on the same subject"
        sent[event["id"]] = event


def test_nothing_happens_after_yesterday_nor_outside_the_plan() -> None:
    today = date(2024, 3, 1)
    told = list(feed(3_000, today=today))
    assert max(str(one.envelope["time"])[:10] for one in told) == "2024-02-29"
    assert min(str(one.envelope["time"])[:10] for one in told) >= "2023-01-01"
    whole = {str(one.envelope["time"])[:4] for one in feed(3_000)}
    assert whole == {"2023", "2024", "2025"}
    for one in told:
        data = one.envelope["data"]
        dates = [data[name] for name in data if name == "on" or (name.endswith("_on") and name != "expires_on")]
        assert all(value < "2024-03-01" for value in dates), one
    received = datetime(2024, 3, 1, tzinfo=UTC)
    assert all(datetime.fromisoformat(str(one.envelope["time"])) < received for one in told)


def test_a_shorter_history_is_a_part_of_the_whole_one() -> None:
    """Published again a month later, the feed brings what happened since and repeats the rest word by word."""
    later = {one.envelope["id"]: one.envelope for one in feed(3_000) if one.meant == "accepted"}
    for one in feed(3_000, today=date(2024, 3, 1)):
        known = later.get(one.envelope["id"])
        if one.meant == "accepted" and known is not None:
            assert one.envelope == known


def test_the_feed_counts_for_the_six_districts_and_the_city() -> None:
    share = Counter(told.envelope["district"] for told in feed(8_000))
    assert set(share) == PLACES
    assert share["330681"] > 1.3 * share["330683"] > 0, "districts differ"


def test_persons_come_again_and_nobody_bears_a_number_that_was_ever_given() -> None:
    numbers: Counter[str] = Counter()
    names = set()
    for told in feed(10_000):
        if told.meant == "accepted" and "person" in told.envelope["data"]:
            person = told.envelope["data"]["person"]
            number = person["id_number"]
            assert number[:4] == "3399", "no edition of GB/T 2260 has it"
            assert resident_check_digit(number[:17]) == number[17]
            numbers[number] += 1
            names.add(person["name"])
    assert sum(count > 2 for count in numbers.values()) > len(numbers) / 8
    assert all(name.startswith("演示") for name in names)


def test_another_feed_has_other_ids_and_numbers_but_the_same_groundwork() -> None:
    one, other = list(feed(1_000, 1)), list(feed(1_200, 2))
    groundwork = [told.envelope for told in one if told.due == 0]
    assert groundwork
    assert groundwork == [told.envelope for told in other if told.due == 0]
    assert one[: len(groundwork)] == [told for told in one if told.due == 0], "first of all"
    ids = {told.envelope["id"] for told in one if told.due > 0}
    assert not ids & {told.envelope["id"] for told in other}
    once = {"population", "enterprise"}
    subjects = {told.envelope["subject"] for told in one if told.due > 0}
    shared = subjects & {told.envelope["subject"] for told in other if told.due > 0}
    assert {subject.partition("/")[0] for subject in shared} <= once


def test_some_reports_come_months_late() -> None:
    late = 0
    newest = ""
    for told in feed(5_000):
        if told.due == 0:
            continue
        day = str(told.envelope["time"])[:10]
        newest = max(newest, day)
        late += (date.fromisoformat(newest) - date.fromisoformat(day)).days > 30
    assert 50 < late < 1_000


def test_what_is_reported_of_one_subject_comes_in_the_order_it_happened() -> None:
    last: dict[tuple[str, str], str] = {}
    for told in feed(10_000):
        if told.meant == "accepted" and told.envelope["subject"].partition("/")[0] != "population":
            key = (route(told.envelope).topic, told.envelope["subject"])
            day = str(told.envelope["time"])[:10]
            assert last.get(key, "") <= day, told
            last[key] = day


def test_memory_stays_the_same_however_long_the_feed() -> None:
    def kept(taken: int) -> int:
        running = feed(1_000_000)
        for _ in islice(running, taken):
            pass
        return sum(type(thing) is PlannedReport for thing in gc.get_objects())

    assert kept(18_000) < 1.05 * kept(3_000), "once the window is full it grows no more"
