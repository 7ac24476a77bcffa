"""Composition root of a domain service: its settings, and its processes `api`, `worker`, `migrate`, `recover`."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvloop
from pydantic import Field, SecretStr

from shared.contract.decoder import Decoder, Keys
from shared.contract.events import Language
from shared.deciding.decider import Domain
from shared.http.api_keys import Role
from shared.kafka.clients import ReservedTopic
from shared.log.checkpoints import LogSigner
from shared.log.database import MIGRATIONS, check_database, database_name
from shared.log.event_store import EventStore, open_pool
from shared.log.migrate import migrate
from shared.log.rewrapping import rewrap
from shared.log.sandbox import open_sandbox
from shared.log.sealing import Seal
from shared.log.sm2 import Sm2Refused
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics
from shared.observability.tracing import Tracing
from shared.plan.loading import PlanError, load_plans
from shared.plan.model import former_codes
from shared.process.memory import keep_memory
from shared.process.process import add_probes, serve, until
from shared.process.settings import Settings, parse_command_line
from shared.service.command_handler import CommandHandler
from shared.service.decision_metrics import DecisionMetrics
from shared.service.parts import Parts
from shared.service.recovery import CannotRecover, recover
from shared.service.sandbox import SandboxHandler

if TYPE_CHECKING:
    from shared.service.http_reports import Routes


class ServiceSettings(Settings):
    """Settings of a domain service: those of every process, and its keys."""

    city_key: SecretStr = Field(SecretStr(""), description="The city's key, hex, 32 bytes; the same for all services")
    service_key: SecretStr = Field(SecretStr(""), description="This service's key, hex, 32 bytes")
    old_service_key: SecretStr = Field(SecretStr(""), description="The one from before, until `rewrap` is done")
    log_key: SecretStr = Field(SecretStr(""), description="What this log's checkpoints are signed with, hex, 32 bytes")
    log_gm_key: SecretStr = Field(SecretStr(""), description="Signs them by SM2, too; hex, secret and public key")
    witnesses: str = Field("", description="Witnesses of the log, https://…/#<verifier key>, separated by spaces")
    quarantine_days: int = Field(90, ge=1, description="How long bytes are stored that could not be read")
    inbox_rate: int = Field(
        0, ge=0, description="Messages a second that a worker takes from Kafka at most; 0: any number"
    )


@dataclass(frozen=True, slots=True)
class Service:
    """What makes one domain service: its language, its rules, and the services it hears.

    `hears`: the languages (subsets of other services' events) that decisions here rest on. `reporters`: whose keys may
    report all types over HTTP. `redirects`: the services whose types are sent on to them from here. `elsewhere`:
    environment variables of other services. `routes`: what its HTTP process answers besides, given its `settings`.
    `reserved`: the topic of its own from which alone its reserved types are taken. `keys`: those of its settings that
    are keys of its rules, which `domain` is given as bytes of that name, empty where not set.
    """

    language: Language
    domain: Callable[..., Domain]
    hears: tuple[Language, ...] = ()
    reporters: frozenset[Role] = frozenset({Role.DISTRICT})
    redirects: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    settings: type[ServiceSettings] = ServiceSettings
    routes: Callable[..., "Routes"] | None = None
    reserved: ReservedTopic | None = None
    keys: tuple[str, ...] = ()


async def _open(service: Service, settings: ServiceSettings, process: str, health: Health) -> Parts:
    name = service.language.service
    metrics, tracing = Metrics(name, process, health), Tracing(settings.otlp, name, process)
    plans = load_plans(settings.plans)
    dsn = settings.pg_dsn.get_secret_value()
    keys = _bytes_of(settings, _KEYS)
    old = bytes.fromhex(settings.old_service_key.get_secret_value())
    await check_database(name, dsn, keys, {"service_key": old} if old else {})
    sandbox = await open_sandbox(dsn, f"skillplan {name} {process}")
    store = EventStore(await open_pool(dsn, f"skillplan {name} {process}"), sandbox)
    decoder = Decoder(
        service.language,
        {code for plan in plans for code in plan.district_codes},
        Keys(keys["city_key"]),
        service.redirects,
        {listed.code for plan in plans for listed in plan.credit_codes},
        former_codes(plans),
    )
    domain = service.domain(plans, **_bytes_of(settings, service.keys))
    seal = Seal(keys["service_key"], old)
    handler = CommandHandler(
        decoder, domain, store, seal, service.hears, tracing, DecisionMetrics(name, metrics.registry),
        sandbox=SandboxHandler(decoder, domain, sandbox, seal, service.hears, tracing),
    )  # fmt: skip
    parts = Parts(settings, plans, store, handler, metrics, tracing)
    metrics.ask("database", parts.ask)
    return parts


def _bytes_of(settings: ServiceSettings, keys: tuple[str, ...]) -> dict[str, bytes]:
    return {key: bytes.fromhex(getattr(settings, key).get_secret_value()) for key in keys}


_KEYS: Final = ("city_key", "service_key")
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "api": ("pg_dsn", *_KEYS),
    "worker": ("pg_dsn", *_KEYS),
    "migrate": ("pg_owner_dsn",),
    "recover": ("pg_dsn",),
    "rewrap": ("pg_owner_dsn", "service_key", "old_service_key"),
}


def main(service: Service) -> None:
    """Run one of a service's processes or commands: `recover` is for a restored backup, `rewrap` for a rotated key."""
    name = service.language.service
    command, settings = parse_command_line(f"services.{name}", service.settings, _NEEDED, service.elsewhere)
    keep_memory()
    try:
        match command:
            case "migrate":
                role = database_name(name, settings.namespace)
                asyncio.run(migrate(settings.pg_owner_dsn.get_secret_value(), MIGRATIONS, grants_to=role))
            case "recover":
                asyncio.run(_recover(service, settings))
            case "rewrap":
                asyncio.run(_rewrap(service, settings))
            case "api":
                uvloop.run(_serve(service, settings))
            case _:
                uvloop.run(_work(service, settings))
    except (ConfigurationError, PlanError, CannotRecover) as error:
        sys.exit(str(error))


async def _recover(service: Service, settings: ServiceSettings) -> None:
    name, plans = service.language.service, load_plans(settings.plans)
    districts = sorted({code for plan in plans for code in (*plan.district_codes, *plan.former_codes)})
    heard = [language.service for language in service.hears]
    dsn = settings.pg_dsn.get_secret_value()
    senders = [*districts, *([service.reserved.sender] if service.reserved else [])]
    recovered = await recover(dsn, settings.broker, service.language, service.domain(plans), districts, senders, heard)
    sys.stdout.write(recovered.text(name) + "\n")


async def _rewrap(service: Service, settings: ServiceSettings) -> None:
    key, old = (bytes.fromhex(each.get_secret_value()) for each in (settings.service_key, settings.old_service_key))
    persons, unreadable = await rewrap(settings.pg_owner_dsn.get_secret_value(), key, old)
    name = service.language.service
    sys.stdout.write(
        f"{name}: 已改由新密钥包裹 {persons} 把个人密钥、{unreadable} 条隔离字节\n"
        f"  keys of {persons} persons and {unreadable} quarantined messages are under the new key\n"
    )


async def _serve(service: Service, settings: ServiceSettings) -> None:
    from shared.service.http_reports import create_app  # noqa: PLC0415 - FastAPI costs a worker half a second to start

    parts = await _open(service, settings, "api", Health("database"))
    signer = _signer(service, settings)
    app = create_app(parts.handler, service.reporters, service.routes(settings) if service.routes else None, signer)
    add_probes(app, parts.metrics)
    await serve(app, settings, until, parts.metrics)
    parts.tracing.close()


def _signer(service: Service, settings: ServiceSettings) -> LogSigner | None:
    log_key, sm2_key = settings.log_key.get_secret_value(), settings.log_gm_key.get_secret_value()
    if not log_key:
        return None
    try:
        return LogSigner(service.language.service, bytes.fromhex(log_key), sm2_key)
    except Sm2Refused as refused:
        raise ConfigurationError(str(refused)) from None


async def _work(service: Service, settings: ServiceSettings) -> None:
    from shared.service.witnesses import Witnessing  # noqa: PLC0415 - needed by no other process
    from shared.service.worker import Worker  # noqa: PLC0415 - Faust costs every other command half a second to start

    parts = await _open(service, settings, "worker", Health("database", "kafka", "relay"))
    witnessing = Witnessing(parts, _signer(service, settings), settings.witnesses)
    await Worker(
        parts, service.hears, service.reserved, settings.quarantine_days, witnessing, settings.inbox_rate
    ).run()
    parts.tracing.close()
