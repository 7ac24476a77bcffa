"""Puts a domain service together: its settings, its HTTP process, its worker, its migrations."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.batch import Answer
from shared.bindings import NotReadableError, from_kafka
from shared.command_handler import CommandHandler, Unreadable
from shared.decider import Domain
from shared.event_store import UNAVAILABLE, EventStore, open_pool
from shared.events import Decoder, Door, Keys, Language, NotUnderstood, Report
from shared.health import Health
from shared.http import add_probes, create_app
from shared.inbox import Inbox, Message
from shared.migrations import migrate
from shared.plan import Plan, load_plans
from shared.relay import Relay
from shared.sealing import Seal

_log = structlog.get_logger()


class Settings(BaseSettings):
    """What a process is told from outside: `SKILLPLAN_…` in the environment, or files of that name, in lower case, in
    the folder `SKILLPLAN_SECRETS`."""

    model_config = SettingsConfigDict(
        env_prefix="SKILLPLAN_", frozen=True, extra="ignore", secrets_dir=os.environ.get("SKILLPLAN_SECRETS")
    )

    pg_dsn: SecretStr = Field(
        SecretStr(""), description="PostgreSQL, as the service's own role; for `api` and `worker`"
    )
    pg_owner_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the owner of the tables; for `migrate`")
    kafka: str = Field("127.0.0.1:9092", description="Kafka servers, host:port, separated by commas")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    plans: Path = Field(Path("plans"), description="Folder of the plan files")
    city_key: SecretStr = Field(SecretStr(""), description="The city's key, hex, 32 bytes; the same for all services")
    service_key: SecretStr = Field(SecretStr(""), description="This service's key, hex, 32 bytes")
    log_level: str = Field("INFO", description="Least severe level that is logged")


@dataclass(frozen=True, slots=True)
class Service:
    """What makes one domain service: its language, its rules, and the services it hears.

    `hears`: the languages (subsets of other services' events) that decisions here rest on.
    """

    language: Language
    domain: Callable[[Sequence[Plan]], Domain]
    hears: tuple[Language, ...] = ()


class _Metrics:
    """Counts and times of one process, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reports = Counter(
            "skillplan_reports_total", "Reports answered, by status.", ["service", "status"], registry=self.registry
        )
        self.decision = Histogram(
            "skillplan_decision_seconds", "Time from taking a batch to its commit.", ["service"], registry=self.registry
        )
        self.position = Gauge("skillplan_log_position", "Last position.", ["service"], registry=self.registry)
        self.waiting = Gauge("skillplan_waiting_reports", "Reports that wait.", ["service"], registry=self.registry)
        self.lag = Gauge("skillplan_inbox_lag", "Messages not handled yet.", ["service"], registry=self.registry)


class _CountedHandler(CommandHandler):
    """The command handler with its numbers taken."""

    metrics: _Metrics

    async def handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable] = ()
    ) -> list[Answer]:
        """Decide as the command handler does, counting answers and time."""
        with self.metrics.decision.labels(self.service).time():
            answers = await super().handle(arrived, unreadable)
        for answer in answers:
            self.metrics.reports.labels(self.service, answer.status).inc()
        return answers


@dataclass(slots=True)
class _Parts:
    """What both processes of a service share."""

    settings: Settings
    service: Service
    plans: Sequence[Plan]
    store: EventStore
    handler: _CountedHandler
    health: Health
    metrics: _Metrics = field(default_factory=_Metrics)

    @property
    def name(self) -> str:
        return self.service.language.service

    @property
    def districts(self) -> list[str]:
        return sorted({district.code for plan in self.plans for district in plan.districts})

    async def check(self) -> None:
        """Ask the database how it is."""
        try:
            head = await asyncio.wait_for(self.store.head(), 3)
        except (*UNAVAILABLE, TimeoutError) as error:
            self.health.report("database", f"not available: {type(error).__name__}")
        else:
            self.health.report("database", None)
            self.metrics.position.labels(self.name).set(head["position"])
            self.metrics.waiting.labels(self.name).set(head["waiting"])


async def _open(service: Service, settings: Settings, process: str, health: Health) -> _Parts:
    name = service.language.service
    plans = load_plans(settings.plans)
    store = EventStore(await open_pool(settings.pg_dsn.get_secret_value(), f"skillplan {name} {process}"))
    districts = {district.code for plan in plans for district in plan.districts}
    handler = _CountedHandler(
        Decoder(service.language, districts, Keys(bytes.fromhex(settings.city_key.get_secret_value()))),
        service.domain(plans),
        store,
        Seal(bytes.fromhex(settings.service_key.get_secret_value())),
        service.hears,
    )
    parts = _Parts(settings, service, plans, store, handler, health)
    handler.metrics = parts.metrics
    return parts


