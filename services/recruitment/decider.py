"""Decider of recruitment: the rules of its reports, pure, without I/O or clock."""

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

from services.recruitment.events import (
    ActivityReported,
    CooperationClassOpened,
    DemandMatched,
    DemandRaised,
    FairCancelled,
    FairHeld,
    HireEnded,
    PersonHired,
    PracticalTrainingStarted,
    RecruitmentEvent,
    SchoolInvited,
    StudentJoinedClass,
)
from shared.contract.events import Event, Report
from shared.contract.rules import Rule
from shared.deciding.decider import Accept, Decision, Domain, Refuse, Wait
from shared.deciding.view import View
from shared.plan.model import Plan, successors


class AlreadyEmployedThere(Rule):
    """The same person, the same enterprise, overlapping spans."""

    zh = "该人员在该企业已有日期重叠的在职记录。如前一段已结束,请先报告离职(hire-ended);新合同可从前一段的结束日起算。"
    en = (
        "This person is on record as employed at this enterprise on some of these days. If that employment has ended, "
        "report hire-ended first; a new contract may start on its end date."
    )


class ClassFull(Rule):
    """As many standing members as seats (RULES C12)."""

    zh = "该班的名额已满。名额有误的,请先更正开班报告(cooperation-class-opened),再换新编号重报。"
    en = (
        "All seats of this class are taken. If the number of seats is wrong, correct cooperation-class-opened, "
        "then report the student again under a new id."
    )


class MoreThanRaised(Rule):
    """All matches of a demand together pass the persons raised (RULES C11)."""

    zh = "各次对接合计超过提出的人数。"
    en = "All matches together exceed the persons raised."


def tags(event: Event) -> Iterable[str]:
    """Name what later decisions look a fact up by: a person's hires at one enterprise, a class's members."""
    if isinstance(event, PersonHired):
        yield f"hire-of:{event.person.token}:{event.enterprise.credit_code}"
    elif isinstance(event, StudentJoinedClass):
        yield f"follows:class/{event.class_no}"


def query(report: Report, _view: View) -> Iterable[str]:
    """Name the facts a report depends on other than its own subject's."""
    yield from tags(report.event)
    if isinstance(report.event, StudentJoinedClass):
        yield f"class/{report.event.class_no}"


def decide(report: Report, view: View) -> Decision:
    """Decide by the type's own rules; those of every type were applied before."""
    event = cast("RecruitmentEvent", report.event)
    match event:
        case PersonHired():
            return _decide_hire(event, report, view)
        case StudentJoinedClass():
            return _decide_member(event, view)
        case DemandMatched():
            return _decide_match(event, view)
        case (
            FairHeld()
            | FairCancelled()
            | HireEnded()
            | CooperationClassOpened()
            | PracticalTrainingStarted()
            | DemandRaised()
            | SchoolInvited()
            | ActivityReported()
        ):
            return Accept()
        case _:
            assert_never(event)


def _decide_hire(hire: PersonHired, report: Report, view: View) -> Decision:
    first, last = view.span(report)
    for other, standing in view.of(PersonHired):
        same = other.person.token == hire.person.token
        there = other.enterprise.credit_code == hire.enterprise.credit_code
        if same and there and standing.overlaps(first, last):
            return Refuse(AlreadyEmployedThere("/data/hired_on"))
    return Accept()


def _decide_member(member: StudentJoinedClass, view: View) -> Decision:
    seats = next((opened.seats for opened, _ in view.of(CooperationClassOpened)), None)
    if seats is None:
        return Wait(f"class/{member.class_no}", f"class/{member.class_no}")
    taken = sum(1 for _ in view.of(StudentJoinedClass))
    return Refuse(ClassFull("/data/class_no")) if taken >= seats else Accept()


def _decide_match(match: DemandMatched, view: View) -> Decision:
    raised = next((demand.persons for demand, _ in view.of(DemandRaised)), None)
    if raised is not None and view.total(DemandMatched, "persons") + match.persons > raised:
        return Refuse(MoreThanRaised("/data/persons"))
    return Accept()


def domain(plans: Sequence[Plan]) -> Domain:
    """Return recruitment's rules; the plan says only which codes districts had before."""
    return Domain(tags, query, decide, successors=successors(plans))
