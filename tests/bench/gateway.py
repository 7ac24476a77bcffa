"""What the gateway costs: the same reports through it and at the service's own door, by many clients and by one."""

from __future__ import annotations

import json
import statistics

from tests.bench import feed
from tests.bench.hops import CLIENTS, Numbers, Sizes, compare_log, new_run
from tests.bench.meter import Section
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import Process


def measure_gateway(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Report through the gateway and at the door, the rounds interleaved."""
    many = BenchRow(f"1 through the gateway, {CLIENTS} HTTP clients", "reports", note="floor: the service's own door")
    alone = BenchRow("1 through the gateway, 1 HTTP client", "reports", aim=None)
    numbers = Numbers()
    with servers.system() as system:
        compare_log(system)
        (door,) = system.start(feed.SERVICE, "api")
        gateway = system.process("gateway", "api", SKILLPLAN_SERVICES=json.dumps({feed.SERVICE: door.url})).start()

        def send(to: Process, clients: int, count: int) -> Section:
            pids = {"gateway": pid_of(gateway), "api": pid_of(door), **servers.parts}
            options = {"run": new_run(), "clients": clients, "count": count, "first": numbers.take(10**5)}
            return servers.run("load", {**options, "port": to.port, "pids": pids})

        for _ in range(sizes.rounds):
            for row, clients, count in ((many, CLIENTS, sizes.appends), (alone, 1, sizes.appends // 10 + 1)):
                row.floor.append(send(door, clients, count))
                row.ours.append(send(gateway, clients, count))
    more = statistics.median(1e3 / o.rate - 1e3 / f.rate for o, f in zip(alone.ours, alone.floor, strict=True))
    alone.note = f"floor: the service's own door; the gateway adds {more:.2f} ms to a report"
    return [many, alone]
