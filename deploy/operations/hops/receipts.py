"""Receipts in the database and on their topics: each that was relayed is there, and no other."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.operations.hops.comparison import Compared
from deploy.operations.hops.topics import messages_before
from shared.contract.shapes import in_sandbox
from shared.kafka.names import service_of
from shared.log.event_store import read_queries

_SQL: Final = read_queries("deploy.operations", "reconcile.sql")
_MOST: Final = 2_000


async def compare_receipts(
    consumer: AIOKafkaConsumer,
    ends: Mapping[TopicPartition, int],
    connections: Mapping[str, asyncpg.Connection],
    by_service: Mapping[str, Compared],
    relayed: Mapping[str, int],
) -> None:
    """Compare receipts with their topics; `seen` has one bit a receipt."""
    seen = {service: bytearray(by_service[service].counts["receipts"] // 8 + 1) for service in connections}
    # By the key of the topic, which the next answer to the same report has, too.
    unknown: dict[str, dict[tuple[str, bytes], str]] = {service: {} for service in connections}
    async for messages in messages_before(
        consumer, {place: end for place, end in ends.items() if not service_of(place.topic)}
    ):
        receipts: defaultdict[str, list[_TopicReceipt]] = defaultdict(list)
        for message in messages:
            content = json.loads(message.value or b"{}")
            source, id_ = content.get("source"), content.get("id")
            # What sandboxes report is decided in tables of their own, and emptied (RULES A26).
            if None not in (source, id_) and content["service"] in connections and not in_sandbox(source):
                digest = hashlib.sha256(message.value or b"").digest()
                receipt = _TopicReceipt(source, id_, digest, message.key or b"")
                receipts[content["service"]].append(receipt)
        for service, own in receipts.items():
            await _see(connections[service], messages[0].topic, own, seen[service], unknown[service])
    for service, connection in connections.items():
        bits, compared = seen[service], by_service[service]
        for (topic, _), id_ in unknown[service].items():
            compared.differs(
                "receipts → topic", None, f"{topic} 上有库中没有的回执(报告 {id_})",
                f"{topic} has a receipt that the database has not (report {id_})",
            )  # fmt: skip
        unseen = (n for n in range(1, relayed[service] + 1) if not bits[n // 8] >> n % 8 & 1)
        for some in _pages(unseen):
            # In a compacted topic a later receipt of the same key replaces an earlier one.
            for row in await connection.fetch(_SQL["last_of_key"], some, relayed[service]):
                if not bits[row["last"] // 8] >> row["last"] % 8 & 1:
                    compared.differs(
                        "receipts → topic", row["number"], "该号回执不在其主题上", "this receipt is not on its topic"
                    )
            if "receipts → topic" in compared.differences:
                break


class _TopicReceipt(NamedTuple):
    """A receipt on a topic: of which report, the digest of its bytes, and the key of its message."""

    source: str
    id: str
    sha256: bytes
    key: bytes


async def _see(
    connection: asyncpg.Connection,
    topic: str,
    receipts: Sequence[_TopicReceipt],
    bits: bytearray,
    unknown: dict[tuple[str, bytes], str],
) -> None:
    """Mark the receipts that the database has, and collect the others until a later one of the same key is there.

    A report that was waiting when its database was restored is answered again; the topic keeps both answers.
    """
    keys = sorted({(receipt.source, receipt.id) for receipt in receipts})
    rows = await connection.fetch(_SQL["receipts"], [key[0] for key in keys], [key[1] for key in keys])
    stored = {(row["source"], row["id"], row["sha256"]): row["number"] for row in rows}
    for receipt in receipts:
        if (number := stored.get((receipt.source, receipt.id, receipt.sha256))) is not None:
            bits[number // 8] |= 1 << number % 8
            unknown.pop((topic, receipt.key), None)
        elif len(unknown) < _MOST:
            unknown[topic, receipt.key] = receipt.id


def _pages(numbers: Iterable[int]) -> Iterable[list[int]]:
    page: list[int] = []
    for number in numbers:
        page.append(number)
        if len(page) == _MOST:
            yield page
            page = []
    if page:
        yield page
