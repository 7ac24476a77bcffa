"""A table of hires as an office has it: headers of its own, 200 rows, a total, and faults that are known."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final

import openpyxl

from client.demo.people import MadeUpPeople

HEADERS: Final = (
    "序号", "合同编号", "姓名", "身份证号", "用人单位", "统一社会信用代码", "录用渠道", "职业代码", "技能等级",
    "入职日期",
)  # fmt: skip
ROWS: Final = 200
FIRST_ROW: Final = 3  # below a title and the header
_CHANNELS: Final = ("金蓝领", "校企", "其他")
# What is planted: the cell, and what stands there.
FAULTS: Final[Mapping[str, str]] = {
    "D5": "33068119900101001X", "J12": "2025-02-30", "F20": "91330681MA2DEM0X0X", "H31": "6-18", "G44": "内部推荐",
    "E58": "", "D77": "330681", "J103": "", "I150": "二十级", "H199": "",
}  # fmt: skip


def _rows(name: str, rows: int) -> list[list[object]]:
    people = MadeUpPeople(name)
    result: list[list[object]] = []
    for number in range(1, rows + 1):
        person = people.person(number)
        company = people.organisation("enterprise", "330681", number % 7)
        result.append(
            [
                number, f"{name}-{number:04}", person["name"], person["id_number"], company["name"],
                company["credit_code"], _CHANNELS[number % 3], "6-18-01-01", "高级工", f"2025-03-{number % 28 + 1:02}",
            ]
        )  # fmt: skip
    return result


def hires(name: str, rows: int = ROWS, faults: Mapping[str, str] = FAULTS, headers: tuple[str, ...] = HEADERS) -> bytes:
    """Return a workbook; `name` tells its contracts and persons apart from those of others."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "录用花名册"
    sheet.append(["2025 年上半年录用花名册"])
    sheet.append(list(headers))
    for row in _rows(name, rows):
        sheet.append(row)
    sheet.append(["合计", *[None] * 8, f"{rows} 人"])
    for cell, value in faults.items():
        sheet[cell] = value or None
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def right_cells(name: str, every: bool = False) -> dict[str, str]:
    """Return what should stand in each faulty cell, or in every one, by its name."""
    cells = {
        f"{letter}{FIRST_ROW + at}": str(value)
        for at, row in enumerate(_rows(name, ROWS))
        for letter, value in zip("ABCDEFGHIJ", row, strict=True)
    }
    return cells if every else {cell: cells[cell] for cell in FAULTS}
