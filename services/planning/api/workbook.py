"""`…/targets/workbook`: the targets of a plan as XLSX, and what an edited one would change; nothing is recorded."""

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import openpyxl
import xlsxwriter
from fastapi import APIRouter, Query, Request, Response

from services.planning.api.context import PLAN_RESPONSES, Context, PlanId, other_type
from services.planning.api.decisions import Body
from services.planning.api.targets import OnDay
from services.planning.months import today_of
from services.planning.target_table import OPS, TableChange, TableFault, TableReport, TargetRow, compare, rows_of
from services.planning.targets_in_force import History
from shared.http.problems import Problem
from shared.plan.model import Plan
from shared.service.http_door import read_body

router = APIRouter()
TARGETS_SHEET: Final = "目标 Targets"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LARGEST: Final = 2 * 1024 * 1024
_UNPACKED: Final = 32 * 1024 * 1024
_MOST_ROWS: Final = 5_000
_COLUMNS: Final = {
    "indicator": "编号 No.", "name": "指标 Indicator", "unit": "单位 Unit", "period": "期间 Period", "op": "比较 Op",
    "value": "目标 Target", "upper": "上限 Upper", "difference": "差额 Difference",
}  # fmt: skip
_READ: Final = ("indicator", "period", "op", "value", "upper", "difference")
_NO_TABLE: Final = Problem(
    422, "这不是从这里导出的目标表(.xlsx)。请先导出,改好后原样导入。",
    "This is no table of targets (.xlsx) exported here. Export one, edit it, and import it as it is.",
)  # fmt: skip
FromDay = Annotated[date | None, Query(description="自哪一天起 from this day on; today when left out")]


class TargetTableDifferences(Body):
    """What importing a table would change; `reports`: what is to be reported for it, none where it has faults."""

    plan: str
    effective_from: date
    changes: list[TableChange]
    faults: list[TableFault]
    reports: list[TableReport]


@router.get("/{plan}/targets/workbook", include_in_schema=False, responses=PLAN_RESPONSES)
async def get_workbook(plan: PlanId, context: Context, on: OnDay = None) -> Response:
    """Return the targets in force on a day as a workbook, to be edited and imported."""
    counted = context.plan(plan)
    history = History(counted, await context.view())
    day = on or today_of(datetime.now(UTC))
    content = await asyncio.to_thread(written, history, counted, day)
    headers = {"Content-Disposition": f'attachment; filename="{plan}-targets-{day}.xlsx"', "Cache-Control": "no-cache"}
    return Response(content, media_type=_XLSX, headers=headers)


@router.post("/{plan}/targets/workbook", include_in_schema=False, responses=PLAN_RESPONSES)
async def post_workbook(
    plan: PlanId, request: Request, context: Context, effective_from: FromDay = None
) -> TargetTableDifferences:
    """Compare an edited workbook with the targets in force from a day on."""
    counted = context.plan(plan)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _XLSX:
        raise other_type([_XLSX])
    raw = await read_body(request, _LARGEST)
    history = History(counted, await context.view())
    day = effective_from or today_of(datetime.now(UTC))
    async with context.reading:
        rows, faults = await asyncio.to_thread(read_rows, raw, counted)
    result = compare(history, counted, rows, day, faults)
    return TargetTableDifferences(
        plan=plan, effective_from=day, changes=result.changes, faults=result.faults, reports=result.reports
    )


def _titles(plan: Plan) -> dict[str, str]:
    """Return the title of each column by its key, a district's code for its part."""
    parts = {each.code: f"{each.name.zh} {each.name.en} {each.code}" for each in plan.districts if not each.city}
    *before, last = _COLUMNS.items()
    return {**dict(before), **parts, **dict([last])}


