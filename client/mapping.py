"""How a row of a table becomes a report: columns fill fields, templates fill the envelope's attributes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import JsonValue

from client.cells import BEGIN_OF_DAY, CellError, Unit, instant_of, text_of, value_of
from client.fields import ATTRIBUTES, ReportField, event_of, fields_of
from client.messages import JsonObject
from client.output import CommandError
from client.routing import district_of
from client.tables import Cell, Rows, TableRow
from shared.contract.events import Event

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_ALIKE: Final = 0.5  # names of columns are short


@dataclass(frozen=True, slots=True)
class CellFault:
    """What is wrong with a cell; the texts never quote it."""

    column: str
    field: ReportField
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A report made of a row, and what is already wrong with its cells."""

    event: JsonObject
    faults: tuple[CellFault, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """The field that a column fills, with the value of each word and the unit of an amount."""

    path: str
    values: Mapping[str, str] | None = None
    unit: Unit = "fen"


class MappingFault(NamedTuple):
    """What is wrong with a mapping file, by line and key; faults sort by line."""

    line: int
    key: str
    zh: str
    en: str


class KeyPlace(NamedTuple):
    """Where the mapping file names a column."""

    line: int
    key: str


@dataclass(frozen=True, slots=True)
class RowMapping:
    """How the rows of one file become reports of one type."""

    event: type[Event]
    type: str
    columns: Mapping[str, Column]
    templates: Mapping[str, str]  # attribute → text with {column}
    constants: Mapping[str, JsonValue] = field(default_factory=dict)  # path → value
    encoding: str | None = None
    sheet: str | None = None
    header: int | None = None
    key_places: Mapping[str, KeyPlace] = field(default_factory=dict)  # column → where the mapping file names it

    def bind(self, rows: Rows, name: str) -> None:
        """Check that the table has every column of the mapping; raises CommandError, naming line and key."""
        columns = [*self.columns, *(column for text in self.templates.values() for column in columns_in(text))]
        missing = [column for column in dict.fromkeys(columns) if column not in rows.header]
        if missing:
            raise faulty_mapping(name, [self._missing(column, rows) for column in missing])

    def _missing(self, column: str, rows: Rows) -> MappingFault:
        near = difflib.get_close_matches(column, filter(None, rows.header), 1, _ALIKE)
        line, key = self.key_places.get(column, KeyPlace(1, column))
        zh, en = f"表头中没有列 {column}{hint_zh(near)}", f"the header has no {column}{hint_en(near)}"
        return MappingFault(line, key, zh, en)

    def draft(self, row: TableRow) -> Draft:
        """Return the report of a row."""
        data: JsonObject = {}
        event: JsonObject = {"specversion": "1.0", "type": self.type, "data": data}
        faults: list[CellFault] = []
        fields = fields_of(self.event)
        for path, value in self.constants.items():
            _put(event, path, value)
        for name, column in self.columns.items():
            try:
                value = value_of(row.cells.get(name), fields[column.path], column.values, column.unit)
            except CellError as error:
                faults.append(CellFault(name, fields[column.path], error.code, error.zh, error.en))
            else:
                if value is not None:
                    _put(event, column.path, value)
        for attribute, template in self.templates.items():
            text = _fill(template, row.cells)
            if text is not None:
                event[attribute] = instant_of(text) if attribute == "time" else text
        if "time" not in event and self.event.dated and isinstance(day := data.get(self.event.dated), str):
            event["time"] = day + BEGIN_OF_DAY
        if "district" not in event and (district := district_of(event.get("source"))):
            event["district"] = district
        return Draft(event, tuple(faults))

    @property
    def time_from(self) -> str | None:
        """The pointer of the date that `time` is made of, None where `time` has a template of its own."""
        return f"/data/{self.event.dated}" if "time" not in self.templates and self.event.dated else None

    def column_at(self, pointer: str) -> str | None:
        """Return the column that fills the place of a pointer, or the first that fills a part of it."""
        columns = self._columns_by_pointer()
        return columns.get(pointer) or next(
            (column for place, column in columns.items() if place.startswith(pointer + "/")), None
        )

    def _columns_by_pointer(self) -> dict[str, str]:
        fields = fields_of(self.event)
        columns = {fields[column.path].pointer: name for name, column in self.columns.items()}
        for attribute, template in self.templates.items():
            if names := columns_in(template):
                columns[f"/{attribute}"] = names[0]
        if self.time_from in columns:
            columns["/time"] = columns[self.time_from]
        return columns


def columns_in(template: str) -> list[str]:
    """Return the columns that a template names, in braces."""
    return _BRACES.findall(template)


def by_headers(rows: Rows, name: str) -> RowMapping | None:
    """Return the mapping of a table whose headers are the fields' own names, as the templates have them; its type
    stands in the `type` column, the same in every row. None where they are not."""
    if not {"type", "id", "source", "subject"} <= set(rows.header):
        return None
    first = next(rows.rows, None)
    if first is None:
        raise CommandError(f"{name}:没有数据行。", f"{name}: there are no rows below the header.")
    type_ = text_of(first.cells.get("type"))
    event = event_of(type_)
    if event is None:
        raise CommandError(
            f"{name}:第 {first.number} 行的 type 不是可报告的类型。",
            f"{name}: the type in row {first.number} is none that can be reported.",
        )
    fields = fields_of(event)
    paths = [header for header in rows.header if header and header != "type"]
    for path in paths:
        if path not in fields:
            near = difflib.get_close_matches(path, fields, 1)
            letter = rows.cell(path, 1)[:-1]
            raise CommandError(
                f"{name}:{letter} 列的表头不是 {type_} 的字段{hint_zh(near) or '。'}",
                f"{name}: the header of column {letter} is no field of {type_}{hint_en(near) or '.'}",
                "no-such-field",
            )
    rows.rows = _of_one_type(first, rows.rows, type_, name)
    templates = {path: f"{{{path}}}" for path in paths if path in ATTRIBUTES}
    return RowMapping(event, type_, {path: Column(path) for path in paths if "." in path}, templates)


def _of_one_type(first: TableRow, rest: Iterator[TableRow], type_: str, name: str) -> Iterator[TableRow]:
    yield first
    for row in rest:
        if text_of(row.cells.get("type")) != type_:
            raise CommandError(
                f"{name}:第 {row.number} 行的 type 与第一行不同;一个文件只放一种报告。",
                f"{name}: the type in row {row.number} differs from the first; one file holds one type of report.",
            )
        yield row


def faulty_mapping(name: str, faults: list[MappingFault]) -> CommandError:
    """Return the error of a mapping file, with every fault by line and key."""
    zh = "\n".join(f"{name}:{fault.line}: {fault.key}: {fault.zh}" for fault in sorted(faults))
    en = "\n".join(f"{name}:{fault.line}: {fault.key}: {fault.en}" for fault in sorted(faults))
    return CommandError(f"映射文件有误:\n{zh}", f"The mapping file is wrong:\n{en}", "bad-mapping")


def hint_zh(near: list[str]) -> str:
    """Return the end of a sentence that names what was meant, in Chinese."""
    return f",是 {near[0]} 吗?" if near else ""


def hint_en(near: list[str]) -> str:
    """Return the end of a sentence that names what was meant, in English."""
    return f"; did you mean {near[0]}?" if near else ""


def _put(event: JsonObject, path: str, value: JsonValue) -> None:
    *steps, last = path.split(".")
    place = event
    for step in steps:
        inner = place.setdefault(step, {})
        if not isinstance(inner, dict):
            raise TypeError("a value stands where a field has parts")
        place = inner
    place[last] = value


def _fill(template: str, cells: Mapping[str, Cell]) -> str | None:
    """Return a template with its columns filled in; None where one of them is empty."""
    texts = {column: text_of(cells.get(column)) for column in columns_in(template)}
    if not all(texts.values()):
        return None
    return _BRACES.sub(lambda match: texts[match[1]], template)
