"""CSV files in any usual encoding and with any separator; a damaged byte or a stray quote costs its line, no more."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Final

from client.output import CommandError
from client.tables.lines import CHUNK, LONGEST_LINE, Progress, length_of, opened
from client.tables.names import plain
from client.tables.notices import Notices
from client.tables.sheet import WIDEST
from client.tables.source import REPLACED, Source, SourceRow

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS: Final = ",\t;|"
_SEPARATOR_LINE: Final = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
_END_OF_FILE: Final = "\x1a"  # of DOS, which some programs still write
_FIRST_LINES: Final = 30
_FEW: Final = 0.3  # at most this part of the characters beyond ASCII may be damaged; of another encoding nearly all are
_PROGRESS_ROWS: Final = 100


@contextlib.contextmanager
def text_file(path: Path | bytes, encoding: str | None, wanted: Collection[str]) -> Iterator[Source]:
    """Open a CSV file; `wanted`: the columns that its header should have, which tell the separator."""
    encoding, damaged = _encoding(path, encoding)
    progress = Progress(total=length_of(path))
    with io.TextIOWrapper(opened(path), encoding, errors="replace", newline="") as stream:
        first = stream.readline(LONGEST_LINE)
        named = _SEPARATOR_LINE.fullmatch(first)
        start = len(first) if named else 0
        comma = named[1] if named else _separator(first + stream.read(CHUNK), wanted)
        stream.seek(0)
        if start:
            stream.readline()
        csv.field_size_limit(LONGEST_LINE)
        notices = Notices()
        yield Source(_rows(stream, comma, progress, notices), progress, notices, comma, is_text=True, damaged=damaged)


def _rows(stream: IO[str], comma: str, progress: Progress, notices: Notices) -> Iterator[SourceRow]:
    reader = csv.reader(stream, delimiter=comma, strict=True)
    number = 0
    while True:
        number += 1
        line = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error:
            raise CommandError(
                f"第 {number} 行(文件第 {line + 1} 行)起不是有效的 CSV:多半是引号没有成对。",
                f"From row {number} (line {line + 1} of the file) on this is not valid CSV; most likely an unclosed "
                "quote.",
            ) from None
        if cells is None:
            return
        if cells == [_END_OF_FILE]:
            continue
        if len(cells) > WIDEST:
            raise CommandError(
                f"第 {number} 行有 {len(cells):,} 格,表格没有这么宽;请检查分隔符,或另存一次。",
                f"Row {number} has {len(cells):,} cells, more than any table; look at its separators, or save it anew.",
            )
        if number % _PROGRESS_ROWS == 0:
            progress.read = stream.buffer.tell()  # type: ignore[attr-defined]
        joined = 0
        if reader.line_num > line + 1:
            # A person's line break in a cell is one thing, a quote that swallowed the following rows another.
            swallowed = any(
                inner.count(comma) * 2 >= max(len(cells) - 1, 2)
                for cell in cells
                if "\n" in cell or "\r" in cell
                for inner in cell.splitlines()
            )
            joined = reader.line_num - line if swallowed else 0
            if not swallowed:
                notices.tally("several-lines", number)
        yield SourceRow(number, list(cells), joined=joined)


def _separator(start: str, wanted: Collection[str]) -> str:
    """Return the separator by which the first lines have most of the wanted columns, else most cells."""
    lines = start.splitlines()[:_FIRST_LINES]
    names = {plain(name) for name in wanted}

    def score(comma: str) -> tuple[int, int]:
        try:
            rows = list(csv.reader(lines, delimiter=comma))
        except csv.Error:
            return 0, 0
        widths = Counter(len(row) for row in rows if len(row) > 1)
        return (
            max((len(names & {plain(cell) for cell in row}) for row in rows), default=0),
            max((width * count for width, count in widths.items()), default=0),
        )

    return max(_SEPARATORS, key=score)


def _encoding(path: Path | bytes, given: str | None) -> tuple[str, bool]:
    """Return the encoding of a file, and whether bytes of it are damaged: a few make it no other. Raises CommandError.

    Excel in Chinese saves CSV as GB 18030 without saying so.
    """
    with opened(path) as stream:
        start = stream.read(CHUNK)
    mark = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    names = [given] if given else [mark] if mark else ["utf-8", "gb18030"]
    try:
        measured = {name: _damage(path, name) for name in names}
    except LookupError:
        raise CommandError(f"没有 {given} 这种编码。", f"There is no encoding {given}.") from None
    for name, part in measured.items():
        if part <= _FEW and (given or mark or start.count(0) * 10 <= len(start)):
            return name, part > 0
    if given or mark:
        raise CommandError(
            f"文件不是 {names[0]} 编码。请用 --encoding 指明,或另存为 UTF-8。",
            f"The file is not in {names[0]}. Name its encoding by --encoding, or save it as UTF-8.",
            "unknown-encoding",
        )
    raise CommandError(
        "文件既不是 UTF-8 也不是 GB18030(没有标记的 UTF-16 请写 --encoding utf-16-le)。请用 --encoding 指明编码。",
        "The file is neither in UTF-8 nor in GB 18030. Name its encoding by --encoding, utf-16-le for UTF-16 without "
        "a mark.",
        "unknown-encoding",
    )


def _damage(path: Path | bytes, encoding: str) -> float:
    """Return which part of a file's characters beyond ASCII is damaged in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    damaged = beyond = 0
    with opened(path) as stream:
        while chunk := stream.read(CHUNK):
            text = decoder.decode(chunk)
            if not text.isascii():
                damaged += text.count(REPLACED)
                beyond += len(text) - len(text.encode("ascii", "ignore"))
    text = decoder.decode(b"", final=True)
    damaged, beyond = damaged + text.count(REPLACED), beyond + len(text)
    return damaged / beyond if beyond else 0.0
