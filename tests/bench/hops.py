"""The hops up to Kafka: append by HTTP, inbox to log, log to Kafka, each round beside its floor."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import asyncpg

from deploy.kafka.topics import Topic, create
from shared.kafka.clients import Broker
from tests.bench import feed
from tests.bench.meter import Meter, Section
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import DISTRICTS, System, run

CLIENTS = 32
_TOGETHER = 100
_REPEATED = 10  # as many reports by batches as one by one: among a dozen batches the first and the last count for half
_PATIENCE = 120.0
_OFTEN = 0.02


@dataclass(frozen=True)
class Sizes:
    """How much each row does; the rounds are interleaved with the floor's."""

    rounds: int
    appends: int
    reports: int
    replay: int
    small_log: int
    large_log: int
    growth: int
    road: int
    questions: int
    visits: int
    hot: int
    listed: int
    mix: int
    heard: int
    times: float  # by what those of some rows are multiplied
    lengths: tuple[int, ...]  # of logs
    workers: tuple[int, ...]  # of one service


# `tiny` measures nothing worth reading: it shows that every part still runs (tests/integration/test_bench.py).
SIZES = {
    "default": Sizes(
        3,
        6_000,
        12_000,
        100_000,
        10_000,
        1_000_000,
        2_000,
        3_000,
        1_500,
        7,
        1_000,
        100_000,
        60_000,
        100_000,
        1,
        (10_000, 100_000, 1_000_000),
        (1, 2, 4, 8),
    ),
    "small": Sizes(
        2,
        1_000,
        15_000,
        10_000,
        1_000,
        50_000,
        500,
        600,
        200,
        7,
        1_000,
        20_000,
        6_000,
        20_000,
        1,
        (10_000, 100_000),
        (1, 2, 4, 8),
    ),
    "tiny": Sizes(1, 64, 1_500, 2_000, 100, 1_000, 100, 20, 30, 1, 20, 300, 600, 400, 0.02, (400,), (1, 2)),
}
_next = count()


def new_run() -> str:
    """Return a name that no other run of reports has."""
    return f"r{next(_next)}"


class Numbers:
    """Deals out the numbers of reports, so that no person or contract comes twice."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """Return the first of so many."""
        first, self._next = self._next, self._next + count
        return first


def measure_append(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Append from concurrent HTTP clients, one report a request and by batches."""
    row = BenchRow("1 append, 32 HTTP clients", "reports", note="floor: bare asyncpg, the same rows, 1 a transaction")
    batches = BenchRow(f"1 append, by batches of {_TOGETHER}", "reports", aim=None, note=f"{CLIENTS} HTTP clients")
    two = BenchRow(
        f"1 append, by batches of {_TOGETHER}, two processes", "reports", aim=None, note="16 clients of each"
    )
    numbers = Numbers()
    with servers.system() as system:
        bare = servers.new_database(feed.SERVICE)
        compare_log(system)
        (api,) = system.start(feed.SERVICE, "api")
        for _ in range(sizes.rounds):
            options = {"run": new_run(), "clients": CLIENTS, "count": sizes.appends, "first": numbers.take(10**5)}
            row.ours.append(
                servers.run("load", {**options, "port": api.port, "pids": {"api": pid_of(api), **servers.parts}})
            )
            (size,) = system.query(
                feed.SERVICE,
                "select (select avg(length(bytes))::int from fact) fact, avg(length(bytes))::int receipt from receipt",
            )
            row.floor.append(
                servers.run(
                    "floors", {**options, **dict(size), "floor": "append", "dsn": bare.dsn, "pids": servers.parts}
                )
            )
            options = {
                "run": new_run(),
                "clients": CLIENTS,
                "count": _REPEATED * sizes.appends // _TOGETHER + 1,
                "batch": _TOGETHER,
            }
            options |= {"first": numbers.take(10**5), "port": api.port, "pids": {"api": pid_of(api), **servers.parts}}
            batches.ours.append(servers.run("load", options))
        other = system.process(feed.SERVICE, "api").start()
        pids = {"api": pid_of(api), "other api": pid_of(other), **servers.parts}
        for _ in range(sizes.rounds):
            options |= {"run": new_run(), "first": numbers.take(10**5), "ports": [api.port, other.port], "pids": pids}
            two.ours.append(servers.run("load", options))
    return [row, batches, two]


