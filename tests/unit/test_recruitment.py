"""Recruitment's own rules: one employment at an enterprise at a time, seats of a class, persons of a demand."""

from datetime import date

import pytest

from services.recruitment.decider import AlreadyEmployedThere, ClassFull, MoreThanRaised, domain
from services.recruitment.events import (
    LANGUAGE,
    ActivityReported,
    CooperationClassOpened,
    DemandMatched,
    DemandRaised,
    FairCancelled,
    FairHeld,
    HireEnded,
    PersonHired,
    PracticalTrainingStarted,
    SchoolInvited,
    StudentJoinedClass,
)
from shared.contract.rules import AlreadyOpen, EndsBeforeStart, InTheFuture, NotOpen
from tests.harness.given import report, retraction, rules_of
from tests.harness.people import credit_code, organisation, someone

given = rules_of(domain(()), LANGUAGE)

HIRE = PersonHired(
    person=someone(1),
    enterprise=organisation(1),
    channel="gold-blue-collar",
    occupation_code="6-18-01-01",
    hired_on=date(2024, 3, 1),
)
FAIR = FairHeld(
    name="绍兴金蓝领招聘会", kind="job-fair", province="36", held_on=date(2024, 3, 1), enterprises=20, jobs=300
)
CLASS = CooperationClassOpened(
    kind="order",
    home_school=organisation(2, "12"),
    partner_school=organisation(3, "12"),
    partner_province="51",
    seats=2,
)
DEMAND = DemandRaised(project="集成电路产业园", enterprise=organisation(1), occupation_code="6-25-01-01", persons=10)
TRAINING = PracticalTrainingStarted(
    person=someone(1),
    school=organisation(3, "12"),
    school_province="51",
    enterprise=organisation(1),
    starts_on=date(2024, 3, 1),
    until=date(2024, 8, 31),
)
INVITATION = SchoolInvited(
    fair_no="F-1", school=organisation(3, "12"), province="51", attended=True, on=date(2024, 4, 1)
)
VISIT = ActivityReported(measure="4.4", kind="field-visit", title="名校走访", on=date(2024, 4, 1))


def hire(on: str, person: int = 1, enterprise: int = 1) -> PersonHired:
    return HIRE.model_copy(
        update={
            "hired_on": date.fromisoformat(on),
            "person": someone(person),
            "enterprise": organisation(enterprise),
        }
    )


def ended(on: str) -> HireEnded:
    return HireEnded(ended_on=date.fromisoformat(on))


def joined(person: int, class_no: str = "C-1") -> StudentJoinedClass:
    return StudentJoinedClass(class_no=class_no, person=someone(person), joined_on=date(2024, 9, 1))


def matched(persons: int) -> DemandMatched:
    return DemandMatched(instrument="recruitment-line", persons=persons)


def test_a_person_is_hired() -> None:
    given().when(report("hire/A", HIRE)).then_accepted()


def test_a_person_has_one_employment_at_an_enterprise_at_a_time() -> None:
    given(report("hire/A", HIRE)).when(report("hire/B", hire("2024-05-01"))).then_refused(
        AlreadyEmployedThere, "/data/hired_on"
    )


def test_an_employment_without_an_end_lasts_for_ever() -> None:
    given(report("hire/A", hire("2000-01-01"))).when(report("hire/B", hire("2024-12-31"))).then_refused(
        AlreadyEmployedThere
    )


def test_a_hire_before_a_running_employment_overlaps_it() -> None:
    given(report("hire/A", HIRE)).when(report("hire/B", hire("2023-01-01"))).then_refused(AlreadyEmployedThere)


def test_the_end_of_an_employment_is_the_first_day_of_the_next() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-05-01"))
    given(*before).when(report("hire/B", hire("2024-05-01"))).then_accepted()


def test_one_shared_day_of_employment_overlaps() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-05-01"))
    given(*before).when(report("hire/B", hire("2024-04-30"))).then_refused(AlreadyEmployedThere)


def test_an_employment_that_ended_on_its_first_day_overlaps_nothing() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-03-01"))
    given(*before).when(report("hire/B", HIRE)).then_accepted()


def test_a_person_may_work_at_two_enterprises() -> None:
    given(report("hire/A", HIRE)).when(report("hire/B", hire("2024-03-01", enterprise=2))).then_accepted()


def test_an_enterprise_may_employ_two_persons() -> None:
    given(report("hire/A", HIRE)).when(report("hire/B", hire("2024-03-01", person=2))).then_accepted()


