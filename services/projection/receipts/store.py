"""The receipts of districts in PostgreSQL: the one in force for each report, counts, and offsets of the topics."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg

from shared.log.event_store import read_queries

_SQL: Final = read_queries("services.projection.receipts", "store.sql")
_LAST: Final = 2**63 - 1
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class ReceiptKey(NamedTuple):
    """A report at a service: its source and id, or where its receipt was read when it has none."""

    service: str
    key: str


class TallyKey(NamedTuple):
    """What receipts are counted by; `code`: of the first reason, empty without one."""

    district: str
    day: date
    type: str
    status: str
    code: str


class StoredReceipt(NamedTuple):
    """What is stored of a report's receipt, as far as a later one is compared with it."""

    tally: TallyKey
    bound: bool
    decided_at: datetime


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


class TallyRow(NamedTuple):
    """A change of `receipt_tally`."""

    district: str
    day: date
    type: str
    status: str
    code: str
    reports: int


class ReceiptFilter(NamedTuple):
    """Which receipts of a district are asked for; None for any."""

    district: str
    day: date | None
    type: str | None
    status: str | None
    code: str | None


async def known_receipts(connection: Connection, keys: Sequence[ReceiptKey]) -> dict[ReceiptKey, StoredReceipt]:
    """Return what is stored of some reports."""
    rows = await connection.fetch(_SQL["known"], [key.service for key in keys], [key.key for key in keys])
    return {
        ReceiptKey(row["service"], row["key"]): StoredReceipt(
            TallyKey(row["district"], row["day"], row["type"], row["status"], row["code"]),
            row["bound"],
            row["decided_at"],
        )
        for row in rows
    }


async def store_receipts(connection: Connection, rows: Sequence[FollowedReceipt], tallies: Sequence[TallyRow]) -> None:
    """Insert or replace receipts and add to the counts."""
    if rows:
        await connection.execute(_SQL["keep"], *_columns(rows))
    if tallies:
        await connection.execute(_SQL["tally"], *_columns(sorted(tallies)))


async def offsets(connection: Connection, topics: Sequence[str]) -> dict[str, int]:
    """Return from which offset each topic is read on; a topic that is new begins at its start."""
    await connection.execute(_SQL["begin_checkpoints"], topics)
    return {row["topic"]: row["next_offset"] for row in await connection.fetch(_SQL["checkpoints"], topics)}


async def move_offset(connection: Connection, topic: str, before: int, after: int) -> bool:
    """Move the offset of a topic on; False when another process has moved it."""
    moved: str = await connection.execute(_SQL["move_checkpoint"], topic, before, after)
    return moved == "UPDATE 1"


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


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
