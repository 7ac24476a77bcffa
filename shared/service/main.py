"""Puts a domain service together: its settings, its HTTP process, its worker, its migrations."""

import asyncio
import gc
import hmac
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvloop
from prometheus_client import Counter, Histogram
from pydantic import Field, SecretStr
from starlette.applications import Starlette

from shared.contract.cloudevents import NotReadableError, from_kafka, parse_object
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import Language, NotUnderstood, Report
from shared.deciding.decider import Domain
from shared.deciding.unit_of_work import Answer
from shared.http.api_keys import Role
from shared.kafka.topic_reader import TopicReader
from shared.log.event_store import EventStore, NotCompared, foreign_keys, open_pool
from shared.log.migrate import check, connect, migrate
from shared.log.outbox_relay import Relay
from shared.log.sealing import Seal
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics, Reading
from shared.observability.tracing import Tracing
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.loading import PlanError, load_plans
from shared.plan.model import Plan, districts_by_waiting_days
from shared.process.process import add_probes, end_process_if_failed, serve, until
from shared.process.settings import Settings, parse_command_line
from shared.service.command_handler import CommandHandler, Unreadable
from shared.service.recovery import CannotRecover, recover

if TYPE_CHECKING:
    from shared.service.http_reports import Routes
    from shared.service.kafka_reports import KafkaMessage

_MIGRATIONS: Final = resources.files("shared.log") / "migrations"
_TRIED_WITHIN: Final = 15.0
_log = structlog.get_logger()


STATUSES: Final = ("accepted", "duplicate", "waiting", "refused", "invalid", "misdirected")


class ServiceSettings(Settings):
    """What a domain service is told besides: its keys."""

    city_key: SecretStr = Field(SecretStr(""), description="The city's key, hex, 32 bytes; the same for all services")
    service_key: SecretStr = Field(SecretStr(""), description="This service's key, hex, 32 bytes")


@dataclass(frozen=True, slots=True)
class Service:
    """What makes one domain service: its language, its rules, and the services it hears.

    `hears`: the languages (subsets of other services' events) that decisions here rest on. `reporters`: whose keys may
    report here over HTTP. `redirects`: the services whose types are sent on to them from here. `elsewhere`: environment
    variables of other services. `routes`: what its HTTP process answers besides, given its `settings`.
    """

    language: Language
    domain: Callable[[Sequence[Plan]], Domain]
    hears: tuple[Language, ...] = ()
    reporters: frozenset[Role] = frozenset({Role.DISTRICT})
    redirects: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    settings: type[ServiceSettings] = ServiceSettings
    routes: Callable[[Any], "Routes"] | None = None


