"""The faults, what is asked of each, and the road that reports take through them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deploy.local import postgres
from tests.conftest import ROOT
from tests.faults.clock import Clock
from tests.faults.ground import Own, Server
from tests.integration.flow import flowing
from tests.integration.processes import Process, eventually, run
from tests.integration.processes import _fetch as fetch
from tests.integration.reports import Report, person_hired
from tests.integration.road import check_log, last_receipts

PATIENCE = 180.0


@dataclass(frozen=True)
class Fault:
    """What is done: a block that lasts as long as it is told."""

    zh: str
    en: str
    done: Callable[[Own, float], None]


@dataclass
class Row:
    """What became of the reports that were sent meanwhile."""

    fault: Fault
    seconds: float
    sent: int
    accepted: int
    lost: int
    twice: int
    recount: int
    lag_gone: float
    ready_said: set[str] = field(default_factory=set)


def _broker(number: signal.Signals) -> Callable[[Own, float], None]:
    def stop(own: Own, held: float) -> None:
        own.broker.stop(number)
        time.sleep(held)
        own.broker.start()

    return stop


def _database(number: signal.Signals) -> Callable[[Own, float], None]:
    def stop(own: Own, held: float) -> None:
        own.database.stop(number)
        time.sleep(held)
        own.database.start()

    return stop


def _cut(own: Own, held: float) -> None:
    """End every connection of the database, again and again."""
    sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename in ('recruitment', 'projection')"
    end = time.monotonic() + held
    while time.monotonic() < end:
        run(fetch(own.system.superuser, sql))
        time.sleep(0.5)


def _late(own: Own, held: float) -> None:
    for network in (own.to_broker, own.to_database):
        network.latency = 0.1
    time.sleep(held)
    for network in (own.to_broker, own.to_database):
        network.latency = 0.0


def _reset(own: Own, held: float) -> None:
    end = time.monotonic() + held
    while time.monotonic() < end:
        own.to_broker.reset()
        own.to_database.reset()
        time.sleep(0.5)


def _half_open(own: Own, held: float) -> None:
    """Connections stand and nothing gets through; then they turn out to be dead."""
    for network in (own.to_broker, own.to_database):
        network.silent = True
    time.sleep(held)
    for network in (own.to_broker, own.to_database):
        network.reset()
        network.silent = False


def _full_disk(own: Own, held: float) -> None:
    """Let the database write nothing more: the kernel refuses each write past a limit, as it does on a full disk.

    A small file system of its own would need a mount. The server ends when it cannot write its log; it is started
    again as its supervisor does.
    """
    end = time.monotonic() + held
    refused = 0
    while time.monotonic() < end:
        assert own.database.child is not None
        if own.database.child.poll() is None:
            refused += _limit(own.database.child.pid, "0")  # connections made meanwhile are new processes
        time.sleep(0.2)
    assert refused, "the limit could not be set: nothing was tried"
    if own.database.child is not None and own.database.child.poll() is None:
        _limit(own.database.child.pid, "unlimited")
        time.sleep(1)
    if own.database.child is None or own.database.child.poll() is not None:
        own.database.start()


def _limit(server: int, size: str) -> int:
    """Bound what the server and its backends may write, as the user that runs it; return how many were bounded."""
    user = postgres._unprivileged()
    try:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    except OSError:
        return 0
    done = [
        subprocess.run(
            postgres._as_user(user, ["prlimit", f"--fsize={size}:", f"--pid={pid}"]), capture_output=True, check=False
        ).returncode
        for pid in (str(server), *children)
    ]
    return done.count(0)


def _kills(which: str) -> Callable[[Own, float], None]:
    def kill(own: Own, held: float) -> None:
        process = {"api": own.api, "worker": own.worker, "projector": own.projector}[which]
        chance = random.Random(which)  # noqa: S311 - the same moments each time
        times = max(2, int(held / 3))
        for _ in range(times):
            time.sleep(chance.uniform(0.5, 2) * held / times / 1.25)
            if process.child is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.child.send_signal(signal.SIGKILL)

    return kill


def _clocks(which: str) -> Callable[[Own, float], None]:
    """Let clocks jump an hour ahead, an hour behind and back again; before and after, the processes start anew."""

    def jump(own: Own, held: float) -> None:
        clock = Clock(Path(tempfile.mkdtemp(dir=own.folder)))
        parts: dict[str, list[Process | Server]] = {
            "database": [own.database],
            "projector": [own.projector],
            "services": [own.api, own.worker],
        }
        wrong = parts[which]
        usual = [part.settings for part in wrong]
        for part in wrong:
            part.settings = {**part.settings, **clock.settings}
            _anew(part)
        for hours in (1, -1, 0, -1, 1):
            clock.set(hours * 3600)
            time.sleep(held / 5)
            if which == "database":
                ahead = run(fetch(own.system.superuser, "select clock_timestamp() as now"))[0]["now"].timestamp()
                assert abs(ahead - time.time() - hours * 3600) < 60, "the clock did not jump: nothing was tried"
        for part, settings in zip(wrong, usual, strict=True):
            part.settings = settings
            _anew(part)

    return jump


def _anew(part: Process | Server) -> None:
    """Let it end in order and start again; who watches a process starts it."""
    if isinstance(part, Server):
        part.stop()
        part.start()
        return
    before = part.child
    assert before is not None
    before.send_signal(signal.SIGTERM)
    eventually(lambda: part.child is not before, PATIENCE)
    part.wait_ready(PATIENCE)
    assert part.child is not None
    loaded = "libfaketime" in Path(f"/proc/{part.child.pid}/maps").read_text()
    assert loaded == ("LD_PRELOAD" in part.settings), "its clock is not ours: nothing was tried"


FAULTS = (
    Fault("Kafka 有序停止", "broker stopped", _broker(signal.SIGTERM)),
    Fault("Kafka 被杀", "broker killed", _broker(signal.SIGKILL)),
    Fault("PostgreSQL 有序停止", "database stopped", _database(signal.SIGINT)),
    Fault("PostgreSQL 被杀", "database killed", _database(signal.SIGKILL)),
    Fault("数据库连接被切断", "connections cut", _cut),
    Fault("数据库磁盘写满", "full disk", _full_disk),
    Fault("网络迟缓(每向 100 毫秒)", "late network", _late),
    Fault("连接被重置", "reset connections", _reset),
    Fault("半开连接", "half-open connections", _half_open),
    Fault("HTTP 进程被杀", "api killed", _kills("api")),
    Fault("worker 被杀", "worker killed", _kills("worker")),
    Fault("投影器被杀", "projector killed", _kills("projector")),
    Fault("数据库时钟前后跳一小时", "database clock jumps", _clocks("database")),
    Fault("领域服务时钟前后跳一小时", "service clock jumps", _clocks("services")),
    Fault("投影器时钟前后跳一小时", "projector clock jumps", _clocks("projector")),
)


def suffer(own: Own, fault: Fault, reports: int, seconds: float, held: float) -> Row:
    """Send reports by both doors while the fault holds; return what became of them."""
    mark = f"{fault.en.replace(' ', '-')}-{time.monotonic_ns()}"
    sent = [person_hired(f"{mark}-{n}") for n in range(reports)]
    said: set[str] = set()
    with contextlib.ExitStack() as watched:
        for process in own.processes:
            watched.enter_context(process.watched())
        with _listening(own, said), flowing(own.api.url, own.system.kafka, sent[::2], sent[1::2], seconds, PATIENCE):
            time.sleep(min(1.0, seconds / 4))
            fault.done(own, held)
        over = time.monotonic()
        eventually(lambda: own.decided(sent), PATIENCE)
        eventually(own.all_counted, PATIENCE)
        for process in own.processes:
            process.wait_ready(PATIENCE)
        lag_gone = time.monotonic() - over
    made = Counter((fact["reportsource"], fact["reportid"]) for fact in check_log(own.system, "recruitment"))
    return Row(
        fault, held, len(sent), _accepted(own, sent),
        sum(not made[report["source"], report["id"]] for report in sent),
        sum(made[report["source"], report["id"]] > 1 for report in sent),
        _recount(own), lag_gone, said,
    )  # fmt: skip


def _accepted(own: Own, sent: list[Report]) -> int:
    told = last_receipts(own.system, {report["district"] for report in sent})
    return sum(told[report["source"], report["id"]]["status"] == "accepted" for report in sent)


def _recount(own: Own) -> int:
    """Let the projection recount its ledger; 0 when it is equal."""
    done = subprocess.run(
        [sys.executable, "-m", "services.projection", "recount"],
        cwd=ROOT, env={**os.environ, **own.projector.settings}, capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode


def _short(text: str) -> str:
    """Leave out what differs from one time to the next."""
    return re.sub(r"\d+ s\b", "… s", re.sub(r"127\.0\.0\.1:\d+", "kafka", text))[:60]


@contextlib.contextmanager
def _listening(own: Own, said: set[str]) -> Iterator[None]:
    """Gather what `/readyz` of every process says meanwhile."""
    stop = threading.Event()

    def listen() -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not stop.wait(0.5):
                for process in own.processes:
                    try:
                        problems = client.get(f"{process.url}/readyz").json()["problems"]
                    except (httpx.HTTPError, ValueError):
                        problems = {"-": "no answer"}
                    said.update(f"{process.command}: {part}: {_short(text)}" for part, text in problems.items())

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        yield
    finally:
        stop.set()
        listening.join(30)
