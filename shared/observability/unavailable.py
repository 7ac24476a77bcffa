"""Which exceptions mean that the database is unavailable, as opposed to a wrong statement."""

from typing import Final

import asyncpg


class DatabaseNotReady(Exception):
    """The database answers, but must not be used yet."""


# On these a process pauses and tries again, and an API answers 503.
UNAVAILABLE: Final = (
    OSError,
    DatabaseNotReady,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg raises it when a connection is lost between two of its own states
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)
