"""Migrations of a database: numbered .sql files, each applied once, forward only.

This module stands beside the folder `migrations/`; Python prefers the module to a folder without `__init__.py`.
"""

import hashlib
import re
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import asyncpg
import stamina

from shared.observability.health import ConfigurationError

_NAME: Final = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# One lock for all migrations of a database; the number only has to be the same in every process.
_LOCK: Final = 0x5C111_0001
_TABLE: Final = """create table if not exists migration (
    name text primary key, sha256 text not null, applied_at timestamptz not null default clock_timestamp()
)"""


_NO_LONG_WAIT: Final = "set local lock_timeout = '1s'"
_ATTEMPTS: Final = 60


class MigrationRefused(ConfigurationError):
    """The files and the database disagree; to continue would leave the tables in a state that no file describes."""


async def connect(dsn: str, setting: str) -> asyncpg.Connection:
    """Connect once to a server that can hold a log; raises OSError when there is no connection.

    Raises ConfigurationError for a wrong address or password, and for what would go wrong later and less clearly: a
    pooler that hands a session's statements and locks to other connections, a standby, an encoding other than UTF-8.
    """
    try:
        connection = await _connect(dsn)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        raise ConfigurationError(
            f"PostgreSQL 拒绝了 {setting} 的用户或密码。 It refuses the user or the password."
        ) from None
    except asyncpg.InvalidCatalogNameError:
        raise ConfigurationError(f"{setting} 所指的数据库不存在。 There is no such database.") from None
    except asyncpg.ClientConfigurationError:
        raise ConfigurationError(
            f"{setting} 不是 PostgreSQL 地址。 It is no address of a PostgreSQL database."
        ) from None
    except asyncpg.ProtocolViolationError:
        raise _pooled(setting) from None
    try:
        await _check_server(connection, dsn, setting)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _connect(dsn: str) -> asyncpg.Connection:
    # Without named statements, which a pooler in transaction mode would look for on another connection.
    settings = {"application_name": "skillplan"}
    return await asyncpg.connect(dsn, timeout=10, statement_cache_size=0, server_settings=settings)


async def _check_server(connection: asyncpg.Connection, dsn: str, setting: str) -> None:
    async with connection.transaction():
        (row,) = await connection.fetch(
            "select pg_backend_pid() as process, pg_is_in_recovery() as standby,"
            " current_setting('transaction_read_only') as read_only, current_setting('server_encoding') as encoding"
        )
    # A pooler answers with a process number of its own; whether a session keeps its connection shows when another one
    # begins a transaction: it gets the connection just used, unless that is still ours.
    if row["process"] != connection.get_server_pid():
        other = await _connect(dsn)
        try:
            async with other.transaction():
                taken = await other.fetchval("select pg_backend_pid()") == row["process"]
        finally:
            await other.close()
        if taken:
            raise _pooled(setting)
    if row["standby"] or row["read_only"] == "on":
        raise ConfigurationError(
            f"{setting} 所指的 PostgreSQL 是只读的(备库,或 default_transaction_read_only),请改用主库。"
            " It is read-only (a standby, or default_transaction_read_only); use the primary server."
        )
    if row["encoding"] != "UTF8":
        raise ConfigurationError(
            f"{setting} 所指的数据库编码为 {row['encoding']},须为 UTF8;请以 ENCODING 'UTF8' 重建数据库。"
            f" The database's encoding is {row['encoding']}; it must be UTF8."
        )


def _pooled(setting: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting} 指向事务级(transaction 或 statement 模式)的连接池,会话锁和预编译语句在其中会失效;"
        "请直连 PostgreSQL,或改为 session 模式。"
        " It leads through a pooler in transaction mode, where session locks and prepared statements break:"
        " connect to PostgreSQL itself, or use session mode."
    )


def unreachable(setting: str, error: BaseException) -> ConfigurationError:
    """Return what to say when a command needs the database now and it does not answer."""
    why = type(error).__name__
    return ConfigurationError(
        f"连不上 {setting} 所指的 PostgreSQL({why}),什么也没有改动。 It does not answer; nothing was changed."
    )


