"""Streams of receipts: over Kafka as they arrive, over HTTP by polling; and how one is printed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

from client.http import WebClient
from client.kafka import ReceiptTopics
from client.messages import Receipt
from client.output import Output, text
from client.validation import remedy_of
from shared.contract.events import LOCAL_TIME, parse_instant

_POLL_SECONDS: Final = 2.0
_MOST_WAITING: Final = 50  # queried again at each poll


async def by_kafka(topics: ReceiptTopics, follow: bool) -> AsyncIterator[Receipt]:
    """Yield receipts from the position of the topics on; without end where they are followed."""
    if follow:
        async for receipt in topics.follow():
            yield receipt
    async for batch in topics.up_to_now():
        for receipt in batch.receipts:
            yield receipt


async def by_http(client: WebClient, districts: list[str], since: datetime, follow: bool) -> AsyncIterator[Receipt]:
    """Yield receipts that were decided since then, a district's oldest first; without end where they are followed."""
    seen: set[tuple[str, ...]] = set()
    waiting: dict[tuple[str, ...], Receipt] = {}
    while True:
        for district in districts:
            new = [receipt async for receipt in _unseen(client, district, since, seen)]
            for receipt in reversed(new):
                yield receipt
            waiting |= {_report_key(receipt): receipt for receipt in new if receipt["status"] == "waiting"}
        if not follow:
            return
        await asyncio.sleep(_POLL_SECONDS)
        # A report that waited keeps its place in the list: its new receipt comes on no first page.
        for key, receipt in list(waiting.items())[:_MOST_WAITING]:
            del waiting[key]
            current = await client.receipt(receipt["service"], receipt["source"], receipt["id"]) or receipt
            if current["status"] == "waiting":
                waiting[key] = current  # to the end, so that each has its turn
            else:
                seen.add(_receipt_key(current))
                yield current


async def _unseen(
    client: WebClient, district: str, since: datetime, seen: set[tuple[str, ...]]
) -> AsyncIterator[Receipt]:
    """Yield receipts not in `seen`, the latest first, until a page holds nothing new; adds them to it."""
    after: str | None = None
    while True:
        page = await client.page(district, after)
        new = [
            receipt
            for receipt in page["receipts"]
            if _receipt_key(receipt) not in seen and _decided_at(receipt) >= since
        ]
        for receipt in new:
            seen.add(_receipt_key(receipt))
            yield receipt
        after = page["next"]
        if not new or after is None:
            return


def _report_key(receipt: Receipt) -> tuple[str, ...]:
    return str(receipt.get("service")), str(receipt.get("source")), str(receipt.get("id"))


def _receipt_key(receipt: Receipt) -> tuple[str, ...]:
    return (*_report_key(receipt), receipt["status"], receipt["decided_at"])


def _decided_at(receipt: Receipt) -> datetime:
    instant = parse_instant(receipt["decided_at"])
    if instant is None:
        raise AssertionError("a receipt says when it was decided")
    return instant


async def print_all(output: Output, receipts: AsyncIterator[Receipt], wanted: Callable[[Receipt], bool]) -> None:
    """Print the receipts that are wanted, as they arrive."""
    async for receipt in receipts:
        if wanted(receipt):
            _print(output, receipt)


def _print(output: Output, receipt: Receipt) -> None:
    output.record(receipt)
    at = parse_instant(receipt.get("decided_at", ""))
    when = at.astimezone(LOCAL_TIME).strftime("%m-%d %H:%M:%S") if at else ""
    flags = f" [{', '.join(receipt['flags'])}]" if receipt.get("flags") else ""
    type_ = receipt.get("type", "").removeprefix("skillplan.")
    output.line(
        f"{when} {receipt.get('status', ''):<11} {type_} {receipt.get('source', '')} {receipt.get('id', '')}{flags}"
    )
    if waits_for := receipt.get("waits_for"):
        output.line(f"    {text('等待', 'waits for', ' ')} {waits_for}")
    for reason in receipt.get("reasons", ()):
        output.line(f"    {reason['code']} {reason.get('pointer', '')}: {text(reason['zh'], reason['en'])}")
        if remedy := remedy_of(reason["code"]):
            output.line(f"    → {text(remedy['zh'], remedy['en'])}")
