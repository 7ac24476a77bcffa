"""The report that takes another one back."""

from __future__ import annotations

from datetime import datetime

from client.messages import JsonObject


def retraction(
    source: str, id_: str, type_: str, subject: str, district: str, why: str, own_id: str, at: datetime
) -> JsonObject:
    """Return the retraction of a report of this source, id, type and subject; `own_id` is the retraction's."""
    return {
        "specversion": "1.0",
        "id": own_id,
        "source": source,
        "type": f"skillplan.{type_.split('.')[1]}.report-retracted.v1",
        "subject": subject,
        "time": at.isoformat(timespec="seconds"),
        "district": district,
        "data": {"report_id": id_, "reason": why},
    }
