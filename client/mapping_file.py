"""Reads a mapping file (YAML), and names everything that is wrong with it by line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails

from client.cells import CellError, ColumnReading, DecimalSign, value_of
from client.fields import ATTRIBUTES, ReportField, event_of, fields_of, reported_types
from client.mapping import Column, KeyPlace, MappingFault, RowMapping, columns_in, faulty_mapping, hint_en, hint_zh
from client.output import CommandError
from client.tables.files import TableOptions
from client.tables.rows import Hidden
from client.units import Unit
from shared.contract.events import Event

Path_ = tuple[str, ...]
_WHOLE_FILE: Final = "(file)"
_CONSTANT_UNIT: Final = "fen"  # as the field's own name says
_TEXT_FIELD: Final = ReportField("", "text", required=False)


class _ColumnEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    to: str
    values: dict[str, str] | None = None
    unit: Unit | None = None


class _MappingFile(BaseModel):
    """A mapping file as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    source: str
    district: str | None = None
    id: str
    subject: str
    time: str | None = None
    corrects: str | None = None
    columns: dict[str, _ColumnEntry]
    constants: dict[str, str] = {}
    encoding: str | None = None
    sheet: str | None = None
    header: int | None = None
    hidden: Hidden | None = None
    decimal: DecimalSign | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, columns: object) -> object:
        """Take `column: path` for `column: {to: path}`."""
        if not isinstance(columns, dict):
            return columns
        return {name: {"to": entry} if isinstance(entry, str) else entry for name, entry in columns.items()}

    @property
    def templates(self) -> dict[str, str]:
        attributes = {
            "id": self.id, "source": self.source, "subject": self.subject, "time": self.time,
            "district": self.district, "corrects": self.corrects,
        }  # fmt: skip
        return {name: template for name, template in attributes.items() if template is not None}


class _Problem(NamedTuple):
    path: Path_
    zh: str
    en: str


