"""The JSON that travels: reports on their way out, receipts on their way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Required, TypedDict

import orjson
from pydantic import JsonValue

JsonObject = dict[str, JsonValue]


class Reason(TypedDict, total=False):
    """Why a report did not become a fact; `pointer` is the place in it (RFC 6901)."""

    code: Required[str]
    zh: Required[str]
    en: Required[str]
    pointer: str


class Receipt(TypedDict, total=False):
    """What a service says became of a report (RULES A5); `first` is the receipt of the report that this one repeats."""

    status: Required[str]
    service: str
    source: str
    id: str
    type: str
    district: str
    reasons: list[Reason]
    flags: list[str]
    waits_for: str
    received_at: Required[str]
    decided_at: Required[str]
    first: Receipt


def final(receipt: Receipt) -> Receipt:
    """Return the receipt in force: a repeated report has that of the first."""
    return receipt.get("first") or receipt


def source_of(event: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Return the source and id of a report, together its identity (RULES A4)."""
    return str(event["source"]), str(event["id"])


def read_receipt(raw: bytes) -> Receipt:
    """Decode a receipt."""
    receipt: Receipt = orjson.loads(raw)
    return receipt
