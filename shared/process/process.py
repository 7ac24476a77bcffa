"""The life of a process: it serves an app and probes over HTTP, works beside it, and ends at a signal or an error."""

import asyncio
import contextlib
import ipaddress
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import orjson
import structlog
import uuid_utils
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contract.identity_numbers import holds_personal_number
from shared.http.access import PROBES, AccessControl, reporter_in
from shared.http.api_keys import KeyRing
from shared.http.route_names import RouteNames
from shared.http.server import Configuration, Limits
from shared.observability.health import ConfigurationError
from shared.observability.metrics import Metrics
from shared.observability.tracing import HEADER, trace_id
from shared.process import certificate_ends
from shared.process.settings import Settings

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OF_PROBES: Final = Limits(seconds=5, connections=100, of_address=100)
_MOST_FILES: Final = 16_384
# How long a thread that computes (an export, a table, a plan) may keep the interpreter from the event loop, which asks
# for it again after everything it waits for. A question has ten such turns and more: Python's 5 ms are what it notices.
_TURN_SECONDS: Final = 0.0005
_log = structlog.get_logger()


def add_probes(app: Starlette, metrics: Metrics) -> None:
    """Add `/livez`, `/readyz` (which names what is wrong) and `/metrics`; none of them waits for anything."""

    async def live(_request: Request) -> Response:
        return Response(b'{"status":"live"}', media_type="application/json")

    async def ready(_request: Request) -> Response:
        problems = metrics.health.problems
        body = {"status": "ready" if not problems else "not-ready", "problems": problems}
        if warnings := metrics.health.warnings:
            body["warnings"] = warnings
        return Response(orjson.dumps(body), 200 if not problems else 503, media_type="application/json")

    async def numbers(_request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    for path, answer in (("/livez", live), ("/readyz", ready), ("/metrics", numbers)):
        app.add_route(path, answer, include_in_schema=False)


class _Watched:
    """ASGI middleware: counts and times requests, and gives each an id, in the log and in the response."""

    def __init__(self, app: ASGIApp, names: RouteNames, metrics: Metrics) -> None:
        self._app, self._names = app, names
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        response_headers = {"x-request-id": request_id if _fit(_REQUEST_ID, request_id) else uuid_utils.uuid7().hex}
        trace = headers.get(HEADER, "")
        if _fit(_TRACE, trace):
            response_headers[HEADER] = trace
        # Of this request's own task: nothing has to be taken back.
        structlog.contextvars.bind_contextvars(
            request_id=response_headers["x-request-id"], trace_id=trace_id(response_headers.get(HEADER))
        )

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(response_headers)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route = self._names.taken(scope)
            self._metrics.requests.labels(route, _known(scope["method"]), status).inc()
            if scope["method"] == "POST":  # what may change something; who reads is in the metrics alone
                _log.info("http.request", method="POST", route=route, status=status, reportedby=reporter_in(scope))
            if status == 500:  # noqa: PLR2004 - 503 is no defect
                self._metrics.failures.inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)


def _fit(form: re.Pattern[str], text: str) -> bool:
    return form.fullmatch(text) is not None and not holds_personal_number(text)


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


class _Server(uvicorn.Server):
    """A server beside other work in one loop: it installs no signal handlers, and is told to end by `stop`."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End, once requests in progress are answered."""
        self.should_exit = True
        self._stop.set()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether to end, which was most of what an idle process did.
        while not await self.on_tick(0):  # where the date of answers is renewed
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Starlette,
    settings: Settings,
    beside: Callable[[asyncio.Event], Awaitable[None]],
    metrics: Metrics,
    outside: Callable[[ASGIApp], ASGIApp] = lambda gate: gate,
) -> None:
    """Serve an app, and do the work beside it, until SIGTERM or SIGINT; `beside` gets the event that is set to stop.

    Where the settings name a port for them, probes are answered there, too: no number of connections to the app takes
    it up. `outside`: returns what stands before access control, and may give a request the key that it lacks.

    Raises ConfigurationError when keys or certificates cannot be used. When either ends with an error the whole process
    does, and its supervisor starts another.
    """
    ring = KeyRing(settings.keys, settings.key_pepper.get_secret_value())
    # An app of probes alone needs no keys.
    if not ring.closed and any(getattr(route, "path", "") not in PROBES for route in app.routes):
        _open(settings)
    origins = settings.cors.split()
    control = AccessControl(app, ring, settings.rate, metrics.health, origins)
    gate = outside(_Watched(control, RouteNames(app.routes), metrics))
    if origins:
        # Outside access control: a browser's preflight request carries no key.
        gate = CORSMiddleware(
            gate,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "traceparent"],
            expose_headers=["ETag", "Retry-After", "Content-Disposition"],
        )
    limits = Limits(settings.request_seconds, settings.connections, settings.address_connections)
    listeners = [(gate, settings.port, limits)]
    if settings.probes:
        probes = Starlette()
        add_probes(probes, metrics)
        listeners.append((AccessControl(probes, ring, settings.rate, metrics.health), settings.probes, _OF_PROBES))
    _allow_descriptors()
    sys.setswitchinterval(_TURN_SECONDS)
    servers = [
        _Server(Configuration(app, settings.host, port, limits, settings.tls_cert, settings.tls_key))
        for app, port, limits in listeners
    ]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = [asyncio.create_task(server.serve()) for server in servers]
    certificates = certificate_ends.ends(settings.tls_cert, (settings.ca, settings.kafka_ca))
    watching = [
        asyncio.create_task(metrics.run()),
        asyncio.create_task(certificate_ends.watch(certificates, metrics.health)),
    ]
    for task in (*serving, *watching):
        task.add_done_callback(end_process_if_failed)
    await beside(stop)
    for task in watching:
        task.cancel()
    for server in servers:
        server.stop()
    await asyncio.wait(serving, timeout=10)


def _allow_descriptors() -> None:
    """Let this process open as many connections as it may: at a usual 1,024 files those of a flood would leave none."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, min(_MOST_FILES, most)), most))


def _open(settings: Settings) -> None:
    """Log that no key is required; refuse to listen like that beyond this machine (RULES A10)."""
    if not settings.open and not _is_loopback(settings.host):
        raise ConfigurationError(
            f"未设密钥(SKILLPLAN_KEYS),不得监听 {settings.host}:任何人都能以任何 source 报告。"
            "请先建密钥,或只监听 127.0.0.1;若由别处把守(例如容器端口只发布在 127.0.0.1),设 SKILLPLAN_OPEN=true。"
            f" No keys are set (SKILLPLAN_KEYS): listening on {settings.host} would let anybody report for any source. "
            "Make keys first, or listen on 127.0.0.1; where something else guards, such as container ports published "
            "on 127.0.0.1 only, set SKILLPLAN_OPEN=true."
        )
    _log.warning("http.open", note="no keys are set: every source is accepted; reachable from 127.0.0.1 only")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def until(stop: asyncio.Event) -> None:
    """Wait for the stop event: for a process that only serves."""
    await stop.wait()


def end_process_if_failed(task: asyncio.Task[object]) -> None:
    """Task callback: exit when the task failed, since the process is useless without it; its supervisor restarts it."""
    if task.cancelled() and task.cancelling():
        return  # cancelled by this process
    # Otherwise a Kafka client cancelled it: some do when their connections are reset.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        _log.error("process.failed", error=type(error).__name__, exc_info=error)
        os._exit(70)
