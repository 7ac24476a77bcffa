"""Of all answers to a report one is kept, the one that holds, and the counts follow it (RULES A3, A6)."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson

from services.projection.receipts import follower
from services.projection.receipts.follower import latest, pause_after, read
from services.projection.receipts.query import counts_of, with_remedies
from services.projection.receipts.store import FollowedReceipt

SOURCE = "/districts/330681/certificates"


def receipt(
    id_: str | None = "r1", status: str = "accepted", at: str = "03", code: str = "", **more: Any
) -> FollowedReceipt | None:
    body = {
        "source": SOURCE, "id": id_, "type": "skillplan.recruitment.person-hired.v1", "district": "330681",
        "service": "recruitment", "status": status, "flags": [],
        "reasons": [{"code": code, "zh": "因", "en": "why"}] if code else [],
        "received_at": "2024-05-31T16:30:00Z", "decided_at": f"2024-06-01T00:00:{at}Z",
    } | more  # fmt: skip
    undecided = " undecided" if status in ("invalid", "misdirected", "duplicate") else ""
    key = "" if id_ is None else f"{SOURCE} {id_}{undecided}"
    return read(key.encode(), orjson.dumps({name: value for name, value in body.items() if value is not None}), "@t/7")


def statuses(*received: FollowedReceipt | None) -> list[str]:
    return [receipt.status for receipt in latest(receipt for receipt in received if receipt is not None)]


def test_a_later_decision_takes_the_place_of_an_earlier_one() -> None:
    assert statuses(receipt(status="waiting", at="01"), receipt(status="accepted", at="02")) == ["accepted"]
    assert statuses(receipt(status="waiting"), receipt(status="accepted")) == ["accepted"], "at the same instant"


def test_an_earlier_decision_that_is_sent_again_changes_nothing() -> None:
    assert statuses(receipt(status="accepted", at="02"), receipt(status="waiting", at="01")) == ["accepted"]


def test_what_decides_nothing_displaces_no_decision_but_a_decision_displaces_it() -> None:
    refused, invalid = receipt(status="refused", at="01", code="x"), receipt(status="invalid", at="02", code="y")
    assert statuses(refused, invalid) == ["refused"]
    assert statuses(invalid, refused) == ["refused"]


def test_a_repetition_of_a_first_receipt_is_passed_over() -> None:
    assert receipt(status="duplicate", first={"status": "accepted"}) is None


def test_a_report_without_an_id_is_kept_by_its_place() -> None:
    received = receipt(id_=None, status="invalid", code="missing-attribute")
    assert received is not None
    assert (received.service, received.key) == ("recruitment", "@t/7")
    assert not received.bound


def test_what_is_no_receipt_is_passed_over() -> None:
    for value in (b"", b"[]", b'"x"', b"{}", b'{"reasons": 3}', None):
        assert read(b"", value, "@t/1") is None


def test_the_day_is_that_of_the_city() -> None:
    received = receipt()
    assert received is not None
    assert received.day == date(2024, 6, 1)  # half past four in the afternoon in Greenwich the day before


def test_counts_are_told_by_day_type_and_status_and_each_reason_has_its_fix() -> None:
    rows = [
        {"day": date(2024, 6, day), "type": "t", "status": status, "code": code, "reports": number}
        for day, status, code, number in ((1, "accepted", "", 5), (1, "invalid", "bad-date", 2), (2, "accepted", "", 1))
    ]
    counts = counts_of(rows)
    assert counts["statuses"] == {"accepted": 6, "invalid": 2}
    assert counts["days"] == [
        {"day": "2024-06-02", "statuses": {"accepted": 1}},
        {"day": "2024-06-01", "statuses": {"accepted": 5, "invalid": 2}},
    ]
    (reason,) = counts["reasons"]
    assert (reason["code"], reason["reports"]) == ("bad-date", 2)
    assert reason["fix"] is not None
    assert reason["fix"]["zh"]
    assert reason["fix"]["en"]


def test_each_reason_of_a_receipt_has_its_fix_also_where_its_code_names_a_service() -> None:
    received = receipt(status="misdirected", code="send-to-subsidy")
    assert received is not None
    (reason,) = with_remedies(received.body)["reasons"]
    assert reason["fix"] is not None
    assert reason["fix"]["en"]


def test_receipts_gather_while_there_are_few_and_wait_for_the_facts() -> None:
    most = follower._MOST
    assert pause_after(most, facts_wait=False) == 0
    assert 0 < pause_after(most - 1, facts_wait=False) < pause_after(most, facts_wait=True)
