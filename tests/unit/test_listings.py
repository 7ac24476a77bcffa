"""Listings as XLSX: in the words of the pages, with numbers and times as such, and no formula."""

import asyncio
import io
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.projection.contract import DOCS, type_names
from services.projection.exports import sheets
from services.projection.exports.names import NAMES
from services.projection.exports.sheets import listing
from services.projection.exports.texts import Language
from services.projection.receipts.columns import columns
from shared.contract.messages import Receipt
from shared.http.problems import Problem

EVIL = '=HYPERLINK("//x")'
ACCEPTED: Receipt = {
    "source": "/districts/330681/hr", "id": EVIL, "type": "skillplan.recruitment.person-hired.v1",
    "subject": "hire/H-1", "service": "recruitment", "status": "accepted", "flags": ["same-content"], "reasons": [],
    "received_at": "2025-06-30T17:00:00.123456Z", "decided_at": "2025-06-30T17:00:01Z",
}  # fmt: skip
REFUSED: Receipt = {
    "service": "recruitment", "status": "refused", "flags": [], "received_at": "2025-07-01T00:00:00Z",
    "decided_at": "2025-07-01T00:00:01Z",
    "reasons": [{"code": "already-open", "zh": "已经登记过。", "en": "It is registered already."}],
}  # fmt: skip


def _written(language: Language, *batches: Sequence[Receipt]) -> bytes:
    async def given() -> AsyncIterator[Sequence[Receipt]]:
        for batch in batches:
            yield batch

    async def written() -> bytes:
        with await listing(given(), columns(language), "回执 330681", language) as file:
            return file.read()

    return asyncio.run(written())


def test_receipts_are_listed_in_the_words_of_the_pages_with_their_times_in_beijing() -> None:
    content = _written("zh", [ACCEPTED], [REFUSED])
    (sheet,) = openpyxl.load_workbook(io.BytesIO(content)).worksheets
    titles, first, second = sheet.iter_rows(values_only=True)
    accepted, refused = (dict(zip(titles, row, strict=True)) for row in (first, second))
    assert isinstance(accepted["收到(北京时间)"], datetime)
    assert f"{accepted['收到(北京时间)']:%Y-%m-%d %H:%M:%S}" == "2025-07-01 01:00:00"
    assert (accepted["结果"], refused["结果"]) == ("已受理", "不予受理")
    assert accepted["报告类型"] == type_names(DOCS)[ACCEPTED["type"]]["zh"] != ACCEPTED["type"]
    assert (accepted["报告编号"], sheet["D2"].data_type) == (EVIL, "s")
    assert accepted["标记"] == "与另一份已受理的报告内容相同"
    assert (refused["原因"], refused["原因代码"], refused["报告编号"]) == ("已经登记过。", "already-open", None)
    assert refused["处理办法"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", f"A1:N{sheet.max_row}")
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert b"<f>" not in package.read("xl/worksheets/sheet1.xml")


def test_the_same_rows_give_the_same_bytes_and_none_give_titles_alone() -> None:
    assert _written("en", [ACCEPTED, REFUSED]) == _written("en", [ACCEPTED], [REFUSED])
    (sheet,) = openpyxl.load_workbook(io.BytesIO(_written("en"))).worksheets
    assert [*sheet.iter_rows(min_row=2, values_only=True)] == []


def test_what_a_sheet_does_not_hold_is_said_in_its_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "_MOST_ROWS", 3)
    (sheet,) = openpyxl.load_workbook(io.BytesIO(_written("zh", [REFUSED] * 5))).worksheets
    assert sheet.max_row == 3
    assert "CSV" in str(sheet["A3"].value)


def test_a_full_disk_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        with pytest.raises(Problem) as refused:
            _written("zh", [ACCEPTED])
    assert refused.value.status == 503


def test_a_name_is_the_same_on_the_page_and_in_a_listing() -> None:
    file = Path(sheets.__file__).parents[1] / "dashboard" / "src" / "texts" / "texts.json"
    texts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert {key: texts.get(key) for key in NAMES} == NAMES