def read_mapping(file: Path) -> RowMapping:
    """Read a mapping file; raises CommandError, which names every fault by line and key."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise CommandError(
            f"读不到映射文件 {file.name}(应为 UTF-8)。", f"The mapping file {file.name} cannot be read (UTF-8)."
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        # Every scalar stays the text it is: 330681 no number, 2024-01-01 no date, 是 no boolean.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes text only
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise faulty_mapping(
            file.name, [MappingFault(line, _WHOLE_FILE, "不是有效的 YAML", "not valid YAML")]
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise faulty_mapping(file.name, [MappingFault(1, _WHOLE_FILE, "不是有效的 YAML", "not valid YAML")]) from None
    if not isinstance(content, dict):
        raise faulty_mapping(file.name, [MappingFault(1, _WHOLE_FILE, "应为键和值", "keys and values are expected")])
    lines: dict[Path_, int] = {}
    faults: list[MappingFault] = []
    for path, line in _keys(node):
        if path in lines:
            faults.append(MappingFault(line, ".".join(path), "同一个键出现两次", "this key stands here twice"))
        lines[path] = line
    try:
        mapping = _MappingFile.model_validate(content)
        problems = list(_contradictions(mapping))
    except ValidationError as error:
        problems = [_problem(details) for details in error.errors(include_url=False)]
    faults += [MappingFault(_line(lines, path), ".".join(path), zh, en) for path, zh, en in problems]
    event = event_of(content["type"]) if isinstance(content.get("type"), str) else None
    if faults or event is None:
        raise faulty_mapping(file.name, faults)
    return _row_mapping(mapping, event, lines)


def _row_mapping(mapping: _MappingFile, event: type[Event], lines: Mapping[Path_, int]) -> RowMapping:
    fields = fields_of(event)
    templates = mapping.templates
    places = {
        column: KeyPlace(_line(lines, (name,)), name) for name, text in templates.items() for column in columns_in(text)
    } | {column: KeyPlace(_line(lines, ("columns", column)), f"columns.{column}") for column in mapping.columns}
    return RowMapping(
        event,
        mapping.type,
        {name: Column(entry.to, entry.values, entry.unit) for name, entry in mapping.columns.items()},
        templates,
        {
            path: value_of(text, ColumnReading(fields[path], unit=_CONSTANT_UNIT))
            for path, text in mapping.constants.items()
        },
        TableOptions(mapping.encoding, mapping.sheet, mapping.header, mapping.hidden),
        mapping.decimal,
        places,
    )


_TEXTS: Final = {
    "missing": ("缺少这个键", "this key is missing"),
    "extra_forbidden": ("没有这个键,多半是拼写错误", "there is no such key; most likely a spelling mistake"),
    "string_type": ("应为文本", "text is expected"),
    "dict_type": ("应为键和值", "keys and values are expected"),
    "model_type": ("应为字段名,或 {to: 字段名, …}", "a field's name is expected, or {to: field, …}"),
    "literal_error": ("应为下列之一:{expected}", "one of these is expected: {expected}"),
    "int_parsing": ("应为整数", "an integer is expected"),
}


def _problem(details: ErrorDetails) -> _Problem:
    zh, en = _TEXTS.get(details["type"], ("取值不正确", "wrong value"))
    expected = details.get("ctx", {}).get("expected", "")
    path = tuple(map(str, details["loc"]))
    return _Problem(path, zh.format(expected=expected), en.format(expected=expected))


def _contradictions(mapping: _MappingFile) -> Iterator[_Problem]:
    """Yield where a mapping does not fit its type of report, or itself."""
    event = event_of(mapping.type)
    if event is None:
        near = difflib.get_close_matches(mapping.type, reported_types(), 1)
        yield _Problem(("type",), f"没有这种报告类型{hint_zh(near)}", f"there is no such report type{hint_en(near)}")
        return
    fields = fields_of(event)
    for column, entry in mapping.columns.items():
        path: Path_ = ("columns", column)
        if entry.to in ATTRIBUTES:
            yield _Problem(path, f"{entry.to} 请写在顶层", f"write {entry.to} at the top level")
            continue
        yield from _no_field(path, entry.to, fields)
        yield from _no_unit(path, entry, fields.get(entry.to))
        for name, value in (entry.values or {}).items():
            yield from _no_value((*path, "values", name), value, fields.get(entry.to))
    for name, text in mapping.constants.items():
        yield from _no_field(("constants", name), name, fields)
        yield from _no_value(("constants", name), text, fields.get(name))
        try:
            value_of(text, ColumnReading(fields.get(name, _TEXT_FIELD), unit=_CONSTANT_UNIT))
        except CellError as error:
            yield _Problem(("constants", name), error.zh, error.en)
    filled: dict[str, str] = {}
    for column, entry in mapping.columns.items():
        if entry.to in filled:
            other = filled[entry.to]
            yield _Problem(("columns", column), f"与列 {other} 填同一字段", f"fills the same field as {other}")
        filled[entry.to] = column
    if mapping.time is None and event.dated is None:
        yield _Problem(
            ("time",), "该类型的日期取自 time,不可缺少", "the date of this type is that of time; it is needed"
        )


def _no_field(path: Path_, name: str, fields: Mapping[str, ReportField]) -> Iterator[_Problem]:
    if name not in fields or name in ATTRIBUTES:
        near = difflib.get_close_matches(name, fields, 1)
        yield _Problem(path, f"该类型没有字段 {name}{hint_zh(near)}", f"this type has no field {name}{hint_en(near)}")
    elif fields[name].kind == "list":
        yield _Problem(path, "这是一个列表,表格放不下,请用 NDJSON", "this is a list, which no table holds; use NDJSON")


def _no_unit(path: Path_, entry: _ColumnEntry, field: ReportField | None) -> Iterator[_Problem]:
    if field is None or (entry.unit is None and not field.is_money):
        return
    if entry.unit is None:
        yield _Problem(
            path,
            f"金额没有写单位;请写 {{to: {entry.to}, unit: yuan}}(元;万元写 wan-yuan,分写 fen)",
            f"the amount has no unit; write {{to: {entry.to}, unit: yuan}} (or wan-yuan, fen)",
        )
    elif field.kind != "integer" or (entry.unit == "wan") is field.is_money:
        yield _Problem(
            path,
            "unit 用于金额(yuan、wan-yuan、fen)和以万计的数量(wan)",
            "unit is for amounts (yuan, wan-yuan, fen) and for counts in ten thousands (wan)",
        )


def _no_value(path: Path_, value: str, field: ReportField | None) -> Iterator[_Problem]:
    if field is not None and field.values and value and value not in field.values:
        values = ", ".join(field.values)
        yield _Problem(path, f"应为 {values}", f"one of {values} is expected")


def _line(lines: Mapping[Path_, int], path: Path_) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _keys(node: yaml.Node | None, path: Path_ = ()) -> Iterator[tuple[Path_, int]]:
    """Yield the path and line of each key, of a repeated one each time."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _keys(value, inner)
