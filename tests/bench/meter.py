"""Reads what processes cost: CPU of a whole family, those that have ended too, and the most memory one ever held."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SELF = "floor"  # by this name a program counts itself


@dataclass
class Section:
    """One measured stretch: how many things, in how many seconds, at how many CPU seconds of whom.

    `waits_ms`: how long each request waited, in the order of the answers.
    """

    count: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Things a second."""
        return self.count / self.seconds

    @property
    def cost(self) -> float:
        """Milliseconds of CPU for 1,000 things, of all processes counted."""
        return sum(self.cpu.values()) * 1e6 / self.count


class Meter:
    """Starts counting when it is made; `pids`: the processes to count, each with all its children, by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._cpu = self._read()
        self._since = time.perf_counter()

    def section(self, count: int) -> Section:
        """Return what was spent since."""
        seconds = time.perf_counter() - self._since
        now = self._read()
        return Section(count, seconds, {name: now[name] - before for name, before in self._cpu.items()})

    def _read(self) -> dict[str, float]:
        return {name: cpu_of(pid) for name, pid in self._pids.items()}


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and its children, living or waited for."""
    if pid == os.getpid():
        return time.process_time()
    process = psutil.Process(pid)
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        try:
            spent = member.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile; its parent counts it next time
        total += spent.user + spent.system
        if member is process:
            total += spent.children_user + spent.children_system
    return total


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has held; where the system keeps no record, what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20
