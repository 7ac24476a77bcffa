"""The periods of a plan that numbers are counted in, and the months within them."""

from datetime import date
from typing import Final

from shared.plan.model import Indicator, Plan

WHOLE: Final = 0  # the period of what is cumulative or a level; an annual period is its year


def period_name(period: int) -> str:
    """Return the name of a period in answers, and in facts of the plan office."""
    return "plan" if period == WHOLE else str(period)


def month_number(day: date) -> int:
    """Return the number of a day's month, counted from the year 0."""
    return day.year * 12 + day.month - 1


def place_of(plan: Plan, day: date) -> int:
    """Return the place of a day's month among the months of a plan, the first is 1; 0 before the plan."""
    return 0 if day < plan.period.first else month_number(day) - month_number(plan.period.first) + 1


def bounds(plan: Plan, period: int) -> tuple[date, date]:
    """Return the first and the last day of a period."""
    if period == WHOLE:
        return plan.period.first, plan.period.last
    return max(plan.period.first, date(period, 1, 1)), min(plan.period.last, date(period, 12, 31))


def periods_of(plan: Plan, indicator: Indicator, as_of: date) -> list[int]:
    """Return the periods that have begun: the plan's years for what is annual, else the whole (RULES E13)."""
    if indicator.basis != "annual":
        return [WHOLE]
    return [year for year in plan.years if bounds(plan, year)[0] <= as_of]


def running_period(plan: Plan, indicator: Indicator, as_of: date) -> int | None:
    """Return the period that runs on a day, else the last one before it; None before the first year."""
    begun = periods_of(plan, indicator, as_of)
    return begun[-1] if begun else None
