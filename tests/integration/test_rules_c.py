"""RULES section C - openings, ends, spans, waiting - run over every type with an opening or an end."""

from typing import Any, Final

import pytest

from tests.contract.vocabulary import ONLY_THE_CITY, VOCABULARY
from tests.harness.service import (
    LATER,
    ServiceHarnesses,
    corrected,
    day_after,
    opening_of,
    organisation,
    person,
    prerequisites,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
    types,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
AHEAD: Final = "2099-01-01T09:30:00+08:00"


OPENINGS: Final = types("opens")
ENDS: Final = types("ends", "voids")
ENDS_OR_ADDS: Final = types("ends", "voids", "adds")
VOIDS: Final = types("voids")
REPEATING: Final = types("stands", "repeats", "adds")


def until(service: str, name: str, day: str) -> dict[str, str]:
    """Return the field with the last day of a type's span, moved, where it has one."""
    return {f: day for f in ("until", "valid_until", "expires_on") if f in report(service, name)["data"]}


def taken(service: str, name: str) -> str:
    """Return the code of a second opening."""
    return "number-taken" if VOCABULARY[service][name].role == "opens, else number-taken" else "already-open"


class TestC1:
    """First days that no longer count, and last days that do."""

    @pytest.mark.parametrize(("day", "code"), [("2024-06-30", None), ("2024-07-01", "certificate-not-valid")])
    async def test_a_certificate_counts_to_the_day_it_expires_on(
        self, harnesses: ServiceHarnesses, day: str, code: str | None
    ) -> None:
        await harnesses.prepare("subsidy", "subsidy-claimed")
        known = report("competition", "certificate-issued")
        await (await harnesses.at("competition")).say(corrected(known, expires_on="2024-06-30"))
        await harnesses.hear()
        claim = report("subsidy", "subsidy-claimed", on=day)
        await (await harnesses.at("subsidy")).say(claim, "refused" if code else "accepted", code)

    @pytest.mark.parametrize(("day", "code"), [("2024-06-30", None), ("2024-07-01", "certificate-not-valid")])
    async def test_a_certificate_counts_to_the_day_before_it_is_revoked(
        self, harnesses: ServiceHarnesses, day: str, code: str | None
    ) -> None:
        await harnesses.prepare("subsidy", "subsidy-claimed")
        await (await harnesses.at("competition")).say(report("competition", "certificate-revoked", on="2024-07-01"))
        await harnesses.hear()
        claim = report("subsidy", "subsidy-claimed", on=day)
        await (await harnesses.at("subsidy")).say(claim, "refused" if code else "accepted", code)

    @pytest.mark.parametrize(("day", "code"), [("2024-10-09", None), ("2024-10-10", "not-employed")])
    async def test_an_employment_counts_to_the_day_before_its_end(
        self, harnesses: ServiceHarnesses, day: str, code: str | None
    ) -> None:
        await harnesses.prepare("subsidy", "allowance-claimed")
        await _employ(harnesses, ("2024-03-20", "2024-10-10"))
        claim = report("subsidy", "allowance-claimed", on=day)
        await (await harnesses.at("subsidy")).say(claim, "refused" if code else "accepted", code)


async def _employ(harnesses: ServiceHarnesses, *spans: tuple[str, str | None]) -> None:
    """Have the claimant of the samples hired at the enterprise of the samples."""
    harness, claim = await harnesses.at("recruitment"), report("subsidy", "allowance-claimed")["data"]
    for number, (first, end) in enumerate(spans):
        where = f"hire/H{number}"
        who = {"person": claim["person"], "enterprise": claim["enterprise"]}
        await harness.say(report("recruitment", "person-hired", f"h{number}", on=first, subject=where, **who))
        if end:
            await harness.say(report("recruitment", "hire-ended", f"e{number}", on=end, subject=where))
    await harnesses.hear()


HIRE, PUPIL, COURSE = "person-hired", "apprenticeship-started", "training-completed"
OVERLAPS, PUPIL_2 = "overlapping-training", "apprenticeship/A2"


class TestC2:
    """Overlaps are judged by dates; one shared day overlaps."""

    @pytest.mark.parametrize(
        ("name", "subject", "first", "second", "code"),
        [
            # Training: from started_on to completed_on, failed ones too, one programme at a time.
            (COURSE, "training/C/2", {}, {"started_on": "2024-05-25", "completed_on": "2024-06-01"}, None),
            (COURSE, "training/C/2", {}, {"started_on": "2024-05-24", "completed_on": "2024-06-01"}, OVERLAPS),
            (COURSE, "training/C/2", {}, {"started_on": "2024-05-01", "completed_on": "2024-05-06"}, OVERLAPS),
            (COURSE, "training/C/2", {"passed": False}, {"passed": True}, OVERLAPS),
            (COURSE, "training/C/2", {}, {"programme": "household"}, None),
            (COURSE, "training/C/2", {}, {"person": person(5)}, None),
            # Apprenticeship: both kinds together, to `until`.
            (PUPIL, PUPIL_2, {"until": "2025-02-28"}, {"starts_on": "2025-03-01", "until": "2026-02-28"}, None),
            (
                PUPIL,
                PUPIL_2,
                {"until": "2025-02-28"},
                {"starts_on": "2025-02-28", "until": "2026-02-28"},
                "overlapping-apprenticeship",
            ),
            (PUPIL, PUPIL_2, {"kind": "enterprise"}, {"kind": "modern"}, "overlapping-apprenticeship"),
            (PUPIL, PUPIL_2, {}, {"person": person(5)}, None),
            # Hire: per enterprise, for ever.
            (HIRE, "hire/H2", {}, {"hired_on": "2026-10-01"}, "already-employed-there"),
            (HIRE, "hire/H2", {}, {"hired_on": "2001-10-01"}, "already-employed-there"),
            (HIRE, "hire/H2", {}, {"enterprise": organisation(77)}, None),
            (HIRE, "hire/H2", {}, {"person": person(5)}, None),
        ],
    )  # fmt: skip
    async def test_spans(
        self,
        harnesses: ServiceHarnesses,
        name: str,
        subject: str,
        first: dict[str, Any],
        second: dict[str, Any],
        code: str | None,
    ) -> None:
        service = "recruitment" if name == HIRE else "enrollment"
        harness = await harnesses.at(service)
        await harness.say(report(service, name, "one", **first))
        other = report(service, name, "two", subject=subject, **second)
        await harness.say(other, "refused" if code else "accepted", code)

    @pytest.mark.parametrize(
        ("service", "name", "end", "subject"),
        [
            ("recruitment", HIRE, "hire-ended", "hire/H2"),
            ("enrollment", PUPIL, "apprenticeship-ended", "apprenticeship/A2"),
        ],
    )
    async def test_an_end_frees_the_day_it_falls_on_and_is_never_refused_for_overlap(
        self, harnesses: ServiceHarnesses, service: str, name: str, end: str, subject: str
    ) -> None:
        harness = await harnesses.at(service)
        await harness.say(report(service, name))
        await harness.say(report(service, end, on="2024-08-01"))
        more = until(service, name, "2025-01-31")
        early = report(service, name, "early", on="2024-07-31", subject=subject, **more)
        code = "already-employed-there" if name == HIRE else "overlapping-apprenticeship"
        await harness.say(early, "refused", code)
        await harness.say(report(service, name, "next", on="2024-08-01", subject=subject, **more))
        # The next one's end: whatever else the person does.
        await harness.say(report(service, end, "next-end", on="2024-08-02", subject=subject))


class TestC3:
    """A second opening while the first stands; opening anew after an end."""

    @OPENINGS
    async def test_a_second_one_is_refused_whoever_sends_it(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        await harnesses.prepare(service, name)
        harness = await harnesses.at(service)
        first = report(service, name)
        await harness.say(first)
        # Another district's is not its own to open (RULES G1), nor the city's (G2).
        code, others = taken(service, name), "only-the-city" if name in ONLY_THE_CITY else "not-yours"
        own = f"{first['source']}-other"
        for number, (source, refused) in enumerate(((None, code), (own, code), ("/districts/330602/other", others))):
            receipt = await harness.say(report(service, name, f"again-{number}", source=source), "refused", refused)
            assert receipt["reasons"][0]["pointer"] == ("/district" if refused == "only-the-city" else "/subject")

    @ENDS
    async def test_after_an_end_it_opens_anew_from_that_day_or_never(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        await harnesses.prepare(service, name)
        harness, opening = await harnesses.at(service), opening_of(service, name) or ""
        await harness.say(report(service, name))
        more = until(service, opening, "2029-12-31")
        before = report(service, opening, "before", on=day_after(LATER, -1), **more)
        await harness.say(before, "refused", taken(service, opening))
        anew = report(service, opening, "anew", on=LATER, **more)
        if VOCABULARY[service][opening].role == "opens again":
            await harness.say(anew)
            await harness.say(report(service, name, "end-it", on=LATER))
        else:
            await harness.say(anew, "refused", taken(service, opening))

    @OPENINGS
    async def test_one_taken_back_leaves_its_subject_free(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        await harnesses.prepare(service, name)
        harness = await harnesses.at(service)
        await harness.say(report(service, name))
        await harness.say(retraction(report(service, name)))
        await harness.say(report(service, name, "anew"))


class TestC4:
    """What may repeat on a subject."""

    @REPEATING
    async def test_it_repeats(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        await harnesses.prepare(service, name)
        harness = await harnesses.at(service)
        small: dict[str, Any] = {"amount_fen": 1} if name.endswith(("paid", "recovered")) else {}
        small |= {"persons": 1} if name == "demand-matched" else {}
        for number in range(3):
            await harness.say(report(service, name, f"n{number}", **small))
        assert {"n0", "n1", "n2"} <= await harness.standing()

    async def test_wage_agreements_are_told_apart_by_number_within_the_enterprise(
        self, harnesses: ServiceHarnesses
    ) -> None:
        harness = await harnesses.at("subsidy")
        signed, ended = "wage-agreement-signed", "wage-agreement-ended"
        await harness.say(report("subsidy", signed, "one", agreement_no="GZ-1"))
        await harness.say(report("subsidy", signed, "two", agreement_no="GZ-2"))
        await harness.say(report("subsidy", signed, "one-again", agreement_no="GZ-1"), "refused", "already-open")
        await harness.say(report("subsidy", ended, "three-ends", agreement_no="GZ-3"), "waiting")
        await harness.say(report("subsidy", ended, "one-ends", agreement_no="GZ-1"))
        await harness.say(report("subsidy", ended, "one-ends-twice", agreement_no="GZ-1"), "refused", "not-open")
        await harness.now(report("subsidy", ended, "three-ends"), "waiting")
        await harness.say(report("subsidy", signed, "three", agreement_no="GZ-3"))
        await harness.now(report("subsidy", ended, "three-ends"), "accepted")

    async def test_a_corrected_number_of_an_agreement_takes_its_end_along_or_leaves_it_waiting(
        self, harnesses: ServiceHarnesses
    ) -> None:
        harness = await harnesses.at("subsidy")
        signed, ended = "wage-agreement-signed", "wage-agreement-ended"
        single = report("subsidy", signed, "one", agreement_no="GZ-1")
        end = report("subsidy", ended, "end", agreement_no="GZ-1")
        await harness.say(single)
        await harness.say(end)
        await harness.say(corrected(single, "right", agreement_no="GZ-2"))
        await harness.now(end, "waiting")
        # Taken back, the first stands again, and so does its end.
        await harness.say(retraction(corrected(single, "right")))
        await harness.now(end, "accepted")
        assert (await harness.standing()) == {"one", "end"}

    async def test_a_corrected_number_in_an_end_ends_the_other_agreement(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        signed, ended = "wage-agreement-signed", "wage-agreement-ended"
        end = report("subsidy", ended, "end", agreement_no="GZ-1")
        for sent in (
            report("subsidy", signed, "one", agreement_no="GZ-1"),
            end,
            report("subsidy", signed, "two", agreement_no="GZ-2"),
            corrected(end, "right", agreement_no="GZ-2"),
        ):
            await harness.say(sent)
        await harness.say(report("subsidy", ended, "no", agreement_no="GZ-2"), "refused", "not-open")
        await harness.say(report("subsidy", ended, "yes", agreement_no="GZ-1"))


class TestC5:
    """Cancelled, withdrawn: out of every period, like a retraction; but its number stays used (C3)."""

    @VOIDS
    async def test_it_counts_for_nothing(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        await harnesses.prepare(service, name)
        harness, opening = await harnesses.at(service), opening_of(service, name) or ""
        event = next(event for event in harness.language.events if event.type_name == opening)
        assert [standing.void for _, standing in (await harness.view()).of(event)] == [False]
        await harness.say(report(service, name))
        assert list((await harness.view()).of(event)) == []
        await harness.say(report(service, name, "twice"), "refused", "not-open")
        await harness.say(report(service, opening, "anew", on=day_after(LATER)), "refused", "already-open")
        await harness.say(retraction(report(service, name)))
        assert [standing.void for _, standing in (await harness.view()).of(event)] == [False]


class TestC6:
    """Dates of one report in the wrong order; an end on the day of the start is allowed."""

    @pytest.mark.parametrize(
        ("service", "name", "earlier", "later"),
        [
            pytest.param(service, name, *pair, id=f"{service}.{name}")
            for service, table in VOCABULARY.items()
            for name, row in table.items()
            for pair in row.ordered
        ],
    )
    async def test_the_order_of_dates(
        self, harnesses: ServiceHarnesses, service: str, name: str, earlier: str, later: str
    ) -> None:
        harness = await harnesses.at(service)
        wrong = report(service, name, "wrong", **{earlier: "2024-05-06", later: "2024-05-05"})
        receipt = await harness.say(wrong, "refused", "ends-before-start")
        assert receipt["reasons"][0]["pointer"] == f"/data/{later}"
        right = report(service, name, "right", **{earlier: "2024-05-06", later: "2024-05-06"})
        await harness.say(right)
        worse = corrected(right, "worse", **{earlier: "2024-05-06", later: "2024-05-05"})
        await harness.say(worse, "refused", "ends-before-start")

    @ENDS
    async def test_an_end_before_the_start(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        await harnesses.prepare(service, name)
        harness, opening = await harnesses.at(service), report(service, opening_of(service, name) or "")
        dated = VOCABULARY[service][opening_of(service, name) or ""].dated
        start = opening["data"][dated] if dated else opening["time"][:10]
        early = report(service, name, "early", on=day_after(start, -1))
        receipt = await harness.say(early, "refused", "ends-before-start")
        own = VOCABULARY[service][name].dated
        assert receipt["reasons"][0]["pointer"] == (f"/data/{own}" if own else "/time")
        same_day = report(service, name, "same-day", on=start)
        await harness.say(same_day)
        # Nor may it be corrected to before the start.
        wrong = report(service, name, "wrong", on=day_after(start, -1), corrects="same-day")
        await harness.say(wrong, "refused", "ends-before-start")


class TestC7:
    """Never heard of: no accepted, standing opening; one refused, retracted or waiting is never heard of."""

    @ENDS_OR_ADDS
    async def test_an_opening_refused_or_taken_back_is_never_heard_of(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        *before, _ = [p for p in prerequisites(service, name) if p != ("subsidy", "subsidy-paid")]
        for home, needed in before:
            await (await harnesses.at(home)).say(report(home, needed))
            await harnesses.hear()
        harness, opening = await harnesses.at(service), report(service, opening_of(service, name) or "")
        await harness.say(opening | {"id": "ahead", "time": AHEAD}, "refused", "in-the-future")
        await harness.say(report(service, name, "one"), "waiting")
        await harness.say(opening | {"id": "wrong"})
        await harness.now(report(service, name, "one"), *_settled(name))
        if name not in ("subsidy-paid", "allowance-paid"):
            await harness.say(retraction(opening | {"id": "wrong"}))
            await harness.say(report(service, name, "two"), "waiting")

    async def test_an_opening_that_waits_is_never_heard_of(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", "credit-line-requested"), "waiting")
        await harness.say(report("subsidy", "credit-line-closed"), "waiting")
        await (await harnesses.at("competition")).say(report("competition", "honour-conferred"))
        await harnesses.hear()
        await harness.now(report("subsidy", "credit-line-requested"), "accepted")
        await harness.now(report("subsidy", "credit-line-closed"), "accepted")


def _settled(name: str) -> tuple[str, str | None]:
    # Nothing stands paid yet, so there is nothing to recover.
    return ("refused", "more-than-paid") if name == "subsidy-recovered" else ("accepted", None)


class TestC8:
    """Several waiting on one thing are decided in the order received."""

    async def test_the_first_come_gets_the_last_seat(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("recruitment")
        members = [
            report("recruitment", "student-joined-class", f"m{n}", subject=f"class-member/YL-2024-1/{n}",
                   person=person(n))
            for n in (5, 3, 9)
        ]  # fmt: skip
        for member in members:
            await harness.say(member, "waiting")
        await harness.say(report("recruitment", "cooperation-class-opened", seats=2))
        for member, code in zip(members, (None, None, "class-full"), strict=True):
            await harness.now(member, "refused" if code else "accepted", code)

    async def test_whoever_is_woken_in_vain_keeps_the_turn_and_the_days(self, harnesses: ServiceHarnesses) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        lines = [
            report("subsidy", "credit-line-requested", f"l{n}", subject=f"credit/C{n}", amount_fen=100_000_000)
            for n in range(2)
        ]
        await harness.say(lines[0], "waiting")
        assert await harness.let_pass(20) == 0
        first = await harness.receipt(lines[0])
        # An honour of too low a rank is none: the line is looked at and goes on waiting.
        await source.say(report("competition", "honour-conferred", "low", subject="honour/H1", rank="district"))
        await harnesses.hear()
        await harness.say(lines[1], "waiting")
        await source.say(report("competition", "honour-conferred", "low2", subject="honour/H2", rank="district"))
        await harnesses.hear()
        assert await harness.receipt(lines[0]) == first
        assert await harness.let_pass(9.9) == 0
        await source.say(report("competition", "honour-conferred", "high", subject="honour/H3"))
        await harnesses.hear()
        await harness.now(lines[0], "accepted")
        await harness.now(lines[1], "refused", "over-the-limit")

    async def test_and_is_refused_after_its_thirty_days(self, harnesses: ServiceHarnesses) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        await harness.say(report("subsidy", "credit-line-requested"), "waiting")
        await harness.let_pass(20)
        await source.say(report("competition", "honour-conferred", rank="district"))
        await harnesses.hear()
        assert await harness.let_pass(10.1) == 1
        await harness.now(report("subsidy", "credit-line-requested"), "refused", "no-honour")


class TestC9:
    """What waits, and for what; what is not checked."""

    @ENDS_OR_ADDS
    async def test_ends_and_additions_wait_for_their_opening(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness = await harnesses.at(service)
        receipt = await harness.say(report(service, name), "waiting")
        assert receipt["waits_for"] == report(service, name)["subject"]
        assert "position" not in receipt

    @pytest.mark.parametrize(
        ("service", "name", "waits_for"),
        [
            ("recruitment", "student-joined-class", "class/YL-2024-1"),
            ("subsidy", "subsidy-claimed", "certificate/Z-330600-24-000117"),
            ("subsidy", "allowance-claimed", "certificate/Z-330600-24-000117"),
            ("subsidy", "credit-line-requested", "honour"),
        ],
    )
    async def test_evidence_is_waited_for(
        self, harnesses: ServiceHarnesses, service: str, name: str, waits_for: str
    ) -> None:
        harness = await harnesses.at(service)
        assert (await harness.say(report(service, name), "waiting"))["waits_for"] == waits_for

    @pytest.mark.parametrize(
        ("service", "name"),
        [
            ("enrollment", "credits-recognized"),
            ("enrollment", "student-enrolled"),
            ("competition", "award-granted"),
            ("competition", "certification-session-held"),
            ("recruitment", "person-hired"),
            ("recruitment", "school-invited"),
            ("subsidy", "base-funded"),
            ("subsidy", "wage-agreement-signed"),
        ],
    )
    async def test_what_is_only_mentioned_is_not_checked(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        await (await harnesses.at(service)).say(report(service, name))

    @pytest.mark.parametrize("paid", ["subsidy-paid", "allowance-paid"])
    async def test_a_payment_waits_while_its_claim_waits(self, harnesses: ServiceHarnesses, paid: str) -> None:
        claim = opening_of("subsidy", paid) or ""
        harness = await harnesses.at("subsidy")
        for home, needed in prerequisites("subsidy", claim):
            if home == "subsidy":
                await harness.say(report(home, needed))
        await harness.say(report("subsidy", claim), "waiting")
        await harness.say(report("subsidy", paid), "waiting")
        await (await harnesses.at("competition")).say(report("competition", "certificate-issued"))
        await harnesses.hear()
        await harness.now(report("subsidy", claim), "accepted")
        await harness.now(report("subsidy", paid), "accepted")


class TestC10:
    """`series-not-open`."""

    @pytest.mark.parametrize(("day", "code"), [("2024-05-06", None), ("2024-05-05", "series-not-open")])
    async def test_a_series_is_open_from_its_date(
        self, harnesses: ServiceHarnesses, day: str, code: str | None
    ) -> None:
        await harnesses.prepare("competition", "title-conferred")
        title = report("competition", "title-conferred", on=day)
        await (await harnesses.at("competition")).say(title, "refused" if code else "accepted", code)

    async def test_one_taken_back_is_not_open(self, harnesses: ServiceHarnesses) -> None:
        (series,) = await harnesses.prepare("competition", "title-conferred")
        harness = await harnesses.at("competition")
        await harness.say(retraction(series))
        await harness.say(report("competition", "title-conferred"), "refused", "series-not-open")


class TestC11AndC12:
    """`more-than-raised`, `class-full`."""

    async def test_matches_up_to_the_number_raised(self, harnesses: ServiceHarnesses) -> None:
        await harnesses.prepare("recruitment", "demand-matched")
        harness = await harnesses.at("recruitment")
        await harness.say(report("recruitment", "demand-matched", "m1", persons=60))
        await harness.say(report("recruitment", "demand-matched", "m2", persons=61), "refused", "more-than-raised")
        await harness.say(report("recruitment", "demand-matched", "m3", persons=60))
        await harness.say(report("recruitment", "demand-matched", "m4", persons=1), "refused", "more-than-raised")

    async def test_standing_members_fill_the_class(self, harnesses: ServiceHarnesses) -> None:
        (opened,) = await harnesses.prepare("recruitment", "student-joined-class")
        harness = await harnesses.at("recruitment")
        await harness.say(corrected(opened, "small", seats=1))
        first = report("recruitment", "student-joined-class", "m1")
        second = report("recruitment", "student-joined-class", "m2", subject="class-member/YL-2024-1/08")
        await harness.say(first)
        await harness.say(second, "refused", "class-full")
        await harness.say(retraction(first))
        await harness.say(second | {"id": "m3"})


class TestC13:
    """Catalogues: without effective_until for ever; one shared day overlaps; a correction makes room."""

    async def test_a_successor_needs_a_correction_of_the_first(self, harnesses: ServiceHarnesses) -> None:
        harness, name = await harnesses.at("subsidy"), "catalogue-published"
        first = report("subsidy", name, "one", effective_until=None)
        second = report("subsidy", name, "two", subject="catalogue/2", effective_from="2099-01-01")
        second["data"]["effective_until"] = "2099-12-31"
        await harness.say(first)
        await harness.say(second, "refused", "overlapping-catalogue")
        await harness.say(corrected(first, "ends", effective_until="2099-01-01"))
        await harness.say(second | {"id": "three"}, "refused", "overlapping-catalogue")
        await harness.say(corrected(corrected(first, "ends"), "earlier", effective_until="2098-12-31"))
        await harness.say(second | {"id": "four"})


class TestC14:
    """A wage agreement's enterprise need not be classified yet."""

    async def test_it_is_accepted_before_and_after(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("subsidy")
        await harness.say(report("subsidy", "wage-agreement-signed"))
        await harness.say(report("subsidy", "enterprise-classified"))
        await harness.say(report("subsidy", "wage-agreement-ended"))
