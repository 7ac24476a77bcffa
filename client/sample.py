"""One valid report of any type, and templates to fill in, made from the published languages: a new type has them at
once."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import xlsxwriter
import yaml
from pydantic import BaseModel, JsonValue

from client.demo.people import MadeUpPeople
from client.fields import ATTRIBUTES, LANGUAGES, Kind, ReportField, event_of, fields_of, is_reported
from client.messages import JsonObject
from client.output import CommandError
from services import vocabulary
from shared.contract import shapes
from shared.contract.events import Event

# The Chinese terms of fields and values; beside the package in a checkout as in an installed wheel.
_TERMS_FILE: Final = Path(__file__).resolve().parents[1] / "docs" / "words.yaml"
_DISTRICT: Final = "330681"
_CITY: Final = "330600"
_DAY: Final = "2024-05-06"
_MEMBER_OF: Final = re.compile(r"<([a-z_.]+)>")
_PLAN: Final = "shaoxing-2023-2025"
_INVENTED: Final = MadeUpPeople("sample")
_ORGANISATION_KINDS: Final = {"school": "school", "provider": "provider", "bank": "bank", "authority": "office"}
# By identity of the shape, most special first; counts are equal, so that parts never exceed their total.
_VALUES: Final[tuple[tuple[object, JsonValue], ...]] = (
    (shapes.Date, _DAY),
    (shapes.Month, _DAY[:7]),
    (vocabulary.OccupationCode, "6-18-01-01"),
    (vocabulary.MajorCode, "660103"),
    (vocabulary.Province, "36"),
    (shapes.No, "DEMO-2024-0001"),
    (shapes.Year, 2024),
    (shapes.Count, 40),
    (shapes.Number, 40),
    (vocabulary.Level, "3"),
    (shapes.Text, "演示 sample"),
    (shapes.ReportId, "sample-0001"),
    (shapes.DistrictCode, _DISTRICT),
)


@cache
def _terms() -> Mapping[str, Mapping[str, str]]:
    terms: Mapping[str, Mapping[str, str]] = yaml.safe_load(_TERMS_FILE.read_text(encoding="utf-8"))
    return terms


def sample(type_: str) -> JsonObject | None:
    """Return a valid event of a type, None when no service takes such reports."""
    language = next((language for language in LANGUAGES if language.find(type_)), None)
    event = language.find(type_) if language else None
    if language is None or event is None or not is_reported(event):
        return None
    # A retraction has the subject of what it takes back: that of any sample.
    subject = event.subject or language.events[0].subject
    data, district = _object(event), _CITY if event.whole_only else _DISTRICT
    return {
        "specversion": "1.0",
        "id": "sample-0001" if event.subject else "sample-0002",
        "source": f"/districts/{district}/sample",
        "type": type_,
        "subject": _MEMBER_OF.sub(lambda match: _part(event, data, match[1]), subject),
        "time": f"{_DAY}T09:30:00+08:00",
        "district": district,
        "datacontenttype": "application/json",
        "data": data,
    }


def template(type_: str) -> str:
    """Return a CSV template: the fields' names, a comment row that says what they are, and one sample row."""
    stream = io.StringIO()
    csv.writer(stream).writerows(_rows(type_))
    return stream.getvalue()


def write_workbook(type_: str, file: Path) -> None:
    """Write the same as a workbook whose cells are all text: Excel makes no date of a number and loses no digit."""
    if file.suffix.lower() != ".xlsx":
        raise CommandError("文件名应以 .xlsx 结尾。", "The file's name must end in .xlsx.")
    rows = _rows(type_)
    try:
        with xlsxwriter.Workbook(file, {"strings_to_formulas": False, "strings_to_numbers": False}) as book:
            sheet = book.add_worksheet("报告 reports")
            as_text = book.add_format({"num_format": "@"})
            head = book.add_format({"num_format": "@", "bold": True, "bg_color": "#DDEBF7"})
            comment = book.add_format({"num_format": "@", "italic": True, "font_color": "#666666", "text_wrap": True})
            sheet.set_column(0, len(rows[0]) - 1, 22, as_text)
            for number, (row, form) in enumerate(zip(rows, (head, comment, as_text), strict=True)):
                for column, cell in enumerate(row):
                    sheet.write_string(number, column, cell, form)
            sheet.freeze_panes(2, 0)
    except (OSError, xlsxwriter.exceptions.FileCreateError):
        raise CommandError("写不了这个文件。", "This file cannot be written.") from None


def _rows(type_: str) -> list[list[str]]:
    fields, example = _tabular(type_), sample(type_) or {}
    names = {"type": "报告类型 report type", **{field.path: _description(field) for field in fields}}
    values = [_text_at(example, path) for path in names]
    comments = list(names.values())
    return [list(names), [f"# {comments[0]}", *comments[1:]], values]


