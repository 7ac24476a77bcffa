"""RULES section B - putting right and taking back - one table a rule, run over every type it touches."""

from typing import Any, Final

import pytest

from shared.deciding.decider import FactInForce, View
from tests.contract.vocabulary import VOCABULARY
from tests.harness.service import (
    LATER,
    SOURCE,
    ReportFields,
    ServiceHarness,
    ServiceHarnesses,
    corrected,
    day_after,
    opening_of,
    person,
    planning_fixture,  # noqa: F401 - a fixture
    prerequisites,
    report,
    retraction,
    services_fixture,  # noqa: F401 - a fixture
)


def types(*roles: str) -> pytest.MarkDecorator:
    """Parametrise over every type of these roles, of all types without one."""
    return pytest.mark.parametrize(
        ("service", "name"),
        [
            pytest.param(service, name, id=f"{service}.{name}")
            for service, table in VOCABULARY.items()
            for name, row in table.items()
            if not roles or row.role.partition(" ")[0].rstrip(",") in roles
        ],
    )


ALL: Final = types()
ENDS: Final = types("ends", "voids")
AGAIN: Final = pytest.mark.parametrize(
    ("service", "name"),
    [
        pytest.param(service, name, id=f"{service}.{name}")
        for service, table in VOCABULARY.items()
        for name, row in table.items()
        if (opening := opening_of(service, name)) and table[opening].role == "opens again"
    ],
)
# What may wait: (service, type), and of its prerequisites the one it waits for.
WAITING: Final = pytest.mark.parametrize(
    ("service", "name"),
    [
        pytest.param(service, name, id=f"{service}.{name}")
        for service, table in VOCABULARY.items()
        for name in table
        if (opening_of(service, name) and name != "subsidy-recovered")
        or name in ("student-joined-class", "subsidy-claimed", "allowance-claimed", "credit-line-requested")
    ],
)
pytestmark = pytest.mark.asyncio(loop_scope="module")
AHEAD: Final = "2099-01-01"


async def accepted(desks: ServiceHarnesses, service: str, name: str) -> tuple[ServiceHarness, ReportFields]:
    """Have a type's sample accepted; return its desk and the report."""
    await desks.prepare(service, name)
    desk, sent = await desks.at(service), report(service, name)
    await desk.say(sent)
    return desk, sent


async def waiting(
    desks: ServiceHarnesses, service: str, name: str
) -> tuple[ServiceHarness, ReportFields, tuple[ServiceHarness, ReportFields]]:
    """Have a type's sample wait; return its desk, the report, and the desk and report it waits for."""
    *before, last = [p for p in prerequisites(service, name) if p != ("subsidy", "subsidy-paid")]
    if name in ("subsidy-claimed", "allowance-claimed", "credit-line-requested"):
        # Their evidence is named first, the plan's own data after it.
        (last, *before) = [p for p in prerequisites(service, name) if p[0] == "competition"] + [
            p for p in prerequisites(service, name) if p[0] == "subsidy"
        ]
    for home, needed in before:
        await (await desks.at(home)).say(report(home, needed))
        await desks.hear()
    desk, sent = await desks.at(service), report(service, name)
    await desk.say(sent, "waiting")
    return desk, sent, (await desks.at(last[0]), report(*last))


def standing_of(view: View, desk: ServiceHarness, sent: ReportFields) -> FactInForce:
    """Return what stands because of a report."""
    found = view.of_report(desk.service, (sent["source"], sent["id"]))
    assert found is not None, f"{sent['id']} does not stand"
    return found


