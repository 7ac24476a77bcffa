"""Enrollment's own rules: one apprenticeship at a time, one training of a programme at a time, parts within totals."""

from datetime import date

import pytest

from services.enrollment.decider import OverlappingApprenticeship, OverlappingTraining, PartsExceedTotal, domain
from services.enrollment.events import (
    LANGUAGE,
    ActivityReported,
    ApprenticeshipEnded,
    ApprenticeshipStarted,
    BaseDesignated,
    BaseWithdrawn,
    CreditsRecognized,
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
from shared.contract.events import Event
from shared.contract.rules import AlreadyOpen, EndsBeforeStart, InTheFuture, NotOpen
from tests.harness.given import report, retraction, rules_of
from tests.harness.people import credit_code, organisation, someone

given = rules_of(domain(()), LANGUAGE)

SCHOOL = organisation(1, "12")
CODE = credit_code(1, "12")
MAJOR = MajorOpened(
    school=SCHOOL,
    major_code="710401",
    major_name="微电子技术",
    industry="electronic-information",
    school_level="secondary",
)
INTAKE = IntakeReported(
    school=SCHOOL, year=2024, total=100, emerging={"electronic-information": 40, "new-materials": 60}
)
ENROLLED = StudentEnrolled(
    school=SCHOOL,
    person=someone(1),
    major_code="710401",
    major_group="microelectronics",
    school_level="technician",
)
WITHDRAWN = StudentWithdrawn(withdrawn_on=date(2024, 5, 1))
FACILITY = FacilityCommissioned(facility="microelectronics-test-lab", operator=SCHOOL)
APPRENTICE = ApprenticeshipStarted(
    kind="enterprise",
    enterprise=organisation(2),
    school=SCHOOL,
    person=someone(1),
    starts_on=date(2024, 3, 1),
    until=date(2024, 8, 31),
)
BODY = EvaluationBodyAccredited(body=SCHOOL, kind="school")
CREDITS = CreditsRecognized(school=SCHOOL, person=someone(1), certificate_number="Z-1", credits=4)
TRAINING = TrainingCompleted(
    programme="elder-care",
    provider=organisation(3),
    person=someone(1),
    occupation_code="4-10-01-05",
    hours=40,
    started_on=date(2024, 3, 1),
    completed_on=date(2024, 3, 10),
    passed=True,
)
BASE = BaseDesignated(kind="digital-skill-public", operator=organisation(3), rank="city")
STAFFING = StaffingReported(institution=organisation(4), staff=20, certified_staff=17, on=date(2024, 3, 1))
POPULATION = PopulationReported(residents=250_000, on=date(2024, 3, 1))
ACTIVITY = ActivityReported(measure="1.2", kind="enterprise-partnership", title="校企合作", on=date(2024, 3, 1))


def apprentice(starts: str, until: str, person: int = 1, kind: str = "enterprise") -> ApprenticeshipStarted:
    return APPRENTICE.model_copy(
        update={
            "starts_on": date.fromisoformat(starts),
            "until": date.fromisoformat(until),
            "person": someone(person),
            "kind": kind,
        }
    )


def released(on: str) -> ApprenticeshipEnded:
    return ApprenticeshipEnded(ended_on=date.fromisoformat(on), outcome="completed")


def trained(started: str, completed: str, person: int = 1, programme: str = "elder-care") -> TrainingCompleted:
    return TRAINING.model_copy(
        update={
            "started_on": date.fromisoformat(started),
            "completed_on": date.fromisoformat(completed),
            "person": someone(person),
            "programme": programme,
        }
    )


def test_a_person_becomes_an_apprentice() -> None:
    given().when(report("apprenticeship/L-1", APPRENTICE)).then_accepted()


@pytest.mark.parametrize(
    ("starts", "until"),
    [
        ("2024-08-31", "2025-02-28"),  # shares the last day
        ("2023-09-01", "2024-03-01"),  # shares the first day
        ("2024-04-01", "2024-04-30"),  # inside
        ("2023-01-01", "2025-12-31"),  # around
    ],
)
def test_a_person_has_one_apprenticeship_at_a_time(starts: str, until: str) -> None:
    given(report("apprenticeship/L-1", APPRENTICE)).when(
        report("apprenticeship/L-2", apprentice(starts, until))
    ).then_refused(OverlappingApprenticeship, "/data/starts_on")


@pytest.mark.parametrize(("starts", "until"), [("2024-09-01", "2025-02-28"), ("2023-09-01", "2024-02-29")])
def test_apprenticeships_follow_one_another_from_day_to_day(starts: str, until: str) -> None:
    given(report("apprenticeship/L-1", APPRENTICE)).when(
        report("apprenticeship/L-2", apprentice(starts, until))
    ).then_accepted()


def test_both_kinds_of_apprenticeship_overlap_together() -> None:
    given(report("apprenticeship/L-1", APPRENTICE)).when(
        report("apprenticeship/L-2", apprentice("2024-06-01", "2024-12-31", kind="modern"))
    ).then_refused(OverlappingApprenticeship)


def test_another_person_may_be_an_apprentice_at_the_same_time() -> None:
    given(report("apprenticeship/L-1", APPRENTICE)).when(
        report("apprenticeship/L-2", apprentice("2024-03-01", "2024-08-31", person=2))
    ).then_accepted()


def test_an_apprenticeship_ended_early_leaves_the_rest_of_its_span_free() -> None:
    early = given(report("apprenticeship/L-1", APPRENTICE), report("apprenticeship/L-1", released("2024-05-01")))
    early.when(report("apprenticeship/L-2", apprentice("2024-05-01", "2024-12-31"))).then_accepted()
    early.when(report("apprenticeship/L-2", apprentice("2024-04-30", "2024-12-31"))).then_refused(
        OverlappingApprenticeship
    )


def test_an_apprenticeship_ended_late_lasted_to_the_day_before_its_end() -> None:
    late = given(report("apprenticeship/L-1", APPRENTICE), report("apprenticeship/L-1", released("2024-10-01")))
    late.when(report("apprenticeship/L-2", apprentice("2024-09-30", "2025-02-28"))).then_refused(
        OverlappingApprenticeship
    )
    late.when(report("apprenticeship/L-2", apprentice("2024-10-01", "2025-02-28"))).then_accepted()


def test_an_apprenticeship_that_ended_on_its_first_day_overlaps_nothing() -> None:
    given(report("apprenticeship/L-1", APPRENTICE), report("apprenticeship/L-1", released("2024-03-01"))).when(
        report("apprenticeship/L-2", APPRENTICE)
    ).then_accepted()


def test_an_agreement_may_be_taken_up_again_from_the_day_it_ended() -> None:
    before = given(report("apprenticeship/L-1", APPRENTICE), report("apprenticeship/L-1", released("2024-05-01")))
    before.when(report("apprenticeship/L-1", apprentice("2024-05-01", "2024-12-31"))).then_accepted()
    before.when(report("apprenticeship/L-1", apprentice("2024-04-30", "2024-12-31"))).then_refused(AlreadyOpen)


def test_an_apprenticeship_lasts_at_least_its_first_day() -> None:
    given().when(report("apprenticeship/L-1", apprentice("2024-03-01", "2024-03-01"))).then_accepted()
    given().when(report("apprenticeship/L-1", apprentice("2024-03-01", "2024-02-29"))).then_refused(
        EndsBeforeStart, "/data/until"
    )


def test_an_apprenticeship_may_last_into_the_future_but_not_start_there() -> None:
    given().when(report("apprenticeship/L-1", APPRENTICE, received="2024-02-29")).then_accepted()
    given().when(report("apprenticeship/L-1", APPRENTICE, on="2024-02-28", received="2024-02-28")).then_refused(
        InTheFuture, "/data/starts_on"
    )


def test_a_corrected_apprenticeship_is_not_in_its_own_way_but_in_that_of_others() -> None:
    before = (
        report("apprenticeship/L-1", APPRENTICE),
        report("apprenticeship/L-2", apprentice("2024-09-01", "2025-02-28")),
    )
    given(*before).when(
        report("apprenticeship/L-1", apprentice("2024-02-01", "2024-08-31"), corrects="report-1")
    ).then_accepted()
    given(*before).when(
        report("apprenticeship/L-1", apprentice("2024-02-01", "2024-09-01"), corrects="report-1")
    ).then_refused(OverlappingApprenticeship)


def test_an_early_end_stays_attached_to_a_corrected_apprenticeship() -> None:
    before = (
        report("apprenticeship/L-1", APPRENTICE),
        report("apprenticeship/L-1", released("2024-05-01")),
        report("apprenticeship/L-2", apprentice("2024-05-01", "2025-02-28")),
    )
    longer = apprentice("2024-03-01", "2025-08-31")
    given(*before).when(report("apprenticeship/L-1", longer, corrects="report-1")).then_accepted()


def test_an_apprenticeship_taken_back_overlaps_nothing() -> None:
    given(report("apprenticeship/L-1", APPRENTICE), retraction("apprenticeship/L-1", "report-1")).when(
        report("apprenticeship/L-2", APPRENTICE)
    ).then_accepted()


def test_dates_in_the_wrong_order_are_named_before_an_overlap() -> None:
    given(report("apprenticeship/L-1", APPRENTICE)).when(
        report("apprenticeship/L-2", apprentice("2024-05-01", "2024-04-01"))
    ).then_refused(EndsBeforeStart)


def test_a_person_completes_a_training() -> None:
    given().when(report("training/K-1/1", TRAINING)).then_accepted()


@pytest.mark.parametrize(
    ("started", "completed"),
    [("2024-03-10", "2024-03-20"), ("2024-02-20", "2024-03-01"), ("2024-03-05", "2024-03-05")],
)
def test_a_person_is_trained_once_at_a_time_in_a_programme(started: str, completed: str) -> None:
    given(report("training/K-1/1", TRAINING)).when(report("training/K-2/1", trained(started, completed))).then_refused(
        OverlappingTraining, "/data/started_on"
    )


@pytest.mark.parametrize(("started", "completed"), [("2024-03-11", "2024-03-20"), ("2024-02-20", "2024-02-29")])
def test_trainings_follow_one_another_from_day_to_day(started: str, completed: str) -> None:
    given(report("training/K-1/1", TRAINING)).when(
        report("training/K-2/1", trained(started, completed))
    ).then_accepted()


def test_a_failed_training_overlaps_too() -> None:
    failed = TRAINING.model_copy(update={"passed": False})
    given(report("training/K-1/1", failed)).when(report("training/K-2/1", TRAINING)).then_refused(OverlappingTraining)


def test_trainings_of_two_programmes_or_two_persons_may_overlap() -> None:
    done = given(report("training/K-1/1", TRAINING))
    done.when(report("training/K-2/1", trained("2024-03-01", "2024-03-10", programme="nursery-care"))).then_accepted()
    done.when(report("training/K-1/2", trained("2024-03-01", "2024-03-10", person=2))).then_accepted()


def test_a_corrected_training_is_not_in_its_own_way_and_one_taken_back_in_no_ones() -> None:
    done = report("training/K-1/1", TRAINING)
    given(done).when(report("training/K-1/1", trained("2024-03-02", "2024-03-09"), corrects="report-1")).then_accepted()
    given(done, retraction("training/K-1/1", "report-1")).when(report("training/K-2/1", TRAINING)).then_accepted()


def test_what_was_corrected_away_overlaps_nothing() -> None:
    for another in (trained("2024-03-01", "2024-03-10", 2), trained("2024-03-01", "2024-03-10", 1, "household")):
        moved = report("training/K-1/1", TRAINING), report("training/K-1/1", another, corrects="report-1")
        given(*moved).when(report("training/K-2/1", TRAINING)).then_accepted()
        given(*moved).when(report("training/K-2/1", another)).then_refused(OverlappingTraining)
    other = apprentice("2024-03-01", "2024-08-31", person=2)
    given(report("apprenticeship/L-1", APPRENTICE), report("apprenticeship/L-1", other, corrects="report-1")).when(
        report("apprenticeship/L-2", APPRENTICE)
    ).then_accepted()


def test_a_training_lasts_at_least_its_first_day() -> None:
    given().when(report("training/K-1/1", trained("2024-03-01", "2024-03-01"))).then_accepted()
    given().when(report("training/K-1/1", trained("2024-03-02", "2024-03-01"))).then_refused(
        EndsBeforeStart, "/data/completed_on"
    )


def test_the_emerging_intake_is_a_part_of_the_whole() -> None:
    subject = f"intake/{CODE}"
    given().when(report(subject, INTAKE)).then_accepted()
    given().when(report(subject, INTAKE.model_copy(update={"total": 99}))).then_refused(
        PartsExceedTotal, "/data/emerging"
    )


def test_an_intake_may_have_no_part_for_emerging_industries() -> None:
    nobody = INTAKE.model_copy(update={"total": 0, "emerging": {}})
    given().when(report(f"intake/{CODE}", nobody)).then_accepted()


def test_certified_staff_is_a_part_of_the_staff() -> None:
    subject = f"staffing/{credit_code(4)}"
    given().when(report(subject, STAFFING.model_copy(update={"certified_staff": 20}))).then_accepted()
    given().when(report(subject, STAFFING.model_copy(update={"certified_staff": 21}))).then_refused(
        PartsExceedTotal, "/data/certified_staff"
    )


@pytest.mark.parametrize(
    ("subject", "event"),
    [
        (f"intake/{CODE}", INTAKE),
        (f"staffing/{credit_code(4)}", STAFFING),
        ("population/330681/elderly", POPULATION),
    ],
)
def test_where_the_latest_stands_a_report_may_follow_another_in_any_order(subject: str, event: Event) -> None:
    given(report(subject, event, on="2024-06-01")).when(report(subject, event, on="2024-05-01")).then_accepted()


def test_a_student_leaves_on_the_day_of_enrollment_at_the_earliest() -> None:
    subject = f"enrollment/{CODE}/S-1"
    enrolled = given(report(subject, ENROLLED, on="2024-05-01"))
    enrolled.when(report(subject, WITHDRAWN)).then_accepted()
    given(report(subject, ENROLLED, on="2024-05-02")).when(report(subject, WITHDRAWN)).then_refused(
        EndsBeforeStart, "/data/withdrawn_on"
    )


def test_a_student_leaves_once() -> None:
    subject = f"enrollment/{CODE}/S-1"
    given(report(subject, ENROLLED, on="2024-03-01"), report(subject, WITHDRAWN)).when(
        report(subject, WITHDRAWN)
    ).then_refused(NotOpen)


AGAIN = [
    (f"major/{CODE}/710401", MAJOR, MajorClosed()),
    (f"evaluation-body/{CODE}", BODY, EvaluationBodyWithdrawn()),
    ("base/B-1", BASE, BaseWithdrawn()),
    (f"enrollment/{CODE}/S-1", ENROLLED, WITHDRAWN),
]


@pytest.mark.parametrize(("subject", "opening", "end"), AGAIN)
def test_what_may_open_again_does_so_from_the_day_of_its_end(subject: str, opening: Event, end: Event) -> None:
    ended = given(report(subject, opening, on="2024-03-01"), report(subject, end, on="2024-05-01"))
    ended.when(report(subject, opening, on="2024-05-01")).then_accepted()
    ended.when(report(subject, opening, on="2024-04-30")).then_refused(AlreadyOpen, "/subject")
    ended.when(report(subject, end, on="2024-06-01")).then_refused(NotOpen)


@pytest.mark.parametrize(("subject", "opening", "end"), AGAIN)
def test_what_is_open_is_not_opened_and_what_is_unknown_not_ended(subject: str, opening: Event, end: Event) -> None:
    given(report(subject, opening, on="2024-03-01")).when(report(subject, opening, on="2024-05-01")).then_refused(
        AlreadyOpen, "/subject"
    )
    given().when(report(subject, end)).then_waits_for(subject)


@pytest.mark.parametrize(
    ("subject", "event"),
    [
        ("facility/F-1", FACILITY),
        (f"credits/{CODE}/S-1/Z-1", CREDITS),
        ("activity/1.2/A-1", ACTIVITY),
        ("training/K-1/1", TRAINING),
    ],
)
def test_what_happens_once_is_reported_once(subject: str, event: Event) -> None:
    given().when(report(subject, event)).then_accepted()
    given(report(subject, event)).when(report(subject, event)).then_refused(AlreadyOpen, "/subject")
