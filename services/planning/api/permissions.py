"""What a caller may do in planning, by the role of its key, its districts, and the source of each fact."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, get_args

from services.planning.events import LANGUAGE, TargetEvent
from services.planning.months import Action, PlanMonth
from shared.contract.decoder import is_whole
from shared.contract.events import Fact
from shared.deciding.view import View
from shared.http.access import Caller
from shared.http.api_keys import Role
from shared.plan.model import Plan

_TARGET_EVENTS: Final[tuple[type[TargetEvent], ...]] = get_args(TargetEvent)


def is_city_of(plan: Plan, code: str) -> bool:
    """Return whether a code is that of the plan's city itself."""
    return any(district.city for district in plan.districts if district.code == code)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one caller may do to one plan. The decider and the access control have the last word on every report."""

    caller: Caller
    plan: Plan

    @property
    def districts(self) -> list[str]:
        """The districts that the caller speaks for, be it for one of their systems only."""
        if self.caller.key is None:
            return sorted(self.plan.district_codes)
        return sorted({prefix.split("/")[2] for prefix in self.caller.key.prefixes} & self.plan.district_codes)

    @property
    def is_office(self) -> bool:
        """Whether the caller speaks for the plan office (contract F1)."""
        role = self.caller.key.role if self.caller.key else Role.PLANNER
        return role is Role.PLANNER and any(is_city_of(self.plan, code) for code in self.districts)

    def on_targets(self, view: View) -> list[str]:
        """Return what the caller may do to the plan's targets."""
        if not self.is_office:
            return []
        facts = [
            standing.fact for kind in _TARGET_EVENTS for event, standing in view.of(kind) if event.plan == self.plan.id
        ]
        return ["adopt", "revise", "split", *(["withdraw"] if self._may_withdraw(facts) else [])]

    def on_month(self, month: PlanMonth, today: date) -> list[Action]:
        """Return what the caller may do in a month."""
        actions = month.actions(self.is_office, self.districts, today, self.caller.channel().reported_by)
        return [*actions, "withdraw"] if self._may_withdraw(month.withdrawable) else actions

    def _may_withdraw(self, facts: Iterable[Fact]) -> bool:
        """Return whether the caller may retract one of these facts."""
        return any(
            self.caller.channel().admits(fact.report_source, fact.district)
            and (self.is_office or not (is_whole(fact.district) and LANGUAGE.is_of_whole(fact.stream)))
            for fact in facts
        )
