"""What every process of ours is: told by settings, logging JSON lines, probed over HTTP, stopped by a signal."""

import asyncio
import contextlib
import difflib
import ipaddress
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import structlog
import uuid_utils
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field, SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contract.shapes import holds_personal_number
from shared.http.access import PROBES, AccessControl
from shared.http.api_keys import KeyRing
from shared.http.server import Configuration, Limits
from shared.kafka.clients import BrokerSettings, wrong_settings
from shared.observability.health import ConfigurationError
from shared.observability.metrics import Metrics
from shared.observability.tracing import HEADER, trace_id

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_log = structlog.get_logger()


class Settings(BrokerSettings):
    """What every process is told from outside."""

    pg_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the service's own role")
    pg_owner_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the owner of the tables; for `migrate`")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    plans: Path = Field(Path("plans"), description="Folder of the plan files")
    keys: Path | None = Field(None, description="Key file; without it everybody is let in, on loopback only")
    key_pepper: SecretStr = Field(SecretStr(""), description="What keys are hashed with, hex, 32 bytes")
    open: bool = Field(False, description="Without keys, listen beyond loopback all the same: something else guards")
    api_key: SecretStr = Field(SecretStr(""), description="The key shown to other services, of role service")
    rate: int = Field(2000, ge=1, description="Events a second that one key may report to one process, and requests")
    request_seconds: float = Field(30, gt=0, description="Time for a request to arrive, or an answer to be read on")
    connections: int = Field(1000, ge=1, description="Connections at once; more are answered 503")
    tls_cert: Path | None = Field(None, description="Certificate chain, PEM; with it every HTTP listener speaks TLS")
    tls_key: Path | None = Field(None, description="Its private key, PEM, without a password")
    cors: str = Field(
        "",
        pattern=r"^(\s*https?://[A-Za-z0-9.:\[\]-]+)*\s*$",
        description="Pages of other origins that may ask, https://…, separated by spaces; none unless named",
    )
    ca: Path | None = Field(None, description="Authorities that other services' certificates are checked by, PEM")
    otlp: str = Field("", description="OpenTelemetry collector, http://…/v1/traces; none: no traces are made")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged")


# Settings of other processes, which may stand in one environment file with ours; a test holds this list to the tree.
_NAMES: Final = (
    "ALERTMANAGER_PORT", "BACKUPS", "BACKUP_KEYS", "BIND", "BY", "CITY_KEY", "COMPETITION_PORT", "DATABASES",
    "ENROLLMENT_PORT", "JOURNAL",
    "KAFKA_BIND", "KAFKA_HOST", "KAFKA_NAMES", "KAFKA_PASSWORDS", "KAFKA_PORT", "KEY", "LANG", "OUTLINES", "OWN",
    "OWN_SECRETS", "PLAN", "PLANNING", "PLANNING_PORT", "POSTGRES_PORT", "PROJECTION", "PROJECTION_PORT",
    "PROMETHEUS_PORT", "RECRUITMENT_PORT", "REPLICATION", "SECRETS", "SERVICES", "SERVICE_KEY", "STATE", "STATIC",
    "SUBSIDY_PORT", "VERSION",
)  # fmt: skip
ELSEWHERE: Final = frozenset(f"SKILLPLAN_{name}" for name in _NAMES)
S = TypeVar("S", bound=Settings)


def command_line(program: str, settings: type[S], needed: Mapping[str, Sequence[str]]) -> tuple[str, S]:
    """Return the command that was given and the settings; `needed` names the commands and what each must be told.

    Anything wrong ends the process with one sentence and a non-zero code. `--show-settings` prints them, masked.
    """
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004
    if command not in (*needed, "--show-settings"):
        sys.exit(f"用法 usage: python -m {program} {'|'.join((*needed, '--show-settings'))}")
    if unknown := _unknown(settings):
        sys.exit("; ".join(unknown))
    try:
        told = settings()
    except ValidationError as error:
        sys.exit(wrong_settings(error))
    if command == "--show-settings":
        for name, info in settings.model_fields.items():
            sys.stdout.write(f"SKILLPLAN_{name.upper()}={getattr(told, name)}  # {info.description}\n")
        sys.exit(0)
    for name in needed[command]:
        value = getattr(told, name).get_secret_value()
        shown = f"SKILLPLAN_{name.upper()}"
        if not value:
            sys.exit(f"缺少设置 missing setting: {shown}")
        if name.endswith("_key") and not _KEY.fullmatch(value):
            sys.exit(f"设置有误 wrong setting: {shown}: 应为 32 字节的十六进制 must be 32 bytes in hex")
    _configure_logs(told.log_level)
    return command, told


