"""Notices: what of a table was left out, taken in or read otherwise than it stands, counted, with its first rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SHOWN_ROWS: Final = 5

# By code: the sentence in Chinese and English; {count} rows or cells, {rows} the first of them, {column} a header.
_TEXTS: Final = {
    "hidden-included": (
        "{count} 个隐藏或筛选掉的行也已读入({rows})。",
        "{count} rows that are hidden or filtered out are taken in ({rows}).",
    ),
    "hidden-left-out": (
        "{count} 个隐藏或筛选掉的行没有读({rows})。",
        "{count} rows that are hidden or filtered out are left out ({rows}).",
    ),
    "struck-row": (
        "{count} 行有划掉(删除线)的格子,也已读入({rows});不报的请删去。",
        "{count} rows with crossed out cells are taken in ({rows}); delete those that are not meant.",
    ),
    "comment-row": ("{count} 行说明(# 开头)没有读({rows})。", "{count} comment rows (#) are left out ({rows})."),
    "total-row": ("{count} 行合计没有读({rows})。", "{count} rows of totals are left out ({rows})."),
    "signature-row": (
        "{count} 行填表说明(填表人、备注等)没有读({rows})。",
        "{count} rows of signatures and notes are left out ({rows}).",
    ),
    "repeated-header": ("{count} 行重复的表头没有读({rows})。", "{count} repeated header rows are left out ({rows})."),
    "column-numbers": (
        "{count} 行是各列的栏次编号,没有读({rows})。",
        "{count} rows that only number the columns are left out ({rows}).",
    ),
    "unfilled-row": (
        "{count} 行要报的各列都空着,没有读({rows})。",
        "{count} rows with nothing in the columns that are reported are left out ({rows}).",
    ),
    "beyond-header": (
        "{count} 行在没有表头的列里有内容,没有读({rows})。",
        "{count} rows have cells in columns without a header, which are not read ({rows}).",
    ),
    "damaged-line": (
        "{count} 行有损坏的字节,在没有用到的列里({rows})。",
        "{count} lines hold damaged bytes, in columns that are not read ({rows}).",
    ),
    "several-lines": (
        "{count} 行有分成几行的格子({rows})。",
        "{count} rows have cells of several lines ({rows}).",
    ),
    "merged-cells": (
        "「{column}」列合并的格子按每行同值读取,共 {count} 行({rows})。",
        "{column}: merged cells count for every row that they cover, {count} rows ({rows}).",
    ),
    "clock-ignored": (
        "「{column}」列有 {count} 行带时刻,只取日期({rows})。",
        "{column}: the clock time of {count} rows is left out, the day is taken ({rows}).",
    ),
    "day-not-shown": (
        "「{column}」列有 {count} 行只显示到月,按格内的日期读取({rows})。",
        "{column}: {count} rows show no day of the month; the date in the cell is taken ({rows}).",
    ),
    "number-in-id": (
        "「{column}」列用来组成编号,其中 {count} 行是数值而不是文本({rows}):开头的 0 会丢失,请把该列设为文本。",
        "{column} makes up the id or subject, and {count} rows hold a number there ({rows}): leading zeros are lost; "
        "format the column as text.",
    ),
    "date-in-id": (
        "「{column}」列用来组成编号,其中 {count} 行像日期({rows}):如果原本是号码,请设为文本后重新录入。",
        "{column} makes up the id or subject, and {count} rows look like dates there ({rows}): if they were numbers, "
        "format the column as text and enter them again.",
    ),
    "digits-in-doubt": (
        "「{column}」列有 {count} 行的长号码以 0 结尾({rows}),可能被 Excel 改过末几位,请与原件核对。",
        "{column}: {count} rows hold a long number that ends in zeros ({rows}); compare with the originals, Excel may "
        "have changed the last digits.",
    ),
    "placeholder": (
        "「{column}」列有 {count} 行写的是“无”“同上”“-”之类({rows}),会原样报送:没有的请留空,“同上”请写出来。",
        "{column}: {count} rows say something like “none”, “ditto” or “-” ({rows}), which is reported as it stands: "
        "leave empty what there is none of, and write out what is the same.",
    ),
    "repeated-row": (
        "{count} 行与前面的行完全相同,只报一次({rows})。",
        "{count} rows repeat an earlier one and count once ({rows}).",
    ),
    "hidden-column": ("用到的「{column}」列是隐藏的。", "{column} is read and is a hidden column."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence about a table, in both languages; `count`: how many rows, sheets or columns it is about."""

    code: str
    zh: str
    en: str
    count: int = 1

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        return {"notice": self.code, "count": self.count, "zh": self.zh, "en": self.en}


class Notices:
    """Gathers notices while a table is read; those about rows are complete once all rows are."""

    def __init__(self) -> None:
        self._fixed: list[Notice] = []
        self._counts: dict[tuple[str, str], int] = defaultdict(int)
        self._last: dict[tuple[str, str], int] = {}
        self._rows: dict[tuple[str, str], list[int]] = defaultdict(list)

    def add(self, code: str, zh: str, en: str, count: int = 1) -> None:
        """Add a sentence."""
        self._fixed.append(Notice(code, zh, en, count))

    def tally(self, code: str, row: int, column: str = "") -> None:
        """Count one row for a sentence of the catalogue; the same row but once."""
        if self._last.get((code, column)) == row:
            return
        self._last[code, column] = row
        self._counts[code, column] += 1
        if len(rows := self._rows[code, column]) <= _SHOWN_ROWS:
            rows.append(row)

    def __iter__(self) -> Iterator[Notice]:
        yield from self._fixed
        for (code, column), count in self._counts.items():
            numbers = self._rows[code, column]
            some = numbers[:_SHOWN_ROWS]
            more = len(numbers) > _SHOWN_ROWS
            zh, en = _TEXTS[code]
            yield Notice(
                code,
                zh.format(count=count, column=column, rows=f"第 {'、'.join(map(str, some))}{'…' if more else ''} 行"),
                en.format(count=count, column=column, rows=f"row {', '.join(map(str, some))}{', …' if more else ''}"),
                count,
            )
