"""The rows below a table's header: which of them are data; totals, signatures and comments are left out and counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, Literal, NamedTuple

from client.output import SOME_WRONG, CommandError
from client.tables.content import Cell, is_empty, plain_text
from client.tables.header import FIRST_ROWS, Header, find_header
from client.tables.lines import Progress
from client.tables.names import plain
from client.tables.notices import Notices
from client.tables.sheet import hidden_rows, letters_of
from client.tables.source import REPLACED, Source, SourceRow

Hidden = Literal["include", "leave"]
RowFault = Literal["other-width", "joined-rows"]

_NO_LABEL: Final = re.compile(r"[A-Za-z]*[-0-9./_ ][-0-9A-Za-z./_ ]*|.{60,}", re.DOTALL)  # ids, numbers, long texts
_STEMS: Final = "甲乙丙丁戊己庚辛壬癸"
_FEWEST_NUMBERED: Final = 3  # columns; fewer numbers may be those of a thing
_LABELS: Final = 3  # the first cells of a row, one of which says what it is
# Compared without spaces. What follows a total is a number of rows, a unit, a district.
_TOTAL: Final = re.compile(
    r"[★☆※]?(?:本页|本月|本年|本期|全年|年度|累计|全部|以上|分类|各项|大写|人数|金额|总)?"
    r"(?:合计|小计|总计|共计|总和|累计|汇总|总数|平均|均值)"
    r"(?:[:(].*|\d+\w?|金额|人数|数)?|(?:grand|sub)?-?total:?|sum:?"
)
_SIGNATURE: Final = re.compile(
    r"(?:填表|制表|填报|报送|审核|审批|审签|复核|校核|经办|统计|联系|负责|单位负责|分管|主管|科室|部门)"
    r"(?:人|员|单位|部门|科室|时间|日期|领导|电话|负责人|人员|人签字|人签名|人电话)+(?:[:(].*|签字.*|签章.*|盖章.*)?"
    r"|(?:制表|审核|复核|填报|经办|负责人|单位|公章|盖章|签字|签章)[:(].*|(?:单位|部门)?[(]?(?:盖章|公章|签章)[)]?:?.*"
    r"|(?:备注|注|说明|填表说明|填报说明|附注|附件|审批意见|审核意见)\d*:.*|填表说明|填报说明"
    r"|[(]?(?:以下(?:空白|无正文|无内容)|(?:续|接)上?表|转下页|接上页)[)]?|第\d+页(?:.?共\d+页)?"
)


class TableRow(NamedTuple):
    """A row of a table: its number as the spreadsheet shows it, its cells by position, and what is wrong with it."""

    number: int
    cells: list[Cell]
    fault: RowFault | None = None
    joined: int = 0


@dataclass(slots=True)
class Rows:
    """The data rows of a table below its header; what is none is left out and counted in the notices.

    `positions`, `used` and `keys` are set by who knows the mapping, before the first row is read: the columns that it
    names, those that are reported, and those that the id is made of.
    """

    header: Header
    source: Source
    rest: Iterator[SourceRow]
    hidden: Hidden | None = None
    used: frozenset[int] = frozenset()
    keys: frozenset[int] = frozenset()
    positions: Mapping[str, int] = field(default_factory=dict)  # of the columns by the names that the mapping has
    rows: Iterator[TableRow] = field(init=False)
    _unnamed: list[int] = field(init=False)  # positions between others that have no name
    _width: int = field(init=False)  # up to the last column with a name

    def __post_init__(self) -> None:
        self.rows = self._data()
        names = self.header.names
        self._unnamed = [at for at, name in enumerate(names) if not name]
        self._width = max((at + 1 for at, name in enumerate(names) if name), default=0)

    @property
    def progress(self) -> Progress:
        """How much was read."""
        return self.source.progress

    @property
    def notices(self) -> Notices:
        """What of the table was left out or read otherwise than it stands."""
        return self.source.notices

    def cell(self, column: str, row: int) -> str:
        """Return a cell's name as a spreadsheet shows it, B7."""
        return f"{letters_of(self.positions[column])}{row}"

    def _data(self) -> Iterator[TableRow]:
        """Yield the rows that are data; raises CommandError where there are none."""
        none = True
        for row in self.rest:
            if not self.source.is_text:
                self.progress.read += 1
            if self._is_data(row):
                none = False
                yield TableRow(row.number, row.cells, self._fault(row), row.joined)
        if none:
            raise no_rows()

    def _is_data(self, row: SourceRow) -> bool:
        if all(map(is_empty, row.cells)):
            return False
        reason = self._reason_to_leave(row)
        if reason is not None:
            self.notices.tally(reason, row.number)
            return False
        if row.hidden:
            self.notices.tally("hidden-included", row.number)
        if row.struck:
            self.notices.tally("struck-row", row.number)
        if self.source.damaged and any(
            at not in self.used and isinstance(cell, str) and REPLACED in cell for at, cell in enumerate(row.cells)
        ):
            self.notices.tally("damaged-line", row.number)
        return True

    def _reason_to_leave(self, row: SourceRow) -> str | None:
        if row.hidden and self.hidden == "leave":
            return "hidden-left-out"
        if row.joined:
            return None
        cells = row.cells
        if all(is_empty(cell) or plain_text(cell).startswith("# ") for cell in cells):
            return "comment-row"
        if kind := self._kind_of_label(row):
            return kind
        if self.used and all(is_empty(cells[at]) for at in self.used if at < len(cells)):
            return "unfilled-row"
        if row.number == self.header.last + 1 and _numbers_columns(cells):
            return "column-numbers"
        return "repeated-header" if self._repeats_header(cells) else None

    def _kind_of_label(self, row: SourceRow) -> str | None:
        """Return what a row is whose first word is that of a total or a signature, and which has no id of its own."""
        width = len(row.cells)
        keys = [at for at in self.keys if at < width and not is_empty(row.cells[at])]
        if len(keys) > 1:
            return None
        left = _LABELS
        for position, cell in enumerate(row.cells):
            if is_empty(cell):
                continue
            if not left:
                break
            left -= 1
            label = plain_text(cell) if not keys or keys[0] == position else ""
            if label and not _NO_LABEL.fullmatch(label):
                text = plain(label)
                if _TOTAL.fullmatch(text):
                    return "total-row"
                if _SIGNATURE.fullmatch(text):
                    return "signature-row"
        return None

    def _repeats_header(self, cells: list[Cell]) -> bool:
        if not self.used:
            return False
        return all(
            at < len(cells) and " ".join(plain_text(cells[at]).split()) == self.header.names[at] for at in self.used
        )

    def _fault(self, row: SourceRow) -> RowFault | None:
        if row.joined:
            return "joined-rows"
        width, names = len(row.cells), self.header.names
        if width > len(names) and any(not is_empty(cell) for cell in row.cells[len(names) :]):
            if self.source.is_text:
                return "other-width"
            self.notices.tally("beyond-header", row.number)
        elif self._unnamed and any(at < width and not is_empty(row.cells[at]) for at in self._unnamed):
            self.notices.tally("beyond-header", row.number)
        if self.source.is_text and width < self._width:
            return "other-width"
        return None


