"""Each shape of number by hand: what a few facts come to, where and from when (RULES E, C1, C5)."""

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.projection.counting.lines import CompiledPlans
from shared.plan.loading import load_plan
from shared.plan.model import Plan
from tests.harness.generated_plans import GeneratedFact
from tests.harness.in_memory_store import InMemoryStore

PLAN = load_plan(Path(__file__).parents[2] / "plans" / "shaoxing-2023-2025.yaml")
COMPILED = CompiledPlans([PLAN])
END = date(2025, 12, 31)
START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)
ANNA, BEN = {"token": "a" * 32, "sealed": "x"}, {"token": "b" * 32, "sealed": "x"}
ACME, ZETA = ({"credit_code": f"91330600MA2A00000{n}", "name": "某企业"} for n in (1, 2))
YUECHENG, KEQIAO = "330602", "330603"


class Logs:
    """Writes facts as the services do; each is recorded a second after the one before."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.plan = plan
        self.store = InMemoryStore(COMPILED if plan is PLAN else CompiledPlans([plan]))
        self._second = itertools.count(1)
        self._positions: dict[str, int] = {}

    def add(
        self,
        kind: str,
        subject: str,
        data: dict[str, Any],
        *,
        id: str = "",
        time: str = "2023-06-01",
        district: str = YUECHENG,
        system: str = "sys",
        corrects: str | None = None,
    ) -> datetime:
        """Record a fact and count it; return the instant."""
        service = kind.partition(".")[0]
        number = next(self._second)
        at = START + timedelta(seconds=number)
        position = self._positions[service] = self._positions.get(service, 0) + 1
        fact: GeneratedFact = {
            "specversion": "1.0", "id": f"e{number}", "source": f"/services/{service}",
            "type": f"skillplan.{kind}.v1", "subject": subject, "time": f"{time}T23:30:00+08:00", "district": district,
            "position": position, "version": 1, "recordedat": at.isoformat().replace("+00:00", "Z"),
            "reportsource": f"/districts/{district}/{system}", "reportid": id or f"r{number}", "data": data,
        }  # fmt: skip
        if corrects:
            fact["corrects"] = corrects
        self.store.apply([fact])
        return at

    def take_back(self, service: str, subject: str, report: str, name: str = "retracted", **given: Any) -> datetime:
        data = {"report_id": report, "reason": "误报"}
        if name == "suspended":
            given["id"] = report
        return self.add(f"{service}.report-{name}", subject, data, **given)

    def value(
        self, indicator: str, as_of: date = END, period: str = "plan", district: str | None = None,
        known_at: datetime = LATER,
    ) -> int | tuple[int, int | None]:  # fmt: skip
        """Return the numerator, with the denominator where there is one."""
        cell = self.store.cell(self.plan, self.plan.indicators[indicator][1], district, period, as_of, known_at)
        return cell[0] if cell[1] is None else cell

    def causes(self) -> list[tuple[str, int]]:
        return [(row.cause, row.delta) for row in self.store.ledger]


@pytest.fixture
def logs() -> Logs:
    return Logs()


def hire(person: dict[str, str], on: str, channel: str = "gold-blue-collar") -> dict[str, Any]:
    return {"person": person, "enterprise": ACME, "channel": channel, "hired_on": on}


def test_a_person_counts_once_a_year_where_hired_first(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), district=KEQIAO)
    logs.add("recruitment.person-hired", "hire/2", hire(ANNA, "2024-03-01"), district=YUECHENG)
    logs.add("recruitment.person-hired", "hire/3", hire(ANNA, "2025-01-01"), district=KEQIAO)
    assert logs.value("4.1.b", period="2024") == 1
    assert logs.value("4.1.b", period="2024", district=YUECHENG) == 1
    assert logs.value("4.1.b", period="2024", district=KEQIAO) == 0
    assert logs.value("4.1.b", period="2025", district=KEQIAO) == 1
    assert logs.value("4.1.b", period="2024", as_of=date(2024, 2, 29)) == 0


def test_what_was_known_before_an_earlier_hire_came_stays_so(logs: Logs) -> None:
    first = logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), district=KEQIAO)
    logs.add("recruitment.person-hired", "hire/2", hire(ANNA, "2024-03-01"), district=YUECHENG)
    assert logs.value("4.1.b", period="2024", district=KEQIAO, known_at=first) == 1
    assert sorted(logs.causes()) == [("original", 1), ("original", 1), ("supersede", -1)]


def test_of_one_day_the_smaller_source_then_the_smaller_id_is_first(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), district=KEQIAO, id="1")
    logs.add("recruitment.person-hired", "hire/2", hire(ANNA, "2024-05-01"), district=YUECHENG, id="2")
    assert logs.value("4.1.b", period="2024", district=YUECHENG) == 1
    logs.add("recruitment.person-hired", "hire/3", hire(BEN, "2024-05-01"), id="10")
    logs.add("recruitment.person-hired", "hire/4", hire(BEN, "2024-05-01"), id="9")
    row = logs.store.ledger[-1]
    assert logs.value("4.1.b", period="2024") == 2
    assert row.position == 3  # "10" comes before "9": by code point


def test_the_end_of_a_hire_does_not_undo_it(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"))
    logs.add("recruitment.hire-ended", "hire/1", {"ended_on": "2024-05-02"})
    assert logs.value("4.1.b", period="2024") == 1


def test_a_hire_through_another_channel_does_not_count(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01", "other"))
    assert logs.value("4.1.b", period="2024") == 0


def test_a_correction_takes_the_place_of_its_original_from_its_recording_on(logs: Logs) -> None:
    before = logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), id="one")
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01", "other"), id="two", corrects="one")
    assert logs.value("4.1.b", period="2024") == 0
    assert logs.value("4.1.b", period="2024", known_at=before) == 1
    logs.take_back("recruitment", "hire/1", "two")
    assert logs.value("4.1.b", period="2024") == 1  # RULES B1
    assert logs.causes() == [("original", 1), ("correction", -1), ("retraction", 1)]


def test_another_source_may_use_the_same_id(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), id="one")
    logs.add("recruitment.person-hired", "hire/2", hire(BEN, "2024-05-01"), id="one", system="other")
    logs.take_back("recruitment", "hire/1", "one")
    assert logs.value("4.1.b", period="2024") == 1


def test_a_major_counts_while_it_is_open_and_opened_in_the_plan(logs: Logs) -> None:
    major = {"industry": "electronic-information"}
    logs.add("enrollment.major-opened", "major/a", major, time="2022-12-31")
    logs.add("enrollment.major-opened", "major/b", major, time="2023-01-01")
    assert logs.value("1.1.a") == 1
    logs.add("enrollment.major-closed", "major/b", {}, time="2024-03-01")
    assert logs.value("1.1.a", as_of=date(2024, 2, 29)) == 1
    assert logs.value("1.1.a", as_of=date(2024, 3, 1)) == 0
    logs.add("enrollment.major-opened", "major/b", major | {"industry": "new-materials"}, time="2024-03-01")
    assert (logs.value("1.1.a"), logs.value("1.1.d")) == (0, 1)
    assert logs.causes()[1] == ("end", -1)


def test_a_major_closed_on_the_day_it_opened_counts_on_no_day(logs: Logs) -> None:
    logs.add("enrollment.major-opened", "major/a", {"industry": "new-materials"}, time="2024-03-01")
    logs.add("enrollment.major-closed", "major/a", {}, time="2024-03-01")
    assert logs.value("1.1.d", as_of=date(2024, 3, 1)) == 0


def test_a_suspended_end_counts_for_nothing_until_it_is_decided_again(logs: Logs) -> None:
    major = {"industry": "new-materials"}
    logs.add("enrollment.major-opened", "major/a", major, id="open", time="2023-03-01")
    logs.add("enrollment.major-closed", "major/a", {}, id="close", time="2024-03-01")
    logs.take_back("enrollment", "major/a", "open")
    logs.take_back("enrollment", "major/a", "close", "suspended")
    logs.add("enrollment.major-opened", "major/a", major, id="anew", time="2023-05-01")
    assert logs.value("1.1.d") == 1
    logs.add("enrollment.major-closed", "major/a", {}, id="close", time="2024-03-01")
    assert logs.value("1.1.d") == 0
    assert logs.value("1.1.d", as_of=date(2024, 2, 29)) == 1


def test_a_cancelled_competition_was_in_no_period(logs: Logs) -> None:
    logs.add("competition.competition-held", "competition/1", {"held_on": "2024-05-01"})
    before = logs.add("competition.competition-held", "competition/2", {"held_on": "2024-05-02"})
    logs.add("competition.competition-cancelled", "competition/1", {"reason": "雨"}, id="c", time="2025-01-01")
    assert logs.value("3.3.a", period="2024", as_of=date(2024, 5, 31)) == 1
    assert logs.value("3.3.a", period="2024", known_at=before) == 2
    logs.take_back("competition", "competition/1", "c")
    assert logs.value("3.3.a", period="2024") == 2


def test_when_the_winning_award_is_withdrawn_the_next_takes_over(logs: Logs) -> None:
    award = {"award": "city-technical-expert", "person": ANNA}
    logs.add("competition.award-granted", "award/1", award | {"granted_on": "2024-05-01"}, district=KEQIAO)
    logs.add("competition.award-granted", "award/2", award | {"granted_on": "2024-06-01"}, district=YUECHENG)
    logs.add("competition.award-withdrawn", "award/1", {"reason": "错"})
    assert logs.value("3.3.b", period="2024", district=YUECHENG) == 1
    assert logs.value("3.3.b", period="2024", as_of=date(2024, 5, 31)) == 0


def certificate(person: dict[str, str], on: str, until: str | None = None) -> dict[str, Any]:
    data = {"person": person, "occupation_code": "4-10-01-05", "issuer_kind": "school", "issued_on": on}
    return data | ({"expires_on": until} if until else {})


def test_a_holder_counts_while_a_certificate_is_valid_where_the_earliest_valid_one_was_issued(logs: Logs) -> None:
    first = certificate(ANNA, "2021-01-01", "2024-06-30")
    logs.add("competition.certificate-issued", "certificate/1", first, district=KEQIAO)
    logs.add("competition.certificate-issued", "certificate/2", certificate(ANNA, "2023-01-01"), district=YUECHENG)

    def where(day: date) -> tuple[object, ...]:
        return tuple(logs.value("2.4.c", as_of=day, district=code) for code in (KEQIAO, YUECHENG))

    assert where(date(2024, 6, 30)) == ((1, 0), (0, 0))  # the last day that counts
    assert where(date(2024, 7, 1)) == ((0, 0), (1, 0))
    logs.add("competition.certificate-revoked", "certificate/2", {"revoked_on": "2024-08-01", "reason": "错"})
    assert where(date(2024, 7, 31)) == ((0, 0), (1, 0))
    assert where(date(2024, 8, 1)) == ((0, 0), (0, 0))
    assert logs.value("1.4.b") == 1  # a revocation changes no cumulative count


def test_of_several_limits_the_earliest_wins(logs: Logs) -> None:
    logs.add("competition.certificate-issued", "certificate/1", certificate(ANNA, "2023-01-01", "2023-06-30"))
    logs.add("competition.certificate-revoked", "certificate/1", {"revoked_on": "2023-12-01", "reason": "错"})
    assert logs.value("2.4.c", as_of=date(2023, 7, 1)) == (0, 0)


def test_a_level_counts_what_was_before_the_plan_and_stops_at_its_end(logs: Logs) -> None:
    logs.add("enrollment.evaluation-body-accredited", "evaluation-body/x", {"kind": "school"}, time="2019-01-01")
    logs.add("enrollment.evaluation-body-withdrawn", "evaluation-body/x", {}, time="2026-01-01")
    assert logs.value("1.4.a", as_of=date(2030, 1, 1)) == 1


def test_the_latest_report_of_a_subject_stands_from_its_date_on(logs: Logs) -> None:
    def staffing(staff: int, certified: int, on: str, district: str = YUECHENG, id: str = "") -> datetime:
        data = {"staff": staff, "certified_staff": certified, "on": on}
        return logs.add("enrollment.staffing-reported", "staffing/x", data, district=district, id=id)

    staffing(20, 10, "2023-03-01")
    staffing(30, 27, "2024-03-01", district=KEQIAO)
    staffing(40, 1, "2023-09-01")  # late, and of an earlier day
    assert logs.value("2.4.d", as_of=date(2023, 8, 31)) == (10, 20)
    assert logs.value("2.4.d", as_of=date(2024, 2, 29)) == (1, 40)
    assert logs.value("2.4.d") == (27, 30)
    assert logs.value("2.4.d", district=YUECHENG) == (0, 0)
    staffing(50, 50, "2024-03-01", id="again")  # of one day the later recorded
    assert logs.value("2.4.d") == (50, 50)


def test_a_share_adds_the_four_industries(logs: Logs) -> None:
    emerging = {"electronic-information": 5, "modern-medicine": 3, "new-materials": 1}
    logs.add("enrollment.intake-reported", "intake/x", {"year": 2020, "total": 30, "emerging": emerging})
    assert logs.value("1.1.e") == (9, 30)


def test_payments_less_recoveries_count_where_and_when_they_are_made(logs: Logs) -> None:
    logs.add("subsidy.subsidy-paid", "claim/1", {"amount_fen": 500, "on": "2023-03-01"})
    logs.add("subsidy.subsidy-paid", "claim/1", {"amount_fen": 500, "on": "2024-03-01"}, district=KEQIAO)
    logs.add("subsidy.subsidy-recovered", "claim/1", {"amount_fen": 700, "on": "2025-03-01"})
    assert logs.value("2.2.a", as_of=date(2024, 12, 31)) == 1000
    assert logs.value("2.2.a") == 300
    assert logs.value("2.2.a", district=YUECHENG) == -200
    assert logs.causes() == [("original", 500), ("original", 500), ("original", -700)]


def test_the_person_paid_comes_from_the_claim(logs: Logs) -> None:
    for number, person in (("1", ANNA), ("2", ANNA), ("3", BEN)):
        claim = {"person": person, "claimed_on": "2023-01-05"}
        logs.add("subsidy.allowance-claimed", f"allowance/{number}", claim, id=f"claim{number}")
        logs.add("subsidy.allowance-paid", f"allowance/{number}", {"amount_fen": 50_000, "on": "2023-02-01"})
    assert logs.value("5.1.a") == 2
    assert logs.value("5.1.b") == 150_000
    claim = {"person": BEN, "claimed_on": "2023-01-05"}
    logs.add("subsidy.allowance-claimed", "allowance/1", claim, corrects="claim1")
    logs.add("subsidy.allowance-claimed", "allowance/2", claim, corrects="claim2")
    assert logs.value("5.1.a") == 1


def test_milestones_count_what_was_reached_once(logs: Logs) -> None:
    for number, room in enumerate(("chip-blue-collar-base", "design-training-room", "chip-blue-collar-base")):
        logs.add("enrollment.facility-commissioned", f"facility/{number}", {"facility": room})
    logs.add("enrollment.facility-commissioned", "facility/9", {"facility": "childcare-service-centre"})
    assert (logs.value("1.2.b"), logs.value("2.4.f")) == (2, 1)
    logs.add("subsidy.catalogue-published", "catalogue/1", {"effective_from": "2027-01-01"})
    logs.add("subsidy.catalogue-published", "catalogue/2", {"effective_from": "2028-01-01"})
    assert logs.value("2.1.a") == 1


def test_a_pilot_is_covered_by_a_session_since_its_latest_registration(logs: Logs) -> None:
    pilot = f"pilot/{ACME['credit_code']}"

    def session(number: int, on: str, district: str = KEQIAO) -> None:
        data = {"organiser": ACME, "held_on": on}
        logs.add("competition.certification-session-held", f"session/{number}", data, district=district)

    session(1, "2022-12-01")
    logs.add("competition.pilot-enterprise-registered", pilot, {"enterprise": ACME}, time="2023-02-01")
    assert logs.value("3.2.b") == (0, 1)
    session(2, "2023-03-01")
    assert logs.value("3.2.b", district=YUECHENG) == (1, 1)
    assert logs.value("3.2.b", district=KEQIAO) == (0, 0)
    logs.add("competition.pilot-enterprise-withdrawn", pilot, {}, time="2023-05-01")
    assert logs.value("3.2.b", as_of=date(2023, 5, 1)) == (0, 0)
    assert logs.value("3.2.b", as_of=date(2023, 4, 30)) == (1, 1)
    logs.add("competition.pilot-enterprise-registered", pilot, {"enterprise": ACME}, time="2023-06-01", district=KEQIAO)
    assert logs.value("3.2.b", district=KEQIAO) == (0, 1)
    assert logs.value("3.2.a") == 1
    assert logs.value("3.2.a", district=YUECHENG) == 1


def test_an_enterprise_is_covered_while_an_agreement_holds_where_it_is_classified_last(logs: Logs) -> None:
    def subject(enterprise: dict[str, str]) -> str:
        return f"enterprise/{enterprise['credit_code']}"

    def agreement(number: str, signed: str, until: str) -> dict[str, str]:
        return {"agreement_no": number, "signed_on": signed, "valid_until": until}

    # The agreement may come before the classification (RULES C14).
    logs.add("subsidy.wage-agreement-signed", subject(ACME), agreement("a", "2023-01-01", "2024-12-31"))
    big = {"enterprise": ACME, "above_scale": True, "industrial_reform_pilot": False}
    logs.add("subsidy.enterprise-classified", subject(ACME), big, time="2023-03-01", district=KEQIAO)
    logs.add("subsidy.enterprise-classified", subject(ZETA), big | {"enterprise": ZETA}, time="2023-03-01")
    assert logs.value("5.2.b", as_of=date(2023, 2, 28)) == (0, 0)
    assert logs.value("5.2.b", as_of=date(2024, 12, 31)) == (1, 2)
    assert logs.value("5.2.b", as_of=date(2025, 1, 1)) == (0, 2)
    assert logs.value("5.2.b", as_of=date(2024, 12, 31), district=KEQIAO) == (1, 1)
    logs.add("subsidy.wage-agreement-signed", subject(ACME), agreement("b", "2024-06-01", "2025-12-31"))
    logs.add("subsidy.wage-agreement-ended", subject(ACME), {"agreement_no": "a", "ended_on": "2024-07-01"})
    assert logs.value("5.2.b") == (1, 2)
    logs.add("subsidy.wage-agreement-ended", subject(ACME), {"agreement_no": "b", "ended_on": "2025-02-01"})
    assert logs.value("5.2.b", as_of=date(2025, 1, 31)) == (1, 2)
    assert logs.value("5.2.b", as_of=date(2025, 2, 1)) == (0, 2)
    small = big | {"above_scale": False, "industrial_reform_pilot": True}
    logs.add("subsidy.enterprise-classified", subject(ACME), small, time="2025-03-01")
    assert (logs.value("5.2.b"), logs.value("5.2.a")) == ((0, 1), (0, 1))


def test_what_covers_a_register_of_latest_facts_must_be_meant_itself() -> None:
    """An agreement that `where` leaves out covers nobody, though it is stored to take its own end to itself."""
    document = PLAN.model_dump(mode="json", by_alias=True)
    (value,) = [
        indicator["value"]
        for series in document["series"]
        for measure in series["measures"]
        for indicator in measure["indicators"]
        if indicator["id"] == "5.2.b"
    ]
    value["covered"]["of"][0]["where"] = {"agreement_no": ["b"]}
    logs = Logs(Plan.model_validate(document))
    big = {"enterprise": ACME, "above_scale": True, "industrial_reform_pilot": False}
    logs.add("subsidy.enterprise-classified", "enterprise/1", big, time="2023-03-01")
    logs.add("subsidy.wage-agreement-signed", "enterprise/1", {"agreement_no": "a", "signed_on": "2024-05-01"})
    assert logs.value("5.2.b") == (0, 1)
    logs.add("subsidy.wage-agreement-signed", "enterprise/1", {"agreement_no": "b", "signed_on": "2024-06-01"})
    assert logs.value("5.2.b") == (1, 1)


def test_a_correction_takes_the_decision_of_its_original_along(logs: Logs) -> None:
    def request(amount: int, id: str, corrects: str | None = None) -> None:
        data = {"person": ANNA, "amount_fen": amount, "requested_on": "2023-02-01"}
        logs.add("subsidy.credit-line-requested", "credit/1", data, id=id, corrects=corrects)
        granted = {"amount_fen": amount}
        logs.add("subsidy.credit-line-granted", "credit/1", granted, id=id, corrects=corrects, time="2025-06-01")

    request(100, "one")
    request(30, "two", corrects="one")
    assert (logs.value("5.4.a"), logs.value("5.4.b")) == (1, 30)
    assert logs.value("5.4.b", as_of=date(2023, 2, 1)) == 30  # a decision carries its cause's date (RULES E24)
    assert logs.value("5.4.b", as_of=date(2023, 1, 31)) == 0
    logs.take_back("subsidy", "credit/1", "two")
    assert logs.value("5.4.b") == 100


def test_facts_of_a_former_code_count_for_its_successor_in_every_period() -> None:
    document = PLAN.model_dump(mode="json", by_alias=True)
    place = next(place for place in document["districts"] if place["code"] == YUECHENG)
    place["formerly"] = [{"code": "330601", "until": "2024-12-31"}]
    logs = Logs(Plan.model_validate(document))
    # A person counts once, where hired first: under the former code.
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-03-01"), district="330601")
    logs.add("recruitment.person-hired", "hire/2", hire(ANNA, "2024-05-01"), district=KEQIAO)
    logs.add("recruitment.person-hired", "hire/3", hire(BEN, "2024-05-01"), district=YUECHENG)
    assert logs.value("4.1.b", period="2024") == logs.value("4.1.b", period="2024", district=YUECHENG) == 2
    assert logs.value("4.1.b", period="2024", district=KEQIAO) == 0
    # Money adds up.
    logs.add(
        "subsidy.base-funded", "base/1", {"base_code": "B", "amount_fen": 5, "on": "2023-05-01"}, district="330601"
    )
    logs.add("subsidy.base-funded", "base/2", {"base_code": "C", "amount_fen": 7, "on": "2025-05-01"})
    assert logs.value("2.2.b", district=YUECHENG) == 12
    # The population of a district is one subject, whatever the code was.
    for code, residents, on in (("330601", 100, "2023-12-31"), (YUECHENG, 120, "2024-12-31")):
        population = {"residents": residents, "on": on}
        logs.add("enrollment.population-reported", f"population/{code}/elderly", population, district=code)
    assert logs.value("2.4.c", district=YUECHENG) == (0, 120)
    assert logs.value("2.4.c", as_of=date(2024, 6, 30), district=YUECHENG) == (0, 100)
    # A level's person counts where the certificate was issued, and the latest report stands wherever it came from.
    staff = {"staff": 5, "certified_staff": 4, "on": "2023-01-01"}
    logs.add("enrollment.staffing-reported", "staffing/x", staff, district="330601")
    assert logs.value("2.4.d", district=YUECHENG) == (4, 5)
    logs.add("enrollment.staffing-reported", "staffing/x", staff | {"on": "2024-01-01"}, district=KEQIAO)
    assert (logs.value("2.4.d", district=YUECHENG), logs.value("2.4.d", district=KEQIAO)) == ((0, 0), (4, 5))


def test_facts_of_districts_that_are_none_of_the_plan_do_not_count(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2024-05-01"), district="110101")
    assert logs.value("4.1.b", period="2024") == 0
    # ... but a later report there takes the subject away from here (RULES E11).
    logs.add("enrollment.staffing-reported", "staffing/x", {"staff": 5, "certified_staff": 5, "on": "2023-01-01"})
    logs.add(
        "enrollment.staffing-reported", "staffing/x", {"staff": 9, "certified_staff": 9, "on": "2024-01-01"},
        district="110101",
    )  # fmt: skip
    assert logs.value("2.4.d") == (0, 0)


def test_a_date_by_time_is_the_date_in_shanghai(logs: Logs) -> None:
    # 23:30 in Shanghai on the last day of 2023.
    person = {"person": ANNA, "major_group": "microelectronics", "school_level": "technician"}
    logs.add("enrollment.student-enrolled", "enrollment/x/1", person, time="2023-12-31")
    assert logs.value("1.2.a", period="2023") == 1


def test_a_fact_dated_ahead_counts_from_its_date(logs: Logs) -> None:
    logs.add("recruitment.person-hired", "hire/1", hire(ANNA, "2025-12-31"))
    assert logs.value("4.1.b", period="2025", as_of=date(2025, 12, 30)) == 0
    assert logs.value("4.1.b", period="2025", as_of=date(2025, 12, 31)) == 1


def test_a_correction_keeps_the_end_of_its_original_although_opened_anew_since(logs: Logs) -> None:
    old, new = {"industry": "new-materials"}, {"industry": "modern-medicine"}
    logs.add("enrollment.major-opened", "major/a", old, id="first", time="2024-03-01")
    logs.add("enrollment.major-closed", "major/a", {}, time="2024-03-01")
    logs.add("enrollment.major-opened", "major/a", new, time="2024-03-01")
    logs.add(
        "enrollment.major-opened",
        "major/a",
        {"industry": "electronic-information"},
        time="2024-03-01",
        corrects="first",
    )
    assert (logs.value("1.1.a"), logs.value("1.1.b"), logs.value("1.1.d")) == (0, 1, 0)


def test_an_end_stays_with_what_it_ended_when_an_original_stands_again(logs: Logs) -> None:
    major = {"industry": "new-materials"}
    logs.add("enrollment.major-opened", "major/a", major, id="first", time="2024-05-01")
    logs.add("enrollment.major-opened", "major/a", major, id="second", time="2024-01-01", corrects="first")
    logs.add("enrollment.major-closed", "major/a", {}, time="2024-02-01")
    assert logs.value("1.1.d", as_of=date(2024, 1, 31)) == 1
    logs.take_back("enrollment", "major/a", "second")
    # It would now end before it began: it counts on no day.
    assert logs.value("1.1.d") == 0


def test_a_member_of_a_class_that_was_taken_back_counts_when_the_class_is_there_again(logs: Logs) -> None:
    logs.add("recruitment.cooperation-class-opened", "class/1", {"kind": "named"}, id="class")
    joined = {"class_no": "1", "person": ANNA, "joined_on": "2023-09-01"}
    logs.add("recruitment.student-joined-class", "class-member/1/7", joined, id="joined")
    logs.take_back("recruitment", "class/1", "class")
    before = logs.take_back("recruitment", "class-member/1/7", "joined", "suspended")
    assert (logs.value("4.2.a"), logs.value("4.2.c")) == (0, 0)
    logs.add("recruitment.cooperation-class-opened", "class/1", {"kind": "order"}, id="anew")
    logs.add("recruitment.student-joined-class", "class-member/1/7", joined, id="joined")
    assert (logs.value("4.2.a"), logs.value("4.2.c")) == (1, 1)
    assert logs.value("4.2.a", known_at=before) == 0
    logs.take_back("recruitment", "class-member/1/7", "joined")
    assert logs.value("4.2.a") == 0


def test_a_match_of_a_demand_that_was_taken_back_does_not_count(logs: Logs) -> None:
    logs.add("recruitment.demand-raised", "demand/1", {"persons": 5}, id="raised")
    logs.add("recruitment.demand-matched", "demand/1", {"persons": 2}, id="first")
    logs.add("recruitment.demand-matched", "demand/1", {"persons": 1}, id="second", corrects="first")
    assert logs.value("4.3.b") == 1
    logs.take_back("recruitment", "demand/1", "raised")
    logs.take_back("recruitment", "demand/1", "second", "suspended")
    assert (logs.value("4.3.a"), logs.value("4.3.b")) == (0, 0)
