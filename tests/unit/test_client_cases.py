"""Tables from the field that once went wrong: each is read as a person sees it, or its row is named."""

from datetime import date
from pathlib import Path
from typing import Final

import pytest

from client.output import SOME_WRONG, USAGE, CommandError
from tests.harness.tables import ReadTable, read_table

CASES: Final = Path(__file__).with_name("cases")


def case(name: str, mapping: str = "hires.yaml", **options: str) -> ReadTable:
    file = CASES / name
    return read_table(file, file.parent / mapping, **options)


@pytest.mark.parametrize("name", ["errors.csv", "errors.xlsx", "narrow-date.csv", "units.csv"])
def test_a_row_whose_first_cell_begins_with_a_hash_is_data(name: str) -> None:
    table = case(f"F02/{name}")
    assert (len(table.items), table.faults, table.notices) == (6, [], {})


def test_the_sheets_that_are_not_read_are_named_and_a_hidden_one_is_never_read_unasked() -> None:
    table = case("F03/two-sheets.xlsx")
    assert (len(table.items), table.notices) == (5, {"sheets-not-read": 1})
    first_hidden = case("F03/hidden-first.xlsx")
    assert {day[:4] for day in first_hidden.data("hired_on")} == {"2025"}
    assert first_hidden.notices == {"sheets-not-read": 1}
    old = case("F03/hidden-first.xlsx", sheet="2024旧")
    assert {day[:4] for day in old.data("hired_on")} == {"2024"}
    with pytest.raises(CommandError, match="有:2025") as refused:
        case("F03/hidden-first.xlsx", sheet="2026")
    assert refused.value.exit_code == USAGE


def test_rows_that_are_filtered_out_are_asked_about() -> None:
    with pytest.raises(CommandError) as question:
        case("F16/filtered.xlsx")
    assert question.value.code == "hidden-rows"
    assert "有 4 行被隐藏或筛选掉了(第 3、4、5、6 行)" in question.value.zh
    assert case("F16/filtered.xlsx", hidden="include").notices == {"hidden-included": 4}
    left = case("F16/filtered.xlsx", hidden="leave")
    assert ([item.line for item in left.items], left.notices) == ([2, 7, 8, 9], {"hidden-left-out": 4})


def test_headers_of_a_hash_of_two_rows_and_with_unused_names_twice_are_headers() -> None:
    assert case("F30/hash.csv", "hash.yaml").attribute("id") == ["hire-1-F30-0001", "hire-2-F30-0002"]
    two = case("F30/twohead.xlsx")
    assert (two.attribute("subject"), two.notices) == (["hire/F30b-0001", "hire/F30b-0002"], {"header-row": 1})
    assert case("F30/dup.csv").faults == case("F30/leak.csv").faults == []


def test_a_merged_cell_counts_for_every_row_that_it_covers() -> None:
    table = case("F04/merged.xlsx", "cert.yaml")
    assert (table.data("expires_on"), table.faults) == (["2024-12-31"] * 5, [])
    assert table.notices == {"merged-cells": 4}


def test_a_row_of_another_width_than_the_header_is_named() -> None:
    ragged = case("F05/ragged.csv", "pay.yaml")
    assert (ragged.faults, ragged.data("amount_fen")) == ([(2, None, "other-width")], [None, 50_000])
    assert case("F05/short.csv", "cert.yaml").faults == [(3, None, "other-width")]


def test_a_number_of_a_thing_that_lost_digits_is_named_also_in_an_id() -> None:
    assert case("F06/number.xlsx", "cert.yaml").faults == [(2, "A2", "number-lost"), (3, "A3", "number-lost")]
    assert case("F06/number.csv", "cert.yaml").faults == [(2, "A2", "number-lost")]


def test_a_number_of_a_thing_that_became_a_date_is_named_also_in_an_id() -> None:
    assert case("F07/date-id.xlsx").faults == [(2, "B2", "cell-is-date")]


def test_one_payment_and_one_fair_have_one_id_in_every_kind_of_file() -> None:
    text, book = (case(f"F08/pay.{kind}", "pay.yaml") for kind in ("csv", "xlsx"))
    assert text.attribute("id") == book.attribute("id") == ["pay8-F08-C1-2024-03-05"]
    text, book = (case(f"F08/fair.{kind}", "fair.yaml") for kind in ("csv", "xlsx"))
    assert text.attribute("subject") == book.attribute("subject") == ["fair/0012"]
    assert (text.notices, book.notices) == ({}, {"number-in-id": 1})


