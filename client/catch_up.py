"""Brings the journal up to date with the answers to what was sent: from the receipts topics, or by asking over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from client import journal_queries
from client.http import WebClient
from client.journal import Arrival, Journal
from client.kafka import ReceiptTopics, readable
from client.settings import ClientSettings

_POLL_SECONDS: Final = 0.3


async def by_kafka(settings: ClientSettings, journal: Journal, districts: Collection[str]) -> list[str]:
    """Record the receipts of these districts that the journal has not read yet; return why some could not be read."""
    open_, problems = await readable(settings.broker, districts)
    if open_:
        async with ReceiptTopics(settings.broker, open_) as topics:
            await _read_on(topics, journal)
    return problems


async def by_http(settings: ClientSettings, journal: Journal, client: WebClient) -> None:
    """Ask the services for the receipt of each report that has none yet, or waits."""
    for source, id_, type_ in journal_queries.unanswered(journal, also_waiting=True):
        receipt = await client.receipt(type_.split(".")[1], source, id_)
        if receipt is not None:
            journal.arrived([Arrival({"source": source, "id": id_})])
            journal.answered([receipt])


async def all_of_district(journal: Journal, client: WebClient, district: str) -> None:
    """Record the receipts of a district as the projection has them, for a journal that has sent nothing itself."""
    after: str | None = None
    while True:
        page = await client.page(district, after)
        journal.answered(page["receipts"])
        after = page["next"]
        if not after:
            return


async def until_answered(
    settings: ClientSettings, journal: Journal, districts: Collection[str], run: str, patience: float
) -> int:
    """Record receipts until every content of a run has one; return how many have none after `patience` seconds."""
    missing = journal_queries.unanswered_of(journal, run)
    open_, _ = await readable(settings.broker, districts)
    if not missing or not open_:
        return missing
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    async with ReceiptTopics(settings.broker, open_) as topics:
        while True:
            await _read_on(topics, journal)
            missing = journal_queries.unanswered_of(journal, run)
            if not missing or loop.time() > end:
                return missing
            await asyncio.sleep(_POLL_SECONDS)


async def _read_on(topics: ReceiptTopics, journal: Journal) -> None:
    offsets = {topic: journal.next_offset(topic) for topic in topics.topics}
    async for batch in topics.up_to_now(offsets):
        journal.answered(batch.receipts, batch.topic, batch.next_offset)