def written(history: History, plan: Plan, day: date) -> bytes:
    """Return the targets in force on a day as a workbook; the same targets give the same bytes."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": datetime(day.year, day.month, day.day, tzinfo=UTC)})
    sheet = book.add_worksheet(TARGETS_SHEET)
    titles = _titles(plan)
    keys = [*titles]
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#F2F2F2", "border": 1})
    money, plain = book.add_format({"num_format": "#,##0.00"}), book.add_format({"num_format": "#,##0.######"})
    sheet.set_row(0, 45)
    sheet.set_column(0, len(keys) - 1, 12)
    sheet.set_column(keys.index("name"), keys.index("name"), 36)
    sheet.freeze_panes(1, 2)
    sheet.write_row(0, 0, [*titles.values()], head)
    for row in rows_of(history, plan, day):
        _, indicator = history.plan.indicators[row.indicator]
        unit = {"fen": "元 yuan"}.get(indicator.unit, indicator.unit)
        if indicator.unit in plan.units and indicator.unit != "fen":
            unit = f"{plan.units[indicator.unit].zh} {plan.units[indicator.unit].en}"
        cells: Mapping[str, str | Decimal | None] = {
            "indicator": row.indicator, "name": f"{indicator.name.zh} {indicator.name.en}", "unit": unit,
            "period": row.period, "op": row.op, "value": row.value, "upper": row.upper, **row.parts,
            "difference": row.difference,
        }  # fmt: skip
        number = money if indicator.unit == "fen" else plain
        for column, key in enumerate(keys):
            cell = cells.get(key)
            if isinstance(cell, str):
                sheet.write_string(row.row - 1, column, cell)
            elif cell is None:
                sheet.write_blank(row.row - 1, column, None, number)
            else:
                sheet.write_number(row.row - 1, column, float(cell), number)
    last = _MOST_ROWS - 1
    sheet.data_validation(1, keys.index("op"), last, keys.index("op"), {"validate": "list", "source": [*OPS]})
    sheet.autofilter(0, 0, last, len(keys) - 1)
    book.close()
    return file.getvalue()


def read_rows(raw: bytes, plan: Plan) -> tuple[list[TargetRow], list[TableFault]]:
    """Return the rows of a workbook and what is wrong in its cells; raises Problem where it is none of ours."""
    titles = _titles(plan)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as package:
            size = sum(entry.file_size for entry in package.infolist())
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True)
        sheet = book.worksheets[0].iter_rows(max_row=_MOST_ROWS, values_only=True)
        lines = [[*line] for line in sheet] if size <= _UNPACKED else []
    except Exception:  # noqa: BLE001 - whatever a broken file does in the library, it is no table
        raise _NO_TABLE from None
    head = [str(cell).strip() if cell is not None else "" for cell in lines[0]] if lines else []
    if any(title not in head for title in titles.values()):
        raise _NO_TABLE
    places = {key: head.index(title) for key, title in titles.items()}
    rows, faults = [], []
    for number, line in enumerate(lines[1:], 2):
        cells = {key: line[place] if place < len(line) else None for key, place in places.items()}
        if all(cells[key] in (None, "") for key in _READ):
            continue
        numbers: dict[str, Decimal | None] = {}
        for key in ("value", "upper", "difference", *plan_codes(titles)):
            try:
                numbers[key] = _number(cells[key])
            except (InvalidOperation, ValueError):
                title = titles[key]
                faults.append(TableFault(number, key, f"“{title}”应为数。", f"“{title}” must be a number."))
                numbers[key] = None
        op = _text(cells["op"])
        if op is not None and op not in OPS:
            faults.append(
                TableFault(number, "op", f"比较方式应为 {' '.join(OPS)} 之一。", f"Op is one of {' '.join(OPS)}.")
            )
            continue
        rows.append(
            TargetRow(
                number, _text(cells["indicator"]) or "", _text(cells["period"]) or "", op, numbers["value"],
                numbers["upper"],
                {code: part for code in plan_codes(titles) if (part := numbers[code]) is not None},
                numbers["difference"],
            )
        )  # fmt: skip
    return rows, faults


def plan_codes(titles: Mapping[str, str]) -> Sequence[str]:
    """Return the codes of the districts that have a column."""
    return [key for key in titles if key not in _COLUMNS]


def _text(cell: object) -> str | None:
    """Return what a cell says: a year as 2025, whatever kind of cell it is in."""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell if cell is not None else "")
    return text.strip().replace("≥", ">=") or None


def _number(cell: object) -> Decimal | None:
    """Return a number, also one that is written as text; raises ValueError, also for a formula."""
    if cell is None or cell == "":
        return None
    number = Decimal(str(cell).replace(",", "").strip())  # what is no number is none as text either
    if not number.is_finite():
        raise ValueError
    return number
