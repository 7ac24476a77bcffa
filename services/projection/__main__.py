"""Composition root of the projection: `api`, `projector`, `migrate`, `rebuild`, `beside`, `back`, `recount`."""

import asyncio
import contextlib
import os
import sys
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Final

import asyncpg
import uvloop
from pydantic import Field, SecretStr
from starlette.applications import Starlette

from services.catalogue import ELSEWHERE
from services.projection.counting import generations, store, writers
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import Counting, TopicsMissing
from services.projection.counting.projector import Projector
from services.projection.counting.rebuild import RebuildBehind, go_back, rebuild, stand_beside, standing_plans
from services.projection.counting.withheld import FactsWouldGo
from services.projection.exports import difference_report
from services.projection.receipts.follower import ReceiptFollower
from shared.http import client as http_client
from shared.log.database import database_name
from shared.log.event_store import keep_session
from shared.log.migrate import check, connect, migrate, unreachable
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics
from shared.observability.tracing import Tracing
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.loading import PlanError, load_plans
from shared.process.memory import keep_memory
from shared.process.process import add_probes, serve, until
from shared.process.settings import Settings, parse_command_line


class ProjectionSettings(Settings):
    """Settings of the projection's own: the services whose logs it asks for their heads, the key of its seal."""

    services: dict[str, str] = Field({}, description='Addresses of the services, {"enrollment": "http://…", …}')
    figures_key: SecretStr = Field(SecretStr(""), description="Key of the seal on a month's figures, hex, 32 bytes")
    accept: str = Field("", description="Code of a change of the plans that may take facts out of the numbers")
    only: str = Field(
        "", description="Plan that alone is taken from its file by `beside`; the others stay as they count"
    )
    report: str = Field("", description="Folder into which `beside` writes its report as JSON and as a page")
    example_day: date | None = Field(
        None, description="Day of made-up data, shown where none is asked for (YYYY-MM-DD); else today"
    )
    outlines: Path | None = Field(None, description="GeoJSON of outlines, each with a `code`; else the sketch")
    frames: str = Field(
        "",
        pattern=r"^(\s*https?://[A-Za-z0-9.:\[\]-]+)*\s*$",
        description="Origins whose pages may show the dashboard in a frame, https://…, separated by spaces; none else",
    )

    @property
    def dsn(self) -> str:
        """The address of the database, for reading and writing."""
        return self.pg_dsn.get_secret_value()


async def _serve(settings: ProjectionSettings) -> None:
    from services.projection.api import create_app  # noqa: PLC0415 - FastAPI costs the projector half a second to start

    pool, exports = [
        await asyncpg.create_pool(
            settings.dsn, min_size=0, max_size=size, command_timeout=30, reset=keep_session,
            # A plan made for any day and any limit reads the whole line for one page of it.
            server_settings={"application_name": name, "jit": "off", "plan_cache_mode": "force_custom_plan"},
        )
        for name, size in (("skillplan projection api", 8), ("skillplan projection exports", 2))
    ]  # fmt: skip
    metrics = Metrics("projection", "api", Health("database"))
    try:
        async with http_client.client(settings.api_key.get_secret_value(), settings.ca, 5) as client:
            figures_key = bytes.fromhex(settings.figures_key.get_secret_value())
            app = create_app(
                pool, settings.services, client, metrics, figures_key, settings.outlines, exports,
                settings.example_day, frames=settings.frames.split(),
            )  # fmt: skip
            await serve(app, settings, until, metrics)
    finally:
        pool.terminate()
        exports.terminate()


