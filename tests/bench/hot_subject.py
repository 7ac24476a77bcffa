"""What many reports on one subject cost beside as many on different ones, and whether others are answered meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.bench import feed
from tests.bench.hops import Sizes, compare_log, new_run
from tests.bench.meter import Meter, Section
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import Process
from tests.harness.reports import organisation, report

_BATCHES = 10  # on the same subject, one after the other
_BATCH = {"content-type": "application/cloudevents-batch+json"}


def measure_hot_subject(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Match one demand so many times, batch after batch, and as many demands once each."""
    size = sizes.hot
    spread = BenchRow(
        f"hot subject, first batch of {size:,}", "reports", note=f"beside {size:,} on different ones", aim=0.33
    )
    later = BenchRow(f"hot subject, {_BATCHES}th batch of {size:,}", "reports", note="beside the first", aim=0.67)
    slowest = 0.0
    with servers.system() as system:
        compare_log(system)
        (api,) = system.start(feed.SERVICE, "api")
        for _ in range(sizes.rounds):
            run = new_run()
            send(api, [raised(f"{run}-{number}", 1) for number in range(size)])
            send(api, [raised(run, _BATCHES * size)])
            with _probed(api) as waits:
                different = [matched(f"{run}-{number}", f"{run}-d{number}") for number in range(size)]
                spread.floor.append(_timed(servers, api, different))
                for batch in range(_BATCHES):
                    section = _timed(servers, api, [matched(run, f"{run}-{batch}-{number}") for number in range(size)])
                    if batch == 0:
                        spread.ours.append(section)
                        later.floor.append(section)
                later.ours.append(section)
            slowest = max(slowest, *waits)
    later.note += f"; slowest probe meanwhile {slowest * 1000:,.0f} ms"
    return [spread, later]


def _timed(servers: BenchServers, api: Process, events: list[dict[str, Any]]) -> Section:
    meter = Meter({"api": pid_of(api), **servers.parts})
    send(api, events)
    return meter.section(len(events))


def send(api: Process, events: list[dict[str, Any]]) -> None:
    """Report events as one batch; raises RuntimeError unless all are accepted."""
    answer = httpx.post(f"{api.url}/v1/events", content=json.dumps(events), headers=_BATCH, timeout=300).json()
    statuses = {receipt["status"] for receipt in answer["results"]}
    if statuses != {"accepted"}:
        raise RuntimeError(f"not accepted: {statuses}")


@contextmanager
def _probed(api: Process) -> Iterator[list[float]]:
    """Ask whether the process lives, every 20 ms; yields how long each answer took."""
    waits: list[float] = [0.0]
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=api.url, timeout=60) as client:
            while not stop.wait(0.02):
                began = time.perf_counter()
                client.get("/livez")
                waits.append(time.perf_counter() - began)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield waits
    finally:
        stop.set()
        asking.join()


def raised(no: str, persons: int) -> dict[str, Any]:
    """Return a report that so many persons are wanted."""
    data = {"project": "重大项目", "enterprise": organisation(1), "occupation_code": "6-18-01-01", "persons": persons}
    return report("recruitment.demand-raised", f"raised-{no}", f"demand/{no}", data, time=_now())


def matched(no: str, id_: str) -> dict[str, Any]:
    """Return a report that one of those persons was found: another fact on the same subject."""
    data = {"instrument": "recruitment-line", "persons": 1}
    return report("recruitment.demand-matched", id_, f"demand/{no}", data, time=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
