"""时序进度与三色预警: what is expected, the signal and the forecast, in cases a plan officer can check by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projection.assessment.assessment import Assessment, AssessmentBasis, Scope
from services.projection.assessment.pace import (
    OUTLOOKS,
    RULES,
    Course,
    Done,
    Goal,
    IndicatorKind,
    Op,
    Signal,
    made_up,
    months_between,
    signal_of,
)
from services.projection.assessment.pace import forecast as pace_forecast
from services.projection.assessment.representation import cell_pace
from services.projection.assessment.targets import Targets
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE, month_number, periods_of, running_period
from shared.plan.loading import load_plan
from shared.plan.model import Pace, Plan
from tests.conftest import ROOT
from tests.harness.cells import sums_of
from tests.harness.oracle import due

SHAOXING = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
LAKESIDE = load_plan(ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
COMPILED = CompiledPlans([SHAOXING, LAKESIDE])
NOW = datetime(2026, 6, 1, tzinfo=UTC)
YUECHENG, EAST_LAKE = "330602", "110101"
Amounts = Mapping[str, int]  # by month, YYYY-MM


def stand(
    indicator: str,
    as_of: str,
    amounts: Amounts | int,
    of: int | None = None,
    *,
    plan: str = SHAOXING.id,
    district: str | None = None,
) -> tuple[AssessmentBasis, Assessment]:
    """Judge an indicator: what came in each month (or altogether), of how many where it is a ratio."""
    policy, day = COMPILED.plans[plan], date.fromisoformat(as_of)
    definition = policy.indicators[indicator][1]
    code = district or YUECHENG
    by_month = amounts if isinstance(amounts, Mapping) else {as_of[:7]: amounts}
    cells: dict[tuple[int, int, int, str], dict[int, int]] = {}
    period: int | None
    for line in COMPILED.of_indicator[plan, indicator]:
        own = by_month if line.part is Part.NUM else {min(by_month): of or 0}
        for month, amount in sorted(own.items()):
            period = int(month[:4]) if definition.basis == "annual" else WHOLE
            number = month_number(date.fromisoformat(f"{month}-01"))
            cells.setdefault((line.number, int(line.part), period, code), {})[number] = amount
        if definition.value.kind == "coverage":
            cells[line.number, int(Part.DEN), WHOLE, code] = {month_number(policy.period.first) - 1: of or 0}
    basis = AssessmentBasis(policy, COMPILED, Targets(policy), sums_of(policy, cells), Scope(day, NOW, district))
    period = running_period(policy, definition, day)
    assert period is not None
    return basis, basis.assess(definition, period, district)


CASES = [
    # 指标 indicator           日期 day      完成 done(of)  应达 expected       信号 signal  规则 rule
    # 输送技能人才,每年 1000 人以上:三个整月 = 3/12
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 250, None, Fraction(250), "green", "on-pace"),
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 249, None, Fraction(250), "amber", "slightly-behind"),
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 200, None, Fraction(250), "amber", "slightly-behind"),
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 199, None, Fraction(250), "red", "behind"),
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 0, None, Fraction(250), "red", "behind"),
    ("4.1.b 年度 ≥ 1000", "2024-03-31", 1000, None, Fraction(250), "met", "met-for-good"),
    # 当月按日:一月整月,二月 15/29;当日计入
    ("4.1.b 年度 ≥ 1000", "2024-02-15", 127, None, 1000 * (1 + Fraction(15, 29)) / 12, "green", "on-pace"),
    ("4.1.b 年度 ≥ 1000", "2024-02-15", 126, None, Fraction(11000, 87), "amber", "slightly-behind"),
    ("4.1.b 年度 ≥ 1000", "2023-01-01", 3, None, Fraction(1000, 12 * 31), "green", "on-pace"),
    # 年末达到即完成,差一人为黄
    ("4.1.b 年度 ≥ 1000", "2023-12-31", 999, None, Fraction(1000), "amber", "slightly-behind"),
    ("4.1.b 年度 ≥ 1000", "2023-12-31", 1000, None, Fraction(1000), "met", "met-for-good"),
    # 现代学徒,超 2000:正好 2000 达到应达值,是绿,不算完成
    ("1.3.b 年度 > 2000", "2024-12-30", 2000, None, 2000 * (11 + Fraction(30, 31)) / 12, "green", "on-pace"),
    ("1.3.b 年度 > 2000", "2024-12-31", 2000, None, Fraction(2000), "green", "on-pace"),
    ("1.3.b 年度 > 2000", "2024-12-31", 2001, None, Fraction(2000), "met", "met-for-good"),
    # 基地 2 至 3 家,累计三年:按下限 2 计,一年半应达 1
    ("2.3.a 累计 2-3", "2024-06-30", 1, None, Fraction(1), "green", "on-pace"),
    ("2.3.a 累计 2-3", "2024-06-30", 0, None, Fraction(1), "red", "behind"),
    ("2.3.a 累计 2-3", "2024-06-30", 2, None, Fraction(1), "met", "met-for-good"),
    ("2.3.a 累计 2-3", "2024-06-30", 4, None, Fraction(1), "met", "met-for-good"),
    # 八个职称系列全部贯通
    ("3.1.a 全部 8", "2024-06-30", 4, None, Fraction(4), "green", "on-pace"),
    ("3.1.a 全部 8", "2024-06-30", 3, None, Fraction(4), "red", "behind"),
    ("3.1.a 全部 8", "2024-06-30", 8, None, Fraction(4), "met", "met-for-good"),
    # 占比从 14% 到 35%:一年半走一半,24.5%;期满前达到只是绿
    ("1.1.e 水平 14→35", "2024-06-30", 49, 200, Fraction(49, 2), "green", "on-pace"),
    ("1.1.e 水平 14→35", "2024-06-30", 48, 200, Fraction(49, 2), "amber", "slightly-behind"),
    ("1.1.e 水平 14→35", "2024-06-30", 36, 100, Fraction(49, 2), "green", "on-pace"),
    ("1.1.e 水平 14→35", "2025-12-31", 35, 100, Fraction(35), "met", "met-for-good"),
    ("1.1.e 水平 14→35", "2026-05-01", 349, 1000, Fraction(35), "amber", "slightly-behind"),
    # 全覆盖 = 100%,无起点则从 0 起
    ("5.2.a 水平 = 100", "2024-06-30", 40, 80, Fraction(50), "green", "on-pace"),
    ("5.2.a 水平 = 100", "2024-06-30", 80, 80, Fraction(50), "green", "on-pace"),
    ("5.2.a 水平 = 100", "2025-12-31", 79, 80, Fraction(100), "amber", "slightly-behind"),
    ("5.2.a 水平 = 100", "2025-12-31", 80, 80, Fraction(100), "met", "met-for-good"),
    # 覆盖率超 30%:期末正好 30% 不算
    ("5.2.b 水平 > 30", "2025-12-31", 3, 10, Fraction(30), "green", "on-pace"),
    ("5.2.b 水平 > 30", "2025-12-31", 301, 1000, Fraction(30), "met", "met-for-good"),
    # 没有分母:不可计算,不评信号,应达值仍在
    ("3.2.b 水平 ≥ 85", "2024-06-30", 0, 0, Fraction(85, 2), "none", "not-computable"),
    # 计划开始之前;只监测的指标
    ("1.1.a 累计 ≥ 4", "2022-12-31", 0, None, Fraction(0), "none", "not-begun"),
    ("1.1.z 监测", "2024-06-30", 7, None, None, "none", None),
]


@pytest.mark.parametrize(("name", "day", "done", "of", "expected", "signal", "rule"), CASES)
def test_a_case_by_hand(
    name: str, day: str, done: int, of: int | None, expected: Fraction | None, signal: str, rule: str | None
) -> None:
    """RULES E17, E18, E13, E16, E23."""
    _, assessment = stand(name.split(maxsplit=1)[0], day, done, of)
    assert (assessment.expected, assessment.signal, assessment.rule) == (expected, signal, rule)


def test_weights_and_thresholds_are_the_plans() -> None:
    """Lakeside: December weighs five months, the first year begins in February; green from 95 %, amber from 70 %."""
    day = "2025-06-30"
    _, assessment = stand("1.1.a", day, 1, plan=LAKESIDE.id)
    assert assessment.expected == Fraction(5 * 6, 16)
    assert assessment.signal == "red"
    assert stand("1.1.a", "2024-06-30", 1, plan=LAKESIDE.id)[1].expected == Fraction(5 * 5, 15)
    assert stand("1.1.a", "2025-12-15", 1, plan=LAKESIDE.id)[1].expected == 5 * (11 + 5 * Fraction(15, 31)) / 16
    for value, signal in ((95, "green"), (94, "amber"), (70, "amber"), (69, "red")):
        goal = Goal(">=", Fraction(200))
        course = Course(date(2025, 1, 1), date(2025, 12, 31), [1] * 12)
        assert signal_of(goal, Fraction(value), course, date(2025, 6, 30), LAKESIDE.pace)[0] == signal


def test_a_district_has_expected_and_signal_where_the_plan_gives_it_a_target() -> None:
    """RULES E2."""
    _, own = stand("1.1.a", "2025-06-30", 1, plan=LAKESIDE.id, district=EAST_LAKE)
    assert (own.expected, own.signal) == (Fraction(2 * 6, 16), "green")
    _, none = stand("4.1.b", "2024-06-30", 900, district=YUECHENG)
    assert (none.expected, none.signal, none.met) == (None, "none", None)


def test_what_can_run_out_by_itself_is_met_for_good_only_at_the_end() -> None:
    """A certificate with a last day counts in Lakeside's 1.1.a: E17, time alone can undo it."""
    assert stand("1.1.a", "2025-06-30", 5, plan=LAKESIDE.id)[1].signal == "green"
    assert stand("1.1.a", "2025-12-31", 5, plan=LAKESIDE.id)[1].signal == "met"