def mapping(type_: str) -> str:
    """Return a mapping file to start from: the Chinese names of the fields as headers."""
    fields = [field for field in _tabular(type_) if field.path not in ATTRIBUTES]
    example = sample(type_) or {}
    event = event_of(type_)
    names = {**_terms()["values"], **_PERSONAL}
    lines = [
        "# 左为表头,右为字段 left: the header in your table; right: the field",
        f"type: {type_}",
        f"source: {example['source']}",
        'id: "{编号}"  # 本系统内不重复 unique in your system',
        f'subject: "{_MEMBER_OF.sub("{编号}", event.subject) if event and event.subject else "{subject}"}"',
    ]
    if event is not None and event.dated is None:
        lines.append('time: "{日期}"')
    lines.append("columns:")
    for field in fields:
        name = _name(field)
        if field.values:
            lines.append(f"  {name}:\n    to: {field.path}\n    values:")
            # An enumeration's Chinese terms come first: they are what stands in a table.
            lines += [f'      {names.get(value, value)}: "{value}"' for value in field.values]
        elif field.is_money:
            lines.append(
                f"  {name}: {{to: {field.path}, unit: yuan}}  # 元;万元写 wan-yuan ten thousand yuan: wan-yuan"
            )
        else:
            lines.append(f"  {name}: {field.path}")
    return "\n".join(lines) + "\n"


def _tabular(type_: str) -> list[ReportField]:
    event = event_of(type_)
    fields = [] if event is None else list(fields_of(event).values())
    if any(field.kind == "list" and field.required for field in fields):
        raise CommandError(
            "该类型含列表,表格放不下;请用 NDJSON(不带 --csv、--xlsx 可打印样例)。",
            "This type holds a list, which no table can; use NDJSON (without --csv, --xlsx a sample is printed).",
        )
    return fields


_KINDS: Final[Mapping[Kind, str]] = {
    "text": "文字 text", "integer": "整数 integer", "boolean": "是/否 true/false", "date": "日期 YYYY-MM-DD",
    "list": "列表 list",
}  # fmt: skip
# What stands in a report but in no fact, and so not in docs/words.yaml.
_PERSONAL: Final = {
    "id_number": "证件号码", "id_type": "证件类型", "phone": "电话", "credit_code": "统一社会信用代码",
    "resident": "居民身份证", "passport": "护照", "hk-macao-taiwan": "港澳台居民证件",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "id": "编号,不重复 unique number",
    "source": "来源 /districts/<代码>/<系统>",
    "subject": "业务编号",
    "time": "发生时间,带时区 with an offset",
    "district": "区划代码 district code",
    "corrects": "所更正的编号 id that it corrects",
}


def _description(field: ReportField) -> str:
    text = _ATTRIBUTES.get(field.path) or f"{_name(field)} {'|'.join(field.values) or _KINDS[field.kind]}"
    return text if field.required else f"{text}(可省略 optional)"


def _name(field: ReportField) -> str:
    """Return the name of a field in Chinese, with what it belongs to."""
    *owners, last = field.path.split(".")[1:]
    names = {**_terms()["values"], **_terms()["fields"], **_PERSONAL}
    if owners == ["person"]:
        return "姓名" if last == "name" else names[last]
    return "".join(names.get(step, step) for step in (*owners, last))


def _text_at(event: JsonObject, path: str) -> str:
    value = _at(event, path)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _part(event: type[Event], data: JsonObject, path: str) -> str:
    """Return what stands for `<path>` in the subject of a sample."""
    value = _at(data, path)
    if value is not None:
        return str(value)
    known = {
        "district": _DISTRICT,
        "credit_code": _INVENTED.organisation("enterprise", _DISTRICT, 1)["credit_code"],
        "major_code": "660103",
    }
    return known.get(path.rpartition(".")[2], f"DEMO-{event.type_name}"[:64])


def _at(event: JsonObject, path: str) -> JsonValue:
    value: JsonValue = event
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _object(shape: type[BaseModel]) -> JsonObject:
    hints = get_type_hints(shape, include_extras=True)
    return {name: _value(name, hints[name]) for name, field in shape.model_fields.items() if field.is_required()}


def _value(name: str, hint: Any) -> JsonValue:
    if name == "plan":
        return _PLAN
    for shape, value in _VALUES:
        if hint == shape:
            return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(name, arguments[0])
    if origin is Literal:
        first: JsonValue = arguments[0]
        return first
    if origin is list:
        return [_value(name, arguments[0])]
    if origin is dict:
        return {str(_value(name, arguments[0])): 10}
    if hint is shapes.Organisation:
        return {**_INVENTED.organisation(_ORGANISATION_KINDS.get(name, "enterprise"), _DISTRICT, 1)}
    if hint is shapes.Person:
        return {**_INVENTED.person(1)}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _object(hint)
    if hint is bool:
        return True
    rest = [argument for argument in arguments if argument is not NoneType]
    if rest:
        return _value(name, rest[0])
    raise TypeError(f"no sample for {name}: {hint}")
