"""Sends HTTP requests on many kept-alive connections at little cost: `python -m tests.bench.load <JSON>`."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from collections import deque
from itertools import cycle
from typing import Any

import uvloop

from tests.bench import feed
from tests.bench.meter import Meter

_PERCENTILES = (50, 95, 99, 99.9)
_END = b"\r\n\r\n"
WARM_UP = 10  # requests a client


class _Client(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, requests: deque[bytes], done: asyncio.Future[None], wanted: bytes, waits: list[float]) -> None:
        self._requests, self._done, self._wanted, self._waits = requests, done, wanted, waits
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(_END)
        if head < 0:
            return
        at = self._received.lower().index(b"content-length:") + 15
        size = int(self._received[at : self._received.index(b"\r\n", at)])
        if len(self._received) < head + 4 + size:
            return
        answer, self._received = self._received, b""
        if not answer.startswith(b"HTTP/1.1 200") or self._wanted not in answer:
            self._fail(RuntimeError(f"not as wanted: {answer[:600]!r}"))
            return
        self._waits.append(time.perf_counter() - self._sent_at)
        self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._fail(ConnectionError("the connection was closed"))

    def _send(self) -> None:
        if self._transport is None:
            raise RuntimeError("not connected")
        if self._requests:
            self._sent_at = time.perf_counter()
            self._transport.write(self._requests.popleft())
        elif not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


async def _send_all(ports: list[int], requests: list[bytes], clients: int, wanted: bytes) -> list[float]:
    """Return how many seconds each request waited for its answer; the clients are spread over the ports."""
    loop, waiting = asyncio.get_running_loop(), deque(requests)
    waits = list[float]()
    done = [loop.create_future() for _ in range(clients)]
    made = [
        await loop.create_connection(lambda end=end: _Client(waiting, end, wanted, waits), "127.0.0.1", port)  # type: ignore[misc]
        for end, port in zip(done, cycle(ports), strict=False)
    ]
    await asyncio.gather(*done)
    for transport, _ in made:
        transport.close()
    return waits


def post(body: bytes, kind: bytes) -> bytes:
    """Return a report, or a batch of them, as a request."""
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/%s\r\nContent-Length: %d\r\n\r\n"
    return head % (kind, len(body)) + body


def _requests(options: dict[str, Any], first: int, count: int) -> list[bytes]:
    if path := options.get("get"):
        return [b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode()] * count
    if "shape" in options:
        from tests.bench.streams import requests_of  # noqa: PLC0415 - which makes them by our functions

        return requests_of(options, count)
    run, each = options["run"], options.get("batch", 1)
    if each == 1:
        return [post(feed.hire(at, run), b"cloudevents+json") for at in range(first, first + count)]
    return [
        post(feed.batch(at, each, run), b"cloudevents-batch+json") for at in range(first, first + count * each, each)
    ]


async def main(options: dict[str, Any]) -> None:
    """Send `count` requests (each of `batch` reports, or GET of a path) and print the section they took."""
    each, clients, count = options.get("batch", 1), options["clients"], options["count"]
    # A batch says its status inside and answers 200 whatever it is.
    wanted = b'"status":"accepted"' if "run" in options and options.get("shape") != "reads" else b""
    first = options.get("first", 0)
    warm = clients * WARM_UP if each == 1 else clients
    requests = _requests(options, first, count + warm)
    ports = options.get("ports") or [options["port"]]
    await _send_all(ports, requests[:warm], clients, wanted)
    meter = Meter(options["pids"])
    waits = await _send_all(ports, requests[warm:], clients, wanted)
    section = meter.section(count * each)
    section.waits_ms = [round(wait * 1e3, 3) for wait in waits]
    ordered = sorted(section.waits_ms)
    section.extra = {f"p{share:g}_ms": ordered[int(len(ordered) * share / 100)] for share in _PERCENTILES}
    sys.stdout.write(json.dumps(dataclasses.asdict(section)) + "\n")


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
