"""What a rebuild costs a fact, at short logs and long ones: `python -m tests.bench.long_logs 10000000`.

The facts are made up on their topic, so that a length takes as much room as it needs there and in the projection.
"""

from __future__ import annotations

import sys

from tests.bench.hops import Sizes
from tests.bench.meter import Meter
from tests.bench.read_side import rebuild
from tests.bench.report import BenchRow, shares
from tests.harness.bench import BenchServers, bench_servers
from tests.harness.fork_server import fork_server
from tests.harness.processes import System

_SERVICE = "projection"
_PIECE = 500_000
_SOME = 10  # of the second row every tenth fact corrects another
_PATIENCE = 3600.0


def measure_long_logs(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Rebuild logs of several lengths: every fact of another person, and with a tenth of corrections."""
    return [
        measure_rebuild(servers, facts, corrected_every) for facts in sizes.lengths for corrected_every in (0, _SOME)
    ]


def measure_rebuild(servers: BenchServers, facts: int, corrected_every: int) -> BenchRow:
    """Rebuild a made-up log by the whole command, from nothing; then every line is recounted."""
    kind = f"a correction in {corrected_every}" if corrected_every else "each of another person"
    row = BenchRow(f"15 rebuild of {facts:,} facts, {kind}", "facts", aim=None)
    with servers.system() as system:
        send_made_facts(servers, facts, corrected_every)
        projector = system.process(_SERVICE, "projector")  # for its settings: it is not started
        servers.flush()
        meter = Meter(servers.parts)
        spent = rebuild(projector)
        section = meter.section(facts)
        section.cpu = {"rebuild": spent.ru_utime + spent.ru_stime} | section.cpu
        servers.peaks["projection rebuild"] = max(servers.peaks.get("projection rebuild", 0.0), spent.ru_maxrss / 1024)
        section.extra = {"peak_mb": spent.ru_maxrss / 1024} | _bytes_of(system)
        recounted = fork_server().run(f"services.{_SERVICE}", ["recount"], projector.settings, _PATIENCE)
        if recounted.returncode or f"{facts:,} standing" not in recounted.output:
            raise RuntimeError(f"recount: {recounted.output}")
    row.ours.append(section)
    row.note = (
        f"{section.seconds:.1f} s, processor time of two cores {sum(section.cpu.values()) / 2:.1f} s;"
        f" at most {section.extra['peak_mb']:.0f} MB; numbers {section.extra['numbers_mb']:,.0f} MB; recount 0"
    )
    return row


def send_made_facts(servers: BenchServers, facts: int, corrected_every: int) -> None:
    """Send a made-up log to its topic."""
    for first in range(1, facts + 1, _PIECE):
        count = min(_PIECE, facts + 1 - first)
        servers.run("made_facts", {"first": first, "count": count, "corrected_every": corrected_every})


def _bytes_of(system: System) -> dict[str, float]:
    sql = "select sum(pg_total_relation_size(oid)) / 2 ^ 20 from pg_class where relkind = 'r' and relname ~ '^g[0-9]+_'"
    return {"numbers_mb": float(system.query(_SERVICE, sql)[0][0])}


def main() -> None:
    """Print a line a length."""
    with bench_servers() as servers:
        for facts in map(int, sys.argv[1:] or ("1000000",)):
            row = measure_rebuild(servers, facts, 0)
            sys.stdout.write(f"{row.name}: {row.rate():,.0f}/s, us a fact: {shares(row.ours)}; {row.note}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
