"""A number compared with the time gone: the value expected by a day, the signal, the forecast; pure.

Exact arithmetic throughout; only the spread of a forecast, a square root, is a double.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from shared.plan.model import Pace
from shared.plan.parts import Name

Op = Literal[">=", ">", "=", "range", "all"]
Signal = Literal["met", "green", "amber", "red", "none"]
State = Literal["reached", "on-course", "short", "not-enough-data", "not-forecast"]
Weight = int | Decimal | Fraction
_DAY: Final = timedelta(days=1)
_LEAST_MONTHS: Final = 2  # a spread takes two
_DIGITS: Final = 6


class PeriodMonth(NamedTuple):
    """A month of a period: its days inside the period, how long the calendar month is, and what it weighs."""

    first: date
    last: date
    days: int
    weight: Fraction

    @property
    def load(self) -> Fraction:
        """What it weighs as far as it lies in the period."""
        return self.weight * ((self.last - self.first).days + 1) / self.days

    def until(self, day: date) -> Fraction:
        """Return the share of the calendar month that lies in the period, up to and including a day."""
        return Fraction(max(0, (min(day, self.last) - self.first).days + 1), self.days)


class Course:
    """The time of a period: its months, and what each of them weighs (RULES E18)."""

    def __init__(self, first: date, last: date, weights: Sequence[Weight]) -> None:
        self.first, self.last = first, last
        bounds = list(months_between(first, last))
        if not any(weights):
            weights = [1] * len(bounds)  # where no month weighs anything, all weigh the same
        self.months = tuple(
            PeriodMonth(begin, end, length_of(begin), Fraction(weight))
            for (begin, end), weight in zip(bounds, weights, strict=True)
        )
        self._gone = list(accumulate((month.load for month in self.months), initial=Fraction()))
        self.passed = list(accumulate((month.until(last) for month in self.months), initial=Fraction()))
        self.total = self._gone[-1]

    def at(self, day: date) -> int:
        """Return the place among the months of a day's month, within the period."""
        day = min(max(day, self.first), self.last)
        return (day.year - self.first.year) * 12 + day.month - self.first.month

    def gone(self, day: date) -> Fraction:
        """Return what the full months weigh, and of the running month its days up to the day, that one included."""
        at = self.at(day)
        return self._gone[at] + self.months[at].weight * self.months[at].until(day)

    def share(self, day: date) -> Fraction:
        """Return the share of the period that has passed: 0 before its first day, 1 from its last day on."""
        return _share(self, day)

    def months_left(self, day: date) -> Fraction:
        """Return how many months are left after a day, the rest of the running one by its days."""
        return _months_left(self, day)

    def day_when(self, after: date, gone: Fraction) -> date | None:
        """Return the first day after another on which as much more (not 0) is gone; None when that is too much."""
        for month in self.months:
            if month.last <= after or not month.weight:
                continue
            begin = max(month.first, after + _DAY)
            each = month.weight / month.days
            days = (month.last - begin).days + 1
            if each * days >= gone:
                return begin + timedelta(days=max(0, math.ceil(gone / each) - 1))
            gone -= each * days
        return None


# All targets of a plan need the same few values of the same few courses.
@lru_cache(maxsize=2048)
def _share(course: Course, day: date) -> Fraction:
    return course.gone(day) / course.total


@lru_cache(maxsize=2048)
def _months_left(course: Course, day: date) -> Fraction:
    at = course.at(day)
    return course.passed[-1] - course.passed[at] - course.months[at].until(day)


def months_between(first: date, last: date) -> list[tuple[date, date]]:
    """Return the months from one day to another, each with its first and last day among them."""
    months = []
    while first <= last:
        end = min(last, first.replace(day=length_of(first)))
        months.append((first, end))
        first = end + _DAY
    return months


def length_of(day: date) -> int:
    """Return how many days the month of a day has."""
    return ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - _DAY).day


