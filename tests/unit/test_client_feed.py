"""The demo feed: the same every time, of every size, and nothing in it wrong but what is meant to be."""

import functools
import gc
from collections import Counter
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from typing import Final

import pytest

from client.demo.calendar import CITY_DAY, DISTRICTS, PlannedReport
from client.demo.feed import city_feed, feed
from client.demo.office import OfficeReport, stages
from client.fields import reported_types
from client.routing import route
from shared.contract.events import NotUnderstood, Report
from shared.contract.identity_numbers import resident_check_digit
from shared.plan.loading import load_plan
from tests.conftest import ROOT
from tests.harness.languages import decode
from tests.harness.service_in_memory import ServiceInMemory

# The codes that say a report was not understood; every other one needs the facts before it.
UNDERSTANDING: Final = {"bad-checksum", "bad-value", "unknown-field", "missing-field", "bad-date", "wrong-district"}
PLACES: Final = {*DISTRICTS, "330600"}


@functools.cache
def planned_reports(reports: int, corrections: bool = True) -> list[PlannedReport]:
    """Return a feed of this size, made once for all tests."""
    return list(feed(reports, corrections=corrections))


def fact_of(planned: PlannedReport) -> str:
    return str(planned.envelope["type"]).removeprefix("skillplan.").removesuffix(".v1")


def test_the_same_seed_and_size_give_the_same_feed() -> None:
    first = list(feed(1_000, 7))
    assert first == list(feed(1_000, 7))
    assert [planned.envelope for planned in first] != [planned.envelope for planned in feed(1_000, 8)]


@pytest.mark.parametrize("reports", [1, 9, 100, 777, 2_000])
def test_a_feed_has_exactly_the_size_that_was_asked_for(reports: int) -> None:
    assert sum(1 for _ in feed(reports)) == reports
    assert len(planned_reports(15_000)) == 15_000


def test_every_report_is_understood_but_those_meant_to_be_wrong() -> None:
    seen: Counter[str] = Counter()
    for planned in planned_reports(8_000):
        answer = decode(str(planned.envelope["type"]).split(".")[1], planned.envelope)
        if planned.meant in UNDERSTANDING:
            assert isinstance(answer, NotUnderstood), planned
            assert {rule.code_of() for rule in answer.reasons} == {planned.meant}, planned
        else:
            assert isinstance(answer, Report), (planned, answer.reasons)
        seen[planned.meant] += 1
    assert set(seen) >= UNDERSTANDING
    wrong = 8_000 - seen["accepted"]
    assert 0.015 < wrong / 8_000 < 0.06, "a few are wrong, most are right"


def test_every_type_that_can_be_reported_is_in_the_feed() -> None:
    reportable = {
        type_.removeprefix("skillplan.").removesuffix(".v1")
        for type_ in reported_types()
        if ".planning." not in type_ and not type_.endswith((".report-retracted.v1", ".subject-assigned.v1"))
    }
    assert {fact_of(planned) for planned in feed(60_000, corrections=False)} == reportable


def test_no_report_is_on_a_subject_that_another_district_opened() -> None:
    opened: dict[str, str] = {}
    for planned in planned_reports(15_000):
        event, district = planned.envelope, str(planned.envelope["district"])
        if planned.meant not in UNDERSTANDING:  # RULES G1: the city may report on every subject
            home = opened.setdefault(f"{str(event['type']).split('.')[1]} {event['subject']}", district)
            assert district in (home, "330600"), planned


def test_corrections_and_retractions_come_besides_the_others() -> None:
    without = {(planned.envelope["id"], planned.meant) for planned in planned_reports(8_000, False)}
    with_them = planned_reports(8_000)
    corrected = [planned.envelope for planned in with_them if "corrects" in planned.envelope]
    retracted = [planned.envelope for planned in with_them if "report-retracted" in planned.envelope["type"]]
    assert corrected
    assert retracted
    unchanged = sum((planned.envelope["id"], planned.meant) in without for planned in with_them)
    assert unchanged > 7_500, "what is there without them stays what it was"
    sent: dict[str, dict[str, object]] = {}
    for planned in with_them:
        event = planned.envelope
        named = event.get("corrects") or event["data"].get("report_id")
        if named:
            assert sent[named]["subject"] == event["subject"], "it comes behind what it names, on the same subject"
        sent[event["id"]] = event


