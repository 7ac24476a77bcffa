"""Decides how a month stands: which districts have submitted it, what was published of it, what may come next: pure."""

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

from services.planning.events import (
    CloseOverridden,
    Figure,
    PeriodApproved,
    PeriodClosed,
    PeriodRestated,
    PeriodReturned,
    PeriodSubmitted,
    RestatementRequested,
)
from shared.contract.events import SHANGHAI, Event, Fact, parse_instant
from shared.deciding.decider import View
from shared.plan.model import Plan

Status = Literal["open", "submitted", "returned", "approved"]
_OF_A_MONTH: Final[tuple[type[Event], ...]] = (
    PeriodSubmitted, PeriodReturned, PeriodApproved, CloseOverridden, PeriodClosed, PeriodRestated,
    RestatementRequested,
)  # fmt: skip


@dataclass(slots=True)
class DistrictMonth:
    """A district's month: how it stands, and the facts that brought it there, in order."""

    status: Status = "open"
    facts: list[Fact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """A month's figures as they were published, first or anew, and what the fact says besides."""

    fact: Fact
    known_at: datetime
    figures: Sequence[Figure]
    sha256: str
    by: str
    request: str | None


@dataclass(slots=True)
class PlanMonth:
    """A month of a plan."""

    plan: str
    name: str
    first: date
    last: date
    districts: dict[str, DistrictMonth]
    needed: frozenset[str]  # whose approval a close needs
    overridden: dict[str, Fact] = field(default_factory=dict)
    published: list[PublishedFigures] = field(default_factory=list)
    requests: dict[str, Fact] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Whether its figures were published."""
        return bool(self.published)

    @property
    def missing(self) -> list[str]:
        """The districts in the way of a close: neither approved nor answered for."""
        return sorted(
            code for code in self.needed if self.districts[code].status != "approved" and code not in self.overridden
        )

    @property
    def withdrawable(self) -> list[Fact]:
        """What may still be taken back: all that is no part of a publication."""
        if self.closed:
            return [self.requests[number] for number in self.open_requests]
        return [*(fact for one in self.districts.values() for fact in one.facts), *self.overridden.values()]

    @property
    def open_requests(self) -> list[str]:
        """The restatements that were asked for and not made."""
        made = {one.request for one in self.published}
        return [number for number in self.requests if number not in made]

    def over(self, today: date) -> bool:
        """Tell whether all of it has passed."""
        return today > self.last

    def may(self, office: bool, districts: Iterable[str], today: date) -> list[str]:
        """Return what somebody may do now: the plan office, or who speaks for some districts."""
        found: list[str] = []
        own = [code for code in districts if code in self.districts]
        if self.closed:
            if office and self.open_requests:
                found.append("restate")
            return [*found, "request-restatement"] if office or own else found
        if self.over(today) and any(self.districts[code].status in ("open", "returned") for code in own):
            found.append("submit")
        if not office:
            return found
        statuses = {one.status for one in self.districts.values()}
        found += ["approve"] if "submitted" in statuses else []
        found += ["return"] if statuses & {"submitted", "approved"} else []
        if self.over(today):
            found += ["override"] if self.missing else ["close"]
        return found


def days_of(month: str) -> tuple[date, date]:
    """Return the first and the last day of a month YYYY-MM; raises ValueError when the calendar has none such."""
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1])


def is_of(plan: Plan, month: str) -> bool:
    """Tell whether a month YYYY-MM lies in a plan's period."""
    if month.startswith("0000"):
        return False
    first, last = days_of(month)
    return first <= plan.period.last and last >= plan.period.first


def month_of(plan: Plan, name: str, view: View) -> PlanMonth:
    """Return how a month stands by what a view knows."""
    first, last = days_of(name)
    found = PlanMonth(
        plan.id,
        name,
        first,
        min(last, plan.period.last),
        {one.code: DistrictMonth() for one in plan.districts},
        frozenset(one.code for one in plan.districts if not one.city),
    )
    stands = [standing.fact for kind in _OF_A_MONTH for _, standing in view.of(kind)]
    for fact in sorted(stands, key=lambda fact: fact.position):
        event = fact.event
        if (getattr(event, "plan", None), getattr(event, "month", None)) != (plan.id, name):
            continue
        match event:
            case PeriodSubmitted():
                _move(found, fact.district, "submitted", fact)
            case PeriodReturned():
                _move(found, event.submitted_by, "returned", fact)
            case PeriodApproved():
                _move(found, event.submitted_by, "approved", fact)
            case CloseOverridden():
                found.overridden |= dict.fromkeys(event.districts, fact)
            case PeriodClosed():
                found.published.append(_published(fact, event, None))
            case PeriodRestated():
                found.published.append(_published(fact, event, event.request_no))
            case RestatementRequested():
                found.requests[fact.stream.rpartition("/")[2]] = fact
    return found


def _move(month: PlanMonth, district: str, status: Status, fact: Fact) -> None:
    found = month.districts.get(district)
    if found is None:
        return
    found.facts.append(fact)
    # What was said to a submission that was withdrawn since says nothing.
    if status == "submitted" or found.status in ("submitted", "approved"):
        found.status = status


def _published(fact: Fact, event: PeriodClosed | PeriodRestated, request: str | None) -> PublishedFigures:
    known_at = parse_instant(event.known_at)
    assert known_at is not None  # noqa: S101 - the language sees to it
    return PublishedFigures(fact, known_at, event.figures, event.sha256, event.by, request)


def today_of(at: datetime) -> date:
    """Return the day that an instant falls on, where the plan is."""
    return at.astimezone(SHANGHAI).date()
