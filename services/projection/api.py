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
from prometheus_client import CollectorRegistry, Gauge

from services.projection import live, receipts
from services.projection.pages import add_pages
from services.projection.read_models import (
    briefing,
    changes,
    facts,
    measures,
    months,
    outlook,
    plans,
    ranking,
    target_progress,
    who_is_behind,
)
from services.projection.read_models import receipts as district_receipts
from services.projection.read_models.answers import Answers
from services.projection.read_models.reading import Reader
from services.projection.store import of_generation
from shared.event_store import UNAVAILABLE
from shared.events import parse_instant
from shared.health import Health
from shared.http import answer_problems
from shared.process import add_probes, end_process_if_failed

_log = structlog.get_logger()


class LogHeads:
    """Asks each service once a second where its log stands; remembers nothing of one that does not answer."""

    def __init__(self, services: Mapping[str, str], client: httpx.AsyncClient) -> None:
        self._services = dict(services)
        self._client = client
        self._heads: dict[str, tuple[int, datetime]] = {}

    def head(self, service: str) -> tuple[int, datetime] | None:
        """Return position and instant of the last fact of a log, None when the service did not answer last time."""
        return self._heads.get(service)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.gather(*(self._ask(service, url) for service, url in self._services.items()))
            await asyncio.sleep(1)

    async def _ask(self, service: str, url: str) -> None:
        try:
            answer = await self._client.get(f"{url}/v1/log/head", timeout=2)
            answer.raise_for_status()
            head = answer.json()
            at = parse_instant(head["recorded_at"])
            self._heads[service] = (int(head["position"]), at or datetime.now(UTC))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            if self._heads.pop(service, None) is not None:
                _log.warning("heads.no-answer", service=service, error=type(error).__name__)


def create_app(
    pool: asyncpg.Pool,
    services: Mapping[str, str],
    client: httpx.AsyncClient,
    health: Health,
    outlines: Path | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """Return the read API and the dashboard; `services` are the addresses of the domain services, by name, `client`
    asks them."""
    heads = LogHeads(services, client)
    reader = Reader(pool)
    pulse = live.Pulse(reader, heads, clock)
    registry = CollectorRegistry()
    behind = Gauge("skillplan_projection_behind_events", "Facts not counted yet.", ["service"], registry=registry)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(heads.run()), asyncio.create_task(pulse.run())]
        for task in running:
            task.add_done_callback(end_process_if_failed)
        yield
        for task in running:
            task.cancel()

    async def check() -> None:
        try:
            async with pool.acquire(timeout=3) as connection:
                number = await connection.fetchval("select generation from head", timeout=3)
                if number is not None:
                    rows = await connection.fetch(of_generation(number)["checkpoints"])
                    for row in rows:
                        if (head := heads.head(row["service"])) is not None:
                            behind.labels(row["service"]).set(max(0, head[0] - row["position"]))
        except (*UNAVAILABLE, TimeoutError, asyncpg.UndefinedTableError) as error:
            health.report("database", f"not available: {type(error).__name__}")
        else:
            health.report("database", None if number is not None else "no numbers yet: the projector has not started")

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
    answers = Answers(reader, heads, clock)
    app.include_router(plans.routes(reader))
    for question in (target_progress, months, ranking, who_is_behind, outlook, measures):
        app.include_router(question.routes(answers))
    app.include_router(facts.routes(reader, clock))
    app.include_router(briefing.routes(answers, reader, clock))
    app.include_router(changes.routes(reader, clock))
    app.include_router(live.routes(reader, pulse))
    app.include_router(receipts.routes(services, client))
    app.include_router(district_receipts.routes(reader))
    add_pages(app, outlines)
    add_probes(app, health, registry, check)
    return app