@lru_cache(maxsize=128)
def full_months(first: date, last: date, day: date) -> tuple[date, ...]:
    """Return the first days of the months of a period that are over on a day."""
    months = months_between(first, min(last, day))
    return tuple(begin for begin, end in months if end == last or end.day == length_of(end))


@lru_cache(maxsize=512)
def course_of(first: date, last: date, weights: tuple[Weight, ...]) -> Course:
    """Return the course of a period; `weights`: a weight for each of its months."""
    return Course(first, last, weights)


@lru_cache(maxsize=512)
def straight(first: date, last: date) -> Course:
    """Return the course on which every month weighs the same: that of a level."""
    return Course(first, last, [1] * len(months_between(first, last)))


class IndicatorKind(NamedTuple):
    """What kind of number it is.

    `level`: a state on a day. `counted`: whole things, so that more than 2,000 begins at 2,001; else a ratio. `keeps`:
    time alone takes nothing away again. `most`: what the value cannot pass, 100 for a share, all of the milestones.
    """

    level: bool = False
    counted: bool = True
    keeps: bool = True
    most: Fraction | None = None

    @property
    def adds(self) -> bool:
        """Whether months add up to it."""
        return self.counted and not self.level


class Goal(NamedTuple):
    """What is to be reached: comparator, number (a range: its lower bound; `all`: how many), where a level began."""

    op: Op
    value: Fraction
    baseline: Fraction = Fraction(0)
    kind: IndicatorKind = IndicatorKind()

    def met_by(self, value: Fraction) -> bool:
        """Compare exactly: `>` is strict, a range is met from its lower bound on (RULES E17, E23)."""
        match self.op:
            case ">":
                return value > self.value
            case "=" | "all":
                return value == self.value
            case ">=" | "range":
                return value >= self.value

    def kept_by(self, value: Fraction, over: bool) -> bool:
        """Return whether it is met for good; levels and values that expire are only once the period is over."""
        return self.met_by(value) and (over or (self.kind.keeps and not self.kind.level))

    @property
    def least(self) -> Fraction:
        """Return the least value that meets it, whole for what is counted; for a ratio the bound itself."""
        if not self.kind.counted:
            return self.value
        return Fraction(math.floor(self.value) + 1 if self.op == ">" else math.ceil(self.value))

    def expected(self, course: Course, day: date) -> Fraction:
        """Return the value expected by a day: a share of the goal; for a level, on the line from its baseline (E18)."""
        if self.kind.level:
            return self.baseline + (self.value - self.baseline) * straight(course.first, course.last).share(day)
        return self.value * course.share(day)


RULES: Final = {
    "not-begun": Name(zh="期限尚未开始,不评信号。", en="The period has not begun: no signal."),
    "not-computable": Name(zh="分母缺失或为零,无法计算,不评信号。", en="No value can be computed: no signal."),
    "met-for-good": Name(
        zh="已达到目标,且不会因时间推移而失去。", en="The target is met, and time alone cannot undo it."
    ),
    "on-pace": Name(
        zh="实际值不低于时序应达值的 {green}%。", en="The value is at least {green} % of what was expected by the day."
    ),
    "slightly-behind": Name(
        zh="实际值低于时序应达值的 {green}%,不低于 {amber}%。",
        en="The value is below {green} % of what was expected by the day, and at least {amber} % of it.",
    ),
    "behind": Name(
        zh="实际值低于时序应达值的 {amber}%。", en="The value is below {amber} % of what was expected by the day."
    ),
}


def rule_text(rule: str, thresholds: Pace) -> dict[str, str]:
    """Return the text of a rule, with the plan's thresholds."""
    name = RULES[rule]
    numbers = {"green": thresholds.green_percent, "amber": thresholds.amber_percent}
    return {"zh": name.zh.format(**numbers), "en": name.en.format(**numbers)}


