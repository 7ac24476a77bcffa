"""The receipts of districts in PostgreSQL: the one in force for each report, counts, and offsets of the topics."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg

from shared.log.event_store import Statement, read_queries

_SQL: Final = read_queries("services.projection.receipts", "store.sql")
_STORE: Final = Statement(_SQL["store"])
_LAST: Final = 2**63 - 1
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class ReceiptKey(NamedTuple):
    """A report at a service: its source and id, or where its receipt was read when it has none."""

    service: str
    key: str


class FollowedReceipt(NamedTuple):
    """A row of `receipt`; `bound`: it is a decision, which only a later decision replaces."""

    service: str
    key: str
    source: str | None
    id: str | None
    district: str
    day: date
    type: str
    status: str
    code: str
    bound: bool
    received_at: datetime
    decided_at: datetime
    body: str


class OffsetMove(NamedTuple):
    """The offset of a topic as it is stored, and as it is to be."""

    topic: str
    before: int
    after: int


class ReceiptFilter(NamedTuple):
    """Which receipts of a district are asked for; None for any."""

    district: str
    day: date | None
    type: str | None
    status: str | None
    code: str | None


async def store_receipts(
    connection: Connection, rows: Sequence[FollowedReceipt], moves: Sequence[OffsetMove]
) -> set[str]:
    """Store what is new in receipts, at most one a report, with the counts and offsets, in one statement.

    Returns the topics whose offsets moved; another process has moved that of any other.
    """
    moved = await connection.fetch(_STORE.sql, *_STORE.arguments(rows=rows, moves=moves))
    return {row["topic"] for row in moved}


async def offsets(connection: Connection, topics: Sequence[str]) -> dict[str, int]:
    """Return from which offset each topic is read on; a topic that is new begins at its start."""
    await connection.execute(_SQL["begin_checkpoints"], topics)
    return {row["topic"]: row["next_offset"] for row in await connection.fetch(_SQL["checkpoints"], topics)}


async def receipts_read(connection: Connection) -> int:
    """Return a number that grows with every receipt that is read."""
    number: int = await connection.fetchval(_SQL["read"])
    return number


async def counts(connection: Connection, wanted: ReceiptFilter) -> list[asyncpg.Record]:
    """Return how many receipts there are by day, type, status and code."""
    rows: list[asyncpg.Record] = await connection.fetch(_SQL["counts"], *wanted)
    return rows


async def page(connection: Connection, wanted: ReceiptFilter, before: int | None, limit: int) -> list[asyncpg.Record]:
    """Return the latest receipts before a number: `number` and `body`."""
    last = _LAST if before is None else before
    rows: list[asyncpg.Record] = await connection.fetch(_SQL["page"], *wanted, last, limit)
    return rows
