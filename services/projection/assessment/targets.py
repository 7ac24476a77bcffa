"""The target in force for an indicator on a day, with its weights, as known at an instant; pure."""

import bisect
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from services.planning.targets_in_force import History, TargetInForce
from services.planning.targets_in_force import weights_of as _weights_of
from services.projection.counting.periods import period_name
from shared.contract.events import Fact
from shared.deciding.view import View
from shared.plan.model import Indicator, Plan

_MOST_CACHED: Final = 16


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
        return self.as_known(known_at).target(indicator, district, period_name(period), on)


def weights_of(plan: Plan, indicator: Indicator, period: int) -> tuple[Decimal, ...]:
    """Return what the plan file lets each month of a period weigh."""
    return _weights_of(plan, indicator, period_name(period))
