"""Decider of enrollment: the rules of its reports, pure, without I/O or clock."""

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

from services.enrollment.events import (
    ActivityReported,
    ApprenticeshipEnded,
    ApprenticeshipStarted,
    BaseDesignated,
    BaseWithdrawn,
    CreditsRecognized,
    EnrollmentEvent,
    EvaluationBodyAccredited,
    EvaluationBodyWithdrawn,
    FacilityCommissioned,
    IntakeReported,
    MajorClosed,
    MajorOpened,
    PopulationReported,
    StaffingReported,
    StudentEnrolled,
    StudentWithdrawn,
    TrainingCompleted,
)
from shared.contract.events import Event, Report
from shared.contract.rules import Rule
from shared.deciding.decider import Accept, Decision, Domain, Refuse
from shared.deciding.view import View
from shared.plan.model import Plan, successors


class PartsExceedTotal(Rule):
    """A part is more than the whole it belongs to."""

    zh = "{part} 合计大于 {whole},部分不能超过总数,请核对两者。"
    en = "{part} comes to more than {whole}; parts cannot exceed their total. Check both."


class OverlappingApprenticeship(Rule):
    """The same person, overlapping spans, whatever the kind (RULES C2)."""

    zh = (
        "该人员已有日期重叠的学徒记录(企业新型学徒制与现代学徒制合并计算)。如前一段已提前结束,请先报告"
        "学徒培养结束(apprenticeship-ended);新的一段可从其结束日起算。"
    )
    en = (
        "This person is on record as an apprentice, of either kind, on some of these days. If that one ended early, "
        "report its end first (apprenticeship-ended); a new one may start on its end date."
    )


class OverlappingTraining(Rule):
    """The same person, the same programme, overlapping dates, passed or not (RULES C2)."""

    zh = (
        "该人员在同一培训项目中已有日期重叠的培训记录。请核对开始和结束的日期(started_on、completed_on);"
        "同一次培训只报一次。"
    )
    en = (
        "This person is on record with a training of this programme on some of these days. Check started_on and "
        "completed_on; one training is reported once."
    )


def tags(event: Event) -> Iterable[str]:
    """Name what later decisions look a fact up by: a person's apprenticeships, and trainings of one programme."""
    if isinstance(event, ApprenticeshipStarted):
        yield f"apprentice:{event.person.token}"
    elif isinstance(event, TrainingCompleted):
        yield f"training:{event.person.token}:{event.programme}"


def query(report: Report, _view: View) -> Iterable[str]:
    """Name the facts a report depends on other than its own subject's."""
    return tags(report.event)


def decide(report: Report, view: View) -> Decision:
    """Decide by the type's own rules; those of every type were applied before."""
    event = cast("EnrollmentEvent", report.event)
    match event:
        case IntakeReported():
            return _parts("emerging", sum(event.emerging.values()), "total", event.total)
        case StaffingReported():
            return _parts("certified_staff", event.certified_staff, "staff", event.staff)
        case ApprenticeshipStarted():
            return _decide_apprenticeship(event, report, view)
        case TrainingCompleted():
            return _decide_training(event, view)
        case (
            MajorOpened()
            | MajorClosed()
            | StudentEnrolled()
            | StudentWithdrawn()
            | FacilityCommissioned()
            | ApprenticeshipEnded()
            | EvaluationBodyAccredited()
            | EvaluationBodyWithdrawn()
            | CreditsRecognized()
            | BaseDesignated()
            | BaseWithdrawn()
            | PopulationReported()
            | ActivityReported()
        ):
            return Accept()
        case _:
            assert_never(event)


def _parts(part: str, number: int, whole: str, total: int) -> Decision:
    if number > total:
        return Refuse(PartsExceedTotal(f"/data/{part}", part=part, whole=whole))
    return Accept()


def _decide_apprenticeship(started: ApprenticeshipStarted, report: Report, view: View) -> Decision:
    first, last = view.span(report)
    for other, standing in view.of(ApprenticeshipStarted):
        if other.person.token == started.person.token and standing.overlaps(first, last):
            return Refuse(OverlappingApprenticeship("/data/starts_on"))
    return Accept()


def _decide_training(training: TrainingCompleted, view: View) -> Decision:
    for other, _ in view.of(TrainingCompleted):
        same = other.person.token == training.person.token and other.programme == training.programme
        # Not the standing's own span: a training is dated by its last day, and counts from its first (RULES C2).
        if same and other.started_on <= training.completed_on and training.started_on <= other.completed_on:
            return Refuse(OverlappingTraining("/data/started_on"))
    return Accept()


def domain(plans: Sequence[Plan]) -> Domain:
    """Return enrollment's rules; the plan says only which codes districts had before."""
    return Domain(tags, query, decide, successors=successors(plans))
