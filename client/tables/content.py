"""What a cell of a table holds, as it is shown: text, a number with its format, a moment, or why it has no value."""

from __future__ import annotations

from datetime import datetime, time
from typing import Final, NamedTuple

from client.tables.number_formats import NumberFormat


class Number(NamedTuple):
    """A number and how the spreadsheet shows it."""

    value: float
    form: NumberFormat


class Moment(NamedTuple):
    """A date, at midnight or with a clock time; `day_shown` is False where the format leaves the day out."""

    at: datetime
    day_shown: bool = True


class Broken(NamedTuple):
    """A cell without a value that could be read; `code` is a key of BROKEN."""

    code: str


class Merged(NamedTuple):
    """A cell of a merged one: the `first` of several rows, one that it covers below, or `sideways` on its right."""

    value: str | bool | Number | Moment | time | Broken
    sideways: bool = False
    first: bool = False


Cell = str | bool | Number | Moment | time | Broken | Merged | None

BROKEN: Final = {
    "cell-error": (
        "这一格是公式出错的结果(如 #N/A)或显示不下的 ####。",
        "This cell shows an error of a formula (such as #N/A), or #### where it is too narrow.",
    ),
    "formula-without-value": (
        "这一格是公式,但文件中没有算出的值。",
        "This cell is a formula whose value is not in the file.",
    ),
    "volatile-formula": (
        "这一格的公式含 TODAY、NOW 或 RAND,每次打开文件值都会变。",
        "The formula of this cell has TODAY, NOW or RAND: its value changes each time the file is opened.",
    ),
    "date-out-of-range": (
        "这一格显示为日期,但其数值不是任何一天。",
        "This cell is formatted as a date, but no day has its number.",
    ),
    "format-unclear": (
        "这一格的显示格式特殊,看到的和格内的内容不是一回事。",
        "What this cell shows and what stands in it differ by its display format.",
    ),
    "merged-cells": (
        "这一格与左边的格合并,看不出属于哪一列。",
        "This cell is merged with the one on its left.",
    ),
    "damaged-text": (
        "这一行有损坏的字节,文字无法辨认。",
        "There are damaged bytes in this line.",
    ),
}


def is_empty(cell: Cell) -> bool:
    """Return whether a person sees nothing in a cell of its own; one covered by a merged cell has none of its own."""
    if isinstance(cell, Merged):
        if not cell.first:
            return True
        cell = cell.value
    return cell is None or (isinstance(cell, str) and not cell.strip())


def plain_text(cell: Cell) -> str:
    """Return the text of a cell as a label: what stands in a header, a title or a totals row; empty for other kinds."""
    if isinstance(cell, Merged):
        cell = cell.value
    return cell.strip() if isinstance(cell, str) else ""
