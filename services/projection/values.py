"""Decides what the sums of a cell come to, month by month: a value, or that none can be computed: pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Final, NamedTuple

from services.projection.chart import WHOLE, Chart, Part
from services.projection.pace import Goal, Kind
from shared.plan import Amount, Coverage, Distinct, Indicator, Latest, Milestones, Plan, Ratio, Selector, Sum, Target
from shared.plan import Count as CountOf

WHOLE_CITY: Final = ""  # stands for the district where all of them are meant
Key = tuple[int, int, int, str]  # (line, part, period, district or the whole)
Sums = Mapping[Key, tuple[Sequence[int], Sequence[int]]]  # months by number, rising, and what each of them adds
_Running = tuple[Sequence[int], Sequence[int]]
_NOTHING: Final[_Running] = ((), (0,))


class Worth(NamedTuple):
    """What a cell is worth at a time; `value` is None where it cannot be computed (RULES E10, E25)."""

    numerator: int
    denominator: int
    value: Fraction | None


class Cell:
    """An indicator of a plan in one period, for one district or the whole, at the end of any month up to the day."""

    def __init__(
        self, plan: Plan, chart: Chart, indicator: Indicator, period: int, district: str | None, sums: Sums
    ) -> None:
        self._indicator = indicator
        of_city = {one.code for one in plan.districts if one.city}
        self._computable = not indicator.is_ratio or district not in of_city
        self._parts = [_NOTHING, _NOTHING]
        self._each: list[_Running] = []
        lines = chart.of_indicator[plan.id, indicator.id]
        for line in lines:
            for part in Part:
                if own := sums.get((line.number, part, period, district or WHOLE_CITY)):
                    self._parts[part] = _running(own)
        if _needs_each(indicator):
            codes = [district] if district else [one.code for one in plan.districts if not one.city]
            self._each = [_running(sums.get((lines[-1].number, Part.DEN, period, code), ((), ()))) for code in codes]

    def at(self, month: int | None = None) -> Worth:
        """Return what it is worth at the end of a month by its number; left out: on the day that was asked for."""
        numerator = _until(self._parts[Part.NUM], month)
        if not self._indicator.is_ratio:
            return Worth(numerator, 0, Fraction(numerator))
        denominator = _until(self._parts[Part.DEN], month)
        computable = self._computable and denominator > 0 and all(_until(each, month) > 0 for each in self._each)
        value = Fraction(self._indicator.factor * numerator, denominator) if computable else None
        return Worth(numerator, denominator, value)


def _running(own: tuple[Sequence[int], Sequence[int]]) -> _Running:
    return own[0], list(accumulate(own[1], initial=0))


def _until(running: _Running, month: int | None) -> int:
    months, totals = running
    return totals[-1] if month is None else totals[bisect_right(months, month)]


def _needs_each(indicator: Indicator) -> bool:
    value = indicator.value
    return isinstance(value, Ratio) and isinstance(value.denominator, Latest) and value.denominator.each_district


def month_number(day: date) -> int:
    """Return the number of a day's month, counted from the year 0."""
    return day.year * 12 + day.month - 1


def periods_of(plan: Plan, indicator: Indicator, as_of: date) -> list[int]:
    """Return the periods that have begun: the plan's years for what is annual, else the whole (RULES E13)."""
    if indicator.basis != "annual":
        return [WHOLE]
    return [year for year in plan.years if max(plan.period.first, date(year, 1, 1)) <= as_of]


def running_period(plan: Plan, indicator: Indicator, as_of: date) -> int | None:
    """Return the period that runs on a day, else the last one before it; None before the first year."""
    begun = periods_of(plan, indicator, as_of)
    return begun[-1] if begun else None


def bounds(plan: Plan, period: int) -> tuple[date, date]:
    """Return the first and the last day of a period."""
    if period == WHOLE:
        return plan.period.first, plan.period.last
    return max(plan.period.first, date(period, 1, 1)), min(plan.period.last, date(period, 12, 31))


def kind_of(indicator: Indicator) -> Kind:
    """Return what kind of number an indicator is."""
    value = indicator.value
    most = None
    if isinstance(value, Coverage) or (isinstance(value, Ratio) and value.kind == "share"):
        most = value.factor
    elif isinstance(value, Milestones):
        most = len(value.each)
    return Kind(
        level=indicator.basis == "level",
        counted=not indicator.is_ratio,
        keeps=not any(selector.until for selector in _selectors(value)),
        most=None if most is None else Fraction(most),
    )


def goal_of(indicator: Indicator, target: Target) -> Goal:
    """Return what a target asks for; `all` N means N of N, a range its lower bound (RULES E18)."""
    baseline = Fraction(target.baseline) if target.baseline is not None else Fraction(0)
    return Goal(target.op, Fraction(goal_value(indicator, target)), baseline, kind_of(indicator))


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
