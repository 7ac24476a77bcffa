"""Connections that write the numbers: their settings, and the locks that let one process at a time do so."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

# Any two numbers will do, as long as they differ: who writes the numbers, and who builds new ones.
WRITER_LOCK: Final = 0x5C111_0002
REBUILD_LOCK: Final = 0x5C111_0003


class OtherWriter(Exception):
    """Another process moved a checkpoint: this one must start again from what is recorded."""


async def connect(dsn: str, name: str) -> asyncpg.Connection:
    """Open a connection to write on; a batch looks up single rows in growing tables, so indexes and nothing else.

    It does not wait for the disk: numbers and checkpoints are of one transaction, so that what a crash of the database
    loses of the last moment is counted again.
    """
    settings = {
        "application_name": name, "jit": "off", "enable_seqscan": "off", "enable_hashjoin": "off",
        "enable_mergejoin": "off", "synchronous_commit": "off",
    }  # fmt: skip
    return await asyncpg.connect(dsn, timeout=5, command_timeout=60, server_settings=settings)


async def lock(connection: asyncpg.Connection, number: int) -> bool:
    """Take a lock for as long as the connection lives; False when another one has it."""
    return bool(await connection.fetchval("select pg_try_advisory_lock($1)", number))


@contextlib.asynccontextmanager
async def connected(dsn: str, name: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection for a while."""
    connection = await connect(dsn, name)
    try:
        yield connection
    finally:
        await connection.close(timeout=2)
