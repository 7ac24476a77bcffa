"""Times the whole road: publishes at a pace, asks `/progress` meanwhile: `python -m tests.bench.latency <JSON>`."""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvloop

from tests.bench import feed
from tests.bench.floors import producer
from tests.bench.meter import Meter, Section

_PAUSE = 0.005  # between two questions: half of it, and the answer itself, are part of what is measured
_TICK = 0.005  # what is due within it is sent together, as Kafka's own producer does by default (linger.ms)
_WARM_UP = 200  # reports at least, and for a second unless told otherwise
_PATIENCE = 60.0


async def main(options: dict[str, Any]) -> Section:
    """Publish `count` reports at `rate` a second; return how long it took from when each was due until the indicator,
    which is asked for every `pause` seconds, counted it."""
    ask = await _questions(options["port"], options["path"], options["indicator"])
    rate, first, pause = options["rate"], options["first"], options.get("pause", _PAUSE)
    warm_up = max(_WARM_UP, round(rate * options.get("warm_up", 1)))
    count = options["count"] + warm_up
    reports = [
        (f"{feed.SERVICE}.reports.{feed.district_of(at)}", feed.hire(at, options["run"]), feed.subject_of(at, "x"))
        for at in range(first, first + count)
    ]
    sender = producer(options["kafka"])
    await sender.start()
    before = await ask()
    seen: list[tuple[int, float]] = []

    async def watch() -> None:
        end = time.perf_counter() + count / rate + _PATIENCE
        while not seen or seen[-1][0] < count:
            seen.append((await ask() - before, time.perf_counter()))
            if time.perf_counter() > end:
                raise TimeoutError(f"{seen[-1][0]} of {count} became visible")
            await asyncio.sleep(pause)

    watching = asyncio.create_task(watch())
    together, sent = max(1, round(rate * _TICK)), 0
    meter, began = Meter(options["pids"] | {"sender": os.getpid()}), time.perf_counter()
    while sent < count:
        due = min(count, 1 + int((time.perf_counter() - began) * rate))
        for topic, value, key in reports[sent:due]:
            await sender.send(topic, value, key.encode(), headers=feed.STRUCTURED)
        sent = due
        await asyncio.sleep(max(0.0, began + (sent + together - 1) / rate - time.perf_counter()))
    await watching
    section = meter.section(count)
    await sender.stop()
    # The n-th to be due is taken to be the n-th to be counted.
    values, times = [value for value, _ in seen], [at for _, at in seen]
    waits = [times[bisect.bisect_left(values, number + 1)] - began - number / rate for number in range(warm_up, count)]
    parts = statistics.quantiles(waits, n=100)
    section.extra = {"p50_ms": parts[49] * 1e3, "p99_ms": parts[98] * 1e3, "max_ms": max(waits) * 1e3}
    return section


async def _questions(port: int, path: str, indicator: str) -> Callable[[], Awaitable[int]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    async def ask() -> int:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        body = orjson.loads(await reader.readexactly(int(head[at : head.index(b"\r\n", at)])))
        values = next(item for item in body["indicators"] if item["id"] == indicator)
        return sum(int(period["value"] or 0) for period in values["periods"])

    return ask


async def _run(options: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(await main(options))) + "\n")


if __name__ == "__main__":
    uvloop.run(_run(json.loads(sys.argv[1])))
