"""Tables in every shape that offices make: a cell is read as it stands or is named, and nothing is lost."""

import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.chart import BarChart

from client.output import SOME_WRONG, USAGE, CommandError
from tests.harness.tables import ReadTable, mapping_file, read_table

YUAN = "金额: {to: data.amount_fen, unit: yuan}\n日期: data.on"
HEAD = "单号,金额,日期\n"
NAMES = ["单号", "金额", "日期"]
DAY = datetime(2024, 3, 5)  # noqa: DTZ001 - a spreadsheet's dates know no zone
RIGHT = [10_000]


def of_text(folder: Path, text: str | bytes, encoding: str = "utf-8", columns: str = YUAN, **keys: str) -> ReadTable:
    file = folder / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_table(file, mapping_file(folder, columns, **keys))


def of_book(
    folder: Path,
    *rows: list[Any],
    change: Callable[[Any, Any], None] | None = None,
    columns: str = YUAN,
    **options: Any,
) -> ReadTable:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    if change:
        change(book, sheet)
    book.save(folder / "t.xlsx")
    return read_table(folder / "t.xlsx", mapping_file(folder, columns), **options)


def test_totals_signatures_comments_and_repeated_headers_are_left_out_and_counted(tmp_path: Path) -> None:
    table = of_text(
        tmp_path,
        HEAD + "A1,100,2024-3-5\n合计,100,\n小 计:,5,\n,,\n# 说明,,\n" + HEAD + "A2,1,2024-3-5\n总计(元),3,\n"
        "填表人:张三,审核人:李四,2024年3月\n单位(盖章),,\n备注:以上属实,,\n",
    )  # fmt: skip
    assert (table.attribute("id"), table.faults) == (["pay-A1", "pay-A2"], [])
    assert table.notices == {"total-row": 3, "comment-row": 1, "repeated-header": 1, "signature-row": 3}


def test_a_row_with_an_id_is_data_whatever_its_first_word(tmp_path: Path) -> None:
    text = "科室,单号,金额,日期\n合计,A1,100,2024-3-5\n小计,,200,\n#,A2,1,2024-3-5\n"
    table = of_text(tmp_path, text)
    assert (table.attribute("id"), table.notices) == (["pay-A1", "pay-A2"], {"total-row": 1})


def test_rows_that_are_only_numbered_are_left_out_and_counted(tmp_path: Path) -> None:
    table = of_text(tmp_path, "序号," + HEAD + "1,A1,100,2024-3-5\n2,,,\n3,,,\n")
    assert (table.data("amount_fen"), table.notices) == (RIGHT, {"unfilled-row": 2})


@pytest.mark.parametrize(
    ("above", "faulty"),
    [("2024年发放表\n\n", ""), ("2024年发放表,,\n单位:元,,\n", ""), ("发放表,,\n单位:万元,,\n", "万元")],
)
def test_title_rows_are_passed_and_a_unit_in_them_must_agree(above: str, faulty: str, tmp_path: Path) -> None:
    if faulty:
        with pytest.raises(CommandError, match=f"单位是“{faulty}”"):
            of_text(tmp_path, above + HEAD + "A1,100,2024-3-5\n")
    else:
        table = of_text(tmp_path, above + HEAD + "A1,100,2024-3-5\n")
        assert ([item.line for item in table.items], table.notices) == (
            [4 - (above.count("\n") == 1)],
            {"header-row": 1},
        )


def test_a_header_of_two_rows_is_read_by_its_lower_or_by_both_names(tmp_path: Path) -> None:
    def merge(_: Any, sheet: Any) -> None:
        for cells in ("A1:A2", "B1:C1", "D1:E1"):
            sheet.merge_cells(cells)

    rows: list[list[Any]] = [
        ["单号", "拨付", None, "退回", None],
        [None, "金额", "日期", "金额", "日期"],
        ["A1", 100, DAY, 7, DAY],
    ]
    table = of_book(
        tmp_path, *rows, change=merge, columns="拨付金额: {to: data.amount_fen, unit: yuan}\n拨付/日期: data.on"
    )
    assert (table.data("amount_fen"), table.notices, table.items[0].line) == (RIGHT, {"header-row": 1}, 3)
    with pytest.raises(CommandError, match="几列同名"):
        of_book(tmp_path, *rows, change=merge)


