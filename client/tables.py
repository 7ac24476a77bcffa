"""Reads a district's file as a stream: JSON lines, CSV in any usual encoding, or an Excel workbook."""

from __future__ import annotations

import codecs
import contextlib
import csv
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from client.output import CommandError

T = TypeVar("T")
Cell = str | int | float | bool | date | datetime | None

_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 2 * 1024 * 1024
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WORKBOOK: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"  # Excel before 2007, and any workbook with a password


@dataclass(slots=True)
class Progress:
    """How much of a file was read, in bytes or rows, and of how much."""

    read: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: its number as the spreadsheet shows it, and its cells by column name."""

    number: int
    cells: dict[str, Cell]


@dataclass(slots=True)
class Rows:
    """The rows of a table below its header; empty ones and comments (`#` in the first cell) are left out."""

    header: list[str]
    rows: Iterator[TableRow]
    progress: Progress
    comma: str = ","
    _letters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._letters = {name: get_column_letter(at) for at, name in enumerate(self.header, 1) if name}

    def cell(self, column: str, row: int) -> str:
        """Return a cell's name as a spreadsheet shows it, B7."""
        return f"{self._letters[column]}{row}"


def is_table(file: str) -> bool:
    """Return whether a file is a table (.csv, .tsv, .txt, .xlsx, …) rather than JSON lines; `-` is JSON lines."""
    return Path(file).suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls")


@contextlib.contextmanager
def lines(file: str) -> Iterator[tuple[Iterator[bytes | None], Progress]]:
    """Open JSON lines; yields None where the sender of a pipe pauses: what was read must not wait for the rest."""
    piped = file == "-"
    with open(sys.stdin.fileno() if piped else _existing(file), "rb", closefd=not piped) as stream:
        progress = Progress(total=None if piped else Path(file).stat().st_size)
        yield _lines(stream, progress, piped), progress


def _lines(stream: Any, progress: Progress, piped: bool) -> Iterator[bytes | None]:
    rest = b""
    while chunk := stream.read1(_CHUNK):
        progress.read += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            # Longer than any report: the rest is dropped, so that it cannot fill the memory.
            yield rest[:_LONGEST_LINE]
            while (chunk := stream.read1(_CHUNK)) and b"\n" not in chunk:
                progress.read += len(chunk)
            rest = chunk.partition(b"\n")[2]
        if piped:
            yield None
    if rest:
        yield rest


@contextlib.contextmanager
def table(
    file: str, encoding: str | None = None, sheet: str | None = None, header: int | None = None
) -> Iterator[Rows]:
    """Open a CSV file or a workbook. Raises CommandError when it cannot be read as one."""
    path = _existing(file)
    with path.open("rb") as start:
        mark = start.read(4)
    if mark == _OLD_WORKBOOK or (path.suffix.lower() == ".xls" and mark != _WORKBOOK):
        raise CommandError(
            "这是旧版(.xls)或带密码的工作簿,请另存为不带密码的 .xlsx。",
            "This is an old (.xls) or password-protected workbook; save it as .xlsx without a password.",
        )
    if path.suffix.lower() in (".xlsx", ".xlsm") and mark != _WORKBOOK:
        raise CommandError(
            "扩展名是 Excel 工作簿的,内容却不是。请用 Excel 另存为 .xlsx,或把扩展名改回 .csv。",
            "It is named as a workbook and is none. Save it as .xlsx in Excel, or name it .csv again.",
        )
    opened = _workbook(path, sheet) if mark == _WORKBOOK else _csv(path, encoding)
    with opened as (rows, progress, comma):
        yield _below_header(rows, progress, comma, header)


def _below_header(rows: Iterator[tuple[int, list[Cell]]], progress: Progress, comma: str, header: int | None) -> Rows:
    for number, cells in rows:
        if number == header or (header is None and not _skipped(cells)):
            names = [" ".join(str(cell).split()) if cell is not None else "" for cell in cells]
            # The names are not printed: in a file without a header they are those of persons.
            if len(set(filter(None, names))) != len(list(filter(None, names))):
                raise CommandError("表头中有两列同名。", "Two columns of the header have the same name.")
            return Rows(names, _named(names, rows), progress, comma)
    raise CommandError("文件中没有表头行。", "There is no header row in the file.")


def _named(names: list[str], rows: Iterator[tuple[int, list[Cell]]]) -> Iterator[TableRow]:
    for number, cells in rows:
        if not _skipped(cells):
            yield TableRow(number, {name: cell for name, cell in zip(names, cells, strict=False) if name})


