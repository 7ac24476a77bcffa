"""The hops from Kafka on: facts to the ledger, a report to the number it moves, replay, questions."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.bench import feed
from tests.bench.growth import seed
from tests.bench.hops import Numbers, Sizes, head_of, new_run, wait_for, watch
from tests.bench.meter import Meter, Section
from tests.bench.report import BenchRow
from tests.conftest import ROOT
from tests.harness.bench import BenchServers, pid_of
from tests.harness.ports import any_free
from tests.harness.processes import Process, System, run

PLAN = "shaoxing-2023-2025"
_PATH = f"/v1/plans/{PLAN}/progress"
_HIRES = "4.1.b"  # the indicator that the reports count in
_RATE = 200
_BUSY = 0.7
_SELDOM = 0.02  # seconds between two questions there: each would compute the page anew, on the cores that are measured
_SLOWEST_MS = 1000
_CLIENTS = 32
_SERVICE = "projection"
_COUNTED = f"select position from numbers.g1_checkpoint where service = '{feed.SERVICE}'"  # noqa: S608 - ours


def measure_read_side(servers: BenchServers, system: System, sizes: Sizes, numbers: Numbers) -> list[BenchRow]:
    """Measure what happens to the facts that the rows before have recorded and sent."""
    ledger, projector = _measure_ledger(servers, system, sizes)
    (api,) = system.start(feed.SERVICE, "api")
    services = json.dumps({feed.SERVICE: api.url})
    reader = system.process(_SERVICE, "api", SKILLPLAN_SERVICES=services).start()
    (worker,) = system.start(feed.SERVICE, "worker")
    pids = {
        "worker": pid_of(worker), "projector": pid_of(projector), "read api": pid_of(reader), **servers.parts
    }  # fmt: skip
    road = BenchRow("5 report on Kafka → /progress", "reports", aim=None)
    first = numbers.take(10**5)
    options = {"run": new_run(), "first": first, "count": sizes.road, "rate": _RATE, "indicator": _HIRES}
    section = servers.run("latency", {**options, "port": reader.port, "path": _PATH, "pids": pids})
    road.ours.append(section)
    road.note = _latencies(section)
    capacity = _measure_capacity(servers, system, sizes, numbers, pids)
    rate = round(_BUSY * capacity.ours[0].rate)
    busy = BenchRow(f"5 … at {_BUSY:.0%} of that", "reports", aim=None)
    count = max(sizes.road, round(3 * rate * sizes.times))
    options = {"run": new_run(), "first": numbers.take(10**5), "count": count, "rate": rate, "warm_up": sizes.times}
    options |= {"indicator": _HIRES, "port": reader.port, "path": _PATH, "pids": pids, "pause": _SELDOM}
    busy.ours.append(servers.run("latency", options))
    busy.note = _latencies(busy.ours[0], rate)
    questions = BenchRow("9 /progress, one process", "requests", aim=None, note=f"{_CLIENTS} clients")
    for _ in range(sizes.rounds):
        options = {"get": _PATH, "clients": _CLIENTS, "count": sizes.questions, "port": reader.port}
        questions.ours.append(servers.run("load", {**options, "pids": {"read api": pid_of(reader), **servers.parts}}))
    replay = _measure_replay(servers, system, sizes, projector)
    meanwhile = BenchRow("7 report → /progress during rebuilds", "reports", aim=None)
    system.process(_SERVICE, "projector").start()
    options = {"run": new_run(), "first": numbers.take(10**5), "count": sizes.road, "rate": _RATE, "indicator": _HIRES}
    pids = {"worker": pid_of(worker), "read api": pid_of(reader), **servers.parts}
    with ThreadPoolExecutor(1) as beside:
        measuring = beside.submit(servers.run, "latency", {**options, "port": reader.port, "path": _PATH, "pids": pids})
        while not measuring.done():
            rebuild(projector)
        meanwhile.ours.append(measuring.result())
    meanwhile.note = _latencies(meanwhile.ours[0])
    return [ledger, road, capacity, busy, replay, meanwhile, questions]


def _measure_capacity(
    servers: BenchServers, system: System, sizes: Sizes, numbers: Numbers, pids: dict[str, int]
) -> BenchRow:
    """Let all that comes at once go the whole way, with the processes that are up."""
    row = BenchRow("5 report on Kafka → counted, all at once", "reports", aim=None)
    before = head_of(system)
    wait_for(system, _SERVICE, _COUNTED, before)
    options = {"run": new_run(), "count": sizes.reports, "first": numbers.take(sizes.reports), "floor": "publish"}
    with ThreadPoolExecutor(1) as beside:
        publishing = beside.submit(servers.run, "floors", options)
        row.ours.append(watch(system, _SERVICE, _COUNTED, before, sizes.reports, pids))
        publishing.result()
    return row


def _measure_ledger(servers: BenchServers, system: System, sizes: Sizes) -> tuple[BenchRow, Process]:
    """Count the facts that are on Kafka, each time into a fresh database; the last projector lives on."""
    row = BenchRow(
        "4 Kafka → ledger", "facts", note="floor: bare getmany + one COPY of rows as wide as standing and ledger"
    )
    bare, facts = servers.new_database(feed.SERVICE), head_of(system)
    projector: Process | None = None
    for _ in range(sizes.rounds):
        if projector is not None:
            projector.kill(signal.SIGTERM)
            del system.databases[_SERVICE]
        projector = system.process(_SERVICE, "projector").start(wait=False)
        pids = {"projector": pid_of(projector), **servers.parts}
        row.ours.append(watch(system, _SERVICE, _COUNTED, 0, facts, pids))
        servers.note_peaks(system)
        options = {"floor": "ledger", "run": new_run(), "count": facts, "dsn": bare.owner_dsn, "pids": servers.parts}
        row.floor.append(servers.run("floors", options))
    assert projector is not None
    return row, projector


def _measure_replay(servers: BenchServers, system: System, sizes: Sizes, projector: Process) -> BenchRow:
    """Rebuild from the topic while nothing else happens."""
    row = BenchRow("6 replay (rebuild)", "facts", aim=None)
    if (missing := sizes.replay - head_of(system)) > 0:
        run(seed(system.databases[feed.SERVICE], missing))
    facts = head_of(system)
    wait_for(system, _SERVICE, _COUNTED, facts)
    servers.note_peaks(system)
    projector.kill(signal.SIGTERM)
    meter = Meter(servers.parts)
    spent = rebuild(projector)
    section = meter.section(facts)
    section.cpu = {"rebuild": spent.ru_utime + spent.ru_stime} | section.cpu
    row.ours.append(section)
    servers.peaks[f"{_SERVICE} rebuild"] = spent.ru_maxrss / 1024
    row.note = f"{facts:,} facts, the whole command"
    return row


def rebuild(projector: Process) -> resource.struct_rusage:
    """Run the whole command with the settings of a projector; return what it has used."""
    settings = {**os.environ, **projector.settings, "SKILLPLAN_PORT": str(any_free(1)[0])}
    child = subprocess.Popen(
        [sys.executable, "-m", f"services.{_SERVICE}", "rebuild"], cwd=ROOT, env=settings, stdout=subprocess.DEVNULL
    )
    _, status, spent = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # subprocess did not see it end
    if child.returncode:
        raise RuntimeError(f"rebuild ended with {child.returncode}")
    return spent


def _latencies(section: Section, rate: int = _RATE) -> str:
    percentiles = {name.removesuffix("_ms"): f"{value:,.0f} ms" for name, value in section.extra.items()}
    good = "✓" if section.extra["p99_ms"] < _SLOWEST_MS else "✗"
    return f"at {rate:,}/s: {', '.join(f'{name} {value}' for name, value in percentiles.items())} {good}"