@pytest.mark.parametrize(
    "name", ["金额(元)", "金额\uff08元\uff09", "补贴金额/元", "金额(单位:元)", "*金额(人民币元)", "资金 元"]
)
def test_a_unit_in_a_header_is_seen_however_it_is_written(name: str, tmp_path: Path) -> None:
    text = HEAD.replace("金额", name) + "A1,100,2024-3-5\n"
    column = f"'{name}': {{to: data.amount_fen, unit: %s}}\n日期: data.on"
    assert of_text(tmp_path, text, columns=column % "yuan").data("amount_fen") == RIGHT
    for other in ("wan-yuan", "fen"):
        with pytest.raises(CommandError, match="与映射不符"):
            of_text(tmp_path, text, columns=column % other)


@pytest.mark.parametrize("name", ["金额(千元)", "金额(亿元)", "占比(%)", "金额(百万元)", "金额(角)"])
def test_a_unit_that_no_mapping_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="请先换算"):
        of_text(
            tmp_path, HEAD.replace("金额", name) + "A1,1,2024-3-5\n",
            columns=f"'{name}': {{to: data.amount_fen, unit: yuan}}\n日期: data.on",
        )  # fmt: skip


def test_counts_in_ten_thousands_say_so_in_header_and_mapping(tmp_path: Path) -> None:
    keys = {
        "type": "skillplan.enrollment.population-reported.v1", "source": "/districts/330681/stats",
        "id": '"pop-{日期}"', "subject": "population/330681",
    }  # fmt: skip
    text = "常住人口(万人),日期\n121.85,2024-12-31\n"
    columns = "常住人口(万人): {to: data.residents, unit: wan}\n日期: data.on"
    assert of_text(tmp_path, text, columns=columns, **keys).data("residents") == [1_218_500]
    with pytest.raises(CommandError, match="万人"):
        of_text(tmp_path, text, columns="常住人口(万人): data.residents\n日期: data.on", **keys)


@pytest.mark.parametrize(
    ("written", "fen"),
    [
        ("100", 10_000), ("100.5", 10_050), ('"1,234.50"', 123_450), ("¥300", 30_000),
        ("300元", 30_000), ("300 元整", 30_000), ("\uff13\uff10\uff10", 30_000),
        ("0.30000000000000004", 30), ('="300"', 30_000),
        ("'300", 30_000), ("3万元", "unit-differs"), ("300人", "unit-differs"), ('"1,23"', "ambiguous-number"),
        ('"1.234,50"', "ambiguous-number"), ("1.5E+03", "number-lost"), ("#VALUE!", "cell-error"),
        ("########", "cell-error"), ('"1,234"', "ambiguous-number"), ('"1,234,567"', 123_456_700),
        ("300.005", "bad-value"), ("(300)", "bad-value"), ("叁佰", "bad-value"),
        ("2024年3月5日", "bad-value"),
    ],
)  # fmt: skip
def test_an_amount_is_the_one_that_is_meant_or_is_named(written: str, fen: int | str, tmp_path: Path) -> None:
    table = of_text(tmp_path, f"{HEAD}A1,{written},2024-3-5\n")
    if isinstance(fen, int):
        assert (table.data("amount_fen"), table.faults) == ([fen], [])
    else:
        assert (table.data("amount_fen"), table.faults) == ([None], [(2, "B2", fen)])


@pytest.mark.parametrize(
    ("written", "comma", "point"),
    [("100", 10_000, 10_000), ("1,5", 150, None), ("1.234", 123_400, None), ("1.234,56", 123_456, None)],
)
def test_commas_and_points_are_not_guessed_where_commas_stand_before_decimals(
    written: str, comma: int | None, point: int | None, tmp_path: Path
) -> None:
    text = f"单号;金额;日期\nA1;{written};2024-3-5\n"
    unsaid = of_text(tmp_path, text)
    assert unsaid.data("amount_fen") == ([comma] if written == "100" else [None])
    assert of_text(tmp_path, text, decimal='","').data("amount_fen") == [comma]
    assert of_text(tmp_path, text, decimal='"."').data("amount_fen") == [point]


