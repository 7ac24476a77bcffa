"""Decides how a row of a table becomes a report: by a mapping file, or by headers that are the fields' own names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from client.forms import ATTRIBUTES, LANGUAGES, Leaf, event_of, is_reported, leaves
from client.output import CommandError
from client.tables import Cell, Rows, TableRow
from shared.contract.events import Event, parse_instant

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_SOURCE: Final = re.compile(r"/districts/([0-9]{6})/[A-Za-z0-9._-]{1,40}")
_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-|/([0-9]{1,2})/|\.([0-9]{1,2})\.|年([0-9]{1,2})月)([0-9]{1,2})日?|([0-9]{4})([0-9]{2})([0-9]{2})"
)
_MIDNIGHT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00")
_SCIENTIFIC: Final = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]{2}")
_EXACT: Final = 10**15  # beyond this a spreadsheet keeps no digit of a number exact
_ALIKE: Final = 0.5  # names of columns are short
_YES: Final = {"true": True, "yes": True, "y": True, "1": True, "是": True, "√": True, "有": True,
               "false": False, "no": False, "n": False, "0": False, "否": False, "×": False, "无": False}  # fmt: skip
_UNITS: Final = {"fen": 1, "yuan": 100, "wan-yuan": 1_000_000}
_BEGIN_OF_DAY: Final = "T00:00:00+08:00"


@dataclass(frozen=True, slots=True)
class CellFault:
    """A cell that cannot be what its field wants; the texts never quote it."""

    column: str
    leaf: Leaf
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Drafted:
    """A report made of a row, and what is wrong with its cells already."""

    event: dict[str, Any]
    faults: tuple[CellFault, ...]


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    to: str
    values: dict[str, str] | None = None
    unit: Literal["fen", "yuan", "wan-yuan"] = "fen"


class _File(BaseModel):
    """A mapping file as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    source: str
    district: str | None = None
    id: str
    subject: str
    time: str | None = None
    corrects: str | None = None
    columns: dict[str, _Column]
    constants: dict[str, str] = {}
    encoding: str | None = None
    sheet: str | None = None
    header: int | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        """Take `column: path` for `column: {to: path}`."""
        if not isinstance(given, dict):
            return given
        return {name: {"to": told} if isinstance(told, str) else told for name, told in given.items()}


@dataclass(frozen=True, slots=True)
class RowMapping:
    """How the rows of one file become reports of one type."""

    event: type[Event]
    type: str
    columns: Mapping[str, _Column]
    templates: Mapping[str, str]  # attribute → text with {column}
    constants: Mapping[str, Any]  # path → value
    encoding: str | None = None
    sheet: str | None = None
    header: int | None = None
    places: Mapping[str, str] = field(default_factory=dict)  # pointer → column that fills it
    origins: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # column → line and key in the mapping file

    def bind(self, rows: Rows, name: str) -> None:
        """Check that the file has every column that is asked for; raises Refusal, naming line and key."""
        wanted = [*self.columns, *(column for text in self.templates.values() for column in _BRACES.findall(text))]
        missing = [column for column in dict.fromkeys(wanted) if column not in rows.header]
        if missing:
            raise _faulty(
                name,
                [
                    (
                        *self.origins.get(column, (1, column)),
                        f"表头中没有列 {column}{_hint_zh(near)}",
                        f"the header has no {column}{_hint_en(near)}",
                    )
                    for column in missing
                    for near in (difflib.get_close_matches(column, filter(None, rows.header), 1, _ALIKE),)
                ],
            )

    def report(self, row: TableRow) -> Drafted:
        """Return the report of a row."""
        event: dict[str, Any] = {"specversion": "1.0", "type": self.type, "data": {}}
        faults: list[CellFault] = []
        known = leaves(self.event)
        for path, value in self.constants.items():
            _put(event, path, value)
        for column, told in self.columns.items():
            leaf = known[told.to]
            try:
                value = _value(row.cells.get(column), leaf, told)
            except _Wrong as wrong:
                faults.append(CellFault(column, leaf, *wrong.args))
            else:
                if value is not None:
                    _put(event, told.to, value)
        for attribute, template in self.templates.items():
            filled = _fill(template, row.cells)
            if filled is not None:
                event[attribute] = _instant(filled) if attribute == "time" else filled
        if "time" not in event and self.event.dated and isinstance(day := event["data"].get(self.event.dated), str):
            event["time"] = day + _BEGIN_OF_DAY
        if "district" not in event and (source := _SOURCE.fullmatch(str(event.get("source", "")))):
            event["district"] = source[1]
        return Drafted(event, tuple(faults))

    @property
    def time_from(self) -> str | None:
        """The pointer of the day that `time` is made of, None where it has a column of its own."""
        return f"/data/{self.event.dated}" if "time" not in self.templates and self.event.dated else None

    def column_at(self, pointer: str) -> str | None:
        """Return the column that fills the place of a pointer or the first that fills a part of it."""
        return self.places.get(pointer) or next(
            (column for place, column in self.places.items() if place.startswith(pointer + "/")), None
        )


