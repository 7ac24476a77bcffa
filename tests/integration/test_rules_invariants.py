"""What holds whatever is reported: random reports, ends, corrections, retractions, in memory and on PostgreSQL."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contract.events import Ends, Opens
from shared.deciding.stream_fold import FactInForce
from shared.deciding.view import View
from tests.harness.service import (
    ReportFields,
    ServiceHarness,
    corrected,
    in_memory_services,
    organisation,
    person,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIRST_DAY: Final = date(2024, 1, 1)
# What happens: (what, which subject, who, which day, which report is meant).
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "open", "end", "end", "correct", "correct", "retract", "retract"]),
        st.integers(0, 6),
        st.integers(0, 1),
        st.integers(0, 8),
        st.integers(0, 40),
    ),
    min_size=10,
    max_size=45,
)
QUICK: Final = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def recruitment(what: str, which: int, who: int, day: str, id_: str) -> ReportFields:
    """Return a report about one of a few things: two contracts, a fair, a class and its members, a demand."""
    two = which % 2
    if which <= 2:
        if what == "end":
            return report("recruitment", "hire-ended", id_, on=day, subject=f"hire/H{two}")
        where = organisation(1)
        return report("recruitment", "person-hired", id_, on=day, subject=f"hire/H{two}", person=person(who),
                      enterprise=where)  # fmt: skip
    if which == 3:
        name = "fair-cancelled" if what == "end" else "fair-held"
        return report("recruitment", name, id_, on=day, subject="fair/F")
    if which == 4:
        if what == "end" or who:
            return report("recruitment", "demand-matched", id_, on=day, subject="demand/D", persons=who + 1)
        return report("recruitment", "demand-raised", id_, on=day, subject="demand/D", persons=3)
    if what == "end":
        return report("recruitment", "cooperation-class-opened", id_, on=day, subject="class/C", seats=who + 1)
    return report("recruitment", "student-joined-class", id_, on=day, subject=f"class-member/C/{which}", class_no="C",
                  person=person(who))  # fmt: skip


def subsidy(what: str, which: int, who: int, day: str, id_: str) -> ReportFields:
    """Return a report about one of a few things: claims and their money, credit lines, wage agreements."""
    two = which % 2
    if which <= 2:
        if what == "end":
            name = "subsidy-recovered" if who else "subsidy-paid"
            return report("subsidy", name, id_, on=day, subject=f"claim/C{two}", amount_fen=1 + int(day[-1]) * 30_000)
        return report("subsidy", "subsidy-claimed", id_, on=day, subject=f"claim/C{two}", person=person(who),
                      certificate_number="Z")  # fmt: skip
    if which == 3:
        name = "wage-agreement-ended" if what == "end" else "wage-agreement-signed"
        return report("subsidy", name, id_, on=day, agreement_no=f"GZ-{who}")
    if which == 4:
        return report("subsidy", "standard-set", id_, on=day, amount_fen=100_000 + who)
    if what == "end":
        return report("subsidy", "credit-line-closed", id_, on=day, subject=f"credit/L{which}")
    return report("subsidy", "credit-line-requested", id_, on=day, subject=f"credit/L{which}", person=person(who),
                  amount_fen=80_000_000)  # fmt: skip


def evidence(what: str, which: int, who: int, day: str, id_: str) -> ReportFields:
    """Return a report of another service that money rests on."""
    if which % 2:
        name = "honour-withdrawn" if what == "end" else "honour-conferred"
        changes: dict[str, Any] = {} if what == "end" else {"person": person(who)}
        return report("competition", name, id_, on=day, subject=f"honour/H{which % 3}", **changes)
    if what == "end":
        return report("competition", "certificate-revoked", id_, on=day, subject="certificate/Z")
    return report("competition", "certificate-issued", id_, on=day, subject="certificate/Z", person=person(who))


def reports(steps: Sequence[tuple[str, int, int, int, int]], tell: Any, prefix: str = "r") -> list[ReportFields]:
    """Return the reports of the steps; a correction or retraction may name one that comes later, or never."""
    reported: list[ReportFields] = []
    for number, (what, which, who, days, meant) in enumerate(steps):
        id_, day = f"{prefix}{number}", str(FIRST_DAY + timedelta(days=days))
        if what in ("open", "end") or not reported:
            reported.append(tell(what, which, who, day, id_))
            continue
        target = reported[meant % len(reported)] if meant < 36 else tell("open", which, who, day, f"{prefix}{meant}")
        if what == "retract" or target["type"].endswith("report-retracted.v1"):
            reported.append(retraction(target, id_))
        else:
            right = tell("open", which, who, day, id_)
            if right["type"] != target["type"]:
                right = tell("end", which, who, day, id_)
            same = right["type"] == target["type"] and right["subject"] == target["subject"]
            reported.append((right if same else corrected(target, id_)) | {"corrects": target["id"]})
    return reported


@given(steps=STEPS, cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(QUICK, max_examples=30)
async def test_recruitment(steps: Any, cuts: list[int]) -> None:
    harness = in_memory_services()["recruitment"]
    one_by_one = await reported_in_batches(harness, steps, [1])
    await check(harness)
    # The same in batches: what is decided does not depend on what a transaction already had in hand.
    assert await reported_in_batches(harness, steps, cuts) == one_by_one
    # And expiry leaves nothing that waits.
    while await harness.let_pass(31):
        pass
    assert await harness.waiting() == set()
    await check(harness)


@given(steps=STEPS, cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(QUICK, max_examples=4)
async def test_recruitment_on_postgres(
    running_services: dict[str, ServiceHarness], steps: Any, cuts: list[int]
) -> None:
    in_memory, real = in_memory_services()["recruitment"], running_services["recruitment"]
    assert await reported_in_batches(real, steps, cuts) == await reported_in_batches(in_memory, steps, [1])
    await check(real)


async def reported_in_batches(harness: ServiceHarness, steps: Any, sizes: list[int]) -> dict[str, Any]:
    """Report the steps to an empty log, in batches of these sizes again and again; return what is recorded."""
    await harness.clear()
    todo, size = reports(steps, recruitment), itertools.cycle(sizes)
    while todo:
        count = next(size)
        await harness.send(*todo[:count])
        todo = todo[count:]
    return await harness.recorded()


@given(steps=STEPS, told_elsewhere=STEPS, shuffle=st.randoms(use_true_random=False))
@settings(QUICK, max_examples=30)
async def test_subsidy(steps: Any, told_elsewhere: Any, shuffle: Any) -> None:
    await subsidy_holds(in_memory_services(), steps, told_elsewhere, shuffle)


@given(steps=STEPS, told_elsewhere=STEPS, shuffle=st.randoms(use_true_random=False))
@settings(QUICK, max_examples=4)
async def test_subsidy_on_postgres(
    running_services: dict[str, ServiceHarness], steps: Any, told_elsewhere: Any, shuffle: Any
) -> None:
    await subsidy_holds(running_services, steps, told_elsewhere, shuffle)


async def subsidy_holds(services: dict[str, ServiceHarness], steps: Any, told_elsewhere: Any, shuffle: Any) -> None:
    """Report to subsidy and to the service whose facts it rests on, and check all that holds."""
    harness, source = services["subsidy"], services["competition"]
    await harness.clear()
    await source.clear()
    for first in ("catalogue-published", "standard-set"):
        await harness.say(report("subsidy", first))
    own, other = reports(steps, subsidy), reports(told_elsewhere, evidence, "e")
    while own or other:
        if other and (not own or shuffle.random() < len(other) / (len(own) + len(other))):
            await source.send(other.pop(0))
        else:
            await harness.send(own.pop(0))
        if shuffle.random() < 0.4:
            await harness.hear(source)
    await harness.hear(source)
    await check(source)
    await check(harness)
    while await harness.let_pass(31):
        pass
    assert await harness.waiting() == set()
    await check(harness)


async def check(harness: ServiceHarness) -> None:
    """Check all that holds at any time, after whatever was reported."""
    facts = await harness.facts()
    assert [fact["position"] for fact in facts] == list(range(1, len(facts) + 1))
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for fact in facts:
        versions[fact["subject"]].append(fact["version"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())
    instants = [fact["recordedat"] for fact in facts]
    assert instants == sorted(set(instants))
    view = await harness.view()
    assert view.orphans == []
    latest = await _decisions(harness)
    _check_standing(harness, view, latest)
    _check_openings(view, latest)
    if harness.service == "recruitment":
        _check_hires(view, latest)
    if harness.service == "subsidy":
        _check_money(view)


async def _decisions(harness: ServiceHarness) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each report's latest receipt, having checked how it came to that."""
    every = [orjson.loads(raw) for decision, raw in await harness.store.receipts() if decision is not None]
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for receipt in every:
        key = (receipt["source"], receipt["id"])
        before = latest.get(key)
        if before is not None:
            assert receipt["decided_at"] > before["decided_at"]
            # A refusal is final; what is accepted may wait again or be flagged.
            assert before["status"] != "refused", (before, receipt)
            if before["status"] == receipt["status"] == "accepted":
                assert receipt["flags"] == ["needs-review"]
            if before["status"] == receipt["status"] == "waiting":
                assert receipt["waits_for"] != before["waits_for"]
        latest[key] = receipt
    assert {key[1] for key, r in latest.items() if r["status"] == "waiting"} == await harness.waiting()
    return latest


