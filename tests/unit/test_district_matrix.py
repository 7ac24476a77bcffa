"""Every district in every indicator: its own targets, and what a share of one that is not split would be."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.targets import Targets
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE, month_number
from services.projection.queries.district_matrix import Matrix, district_matrix
from shared.plan.loading import load_plan
from tests.conftest import ROOT
from tests.harness.cells import sums_of

PLAN = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
COMPILED = CompiledPlans([PLAN])
SIX = ("330602", "330603", "330604", "330624", "330681", "330683")
POPULATION = dict(zip(SIX, (300, 200, 200, 100, 150, 50), strict=True))


def matrix_of(sums: Mapping[tuple[str, Part, int, str], int]) -> Matrix:
    """Return the matrix at the end of June 2025, given what had come by that month."""
    cells = {}
    for (id_, part, period, code), amount in sums.items():
        line = next(line for line in COMPILED.of_indicator[PLAN.id, id_] if line.part is part)
        cells[line.number, int(part), period, code] = {month_number(date(2025, 6, 1)): amount}
    scope = Scope(date(2025, 6, 30), datetime(2025, 7, 1, tzinfo=UTC))
    return district_matrix(AssessmentBasis(PLAN, COMPILED, Targets(PLAN), sums_of(PLAN, cells), scope))


def cell_of(matrix: Matrix, indicator: str, district: str) -> Any:
    row = next(row for row in matrix["indicators"] if row["id"] == indicator)
    return next(cell for cell in row["districts"] if cell["district"] == district)


def test_where_a_target_is_not_split_each_district_has_an_equal_share_to_go_by_and_no_signal() -> None:
    matrix = matrix_of({("4.1.b", Part.NUM, 2025, "330602"): 90, ("4.1.b", Part.NUM, 2025, "330681"): 10})
    assert matrix["shared_by"]["by"] == "equal"
    assert {*matrix["shared_by"]["shares"]} == {*SIX}
    own = cell_of(matrix, "4.1.b", "330602")
    assert (own["target"], own["signal"]) == (None, "none")
    # 1,000 a year: a sixth of it, and half of that by the end of June.
    assert own["indicative"]["target"] == float(Fraction(1000, 6))
    assert own["indicative"]["expected"] == float(Fraction(1000, 12))
    assert own["indicative"]["ratio"] > 1 > cell_of(matrix, "4.1.b", "330681")["indicative"]["ratio"]
    assert cell_of(matrix, "4.1.b", "330600")["indicative"] is None, "the city's own bodies have no share"
    whole = next(row["whole"] for row in matrix["indicators"] if row["id"] == "4.1.b")
    assert (whole["value"], whole["signal"], whole["indicative"]) == (100, "red", None)


def test_once_every_district_has_reported_its_population_shares_are_made_by_it() -> None:
    population = {("2.4.c", Part.DEN, WHOLE, code): people for code, people in POPULATION.items()}
    matrix = matrix_of(population)
    shared_by = matrix["shared_by"]
    assert (shared_by["by"], shared_by["indicator"]) == ("population", "2.4.c")
    assert shared_by["shares"]["330602"] == 0.3
    assert sum(shared_by["shares"].values()) == 1
    assert cell_of(matrix, "4.1.b", "330602")["indicative"]["target"] == 300
    # A ratio is the same everywhere; what does not go round has no share.
    assert cell_of(matrix, "2.4.c", "330602")["indicative"]["target"] == 27
    assert cell_of(matrix, "1.1.a", "330602")["indicative"] is None


def test_a_district_says_how_many_targets_are_not_split_to_it_and_in_how_many_it_is_below_its_share() -> None:
    standing = {row["code"]: row for row in matrix_of({("4.1.b", Part.NUM, 2025, "330602"): 90})["districts"]}
    busy, idle = standing["330602"], standing["330681"]
    assert not any(busy["signals"].values())
    assert busy["unsplit"] == idle["unsplit"] > busy["indicative"] > busy["below"]
    assert idle["below"] == busy["below"] + 1
    assert (standing["330600"]["city"], standing["330600"]["unsplit"]) == (True, 0)
