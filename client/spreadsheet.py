"""Rows of CSV that a spreadsheet program takes as they are: no lost zeros or digits, no ids made dates or formulas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PLAIN: Final = re.compile(r"(?![=+\-@])[^\W\d_][^\t\r\n\"]*|/[^\t\r\n\"]*|", re.UNICODE)
_A_DATE_OR_TRUTH: Final = re.compile(
    r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/. ]?[0-9]+|true|false", re.I
)


def safe_text(text: str) -> str:
    """Return a text as a cell that shows it unchanged: `="…"` where a spreadsheet would take it for a number, a date or
    a formula. The tables that this program reads may have this form, too."""
    if _PLAIN.fullmatch(text) and not _A_DATE_OR_TRUTH.fullmatch(text):
        return text
    quoted = text.replace('"', '""')
    return f'="{quoted}"'


def safe_row(cells: Sequence[object]) -> list[object]:
    """Return a row whose texts are safe; numbers stay numbers, None is empty."""
    return [safe_text(cell) if isinstance(cell, str) else "" if cell is None else cell for cell in cells]
