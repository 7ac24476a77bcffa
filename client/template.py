"""Templates to fill in, as clerks know tables: Chinese headers, lists to choose from, hints; and the mapping that reads
them. Made from the published languages: a new type has them at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import xlsxwriter
from pydantic import JsonValue
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from client.fields import ATTRIBUTES, ReportField, event_of, fields_of
from client.output import CommandError, file_error
from client.sample import MEMBER_OF, sample, value_at
from client.spreadsheet import safe_row
from client.terms import field_name, type_name, value_names
from shared.contract.events import Event, Opens

SHEET: Final = "报告"
HINTS: Final = "填写说明"
_ROWS: Final = 5_000  # that have lists and formats
_LONGEST_LIST: Final = 250  # of a list that stands in the cell itself, in characters
_LONGEST_HINT: Final = 250
_NUMBER: Final = "编号"
_SUBJECT: Final = "业务编号"
_TIME: Final = "日期"
# What stands in a subject and in no data.
OF_SUBJECT: Final[Mapping[str, str]] = {
    "no": _SUBJECT, "number": _SUBJECT, "code": _SUBJECT, "student_no": "学号", "course_no": "培训班编号",
    "seat_no": "学员编号",
}  # fmt: skip
_YES_NO: Final = {"是": "true", "否": "false"}


@dataclass(frozen=True, slots=True)
class TemplateColumn:
    """A column of a template: its header, the field it fills (None: only the id, subject or time), the word of each
    value, and what stands in the sample row."""

    header: str
    field: ReportField | None
    choices: Mapping[str, str]
    example: str
    hint: str

    @property
    def is_money(self) -> bool:
        """Whether an amount is written in yuan, and reported in fen."""
        return self.field is not None and self.field.is_money

    @property
    def is_date(self) -> bool:
        """Whether a date stands in it."""
        return self.header == _TIME or (self.field is not None and self.field.kind == "date")

    @property
    def is_number(self) -> bool:
        """Whether a quantity stands in it."""
        return self.field is not None and self.field.kind == "integer"

    @property
    def is_needed(self) -> bool:
        """Whether no row may leave it empty."""
        return self.field is None or self.field.required


@dataclass(frozen=True, slots=True)
class Template:
    """The columns of a type, and what its id, subject and time are made of."""

    type: str
    columns: tuple[TemplateColumn, ...]
    id: str
    subject: str
    time: str | None
    source: str


def template_of(type_: str) -> Template:
    """Return the template of a type; raises CommandError where no table holds it."""
    event, example = event_of(type_), sample(type_)
    if event is None or example is None:
        raise LookupError(type_)
    fields = {path: field for path, field in fields_of(event).items() if path not in ATTRIBUTES}
    if any(field.kind == "list" and field.required for field in fields.values()):
        raise CommandError(
            "该类型含列表,表格放不下;请用 NDJSON(不带 --csv、--xlsx 可打印样例)。",
            "This type holds a list, which no table can; use NDJSON (without --csv, --xlsx a sample is printed).",
        )
    members = MEMBER_OF.findall(event.subject)
    in_subject = {f"data.{member}" for member in members}
    columns = {_NUMBER: TemplateColumn(_NUMBER, None, {}, str(example["id"]), "本单位内不重复,一行一个")}
    subject = _subject(event, fields, columns, example)
    if event.dated is None:
        columns[_TIME] = TemplateColumn(_TIME, None, {}, str(example["time"])[:10], "事情发生之日,如 2024-05-06")
    for path, field in fields.items():
        column = _column(field, example, as_written=path in in_subject)
        columns[column.header] = column
    time = f"{{{_TIME}}}" if event.dated is None else None
    return Template(
        type_, tuple(columns.values()), f"{event.type_name}-{{{_NUMBER}}}", subject, time, str(example["source"])
    )


def _subject(
    event: type[Event],
    fields: Mapping[str, ReportField],
    columns: dict[str, TemplateColumn],
    example: Mapping[str, JsonValue],
) -> str:
    """Return the template of the subject; add the columns that it needs beside those of the data."""
    if not event.subject:
        columns[_SUBJECT] = TemplateColumn(_SUBJECT, None, {}, str(example["subject"]), "所撤回报告的业务编号,原样填写")
        return f"{{{_SUBJECT}}}"
    parts = dict(zip(MEMBER_OF.findall(event.subject), _parts(event.subject, str(example["subject"])), strict=True))
    own = [member for member in parts if f"data.{member}" not in fields and member != "district"]
    texts: dict[str, str] = {}
    for member, part in parts.items():
        if member == "district":
            texts[member] = part
        elif (field := fields.get(f"data.{member}")) is not None:
            texts[member] = f"{{{_column(field, example, as_written=True).header}}}"
        elif own == [member] and isinstance(event.role, Opens) and member in ("no", "number", "code"):
            texts[member] = f"{{{_NUMBER}}}"  # what is opened has the number of its report
        else:
            header = OF_SUBJECT.get(member) or field_name(f"data.{member}")
            columns[header] = TemplateColumn(header, None, {}, part, "与原件一致")
            texts[member] = f"{{{header}}}"
    return MEMBER_OF.sub(lambda match: texts[match[1]], event.subject)


def _parts(pattern: str, subject: str) -> Iterator[str]:
    for step, part in zip(pattern.split("/"), subject.split("/"), strict=True):
        if MEMBER_OF.fullmatch(step):
            yield part


def _column(field: ReportField, example: Mapping[str, JsonValue], as_written: bool) -> TemplateColumn:
    """Return the column of a field; `as_written`: its cells go into the subject, too, so that they hold the values
    themselves."""
    names = value_names()
    choices = {} if as_written else {names.get(value, value): value for value in field.values}
    if as_written and field.values:
        choices = {value: value for value in field.values}
    header, hint = field_name(field.path), ""
    if field.is_money:
        header, hint = header.replace("(分)", "(元)").replace("(分)", "(元)"), "单位:元"
        header = header if "元" in header else f"{header}(元)"
    elif field.kind == "date":
        hint = "日期,如 2024-05-06"
    elif field.kind == "integer":
        hint = "整数"
    elif field.kind == "boolean":
        choices, hint = _YES_NO, "是或否"
    elif field.path.endswith("id_number"):
        hint = "证件号码,按原件填写(本列为文本格式)"
    elif field.path.endswith("credit_code"):
        hint = "18 位统一社会信用代码(字母大写)"
    if field.values:
        named = [f"{value}({names[value]})" if as_written and value in names else word
                 for word, value in choices.items()]  # fmt: skip
        hint = "从列表中选:" + "、".join(named)
    value = value_at(dict(example), field.path)
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    written = next((word for word, meant in choices.items() if meant == text), text)
    return TemplateColumn(header, field, choices, written, hint)


def csv_template(type_: str) -> str:
    """Return a CSV template: the headers, and one sample row."""
    columns = template_of(type_).columns
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow([column.header for column in columns])
    rows.writerow(safe_row([_yuan(column) if column.is_money else column.example for column in columns]))
    return stream.getvalue()


def _yuan(column: TemplateColumn) -> float | None:
    return int(column.example) / 100 if column.example else None


def mapping(type_: str) -> str:
    """Return the mapping file of the template, to start from where a table has headers of its own."""
    template = template_of(type_)
    lines = [
        f"# {type_name(type_)}:左为表头,右为字段 left: the header in your table; right: the field",
        f"type: {type_}",
        f"source: {template.source}  # 您的区划代码和系统名 your district's code, and a name for your system",
        f'id: "{template.id}"  # 不得重复 unique in your system',
        f'subject: "{template.subject}"',
    ]
    if template.time is not None:
        lines.append(f'time: "{template.time}"')
    lines.append("columns:")
    for column in template.columns:
        if column.field is None:
            continue
        if column.is_money:
            lines.append(f"  {column.header}: {{to: {column.field.path}, unit: yuan}}")
        elif column.field.values and any(word != value for word, value in column.choices.items()):
            lines.append(f"  {column.header}:\n    to: {column.field.path}\n    values:")
            lines += [f'      {word}: "{value}"' for word, value in column.choices.items()]
        else:
            lines.append(f"  {column.header}: {column.field.path}")
    return "\n".join(lines) + "\n"


def write_workbook(type_: str, file: Path) -> None:
    """Write the template as a workbook: text columns stay text, choices have lists, and a second sheet has hints."""
    if file.suffix.lower() != ".xlsx":
        raise CommandError("文件名应以 .xlsx 结尾。", "The file's name must end in .xlsx.")
    template = template_of(type_)
    try:
        with xlsxwriter.Workbook(file, {"strings_to_formulas": False, "strings_to_numbers": False}) as book:
            sheet, hints = book.add_worksheet(SHEET), book.add_worksheet(HINTS)
            _write_hints(book, hints, template)
            _write_rows(book, sheet, template)
    except OSError as error:
        raise file_error(error, ("写不进去", "cannot be written")) from None
    except xlsxwriter.exceptions.FileCreateError as error:
        cause = error.args[0] if error.args and isinstance(error.args[0], OSError) else OSError()
        raise file_error(cause, ("写不进去", "cannot be written")) from None


def _write_rows(book: xlsxwriter.Workbook, sheet: Worksheet, template: Template) -> None:
    formats = {kind: book.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
    needed = book.add_format({"num_format": "@", "bold": True, "bg_color": "#DDEBF7", "text_wrap": True, "border": 1})
    optional = book.add_format({"num_format": "@", "bg_color": "#F2F2F2", "text_wrap": True, "border": 1})
    for at, column in enumerate(template.columns):
        kind = "date" if column.is_date else "money" if column.is_money else "number" if column.is_number else "text"
        sheet.set_column(at, at, max(14, 2 * len(column.header) + 4), formats[kind])
        sheet.write_string(0, at, column.header, needed if column.is_needed else optional)
        _write_example(sheet, at, column, formats[kind])
        rule = _validation(at, column)
        if rule:
            sheet.data_validation(1, at, _ROWS, at, rule)
    sheet.freeze_panes(1, 0)


_FORMATS: Final = {"text": "@", "date": "yyyy-mm-dd", "money": "0.00", "number": "0"}


def _write_example(sheet: Worksheet, at: int, column: TemplateColumn, form: Format) -> None:
    if not column.example:
        sheet.write_blank(1, at, None, form)
    elif column.is_date:
        sheet.write_datetime(1, at, date.fromisoformat(column.example), form)
    elif column.is_money:
        sheet.write_number(1, at, _yuan(column), form)
    elif column.is_number:
        sheet.write_number(1, at, int(column.example), form)
    else:
        sheet.write_string(1, at, column.example, form)


def _validation(at: int, column: TemplateColumn) -> dict[str, object]:
    """Return the rule of a column's cells, and the hint that shows where one is chosen; empty where there is none."""
    rule: dict[str, object] = {"validate": "any"}
    choices = list(column.choices)
    if choices:
        in_cell = sum(len(word) + 1 for word in choices) <= _LONGEST_LIST and not any("," in word for word in choices)
        last = _FIRST_WORD_COLUMN + len(choices) - 1
        rule = {
            "validate": "list",
            "source": choices if in_cell else f"='{HINTS}'!{_cell(at, _FIRST_WORD_COLUMN)}:{_cell(at, last)}",
            "error_title": "请从列表中选",
            "error_message": "这一列只能填列表中的说法。",
        }
    elif column.is_date:
        rule = {
            "validate": "date", "criteria": "between", "minimum": date(1950, 1, 1), "maximum": date(2100, 12, 31),
            "error_title": "应为日期", "error_message": "请填日期,如 2024-05-06。",
        }  # fmt: skip
    elif column.is_number or column.is_money:
        rule = {
            "validate": "decimal" if column.is_money else "integer", "criteria": ">=", "value": 0,
            "error_title": "应为数", "error_message": "请填不小于 0 的数。",
        }  # fmt: skip
    if column.hint:
        rule |= {"input_title": column.header[:32], "input_message": column.hint[:_LONGEST_HINT]}
    return rule if len(rule) > 1 else {}


