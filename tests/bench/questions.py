"""What a question costs at a large ledger: each right after a batch, when nothing kept holds, and from what is kept."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import asyncpg

from deploy.local import dashboard
from services.projection.counting import generations, writers
from services.projection.counting.generations import of_generation
from services.projection.counting.lines import CompiledPlans, LineShape, Part
from shared.plan.loading import load_plans
from tests.bench.hops import Sizes
from tests.bench.meter import Meter
from tests.bench.report import BenchRow
from tests.conftest import ROOT
from tests.harness.bench import BenchServers, pid_of
from tests.harness.browser import CHROMIUM, run_errand
from tests.harness.processes import Process

PLAN = "shaoxing-2023-2025"
MOST_MS = 50.0
_VISIT_MS = 1500
_AIM = 1000
_CLIENTS = 32
_SERVICE = "projection"
_QUESTIONS = {
    "progress": "progress",
    "progress of a district": "progress?district=330681",
    "months": "indicators/4.1.b/months?period=2025",
    "months of a level": "indicators/1.1.e/months",
    "districts": "indicators/4.1.b/districts",
    "behind": "behind",
    "outlook": "outlook",
    "measures": "measures",
    "progress as known a day ago": "progress?known_at={known_at}",
}


def measure_questions(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Ask each question of a ledger of so many facts, all districts and lines of the plan, a thousand days."""
    dashboard.build(lambda _: None)
    with servers.system() as system, asyncio.Runner() as runner:
        api = system.process(_SERVICE, "api")
        dsn = system.databases[_SERVICE].dsn
        number = runner.run(_fill(dsn, sizes.large_log))
        servers.flush()
        api.start()
        pids = {"read api": pid_of(api), **servers.parts}
        connection = runner.run(asyncpg.connect(dsn))
        moved = of_generation(number, "tests.bench", "numbers.sql")["moved"]

        def move() -> None:
            runner.run(connection.execute(moved))

        rows = [_ask(api, move, name, path, sizes, pids) for name, path in _QUESTIONS.items()]
        rows.append(_visit(api, move, sizes, pids))
        runner.run(connection.close())
        path = f"/v1/plans/{PLAN}/progress?as_of=2025-09-15"
        cached = BenchRow(
            "10 /progress from what is kept", "requests", aim=None, note=f"{_CLIENTS} clients; aim {_AIM:,}/s"
        )
        options = {"get": path, "clients": _CLIENTS, "count": sizes.questions * 2, "port": api.port, "pids": pids}
        cached.ours = [servers.run("load", options) for _ in range(sizes.rounds)]
        cached.note += " ✓" if cached.rate() >= _AIM else " ✗"
        return [*rows, cached]


def _ask(api: Process, move: Callable[[], None], name: str, path: str, sizes: Sizes, pids: dict[str, int]) -> BenchRow:
    """Ask one question at a time, each after the ledger has moved; the limit is on the 95th percentile."""
    path = path.format(known_at="2025-10-11T00:00:00Z")
    url = f"/v1/plans/{PLAN}/{path}{'&' if '?' in path else '?'}as_of=2025-09-15"
    row = BenchRow(f"10 {name}, after a batch", "requests", aim=None)
    times = []
    meter = Meter(pids)
    for _ in range(max(1, sizes.questions // 30)):
        move()
        began = time.perf_counter()
        answer = api.http.get(url)
        times.append((time.perf_counter() - began) * 1000)
        if answer.is_error:
            raise RuntimeError(answer.text)
    row.ours.append(meter.section(len(times)))
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    row.note = (
        f"{sizes.large_log:,} facts: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms"
        f" {'✓' if p95 < MOST_MS else '✗'} (limit {MOST_MS:.0f})"
    )
    return row


def _visit(api: Process, move: Callable[[], None], sizes: Sizes, pids: dict[str, int]) -> BenchRow:
    """Open the overview in a browser that knows nothing yet, after the ledger has moved."""
    row = BenchRow("11 overview in a browser", "visits", aim=None)
    if CHROMIUM is None:
        row.note = "not measured: no Chromium"
        return row
    meter = Meter(pids)
    times = []
    for _ in range(sizes.visits):
        move()
        times.append(run_errand("visit", base=api.url, plan=PLAN, as_of="2025-09-15")["ms"])
    row.ours.append(meter.section(len(times)))
    row.note = (
        f"{sizes.large_log:,} facts: p50 {statistics.median(times):.0f} ms, most {max(times):.0f} ms"
        f" {'✓' if statistics.median(times) < _VISIT_MS else '✗'} (limit {_VISIT_MS})"
    )
    return row


async def _fill(dsn: str, facts: int) -> int:
    compiled = CompiledPlans(load_plans(ROOT / "plans"))
    lines = [line for line in compiled.lines if line.plan == PLAN]
    annual = {id_ for id_, (_, indicator) in compiled.plans[PLAN].indicators.items() if indicator.basis == "annual"}
    # A coverage is one line with both parts.
    parts = [(line, part) for line in lines for part in (Part if line.shape is LineShape.COVERAGE else (line.part,))]
    async with writers.connected(dsn, "skillplan bench") as connection:
        number = await generations.create(connection, compiled)
        sql = of_generation(number, "tests.bench", "numbers.sql")
        await connection.execute("set synchronous_commit = off")
        await connection.execute(
            sql["contributions"],
            facts,
            [line.number for line, _ in parts],
            [line.indicator in annual for line, _ in parts],
            [int(part) for _, part in parts],
            sorted(compiled.plans[PLAN].district_codes),
            timeout=300,
        )
        await connection.execute("set enable_hashjoin = on")
        await connection.execute(sql["cells"], timeout=300)
        await connection.execute(sql["monthly"], 12 * len(compiled.plans[PLAN].years), timeout=300)
        await connection.execute(sql["checkpoint"], facts)
        for table in ("contribution", "cell", "monthly"):
            await connection.execute(f"vacuum analyze numbers.g{number}_{table}", timeout=300)
        await generations.switch(connection, number)
    return number
