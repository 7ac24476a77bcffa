"""How long the questions of a page wait while a new generation is counted beside the one that is read (issue 19.5)."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

from deploy.local.installation import ROOT
from tests.bench.hops import Sizes
from tests.bench.long_logs import send_made_facts
from tests.bench.meter import Meter
from tests.bench.read_side import rebuild
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.plan_office import PLAN
from tests.harness.ports import any_free
from tests.harness.processes import Process

_SERVICE = "projection"
_BASE = f"/v1/plans/{PLAN.id}"
# What the overview and an indicator's page ask for.
_PAGE = (
    "progress", "behind", "outlook", "measures", "progress?district=330681", "indicators/4.1.b/months?period=2025",
    "indicators/4.1.b/districts",
)  # fmt: skip
_EVERY = 0.05  # seconds between two questions
_ALONE = 400  # questions a round
_DAYS = 1000  # each question is of another day, which nothing that is kept answers
_LONGER = 1.2
_REPORT_SECONDS = 60
_CHANGED = ("where: {channel: gold-blue-collar}", "where: {channel: school-enterprise}")


def measure_beside(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Ask for a page at a steady rate, in turns alone and while a generation is counted, at each length of the log."""
    return [_measure(servers, facts, sizes) for facts in sizes.lengths]


def _measure(servers: BenchServers, facts: int, sizes: Sizes) -> BenchRow:
    row = BenchRow(f"18 a page's questions beside a rebuild of {facts:,} facts", "requests", aim=None)
    with servers.system() as system:
        send_made_facts(servers, facts, 0)
        projector = system.process(_SERVICE, "projector")  # for its settings: it is not started
        rebuild(projector)
        api = system.process(_SERVICE, "api").start()
        pids = {"read api": pid_of(api), **servers.parts}
        questions = _questions()
        changed = servers.folder / f"plans-{facts}"
        _change(Path(projector.settings["SKILLPLAN_PLANS"]), changed)
        alone: list[float] = []
        beside: list[float] = []
        seconds: list[float] = []
        _ask(api, questions, lambda waits: len(waits) >= len(_PAGE))
        for _ in range(sizes.rounds):
            servers.flush()
            alone += _ask(api, questions, lambda waits: len(waits) >= min(sizes.questions, _ALONE))
            meter, began, before = Meter(pids), time.perf_counter(), _of_children()
            building = _build(projector, changed)
            waits = _ask(api, questions, lambda _: building.poll() is not None)  # noqa: B023 - called at once
            seconds.append(time.perf_counter() - began)
            section = meter.section(len(waits))
            beside += waits
            if building.wait():
                raise RuntimeError(f"beside ended with {building.returncode}")
            section.cpu["build"] = _of_children() - before
            row.ours.append(section)
    ratio = _p95(beside) / _p95(alone)
    row.note = (
        f"p50 alone {statistics.median(alone):.1f} ms, beside {statistics.median(beside):.1f};"
        f" p95 {_p95(alone):.1f}, {_p95(beside):.1f}: {ratio:.2f} {'✓' if ratio <= _LONGER else '✗'} (limit {_LONGER});"
        f" {len(alone)} and {len(beside)} questions; report after {statistics.median(seconds):.1f} s"
        f" {'✓' if max(seconds) <= _REPORT_SECONDS else '✗'} (limit {_REPORT_SECONDS}), of processor"
        f" {statistics.median(section.cpu['build'] for section in row.ours):.1f} s besides PostgreSQL's"
    )
    return row


def _change(plans: Path, changed: Path) -> None:
    """Copy plans so that every hire of the log counts no longer: the most that can differ."""
    shutil.copytree(plans, changed)
    file = changed / f"{PLAN.id}.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(*_CHANGED), encoding="utf-8")


def _build(projector: Process, plans: Path) -> subprocess.Popen[bytes]:
    settings = projector.settings | {"SKILLPLAN_PORT": str(any_free(1)[0]), "SKILLPLAN_PLANS": str(plans)}
    return subprocess.Popen(
        [sys.executable, "-m", f"services.{_SERVICE}", "beside"],
        cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _of_children() -> float:
    """Return the processor time of the commands that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _questions() -> Iterator[str]:
    """Yield addresses of a page's questions, each of a day of its own."""
    for day in itertools.cycle(range(_DAYS)):
        as_of = date(2023, 1, 1) + timedelta(days=day)
        for path in _PAGE:
            yield f"{_BASE}/{path}{'&' if '?' in path else '?'}as_of={as_of}"


def _ask(api: Process, questions: Iterator[str], is_enough: Callable[[list[float]], bool]) -> list[float]:
    """Ask one question after another at a steady rate until it is enough; return how many ms each waited."""
    waits: list[float] = []
    due = time.perf_counter()
    while not is_enough(waits):
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        api.http.get(next(questions)).raise_for_status()
        waits.append((time.perf_counter() - began) * 1000)
        due = max(due + _EVERY, began)
    return waits


def _p95(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.95)]