def signal_of(goal: Goal, value: Fraction | None, course: Course, day: date, thresholds: Pace) -> tuple[Signal, str]:
    """Return the signal of a value on a day, and the rule that gives it (VOCABULARY 5: green at or above expected).

    So a year that ends with 2,000 of more than 2,000 is green and not met: the answer says both.
    """
    if day < course.first:
        return "none", "not-begun"
    if value is None:
        return "none", "not-computable"
    if goal.kept_by(value, day >= course.last):
        return "met", "met-for-good"
    expected = goal.expected(course, day)
    if value * 100 >= expected * thresholds.green_percent:
        return "green", "on-pace"
    if value * 100 >= expected * thresholds.amber_percent:
        return "amber", "slightly-behind"
    return "red", "behind"


def made_up(signals: Sequence[Signal]) -> list[Signal]:
    """Return the current signals of months, given those at their ends: a red month that was made up since is amber.

    Made up: at the end of a later month, or on the day of the scope, the value was at least the expected one (green or
    met). So a month once missed never turns green.
    """
    current: list[Signal] = []
    caught_up = False
    for signal in reversed(signals):
        current.append("amber" if signal == "red" and caught_up else signal)
        caught_up = caught_up or signal in ("green", "met")
    return current[::-1]


def still_needed(goal: Goal, value: Fraction | None, course: Course, day: date) -> Fraction | None:
    """Return what each month that is left must bring, the running one by its days left; None when it is over or met."""
    if value is None or goal.met_by(value):
        return None
    left = course.months_left(day)
    return max(Fraction(0), goal.least - value) / left if left else None


class Done(NamedTuple):
    """What a full month added, and what it weighed."""

    amount: Fraction
    load: Fraction


