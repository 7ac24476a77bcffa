"""The target in force for an indicator on a day, with its weights, as known at an instant; pure."""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from services.planning.events import PlanAdopted, TargetRevised, TargetSplit
from services.planning.targets_in_force import WHOLE as WHOLE_PERIOD
from services.planning.targets_in_force import History
from services.planning.targets_in_force import weights_of as _weights_of
from services.projection.counting.periods import WHOLE
from shared.contract.events import Fact
from shared.deciding.view import View
from shared.plan.model import Indicator, Plan, Target

_MOST_CACHED: Final = 16


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
    """A target in force, and where it comes from.

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
    """The targets of one plan with their history."""

    def __init__(self, plan: Plan, decided: Sequence[Fact] = ()) -> None:
        """Take the decisions of the plan office, in the order of its log."""
        self._plan = plan
        self._decided = decided
        self._recorded = [fact.recorded_at for fact in decided]
        self._known: dict[int, History] = {}

    def as_known(self, known_at: datetime) -> History:
        """Return all that was decided on the targets, as known at an instant."""
        count = bisect.bisect_right(self._recorded, known_at)
        if count not in self._known:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[count] = History(self._plan, View(self._decided[:count]))
        return self._known[count]

    def target(
        self, indicator: str, district: str | None, period: int, on: date, known_at: datetime
    ) -> TargetInForce | None:
        """Return the target of an indicator for a district (None: the whole) in force on a day, as known at an instant.

        `period`: a year, or `WHOLE`; for a day after its end, the target of its last day. None where none was set.
        """
        in_force = self.as_known(known_at).target(indicator, district, _period_name(period), on)
        if in_force is None:
            return None
        return TargetInForce(
            in_force.target, in_force.weights, in_force.clause, _revision(in_force.revised_by), in_force.months
        )


def weights_of(plan: Plan, indicator: Indicator, period: int) -> tuple[Decimal, ...]:
    """Return what the plan file lets each month of a period weigh."""
    return _weights_of(plan, indicator, _period_name(period))


def _period_name(period: int) -> str:
    return WHOLE_PERIOD if period == WHOLE else str(period)


def _revision(fact: Fact | None) -> Revision | None:
    if fact is None or not isinstance(fact.event, PlanAdopted | TargetRevised | TargetSplit):
        return None
    event = fact.event
    return Revision(
        fact.event.type_name, fact.position, fact.report_source, fact.report_id, event.effective_from, fact.recorded_at,
        event.by, event.why,
    )  # fmt: skip
