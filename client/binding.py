"""Rows of a table as reports: every cell read as its column says, every fault named by its cell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from client.cells import CellError, ColumnReading, code_text, compared, text_of, value_of
from client.fields import ATTRIBUTES, event_of, fields_of
from client.mapping import Column, RowMapping, columns_in, hint_en, hint_zh, pieces_of
from client.messages import JsonObject
from client.moments import BEGIN_OF_DAY, instant_of, text_of_moment, written_moment
from client.output import CommandError
from client.routing import district_of
from client.tables.content import Cell, Merged, Moment, Number, is_empty
from client.tables.rows import Rows, TableRow, no_rows
from client.tables.sheet import letters_of

_MOST_REMEMBERED: Final = 2_000  # texts of a column whose values are remembered
FIELD_HEADERS: Final = ("type", "id", "source", "subject")
_IDENTITY: Final = ("id", "subject", "corrects")


@dataclass(frozen=True, slots=True)
class CellFault:
    """What is wrong with a cell, or with its whole row where `column` is None; the texts never quote it."""

    column: str | None
    pointer: str | None
    code: str
    zh: str
    en: str


class Draft(NamedTuple):
    """A report made of a row, and what is already wrong with its cells; no event where the row itself is wrong."""

    event: JsonObject | None
    faults: tuple[CellFault, ...]


class _Part(NamedTuple):
    """A column within a template, and how its cells are written there; `place` tells such parts apart."""

    place: int
    name: str
    position: int
    kind: str  # date, integer or text
    reading: ColumnReading | None
    identity: bool  # whether it makes up an id or a subject


class _Filler(NamedTuple):
    """A column that fills a field."""

    name: str
    position: int
    steps: tuple[str, ...]
    last: str
    reading: ColumnReading
    remembered: dict[str, JsonValue]


class BoundMapping:
    """A mapping whose columns were places_of in a table."""

    def __init__(self, mapping: RowMapping, rows: Rows, name: str) -> None:
        """Find the columns; raises CommandError where the table and the mapping do not agree."""
        positions = mapping.positions_in(rows, name)
        self._mapping, self._notices = mapping, rows.notices
        self._positions = positions
        self._fields = fields_of(mapping.event)
        comma = rows.source.comma
        self._fillers: list[_Filler] = []
        for header, column in mapping.columns.items():
            values = compared(column.values) if column.values is not None else None
            reading = ColumnReading(self._fields[column.path], values, column.unit, mapping.decimal, comma)
            *steps, last = column.path.split(".")
            self._fillers.append(_Filler(header, positions[header], tuple(steps), last, reading, {}))
        self._places: dict[tuple[str, str, bool], int] = {}
        readings = {filler.name: filler.reading for filler in self._fillers}
        self._templates = {
            attribute: [
                self._part(piece, readings.get(piece), attribute) if is_column else piece
                for piece, is_column in pieces_of(template)
            ]
            for attribute, template in mapping.templates.items()
        }
        rows.positions, rows.used = positions, frozenset(positions.values())
        keys = columns_in(mapping.templates.get("id", "")) or columns_in(mapping.templates.get("subject", ""))
        rows.keys = frozenset(positions[column] for column in keys)
        for header, position in positions.items():
            if position in rows.source.hidden_columns:
                rows.notices.tally("hidden-column", 1, header)

    def _part(self, column: str, reading: ColumnReading | None, attribute: str) -> _Part:
        kind = reading.field.kind if reading is not None else "text"
        if attribute == "time" or kind == "date" or column in columns_in(self._mapping.templates.get("time", "")):
            kind = "date"
        key = column, kind, attribute in _IDENTITY
        place = self._places.setdefault(key, len(self._places))
        return _Part(place, column, self._positions[column], kind, reading, attribute in _IDENTITY)

    def draft(self, row: TableRow) -> Draft:
        """Return the report of a row."""
        if row.fault is not None:
            return Draft(None, (_row_fault(row),))
        mapping = self._mapping
        data: JsonObject = {}
        event: JsonObject = {"specversion": "1.0", "type": mapping.type, "data": data}
        faults: list[CellFault] = []
        for path, value in mapping.constants.items():
            _put(event, path, value)
        cells, width = row.cells, len(row.cells)
        for name, position, steps, last, reading, remembered in self._fillers:
            cell = cells[position] if position < width else None
            if cell is None:
                continue
            if type(cell) is str and cell in remembered:
                value = remembered[cell]
            else:
                try:
                    value = self._value(cell, name, reading, remembered, row.number)
                except CellError as error:
                    faults.append(CellFault(name, reading.field.pointer, error.code, error.zh, error.en))
                    continue
            if value is not None:
                place = event
                for step in steps:
                    place = place.setdefault(step, {})  # type: ignore[assignment]
                place[last] = value
        texts: dict[int, str] = {}
        for attribute, pieces in self._templates.items():
            text = self._fill(attribute, pieces, row, texts, faults)
            if text is not None:
                event[attribute] = instant_of(text) if attribute == "time" else text
        self._complete(event)
        return Draft(event, tuple(faults))

    def _complete(self, event: JsonObject) -> None:
        """Fill in the time and the district, where the table has none, by the date of the data and by the source."""
        dated = self._mapping.event.dated
        if "time" not in event and "time" not in self._mapping.templates and dated:
            data = event["data"]
            if isinstance(data, dict) and isinstance(day := data.get(dated), str):
                event["time"] = day + BEGIN_OF_DAY
        if "district" not in event and (district := district_of(event.get("source"))):
            event["district"] = district

    def _value(
        self, cell: Cell, name: str, reading: ColumnReading, remembered: dict[str, JsonValue], number: int
    ) -> JsonValue:
        notes: list[str] = []
        value = value_of(cell, reading, notes.append)
        for code in notes:
            self._notices.tally(code, number, name)
        if isinstance(cell, str) and not notes and len(remembered) < _MOST_REMEMBERED:
            remembered[cell] = value
        return value

    def _fill(
        self, attribute: str, pieces: list[str | _Part], row: TableRow, texts: dict[int, str], faults: list[CellFault]
    ) -> str | None:
        """Return a template with its columns filled in; None where one of them is empty or wrong.

        `texts`: what the cells of the row are within templates, by the part's place; it is filled in.
        """
        filled: str | None = ""
        for piece in pieces:
            if isinstance(piece, str):
                filled = None if filled is None else filled + piece
                continue
            text = texts.get(piece.place)
            if text is None:
                cell = row.cells[piece.position] if piece.position < len(row.cells) else None
                try:
                    text = texts[piece.place] = self._part_text(cell, piece, row.number)
                except CellError as error:
                    if all(fault.column != piece.name for fault in faults):
                        faults.append(CellFault(piece.name, f"/{attribute}", error.code, error.zh, error.en))
                    return None
            filled = filled + text if text and filled is not None else None
        return filled

    def _part_text(self, cell: Cell, part: _Part, number: int) -> str:
        """Return a cell as it stands in a template: a date and an amount in one form, whatever the cell's is."""

        def note(code: str) -> None:
            self._notices.tally(code, number, part.name)

        if isinstance(cell, Merged) and not cell.sideways:
            if not cell.first:
                note("merged-cells")
            cell = cell.value
        identity = part.identity
        if part.kind == "date":
            if isinstance(cell, Moment):
                return text_of_moment(cell.at)
            text = text_of(cell)
            written = written_moment(text) if identity else None
            if written is None:
                return text
            return written.instant.removesuffix("+08:00") if written.has_clock else written.day
        if part.kind == "integer" and part.reading is not None and not is_empty(cell):
            return str(value_of(cell, part.reading))
        text = code_text(cell, note)
        if identity and isinstance(cell, Number) and cell.form.kind != "text":
            note("number-in-id")
        elif identity and isinstance(cell, str) and not text.isdigit() and written_moment(text):
            note("date-in-id")
        return text

    @property
    def time_from(self) -> str | None:
        """The pointer of the date that `time` is made of, None where `time` has a template of its own."""
        dated = self._mapping.event.dated
        return f"/data/{dated}" if "time" not in self._mapping.templates and dated else None

    def column_at(self, pointer: str) -> str | None:
        """Return the column that fills the place of a pointer, or the first that fills a part of it."""
        columns = self._columns_by_pointer()
        return columns.get(pointer) or next(
            (column for place, column in columns.items() if place.startswith(pointer + "/")), None
        )

    def _columns_by_pointer(self) -> dict[str, str]:
        columns = {filler.reading.field.pointer: filler.name for filler in self._fillers}
        for attribute, pieces in self._templates.items():
            part = next((piece for piece in pieces if isinstance(piece, _Part)), None)
            if part is not None:
                columns[f"/{attribute}"] = part.name
        if self.time_from in columns:
            columns["/time"] = columns[self.time_from]
        return columns


