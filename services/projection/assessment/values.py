"""Decides what the sums of a cell come to, month by month: a value, or that none can be computed: pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Final, NamedTuple

from services.projection.assessment.pace import Goal, IndicatorKind
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import month_number
from shared.plan.model import (
    Amount,
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
)
from shared.plan.model import Count as CountOf

Amounts = Sequence[int]  # what came before the plan, then what each of its months adds, up to the day asked for
Sums = Mapping[tuple[int, int, int], Mapping[str, Amounts]]  # (line, part, period), then by district
_NOTHING: Final = (0,)


class Worth(NamedTuple):
    """What a cell is worth at a time; `value` is None where it cannot be computed (RULES E10, E25)."""

    numerator: int
    denominator: int
    value: Fraction | None


class Cell:
    """An indicator of a plan in one period, for one district or the whole, at the end of any month up to the day."""

    def __init__(
        self, plan: Plan, compiled: CompiledPlans, indicator: Indicator, period: int, district: str | None, sums: Sums
    ) -> None:
        self._indicator = indicator
        of_city = {one.code for one in plan.districts if one.city}
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
            codes = [district] if district else [one.code for one in plan.districts if not one.city]
            by_district = sums.get((lines[-1].number, Part.DEN, period), {})
            self._each = [_running([by_district[code]]) if code in by_district else _NOTHING for code in codes]

    def at(self, month: int | None = None) -> Worth:
        """Return what it is worth at the end of a month by its number; left out: on the day that was asked for."""
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
    value = indicator.value
    return isinstance(value, Ratio) and isinstance(value.denominator, Latest) and value.denominator.each_district


def indicator_kind(indicator: Indicator) -> IndicatorKind:
    """Return what kind of number an indicator is."""
    value = indicator.value
    most = None
    if isinstance(value, Coverage) or (isinstance(value, Ratio) and value.kind == "share"):
        most = value.factor
    elif isinstance(value, Milestones):
        most = len(value.each)
    return IndicatorKind(
        level=indicator.basis == "level",
        counted=not indicator.is_ratio,
        keeps=not any(selector.until for selector in _selectors(value)),
        most=None if most is None else Fraction(most),
    )


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


_Value = CountOf | Distinct | Sum | Latest | Milestones | Ratio | Coverage


def _selectors(value: _Value) -> Iterable[Selector | Amount]:
    match value:
        case CountOf() | Distinct() | Sum():
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
