"""The published language of enrollment: schools, pupils, apprentices, trainings, bases, rooms (VOCABULARY 3)."""

from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from services.vocabulary import (
    MAJOR_FORM,
    MEASURE_FORM,
    EmergingIndustry,
    Industry,
    MajorCode,
    NotOfTheCity,
    OccupationCode,
    Rank,
)
from shared.contract.events import Ends, Event, Language, Opens, Stands
from shared.contract.shapes import Count, Date, No, Number, Organisation, Person, Text, Year

MAJOR_PART = {"major_code": MAJOR_FORM}
SchoolLevel = Literal["secondary", "technician", "higher"]


class MajorOpened(Event, subject="major/<school.credit_code>/<major_code>", parts=MAJOR_PART, role=Opens(again=True)):
    """开设专业: A school opened a major (measure 1.1)."""

    school: Organisation
    major_code: MajorCode
    major_name: Text
    industry: Industry
    school_level: SchoolLevel


class MajorClosed(
    Event, subject="major/<school.credit_code>/<major_code>", parts=MAJOR_PART, role=Ends("major-opened")
):
    """停办专业: The school closed the major."""

    reason: Text | None = None


class IntakeReported(Event, subject="intake/<school.credit_code>", role=Stands()):
    """招生数: What a secondary vocational school took in, in all and for emerging industries (measure 1.1)."""

    school: Organisation
    year: Year
    total: Count
    emerging: dict[EmergingIndustry, Count]


class StudentEnrolled(Event, subject="enrollment/<school.credit_code>/<student_no>", role=Opens(again=True)):
    """学生入学: A school took in a student (measure 1.2)."""

    school: Organisation
    person: Person
    major_code: MajorCode
    major_group: Literal["microelectronics", "other"]
    school_level: SchoolLevel


class StudentWithdrawn(
    Event,
    subject="enrollment/<school.credit_code>/<student_no>",
    role=Ends("student-enrolled"),
    dated="withdrawn_on",
):
    """学生离校: The student left; the intake still counts."""

    withdrawn_on: Date
    reason: Text | None = None


class FacilityCommissioned(Event, subject="facility/<code>", role=Opens()):
    """场所启用: A room or centre that the plan names came into use (measures 1.2, 2.4)."""

    facility: Literal[
        "chip-blue-collar-base",
        "microelectronics-test-lab",
        "design-training-room",
        "virtual-simulation-room",
        "childcare-service-centre",
        "elder-care-talent-centre",
    ]
    operator: Organisation


class ApprenticeshipStarted(
    Event,
    subject="apprenticeship/<no>",
    role=Opens(again=True, until="until"),
    dated="starts_on",
    ordered=(("starts_on", "until"),),
):
    """学徒培养开始: A person became an apprentice of an enterprise and a school (measure 1.3)."""

    kind: Literal["enterprise", "modern"]
    enterprise: Organisation
    school: Organisation
    person: Person
    starts_on: Date
    until: Date


class ApprenticeshipEnded(Event, subject="apprenticeship/<no>", role=Ends("apprenticeship-started"), dated="ended_on"):
    """学徒培养结束: The apprenticeship ended; the start still counts."""

    ended_on: Date
    outcome: Literal["completed", "terminated"]


class EvaluationBodyAccredited(Event, subject="evaluation-body/<body.credit_code>", role=Opens(again=True)):
    """评价机构备案: A body may evaluate skill levels (measure 1.4)."""

    body: Organisation
    kind: Literal["school", "enterprise", "social"]


class EvaluationBodyWithdrawn(
    Event, subject="evaluation-body/<body.credit_code>", role=Ends("evaluation-body-accredited")
):
    """评价机构退出: The body may evaluate no longer."""

    reason: Text | None = None


class CreditsRecognized(Event, subject="credits/<school.credit_code>/<student_no>/<certificate_number>", role=Opens()):
    """学分认定: A school gave a student credits for a skill certificate (measure 1.4)."""

    school: Organisation
    person: Person
    certificate_number: No
    credits: Number


class TrainingCompleted(
    Event,
    subject="training/<course_no>/<seat_no>",
    role=Opens(),
    dated="completed_on",
    ordered=(("started_on", "completed_on"),),
):
    """培训结束: A person finished a training, whether passed or not (measures 2.3, 2.4)."""

    programme: Literal["digital-artisan", "elder-care", "nursery-care", "household", "general"]
    provider: Organisation
    person: Person
    occupation_code: OccupationCode
    hours: Number
    started_on: Date
    completed_on: Date
    passed: bool


class BaseDesignated(Event, subject="base/<code>", role=Opens(again=True)):
    """基地认定: A place was made a training or demonstration base (measures 2.3, 2.4, 3.3)."""

    kind: Literal["digital-skill-public", "high-skill-talent", "care-demonstration", "worldskills-provincial"]
    operator: Organisation
    rank: Rank


class BaseWithdrawn(Event, subject="base/<code>", role=Ends("base-designated")):
    """基地退出: The place is a base no longer."""

    reason: Text | None = None


class StaffingReported(Event, subject="staffing/<institution.credit_code>", role=Stands(), dated="on"):
    """托育机构人员数: The staff of an infant-care institution, and those of it who hold a certificate (measure 2.4)."""

    institution: Organisation
    staff: Count
    certified_staff: Count
    on: Date


class PopulationReported(
    Event, subject="population/<district>/elderly", role=Stands(), dated="on", district_only=NotOfTheCity
):
    """老年人口数: How many elderly people live in a district (measure 2.4)."""

    residents: Number
    on: Date


_KINDS = {"1.1": "excellent-school-or-cluster", "1.2": "enterprise-partnership"}


class ActivityReported(
    Event, subject="activity/<measure>/<no>", parts={"measure": MEASURE_FORM}, role=Opens(), dated="on"
):
    """工作动态: Something was done for a clause that sets no number (measures 1.1, 1.2)."""

    measure: Literal["1.1", "1.2"]
    kind: Literal["excellent-school-or-cluster", "enterprise-partnership"]
    title: Text
    on: Date
    organiser: Organisation | None = None

    @model_validator(mode="after")
    def _kind_of_the_measure(self) -> Self:
        if self.kind != _KINDS[self.measure]:
            raise PydanticCustomError("bad-value", "wrong", {"field": "kind", "expected": _KINDS[self.measure]})
        return self


EnrollmentEvent = (
    MajorOpened
    | MajorClosed
    | IntakeReported
    | StudentEnrolled
    | StudentWithdrawn
    | FacilityCommissioned
    | ApprenticeshipStarted
    | ApprenticeshipEnded
    | EvaluationBodyAccredited
    | EvaluationBodyWithdrawn
    | CreditsRecognized
    | TrainingCompleted
    | BaseDesignated
    | BaseWithdrawn
    | StaffingReported
    | PopulationReported
    | ActivityReported
)
LANGUAGE = Language("enrollment", EnrollmentEvent)