def _row_fault(row: TableRow) -> CellFault:
    if row.fault == "joined-rows":
        return CellFault(
            None, None, "joined-rows",
            f"从这一行起的 {row.joined} 行被引号连成了一格,其中各行都没有报。",
            f"A quote joins the {row.joined} lines from here on into one cell; none of them is reported.",
        )  # fmt: skip
    return CellFault(
        None, None, "other-width",
        "这一行的格数与表头不同,各格可能错位。",
        "This row has more or fewer cells than the header, so they may stand in the wrong columns.",
    )  # fmt: skip


def by_headers(rows: Rows, name: str) -> BoundMapping | None:
    """Return the mapping of a table whose headers are the fields' own names, as the templates have them; its type
    stands in the `type` column, the same in every row. None where they are not."""
    names = rows.header.names
    if not set(FIELD_HEADERS) <= set(names):
        return None
    at_type = names.index("type")
    stream = (row for row in rows.rows if not _explains(row, at_type, rows))
    first = next(stream, None)
    if first is None:
        raise no_rows()
    type_ = _type_of(first, at_type)
    event = event_of(type_)
    if event is None:
        raise CommandError(
            f"{name}:第 {first.number} 行的 type 不是可报告的类型。",
            f"{name}: the type in row {first.number} is not one that can be reported.",
        )
    fields = fields_of(event)
    paths = [header for header in names if header and header != "type"]
    for path in paths:
        if path not in fields:
            near = difflib.get_close_matches(path, fields, 1)
            letter = letters_of(names.index(path))
            raise CommandError(
                f"{name}:{letter} 列的表头不是 {type_} 的字段{hint_zh(near) or '。'}",
                f"{name}: the header of column {letter} is not a field of {type_}{hint_en(near) or '.'}",
                "no-such-field",
            )
    if len(set(paths)) != len(paths):
        raise CommandError("表头中有两列同名。", "Two columns of the header have the same name.")
    templates = {path: f"{{{path}}}" for path in paths if path in ATTRIBUTES}
    # The name of such a column says its unit: amount_fen.
    columns = {path: Column(path, unit="fen" if fields[path].is_money else None) for path in paths if "." in path}
    rows.rows = _of_one_type(first, stream, type_, at_type, name)
    return BoundMapping(RowMapping(event, type_, columns, templates), rows, name)


def _type_of(row: TableRow, at: int) -> str:
    try:
        return text_of(row.cells[at]) if at < len(row.cells) else ""
    except CellError:
        return ""


def _explains(row: TableRow, at: int, rows: Rows) -> bool:
    """Return whether a row is the templates' own, which says what the columns are."""
    explains = _type_of(row, at).startswith("# ")
    if explains:
        rows.notices.tally("comment-row", row.number)
    return explains


def _of_one_type(first: TableRow, rest: Iterator[TableRow], type_: str, at: int, name: str) -> Iterator[TableRow]:
    yield first
    for row in rest:
        if _type_of(row, at) != type_ and row.fault is None:
            raise CommandError(
                f"{name}:第 {row.number} 行的 type 与第一行不同;一个文件只放一种报告。",
                f"{name}: the type in row {row.number} differs from the first; one file holds one type of report.",
            )
        yield row


def _put(event: JsonObject, path: str, value: JsonValue) -> None:
    *steps, last = path.split(".")
    place = event
    for step in steps:
        inner = place.setdefault(step, {})
        if not isinstance(inner, dict):
            raise TypeError("a value stands where a field has parts")
        place = inner
    place[last] = value