def _skipped(cells: list[Cell]) -> bool:
    first = cells[0] if cells else None
    return (isinstance(first, str) and first.lstrip().startswith("#")) or all(
        cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells
    )


@contextlib.contextmanager
def _csv(path: Path, encoding: str | None) -> Iterator[tuple[Iterator[tuple[int, list[Cell]]], Progress, str]]:
    encoding = encoding or _encoding_of(path)
    progress = Progress(total=path.stat().st_size)
    try:
        stream = path.open("r", encoding=encoding, newline="")
    except LookupError:
        raise CommandError(f"没有 {encoding} 这种编码。", f"There is no encoding {encoding}.") from None
    with stream:
        first = _text(stream.readline, encoding)
        comma = max(",\t;", key=first.count)
        stream.seek(0)
        csv.field_size_limit(_LONGEST_LINE)
        yield _csv_rows(stream, comma, encoding, progress), progress, comma


def _csv_rows(stream: IO[str], comma: str, encoding: str, progress: Progress) -> Iterator[tuple[int, list[Cell]]]:
    reader = csv.reader(stream, delimiter=comma, strict=True)
    number = 0
    while True:
        number += 1
        try:
            row = _text(lambda: next(reader, None), encoding)
        except csv.Error:
            raise CommandError(
                f"第 {number} 行起不是有效的 CSV(引号未闭合?)。",
                f"From row {number} on this is no valid CSV (an unclosed quote?).",
            ) from None
        if row is None:
            return
        if number % 100 == 0:
            progress.read = stream.buffer.tell()  # type: ignore[attr-defined]
        yield number, list(row)


def _text(read: Callable[[], T], encoding: str) -> T:
    try:
        return read()
    except UnicodeError:
        raise CommandError(
            f"文件不是 {encoding} 编码。请用 --encoding 指明,或另存为 UTF-8。",
            f"The file is not in {encoding}. Name its encoding by --encoding, or save it as UTF-8.",
        ) from None


def _encoding_of(path: Path) -> str:
    """Return the encoding that all of a file is valid in; Excel in Chinese saves CSV as GB 18030 without saying so."""
    with path.open("rb") as stream:
        start = stream.read(4)
        for mark, name in _MARKS:
            if start.startswith(mark):
                return name
        for name in ("utf-8", "gb18030"):
            decoder = codecs.getincrementaldecoder(name)()
            stream.seek(0)
            try:
                while chunk := stream.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                continue
            return name
    raise CommandError(
        "文件既不是 UTF-8 也不是 GB18030。请用 --encoding 指明编码。",
        "The file is neither in UTF-8 nor in GB 18030. Name its encoding by --encoding.",
    )


@contextlib.contextmanager
def _workbook(path: Path, sheet: str | None) -> Iterator[tuple[Iterator[tuple[int, list[Cell]]], Progress, str]]:
    with path.open("rb") as stream:
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError, SyntaxError):
            raise CommandError(
                "这个工作簿已损坏,无法打开。", "This workbook is damaged and cannot be opened."
            ) from None
        with contextlib.closing(book):
            if sheet is not None and sheet not in book.sheetnames:
                raise CommandError(f"工作簿中没有工作表 {sheet}。", f"The workbook has no sheet {sheet}.")
            chosen = book[sheet] if sheet is not None else book.worksheets[0]
            progress = Progress(total=chosen.max_row)
            # What a program wrote as the sheet's extent may be wrong; openpyxl would stop there.
            chosen.reset_dimensions()
            with contextlib.closing(_sheet_rows(chosen, progress)) as rows:
                yield rows, progress, ","


def _sheet_rows(sheet: Any, progress: Progress) -> Generator[tuple[int, list[Cell]], None, None]:
    try:
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            progress.read = number
            yield number, list(cells)
    except (zipfile.BadZipFile, zipfile.zlib.error, SyntaxError, ValueError, KeyError):  # type: ignore[attr-defined]
        raise CommandError("这个工作簿已损坏,读到一半。", "This workbook is damaged; it ends in the middle.") from None


def size_of(file: str) -> int | None:
    """Return a file's size in bytes, None for a pipe; raises CommandError when it does not exist."""
    return None if file == "-" else _existing(file).stat().st_size


def _existing(file: str) -> Path:
    path = Path(file)
    if path.is_dir():
        raise CommandError("这是一个文件夹,不是文件。", "This is a folder, no file.")
    if not path.exists():
        raise CommandError("没有这个文件。", "There is no such file.")
    return path
