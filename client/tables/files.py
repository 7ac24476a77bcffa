"""Opens a file as a table: CSV, or one sheet of a workbook."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from client.output import CommandError
from client.tables.header import FIRST_ROWS, find_header
from client.tables.lines import Progress, existing, opened
from client.tables.names import plain
from client.tables.notices import Notices
from client.tables.package import Package, SheetPart
from client.tables.rows import Hidden, Rows, below_header, no_rows
from client.tables.sheet import Outline, SheetRows, outline
from client.tables.source import Source
from client.tables.text_files import text_file

_TEXT_NAMES: Final = (".csv", ".tsv", ".txt")
_WORKBOOK_NAMES: Final = (
    ".xlsx",
    ".xlsm",
    ".xltx",
    ".xltm",
    ".xls",
    ".xlt",
    ".et",
    ".ett",
    ".ods",
    ".xlsb",
    ".numbers",
)
_ARCHIVE: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"  # Excel before 2007, and any workbook with a password
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a person says about a file, on the command line or in the mapping."""

    encoding: str | None = None
    sheet: str | None = None
    header: int | None = None
    hidden: Hidden | None = None

    def over(self, other: TableOptions) -> TableOptions:
        """Return these options, and the other's where nothing is said here."""
        return TableOptions(
            self.encoding or other.encoding, self.sheet or other.sheet, self.header or other.header,
            self.hidden or other.hidden,
        )  # fmt: skip


def is_table(file: str) -> bool:
    """Return whether a file is a table (.csv, .tsv, .txt, .xlsx, …) rather than JSON lines; `-` is JSON lines."""
    return Path(file).suffix.lower() in (*_TEXT_NAMES, *_WORKBOOK_NAMES)


def is_workbook(file: str) -> bool:
    """Return whether a file is a workbook by its name."""
    return Path(file).suffix.lower() in _WORKBOOK_NAMES


@contextlib.contextmanager
def table(file: str, options: TableOptions, wanted: Collection[str], content: bytes | None = None) -> Iterator[Rows]:
    """Open a CSV file or a workbook; `wanted`: the columns by which its header, sheet and separator are found.

    `content`: the file itself where it is in memory alone. Raises CommandError when it cannot be read as a table.
    """
    path = existing(file) if content is None else content
    with opened(path) as stream:
        start = stream.read(512)
    if start.startswith(_ARCHIVE):
        sheet = _workbook(path, options, wanted)
    elif start.startswith(_OLD_WORKBOOK):
        raise _old_workbook(path)
    elif is_workbook(file):
        raise _no_workbook(start)
    else:
        sheet = text_file(path, options.encoding, wanted)
    with sheet as source:
        yield below_header(source, wanted, options.header, options.hidden)


def _old_workbook(path: Path | bytes) -> CommandError:
    with opened(path) as stream:
        overlap = b""
        while chunk := stream.read(1 << 20):
            if _ENCRYPTED in overlap + chunk:
                return CommandError(
                    "这个工作簿有打开密码,请去掉密码后另存为 .xlsx。",
                    "This workbook is password-protected; save it as .xlsx without a password.",
                )
            overlap = chunk[-len(_ENCRYPTED) :]
    return CommandError(
        "这是旧版(.xls、.et)或带密码的工作簿,请用 Excel 或 WPS 打开,另存为不带密码的 .xlsx。",
        "This is an old (.xls) or password-protected workbook; open it in Excel or WPS and save it as .xlsx without a "
        "password.",
    )


def _no_workbook(start: bytes) -> CommandError:
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return CommandError(
            "扩展名是 Excel 工作簿的,内容却是网页或 XML(有的系统这样导出)。请用 Excel 打开后另存为 .xlsx。",
            "It is named as a workbook but is not one: a web page or XML, as some systems export it. Open it in Excel "
            "and save it as .xlsx.",
        )
    return CommandError(
        "扩展名是 Excel 工作簿的,内容却不是。请用 Excel 另存为 .xlsx,或把扩展名改回 .csv。",
        "It is named as a workbook but is not one. Save it as .xlsx in Excel, or name it .csv again.",
    )


@contextlib.contextmanager
def _workbook(path: Path | bytes, options: TableOptions, wanted: Collection[str]) -> Iterator[Source]:
    with Package(path) as package:
        outlines = {sheet.part: outline(package, sheet.part) for sheet in package.sheets}
        sheet = _chosen(package, outlines, options, wanted)
        notices = Notices()
        _name_sheets(package, sheet, outlines, notices)
        lines = outlines[sheet.part]
        progress = Progress(total=lines.filled)
        rows = SheetRows(package, lines).rows(sheet.part)
        with contextlib.closing(rows):
            yield Source(
                rows, progress, notices, hidden=lines.hidden, hidden_columns=frozenset(lines.hidden_columns),
                sheet=sheet.name,
            )  # fmt: skip


def _chosen(
    package: Package, outlines: dict[str, Outline], options: TableOptions, wanted: Collection[str]
) -> SheetPart:
    """Return the sheet that is asked for, else the first that is seen and has the wanted columns."""
    if options.sheet is not None:
        return _named(package, options.sheet)
    filled = [sheet for sheet in package.sheets if outlines[sheet.part].filled]
    seen = [sheet for sheet in filled if not sheet.hidden]
    if not seen:
        if filled:
            names = "、".join(sheet.name for sheet in filled)
            raise CommandError(
                f"看得见的工作表都是空的;有内容的是隐藏的工作表:{names}。要读它请用 --sheet 指明。",
                f"Every sheet that is seen is empty; those with rows are hidden: {names}. Name one by --sheet.",
                "hidden-sheet",
            )
        raise no_rows()
    for sheet in seen:
        rows = SheetRows(package, outlines[sheet.part]).rows(sheet.part)
        with contextlib.closing(rows):
            header = find_header(list(islice(rows, FIRST_ROWS)), wanted, options.header)
        if header and all(header.positions(column) for column in wanted):
            return sheet
    return seen[0]


def _named(package: Package, name: str) -> SheetPart:
    exact = [sheet for sheet in package.sheets if sheet.name == name]
    alike = exact or [sheet for sheet in package.sheets if plain(sheet.name) == plain(name)]
    if len(alike) == 1:
        return alike[0]
    if name in package.charts:
        raise CommandError(f"工作表 {name} 是图表,没有数据行。", f"The sheet {name} is a chart without rows.")
    names = "、".join(sheet.name for sheet in package.sheets if not sheet.hidden)
    raise CommandError(f"工作簿中没有工作表 {name},有:{names}。", f"The workbook has no sheet {name}; it has {names}.")


def _name_sheets(package: Package, read: SheetPart, outlines: dict[str, Outline], notices: Notices) -> None:
    others = [sheet for sheet in package.sheets if sheet is not read and outlines[sheet.part].filled]
    if not others:
        return
    zh = "、".join(f"「{s.name}」{',隐藏,' if s.hidden else ''}{outlines[s.part].filled} 行(含表头)" for s in others)
    en = ", ".join(
        f"{s.name}{', hidden,' if s.hidden else ''} {outlines[s.part].filled} rows with the header" for s in others
    )
    notices.add(
        "sheets-not-read",
        f"读的是工作表「{read.name}」;没有读:{zh}。要读另一张请用 --sheet 指明。",
        f"The sheet {read.name} is read; not read: {en}. Name another by --sheet.",
        len(others),
    )
