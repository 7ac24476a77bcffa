"""`make bench`: every hop beside a floor measured in the same run. Ratios are what counts; nothing passes or fails."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.beside import measure_beside
from tests.bench.cities import measure_cities
from tests.bench.gateway import measure_gateway
from tests.bench.growth import measure_growth
from tests.bench.hops import SIZES, Numbers, Sizes, measure_append, measure_inbox_and_relay
from tests.bench.hot_subject import measure_hot_subject
from tests.bench.long_logs import measure_long_logs
from tests.bench.peers import measure_peers
from tests.bench.questions import measure_questions
from tests.bench.read_side import measure_read_side
from tests.bench.report import BenchRow, memory, shares, table
from tests.bench.slow_readers import measure_slow_readers
from tests.bench.streams import measure_streams
from tests.bench.tables import measure_tables
from tests.bench.trees import measure_trees
from tests.bench.whole_road import measure_hard_mix, measure_hearing, measure_idle, measure_whole_road
from tests.bench.workers import measure_workers
from tests.harness.bench import BenchServers, bench_servers


def main() -> None:
    """Run the named parts, all by default, and print a table of their rows."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="结果另存为 JSON also write the results as JSON")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), help="只测这些 measure only these")
    parser.add_argument(
        "--peers", action="store_true", help="只测同类工具 measure other tools that do a part of the same"
    )
    arguments = parser.parse_args()
    size = os.environ.get("BENCH_SIZE", "default")
    if size not in SIZES:
        parser.error(f"BENCH_SIZE: {' | '.join(SIZES)}")
    since = time.monotonic()
    rows: list[BenchRow] = []
    with bench_servers() as servers:
        parts = {"peers": measure_peers} if arguments.peers else {name: PARTS[name] for name in arguments.only or PARTS}
        for name, measure in parts.items():
            _print(f"… {name}")
            rows += (measured := measure(servers, SIZES[size]))
            _print("\n".join(f"  {row.name}: {row.rate():,.0f}/s, {shares(row.ours)}, {row.note}" for row in measured))
    _print(table(rows))
    _print("\n内存峰值(各进程,上限 250 MB) Peak memory of each process\n" + memory(servers.peaks))
    _print(f"\n{size}: {time.monotonic() - since:.0f} s, {os.cpu_count()} CPU, load {os.getloadavg()[0]:.1f}")
    if arguments.json:
        results = {"size": size, "rows": [row.as_json() for row in rows], "peak_mb": servers.peaks}
        arguments.json.write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")


def _append(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    return measure_append(servers, sizes)


def _road(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    with servers.system() as system:
        numbers = Numbers()
        first = measure_inbox_and_relay(servers, system, sizes, numbers)
        return [*first, *measure_read_side(servers, system, sizes, numbers)]


PARTS: dict[str, Callable[[BenchServers, Sizes], list[BenchRow]]] = {
    "tables": measure_tables,
    "append": _append,
    "gateway": measure_gateway,
    "road": _road,
    "growth": measure_growth,
    "questions": measure_questions,
    "long": measure_long_logs,
    "difference": measure_beside,
    "workers": measure_workers,
    "hot": measure_hot_subject,
    "streams": measure_streams,
    "trees": measure_trees,
    "readers": measure_slow_readers,
    "mix": measure_whole_road,
    "hearing": measure_hearing,
    "hard": measure_hard_mix,
    "idle": measure_idle,
    "cities": measure_cities,
}


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