OUTLOOKS: Final = {
    "reached": Name(zh="已达到目标。", en="The target is met."),
    "missed": Name(zh="期末没有达到目标。", en="The period is over and the target was not met."),
    "over": Name(zh="期限已满,以实际值为准。", en="The period is over: the value itself stands."),
    "likely": Name(
        zh="照最近 {months} 个整月推算,很可能达到:估计区间都够目标。",
        en="Going on like the last {months} full months, it will very likely be met: so says the whole range.",
    ),
    "rather-likely": Name(
        zh="照最近 {months} 个整月推算,达到的可能大些,但没有把握:估计区间有一部分不够目标。",
        en="Going on like the last {months} full months, it will rather be met than not, but that is not certain:"
        " part of the range falls short.",
    ),
    "rather-unlikely": Name(
        zh="照最近 {months} 个整月推算,达不到的可能大些,但还有机会:估计区间有一部分够目标。",
        en="Going on like the last {months} full months, it will rather be missed, but may still be met:"
        " part of the range reaches the target.",
    ),
    "unlikely": Name(
        zh="照最近 {months} 个整月推算,很可能达不到:估计区间都不够目标。",
        en="Going on like the last {months} full months, it will very likely be missed: so says the whole range.",
    ),
    "no-target": Name(
        zh="照最近 {months} 个整月推算;没有目标可比。",
        en="Going on like the last {months} full months; there is no target to compare it with.",
    ),
    "too-early": Name(
        zh="期限内的整月不足两个,或所余月份没有可比的整月,不作预测。",
        en="Fewer than two full months of the period, or none that compares with those left: no forecast.",
    ),
    "ratio": Name(
        zh="比例不逐月累加,不作预测;看现值与应达值之差。",
        en="A ratio does not add up month by month: no forecast. See how far it is from what was expected.",
    ),
    "not-computable": Name(zh="暂无法计算,不作预测。", en="No value can be computed: no forecast."),
}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the value will be at the end of the period at the pace of the last full months, and when the goal is met.

    `outlook`: how certain that is, in words; a key of `OUTLOOKS`. `months`: how many it rests on. `per_month`: what one
    of them brought on average. `state`: None without a goal. `value`, `low`, `high`: whole, as what is counted is.
    """

    state: State | None
    outlook: str
    value: int | None = None
    low: int | None = None
    high: int | None = None
    months: int = 0
    per_month: Fraction | None = None
    reached_on: date | None = None


def forecast(
    kind: IndicatorKind, goal: Goal | None, value: Fraction | None, done: Sequence[Done], course: Course, day: date
) -> Forecast:
    """Extrapolate the last full months to the end of the period (decision 0022).

    For what is added up: the mean of what a unit of weight brought, times what the rest of the period weighs. For a
    level: the mean change from month end to month end, times the months left. The range is one standard deviation of
    the months from that mean, over the months left, to each side: about two in three. Zero in a full month is a number.
    None for a ratio, after the end, and before two full months of the period are over.
    """
    over = day >= course.last
    met_for_good = goal is not None and value is not None and goal.kept_by(value, over)
    if value is not None and over:
        return Forecast(goal and ("reached" if met_for_good else "short"), _at_the_end(goal, met_for_good))
    if not kind.counted:
        return _none(goal, met_for_good, "not-forecast", "ratio")
    if value is None:
        return _none(goal, met_for_good, "not-enough-data", "not-computable")
    weighed = sum((month.load for month in done), Fraction())
    too_early = min(len(full_months(course.first, course.last, day)), len(done)) < _LEAST_MONTHS
    if day < course.first or too_early or not weighed:
        return _none(goal, met_for_good, "not-enough-data", "too-early")
    amount = sum((month.amount for month in done), Fraction())
    rate = amount / weighed
    way = course if kind.adds else straight(course.first, course.last)
    end_value = value + rate * (way.total - way.gone(day))
    off = [float(month.amount) - float(rate) * float(month.load) for month in done]
    left = float(way.months_left(day))
    # The mean of a few months is itself uncertain: the second term.
    spread = math.sqrt(sum(difference * difference for difference in off) / (len(done) - 1)) * math.sqrt(
        left + left * left / len(done)
    )
    low, high = float(end_value) - spread, float(end_value) + spread
    if all(month.amount >= 0 for month in done) and kind.adds:
        low = max(low, float(value))  # what is counted stays counted
    end_value, low, high = max(end_value, Fraction(0)), max(low, 0.0), max(high, 0.0)
    if kind.most is not None:
        end_value, low, high = min(end_value, kind.most), min(low, float(kind.most)), min(high, float(kind.most))
    reached_on = None
    if goal is not None and not goal.met_by(value) and rate > 0:
        reached_on = way.day_when(day, (goal.least - value) / rate)
    # Never more than will be there (RULES E29); the range never narrower than it is. Doubles are a hair off whole ones.
    least, most = math.floor(round(low, _DIGITS)), math.ceil(round(high, _DIGITS))
    state = _state(goal, value, end_value, met_for_good)
    outlook = _outlook(state, goal, least, most)
    return Forecast(
        state, outlook, math.floor(end_value), least, most, len(done), amount / len(done), reached_on
    )  # fmt: skip


def outlook_text(forecast: Forecast) -> dict[str, str]:
    """Return how certain a forecast is, in words."""
    name = OUTLOOKS[forecast.outlook]
    return {"zh": name.zh.format(months=forecast.months), "en": name.en.format(months=forecast.months)}


def _none(goal: Goal | None, met_for_good: bool, state: State, outlook: str) -> Forecast:
    return Forecast("reached", "reached") if met_for_good else Forecast(goal and state, outlook)


def _at_the_end(goal: Goal | None, met: bool) -> str:
    if goal is None:
        return "over"
    return "reached" if met else "missed"


def _state(goal: Goal | None, value: Fraction, end: Fraction, met_for_good: bool) -> State | None:
    if goal is None:
        return None
    if met_for_good:
        return "reached"
    # What is to be exactly so many and adds up is missed once there are more.
    missed = goal.op in ("=", "all") and goal.kind.adds and value > goal.value
    return "on-course" if end >= goal.least and not missed else "short"


def _outlook(state: State | None, goal: Goal | None, low: int, high: int) -> str:
    if goal is None:
        return "no-target"
    if state == "reached":
        return "reached"
    if state == "on-course":
        return "likely" if low >= goal.least else "rather-likely"
    return "rather-unlikely" if low < goal.least <= high else "unlikely"
