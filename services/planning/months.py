"""The state of a plan's month: submissions and approvals by district, publications, requests, next actions. Pure."""

import calendar
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, assert_never, get_args

from services.planning.events import (
    CloseOverridden,
    ErasureRequested,
    Figure,
    MonthEvent,
    PeriodApproved,
    PeriodClosed,
    PeriodRestated,
    PeriodReturned,
    PeriodSubmitted,
    RestatementRequested,
)
from shared.contract.decoder import OPEN
from shared.contract.events import LOCAL_TIME, Fact, parse_instant
from shared.deciding.view import View
from shared.plan.model import Plan

Status = Literal["open", "submitted", "returned", "approved"]
Action = Literal["submit", "approve", "return", "override", "close", "restate", "request-restatement", "withdraw"]
_MONTH_EVENTS: Final[tuple[type[MonthEvent], ...]] = get_args(MonthEvent)


@dataclass(slots=True)
class DistrictMonth:
    """A district's month: its status, and the facts that led to it, in log order."""

    status: Status = "open"
    facts: list[Fact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """A month's figures as a close or a restatement published them; `request`: the restatement's, None for a close."""

    fact: Fact
    known_at: datetime
    figures: Sequence[Figure]
    sha256: str
    by: str
    request: str | None


@dataclass(slots=True)
class PlanMonth:
    """A month of a plan, `name` as YYYY-MM; `last` is cut at the plan's end.

    `needed`: the districts whose approval a close needs. `overridden`: by district, the fact that closes without it.
    `requests`: restatements asked for, by number.
    """

    plan: str
    name: str
    first: date
    last: date
    districts: dict[str, DistrictMonth]
    needed: frozenset[str]
    overridden: dict[str, Fact] = field(default_factory=dict)
    published: list[PublishedFigures] = field(default_factory=list)
    requests: dict[str, Fact] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Whether the month's figures were published."""
        return bool(self.published)

    @property
    def missing(self) -> list[str]:
        """The districts that keep the month from being closed: neither approved nor overridden."""
        return sorted(
            code for code in self.needed if self.districts[code].status != "approved" and code not in self.overridden
        )

    @property
    def withdrawable(self) -> list[Fact]:
        """The facts that may still be retracted: those that no publication rests on."""
        if self.closed:
            return [self.requests[number] for number in self.open_requests]
        return [*(fact for district in self.districts.values() for fact in district.facts), *self.overridden.values()]

    @property
    def open_requests(self) -> list[str]:
        """The numbers of restatements that were asked for and not published."""
        published = {publication.request for publication in self.published}
        return [number for number in self.requests if number not in published]

    def over(self, today: date) -> bool:
        """Return whether the month's last day is past."""
        return today > self.last

    def actions(self, office: bool, districts: Iterable[str], today: date, credential: str = OPEN) -> list[Action]:
        """Return what the plan office, or who speaks for some districts, may do now; withdrawing aside.

        `credential`: of who asks; who asked for a restatement does not approve it (RULES F9a).
        """
        actions: list[Action] = []
        own = [code for code in districts if code in self.districts]
        if self.closed:
            others = [number for number in self.open_requests if not asked_by(self.requests[number], credential)]
            if office and others:
                actions.append("restate")
            return [*actions, "request-restatement"] if office or own else actions
        if self.over(today) and any(self.districts[code].status in ("open", "returned") for code in own):
            actions.append("submit")
        if not office:
            return actions
        statuses = {district.status for district in self.districts.values()}
        if "submitted" in statuses:
            actions.append("approve")
        if statuses & {"submitted", "approved"}:
            actions.append("return")
        if self.over(today):
            actions.append("override" if self.missing else "close")
        return actions


def asked_by(request: Fact, credential: str | None, name: str | None = None) -> bool:
    """Return whether a restatement or an erasure was asked for by this credential, or under this name (RULES F9a).

    While no keys are set everybody has the credential `open`, which is nobody's; names alone tell them apart then.
    """
    event = request.event
    asker = event.by if isinstance(event, RestatementRequested | ErasureRequested) else None
    same_name = asker is not None and name is not None and _same_name(asker, name)
    return same_name or (credential not in (None, OPEN) and request.reported_by == credential)


def _same_name(name: str, other: str) -> bool:
    first, second = (
        "".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
        for text in (name, other)
    )
    return first == second


def days_of(month: str) -> tuple[date, date]:
    """Return the first and the last day of a month YYYY-MM; raises ValueError for a year 0000."""
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1])


def is_of(plan: Plan, month: str) -> bool:
    """Return whether a month YYYY-MM shares a day with a plan's period."""
    if month.startswith("0000"):
        return False
    first, last = days_of(month)
    return first <= plan.period.last and last >= plan.period.first


def month_of(plan: Plan, name: str, view: View) -> PlanMonth:
    """Return a month of a plan as the facts of a view leave it."""
    first, last = days_of(name)
    month = PlanMonth(
        plan.id,
        name,
        first,
        min(last, plan.period.last),
        {district.code: DistrictMonth() for district in plan.districts},
        frozenset(district.code for district in plan.districts if not district.city),
    )
    decided = [
        (standing.fact, event)
        for kind in _MONTH_EVENTS
        for event, standing in view.of(kind)
        if (event.plan, event.month) == (plan.id, name)
    ]
    for fact, event in sorted(decided, key=lambda entry: entry[0].position):
        _evolve(month, fact, event)
    return month


def _evolve(month: PlanMonth, fact: Fact, event: MonthEvent) -> None:
    match event:
        case PeriodSubmitted():
            _set_status(month, fact.district, "submitted", fact)
        case PeriodReturned():
            _set_status(month, event.submitted_by, "returned", fact)
        case PeriodApproved():
            _set_status(month, event.submitted_by, "approved", fact)
        case CloseOverridden():
            month.overridden |= dict.fromkeys(event.districts, fact)
        case PeriodClosed():
            month.published.append(_published(fact, event, None))
        case PeriodRestated():
            month.published.append(_published(fact, event, event.request_no))
        case RestatementRequested():
            month.requests[fact.stream.rpartition("/")[2]] = fact
        case _:
            assert_never(event)


def _set_status(month: PlanMonth, district: str, status: Status, fact: Fact) -> None:
    current = month.districts.get(district)
    if current is None:
        return
    current.facts.append(fact)
    # An answer to a submission that was retracted since has no effect.
    if status == "submitted" or current.status in ("submitted", "approved"):
        current.status = status


def _published(fact: Fact, event: PeriodClosed | PeriodRestated, request: str | None) -> PublishedFigures:
    known_at = parse_instant(event.known_at)
    assert known_at is not None  # noqa: S101 - the type's validator has parsed it
    return PublishedFigures(fact, known_at, event.figures, event.sha256, event.by, request)


def today_of(at: datetime) -> date:
    """Return the date of an instant in the plan's time zone (Asia/Shanghai)."""
    return at.astimezone(LOCAL_TIME).date()