def _numbers_columns(cells: list[Cell]) -> bool:
    """Tell whether a row numbers the columns, as below headers of statistical tables: 1, 2, 3 or 甲, 1, 2."""
    texts = [plain(plain_text(cell)).strip("()[]栏") for cell in cells if not is_empty(cell)]
    labels = [text for text in texts if text not in ("栏次", "序号")]
    stems = "".join(label for label in labels if label in _STEMS)
    numbers = labels[len(stems) :]
    counted = all(number == str(at) for at, number in enumerate(numbers, 1))
    return len(labels) >= _FEWEST_NUMBERED and _STEMS.startswith(stems) and len(stems) <= len(labels) and counted


def below_header(source: Source, wanted: Collection[str], number: int | None, hidden: Hidden | None) -> Rows:
    """Find the header of a table and return the rows below it; raises CommandError."""
    first = list(islice(source.rows, max(FIRST_ROWS, number or 0)))
    header = find_header(first, wanted, number)
    if header is None:
        if number is not None and first:
            raise CommandError(f"第 {number} 行是空的,不是表头。", f"Row {number} is empty and cannot be the header.")
        raise no_rows()
    if number is None and header.last > 1:
        place = f"第 {header.first} 行" if header.first == header.last else f"第 {header.first}-{header.last} 行"
        rows = f"row {header.first}" if header.first == header.last else f"rows {header.first}-{header.last}"
        above = len(header.titles)
        source.notices.add(
            "header-row",
            f"表头取自{place}{f',其上 {above} 行作为标题' if above else ''}。",
            f"The header is in {rows}{f'; the {above} above are titles' if above else ''}.",
        )
    seen = [at for at in source.hidden if at > header.last]
    if seen and hidden is None:
        raise hidden_rows(seen)
    return Rows(header, source, chain(first[header.rows :], source.rows), hidden)


def no_rows() -> CommandError:
    """Return the error of a table without a row of data: nothing was sent, and that is not well."""
    return CommandError(
        "表中没有数据行,什么也没有报。",
        "There are no rows of data in the table; nothing is reported.",
        "no-rows",
        SOME_WRONG,
    )
