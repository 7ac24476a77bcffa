"""Puts a domain service together: its settings, its HTTP process, its worker, its migrations."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from typing import Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pydantic import Field, SecretStr
from starlette.applications import Starlette

from shared.batch import Answer
from shared.bindings import NotReadableError, from_kafka, parse_object
from shared.command_handler import CommandHandler, Unreadable
from shared.decider import Domain
from shared.decoder import Decoder, Door, Keys
from shared.event_store import UNAVAILABLE, EventStore, open_pool
from shared.events import Language, NotUnderstood, Report
from shared.health import Health, Refused
from shared.inbox import Inbox, Message
from shared.keys import Role
from shared.migrations import migrate
from shared.plan import Plan
from shared.plan_file import PlanError, load_plans
from shared.process import Settings, add_probes, command_line, end_process_if_failed, serve, until
from shared.relay import Relay
from shared.sealing import Seal

_log = structlog.get_logger()


class ServiceSettings(Settings):
    """What a domain service is told besides: its keys."""

    city_key: SecretStr = Field(SecretStr(""), description="The city's key, hex, 32 bytes; the same for all services")
    service_key: SecretStr = Field(SecretStr(""), description="This service's key, hex, 32 bytes")


@dataclass(frozen=True, slots=True)
class Service:
    """What makes one domain service: its language, its rules, and the services it hears.

    `hears`: the languages (subsets of other services' events) that decisions here rest on. `reporters`: whose keys may
    report here over HTTP.
    """

    language: Language
    domain: Callable[[Sequence[Plan]], Domain]
    hears: tuple[Language, ...] = ()
    reporters: frozenset[Role] = frozenset({Role.DISTRICT})


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

    settings: ServiceSettings
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
        return sorted(self.handler.decoder.districts)

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


async def _open(service: Service, settings: ServiceSettings, process: str, health: Health) -> _Parts:
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
        self.inbox = Inbox(f"skillplan-{name}", settings.broker, parts.health)
        self.inbox.subscribe(
            "reports", [f"{name}.reports.{district}" for district in parts.districts], self._take_reports
        )
        for language in parts.service.hears:
            self.inbox.subscribe(language.service, [f"{language.service}.events"], self._hear(language.service))
        self.relay = Relay(settings.pg_dsn.get_secret_value(), settings.broker, name, parts.health)

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
            facts = []
            for message in messages:
                try:
                    envelope = parse_object(message.value)
                    facts.append((int(envelope["position"]), envelope, message.value or b""))
                except (NotReadableError, KeyError, TypeError, ValueError) as error:
                    # It has no position; if it stood for a fact, the next one shows the hole.
                    _log.error("hear.not-a-fact", of=service, offset=message.offset, error=type(error).__name__)
            heard = await self._parts.handler.hear(service, facts)
            hole = max((position for position, _, _ in facts), default=0) > heard
            if hole:
                _log.error("hear.hole", of=service, missing=heard + 1)
            self._parts.health.report(f"{service}.events", f"position {heard + 1} is missing" if hole else None)

        return hear

    async def run(self) -> None:
        """Work, and answer probes, until SIGTERM or SIGINT."""
        app = Starlette()
        add_probes(app, self._parts.health, self._parts.metrics.registry, self._check)
        await serve(app, self._parts.settings, self._work, self._parts.health)

    async def _work(self, stop: asyncio.Event) -> None:
        beside = [asyncio.create_task(work) for work in (self.relay.run(), self._expire())]
        for task in beside:
            task.add_done_callback(end_process_if_failed)
        await self.inbox.run(stop)
        for task in beside:
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


_NEEDED: Final = {
    "api": ("pg_dsn", "city_key", "service_key"),
    "worker": ("pg_dsn", "city_key", "service_key"),
    "migrate": ("pg_owner_dsn",),
}


def main(service: Service) -> None:
    """Run one of a service's processes: `api`, `worker` or `migrate`."""
    name = service.language.service
    command, settings = command_line(f"services.{name}", ServiceSettings, _NEEDED)
    # What a batch makes dies with it by itself; at its usual pace the collector takes a tenth of the worker's time, and
    # a quarter of the api's, to find nothing.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        match command:
            case "migrate":
                folder = resources.files("shared") / "migrations"
                asyncio.run(migrate(settings.pg_owner_dsn.get_secret_value(), folder, grants_to=name))
            case "api":
                uvloop.run(_serve(service, settings))
            case _:
                uvloop.run(_work(service, settings))
    except (Refused, PlanError) as error:
        sys.exit(str(error))


async def _serve(service: Service, settings: ServiceSettings) -> None:
    from shared.http import create_app  # noqa: PLC0415 - FastAPI costs a worker half a second to start

    parts = await _open(service, settings, "api", Health("database"))
    app = create_app(parts.handler, service.reporters)
    add_probes(app, parts.health, parts.metrics.registry, parts.check)
    await serve(app, settings, until, parts.health)


async def _work(service: Service, settings: ServiceSettings) -> None:
    parts = await _open(service, settings, "worker", Health("database", "kafka", "relay"))
    await Worker(parts).run()
