"""How often the services are asked for the heads of their logs: each second for readers, seldom without any."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.projection.queries import log_heads
from services.projection.queries.log_heads import LogHeads
from shared.observability.health import Health


class Service:
    """A service whose log grows whenever it is asked for its head."""

    def __init__(self) -> None:
        self.requests = 0
        self.app = Starlette(routes=[Route("/v1/log/head", self.head)])

    async def head(self, _request: Request) -> JSONResponse:
        self.requests += 1
        return JSONResponse({"position": self.requests, "recorded_at": "2024-05-31T17:00:00Z"})


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def heads(service: Service) -> AsyncIterator[LogHeads]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app)) as client:
        heads = LogHeads({"recruitment": "http://recruitment"}, client, Health())
        running = asyncio.create_task(heads.run())
        yield heads
        running.cancel()


async def asked_again(service: Service, within: float) -> bool:
    before = service.requests
    try:
        async with asyncio.timeout(within):
            while service.requests == before:  # noqa: ASYNC110 - it is asked over HTTP
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


async def test_while_nobody_reads_the_services_are_asked_seldom_and_a_reader_gets_what_is_so_now(
    monkeypatch: pytest.MonkeyPatch, service: Service, heads: LogHeads
) -> None:
    monkeypatch.setattr(log_heads, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(log_heads, "_SELDOM_SECONDS", 600.0)
    assert service.requests or await asked_again(service, 30)
    assert not await asked_again(service, 2.5)
    known = service.requests
    assert known + 1 in [head.position for head in await heads.recent() if head]


async def test_without_readers_they_are_asked_all_the_same(
    monkeypatch: pytest.MonkeyPatch, service: Service, heads: LogHeads
) -> None:
    monkeypatch.setattr(log_heads, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(log_heads, "_SELDOM_SECONDS", 0.0)
    for _ in range(2):
        assert await asked_again(service, 30)
    assert heads.heads()


async def test_while_somebody_reads_nobody_waits(service: Service, heads: LogHeads) -> None:
    assert service.requests or await asked_again(service, 30)
    async with asyncio.timeout(0.5):
        await heads.recent()
    assert await asked_again(service, 30)
