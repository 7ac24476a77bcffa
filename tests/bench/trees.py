"""What the Merkle tree costs: that of a log from before an upgrade, and a fact's share of its append (issue 19.1)."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

from deploy.local.installation import ROOT
from shared.log.checkpoints import LogSigner
from shared.log.tree_store import TreeBuilder
from shared.observability.health import Health
from tests.bench import feed
from tests.bench.growth import seed
from tests.bench.hops import Numbers, Sizes, compare_log, head_of, new_run
from tests.bench.meter import SELF, Meter, Section
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import LOG_KEY, run

_TOGETHER = 100
_CLIENTS = 4
_MOST = 0.05
_VERIFY_SECONDS = 10
VERIFY = ROOT / "client" / "audit" / "verify.py"


def measure_trees(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Give logs of several lengths their tree as a relay does after an upgrade, in turns with appends; then verify."""
    numbers = Numbers()
    return [row for facts in sizes.lengths for row in _measure(servers, facts, sizes, numbers)]


def _measure(servers: BenchServers, facts: int, sizes: Sizes, numbers: Numbers) -> list[BenchRow]:
    row = BenchRow(f"19 tree of a log of {facts:,} facts", "facts", aim=None)
    with servers.system() as system:
        compare_log(system)
        database = system.databases[feed.SERVICE]
        run(seed(database, facts))
        servers.flush()
        api = system.process(feed.SERVICE, "api").start()
        appends: list[Section] = []
        for _ in range(sizes.rounds):
            count = max(_CLIENTS, sizes.appends // _TOGETHER)
            options = {"run": new_run(), "first": numbers.take(10**5), "batch": _TOGETHER, "clients": _CLIENTS}
            options |= {"count": count, "port": api.port, "pids": {"api": pid_of(api), "postgres": servers.database}}
            appends.append(servers.run("load", options))
            run(_plant(database.owner_dsn))
            row.ours.append(run(_grow(database.dsn, head_of(system), servers)))
        verified = _verify(servers, api.url, database.owner_dsn, head_of(system))
    grown, appended = (statistics.median(section.cost for section in each) for each in (row.ours, appends))
    share = grown / appended
    row.note = (
        f"{statistics.median(section.seconds for section in row.ours):.1f} s until it has its tree, of processor"
        f" {statistics.median(sum(section.cpu.values()) for section in row.ours):.1f} s; {grown:.2f} us a fact,"
        f" {share:.1%} of {appended:.0f} us that its report costs by HTTP, by {_TOGETHER}"
        f" {'✓' if share <= _MOST else '✗'} (limit {_MOST:.0%})"
    )
    return [row, verified]


def _verify(servers: BenchServers, url: str, dsn: str, facts: int) -> BenchRow:
    """Check an export of a log against a mirror, by the auditor's program as it is run by an auditor."""
    row = BenchRow(f"20 verify.py, an export of {facts:,} facts", "facts", aim=None)
    folder = servers.folder / f"auditor-{facts}"
    folder.mkdir()
    run(_export(dsn, folder / "export.ndjson"))
    (folder / "key").write_text(LogSigner(feed.SERVICE, bytes.fromhex(LOG_KEY)).verifier_key, encoding="utf-8")
    for command in (("mirror", url, "mirror"), ("facts", "export.ndjson", "--mirror", "mirror")):
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-I", str(VERIFY), *command, "--key", "key"], cwd=folder, stdout=subprocess.DEVNULL
        )
        _, status, spent = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # subprocess did not see it end
        if child.returncode:
            raise RuntimeError(f"verify.py {command[0]} ended with {child.returncode}")
        seconds, cpu = time.perf_counter() - began, spent.ru_utime + spent.ru_stime
    row.ours.append(Section(facts, seconds, {"verify.py": cpu}))
    row.note = (
        f"{(folder / 'export.ndjson').stat().st_size / 2**20:,.0f} MB: {seconds:.1f} s, of processor {cpu:.1f} s"
        f" {'✓' if seconds <= _VERIFY_SECONDS else '✗'} (limit {_VERIFY_SECONDS} s)"
    )
    shutil.rmtree(folder)
    return row


async def _export(dsn: str, export: Path) -> None:
    connection = await asyncpg.connect(dsn)
    with export.open("wb") as file:
        async with connection.transaction():
            async for row in connection.cursor("select bytes from fact order by position", prefetch=10_000):
                file.write(row["bytes"] + b"\n")
    await connection.close()


async def _plant(owner_dsn: str) -> None:
    """Take a log's tree away."""
    connection = await asyncpg.connect(owner_dsn)
    await connection.execute("truncate tree_tile, tree_node; update tree set size = 0, edge = ''")
    await connection.close()


async def _grow(dsn: str, facts: int, servers: BenchServers) -> Section:
    connection = await asyncpg.connect(dsn)
    tree, meter = TreeBuilder(connection, Health()), Meter({SELF: os.getpid(), "postgres": servers.database})
    more_in: float | None = 0.0
    while more_in is not None:
        await asyncio.sleep(more_in)  # before the last part of a page
        more_in = await tree.grow(facts)
    section = meter.section(facts)
    await connection.close()
    return section
