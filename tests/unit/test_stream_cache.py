"""Streams that a process remembers from one transaction to the next: never anything but what the log says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.deciding.facts import StreamCache, StreamFacts
from shared.log.event_store import StoredFact, StreamKnown, Transaction
from tests.harness.in_memory_log import InMemoryLog, InMemoryTransaction, Tables
from tests.harness.service import ReportFields, ServiceHarness, corrected, report, retraction

RAISED: Final = report("recruitment", "demand-raised", "raised", subject="demand/D", persons=40)


class CountingTransaction(InMemoryTransaction):
    """A transaction that counts the facts it reads."""

    def __init__(self, tables: Tables, log: Counting) -> None:
        super().__init__(tables)
        self._log = log

    async def load(self, keys: Iterable[str], known: Sequence[StreamKnown]) -> list[StoredFact]:
        rows = await super().load(keys, known)
        self._log.read += len(rows)
        return rows


class Counting(InMemoryLog):
    """A log that counts the facts which transactions read, and loses its connection when it is `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.broken = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction():
            yield CountingTransaction(self._tables, self)
            if self.broken:
                raise ConnectionResetError


def matched(id_: str, persons: int = 1) -> ReportFields:
    return report("recruitment", "demand-matched", id_, subject="demand/D", persons=persons)


def without_cache(harness: ServiceHarness) -> None:
    harness.handler._streams = StreamCache("recruitment", least=10**9)


STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["matched", "matched", "matched", "corrected", "retracted", "raised", "lost", "again"]),
        st.integers(0, 30),
        st.integers(0, 1),  # which of two processes decides
    ),
    max_size=20,
)


def _reports(steps: list[tuple[str, int, int]]) -> list[tuple[str, int, ReportFields]]:
    """Return what is reported, and by which process it is decided."""
    sent: list[ReportFields] = [RAISED]
    reports = [("matched", 0, RAISED)]
    for number, (what, meant, process) in enumerate(steps):
        named = sent[meant % len(sent)]
        match what:
            case "corrected":
                made = corrected(named, f"r{number}", persons=meant + 1)
            case "retracted":
                made = retraction(named, f"r{number}")
            case "raised":
                made = report("recruitment", "demand-raised", f"r{number}", subject="demand/D", persons=meant)
            case "again":
                made = named
            case _:
                made = matched(f"r{number}", meant % 5 + 1)
        if what not in ("retracted", "again"):
            sent.append(made)
        reports.append((what, process, made))
    return reports


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_two_processes_that_remember_record_what_one_without_memory_does(steps: list[tuple[str, int, int]]) -> None:
    async def run(*, remembered: bool) -> Any:
        log = Counting()
        harness = ServiceHarness("recruitment", log)
        if not remembered:
            without_cache(harness)
        handlers = (harness.handler, harness.another_handler() if remembered else harness.handler)
        for what, process, made in _reports(steps):
            harness.handler = handlers[process]
            if what == "lost":  # the commit is not answered: nothing of it may be remembered
                log.broken = True
                with pytest.raises(ConnectionResetError):
                    await harness.send(made)
                log.broken = False
            await harness.send(made)
        return await harness.recorded()

    assert asyncio.run(run(remembered=True)) == asyncio.run(run(remembered=False))


def test_a_batch_reads_of_a_long_stream_only_what_came_since() -> None:
    async def run() -> None:
        log = Counting()
        harness = ServiceHarness("recruitment", log)
        other = ServiceHarness("recruitment", log)
        await harness.send(RAISED)
        for batch in range(5):
            before = log.read
            await harness.send(*(matched(f"{batch}-{number}") for number in range(5)))
            assert log.read - before == 1, "the last fact known, by which the log is recognised"
        await other.send(matched("of-another"))
        before = log.read
        await harness.send(matched("last"))
        assert log.read - before == 2

    asyncio.run(run())


def test_a_log_that_was_emptied_is_not_remembered() -> None:
    async def run() -> None:
        harness = ServiceHarness("recruitment", InMemoryLog())
        for id_ in ("a", "b"):
            await harness.send(RAISED | {"id": id_}, matched(f"{id_}-1", 40))
            assert (await harness.receipt(matched(f"{id_}-1")))["status"] == "accepted"
            await harness.clear()

    asyncio.run(run())


def test_only_so_much_is_remembered() -> None:
    facts = _facts()
    cache, weight = StreamCache("recruitment", least=2), _stream("demand/0", facts).weight()
    cache.put(_stream("demand/short", facts[:1]))
    cache.put(_stream("demand/0", facts))
    assert cache.take("demand/short") is None
    assert cache.take("demand/0") is not None
    assert cache.take("demand/0") is None, "who takes it has it alone"
    small = StreamCache("recruitment", least=2, most=3 * weight)
    for number in range(5):
        small.put(_stream(f"demand/{number}", facts))
    assert [number for number in range(5) if small.take(f"demand/{number}")] == [2, 3, 4], "the oldest are forgotten"
    heard = _stream("demand/heard", facts)
    heard.last["competition"] = facts[0]
    small.put(heard)
    assert small.take("demand/heard") is None, "what other services say on it is not in its versions"


def _facts() -> list[Any]:
    async def run() -> list[Any]:
        harness = ServiceHarness("recruitment", InMemoryLog())
        await harness.send(RAISED, *(matched(f"m{number}") for number in range(3)))
        return list((await harness.view()).facts)

    return asyncio.run(run())


def _stream(name: str, facts: list[Any]) -> StreamFacts:
    stream = StreamFacts(name)
    for fact in facts:
        stream.add(fact)
    return stream
