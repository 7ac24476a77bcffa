"""The JSON that travels: reports on their way out, receipts on their way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from pydantic import JsonValue

from shared.contract.messages import Receipt

JsonObject = dict[str, JsonValue]
# These answers bind no id (RULES A3): with a key, a setting or the content mended the same id may yet be accepted.
_UNBOUND: Final = ("wrong-district", "not-your-source", "only-the-city", "id-reused")


def final(receipt: Receipt) -> Receipt:
    """Return the receipt in force: a repeated report has that of the first."""
    return receipt.get("first") or receipt


def code_of(receipt: Receipt) -> str | None:
    """Return the first code of a receipt, None where it gives no reason."""
    reasons = receipt.get("reasons")
    return reasons[0]["code"] if reasons else None


def decides(receipt: Receipt) -> bool:
    """Return whether a receipt is a decision, which binds its id to its content (RULES A3)."""
    status = receipt["status"]
    return status in ("accepted", "waiting") or (status == "refused" and code_of(receipt) not in _UNBOUND)


def source_of(event: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Return the source and id of a report, together its identity (RULES A4)."""
    return str(event["source"]), str(event["id"])


def read_receipt(raw: bytes) -> Receipt:
    """Decode a receipt; raises ValueError where it is none."""
    body = orjson.loads(raw)
    if not isinstance(body, dict) or "status" not in body:
        raise ValueError("no receipt")
    receipt: Receipt = body  # type: ignore[assignment]
    return receipt
