"""Assesses the numbers of a plan on a day: value, target in force, expected value, signal, forecast; pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from services.planning.targets_in_force import TargetInForce
from services.projection.assessment.pace import (
    Course,
    Done,
    Forecast,
    Goal,
    Signal,
    course_of,
    forecast,
    full_months,
    length_of,
    made_up,
    months_between,
    signal_of,
    still_needed,
)
from services.projection.assessment.targets import Targets, weights_of
from services.projection.assessment.values import Cell, Sums, Worth, goal_of, indicator_kind
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.periods import WHOLE, bounds, month_number, running_period
from shared.plan.model import Indicator, Measure, Plan


@dataclass(frozen=True, slots=True)
class Scope:
    """The day, the instant and the district that a number is for; without district the whole (RULES E1, E19)."""

    as_of: date
    known_at: datetime
    district: str | None = None


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """A cell at the end of a month, or on the day of the scope where that is earlier.

    `current_signal`: amber where the month ended red and was made up since.
    """

    first: date
    last: date
    whole: bool
    worth: Worth
    expected: Fraction | None
    signal: Signal
    current_signal: Signal


@dataclass(slots=True)
class Assessment:
    """One cell on a day: `goal` and what follows from it are None without a target."""

    plan: Plan
    indicator: Indicator
    period: int
    district: str | None
    day: date
    cell: Cell
    worth: Worth
    target: TargetInForce | None
    goal: Goal | None
    course: Course
    expected: Fraction | None
    signal: Signal
    rule: str | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one, or without a value (RULES E17)."""
        value = self.worth.value
        return None if self.goal is None or value is None else self.goal.met_by(value)

    @property
    def progress(self) -> Fraction | None:
        """The value divided by that of the target, not capped (RULES E17)."""
        value = self.worth.value
        return value / self.goal.value if self.goal and self.goal.value and value is not None else None

    @property
    def gap(self) -> Fraction | None:
        """The value less the expected one; negative where it is behind."""
        value = self.worth.value
        return None if self.expected is None or value is None else value - self.expected

    @property
    def share_of_expected(self) -> Fraction | None:
        """The value divided by the expected one."""
        value = self.worth.value
        return value / self.expected if self.expected and value is not None else None

    @property
    def needed_per_month(self) -> Fraction | None:
        """What each month that is left must add for the target to be met; None without one."""
        return still_needed(self.goal, self.worth.value, self.course, self.day) if self.goal else None


