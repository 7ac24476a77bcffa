"""The broker and the database of an installation, ours or given, up to where the services can start."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg

from deploy.kafka import topics
from deploy.local import databases, jars, kafka, postgres
from deploy.local.console import say, step
from deploy.local.installation import ROOT, Installation
from deploy.local.processes import Supervisor, command_environment, digest
from deploy.local.refusal import LocalError
from services.catalogue import WITH_DATABASE
from shared.plan.districts import district_codes

_PATIENCE = 60.0
# To one database of a city that shares the server: twice what a service's two processes open under load.
_CONNECTIONS_OF_A_CITY = 24
# A server that is there already answers at once or not at all.
_PATIENCE_WITH_GIVEN = 10.0


def prepare(installation: Installation) -> dict[str, list[str]]:
    """Prepare the broker and the database, whichever are ours, and return the commands that run them."""
    wanted: dict[str, list[str]] = {}
    if installation.superuser_dsn is None:
        with step("准备 PostgreSQL", "Preparing PostgreSQL"):
            cluster = postgres.prepare(installation.state / "postgres", installation.superuser_password)
            wanted["postgres"] = cluster.command(installation.ports["postgres"])
    if installation.kafka is None:
        fetching = not jars.CACHE.exists()
        with step(
            "下载并准备 Kafka(43 MB)" if fetching else "准备 Kafka",
            "Fetching and preparing Kafka (43 MB)" if fetching else "Preparing Kafka",
        ):
            wanted["kafka"] = kafka.prepare(
                installation.state / "kafka",
                installation.ports["kafka"],
                installation.ports["kafka-controller"],
                class_path=jars.classpath(),
                java=kafka.find_java(),
            )
    return wanted


def topics_ready(installation: Installation, supervisor: Supervisor) -> None:
    """Wait for the broker and make the topics that are missing."""
    with step("启动 Kafka", "Starting Kafka"):
        if installation.kafka is not None:
            if not kafka.wait_up(installation.bootstrap, _PATIENCE_WITH_GIVEN):
                raise _not_reached("KAFKA_BOOTSTRAP", installation.bootstrap)
        elif not kafka.wait_up(installation.bootstrap, _PATIENCE, alive=lambda: supervisor.is_alive("kafka")):
            raise _not_up("Kafka", supervisor, "kafka")
    with step("创建主题", "Creating topics"):
        wanted = topics.wanted(district_codes(installation.plans))
        broker = installation.broker
        asyncio.run(topics.claim(broker, installation.mark))
        asyncio.run(topics.create(broker, wanted))
        mended = asyncio.run(topics.mend(broker, wanted))
    for row in mended:
        say(
            f"! 主题 {row.topic} 的 {row.setting} 由 {row.before} 改回 {row.now}",
            f"of topic {row.topic} was {row.before} and is {row.now} again",
        )


def refuse_older_code(installation: Installation) -> None:
    """Raise LocalError where a running database has migrations that this code does not; nothing was changed yet."""
    there = {file.name for file in _migrations()}

    async def applied(service: str) -> set[str]:
        connection = await asyncpg.connect(installation.owner_dsn(service), timeout=5)
        try:
            return {row["name"] for row in await connection.fetch("select name from migration")}
        finally:
            await connection.close()

    for service in WITH_DATABASE:
        try:
            newer = sorted(asyncio.run(applied(service)) - there)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidCatalogNameError):
            continue  # a service that is new
        if newer:
            raise LocalError(
                f"{service} 的数据库比这里的代码新({', '.join(newer)}),什么都没有改动。请用建成它的版本,"
                "或由升级前的备份恢复(make restore FROM=…)。",
                f"The database of {service} is newer than this code; nothing was changed. Use the version that made it,"
                " or restore the backup from before the upgrade.",
            )


def databases_ready(installation: Installation, supervisor: Supervisor, *, migrate: bool) -> None:
    """Wait for the database server, make roles and databases, and migrate them where the caller wants it."""
    if installation.superuser_dsn is None:
        if not postgres.wait_up(installation.superuser, _PATIENCE, alive=lambda: supervisor.is_alive("postgres")):
            raise _not_up("PostgreSQL", supervisor, "postgres")
    elif not postgres.wait_up(installation.superuser, _PATIENCE_WITH_GIVEN):
        raise _not_reached("PG_DSN", databases.without_password(installation.superuser))
    names = list(WITH_DATABASE)
    passwords = {installation.database(name): installation.passwords[name] for name in names}
    most = _CONNECTIONS_OF_A_CITY if installation.city else None
    try:
        asyncio.run(databases.refuse_another(installation.superuser, list(passwords), installation.mark))
        asyncio.run(databases.ensure_roles(installation.superuser, passwords))
        fresh = asyncio.run(databases.ensure_databases(installation.superuser, list(passwords), most))
        asyncio.run(databases.mark_as_own(installation.superuser, list(passwords), installation.mark))
    except asyncpg.PostgresError as error:
        raise LocalError(
            f"PostgreSQL 拒绝创建角色或数据库:{error}。PG_DSN 须是超级用户。",
            f"PostgreSQL refused to make roles or databases: {error}. PG_DSN has to be a superuser's.",
        ) from error
    wanted = " ".join([*WITH_DATABASE, digest(_migrations())])
    ours = installation.superuser_dsn is None or installation.city
    if not migrate or (not fresh and ours and installation.migrated == wanted):
        return  # asking each service would cost seconds of Python's own start
    # All at once: most of each is Python's own start.
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"services.{name}", "migrate"],
            cwd=ROOT,
            env=command_environment(installation, name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    }
    printed = {name: child.communicate()[0] for name, child in running.items()}
    for name, child in running.items():
        if child.returncode:
            raise LocalError(
                f"{name} 的数据库迁移失败,未启动任何服务:\n{printed[name].strip()[-1500:]}",
                f"Migrating the database of {name} failed (see above); no service was started.",
            )
    installation.migrated = wanted


def _migrations() -> list[Path]:
    """Return the files of every migration in the tree."""
    return sorted(file for top in ("shared", "services") for file in (ROOT / top).glob("*/migrations/*.sql"))


def _not_up(what: str, supervisor: Supervisor, name: str) -> LocalError:
    log = supervisor.logs / f"{name}.log"
    return LocalError(
        f"{what} 未能启动。日志:{log},最后几行:\n{supervisor.last_words(name)}",
        f"{what} did not start. The end of its log stands above: {log}",
    )


def _not_reached(setting: str, place: str) -> LocalError:
    return LocalError(
        f"{setting}={place} 无法连接。请检查地址和密码,或取消该变量以使用自带的服务器。",
        f"{setting}={place} cannot be reached. See to address and password, or unset it to use servers of our own.",
    )