@pytest.mark.parametrize(
    ("file", "mapping", "hint"),
    [("pay.csv", "no-unit.yaml", "没有写单位"), ("wan.csv", "wan.yaml", "单位是“万元”,与映射不符.*unit: wan-yuan")],
)
def test_amounts_have_the_unit_that_their_header_names(file: str, mapping: str, hint: str) -> None:
    with pytest.raises(CommandError, match=hint) as refused:
        case(f"F09/{file}", mapping)
    assert (refused.value.code, refused.value.exit_code) == ("bad-mapping", USAGE)
    assert ":6: columns.金额" in refused.value.zh


def test_a_formula_without_a_value_is_named() -> None:
    faults = case("F12/formula.xlsx", "cert.yaml").faults
    assert faults == [(2, "J2", "formula-without-value"), (3, "J3", "formula-without-value")]


def test_rows_that_a_stray_quote_has_joined_are_named_and_counted() -> None:
    table = case("F17/quotes.csv")
    assert (len(table.items), table.faults) == (4, [(3, None, "joined-rows")])
    assert "这一行起的 7 行" in table.items[1].faults[0].zh


def test_the_escapes_of_a_workbook_are_the_characters_that_they_mean() -> None:
    assert case("F23/esc.xlsx").attribute("subject") == ["hire/HT-F23-001", "hire/HT-F23-002", "hire/HT-F23-003"]


@pytest.mark.parametrize(("form", "notices"), [(14, {}), (31, {}), (57, {"day-not-shown": 2})])
def test_the_date_formats_of_chinese_editions_are_dates(form: int, notices: dict[str, int]) -> None:
    table = case(f"F26/fmt{form}.xlsx")
    assert (table.data("hired_on"), table.faults, table.notices) == (["2025-06-03"] * 2, [], notices)


@pytest.mark.parametrize("name", ["datetime.csv", "datetime.xlsx", "datetime2.csv"])
def test_a_time_without_an_offset_is_beijing_time(name: str) -> None:
    assert case(f"F27/{name}").attribute("time") == ["2025-06-03T09:30:00+08:00"]


def test_midnight_beside_a_date_is_no_clock_time() -> None:
    table = case("F27/midnight.csv", "hires-plain.yaml")
    assert (table.data("hired_on"), table.faults, table.notices) == (["2025-06-03"] * 3, [], {})


def test_workbooks_of_odd_styles_are_read_and_a_chart_is_none() -> None:
    for name, rows in (("strict", 2), ("emptyfill", 2), ("chart", 1)):
        table = case(f"F29/{name}.xlsx")
        assert (len(table.items), table.faults, table.notices) == (rows, [], {})
    with pytest.raises(CommandError, match="图 是图表") as refused:
        case("F29/chart.xlsx", sheet="图")
    assert refused.value.exit_code == USAGE


def test_text_that_was_protected_from_a_spreadsheet_is_the_text_inside() -> None:
    table = case("F31/protected.csv")
    assert table.faults == []
    assert table.attribute("subject")[-3:] == ["hire/00123", "hire/0012", "hire/F31-11"]


def test_dust_is_rounded_and_half_a_fen_refused() -> None:
    table = case("F32/dust.xlsx", "pay.yaml")
    assert table.data("amount_fen") == [30_000, 30, 123_456, None, 123_450, 30_000]
    assert table.faults == [(5, "C5", "bad-value")]


def test_the_line_that_names_the_separator_is_understood() -> None:
    table = case("F54/sep-line.csv")
    assert (table.attribute("subject"), table.faults) == (["hire/F54g-0003"], [])
    assert date.fromisoformat(table.data("hired_on")[0]).year == 2025


def test_a_table_without_rows_is_not_well(tmp_path: Path) -> None:
    head = (CASES / "F02" / "errors.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    for content in ("", "\n\n", head + "\n", head + "\n,,,\n"):
        file = tmp_path / "t.csv"
        file.write_text(content, encoding="utf-8")
        with pytest.raises(CommandError) as refused:
            read_table(file, CASES / "F02" / "hires.yaml")
        assert (refused.value.code, refused.value.exit_code) == ("no-rows", SOME_WRONG)
