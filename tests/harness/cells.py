"""Sums of cells as the read side keeps them, made of what some months add."""

from collections.abc import Mapping

from services.projection.assessment.values import Sums
from services.projection.counting.periods import month_number, place_of
from shared.plan.model import Plan


def sums_of(plan: Plan, cells: Mapping[tuple[int, int, int, str], Mapping[int, int]]) -> Sums:
    """Return the sums of cells (line, part, period, district), given what months by their numbers add."""
    last, before = place_of(plan, plan.period.last), month_number(plan.period.first) - 1
    sums: dict[tuple[int, int, int], dict[str, list[int]]] = {}
    for (*key, district), months in cells.items():
        line, part, period = key
        amounts = sums.setdefault((line, part, period), {}).setdefault(district, [0] * (last + 1))
        for month, amount in months.items():
            amounts[min(max(month - before, 0), last)] += amount
    return sums
