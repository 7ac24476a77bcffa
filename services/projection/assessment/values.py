"""The value of a cell at the end of each month, computed from its sums, or that there is none; pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Final, NamedTuple, assert_never

from services.projection.assessment.pace import Goal, IndicatorKind
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import month_number
from shared.plan.model import (
    Count,
    Coverage,
    Distinct,
    Indicator,
    Latest,
    Milestones,
    Plan,
    Ratio,
    Selector,
    Sum,
    Target,
    Value,
)

Amounts = Sequence[int]  # what came before the plan, then what each of its months adds, up to the day asked for
Sums = Mapping[tuple[int, int, int], Mapping[str, Amounts]]  # (line, part, period), then by district
_NOTHING: Final = (0,)


class Worth(NamedTuple):
    """The value of a cell with its numerator and denominator; None where it cannot be computed (RULES E10, E25)."""

    numerator: int
    denominator: int
    value: Fraction | None


class Cell:
    """An indicator of a plan in one period, for one district or the whole, at the end of any month up to the day."""

    def __init__(
        self, plan: Plan, compiled: CompiledPlans, indicator: Indicator, period: int, district: str | None, sums: Sums
    ) -> None:
        self._indicator = indicator
        of_city = {each.code for each in plan.districts if each.city}
        self._computable = not indicator.is_ratio or district not in of_city
        self._before = month_number(plan.period.first) - 1
        self._parts: list[Sequence[int]] = [_NOTHING, _NOTHING]
        lines = compiled.of_indicator[plan.id, indicator.id]
        for line in lines:
            for part in Part:
                by_district = sums.get((line.number, part, period), {})
                if own := [amounts for code, amounts in by_district.items() if district in (None, code)]:
                    self._parts[part] = _running(own)
        self._each: list[Sequence[int]] = []
        if _needs_each(indicator):
            codes = [district] if district else [each.code for each in plan.districts if not each.city]
            by_district = sums.get((lines[-1].number, Part.DEN, period), {})
            self._each = [_running([by_district[code]]) if code in by_district else _NOTHING for code in codes]

    def at(self, month: int | None = None) -> Worth:
        """Return its value at the end of a month by its number; without one, on the day of the scope."""
        place = None if month is None else month - self._before
        numerator = _until(self._parts[Part.NUM], place)
        if not self._indicator.is_ratio:
            return Worth(numerator, 0, Fraction(numerator))
        denominator = _until(self._parts[Part.DEN], place)
        computable = self._computable and denominator > 0 and all(_until(each, place) > 0 for each in self._each)
        value = Fraction(self._indicator.factor * numerator, denominator) if computable else None
        return Worth(numerator, denominator, value)


def _running(own: Sequence[Amounts]) -> list[int]:
    return list(accumulate(map(sum, zip(*own, strict=True)), initial=0))


def _until(running: Sequence[int], place: int | None) -> int:
    return running[-1] if place is None else running[min(max(place + 1, 0), len(running) - 1)]


def _needs_each(indicator: Indicator) -> bool:
    match indicator.value:
        case Ratio(denominator=Latest(each_district=each)):
            return each
        case Count() | Distinct() | Sum() | Latest() | Milestones() | Ratio() | Coverage():
            return False
        case _:
            assert_never(indicator.value)


def indicator_kind(indicator: Indicator) -> IndicatorKind:
    """Return what kind of number an indicator is."""
    most = _most(indicator.value)
    return IndicatorKind(
        level=indicator.basis == "level",
        counted=not indicator.is_ratio,
        keeps=not any(selector.until for selector in _selectors(indicator.value)),
        most=None if most is None else Fraction(most),
    )


def _most(value: Value) -> int | None:
    """Return what a value cannot pass."""
    match value:
        case Coverage() | Ratio(kind="share"):
            return value.factor
        case Milestones():
            return len(value.each)
        case Count() | Distinct() | Sum() | Latest() | Ratio():
            return None
        case _:
            assert_never(value)


def goal_of(indicator: Indicator, target: Target) -> Goal:
    """Return what a target asks for; `all` N means N of N, a range its lower bound (RULES E18)."""
    baseline = Fraction(target.baseline) if target.baseline is not None else Fraction(0)
    return Goal(target.op, Fraction(goal_value(indicator, target)), baseline, indicator_kind(indicator))


def goal_value(indicator: Indicator, target: Target) -> Decimal:
    """Return the number that a target is about."""
    if target.value is not None:
        return target.value
    assert isinstance(indicator.value, Milestones)  # noqa: S101 - the plan's loader sees to it
    return Decimal(len(indicator.value.each))


def _selectors(value: Value) -> Iterable[Selector]:
    match value:
        case Count() | Distinct() | Sum():
            yield from value.of
        case Latest():
            yield value.of
        case Milestones():
            for milestone in value.each:
                yield from milestone.of
        case Ratio():
            yield from _selectors(value.numerator)
            yield from _selectors(value.denominator)
        case Coverage():
            yield from _selectors(value.registered)
            yield from value.covered.of
        case _:
            assert_never(value)
