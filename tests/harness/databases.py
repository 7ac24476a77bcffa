"""Fresh databases of services on the tests' server, migrated, and with their logs free to decide."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.local import databases
from deploy.local.databases import Database, Passwords
from shared.log.migrate import migrate as run_migrations
from tests.harness.fork_server import fork_server


def addresses(superuser: str, service: str, name: str, passwords: Passwords) -> Database:
    """Return a service's database of this name as its owner and as its role reach it."""
    return Database(
        service=service,
        name=name,
        owner_dsn=databases.address(superuser, f"{service}_owner", passwords.owner, name),
        dsn=databases.address(superuser, service, passwords.role, name),
    )


async def migrate(database: Database, migrations: Path | None) -> None:
    """Migrate by `python -m services.<service> migrate`, or with the given folder of migrations."""
    if migrations is not None:
        await run_migrations(database.owner_dsn, migrations, database.service)
        return
    settings = {"SKILLPLAN_PG_OWNER_DSN": database.owner_dsn, "SKILLPLAN_PG_DSN": database.dsn}
    done = fork_server().run(f"services.{database.service}", ["migrate"], settings)
    assert done.returncode == 0, f"migrating {database.service}: {done.output}"


async def create(superuser: str, service: str, name: str, template: str | None) -> None:
    """Create an empty database, or a copy of a template whose log may decide at once: many tests run no worker."""
    connection = await asyncpg.connect(superuser)
    try:
        await databases.create_database(connection, service, name, template)
    finally:
        await connection.close()
    if template is not None:
        parts = urlsplit(superuser)
        await mark_compared(
            databases.address(superuser, unquote(parts.username or ""), unquote(parts.password or ""), name)
        )


async def fill(dsn: str, dump: str) -> None:
    """Run the statements of a plain dump, as a superuser."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(dump)
    finally:
        await connection.close()


async def mark_compared(dsn: str) -> None:
    """Record that the log was compared with its topic, as a worker does (decision 0020)."""
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("select to_regproc('log_life') is not null"):
            await connection.execute("update log_head set compared = log_life()")
    finally:
        await connection.close()


async def drop(superuser: str, name: str) -> None:
    """Drop a database, whoever is connected."""
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()