def measure_inbox_and_relay(
    servers: BenchServers, system: System, sizes: Sizes, numbers: Numbers
) -> tuple[BenchRow, BenchRow]:
    """Take reports from Kafka with the relay held back, then let the relay send what was recorded."""
    inbox = BenchRow("2 inbox → log", "reports", note="floor: Faust noack_take + one COPY of the same bytes")
    relay = BenchRow("3 log → Kafka", "messages", note="facts and receipts; floor: bare aiokafka producer, same bytes")
    bare = servers.new_database(feed.SERVICE)
    compare_log(system)  # the relay, which does it, is held back below
    worker = system.process(feed.SERVICE, "worker")
    for _ in range(sizes.rounds):
        reports, before = new_run(), head_of(system)
        options = {"run": reports, "count": sizes.reports, "first": numbers.take(sizes.reports)}
        servers.run("floors", {**options, "floor": "publish"})
        with relay_held(system):
            worker.start()
            pids = {"worker": pid_of(worker), **servers.parts}
            inbox.ours.append(watch(system, feed.SERVICE, "select position from log_head", before, sizes.reports, pids))
        sent = "select sum(number)::bigint from relayed where outbox in ('facts', 'receipts')"
        relay.ours.append(watch(system, feed.SERVICE, sent, 2 * before, 2 * sizes.reports, pids))
        servers.note_peaks(system)
        worker.kill(signal.SIGTERM)
        floor = {"floor": "inbox", "run": new_run(), "reports": reports, "count": sizes.reports}
        inbox.floor.append(servers.run("floors", {**floor, "dsn": bare.owner_dsn, "pids": servers.parts}))
        topic = f"floor-{new_run()}"
        run(create(Broker(servers.kafka), [Topic(topic, 1 + len(DISTRICTS))]))
        floor = {"floor": "relay", "topic": topic, "after_fact": before, "after_receipt": before}
        relay.floor.append(
            servers.run("floors", {**floor, "dsn": system.databases[feed.SERVICE].dsn, "pids": servers.parts})
        )
    return inbox, relay


def compare_log(system: System) -> None:
    """Let a worker compare the log with its topic, without which nothing is decided (decision 0020), and stop it."""
    system.process(feed.SERVICE, "worker").start().kill(signal.SIGTERM)


def head_of(system: System) -> int:
    """Return the log's last position."""
    position: int = system.query(feed.SERVICE, "select position from log_head")[0][0]
    return position


@contextlib.contextmanager
def relay_held(system: System) -> Iterator[None]:
    """Hold the relay's lock, so that the worker's relay stands by and what it costs is not counted."""
    with system.holding(feed.SERVICE, "select pg_advisory_xact_lock(hashtext('skillplan.relay'))"):
        yield


def watch(system: System, service: str, sql: str, before: int, expected: int, pids: dict[str, int]) -> Section:
    """Return the section from the first progress of a number to its end.

    What led to the first step is not in it, unless all was done within one look.
    """
    return run(_watch(system.databases[service].dsn, sql, before, expected, pids))


def wait_for(system: System, service: str, sql: str, expected: int) -> None:
    """Wait until a number is what it should become."""
    run(_watch(system.databases[service].dsn, sql, -1, expected + 1, {}))


async def _watch(dsn: str, sql: str, before: int, expected: int, pids: dict[str, int]) -> Section:
    connection = await asyncpg.connect(dsn)
    meter, started, end = Meter(pids), before, time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                now = await connection.fetchval(sql) or 0
            except asyncpg.UndefinedTableError:  # whoever makes it is starting
                now = before
            if now >= before + expected:
                return meter.section(before + expected - started)
            if started == before and now > before:
                meter, started = Meter(pids), now
            if time.monotonic() > end:
                raise TimeoutError(f"{now - before} of {expected} after {_PATIENCE} s")
            await asyncio.sleep(_OFTEN)
    finally:
        await connection.close()
