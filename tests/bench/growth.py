"""What a report costs at a short log and at a long one, side by side."""

from __future__ import annotations

import asyncpg

from deploy.local.databases import Database
from shared.log.event_store import read_queries
from tests.bench import feed
from tests.bench.hops import Numbers, Sizes, compare_log, new_run
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.people import credit_code
from tests.harness.processes import DISTRICTS, run

_CLIENTS = 32
_TOGETHER = 100
_PIECE = 100_000


def measure_growth(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Decide as many reports by HTTP, one by one and in batches, at both lengths of the log."""
    rows = [
        BenchRow(
            f"8 a report's cost by HTTP, {how}",
            "reports",
            note=f"at {sizes.large_log:,} facts; beside it at {sizes.small_log:,}",
            aim=0.8,
        )
        for how in ("one by one", f"by {_TOGETHER}")
    ]
    numbers = Numbers()
    with servers.system() as short, servers.system() as long:
        systems = []
        for system, facts in ((short, sizes.small_log), (long, sizes.large_log)):
            compare_log(system)
            process = system.process(feed.SERVICE, "api")
            run(seed(system.databases[feed.SERVICE], facts))
            systems.append(process.start())
        servers.flush()
        for _ in range(sizes.rounds):
            for row, each in zip(rows, (1, _TOGETHER), strict=True):
                for process, sections in zip(systems, (row.floor, row.ours), strict=True):
                    options = {"run": new_run(), "first": numbers.take(10**5), "batch": each}
                    options |= {"clients": _CLIENTS if each == 1 else 4, "count": sizes.growth // each}
                    options |= {"port": process.port, "pids": {"api": pid_of(process), **servers.parts}}
                    sections.append(servers.run("load", options))
    return rows


async def seed(database: Database, facts: int) -> None:
    """Fill a log with so many facts, as if they had been reported; the keys of its persons open nothing."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        statement = read_queries("tests.bench", "seed.sql")["seed"]
        codes = [credit_code(index) for index in range(500)]
        # One index less to keep while the rows come; it is there again, and no different, before anything is measured.
        await connection.execute("drop index fact_tags")
        for at in range(0, facts, _PIECE):
            await connection.execute(statement, min(_PIECE, facts - at), DISTRICTS, codes)
        await connection.execute("set maintenance_work_mem = '256MB'")
        await connection.execute("create index fact_tags on fact using gin (tags) with (fastupdate = off)")
        for table in ("fact", "receipt", "person_key"):
            await connection.execute(f"vacuum analyze {table}")
    finally:
        await connection.close()