@dataclass(frozen=True, slots=True)
class AssessmentBasis:
    """All that numbers are assessed by: a plan, its targets, and sums by month up to the day of the scope."""

    plan: Plan
    compiled: CompiledPlans
    targets: Targets
    sums: Sums
    scope: Scope
    _cells: dict[tuple[str, int, str | None], Cell] = field(default_factory=dict)

    def cell(self, indicator: Indicator, period: int, district: str | None) -> Cell:
        """Return a cell with its sums by month."""
        key = (indicator.id, period, district)
        if key not in self._cells:
            self._cells[key] = Cell(self.plan, self.compiled, indicator, period, district, self.sums)
        return self._cells[key]

    def assess(self, indicator: Indicator, period: int, district: str | None) -> Assessment:
        """Assess one cell on the day."""
        day = self.scope.as_of
        cell = self.cell(indicator, period, district)
        worth = cell.at()
        target = self._target(indicator, period, district)
        course = self._course(indicator, period, target)
        if target is None:
            return Assessment(
                self.plan, indicator, period, district, day, cell, worth, None, None, course, None, "none", None
            )  # fmt: skip
        goal = goal_of(indicator, target.target)
        signal, rule = signal_of(goal, worth.value, course, day, self.plan.pace)
        return Assessment(
            self.plan, indicator, period, district, day, cell, worth, target, goal, course,
            goal.expected(course, day), signal, rule,
        )  # fmt: skip

    def running(self, indicator: Indicator, district: str | None, aimed: bool = False) -> Assessment | None:
        """Assess an indicator in the period that runs on the day, else in the last before it; None before the first.

        `aimed`: None without a target, too.
        """
        period = running_period(self.plan, indicator, self.scope.as_of)
        if period is None or (aimed and self._target(indicator, period, district) is None):
            return None
        return self.assess(indicator, period, district)

    def all_running(self, district: str | None, aimed: bool = False) -> Iterator[tuple[Measure, Assessment]]:
        """Assess every indicator in its running period."""
        for measure, indicator in self.plan.indicators.values():
            if (assessment := self.running(indicator, district, aimed)) is not None:
                yield measure, assessment

    def forecast(self, assessment: Assessment) -> Forecast:
        """Return what a cell will be worth at the end of its period."""
        return forecast(
            indicator_kind(assessment.indicator),
            assessment.goal,
            assessment.worth.value,
            self._done(assessment),
            assessment.course,
            assessment.day,
        )

    def months(self, assessment: Assessment) -> list[MonthEnd]:
        """Return every month of a cell's period that has begun, each assessed on its last day.

        By what is known at the instant of the scope, against the target in force on that last day.
        """
        first, last = bounds(self.plan, assessment.period)
        bounds_of_months = months_between(first, min(last, assessment.day))
        months = [self._month_end(assessment, begin, end) for begin, end in bounds_of_months]
        signals = made_up([month.signal for month in months])
        return [replace(month, current_signal=signal) for month, signal in zip(months, signals, strict=True)]

    def red_since(self, assessment: Assessment) -> date | None:
        """Return the first day of the month from whose end on a cell that is red has been so; None where it is not."""
        if assessment.signal != "red":
            return None
        since = assessment.day.replace(day=1)
        for month in reversed(self.months(assessment)):
            if month.signal != "red":
                break
            since = month.first
        return since

    def month_before(self, assessment: Assessment, month: date) -> MonthEnd | None:
        """Return a cell at the end of the month before another; None where its period had not begun."""
        first, last = bounds(self.plan, assessment.period)
        end = min(month.replace(day=1) - timedelta(days=1), last)
        return None if end < first else self._month_end(assessment, max(first, end.replace(day=1)), end)

    def _month_end(self, assessment: Assessment, begin: date, end: date) -> MonthEnd:
        indicator, period = assessment.indicator, assessment.period
        worth = assessment.cell.at(month_number(begin))
        target = self.targets.target(indicator.id, assessment.district, period, end, self.scope.known_at)
        expected: Fraction | None = None
        signal: Signal = "none"
        if target is not None:
            goal, course = goal_of(indicator, target.target), self._course(indicator, period, target)
            expected = goal.expected(course, end)
            signal, _ = signal_of(goal, worth.value, course, end, self.plan.pace)
        whole = end == bounds(self.plan, period)[1] or end.day == length_of(end)
        return MonthEnd(begin, end, whole, worth, expected, signal, signal)

    def _done(self, assessment: Assessment) -> list[Done]:
        """Return what the last full months added, also of the year before for what is annual; nothing of a ratio."""
        indicator, plan = assessment.indicator, self.plan
        first, last = bounds(plan, assessment.period)
        if assessment.day >= last or indicator.is_ratio:
            return []
        adds = indicator_kind(indicator).adds
        full = full_months(plan.period.first if adds else first, plan.period.last, assessment.day)
        done = []
        for begin in full[-plan.pace.forecast_months :]:
            month = month_number(begin)
            cell, load = assessment.cell, Fraction(1)
            if adds:
                period = begin.year if indicator.basis == "annual" else WHOLE
                course = assessment.course if period == assessment.period else self._course(indicator, period, None)
                cell = self.cell(indicator, period, assessment.district)
                load = course.months[month - month_number(course.first)].load
            done.append(Done(Fraction(cell.at(month).numerator - cell.at(month - 1).numerator), load))
        return done

    def _target(self, indicator: Indicator, period: int, district: str | None) -> TargetInForce | None:
        last = bounds(self.plan, period)[1]
        return self.targets.target(indicator.id, district, period, min(self.scope.as_of, last), self.scope.known_at)

    def _course(self, indicator: Indicator, period: int, target: TargetInForce | None) -> Course:
        weights = target.weights if target else weights_of(self.plan, indicator, period)
        return course_of(*bounds(self.plan, period), weights)