@pytest.mark.parametrize(
    ("written", "day", "notices"),
    [
        ("2024/3/5", "2024-03-05", {}), ("2024.3.5", "2024-03-05", {}), ("20240305", "2024-03-05", {}),
        ("2024年3月5日", "2024-03-05", {}), ("2024/3/5 星期二", "2024-03-05", {}),
        ("2024-03-05T00:00:00", "2024-03-05", {}), ("2024/3/5 0:00", "2024-03-05", {}),
        ("2024/3/5 9:30", "2024-03-05", {"clock-ignored": 1}),
        ("2024年3月5日下午3时30分", "2024-03-05", {"clock-ignored": 1}),
        ("2024-03-04T16:00:00Z", "2024-03-05", {}), ("\uff12\uff10\uff12\uff14\uff0f3\uff0f5", "2024-03-05", {}),
        ("3/5/2024", None, {}), ("2024-03", None, {}), ("45356", None, {}), ("24-3-5", None, {}), ("####", None, {}),
    ],
)  # fmt: skip
def test_a_date_is_the_day_that_is_meant_or_is_named(
    written: str, day: str | None, notices: dict[str, int], tmp_path: Path
) -> None:
    table = of_text(tmp_path, f"{HEAD}A1,100,{written}\n")
    if day:
        assert (table.data("on"), table.faults, table.notices) == ([day], [], notices)
    else:
        assert [(row, cell) for row, cell, _ in table.faults] == [(2, "C2")]


def test_times_are_beijing_times_in_one_cell_or_in_two(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [*NAMES, "时刻", "办理"],
        ["A1", 1, DAY, time(9, 30), DAY.replace(hour=14)],
        ["A2", 1, DAY, time(0, 0, 5), DAY],
    ]
    of_book(tmp_path, *rows)
    for template, times in (
        ('"{日期} {时刻}"', ["2024-03-05T09:30:00+08:00", "2024-03-05T00:00:05+08:00"]),
        ('"{办理}"', ["2024-03-05T14:00:00+08:00", "2024-03-05T00:00:00+08:00"]),
    ):
        table = read_table(tmp_path / "t.xlsx", mapping_file(tmp_path, YUAN, time=template))
        assert (table.attribute("time"), table.faults) == (times, [])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1234567890123456, "number-lost"), ("1.73300101240123E+15", "number-lost"), (DAY, "cell-is-date"),
        (time(1, 2), "cell-is-date"), ("2-Jan", "cell-is-date"), ("Jan-02", "cell-is-date"), ("1月2日", "cell-is-date"),
        ("#N/A", "cell-error"), ("=A1&\"x\"", "formula-without-value"),
    ],
)  # fmt: skip
def test_a_number_of_a_thing_is_checked_where_it_goes_into_the_id(number: Any, code: str, tmp_path: Path) -> None:
    table = of_book(tmp_path, NAMES, [number, 100, DAY])
    assert table.faults == [(2, "A2", code)]
    assert table.attribute("id") == [None]


def test_ids_have_one_form_whatever_the_width_of_their_characters(tmp_path: Path) -> None:
    table = of_text(tmp_path, HEAD + "\uff28\uff34-001,1,2024-3-5\nHT-001,1,2024-3-5\n HT\u200b-001\u3000,1,2024-3-5\n")
    assert (table.attribute("id"), table.faults) == (["pay-HT-001"] * 3, [])


