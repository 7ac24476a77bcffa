"""RULES section B - putting right and taking back - one table a rule, run over every type it touches."""

from typing import Any, Final

import pytest

from shared.deciding.stream_fold import FactInForce
from shared.deciding.view import View
from tests.contract.vocabulary import ONLY_THE_CITY, VOCABULARY
from tests.harness.service import (
    LATER,
    ReportFields,
    ServiceHarness,
    ServiceHarnesses,
    corrected,
    day_after,
    opening_of,
    person,
    prerequisites,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
    types,
)


def _opens_again(service: str, opening: str | None) -> bool:
    return opening is not None and VOCABULARY[service][opening].role == "opens again"


ALL: Final = types()
ENDS: Final = types("ends", "voids")
AGAIN: Final = types("ends", "voids", chosen=lambda service, name: _opens_again(service, opening_of(service, name)))
# What may wait: ends, what adds to something, and what rests on something of another subject.
WAITING: Final = types(
    chosen=lambda service, name: (
        (opening_of(service, name) is not None and name != "subsidy-recovered")
        or name in ("student-joined-class", "subsidy-claimed", "allowance-claimed", "credit-line-requested")
    )
)
pytestmark = pytest.mark.asyncio(loop_scope="module")
AHEAD: Final = "2099-01-01"


async def accepted(harnesses: ServiceHarnesses, service: str, name: str) -> tuple[ServiceHarness, ReportFields]:
    """Have a type's sample accepted; return its harness and the report."""
    await harnesses.prepare(service, name)
    harness, sent = await harnesses.at(service), report(service, name)
    await harness.say(sent)
    return harness, sent


async def waiting(
    harnesses: ServiceHarnesses, service: str, name: str
) -> tuple[ServiceHarness, ReportFields, tuple[ServiceHarness, ReportFields]]:
    """Have a type's sample wait; return its harness, the report, and the harness and report it waits for."""
    *before, last = [p for p in prerequisites(service, name) if p != ("subsidy", "subsidy-paid")]
    if name in ("subsidy-claimed", "allowance-claimed", "credit-line-requested"):
        # Their evidence is named first, the plan's own data after it.
        (last, *before) = [p for p in prerequisites(service, name) if p[0] == "competition"] + [
            p for p in prerequisites(service, name) if p[0] == "subsidy"
        ]
    for home, needed in before:
        await (await harnesses.at(home)).say(report(home, needed))
        await harnesses.hear()
    harness, sent = await harnesses.at(service), report(service, name)
    await harness.say(sent, "waiting")
    return harness, sent, (await harnesses.at(last[0]), report(*last))


def standing_of(view: View, harness: ServiceHarness, sent: ReportFields) -> FactInForce:
    """Return what stands because of a report."""
    result = view.of_report(harness.service, (sent["source"], sent["id"]))
    assert result is not None, f"{sent['id']} does not stand"
    return result


