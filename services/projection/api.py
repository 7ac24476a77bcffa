"""Answers over HTTP what the numbers are, and how far behind the logs they are."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import structlog
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from services.projection.contract import add_contract
from services.projection.counting.generations import of_generation
from services.projection.pages import add_pages
from services.projection.queries import (
    briefing,
    changes,
    closings,
    facts,
    measures,
    months,
    outlook,
    plans,
    ranking,
    stream,
    target_progress,
    who_is_behind,
)
from services.projection.queries.cache import KeptSums, ResponseCache
from services.projection.queries.snapshot import SnapshotReader
from services.projection.receipts import lookup
from services.projection.receipts import query as district_receipts
from shared.contract.events import parse_instant
from shared.http.openapi import describe
from shared.http.problems import answer_problems
from shared.observability.health import Health
from shared.observability.metrics import Metrics, NotWell, Reading, Since
from shared.process.process import add_probes, end_process_if_failed

_LATE_SECONDS = 60.0
_log = structlog.get_logger()


class LogHeads:
    """Asks each service once a second where its log stands; remembers nothing of one that does not answer."""

    def __init__(self, services: Mapping[str, str], client: httpx.AsyncClient, health: Health) -> None:
        self._services = dict(services)
        self._client = client
        self._health = health
        self._heads: dict[str, tuple[int, datetime]] = {}
        self._since = {service: Since() for service in services}
        self._behind: dict[str, tuple[int, float]] = {}
        self.counted: dict[str, int] = {}  # the position counted of each log, as the database said last

    def head(self, service: str) -> tuple[int, datetime] | None:
        """Return position and instant of the last fact of a log, None when the service did not answer last time."""
        return self._heads.get(service)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(1)

    async def ask(self, settled: bool = False) -> tuple[str, ...]:
        """Ask every service now; return which ones there are. `settled`: once what it decides right now is recorded."""
        await asyncio.gather(*(self._ask(service, url, settled) for service, url in self._services.items()))
        return tuple(self._services)

    async def _ask(self, service: str, url: str, settled: bool) -> None:
        counted = self.counted.get(service)  # before the head is asked for, so that it is never ahead by itself
        asked, patience = ({"settled": "true"}, 15) if settled else ({}, 2)
        try:
            answer = await self._client.get(f"{url}/v1/log/head", params=asked, timeout=patience)
            answer.raise_for_status()
            head = answer.json()
            at = parse_instant(head["recorded_at"])
            self._heads[service] = (int(head["position"]), at or datetime.now(UTC))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            self._behind.pop(service, None)
            self._health.warn(service, "no answer: how far behind its numbers are is not known")
            if self._heads.pop(service, None) is not None:
                _log.warning("heads.no-answer", service=service, error=type(error).__name__)
        else:
            self._compare(service, counted)

    def _compare(self, service: str, counted: int | None) -> None:
        head = self._heads[service][0]
        self._since[service].note(head)
        if counted is None:
            self._behind.pop(service, None)
            return
        events, seconds = head - counted, self._since[service].seconds(counted)
        self._behind[service] = events, seconds
        late = seconds > _LATE_SECONDS
        self._health.warn(service, f"{events} facts not counted yet, for {seconds:.0f} s" if late else None)

    def read(self) -> list[Reading]:
        """Return how far the numbers are behind each log that answers."""
        return [
            Reading(f"skillplan_projection_behind_{what}", value, (service,))
            for service, behind in self._behind.items()
            for what, value in zip(("events", "seconds"), behind, strict=True)
        ]


def create_app(
    pool: asyncpg.Pool,
    services: Mapping[str, str],
    client: httpx.AsyncClient,
    metrics: Metrics,
    outlines: Path | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """Return the read API and the dashboard; `services` are the addresses of the domain services, by name, `client`
    asks them."""
    heads = LogHeads(services, client, metrics.health)
    reader = SnapshotReader(pool)
    pulse = stream.CheckpointWatch(reader, heads, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(heads.run()), asyncio.create_task(pulse.run())]
        for task in running:
            task.add_done_callback(end_process_if_failed)
        yield
        for task in running:
            task.cancel()

    async def look() -> list[Reading]:
        heads.counted = {}
        async with pool.acquire(timeout=3) as connection:
            number = await connection.fetchval("select generation from head")
            if number is None:
                raise NotWell("no numbers yet: the projector has not started")
            with contextlib.suppress(asyncpg.UndefinedTableError):  # a switch came between
                rows = await connection.fetch(of_generation(number)["checkpoints"])
                heads.counted = {row["service"]: row["position"] for row in rows}
        return []

    app = FastAPI(
        title="Skillplan projection",
        version="1",
        summary="进度查询 Progress of plans, as of a day, as known at an instant",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    answer_problems(app)
    describe(app, "projection")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    sums = KeptSums()
    answers = ResponseCache(reader, heads, sums, clock)
    app.include_router(plans.routes(reader))
    for question in (target_progress, months, ranking, who_is_behind, outlook, measures):
        app.include_router(question.routes(answers))
    app.include_router(facts.routes(reader, sums, clock))
    app.include_router(briefing.routes(answers, reader, clock))
    app.include_router(closings.routes(reader, heads, heads.ask, sums, clock))
    app.include_router(changes.routes(reader, clock))
    app.include_router(stream.routes(reader, pulse))
    app.include_router(lookup.routes(services, client))
    app.include_router(district_receipts.routes(reader))
    add_pages(app, outlines)
    add_contract(app)
    metrics.ask("database", look)
    metrics.read(heads.read)
    add_probes(app, metrics)
    return app