def test_ids_of_numbers_dates_and_long_zeros_are_warned_of(tmp_path: Path) -> None:
    table = of_book(tmp_path, NAMES, [12, 1, DAY], ["330681202401230000", 1, DAY])
    assert (table.attribute("id"), table.notices) == (
        ["pay-12", "pay-330681202401230000"], {"number-in-id": 1, "digits-in-doubt": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (12.5, "0.00", 1_250), (1234.5, "#,##0.00", 123_450), (300, '[$¥-804]#,##0.00', 30_000), (3, '0.00"元"', 300),
        (3, "General", 300), (0.1 + 0.2, "General", 30), (5, "@", 500), (300.004, "0.00", "shown-otherwise"),
        (0.5, "0%", "format-unclear"), (12345, "0.0,", "format-unclear"), (12345, '0!.0,"万"', "format-unclear"),
        (3, '0.00"万元"', "unit-differs"), (5, ";;;", "format-unclear"), (5, "0.00E+00", "format-unclear"),
        (5, "[DBNum2]General", "format-unclear"), (5, "[>3]0;0.0", "format-unclear"),
        (DAY, "yyyy-mm-dd", "cell-is-date"),
        (True, "General", "bad-value"),
    ],
)  # fmt: skip
def test_an_amount_of_a_workbook_is_the_one_that_it_shows(
    value: Any, form: str, expected: int | str, tmp_path: Path
) -> None:
    def show(_: Any, sheet: Any) -> None:
        sheet["B2"].number_format = form

    table = of_book(tmp_path, NAMES, ["A1", value, DAY], change=show)
    if isinstance(expected, int):
        assert (table.data("amount_fen"), table.faults) == ([expected], [])
    else:
        assert table.faults == [(2, "B2", expected)]


@pytest.mark.parametrize(("form", "id_"), [("0000", "pay-0012"), ('"HT-"000', "pay-HT-012"), ("@", "pay-12")])
def test_a_number_of_a_thing_is_the_text_that_it_shows(form: str, id_: str, tmp_path: Path) -> None:
    def show(_: Any, sheet: Any) -> None:
        sheet["A2"].number_format = form

    assert of_book(tmp_path, NAMES, [12, 100, DAY], change=show).attribute("id") == [id_]


def test_dates_of_workbooks_are_days(tmp_path: Path) -> None:
    def show(_: Any, sheet: Any) -> None:
        for cell, form in (
            ("C3", "yyyy年m月"),
            ("C4", "[$-F800]dddd, mmmm dd, yyyy"),
            ("C5", "[h]:mm"),
            ("C6", "General"),
        ):
            sheet[cell].number_format = form

    days = (DAY.replace(hour=9), DAY, DAY, DAY, 45356, date(2024, 3, 5))
    table = of_book(tmp_path, NAMES, *([f"A{n}", 1, day] for n, day in enumerate(days)), change=show)
    assert table.data("on") == ["2024-03-05"] * 3 + [None, None] + ["2024-03-05"]
    assert table.faults == [(5, "C5", "format-unclear"), (6, "C6", "bad-date")]
    assert table.notices == {"clock-ignored": 1, "day-not-shown": 1}


def test_merged_cells_count_for_each_row_but_never_amounts(tmp_path: Path) -> None:
    def merge(_: Any, sheet: Any) -> None:
        for cells in ("A1:C1", "B3:B4", "A5:B5", "C3:C6", "A7:C7"):
            sheet.merge_cells(cells)

    table = of_book(
        tmp_path,
        ["2024年"],
        NAMES,
        ["A1", 1, DAY],
        ["A2"],
        ["A3", 2],
        ["A4", 3],
        ["填表人:张三 审核人:李四"],
        change=merge,
    )
    assert table.data("on") == ["2024-03-05"] * 4
    assert table.faults == [(3, "B3", "merged-amount"), (4, "B4", "merged-amount"), (5, "B5", "merged-cells")]
    assert table.notices == {"header-row": 1, "merged-cells": 3, "signature-row": 1}


def test_formulas_have_the_value_that_was_saved_with_them_or_none(tmp_path: Path) -> None:
    file = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(file, {"date_1904": True}) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": 31})
        for row, (id_, value) in enumerate([("单号", "金额"), ("A1", None), ("A2", 10)]):
            sheet.write(row, 0, id_)
            sheet.write(row, 2, "日期") if not row else sheet.write_datetime(row, 2, DAY, day)
            sheet.write(row, 1, value) if not row else sheet.write_formula(row, 1, "=5+5", None, value or 0)
        sheet.write_rich_string(3, 0, "A", book.add_format({"bold": True}), "3")
        sheet.write_row(3, 1, [10])
        sheet.write_datetime(3, 2, DAY, day)
    table = read_table(file, mapping_file(tmp_path, YUAN))
    assert (table.faults, table.data("amount_fen")) == ([(2, "B2", "formula-without-value")], [None, 1_000, 1_000])
    assert (table.data("on"), table.attribute("id")[2]) == (["2024-03-05"] * 3, "pay-A3"), "also in a workbook of 1904"


