"""Tables of districts read as the client reads them, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.report_file import CheckedReport, ReportFile
from client.validation import Checker, remedy_of
from tests.harness.languages import DISTRICTS


@dataclass(frozen=True, slots=True)
class ReadTable:
    """The reports of a file, and what was left out or read otherwise, by code."""

    items: list[CheckedReport]
    notices: dict[str, int]

    @property
    def faults(self) -> list[tuple[int, str | None, str]]:
        """Row, cell and code of everything that is wrong."""
        return [(item.line, fault.cell, fault.code) for item in self.items for fault in item.faults]

    def event(self, at: int = 0) -> Any:
        """One report as JSON."""
        assert self.items[at].event is not None
        return self.items[at].event

    def data(self, name: str) -> list[Any]:
        """A field of every report, None where it is absent."""
        return [(item.event or {}).get("data", {}).get(name) for item in self.items]  # type: ignore[union-attr]

    def attribute(self, name: str) -> list[Any]:
        """An attribute of every report."""
        return [(item.event or {}).get(name) for item in self.items]


def read_table(file: Path, mapping: Path | None = None, **options: Any) -> ReadTable:
    """Read a file; raises CommandError as the commands do."""
    checker = Checker(DISTRICTS, options.get("of"))
    opened = ReportFile(
        str(file), mapping, options.get("encoding"), options.get("sheet"), checker, options.get("hidden")
    )
    items = [item for item in opened.reports() if item is not None]
    assert all(remedy_of(fault.code) for item in items for fault in item.faults), "each says what to do"
    return ReadTable(items, {notice.code: notice.count for notice in opened.notices})


def mapping_file(folder: Path, columns: str, **keys: str) -> Path:
    """Write a mapping of payments with these columns (YAML), or of the type given."""
    given = {
        "type": "skillplan.subsidy.subsidy-paid.v1", "source": "/districts/330681/subsidies", "id": '"pay-{单号}"',
        "subject": '"claim/{单号}"',
    } | keys  # fmt: skip
    lines = [f"{name}: {value}" for name, value in given.items()]
    file = folder / "mapping.yaml"
    file.write_text("\n".join([*lines, "columns:", *(f"  {line}" for line in columns.splitlines())]), encoding="utf-8")
    return file
