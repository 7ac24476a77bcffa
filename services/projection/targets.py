"""Decides which target, with which weights, holds for an indicator on a day, as known at an instant: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from services.projection.chart import WHOLE
from shared.plan import Indicator, Plan, Target


@dataclass(frozen=True, slots=True)
class Revision:
    """The fact of the plan office by which a target is what it is."""

    type: str
    position: int
    report_source: str
    report_id: str
    effective_from: date
    recorded_at: datetime
    by: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class TargetInForce:
    """A target as it holds, and where it comes from.

    `weights`: what each month of the period weighs, in order (its first month to its last). `months`: the parts that
    the plan office split it into, by month (YYYY-MM); the weights are these then. `revised_by`: None while the plan
    file alone says it. `clause`: the measure's number, or the document that a revision names.
    """

    target: Target
    weights: tuple[Decimal, ...]
    clause: str
    revised_by: Revision | None = None
    months: Mapping[str, Decimal] | None = None


class Targets:
    """The targets of one plan with their history; cheap to ask."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def target(
        self, indicator: str, district: str | None, period: int, on: date, known_at: datetime
    ) -> TargetInForce | None:
        """Return the target of an indicator for a district (None: the whole) in force on a day, as known at an instant.

        `period`: a year, or `WHOLE`; a day after its end asks for its last day. None: nothing was set, it is monitored.
        """
        measure, found = self._plan.indicators[indicator]
        target = found.target if district is None else found.district_targets.get(district)
        if target is None:
            return None
        return TargetInForce(target, weights_of(self._plan, found, period), measure.id)


def months_of(plan: Plan, period: int) -> list[date]:
    """Return the first day of each month that a period touches, in order."""
    first, last = plan.period.first, plan.period.last
    if period != WHOLE:
        first, last = max(first, date(period, 1, 1)), min(last, date(period, 12, 31))
    return [
        date(month // 12, month % 12 + 1, 1)
        for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    ]


def weights_of(plan: Plan, indicator: Indicator, period: int) -> tuple[Decimal, ...]:
    """Return what the plan file lets each month of a period weigh."""
    weights = indicator.month_weights or plan.month_weights
    january = plan.years[0] * 12
    return tuple(
        Decimal(weights[(month.year * 12 + month.month - 1 - january) % len(weights)])
        for month in months_of(plan, period)
    )
