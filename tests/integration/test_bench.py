"""Every part of `make bench` still runs, at a size that measures nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.__main__ import PARTS
from tests.bench.hops import SIZES
from tests.bench.report import memory, table
from tests.harness.bench import BenchServers, bench_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[BenchServers]:
    with bench_servers() as running:
        yield running


# "idle" starts twelve processes to see them do nothing, "cities" three times as many; others start every one of them.
@pytest.mark.parametrize("part", sorted(PARTS.keys() - {"idle", "cities"}))
def test_every_part_of_the_bench_runs(servers: BenchServers, part: str) -> None:
    rows = PARTS[part](servers, SIZES["tiny"])
    assert all(row.ours or row.note.startswith("not measured") for row in rows)
    assert [line.split("  ")[0] for line in table(rows).splitlines()[1:]] == [row.name for row in rows]
    assert all(row.as_json()["ours_per_second"] > 0 for row in rows if row.ours)
    assert part == "tables" or memory(servers.peaks), "tables are read in the process that measures"
