"""Three cities on one set of servers: each counts as the oracle does, and how a flood in one is felt in another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from aiokafka import AIOKafkaProducer

from deploy.local.installation import load
from shared.kafka.clients import Broker
from shared.kafka.names import reports_topic
from tests.bench.hops import Sizes
from tests.bench.meter import Section
from tests.bench.report import BenchRow
from tests.conftest import ROOT, new_state_folder
from tests.harness.bench import BenchServers
from tests.harness.cities import FIRST, FURTHER, InventedCity, RunningCity
from tests.harness.processes import eventually
from tests.harness.reports import person_hired
from tests.harness.topics import STRUCTURED

_FEED = 400
_ROUNDS = 3
_WINDOW = 12.0  # seconds
_FLOOD = 2_000  # reports a second
_BETWEEN = 0.03  # seconds from one probe to the next
_MOST = 1.2


def measure_cities(_servers: BenchServers, _sizes: Sizes) -> list[BenchRow]:
    """Bring up three, have each count, then ask one and report to it alone and beside a flood, by turns."""
    with new_state_folder() as state:
        _run(state, "up", DEMO="0")
        try:
            for city in FURTHER:
                _run(state, "city", NAME=city.name, PLAN=str(city.write_plan(state)))
            return measured(state)
        finally:
            _run(state, "down")


def measured(state: Path) -> list[BenchRow]:
    """Measure what runs in a state folder."""
    folders = {FIRST: state} | {city: state / "cities" / city.name for city in FURTHER}
    quiet, flooded, *others = (RunningCity(city, load(folder)) for city, folder in folders.items())
    equal = []
    for seed, city in enumerate((quiet, flooded, *others), 1):
        before = city.answered()
        city.publish(city.invented.feed(_FEED, seed * 10 + time.time_ns() % 10))
        city.await_answers(before + _FEED)
        compared, wrong = city.wrong_numbers()
        equal.append(f"{city.invented.name} {compared - len(wrong)}/{compared}")
    waits: dict[str, list[list[float]]] = {"alone": [[], []], "flood": [[], []]}
    rates = list[float]()
    for number in range(_ROUNDS):
        _probe(quiet, waits["alone"])
        with _flood(flooded, number, rates):
            _probe(quiet, waits["flood"])
    rows, load_ = [], f"{os.getloadavg()[0]:.0f}"
    for kind, name in enumerate(("a report by HTTP", "/progress as known now")):
        alone, beside = (sorted(waits[when][kind]) for when in ("alone", "flood"))
        row = BenchRow(f"cities: {name} in one beside a flood of {min(rates):,.0f}/s in another", "requests", aim=None)
        more = _at(beside, 0.99) / _at(alone, 0.99)
        row.ours.append(Section(len(beside), sum(beside) / 1000, waits_ms=beside))
        row.note = (
            f"numbers equal to the oracle's: {', '.join(equal)}; {len(alone)} alone, {len(beside)} beside it:"
            f" p50 {_at(alone, 0.5):.0f} → {_at(beside, 0.5):.0f} ms, p99 {_at(alone, 0.99):.0f} →"
            f" {_at(beside, 0.99):.0f} ms, × {more:.2f} {'✓' if more <= _MOST else '✗'} (limit × {_MOST}), load {load_}"
        )
        rows.append(row)
    return rows


def _at(waits: list[float], part: float) -> float:
    return waits[int(len(waits) * part)]


def _probe(city: RunningCity, waits: list[list[float]]) -> None:
    """Report and ask by turns for a while, as somebody at a desk does; the waits are added, in ms."""
    end = time.monotonic() + _WINDOW
    person = 1_000_000 + int(time.time()) % 3_000 * 1_000  # nobody who was hired before
    while time.monotonic() < end:
        person += 1
        report = city.invented.report(person_hired(person))
        known_at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        began = time.perf_counter()
        city.report(report)
        reported = time.perf_counter()
        city.progress(known_at=known_at)
        for kind, wait in enumerate((reported - began, time.perf_counter() - reported)):
            waits[kind].append(wait * 1000)
        time.sleep(_BETWEEN)


@contextmanager
def _flood(city: RunningCity, number: int, rates: list[float]) -> Iterator[None]:
    """Have a city's districts send so many a second by Kafka while the block runs, and wait for the answers to all.

    Adds to `rates` how many a second it were.
    """
    before, apart = city.answered(), get_context("spawn")
    stop, sent = apart.Event(), apart.Value("l", 0)
    sending = apart.Process(target=_send, args=(city.invented, city.installed.broker, number, stop, sent), daemon=True)
    sending.start()
    eventually(lambda: sent.value)
    began = time.monotonic()
    try:
        yield
    finally:
        rates.append(sent.value / (time.monotonic() - began))
        stop.set()
        sending.join()
    city.await_answers(before + sent.value)


def _send(city: InventedCity, broker: Broker, number: int, stop: Event, sent: Synchronized[int]) -> None:
    """Send reports at an even pace, each about somebody else, from a process of its own.

    Districts do so on machines of theirs: what can be is made ready before, and who sends takes what others leave.
    """
    os.nice(19)
    run, messages = time.time_ns(), list[tuple[str, bytes, bytes]]()
    for person in range(number * 100_000, number * 100_000 + int(_FLOOD * _WINDOW * 1.5)):
        named = {"id": f"{run}-{person}", "subject": f"hire/{run}-{person}"}
        report = city.report(person_hired(person)) | named
        inbox = broker.named(reports_topic("recruitment", report["district"]))
        messages.append((inbox, json.dumps(report, ensure_ascii=False).encode(), named["subject"].encode()))

    async def send() -> None:
        producer = AIOKafkaProducer(acks="all", linger_ms=20, **broker.client())
        await producer.start()
        begun = time.monotonic()
        try:
            while not stop.is_set() and sent.value < len(messages):
                due = min(len(messages), int((time.monotonic() - begun) * _FLOOD) + 1)
                for inbox, value, key in messages[sent.value : due]:
                    await producer.send(inbox, value, key, headers=list(STRUCTURED))
                sent.value = due
                await asyncio.sleep(0.02)
            await producer.flush()
        finally:
            await producer.stop()

    asyncio.run(send())


def _run(state: Path, *arguments: str, **environment: str) -> None:
    own = {name: value for name, value in os.environ.items() if name not in ("KAFKA_BOOTSTRAP", "PG_DSN")}
    command = [sys.executable, "-m", "deploy.local", *arguments]
    subprocess.run(command, cwd=ROOT, env={**own, "STATE": str(state), **environment}, check=True, capture_output=True)
