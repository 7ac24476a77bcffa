"""The JSON value of a cell: text, whole numbers, dates and yes or no as people write them in spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, assert_never

from pydantic import JsonValue

from client.fields import ReportField
from client.tables import Cell
from shared.contract.events import parse_instant

Unit = Literal["fen", "yuan", "wan-yuan"]
BEGIN_OF_DAY: Final = "T00:00:00+08:00"
_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-|/([0-9]{1,2})/|\.([0-9]{1,2})\.|年([0-9]{1,2})月)([0-9]{1,2})日?|([0-9]{4})([0-9]{2})([0-9]{2})"
)
_MIDNIGHT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00")
_SCIENTIFIC: Final = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]{2}")
_EXACT: Final = 10**15  # a spreadsheet keeps the digits of a larger number no longer exact
_YES_OR_NO: Final = {"true": True, "yes": True, "y": True, "1": True, "是": True, "√": True, "有": True,
                     "false": False, "no": False, "n": False, "0": False, "否": False, "×": False,
                     "无": False}  # fmt: skip
_FEN: Final[Mapping[Unit, int]] = {"fen": 1, "yuan": 100, "wan-yuan": 1_000_000}


class CellError(Exception):
    """A cell that cannot be what its field wants; the texts never quote it."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(code)
        self.code, self.zh, self.en = code, zh, en


def text_of(cell: Cell) -> str:
    """Return the text of a cell, as a person reads it."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return _MIDNIGHT.sub(r"\1", str(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def value_of(cell: Cell, field: ReportField, values: Mapping[str, str] | None = None, unit: Unit = "fen") -> JsonValue:
    """Return a cell as a JSON value of the field's kind, None where it is empty; `values` replaces text by values.

    Raises CellError where the cell cannot be right; what merely does not fit stays, for the service to refuse.
    """
    text = text_of(cell)
    if not text:
        return None
    if values is not None:
        if text not in values:
            names = "、".join(values)
            raise CellError(
                "bad-value", f"取值不在映射之中,应为:{names}。", f"No value of the mapping; one of: {names}."
            )
        cell = text = values[text]
    match field.kind:
        case "date":
            return cell.strftime("%Y-%m-%d") if isinstance(cell, date) else day_of(text) or text
        case "integer":
            return _integer(text, unit)
        case "boolean":
            return cell if isinstance(cell, bool) else _YES_OR_NO.get(text.lower(), text)
        case "text" | "list":
            return _text(cell, text)
        case _:
            assert_never(field.kind)


def instant_of(text: str) -> str:
    """Return a moment as it is written, or the beginning of a day in Asia/Shanghai."""
    day = None if parse_instant(text) else day_of(text)
    return day + BEGIN_OF_DAY if day else text


def day_of(text: str) -> str | None:
    """Return a date in any usual form as YYYY-MM-DD, None where it is none."""
    match = _DATE.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", ""))
    if match is None:
        return None
    year, month, day = (part for part in match.groups() if part is not None)
    return f"{year}-{int(month):02}-{int(day):02}"


def _text(cell: Cell, text: str) -> str:
    if isinstance(cell, date):
        raise CellError(
            "cell-is-date",
            "Excel 把这个编号改成了日期。请把该列设为文本后重新录入。",
            "Excel has made a date of this number. Format the column as text and enter it again.",
        )
    inexact = isinstance(cell, int | float) and abs(cell) >= _EXACT
    if inexact or (isinstance(cell, str) and _SCIENTIFIC.fullmatch(text)):
        raise CellError(
            "number-lost",
            "Excel 把这个号码当作数值,末几位已丢失。请把该列设为文本,按原件重新录入。",
            "Excel took this number for a quantity and lost its last digits. Format the column as text and enter it "
            "again from the original.",
        )
    return text


def _integer(text: str, unit: Unit) -> JsonValue:
    try:
        number = Decimal(unicodedata.normalize("NFKC", text).replace(",", "")) * _FEN[unit]
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    exact = number == number.to_integral_value() and abs(number) < _EXACT
    return int(number) if exact else float(number)
