"""Pace and forecast of every indicator on days all over the plan, beside a plain recount day by day of docs/pace.md."""

from __future__ import annotations

import calendar
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import ceil, floor, sqrt
from typing import Any, Final

import pytest
import yaml

from services.planning.events import TargetRevised, TargetSplit
from services.projection.assessment.assessment import Assessment, AssessmentBasis, Scope
from services.projection.assessment.representation import cell_pace, forecast_value
from services.projection.assessment.targets import Targets
from services.projection.assessment.values import Sums
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE, bounds, month_number, periods_of
from shared.contract.events import Fact
from shared.plan.loading import load_plan, read_plan
from shared.plan.model import Indicator, Plan
from tests.conftest import ROOT
from tests.harness.cells import sums_of

_SOURCE: Final = ROOT / "plans" / "shaoxing-2023-2025.yaml"
SHAOXING: Final = load_plan(_SOURCE)
LAKESIDE: Final = load_plan(ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
NOW: Final = datetime(2027, 6, 1, tzinfo=UTC)
DISTRICT: Final = {SHAOXING.id: "330602", LAKESIDE.id: "110101"}
_OF_YEAR = ("01-01", "02-27", "02-28", "06-15", "09-30", "12-30", "12-31")
DAYS: Final = [date.fromisoformat(f"{year}-{day}") for year in range(2023, 2027) for day in _OF_YEAR]
Added = Mapping[int, int]  # what each month brought, by the month's number


def plan_without_weights() -> Plan:
    """The plan file with every word on months left out."""
    document: dict[str, Any] = yaml.safe_load(_SOURCE.read_text(encoding="utf-8"))
    del document["month_weights"]
    for series in document["series"]:
        for measure in series["measures"]:
            for indicator in measure["indicators"]:
                indicator.pop("month_weights", None)
    return read_plan(yaml.safe_dump(document, allow_unicode=True), "without.yaml")


UNWEIGHED: Final = plan_without_weights()


class Course:
    """A period by its days: what each weighs, and what is gone at its end."""

    def __init__(self, first: date, last: date, weights: Mapping[int, Fraction]) -> None:
        """Take the weight of each month by its number."""
        self.last = last
        self.months: dict[int, Fraction] = {}  # what each weighs as far as it lies in the period
        self._gone: dict[date, Fraction] = {}
        gone = Fraction()
        for day in days(first, last):
            month = month_number(day)
            weight = weights[month] / calendar.monthrange(day.year, day.month)[1]
            gone += weight
            self.months[month] = self.months.get(month, Fraction()) + weight
            self._gone[day] = gone

    def gone(self, day: date) -> Fraction:
        """Return what the days weigh up to one, that included."""
        return self._gone.get(min(day, self.last), Fraction())

    def left(self, day: date) -> Fraction:
        return self.gone(self.last) - self.gone(day)


def days(first: date, last: date) -> Iterator[date]:
    """Yield each day from one to another."""
    while first <= last:
        yield first
        first += timedelta(days=1)


@cache
def course(first: date, last: date, weights: tuple[int, ...], began: int) -> Course:
    months = {month_number(day) for day in days(first, last)}
    by_month = {month: Fraction(weights[(month - began) % len(weights)]) for month in months}
    if not any(by_month.values()):
        by_month = dict.fromkeys(months, Fraction(1))
    return Course(first, last, by_month)


def course_of(plan: Plan, indicator: Indicator, period: int) -> Course:
    weights = tuple(indicator.month_weights or plan.month_weights)
    return course(*bounds(plan, period), weights, month_number(date(plan.period.first.year, 1, 1)))


def even(plan: Plan, period: int) -> Course:
    return course(*bounds(plan, period), (1,), 0)


def made_up_numbers(plan: Plan, compiled: CompiledPlans, indicator: Indicator, day: date) -> tuple[Sums, Added]:
    """What each month brought by a day, at random, some months nothing; and the sums that hold it."""
    rnd = random.Random(f"{plan.id} {indicator.id}")  # noqa: S311 - the same each time
    months = range(month_number(plan.period.first), month_number(plan.period.last) + 1)
    every = {month: rnd.choice((0, rnd.randrange(4), rnd.randrange(300))) for month in months}
    added = {month: amount for month, amount in every.items() if month <= month_number(day)}
    cells: dict[tuple[int, int, int, str], dict[int, int]] = {}
    lines = compiled.of_indicator[plan.id, indicator.id]
    counted = next(line for line in lines if line.part is Part.NUM)
    for month, amount in added.items():
        period = month // 12 if indicator.basis == "annual" else WHOLE
        cells.setdefault((counted.number, int(Part.NUM), period, DISTRICT[plan.id]), {})[month] = amount
    for line in lines:
        if (indicator.is_ratio and line.part is not Part.NUM) or indicator.value.kind == "coverage":
            cells[line.number, int(Part.DEN), WHOLE, DISTRICT[plan.id]] = {min(months) - 1: 10**6}
    return sums_of(plan, cells), added


def assessed(plan: Plan, day: date) -> Iterator[tuple[AssessmentBasis, Assessment, Added]]:
    """Every indicator in every period that has begun, with what each month of it brought."""
    compiled = CompiledPlans([plan])
    for _, indicator in plan.indicators.values():
        sums, added = made_up_numbers(plan, compiled, indicator, day)
        basis = AssessmentBasis(plan, compiled, Targets(plan), sums, Scope(day, NOW))
        for period in periods_of(plan, indicator, day):
            yield basis, basis.assess(indicator, period, None), added


@cache
def full_months(first: date, last: date, day: date) -> list[int]:
    """Return the months of a period that are over on a day."""
    over = (each for each in days(first, min(last, day)) if each == last or (each + timedelta(days=1)).day == 1)
    return [month_number(each) for each in over]


@pytest.mark.parametrize("plan", [SHAOXING, LAKESIDE, UNWEIGHED], ids=("shaoxing", "lakeside", "without weights"))
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_forecast_is_what_a_count_day_by_day_says(plan: Plan, day: date) -> None:
    for basis, assessment, added in assessed(plan, day):
        indicator, period = assessment.indicator, assessment.period
        where = (indicator.id, period, day)
        first, last = bounds(plan, period)
        answer = forecast_value(basis.forecast(assessment))
        outlook = answer["outlook"]
        assert outlook["zh"].endswith("。"), where
        assert outlook["en"].endswith("."), where
        number = [answer[name] for name in ("value", "low", "high", "per_month", "reached_on")]
        adds = indicator.basis != "level" and not indicator.is_ratio
        full = full_months(plan.period.first if adds else first, plan.period.last, day)[-plan.pace.forecast_months :]
        way = course_of(plan, indicator, period) if adds else even(plan, period)
        by_year = {
            month: course_of(plan, indicator, month // 12 if indicator.basis == "annual" else WHOLE) if adds else way
            for month in full
        }
        loads = [by_year[month].months[month] if adds else Fraction(1) for month in full]
        if day >= last or indicator.is_ratio or len(full_months(first, last, day)) < 2 or not sum(loads):
            assert number == [None] * 5, where
            over = day >= last and assessment.worth.value is not None
            outlooks = {"reached", "missed", "over"} if over else {"reached", "ratio", "too-early"}
            assert outlook["id"] in outlooks, where
            continue
        amounts = [Fraction(added[month]) for month in full]
        rate = sum(amounts, Fraction()) / sum(loads, Fraction())
        value = assessment.worth.value
        assert value is not None
        end = value + rate * way.left(day)
        left = float(even(plan, period).left(day))
        off = [float(amount - rate * load) for amount, load in zip(amounts, loads, strict=True)]
        spread = sqrt(sum(each**2 for each in off) / (len(off) - 1)) * sqrt(left + left**2 / len(off))
        low, high = float(end) - spread, float(end) + spread
        if adds:
            low = max(low, float(value))
        most = len(indicator.value.each) if indicator.value.kind == "milestones" else None
        if most is not None:
            end, low, high = min(end, Fraction(most)), min(low, most), min(high, most)
        assert answer["value"] == floor(end), where
        assert answer["low"] in (floor(low + 1e-6), floor(low - 1e-6)), where
        assert answer["high"] in (ceil(high + 1e-6), ceil(high - 1e-6)), where
        assert all(isinstance(each, int) for each in number[:3]), "whole numbers for what comes whole"
        assert answer["months"] == len(full), where
        check_words(assessment, answer, way, rate, day)


def check_words(assessment: Assessment, answer: Any, way: Course, rate: Fraction, day: date) -> None:
    """How certain a forecast is said to be follows from the numbers that stand beside it."""
    goal, value = assessment.goal, assessment.worth.value
    where = (assessment.indicator.id, assessment.period, day)
    outlook = answer["outlook"]["id"]
    if goal is None:
        assert (answer["state"], outlook) == (None, "no-target"), where
        return
    assert value is not None
    least = goal.value if goal.op != ">" or goal.value != floor(goal.value) else goal.value + 1
    if answer["state"] == "reached":
        assert (goal.met_by(value), outlook) == (True, "reached"), where
        return
    if goal.op in ("=", "all") and value > goal.value:
        assert answer["state"] == "short", where
        return
    wanted = "on-course" if answer["value"] >= least else "short"
    assert answer["state"] == wanted, where
    if wanted == "on-course":
        assert outlook == ("likely" if answer["low"] >= least else "rather-likely"), where
    else:
        assert outlook == ("rather-unlikely" if answer["high"] >= least else "unlikely"), where
    reached_on = answer["reached_on"]
    if reached_on is None or goal.met_by(value):
        return
    on = date.fromisoformat(reached_on)
    assert value + rate * (way.gone(on) - way.gone(day)) >= least, where
    before = on - timedelta(days=1)
    assert before <= day or value + rate * (way.gone(before) - way.gone(day)) < least, where


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_without_weights_in_the_plan_file_every_month_is_alike(day: date) -> None:
    basis = AssessmentBasis(UNWEIGHED, CompiledPlans([UNWEIGHED]), Targets(UNWEIGHED), {}, Scope(day, NOW))
    for _, indicator in UNWEIGHED.indicators.values():
        for period in periods_of(UNWEIGHED, indicator, day):
            assessment = basis.assess(indicator, period, None)
            if assessment.goal is None or indicator.basis == "level":
                continue
            way = even(UNWEIGHED, period)
            assert assessment.expected == assessment.goal.value * way.gone(day) / way.gone(way.last), indicator.id


def decided(event: TargetRevised | TargetSplit, position: int) -> Fact:
    at = datetime(2023, 1, 2, tzinfo=UTC)
    return Fact(
        "planning", position, 1, f"planning-{position}", f"skillplan.planning.{type(event).__name__}", "target",
        "330600", at, at.isoformat(), at, "/districts/330600/plan", f"report-{position}", event, {},
    )  # fmt: skip


def due(day: date, *facts: Fact, indicator: str = "4.1.b") -> Fraction | None:
    definition = SHAOXING.indicators[indicator][1]
    basis = AssessmentBasis(SHAOXING, CompiledPlans([SHAOXING]), Targets(SHAOXING, facts), {}, Scope(day, NOW))
    return basis.assess(definition, day.year, None).expected


def test_a_target_revised_in_the_year_is_due_by_its_own_number_from_its_day_on() -> None:
    """4.1.b, 1,000 a year: 1,800 from 1 July 2025; the months before keep what was due of them then."""
    revised = TargetRevised.model_validate(
        {"plan": SHAOXING.id, "indicator": "4.1.b", "op": ">=", "value": 1800, "effective_from": date(2025, 7, 1),
            "by": "计划科", "why": "中期评估"}
    )  # fmt: skip
    fact = decided(revised, 1)
    assert due(date(2025, 6, 30), fact) == 500
    assert due(date(2025, 7, 1), fact) == 1800 * (6 + Fraction(1, 31)) / 12
    assert due(date(2025, 12, 31), fact) == 1800
    assert due(date(2024, 12, 31), fact) == 1000
    compiled = CompiledPlans([SHAOXING])
    basis = AssessmentBasis(SHAOXING, compiled, Targets(SHAOXING, [fact]), {}, Scope(date(2025, 8, 31), NOW))
    months = basis.months(basis.assess(SHAOXING.indicators["4.1.b"][1], 2025, None))
    assert [month.expected for month in months[4:8]] == [Fraction(5000, 12), 500, 1050, 1200]


def test_a_target_split_over_months_is_due_by_these_months_whatever_the_plan_file_says() -> None:
    """1.2.a goes by the school year in the plan file; the plan office lets 300 come in March and September."""
    parts = {f"2025-{month:02}": {3: 100, 9: 200}.get(month, 0) for month in range(1, 13)}
    split = TargetSplit.model_validate(
        {"plan": SHAOXING.id, "indicator": "1.2.a", "period": "2025", "over": "months", "parts": parts,
           "effective_from": date(2025, 1, 1), "by": "计划科"}
    )  # fmt: skip
    fact = decided(split, 1)
    by_day = {"2025-02-28": 0, "2025-03-31": 100, "2025-08-31": 100, "2025-09-15": 200, "2025-12-31": 300}
    for day, expected in by_day.items():
        assert due(date.fromisoformat(day), fact, indicator="1.2.a") == expected, day


def test_what_goes_by_the_school_year_or_comes_in_autumn_says_so_in_the_plan_file() -> None:
    weighed = {id_: list(indicator.month_weights or ()) for id_, (_, indicator) in SHAOXING.indicators.items()}
    seasons = {id_: weights for id_, weights in weighed.items() if weights}
    assert seasons.keys() == {"1.2.a", "4.2.a", "5.3.a"}
    for id_ in ("1.2.a", "4.2.a"):
        assert sum(seasons[id_][:8]) == 0, "nothing is due of a school year before September"
    assert sum(seasons["5.3.a"][:9]) == 0, "the conference is held in autumn"
    assert SHAOXING.month_weights == (1,) * 12


def test_every_number_of_a_forecast_comes_with_words_in_both_languages() -> None:
    seen = set()
    for day in DAYS[3::4]:
        for basis, assessment, _ in assessed(SHAOXING, day):
            pace = cell_pace(basis, assessment)
            if pace is None:
                continue
            outlook = pace["forecast"]["outlook"]
            seen.add(outlook["id"])
            assert outlook["zh"] != outlook["en"]
            if pace["forecast"]["value"] is not None:
                assert str(pace["forecast"]["months"]) in outlook["zh"] or outlook["id"] == "reached"
    assert {"likely", "unlikely", "ratio", "too-early", "missed"} <= seen
