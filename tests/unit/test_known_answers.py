"""A known answer is the same around the routes of the app as through them, and is never given after a change."""

import gzip
from collections.abc import AsyncIterator, Hashable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware

from services.projection.queries.cache import (
    LEAST_ZIPPED,
    ZIP_LEVEL,
    Computed,
    Conditional,
    KnownAnswers,
    ResponseCache,
)
from services.projection.queries.parameters import today
from shared.http.problems import Problem, answer_problems

MIDNIGHT = datetime(2025, 6, 1, 16, tzinfo=UTC)  # in Shanghai


class World:
    """What answers depend on, and how often one was computed."""

    def __init__(self) -> None:
        self.now, self.version, self.computed, self.routed = MIDNIGHT - timedelta(hours=1), 1, 0, 0
        self.away = False

    async def state(self) -> Hashable:
        if self.away:
            raise Problem(503, "不在。", "Away.")
        return self.version

    async def recent(self) -> tuple[int, ...]:
        return (self.version,)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    async def compute(self) -> Computed:
        self.computed += 1
        body = {"version": self.version, "known_at": "", "rows": ["字" * 100] * 50}
        return Computed(body, (self.version, await self.recent()), True, None)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    cache = ResponseCache(cast("Any", world), cast("Any", world))
    router = APIRouter(route_class=Conditional)

    @router.get("/numbers")
    async def numbers(_request: Request, day: str = "") -> Response:
        world.routed += 1
        now = world.clock()
        return await cache.respond((day, None if day else today(now)), world.compute, now)

    app = FastAPI()
    app.state.context = SimpleNamespace(cache=cache)
    answer_problems(app)
    app.add_middleware(GZipMiddleware, minimum_size=LEAST_ZIPPED, compresslevel=ZIP_LEVEL)
    app.add_middleware(KnownAnswers, cache=cache, clock=world.clock)
    app.include_router(router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers={"accept-encoding": ""}
    ) as client:
        yield client


async def test_the_same_bytes_and_headers_but_for_the_instant(world: World, http: httpx.AsyncClient) -> None:
    for headers in ({"accept-encoding": "identity"}, {"accept-encoding": "gzip"}):
        world.version += 1
        routed = world.routed
        first, second = [await http.get("/numbers", headers=headers) for _ in range(2)]
        assert world.routed == routed + 1
        assert first.headers.keys() == second.headers.keys()
        lengths = [int(each.headers.pop("content-length")) for each in (first, second)]
        assert dict(first.headers) == dict(second.headers)
        assert max(lengths) < min(lengths) * 1.5
        assert first.json().pop("known_at") < second.json().pop("known_at")
        assert {**first.json(), "known_at": ""} == {**second.json(), "known_at": ""}
        assert first.text[:14] == second.text[:14]
        assert len(first.text) == len(second.text)


async def test_what_is_compressed_once_is_one_member_of_gzip(world: World, http: httpx.AsyncClient) -> None:
    await http.get("/numbers")
    async with http.stream("GET", "/numbers", headers={"accept-encoding": "br, gzip"}) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert (response.headers["content-encoding"], response.headers["content-length"]) == ("gzip", str(len(raw)))
    assert len(raw) < 600
    assert b'"known_at":"2025-06-01T15:00:00.' in gzip.decompress(raw)
    assert world.routed == 1


async def test_304_for_who_has_it(world: World, http: httpx.AsyncClient) -> None:
    tag = (await http.get("/numbers")).headers["etag"]
    for known, status in ((tag, 304), (f'"x", {tag}', 304), ("*", 304), ('"x"', 200)):
        response = await http.get("/numbers", headers={"if-none-match": known})
        assert (response.status_code, response.headers["etag"]) == (status, tag)
        assert bool(response.content) is (status == 200)
    assert world.routed == 1


async def test_never_after_a_change_or_a_midnight_and_not_for_another_url(
    world: World, http: httpx.AsyncClient
) -> None:
    assert (await http.get("/numbers")).json()["version"] == 1
    world.version = 2
    assert [(await http.get("/numbers")).json()["version"] for _ in range(2)] == [2, 2]
    assert (world.routed, world.computed) == (2, 2)
    await http.get("/numbers?day=2025-01-01")
    assert (world.routed, world.computed) == (3, 3)
    world.now = MIDNIGHT
    await http.get("/numbers")
    assert world.routed == 4
    await http.get("/numbers?day=2025-01-01")
    assert world.routed == 4


async def test_a_database_that_is_away_is_waited_for_once(world: World, http: httpx.AsyncClient) -> None:
    await http.get("/numbers")
    world.away = True
    response = await http.get("/numbers")
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert world.routed == 1
    through = await http.get("/numbers?day=2025-01-01")
    assert world.routed == 2
    assert (through.status_code, through.content) == (503, response.content)
    assert dict(through.headers) == dict(response.headers)
