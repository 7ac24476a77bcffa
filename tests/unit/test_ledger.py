"""The ledger equals a plain recount, in whatever order and batches the facts came."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.projection.counting.contributions import contributions_of
from services.projection.counting.facts import decode
from services.projection.counting.ledger import Contribution, FactBatch, LaterFact
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.seen import FirstFacts
from services.projection.counting.store import columns_of
from shared.plan.loading import load_plan
from shared.plan.model import Plan
from tests.harness.generated_logs import GeneratedLog, encode
from tests.harness.generated_plans import DISTRICTS, KINDS, GeneratedFact
from tests.harness.in_memory_store import InMemoryStore
from tests.harness.oracle import recount, types_named

ROOT = Path(__file__).parents[2]
PLAN = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
OTHER = load_plan(ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
COMPILED = CompiledPlans([PLAN, OTHER])
T = TypeVar("T")
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


def arrive(log: GeneratedLog, rnd: Random) -> InMemoryStore:
    """Deliver the logs in batches of any size, services interleaved at will, some facts again."""
    store = InMemoryStore(COMPILED)
    logs: dict[str, list[GeneratedFact]] = {}
    for fact in log.facts:
        logs.setdefault(fact["source"], []).append(fact)
    at = dict.fromkeys(logs, 0)
    while any(at[service] < len(log) for service, log in logs.items()):
        batch: list[GeneratedFact] = []
        for _ in range(rnd.randint(1, 3)):
            service = rnd.choice(sorted(logs))
            step = rnd.randint(0, 4)
            again = rnd.randint(0, 1) if at[service] else 0
            batch += logs[service][at[service] - again : at[service] + step]
            at[service] = min(at[service] + step, len(logs[service]))
        store.apply(batch)
    return store


def assert_same(plan: Plan, log: GeneratedLog, store: InMemoryStore, kinds: Iterable[str], rnd: Random) -> None:
    """Compare every indicator that the kinds can feed, on some days, as known at some instants."""
    fed = set(kinds) | {kind.decision for name in kinds if (kind := KINDS[name]).decision}
    instants = [FOREVER, *(datetime.fromisoformat(fact["recordedat"]) for fact in rnd.sample(log.facts, 1))]
    for _, indicator in plan.indicators.values():
        if not types_named(indicator) & fed:
            continue
        periods = [str(year) for year in plan.years] if indicator.basis == "annual" else ["plan"]
        for as_of in rnd.sample(log.days, 2):
            for known_at in instants:
                for district in (None, *rnd.sample([d.code for d in plan.districts if d.code in DISTRICTS], 2)):
                    for period in periods:
                        where = {"district": district, "period": period, "as_of": as_of, "known_at": known_at}
                        expected = recount(plan, indicator, log.facts, **where)  # type: ignore[arg-type]
                        assert store.cell(plan, indicator, district, period, as_of, known_at) == expected, (
                            indicator.id,
                            where,
                        )


# Types whose facts meet in one number, so that few steps make them meet often.
FAMILIES = [
    [name for name in KINDS if name.split(".")[1].startswith(tuple(prefixes.split()))]
    for prefixes in (
        "major",
        "certificate- person-hired hire- training",
        "certificate- population training",
        "award competition",
        "pilot certification",
        "wage enterprise-c",
        "allowance subsidy-",
        "person-hired hire fair",
        "intake staffing",
        "credit credits",
        "base evaluation",
        "honour title facility school demand",
        "student apprenticeship training activity practical catalogue",
    )
]


@pytest.mark.parametrize("family", [*FAMILIES, list(KINDS)], ids=lambda names: names[0].split(".")[1])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_the_ledger_equals_a_plain_recount(family: list[str], seed: int, steps: int) -> None:
    rnd = Random(seed)  # noqa: S311 - evenly spread choices find more collisions than shrinkable ones
    log = GeneratedLog(rnd, tuple(family))
    for _ in range(steps):
        log.step()
    if log.facts:
        store = arrive(log, rnd)
        for plan in (PLAN, OTHER):
            assert_same(plan, log, store, family, rnd)
        assert_replayed(store)


def assert_replayed(store: InMemoryStore) -> None:
    """What the ledger says today is what the facts that stand today say, all at once."""
    for line in COMPILED.lines:
        rows = [row for row in store.rows.values() if row.line == line.number and row.in_force.now]
        recounted = {key: delta for key, delta in contributions_of(line, rows).items() if delta}
        sums: dict[tuple[object, ...], int] = {}
        for c in store.ledger:
            if c.line == line.number:
                key = (c.part, c.period, c.district, c.counted_on, c.effective_on, c.service, c.position)
                sums[key] = sums.get(key, 0) + c.delta
        assert {key: delta for key, delta in sums.items() if delta} == recounted


def batched(facts: Sequence[T], together: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(facts), together):
        yield facts[at : at + together]


@pytest.mark.parametrize("family", [*FAMILIES, list(KINDS)], ids=lambda names: names[0].split(".")[1])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60), together=st.integers(1, 9))
def test_first_facts_counted_before_all_others_leave_the_same_rows(
    family: list[str], seed: int, steps: int, together: int
) -> None:
    rnd = Random(seed)  # noqa: S311 - as above
    log = GeneratedLog(rnd, tuple(family))
    for _ in range(steps):
        log.step()
    facts = sorted(log.facts, key=lambda fact: (fact["recordedat"], fact["source"], fact["position"]))
    in_turn, at_last = InMemoryStore(COMPILED), InMemoryStore(COMPILED)
    for batch in batched(facts, together):
        in_turn.apply(batch)
    first, later = FirstFacts(COMPILED), list[LaterFact]()
    for batch in batched(facts, together):
        firsts = FactBatch(COMPILED, first)
        looked_up = FactBatch(COMPILED)
        for envelope in batch:
            raw = encode(envelope)
            set_aside_before = len(firsts.later)
            firsts.add(decode(raw), raw)
            if len(firsts.later) == set_aside_before:
                looked_up.add(decode(raw))
        members, subjects = looked_up.members_and_subjects()
        stored = at_last.rows.values()
        assert not members & {(row.line, row.member) for row in stored}, (
            "a first fact has to do with none that is stored"
        )
        assert not subjects & {(row.line, row.subject) for row in stored}
        assert not at_last.count(firsts)
        later += firsts.later
    for set_aside in batched(sorted(later), together):
        others = FactBatch(COMPILED)
        for fact in set_aside:
            others.add(decode(fact.bytes))
        at_last.count(others)
    assert at_last.rows.keys() == in_turn.rows.keys()
    for key, row in in_turn.rows.items():
        assert columns_of(at_last.rows[key]) == columns_of(row)
    if len({fact["recordedat"] for fact in facts}) == len(facts):
        assert Counter(at_last.ledger) == Counter(in_turn.ledger)
    else:  # what two services record at one instant is one step where it comes together, else two
        assert sums(at_last.ledger) == sums(in_turn.ledger)


def sums(ledger: Iterable[Contribution]) -> dict[Contribution, int]:
    """Return what the ledger says of each fact at each instant, whatever the cause."""
    added: dict[Contribution, int] = {}
    for row in ledger:
        key = row._replace(cause="original", delta=0)
        added[key] = added.get(key, 0) + row.delta
    return {key: delta for key, delta in added.items() if delta}