def test_a_period_whose_months_weigh_nothing_goes_by_evenly() -> None:
    course = Course(date(2026, 1, 1), date(2026, 2, 28), [0, 0])
    assert course.share(date(2026, 1, 31)) == Fraction(1, 2)


def test_a_month_that_lies_in_the_period_by_half_weighs_half() -> None:
    course = Course(date(2024, 4, 16), date(2024, 5, 31), [1, 1])
    assert course.share(date(2024, 4, 30)) == Fraction(1, 3)


@pytest.mark.parametrize(
    ("name", "day", "done", "of", "needed"),
    [
        ("4.1.b", "2024-03-31", 250, None, Fraction(750, 9)),  # 余九个整月
        ("4.1.b", "2024-02-15", 0, None, 1000 / (10 + Fraction(14, 29))),  # 二月还剩 14 天
        ("1.3.b", "2024-11-30", 1990, None, Fraction(11)),  # 超 2000,至少 2001
        ("1.1.e", "2025-06-30", 29, 100, Fraction(6, 6)),  # 占比每月还需提高 1 个百分点
        ("4.1.b", "2024-12-31", 900, None, None),  # 已到期
        ("4.1.b", "2024-05-01", 1000, None, None),  # 已完成
    ],
)
def test_what_is_still_needed_a_month(name: str, day: str, done: int, of: int | None, needed: Fraction | None) -> None:
    basis, assessment = stand(name, day, done, of)
    pace = cell_pace(basis, assessment)
    assert pace is not None
    assert pace["needed_per_month"] == (None if needed is None else pytest.approx(float(needed), rel=1e-12))


