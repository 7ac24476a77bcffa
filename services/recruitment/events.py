"""The published language of recruitment: fairs, hires, shared classes, demands, invitations (VOCABULARY 3)."""

from typing import Literal

from services.vocabulary import MEASURE_FORM, Level, OccupationCode, Province
from shared.contract.events import Adds, Ends, Event, Language, Opens
from shared.contract.shapes import Count, Date, No, Number, Organisation, Person, Text


class FairHeld(Event, subject="fair/<no>", role=Opens(), dated="held_on"):
    """招聘会举办: A job fair or exchange that took place (measure 4.1)."""

    name: Text
    kind: Literal["job-fair", "exchange", "school-enterprise"]
    province: Province
    held_on: Date
    enterprises: Count
    jobs: Count


class FairCancelled(Event, subject="fair/<no>", role=Ends("fair-held", voids=True)):
    """招聘会取消: The fair did not take place after all; it counts in no period (RULES C5)."""

    reason: Text


class PersonHired(Event, subject="hire/<no>", role=Opens(again=True), dated="hired_on"):
    """人员入职: A person began work at an enterprise (measure 4.1)."""

    person: Person
    enterprise: Organisation
    channel: Literal["gold-blue-collar", "school-enterprise", "other"]
    fair_no: No | None = None
    occupation_code: OccupationCode
    level: Level | None = None
    hired_on: Date


class HireEnded(Event, subject="hire/<no>", role=Ends("person-hired"), dated="ended_on"):
    """人员离职: The employment ended; the hire still counts."""

    ended_on: Date
    reason: Text | None = None


class CooperationClassOpened(Event, subject="class/<no>", role=Opens()):
    """合作班开班: Two schools of different places opened a class together (measure 4.2)."""

    kind: Literal["named", "order", "joint"]
    home_school: Organisation
    partner_school: Organisation
    partner_province: Province
    enterprise: Organisation | None = None
    seats: Number


class StudentJoinedClass(Event, subject="class-member/<class_no>/<student_no>", role=Opens(), dated="joined_on"):
    """学员入班: A person took a seat in a cooperation class (measure 4.2)."""

    class_no: No
    person: Person
    joined_on: Date


class PracticalTrainingStarted(
    Event,
    subject="internship/<no>",
    role=Opens(until="until"),
    dated="starts_on",
    ordered=(("starts_on", "until"),),
):
    """实习实训开始: A person of a partner school began practical training at an enterprise (measure 4.2)."""

    person: Person
    school: Organisation
    school_province: Province
    enterprise: Organisation
    starts_on: Date
    until: Date


class DemandRaised(Event, subject="demand/<no>", role=Opens()):
    """用工需求提出: A major project named the skilled people it needs (measure 4.3)."""

    project: Text
    enterprise: Organisation
    occupation_code: OccupationCode
    persons: Number


class DemandMatched(Event, subject="demand/<no>", role=Adds(to="demand-raised")):
    """用工需求对接: Some of a demand's people were found; a demand may be matched several times (RULES C11)."""

    instrument: Literal["recruitment-line", "evaluation-item", "policy-officer", "agency-service"]
    persons: Number


class SchoolInvited(Event, subject="invitation/<fair_no>/<school.credit_code>", role=Opens(), dated="on"):
    """院校邀请: A vocational school was invited to a school-enterprise fair (measure 4.4)."""

    fair_no: No
    school: Organisation
    province: Province
    attended: bool
    on: Date


class ActivityReported(
    Event, subject="activity/<measure>/<no>", parts={"measure": MEASURE_FORM}, role=Opens(), dated="on"
):
    """工作动态: Something was done for a clause that sets no number: a field visit (measure 4.4)."""

    measure: Literal["4.4"]
    kind: Literal["field-visit"]
    title: Text
    on: Date
    organiser: Organisation | None = None


RecruitmentEvent = (
    FairHeld
    | FairCancelled
    | PersonHired
    | HireEnded
    | CooperationClassOpened
    | StudentJoinedClass
    | PracticalTrainingStarted
    | DemandRaised
    | DemandMatched
    | SchoolInvited
    | ActivityReported
)
LANGUAGE = Language("recruitment", RecruitmentEvent)