def _unknown(settings: type[Settings]) -> list[str]:
    """Say of each setting that nobody knows which one may be meant: misspelt it would be passed over in silence."""
    known = {f"SKILLPLAN_{name.upper()}" for name in settings.model_fields}
    given = {name for name in os.environ if name.startswith("SKILLPLAN_")}
    if folder := os.environ.get("SKILLPLAN_SECRETS"):
        with contextlib.suppress(OSError):
            given |= {name.upper() for name in os.listdir(folder) if name.lower().startswith("skillplan_")}
    said = []
    for name in sorted(given - known - ELSEWHERE):
        near = difflib.get_close_matches(name, known, 1)
        meant = f"是否为 {near[0]}? Is {near[0]} meant?" if near else ""
        said.append(f"没有这个设置 unknown setting: {name}. {meant}".rstrip())
    return said


def _configure_logs(level: str) -> None:
    """Log JSON lines, ours and the libraries'."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],  # type: ignore[list-item]
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(
                    serializer=lambda entry, **_: orjson.dumps(entry, default=str).decode()
                ),
            ],
            foreign_pre_chain=shared,  # type: ignore[arg-type]
        )
    )
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for noisy in ("aiokafka", "faust", "httpx", "mode", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))


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
    """An app whose requests are counted, timed and named: in the log, and to who asked."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        shown = {"x-request-id": asked if _fit(_REQUEST_ID, asked) else uuid_utils.uuid7().hex}
        trace = headers.get(HEADER, "")
        if _fit(_TRACE, trace):
            shown[HEADER] = trace
        # Of this request's own task: nothing has to be taken back.
        structlog.contextvars.bind_contextvars(request_id=shown["x-request-id"], trace_id=trace_id(shown.get(HEADER)))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(shown)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            # Addresses that nothing answers are one: each would be a series of its own.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, _known(scope["method"]), status).inc()
            if status == 500:  # noqa: PLR2004 - 503 is no defect
                self._metrics.failures.inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)


def _fit(form: re.Pattern[str], text: str) -> bool:
    return form.fullmatch(text) is not None and not holds_personal_number(text)


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


class _Server(uvicorn.Server):
    """A server beside other work in one loop: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Starlette, settings: Settings, beside: Callable[[asyncio.Event], Awaitable[None]], metrics: Metrics
) -> None:
    """Serve an app, and do the work beside it, until SIGTERM or SIGINT; `beside` is given the event that says stop.

    Raises Refused when keys or certificates cannot be used. When either ends with an error the whole process does, and
    its supervisor starts another.
    """
    ring = KeyRing(settings.keys, settings.key_pepper.get_secret_value())
    # Probes alone have nothing to guard.
    if not ring.closed and any(getattr(route, "path", "") not in PROBES for route in app.routes):
        _open(settings)
    gate: ASGIApp = _Watched(AccessControl(app, ring, settings.rate, metrics.health), metrics)
    if origins := settings.cors.split():
        # Before the gate: a browser asks what it may without showing a key.
        gate = CORSMiddleware(
            gate,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "traceparent"],
            expose_headers=["ETag", "Retry-After", "Content-Disposition"],
        )
    limits = Limits(settings.request_seconds, settings.connections)
    server = _Server(Configuration(gate, settings.host, settings.port, limits, settings.tls_cert, settings.tls_key))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    asking = asyncio.create_task(metrics.run())
    for task in (serving, asking):
        task.add_done_callback(end_process_if_failed)
    await beside(stop)
    asking.cancel()
    server.should_exit = True
    await asyncio.wait([serving], timeout=10)


def _open(settings: Settings) -> None:
    """Say that everybody is let in; refuse it where the address reaches further than this machine (RULES A10)."""
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
    """Do nothing beside a server."""
    await stop.wait()


def end_process_if_failed(task: asyncio.Task[Any]) -> None:
    """As a task's callback: without this part the process is no use, so its supervisor shall start another."""
    if task.cancelled() and task.cancelling():
        return  # we asked for it
    # By nobody: a client of Kafka may cancel what waits for it when its connections were reset.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        _log.error("process.failed", error=type(error).__name__, exc_info=error)
        os._exit(70)
