"""A district's file read as reports, each checked: JSON lines, CSV or a workbook."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from client.binding import FIELD_HEADERS, BoundMapping, Draft, by_headers
from client.mapping_file import read_mapping
from client.messages import JsonObject
from client.output import CommandError
from client.tables.files import TableOptions, is_table, is_workbook, table
from client.tables.lines import Progress, lines, size_of
from client.tables.notices import Notices
from client.tables.rows import Hidden, Rows
from client.validation import Checker, ReportFault


@dataclass(slots=True)
class CheckedReport:
    """One report of a file, with everything that is known to be wrong with it; no event where the line is none."""

    line: int
    event: JsonObject | None = None
    faults: list[ReportFault] = field(default_factory=list)


class ReportFile:
    """A file opened for reading its reports; raises CommandError where it cannot be read."""

    def __init__(
        self,
        file: str,
        mapping: Path | None,
        encoding: str | None,
        sheet: str | None,
        checker: Checker,
        hidden: Hidden | None = None,
    ) -> None:
        self._file, self._checker = file, checker
        self._given = TableOptions(encoding, sheet, hidden=hidden)
        self.notices = Notices()  # complete once all reports are read
        self._name = Path(file).name
        self._mapping = read_mapping(mapping) if mapping is not None else None
        self._mapping_name = mapping.name if mapping is not None else ""
        self._bound: tuple[BoundMapping, Rows] | None = None
        self.progress = Progress(total=size_of(file))
        if file == "-" and sys.stdin is None:
            raise CommandError("标准输入已关闭,读不到报告。", "Standard input is closed: there is nothing to read.")
        if self._mapping is not None and not is_table(file):
            raise CommandError(
                "映射文件只用于表格,这个文件的扩展名不是表格的。请把表格存为 .xlsx 或 .csv(压缩的先解开)。",
                "A mapping is for tables, and this file is not named as one. Save it as .xlsx or .csv, unpacked.",
            )

    @property
    def total(self) -> int | None:
        """The end of `progress`, None where it is not known beforehand: a workbook is read by rows."""
        return None if is_workbook(self._file) else self.progress.total

    def located(self, fault: ReportFault) -> ReportFault:
        """Return a fault with the column and cell of its pointer, where the file is a table that has one."""
        if self._bound is None or fault.column is not None or fault.pointer is None:
            return fault
        mapping, rows = self._bound
        column = mapping.column_at(fault.pointer)
        return replace(fault, column=column, cell=rows.cell(column, fault.line)) if column else fault

    @property
    def table(self) -> Rows | None:
        """The table that was read, None where the file is none, or nothing was read yet."""
        return self._bound[1] if self._bound is not None else None

    def reports(self) -> Iterator[CheckedReport | None]:
        """Yield each report checked; None where the sender of a pipe pauses."""
        return self._of_table() if is_table(self._file) else self._of_lines()

    def _of_lines(self) -> Iterator[CheckedReport | None]:
        with lines(self._file) as (raws, self.progress):
            number = 0
            for raw in raws:
                if raw is None:
                    yield None
                    continue
                number += 1
                line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                if line.strip():
                    yield self._line(line, number)

    def _line(self, raw: bytes, number: int) -> CheckedReport:
        try:
            event = orjson.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:
            fault = ReportFault(number, "not-utf-8", "这一行不是 UTF-8。", "This line is not in UTF-8.")
            return CheckedReport(number, None, [fault])
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            fault = ReportFault(number, "not-json", "不是 JSON 对象。", "This is not a JSON object.")
            return CheckedReport(number, None, [fault])
        faults = list(self._checker.faults(event, number))
        if self._checker.repeats:
            self.notices.tally("repeated-row", number)
        return CheckedReport(number, event, faults)

    def _of_table(self) -> Iterator[CheckedReport]:
        given = self._mapping
        options = self._given.over(given.options) if given else self._given
        with table(self._file, options, given.wanted if given else FIELD_HEADERS) as rows:
            self.progress, self.notices = rows.progress, rows.notices
            mapping = BoundMapping(given, rows, self._mapping_name) if given else by_headers(rows, self._name)
            if mapping is None:
                raise CommandError(
                    "表头不是字段名。请用 --mapping 给出映射文件;skillplan sample <类型> --mapping 可打印一个。",
                    "The headers are not names of fields. Give a mapping file by --mapping; "
                    "`skillplan sample <type> --mapping` prints one to start from.",
                )
            self._bound = mapping, rows
            for row in rows.rows:
                yield checked_row(mapping.draft(row), mapping, rows, row.number, self._checker)


def checked_row(draft: Draft, mapping: BoundMapping, rows: Rows, number: int, checker: Checker) -> CheckedReport:
    """Return the report of a row with everything that is wrong with it, each fault once, by its cell."""
    faults = [
        ReportFault(
            number, fault.code, fault.zh, fault.en, fault.pointer,
            rows.cell(fault.column, number) if fault.column else None, fault.column,
        )
        for fault in draft.faults
    ]  # fmt: skip
    if draft.event is None:
        return CheckedReport(number, None, faults)
    of_report = list(checker.faults(draft.event, number))
    if checker.repeats:
        rows.notices.tally("repeated-row", number)
    if not of_report:
        return CheckedReport(number, draft.event, faults)
    of_cells = {fault.pointer for fault in draft.faults if fault.pointer}
    if mapping.time_from in of_cells | {fault.pointer for fault in of_report}:
        of_cells.add("/time")  # made of a date that is wrong itself
    for fault in of_report:
        if fault.pointer in of_cells or any(place.startswith(f"{fault.pointer}/") for place in of_cells):
            continue  # the fault of the cell is more precise
        column = mapping.column_at(fault.pointer or "")
        if column is not None and any(column == known.column for known in faults) and fault.code.startswith("missing"):
            continue  # of the same cell, by another way
        cell = rows.cell(column, number) if column else None
        faults.append(ReportFault(fault.line, fault.code, fault.zh, fault.en, fault.pointer, cell, column))
    return CheckedReport(number, draft.event, faults)
