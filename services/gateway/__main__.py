"""Composition root of the gateway."""

import secrets
import sys

import aiohttp
import uvloop
from pydantic import Field

from services.catalogue import ELSEWHERE
from services.gateway.sessions import BrowserSessions, Sessions
from services.gateway.upstream import Upstream
from shared.http.client import trusted
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics
from shared.plan.loading import PlanError, load_plans
from shared.process.memory import keep_memory
from shared.process.process import serve, until
from shared.process.settings import Settings, parse_command_line


class GatewaySettings(Settings):
    """Settings of the gateway's own: where the services answer."""

    services: dict[str, str] = Field({}, description='Addresses of the services, {"enrollment": "http://…", …}')
    projection: str = Field("", description="Address of the projection, http://…")


async def _serve(settings: GatewaySettings) -> None:
    from services.gateway.api import create_app  # noqa: PLC0415 - FastAPI is of no use to --show-settings

    metrics = Metrics("gateway", "api", Health())
    async with Upstream(settings.services, settings.projection, trusted(settings.ca), metrics.health) as upstream:
        # What hashes the keys is common to all gateways of an installation; without it there are no keys to keep.
        pepper = settings.key_pepper.get_secret_value()
        sessions = Sessions(bytes.fromhex(pepper) if pepper else secrets.token_bytes(32))
        app = create_app(upstream, metrics, load_plans(settings.plans), sessions)
        await serve(app, settings, until, metrics, lambda gate: BrowserSessions(gate, sessions))


def main() -> None:
    """Run the gateway: `api`."""
    _, settings = parse_command_line("services.gateway", GatewaySettings, {"api": ()}, ELSEWHERE)
    keep_memory()
    try:
        uvloop.run(_serve(settings))
    except (ConfigurationError, PlanError, aiohttp.InvalidURL) as error:
        sys.exit(str(error))


main()