def forecast(indicator: str, as_of: str, amounts: Amounts | int, of: int | None = None, **where: Any) -> dict[str, Any]:
    """Return the forecast as the answer shows it."""
    basis, assessment = stand(indicator, as_of, amounts, of, **where)
    pace = cell_pace(basis, assessment)
    assert pace is not None
    return dict(pace["forecast"])


def every_month(first: str, amounts: list[int]) -> dict[str, int]:
    begin = month_number(date.fromisoformat(f"{first}-01"))
    return {f"{(begin + at) // 12}-{(begin + at) % 12 + 1:02}": amount for at, amount in enumerate(amounts)}


def test_a_hundred_a_month_is_1200_at_the_end_of_the_year_and_1000_in_october() -> None:
    result = forecast("4.1.b", "2024-06-30", every_month("2024-01", [100] * 6))
    outlook = result.pop("outlook")
    assert (outlook["id"], "最近 6 个整月" in outlook["zh"], "last 6 full" in outlook["en"]) == ("likely", True, True)
    assert result == {
        "state": "on-course", "value": 1200, "low": 1200, "high": 1200, "per_month": 100, "months": 6,
        "reached_on": "2024-10-31",
    }  # fmt: skip


def test_the_range_is_the_spread_of_the_months_over_the_months_left() -> None:
    result = forecast("4.1.b", "2024-06-30", every_month("2024-01", [0, 200] * 3))
    spread = sqrt(12_000) * sqrt(6 + 36 / 6)
    assert (result["low"], result["high"]) == (floor(1200 - spread), ceil(1200 + spread))
    assert result["outlook"]["id"] == "rather-likely"  # 820 to 1,580 about a target of 1,000


def test_what_is_added_up_never_falls_below_what_is_there() -> None:
    assert forecast("4.1.b", "2024-11-30", every_month("2024-06", [900, 0, 0, 0, 0, 0]))["low"] == 900


