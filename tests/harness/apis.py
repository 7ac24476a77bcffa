"""Every service's API in process: what it has can be read off it, and nothing is asked of a database for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import asyncpg
import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.catalogue import COUNTED, DOMAIN_SERVICES
from services.gateway.api import create_app as gateway_app
from services.gateway.upstream import Upstream
from services.planning.api import routes
from services.projection.api import create_app as projection_app
from shared.contract.decoder import Decoder, Keys
from shared.http.access import is_open
from shared.log.event_store import EventStore
from shared.log.sealing import Seal
from shared.observability.health import Health
from shared.observability.metrics import Metrics
from shared.plan.loading import load_plans
from shared.process.settings import Settings
from shared.service.command_handler import CommandHandler
from shared.service.http_reports import create_app
from tests.conftest import ROOT
from tests.harness.languages import ALL, DISTRICTS

# Pages' files, and what the gateway has no route of its own for: it has them of the services behind it.
_BESIDES: Final = frozenset({"/assets", "/{path:path}"})


def nowhere() -> asyncpg.Pool:
    """Return a pool that never connects."""
    pool: asyncpg.Pool = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    return pool


async def app_of(service: str) -> FastAPI:
    """Return the app that a service's api serves."""
    pool = nowhere()
    metrics = Metrics(service, "api", Health())
    if service == "gateway":
        return gateway_app(Upstream({}, "", tls=True), metrics)
    if service == "projection":
        async with httpx.AsyncClient() as client:
            return projection_app(pool, {}, client, metrics, b"")
    own = routes(Settings(plans=ROOT / "plans"), "", {}) if service == "planning" else None
    return create_app(handler_of(service, pool), routes=own)


def handler_of(service: str, pool: asyncpg.Pool) -> CommandHandler:
    """Return a handler that can decode; its database is asked for what it decides."""
    decoder = Decoder(ALL[service], DISTRICTS, Keys(b"k" * 32), COUNTED)
    domain = DOMAIN_SERVICES[service].domain(load_plans(ROOT / "plans"))
    return CommandHandler(decoder, domain, EventStore(pool), Seal(b"s" * 32))


def routes_with_keys(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route that needs a key, those that no description names among them."""
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if path not in _BESIDES and not is_open(path):
            yield from ((method, path) for method in (route.methods or ()) if method != "HEAD")
