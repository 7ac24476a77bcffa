"""Gives each service a database with two roles: one that owns the tables, one that works with them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.refusal import LocalError


@dataclass(frozen=True)
class Passwords:
    """The passwords of a service's two roles."""

    owner: str
    role: str


@dataclass(frozen=True)
class Database:
    """A service's database: the owner's address for migrations, the role's for everything else."""

    service: str
    name: str
    owner_dsn: str
    dsn: str


async def ensure_roles(superuser_dsn: str, passwords: dict[str, Passwords]) -> None:
    """Make `<service>_owner` and `<service>` log in with these passwords. Repeating it is harmless."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        for service, secrets in passwords.items():
            for role, secret in ((f"{service}_owner", secrets.owner), (service, secrets.role)):
                verb = "ALTER" if role in there else "CREATE"
                quoted = await connection.fetchval("SELECT quote_literal($1::text)", secret)
                await connection.execute(f"{verb} ROLE {_name(role)} LOGIN PASSWORD {quoted}")
    finally:
        await connection.close()


async def refuse_another(superuser_dsn: str, names: list[str], mark: str) -> None:
    """Raise LocalError where one of these databases is another installation's; nothing was changed then."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        rows = await connection.fetch(
            "SELECT datname, shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = ANY($1)",
            names,
        )
    finally:
        await connection.close()
    if others := sorted(row["datname"] for row in rows if row["mark"] not in (None, mark)):
        listed = ", ".join(others)
        raise LocalError(
            f"PostgreSQL 中的 {listed} 属于另一套安装(城市密钥不同),什么都没有改动。"
            "请用另一个 PostgreSQL,或放回那套安装的密钥。",
            f"{listed} in this PostgreSQL: another installation's, with another city key; nothing was changed."
            " Use another PostgreSQL, or bring back the keys of that installation.",
        )


async def mark_as_own(superuser_dsn: str, names: list[str], mark: str) -> None:
    """Note in databases whose they are; one that an earlier release made has no mark yet."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        for name in names:
            await connection.execute(f"COMMENT ON DATABASE {_name(name)} IS '{mark}'")
    finally:
        await connection.close()


async def ensure_watcher(superuser_dsn: str, role: str, password: str) -> None:
    """Make a role that may read the server's statistics and no table. Repeating it is harmless."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        there = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
        await connection.execute(f"{'ALTER' if there else 'CREATE'} ROLE {_name(role)} LOGIN PASSWORD {quoted}")
        await connection.execute(f"GRANT pg_monitor TO {_name(role)}")
    finally:
        await connection.close()


async def ensure_databases(superuser_dsn: str, names: list[str], connections: int | None = None) -> list[str]:
    """Make the databases that are not there yet and name them. Nobody but the service's roles may enter one.

    A database is called as the role that works with it. `connections`: so many at most to each, None: as many as the
    server has.
    """
    connection = await asyncpg.connect(superuser_dsn)
    try:
        there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        missing = [name for name in names if name not in there]
        for name in missing:
            await create_database(connection, name, name)
            if connections is not None:
                await connection.execute(f"ALTER DATABASE {_name(name)} CONNECTION LIMIT {connections}")
        return missing
    finally:
        await connection.close()


async def drop_databases(superuser_dsn: str, names: list[str]) -> None:
    """Drop databases, whoever is connected, what a restore put aside of them, and their two roles."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        for name in names:
            there = await connection.fetch(
                "SELECT datname FROM pg_database WHERE datname = $1 OR starts_with(datname, $1 || '_before_')", name
            )
            for row in there:
                await connection.execute(f"DROP DATABASE {_name(row['datname'])} WITH (FORCE)")
            await connection.execute(f"DROP ROLE IF EXISTS {_name(name)}, {_name(f'{name}_owner')}")
    finally:
        await connection.close()


async def create_database(
    connection: asyncpg.Connection[asyncpg.Record], service: str, name: str, template: str | None = None
) -> None:
    """Create one database of the service, empty or as a copy of a template."""
    owner, role = _name(f"{service}_owner"), _name(service)
    await connection.execute(f"CREATE DATABASE {_name(name)} OWNER {owner} TEMPLATE {_name(template or 'template0')}")
    await connection.execute(f"REVOKE ALL ON DATABASE {_name(name)} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {_name(name)} TO {role}")


def migrate(service: str, owner_dsn: str) -> bool:
    """Migrate a database of a service; tell whether that came about. What does not says itself why."""
    command = [sys.executable, "-m", f"services.{service}", "migrate"]
    settings = {**os.environ, "SKILLPLAN_PG_OWNER_DSN": owner_dsn}
    return not subprocess.run(command, env=settings, check=False).returncode


def address(superuser_dsn: str, user: str, password: str, database: str) -> str:
    """Write the address of another role and database on the same server."""
    parts = urlsplit(superuser_dsn)
    server = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password, safe='')}@{server}", path=f"/{database}"))


def without_password(dsn: str) -> str:
    """Write an address that may be shown: the password, also one given as a parameter, stays in the state folder."""
    scheme, _, rest = dsn.partition("://")
    user, _, server = rest.rpartition("@")
    place, _, query = server.partition("?")
    parameters = "&".join(each for each in query.split("&") if each and not each.startswith("password="))
    return f"{scheme}://{user.partition(':')[0]}@{place}" + (f"?{parameters}" if parameters else "")


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
