"""Composition root of the planning service."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from services.catalogue import DOMAIN_SERVICES
from shared.service.main import ServiceSettings, main

if TYPE_CHECKING:
    from shared.service.http_reports import Routes


class PlanningSettings(ServiceSettings):
    """Settings of planning: those of every domain service, where others answer, and the key of the seal."""

    services: dict[str, str] = Field({}, description='Addresses of the services, {"enrollment": "http://…", …}')
    projection: str = Field("", description="Address of the projection, http://…")
    figures_key: SecretStr = Field(SecretStr(""), description="Key of the seal on a month's figures, hex, 32 bytes")


def _routes(settings: PlanningSettings) -> "Routes":
    from services.planning.api import routes  # noqa: PLC0415 - FastAPI costs a worker half a second to start

    return routes(settings, settings.projection, settings.services)


main(replace(DOMAIN_SERVICES["planning"].composed(), settings=PlanningSettings, routes=_routes))
