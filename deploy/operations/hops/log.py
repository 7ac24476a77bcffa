"""Log and topic of a service: no position missing, the same bytes under every position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from deploy.operations.hops.comparison import Compared
from services.projection.counting.facts import LogFact
from shared.log.event_store import read_queries

_SQL: Final = read_queries("deploy.operations", "reconcile.sql")


async def compare_log(compared: Compared, connection: asyncpg.Connection) -> int:
    """Compare the log with its head, its digests and its receipts; return its head."""
    head = await connection.fetchrow(_SQL["head"])
    assert head is not None  # noqa: S101 - the migration puts it there
    for what, table, number, last in (
        ("position", "fact", "position", head["position"]),
        ("number", "receipt", "number", head["receipts"]),
    ):
        row = await connection.fetchrow(_SQL["dense"].replace("$table", table).replace("$number", number))
        if row is not None and (row["count"] != last or row["last"] != last):
            missing = await connection.fetchval(_SQL["missing"].replace("$table", table).replace("$number", number))
            compared.differs(
                "log" if table == "fact" else "receipts",
                missing or last,
                f"日志头为 {last},表中有 {row['count']} 行,止于 {row['last']}",
                f"the head says {what} {last}, the table holds {row['count']} rows up to {row['last']}",
            )
    if (position := await connection.fetchval(_SQL["tampered"])) is not None:
        compared.differs("log", position, "字节与其 SHA-256 不符", "the bytes are not those of their SHA-256")
    if (position := await connection.fetchval(_SQL["without_receipt"])) is not None:
        compared.differs("receipts ↔ log", position, "事实没有回执", "a fact without a receipt")
    if (row := await connection.fetchrow(_SQL["without_fact"])) is not None:
        compared.differs(
            "receipts ↔ log", row["position"], f"第 {row['number']} 号回执说已接受,日志中该位不是此报告的事实",
            f"receipt {row['number']} says accepted, and the log has no fact of that report there",
        )  # fmt: skip
    compared.counts["facts"], compared.counts["receipts"] = head["position"], head["receipts"]
    position = head["position"]
    assert isinstance(position, int)  # noqa: S101 - a bigint
    return position


def note_ahead(compared: Compared, hop: str, reached: int, head: int) -> None:
    """Note that a later hop is ahead of the log."""
    compared.differs(
        hop, head + 1, f"已到 {reached},而日志止于 {head}(库被恢复到旧备份?)",
        f"it has come to {reached}, and the log ends at {head} (a database restored from an older backup?)",
    )  # fmt: skip


async def compare_topic(
    compared: Compared,
    connection: asyncpg.Connection,
    facts: Sequence[tuple[LogFact, bytes, bytes]],
    reached: int,
    head: int,
) -> int:
    """Compare facts of the topic with the log by digest; return the position that the topic has reached."""
    rows = await connection.fetch(_SQL["digests"], [fact.position for fact, _, _ in facts])
    stored = {row["position"]: (row["stream"].encode(), row["sha256"]) for row in rows}
    for fact, key, value in facts:
        at = fact.position
        if at > reached + 1:
            compared.differs(
                "log → topic", reached + 1, f"主题缺此位,其后为 {at}", f"the topic lacks it; {at} comes next"
            )
        reached = max(reached, at)
        if at > head:
            note_ahead(compared, "log → topic", at, head)
        elif stored.get(at) != (key, hashlib.sha256(value).digest()):
            compared.differs("log → topic", at, "主题与日志的字节不同", "topic and log have other bytes")
    compared.counts["topic"] += len(facts)
    return reached
