"""Competition's own rules: a number is used once, who passed had sat, titles only of open series."""

from datetime import date

import pytest

from services.competition.decider import PartsExceedTotal, SeriesNotOpen, domain
from services.competition.events import (
    LANGUAGE,
    AwardGranted,
    AwardWithdrawn,
    CertificateIssued,
    CertificateRevoked,
    CertificationSessionHeld,
    CompetitionCancelled,
    CompetitionHeld,
    ConferenceHeld,
    HonourConferred,
    HonourWithdrawn,
    PilotEnterpriseRegistered,
    PilotEnterpriseWithdrawn,
    SkillFactorApplied,
    TitleConferred,
    TitleSeriesOpened,
)
from shared.contract.events import Event
from shared.contract.rules import AlreadyOpen, EndsBeforeStart, NotOpen, NumberTaken
from tests.harness.given import report, retraction, rules_of
from tests.harness.people import credit_code, organisation, someone

given = rules_of(domain(()), LANGUAGE)

CERTIFICATE = CertificateIssued(
    person=someone(1),
    occupation_code="6-18-01-01",
    occupation_name="车工",
    level="2",
    kind="skill-level",
    issuer=organisation(1),
    issuer_kind="enterprise",
    issued_on=date(2024, 3, 1),
)
REVOKED = CertificateRevoked(revoked_on=date(2024, 5, 1), reason="成绩作废")
SESSION = CertificationSessionHeld(
    organiser=organisation(1),
    occupation_code="6-18-01-01",
    level="3",
    candidates=20,
    passed=20,
    held_on=date(2024, 3, 1),
)
SERIES = TitleSeriesOpened(series="engineering")
TITLE = TitleConferred(series="engineering", person=someone(1), title_level="senior", conferred_on=date(2024, 3, 1))
PILOT = PilotEnterpriseRegistered(enterprise=organisation(1))
COMPETITION = CompetitionHeld(
    name="数控技能大赛", rank="city", organiser=organisation(1), participants=40, held_on=date(2024, 3, 1)
)
AWARD = AwardGranted(award="city-technical-expert", person=someone(1), granted_on=date(2024, 3, 1))
HONOUR = HonourConferred(honour="artisan", rank="city", person=someone(1), conferred_on=date(2024, 3, 1))
CONFERENCE = ConferenceHeld(name="技能人才发展大会", held_on=date(2024, 3, 1))
FACTOR = SkillFactorApplied(
    procedure="tender", authority=organisation(4, "11"), enterprise=organisation(1), applied_on=date(2024, 3, 1)
)


def test_a_certificate_is_issued() -> None:
    given().when(report("certificate/Z-1", CERTIFICATE)).then_accepted()


def test_a_certificate_number_is_used_once() -> None:
    another = CERTIFICATE.model_copy(update={"person": someone(2)})
    given(report("certificate/Z-1", CERTIFICATE)).when(report("certificate/Z-1", another)).then_refused(
        NumberTaken, "/subject"
    )


def test_a_certificate_number_stays_taken_after_revocation() -> None:
    later = CERTIFICATE.model_copy(update={"issued_on": date(2024, 6, 1)})
    given(report("certificate/Z-1", CERTIFICATE), report("certificate/Z-1", REVOKED)).when(
        report("certificate/Z-1", later)
    ).then_refused(NumberTaken)


def test_a_certificate_may_expire_on_its_first_day_but_not_before() -> None:
    day = CERTIFICATE.model_copy(update={"expires_on": date(2024, 3, 1)})
    given().when(report("certificate/Z-1", day)).then_accepted()
    backwards = CERTIFICATE.model_copy(update={"expires_on": date(2024, 2, 29)})
    given().when(report("certificate/Z-1", backwards)).then_refused(EndsBeforeStart, "/data/expires_on")


def test_a_certificate_may_expire_in_the_future() -> None:
    lasting = CERTIFICATE.model_copy(update={"expires_on": date(2034, 3, 1)})
    given().when(report("certificate/Z-1", lasting, received="2024-03-01")).then_accepted()


def test_a_certificate_is_revoked_on_its_first_day_at_the_earliest() -> None:
    issued = given(report("certificate/Z-1", CERTIFICATE))
    first = REVOKED.model_copy(update={"revoked_on": date(2024, 3, 1)})
    issued.when(report("certificate/Z-1", first)).then_accepted()
    before = REVOKED.model_copy(update={"revoked_on": date(2024, 2, 29)})
    issued.when(report("certificate/Z-1", before)).then_refused(EndsBeforeStart, "/data/revoked_on")


def test_a_revocation_waits_for_its_certificate() -> None:
    given().when(report("certificate/Z-1", REVOKED)).then_waits_for("certificate/Z-1")


def test_a_certificate_is_revoked_once() -> None:
    given(report("certificate/Z-1", CERTIFICATE), report("certificate/Z-1", REVOKED)).when(
        report("certificate/Z-1", REVOKED)
    ).then_refused(NotOpen)


def test_a_person_may_hold_several_certificates() -> None:
    given(report("certificate/Z-1", CERTIFICATE)).when(report("certificate/Z-2", CERTIFICATE)).then_accepted()