def rewritten(file: Path, change: Callable[[str, str], str]) -> None:
    """Write a workbook's parts anew, each changed as text."""
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name).decode() for name in old.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, text in parts.items():
            new.writestr(name, change(name, text))


def strict(_: str, text: str) -> str:
    return text.replace(
        "schemas.openxmlformats.org/spreadsheetml/2006/main", "purl.oclc.org/ooxml/spreadsheetml/main"
    ).replace(
        "schemas.openxmlformats.org/officeDocument/2006/relationships",
        "purl.oclc.org/ooxml/officeDocument/relationships",
    )


def prefixed(name: str, text: str) -> str:
    if "/worksheets/sheet" not in name:
        return text
    for tag in (
        "worksheet",
        "sheetData",
        "row",
        "c",
        "v",
        "is",
        "t",
        "mergeCells",
        "mergeCell",
        "sheetPr",
        "cols",
        "col",
    ):
        for old in (f"<{tag} ", f"<{tag}>", f"</{tag}>", f"<{tag}/>"):
            text = text.replace(old, old.replace(tag, f"x:{tag}"))
    return text.replace("xmlns=", "xmlns:x=", 1)


def without_references(name: str, text: str) -> str:
    return text.replace(' r="A2"', "").replace('<row r="2"', "<row") if "/worksheets/sheet" in name else text


def inline(name: str, text: str) -> str:
    inner = '<c r="A2" t="inlineStr"><is><r><t>A</t></r><r><t>1</t></r><rPh sb="0" eb="1"><t>ei</t></rPh></is></c>'
    return text.replace('<c r="A2" t="inlineStr"><is><t>A1</t></is></c>', inner)


@pytest.mark.parametrize("change", [strict, prefixed, without_references, inline])
def test_workbooks_of_other_programs_are_read_alike(change: Callable[[str, str], str], tmp_path: Path) -> None:
    of_book(tmp_path, NAMES, ["A1", 100, DAY], ["A2", 5, DAY])
    rewritten(tmp_path / "t.xlsx", change)
    table = read_table(tmp_path / "t.xlsx", tmp_path / "mapping.yaml")
    assert (table.attribute("id"), table.data("on"), table.faults) == (["pay-A1", "pay-A2"], ["2024-03-05"] * 2, [])


def test_entities_and_bombs_of_a_workbook_are_refused(tmp_path: Path) -> None:
    of_book(tmp_path, NAMES, ["A1", 100, DAY])
    doctype = '<!DOCTYPE sst [<!ENTITY a "aaaaaaaaaa">]>'
    rewritten(tmp_path / "t.xlsx", lambda name, text: doctype + text if name == "xl/workbook.xml" else text)
    with pytest.raises(CommandError, match="已损坏"):
        read_table(tmp_path / "t.xlsx", tmp_path / "mapping.yaml")
    bomb = " " * (80 << 20)
    rewritten(tmp_path / "t.xlsx", lambda name, text: text + bomb if "/worksheets/sheet" in name else text)
    with pytest.raises(CommandError, match=r"已损坏|大得不合常理"):
        read_table(tmp_path / "t.xlsx", tmp_path / "mapping.yaml")


@pytest.mark.parametrize("part", ["content.xml", "xl/workbook.bin"])
def test_workbooks_of_other_kinds_get_one_sentence(part: str, tmp_path: Path) -> None:
    for name in ("t.ods", "t.xlsb", "t.xlsx", "t.csv"):
        with zipfile.ZipFile(tmp_path / name, "w") as book:
            book.writestr(part, "x")
        with pytest.raises(CommandError, match=r"另存为 \.xlsx"):
            read_table(tmp_path / name, mapping_file(tmp_path, YUAN))


def test_the_sheet_with_the_columns_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    def more(book: Any, sheet: Any) -> None:
        sheet["A1"] = "填表说明"
        data, old = book.create_sheet("数据"), book.create_sheet("旧")
        for row in (NAMES, ["A1", 100, DAY]):
            data.append(row)
            old.append(row)
        old.sheet_state = "veryHidden"
        book.create_chartsheet("图表").add_chart(BarChart())
        data.column_dimensions["B"].hidden = True

    table = of_book(tmp_path, change=more)
    assert (table.data("amount_fen"), table.notices) == (RIGHT, {"sheets-not-read": 2, "hidden-column": 1})
    with pytest.raises(CommandError, match="图表"):
        of_book(tmp_path, change=more, sheet="图表")


