"""Subsidy's own rules and its arithmetic: grants by evidence, payments within them, credit under a cap (RULES D)."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from services.competition.events import CertificateIssued, CertificateRevoked, HonourConferred, HonourWithdrawn
from services.recruitment.events import HireEnded, PersonHired
from services.subsidy.decider import (
    AlreadyGranted,
    CertificateNotValid,
    LevelTooLow,
    MoreThanGranted,
    MoreThanPaid,
    NoHonour,
    NoStandard,
    NotAShortageOccupation,
    NotEmployed,
    NotGranted,
    NotYourCertificate,
    OverlappingCatalogue,
    OverTheLimit,
    domain,
)
from services.subsidy.events import (
    LANGUAGE,
    AllowanceClaimed,
    AllowanceGranted,
    AllowancePaid,
    AllowanceRefused,
    CatalogueOccupation,
    CataloguePublished,
    CreditLineClosed,
    CreditLineGranted,
    CreditLineRefused,
    CreditLineRequested,
    StandardSet,
    SubsidyClaimed,
    SubsidyGranted,
    SubsidyPaid,
    SubsidyRecovered,
    SubsidyRefused,
)
from services.subsidy.policies import HEARS
from services.vocabulary import Industry, Level
from shared.plan.loading import load_plans
from tests.harness.given import GivenReport, report, retraction, rules_of
from tests.harness.people import organisation, someone

PLANS: Final = load_plans(Path(__file__).resolve().parents[2] / "plans")
given = rules_of(domain(PLANS), LANGUAGE, *HEARS)
TURNER, CARER = "6-18-01-01", "4-10-01-05"


def day(text: str) -> date:
    return date.fromisoformat(text)


def certificate(number: str = "Z1", who: int = 1, **changes: Any) -> GivenReport:
    event = CertificateIssued(
        person=someone(who),
        occupation_code=TURNER,
        occupation_name="车工",
        level="2",
        kind="skill-level",
        issuer=organisation(9),
        issuer_kind="enterprise",
        issued_on=day("2024-03-01"),
        expires_on=day("2027-02-28"),
    )
    return report(f"certificate/{number}", event.model_copy(update=changes))


def revoked(on: str, number: str = "Z1") -> GivenReport:
    return report(f"certificate/{number}", CertificateRevoked(revoked_on=day(on), reason="违规"))


def standard(fen: int, since: str = "2024-01-01", occupation: str = TURNER, level: Level = "2") -> GivenReport:
    event = StandardSet(occupation_code=occupation, level=level, amount_fen=fen, effective_from=day(since))
    return report(f"standard/{occupation}/{level}", event)


def catalogue(
    *listed: tuple[str, Industry], no: str = "2024", since: str = "2024-01-01", until: str | None = "2024-12-31"
) -> GivenReport:
    event = CataloguePublished(
        title="目录",
        document_no="1",
        effective_from=day(since),
        effective_until=day(until) if until else None,
        occupations=[CatalogueOccupation(code=code, name="工种", industry=industry) for code, industry in listed],
    )
    return report(f"catalogue/{no}", event)


def claim(no: str = "C1", who: int = 1, on: str = "2024-06-01", **changes: Any) -> GivenReport:
    event = SubsidyClaimed(
        person=someone(who),
        certificate_number="Z1",
        industry="other",
        applicant="person",
        claimed_on=day(on),
    )
    return report(f"claim/{no}", event.model_copy(update=changes))


def granted(
    base: int, percentage: int, amount: int, catalogue_no: str | None = None, since: str = "2024-01-01"
) -> SubsidyGranted:
    return SubsidyGranted(
        certificate_number="Z1",
        occupation_code=TURNER,
        level="2",
        base_fen=base,
        standard_effective_from=day(since),
        percentage=percentage,
        clause="2.2",
        catalogue_no=catalogue_no,
        amount_fen=amount,
    )


def refused(code: str, number: str = "Z1") -> SubsidyRefused:
    return SubsidyRefused(certificate_number=number, code=code)


def test_the_amount_is_the_standard() -> None:
    given(certificate(), standard(200_001)).when(claim()).then_accepted(granted(200_001, 0, 200_001))


@pytest.mark.parametrize(
    ("base", "amount"),
    [
        (100_000, 130_000),
        (100_001, 130_001),  # 130,001.3
        (100_005, 130_007),  # 130,006.5: half up
        (100_015, 130_020),  # 130,019.5
        (100_002, 130_003),  # 130,002.6
        (1, 1),  # 1.3
        (2, 3),  # 2.6
    ],
)
def test_an_emerging_industry_adds_30_percent(base: int, amount: int) -> None:
    for industry in ("high-end-equipment", "new-materials", "electronic-information", "modern-medicine"):
        claimed = claim(industry=industry)
        given(certificate(), standard(base)).when(claimed).then_accepted(granted(base, 30, amount))


@pytest.mark.parametrize(
    ("base", "amount"),
    [(100_000, 150_000), (100_001, 150_002), (100_003, 150_005), (1, 2), (3, 5)],  # …, 1.5, 4.5: half up
)
def test_a_shortage_occupation_adds_50_percent_instead(base: int, amount: int) -> None:
    known = certificate(), standard(base), catalogue((TURNER, "high-end-equipment"))
    for industry in ("high-end-equipment", "other"):
        # Whatever the claim says (D5).
        given(*known).when(claim(industry=industry)).then_accepted(granted(base, 50, amount, "2024"))


def test_listed_under_another_industry_it_is_none_of_the_four() -> None:
    known = certificate(), standard(100_000), catalogue((TURNER, "other"), (CARER, "modern-medicine"))
    given(*known).when(claim()).then_accepted(granted(100_000, 0, 100_000))
    given(*known).when(claim(industry="new-materials")).then_accepted(granted(100_000, 30, 130_000))


def test_listed_twice_any_of_the_four_is_enough() -> None:
    known = certificate(), standard(100_000), catalogue((TURNER, "other"), (TURNER, "new-materials"))
    given(*known).when(claim()).then_accepted(granted(100_000, 50, 150_000, "2024"))


@pytest.mark.parametrize(
    ("issued", "percentage"), [("2024-01-01", 50), ("2024-12-31", 50), ("2023-12-31", 0), ("2025-01-01", 0)]
)
def test_the_catalogue_in_force_on_the_day_of_issue_decides(issued: str, percentage: int) -> None:
    known = certificate(issued_on=day(issued)), standard(100, "2020-01-01"), catalogue((TURNER, "new-materials"))
    decided = granted(100, percentage, 100 + percentage, "2024" if percentage else None, "2020-01-01")
    given(*known).when(report("claim/C1", claim(on="2025-06-01").event, received="2025-12-31")).then_accepted(decided)


def test_the_latest_standard_in_force_on_the_day_of_issue_counts() -> None:
    known = (
        certificate(issued_on=day("2024-03-01")),
        standard(300, "2024-03-02"),
        standard(200, "2024-03-01"),
        standard(100, "2024-02-01"),
        standard(900, "2024-03-01", CARER),
        standard(900, "2024-03-01", level="3"),
    )
    given(*known).when(claim()).then_accepted(granted(200, 0, 200, since="2024-03-01"))
    # Of two of the same day the one recorded later (D4); a correction is recorded when it is (B12).
    given(*known, standard(201, "2024-03-01")).when(claim()).then_accepted(granted(201, 0, 201, since="2024-03-01"))
    first, second = standard(201, "2024-03-01"), standard(202, "2024-03-01")
    fixed = report(first.subject, standard(203, "2024-03-01").event, corrects="report-2")
    given(certificate(), first, second, fixed).when(claim()).then_accepted(granted(203, 0, 203, since="2024-03-01"))


def test_without_a_standard_it_is_refused_at_once() -> None:
    for known in ((), (standard(1, "2024-03-02"),), (standard(1, level="3"),), (standard(1, occupation=CARER),)):
        given(certificate(), *known).when(claim()).then_refused(NoStandard, None, refused("no-standard"))


def test_the_certificate_is_waited_for() -> None:
    given(standard(1)).when(claim()).then_waits_for("certificate/Z1")
    given(standard(1), certificate("Z2")).when(claim()).then_waits_for("certificate/Z1")


def test_it_is_the_claimants() -> None:
    given(certificate(who=2), standard(1)).when(claim()).then_refused(
        NotYourCertificate, "/data/certificate_number", refused("not-your-certificate")
    )


@pytest.mark.parametrize(
    ("claimed", "valid"),
    [("2024-03-01", True), ("2024-02-29", False), ("2024-09-30", True), ("2024-10-01", False)],
)
def test_it_is_valid_on_the_day_of_the_claim(claimed: str, valid: bool) -> None:
    for known in ((certificate(expires_on=day("2024-09-30")),), (certificate(), revoked("2024-10-01"))):
        outcome = given(*known, standard(1)).when(claim(on=claimed))
        if valid:
            outcome.then_accepted(granted(1, 0, 1))
        else:
            outcome.then_refused(CertificateNotValid, "/data/certificate_number", refused("certificate-not-valid"))


def test_a_person_and_certificate_is_granted_once_in_any_district() -> None:
    before = certificate(), standard(1), claim()
    again = report("claim/C2", claim().event, district="330602")
    given(*before).when(again).then_refused(AlreadyGranted, None, refused("already-granted"))
    given(*before, certificate("Z2")).when(claim("C2", certificate_number="Z2")).then_accepted(
        granted(1, 0, 1).model_copy(update={"certificate_number": "Z2"})
    )
    given(*before, retraction("claim/C1", "report-3")).when(again).then_accepted(granted(1, 0, 1))


def test_checks_come_in_their_order() -> None:
    # All that can be wrong is wrong; one after another it is put right (D2).
    wrong = claim("C2", on="2024-01-01")
    rule: Final = "/data/certificate_number"
    given(certificate(who=2)).when(wrong).then_refused(NotYourCertificate, rule, refused("not-your-certificate"))
    given(certificate(), claim()).when(wrong).then_refused(CertificateNotValid, rule, refused("certificate-not-valid"))
    given(certificate(), claim()).when(claim("C2")).then_refused(NoStandard, None, refused("no-standard"))
    given(certificate(), claim(), standard(1)).when(claim("C2")).then_refused(
        AlreadyGranted, None, refused("already-granted")
    )


def paid(fen: int) -> GivenReport:
    return report("claim/C1", SubsidyPaid(amount_fen=fen, on=day("2024-07-01")))


def recovered(fen: int) -> GivenReport:
    return report("claim/C1", SubsidyRecovered(amount_fen=fen, on=day("2024-08-01")))


GRANT: Final = certificate(), standard(100), claim(), report("claim/C1", granted(100, 0, 100))


@pytest.mark.parametrize(
    ("before", "payable", "recoverable"),
    [
        ((), 100, 0),
        ((paid(60),), 40, 60),
        ((paid(60), paid(40)), 0, 100),
        ((paid(60), recovered(10)), 50, 50),
        ((paid(100), recovered(100)), 100, 0),
        ((paid(60), retraction("claim/C1", "report-5")), 100, 0),
    ],
)
def test_payments_stay_within_the_grant_and_recoveries_within_what_is_paid(
    before: tuple[GivenReport, ...], payable: int, recoverable: int
) -> None:
    world = given(*GRANT, *before)
    assert not world.when(paid(payable + 1)).then_refused(MoreThanGranted, "/data/amount_fen").values
    assert not world.when(recovered(recoverable + 1)).then_refused(MoreThanPaid, "/data/amount_fen").values
    if payable:
        world.when(paid(payable)).then_accepted()
    if recoverable:
        world.when(recovered(recoverable)).then_accepted()


def test_a_payments_correction_is_checked_like_the_payment() -> None:
    world = given(*GRANT, paid(60), paid(30))
    fixed = SubsidyPaid(amount_fen=70, on=day("2024-07-01"))
    world.when(report("claim/C1", fixed, corrects="report-5")).then_accepted()
    more = fixed.model_copy(update={"amount_fen": 71})
    world.when(report("claim/C1", more, corrects="report-5")).then_refused(MoreThanGranted, "/data/amount_fen")


def test_a_payment_on_a_refused_claim_is_not_granted() -> None:
    no = report("claim/C1", refused("no-standard"))
    for money in (paid(1), recovered(1)):
        given(no).when(money).then_refused(NotGranted)
        given().when(money).then_waits_for("claim/C1")
    given(report("allowance/A1", AllowanceRefused(certificate_number="Z1", code="not-employed"))).when(
        report("allowance/A1", AllowancePaid(amount_fen=1, on=day("2024-07-01")))
    ).then_refused(NotGranted)


def allowance(no: str = "A1", who: int = 1, on: str = "2024-06-01", number: str = "Z1") -> GivenReport:
    event = AllowanceClaimed(
        person=someone(who),
        certificate_number=number,
        enterprise=organisation(1),
        employed_since=day("2020-01-01"),
        claimed_on=day(on),
    )
    return report(f"allowance/{no}", event, received="2026-12-31")


def allowed(level: Level, monthly: int, since: str = "2024-06-01", until: str = "2025-05-31") -> AllowanceGranted:
    return AllowanceGranted(
        certificate_number="Z1",
        level=level,
        monthly_fen=monthly,
        months=12,
        clause="5.1",
        catalogue_no="2024",
        runs_from=day(since),
        runs_until=day(until),
        amount_fen=12 * monthly,
    )


SHORT: Final = catalogue((TURNER, "other"), until=None)


@pytest.mark.parametrize(("level", "monthly"), [("2", 50_000), ("1", 80_000), ("special", 80_000), ("chief", 80_000)])
def test_an_allowance_is_by_level(level: Level, monthly: int) -> None:
    given(certificate(level=level), SHORT).when(allowance()).then_accepted(allowed(level, monthly))


@pytest.mark.parametrize("level", ["apprentice", "5", "4", "3"])
def test_level_2_is_the_lowest(level: Level) -> None:
    no = AllowanceRefused(certificate_number="Z1", code="level-too-low")
    given(certificate(level=level), SHORT).when(allowance()).then_refused(LevelTooLow, None, no)


def test_the_occupation_is_in_the_catalogue_of_the_day_of_the_claim_under_any_industry() -> None:
    no = AllowanceRefused(certificate_number="Z1", code="not-a-shortage-occupation")
    given(certificate()).when(allowance()).then_refused(NotAShortageOccupation, None, no)
    given(certificate(), catalogue((CARER, "other"))).when(allowance()).then_refused(NotAShortageOccupation, None, no)
    later = catalogue((TURNER, "other"), no="2025", since="2025-01-01", until=None)
    world = given(certificate(), later)
    world.when(allowance()).then_refused(NotAShortageOccupation, None, no)
    world.when(allowance(on="2025-01-01")).then_accepted(
        allowed("2", 50_000, "2025-01-01", "2025-12-31").model_copy(update={"catalogue_no": "2025"})
    )


def hired(on: str, who: int = 1, enterprise: int = 1, no: str = "H1") -> GivenReport:
    event = PersonHired(
        person=someone(who),
        enterprise=organisation(enterprise),
        channel="other",
        occupation_code=TURNER,
        hired_on=day(on),
    )
    return report(f"hire/{no}", event)


def left(on: str, no: str = "H1") -> GivenReport:
    return report(f"hire/{no}", HireEnded(ended_on=day(on)))


@pytest.mark.parametrize(
    ("hires", "employed"),
    [
        ((), True),  # believed
        ((hired("2024-01-01"),), True),
        ((hired("2024-01-01"), left("2024-06-02")), True),
        ((hired("2024-01-01"), left("2024-06-01")), False),
        ((hired("2024-01-01"), left("2024-02-01"), hired("2024-03-01", no="H2")), True),
        ((hired("2024-06-02"),), False),
        ((hired("2024-01-01", enterprise=2), left("2024-02-01")), True),  # elsewhere: says nothing of here
        ((hired("2024-01-01", who=2), left("2024-02-01")), True),
    ],
)
def test_an_employment_on_record_must_not_have_ended(hires: tuple[GivenReport, ...], employed: bool) -> None:
    world = given(certificate(), SHORT, *hires)
    outcome = world.when(allowance())
    if employed:
        outcome.then_accepted(allowed("2", 50_000))
    else:
        outcome.then_refused(NotEmployed, None, AllowanceRefused(certificate_number="Z1", code="not-employed"))


@pytest.mark.parametrize(
    ("on", "running"),
    [("2023-06-01", False), ("2023-06-02", True), ("2024-06-01", True), ("2025-05-31", True), ("2025-06-01", False)],
)
def test_one_allowance_runs_at_a_time(on: str, running: bool) -> None:
    world = given(certificate(issued_on=day("2020-01-01"), expires_on=None), _always(), allowance())
    outcome = world.when(allowance("A2", on=on))
    no = AllowanceRefused(certificate_number="Z1", code="already-granted")
    if running:
        outcome.then_refused(AlreadyGranted, None, no)
    else:
        end = f"{int(on[:4]) + 1}-05-31"
        outcome.then_accepted(allowed("2", 50_000, on, end))


def _always() -> GivenReport:
    return catalogue((TURNER, "other"), since="2020-01-01", until=None)


def test_a_year_from_a_leap_day_ends_with_february() -> None:
    world = given(certificate(issued_on=day("2020-01-01")), _always())
    world.when(allowance(on="2024-02-29")).then_accepted(allowed("2", 50_000, "2024-02-29", "2025-02-27"))


def test_the_checks_of_an_allowance_come_in_their_order() -> None:
    def no(code: str) -> AllowanceRefused:
        return AllowanceRefused(certificate_number="Z1", code=code)

    gone = hired("2024-01-01"), left("2024-02-01")
    low: dict[str, Any] = {"level": "3"}
    before = allowance(on="2024-05-01")
    case = allowance("A2")
    given(before, *gone).when(case).then_waits_for("certificate/Z1")
    place: Final = "/data/certificate_number"
    given(before, *gone, certificate(who=2, **low)).when(case).then_refused(
        NotYourCertificate, place, no("not-your-certificate")
    )
    given(before, *gone, certificate(**low, expires_on=day("2024-05-31"))).when(case).then_refused(
        CertificateNotValid, place, no("certificate-not-valid")
    )
    given(before, *gone, certificate(**low)).when(case).then_refused(LevelTooLow, None, no("level-too-low"))
    given(before, *gone, certificate()).when(case).then_refused(
        NotAShortageOccupation, None, no("not-a-shortage-occupation")
    )
    given(before, *gone, certificate(), SHORT).when(case).then_refused(NotEmployed, None, no("not-employed"))
    given(before, certificate(), SHORT).when(case).then_refused(AlreadyGranted, None, no("already-granted"))


def test_an_allowance_is_paid_in_any_instalments_up_to_twelve_months() -> None:
    def pay(fen: int) -> GivenReport:
        return report("allowance/A1", AllowancePaid(amount_fen=fen, on=day("2024-07-01")))

    world = given(certificate(), SHORT, allowance(), report("allowance/A1", allowed("2", 50_000)), pay(599_000))
    world.when(pay(1_000)).then_accepted()
    world.when(pay(1_001)).then_refused(MoreThanGranted, "/data/amount_fen")


def honour(
    kind: str = "model-worker", rank: str = "city", who: int = 1, on: str = "2024-03-01", no: str = "H1"
) -> GivenReport:
    event = HonourConferred(person=someone(who), honour="artisan", rank="city", conferred_on=day(on))
    return report(f"honour/{no}", event.model_copy(update={"honour": kind, "rank": rank}))


def line(fen: int, no: str = "L1", who: int = 1, on: str = "2024-06-01") -> GivenReport:
    event = CreditLineRequested(person=someone(who), bank=organisation(4), amount_fen=fen, requested_on=day(on))
    return report(f"credit/{no}", event)


def closed(no: str) -> GivenReport:
    return report(f"credit/{no}", CreditLineClosed(closed_on=day("2024-07-01")))


def opened(fen: int, others: int = 0, no: str = "H1") -> CreditLineGranted:
    return CreditLineGranted(amount_fen=fen, other_open_fen=others, cap_fen=150_000_000, clause="5.4", honour_no=no)


@pytest.mark.parametrize(
    ("kind", "rank", "opens"),
    [
        *(("model-worker", rank, rank != "district") for rank in ("district", "city", "province", "national")),
        *(("artisan", rank, rank != "district") for rank in ("district", "city", "province", "national")),
        *(("gold-blue-collar", rank, True) for rank in ("district", "city", "province", "national")),
        *(("outstanding-talent", rank, False) for rank in ("district", "city", "province", "national")),
    ],
)
def test_which_honours_open_credit(kind: str, rank: str, opens: bool) -> None:
    outcome = given(honour(kind, rank)).when(line(1))
    if opens:
        outcome.then_accepted(opened(1))
    else:
        outcome.then_waits_for("honour", "honour-of:person-1", NoHonour)


def test_an_honour_is_the_persons_conferred_by_then_and_not_withdrawn() -> None:
    waits = "honour", "honour-of:person-1", NoHonour
    given().when(line(1)).then_waits_for(*waits)
    given(honour(who=2)).when(line(1)).then_waits_for(*waits)
    given(honour(on="2024-06-02")).when(line(1)).then_waits_for(*waits)
    given(honour(on="2024-06-01")).when(line(1)).then_accepted(opened(1))
    withdrawn = report("honour/H1", HonourWithdrawn(reason="撤销"), on="2024-12-01")
    given(honour(), withdrawn).when(line(1)).then_waits_for(*waits)
    given(honour(), withdrawn, honour(no="H2")).when(line(1)).then_accepted(opened(1, no="H2"))


@pytest.mark.parametrize(
    ("before", "left"),
    [
        ((), 150_000_000),
        ((line(100_000_000, "L2"),), 50_000_000),
        ((line(100_000_000, "L2"), line(50_000_000, "L3")), 0),
        ((line(100_000_000, "L2"), closed("L2")), 150_000_000),
        ((line(100_000_000, "L2", who=2),), 150_000_000),
        ((report("credit/L2", CreditLineRefused(amount_fen=100_000_000, code="over-the-limit")),), 150_000_000),
    ],
)
def test_all_open_lines_together_reach_the_cap_and_no_more(before: tuple[GivenReport, ...], left: int) -> None:
    world = given(honour(), *before)
    no = CreditLineRefused(amount_fen=left + 1, code="over-the-limit")
    # Not by how much: the other lines may be another district's (RULES G6).
    assert not world.when(line(left + 1)).then_refused(OverTheLimit, "/data/amount_fen", no).values
    if left:
        world.when(line(left)).then_accepted(opened(left, 150_000_000 - left))


def test_catalogues_share_no_day() -> None:
    first = catalogue((TURNER, "other"), no="1", since="2024-01-01", until="2024-06-30")
    world = given(first)
    world.when(catalogue((TURNER, "other"), no="2", since="2024-07-01", until=None)).then_accepted()
    for since, until in (("2024-06-30", None), ("2023-01-01", "2024-01-01"), ("2020-01-01", None)):
        world.when(catalogue((TURNER, "other"), no="2", since=since, until=until)).then_refused(
            OverlappingCatalogue, "/data/effective_from"
        )
    fixed = report("catalogue/1", first.event.model_copy(update={"effective_until": None}), corrects="report-1")
    world.when(fixed).then_accepted()