class TestB1:
    """A retracted correction counts as never made: what it replaced stands again."""

    @ALL
    async def test_the_original_stands_again(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, original = await accepted(harnesses, service, name)
        before = await harness.standing()
        correction = corrected(original)
        await harness.say(correction)
        assert await harness.standing() == before - {original["id"]} | {correction["id"]}
        await harness.say(retraction(correction))
        assert await harness.standing() == before
        await harness.now(original, "accepted", flags=[])

    @ALL
    async def test_retracting_until_none_stands_takes_the_thing_back(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        before = await harness.standing()
        first = corrected(original, "first")
        second = corrected(first, "second")
        for sent in (first, second, retraction(second)):
            await harness.say(sent)
        assert await harness.standing() == before - {original["id"]} | {"first"}
        await harness.say(retraction(second, "too-late"), "refused", "already-retracted")
        await harness.say(retraction(first))
        await harness.say(retraction(original))
        assert await harness.standing() == before - {original["id"]}
        # As never made: the same can be reported anew.
        await harness.say(report(service, name, "anew"))
        assert await harness.standing() == before - {original["id"]} | {"anew"}


class TestB2:
    """`corrects` and `report_id` name a report that stands."""

    @ALL
    async def test_what_was_corrected_or_retracted_already_is_named_no_more(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        correction = corrected(original)
        await harness.say(correction)
        again = await harness.say(corrected(original, "again"), "refused", "already-corrected")
        assert correction["id"] in again["reasons"][0]["en"]
        assert again["reasons"][0]["pointer"] == "/corrects"
        undo = await harness.say(retraction(original), "refused", "already-corrected")
        assert undo["reasons"][0]["pointer"] == "/data/report_id"
        await harness.say(retraction(correction))
        await harness.say(corrected(correction, "late"), "refused", "already-retracted")
        await harness.say(retraction(correction, "late-too"), "refused", "already-retracted")

    @ALL
    async def test_of_a_refused_report_there_is_nothing_to_put_right(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness = await harnesses.at(service)
        refused = report(service, name) | {"time": f"{AHEAD}T09:30:00+08:00"}
        await harness.say(refused, "refused", "in-the-future")
        right = corrected(refused) | {"time": f"{LATER}T09:30:00+08:00"}
        await harness.say(right, "refused", "nothing-to-correct")
        await harness.say(retraction(refused), "refused", "nothing-to-retract")


class TestB3:
    """An id never accepted here is waited for; one of another type or subject is refused."""

    @ALL
    async def test_an_unknown_id_is_waited_for(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        await harnesses.prepare(service, name)
        harness, original = await harnesses.at(service), report(service, name)
        correction = corrected(original)
        receipt = await harness.say(correction, "waiting")
        assert receipt["waits_for"] == f"report/{original['id']}"
        assert correction["id"] not in await harness.standing()
        await harness.say(original)
        await harness.now(correction, "accepted")
        assert await harness.standing() & {original["id"], correction["id"]} == {correction["id"]}

    @ALL
    async def test_a_retraction_waits_for_it_too(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        await harnesses.prepare(service, name)
        harness, original = await harnesses.at(service), report(service, name)
        before = await harness.standing()
        receipt = await harness.say(retraction(original), "waiting")
        assert receipt["waits_for"] == f"report/{original['id']}"
        await harness.say(original)
        await harness.now(retraction(original), "accepted")
        assert await harness.standing() == before

    @ALL
    async def test_what_never_arrives_ends_the_waiting(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await harnesses.at(service), report(service, name)
        await harness.send(corrected(original), retraction(original))
        assert await harness.let_pass(29.9) == 0
        assert await harness.let_pass(0.2) == 2
        await harness.now(corrected(original), "refused", "never-arrived")
        await harness.now(retraction(original), "refused", "never-arrived")
        assert await harness.waiting() == set()

    @ALL
    async def test_another_subject_or_type_is_refused(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        not_others = {name, opening_of(service, name), *ONLY_THE_CITY}
        other = next(n for n in VOCABULARY[service] if n not in not_others)
        stranger = report(service, other, "stranger", corrects=original["id"], source=original["source"])
        await harness.say(stranger, "refused", "other-subject")
        elsewhere = retraction(original, subject=report(service, "activity-reported")["subject"] + "-x")
        await harness.say(elsewhere, "refused", "other-subject")

    @ENDS
    async def test_an_end_is_no_correction_of_its_opening(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = report(service, opening_of(service, name) or "")
        await harness.say(end | {"id": "x", "corrects": opening["id"]}, "refused", "other-subject")


class TestB4:
    """A correction is decided as if its original had never been made, and takes its place."""

    @ENDS
    async def test_the_end_of_the_original_stays_attached(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = report(service, opening_of(service, name) or "")
        await harness.say(corrected(opening, "right"))
        attached = standing_of(await harness.view(), harness, corrected(opening, "right")).end
        assert attached is not None
        assert attached.report_id == end["id"]
        assert "report-suspended" not in await harness.names()

    @AGAIN
    async def test_what_was_opened_anew_stays_as_it_is(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        first = report(service, opening_of(service, name) or "")
        until = {"until": "2026-12-31"} if "until" in first["data"] else {}
        second = report(service, opening_of(service, name) or "", "second", on=LATER, **until)
        await harness.say(second)
        await harness.say(corrected(first, "right"))
        view = await harness.view()
        own_end = standing_of(view, harness, corrected(first, "right")).end
        assert own_end is not None
        assert own_end.report_id == end["id"]
        assert standing_of(view, harness, second).end is None

    @ENDS
    async def test_a_start_after_its_end_is_refused_and_the_original_stands(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = opening_of(service, name) or ""
        before = await harness.standing()
        day = day_after(LATER)
        until = {field: "2029-12-31" for field in ("until", "valid_until") if field in report(service, opening)["data"]}
        late = report(service, opening, "late", on=day, corrects=report(service, opening)["id"], **until)
        await harness.say(late, "refused", "ends-before-start")
        assert await harness.standing() == before
        assert standing_of(await harness.view(), harness, report(service, opening)).end is not None
        assert end["id"] in before

    @ALL
    async def test_a_refused_correction_leaves_the_original(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        before, log = await harness.standing(), await harness.names()
        await harness.say(corrected(original) | {"time": f"{AHEAD}T09:30:00+08:00"}, "refused", "in-the-future")
        assert await harness.standing() == before
        assert await harness.names() == log
        await harness.say(corrected(original, "better"))

    @pytest.mark.parametrize(
        ("service", "name", "code", "other", "wrong"),
        [
            ("recruitment", "person-hired", "already-employed-there", {"subject": "hire/H2"}, {}),
            (
                "enrollment",
                "apprenticeship-started",
                "overlapping-apprenticeship",
                {"subject": "apprenticeship/A2"},
                {},
            ),
            ("enrollment", "training-completed", "overlapping-training", {"subject": "training/C/2"}, {}),
            ("subsidy", "subsidy-claimed", "already-granted", {"subject": "claim/C2"}, {}),
            ("subsidy", "allowance-claimed", "already-granted", {"subject": "allowance/A2"}, {}),
            (
                "subsidy",
                "catalogue-published",
                "overlapping-catalogue",
                {"subject": "catalogue/2027", "effective_from": "2026-01-01", "effective_until": None},
                {"effective_until": "2026-01-01"},
            ),
            (
                "subsidy",
                "credit-line-requested",
                "over-the-limit",
                {"subject": "credit/C2", "amount_fen": 100_000_000},
                {"amount_fen": 50_000_001},
            ),
            ("recruitment", "demand-matched", "more-than-raised", {"persons": 60}, {"persons": 61}),
        ],
    )
    async def test_it_is_checked_against_all_others(
        self,
        harnesses: ServiceHarnesses,
        service: str,
        name: str,
        code: str,
        other: dict[str, Any],
        wrong: dict[str, Any],
    ) -> None:
        # Nothing of the original is in the way, but all that others have reported is.
        await harnesses.prepare(service, name)
        harness = await harnesses.at(service)
        apart: dict[str, Any] = {} if wrong else {"person": person(7)}
        original = report(service, name, **apart)
        if name in ("subsidy-claimed", "allowance-claimed"):
            original = await _claim_of_another(harnesses, service, name)
        for sent in (report(service, name, "other", **other), original):
            await harness.say(sent)
        before = await harness.standing()
        claim = "certificate_number" in original["data"]
        same = wrong or {"person": report(service, name)["data"].get("person")}
        if claim:
            same["certificate_number"] = report(service, name)["data"]["certificate_number"]
        await harness.say(corrected(original, "wrong", **same), "refused", code)
        assert await harness.standing() == before
        await harness.say(corrected(original, "right"))


async def _claim_of_another(harnesses: ServiceHarnesses, service: str, name: str) -> ReportFields:
    """Have another person certified; return that one's claim."""
    competition = await harnesses.at("competition")
    await competition.say(report("competition", "certificate-issued", "z2", subject="certificate/Z2", person=person(7)))
    await harnesses.hear()
    return report(service, name, person=person(7), certificate_number="Z2")


class TestB6:
    """Retracting an opening: its end counts for nothing and waits again, as do members and matches."""

    @ENDS
    async def test_the_end_waits_again_until_it_is_opened(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening_name = opening_of(service, name) or ""
        before = await harness.receipt(end)
        await harness.say(retraction(report(service, opening_name)))
        again = await harness.now(end, "waiting")
        assert again["waits_for"] == end["subject"]
        assert again["decided_at"] > before["decided_at"]
        assert end["id"] not in await harness.standing()
        assert await harness.waiting() == {end["id"]}
        assert (await harness.facts())[-1]["data"] == {"report_id": end["id"], "reason": f"waits-for:{end['subject']}"}
        opened = report(service, opening_name, "opened-later")
        await harness.say(opened)
        receipt = await harness.now(end, "accepted")
        assert receipt["position"] > before["position"]
        attached = standing_of(await harness.view(), harness, opened).end
        assert attached is not None
        assert attached.report_id == end["id"]
        assert await harness.waiting() == set()

    @AGAIN
    async def test_it_does_not_end_what_was_opened_anew(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = opening_of(service, name) or ""
        second = report(service, opening, "second", on=day_after(LATER), **_until(service, opening))
        await harness.say(second)
        await harness.say(retraction(report(service, opening)))
        await harness.now(end, "waiting")
        assert standing_of(await harness.view(), harness, second).end is None

    @AGAIN
    async def test_an_end_put_right_waits_again_and_ends_what_is_opened_later(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = opening_of(service, name) or ""
        await harness.say(corrected(end, "right"))
        await harness.say(retraction(report(service, opening)))
        await harness.now(corrected(end, "right"), "waiting")
        later = report(service, opening, "later")
        await harness.say(later)
        await harness.now(corrected(end, "right"), "accepted")
        attached = standing_of(await harness.view(), harness, later).end
        assert attached is not None
        assert attached.report_id == "right"
        # And retracted, it leaves the first end to stand again, at the thing opened later.
        await harness.say(retraction(corrected(end, "right")))
        attached = standing_of(await harness.view(), harness, later).end
        assert attached is not None
        assert attached.report_id == end["id"]

    @AGAIN
    async def test_an_end_put_right_while_it_waits_again_ends_what_is_opened_later(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = opening_of(service, name) or ""
        await harness.say(retraction(report(service, opening)))
        await harness.say(corrected(end, "right"), "waiting")
        await harness.now(end, "refused", "corrected")
        later = report(service, opening, "later")
        await harness.say(later)
        await harness.now(corrected(end, "right"), "accepted")
        attached = standing_of(await harness.view(), harness, later).end
        assert attached is not None
        assert attached.report_id == "right"
        await harness.say(report(service, name, "twice"), "refused", "not-open")

    async def test_the_members_of_a_class_wait_again(self, harnesses: ServiceHarnesses) -> None:
        harness, member = await accepted(harnesses, "recruitment", "student-joined-class")
        second = report("recruitment", "student-joined-class", "m2", subject="class-member/YL-2024-1/08")
        await harness.say(second)
        await harness.say(retraction(report("recruitment", "cooperation-class-opened")))
        for sent in (member, second):
            assert (await harness.now(sent, "waiting"))["waits_for"] == "class/YL-2024-1"
        # Decided again in the order received, with one seat left.
        await harness.say(report("recruitment", "cooperation-class-opened", "small", seats=1))
        await harness.now(member, "accepted")
        await harness.now(second, "refused", "class-full")

    async def test_the_matches_of_a_demand_wait_again(self, harnesses: ServiceHarnesses) -> None:
        harness, match = await accepted(harnesses, "recruitment", "demand-matched")
        second = report("recruitment", "demand-matched", "m2", persons=50)
        await harness.say(second)
        await harness.say(retraction(report("recruitment", "demand-raised")))
        assert await harness.waiting() == {match["id"], "m2"}
        await harness.say(report("recruitment", "demand-raised", "less", persons=100))
        await harness.now(match, "accepted")
        await harness.now(second, "refused", "more-than-raised")

    async def test_payments_of_a_claim_taken_back_wait_again(self, harnesses: ServiceHarnesses) -> None:
        # Taken back only after all was recovered (D10); what was paid and recovered then hangs on nothing.
        harness, back = await accepted(harnesses, "subsidy", "subsidy-recovered")
        await harness.say(retraction(report("subsidy", "subsidy-claimed")))
        assert await harness.waiting() == {"subsidy-subsidy-paid", back["id"]}
        await harness.say(report("subsidy", "subsidy-claimed", "anew"))
        assert await harness.waiting() == set()
        await harness.now(back, "accepted")

    @ENDS
    async def test_what_waits_again_waits_thirty_days_anew(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        await harness.say(retraction(report(service, opening_of(service, name) or "")))
        assert await harness.let_pass(29.9) == 0
        await harness.now(end, "waiting")
        assert await harness.let_pass(0.2) == 1
        await harness.now(end, "refused", "never-arrived")


def _until(service: str, name: str) -> dict[str, str]:
    return {field: "2029-12-31" for field in ("until", "valid_until") if field in report(service, name)["data"]}


class TestB7:
    """Retracting an end: the thing is open again as from its start, unless it was opened anew meanwhile."""

    @ENDS
    async def test_it_is_open_again(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = report(service, opening_of(service, name) or "")
        await harness.say(retraction(end))
        assert standing_of(await harness.view(), harness, opening).end is None
        await harness.now(opening, "accepted", flags=[])
        await harness.say(report(service, name, "ended-anew", on=day_after(LATER)))

    @AGAIN
    async def test_not_once_it_was_opened_anew(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = opening_of(service, name) or ""
        second = report(service, opening, "second", on=day_after(LATER), **_until(service, opening))
        await harness.say(second)
        before = await harness.standing()
        await harness.say(retraction(end), "refused", "opened-again")
        assert await harness.standing() == before
        # Nor may its correction reach past the new start; up to that day it may.
        past = report(service, name, "past", on=day_after(LATER, 2), corrects=end["id"])
        await harness.say(past, "refused", "opened-again")
        await harness.say(report(service, name, "up-to", on=day_after(LATER, 1), corrects=end["id"]))
        # Once what came after is taken back, the end can be.
        await harness.say(retraction(second))
        await harness.say(retraction(report(service, name, "up-to"), "undo-it"))
        await harness.say(retraction(end, "undo-at-last"))
        assert standing_of(await harness.view(), harness, report(service, opening)).end is None


class TestB8:
    """A refusal is final."""

    @ALL
    async def test_the_same_id_brings_the_same_refusal(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness = await harnesses.at(service)
        refused = report(service, name) | {"time": f"{AHEAD}T09:30:00+08:00"}
        first = await harness.say(refused, "refused", "in-the-future")
        again = (await harness.send(refused))[0]
        assert again["status"] == "duplicate"
        assert again["first"] == first

    async def test_what_comes_later_changes_no_refusal(self, harnesses: ServiceHarnesses) -> None:
        harness = await harnesses.at("competition")
        title = report("competition", "title-conferred")
        await harness.say(title, "refused", "series-not-open")
        await harness.say(report("competition", "title-series-opened"))
        await harness.now(title, "refused", "series-not-open")
        await harness.say(title | {"id": "anew"})


class TestB9:
    """Retracting or correcting a waiting report."""

    @WAITING
    async def test_a_waiting_report_is_retracted(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, sent, (home, awaited) = await waiting(harnesses, service, name)
        receipt = await harness.say(retraction(sent))
        assert receipt["stream"] == sent["subject"]
        await harness.now(sent, "refused", "retracted")
        assert await harness.waiting() == set()
        await home.say(awaited)
        await harnesses.hear()
        await harness.now(sent, "refused", "retracted")
        assert sent["id"] not in await harness.standing()
        await harness.say(retraction(sent, "again"), "refused", "already-retracted")
        await harness.say(corrected(sent), "refused", "already-retracted")

    @WAITING
    async def test_a_correction_waits_in_its_place(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, sent, (home, awaited) = await waiting(harnesses, service, name)
        waits_for = (await harness.receipt(sent))["waits_for"]
        correction = corrected(sent)
        receipt = await harness.say(correction, "waiting")
        assert receipt["waits_for"] == waits_for
        await harness.now(sent, "refused", "corrected")
        assert await harness.waiting() == {correction["id"]}
        named = await harness.say(corrected(sent, "again"), "refused", "already-corrected")
        assert correction["id"] in named["reasons"][0]["en"]
        await harness.say(retraction(sent), "refused", "already-corrected")
        await home.say(awaited)
        await harnesses.hear()
        await harness.now(correction, "accepted")
        await harness.now(sent, "refused", "corrected")
        assert await harness.standing() & {sent["id"], correction["id"]} == {correction["id"]}

    @WAITING
    async def test_a_correction_of_the_correction_too(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, sent, (home, awaited) = await waiting(harnesses, service, name)
        first, second = corrected(sent, "first"), corrected(corrected(sent, "first"), "second")
        await harness.say(first, "waiting")
        await harness.say(second, "waiting")
        assert await harness.waiting() == {"second"}
        await home.say(awaited)
        await harnesses.hear()
        await harness.now(second, "accepted")
        assert await harness.standing() & {sent["id"], "first", "second"} == {"second"}

    @WAITING
    async def test_a_refused_correction_leaves_it_waiting(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, sent, (home, awaited) = await waiting(harnesses, service, name)
        await harness.say(corrected(sent) | {"time": f"{AHEAD}T09:30:00+08:00"}, "refused", "in-the-future")
        await harness.now(sent, "waiting")
        await home.say(awaited)
        await harnesses.hear()
        await harness.now(sent, "accepted")

    @WAITING
    async def test_a_correction_that_need_not_wait_is_decided(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        # The number was wrong, so it waited; put right, it goes through at once.
        if name != "subsidy-claimed":
            return
        await harnesses.prepare(service, name)
        harness = await harnesses.at(service)
        wrong = report(service, name, certificate_number="Z-wrong")
        await harness.say(wrong, "waiting")
        right = corrected(wrong, certificate_number=report(service, name)["data"]["certificate_number"])
        await harness.say(right)
        await harness.now(wrong, "refused", "corrected")
        assert await harness.waiting() == set()

    @WAITING
    async def test_the_place_is_refused_in_the_end_with_its_correction(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, sent, _ = await waiting(harnesses, service, name)
        await harness.say(corrected(sent, "right"), "waiting")
        assert await harness.let_pass(30.1) == 1
        await harness.now(
            corrected(sent, "right"), "refused", "no-honour" if "credit-line-r" in name else "never-arrived"
        )
        await harness.now(sent, "refused", "corrected")
        if service == "subsidy" and name.endswith(("claimed", "requested")):
            assert (await harness.names())[-1].endswith("-refused")


class TestB10:
    """Retractions and corrections work from their recording on; a retraction's own time has no effect."""

    @ALL
    async def test_a_retraction_may_tell_any_time(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, original = await accepted(harnesses, service, name)
        before = await harness.standing()
        await harness.say(retraction(original, time="2001-01-01T00:00:00+08:00"))
        assert await harness.standing() == before - {original["id"]}
        recorded = [fact["recordedat"] for fact in await harness.facts()]
        assert recorded == sorted(set(recorded))


class TestB11:
    """The same source only; a retraction is not taken back, and corrects nothing."""

    @ALL
    async def test_another_sources_id_is_an_unknown_id(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        before = await harness.standing()
        other = f"{original['source'].rpartition('/')[0]}/other-system"
        for sent in (corrected(original, "c") | {"source": other}, retraction(original, "r", source=other)):
            assert (await harness.say(sent, "waiting"))["waits_for"] == f"report/{original['id']}"
        assert await harness.standing() == before

    @ALL
    async def test_a_retraction_is_final(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, original = await accepted(harnesses, service, name)
        await harness.say(retraction(original, "undo"))
        await harness.say(retraction(original, "redo", data={"report_id": "undo", "reason": "x"}), "refused",
                       "nothing-to-retract")  # fmt: skip
        wrong = (await harness.send(retraction(original, "both") | {"corrects": "undo"}))[0]
        assert wrong["status"] == "invalid"
        assert [(r["code"], r["pointer"]) for r in wrong["reasons"]] == [("bad-attribute", "/corrects")]
        await harness.say(corrected(original, "of-undo") | {"corrects": "undo"}, "refused", "other-subject")


class TestB13:
    """A retraction's receipt: accepted, stream = the original's, version = its own fact there."""

    @ALL
    async def test_its_receipt_names_its_own_fact(self, harnesses: ServiceHarnesses, service: str, name: str) -> None:
        harness, original = await accepted(harnesses, service, name)
        receipt = await harness.say(retraction(original))
        fact = next(f for f in await harness.facts() if f["type"].endswith("report-retracted.v1"))
        assert (receipt["stream"], receipt["version"], receipt["position"]) == (
            original["subject"], fact["version"], fact["position"],
        )  # fmt: skip
        assert fact["subject"] == original["subject"]
        assert (fact["reportsource"], fact["data"]["report_id"]) == (original["source"], original["id"])

    @ALL
    async def test_facts_on_a_subject_are_numbered_without_a_hole(
        self, harnesses: ServiceHarnesses, service: str, name: str
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        for sent in (corrected(original), retraction(corrected(original)), retraction(original)):
            await harness.say(sent)
        facts = await harness.facts()
        assert [fact["position"] for fact in facts] == list(range(1, len(facts) + 1))
        versions = [fact["version"] for fact in facts if fact["subject"] == original["subject"]]
        assert versions == list(range(1, len(versions) + 1))


GRANTS: Final = pytest.mark.parametrize(
    ("name", "evidence", "paid"),
    [
        ("subsidy-claimed", "certificate-issued", "subsidy-paid"),
        ("allowance-claimed", "certificate-issued", "allowance-paid"),
        ("credit-line-requested", "honour-conferred", None),
    ],
)


class TestB14:
    """What a grant rests on is put right or gone: the grant is flagged, its amount unchanged, payments go on."""

    @GRANTS
    @pytest.mark.parametrize("how", ["corrected", "retracted"])
    async def test_the_grant_is_flagged_and_stands(
        self, harnesses: ServiceHarnesses, name: str, evidence: str, paid: str | None, how: str
    ) -> None:
        harness, claim = await accepted(harnesses, "subsidy", name)
        before = await harness.receipt(claim)
        granted = next(f for f in await harness.facts() if f["type"].endswith("-granted.v1"))
        source = await harnesses.at("competition")
        known = report("competition", evidence)
        await source.say(retraction(known) if how == "retracted" else corrected(known, person=person(9)))
        await harnesses.hear()
        after = await harness.now(claim, "accepted", flags=["needs-review"])
        assert after["decided_at"] > before["decided_at"]
        assert {k: v for k, v in after.items() if k not in ("flags", "decided_at")} == {
            k: v for k, v in before.items() if k not in ("flags", "decided_at")
        }
        facts = await harness.facts()
        assert granted in facts
        assert facts[-1]["type"] == "skillplan.subsidy.decision-flagged.v1"
        assert facts[-1]["subject"] == claim["subject"]
        assert (facts[-1]["reportsource"], facts[-1]["data"]["report_id"]) == (claim["source"], claim["id"])
        assert claim["id"] in await harness.standing()
        if paid is not None:
            await harness.say(report("subsidy", paid))
            assert f"subsidy-{paid}" in await harness.standing()
        repeat = (await harness.send(claim))[0]
        assert repeat["first"]["flags"] == ["needs-review"]

    async def test_an_honour_withdrawn_flags_its_credit_line(self, harnesses: ServiceHarnesses) -> None:
        harness, line = await accepted(harnesses, "subsidy", "credit-line-requested")
        await (await harnesses.at("competition")).say(report("competition", "honour-withdrawn"))
        await harnesses.hear()
        await harness.now(line, "accepted", flags=["needs-review"])

    async def test_a_certificate_revoked_later_was_valid_then(self, harnesses: ServiceHarnesses) -> None:
        # It held on the day of the claim, whatever came of it after: no flag.
        harness, claim = await accepted(harnesses, "subsidy", "subsidy-claimed")
        await (await harnesses.at("competition")).say(report("competition", "certificate-revoked"))
        await harnesses.hear()
        await harness.now(claim, "accepted", flags=[])

    @pytest.mark.parametrize("name", ["subsidy-claimed", "allowance-claimed"])
    async def test_another_certificates_fate_is_none_of_the_grants(
        self, harnesses: ServiceHarnesses, name: str
    ) -> None:
        harness, claim = await accepted(harnesses, "subsidy", name)
        source = await harnesses.at("competition")
        other = report("competition", "certificate-issued", "z2", subject="certificate/Z2")
        await source.say(other)
        await source.say(retraction(other))
        await harnesses.hear()
        await harness.now(claim, "accepted", flags=[])

    @GRANTS
    async def test_a_waiting_claim_is_decided_by_what_was_put_right(
        self, harnesses: ServiceHarnesses, name: str, evidence: str, paid: str | None
    ) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        for home, needed in prerequisites("subsidy", name):
            if home == "subsidy":
                await harness.say(report(home, needed))
        # First the evidence is reported of another, which says nothing of this claim once it is taken back.
        wrong = report("competition", evidence, "wrong", person=person(9))
        await source.say(wrong)
        if evidence == "certificate-issued":
            await source.say(retraction(wrong))
        await harnesses.hear()
        await harness.say(report("subsidy", name), "waiting")
        if evidence == "certificate-issued":
            await source.say(report("competition", evidence))
        else:
            await source.say(corrected(wrong, person=report("competition", evidence)["data"]["person"]))
        await harnesses.hear()
        await harness.now(report("subsidy", name), "accepted")

    @pytest.mark.parametrize("how", ["withdrawal", "correction"])
    async def test_an_honour_that_stands_again_opens_what_waits(self, harnesses: ServiceHarnesses, how: str) -> None:
        harness, source = await harnesses.at("subsidy"), await harnesses.at("competition")
        honour = report("competition", "honour-conferred")
        gone = report("competition", "honour-withdrawn") if how == "withdrawal" else corrected(honour, rank="district")
        await source.say(honour)
        await source.say(gone)
        await harnesses.hear()
        line = report("subsidy", "credit-line-requested")
        await harness.say(line, "waiting")
        await source.say(retraction(gone))
        await harnesses.hear()
        await harness.now(line, "accepted")

    @pytest.mark.parametrize("name", ["standard-set", "catalogue-published"])
    @pytest.mark.parametrize("how", ["corrected", "retracted"])
    async def test_what_the_plan_office_puts_right_flags_too(
        self, harnesses: ServiceHarnesses, name: str, how: str
    ) -> None:
        harness, claim = await accepted(harnesses, "subsidy", "subsidy-claimed")
        known = report("subsidy", name)
        changes = {"amount_fen": 1} if name == "standard-set" else {"title": "目录(更正)"}
        await harness.say(retraction(known) if how == "retracted" else corrected(known, **changes))
        await harness.now(claim, "accepted", flags=["needs-review"])
        granted = [f for f in await harness.facts() if f["type"].endswith("subsidy-granted.v1")]
        assert [fact["data"]["amount_fen"] for fact in granted] == [375_000]


class TestB15:
    """Taking back is refused for no other rule; what stands again and breaks one stands, flagged."""

    @pytest.mark.parametrize(
        ("service", "name", "subject"),
        [
            ("recruitment", "hire-ended", "hire/H2"),
            ("enrollment", "apprenticeship-ended", "apprenticeship/A2"),
        ],
    )
    async def test_a_span_open_again_may_overlap(
        self, harnesses: ServiceHarnesses, service: str, name: str, subject: str
    ) -> None:
        harness, end = await accepted(harnesses, service, name)
        opening = report(service, opening_of(service, name) or "")
        until = {"until": "2025-12-31"} if "until" in opening["data"] else {}
        second = report(service, opening_of(service, name) or "", "second", on=LATER, subject=subject, **until)
        if until:
            # Put right first: its span reaches into the second's once its end is gone.
            await harness.say(corrected(opening, "longer", until="2025-06-30"))
            opening = corrected(opening, "longer")
        await harness.say(second)
        await harness.say(retraction(end))
        await harness.now(opening, "accepted", flags=["needs-review"])
        await harness.now(second, "accepted", flags=[])
        assert {opening["id"], "second"} <= await harness.standing()

    async def test_an_earlier_end_put_right_and_back_may_overlap(self, harnesses: ServiceHarnesses) -> None:
        harness, end = await accepted(harnesses, "recruitment", "hire-ended")
        early = report("recruitment", "hire-ended", "early", on="2024-06-01", corrects=end["id"])
        await harness.say(early)
        second = report("recruitment", "person-hired", "second", on="2024-07-01", subject="hire/H2")
        await harness.say(second)
        await harness.say(retraction(early))
        await harness.now(report("recruitment", "person-hired"), "accepted", flags=["needs-review"])

    @pytest.mark.parametrize(
        ("service", "name", "away", "between"),
        [
            ("recruitment", "person-hired", {"person": person(5)}, {"subject": "hire/H2"}),
            ("enrollment", "apprenticeship-started", {"person": person(5)}, {"subject": "apprenticeship/A2"}),
            ("enrollment", "training-completed", {"person": person(5)}, {"subject": "training/C/2"}),
            ("recruitment", "demand-matched", {"persons": 10}, {"persons": 100}),
            (
                "subsidy",
                "catalogue-published",
                {"effective_until": "2024-06-30"},
                {"subject": "catalogue/2", "effective_from": "2024-07-01"},
            ),
            (
                "subsidy",
                "credit-line-requested",
                {"amount_fen": 1},
                {"subject": "credit/C2", "amount_fen": 149_999_999},
            ),
            (
                "subsidy",
                "allowance-claimed",
                {"claimed_on": "2025-05-23"},
                {"subject": "allowance/A2"},
            ),
        ],
    )
    async def test_what_stands_again_may_break_a_rule(
        self, harnesses: ServiceHarnesses, service: str, name: str, away: dict[str, Any], between: dict[str, Any]
    ) -> None:
        harness, original = await accepted(harnesses, service, name)
        await harness.say(corrected(original, "away", **away))
        await harness.say(report(service, name, "between", **between))
        await harness.say(retraction(corrected(original, "away")))
        await harness.now(original, "accepted", flags=["needs-review"])
        await harness.now(report(service, name, "between"), "accepted", flags=[])
        assert {original["id"], "between"} <= await harness.standing()
        flagged = [f for f in await harness.facts() if f["type"].endswith("decision-flagged.v1")]
        assert [f["data"]["report_id"] for f in flagged] == [original["id"]]
        assert flagged[0]["data"]["reason"].startswith("breaks:")

    async def test_a_credit_line_open_again_may_pass_the_cap(self, harnesses: ServiceHarnesses) -> None:
        harness, closed = await accepted(harnesses, "subsidy", "credit-line-closed")
        await harness.say(
            report("subsidy", "credit-line-requested", "full", subject="credit/C2", amount_fen=150_000_000)
        )
        await harness.say(retraction(closed))
        await harness.now(report("subsidy", "credit-line-requested"), "accepted", flags=["needs-review"])

    async def test_a_claim_that_stands_again_without_its_certificate_is_flagged(
        self, harnesses: ServiceHarnesses
    ) -> None:
        harness, claim = await accepted(harnesses, "subsidy", "subsidy-claimed")
        source = await harnesses.at("competition")
        await source.say(report("competition", "certificate-issued", "z2", subject="certificate/Z2"))
        await harnesses.hear()
        await harness.say(corrected(claim, "away", certificate_number="Z2"))
        await source.say(retraction(report("competition", "certificate-issued")))
        await harnesses.hear()
        await harness.now(claim, "accepted", flags=[])
        await harness.say(retraction(corrected(claim, "away")))
        await harness.now(claim, "accepted", flags=["needs-review"])


class TestB16:
    """While a correction waits, its original stands."""

    @pytest.mark.parametrize(
        ("name", "evidence", "change"),
        [
            ("subsidy-claimed", "certificate-issued", {"certificate_number": "Z2"}),
            ("allowance-claimed", "certificate-issued", {"certificate_number": "Z2"}),
            ("credit-line-requested", "honour-conferred", {"person": person(9)}),
        ],
    )
    async def test_the_original_stands_until_the_correction_is_decided(
        self, harnesses: ServiceHarnesses, name: str, evidence: str, change: dict[str, Any]
    ) -> None:
        harness, original = await accepted(harnesses, "subsidy", name)
        correction = corrected(original, **change)
        await harness.say(correction, "waiting")
        await harness.now(original, "accepted")
        assert original["id"] in await harness.standing()
        if paid := {"subsidy-claimed": "subsidy-paid", "allowance-claimed": "allowance-paid"}.get(name):
            await harness.say(report("subsidy", paid, amount_fen=1))
        who = {"person": change["person"]} if "person" in change else {}
        where = "certificate/Z2" if "certificate" in evidence else "honour/H2"
        await (await harnesses.at("competition")).say(report("competition", evidence, "e2", subject=where, **who))
        await harnesses.hear()
        await harness.now(correction, "accepted")
        assert await harness.standing() & {original["id"], correction["id"]} == {correction["id"]}
        await harness.say(corrected(original, "late"), "refused", "already-corrected")

    async def test_one_that_never_comes_leaves_it(self, harnesses: ServiceHarnesses) -> None:
        harness, original = await accepted(harnesses, "subsidy", "subsidy-claimed")
        correction = corrected(original, certificate_number="Z2")
        await harness.say(correction, "waiting")
        before = await harness.names()
        assert await harness.let_pass(30.1) == 1
        await harness.now(correction, "refused", "never-arrived")
        assert await harness.names() == before
        assert original["id"] in await harness.standing()

    async def test_another_correction_may_be_first(self, harnesses: ServiceHarnesses) -> None:
        harness, original = await accepted(harnesses, "subsidy", "subsidy-claimed")
        slow, quick = corrected(original, "slow", certificate_number="Z2"), corrected(original, "quick")
        await harness.say(slow, "waiting")
        await harness.say(quick)
        await (await harnesses.at("competition")).say(
            report("competition", "certificate-issued", "z2", subject="certificate/Z2")
        )
        await harnesses.hear()
        await harness.now(slow, "refused", "already-corrected")
        assert "quick" in await harness.standing()
