"""How receipts are printed: for people in their words with the code last, as CSV that a spreadsheet leaves as it is."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from client import receipts
from client.output import Output
from shared.contract.messages import Receipt

RECEIPT: Any = {
    "source": "/districts/330681/hr", "id": "0012", "type": "skillplan.recruitment.person-hired.v1",
    "subject": "hire/=1+1", "district": "330681", "service": "recruitment", "status": "refused",
    "reasons": [
        {"code": "already-open", "zh": "该事项已经报告过且仍然有效。", "en": "It stands.", "pointer": "/subject"},
    ],
    "flags": ["same-content"], "received_at": "2025-06-18T01:00:00Z", "decided_at": "2025-06-18T01:00:00Z",
}  # fmt: skip


def test_receipts_as_csv_keep_ids_and_start_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    print_row = receipts.csv_printer()
    print_row(RECEIPT)
    unread: Receipt = {
        "service": "recruitment", "status": "invalid", "reasons": [], "flags": [],
        "decided_at": "2025-06-18T01:00:00Z", "received_at": "2025-06-18T01:00:00Z",
    }  # fmt: skip
    print_row(unread)
    written = capsys.readouterr().out
    assert written.startswith("\ufeff")
    first, second = csv.DictReader(io.StringIO(written.removeprefix("\ufeff")))
    assert (first["id"], first["subject"], first["code"]) == ('="0012"', "hire/=1+1", "already-open")
    assert first["decided_at"] == "2025-06-18 09:00:00", "Beijing time"
    assert second["id"] == "", "what could not be read has none (RULES A19)"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_receipt_is_said_in_the_readers_words(
    language: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLPLAN_LANG", language)
    receipts.line_printer(Output())(RECEIPT)
    head, reason, fix = capsys.readouterr().out.splitlines()
    if language == "zh":
        assert head == "06-18 09:00:00 退回 人员入职 0012 /districts/330681/hr [与另一份内容相同]"
        assert reason == "    「业务编号」该事项已经报告过且仍然有效。[already-open]"
    else:
        assert "refused" in head
        assert "same content as another" in head
        assert reason == '    "subject" It stands. [already-open]'
    assert fix.startswith("    → ")


@pytest.mark.parametrize(("language", "sentence"), [("zh", "收到 2027-06-30 为止"), ("en", "until 2027-06-30")])
def test_a_receipt_of_a_former_version_says_until_when_it_is_taken(
    language: str, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLPLAN_LANG", language)
    receipts.line_printer(Output())(RECEIPT | {"sunset": "2027-06-30"})
    assert sentence in capsys.readouterr().out.splitlines()[1]
