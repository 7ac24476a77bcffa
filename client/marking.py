"""A clerk's own table with its faulty cells coloured, and on each a note with the reason and the fix."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.comments import Comment
from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.styles import PatternFill
from openpyxl.utils import coordinate_to_tuple, get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.writer.excel import ExcelWriter

from client.output import CommandError, file_error
from client.tables.files import is_table
from client.tables.package import Package
from client.tables.rows import Rows
from client.tables.sheet import outline
from client.tables.text_files import text_file
from client.validation import ReportFault, remedy_of

_FAULTY: Final = PatternFill("solid", start_color="FFFFC7CE")
_ROW: Final = PatternFill("solid", start_color="FFFFEB9C")
_AUTHOR: Final = "skillplan"
_MOST_MERGED: Final = 100_000
_WIDTH: Final = 360  # of a note, in pixels
_LINE: Final = 22


def write_marked(file: str, rows: Rows, faults: Sequence[ReportFault], out: Path, encoding: str | None) -> None:
    """Write a table that was read to an .xlsx file, marked; raises CommandError where that cannot be."""
    check(file, out)
    book = _marked(Path(file), rows, faults, encoding)
    try:
        with out.open("wb") as stream:
            _save(book, stream)
    except OSError as error:
        raise file_error(error, ("写不进去", "cannot be written")) from None


def marked_bytes(content: bytes, rows: Rows, faults: Sequence[ReportFault], mended: Mapping[str, str]) -> bytes:
    """Return a table that was read from memory as an .xlsx file, marked, with the new texts of mended cells by name.

    Raises CommandError where that cannot be.
    """
    book = _marked(content, rows, faults, None)
    sheet = book[rows.source.sheet] if rows.source.sheet is not None else book.worksheets[0]
    for name, text in mended.items():
        cell = sheet[name]
        cell.value, cell.data_type = ILLEGAL_CHARACTERS_RE.sub("", text), "s"
    stream = io.BytesIO()
    _save(book, stream)
    return stream.getvalue()


class _Writer(ExcelWriter):
    """openpyxl's, which puts each sheet into a temporary file first: that would hold everybody in the table."""

    def write_worksheet(self, ws: Any) -> None:  # with members that its types do not name
        content = io.BytesIO()
        ws._drawing = SpreadsheetDrawing()
        ws._drawing.charts, ws._drawing.images = ws._charts, ws._images
        writer: Any = WorksheetWriter(ws, content)
        writer.write()
        ws._rels = writer._rels
        cast("Any", self)._archive.writestr(ws.path[1:], content.getvalue())
        self.manifest.append(ws)


def _save(book: Workbook, out: IO[bytes]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _Writer(book, archive).save()


def _marked(content: Path | bytes, rows: Rows, faults: Sequence[ReportFault], encoding: str | None) -> Workbook:
    sheet = rows.source.sheet
    book = _workbook(content) if sheet is not None else _of_text(content, encoding, rows)
    _mark(book[sheet] if sheet is not None else book.worksheets[0], faults)
    return book


def check(file: str, out: Path) -> None:
    """Raise CommandError where a file cannot be the marked one."""
    if out.suffix.lower() != ".xlsx":
        raise CommandError("--marked 的文件名应以 .xlsx 结尾。", "The file of --marked must end in .xlsx.")
    if not is_table(file):
        raise CommandError("--marked 只用于表格(CSV、XLSX)。", "--marked is for tables (CSV, XLSX) only.")
    if Path(file).resolve() == out.resolve():
        raise CommandError("--marked 不能写回原文件,请换一个文件名。", "--marked must not be the file itself.")


def _workbook(content: Path | bytes) -> Workbook:
    with Package(content) as package:
        merges = [merge for sheet in package.sheets for merge in outline(package, sheet.part).merges]
    # openpyxl makes each of these cells: a merged column is a million.
    if sum((bottom - top + 1) * (right - left + 1) for top, left, bottom, right in merges) > _MOST_MERGED:
        raise CommandError(
            f"这个工作簿里合并的单元格超过 {_MOST_MERGED:,} 个,无法加批注。请取消合并后再核对。",
            f"More than {_MOST_MERGED:,} cells of this workbook are merged, and no notes can be written into it. "
            "Unmerge them and check it again.",
        )
    try:
        return load_workbook(io.BytesIO(content) if isinstance(content, bytes) else content)
    except Exception:  # noqa: BLE001 - what openpyxl makes of a workbook it does not know is of any kind
        raise CommandError(
            "这个工作簿的格式无法加批注。请用 Excel 另存为 .xlsx 再核对。",
            "No notes can be written into this workbook. Save it as .xlsx in Excel and check that.",
        ) from None


def _of_text(content: Path | bytes, encoding: str | None, rows: Rows) -> Workbook:
    """Return a workbook with the cells of a text file, all as text, so that nothing changes its look."""
    book = Workbook()
    sheet = book.worksheets[0]
    with text_file(content, encoding, list(rows.positions)) as source:
        for row in source.rows:
            for at, text in enumerate(row.cells, 1):
                cell = sheet.cell(row.number, at)
                cell.value = ILLEGAL_CHARACTERS_RE.sub("", str(text))
                cell.data_type = "s"
                cell.number_format = "@"
    return book


def _mark(sheet: Worksheet, faults: Sequence[ReportFault]) -> None:
    notes: dict[tuple[int, int], list[str]] = defaultdict(list)
    for fault in faults:
        place = coordinate_to_tuple(fault.cell) if fault.cell else (fault.line, 1)
        remedy = remedy_of(fault.code)
        notes[place].append(f"{fault.zh}{'→ ' + remedy['zh'] if remedy else ''}[{fault.code}]")
        if not fault.cell:
            for at in range(1, sheet.max_column + 1):
                sheet[f"{get_column_letter(at)}{fault.line}"].fill = _ROW
    for (row, column), texts in notes.items():
        cell = sheet.cell(row, column)
        # A cell that others cover is marked where its content stands.
        merged = next((each for each in sheet.merged_cells.ranges if cell.coordinate in each), None)
        cell = sheet.cell(merged.min_row, merged.min_col) if merged is not None else cell
        cell.fill = _FAULTY
        before = f"{cell.comment.text}\n" if cell.comment else ""
        note = Comment(before + "\n".join(texts), _AUTHOR)
        note.width, note.height = _WIDTH, _LINE * (1 + len(note.text) // 20 + note.text.count("\n"))
        cell.comment = note
