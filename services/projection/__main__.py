"""Composition root of the projection: `api`, `projector`, `migrate`, `rebuild`, `recount`."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from importlib import resources
from pathlib import Path
from typing import Any, Final

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.projection import store
from services.projection.api import create_app
from services.projection.chart import Chart
from services.projection.follower import Metrics, TopicsMissing
from services.projection.projector import Projector
from services.projection.rebuild import RebuildBehind, rebuild
from shared.health import Health
from shared.http import add_probes, answer_problems
from shared.migrations import migrate
from shared.plan import PlanError, load_plans

_log = structlog.get_logger()


class Settings(BaseSettings):
    """What a process is told from outside: `SKILLPLAN_…` in the environment, or files of that name, in lower case, in
    the folder `SKILLPLAN_SECRETS`."""

    model_config = SettingsConfigDict(
        env_prefix="SKILLPLAN_", frozen=True, extra="ignore", secrets_dir=os.environ.get("SKILLPLAN_SECRETS")
    )

    pg_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the projection's own role")
    pg_owner_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the owner of the tables; for `migrate`")
    kafka: str = Field("127.0.0.1:9092", description="Kafka servers, host:port, separated by commas")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    plans: Path = Field(Path("plans"), description="Folder of the plan files")
    services: dict[str, str] = Field({}, description='Addresses of the services, {"enrollment": "http://…", …}')
    log_level: str = Field("INFO", description="Least severe level that is logged")

    @property
    def dsn(self) -> str:
        """The address to read and write with."""
        return self.pg_dsn.get_secret_value()


def _configure_logs(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")


class _Server(uvicorn.Server):
    """A server beside others in one loop: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _uvicorn(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app, host=settings.host, port=settings.port, log_config=None, access_log=False, timeout_graceful_shutdown=3
    )


async def _serve(settings: Settings) -> None:
    pool = await asyncpg.create_pool(
        settings.dsn, min_size=1, max_size=8, command_timeout=30,
        server_settings={"application_name": "skillplan projection api", "jit": "off"},
    )  # fmt: skip
    try:
        await uvicorn.Server(_uvicorn(create_app(pool, settings.services), settings)).serve()
    finally:
        pool.terminate()


async def _project(settings: Settings) -> None:
    health, metrics = Health("database", "kafka", "lines"), Metrics()
    app = FastAPI(openapi_url=None)
    answer_problems(app)

    async def known() -> None:
        """Keep what the projector reports as it goes."""

    add_probes(app, health, metrics.registry, known)
    probes = _Server(_uvicorn(app, settings))
    projector = Projector(settings.dsn, settings.kafka, settings.plans, health, metrics)
    projecting, serving = asyncio.create_task(projector.run()), asyncio.create_task(probes.serve())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, projecting.cancel)
    try:
        # Whatever is no fault of database or broker ends the process, and its supervisor starts another.
        with contextlib.suppress(asyncio.CancelledError):
            await projecting
    finally:
        probes.should_exit = True
        await asyncio.wait([serving], timeout=5)


async def _rebuild(settings: Settings) -> None:
    chart = Chart(load_plans(settings.plans))
    began = asyncio.get_running_loop().time()

    def show(read: int, of: int) -> None:
        seconds = max(asyncio.get_running_loop().time() - began, 0.001)
        print(f"重放 replayed {read:,} / {of:,} ({read / seconds:,.0f}/s)", flush=True)  # noqa: T201 - for a person

    async with store.connected(settings.dsn, "skillplan projection rebuild") as connection:
        number = await rebuild(connection, settings.kafka, chart, Metrics(), show)
    print(f"已切换到第 {number} 代 switched to generation {number}", flush=True)  # noqa: T201


async def _recount(settings: Settings) -> int:
    async with (
        store.connected(settings.dsn, "skillplan projection recount") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        kept = await store.current(connection)
        if kept is None:
            print("尚无数据 no numbers yet")  # noqa: T201
            return 1
        chart = Chart(await store.plans_of(connection, kept.number))
        wrong = await store.differences(connection, kept.number, chart)
        for line in chart.lines:
            wrong += [found async for found in store.recount(connection, kept.number, line)]
        sizes = await store.sizes(connection, kept.number)
    for plan in chart.plans.values():
        first = next((found for found in wrong if found.line.plan == plan.id), None)
        if first is None:
            print(f"{plan.id}: 一致 equal ({sizes})")  # noqa: T201
        else:
            print(  # noqa: T201
                f"{plan.id}: 不一致 differs: {first.line.indicator} [{first.place}]: 记录 kept {first.kept},"
                f" 重算 recounted {first.recounted}"
            )
    return 1 if wrong else 0


_COMMANDS: Final = ("api", "projector", "migrate", "rebuild", "recount", "--show-settings")


def main() -> None:
    """Run one of the projection's commands."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004
    if command not in _COMMANDS:
        sys.exit(f"用法 usage: python -m services.projection {'|'.join(_COMMANDS)}")
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(
            "; ".join(f"设置有误 wrong setting: SKILLPLAN_{e['loc'][0]!s}: {e['msg']}".upper() for e in error.errors())
        )
    if command == "--show-settings":
        for name, info in Settings.model_fields.items():
            sys.stdout.write(f"SKILLPLAN_{name.upper()}={getattr(settings, name)}  # {info.description}\n")
        return
    needed = "pg_owner_dsn" if command == "migrate" else "pg_dsn"
    if not getattr(settings, needed).get_secret_value():
        sys.exit(f"缺少设置 missing setting: SKILLPLAN_{needed.upper()}")
    _configure_logs(settings.log_level)
    try:
        match command:
            case "api":
                asyncio.run(_serve(settings))
            case "projector":
                load_plans(settings.plans)
                asyncio.run(_project(settings))
            case "migrate":
                folder = resources.files("services.projection") / "migrations"
                asyncio.run(migrate(settings.pg_owner_dsn.get_secret_value(), folder, grants_to="projection"))
            case "rebuild":
                asyncio.run(_rebuild(settings))
            case _:
                sys.exit(asyncio.run(_recount(settings)))
    except (PlanError, RebuildBehind, TopicsMissing) as error:
        sys.exit(str(error))


main()
