"""A worksheet as a stream of rows as a person sees them: merged and hidden cells, formats, formulas."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cache
from typing import Final
from xml.parsers import expat

from client.output import CommandError
from client.tables.content import Broken, Cell, Merged, Moment, Number, is_empty
from client.tables.lines import CHUNK
from client.tables.number_formats import NumberFormat
from client.tables.package import Attributes, Package, damage, local, truth, unescaped
from client.tables.source import SourceRow

_ATTRIBUTE: Final = re.compile(rb"""([A-Za-z:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_REFERENCE: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_DIGITS: Final = "0123456789"
_LONGEST_ROW: Final = 64 * 1024 * 1024
_DAY: Final = 86_400
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's dates know no zone
_EPOCH_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
_SOME: Final = 5  # rows that a question names
_LAST_SERIAL: Final = 2_958_466  # the year 10000
_FALSE_LEAP_DAY: Final = 60  # 1900-02-29, which spreadsheets know and no calendar does


@dataclass(slots=True)
class Outline:
    """What must be known of a sheet before its first row is read."""

    filled: int = 0  # rows with a value
    hidden: list[int] = field(default_factory=list)  # numbers of rows with a value that are not seen
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)  # first row, column; last row, column
    hidden_columns: set[int] = field(default_factory=set)
    filtered: bool = False


def outline(package: Package, part: str) -> Outline:
    """Scan a sheet without reading its values: merged cells stand behind all rows."""
    sheet = Outline()
    rest, head = b"", True
    row_tag = row_end = value_tag = text_tag = b""
    default_hidden = False
    number = 0
    with damage(), package.open(part) as stream:
        while chunk := stream.read(CHUNK):
            rest += chunk
            if head:
                prefix = re.search(rb"<([A-Za-z0-9_]+:)?sheetData\b", rest)
                if prefix is None:
                    if len(rest) > _LONGEST_ROW:
                        raise ValueError(part)
                    continue
                name = prefix[1] or b""
                row_tag, row_end = b"<" + name + b"row", b"</" + name + b"row>"
                value_tag, text_tag = b"<" + name + b"v", b"<" + name + b"t"
                default_hidden = _scan_head(rest[: prefix.start()], sheet)
                rest, head = rest[prefix.start() :], False
            *rows, rest = rest.split(row_end)
            for row in rows:
                at = row.rfind(row_tag)
                close = row.find(b">", at)
                attributes = _attributes(row[at:close])
                number = int(attributes.get("r", number + row.count(row_tag)))
                if value_tag in row or text_tag in row[close:]:
                    sheet.filled += 1
                    hidden = attributes.get("hidden")
                    flat = attributes.get("ht") in ("0", "0.0") and truth(attributes.get("customHeight", "1"))
                    if truth(hidden) or flat or (hidden is None and default_hidden):
                        sheet.hidden.append(number)
            if len(rest) > _LONGEST_ROW:
                raise ValueError(part)
    _scan_tail(rest, sheet)
    return sheet


def _attributes(tag: bytes) -> dict[str, str]:
    return {
        local(match[1].decode()): (match[2] if match[2] is not None else match[3]).decode("utf-8", "replace")
        for match in _ATTRIBUTE.finditer(tag)
    }


def _tags(content: bytes, name: bytes) -> Iterator[dict[str, str]]:
    for match in re.finditer(rb"<(?:[A-Za-z0-9_]+:)?" + name + rb"\b([^>]*)>", content):
        yield _attributes(match[1])


def _scan_head(content: bytes, sheet: Outline) -> bool:
    for column in _tags(content, b"col"):
        first, last = int(column.get("min", "1")), int(column.get("max", "1"))
        if (truth(column.get("hidden")) or column.get("width") == "0") and last - first < _LAST_SERIAL:
            sheet.hidden_columns.update(range(first - 1, min(last, 1 << 14)))
    return any(truth(form.get("zeroHeight")) for form in _tags(content, b"sheetFormatPr"))


def _scan_tail(content: bytes, sheet: Outline) -> None:
    sheet.filtered = any(True for _ in _tags(content, b"filterColumn"))
    for merge in _tags(content, b"mergeCell"):
        corners = [_REFERENCE.fullmatch(corner) for corner in merge.get("ref", "").split(":")]
        if len(corners) > 1 and corners[0] and corners[1]:
            first, last = corners[0], corners[1]
            sheet.merges.append((int(first[2]), column_of(first[1]), int(last[2]), column_of(last[1])))


@cache
def column_of(letters: str) -> int:
    """Return the position of a column by its letters, A is 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


@cache
def letters_of(column: int) -> str:
    """Return the letters of a column by its position."""
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


class SheetRows:
    """Reads the rows of a sheet; each ends before the next is parsed."""

    def __init__(self, package: Package, sheet: Outline) -> None:
        self._package = package
        self._rows: list[SourceRow] = []
        self._number = 0
        self._cells: list[Cell] = []
        self._column = -1
        self._type, self._style = "n", None  # type: tuple[str, str | None]
        self._reading = False  # within an element of a cell that holds its text
        self._texts: list[str] = []
        self._has_formula = self._has_value = self._in_cell = self._phonetic = False
        self._hidden = frozenset(sheet.hidden)
        self._merges: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for top, left, bottom, right in sheet.merges:
            self._merges[top].append((left, bottom, right))
        self._open: dict[int, tuple[int, Merged]] = {}  # column → the last row of a merged cell, and what covers
        self._moments: dict[float, Cell] = {}
        self._epoch = _EPOCH_1904 if package.from_1904 else _EPOCH

    def rows(self, part: str) -> Generator[SourceRow, None, None]:
        """Yield the rows that the file holds, each with its number."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        with self._package.open(part) as stream:
            while True:
                with damage():
                    chunk = stream.read(CHUNK)
                    parser.Parse(chunk, not chunk)
                yield from self._rows
                self._rows.clear()
                if not chunk:
                    return

    def _start(self, name: str, attributes: Attributes) -> None:
        name = local(name)
        if name == "c":
            reference = attributes.get("r")
            self._column = column_of(reference.rstrip(_DIGITS)) if reference else self._column + 1
            self._type, self._style = attributes.get("t", "n"), attributes.get("s")
            self._in_cell, self._has_formula, self._has_value = True, False, False
            self._texts.clear()
        elif self._in_cell:
            if name in ("v", "t") and not self._phonetic:
                self._has_value = self._reading = True
            elif name == "f":
                self._has_formula = True
            elif name == "rPh":
                self._phonetic = True
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._cells, self._column = [], -1

    def _text(self, text: str) -> None:
        if self._reading:
            self._texts.append(text)

    def _end(self, name: str) -> None:
        name = local(name)
        if name in ("v", "t"):
            self._reading = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "c":
            self._in_cell = False
            cell = self._cell()
            if cell is not None and self._column >= 0:
                missing = self._column - len(self._cells)
                if missing >= 0:
                    self._cells.extend([None] * missing)
                    self._cells.append(cell)
                else:
                    self._cells[self._column] = cell
        elif name == "row":
            if self._merges or self._open:
                self._cover()
            self._rows.append(SourceRow(self._number, self._cells, hidden=self._number in self._hidden))

    def _cell(self) -> Cell:
        text = "".join(self._texts)
        type_ = self._type
        if self._has_formula and (not self._has_value or (not text and type_ != "str")):
            return Broken("formula-without-value")
        if type_ == "s":
            return self._package.strings[int(text)] if text else None
        if type_ in ("str", "inlineStr"):
            return unescaped(text)
        if not text:
            return None
        if type_ == "b":
            return truth(text.strip())
        if type_ == "e":
            return Broken("cell-error")
        if type_ == "d":
            return self._iso(text)
        number = float(text)
        if self._has_formula and number == 0 and self._package.recalculates:
            # What wrote the file has written 0 for every formula and left the computing to who opens it.
            return Broken("formula-without-value")
        form = self._package.format(self._style)
        if form.kind != "moment":
            return Number(number, form)
        moment = self._moments.get(number)
        if moment is None or len(self._moments) > _DAY:
            self._moments.clear()
            moment = self._moments[number] = _moment(number, self._epoch, form)
        return moment

    def _iso(self, text: str) -> Cell:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            return Broken("date-out-of-range")
        return Moment(at.replace(tzinfo=None))

    def _cover(self) -> None:
        """Write what merged cells cover into the row, and note which begin in it."""
        filled = any(not is_empty(cell) for cell in self._cells)
        for column, (last, merged) in list(self._open.items()):
            if self._number > last:
                del self._open[column]
            elif filled:
                self._put(column, merged)
        for left, bottom, right in self._merges.pop(self._number, ()):
            value = self._cells[left] if left < len(self._cells) else None
            if value is None or isinstance(value, Merged):
                continue
            for column in range(left, min(right, left + 1000) + 1):
                merged = Merged(value, sideways=column > left)
                if merged.sideways:
                    self._put(column, merged)
                if bottom > self._number:
                    self._open[column] = (bottom, merged)

    def _put(self, column: int, merged: Merged) -> None:
        self._cells.extend([None] * (column + 1 - len(self._cells)))
        # Programs leave values under a merged cell that nobody sees.
        self._cells[column] = merged


def _moment(serial: float, epoch: datetime, form: NumberFormat) -> Cell:
    seconds = round(serial * _DAY)
    if not 0 <= serial < _LAST_SERIAL:
        return Broken("date-out-of-range")
    if serial < 1 and epoch == _EPOCH:
        return time(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    if epoch == _EPOCH and serial < _FALSE_LEAP_DAY + 1:
        if serial >= _FALSE_LEAP_DAY:
            return Broken("date-out-of-range")
        seconds += _DAY
    return Moment(epoch + timedelta(seconds=seconds), form.day_shown)


def hidden_rows(numbers: list[int]) -> CommandError:
    """Return the question what to do with rows that are in the file and not seen."""
    some = "、".join(map(str, numbers[:_SOME])) + ("…" if len(numbers) > _SOME else "")
    return CommandError(
        f"有 {len(numbers)} 行被隐藏或筛选掉了(第 {some} 行)。也要报的,加 --hidden include;不报的,加 --hidden leave。",
        f"{len(numbers)} rows are hidden or filtered out (rows {some.replace('、', ', ')}). Say --hidden include to "
        "take them in, --hidden leave to leave them out.",
        "hidden-rows",
    )
