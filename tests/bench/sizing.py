"""What so many facts take of disk, memory and time, for docs/sizing.md: `python -m tests.bench.sizing 100000 1000000`.

The facts are hires in one service's log, written as that service records them; they go the road from there on: to the
broker, into the numbers, and into the numbers again by a rebuild.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import httpx

from tests.bench import feed
from tests.bench.growth import seed
from tests.bench.hops import compare_log
from tests.bench.meter import peak_mb
from tests.harness.bench import BenchServers, bench_servers, pid_of
from tests.harness.fork_server import fork_server
from tests.harness.processes import System, eventually, run

_SERVICE = "projection"
_PATIENCE = 1200.0
_TABLES = """
select coalesce(substring(relname from '^g[0-9]+_(.*)'), relname) as name,
    sum(pg_total_relation_size(oid))::bigint as bytes
from pg_class
where relkind = 'r' and relnamespace in ('public'::regnamespace, coalesce(to_regnamespace('numbers'), 'public'))
group by 1 having sum(pg_total_relation_size(oid)) > 1000000 order by 2 desc
"""
_PROGRESS = "/v1/plans/shaoxing-2023-2025/progress"


def main() -> None:
    """Print one JSON object a size."""
    with bench_servers() as servers:
        for facts in map(int, sys.argv[1:] or ("100000",)):
            with servers.system() as system:
                sys.stdout.write(json.dumps(measure(servers, system, facts)) + "\n")
                sys.stdout.flush()


def measure(servers: BenchServers, system: System, facts: int) -> dict[str, Any]:
    """Return seconds, bytes by table, bytes of the broker's files, and megabytes that processes held at most."""
    compare_log(system)
    run(seed(system.databases[feed.SERVICE], facts))
    servers.flush()
    began = _broker_bytes(servers)
    seconds = {}
    worker = system.process(feed.SERVICE, "worker").start()
    since = time.monotonic()
    relayed = "select number from relayed where outbox = 'facts'"
    eventually(lambda: system.query(feed.SERVICE, relayed)[0][0] >= facts, _PATIENCE)
    seconds["log to Kafka"] = time.monotonic() - since
    api = system.process(_SERVICE, "api").start(wait=False)
    projector = system.process(_SERVICE, "projector").start(wait=False)
    since = time.monotonic()
    api.wait_ready()

    def counted() -> bool:
        answer: dict[str, Any] = api.http.get(_PROGRESS).json()
        return bool(answer["complete_to"][feed.SERVICE]["position"] >= facts)

    eventually(counted, _PATIENCE)
    seconds["Kafka to numbers"] = time.monotonic() - since
    since = time.monotonic()
    rebuilt = fork_server().run(f"services.{_SERVICE}", ["rebuild"], projector.settings, _PATIENCE)
    seconds["rebuild"] = time.monotonic() - since
    answers = sorted(_milliseconds(api.http) for _ in range(50))
    return {
        "facts": facts, "rebuilt": rebuilt.returncode, "seconds": {name: round(it, 1) for name, it in seconds.items()},
        "tables": {
            service: {row["name"]: row["bytes"] for row in system.query(service, _TABLES)}
            for service in (feed.SERVICE, _SERVICE)
        },
        "kafka": _broker_bytes(servers) - began,
        "peak_mb": {f"{it.service} {it.command}": round(peak_mb(pid_of(it))) for it in (worker, projector, api)},
        "progress_ms": {"p50": answers[25], "p95": answers[47]},
    }  # fmt: skip


def _milliseconds(http: httpx.Client) -> float:
    since = time.monotonic()
    http.get(_PROGRESS, params={"as_of": f"2024-{1 + int(since * 1e3) % 12:02}-15"}).raise_for_status()
    return round((time.monotonic() - since) * 1000, 1)


def _broker_bytes(servers: BenchServers) -> int:
    """Return the bytes of all files of the broker's log, but those it reserves for indexes."""
    files = servers.folder.rglob("*.log")
    return sum(file.stat().st_size for file in files if file.parent.name.rpartition("-")[2].isdigit())


if __name__ == "__main__":
    main()