class TestB1:
    """A retracted correction counts as never made: what it replaced stands again."""

    @ALL
    async def test_the_original_stands_again(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        before = await desk.standing()
        correction = corrected(original)
        await desk.say(correction)
        assert await desk.standing() == before - {original["id"]} | {correction["id"]}
        await desk.say(retraction(correction))
        assert await desk.standing() == before
        await desk.now(original, "accepted", flags=[])

    @ALL
    async def test_retracting_until_none_stands_takes_the_thing_back(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, original = await accepted(desks, service, name)
        before = await desk.standing()
        first = corrected(original, "first")
        second = corrected(first, "second")
        for sent in (first, second, retraction(second)):
            await desk.say(sent)
        assert await desk.standing() == before - {original["id"]} | {"first"}
        await desk.say(retraction(second, "too-late"), "refused", "already-retracted")
        await desk.say(retraction(first))
        await desk.say(retraction(original))
        assert await desk.standing() == before - {original["id"]}
        # As never made: the same can be reported anew.
        await desk.say(report(service, name, "anew"))
        assert await desk.standing() == before - {original["id"]} | {"anew"}


class TestB2:
    """`corrects` and `report_id` name a report that stands."""

    @ALL
    async def test_what_was_corrected_or_retracted_already_is_named_no_more(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, original = await accepted(desks, service, name)
        correction = corrected(original)
        await desk.say(correction)
        again = await desk.say(corrected(original, "again"), "refused", "already-corrected")
        assert correction["id"] in again["reasons"][0]["en"]
        assert again["reasons"][0]["pointer"] == "/corrects"
        undo = await desk.say(retraction(original), "refused", "already-corrected")
        assert undo["reasons"][0]["pointer"] == "/data/report_id"
        await desk.say(retraction(correction))
        await desk.say(corrected(correction, "late"), "refused", "already-retracted")
        await desk.say(retraction(correction, "late-too"), "refused", "already-retracted")

    @ALL
    async def test_of_a_refused_report_there_is_nothing_to_put_right(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk = await desks.at(service)
        refused = report(service, name) | {"time": f"{AHEAD}T09:30:00+08:00"}
        await desk.say(refused, "refused", "in-the-future")
        right = corrected(refused) | {"time": f"{LATER}T09:30:00+08:00"}
        await desk.say(right, "refused", "nothing-to-correct")
        await desk.say(retraction(refused), "refused", "nothing-to-retract")


class TestB3:
    """An id never accepted here is waited for; one of another type or subject is refused."""

    @ALL
    async def test_an_unknown_id_is_waited_for(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        await desks.prepare(service, name)
        desk, original = await desks.at(service), report(service, name)
        correction = corrected(original)
        receipt = await desk.say(correction, "waiting")
        assert receipt["waits_for"] == f"report/{original['id']}"
        assert correction["id"] not in await desk.standing()
        await desk.say(original)
        await desk.now(correction, "accepted")
        assert await desk.standing() & {original["id"], correction["id"]} == {correction["id"]}

    @ALL
    async def test_a_retraction_waits_for_it_too(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        await desks.prepare(service, name)
        desk, original = await desks.at(service), report(service, name)
        before = await desk.standing()
        receipt = await desk.say(retraction(original), "waiting")
        assert receipt["waits_for"] == f"report/{original['id']}"
        await desk.say(original)
        await desk.now(retraction(original), "accepted")
        assert await desk.standing() == before

    @ALL
    async def test_what_never_arrives_ends_the_waiting(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await desks.at(service), report(service, name)
        await desk.send(corrected(original), retraction(original))
        assert await desk.let_pass(29.9) == 0
        assert await desk.let_pass(0.2) == 2
        await desk.now(corrected(original), "refused", "never-arrived")
        await desk.now(retraction(original), "refused", "never-arrived")
        assert await desk.waiting() == set()

    @ALL
    async def test_another_subject_or_type_is_refused(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        other = next(n for n in VOCABULARY[service] if n not in (name, opening_of(service, name)))
        stranger = report(service, other, "stranger", corrects=original["id"])
        await desk.say(stranger, "refused", "other-subject")
        elsewhere = retraction(original, subject=report(service, "activity-reported")["subject"] + "-x")
        await desk.say(elsewhere, "refused", "other-subject")

    @ENDS
    async def test_an_end_is_no_correction_of_its_opening(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = report(service, opening_of(service, name) or "")
        await desk.say(end | {"id": "x", "corrects": opening["id"]}, "refused", "other-subject")


class TestB4:
    """A correction is decided as if its original had never been made, and takes its place."""

    @ENDS
    async def test_the_end_of_the_original_stays_attached(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = report(service, opening_of(service, name) or "")
        await desk.say(corrected(opening, "right"))
        attached = standing_of(await desk.view(), desk, corrected(opening, "right")).end
        assert attached is not None
        assert attached.report_id == end["id"]
        assert "report-suspended" not in await desk.names()

    @AGAIN
    async def test_what_was_opened_anew_stays_as_it_is(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, end = await accepted(desks, service, name)
        first = report(service, opening_of(service, name) or "")
        until = {"until": "2026-12-31"} if "until" in first["data"] else {}
        second = report(service, opening_of(service, name) or "", "second", on=LATER, **until)
        await desk.say(second)
        await desk.say(corrected(first, "right"))
        view = await desk.view()
        own_end = standing_of(view, desk, corrected(first, "right")).end
        assert own_end is not None
        assert own_end.report_id == end["id"]
        assert standing_of(view, desk, second).end is None

    @ENDS
    async def test_a_start_after_its_end_is_refused_and_the_original_stands(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = opening_of(service, name) or ""
        before = await desk.standing()
        day = day_after(LATER)
        until = {field: "2029-12-31" for field in ("until", "valid_until") if field in report(service, opening)["data"]}
        late = report(service, opening, "late", on=day, corrects=report(service, opening)["id"], **until)
        await desk.say(late, "refused", "ends-before-start")
        assert await desk.standing() == before
        assert standing_of(await desk.view(), desk, report(service, opening)).end is not None
        assert end["id"] in before

    @ALL
    async def test_a_refused_correction_leaves_the_original(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, original = await accepted(desks, service, name)
        before, log = await desk.standing(), await desk.names()
        await desk.say(corrected(original) | {"time": f"{AHEAD}T09:30:00+08:00"}, "refused", "in-the-future")
        assert await desk.standing() == before
        assert await desk.names() == log
        await desk.say(corrected(original, "better"))

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
        self, desks: ServiceHarnesses, service: str, name: str, code: str, other: dict[str, Any], wrong: dict[str, Any]
    ) -> None:
        # Nothing of the original is in the way, but all that others have reported is.
        await desks.prepare(service, name)
        desk = await desks.at(service)
        apart: dict[str, Any] = {} if wrong else {"person": person(7)}
        original = report(service, name, **apart)
        if name in ("subsidy-claimed", "allowance-claimed"):
            original = await _claim_of_another(desks, service, name)
        for sent in (report(service, name, "other", **other), original):
            await desk.say(sent)
        before = await desk.standing()
        claim = "certificate_number" in original["data"]
        same = wrong or {"person": report(service, name)["data"].get("person")}
        if claim:
            same["certificate_number"] = report(service, name)["data"]["certificate_number"]
        await desk.say(corrected(original, "wrong", **same), "refused", code)
        assert await desk.standing() == before
        await desk.say(corrected(original, "right"))


async def _claim_of_another(desks: ServiceHarnesses, service: str, name: str) -> ReportFields:
    """Have another person certified; return that one's claim."""
    competition = await desks.at("competition")
    await competition.say(report("competition", "certificate-issued", "z2", subject="certificate/Z2", person=person(7)))
    await desks.hear()
    return report(service, name, person=person(7), certificate_number="Z2")


class TestB6:
    """Retracting an opening: its end counts for nothing and waits again, as do members and matches."""

    @ENDS
    async def test_the_end_waits_again_until_it_is_opened(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening_name = opening_of(service, name) or ""
        before = await desk.receipt(end)
        await desk.say(retraction(report(service, opening_name)))
        again = await desk.now(end, "waiting")
        assert again["waits_for"] == end["subject"]
        assert again["decided_at"] > before["decided_at"]
        assert end["id"] not in await desk.standing()
        assert await desk.waiting() == {end["id"]}
        assert (await desk.facts())[-1]["data"] == {"report_id": end["id"], "reason": f"waits-for:{end['subject']}"}
        opened = report(service, opening_name, "opened-later")
        await desk.say(opened)
        receipt = await desk.now(end, "accepted")
        assert receipt["position"] > before["position"]
        attached = standing_of(await desk.view(), desk, opened).end
        assert attached is not None
        assert attached.report_id == end["id"]
        assert await desk.waiting() == set()

    @AGAIN
    async def test_it_does_not_end_what_was_opened_anew(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, end = await accepted(desks, service, name)
        opening = opening_of(service, name) or ""
        second = report(service, opening, "second", on=day_after(LATER), **_until(service, opening))
        await desk.say(second)
        await desk.say(retraction(report(service, opening)))
        await desk.now(end, "waiting")
        assert standing_of(await desk.view(), desk, second).end is None

    @AGAIN
    async def test_an_end_put_right_waits_again_and_ends_what_is_opened_later(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = opening_of(service, name) or ""
        await desk.say(corrected(end, "right"))
        await desk.say(retraction(report(service, opening)))
        await desk.now(corrected(end, "right"), "waiting")
        later = report(service, opening, "later")
        await desk.say(later)
        await desk.now(corrected(end, "right"), "accepted")
        attached = standing_of(await desk.view(), desk, later).end
        assert attached is not None
        assert attached.report_id == "right"
        # And retracted, it leaves the first end to stand again, at the thing opened later.
        await desk.say(retraction(corrected(end, "right")))
        attached = standing_of(await desk.view(), desk, later).end
        assert attached is not None
        assert attached.report_id == end["id"]

    @AGAIN
    async def test_an_end_put_right_while_it_waits_again_ends_what_is_opened_later(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = opening_of(service, name) or ""
        await desk.say(retraction(report(service, opening)))
        await desk.say(corrected(end, "right"), "waiting")
        await desk.now(end, "refused", "corrected")
        later = report(service, opening, "later")
        await desk.say(later)
        await desk.now(corrected(end, "right"), "accepted")
        attached = standing_of(await desk.view(), desk, later).end
        assert attached is not None
        assert attached.report_id == "right"
        await desk.say(report(service, name, "twice"), "refused", "not-open")

    async def test_the_members_of_a_class_wait_again(self, desks: ServiceHarnesses) -> None:
        desk, member = await accepted(desks, "recruitment", "student-joined-class")
        second = report("recruitment", "student-joined-class", "m2", subject="class-member/YL-2024-1/08")
        await desk.say(second)
        await desk.say(retraction(report("recruitment", "cooperation-class-opened")))
        for sent in (member, second):
            assert (await desk.now(sent, "waiting"))["waits_for"] == "class/YL-2024-1"
        # Decided again in the order received, with one seat left.
        await desk.say(report("recruitment", "cooperation-class-opened", "small", seats=1))
        await desk.now(member, "accepted")
        await desk.now(second, "refused", "class-full")

    async def test_the_matches_of_a_demand_wait_again(self, desks: ServiceHarnesses) -> None:
        desk, match = await accepted(desks, "recruitment", "demand-matched")
        second = report("recruitment", "demand-matched", "m2", persons=50)
        await desk.say(second)
        await desk.say(retraction(report("recruitment", "demand-raised")))
        assert await desk.waiting() == {match["id"], "m2"}
        await desk.say(report("recruitment", "demand-raised", "less", persons=100))
        await desk.now(match, "accepted")
        await desk.now(second, "refused", "more-than-raised")

    async def test_payments_of_a_claim_taken_back_wait_again(self, desks: ServiceHarnesses) -> None:
        # Taken back only after all was recovered (D10); what was paid and recovered then hangs on nothing.
        desk, back = await accepted(desks, "subsidy", "subsidy-recovered")
        await desk.say(retraction(report("subsidy", "subsidy-claimed")))
        assert await desk.waiting() == {"subsidy-subsidy-paid", back["id"]}
        await desk.say(report("subsidy", "subsidy-claimed", "anew"))
        assert await desk.waiting() == set()
        await desk.now(back, "accepted")

    @ENDS
    async def test_what_waits_again_waits_thirty_days_anew(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        await desk.say(retraction(report(service, opening_of(service, name) or "")))
        assert await desk.let_pass(29.9) == 0
        await desk.now(end, "waiting")
        assert await desk.let_pass(0.2) == 1
        await desk.now(end, "refused", "never-arrived")


def _until(service: str, name: str) -> dict[str, str]:
    return {field: "2029-12-31" for field in ("until", "valid_until") if field in report(service, name)["data"]}


class TestB7:
    """Retracting an end: the thing is open again as from its start, unless it was opened anew meanwhile."""

    @ENDS
    async def test_it_is_open_again(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, end = await accepted(desks, service, name)
        opening = report(service, opening_of(service, name) or "")
        await desk.say(retraction(end))
        assert standing_of(await desk.view(), desk, opening).end is None
        await desk.now(opening, "accepted", flags=[])
        await desk.say(report(service, name, "ended-anew", on=day_after(LATER)))

    @AGAIN
    async def test_not_once_it_was_opened_anew(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, end = await accepted(desks, service, name)
        opening = opening_of(service, name) or ""
        second = report(service, opening, "second", on=day_after(LATER), **_until(service, opening))
        await desk.say(second)
        before = await desk.standing()
        await desk.say(retraction(end), "refused", "opened-again")
        assert await desk.standing() == before
        # Nor may its correction reach past the new start; up to that day it may.
        past = report(service, name, "past", on=day_after(LATER, 2), corrects=end["id"])
        await desk.say(past, "refused", "opened-again")
        await desk.say(report(service, name, "up-to", on=day_after(LATER, 1), corrects=end["id"]))
        # Once what came after is taken back, the end can be.
        await desk.say(retraction(second))
        await desk.say(retraction(report(service, name, "up-to"), "undo-it"))
        await desk.say(retraction(end, "undo-at-last"))
        assert standing_of(await desk.view(), desk, report(service, opening)).end is None


class TestB8:
    """A refusal is final."""

    @ALL
    async def test_the_same_id_brings_the_same_refusal(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk = await desks.at(service)
        refused = report(service, name) | {"time": f"{AHEAD}T09:30:00+08:00"}
        first = await desk.say(refused, "refused", "in-the-future")
        again = (await desk.send(refused))[0]
        assert again["status"] == "duplicate"
        assert again["first"] == first

    async def test_what_comes_later_changes_no_refusal(self, desks: ServiceHarnesses) -> None:
        desk = await desks.at("competition")
        title = report("competition", "title-conferred")
        await desk.say(title, "refused", "series-not-open")
        await desk.say(report("competition", "title-series-opened"))
        await desk.now(title, "refused", "series-not-open")
        await desk.say(title | {"id": "anew"})


class TestB9:
    """Retracting or correcting a waiting report."""

    @WAITING
    async def test_a_waiting_report_is_retracted(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, sent, (home, awaited) = await waiting(desks, service, name)
        receipt = await desk.say(retraction(sent))
        assert receipt["stream"] == sent["subject"]
        await desk.now(sent, "refused", "retracted")
        assert await desk.waiting() == set()
        await home.say(awaited)
        await desks.hear()
        await desk.now(sent, "refused", "retracted")
        assert sent["id"] not in await desk.standing()
        await desk.say(retraction(sent, "again"), "refused", "already-retracted")
        await desk.say(corrected(sent), "refused", "already-retracted")

    @WAITING
    async def test_a_correction_waits_in_its_place(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, sent, (home, awaited) = await waiting(desks, service, name)
        waits_for = (await desk.receipt(sent))["waits_for"]
        correction = corrected(sent)
        receipt = await desk.say(correction, "waiting")
        assert receipt["waits_for"] == waits_for
        await desk.now(sent, "refused", "corrected")
        assert await desk.waiting() == {correction["id"]}
        named = await desk.say(corrected(sent, "again"), "refused", "already-corrected")
        assert correction["id"] in named["reasons"][0]["en"]
        await desk.say(retraction(sent), "refused", "already-corrected")
        await home.say(awaited)
        await desks.hear()
        await desk.now(correction, "accepted")
        await desk.now(sent, "refused", "corrected")
        assert await desk.standing() & {sent["id"], correction["id"]} == {correction["id"]}

    @WAITING
    async def test_a_correction_of_the_correction_too(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, sent, (home, awaited) = await waiting(desks, service, name)
        first, second = corrected(sent, "first"), corrected(corrected(sent, "first"), "second")
        await desk.say(first, "waiting")
        await desk.say(second, "waiting")
        assert await desk.waiting() == {"second"}
        await home.say(awaited)
        await desks.hear()
        await desk.now(second, "accepted")
        assert await desk.standing() & {sent["id"], "first", "second"} == {"second"}

    @WAITING
    async def test_a_refused_correction_leaves_it_waiting(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, sent, (home, awaited) = await waiting(desks, service, name)
        await desk.say(corrected(sent) | {"time": f"{AHEAD}T09:30:00+08:00"}, "refused", "in-the-future")
        await desk.now(sent, "waiting")
        await home.say(awaited)
        await desks.hear()
        await desk.now(sent, "accepted")

    @WAITING
    async def test_a_correction_that_need_not_wait_is_decided(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        # The number was wrong, so it waited; put right, it goes through at once.
        if name != "subsidy-claimed":
            return
        await desks.prepare(service, name)
        desk = await desks.at(service)
        wrong = report(service, name, certificate_number="Z-wrong")
        await desk.say(wrong, "waiting")
        right = corrected(wrong, certificate_number=report(service, name)["data"]["certificate_number"])
        await desk.say(right)
        await desk.now(wrong, "refused", "corrected")
        assert await desk.waiting() == set()

    @WAITING
    async def test_the_place_is_refused_in_the_end_with_its_correction(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, sent, _ = await waiting(desks, service, name)
        await desk.say(corrected(sent, "right"), "waiting")
        assert await desk.let_pass(30.1) == 1
        await desk.now(corrected(sent, "right"), "refused", "no-honour" if "credit-line-r" in name else "never-arrived")
        await desk.now(sent, "refused", "corrected")
        if service == "subsidy" and name.endswith(("claimed", "requested")):
            assert (await desk.names())[-1].endswith("-refused")


class TestB10:
    """Retractions and corrections work from their recording on; a retraction's own time has no effect."""

    @ALL
    async def test_a_retraction_may_tell_any_time(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        before = await desk.standing()
        await desk.say(retraction(original, time="2001-01-01T00:00:00+08:00"))
        assert await desk.standing() == before - {original["id"]}
        recorded = [fact["recordedat"] for fact in await desk.facts()]
        assert recorded == sorted(set(recorded))


class TestB11:
    """The same source only; a retraction is not taken back, and corrects nothing."""

    @ALL
    async def test_another_sources_id_is_an_unknown_id(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        before = await desk.standing()
        other = f"{SOURCE.rpartition('/')[0]}/other-system"
        for sent in (corrected(original, "c") | {"source": other}, retraction(original, "r", source=other)):
            assert (await desk.say(sent, "waiting"))["waits_for"] == f"report/{original['id']}"
        assert await desk.standing() == before

    @ALL
    async def test_a_retraction_is_final(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        await desk.say(retraction(original, "undo"))
        await desk.say(retraction(original, "redo", data={"report_id": "undo", "reason": "x"}), "refused",
                       "nothing-to-retract")  # fmt: skip
        wrong = (await desk.send(retraction(original, "both") | {"corrects": "undo"}))[0]
        assert wrong["status"] == "invalid"
        assert [(r["code"], r["pointer"]) for r in wrong["reasons"]] == [("bad-attribute", "/corrects")]
        await desk.say(corrected(original, "of-undo") | {"corrects": "undo"}, "refused", "other-subject")


class TestB13:
    """A retraction's receipt: accepted, stream = the original's, version = its own fact there."""

    @ALL
    async def test_its_receipt_names_its_own_fact(self, desks: ServiceHarnesses, service: str, name: str) -> None:
        desk, original = await accepted(desks, service, name)
        receipt = await desk.say(retraction(original))
        fact = next(f for f in await desk.facts() if f["type"].endswith("report-retracted.v1"))
        assert (receipt["stream"], receipt["version"], receipt["position"]) == (
            original["subject"], fact["version"], fact["position"],
        )  # fmt: skip
        assert fact["subject"] == original["subject"]
        assert (fact["reportsource"], fact["data"]["report_id"]) == (original["source"], original["id"])

    @ALL
    async def test_facts_on_a_subject_are_numbered_without_a_hole(
        self, desks: ServiceHarnesses, service: str, name: str
    ) -> None:
        desk, original = await accepted(desks, service, name)
        for sent in (corrected(original), retraction(corrected(original)), retraction(original)):
            await desk.say(sent)
        facts = await desk.facts()
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
        self, desks: ServiceHarnesses, name: str, evidence: str, paid: str | None, how: str
    ) -> None:
        desk, claim = await accepted(desks, "subsidy", name)
        before = await desk.receipt(claim)
        granted = next(f for f in await desk.facts() if f["type"].endswith("-granted.v1"))
        source = await desks.at("competition")
        known = report("competition", evidence)
        await source.say(retraction(known) if how == "retracted" else corrected(known, person=person(9)))
        await desks.hear()
        after = await desk.now(claim, "accepted", flags=["needs-review"])
        assert after["decided_at"] > before["decided_at"]
        assert {k: v for k, v in after.items() if k not in ("flags", "decided_at")} == {
            k: v for k, v in before.items() if k not in ("flags", "decided_at")
        }
        facts = await desk.facts()
        assert granted in facts
        assert facts[-1]["type"] == "skillplan.subsidy.decision-flagged.v1"
        assert facts[-1]["subject"] == claim["subject"]
        assert (facts[-1]["reportsource"], facts[-1]["data"]["report_id"]) == (claim["source"], claim["id"])
        assert claim["id"] in await desk.standing()
        if paid is not None:
            await desk.say(report("subsidy", paid))
            assert f"subsidy-{paid}" in await desk.standing()
        repeat = (await desk.send(claim))[0]
        assert repeat["first"]["flags"] == ["needs-review"]

    async def test_an_honour_withdrawn_flags_its_credit_line(self, desks: ServiceHarnesses) -> None:
        desk, line = await accepted(desks, "subsidy", "credit-line-requested")
        await (await desks.at("competition")).say(report("competition", "honour-withdrawn"))
        await desks.hear()
        await desk.now(line, "accepted", flags=["needs-review"])

    async def test_a_certificate_revoked_later_was_valid_then(self, desks: ServiceHarnesses) -> None:
        # It held on the day of the claim, whatever came of it after: no flag.
        desk, claim = await accepted(desks, "subsidy", "subsidy-claimed")
        await (await desks.at("competition")).say(report("competition", "certificate-revoked"))
        await desks.hear()
        await desk.now(claim, "accepted", flags=[])

    @pytest.mark.parametrize("name", ["subsidy-claimed", "allowance-claimed"])
    async def test_another_certificates_fate_is_none_of_the_grants(self, desks: ServiceHarnesses, name: str) -> None:
        desk, claim = await accepted(desks, "subsidy", name)
        source = await desks.at("competition")
        other = report("competition", "certificate-issued", "z2", subject="certificate/Z2")
        await source.say(other)
        await source.say(retraction(other))
        await desks.hear()
        await desk.now(claim, "accepted", flags=[])

    @GRANTS
    async def test_a_waiting_claim_is_decided_by_what_was_put_right(
        self, desks: ServiceHarnesses, name: str, evidence: str, paid: str | None
    ) -> None:
        desk, source = await desks.at("subsidy"), await desks.at("competition")
        for home, needed in prerequisites("subsidy", name):
            if home == "subsidy":
                await desk.say(report(home, needed))
        # First the evidence is reported of another, which says nothing of this claim once it is taken back.
        wrong = report("competition", evidence, "wrong", person=person(9))
        await source.say(wrong)
        if evidence == "certificate-issued":
            await source.say(retraction(wrong))
        await desks.hear()
        await desk.say(report("subsidy", name), "waiting")
        if evidence == "certificate-issued":
            await source.say(report("competition", evidence))
        else:
            await source.say(corrected(wrong, person=report("competition", evidence)["data"]["person"]))
        await desks.hear()
        await desk.now(report("subsidy", name), "accepted")

    @pytest.mark.parametrize("how", ["withdrawal", "correction"])
    async def test_an_honour_that_stands_again_opens_what_waits(self, desks: ServiceHarnesses, how: str) -> None:
        desk, source = await desks.at("subsidy"), await desks.at("competition")
        honour = report("competition", "honour-conferred")
        gone = report("competition", "honour-withdrawn") if how == "withdrawal" else corrected(honour, rank="district")
        await source.say(honour)
        await source.say(gone)
        await desks.hear()
        line = report("subsidy", "credit-line-requested")
        await desk.say(line, "waiting")
        await source.say(retraction(gone))
        await desks.hear()
        await desk.now(line, "accepted")

    @pytest.mark.parametrize("name", ["standard-set", "catalogue-published"])
    @pytest.mark.parametrize("how", ["corrected", "retracted"])
    async def test_what_the_plan_office_puts_right_flags_too(
        self, desks: ServiceHarnesses, name: str, how: str
    ) -> None:
        desk, claim = await accepted(desks, "subsidy", "subsidy-claimed")
        known = report("subsidy", name)
        changes = {"amount_fen": 1} if name == "standard-set" else {"title": "目录(更正)"}
        await desk.say(retraction(known) if how == "retracted" else corrected(known, **changes))
        await desk.now(claim, "accepted", flags=["needs-review"])
        granted = [f for f in await desk.facts() if f["type"].endswith("subsidy-granted.v1")]
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
        self, desks: ServiceHarnesses, service: str, name: str, subject: str
    ) -> None:
        desk, end = await accepted(desks, service, name)
        opening = report(service, opening_of(service, name) or "")
        until = {"until": "2025-12-31"} if "until" in opening["data"] else {}
        second = report(service, opening_of(service, name) or "", "second", on=LATER, subject=subject, **until)
        if until:
            # Put right first: its span reaches into the second's once its end is gone.
            await desk.say(corrected(opening, "longer", until="2025-06-30"))
            opening = corrected(opening, "longer")
        await desk.say(second)
        await desk.say(retraction(end))
        await desk.now(opening, "accepted", flags=["needs-review"])
        await desk.now(second, "accepted", flags=[])
        assert {opening["id"], "second"} <= await desk.standing()

    async def test_an_earlier_end_put_right_and_back_may_overlap(self, desks: ServiceHarnesses) -> None:
        desk, end = await accepted(desks, "recruitment", "hire-ended")
        early = report("recruitment", "hire-ended", "early", on="2024-06-01", corrects=end["id"])
        await desk.say(early)
        second = report("recruitment", "person-hired", "second", on="2024-07-01", subject="hire/H2")
        await desk.say(second)
        await desk.say(retraction(early))
        await desk.now(report("recruitment", "person-hired"), "accepted", flags=["needs-review"])

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
        self, desks: ServiceHarnesses, service: str, name: str, away: dict[str, Any], between: dict[str, Any]
    ) -> None:
        desk, original = await accepted(desks, service, name)
        await desk.say(corrected(original, "away", **away))
        await desk.say(report(service, name, "between", **between))
        await desk.say(retraction(corrected(original, "away")))
        await desk.now(original, "accepted", flags=["needs-review"])
        await desk.now(report(service, name, "between"), "accepted", flags=[])
        assert {original["id"], "between"} <= await desk.standing()
        flagged = [f for f in await desk.facts() if f["type"].endswith("decision-flagged.v1")]
        assert [f["data"]["report_id"] for f in flagged] == [original["id"]]
        assert flagged[0]["data"]["reason"].startswith("breaks:")

    async def test_a_credit_line_open_again_may_pass_the_cap(self, desks: ServiceHarnesses) -> None:
        desk, closed = await accepted(desks, "subsidy", "credit-line-closed")
        await desk.say(report("subsidy", "credit-line-requested", "full", subject="credit/C2", amount_fen=150_000_000))
        await desk.say(retraction(closed))
        await desk.now(report("subsidy", "credit-line-requested"), "accepted", flags=["needs-review"])

    async def test_a_claim_that_stands_again_without_its_certificate_is_flagged(self, desks: ServiceHarnesses) -> None:
        desk, claim = await accepted(desks, "subsidy", "subsidy-claimed")
        source = await desks.at("competition")
        await source.say(report("competition", "certificate-issued", "z2", subject="certificate/Z2"))
        await desks.hear()
        await desk.say(corrected(claim, "away", certificate_number="Z2"))
        await source.say(retraction(report("competition", "certificate-issued")))
        await desks.hear()
        await desk.now(claim, "accepted", flags=[])
        await desk.say(retraction(corrected(claim, "away")))
        await desk.now(claim, "accepted", flags=["needs-review"])


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
        self, desks: ServiceHarnesses, name: str, evidence: str, change: dict[str, Any]
    ) -> None:
        desk, original = await accepted(desks, "subsidy", name)
        correction = corrected(original, **change)
        await desk.say(correction, "waiting")
        await desk.now(original, "accepted")
        assert original["id"] in await desk.standing()
        if paid := {"subsidy-claimed": "subsidy-paid", "allowance-claimed": "allowance-paid"}.get(name):
            await desk.say(report("subsidy", paid, amount_fen=1))
        who = {"person": change["person"]} if "person" in change else {}
        where = "certificate/Z2" if "certificate" in evidence else "honour/H2"
        await (await desks.at("competition")).say(report("competition", evidence, "e2", subject=where, **who))
        await desks.hear()
        await desk.now(correction, "accepted")
        assert await desk.standing() & {original["id"], correction["id"]} == {correction["id"]}
        await desk.say(corrected(original, "late"), "refused", "already-corrected")

    async def test_one_that_never_comes_leaves_it(self, desks: ServiceHarnesses) -> None:
        desk, original = await accepted(desks, "subsidy", "subsidy-claimed")
        correction = corrected(original, certificate_number="Z2")
        await desk.say(correction, "waiting")
        before = await desk.names()
        assert await desk.let_pass(30.1) == 1
        await desk.now(correction, "refused", "never-arrived")
        assert await desk.names() == before
        assert original["id"] in await desk.standing()

    async def test_another_correction_may_be_first(self, desks: ServiceHarnesses) -> None:
        desk, original = await accepted(desks, "subsidy", "subsidy-claimed")
        slow, quick = corrected(original, "slow", certificate_number="Z2"), corrected(original, "quick")
        await desk.say(slow, "waiting")
        await desk.say(quick)
        await (await desks.at("competition")).say(
            report("competition", "certificate-issued", "z2", subject="certificate/Z2")
        )
        await desks.hear()
        await desk.now(slow, "refused", "already-corrected")
        assert "quick" in await desk.standing()
