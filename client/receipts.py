"""Streams of receipts: over Kafka as they arrive, over HTTP by polling; and how one is printed."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

from client.http import WebClient
from client.kafka import ReceiptTopics
from client.output import Output, text
from client.spreadsheet import safe_row
from client.terms import FLAG_NAMES, STATUS_NAMES, place_name, type_name
from client.validation import remedy_of
from shared.contract.events import LOCAL_TIME, parse_instant
from shared.contract.messages import Receipt

_NAMED: Final = ("status", "type", "source", "id", "subject", "district", "service", "waits_for", "place")
_COLUMNS: Final = ("decided_at", *_NAMED, "flags", "code", "zh", "en")
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


Printer = Callable[[Receipt], None]


async def print_all(printer: Printer, receipts: AsyncIterator[Receipt], wanted: Callable[[Receipt], bool]) -> None:
    """Print the receipts that are wanted, as they arrive."""
    async for receipt in receipts:
        if wanted(receipt):
            printer(receipt)


def csv_printer() -> Printer:
    """Return what prints receipts as CSV that a spreadsheet program shows unchanged."""
    out = csv.writer(sys.stdout)
    sys.stdout.write("\ufeff")
    out.writerow(_COLUMNS)

    def print_row(receipt: Receipt) -> None:
        texts = [(each["code"], each["zh"], each["en"]) for each in receipt.get("reasons") or []][:1] or [("", "", "")]
        flags = " ".join(receipt.get("flags") or [])
        named = [str(receipt.get(name) or "") for name in _NAMED]
        out.writerow([_local(receipt), *safe_row([*named, flags, *texts[0]])])
        sys.stdout.flush()

    return print_row


def line_printer(output: Output) -> Printer:
    """Return what prints receipts for people, or as JSON lines."""

    def print_lines(receipt: Receipt) -> None:
        output.record(receipt)
        status = STATUS_NAMES.get(receipt["status"], (receipt["status"],) * 2)
        flags = [text(*FLAG_NAMES.get(flag, (flag, flag)), " ") for flag in receipt.get("flags") or []]
        marks = f" [{'; '.join(flags)}]" if flags else ""
        output.line(
            f"{_local(receipt)[5:]} {text(*status, ' ')} {type_name(receipt.get('type') or '–')} "
            f"{receipt.get('id') or '–'} {receipt.get('source') or ''}{marks}"
        )
        if place := receipt.get("place"):
            output.line(f"    {text('位置', 'at', ' ')} {place}")
        if waits_for := receipt.get("waits_for"):
            output.line(f"    {text('等待', 'waits for', ' ')} {waits_for}")
        if sunset := receipt.get("sunset"):  # also where this program is older than the newer version
            until_zh, until_en = f"这一版本收到 {sunset} 为止", f"reports of this version are taken until {sunset}"
            output.line(f"    {text(until_zh, until_en)}")
        for reason in receipt.get("reasons", ()):
            zh, en = place_name(reason["pointer"]) if reason.get("pointer") else ("", "")
            about_zh, about_en = f"「{zh}」" if zh else "", f'"{en}" ' if en else ""
            code = reason["code"]
            output.line("    " + text(f"{about_zh}{reason['zh']}[{code}]", f"{about_en}{reason['en']} [{code}]"))
            if remedy := remedy_of(reason["code"]):
                output.line(f"    → {text(remedy['zh'], remedy['en'])}")

    return print_lines


def _local(receipt: Receipt) -> str:
    at = parse_instant(receipt.get("decided_at", ""))
    return at.astimezone(LOCAL_TIME).strftime("%Y-%m-%d %H:%M:%S") if at else ""
