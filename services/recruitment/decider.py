"""Decides recruitment's reports: pure, no I/O, no clock."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import assert_never, cast

from services.recruitment.events import FairCancelled, FairHeld, HireEnded, PersonHired, RecruitmentEvent
from shared.decider import Accept, Decision, Domain, Refuse, View
from shared.events import Event, Report
from shared.plan import Plan
from shared.rules import Rule


class AlreadyEmployedThere(Rule):
    """The same person, the same enterprise, overlapping spans."""

    zh = "该人员在该企业已有日期重叠的在职记录。"
    en = "This person is on record as employed at this enterprise on some of these days."


def tags(event: Event) -> Iterable[str]:
    """Name what later decisions look a fact up by: a person's hires at one enterprise."""
    if isinstance(event, PersonHired):
        yield f"hire-of:{event.person.token}:{event.enterprise.credit_code}"


def needs(report: Report, _view: View) -> Iterable[str]:
    """Name the facts a report depends on besides its own subject's."""
    return tags(report.event)


def decide(report: Report, view: View) -> Decision:
    """Decide by the type's own rules; the rules of every type have been asked before."""
    event = cast("RecruitmentEvent", report.event)
    match event:
        case PersonHired():
            return _decide_hire(event, view)
        case FairHeld() | FairCancelled() | HireEnded():
            return Accept()
        case _:
            assert_never(event)


def _decide_hire(hire: PersonHired, view: View) -> Decision:
    for other, standing in view.of(PersonHired):
        same = other.person.token == hire.person.token
        there = other.enterprise.credit_code == hire.enterprise.credit_code
        if same and there and standing.overlaps(hire.hired_on, date.max):
            return Refuse(AlreadyEmployedThere("/data/hired_on"))
    return Accept()


def domain(_plans: Sequence[Plan]) -> Domain:
    """Return recruitment's rules; none of them has a parameter in the plan."""
    return Domain(tags, needs, decide)