async def check(connection: asyncpg.Connection, folder: Path | Traversable, service: str) -> None:
    """Raise ConfigurationError unless this database has exactly the migrations of this code."""
    files = _files(folder)
    try:
        rows = await connection.fetch("select name, sha256 from migration")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        rows = []
    applied = {row["name"]: row["sha256"] for row in rows}
    if missing := sorted(files.keys() - applied.keys()):
        raise ConfigurationError(
            f"数据库缺少迁移 {', '.join(missing)};请先运行 python -m services.{service} migrate。"
            f" The database lacks these migrations; run python -m services.{service} migrate first."
        )
    if newer := sorted(applied.keys() - files.keys()):
        raise ConfigurationError(
            f"数据库比代码新(已应用 {', '.join(newer)});请用相应版本的代码。"
            " The database is newer than this code; use the version that made it."
        )
    for name, digest in applied.items():
        if _digest(files[name]) != digest:
            raise _changed(name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def migrate(owner_dsn: str, folder: Path | Traversable, grants_to: str) -> list[str]:
    """Apply the folder's .sql files that were not applied yet, in order, each in a transaction of its own.

    `{role}` in a file stands for the name `grants_to`, the role the service works with. Two at once are
    harmless: the second waits for the first's advisory lock. Returns the names applied now. Raises MigrationRefused
    when an applied file was changed or is gone, or one does not go through; what was applied before it stays.
    """
    if not _ROLE.fullmatch(grants_to):
        raise MigrationRefused(f"角色名不合规 not a role name: {grants_to!r}")
    files = _files(folder)
    for name in files:
        if not _NAME.fullmatch(name):
            raise MigrationRefused(f"迁移文件名应如 001_name.sql; a migration is named like 001_name.sql: {name}")
    try:
        connection = await connect(owner_dsn, "SKILLPLAN_PG_OWNER_DSN")
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
        raise unreachable("SKILLPLAN_PG_OWNER_DSN", error) from None
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        await connection.execute(
            f'grant usage on schema public to "{grants_to}"; grant select on migration to "{grants_to}"'
        )
        applied = {row["name"]: row["sha256"] for row in await connection.fetch("select name, sha256 from migration")}
        if gone := sorted(applied.keys() - files.keys()):
            raise MigrationRefused(
                "数据库已应用而代码中没有的迁移(代码是否较旧?)"
                f"applied here, missing in this code (older code?): {', '.join(gone)}"
            )
        fresh = []
        for name, text in files.items():
            if name in applied:
                if applied[name] != _digest(text):
                    raise _changed(name)
                continue
            if applied and name < max(applied):
                raise MigrationRefused(f"新迁移的编号须在已应用的之后 a new migration must come last: {name}")
            await _apply(connection, name, text, grants_to)
            fresh.append(name)
        return fresh
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, name: str, text: str, grants_to: str) -> None:
    """Apply a migration, all of it or nothing; raises MigrationRefused."""
    try:
        # Who waits for a table's lock keeps all that come after from it, so it is asked for again and again.
        async for attempt in stamina.retry_context(
            on=asyncpg.LockNotAvailableError, attempts=_ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=1.0
        ):
            with attempt:
                async with connection.transaction():
                    await connection.execute(_NO_LONG_WAIT)
                    await connection.execute(text.replace("{role}", grants_to))
                    await connection.execute(
                        "insert into migration (name, sha256) values ($1, $2)", name, _digest(text)
                    )
    except asyncpg.PostgresError as error:
        raise MigrationRefused(
            f"迁移 {name} 未能完成({error}),已全部撤回,数据库仍如其前;处理后再运行一次即可。"
            f" The migration {name} did not go through ({error}); all of it is undone and the database is"
            " as it was before. Mend that, and run it again."
        ) from None


def _files(folder: Path | Traversable) -> dict[str, str]:
    """Return the texts of a folder's .sql files by name, in their order."""
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _changed(name: str) -> MigrationRefused:
    return MigrationRefused(f"已应用的迁移被改动 changed after it was applied: {name}")