def test_no_more_pass_than_took_part() -> None:
    given().when(report("session/S", SESSION)).then_accepted()
    given().when(report("session/S", SESSION.model_copy(update={"passed": 21}))).then_refused(
        PartsExceedTotal, "/data/passed"
    )


def test_a_session_may_be_held_without_candidates() -> None:
    nobody = SESSION.model_copy(update={"candidates": 0, "passed": 0})
    given().when(report("session/S", nobody)).then_accepted()


def test_a_title_is_conferred_from_the_day_its_series_opened() -> None:
    opened = report("title-series/engineering", SERIES, on="2024-03-01")
    given(opened).when(report("title/T", TITLE)).then_accepted()
    the_day_before = TITLE.model_copy(update={"conferred_on": date(2024, 2, 29)})
    given(opened).when(report("title/T", the_day_before)).then_refused(SeriesNotOpen, "/data/series")


def test_a_title_of_a_series_never_opened_is_refused_at_once() -> None:
    given().when(report("title/T", TITLE)).then_refused(SeriesNotOpen)


def test_another_series_opens_nothing() -> None:
    arts = report("title-series/arts", TitleSeriesOpened(series="arts"), on="2024-01-01")
    given(arts).when(report("title/T", TITLE)).then_refused(SeriesNotOpen)


def test_a_series_counts_from_its_corrected_day_and_not_once_taken_back() -> None:
    opened = report("title-series/engineering", SERIES, on="2024-03-01")
    later = report("title-series/engineering", SERIES, on="2024-03-02", corrects="report-1")
    given(opened, later).when(report("title/T", TITLE)).then_refused(SeriesNotOpen)
    taken_back = retraction("title-series/engineering", "report-1")
    given(opened, taken_back).when(report("title/T", TITLE)).then_refused(SeriesNotOpen)


def test_a_number_taken_back_is_free_again() -> None:
    given(report("certificate/Z-1", CERTIFICATE), retraction("certificate/Z-1", "report-1")).when(
        report("certificate/Z-1", CERTIFICATE)
    ).then_accepted()


def test_a_corrected_certificate_keeps_its_number() -> None:
    another = CERTIFICATE.model_copy(update={"level": "1"})
    given(report("certificate/Z-1", CERTIFICATE)).when(
        report("certificate/Z-1", another, corrects="report-1")
    ).then_accepted()


def test_a_title_series_opens_once() -> None:
    opened = report("title-series/engineering", SERIES)
    given(opened).when(opened).then_refused(AlreadyOpen)


def test_a_pilot_registers_again_from_the_day_it_withdrew() -> None:
    subject = f"pilot/{credit_code(1)}"
    withdrawn = given(
        report(subject, PILOT, on="2024-03-01"), report(subject, PilotEnterpriseWithdrawn(), on="2024-05-01")
    )
    withdrawn.when(report(subject, PILOT, on="2024-05-01")).then_accepted()
    withdrawn.when(report(subject, PILOT, on="2024-04-30")).then_refused(AlreadyOpen)


def test_a_pilot_withdraws_on_the_day_it_registered_at_the_earliest() -> None:
    subject = f"pilot/{credit_code(1)}"
    registered = given(report(subject, PILOT, on="2024-03-01"))
    registered.when(report(subject, PilotEnterpriseWithdrawn(), on="2024-03-01")).then_accepted()
    registered.when(report(subject, PilotEnterpriseWithdrawn(), on="2024-02-29")).then_refused(EndsBeforeStart, "/time")


CANCELLED = [
    ("competition/K", COMPETITION, CompetitionCancelled(reason="报名不足")),
    ("award/A", AWARD, AwardWithdrawn(reason="作弊")),
    ("honour/H", HONOUR, HonourWithdrawn(reason="撤销")),
]


@pytest.mark.parametrize(("subject", "happened", "cancelled"), CANCELLED)
def test_what_was_cancelled_is_gone_for_good(subject: str, happened: Event, cancelled: Event) -> None:
    given(report(subject, happened)).when(report(subject, cancelled)).then_accepted()
    gone = given(report(subject, happened), report(subject, cancelled))
    gone.when(report(subject, cancelled)).then_refused(NotOpen)
    gone.when(report(subject, happened)).then_refused(AlreadyOpen)


@pytest.mark.parametrize(("subject", "happened", "cancelled"), CANCELLED)
def test_a_cancellation_waits_for_what_it_cancels(subject: str, happened: Event, cancelled: Event) -> None:
    assert happened.type_name != cancelled.type_name
    given().when(report(subject, cancelled)).then_waits_for(subject)


@pytest.mark.parametrize(
    ("subject", "event"),
    [
        ("session/S", SESSION),
        ("conference/C", CONFERENCE),
        ("evaluation/E", FACTOR),
        ("competition/K", COMPETITION),
        ("award/A", AWARD),
        ("honour/H", HONOUR),
    ],
)
def test_what_happens_once_is_reported_once(subject: str, event: Event) -> None:
    given().when(report(subject, event)).then_accepted()
    given(report(subject, event)).when(report(subject, event)).then_refused(AlreadyOpen, "/subject")
