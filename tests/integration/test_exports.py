"""Who asks for an export and does not read it holds no connection of the database."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from services.projection.counting import generations, writers
from services.projection.counting.generations import of_generation
from services.projection.counting.lines import CompiledPlans
from tests.harness.plan_office import PLAN
from tests.harness.processes import Process, System, eventually, run

_FACTS: Final = 20_000
_INDICATOR: Final = "4.1.b"
_BASE: Final = f"/v1/plans/{PLAN.id}"
_LISTED: Final = f"{_BASE}/indicators/{_INDICATOR}/facts?period=2024"
_EXPORTS: Final = (
    _LISTED,
    f"{_BASE}/briefing?month=2024-03&format=xlsx&facts=true",
    f"{_BASE}/briefing?month=2024-03",
)
_READERS: Final = 8
# A line's facts of 2024, each on a subject of its own, and the sums that go with them.
_FILL: Final = """
with made as (
    select n, date '2024-01-01' + (n % 300)::int as day, timestamptz '2025-01-01' + n * interval '1 second' as at
    from generate_series(1, $2::int) n
), facts as (
    insert into g.standing
    select $1, 0, 'recruitment', n, md5(n::text), 'skillplan.recruitment.person-hired.v1', 'hire/H-' || n, 'm' || n,
        day, null, '330681', 1, null, '/districts/330681/hr', 'h-' || n, at, null, n, false, false, null, null
    from made
), ledger as (
    insert into g.contribution
    select $1, 0, 2024, '330681', day, day, at, 1, 'original', 'recruitment', n from made
)
insert into g.cell select $1, 0, 2024, '330681', day, count(*) from made group by day
"""


async def _fill(dsn: str) -> None:
    compiled = CompiledPlans([PLAN])
    line = compiled.of_indicator[PLAN.id, _INDICATOR][0]
    async with writers.connected(dsn, "skillplan test") as connection:
        number = await generations.create(connection, compiled)
        sql = of_generation(number, "tests.bench", "numbers.sql")
        await connection.execute(_FILL.replace(" g.", f" numbers.g{number}_"), line.number, _FACTS)
        await connection.execute(sql["monthly"], 12 * len(PLAN.years))
        await connection.execute(sql["checkpoint"], _FACTS)
        await connection.execute(f"analyze numbers.g{number}_standing, numbers.g{number}_contribution")
        await generations.switch(connection, number)


@contextlib.contextmanager
def _who_read_nothing(api: Process, path: str) -> Iterator[None]:
    """Ask so many times for an answer that is never read."""
    with contextlib.ExitStack() as stack:
        for _ in range(_READERS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", api.port))
            reader.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        yield


def _states(system: System) -> list[str]:
    """Return what each connection of exports does, as their own role may see it."""
    sql = (
        "select state from pg_stat_activity where datname = current_database()"
        " and application_name = 'skillplan projection exports'"
    )
    return [row["state"] for row in system.query("projection", sql, as_role=True)]


@pytest.mark.timeout(600)
def test_who_reads_nothing_of_an_export_holds_no_connection(system: System) -> None:
    api = system.process("projection", "api")
    run(_fill(system.databases["projection"].dsn))
    api.start()
    assert len(api.http.get(_LISTED, timeout=100).json()["facts"]) == _FACTS
    assert _states(system) == ["idle"]
    for path in _EXPORTS:
        with _who_read_nothing(api, path):
            for _ in range(10):
                assert api.http.get(f"{_BASE}/progress").status_code == 200
            # Their answers are read and written, one after another; then they hold nothing, unread as they are.
            eventually(lambda: set(_states(system)) == {"idle"}, 120, pause=1)