def test_the_running_month_is_no_full_month_and_last_years_months_are_evidence() -> None:
    months = every_month("2023-07", [100] * 6) | every_month("2024-01", [40, 40, 15])
    result = forecast("4.1.b", "2024-03-10", months)
    # 2023-09 至 2024-02:(4 × 100 + 2 × 40) / 6 = 80 人/月;三月还剩 21/31,另有九个整月
    assert (result["months"], result["per_month"]) == (6, 80)
    left = 9 + 21 / 31
    end, spread = 95 + 80 * left, sqrt(960) * sqrt(left + left**2 / 6)  # docs/pace.md
    assert (result["low"], result["value"], result["high"]) == (floor(end - spread), floor(end), ceil(end + spread))
    assert (result["state"], result["outlook"]["id"]) == ("short", "rather-unlikely")


def test_one_full_month_is_not_enough_and_zeros_are_numbers() -> None:
    assert forecast("4.1.b", "2023-02-27", 70)["state"] == "not-enough-data"
    result = forecast("4.1.b", "2023-03-31", 0)
    assert (result["state"], result["value"], result["months"], result["reached_on"]) == ("short", 0, 3, None)
    assert result["outlook"]["id"] == "unlikely"
    january = forecast(
        "4.1.b", "2024-02-20", every_month("2023-07", [100] * 7)
    )  # a full year before, one month of this
    assert (january["state"], january["value"], january["outlook"]["id"]) == ("not-enough-data", None, "too-early")


def test_the_forecast_follows_the_months_weights() -> None:
    """Lakeside, January to June one each; July to November weigh five months, December five: six and ten more."""
    result = forecast("1.1.a", "2025-06-30", every_month("2025-01", [1] * 6), plan=LAKESIDE.id)
    assert result["value"] == 16


def test_a_ratio_is_not_carried_on_and_says_so() -> None:
    result = forecast("1.1.e", "2024-06-30", every_month("2023-12", [14] + [1] * 6), 100)
    assert (result["state"], result["value"], result["outlook"]["id"]) == ("not-forecast", None, "ratio")
    assert forecast("1.1.e", "2024-06-30", 0, 0)["outlook"]["id"] == "ratio"


def test_a_level_of_whole_things_goes_on_by_its_trend_of_month_ends() -> None:
    goal = Goal(">=", Fraction(9), kind=IndicatorKind(level=True))
    course = Course(date(2024, 1, 1), date(2024, 12, 31), [1] * 12)
    done = [Done(Fraction(amount), Fraction(1)) for amount in (1, 0, 1, 0)]
    result = pace_forecast(goal.kind, goal, Fraction(2), done, course, date(2024, 4, 30))
    assert (result.value, result.state, result.outlook) == (6, "short", "rather-unlikely")  # half a thing a month


def test_in_months_that_weigh_nothing_nothing_more_is_expected() -> None:
    """1.2.a goes by the school year: nothing is due before September, and spring says nothing about it."""
    basis, assessment = stand("1.2.a", "2023-06-30", 0)
    assert (assessment.expected, assessment.signal) == (Fraction(0), "green")
    assert basis.forecast(assessment).outlook == "too-early"
    assert stand("1.2.a", "2023-09-30", 200)[1].expected == 270
    assert stand("1.2.a", "2023-10-31", 200)[1].expected == 300
    assert stand("4.1.b", "2023-06-30", 0)[1].expected == 500  # of which nothing is known: all months alike


@pytest.mark.parametrize(("done", "day", "state"), [(999, "2023-12-31", "short"), (1000, "2023-05-02", "reached")])
def test_what_is_over_or_met_for_good_needs_no_trend(done: int, day: str, state: str) -> None:
    result = forecast("4.1.b", day, done)
    assert (result["state"], result["value"]) == (state, {"short": None, "reached": 1000}[state])
    assert result["outlook"]["id"] == {"short": "missed", "reached": "reached"}[state]


MADE_UP = [
    # 一月红、二月红、三月补上:一、二月转黄,永不转绿
    (["red", "red", "green"], ["amber", "amber", "green"]),
    (["red", "amber", "amber"], ["red", "amber", "amber"]),  # 没有补上
    (["red", "green", "red"], ["amber", "green", "red"]),  # 补上后又欠
    (["green", "red"], ["green", "red"]),
    (["red", "none", "met"], ["amber", "none", "met"]),
]


@pytest.mark.parametrize(("signals", "visible"), MADE_UP)
def test_a_missed_month_made_up_later_stays_visible(signals: list[Signal], visible: list[Signal]) -> None:
    assert made_up(signals) == visible