class _Wrong(Exception):
    """(code, zh, en) of a cell."""


def _put(event: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = path.split(".")
    place = event
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = value


def _fill(template: str, cells: Mapping[str, Cell]) -> str | None:
    """Return a template with its columns filled in; None when one of them is empty."""
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        shown = _shown(cells.get(found[1]))
        missing = missing or not shown
        return shown

    filled = _BRACES.sub(fill, template)
    return None if missing else filled


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return _MIDNIGHT.sub(r"\1", str(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _instant(text: str) -> str:
    """Return a moment as it stands, or the beginning of a day in Asia/Shanghai."""
    day = None if parse_instant(text) else _day(text)
    return day + _BEGIN_OF_DAY if day else text


def _value(cell: Cell, leaf: Leaf, told: _Column) -> Any:
    """Return what a cell says as a JSON value of the leaf's kind; what does not fit is left for the door to refuse."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    shown = _shown(cell)
    if told.values is not None:
        if shown not in told.values:
            words = "、".join(told.values)
            raise _Wrong("bad-value", f"取值不在映射之中,应为:{words}。", f"No value of the mapping; one of: {words}.")
        shown = told.values[shown]
        cell = shown
    match leaf.kind:
        case "date":
            return cell.strftime("%Y-%m-%d") if isinstance(cell, date) else _day(shown) or shown
        case "integer":
            return _integer(cell, shown, told.unit)
        case "boolean":
            return cell if isinstance(cell, bool) else _YES.get(shown.lower(), shown)
    if isinstance(cell, date):
        raise _Wrong(
            "cell-is-date",
            "Excel 把这个编号改成了日期。请把该列设为文本后重新录入。",
            "Excel has made a date of this number. Format the column as text and enter it again.",
        )
    if (isinstance(cell, int | float) and abs(cell) >= _EXACT) or (
        isinstance(cell, str) and _SCIENTIFIC.fullmatch(shown)
    ):
        raise _Wrong(
            "number-lost",
            "Excel 把这个号码当作数值,末几位已丢失。请把该列设为文本,按原件重新录入。",
            "Excel took this number for a quantity and lost its last digits. Format the column as text and enter it "
            "again from the original.",
        )
    return shown


def _day(text: str) -> str | None:
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", ""))
    if found is None:
        return None
    parts = [part for part in found.groups() if part is not None]
    return f"{parts[0]}-{int(parts[1]):02}-{int(parts[2]):02}"


def _integer(cell: Cell, shown: str, unit: str) -> Any:
    try:
        number = Decimal(unicodedata.normalize("NFKC", shown).replace(",", "")) * _UNITS[unit]
    except InvalidOperation:
        return shown
    if not number.is_finite() or number != number.to_integral_value() or abs(number) >= _EXACT:
        return float(number) if number.is_finite() else shown
    return int(number)


def by_headers(rows: Rows, name: str) -> RowMapping | None:
    """Return the mapping of a file whose headers are the fields' own names, as the templates have them; its type
    stands in the `type` column, the same in every row. None where they are not."""
    if not {"type", "id", "source", "subject"} <= set(rows.header):
        return None
    first = next(rows.rows, None)
    if first is None:
        raise CommandError(f"{name}:没有数据行。", f"{name}: there are no rows below the header.")
    type_ = _shown(first.cells.get("type"))
    event = event_of(type_)
    if event is None:
        raise CommandError(
            f"{name}:第 {first.number} 行的 type 不是可报告的类型。",
            f"{name}: the type in row {first.number} is none that can be reported.",
        )
    known = leaves(event)
    for header in rows.header:
        if header and header != "type" and header not in known:
            near = difflib.get_close_matches(header, known, 1)
            hint = (f",是 {near[0]} 吗?", f"; did you mean {near[0]}?") if near else ("。", ".")
            raise CommandError(
                f"{name}:{rows.cell(header, 1)[:-1]} 列的表头不是 {type_} 的字段{hint[0]}",
                f"{name}: the header of column {rows.cell(header, 1)[:-1]} is no field of {type_}{hint[1]}",
                "no-such-field",
            )
    rows.rows = _of_one_type(first, rows.rows, type_, name)
    paths = [header for header in rows.header if header and header != "type"]
    return _made(
        type_, event, {path: _Column(to=path) for path in paths if "." in path},
        {path: f"{{{path}}}" for path in paths if path in ATTRIBUTES}, {}, None, {},
    )  # fmt: skip


def _of_one_type(first: TableRow, rest: Iterator[TableRow], type_: str, name: str) -> Iterator[TableRow]:
    yield first
    for row in rest:
        if _shown(row.cells.get("type")) != type_:
            raise CommandError(
                f"{name}:第 {row.number} 行的 type 与第一行不同;一个文件只放一种报告。",
                f"{name}: the type in row {row.number} differs from the first; one file holds one type of report.",
            )
        yield row


def read_mapping(file: Path) -> RowMapping:
    """Read a mapping file; raises Refusal, which names every fault by line and key."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise CommandError(
            f"读不到映射文件 {file.name}(应为 UTF-8)。", f"The mapping file {file.name} cannot be read (UTF-8)."
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        # Every scalar stays the text it is: 330681 no number, 2024-01-01 no date, 是 no boolean.
        given = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes text only
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise _faulty(file.name, [(line, "(file)", "不是有效的 YAML", "no valid YAML")]) from None
    if not isinstance(given, dict):
        raise _faulty(file.name, [(1, "(file)", "应为键和值", "keys and values are expected")])
    lines = dict(_lines_of(node))
    repeated = [(line, ".".join(path), "同一个键出现两次", "this key stands here twice") for path, line in _twice(node)]
    try:
        told = _File.model_validate(given)
    except ValidationError as error:
        raise _faulty(
            file.name, repeated + [_said(fault, lines) for fault in error.errors(include_url=False)]
        ) from None
    faults = repeated + [(_line(lines, path), ".".join(path), zh, en) for path, zh, en in _contradictions(told)]
    if faults:
        raise _faulty(file.name, faults)
    event = event_of(told.type)
    if event is None:
        raise AssertionError("checked above")
    known = leaves(event)
    templates = {name: text for name in ATTRIBUTES if (text := getattr(told, name)) is not None}
    constants = {path: _value(text, known[path], _Column(to=path)) for path, text in told.constants.items()}
    origins = {
        column: (_line(lines, (name,)), name) for name, text in templates.items() for column in _BRACES.findall(text)
    } | {column: (_line(lines, ("columns", column)), f"columns.{column}") for column in told.columns}
    return _made(told.type, event, told.columns, templates, constants, told, origins)


def _made(
    type_: str,
    event: type[Event],
    columns: Mapping[str, _Column],
    templates: Mapping[str, str],
    constants: Mapping[str, Any],
    told: _File | None,
    origins: Mapping[str, tuple[int, str]],
) -> RowMapping:
    known = leaves(event)
    places = {known[one.to].pointer: column for column, one in columns.items()}
    for attribute, template in templates.items():
        if found := _BRACES.findall(template):
            places[f"/{attribute}"] = found[0]
    if "time" not in templates and event.dated and (column := places.get(f"/data/{event.dated}")):
        places["/time"] = column
    if told is None:
        return RowMapping(event, type_, columns, templates, constants, places=places)
    return RowMapping(
        event, type_, columns, templates, constants, told.encoding, told.sheet, told.header, places, origins
    )


_Fault = tuple[int, str, str, str]


def _faulty(name: str, faults: Iterable[_Fault]) -> CommandError:
    each = sorted(faults)
    zh = "\n".join(f"{name}:{line}: {key}: {zh}" for line, key, zh, _ in each)
    en = "\n".join(f"{name}:{line}: {key}: {en}" for line, key, _, en in each)
    return CommandError(f"映射文件有误:\n{zh}", f"The mapping file is wrong:\n{en}", "bad-mapping")


_SAID: Final = {
    "missing": ("缺少这个键", "this key is missing"),
    "extra_forbidden": ("没有这个键,多半是拼写错误", "there is no such key; most likely a spelling mistake"),
    "string_type": ("应为文本", "text is expected"),
    "dict_type": ("应为键和值", "keys and values are expected"),
    "model_type": ("应为字段名,或 {to: 字段名, …}", "a field's name is expected, or {to: field, …}"),
    "literal_error": ("应为 fen、yuan 或 wan-yuan", "fen, yuan or wan-yuan is expected"),
    "int_parsing": ("应为整数", "an integer is expected"),
}


def _said(fault: Any, lines: Mapping[tuple[str, ...], int]) -> _Fault:
    path = tuple(map(str, fault["loc"]))
    zh, en = _SAID.get(fault["type"], ("取值不正确", "wrong value"))
    return _line(lines, path), ".".join(path), zh, en


def _contradictions(told: _File) -> Iterator[tuple[tuple[str, ...], str, str]]:
    event = event_of(told.type)
    if event is None:
        every = [language.type_of(one) for language in LANGUAGES for one in language.events if is_reported(one)]
        near = difflib.get_close_matches(told.type, every, 1)
        yield ("type",), f"没有这种报告类型{_hint_zh(near)}", f"there is no such report type{_hint_en(near)}"
        return
    known = leaves(event)
    for column, one in told.columns.items():
        if one.to in ATTRIBUTES:
            yield ("columns", column), f"{one.to} 请写在顶层", f"write {one.to} at the top level"
        else:
            yield from _no_field(("columns", column), one.to, known)
            leaf = known.get(one.to)
            if leaf is not None and one.values is not None and leaf.words:
                for word, value in one.values.items():
                    if value not in leaf.words:
                        words = ", ".join(leaf.words)
                        yield ("columns", column, "values", word), f"应为 {words}", f"one of {words} is expected"
    for path, text in told.constants.items():
        yield from _no_field(("constants", path), path, known)
        if path in known and known[path].words and text not in known[path].words:
            words = ", ".join(known[path].words)
            yield ("constants", path), f"应为 {words}", f"one of {words} is expected"
    filled: dict[str, str] = {}
    for column, one in told.columns.items():
        if one.to in filled:
            yield ("columns", column), f"与列 {filled[one.to]} 填同一字段", f"fills the same field as {filled[one.to]}"
        filled[one.to] = column
    if told.time is None and event.dated is None:
        yield ("time",), "该类型的日期取自 time,不可缺少", "the date of this type is that of time; it is needed"


def _no_field(
    path: tuple[str, ...], given: str, known: Mapping[str, Leaf]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if given not in known or given in ATTRIBUTES:
        near = difflib.get_close_matches(given, known, 1)
        yield path, f"该类型没有字段 {given}{_hint_zh(near)}", f"this type has no field {given}{_hint_en(near)}"
    elif known[given].kind == "list":
        yield path, "这是一个列表,表格放不下,请用 NDJSON", "this is a list, which no table holds; use NDJSON"


def _hint_zh(near: list[str]) -> str:
    return f",是 {near[0]} 吗?" if near else ""


def _hint_en(near: list[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""


def _line(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines_of(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines_of(value, here)


def _twice(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*path, str(key.value))
            if key.value in seen:
                yield here, key.start_mark.line + 1
            seen.add(key.value)
            yield from _twice(value, here)
