"""One to eight workers of one service, and as many projectors: how fast together, and at what cost."""

from __future__ import annotations

import signal

from tests.bench import feed
from tests.bench.hops import Numbers, Sizes, compare_log, head_of, new_run, watch
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import Process, System

_PROJECTION = "projection"
_COUNTED = f"select position from numbers.g1_checkpoint where service = '{feed.SERVICE}'"  # noqa: S608 - ours


def measure_workers(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Take as many reports with each number of workers, and count the facts with as many projectors."""
    rows, numbers = [], Numbers()
    with servers.system() as system:
        compare_log(system)
        for many in sizes.workers:
            row = BenchRow(f"16 inbox → log, workers: {many}", "reports", aim=None)
            workers = _start(system, feed.SERVICE, "worker", many)
            for worker in workers:
                worker.wait_ready()
            before, first = head_of(system), numbers.take(sizes.appends)
            reports = {"floor": "publish", "run": new_run(), "count": sizes.appends, "first": first}
            servers.run("floors", reports)
            pids = {f"worker {at + 1}": pid_of(worker) for at, worker in enumerate(workers)} | servers.parts
            row.ours.append(watch(system, feed.SERVICE, "select position from log_head", before, sizes.appends, pids))
            servers.note_peaks(system)
            _end(workers)
            rows.append(row)
        relayed = "select number from relayed where outbox = 'facts'"
        with_relay = _start(system, feed.SERVICE, "worker", 1)
        watch(system, feed.SERVICE, relayed, -1, head_of(system) + 1, {})
        _end(with_relay)
        for many in sizes.workers:
            row = BenchRow(f"16 Kafka → ledger, projectors: {many}", "facts", aim=None)
            system.databases.pop(_PROJECTION, None)
            projectors = _start(system, _PROJECTION, "projector", many)
            pids = {f"projector {at + 1}": pid_of(it) for at, it in enumerate(projectors)} | servers.parts
            row.ours.append(watch(system, _PROJECTION, _COUNTED, 0, head_of(system), pids))
            servers.note_peaks(system)
            _end(projectors)
            rows.append(row)
    for row in rows:
        (section,) = row.ours
        busiest = max((spent, name) for name, spent in section.cpu.items() if name not in servers.parts)
        row.note = f"{busiest[1]} did {busiest[0] / max(sum(section.cpu.values()), 0.001):.0%} of all"
    return rows


def _start(system: System, service: str, command: str, many: int) -> list[Process]:
    return [system.process(service, command).start(wait=False) for _ in range(many)]


def _end(processes: list[Process]) -> None:
    for process in processes:
        process.kill(signal.SIGTERM)