_FIRST_HINT_ROW: Final = 4
_FIRST_WORD_COLUMN: Final = 4


def _cell(at: int, column: int) -> str:
    return str(xlsxwriter.utility.xl_rowcol_to_cell(_FIRST_HINT_ROW + at, column, row_abs=True, col_abs=True))


def _write_hints(book: xlsxwriter.Workbook, sheet: Worksheet, template: Template) -> None:
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 22, wrapped)
    sheet.set_column(1, 1, 8, wrapped)
    sheet.set_column(2, 2, 48, wrapped)
    sheet.set_column(3, 3, 30, wrapped)
    sheet.write_string(0, 0, f"{type_name(template.type)}:怎样填写", bold)
    sheet.write_string(
        1, 0, f"在“{SHEET}”表中一行填一件事;第 2 行是示例,填写前请删去。表头不要改动;深色列必填,浅色列可不填。"
    )
    sheet.write_string(
        2,
        0,
        f"核对:skillplan validate 本文件 --mapping 映射.yaml;映射由 skillplan sample {template.type} --mapping 打印。",
    )
    for at, head in enumerate(("列名", "必填", "填什么", "报告字段")):
        sheet.write_string(_FIRST_HINT_ROW - 1, at, head, bold)
    sheet.write_string(_FIRST_HINT_ROW - 1, _FIRST_WORD_COLUMN, "列表", bold)
    for at, column in enumerate(template.columns, _FIRST_HINT_ROW):
        path = column.field.path if column.field is not None else "id / subject / time"
        cells = [column.header, "是" if column.is_needed else "", column.hint, path, *column.choices]
        for place, cell in enumerate(cells):
            sheet.write_string(at, place, cell, wrapped)