def test_nothing_happens_after_yesterday_nor_outside_the_plan() -> None:
    today = date(2024, 3, 1)
    planned = list(feed(3_000, today=today))
    assert max(str(report.envelope["time"])[:10] for report in planned) == "2024-02-29"
    assert min(str(report.envelope["time"])[:10] for report in planned) >= "2023-01-01"
    whole = {str(report.envelope["time"])[:4] for report in planned_reports(3_000)}
    assert whole == {"2023", "2024", "2025"}
    for report in planned:
        data = report.envelope["data"]
        dates = [data[name] for name in data if name == "on" or (name.endswith("_on") and name != "expires_on")]
        assert all(value < "2024-03-01" for value in dates), report
    received = datetime(2024, 3, 1, tzinfo=UTC)
    assert all(datetime.fromisoformat(str(report.envelope["time"])) < received for report in planned)


def test_a_shorter_history_is_a_part_of_the_whole_one() -> None:
    """Published again a month later, the feed brings what happened since and repeats the rest word by word."""
    later = {report.envelope["id"]: report.envelope for report in planned_reports(3_000) if report.meant == "accepted"}
    for report in feed(3_000, today=date(2024, 3, 1)):
        known = later.get(report.envelope["id"])
        if report.meant == "accepted" and known is not None:
            assert report.envelope == known


def test_the_feed_counts_for_the_six_districts_and_the_city() -> None:
    share = Counter(planned.envelope["district"] for planned in planned_reports(8_000))
    assert set(share) == PLACES
    assert share["330681"] > 1.3 * share["330683"] > 0, "districts differ"


def test_persons_come_again_and_nobody_bears_a_number_that_was_ever_given() -> None:
    numbers: Counter[str] = Counter()
    names = set()
    for planned in planned_reports(15_000):
        if planned.meant == "accepted" and "person" in planned.envelope["data"]:
            person = planned.envelope["data"]["person"]
            number = person["id_number"]
            assert number[:4] == "3399", "no edition of GB/T 2260 has it"
            assert resident_check_digit(number[:17]) == number[17]
            numbers[number] += 1
            names.add(person["name"])
    assert sum(count > 2 for count in numbers.values()) > len(numbers) / 8
    assert all(name.startswith("演示") for name in names)


def test_another_feed_has_other_ids_and_numbers_but_the_same_groundwork() -> None:
    small, large = list(feed(1_000, 1)), list(feed(1_200, 2))
    groundwork = [planned.envelope for planned in small if planned.due == 0]
    assert groundwork
    assert groundwork == [planned.envelope for planned in large if planned.due == 0]
    assert small[: len(groundwork)] == [planned for planned in small if planned.due == 0], "first of all"
    ids = {planned.envelope["id"] for planned in small if planned.due > 0}
    assert not ids & {planned.envelope["id"] for planned in large}
    once = {"population", "enterprise"}
    subjects = {planned.envelope["subject"] for planned in small if planned.due > 0}
    shared = subjects & {planned.envelope["subject"] for planned in large if planned.due > 0}
    assert {subject.partition("/")[0] for subject in shared} <= once


def test_some_reports_come_months_late() -> None:
    late = 0
    newest = ""
    for planned in planned_reports(8_000):
        if planned.due == 0:
            continue
        day = str(planned.envelope["time"])[:10]
        newest = max(newest, day)
        late += (date.fromisoformat(newest) - date.fromisoformat(day)).days > 30
    assert 80 < late < 1_600


