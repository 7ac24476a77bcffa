"""The log in memory, which the rules are tested on, records what the log in PostgreSQL records."""

from __future__ import annotations

import random
from typing import Any

import asyncpg
import pytest

from shared.log import event_store
from shared.log.event_store import EventStore, ReceiptRow, Recorded, Transaction, WaitingRow
from tests.contract.vocabulary import VOCABULARY
from tests.harness.in_memory_log import InMemoryLog, InMemoryTransaction
from tests.harness.languages import LANGUAGES
from tests.harness.service import (
    LATER,
    ReportFields,
    ServiceHarness,
    ServiceHarnesses,
    corrected,
    day_after,
    in_memory_services,
    person,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_has_all_that_the_log_in_postgresql_has() -> None:
    """Whatever is added to the log must be added here, too; a method left out would reach for a connection."""
    for real, in_memory in ((EventStore, InMemoryLog), (Transaction, InMemoryTransaction)):
        public = {name for name, value in vars(real).items() if callable(value) and not name.startswith("_")}
        assert public <= set(vars(in_memory)), public - set(vars(in_memory))


def _mixture(seed: int) -> list[tuple[str, list[ReportFields]]]:
    """Return what is reported, by service and batch: every type, in any order, repeated, put right, taken back."""
    chance = random.Random(seed)  # noqa: S311
    batches: list[tuple[str, list[ReportFields]]] = []
    reported: dict[str, list[ReportFields]] = {service: [] for service in LANGUAGES}
    types = [(service, name) for service, table in VOCABULARY.items() for name in table] * 2
    chance.shuffle(types)
    while types:
        service = chance.choice(list(LANGUAGES))
        batch = [_report(chance, service, types, reported[service]) for _ in range(chance.randint(1, 6))]
        reported[service] += batch
        batches.append((service, batch))
    return batches


def _report(
    chance: random.Random, service: str, types: list[tuple[str, str]], before: list[ReportFields]
) -> ReportFields:
    id_, way = f"r{len(before)}-{chance.random()}", chance.random()
    if before and way < 0.4:
        named = chance.choice(before)
        match chance.choice(("again", "reused", "retracted", "corrected", "moved", "late")):
            case "again":
                return named
            case "reused":
                return named | {"time": f"{day_after(named['time'][:10])}T09:30:00+08:00"}
            case "retracted":
                return retraction(named, id_)
            case "corrected":
                return corrected(named, id_)
            case "moved":
                return named | {"id": id_, "corrects": named["id"], "time": f"{day_after(LATER, -3)}T10:00:00+08:00"}
            case _:
                return retraction(named | {"id": f"r{len(before) + 5}"}, id_)
    own = [name for home, name in types if home == service]
    name = chance.choice(own) if own else chance.choice(list(VOCABULARY[service]))
    if own:
        types.remove((service, name))
    changes: dict[str, Any] = {"person": person(chance.randint(0, 2))} if chance.random() < 0.3 else {}
    if "person" not in VOCABULARY[service][name].fields or chance.random() < 0.05:
        changes = {"unknown": 1} if chance.random() < 0.05 else {}
    return report(service, name, id_, **changes)


@pytest.mark.parametrize(("seed", "portion"), [(0, event_store._PORTION), (1, 1)])
async def test_both_record_the_same(
    running_services: dict[str, ServiceHarness], monkeypatch: pytest.MonkeyPatch, seed: int, portion: int
) -> None:
    """And two processes with one log, each with streams that it remembers, record what one alone does, also where what
    is decided is written while more is."""
    monkeypatch.setattr(event_store, "_PORTION", portion)
    batches = _mixture(seed)
    results = []
    for harnesses in (in_memory_services(), running_services):
        chance = random.Random(seed)  # noqa: S311
        for harness in harnesses.values():
            await harness.clear()
        handlers = {name: (harness.handler, harness.another_handler()) for name, harness in harnesses.items()}
        for number, (service, batch) in enumerate(batches):
            if harnesses is running_services:
                harnesses[service].handler = handlers[service][number % 3 % 2]
            await harnesses[service].send(*batch)
            if chance.random() < 0.5:
                await harnesses["subsidy"].hear(harnesses[chance.choice(("competition", "recruitment"))])
            if chance.random() < 0.05:
                await harnesses[service].let_pass(chance.choice((10, 21)))
        results.append({service: await harness.recorded() for service, harness in harnesses.items()})
    in_memory, real = results
    for service in LANGUAGES:
        assert in_memory[service] == real[service], service
    every = [receipt for log in real.values() for _, receipt in log["receipts"]]
    # The mixture is one: all that can become of a report became of some.
    assert {receipt["status"] for receipt in every} == {"accepted", "duplicate", "refused", "waiting", "invalid"}
    assert len({reason["code"] for receipt in every for reason in receipt["reasons"]}) > 12


@pytest.mark.parametrize("harnesses", ["memory", "postgres"], indirect=True)
async def test_a_transaction_that_fails_leaves_nothing(harnesses: ServiceHarnesses) -> None:
    harness = await harnesses.at("recruitment")
    sent = report("recruitment", "person-hired")
    await harness.say(sent)
    before = await harness.recorded()
    with pytest.raises(ZeroDivisionError):
        await _write_and_fail(harness.store)
    assert await harness.recorded() == before


@pytest.mark.parametrize(("number", "error"), [(2, ZeroDivisionError), (1, asyncpg.UniqueViolationError)])
@pytest.mark.parametrize("harnesses", ["postgres"], indirect=True)
async def test_what_is_written_while_more_is_decided_goes_when_the_transaction_fails(
    harnesses: ServiceHarnesses, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(event_store, "_PORTION", 1)
    harness = await harnesses.at("recruitment")
    sent = report("recruitment", "person-hired")
    await harness.say(sent)
    before = await harness.recorded()
    with pytest.raises(error):
        await _write_meanwhile_and_fail(harness.store, number)
    assert await harness.recorded() == before
    await harness.say(sent, "duplicate")
    assert len((await harness.recorded())["receipts"]) == 2


async def _write_meanwhile_and_fail(store: EventStore, number: int) -> None:
    """Write a receipt, which the database refuses where its number is there already."""
    async with store.transaction() as transaction:
        head, _ = await transaction.head()
        head.receipts = number
        receipt = ReceiptRow(number, "s", "i", 1, b"", None, b"{}")
        await transaction.append_meanwhile(Recorded(receipts=[receipt]), head)
        if number == 1:
            await transaction.subscription("competition")
        raise ZeroDivisionError


async def _write_and_fail(store: EventStore) -> None:
    async with store.transaction() as transaction:
        head, _ = await transaction.head()
        await transaction.move_subscription("competition", 7)
        row = WaitingRow("s", "i", "u", head.receipts + 1, head.tick(), "never-arrived", b"{}")
        head.waiting += 1
        await transaction.append(Recorded(asleep={("s", "i"): row}), head)
        raise ZeroDivisionError
