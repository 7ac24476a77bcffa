"""The HTTP server's limits that need no service behind it: handshakes, connections of an address, least throughput."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.http.server import Configuration, Limits
from shared.observability.health import Health
from shared.observability.metrics import Metrics
from shared.process.process import add_probes, serve
from shared.process.settings import Settings
from tests.harness.ports import any_free
from tests.integration.test_keys import certificates

REQUEST: Final = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
LARGE: Final = REQUEST.replace(b"/ ", b"/large ", 1)
ELSEWHERE: Final = ("127.0.0.2", 0)


async def small(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def large(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65_536

    return StreamingResponse(parts())


async def refuses(_request: Request) -> Response:
    return Response(b"{}", 403)


@contextlib.asynccontextmanager
async def serving(limits: Limits, *pair: Path) -> AsyncIterator[Configuration]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = Starlette(routes=[Route("/", small), Route("/large", large), Route("/refuses", refuses, methods=["POST"])])
    configuration = Configuration(app, "127.0.0.1", port, limits, *pair)
    server = uvicorn.Server(configuration)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield configuration
    finally:
        server.should_exit = True
        await running


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.02)


async def ask(
    configuration: Configuration, context: ssl.SSLContext | None = None, source: tuple[str, int] = ("127.0.0.1", 0)
) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", configuration.port, ssl=context, local_addr=source)
    writer.write(REQUEST)
    answer = await reader.read()
    writer.close()
    return answer


def test_handshakes_that_never_end_are_cut_off_and_hold_up_nobody_else(tmp_path: Path) -> None:
    authority, certificate, key = certificates(tmp_path)
    context = ssl.create_default_context(cafile=str(authority))

    async def flood() -> None:
        async with serving(Limits(seconds=2), certificate, key) as configuration:
            halves = [await asyncio.open_connection("127.0.0.1", configuration.port) for _ in range(25)]
            began = time.monotonic()
            await until(lambda: configuration.handshakes.total() == 20)
            assert (await ask(configuration, context, ELSEWHERE)).endswith(b"ok")
            assert configuration.handshakes["127.0.0.1"] == 20, "no more of one address at once"
            await asyncio.gather(*(reader.read() for reader, _ in halves), return_exceptions=True)
            assert time.monotonic() - began < 10
            answers = await asyncio.gather(*(ask(configuration, context) for _ in range(10)))
            assert all(answer.endswith(b"ok") for answer in answers)
            assert not configuration.handshakes
            for _, writer in halves:
                writer.close()

    uvloop.run(flood())


def test_one_address_has_so_many_connections_and_others_have_theirs() -> None:
    async def crowd() -> None:
        async with serving(Limits(of_address=3)) as configuration:
            held = [await asyncio.open_connection("127.0.0.1", configuration.port) for _ in range(3)]
            await until(lambda: configuration.addresses["127.0.0.1"] == 3)
            assert b" 503 " in await ask(configuration)
            assert (await ask(configuration, source=ELSEWHERE)).endswith(b"ok")
            for _, writer in held:
                writer.close()
            await until(lambda: not configuration.addresses)
            assert (await ask(configuration)).endswith(b"ok")

    uvloop.run(crowd())


def test_probes_are_answered_on_a_port_of_their_own_where_the_data_takes_no_more_connections() -> None:
    port, probes = any_free(2)
    metrics = Metrics("recruitment", "api", Health())
    app = Starlette(routes=[Route("/", small)])
    add_probes(app, metrics)

    async def status(port: int, path: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST.replace(b"/ ", path + b" ", 1).replace(b": x", b": 127.0.0.1"))
        answer = await reader.read()
        writer.close()
        return answer.split(b" ", 2)[1]

    async def flood(_stop: asyncio.Event) -> None:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    if await status(port, b"/livez") + await status(probes, b"/livez") == b"200200":
                        break
                await asyncio.sleep(0.02)
        halves = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, half in halves:
            half.write(REQUEST[:20])
            await half.drain()
        assert await status(port, b"/livez") == b"503"
        for path in (b"/livez", b"/readyz", b"/metrics"):
            assert await status(probes, path) == b"200"
        assert await status(probes, b"/livez HTTP/1.1\r\nhost: y\r\nx:") == b"400", "two names of a host"
        assert await status(probes, b"/") == b"404", "nothing else is there"
        for _, half in halves:
            half.close()

    settings = Settings(port=port, probes=probes, connections=4)
    asyncio.run(serve(app, settings, flood, metrics))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", b"400"),
        (b"host: x\r\nhost: x", b"400"),
        (b"host: x\r\nHOST: y", b"400"),
        (b"host: x\r\nauthorization: Bearer a\r\nauthorization: Bearer b", b"400"),
        (b"host: x\r\norigin: http://x\r\norigin: http://y", b"400"),
        (b"host: x\r\nsec-fetch-site: none\r\nsec-fetch-site: cross-site", b"400"),
        (b"host: x\r\ncontent-type: application/json\r\ncontent-type: text/plain", b"400"),
        (b"host: x\r\ncookie: a=1\r\ncookie: a=2", b"400"),
        (b"host: x\r\nx-csrf-token: a\r\nx-csrf-token: b", b"400"),
        (b"host: x\r\nce-id: a\r\nCe-Id: b", b"400"),
        (b"host: x\r\ncontent-length: 0\r\ncontent-length: 0", b"400"),
        (b"host: x\r\ncontent-length: 0, 0", b"400"),
        (b"host: x\r\ncontent-length: 0\r\ntransfer-encoding: chunked", b"400"),
        (b"host: x\r\ntransfer-encoding: gzip", b"400"),
        (b"host: x\r\ntransfer-encoding: gzip, chunked", b"400"),
        (b"host: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked", b"400"),
        (b"host: x\r\ncontent-encoding: gzip", b"415"),
        (b"host: x\r\ncontent-encoding: identity, br", b"415"),
        (b"host: x\r\ncontent-encoding: Identity", b"200"),
        (b"host: x\r\naccept: a\r\naccept: b\r\nvia: a\r\nvia: b", b"200"),
        (b"host: x", b"200"),
    ],
)
def test_what_may_be_understood_in_two_ways_is_refused_before_it_is_read(head: bytes, status: bytes) -> None:
    answer = answer_to(*(line for line in (b"GET / HTTP/1.1", head) if line))
    assert answer.split(b" ", 2)[1] == status, answer
    if status != b"200":
        assert b"application/problem+json" in answer
    assert (b"\r\naccept-encoding: identity\r\n" in answer) == (status == b"415")


def answer_to(*lines: bytes) -> bytes:
    """Return all that is answered to the head of a request."""

    async def send() -> bytes:
        async with serving(Limits()) as configuration:
            reader, writer = await asyncio.open_connection("127.0.0.1", configuration.port)
            writer.write(b"\r\n".join((*lines, b"connection: close", b"", b"")))
            answer = await reader.read()
            writer.close()
            return answer

    return uvloop.run(send())


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1", b"200"),
        (b"GET / HTTP/1.0", b"200"),
        (b"GET http://x/ HTTP/1.1", b"200"),
        (b"GET http://X/ HTTP/1.1", b"200"),
        (b"GET http://y/ HTTP/1.1", b"400"),
        (b"GET http://x@y/ HTTP/1.1", b"400"),
        (b"GET http://x:80/ HTTP/1.1", b"400"),
        (b"GET http:/x/ HTTP/1.1", b"400"),
        (b"OPTIONS * HTTP/1.1", b"400"),
        (b"GET / HTTP/2.0", b"400"),
        (b"GET / HTTP/1.2", b"400"),
        (b"GET / HTTP/9.9", b"400"),
    ],
)
def test_a_request_line_names_one_host_and_a_version_that_is_spoken_here(line: bytes, status: bytes) -> None:
    answer = answer_to(line, b"host: x")
    assert answer.split(b" ", 2)[1] == status, answer


def test_who_reads_less_than_a_kilobyte_a_second_is_cut_off() -> None:
    async def drip() -> None:
        async with serving(Limits(seconds=1)) as configuration:
            loop = asyncio.get_running_loop()
            with socket.socket() as reader:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.setblocking(False)
                await loop.sock_connect(reader, ("127.0.0.1", configuration.port))
                await loop.sock_sendall(reader, LARGE)
                await until(lambda: bool(configuration.addresses))
                async with asyncio.timeout(20):
                    # What the kernel has taken in can still be read; the server has gone on.
                    while configuration.addresses:
                        await loop.sock_recv(reader, 10)
                        await asyncio.sleep(0.1)

    uvloop.run(drip())


HALF: Final = b"POST /refuses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % (32 << 20)


@pytest.mark.parametrize(
    ("head", "status", "tls"),
    [
        (HALF + b"content-encoding: gzip\r\n", b"415", False),  # by the listener, before the app is asked
        (HALF + b"host: y\r\n", b"400", True),
        (HALF + b"x: %b\r\n" % (b"x" * 40_000), b"431", False),
        (HALF, b"403", False),  # by the app
        (HALF + b"connection: close\r\n", b"403", False),
        (HALF.replace(b"1.1", b"1.0"), b"403", True),
    ],
    ids=["encoded", "two-hosts", "large-head", "app", "app-closes", "app-tls"],
)
def test_who_is_refused_while_it_still_sends_may_send_all_of_it_and_reads_why(
    head: bytes, status: bytes, *, tls: bool, tmp_path: Path
) -> None:
    """A browser reads no answer before its request is out; on a connection that is reset it has none to show."""
    authority, *pair = certificates(tmp_path)

    async def send() -> bytes:
        async with serving(Limits(seconds=1), *(pair if tls else ())) as configuration:
            context = ssl.create_default_context(cafile=str(authority)) if tls else None
            reader, writer = await asyncio.open_connection("127.0.0.1", configuration.port, ssl=context)
            writer.write(head + b"\r\n")
            for _ in range(8):
                writer.write(bytes(4 << 20))
                await writer.drain()
                await asyncio.sleep(0.2)  # in all longer than a request may take
            assert configuration.addresses.total() + configuration.lingering == 1
            answer = await reader.readuntil(b"}")
            writer.close()
            await until(lambda: not configuration.lingering and not configuration.addresses)
            return answer

    answer = uvloop.run(send())
    assert answer.split(b" ", 2)[1] == status, answer


def test_who_goes_on_sending_for_nothing_or_never_closes_is_cut_off() -> None:
    async def stay() -> None:
        async with serving(Limits()) as configuration:
            reader, writer = await asyncio.open_connection("127.0.0.1", configuration.port)
            writer.write(HALF + b"host: y\r\n\r\n")
            assert b" 400 " in await reader.read(), "the end of the answer is seen"
            assert (configuration.lingering, configuration.addresses.total()) == (1, 0)
            await until(lambda: not configuration.lingering)
            writer.close()

    uvloop.run(stay())


def test_a_thread_that_computes_leaves_the_loop_its_turns() -> None:
    """It gives the interpreter back within half a millisecond, not within Python's five."""
    usual, stop = sys.getswitchinterval(), threading.Event()
    metrics = Metrics("recruitment", "api", Health())
    app = Starlette()
    add_probes(app, metrics)

    def compute() -> None:
        while not stop.is_set():
            pass

    async def turn() -> float:
        waits = []
        for _ in range(100):
            began = time.perf_counter()
            await asyncio.sleep(0.0001)  # the loop gives the interpreter away and asks for it again
            waits.append(time.perf_counter() - began)
        return statistics.median(waits)

    async def beside(_stop: asyncio.Event) -> None:
        computing = asyncio.create_task(asyncio.to_thread(compute))
        try:
            ours = [await turn() for _ in range(5)]
            sys.setswitchinterval(0.005)
            pythons = [await turn() for _ in range(5)]
        finally:
            stop.set()
            sys.setswitchinterval(usual)
        await computing
        assert statistics.median(ours) < statistics.median(pythons) / 2

    asyncio.run(serve(app, Settings(port=any_free(1)[0]), beside, metrics))