class _Deciding:
    """Counts and times of deciding, for Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        registry, name = metrics.registry, metrics.service
        reports = Counter("skillplan_reports_total", "Reports answered.", ["service", "status"], registry=registry)
        self.count = {status: reports.labels(name, status) for status in STATUSES}
        self.seconds = Histogram(
            "skillplan_decision_seconds", "Time from taking a batch to its commit.", ["service"], registry=registry
        ).labels(name)
        self.waited = Histogram(
            "skillplan_lock_wait_seconds", "Time a batch waited for the log's lock.", ["service"], registry=registry
        ).labels(name)


class _CountedHandler(CommandHandler):
    """The command handler with its numbers taken."""

    deciding: _Deciding
    _refused: tuple[str, float] | None = None

    async def handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable] = ()
    ) -> list[Answer]:
        """Decide as the command handler does, counting answers and time."""
        try:
            with self.deciding.seconds.time():
                answers = await super().handle(arrived, unreadable)
        except UNAVAILABLE as error:
            if not isinstance(error, NotCompared):  # which stands on `/readyz` by itself
                self._refused = type(error).__name__, time.monotonic()
            raise
        self._refused = None
        for answer in answers:
            self.deciding.count[answer.status].inc()
        return answers

    @property
    def problem(self) -> str | None:
        """Why nothing can be recorded, as the last attempt of these seconds found: a full disk can still be read."""
        if self._refused is None or time.monotonic() - self._refused[1] > _TRIED_WITHIN:
            return None
        return f"database: records nothing: {self._refused[0]}"


@dataclass(slots=True)
class _Parts:
    """What both processes of a service share."""

    settings: ServiceSettings
    service: Service
    plans: Sequence[Plan]
    store: EventStore
    handler: _CountedHandler
    metrics: Metrics
    tracing: Tracing

    @property
    def name(self) -> str:
        return self.service.language.service

    @property
    def districts(self) -> list[str]:
        return sorted(self.handler.decoder.districts)

    async def ask(self) -> list[Reading]:
        """Ask the database how everything stands."""
        found, own = await self.store.watch(), (self.name,)
        self.metrics.health.report("log", _not_compared(self.name, await self.store.head()))
        self.metrics.health.report("decisions", self.handler.problem)
        left = [
            Reading(f"skillplan_relay_{what}", max(0.0, found[f"{outbox}_{column}"] or 0), (*own, outbox))
            for outbox in ("facts", "receipts", "quarantine")
            for what, column in (("lag", "left"), ("age_seconds", "age"))
        ]
        return [
            Reading("skillplan_log_position", found["position"], own),
            Reading("skillplan_receipts_recorded", found["receipts"], own),
            Reading("skillplan_waiting_reports", found["waiting"], own),
            Reading("skillplan_waiting_oldest_seconds", max(0.0, found["waiting_age"] or 0), own),
            Reading("skillplan_quarantined", found["quarantined"], own),
            Reading("skillplan_oldest_transaction_seconds", max(0.0, found["transaction_age"] or 0), own),
            *left,
        ]


async def _check_database(service: str, dsn: str, keys: Mapping[str, bytes]) -> None:
    """Refuse tables of another version, and keys other than those the log was begun with.

    With another city key a person known already would be counted a second time, and nobody would notice. A database
    that is away is waited for, as at any other time.
    """
    try:
        connection = await connect(dsn, "SKILLPLAN_PG_DSN")
        try:
            await check(connection, _MIGRATIONS, service)
            digests = {name: hmac.digest(key, b"skillplan key check", "sha256")[:16] for name, key in keys.items()}
            wrong = await foreign_keys(connection, digests)
        finally:
            await connection.close()
    except (*UNAVAILABLE, TimeoutError) as error:
        _log.warning("database.away", error=type(error).__name__)
        return
    if wrong:
        names = ", ".join(f"SKILLPLAN_{name.upper()}" for name in wrong)
        raise ConfigurationError(
            f"{names} 不是这个数据库一直使用的密钥:同一个人会被当作另一个人。请用原来的密钥。"
            f" {names}: not what this database was begun with; the same person would become another. Use the old one."
        )


def _not_compared(service: str, head: Mapping[str, Any]) -> str | None:
    """Say why nothing is decided although the database is there; None when it is."""
    if head["compared"]:
        return None
    if head["topic"] is None:
        return "not compared with its topic yet: the worker does it"
    return (
        f"{service}.events is at {head['topic']}, the log at {head['position']}: a database restored from a backup?"
        f" Stop the worker and run `recover` (docs/operations.md)"
    )


async def _open(service: Service, settings: ServiceSettings, process: str, health: Health) -> _Parts:
    name = service.language.service
    metrics, tracing = Metrics(name, process, health), Tracing(settings.otlp, name, process)
    deciding = _Deciding(metrics)
    plans = load_plans(settings.plans)
    dsn = settings.pg_dsn.get_secret_value()
    keys = {key: bytes.fromhex(getattr(settings, key).get_secret_value()) for key in ("city_key", "service_key")}
    await _check_database(name, dsn, keys)
    store = EventStore(await open_pool(dsn, f"skillplan {name} {process}"))
    districts = {district.code for plan in plans for district in plan.districts}
    handler = _CountedHandler(
        Decoder(service.language, districts, Keys(keys["city_key"]), service.redirects),
        service.domain(plans),
        store,
        Seal(keys["service_key"]),
        service.hears,
        tracing,
        deciding.waited.observe,
    )
    handler.deciding = deciding
    parts = _Parts(settings, service, plans, store, handler, metrics, tracing)
    metrics.ask("database", parts.ask)
    return parts


class Worker:
    """The worker process: inbox, policies, relay, and its probes."""

    def __init__(self, parts: _Parts) -> None:
        from shared.service.kafka_reports import Inbox  # noqa: PLC0415 - Faust costs every other command half a second to start

        self._parts = parts
        settings, name = parts.settings, parts.name
        self._group = f"skillplan-{name}"
        health = parts.metrics.health
        self.inbox = Inbox(self._group, settings.broker, health)
        self._holes = dict.fromkeys((f"{language.service}.events" for language in parts.service.hears), False)
        self.inbox.subscribe(
            "reports", [f"{name}.reports.{district}" for district in parts.districts], self._take_reports
        )
        for language in parts.service.hears:
            self.inbox.subscribe(language.service, [f"{language.service}.events"], self._hear(language.service))
        self.relay = Relay(
            settings.pg_dsn.get_secret_value(), settings.broker, name, health, self._hear_again, parts.tracing
        )
        parts.metrics.read(self._read)
        self._read_again: dict[str, int] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def _take_reports(self, messages: "Sequence[KafkaMessage]") -> None:
        arrived: list[Report | NotUnderstood] = []
        unreadable = []
        began = self._parts.tracing.now()
        for message in messages:
            at = datetime.fromtimestamp(message.at, UTC)
            try:
                envelope = from_kafka(message.value, message.headers)
            except NotReadableError as error:
                place = (message.topic, message.partition, message.offset)
                unreadable.append(Unreadable(*place, str(error), message.value or b"", at))
            else:
                door = Channel(district=message.topic.rpartition(".")[2])
                arrived.append(self._parts.handler.decoder.decode(envelope, door, at))
        self._parts.tracing.receive((report for report in arrived if isinstance(report, Report)), began)
        await self._parts.handler.handle(arrived, unreadable)

    def _hear(self, service: str) -> Callable[[Sequence["KafkaMessage"]], Awaitable[None]]:
        async def hear(messages: "Sequence[KafkaMessage]") -> None:
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
                if self._read_again.get(service) != heard + 1:  # the topic may have been made anew, or we restored
                    self._from_the_start(service, heard + 1)
                _log.error("hear.hole", of=service, missing=heard + 1)
            self._holes[f"{service}.events"] = hole
            problem = f"position {heard + 1} is missing" if hole else None
            self._parts.metrics.health.report(f"{service}.events", problem)

        return hear

    def _from_the_start(self, service: str, missing: int) -> None:
        """Let a log be heard again from its start; what was heard is known by its position."""
        self._read_again[service] = missing
        reading = asyncio.create_task(self.inbox.read_again(f"{service}.events"))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _hear_again(self) -> None:
        """Hear a log again when less is to come than is missing: the database is older than what was acknowledged."""
        for language in self._parts.service.hears:
            service = language.service
            async with TopicReader(self._parts.settings.broker, service, self._group) as published:
                (position, _), to_come = await published.last(), await published.to_come()
            heard = await self._parts.store.subscription(service)
            if position - heard > to_come:
                self._from_the_start(service, heard + 1)

    async def run(self) -> None:
        """Work, and answer probes, until SIGTERM or SIGINT."""
        app = Starlette()
        add_probes(app, self._parts.metrics)
        await serve(app, self._parts.settings, self._work, self._parts.metrics)

    async def _work(self, stop: asyncio.Event) -> None:
        beside = [asyncio.create_task(work) for work in (self.relay.run(), self._expire())]
        for task in beside:
            task.add_done_callback(end_process_if_failed)
        await self.inbox.run(stop)
        for task in beside:
            task.cancel()

    async def _expire(self) -> None:
        """Refuse what has waited too long (RULES D13); looked for every minute, since days are what counts."""
        districts_by_days = districts_by_waiting_days(self._parts.plans)
        while True:
            try:
                for days, districts in districts_by_days.items():
                    while await self._parts.handler.expire(days, districts):
                        pass
            except UNAVAILABLE:
                _log.warning("expiry.paused", waiting_for="database")
            await asyncio.sleep(60)

    def _read(self) -> list[Reading]:
        own = (self._parts.name,)
        return [
            Reading("skillplan_inbox_lag", self.inbox.lag(), own),
            Reading("skillplan_inbox_partitions", self.inbox.partitions(), own),
            *(Reading("skillplan_parked", hole, (*own, line)) for line, hole in self._holes.items()),
        ]


_NEEDED: Final = {
    "api": ("pg_dsn", "city_key", "service_key"),
    "worker": ("pg_dsn", "city_key", "service_key"),
    "migrate": ("pg_owner_dsn",),
    "recover": ("pg_dsn",),
}


def main(service: Service) -> None:
    """Run one of a service's processes: `api`, `worker`, `migrate`, or `recover` after a restored backup."""
    name = service.language.service
    command, settings = parse_command_line(f"services.{name}", service.settings, _NEEDED, service.elsewhere)
    # What a batch makes dies with it by itself; at its usual pace the collector takes a tenth of the worker's time, and
    # a quarter of the api's, to find nothing.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        match command:
            case "migrate":
                asyncio.run(migrate(settings.pg_owner_dsn.get_secret_value(), _MIGRATIONS, grants_to=name))
            case "recover":
                asyncio.run(_recover(service, settings))
            case "api":
                uvloop.run(_serve(service, settings))
            case _:
                uvloop.run(_work(service, settings))
    except (ConfigurationError, PlanError, CannotRecover) as error:
        sys.exit(str(error))


async def _recover(service: Service, settings: ServiceSettings) -> None:
    name, plans = service.language.service, load_plans(settings.plans)
    districts = sorted({district.code for plan in plans for district in plan.districts})
    heard = [language.service for language in service.hears]
    dsn = settings.pg_dsn.get_secret_value()
    taken = await recover(dsn, settings.broker, service.language, service.domain(plans), districts, heard)
    sys.stdout.write(taken.tell(name) + "\n")


async def _serve(service: Service, settings: ServiceSettings) -> None:
    from shared.service.http_reports import create_app  # noqa: PLC0415 - FastAPI costs a worker half a second to start

    parts = await _open(service, settings, "api", Health("database"))
    app = create_app(parts.handler, service.reporters, service.routes(settings) if service.routes else None)
    add_probes(app, parts.metrics)
    await serve(app, settings, until, parts.metrics)
    parts.tracing.close()


async def _work(service: Service, settings: ServiceSettings) -> None:
    parts = await _open(service, settings, "worker", Health("database", "kafka", "relay"))
    await Worker(parts).run()
    parts.tracing.close()
