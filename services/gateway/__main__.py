"""Composition root of the gateway."""

import sys

import aiohttp
import uvloop
from pydantic import Field

from services.catalogue import ELSEWHERE
from services.gateway.upstream import Upstream
from shared.http.client import trusted
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics
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
        await serve(create_app(upstream, metrics), settings, until, metrics)


def main() -> None:
    """Run the gateway: `api`."""
    _, settings = parse_command_line("services.gateway", GatewaySettings, {"api": ()}, ELSEWHERE)
    keep_memory()
    try:
        uvloop.run(_serve(settings))
    except (ConfigurationError, aiohttp.InvalidURL) as error:
        sys.exit(str(error))


main()
