"""The template of a type is read back by its own mapping without a fault, and guides who fills it in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from client import template
from client.fields import event_of, fields_of, reported_types
from client.mapping_file import read_mapping
from client.report_file import CheckedReport, ReportFile
from client.sample import sample, value_at
from client.validation import Checker
from tests.harness.languages import DISTRICTS

TABULAR = [type_ for type_ in reported_types() if not type_.endswith("catalogue-published.v1")]


def read(file: Path, mapping: Path) -> list[CheckedReport]:
    opened = ReportFile(str(file), mapping, None, None, Checker(DISTRICTS))
    return [item for item in opened.reports() if item is not None]


@pytest.mark.parametrize("type_", TABULAR)
def test_the_templates_are_read_back_by_the_mapping_and_say_what_the_sample_says(type_: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(template.mapping(type_), encoding="utf-8")
    (tmp_path / "t.csv").write_text("\ufeff" + template.csv_template(type_), encoding="utf-8")
    template.write_workbook(type_, tmp_path / "t.xlsx")
    made: Any = sample(type_)
    for name in ("t.xlsx", "t.csv"):
        (item,) = read(tmp_path / name, tmp_path / "m.yaml")
        assert [fault.as_json() for fault in item.faults] == []
        assert item.event is not None
        assert item.event["subject"] == made["subject"] or "sample-0001" in str(item.event["subject"])
        event = event_of(type_)
        assert event is not None
        of_person = [path for path in fields_of(event) if path.startswith("data.")]
        assert {path: value_at(item.event, path) for path in of_person} == {
            path: value_at(made, path) for path in of_person
        }


@pytest.mark.parametrize("type_", TABULAR)
def test_a_workbook_has_lists_formats_and_hints(type_: str, tmp_path: Path) -> None:
    template.write_workbook(type_, tmp_path / "t.xlsx")
    (tmp_path / "m.yaml").write_text(template.mapping(type_), encoding="utf-8")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    sheet, hints = book[template.SHEET], book[template.HINTS]
    headers = [cell.value for cell in sheet[1]]
    assert all(re.search("[\u4e00-\u9fff]", str(header)) for header in headers), "every header is Chinese"
    mapping = read_mapping(tmp_path / "m.yaml")
    lists = {
        str(rule.sqref).split(":", maxsplit=1)[0][:-1]: rule.formula1
        for rule in sheet.data_validations.dataValidation if rule.type == "list"
    }  # fmt: skip
    for column in template.template_of(type_).columns:
        letter = get_column_letter(headers.index(column.header) + 1)
        if column.field is not None and column.field.values:
            assert letter in lists, column.header
            choices = mapping.columns[column.header].values
            assert choices is None or set(choices) == set(column.choices), "the list offers what the mapping knows"
        form = sheet[f"{letter}2"].number_format
        assert form == ("yyyy-mm-dd" if column.is_date else form), column.header
        if column.field is None or "number" in column.field.path or "code" in column.field.path:
            assert column.is_date or form == "@", f"{column.header} keeps zeros and digits"
    assert [row[0].value for row in hints.iter_rows(min_row=5)] == headers
