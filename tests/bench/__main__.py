"""`make bench`: every hop beside a floor measured in the same run. Ratios are what counts; nothing passes or fails."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.growth import measure_growth
from tests.bench.hops import SIZES, Numbers, Sizes, measure_append, measure_inbox_and_relay
from tests.bench.questions import measure_questions
from tests.bench.read_side import measure_read_side
from tests.bench.report import BenchRow, memory, table
from tests.harness.bench import BenchServers, bench_servers


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="结果另存为 JSON also write the results as JSON")
    parser.add_argument("--only", nargs="*", choices=list(_PARTS), help="只测这些 measure only these")
    asked = parser.parse_args()
    size = os.environ.get("BENCH_SIZE", "default")
    if size not in SIZES:
        parser.error(f"BENCH_SIZE: {' | '.join(SIZES)}")
    since = time.monotonic()
    rows: list[BenchRow] = []
    with bench_servers() as stage:
        for name in asked.only or _PARTS:
            _say(f"… {name}")
            rows += _PARTS[name](stage, SIZES[size])
    _say(table(rows))
    _say("\n内存峰值(各进程,上限 250 MB) Peak memory of each process\n" + memory(stage.peaks))
    _say(f"\n{size}: {time.monotonic() - since:.0f} s, {os.cpu_count()} CPU, load {os.getloadavg()[0]:.1f}")
    if asked.json:
        told = {"size": size, "rows": [row.as_json() for row in rows], "peak_mb": stage.peaks}
        asked.json.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")


def _append(stage: BenchServers, sizes: Sizes) -> list[BenchRow]:
    return [measure_append(stage, sizes)]


def _road(stage: BenchServers, sizes: Sizes) -> list[BenchRow]:
    with stage.system() as system:
        numbers = Numbers()
        first = measure_inbox_and_relay(stage, system, sizes, numbers)
        return [*first, *measure_read_side(stage, system, sizes, numbers)]


_PARTS: dict[str, Callable[[BenchServers, Sizes], list[BenchRow]]] = {
    "append": _append,
    "road": _road,
    "growth": measure_growth,
    "questions": measure_questions,
}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
