"""One address: whatever a service answers, the gateway answers or passes on to it (issue 16.1)."""

from __future__ import annotations

import pytest

from services.catalogue import DOMAIN_SERVICES
from services.gateway.openapi import service_of
from tests.harness.apis import app_of, routes_with_keys


@pytest.mark.parametrize("service", ["projection", *DOMAIN_SERVICES])
async def test_every_route_of_a_service_is_at_the_one_address(service: str) -> None:
    own = {route for name in ("gateway", "projection") for route in routes_with_keys(await app_of(name))}
    missing = [
        (method, path)
        for method, path in routes_with_keys(await app_of(service))
        if service_of(method, path) != service
        and (method, path) not in own
        and ("GET", "/services/{service}" + path) not in own
        and not (method == "GET" and path.startswith("/v1/log/"))  # the gateway's route takes all that follows
    ]
    assert missing == []
