"""Decides how receipts are heard and shown: over Kafka as they come, over HTTP by asking again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from client.check import remedy_of
from client.http import WebClient
from client.kafka import Receipts
from client.output import Output, text
from shared.contract.events import SHANGHAI, parse_instant

_EVERY_SECONDS: Final = 2.0
_MOST_WAITING: Final = 50  # asked for again each time
Receipt = Mapping[str, Any]


async def by_kafka(heard: Receipts, follow: bool) -> AsyncIterator[Receipt]:
    """Yield receipts from where `heard` stands; for ever where they are followed."""
    if follow:
        async for receipt in heard.follow():
            yield receipt
    async for _topic, found, _next in heard.up_to_now(None):
        for receipt in found:
            yield receipt


async def by_http(client: WebClient, districts: list[str], since: datetime, follow: bool) -> AsyncIterator[Receipt]:
    """Yield receipts that were decided since then, a district's oldest first; for ever where they are followed."""
    seen: set[tuple[str, ...]] = set()
    waiting: dict[tuple[str, ...], Receipt] = {}
    while True:
        for district in districts:
            new = [one async for one in _unseen(client, district, since, seen)]
            for receipt in reversed(new):
                yield receipt
            waiting |= {_place(one): one for one in new if one["status"] == "waiting"}
        if not follow:
            return
        await asyncio.sleep(_EVERY_SECONDS)
        # One that waited keeps its place among the others: its answer comes on no first page.
        for place, receipt in list(waiting.items())[:_MOST_WAITING]:
            del waiting[place]
            now = await client.receipt(receipt["service"], receipt["source"], receipt["id"]) or receipt
            if now["status"] == "waiting":
                waiting[place] = now  # to the end
            else:
                seen.add(_key(now))
                yield now


async def _unseen(
    client: WebClient, district: str, since: datetime, seen: set[tuple[str, ...]]
) -> AsyncIterator[Receipt]:
    """Yield what was not seen, the latest first, until a page holds nothing new."""
    after: str | None = None
    while True:
        page = await client.page(district, after)
        new = [one for one in page["receipts"] if _key(one) not in seen and _at(one) >= since]
        for receipt in new:
            seen.add(_key(receipt))
            yield receipt
        after = page["next"]
        if not new or after is None:
            return


def _place(receipt: Receipt) -> tuple[str, ...]:
    return tuple(str(receipt.get(name)) for name in ("service", "source", "id"))


def _key(receipt: Receipt) -> tuple[str, ...]:
    return (*_place(receipt), str(receipt.get("status")), str(receipt.get("decided_at")))


def _at(receipt: Receipt) -> datetime:
    at = parse_instant(receipt["decided_at"])
    if at is None:
        raise AssertionError("a receipt says when it was decided")
    return at


async def show(out: Output, receipts: AsyncIterator[Receipt], wanted: Callable[[Receipt], bool]) -> None:
    """Show those that are wanted, as they come."""
    async for receipt in receipts:
        if wanted(receipt):
            _show(out, receipt)


def _show(out: Output, receipt: Receipt) -> None:
    out.tell(receipt)
    at = parse_instant(receipt.get("decided_at"))
    when = at.astimezone(SHANGHAI).strftime("%m-%d %H:%M:%S") if at else ""
    flags = f" [{', '.join(receipt['flags'])}]" if receipt.get("flags") else ""
    type_ = str(receipt.get("type", "")).removeprefix("skillplan.")
    out.line(
        f"{when} {receipt.get('status', ''):<11} {type_} {receipt.get('source', '')} {receipt.get('id', '')}{flags}"
    )
    if waits := receipt.get("waits_for"):
        out.line(f"    {text('等待', 'waits for', ' ')} {waits}")
    for reason in receipt.get("reasons", ()):
        fix = remedy_of(reason["code"])
        out.line(f"    {reason['code']} {reason.get('pointer', '')}: {text(reason['zh'], reason['en'])}")
        if fix:
            out.line(f"    → {text(fix['zh'], fix['en'])}")
