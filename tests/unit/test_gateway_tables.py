"""A table that an office drops on the page is read as it was meant, or one sentence says why not; nothing is lost."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from client.output import CommandError
from services.gateway.tables.messages import CheckedTable, DroppedTable
from services.gateway.tables.reading import marked, read
from shared.plan.loading import load_plans
from tests.conftest import ROOT
from tests.harness.dropped_tables import FAULTS, HEADERS, ROWS, hires

PLANS = load_plans(ROOT / "plans")
HIRED = "skillplan.recruitment.person-hired.v1"
CSV = "合同编号,身份证号,用人单位,统一社会信用代码,录用渠道,职业代码,入职日期\n"


def dropped(content: bytes | str, name: str = "t.csv", **options: Any) -> CheckedTable:
    raw = content.encode() if isinstance(content, str) else content
    return read(
        DroppedTable.model_validate({"name": name, "content": base64.b64encode(raw), "district": "330681", **options}),
        PLANS,
    )


@pytest.fixture(scope="module")
def whole() -> CheckedTable:
    return dropped(hires("unit"), "t.xlsx")


def test_every_planted_fault_is_found_at_its_cell_with_what_to_do_and_nothing_else(whole: CheckedTable) -> None:
    assert whole.type == HIRED
    assert whole.question is None
    faults = [fault for row in whole.rows for fault in row.faults]
    assert {fault.cell for fault in faults} == set(FAULTS)
    assert all(fault.zh and fault.en and fault.fix for fault in faults)
    assert (len(whole.rows), whole.right, whole.wrong) == (ROWS, ROWS - len(FAULTS), len(FAULTS))


def test_what_was_left_out_is_named(whole: CheckedTable) -> None:
    counts = {notice.code: notice.count for notice in whole.notices}
    assert counts["total-row"] == 1
    assert "header-row" in counts


def test_words_of_a_list_that_mean_no_value_are_named_and_a_person_may_say_what_they_mean(whole: CheckedTable) -> None:
    unknown = {column.column: column.unknown for column in whole.columns if column.unknown}
    assert unknown == {"渠道": ["内部推荐"], "技能等级": ["二十级"]}
    uses = {column.column: column.use for column in whole.columns}
    uses["渠道"].meanings = {"内部推荐": "other"}
    again = dropped(hires("unit"), "t.xlsx", type=HIRED, columns={name: use.model_dump() for name, use in uses.items()})
    assert again.right == whole.right + 1


def test_a_mended_cell_makes_its_row_right_and_its_report_says_what_the_row_says() -> None:
    result = dropped(hires("unit"), "t.xlsx", edits={"J12": "2025-02-28"})
    (row,) = (row for row in result.rows if row.row == 12)
    assert row.faults == []
    assert row.report is not None
    assert row.report["id"] == "person-hired-unit-0010"
    assert row.report["source"] == "/districts/330681/table"
    assert row.report["subject"] == "hire/unit-0010"
    assert row.report["data"]["hired_on"] == "2025-02-28"  # type: ignore[index,call-overload]


def test_the_same_table_gives_the_same_ids_and_a_row_without_a_number_has_one_of_its_content() -> None:
    head = "统一社会信用代码,机构名称,日期,从业人数,持证人数\n"
    code = "91330681MA2DEM0X0G"
    line = f"{code},示例,2025-03-31,10,5\n"
    kind = "skillplan.enrollment.staffing-reported.v1"
    first, again = dropped(head + line, type=kind), dropped(head + line + line, type=kind)
    assert [row.report and row.report["id"] for row in first.rows] == [
        again.rows[0].report and again.rows[0].report["id"]
    ]
    assert again.rows[1].report is None
    assert [notice.code for notice in again.notices] == ["repeated-row"]
    other = dropped(head + line.replace(",5", ",6"), type=kind)
    assert other.rows[0].report
    assert first.rows[0].report
    assert other.rows[0].report["id"] != first.rows[0].report["id"]


def test_an_addition_needs_a_number_of_its_own_so_that_a_mended_amount_is_not_paid_twice() -> None:
    result = dropped("申领编号,金额(元),日期\nC-1,100,2025-03-01\n", type="skillplan.subsidy.subsidy-paid.v1")
    assert result.question is not None
    assert "编号" in result.question.zh
    assert all(row.report is None for row in result.rows)


def test_the_unit_of_an_amount_is_asked_where_the_table_does_not_say_it() -> None:
    kind = "skillplan.subsidy.subsidy-paid.v1"
    headers = {"编号": "流水", "业务编号": "申领编号", "日期": "日期", "金额(元)": "金额"}
    uses = {name: {"header": header} for name, header in headers.items()}
    text = "流水,申领编号,金额,日期\nP-1,C-1,1.5,2025-03-01\n"
    question = dropped(text, type=kind, columns=uses)
    assert question.question is not None
    assert "单位" in question.question.zh
    uses["金额(元)"] |= {"unit": "wan-yuan"}
    result = dropped(text, type=kind, columns=uses)
    assert result.rows[0].report is not None
    assert result.rows[0].report["data"]["amount_fen"] == 1_500_000  # type: ignore[index,call-overload]
    contradicted = dropped(text.replace("金额", "金额(元)"), type=kind, columns=uses | {
        "金额(元)": {"header": "金额(元)", "unit": "wan-yuan"}})  # fmt: skip
    assert contradicted.question is not None


def test_a_value_for_every_row_stands_in_the_place_of_a_column() -> None:
    headers = {
        "编号": "合同编号",
        "证件号码": "身份证号",
        "企业名称": "用人单位",
        "企业统一社会信用代码": "统一社会信用代码",
        "职业(工种)代码": "职业代码",
        "录用之日": "入职日期",
    }
    uses = {name: {"header": header} for name, header in headers.items()}
    line = "A-1,990000199001010017,示例,91330681MA2DEM0X0G,,6-18-01-01,2025-03-01\n"
    question = dropped(CSV + line, type=HIRED, columns=uses)
    assert question.question is not None
    assert "渠道" in question.question.zh
    result = dropped(CSV + line, type=HIRED, columns=uses | {"渠道": {"constant": "other"}})
    assert result.rows[0].report is not None
    assert result.rows[0].report["data"]["channel"] == "other"  # type: ignore[index,call-overload]


def test_a_changed_header_and_a_table_of_another_type_are_one_sentence_and_no_report() -> None:
    uses = {"编号": {"header": "合同编号"}}
    changed = dropped(CSV.replace("合同编号", "号") + "A-1,,,,,,\n", type=HIRED, columns=uses)
    assert changed.question is not None
    assert "表头变了" in changed.question.zh
    other = dropped("课程,教室,教师\n语文,101,张\n")
    assert other.type is None
    assert other.question is not None
    wrong = dropped(hires("unit", 3, {}), "t.xlsx", type="skillplan.enrollment.intake-reported.v1")
    assert wrong.question is not None
    assert wrong.right == 0


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * (300 << 20))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        pytest.param(bomb, "t.xlsx", "大得不合常理", id="zip bomb"),
        pytest.param(lambda: b"PK\x03\x04damaged", "t.xlsx", "损坏", id="damaged"),
        pytest.param(lambda: b"%PDF-1.4", "t.xlsx", "内容却不是", id="no workbook"),
        pytest.param(lambda: b"x", "t.pdf", "请放入表格", id="no table"),
        pytest.param(lambda: b"", "t.csv", "没有数据行", id="empty"),
        pytest.param(lambda: b"a,b\n\x81\xff\xfe\x00" * 20, "t.csv", "编码", id="encoding"),
        pytest.param(("c," * 100 + "\n" + "1," * 100).encode, "t.csv", "列数", id="columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence_without_the_command_line(content: Any, name: str, part: str) -> None:
    with pytest.raises(CommandError) as error:
        dropped(content(), name)
    assert part in error.value.zh
    assert "--" not in error.value.zh + error.value.en


def test_hidden_rows_are_named_and_read_when_that_is_said(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(io.BytesIO(hires("unit", 5, {})))
    book.worksheets[0].row_dimensions[4].hidden = True
    book.save(tmp_path / "t.xlsx")
    raw = (tmp_path / "t.xlsx").read_bytes()
    left = dropped(raw, "t.xlsx")
    assert "hidden-left-out" in {notice.code for notice in left.notices}
    assert (left.right, dropped(raw, "t.xlsx", hidden="include").right) == (4, 5)


def test_the_marked_table_has_a_note_at_every_fault_that_is_left_and_what_was_mended() -> None:
    raw = base64.b64encode(hires("unit"))
    request = {"name": "t.xlsx", "content": raw, "district": "330681", "edits": {"J12": "2025-02-28"}}
    sheet = openpyxl.load_workbook(io.BytesIO(marked(DroppedTable.model_validate(request), PLANS))).worksheets[0]
    noted = {cell.coordinate for row in sheet.iter_rows() for cell in row if cell.comment}
    assert noted == set(FAULTS) - {"J12"}
    assert sheet["J12"].value == "2025-02-28"


def test_nothing_of_a_table_is_written_to_a_file() -> None:
    tables = [
        DroppedTable.model_validate({"name": name, "content": base64.b64encode(content), "district": "330681"})
        for name, content in (("t.xlsx", hires("unit")), ("t.csv", f"{CSV}HT-1,1,示例,1,其他,1,2025\n".encode()))
    ]
    written: list[object] = []
    watching = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        flags = arguments[2] if watching and event == "open" else None
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
            written.append(arguments[0])

    def handle() -> None:
        for table in tables:
            read(table, PLANS)
            marked(table, PLANS)

    handle()  # what is imported late may write its bytecode
    sys.addaudithook(watch)
    watching = True
    with tempfile.TemporaryFile():
        assert written, "it watches"
    written.clear()
    handle()
    watching = False
    assert written == []


def test_no_personal_value_stands_in_an_id_or_a_fault() -> None:
    number = "990000199001010017"
    text = "学号,身份证号,姓名,院校统一社会信用代码,院校名称,专业代码,专业类,办学层次,入学日期\n" + (
        f"S1,{number},张三,12330681MA2DEM0X0X,示例,660103,其他,技工院校,2025-03-01\n"
    )
    result = dropped(text, type="skillplan.enrollment.student-enrolled.v1")
    text_of_faults = str([fault.model_dump() for row in result.rows for fault in row.faults])
    assert number not in text_of_faults
    assert "张三" not in text_of_faults


def test_every_header_is_matched_once() -> None:
    columns = dropped(hires("unit", 2, {}), "t.xlsx").columns
    used = [column.use.header for column in columns if column.use.header]
    assert len(used) == len(set(used)) == len(HEADERS) - 1  # not the running number


def workbook_of(*parts: tuple[str, str]) -> bytes:
    """Return a workbook of one row whose sheet has had texts put in place of others."""
    book = openpyxl.Workbook()
    for row in (["合同编号", "身份证号", "入职日期"], ["C1", "330681199001010015", "2024-03-01"]):
        book.worksheets[0].append(row)
    made, changed = io.BytesIO(), io.BytesIO()
    book.save(made)
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name)
            if name.endswith("sheet1.xml"):
                for old, new in parts:
                    assert old.encode() in text
                    text = text.replace(old.encode(), new.encode(), 1)
            target.writestr(name, text)
    return changed.getvalue()


DATA, END = "<sheetData>", "</sheetData>"
COLUMNS = "<cols>" + '<col min="1" max="16383" hidden="1"/>' * 20_000 + "</cols>" + DATA
FAR = f'<cols><col min="-999999999" max="999999999" hidden="1"/></cols>{DATA}'
MERGED = f'{END}<mergeCells count="1"><mergeCell ref="{{}}"/></mergeCells>'


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([(DATA, COLUMNS)], None),
        ([(DATA, FAR)], None),
        ([('r="A2"', 'r="ZZZZZZZ2"')], "damaged"),
        ([('r="A2"', 'r="ZZZ2"')], "damaged"),
        ([(END, MERGED.format("A2:B1048576"))], "More than 100,000 cells of this workbook are merged"),
        ([(END, MERGED.format("A2:XFD1048576"))], None),
    ],
    ids=[
        "columns again and again",
        "columns beyond",
        "seven letters",
        "three letters",
        "merged",
        "all merged",
    ],
)
@pytest.mark.timeout(30)
def test_a_small_workbook_that_names_a_large_place_costs_little(parts: list[tuple[str, str]], says: str | None) -> None:
    """What a sheet may name is bounded before it is laid out: each of these took minutes, or all the memory."""
    options = {"name": "t.xlsx", "content": base64.b64encode(workbook_of(*parts)), "district": "330681"}
    began = time.process_time()
    with contextlib.suppress(CommandError) if says is None else pytest.raises(CommandError, match=says):
        marked(DroppedTable.model_validate(options), PLANS)
    assert time.process_time() - began < 10


def test_a_row_wider_than_any_table_is_not_laid_out() -> None:
    with pytest.raises(CommandError, match="Row 2 has 2,000,001 cells"):
        dropped(CSV + "," * 2_000_000)