def test_a_workbook_whose_seen_sheets_are_empty_is_asked_about(tmp_path: Path) -> None:
    def hide(book: Any, sheet: Any) -> None:
        sheet.sheet_state = "hidden"
        book.create_sheet("空")

    with pytest.raises(CommandError, match="隐藏的工作表") as refused:
        of_book(tmp_path, NAMES, ["A1", 100, DAY], change=hide)
    assert refused.value.exit_code == USAGE
    with pytest.raises(CommandError) as refused:
        of_book(tmp_path, NAMES)
    assert (refused.value.code, refused.value.exit_code) == ("no-rows", SOME_WRONG)


@pytest.mark.parametrize(
    ("text", "encoding", "faults"),
    [
        (HEAD + "A1,100,2024年3月5日\n", "gb18030", []),
        (HEAD + "A1,100,2024年3月5日\n", "utf-16", []),
        (HEAD.replace(",", "|") + "A1|100|2024-3-5\n", "utf-8", []),
        ((HEAD + "A1,100,2024-3-5\n").replace("\n", "\r"), "utf-8", []),
        ("sep=;\n" + HEAD.replace(",", ";") + "A1;100;2024-3-5\n", "utf-8", []),
    ],
)
def test_text_files_are_read_in_every_dialect(text: str, encoding: str, faults: list[Any], tmp_path: Path) -> None:
    table = of_text(tmp_path, text, encoding)
    assert (table.data("amount_fen"), table.data("on"), table.faults) == (RIGHT, ["2024-03-05"], faults)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_damaged_byte_costs_its_cell_and_never_changes_the_encoding(encoding: str, tmp_path: Path) -> None:
    rows = "".join(f"A{at},100,2024年3月5日,备注\n" for at in range(1, 4))
    whole = (HEAD.rstrip() + ",说明\n" + rows).encode(encoding)
    used, unused = whole.rindex("年".encode(encoding)), whole.rindex("备注".encode(encoding))
    table = of_text(tmp_path, whole[:used] + b"\xff" + whole[used + 1 :])
    assert (table.faults, table.data("amount_fen")) == ([(4, "C4", "damaged-text")], RIGHT * 3)
    table = of_text(tmp_path, whole[:unused] + b"\xff" + whole[unused + 1 :])
    assert (table.faults, table.notices) == ([], {"damaged-line": 1})


def test_utf_16_without_a_mark_and_an_unclosed_quote_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--encoding utf-16-le"):
        of_text(tmp_path, HEAD + "A1,100,2024-3-5\n", "utf-16-le")
    with pytest.raises(CommandError, match="第 3 行"):
        of_text(tmp_path, HEAD + 'A1,100,2024-3-5\n"A2,100,2024-3-5\nA3,1,2024-3-5\n')


def test_cells_of_several_lines_are_cells_and_columns_without_a_header_are_named(tmp_path: Path) -> None:
    table = of_text(
        tmp_path, HEAD.rstrip() + ',备注,\nA1,100,2024-3-5,"一\n二",x\nA2,1,2024-3-6,,\nA3,1,2024-3-6,,,y\n'
    )
    assert table.faults == [(4, None, "other-width")]
    assert table.notices == {"several-lines": 1, "beyond-header": 1}


def test_nothing_of_a_file_without_a_header_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        of_text(tmp_path, "示例甲,单号甲,金额乙\n1,2,3\n")
    assert "示例甲" not in str(refused.value)
    assert "单号甲" not in str(refused.value)


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (b"<html><table><tr><td>1</td></tr></table></html>", "网页或 XML"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>", "网页或 XML"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "打开密码"),
    ],
)
def test_what_is_called_a_workbook_and_is_none_gets_one_sentence(start: bytes, sentence: str, tmp_path: Path) -> None:
    for name in ("t.xls", "t.xlsx", "t.et"):
        (tmp_path / name).write_bytes(start)
        with pytest.raises(CommandError, match=sentence):
            read_table(tmp_path / name, mapping_file(tmp_path, YUAN))