class Worker:
    """The worker process: inbox, policies, relay, and its probes."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        settings, name = parts.settings, parts.name
        self.inbox = Inbox(f"skillplan-{name}", settings.kafka, parts.health)
        self.inbox.subscribe(
            "reports", [f"{name}.reports.{district}" for district in parts.districts], self._take_reports
        )
        for language in parts.service.hears:
            self.inbox.subscribe(language.service, [f"{language.service}.events"], self._hear(language.service))
        self.relay = Relay(settings.pg_dsn.get_secret_value(), settings.kafka, name, parts.health, {})

    async def _take_reports(self, messages: Sequence[Message]) -> None:
        arrived, unreadable = [], []
        for message in messages:
            at = datetime.fromtimestamp(message.at, UTC)
            try:
                envelope = from_kafka(message.value, message.headers)
            except NotReadableError as error:
                place = (message.topic, message.partition, message.offset)
                unreadable.append(Unreadable(*place, str(error), message.value or b"", at))
            else:
                door = Door(district=message.topic.rpartition(".")[2])
                arrived.append(self._parts.handler.decoder.decode(envelope, door, at))
        await self._parts.handler.handle(arrived, unreadable)

    def _hear(self, service: str) -> Callable[[Sequence[Message]], Awaitable[None]]:
        async def hear(messages: Sequence[Message]) -> None:
            envelopes = [(orjson.loads(message.value or b""), message.value or b"") for message in messages]
            await self._parts.handler.hear(service, [(env["position"], env, raw) for env, raw in envelopes])

        return hear

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        app = FastAPI(openapi_url=None)
        add_probes(app, self._parts.health, self._parts.metrics.registry, self._check)
        probes = _Server(_uvicorn(app, self._parts.settings))
        beside = [asyncio.create_task(work) for work in (probes.serve(), self.relay.run(), self._expire())]
        for task in beside:
            task.add_done_callback(_end_process_if_failed)
        await self.inbox.run(stop)
        probes.should_exit = True
        await asyncio.wait(beside[:1], timeout=5)
        for task in beside[1:]:
            task.cancel()

    async def _expire(self) -> None:
        """Refuse what has waited too long (RULES D13); looked for every minute, since days are what counts."""
        days = self._parts.plans[0].parameters.waiting.days
        while True:
            try:
                while await self._parts.handler.expire(days):
                    pass
            except UNAVAILABLE:
                _log.warning("expiry.paused", waiting_for="database")
            await asyncio.sleep(60)

    async def _check(self) -> None:
        await self._parts.check()
        self._parts.metrics.lag.labels(self._parts.name).set(self.inbox.lag())


class _Server(uvicorn.Server):
    """A server beside others in one loop: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _uvicorn(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app, host=settings.host, port=settings.port, log_config=None, access_log=False, timeout_graceful_shutdown=5
    )


def _end_process_if_failed(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("worker.failed", error=repr(error), exc_info=error)
        os._exit(70)


def configure_logs(level: str) -> None:
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
    for noisy in ("aiokafka", "faust", "mode", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))


_NEEDED: Final = {
    "api": ("pg_dsn", "city_key", "service_key"),
    "worker": ("pg_dsn", "city_key", "service_key"),
    "migrate": ("pg_owner_dsn",),
}
_KEY_BYTES: Final = 32


def _require(settings: Settings, command: str) -> None:
    for name in _NEEDED.get(command, ()):
        value = getattr(settings, name).get_secret_value()
        shown = f"SKILLPLAN_{name.upper()}"
        if not value:
            sys.exit(f"缺少设置 missing setting: {shown}")
        if name.endswith("_key") and not re.fullmatch(rf"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}", value):
            sys.exit(
                f"设置有误 wrong setting: {shown}: 应为 {_KEY_BYTES} 字节的十六进制 must be {_KEY_BYTES} bytes in hex"
            )


def main(service: Service) -> None:
    """Run one of a service's processes: `api`, `worker` or `migrate`; `--show-settings` prints what it was told."""
    commands: Final = ("api", "worker", "migrate", "--show-settings")
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004
    if command not in commands:
        sys.exit(f"用法 usage: python -m services.{service.language.service} {'|'.join(commands)}")
    try:
        settings = Settings()
        _require(settings, command)
    except ValidationError as error:
        sys.exit(
            "; ".join(
                f"设置有误 wrong setting: SKILLPLAN_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()
            )
        )
    configure_logs(settings.log_level)
    if command == "--show-settings":
        for name, info in Settings.model_fields.items():
            sys.stdout.write(f"SKILLPLAN_{name.upper()}={getattr(settings, name)}  # {info.description}\n")
    elif command == "migrate":
        folder = resources.files("shared") / "migrations"
        owner = settings.pg_owner_dsn.get_secret_value()
        asyncio.run(migrate(owner, folder, grants_to=service.language.service))
    elif command == "api":
        asyncio.run(_serve(service, settings))
    else:
        asyncio.run(_work(service, settings))


async def _serve(service: Service, settings: Settings) -> None:
    parts = await _open(service, settings, "api", Health("database"))
    app = create_app(parts.handler)
    add_probes(app, parts.health, parts.metrics.registry, parts.check)
    _log.warning("http.open", note="no keys are set: every source is accepted; listen on 127.0.0.1 only")
    await uvicorn.Server(_uvicorn(app, settings)).serve()


async def _work(service: Service, settings: Settings) -> None:
    parts = await _open(service, settings, "worker", Health("database", "kafka", "relay"))
    await Worker(parts).run()
