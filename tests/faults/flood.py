"""Callers who would cost more than they should: who read nothing, send half a request, or a plan that is a bomb."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx

from tests.harness.faults import PATIENCE, FaultInstallation
from tests.harness.plan_office import PLAN
from tests.harness.processes import eventually

_READERS: Final = 8
_HALVES: Final = 400  # more than an address may have
_ELSEWHERE: Final = ("127.0.0.2", 0)  # reports come in from another address than the flood
_FACTS: Final = f"/v1/plans/{PLAN.id}/indicators/4.1.b/facts?period=2024&format=csv"
_HALF: Final = b"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
_YAML: Final = {"content-type": "application/yaml"}
# Deep, of many nodes, multiplied by aliases, a number whose every group costs more than the one before, and large.
_BOMBS: Final = (
    b"[" * 50_000,
    b"[" + b"1," * 50_000 + b"]",
    b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    b"a: " + b"1:" * 500_000 + b"1",
    b"x" * (1024 * 1024 + 1),
)


def _repeat(held: float, ask: Callable[[], object]) -> tuple[int, str]:
    """Ask again and again; return how often, and how long the answers took, as it is shown."""
    end, waits = time.monotonic() + held, list[float]()
    while time.monotonic() < end:
        began = time.monotonic()
        ask()
        waits.append(time.monotonic() - began)
    waits.sort()
    return len(waits), f"p50 {waits[len(waits) // 2] * 1000:.0f} ms, p99 {waits[len(waits) * 99 // 100] * 1000:.0f} ms"


def slow_readers(own: FaultInstallation, held: float) -> str:
    """Eight ask for an export and read nothing of it; whoever else asks for numbers gets them."""
    api = own.system.the("projection", "api")
    with contextlib.ExitStack() as stack:
        for _ in range(_READERS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", api.port))
            reader.sendall(f"GET {_FACTS} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())

        def question() -> None:
            assert api.http.get(f"/v1/plans/{PLAN.id}/progress").is_success

        _, waits = _repeat(held, question)
        sql = "select from pg_stat_activity where state <> 'idle' and application_name = 'skillplan projection exports'"
        eventually(lambda: not own.system.query("projection", sql), PATIENCE)
    return f"{_READERS} 个 readers; 提问 questions {waits}"


def half_open_flood(own: FaultInstallation, held: float) -> str:
    """Connections that send half a request, from one address, as many as it can get; others report meanwhile."""
    door = ("127.0.0.1", own.api.port)
    opened = 0
    with contextlib.ExitStack() as stack:
        probes = f"http://127.0.0.1:{own.api.settings['SKILLPLAN_PROBES']}"
        client = stack.enter_context(httpx.Client(base_url=probes, trust_env=False))

        def flood() -> Iterator[None]:
            nonlocal opened
            while True:
                half = stack.enter_context(socket.create_connection(door, source_address=_ELSEWHERE))
                with contextlib.suppress(OSError):  # refused: the address has all that it may have
                    half.sendall(_HALF)
                opened += 1
                yield

        flooding = flood()

        def probe() -> None:
            if opened < _HALVES:
                next(flooding)
            assert client.get("/livez").is_success

        _, waits = _repeat(held, probe)
    assert opened == _HALVES, "the flood never came up"
    return f"{opened} 个连接 connections; 探针 probes {waits}"


def plan_bomb(own: FaultInstallation, held: float) -> str:
    """Plan files that would take all memory or time are refused, and the service answers others meanwhile."""
    planning = own.system.process("planning", "api", SKILLPLAN_PROJECTION=own.system.the("projection", "api").url)
    own.system.processes.remove(planning)  # of this fault alone: without its worker it decides nothing
    planning.start(wait=False)
    try:
        eventually(lambda: planning.http.get("/livez").is_success, PATIENCE)
        bombs = [_BOMBS[n % len(_BOMBS)] for n in range(len(_BOMBS) * 2)]

        def throw() -> None:
            for bomb in bombs:
                answer = planning.http.post(f"/v1/plans/{PLAN.id}/diff", content=bomb, headers=_YAML)
                assert answer.status_code in (413, 422), answer.text
                assert planning.http.get("/livez").is_success

        times, waits = _repeat(held, throw)
        return f"{times * len(bombs)} 份 files; 每 {len(bombs)} 份 each {len(bombs)}: {waits}; {planning.peak_mb} MB"
    finally:
        planning.kill()
        planning.http.close()
