"""RULES section D - the decisions about money - on the real road, with evidence heard from other services' logs."""

import re
from typing import Any, Final

import pytest

from shared.service.command_handler import HeardFact
from tests.harness.service import (
    ON_POSTGRES,
    ReportFields,
    ServiceHarness,
    ServiceHarnesses,
    corrected,
    organisation,
    person,
    prerequisites,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLAIM, ALLOWANCE, LINE = "subsidy-claimed", "allowance-claimed", "credit-line-requested"
NUMBER: Final = report("subsidy", CLAIM)["data"]["certificate_number"]
DECISIONS: Final = pytest.mark.parametrize(
    ("name", "evidence", "thing"),
    [
        (CLAIM, "certificate-issued", "subsidy"),
        (ALLOWANCE, "certificate-issued", "allowance"),
        (LINE, "honour-conferred", "credit-line"),
    ],
)


def claim(id_: str = "c1", no: str = "C1", **data: Any) -> ReportFields:
    return report("subsidy", CLAIM, id_, subject=f"claim/{no}", **{"industry": "other"} | data)


def allowance(id_: str = "a1", no: str = "A1", **data: Any) -> ReportFields:
    return report("subsidy", ALLOWANCE, id_, subject=f"allowance/{no}", **data)


def line(fen: int, id_: str = "l1", no: str = "L1", **data: Any) -> ReportFields:
    return report("subsidy", LINE, id_, subject=f"credit/{no}", amount_fen=fen, **data)


def pay(fen: int, id_: str = "p1", no: str = "C1", name: str = "subsidy-paid", **data: Any) -> ReportFields:
    return report("subsidy", name, id_, subject=f"{'allowance' if 'all' in name else 'claim'}/{no}",
                  amount_fen=fen, **data)  # fmt: skip


async def standard(harnesses: ServiceHarnesses, fen: int, since: str = "2024-01-01") -> ServiceHarness:
    """Have a standard set, and the certificate of the samples issued; return subsidy's harness."""
    harness = await harnesses.at("subsidy")
    await harness.say(report("subsidy", "standard-set", f"s-{fen}", amount_fen=fen, effective_from=since))
    await certified(harnesses)
    return harness


async def certified(harnesses: ServiceHarnesses, **changes: Any) -> ReportFields:
    """Have the certificate of the samples issued and heard of."""
    issued = report("competition", "certificate-issued", **changes)
    await (await harnesses.at("competition")).say(issued)
    await harnesses.hear()
    return issued


async def catalogued(harnesses: ServiceHarnesses, industry: str = "high-end-equipment", **changes: Any) -> ReportFields:
    """Have the occupation of the samples listed under an industry."""
    listed = [{"code": "6-18-01-01", "name": "车工", "industry": industry}]
    published = report("subsidy", "catalogue-published", occupations=listed, **changes)
    await (await harnesses.at("subsidy")).say(published)
    return published


async def decision(harness: ServiceHarness) -> dict[str, Any]:
    """Return the data of the last fact, and its type's name."""
    fact = (await harness.facts())[-1]
    return {**fact["data"], "type": fact["type"].split(".")[2]}


class TestD1:
    """The receipt is the decision, and the decision is a fact with its arithmetic."""

    @DECISIONS
    async def test_granted(self, harnesses: ServiceHarnesses, name: str, evidence: str, thing: str) -> None:
        await harnesses.prepare("subsidy", name)
        harness = await harnesses.at("subsidy")
        sent = report("subsidy", name)
        receipt = await harness.say(sent)
        claimed, granted = (await harness.facts())[-2:]
        assert (claimed["type"], granted["type"]) == (sent["type"], f"skillplan.subsidy.{thing}-granted.v1")
        assert receipt["position"] == claimed["position"] == granted["position"] - 1
        assert granted["causationid"] == claimed["id"]
        assert granted["correlationid"] == claimed["correlationid"]
        for name_ in ("subject", "district", "time", "reportsource", "reportid"):
            assert granted[name_] == claimed[name_]
        result = {
            CLAIM: {
                "certificate_number": NUMBER,
                "occupation_code": "6-18-01-01",
                "level": "2",
                "base_fen": 250_000,
                "standard_effective_from": "2024-01-01",
                "percentage": 50,
                "clause": "2.2",
                "catalogue_no": "2024",
                "amount_fen": 375_000,
            },
            ALLOWANCE: {
                "certificate_number": NUMBER,
                "level": "2",
                "monthly_fen": 50_000,
                "months": 12,
                "clause": "5.1",
                "catalogue_no": "2024",
                "runs_from": "2024-05-22",
                "runs_until": "2025-05-21",
                "amount_fen": 600_000,
            },
            LINE: {
                "amount_fen": 50_000_000,
                "other_open_fen": 0,
                "cap_fen": 150_000_000,
                "clause": "5.4",
                "honour_no": "LM-2024-03",
            },
        }
        assert granted["data"] == result[name]

    @DECISIONS
    async def test_refused(self, harnesses: ServiceHarnesses, name: str, evidence: str, thing: str) -> None:
        await harnesses.prepare("subsidy", name)
        harness = await harnesses.at("subsidy")
        if name == LINE:
            sent, code = line(150_000_001), "over-the-limit"
        else:
            sent, code = report("subsidy", name, person=person(9)), "not-your-certificate"
        receipt = await harness.say(sent, "refused", code)
        fact = (await harness.facts())[-1]
        assert fact["type"] == f"skillplan.subsidy.{thing}-refused.v1"
        assert fact["data"]["code"] == code
        assert receipt["position"] == fact["position"]
        assert fact["causationid"] == sent["id"]

    @DECISIONS
    async def test_waiting_and_then_granted_when_the_evidence_is_heard(
        self, harnesses: ServiceHarnesses, name: str, evidence: str, thing: str
    ) -> None:
        harness = await harnesses.at("subsidy")
        for home, needed in prerequisites("subsidy", name):
            if home == "subsidy":
                await harness.say(report(home, needed))
        sent = report("subsidy", name)
        first = await harness.say(sent, "waiting")
        await (await harnesses.at("competition")).say(report("competition", evidence))
        await harnesses.hear()
        last = await harness.now(sent, "accepted")
        assert last["decided_at"] > first["decided_at"]
        assert last["received_at"] == first["received_at"]
        assert (await decision(harness))["type"] == f"{thing}-granted"
        repeat = (await harness.send(sent))[0]
        assert (repeat["status"], repeat["first"]) == ("duplicate", last)

    @DECISIONS
    async def test_a_number_used_before_is_no_decision(
        self, harnesses: ServiceHarnesses, name: str, evidence: str, thing: str
    ) -> None:
        await harnesses.prepare("subsidy", name)
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", name))
        log = await harness.names()
        await harness.say(report("subsidy", name, "again"), "refused", "already-open")
        assert await harness.names() == log


class TestD2:
    """The order of checks."""

    async def test_of_a_subsidy(self, harnesses: ServiceHarnesses) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        wrong = {"person": person(9), "claimed_on": "2020-01-01"}
        await harness.say(claim("w", "W", **wrong), "waiting")
        await certified(harnesses)
        await harness.now(claim("w"), "refused", "not-your-certificate")
        await harness.say(claim("v", claimed_on="2020-01-01"), "refused", "certificate-not-valid")
        await harness.say(claim("s"), "refused", "no-standard")
        await harness.say(report("subsidy", "standard-set"))
        await harness.say(claim("ok"))
        await harness.say(claim("g", "C2"), "refused", "already-granted")
        assert (await source.names()) == ["certificate-issued"]

    async def test_of_an_allowance(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        issued = await certified(harnesses, level="3")
        await harness.say(allowance("1", person=person(9), claimed_on="2020-01-01"), "refused", "not-your-certificate")
        await harness.say(allowance("2", claimed_on="2020-01-01"), "refused", "certificate-not-valid")
        await harness.say(allowance("3"), "refused", "level-too-low")
        await (await harnesses.at("competition")).say(corrected(issued, level="1"))
        await harnesses.hear()
        hire = await _hired_and_gone(harnesses)
        await harness.say(allowance("4"), "refused", "not-a-shortage-occupation")
        await catalogued(harnesses)
        await harness.say(allowance("5"), "refused", "not-employed")
        await (await harnesses.at("recruitment")).say(retraction(hire))
        await harnesses.hear()
        await harness.say(allowance("6"))
        assert (await decision(harness))["monthly_fen"] == 80_000
        await harness.say(allowance("7", "A2"), "refused", "already-granted")

    async def test_of_a_credit_line(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(line(200_000_000), "waiting")
        await (await harnesses.at("competition")).say(report("competition", "honour-conferred"))
        await harnesses.hear()
        await harness.now(line(200_000_000), "refused", "over-the-limit")


async def _hired_and_gone(harnesses: ServiceHarnesses) -> ReportFields:
    """Have the claimant's employment end before the claim; return its end."""
    harness, message = await harnesses.at("recruitment"), allowance()["data"]
    who = {"person": message["person"], "enterprise": message["enterprise"]}
    await harness.say(report("recruitment", "person-hired", on="2024-01-02", **who))
    end = report("recruitment", "hire-ended", on="2024-05-22")
    await harness.say(end)
    await harnesses.hear()
    return end


class TestD3ToD6:
    """Amounts, each computed by hand."""

    @pytest.mark.parametrize(
        ("listed", "industry", "standard_fen", "percentage", "amount"),
        [
            (None, "other", 123_457, 0, 123_457),
            (None, "new-materials", 100_001, 30, 130_001),  # 130,001.3
            (None, "modern-medicine", 100_005, 30, 130_007),  # 130,006.5, rounded half up
            ("high-end-equipment", "other", 100_001, 50, 150_002),  # 150,001.5, rounded half up
            ("electronic-information", "new-materials", 100_000, 50, 150_000),  # instead of 30 %, not on top
            ("other", "other", 100_001, 0, 100_001),
            ("other", "electronic-information", 100_001, 30, 130_001),
        ],
    )
    async def test_the_amount(
        self,
        harnesses: ServiceHarnesses,
        listed: str | None,
        industry: str,
        standard_fen: int,
        percentage: int,
        amount: int,
    ) -> None:
        harness = await standard(harnesses, standard_fen)
        if listed:
            await catalogued(harnesses, listed)
        await harness.say(claim(industry=industry))
        granted = await decision(harness)
        assert (granted["base_fen"], granted["percentage"], granted["amount_fen"]) == (standard_fen, percentage, amount)
        assert granted.get("catalogue_no") == ("2024" if percentage == 50 else None)

    async def test_of_two_standards_of_a_day_the_later_recorded(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(report("subsidy", "standard-set", "s2", amount_fen=200))
        await harness.say(claim())
        assert (await decision(harness))["base_fen"] == 200
        # A correction is recorded when it is, not when its original was (B12).
        await harness.say(retraction(claim()))
        await harness.say(corrected(report("subsidy", "standard-set", "s-100"), "s3", amount_fen=300))
        await harness.say(claim("c2"))
        assert (await decision(harness))["base_fen"] == 300

    async def test_claims_in_two_districts_on_one_certificate(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(claim("c1", source="/districts/330602/subsidies"))
        await harness.say(claim("c2", "C2", source="/districts/330624/subsidies"), "refused", "already-granted")
        # Taken back, it is free again.
        await harness.say(retraction(claim("c1", source="/districts/330602/subsidies")))
        await harness.say(claim("c3", "C3", source="/districts/330624/subsidies"))

    async def test_the_allowance_catalogue_is_that_of_the_claim(self, harnesses: ServiceHarnesses) -> None:
        await certified(harnesses)
        await catalogued(harnesses, effective_from="2024-06-01", effective_until="2024-06-30")
        harness = await harnesses.at("subsidy")
        for number, (day, code) in enumerate(
            [
                ("2024-05-31", "not-a-shortage-occupation"),
                ("2024-07-01", "not-a-shortage-occupation"),
                ("2024-06-30", None),
            ]
        ):
            sent = allowance(f"a{number}", claimed_on=day)
            await harness.say(sent, "refused" if code else "accepted", code)


class TestD7AndD8:
    """Allowances: twelve months in any instalments, one at a time, for who is employed there."""

    @pytest.mark.parametrize(("level", "most"), [("2", 600_000), ("1", 960_000), ("special", 960_000)])
    async def test_paid_up_to_twelve_months(self, harnesses: ServiceHarnesses, level: str, most: int) -> None:
        await certified(harnesses, level=level)
        await catalogued(harnesses)
        harness = await harnesses.at("subsidy")
        await harness.say(allowance())
        for number, (fen, code) in enumerate(
            [(most + 1, "more-than-granted"), (most - 1, None), (2, "more-than-granted"), (1, None)]
        ):
            sent = pay(fen, f"p{number}", "A1", "allowance-paid")
            await harness.say(sent, "refused" if code else "accepted", code)

    async def test_another_runs_from_the_day_the_first_has_run_out(self, harnesses: ServiceHarnesses) -> None:
        await certified(harnesses)
        await catalogued(harnesses, effective_until=None)
        harness = await harnesses.at("subsidy")
        await harness.say(allowance(claimed_on="2024-06-01"))
        await harness.say(allowance("a2", "A2", claimed_on="2025-05-31"), "refused", "already-granted")
        await harness.say(allowance("a3", "A3", claimed_on="2025-06-01"))
        # Another person's runs beside it.
        await certified(harnesses, id_="z2", subject="certificate/Z2", person=person(9))
        await harness.say(allowance("a4", "A4", person=person(9), certificate_number="Z2", claimed_on="2024-07-01"))

    async def test_an_employment_elsewhere_says_nothing(self, harnesses: ServiceHarnesses) -> None:
        await certified(harnesses)
        await catalogued(harnesses)
        recruitment, who = await harnesses.at("recruitment"), allowance()["data"]["person"]
        await recruitment.say(
            report("recruitment", "person-hired", person=who, enterprise=organisation(77), on="2024-01-02")
        )
        await recruitment.say(report("recruitment", "hire-ended", on="2024-02-01"))
        await harnesses.hear()
        await (await harnesses.at("subsidy")).say(allowance())

    async def test_it_is_decided_by_what_is_known_then(self, harnesses: ServiceHarnesses) -> None:
        await certified(harnesses)
        await catalogued(harnesses)
        harness = await harnesses.at("subsidy")
        await harness.say(allowance())
        await _hired_and_gone(harnesses)
        await harness.now(allowance(), "accepted", flags=[])


class TestD9AndD10:
    """Payments and recoveries."""

    async def test_every_fen_is_watched(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(claim())
        steps = [
            ("subsidy-paid", 101, "more-than-granted"),
            ("subsidy-recovered", 1, "more-than-paid"),
            ("subsidy-paid", 60, None),
            ("subsidy-recovered", 61, "more-than-paid"),
            ("subsidy-recovered", 20, None),
            ("subsidy-paid", 61, "more-than-granted"),
            ("subsidy-paid", 60, None),
            ("subsidy-paid", 1, "more-than-granted"),
            ("subsidy-recovered", 100, None),
            ("subsidy-recovered", 1, "more-than-paid"),
            ("subsidy-paid", 100, None),
        ]
        for number, (name, fen, code) in enumerate(steps):
            receipt = await harness.say(pay(fen, f"p{number}", name=name), "refused" if code else "accepted", code)
            assert not code or receipt["reasons"][0]["pointer"] == "/data/amount_fen"

    async def test_a_refusal_does_not_say_how_much_is_left(self, harnesses: ServiceHarnesses) -> None:
        # Whoever asks may not be who was granted it (RULES G6).
        harness = await standard(harnesses, 100)
        await harness.say(claim())
        await harness.say(pay(70))
        receipt = await harness.say(pay(31, "p2"), "refused", "more-than-granted")
        assert not re.search(r"\d", receipt["reasons"][0]["en"] + receipt["reasons"][0]["zh"])

    @pytest.mark.parametrize(
        ("name", "paid"), [(CLAIM, "subsidy-paid"), (CLAIM, "subsidy-recovered"), (ALLOWANCE, "allowance-paid")]
    )
    async def test_on_a_refused_claim_nothing_is_paid(self, harnesses: ServiceHarnesses, name: str, paid: str) -> None:
        await harnesses.prepare("subsidy", name)
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", name, person=person(9)), "refused", "not-your-certificate")
        await harness.say(report("subsidy", paid), "refused", "not-granted")

    @pytest.mark.parametrize(("name", "paid"), [(CLAIM, "subsidy-paid"), (ALLOWANCE, "allowance-paid")])
    async def test_what_waits_for_a_claim_is_refused_with_it(
        self, harnesses: ServiceHarnesses, name: str, paid: str
    ) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", paid), "waiting")
        await harness.say(report("subsidy", name), "waiting")
        await certified(harnesses, person=person(9))
        await harness.now(report("subsidy", name), "refused", "not-your-certificate")
        await harness.now(report("subsidy", paid), "refused", "not-granted")
        assert await harness.waiting() == set()

    @pytest.mark.parametrize(("name", "paid"), [(CLAIM, "subsidy-paid"), (ALLOWANCE, "allowance-paid")])
    async def test_a_claim_is_taken_back_while_nothing_stands_paid(
        self, harnesses: ServiceHarnesses, name: str, paid: str
    ) -> None:
        await harnesses.prepare("subsidy", name)
        harness, sent, payment = await harnesses.at("subsidy"), report("subsidy", name), report("subsidy", paid)
        await harness.say(sent)
        await harness.say(payment)
        before = await harness.standing()
        await harness.say(retraction(sent), "refused", "already-paid")
        assert await harness.standing() == before
        await harness.say(retraction(payment))
        await harness.say(retraction(sent, "once-more"))
        assert await harness.standing() == before - {sent["id"], payment["id"]}
        # Grant and claim are as never made: the person may claim again, under a new number.
        await harness.say(sent | {"id": "new", "subject": sent["subject"] + "-2"})

    async def test_a_recovery_frees_nothing(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        for sent in (claim(), pay(100), pay(100, "r1", name="subsidy-recovered")):
            await harness.say(sent)
        await harness.say(claim("c2", "C2"), "refused", "already-granted")


class TestD11AndD12:
    """Credit lines: the honour and the cap."""

    async def test_exactly_the_cap_over_several_lines(self, harnesses: ServiceHarnesses) -> None:
        await harnesses.prepare("subsidy", LINE)
        harness = await harnesses.at("subsidy")
        await harness.say(line(100_000_000))
        receipt = await harness.say(line(50_000_001, "l2", "L2"), "refused", "over-the-limit")
        assert "50000000" not in str(receipt["reasons"]), "not by how much (RULES G6)"
        # A refused line takes nothing.
        await harness.say(line(50_000_000, "l3", "L3"))
        await harness.say(line(1, "l4", "L4"), "refused", "over-the-limit")
        await harness.say(report("subsidy", "credit-line-closed", "x", subject="credit/L1"))
        await harness.say(line(100_000_000, "l5", "L5"))

    async def test_a_line_taken_back_takes_nothing(self, harnesses: ServiceHarnesses) -> None:
        await harnesses.prepare("subsidy", LINE)
        harness = await harnesses.at("subsidy")
        await harness.say(line(150_000_000))
        await harness.say(line(1, "l2", "L2"), "refused", "over-the-limit")
        await harness.say(retraction(line(150_000_000)))
        await harness.say(line(150_000_000, "l3", "L3"))

    async def test_lines_that_wait_are_decided_in_the_order_received(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        for number, fen in enumerate((100_000_000, 60_000_000, 50_000_000)):
            await harness.say(line(fen, f"l{number}", f"L{number}"), "waiting")
        await (await harnesses.at("competition")).say(report("competition", "honour-conferred"))
        await harnesses.hear()
        for number, code in enumerate((None, "over-the-limit", None)):
            await harness.now(line(1, f"l{number}"), "refused" if code else "accepted", code)

    async def test_an_honour_of_insufficient_rank_is_none(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await (await harnesses.at("competition")).say(report("competition", "honour-conferred", rank="district"))
        await harnesses.hear()
        await harness.say(line(1), "waiting")
        assert await harness.let_pass(30.1) == 1
        await harness.now(line(1), "refused", "no-honour")
        assert (await decision(harness)) == {"amount_fen": 1, "code": "no-honour", "type": "credit-line-refused"}


@ON_POSTGRES
class TestD13:
    """Thirty days from when it began to wait."""

    @pytest.mark.parametrize(
        ("name", "code", "thing"),
        [
            (CLAIM, "never-arrived", "subsidy"),
            (ALLOWANCE, "never-arrived", "allowance"),
            (LINE, "no-honour", "credit-line"),
        ],
    )
    async def test_then_it_is_refused_for_good(
        self, harnesses: ServiceHarnesses, name: str, code: str, thing: str
    ) -> None:
        harness = await harnesses.at("subsidy")
        sent = report("subsidy", name)
        await harness.say(sent, "waiting")
        assert await harness.let_pass(29.9) == 0
        assert await harness.let_pass(0.2) == 1
        receipt = await harness.now(sent, "refused", code)
        assert "30" in receipt["reasons"][0]["en"]
        assert (await decision(harness))["type"] == f"{thing}-refused"
        await (await harnesses.at("competition")).say(
            report("competition", "honour-conferred" if name == LINE else "certificate-issued")
        )
        await harnesses.hear()
        await harness.now(sent, "refused", code)

    async def test_what_waits_for_it_is_refused_with_it(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(claim(), "waiting")
        await harness.let_pass(20)
        await harness.say(pay(1), "waiting")
        assert await harness.let_pass(10.1) == 1
        await harness.now(claim(), "refused", "never-arrived")
        await harness.now(pay(1), "refused", "not-granted")

    async def test_a_report_that_came_in_late_counts_from_its_receipt(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(claim(), "waiting")
        await harness.say(line(1), "waiting")
        assert await harness.let_pass(30.1) == 2
        assert await harness.let_pass(0) == 0
        assert await harness.waiting() == set()

    async def test_each_district_waits_as_long_as_its_own_plan_says(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(claim(), "waiting")
        await harness.store.let_pass(31)
        district = claim()["district"]
        assert await harness.handler.expire(30, ["110101"]) == 0
        assert await harness.handler.expire(45, [district]) == 0
        assert await harness.handler.expire(30, ["110101", district]) == 1
        await harness.now(claim(), "refused", "never-arrived")

    async def test_a_district_that_has_left_the_plans_does_not_wait_for_ever(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(claim(), "waiting")
        await harness.store.let_pass(31)
        assert await harness.handler.expire(30, ["110101"]) == 0
        assert await harness.handler.expire(30, None) == 1
        await harness.now(claim(), "refused", "never-arrived")


class TestD14:
    """A payment's correction is checked like the payment; a corrected standard changes no grant."""

    async def test_a_payments_correction(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        for sent in (claim(), pay(60), pay(30, "p2")):
            await harness.say(sent)
        await harness.say(corrected(pay(60), "up", amount_fen=71), "refused", "more-than-granted")
        await harness.say(corrected(pay(60), "ok", amount_fen=70))
        await harness.say(pay(1, "p3"), "refused", "more-than-granted")
        await harness.say(pay(40, "r1", name="subsidy-recovered"))
        await harness.say(corrected(pay(40, "r1", name="subsidy-recovered"), "r2", amount_fen=101), "refused",
                       "more-than-paid")  # fmt: skip

    async def test_a_corrected_standard_counts_for_later_claims_alone(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(claim())
        await harness.say(corrected(report("subsidy", "standard-set", "s-100"), "s2", amount_fen=200))
        await harness.now(claim(), "accepted", flags=["needs-review"])
        await harness.say(pay(101), "refused", "more-than-granted")
        await harness.say(pay(100, "p2"))
        await certified(harnesses, id_="z2", subject="certificate/Z2")
        await harness.say(claim("c2", "C2", certificate_number="Z2"))
        assert (await decision(harness))["amount_fen"] == 200

    async def test_a_claim_put_right_is_granted_anew(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(claim(industry="other"))
        await harness.say(pay(100))
        await harness.say(corrected(claim(), "right", industry="new-materials"))
        assert (await decision(harness))["amount_fen"] == 130
        await harness.say(pay(31, "p2"), "refused", "more-than-granted")
        await harness.say(pay(30, "p3"))


@ON_POSTGRES
class TestD15AndD16:
    """Decided by what subsidy has seen; what is recorded and checked for form only."""

    async def test_waiting_first_or_decided_at_once(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", "standard-set"))
        source = await harnesses.at("competition")
        await source.say(report("competition", "certificate-issued"))
        await harness.say(claim(), "waiting")  # not heard of yet
        await harnesses.hear()
        await harness.now(claim(), "accepted")

    async def test_heard_twice_is_heard_once(self, harnesses: ServiceHarnesses) -> None:
        harness = await standard(harnesses, 100)
        source = await harnesses.at("competition")
        await harness.say(claim())
        log = await harness.facts()
        again = [harness.handler.decode_heard("competition", raw) for raw in await source.store.log(0, 100)]
        assert await harness.handler.hear("competition", again) == len(again)
        assert await harness.facts() == log

    async def test_a_hole_in_what_is_heard_is_not_passed_over(self, harnesses: ServiceHarnesses) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        await source.say(report("competition", "certificate-issued"))
        first = harness.handler.decode_heard("competition", (await source.store.log(0, 1))[0])
        second = HeardFact(2, None, b"{}")
        assert await harness.handler.hear("competition", [second]) == 0, "left out, since 1 is missing"
        assert await harness.handler.hear("competition", [second, first, second]) == 2

    @pytest.mark.parametrize("applicant", ["person", "enterprise", "provider"])
    async def test_form_only(self, harnesses: ServiceHarnesses, applicant: str) -> None:
        harness = await standard(harnesses, 100)
        await harness.say(claim(applicant=applicant))
