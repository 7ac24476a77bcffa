"""A worksheet as a stream of rows as a person sees them: merged and hidden cells, formats, formulas."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cache
from typing import Final, NamedTuple
from xml.parsers import expat

from client.output import CommandError
from client.tables.content import Broken, Cell, Merged, Moment, Number, is_empty
from client.tables.lines import CHUNK
from client.tables.number_formats import NumberFormat
from client.tables.package import Attributes, Package, damage, local, truth, unescaped
from client.tables.source import SourceRow

_SHEET_DATA: Final = re.compile(rb"<([A-Za-z0-9_]+:)?sheetData\b")
_ENCODING: Final = re.compile(rb"""<\?xml[^>]*encoding=["']([^"']*)""")
_ROW_NUMBER: Final = re.compile(rb"""\br\s*=\s*["']([0-9]+)""")
# A cell with a plain value, or with none; what else a cell may hold is left to the parser of XML.
_USUAL_CELL: Final = re.compile(
    rb'<c r="([A-Z]{1,3})[0-9]+"(?: s="([0-9]+)")?(?: t="([A-Za-z]+)")?'
    rb'(?:/>|></c>|><v>([^<&]*)</v></c>|><is><t(?: xml:space="preserve")?>([^<&]*)</t></is></c>)'
)
_VOLATILE: Final = re.compile(r"(?<![\w.])(?:_xlfn\.)?(?:NOW|TODAY|RAND|RANDBETWEEN|RANDARRAY)\s*\(", re.IGNORECASE)
_VOLATILE_TYPE: Final = "volatile"  # of a cell in place of its own
_QUOTED: Final = re.compile(r""""[^"]*"|'[^']*'""")
_STYLE: Final = re.compile(rb"""<c\b[^>]*?\bs="([0-9]+)"[^>]*(?<!/)>""")  # of a cell with anything in it
WIDEST: Final = 1 << 14
_MOST_LETTERS: Final = 3
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


class _RawRow(NamedTuple):
    """A row of the file: its number, the attributes of its element, and what is between its tags."""

    number: int
    attributes: bytes
    content: bytes


class _RawRows:
    """The rows of a sheet as bytes, with what stands before and after them: `head` from the first row on, `tail`
    once all rows are read."""

    def __init__(self, package: Package, part: str) -> None:
        self._package, self._part = package, part
        self.head = self.tail = self.prefix = b""

    def __iter__(self) -> Iterator[_RawRow]:
        with damage(), self._package.open(self._part) as stream:
            rest = b""
            number = 0
            start = end = b""
            while chunk := stream.read(CHUNK):
                rest += chunk
                if not start:
                    data = _SHEET_DATA.search(rest)
                    if data is None:
                        _bound(rest)
                        continue
                    self.prefix = data[1] or b""
                    start, end = b"<" + self.prefix + b"row", b"</" + self.prefix + b"row>"
                    self.head, rest = rest[: data.start()], rest[data.start() :]
                    declared = _ENCODING.search(self.head)
                    if declared and declared[1].lower() not in (b"utf-8", b"us-ascii", b"ascii", b"utf8"):
                        raise ValueError(self._part)
                *rows, rest = rest.split(end)
                for row in rows:
                    at = row.rfind(start)
                    close = row.index(b">", at)
                    attributes = row[at + len(start) : close]
                    stated = _ROW_NUMBER.search(attributes)
                    number = int(stated[1]) if stated else number + row.count(start)
                    yield _RawRow(number, attributes, row[close + 1 :])
                _bound(rest)
            self.tail = rest


def _bound(content: bytes) -> None:
    if len(content) > _LONGEST_ROW:
        raise ValueError


def outline(package: Package, part: str) -> Outline:
    """Scan a sheet without reading its values: merged cells stand behind all rows."""
    sheet = Outline()
    raw = _RawRows(package, part)
    default_hidden: bool | None = None
    for row in raw:
        if default_hidden is None:
            default_hidden = _scan_head(raw.head, sheet)
        if b"<" + raw.prefix + b"v" in row.content or b"<" + raw.prefix + b"t" in row.content:
            sheet.filled += 1
            if default_hidden or b"h" in row.attributes:
                attributes = _attributes(row.attributes)
                hidden = attributes.get("hidden")
                flat = attributes.get("ht") in ("0", "0.0")
                if truth(hidden) or flat or (hidden is None and default_hidden):
                    sheet.hidden.append(row.number)
    with damage():
        _scan_tail(raw.tail, sheet)
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
    spans = [
        (max(int(column.get("min", "1")) - 1, 0), min(int(column.get("max", "1")), WIDEST))
        for column in _tags(content, b"col")
        if truth(column.get("hidden")) or column.get("width") == "0"
    ]
    done = 0
    for first, last in sorted(spans):  # one after another, however often the same are named
        sheet.hidden_columns.update(range(max(first, done), last))
        done = max(done, last)
    return any(truth(form.get("zeroHeight")) for form in _tags(content, b"sheetFormatPr"))


def _scan_tail(content: bytes, sheet: Outline) -> None:
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
def column_at(letters: bytes) -> int:
    """Return the position of a column by its letters as a file has them."""
    return column_of(letters.decode())


@cache
def letters_of(column: int) -> str:
    """Return the letters of a column by its position."""
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


class _VolatileFormulas:
    """Tells which formulas have another value each time the workbook is opened: TODAY, NOW and the random ones."""

    def __init__(self) -> None:
        self.inside, self.text = False, ""
        self._index: str | None = None
        self._shared: set[str] = set()  # indexes of volatile formulas that several cells share

    def begin(self, index: str | None) -> None:
        """Begin a formula; `index`: of one that several cells share, whose text stands in the first of them."""
        self.inside, self.text, self._index = True, "", index

    def end(self) -> bool:
        """Return whether the formula that ends is volatile."""
        self.inside = False
        volatile = _VOLATILE.search(_QUOTED.sub("", self.text)) is not None
        if volatile and self._index is not None:
            self._shared.add(self._index)
        return volatile or (not self.text and self._index in self._shared)


class SheetRows:
    """Reads the rows of a sheet."""

    def __init__(self, package: Package, sheet: Outline) -> None:
        self._package = package
        self._hidden = frozenset(sheet.hidden)
        self._merges: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for top, left, bottom, right in sheet.merges:
            self._merges[top].append((left, bottom, right))
        self._open: dict[int, tuple[int, Merged]] = {}  # column → the last row of a merged cell, and what covers
        self._volatile = _VolatileFormulas()
        self._moments: dict[tuple[float, bool], Cell] = {}
        self._epoch = _EPOCH_1904 if package.from_1904 else _EPOCH

    def rows(self, part: str) -> Generator[SourceRow, None, None]:
        """Yield the rows that the file holds, each with its number."""
        for row in _RawRows(self._package, part):
            with damage():
                cells = self._usual(row.content)
                if cells is None:
                    cells = self._unusual(row.content)
            if self._merges or self._open:
                self._cover(row.number, cells)
            struck = bool(self._package.struck) and not self._package.struck.isdisjoint(_STYLE.findall(row.content))
            yield SourceRow(row.number, cells, row.number in self._hidden, struck=struck)

    def _usual(self, content: bytes) -> list[Cell] | None:
        """Return the cells of a row as nearly all programs write it, None where anything else stands in it.

        Five times as fast as a parser of XML that calls back for every tag.
        """
        cells: list[Cell] = []
        strings = self._package.strings
        length = 0
        for match in _USUAL_CELL.finditer(content):
            length += match.end() - match.start()
            letters, style, type_, value, inline = match.groups()
            text = value or inline
            if text:
                column = column_at(letters)
                if column < len(cells):
                    return None  # not in their order
                while len(cells) < column:
                    cells.append(None)
                if type_ == b"s" and not self._package.decorating:
                    cells.append(strings[int(text)])
                else:
                    cells.append(self._value(type_.decode() if type_ else "n", style, text.decode(), False, True))
        return cells if length == len(content) else None

    def _unusual(self, content: bytes) -> list[Cell]:
        """Return the cells of any row."""
        cells: list[Cell] = []
        column = -1
        type_, style = "n", None
        texts: list[str] = []
        reading = has_formula = has_value = in_cell = phonetic = False

        def start(name: str, attributes: Attributes) -> None:
            nonlocal column, type_, style, reading, has_formula, has_value, in_cell, phonetic
            name = local(name)
            if name == "c":
                letters = attributes.get("r", "").rstrip(_DIGITS)
                column = column_of(letters[:_MOST_LETTERS]) if letters else column + 1
                if len(letters) > _MOST_LETTERS or column >= WIDEST:
                    raise ValueError
                type_, style = attributes.get("t", "n"), attributes.get("s")
                in_cell, has_formula, has_value = True, False, False
                texts.clear()
            elif in_cell and name in ("v", "t") and not phonetic:
                has_value = reading = True
            elif in_cell and name == "f":
                has_formula = True
                self._volatile.begin(attributes.get("si"))
            elif name == "rPh":
                phonetic = True

        def end(name: str) -> None:
            nonlocal reading, in_cell, phonetic, type_
            name = local(name)
            if name in ("v", "t"):
                reading = False
            elif name == "f":
                type_ = _VOLATILE_TYPE if self._volatile.end() else type_
            elif name == "rPh":
                phonetic = False
            elif name == "c":
                in_cell = False
                cell = self._value(type_, style.encode() if style else None, "".join(texts), has_formula, has_value)
                if cell is not None:
                    cells.extend([None] * (column + 1 - len(cells)))
                    cells[column] = cell

        def text(content: str) -> None:
            if reading:
                texts.append(content)
            elif self._volatile.inside:
                self._volatile.text += content

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
        parser.Parse(b"<row>" + content + b"</row>", True)
        return cells

    def _value(self, type_: str, style: bytes | None, text: str, has_formula: bool, has_value: bool) -> Cell:
        if has_formula and (not has_value or (not text and type_ != "str")):
            return Broken("formula-without-value")
        if type_ == "s":
            return self._as_formatted(self._package.strings[int(text)], style) if text else None
        if type_ in ("str", "inlineStr"):
            return self._as_formatted(unescaped(text), style)
        if type_ == _VOLATILE_TYPE:
            return Broken("volatile-formula")
        if not text:
            return None
        if type_ == "b":
            return truth(text.strip())
        if type_ == "e":
            return Broken("cell-error")
        if type_ == "d":
            return self._iso(text)
        number = float(text)
        if has_formula and number == 0 and self._package.recalculates:
            # What wrote the file has written 0 for every formula and left the computing to who opens it.
            return Broken("formula-without-value")
        form = self._package.format(style)
        if form.kind != "moment":
            return Number(number, form)
        key = number, form.day_shown
        moment = self._moments.get(key)
        if moment is None:
            if len(self._moments) > _DAY:
                self._moments.clear()
            moment = self._moments[key] = _moment(number, self._epoch, form)
        return moment

    def _as_formatted(self, text: str, style: bytes | None) -> Cell:
        """Return a text as its format shows it: some write the same words around each, or show none."""
        form = self._package.decorating.get(style) if style and text else None
        if form is None:
            return text
        return Broken("format-unclear") if form.hides_text else text.join(form.around)

    @staticmethod
    def _iso(text: str) -> Cell:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            return Broken("date-out-of-range")
        return Moment(at.replace(tzinfo=None))

    def _cover(self, number: int, cells: list[Cell]) -> None:
        """Write what merged cells cover into a row, and note which begin in it."""
        filled = any(not is_empty(cell) for cell in cells)
        for column, (last, merged) in list(self._open.items()):
            if number > last:
                del self._open[column]
            elif filled:
                _put(cells, column, merged)
        for left, bottom, right in self._merges.pop(number, ()):
            value = cells[left] if left < len(cells) else None
            if value is None or isinstance(value, Merged):
                continue
            if bottom > number:
                cells[left] = Merged(value, first=True)
            for column in range(left, min(right, left + WIDEST) + 1):
                merged = Merged(value, sideways=column > left)
                if merged.sideways:
                    _put(cells, column, merged)
                if bottom > number:
                    self._open[column] = (bottom, merged)


def _put(cells: list[Cell], column: int, merged: Merged) -> None:
    cells.extend([None] * (column + 1 - len(cells)))
    # Programs leave values under a merged cell that nobody sees.
    cells[column] = merged


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