async def _project(settings: ProjectionSettings) -> None:
    metrics = Metrics("projection", "projector", Health("database", "kafka", "lines", "receipts"))
    tracing = Tracing(settings.otlp, "projection", "projector")
    app = Starlette()
    add_probes(app, metrics)
    projector = Projector(settings.dsn, settings.broker, settings.plans, metrics, tracing, settings.accept)
    districts = sorted(
        {code for plan in load_plans(settings.plans) for code in (*plan.district_codes, *plan.successors)}
    )
    receipts = ReceiptFollower(settings.dsn, settings.broker, districts, metrics.health, lambda: projector.is_behind)

    async def project(stop: asyncio.Event) -> None:
        # Any other error than of the database or the broker ends the process, and its supervisor starts another.
        stopping = asyncio.create_task(stop.wait())
        following = [asyncio.create_task(work) for work in (projector.run(), receipts.run())]
        await asyncio.wait([*following, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            for task in following:
                task.cancel()
        for task in sorted(following, key=lambda task: not task.done()):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    await serve(app, settings, project, metrics)
    tracing.close()


async def _rebuild(settings: ProjectionSettings, command: str) -> None:
    compiled = CompiledPlans(load_plans(settings.plans))
    if problem := await settings.broker.problem():
        sys.exit(problem)
    began = asyncio.get_running_loop().time()

    def print_progress(read: int, of: int) -> None:
        seconds = max(asyncio.get_running_loop().time() - began, 0.001)
        print(f"重放 replayed {read:,} / {of:,} ({read / seconds:,.0f}/s)", flush=True)  # noqa: T201 - for a person

    async with writers.connected(settings.dsn, "skillplan projection rebuild") as connection:
        if command == "beside":
            compiled = await _only(connection, compiled, settings.only)
            report = await stand_beside(connection, settings.broker, compiled, Counting(), print_progress)
            print(difference_report.written(report, Path(settings.report) if settings.report else None), flush=True)  # noqa: T201
            return
        number = await rebuild(connection, settings.broker, compiled, Counting(), print_progress, settings.accept)
    print(f"已切换到第 {number} 代 switched to generation {number}", flush=True)  # noqa: T201


async def _only(connection: asyncpg.Connection, compiled: CompiledPlans, plan: str) -> CompiledPlans:
    """Return the plans as they are counted now, but for one, that of its file; without one those of the files."""
    current = await generations.current(connection)
    standing = await standing_plans(connection, current.number) if current else None
    if not plan or standing is None:
        return compiled
    if plan not in compiled.plans:
        raise ConfigurationError(f"没有计划 {plan} There is no plan {plan}")
    return CompiledPlans(list((standing.plans | {plan: compiled.plans[plan]}).values()))


async def _go_back(settings: ProjectionSettings) -> None:
    async with writers.connected(settings.dsn, "skillplan projection rebuild") as connection:
        count = await go_back(connection)
    print(  # noqa: T201
        "已放弃;数字照旧 let go; the numbers stay" if count else "没有待定的一代 no generation stands beside",
        flush=True,
    )


async def _recount(settings: ProjectionSettings) -> int:
    async with (
        writers.connected(settings.dsn, "skillplan projection recount") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        current = await generations.current(connection)
        if current is None:
            print("尚无数据 no numbers yet")  # noqa: T201
            return 1
        compiled = CompiledPlans(await generations.plans_of(connection, current.number))
        wrong = await store.differences(connection, current.number, compiled)
        for line in compiled.lines:
            wrong += [difference async for difference in store.recount(connection, current.number, line)]
        sizes = await store.sizes(connection, current.number)
    for plan in compiled.plans.values():
        first = next((difference for difference in wrong if difference.line.plan == plan.id), None)
        if first is None:
            print(f"{plan.id}: 一致 equal ({sizes})")  # noqa: T201
        else:
            print(  # noqa: T201
                f"{plan.id}: 不一致 differs: {first.line.indicator} [{first.place}]: 记录 kept {first.stored},"
                f" 重算 recounted {first.recounted}"
            )
    return 1 if wrong else 0


# Reports and questions go first; on a machine that is busy all the time a rebuild still gets half as much as they do.
_BEHIND_OTHERS: Final = 3
_MIGRATIONS: Final = resources.files("services.projection") / "migrations"
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("api", "projector", "rebuild", "beside", "back", "recount"), ("pg_dsn",)),
    "migrate": ("pg_owner_dsn",),
}


async def _check_database(settings: ProjectionSettings, *, waits: bool) -> None:
    """Refuse tables of another version; a process waits for a database that is away, a command does not."""
    try:
        connection = await connect(settings.dsn, "SKILLPLAN_PG_DSN")
        try:
            await check(connection, _MIGRATIONS, "projection")
        finally:
            await connection.close()
    except (*UNAVAILABLE, TimeoutError) as error:
        if not waits:
            raise unreachable("SKILLPLAN_PG_DSN", error) from None


def main() -> None:
    """Run one of the projection's commands."""
    command, settings = parse_command_line("services.projection", ProjectionSettings, _NEEDED, ELSEWHERE)
    keep_memory()
    try:
        if command != "migrate":
            asyncio.run(_check_database(settings, waits=command in ("api", "projector")))
        match command:
            case "api":
                uvloop.run(_serve(settings))
            case "projector":
                CompiledPlans(load_plans(settings.plans))  # report a wrong plan file at once, not by a restart loop
                uvloop.run(_project(settings))
            case "migrate":
                role = database_name("projection", settings.namespace)
                asyncio.run(migrate(settings.pg_owner_dsn.get_secret_value(), _MIGRATIONS, grants_to=role))
            case "rebuild" | "beside":
                os.nice(_BEHIND_OTHERS)
                uvloop.run(_rebuild(settings, command))
            case "back":
                uvloop.run(_go_back(settings))
            case _:
                sys.exit(asyncio.run(_recount(settings)))
    except (ConfigurationError, FactsWouldGo, PlanError, RebuildBehind, TopicsMissing) as error:
        sys.exit(str(error))


main()