def _check_standing(harness: ServiceHarness, view: View, latest: dict[tuple[str, str], dict[str, Any]]) -> None:
    """What stands was accepted; what was accepted stands, or was retracted or corrected since."""
    reported: defaultdict[tuple[str, str], int] = defaultdict(int)
    suspended: defaultdict[tuple[str, str], int] = defaultdict(int)
    for fact in view.facts:
        key = (fact.report_source, fact.report_id)
        reported[key] += not fact.event.decision
        suspended[key] += fact.event.type_name == "report-suspended"
    for key, receipt in latest.items():
        retracts = receipt["type"].endswith("report-retracted.v1")
        stands = view.of_report(harness.service, key) is not None or view.ended_by(harness.service, key) is not None
        accepted = receipt["status"] == "accepted"
        # Decided once; again only after each time it was suspended.
        assert reported[key] == suspended[key] + accepted, receipt
        if retracts:
            continue
        if stands and not accepted:
            assert receipt["status"] == "refused", receipt
            assert reported[key] == 0, receipt  # what stands is the fact of its refusal
        if accepted and not stands:
            assert view.fate(harness.service, key) is not None, receipt


def _flagged(standing: FactInForce, latest: dict[tuple[str, str], dict[str, Any]]) -> bool:
    return bool(latest[standing.fact.report_source, standing.fact.report_id]["flags"])


