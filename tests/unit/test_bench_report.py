"""A row of the bench says what its rounds have measured, however little that was."""

from tests.bench.meter import Section
from tests.bench.report import BenchRow

FLOOR = Section(1000, 1.0, {"floor": 0.5})
OURS = Section(1000, 1.0, {"worker": 1.0})
TOO_SHORT = Section(1000, 0.001, {"worker": 0.0})  # the clock of processor time moves by hundredths of a second


def test_a_round_too_short_to_have_cost_anything_leaves_the_ratio_to_the_others() -> None:
    assert BenchRow("row", "facts", [TOO_SHORT, OURS], [FLOOR, FLOOR]).ratio_by_cpu() == 0.5


def test_without_a_round_that_cost_anything_there_is_no_ratio() -> None:
    assert BenchRow("row", "facts", [TOO_SHORT], [FLOOR]).ratio_by_cpu() is None
    assert BenchRow("row", "facts", [OURS]).ratio_by_cpu() is None