def test_an_end_is_never_refused_for_overlap() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-05-01")), report("hire/B", hire("2024-05-01"))
    given(*before).when(report("hire/B", ended("2024-06-01"))).then_accepted()


def test_a_contract_may_be_taken_up_again_from_the_day_it_ended() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-05-01"))
    given(*before).when(report("hire/A", hire("2024-05-01"))).then_accepted()
    given(*before).when(report("hire/A", hire("2024-04-30"))).then_refused(AlreadyOpen)


def test_a_corrected_hire_is_not_in_its_own_way() -> None:
    given(report("hire/A", HIRE)).when(report("hire/A", hire("2024-02-01"), corrects="report-1")).then_accepted()


def test_a_corrected_hire_must_not_reach_into_another() -> None:
    before = (
        report("hire/A", HIRE),
        report("hire/A", ended("2024-05-01")),
        report("hire/B", hire("2024-05-01")),
    )
    # The end of A stays attached to what corrects its start (RULES B4).
    given(*before).when(report("hire/A", hire("2024-04-01"), corrects="report-1")).then_accepted()
    given(*before).when(report("hire/B", hire("2024-04-30"), corrects="report-3")).then_refused(AlreadyEmployedThere)
    given(*before).when(report("hire/B", hire("2024-04-30", enterprise=2), corrects="report-3")).then_accepted()


def test_what_was_corrected_away_or_taken_back_overlaps_nothing() -> None:
    for another in (hire("2024-03-01", enterprise=2), hire("2024-03-01", person=2)):
        moved = report("hire/A", another, corrects="report-1")
        given(report("hire/A", HIRE), moved).when(report("hire/B", HIRE)).then_accepted()
        given(report("hire/A", HIRE), moved).when(report("hire/B", another)).then_refused(AlreadyEmployedThere)
    given(report("hire/A", HIRE), retraction("hire/A", "report-1")).when(report("hire/B", HIRE)).then_accepted()


def test_an_end_taken_back_leaves_the_employment_running() -> None:
    before = report("hire/A", HIRE), report("hire/A", ended("2024-05-01")), retraction("hire/A", "report-2")
    given(*before).when(report("hire/B", hire("2024-06-01"))).then_refused(AlreadyEmployedThere)


def test_a_hire_of_tomorrow_is_no_plan_yet() -> None:
    given().when(report("hire/A", hire("2024-06-02"), on="2024-06-01", received="2024-06-01")).then_accepted()
    given().when(report("hire/A", hire("2024-06-03"), on="2024-06-01", received="2024-06-01")).then_refused(
        InTheFuture, "/data/hired_on"
    )


def test_a_student_takes_a_seat_of_a_class() -> None:
    given(report("class/C-1", CLASS)).when(report("class-member/C-1/7", joined(1))).then_accepted()


def test_a_student_waits_for_a_class_not_reported_yet() -> None:
    given().when(report("class-member/C-1/7", joined(1))).then_waits_for("class/C-1")


def test_a_student_does_not_take_a_seat_of_another_class() -> None:
    given(report("class/C-2", CLASS)).when(report("class-member/C-1/7", joined(1))).then_waits_for("class/C-1")


def test_the_last_seat_is_taken_and_no_more() -> None:
    before = report("class/C-1", CLASS), report("class-member/C-1/7", joined(1))
    given(*before).when(report("class-member/C-1/8", joined(2))).then_accepted()
    full = given(*before, report("class-member/C-1/8", joined(2)))
    assert not full.when(report("class-member/C-1/9", joined(3))).then_refused(ClassFull, "/data/class_no").values


def test_a_corrected_member_keeps_the_seat_and_one_taken_back_frees_it() -> None:
    full = (
        report("class/C-1", CLASS),
        report("class-member/C-1/7", joined(1)),
        report("class-member/C-1/8", joined(2)),
    )
    given(*full).when(report("class-member/C-1/8", joined(3), corrects="report-3")).then_accepted()
    given(*full, retraction("class-member/C-1/8", "report-3")).when(
        report("class-member/C-1/9", joined(3))
    ).then_accepted()


def test_a_corrected_number_of_seats_counts() -> None:
    wider = CLASS.model_copy(update={"seats": 3})
    full = (
        report("class/C-1", CLASS),
        report("class-member/C-1/7", joined(1)),
        report("class-member/C-1/8", joined(2)),
        report("class/C-1", wider, corrects="report-1"),
    )
    given(*full).when(report("class-member/C-1/9", joined(3))).then_accepted()


