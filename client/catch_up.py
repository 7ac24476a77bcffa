"""Brings the journal up to date with the answers to what was sent: from the receipts topics, or by asking over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Final

from client.http import WebClient
from client.journal import Journal
from client.kafka import ReceiptTopics
from client.settings import ClientSettings

_POLL_SECONDS: Final = 0.3
_MOST_QUERIES: Final = 10_000


async def by_kafka(settings: ClientSettings, journal: Journal, districts: Collection[str]) -> None:
    """Record the receipts of these districts that the journal has not read yet."""
    if districts:
        async with ReceiptTopics(settings.broker, districts) as topics:
            await _read_on(topics, journal)


async def by_http(settings: ClientSettings, journal: Journal, key: str | None, patience: float) -> None:
    """Ask the services for the receipt of each report that has none yet, or waits."""
    async with WebClient(settings.services, key, patience, settings.ca) as client:
        for source, id_, type_ in journal.unanswered(_MOST_QUERIES, also_waiting=True):
            receipt = await client.receipt(type_.split(".")[1], source, id_)
            if receipt is not None:
                journal.acknowledged([{"source": source, "id": id_}], [receipt])


async def until_answered(settings: ClientSettings, journal: Journal, since: datetime, patience: float) -> int:
    """Record receipts until everything sent since then has one; return how many have none after `patience` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    async with ReceiptTopics(settings.broker, journal.districts()) as topics:
        while True:
            await _read_on(topics, journal)
            missing = journal.unanswered_since(since)
            if not missing or loop.time() > end:
                return missing
            await asyncio.sleep(_POLL_SECONDS)


async def _read_on(topics: ReceiptTopics, journal: Journal) -> None:
    offsets = {topic: journal.next_offset(topic) for topic in topics.topics}
    async for batch in topics.up_to_now(offsets):
        journal.answered(batch.receipts, batch.topic, batch.next_offset)
