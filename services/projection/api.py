"""The read API and the dashboard of the projection: composition of its routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import asyncpg
import httpx
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from services.projection import contract
from services.projection.counting.generations import of_generation
from services.projection.pages import add_pages
from services.projection.queries import (
    briefing,
    changes,
    closings,
    difference,
    district_matrix,
    facts,
    figures,
    logs,
    measures,
    months,
    notes,
    outlook,
    plans,
    ranking,
    sandbox,
    stream,
    target_progress,
    who_is_behind,
    would_count,
)
from services.projection.queries.cache import LEAST_ZIPPED, ZIP_LEVEL, KnownAnswers, ResponseCache
from services.projection.queries.checkpoint_watch import CheckpointWatch
from services.projection.queries.context import Question, ReadContext, pure
from services.projection.queries.log_heads import LogHeads
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from services.projection.queries.sums import SumsCache
from services.projection.receipts import lookup
from services.projection.receipts import query as district_receipts
from services.projection.receipts.store import receipts_read
from shared.http.openapi import describe
from shared.http.problems import Problem, answer_problems
from shared.observability.metrics import Metrics, NotWell, Reading
from shared.process.process import add_probes, end_process_if_failed

_ROUTERS = (
    plans.router,
    target_progress.router,
    months.router,
    ranking.router,
    district_matrix.router,
    who_is_behind.router,
    outlook.router,
    measures.router,
    logs.router,
    facts.router,
    briefing.router,
    figures.router,
    closings.router,
    notes.router,
    changes.router,
    stream.router,
    would_count.router,
    sandbox.router,
    difference.router,
    lookup.router,
    district_receipts.router,
)


def create_app(
    pool: asyncpg.Pool,
    services: Mapping[str, str],
    client: httpx.AsyncClient,
    metrics: Metrics,
    figures_key: bytes,
    outlines: Path | None = None,
    exports: asyncpg.Pool | None = None,
    example_day: date | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    frames: Sequence[str] = (),
) -> FastAPI:
    """Return the read API and the dashboard.

    `services`: the addresses of the domain services by name, which `client` asks. `figures_key`: by which a month's
    figures are sealed. `outlines`, `frames`: see `add_pages`. `exports`: see `SnapshotReader`. `example_day`: the day
    of made-up data, which is shown where a question names none; nothing is decided by it.
    """
    heads = LogHeads(services, client, metrics.health)
    reader = SnapshotReader(pool, exports)

    async def count_receipts(view: Snapshot) -> int:
        return await receipts_read(view.connection)

    watch = CheckpointWatch(reader, heads, count_receipts, clock, example_day)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(heads.run()), asyncio.create_task(watch.run())]
        for task in tasks:
            task.add_done_callback(end_process_if_failed)
        tasks.append(asyncio.create_task(_warm(context, reader)))
        yield
        for task in tasks:
            task.cancel()

    app = FastAPI(
        title="Skillplan projection",
        version="1",
        summary="进度查询 Progress of plans, as of a day, as known at an instant",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    cache = ResponseCache(reader, heads)
    context = app.state.context = ReadContext(
        reader, heads, watch, cache, SumsCache(), clock, services, client, figures_key, example_day
    )
    answer_problems(app)
    describe(app, "projection")
    app.add_middleware(GZipMiddleware, minimum_size=LEAST_ZIPPED, compresslevel=ZIP_LEVEL)
    app.add_middleware(KnownAnswers, cache=cache, clock=clock)
    for router in _ROUTERS:
        app.include_router(router)
    add_pages(app, outlines, frames=frames)
    app.include_router(contract.router)
    metrics.ask("database", partial(_look_at_checkpoints, pool, heads))
    metrics.read(heads.read)
    add_probes(app, metrics)
    return app


async def _warm(context: ReadContext, reader: SnapshotReader) -> None:
    """Make the first answers, so that no visitor waits for what they take: a connection, the plans compiled."""
    with contextlib.suppress(Problem):
        async with reader.view() as view:
            named = list(view.compiled.plans)
        for plan in named:
            day = context.today(context.clock()).isoformat()  # as the dashboard asks
            await context.respond(Question(("progress",), plan, day, None), pure(target_progress.progress))
            await context.respond(Question(("districts",), plan, day, None), pure(district_matrix.district_matrix))


async def _look_at_checkpoints(pool: asyncpg.Pool, heads: LogHeads) -> list[Reading]:
    """See how far each log is counted, which tells whether the database is there, too."""
    heads.counted = {}
    async with pool.acquire(timeout=3) as connection:
        number = await connection.fetchval("select generation from head")
        if number is None:
            raise NotWell("no numbers yet: the projector has not started")
        with contextlib.suppress(asyncpg.UndefinedTableError):  # a switch came between
            rows = await connection.fetch(of_generation(number)["checkpoints"])
            heads.counted = {row["service"]: row["position"] for row in rows}
    return []
