"""Awkward tables of offices: what a spreadsheet shows and what is read are the same, or the cell is named."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from openpyxl.styles import Font

from client.output import CommandError
from client.validation import Checker, remedy_of
from tests.harness.languages import DISTRICTS
from tests.harness.reports import person_hired
from tests.harness.tables import ReadTable, mapping_file, read_table
from tests.unit.test_client_tables import DAY, HEAD, NAMES, RIGHT, YUAN, of_book, of_text

SHEET_NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def of_raw_rows(folder: Path, rows: str) -> ReadTable:
    """Read a workbook whose rows are written as they stand, as other programs than Excel write them."""
    file = folder / "t.xlsx"
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet()
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["xl/worksheets/sheet1.xml"] = (
        f"<worksheet {SHEET_NAMESPACE}><sheetData>{rows}</sheetData></worksheet>".encode()
    )
    with zipfile.ZipFile(file, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return read_table(file, mapping_file(folder, YUAN))


def inline(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


NAMED = "<row>" + "".join(map(inline, NAMES)) + "</row>"


@pytest.mark.parametrize(
    ("formula", "volatile"),
    [
        ("TODAY()", True), ("now()-1", True), ("A1+_xlfn.RANDARRAY(1)", True), ("INT(RAND()*9)", True),
        ("RANDBETWEEN(1,9)", True), ('IF("NOW()"="x",1,45356)', False), ("'TODAY('!A1", False), ("MYTODAY(1)", False),
        ("45356", False),
    ],
)  # fmt: skip
def test_a_formula_with_another_value_each_day_is_named(formula: str, volatile: bool, tmp_path: Path) -> None:
    file = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(file) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": 14})
        sheet.write_row(0, 0, NAMES)
        sheet.write_row(1, 0, ["A1", 100])
        sheet.write_formula(1, 2, f"={formula}", day, 45356)
    table = read_table(file, mapping_file(tmp_path, YUAN))
    assert table.faults == ([(2, "C2", "volatile-formula")] if volatile else [])
    assert table.data("on") == [None if volatile else "2024-03-05"]


def test_a_shared_formula_is_volatile_in_every_cell(tmp_path: Path) -> None:
    cell = '<c t="n"><f t="shared" si="{}"{}>{}</f><v>100</v></c>'
    rows = "".join(
        f"<row>{inline(id_)}{cell.format(si, extra, text)}{inline('2024-3-5')}</row>"
        for id_, si, extra, text in (
            ("A1", 0, ' ref="B2:B3"', "RAND()"), ("A2", 0, "", ""),
            ("A3", 1, ' ref="B4:B5"', "1+99"), ("A4", 1, "", ""),
        )
    )  # fmt: skip
    table = of_raw_rows(tmp_path, NAMED + rows)
    assert table.faults == [(2, "B2", "volatile-formula"), (3, "B3", "volatile-formula")]
    assert table.data("amount_fen") == [None, None, 10_000, 10_000]


@pytest.mark.parametrize(
    ("form", "id_"),
    [('"HT-"@', "pay-HT-001"), ('0;0;0;"B"@"C"', "pay-B001C"), ("@", "pay-001"), ("yyyy/m/d;@", "pay-001"),
     ("0", "pay-001"),
     (";;;", None), ("0;0;0;", None), ('_ @_ ', "pay-001")],
)  # fmt: skip
def test_a_text_is_what_its_format_shows(form: str, id_: str | None, tmp_path: Path) -> None:
    def show(_: Any, sheet: Any) -> None:
        sheet["A2"].number_format = form

    table = of_book(tmp_path, NAMES, ["001", 100, DAY], change=show)
    assert table.attribute("id") == [id_]
    assert [code for _, _, code in table.faults] == ([] if id_ else ["format-unclear"])


def test_rows_that_are_crossed_out_are_counted(tmp_path: Path) -> None:
    def strike(_: Any, sheet: Any) -> None:
        sheet["B3"].font = Font(strike=True)
        sheet["F2"].font = Font(strike=True)  # of a cell without a value

    table = of_book(tmp_path, NAMES, ["A1", 100, DAY], ["A2", 100, DAY], change=strike)
    assert (table.data("amount_fen"), table.notices) == (RIGHT * 2, {"struck-row": 1})


@pytest.mark.parametrize("dash", "‐‑‒–—−﹣－")
def test_an_id_has_one_form_whatever_its_dashes(dash: str, tmp_path: Path) -> None:
    table = of_text(tmp_path, HEAD + f"HT{dash}1,100,2024-3-5\n")
    assert (table.attribute("id"), table.attribute("subject"), table.faults) == (["pay-HT-1"], ["claim/HT-1"], [])


def test_a_number_in_an_id_is_not_parted_by_thousands(tmp_path: Path) -> None:
    def show(_: Any, sheet: Any) -> None:
        sheet["A2"].number_format = "#,##0"

    assert of_book(tmp_path, NAMES, [1234, 100, DAY], change=show).faults == [(2, "A2", "format-unclear")]


@pytest.mark.parametrize("title", ["2024年补贴发放表(万元)", "补贴(单位万元)", "单位:万元", "发放金额/万元"])
def test_a_unit_in_a_title_must_agree_however_it_is_written(title: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="万元"):
        of_text(tmp_path, f"{title},,\n{HEAD}A1,100,2024-3-5\n")


@pytest.mark.parametrize(
    ("text", "amounts", "faults"),
    [
        ("单号,金额,日期\rA1,100,2024-3-5\rA2,100,2024-3-5\r", RIGHT * 2, []),  # ends of lines of an old Mac
        ("单号\t金额\t日期\nA1\t100\t2024-3-5\n", RIGHT, []),
        ("sep=|\n单号|金额|日期\nA1|100|2024-3-5\n", RIGHT, []),
        ("单号;金额;日期\nA1;100,00;2024-3-5\n", [None], [(2, "B2", "ambiguous-number")]),
        ("单号,金额,日期\nA1,100,2024-3-5\n\x1a", RIGHT, []),  # the end of a file of DOS
        ("单号,金额,日期\nA1,1 000.5,2024-3-5\n", [100_050], []),
        ("单号,金额,日期\nA1,5E4,2024-3-5\n", [None], [(2, "B2", "bad-value")]),
        ("单号,金额,日期\nA1,100-,2024-3-5\n", [None], [(2, "B2", "bad-value")]),
        ("单号,金额,日期\nA1,-100,2024-3-5\n", [-10_000], [(2, "B2", "bad-value")]),
        ("单号,金额,日期\nA1,１００,２０２４.３.５\n", RIGHT, []),
        ("单号,金额,日期\nA1,一百,2024-3-5\n", [None], [(2, "B2", "bad-value")]),
        ("单号,金额,日期\nA1,100,2024年三月五日\n", RIGHT, [(2, "C2", "bad-date")]),
        ("单号,金额,日期\nA1,100,2024-2-30\n", RIGHT, [(2, "C2", "bad-date")]),
        ("单号,金额,日期\nA\x001,100,2024-3-5\n", RIGHT, [(2, "A2", "bad-attribute"), (2, "A2", "bad-subject")]),
        ("单号,金额,日期\n\"A1\n\",100,2024-3-5\n", RIGHT, []),
        ("单号,金额,日期\n电话13800000000,100,2024-3-5\n", RIGHT, [(2, "A2", "bad-subject")]),
        ("单号,金额,日期\nA1,100,2024-3-5,,,\n", RIGHT, []),
        ("单号,金额,日期\nA1,100\n", [], [(2, None, "other-width")]),
    ],
)  # fmt: skip
def test_a_text_table_is_read_as_it_is_meant_or_its_cell_is_named(
    text: str, amounts: list[int | None], faults: list[tuple[int, str | None, str]], tmp_path: Path
) -> None:
    table = of_text(tmp_path, text)
    assert table.faults == faults
    assert [amount for item, amount in zip(table.items, table.data("amount_fen"), strict=True) if item.event] == amounts


def test_cells_without_references_out_of_rich_text_and_in_iso_dates_are_read(tmp_path: Path) -> None:
    rich = '<c t="inlineStr"><is><r><t>A</t></r><r><rPr><b/></rPr><t>1</t></r><rPh><t>x</t></rPh></is></c>'
    rows = f'<row>{rich}<c><v>1E2</v></c><c t="d"><v>2024-03-05T00:00:00</v></c></row><row/><row></row>'
    table = of_raw_rows(tmp_path, NAMED + rows)
    assert (table.attribute("id"), table.data("amount_fen"), table.data("on")) == (["pay-A1"], RIGHT, ["2024-03-05"])
    assert table.faults == []


HIRE: dict[str, str] = {
    "type": "skillplan.recruitment.person-hired.v1",
    "source": "/districts/330681/hr",
    "id": '"hire-{合同}"',
    "subject": '"hire/{合同}"',
}
HIRE_COLUMNS = """\
姓名: data.person.name
单位: data.enterprise.name
职业: data.occupation_code
渠道: {to: data.channel, values: {金蓝领招引: gold-blue-collar, 校企 合作: school-enterprise}}"""


def of_hires(folder: Path, *rows: str) -> ReadTable:
    return of_text(folder, "\n".join(["合同,姓名,单位,职业,渠道", *rows]), columns=HIRE_COLUMNS, **HIRE)


@pytest.mark.parametrize("written", ["-", "——", "/", "无", " 暂无 ", "同上", "〃", "N/A", "null", "？", "待补"])
def test_a_word_that_stands_for_nothing_is_named_and_not_taken_for_a_name(written: str, tmp_path: Path) -> None:
    table = of_hires(tmp_path, f"1,{written},{written},6-18-01-01,金蓝领招引", "2,吴一,无锡一厂,6-18-01-01,金蓝领招引")
    assert table.notices["placeholder"] == 1
    opened = of_hires(tmp_path, "3,吴一,无锡一厂,6-18-01-01,金蓝领招引", "4,无双,同上海一厂,6-18-01-01,金蓝领招引")
    assert "placeholder" not in opened.notices


@pytest.mark.parametrize("written", ["金蓝领", "“金蓝领”", "'金蓝领'", "「金 蓝领」", '"""金蓝领"""'])
def test_a_word_is_known_with_any_quotation_marks_and_without(written: str, tmp_path: Path) -> None:
    columns = HIRE_COLUMNS.replace("金蓝领招引", "“金蓝领”")
    table = of_text(tmp_path, f"合同,姓名,单位,职业,渠道\n1,吴一,一厂,6-18-01-01,{written}", columns=columns, **HIRE)
    assert table.data("channel") == ["gold-blue-collar"]


def test_what_may_stand_in_a_cell_is_said_by_example(tmp_path: Path) -> None:
    table = of_hires(tmp_path, "1,吴一,一厂,车工,招引", "绍市 3/1,吴一,一厂,6-18-01-01,校企合作")
    by_code = {(item.line, fault.code): fault for item in table.items for fault in item.faults if fault.cell}
    choices = [fault for item in table.items for fault in item.faults if fault.cell == "E2"]
    assert [("金蓝领招引、校企 合作" in fault.zh, "金蓝领招引, 校企 合作" in fault.en) for fault in choices] == [
        (True, True)
    ]
    forms = [fault for item in table.items for fault in item.faults if fault.cell == "D2"]
    assert [("6-18-01-01" in fault.zh, "6-18-01-01" in fault.en) for fault in forms] == [(True, True)]
    assert (3, "bad-subject") in by_code, "the second word is known without its space"
    remedy = remedy_of("bad-subject")
    assert remedy is not None
    assert "没有空格、斜杠和汉字" in remedy["zh"]


def test_a_row_that_repeats_another_is_counted(tmp_path: Path) -> None:
    row = "A1,100,2024-3-5\n"
    assert of_text(tmp_path, HEAD + row * 3 + row.replace("A1", "A2")).notices == {"repeated-row": 2}
    assert of_text(tmp_path, HEAD + row + row.replace("A1", "A2")).notices == {}


@pytest.mark.parametrize("content", [b"%PDF-1.4\n%", HEAD.replace(",", "，").encode(), "單號,金額\n".encode("gb18030")])
def test_what_is_no_table_of_these_columns_is_told_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        of_text(tmp_path, content + b"1,2\n")
    assert refused.value.zh.startswith("表里一列也没有认出来。")
    assert refused.value.en.startswith("No column of the table is known.")
    assert all(name in refused.value.zh for name in NAMES)


@pytest.mark.parametrize("name", ["t.zip", "t.docx", "t.csv.gz", "t"])
def test_a_file_whose_kind_is_no_table_is_told_what_to_be_saved_as(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(CommandError, match="xlsx"):
        read_table(tmp_path / name, mapping_file(tmp_path, YUAN))


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("time", "2024-03-05", "2024-03-05T09:00:00+08:00"),
        ("district", "诸暨", "6 位区划代码"),
        ("source", "districts/330681/x", "/districts/<6 位区划代码>/<系统名>"),
        ("id", "a b", "没有空格"),
        ("specversion", "0.3", "1.0"),
    ],
)
def test_an_attribute_is_refused_with_what_it_must_be(attribute: str, value: str, expected: str) -> None:
    faults = [*Checker(DISTRICTS).faults(person_hired("awkward") | {attribute: value}, 1)]
    (fault,) = [fault for fault in faults if fault.pointer == f"/{attribute}" and fault.code == "bad-attribute"]
    assert expected in fault.zh
    assert value not in fault.zh + fault.en or value in expected


@pytest.mark.parametrize("sign", "²₂②½")
def test_a_raised_or_circled_character_is_no_plain_one(sign: str, tmp_path: Path) -> None:
    assert of_text(tmp_path, f"{HEAD}A1,10{sign},2024-3-5\n").faults == [(2, "B2", "bad-value")]
    circled = of_text(tmp_path, f"{HEAD}A{sign},100,2024-3-5\n")
    assert circled.attribute("id") == [None], "another thing than A2"
    assert {code for *_, code in circled.faults} == {"bad-value"}


@pytest.mark.parametrize(
    ("row", "notice"),
    [
        ("1,2,3", "column-numbers"), ("甲,1,2", "column-numbers"), ("甲,乙,丙", "column-numbers"),
        ("(1),(2),(3)", "column-numbers"), ("大写合计,壹佰元整,", "total-row"), ("★合计,100,", "total-row"),
        ("人数合计,100,2024-3-5", "total-row"), ("平均,100,", "total-row"), ("(以下空白),,", "signature-row"),
        ("第 1 页 共 2 页,,", "signature-row"), ("附件:1 份,,", "signature-row"),
    ],
)  # fmt: skip
def test_a_row_that_is_none_of_the_list_is_left_out_and_counted(row: str, notice: str, tmp_path: Path) -> None:
    table = of_text(tmp_path, f"{HEAD}{row}\nA1,100,2024-3-5\n")
    assert (table.attribute("id"), table.faults, table.notices) == (["pay-A1"], [], {notice: 1})
    data = of_text(tmp_path, f"{HEAD}A1,100,2024-3-5\n1,2,2024-3-6\n")
    assert data.data("amount_fen") == [10_000, 200]
