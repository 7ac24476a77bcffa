"""How long a question waits beside eight who ask for exports and read nothing: while these are written, and after."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from services.projection.counting import generations, writers
from services.projection.counting.generations import of_generation
from services.projection.counting.lines import CompiledPlans
from tests.bench.hops import Sizes
from tests.bench.meter import Meter
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.plan_office import PLAN
from tests.harness.processes import Process

_READERS = 8
_INDICATOR = "4.1.b"
_BASE = f"/v1/plans/{PLAN.id}"
LISTED = f"{_BASE}/indicators/{_INDICATOR}/facts?period=2024"
BRIEFING = f"{_BASE}/briefing?month=2024-03"
PROGRESS = f"{_BASE}/progress"
_EXPORTS = {
    "lists of facts": LISTED,
    "CSVs of facts": f"{LISTED}&format=csv",
    "workbooks with facts": f"{BRIEFING}&format=xlsx&facts=true",
    "letters": f"{BRIEFING}&format=docx",
    "pages": BRIEFING,
}
_MOST_MS = 100
_PATIENCE = 300.0


def measure_slow_readers(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Ask for the progress alone and beside readers of each export; the limit is on how much longer the 99th takes."""
    rows = []
    with servers.system() as system:
        api = system.process("projection", "api")
        asyncio.run(fill_listed(system.databases["projection"].dsn, sizes.listed))
        servers.flush()
        api.start()
        pids = {"read api": pid_of(api), **servers.parts}
        for name, path in _EXPORTS.items():
            rows.append(row := BenchRow(f"slow readers: /progress beside 8 unread {name}", "requests", aim=None))
            enough = sizes.questions
            alone = _ask(api, lambda waits: len(waits) >= enough)  # noqa: B023 - called at once
            with who_read_nothing(api, path) as readers:
                meter = Meter(pids)
                writing = _ask(api, lambda waits: bool(waits) and are_written(readers))
                row.ours.append(meter.section(len(writing)))
                unread = _ask(api, lambda waits: len(waits) >= enough)  # noqa: B023
            longer = max(_p99(writing), _p99(unread)) - _p99(alone)
            row.note = (
                f"{sizes.listed:,} facts: p99 alone {_p99(alone):.0f} ms, while they are written {_p99(writing):.0f},"
                f" unread {_p99(unread):.0f} {'✓' if longer < _MOST_MS else '✗'} (limit +{_MOST_MS} ms)"
            )
    return rows


def _ask(api: Process, is_enough: Callable[[list[float]], bool]) -> list[float]:
    """Ask for the progress, each time as known at another instant, which nothing that is kept answers."""
    waits: list[float] = []
    end = time.monotonic() + _PATIENCE
    while not is_enough(waits):
        if time.monotonic() > end:
            raise RuntimeError("the exports are not written")
        known_at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        began = time.perf_counter()
        answer = api.http.get(PROGRESS, params={"known_at": known_at})
        waits.append((time.perf_counter() - began) * 1000)
        if answer.is_error:
            raise RuntimeError(answer.text)
    return sorted(waits)


def _p99(waits: list[float]) -> float:
    return waits[len(waits) * 99 // 100]


@contextlib.contextmanager
def who_read_nothing(api: Process, path: str) -> Iterator[list[socket.socket]]:
    """Ask so many times for an answer that is never read."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(socket.socket()) for _ in range(_READERS)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", api.port))
            reader.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        yield readers


def are_written(readers: list[socket.socket]) -> bool:
    """Tell whether every answer has begun to be sent: an export is written before."""
    return len(select.select(readers, (), (), 0)[0]) == len(readers)


async def fill_listed(dsn: str, facts: int) -> None:
    """Fill a ledger with so many facts of one line in 2024, each on a subject of its own, and the sums of them."""
    compiled = CompiledPlans([PLAN])
    line = compiled.of_indicator[PLAN.id, _INDICATOR][0]
    async with writers.connected(dsn, "skillplan bench") as connection:
        number = await generations.create(connection, compiled)
        sql = of_generation(number, "tests.bench", "numbers.sql")
        await connection.execute(sql["listed"], line.number, facts)
        await connection.execute(sql["monthly"], 12 * len(PLAN.years))
        await connection.execute(sql["checkpoint"], facts)
        await connection.execute(f"analyze numbers.g{number}_standing, numbers.g{number}_contribution")
        await generations.switch(connection, number)
