"""The targets as a workbook: read back it changes nothing; edited, it asks for revisions and splits that add up."""

import io
from collections.abc import Mapping
from datetime import date
from typing import Any

import openpyxl
import pytest

from services.planning.api.workbook import TARGETS_SHEET, read_rows, written
from services.planning.target_table import TableDifferences, compare
from services.planning.targets_in_force import History
from shared.deciding.view import View
from shared.http.problems import Problem
from tests.harness.plan_office import PLAN, SIX

HISTORY = History(PLAN, View([]))
DAY = date(2025, 3, 1)


def edited(changes: Mapping[tuple[str, str, str], Any], day: date = DAY) -> bytes:
    """Return the workbook with some cells changed: by indicator, period, and the beginning of the column's title."""
    book = openpyxl.load_workbook(io.BytesIO(written(HISTORY, PLAN, day)))
    sheet = book[TARGETS_SHEET]
    titles = [str(cell.value) for cell in sheet[1]]
    rows = {(row[0].value, row[3].value): row for row in sheet.iter_rows(min_row=2)}
    for (indicator, period, title), value in changes.items():
        (column,) = [place for place, each in enumerate(titles) if each.startswith(title) or each.endswith(title)]
        rows[indicator, period][column].value = value
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def compared(changes: Mapping[tuple[str, str, str], Any], day: date = DAY) -> TableDifferences:
    """Return what an edited workbook asks for."""
    rows, faults = read_rows(edited(changes), PLAN)
    return compare(HISTORY, PLAN, rows, day, faults)


def reports_of(result: TableDifferences) -> list[dict[str, Any]]:
    """Return what is to be reported, of a table without faults."""
    assert result.faults == []
    return [{"type": report.type, **report.data} for report in result.reports]


def test_a_workbook_read_back_as_it_was_written_changes_nothing_and_is_the_same_bytes() -> None:
    assert written(HISTORY, PLAN, DAY) == written(HISTORY, PLAN, DAY)
    assert compared({}) == TableDifferences()
    rows, _ = read_rows(edited({}), PLAN)
    assert {row.indicator for row in rows} == {*PLAN.indicators}


def test_a_year_is_revised_alone_and_the_next_one_put_back() -> None:
    result = compared({("1.3.a", "2024", "目标"): 3600}, date(2024, 2, 1))
    common = {"type": "target-revised", "plan": PLAN.id, "indicator": "1.3.a", "op": ">="}
    assert reports_of(result) == [
        common | {"value": 3600, "effective_from": "2024-02-01"},
        common | {"value": 3000, "effective_from": "2025-01-01"},
    ]
    (change, back) = result.changes
    assert (change.period, change.before, change.after) == ("2024", ">= 3,000", ">= 3,600")
    assert (back.period, back.after) == ("2025", ">= 3,000")


def test_parts_that_add_up_are_a_split_and_a_gap_must_be_stated() -> None:
    parts = {("1.3.a", "2025", code): 500 for code in SIX}
    (split,) = reports_of(compared(parts))
    assert (split["type"], split["period"], split["over"]) == ("target-split", "2025", "districts")
    assert split["parts"] == dict.fromkeys(SIX, 500)
    assert "difference" not in split
    short = parts | {("1.3.a", "2025", SIX[0]): 400}
    (fault,) = compared(short).faults
    assert (fault.column, compared(short).reports) == ("difference", [])
    assert "相差 100" in fault.zh
    (split,) = reports_of(compared(short | {("1.3.a", "2025", "差额"): 100}))
    assert split["difference"] == 100


def test_a_ratio_is_set_district_by_district() -> None:
    (report,) = reports_of(compared({("1.1.e", "plan", "330681"): 40}))
    assert (report["type"], report["district"], report["op"], report["value"]) == ("target-revised", "330681", ">=", 40)


@pytest.mark.parametrize(
    ("cell", "value", "column"),
    [
        (("1.3.a", "2025", "目标"), "很多", "value"),
        (("1.3.a", "2025", "目标"), "=1+1", "value"),
        (("1.3.a", "2025", "比较"), "about", "op"),
        (("1.3.a", "2025", "比较"), None, "op"),
        (("1.3.a", "2025", "上限"), 4000, "value"),
        (("1.3.a", "2025", "编号"), "9.9.z", "indicator"),
        (("1.3.a", "2025", "编号"), "1.3.b", "indicator"),
        (("1.3.a", "2025", "期间"), "2031", "indicator"),
        (("1.3.a", "2024", "目标"), 3600, "period"),
    ],
)
def test_what_is_wrong_in_a_cell_is_said_beside_it_and_nothing_is_asked_for(
    cell: tuple[str, str, str], value: Any, column: str
) -> None:
    result = compared({cell: value, ("4.1.b", "2025", "目标"): 1200})
    assert column in {fault.column for fault in result.faults}
    assert all(fault.zh and fault.en and fault.row > 1 for fault in result.faults)
    assert result.reports == []


@pytest.mark.parametrize("raw", [b"", b"PK", b"a,b\n1,2\n"])
def test_another_file_is_no_table(raw: bytes) -> None:
    with pytest.raises(Problem):
        read_rows(raw, PLAN)


def test_a_table_without_our_titles_is_none_of_ours() -> None:
    book = openpyxl.Workbook()
    file = io.BytesIO()
    book.save(file)
    with pytest.raises(Problem):
        read_rows(file.getvalue(), PLAN)