def _all(view: View) -> list[FactInForce]:
    streams = dict.fromkeys(fact.stream for fact in view.facts)
    return [standing for stream in streams for standing in view.on(stream)]


def _check_openings(view: View, latest: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Of one subject at most one thing is open, and each begins no earlier than the one before it ended."""
    things: defaultdict[tuple[str, str, Any], list[FactInForce]] = defaultdict(list)
    for standing in _all(view):
        if isinstance(standing.event.role, Opens):
            key = getattr(standing.event, standing.event.role.key) if standing.event.role.key else None
            things[standing.fact.stream, standing.event.type_name, key].append(standing)
            if standing.end is not None:
                assert isinstance(standing.end.event.role, Ends)
                assert _flagged(standing, latest) or standing.starts_on <= standing.end.happened_on
    for group in things.values():
        group.sort(key=lambda standing: standing.root)
        for single, after in itertools.pairwise(group):
            assert single.ended_on is not None
            assert isinstance(after.event.role, Opens)
            assert after.event.role.again
            assert single.ended_on <= after.starts_on or _flagged(single, latest) or _flagged(after, latest)


def _check_hires(view: View, latest: dict[tuple[str, str], dict[str, Any]]) -> None:
    """No overlap among those that are not flagged; an end put right is never refused for it (RULES C2)."""
    hires = [
        standing
        for standing in _all(view)
        if standing.event.type_name == "person-hired"
        and not _flagged(standing, latest)
        and not (standing.end and standing.end.corrects)
    ]
    for single, other in itertools.combinations(hires, 2):
        same = getattr(single.event, "person") == getattr(other.event, "person")  # noqa: B009 - of any event
        assert not (same and single.overlaps(other.starts_on, other.last_day)), (single, other)


def _check_money(view: View) -> None:
    """Each grant stands with its claim, once for a person and certificate unless flagged."""
    streams = dict.fromkeys(fact.stream for fact in view.facts if fact.stream.startswith("claim/"))
    for stream in streams:
        names = [standing.event.type_name for standing in view.on(stream)]
        assert names.count("subsidy-claimed") == names.count("subsidy-granted") <= 1
        if "subsidy-claimed" not in names:
            assert not {"subsidy-paid", "subsidy-recovered"} & set(names)
