"""What the progress answer says of sums: values, targets, what is met, what cannot be computed; RULES E by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.targets import Targets
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE, month_number
from services.projection.queries.target_progress import progress
from shared.plan.loading import load_plan
from tests.harness.cells import sums_of

ROOT = Path(__file__).parents[2]
PLAN = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
OTHER = load_plan(ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
COMPILED = CompiledPlans([PLAN, OTHER])
NOW = datetime(2025, 6, 1, tzinfo=UTC)
YUECHENG, KEQIAO, CITY = "330602", "330603", "330600"
SIX = ["330602", "330603", "330604", "330624", "330681", "330683"]
Sums = Mapping[tuple[str, Part, int, str], int]  # (indicator, part, period, district)


def ask(
    sums: Sums, indicator: str, plan: str = PLAN.id, as_of: date = date(2025, 6, 1), district: str | None = None
) -> list[dict[str, Any]]:
    """Return the periods of one indicator, given the sums of its cells."""
    cells: dict[tuple[int, int, int, str], dict[int, int]] = {}
    for (id_, part, period, code), value in sums.items():
        lines = COMPILED.of_indicator[plan, id_]
        line = next((line for line in lines if line.part is part), lines[0])
        month = month_number(as_of) if period == WHOLE else 12 * period
        cells[line.number, int(part), period, code] = {month: value}
    policy = COMPILED.plans[plan]
    basis = AssessmentBasis(policy, COMPILED, Targets(policy), sums_of(policy, cells), Scope(as_of, NOW, district))
    row = next(row for row in progress(basis)["indicators"] if row["id"] == indicator)
    return [dict(period) for period in row["periods"]]


def hired(year: int, count: int, district: str = YUECHENG) -> dict[tuple[str, Part, int, str], int]:
    return {("4.1.b", Part.NUM, year, district): count}


def test_an_annual_indicator_lists_each_year_that_has_begun() -> None:
    periods = ask(hired(2023, 7) | hired(2024, 1000), "4.1.b", as_of=date(2024, 1, 1))
    assert [(row["period"], row["from"], row["to"], row["value"]) for row in periods] == [
        ("2023", "2023-01-01", "2023-12-31", 7),
        ("2024", "2024-01-01", "2024-12-31", 1000),
    ]
    assert [row["met"] for row in periods] == [False, True]


def test_before_the_plan_no_year_has_begun_and_the_whole_is_empty() -> None:
    assert ask({}, "4.1.b", as_of=date(2022, 12, 31)) == []
    whole = ask({}, "1.1.a", as_of=date(2022, 12, 31))
    assert [(row["period"], row["value"]) for row in whole] == [("plan", 0)]


def test_an_answer_has_every_field_of_the_contract() -> None:
    (result,) = ask(hired(2023, 500), "4.1.b", as_of=date(2023, 5, 1))
    pace = result.pop("pace")
    assert result == {
        "period": "2023",
        "from": "2023-01-01",
        "to": "2023-12-31",
        "value": 500,
        "numerator": 500,
        "denominator": None,
        "target": {"op": ">=", "value": 1000, "upper": None},
        "met": False,
        "progress": 0.5,
        "exceeds": False,
        "expected": pytest.approx(1000 * (4 + 1 / 31) / 12),
        "signal": "green",
        "computable": True,
    }
    assert (pace["rule"]["id"], pace["clause"], pace["thresholds"]["amber_percent"]) == ("on-pace", "4.1", 80)
    assert pace["gap"] == pytest.approx(500 - result["expected"])


def test_more_than_is_strict() -> None:
    def met(count: int) -> bool:
        sums = {("1.3.b", Part.NUM, 2024, KEQIAO): count}
        return bool(ask(sums, "1.3.b", as_of=date(2024, 12, 31))[1]["met"])

    assert [met(1999), met(2000), met(2001)] == [False, False, True]


@pytest.mark.parametrize(
    ("count", "met", "exceeds"), [(1, False, False), (2, True, False), (3, True, False), (4, True, True)]
)
def test_a_range_is_met_from_its_lower_bound_and_exceeded_above_the_upper(count: int, met: bool, exceeds: bool) -> None:
    result = ask({("2.3.a", Part.NUM, WHOLE, CITY): count}, "2.3.a")[0]
    assert (result["met"], result["exceeds"], result["progress"]) == (met, exceeds, count / 2)
    assert result["target"] == {"op": "range", "value": 2, "upper": 3}


def test_all_means_as_many_as_are_listed() -> None:
    result = ask({("3.1.a", Part.NUM, WHOLE, CITY): 8}, "3.1.a")[0]
    assert result["target"] == {"op": "all", "value": 8, "upper": None}
    assert (result["met"], result["progress"]) == (True, 1)
    assert ask({("3.1.a", Part.NUM, WHOLE, CITY): 7}, "3.1.a")[0]["met"] is False


def test_a_share_is_the_sum_of_numerators_over_the_sum_of_denominators() -> None:
    sums = {
        ("1.1.e", Part.NUM, WHOLE, YUECHENG): 35, ("1.1.e", Part.DEN, WHOLE, YUECHENG): 100,
        ("1.1.e", Part.NUM, WHOLE, KEQIAO): 0, ("1.1.e", Part.DEN, WHOLE, KEQIAO): 1,
    }  # fmt: skip
    city = ask(sums, "1.1.e")[0]
    assert (city["numerator"], city["denominator"], city["met"]) == (35, 101, False)
    assert city["value"] == pytest.approx(34.653465346, abs=1e-9)
    assert ask(sums, "1.1.e", district=YUECHENG)[0]["value"] == 35


def test_a_share_is_compared_exactly_not_as_it_is_rounded() -> None:
    big = 10**17
    sums = {("5.2.b", Part.NUM, WHOLE, KEQIAO): 3 * big, ("5.2.b", Part.DEN, WHOLE, KEQIAO): 10 * big}
    assert ask(sums, "5.2.b")[0]["met"] is False
    sums["5.2.b", Part.NUM, WHOLE, KEQIAO] += 1
    result = ask(sums, "5.2.b")[0]
    assert result["value"] == 30
    assert result["met"] is True


def test_without_a_denominator_a_share_is_not_computable() -> None:
    result = ask({("2.4.d", Part.NUM, WHOLE, KEQIAO): 0, ("2.4.d", Part.DEN, WHOLE, KEQIAO): 0}, "2.4.d")[0]
    assert (result["computable"], result["value"], result["met"], result["progress"]) == (False, None, None, None)


def test_the_city_itself_has_no_denominators() -> None:
    sums = {("3.2.b", Part.NUM, WHOLE, CITY): 1, ("3.2.b", Part.DEN, WHOLE, CITY): 1}
    result = ask(sums, "3.2.b", district=CITY)[0]
    assert (result["computable"], result["value"], result["numerator"]) == (False, None, 1)
    assert ask(sums, "3.2.b")[0]["value"] == 100


def test_the_density_needs_the_population_of_each_of_the_six() -> None:
    sums = {("2.4.c", Part.DEN, WHOLE, code): 10_000 for code in SIX} | {
        ("2.4.c", Part.NUM, WHOLE, YUECHENG): 100, ("2.4.c", Part.NUM, WHOLE, CITY): 62,
    }  # fmt: skip
    result = ask(sums, "2.4.c")[0]
    assert (result["value"], result["met"]) == (27, True)
    del sums["2.4.c", Part.DEN, WHOLE, KEQIAO]
    assert ask(sums, "2.4.c")[0]["computable"] is False
    assert ask(sums, "2.4.c", district=YUECHENG)[0]["value"] == 100


def test_a_district_has_no_target_unless_the_plan_gives_it_one() -> None:
    result = ask(hired(2023, 5000), "4.1.b", as_of=date(2023, 5, 1), district=YUECHENG)[0]
    assert (result["target"], result["met"], result["progress"]) == (None, None, None)
    sums = {("1.1.a", Part.NUM, 2024, "110101"): 1}
    own = ask(sums, "1.1.a", plan=OTHER.id, as_of=date(2024, 3, 1), district="110101")[0]
    assert own["target"] == {"op": ">=", "value": 2, "upper": None}
    assert own["progress"] == 0.5


def test_monitored_indicators_have_values_and_no_target() -> None:
    result = ask({("2.2.a", Part.NUM, WHOLE, KEQIAO): -5}, "2.2.a")[0]
    assert (result["value"], result["target"], result["met"], result["progress"]) == (-5, None, None, None)


def test_another_plan_has_its_own_years_and_targets() -> None:
    periods = ask({}, "1.1.a", plan=OTHER.id, as_of=date(2026, 5, 1))
    assert [(row["from"], row["to"]) for row in periods] == [
        ("2024-02-01", "2024-12-31"),
        ("2025-01-01", "2025-12-31"),
        ("2026-01-01", "2026-01-31"),
    ]
    assert ask({}, "1.1.b", plan=OTHER.id)[0]["target"] == {"op": ">", "value": 12.5, "upper": None}


def test_a_report_moves_its_own_rows_and_the_others_are_given_again() -> None:
    policy = COMPILED.plans[PLAN.id]
    targets, scope = Targets(policy), Scope(date(2025, 6, 1), NOW)
    (hires,), (others,) = (COMPILED.of_indicator[PLAN.id, id_][:1] for id_ in ("4.1.b", "1.1.a"))

    def rows(targets: Targets, hired: int, scope: Scope = scope) -> dict[str, Any]:
        cells = {
            (hires.number, int(Part.NUM), 2024, YUECHENG): {12 * 2024: hired},
            (others.number, int(Part.NUM), WHOLE, KEQIAO): {12 * 2024: 9},
        }
        table = progress(AssessmentBasis(policy, COMPILED, targets, sums_of(policy, cells), scope))
        return {row["id"]: row for row in table["indicators"]}

    before, after, again = rows(targets, 1), rows(targets, 2), rows(targets, 1)
    for table, hired in ((before, 1), (after, 2), (again, 1)):
        assert table == rows(Targets(policy), hired), "what would be said without anything kept"
    assert [id_ for id_, row in after.items() if row is not before[id_]] == ["4.1.b"]
    for other in (Scope(date(2024, 3, 1), NOW), Scope(date(2025, 6, 1), NOW, KEQIAO), Scope(date(2025, 6, 2), NOW)):
        assert rows(targets, 1, other) == rows(Targets(policy), 1, other)