def test_a_student_waits_for_a_class_that_was_taken_back() -> None:
    given(report("class/C-1", CLASS), retraction("class/C-1", "report-1")).when(
        report("class-member/C-1/7", joined(1))
    ).then_waits_for("class/C-1")


def test_members_of_another_class_take_no_seat() -> None:
    others = [report(f"class-member/C-2/{n}", joined(n, "C-2")) for n in range(2)]
    given(report("class/C-1", CLASS), report("class/C-2", CLASS), *others).when(
        report("class-member/C-1/7", joined(1))
    ).then_accepted()


def test_a_student_joins_a_class_once() -> None:
    given(report("class/C-1", CLASS), report("class-member/C-1/7", joined(1))).when(
        report("class-member/C-1/7", joined(1))
    ).then_refused(AlreadyOpen)


def test_a_demand_is_matched_step_by_step_up_to_the_persons_raised() -> None:
    raised = report("demand/D", DEMAND)
    given(raised).when(report("demand/D", matched(10))).then_accepted()
    given(raised, report("demand/D", matched(6))).when(report("demand/D", matched(4))).then_accepted()


def test_no_more_persons_are_matched_than_were_raised() -> None:
    given(report("demand/D", DEMAND)).when(report("demand/D", matched(11))).then_refused(
        MoreThanRaised, "/data/persons"
    )
    refusal = (
        given(report("demand/D", DEMAND), report("demand/D", matched(6)))
        .when(report("demand/D", matched(5)))
        .then_refused(MoreThanRaised, "/data/persons")
    )
    assert not refusal.values


def test_a_corrected_match_is_counted_once() -> None:
    before = report("demand/D", DEMAND), report("demand/D", matched(6)), report("demand/D", matched(4))
    given(*before).when(report("demand/D", matched(4), corrects="report-2")).then_accepted()
    given(*before).when(report("demand/D", matched(7), corrects="report-2")).then_refused(MoreThanRaised)


def test_a_match_taken_back_can_be_made_anew() -> None:
    before = report("demand/D", DEMAND), report("demand/D", matched(10)), retraction("demand/D", "report-2")
    given(*before).when(report("demand/D", matched(10))).then_accepted()


def test_a_match_waits_for_its_demand() -> None:
    given().when(report("demand/D", matched(1))).then_waits_for("demand/D")


def test_a_cancelled_fair_is_held_no_more_and_cannot_be_cancelled_again() -> None:
    cancelled = FairCancelled(reason="暴雨")
    given(report("fair/F", FAIR)).when(report("fair/F", cancelled)).then_accepted()
    both = given(report("fair/F", FAIR), report("fair/F", cancelled))
    both.when(report("fair/F", cancelled)).then_refused(NotOpen)
    both.when(report("fair/F", FAIR)).then_refused(AlreadyOpen)


def test_an_end_of_employment_waits_for_its_start_and_never_precedes_it() -> None:
    given().when(report("hire/A", ended("2024-05-01"))).then_waits_for("hire/A")
    given(report("hire/A", HIRE)).when(report("hire/A", ended("2024-02-29"))).then_refused(
        EndsBeforeStart, "/data/ended_on"
    )


def test_a_practical_training_lasts_at_least_its_first_day() -> None:
    one_day = TRAINING.model_copy(update={"until": date(2024, 3, 1)})
    given().when(report("internship/I", one_day)).then_accepted()
    backwards = TRAINING.model_copy(update={"until": date(2024, 2, 29)})
    given().when(report("internship/I", backwards)).then_refused(EndsBeforeStart, "/data/until")


def test_a_practical_training_may_end_in_the_future() -> None:
    given().when(report("internship/I", TRAINING, received="2024-03-01")).then_accepted()


@pytest.mark.parametrize(
    ("subject", "event"),
    [
        ("internship/I", TRAINING),
        (f"invitation/F-1/{credit_code(3, '12')}", INVITATION),
        ("activity/4.4/A", VISIT),
        ("class/C-1", CLASS),
        ("demand/D", DEMAND),
    ],
)
def test_what_happens_once_is_reported_once(
    subject: str, event: PracticalTrainingStarted | SchoolInvited | ActivityReported
) -> None:
    given().when(report(subject, event)).then_accepted()
    given(report(subject, event)).when(report(subject, event)).then_refused(AlreadyOpen, "/subject")