def test_what_is_reported_of_one_subject_comes_in_the_order_it_happened() -> None:
    last: dict[tuple[str, str], str] = {}
    for planned in planned_reports(15_000):
        if planned.meant == "accepted" and planned.envelope["subject"].partition("/")[0] != "population":
            key = (route(planned.envelope).topic, planned.envelope["subject"])
            day = str(planned.envelope["time"])[:10]
            assert last.get(key, "") <= day, planned
            last[key] = day


def test_memory_stays_the_same_however_long_the_feed() -> None:
    def planned_in_memory(taken: int) -> int:
        running = feed(1_000_000)
        for _ in islice(running, taken):
            pass
        return sum(type(thing) is PlannedReport for thing in gc.get_objects())

    assert planned_in_memory(18_000) < 1.05 * planned_in_memory(3_000), "once the window is full it grows no more"


@functools.cache
def first_year_of_the_city() -> list[PlannedReport]:
    """Return about what the whole city reports in the first year of its demo; the whole of it takes ten seconds."""
    return list(islice(city_feed(), 12_000))


def test_the_whole_city_reports_in_seasons_in_order_and_a_few_wrong() -> None:
    planned = first_year_of_the_city()
    early = sum(after.due < before.due for before, after in pairwise(planned))
    assert early < len(planned) / 25, "in the order of sending, but for hires that are reported with what came of them"
    days = Counter(str(report.envelope["time"])[:10] for report in planned if report.due > 0)
    festival = sum(count for day, count in days.items() if "2023-01-21" <= day <= "2023-01-27")
    assert festival < 30, "nothing begins at Spring Festival; a certificate may come"
    enrolled = {day[:7] for report in planned for day in [report.envelope["time"]] if "student-en" in str(report)}
    assert enrolled <= {"2023-09", "2023-10"}
    fairs = Counter(str(report.envelope["time"])[5:7] for report in planned if fact_of(report).endswith("fair-held"))
    assert fairs["03"] > 3 * fairs["08"]
    assert 0.02 < sum(report.meant != "accepted" for report in planned) / len(planned) < 0.04
    elderly = {
        report.envelope["district"]: report.envelope["data"]["residents"]
        for report in planned
        if fact_of(report) == "enrollment.population-reported"
    }
    assert 1_300_000 < sum(elderly.values()) < 1_400_000, "which it passes by 2025"
    assert set(elderly) == set(DISTRICTS)
    assert max(days) <= CITY_DAY.isoformat()


def test_what_the_whole_city_reports_is_understood_but_for_what_is_meant_to_be_wrong() -> None:
    for planned in first_year_of_the_city()[::9]:
        answer = decode(str(planned.envelope["type"]).split(".")[1], planned.envelope)
        assert isinstance(answer, NotUnderstood if planned.meant in UNDERSTANDING else Report), planned


def test_the_plan_office_of_the_city_splits_what_there_is_and_closes_months_of_which_one_is_restated() -> None:
    """Planning accepts all of it that needs no figures; the rest is closing, which the projection has a part in."""
    plan = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
    acts = [act for stage in stages() for act in stage.acts]
    reports = [act.envelope for act in acts if isinstance(act, OfficeReport)]
    published = [(act.month, act.action) for act in acts if not isinstance(act, OfficeReport)]
    assert len({report["id"] for report in reports}) == len(reports)
    assert [month for month, action in published if action == "close"] == [
        f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13) if (year, month) < (2025, 6)
    ]
    assert [month for month, action in published if action == "restate"] == ["2025-02"]
    planning = ServiceInMemory("planning")
    of_2024 = [each for each in reports if each["data"].get("month", "2024") < "2024-12" and each["time"] < "2025"]
    for receipt in planning.send(*of_2024):  # the harness's clock stands at the first day of 2025
        assert receipt["status"] == "accepted", receipt
    split = [report["data"] for report in reports if "target-split" in report["type"]]
    assert {data["indicator"] for data in split} < {i for i, (_, each) in plan.indicators.items() if each.target}
    assert all(set(data["parts"]) == set(DISTRICTS) for data in split)
    assert all(isinstance(decode("planning", report), Report) for report in reports)
    assert stages() == stages()
