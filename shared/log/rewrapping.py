"""Rotation of a service's key: what the old one wrapped is wrapped by the new one, page by page, beside live work.

The service's processes have both keys meanwhile, so that whatever they read opens. Repeating it is harmless, also after
it was broken off.
"""

from typing import Final

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from shared.log.database import key_digest
from shared.log.event_store import read_queries
from shared.log.migrate import connect, unreachable
from shared.log.sealing import Seal
from shared.observability.health import ConfigurationError
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("shared.log", "rewrapping.sql")


async def rewrap(owner_dsn: str, service_key: bytes, old: bytes) -> tuple[int, int]:
    """Rewrap keys of persons and seal quarantined bytes anew; return how many of each.

    Raises ConfigurationError when the database is away or something opens with neither key; what was done by then stays
    done.
    """
    seal = Seal(service_key, old)
    try:
        connection = await connect(owner_dsn, "SKILLPLAN_PG_OWNER_DSN")
    except (*UNAVAILABLE, TimeoutError) as error:
        raise unreachable("SKILLPLAN_PG_OWNER_DSN", error) from None
    try:
        persons = await _person_keys(connection, seal)
        unreadable = await _quarantine(connection, seal)
        await connection.execute(_SQL["begin_with"], key_digest(service_key))
    except (InvalidUnwrap, InvalidTag):
        raise ConfigurationError(
            "有内容两把密钥都打不开:SKILLPLAN_OLD_SERVICE_KEY 不是原来的密钥。"
            " Something opens with neither key: SKILLPLAN_OLD_SERVICE_KEY is not the one from before."
        ) from None
    finally:
        await connection.close()
    return persons, unreadable


async def _person_keys(connection: asyncpg.Connection, seal: Seal) -> int:
    last, count = "", 0
    while rows := await connection.fetch(_SQL["person_keys"], last):
        tokens, before = [row["token"] for row in rows], [row["wrapped"] for row in rows]
        await connection.execute(_SQL["rewrap_person_keys"], tokens, before, list(map(seal.rewrap, before)))
        last, count = tokens[-1], count + len(rows)
    return count


async def _quarantine(connection: asyncpg.Connection, seal: Seal) -> int:
    last, count = 0, 0
    while rows := await connection.fetch(_SQL["quarantine"], last):
        numbers = [row["number"] for row in rows]
        raws = [(seal.unseal_unreadable(row["sealed"], row["place"]), row["place"]) for row in rows]
        await connection.execute(_SQL["seal_quarantine"], numbers, [seal.seal_unreadable(*raw) for raw in raws])
        last, count = numbers[-1], count + len(rows)
    return count
