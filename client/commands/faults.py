"""Prints the faults of a file as they are found, for people no more than a limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TextIO

from client.output import Output, text
from client.tables.notices import Notice
from client.validation import ReportFault

DEFAULT_LIMIT: Final = 20


class FaultPrinter:
    """Prints faults to a stream for people, all of them as JSON lines for programs."""

    def __init__(self, output: Output, limit: int, stream: TextIO) -> None:
        self._output, self._limit, self._stream = output, limit, stream
        self._count = 0

    def __call__(self, fault: ReportFault) -> None:
        """Print a fault, or count it where the limit is reached."""
        self._count += 1
        self._output.record(fault.as_json())
        if not self._output.json and self._count <= self._limit:
            self._stream.write(fault.as_text() + "\n")

    def notices(self, notices: Iterable[Notice]) -> None:
        """Print what of a table was left out or read otherwise than it stands."""
        for notice in notices:
            self._output.record(notice.as_json())
            if not self._output.json:
                self._stream.write(f"! {text(notice.zh, notice.en)}\n")

    def rest(self) -> None:
        """Print how many faults were not printed."""
        if not self._output.json and (more := self._count - self._limit) > 0:
            self._stream.write(text(f"… 另有 {more} 处(--limit 可多显示)", f"{more} more (--limit shows more)") + "\n")
