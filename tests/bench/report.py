"""What a row says: ours beside its floor, the median of several rounds, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.meter import Section

MOST_MEMORY_MB = 250
_AIM = 0.5


@dataclass
class BenchRow:
    """One line: what was measured, and beside what. `compared`: how the second column is called, "floor" mostly."""

    name: str
    unit: str
    ours: list[Section] = field(default_factory=list)
    floor: list[Section] = field(default_factory=list)
    note: str = ""
    aim: float | None = _AIM

    def rate(self) -> float:
        """Return the median of ours, a second."""
        return _median(self.ours, lambda section: section.rate)

    def ratio(self) -> float | None:
        """Return ours by floor: the median of the rounds, each beside its own floor."""
        if not self.floor:
            return None
        return statistics.median(o.rate / f.rate for o, f in zip(self.ours, self.floor, strict=True))

    def ratio_by_cpu(self) -> float | None:
        """Return the same by what it costs instead of how long it takes: steadier where others use the machine.

        A round that was over before the system's clock of processor time had moved is left out.
        """
        ratios = [f.cost / o.cost for o, f in zip(self.ours, self.floor, strict=bool(self.floor)) if o.cost]
        return statistics.median(ratios) if ratios else None

    def met(self) -> bool | None:
        """Return whether the row reaches its aim; None where there is none."""
        ratio = self.ratio()
        return None if ratio is None or self.aim is None else ratio >= self.aim

    def cells(self) -> tuple[str, ...]:
        """Return the line as the table shows it."""
        ratio, by_cpu, met = self.ratio(), self.ratio_by_cpu(), self.met()
        return (
            self.name,
            f"{self.rate():,.0f} {self.unit}/s",
            f"{_median(self.floor, lambda section: section.rate):,.0f}" if self.floor else "",
            f"{ratio:.2f}" if ratio is not None else "",
            f"{by_cpu:.2f}" if by_cpu is not None else "",
            {None: "", True: "✓", False: "✗"}[met],
            f"{_median(self.ours, lambda section: section.cost):,.0f}",
            f"{_median(self.floor, lambda section: section.cost):,.0f}" if self.floor else "",
            shares(self.ours),
            self.note,
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "row": self.name,
            "unit": self.unit,
            "ours_per_second": self.rate(),
            "ratio": self.ratio(),
            "ratio_by_cpu": self.ratio_by_cpu(),
            "aim": self.aim,
            "met": self.met(),
            "cpu_ms_per_1000": _median(self.ours, lambda section: section.cost),
            "floor_cpu_ms_per_1000": _median(self.floor, lambda section: section.cost) if self.floor else None,
            "note": self.note,
            "ours": [asdict(section) for section in self.ours],
            "floor": [asdict(section) for section in self.floor],
        }


_HEAD = ("", "ours", "floor", "ratio", "by CPU", "≥ aim", "CPU ms/1,000", "of floor", "whose CPU (ours)", "")


def table(rows: Sequence[BenchRow]) -> str:
    """Return the rows as a plain table."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def memory(peaks: dict[str, float]) -> str:
    """Return the peak memory of each process of ours."""
    lines = [
        f"{name:24} {peak:6.0f} MB  {'✓' if peak <= MOST_MEMORY_MB else '✗'}" for name, peak in sorted(peaks.items())
    ]
    return "\n".join(lines)


def _median(sections: Sequence[Section], of: Callable[[Section], float]) -> float:
    return statistics.median(map(of, sections)) if sections else 0.0


def shares(sections: Sequence[Section]) -> str:
    """Say per process what 1,000 cost, so that it shows where the time goes."""
    names = dict.fromkeys(name for section in sections for name in section.cpu)
    costs = {
        name: statistics.median(section.cpu.get(name, 0) * 1e6 / section.count for section in sections)
        for name in names
    }
    return ", ".join(f"{name} {cost:,.0f}" for name, cost in costs.items() if cost >= 1)