def test_months_are_judged_at_their_own_end_and_shown_as_they_look_now() -> None:
    """4.1.b in 2024: due 83.3 a month; 10 in January, 60 in February, 200 in March."""
    basis, assessment = stand("4.1.b", "2024-03-15", every_month("2024-01", [10, 60, 200]))
    months = basis.months(assessment)
    assert [(m.worth.numerator, m.signal, m.current_signal, m.whole) for m in months] == [
        (10, "red", "amber", True), (70, "red", "amber", True), (270, "green", "green", False),
    ]  # fmt: skip
    assert months[-1].expected == assessment.expected
    assert months[1].expected == Fraction(2000, 12)


def test_every_rule_has_both_texts_with_the_plans_thresholds() -> None:
    assert all(text.zh != text.en for text in (*RULES.values(), *OUTLOOKS.values()))
    basis, assessment = stand("1.1.a", "2025-06-30", 1, plan=LAKESIDE.id)
    pace = cell_pace(basis, assessment)
    assert pace is not None
    assert "70" in pace["rule"]["zh"]
    assert "70" in pace["rule"]["en"]


DAYS = st.integers(0, 1095).map(lambda days: date(2023, 1, 1) + timedelta(days=days))
WEIGHTS = st.lists(st.integers(0, 9), min_size=36, max_size=36)
GOALS = st.builds(
    Goal,
    st.sampled_from([">=", ">", "range", "all"]),
    st.integers(1, 3000).map(Fraction),
    st.just(Fraction(0)),
    st.builds(IndicatorKind, level=st.booleans(), keeps=st.booleans()),
)
ORDER: dict[Signal, int] = {"red": 0, "amber": 1, "green": 2, "met": 3}


@given(GOALS, WEIGHTS, DAYS, DAYS)
def test_expected_never_falls_as_time_goes_by(goal: Goal, weights: list[int], day_a: date, day_b: date) -> None:
    course = Course(date(2023, 1, 1), date(2025, 12, 31), weights)
    early, late = sorted((day_a, day_b))
    assert 0 <= goal.expected(course, early) <= goal.expected(course, late) <= goal.value
    assert goal.expected(course, course.last) == goal.value
    assert course.months_left(early) >= course.months_left(late) >= 0


@given(GOALS, WEIGHTS, DAYS, st.integers(0, 4000), st.integers(0, 4000))
def test_a_signal_never_improves_by_removing_facts(
    goal: Goal, weights: list[int], day: date, count_a: int, count_b: int
) -> None:
    """Whatever adds up; `all` cannot pass its number (RULES E9)."""
    course = Course(date(2023, 1, 1), date(2025, 12, 31), weights)
    few, many = sorted((count_a, count_b))
    if goal.op == "all":
        few, many = (min(Fraction(value), goal.value) for value in (few, many))  # type: ignore[assignment]
    worse, _ = signal_of(goal, Fraction(few), course, day, Pace())
    better, _ = signal_of(goal, Fraction(many), course, day, Pace())
    assert ORDER[worse] <= ORDER[better]


@given(WEIGHTS, DAYS, st.fractions(Fraction(1, 1000), 200))
def test_the_day_by_which_so_much_is_gone_is_the_first_one(weights: list[int], day: date, more: Fraction) -> None:
    course = Course(date(2023, 1, 1), date(2025, 12, 31), weights)
    reached = course.day_when(day, more)
    if reached is None:
        assert course.total - course.gone(day) < more
    else:
        assert course.gone(reached) - course.gone(day) >= more
        before = reached - timedelta(days=1)
        assert before <= day or course.gone(before) - course.gone(day) < more


@pytest.mark.parametrize("plan", [SHAOXING, LAKESIDE], ids=lambda plan: str(plan.id))
def test_expected_is_what_a_count_day_by_day_says(plan: Plan) -> None:
    for number in range(0, 1200, 171):
        day = plan.period.first + timedelta(days=number)
        basis = AssessmentBasis(plan, COMPILED, Targets(plan), {}, Scope(day, NOW))
        for _, indicator in plan.indicators.values():
            for period in periods_of(plan, indicator, day):
                for district in (None, *indicator.district_targets):
                    expected = basis.assess(indicator, period, district).expected
                    assert expected == due(plan, indicator, district, str(period), day), (indicator.id, day)


@given(DAYS, DAYS)
def test_months_cover_each_day_once(day_a: date, day_b: date) -> None:
    first, last = sorted((day_a, day_b))
    months = months_between(first, last)
    assert sum((end - begin).days + 1 for begin, end in months) == (last - first).days + 1


@pytest.mark.parametrize("op", [">=", ">", "range", "all", "="])
def test_exactly_what_is_wanted_is_met_except_where_more_is_wanted(op: Op) -> None:
    assert Goal(op, Fraction(10)).met_by(Fraction(10)) is (op != ">")
