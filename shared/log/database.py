"""Checks the database of a service before it is used: its tables are this code's, its keys those it was begun with."""

import hmac
from collections.abc import Mapping
from importlib import resources
from typing import Final

import structlog

from shared.log.event_store import foreign_keys
from shared.log.migrate import check, connect
from shared.observability.health import ConfigurationError
from shared.observability.unavailable import UNAVAILABLE

MIGRATIONS: Final = resources.files("shared.log") / "migrations"
_log = structlog.get_logger()


def key_digest(key: bytes) -> bytes:
    """Return by what a log knows a key that it was begun with."""
    return hmac.digest(key, b"skillplan key check", "sha256")[:16]


def database_name(service: str, namespace: str) -> str:
    """Return what a service's database, and the role that works with it, are called on the server.

    `namespace`: as of the broker's names; where several installations share a server their databases begin with it.
    """
    return f"{namespace}_{service}" if namespace else service


async def check_database(service: str, dsn: str, keys: Mapping[str, bytes], old: Mapping[str, bytes]) -> None:
    """Raise ConfigurationError for tables of another version, or keys other than those the log was begun with.

    `old`: keys from before, which are as good, while what they wrapped is being rewrapped.
    With another city key a person known already would be counted a second time, and nobody would notice. A database
    that is unavailable is not checked: the process starts and waits for it.
    """
    try:
        connection = await connect(dsn, "SKILLPLAN_PG_DSN")
        try:
            await check(connection, MIGRATIONS, service)
            wrong = await foreign_keys(connection, {name: key_digest(key) for name, key in keys.items()})
            if older := {name: key_digest(old[name]) for name in wrong if name in old}:
                wrong = [name for name in wrong if name not in older] + await foreign_keys(connection, older)
        finally:
            await connection.close()
    except (*UNAVAILABLE, TimeoutError) as error:
        _log.warning("database.away", error=type(error).__name__)
        return
    if wrong:
        names = ", ".join(f"SKILLPLAN_{name.upper()}" for name in wrong)
        raise ConfigurationError(
            f"{names} 不是这个数据库一直使用的密钥:同一个人会被当作另一个人。请用原来的密钥。"
            f" {names}: not what this database was begun with; the same person would become another. Use the old one."
        )
