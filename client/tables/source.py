"""A file opened as a table, whatever its kind: its rows as they stand, before a header is looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from client.tables.content import Cell
from client.tables.lines import Progress
from client.tables.notices import Notices

REPLACED: Final = "\ufffd"  # stands for a byte that could not be decoded


@dataclass(slots=True)
class SourceRow:
    """A row as it stands: its number as the spreadsheet shows it; `joined`: lines that a stray quote made one."""

    number: int
    cells: list[Cell]
    hidden: bool = False
    joined: int = 0
    struck: bool = False  # a cell of it is crossed out


@dataclass(slots=True)
class Source:
    """The rows of a CSV file or of one sheet, as a stream."""

    rows: Iterator[SourceRow]
    progress: Progress
    notices: Notices
    comma: str = ","  # what separates the cells of a text file
    is_text: bool = False  # every row of a text file has all its cells, also the empty ones
    damaged: bool = False  # bytes of it could not be decoded
    hidden: list[int] = field(default_factory=list)  # rows with a value that are not seen
    hidden_columns: frozenset[int] = frozenset()
    sheet: str | None = None  # of a workbook
