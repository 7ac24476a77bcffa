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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from tests.conftest import ROOT
from tests.faults.clock import Clock
from tests.faults.flood import half_open_flood, plan_bomb, slow_readers
from tests.faults.upgrade import oldest_release, rolling_upgrade
from tests.harness.faults import FaultInstallation, Server
from tests.harness.processes import Process, System, eventually, run
from tests.harness.processes import _fetch as fetch
from tests.harness.reports import Report, certificate_issued, person_hired, subsidy_claimed
from tests.harness.topics import check_log, last_receipts
from tests.harness.traffic import flowing

PATIENCE = 180.0
LONGEST_PAUSE = 15.0  # of three hosts, seconds
STARTING = "starting"  # what a part says that never said anything yet
_SUPERVISOR_SECONDS = 5.0  # between two starts of a server that ends again and again


@dataclass(frozen=True)
class Fault:
    """A fault: a block that lasts the given time, and returns a note for the report where there is one."""

    zh: str
    en: str
    done: Callable[..., str]  # with what it is done to, and for how long
    names: str = ""  # what `/readyz` of some process has to name meanwhile, as an expression; empty: nothing
    services: tuple[str, ...] = ("recruitment",)
    own_disks: bool = False
    held: float = 60.0  # seconds
    code_in: Callable[[Path], Path] | None = None  # puts older code into a folder, which runs at first
    hosts: bool = False  # done to three hosts


@dataclass
class FaultRow:
    """What became of the reports that were sent meanwhile."""

    fault: Fault
    seconds: float
    sent: int
    rate: float = 0.0  # reports a second, from the first that was sent to the last that was taken
    accepted: int = 0
    lost: int = 0
    twice: int = 0
    recount: int = 0
    lag_gone: float = 0.0
    pause: float = 0.0  # the longest time in which nothing was recorded, where it is bounded
    ready_said: set[tuple[str, str, str]] = field(default_factory=set)  # process, part, why
    note: str = ""
    failed: str = ""

    @property
    def unnamed(self) -> bool:
        """Return whether `/readyz` never named what it had to."""
        named = (line for line in self.ready_said if line[2] != STARTING)  # who starts does not know the cause
        text = "\n".join(" ".join(line) for line in named)
        return re.search(self.fault.names, text) is None

    @property
    def wrong(self) -> str:
        """Say what is not as it has to be; nothing when all is."""
        counts = {
            "丢失 lost": self.lost,
            "重复 twice": self.twice,
            "重算有差 recount differs": self.recount,
            "未接受 not accepted": self.sent - self.accepted,
        }
        if self.failed:
            return self.failed
        problems = [f"{name} {count}" for name, count in counts.items() if count]
        if self.pause > LONGEST_PAUSE:
            problems.append(f"停顿 paused {self.pause:.1f} s")
        if self.unnamed:
            problems.append("/readyz 未说明原因 never named the cause")
        return "; ".join(problems)


def _away(which: str, number: signal.Signals) -> Callable[[FaultInstallation, float], str]:
    def stop(own: FaultInstallation, held: float) -> str:
        server = _server(own, which)
        server.stop(number)
        time.sleep(held)
        server.start()
        return ""

    return stop


def _server(own: FaultInstallation, which: str) -> Server:
    return own.broker if which == "broker" else own.database


def _cut(own: FaultInstallation, held: float) -> str:
    """End every connection of the database, again and again."""
    sql = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename <> 'postgres' and backend_type = 'client backend'"
    )
    end, cut = time.monotonic() + held, 0
    while time.monotonic() < end:
        cut += len(run(fetch(own.system.superuser, sql)))
        time.sleep(0.5)
    assert cut, "no connection was there: nothing was tried"
    return f"{cut} 个连接 connections"


def _late(own: FaultInstallation, held: float) -> str:
    for network in (own.to_broker, own.to_database):
        network.latency = 0.1
    time.sleep(held)
    for network in (own.to_broker, own.to_database):
        network.latency = 0.0
    return ""


def _reset(own: FaultInstallation, held: float) -> str:
    end, cut = time.monotonic() + held, 0
    while time.monotonic() < end:
        cut += own.to_broker.reset() + own.to_database.reset()
        time.sleep(0.5)
    assert cut, "no connection was there: nothing was tried"
    return f"{cut} 个连接 connections"


def _half_open(own: FaultInstallation, held: float) -> str:
    """Connections stand and nothing gets through; then they turn out to be dead."""
    for network in (own.to_broker, own.to_database):
        network.silent = True
    time.sleep(held)
    for network in (own.to_broker, own.to_database):
        network.reset()
        network.silent = False
    return ""


def _full(
    which: str, press: Callable[[FaultInstallation], None] = lambda own: None
) -> Callable[[FaultInstallation, float], str]:
    """Fill a server's disk until nothing more can be written, and keep it so; then make room.

    `press`: what makes the server need room that it has put by; it is done from half of the time on. The server may
    end of it; it is started again and again, as its supervisor does, and once more when there is room.
    """

    def fill(own: FaultInstallation, held: float) -> str:
        server = _server(own, which)
        read, ended = len(server.log.read_bytes()), 0

        def running() -> int:
            nonlocal ended
            if not server.alive:
                ended += 1
                server.begin()
            assert server.child is not None
            return server.child.pid

        def refused() -> int:
            return server.disk.refused(server.log.read_bytes()[read:].decode(errors="replace"))

        began = again = time.monotonic()
        pid = running()
        # A busy machine may take longer to need room.
        while (now := time.monotonic()) < began + held or (not refused() and now < began + held + PATIENCE):
            server.disk.fill(pid)
            if now > began + held / 2:
                press(own)
            if now > again:
                pid, again = running(), now + _SUPERVISOR_SECONDS
            time.sleep(0.2)
        server.disk.free(pid)
        assert refused(), "nothing was refused: nothing was tried"
        eventually(lambda: running() and server.answers(), PATIENCE, pause=1)
        return f"{server.disk.how}; 拒绝 refused {refused()}×, 服务器结束 server ended {ended}×"

    return fill


def _next_wal(own: FaultInstallation) -> None:
    """Let the database begin another file of its write-ahead log, for which there is no room."""
    with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        run(fetch(own.system.superuser, "select pg_switch_wal()"))


def _kills(*which: tuple[str, str]) -> Callable[[FaultInstallation, float], str]:
    """Kill processes at random moments, each so often that it is twenty times in a minute."""

    def kill(own: FaultInstallation, held: float) -> str:
        def often(service: str, command: str) -> str:
            process = own.system.the(service, command)
            chance = random.Random(f"{service} {command}")  # noqa: S311 - the same moments each time
            times, at_work = max(2, round(held / 3)), 0
            pauses = [chance.uniform(0.5, 2) for _ in range(times)]
            moments = [began + held * sum(pauses[: at + 1]) / sum(pauses) for at in range(times)]
            for at, moment in enumerate(moments):
                time.sleep(max(0.0, moment - time.monotonic()))
                eventually(lambda: process.alive, PATIENCE)
                if at % 2 == 0:  # half of them not before it is at work, however slow the machine is
                    process.wait_ready(PATIENCE)
                    time.sleep(chance.uniform(0, 0.5))
                child = process.child
                assert child is not None
                with contextlib.suppress(httpx.HTTPError):
                    at_work += not process.problems()
                child.send_signal(signal.SIGKILL)
                assert child.wait(30) == -signal.SIGKILL, f"{command} ended by itself: it was not killed"
            assert at_work >= times // 2, f"{command} was hardly ever at work when it was killed"
            return f"{service} {command}: {times} 次 kills, {at_work} 次正常工作时 while well"

        began = time.monotonic()
        with ThreadPoolExecutor(len(which)) as apart:
            return "; ".join(apart.map(lambda process: often(*process), which))

    return kill


def _clocks(which: str) -> Callable[[FaultInstallation, float], str]:
    """Let clocks jump an hour ahead, an hour behind and back again; before and after, the processes start anew."""

    def jump(own: FaultInstallation, held: float) -> str:
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
        return ""

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


_SUBSIDY: Final = ("competition", "subsidy")
# What a district reports, by the service that it goes to; a claim rests on the certificate of the same name.
_REPORT: Final[dict[str, Callable[[str], Report]]] = {
    "recruitment": person_hired,
    "competition": certificate_issued,
    "subsidy": subsidy_claimed,
}
# Of the services that decide, recruitment stands for all: they are one program with other rules. Subsidy hears besides.
FAULTS: Final = (
    Fault("Kafka 有序停止", "broker stopped", _away("broker", signal.SIGTERM), "kafka"),
    Fault("Kafka 被杀", "broker killed", _away("broker", signal.SIGKILL), "kafka"),
    Fault("Kafka 磁盘写满", "broker's disk full", _full("broker"), "kafka", own_disks=True),
    Fault("PostgreSQL 有序停止", "database stopped", _away("database", signal.SIGINT), "database"),
    Fault("PostgreSQL 被杀", "database killed", _away("database", signal.SIGKILL), "database"),
    Fault(
        "PostgreSQL 磁盘写满", "database's disk full", _full("database", _next_wal),
        "recruitment api decisions database: records nothing", own_disks=True,
    ),
    Fault("数据库连接被切断", "connections cut", _cut, held=20),
    Fault("网络迟缓(每向 100 毫秒)", "late network", _late, held=20),
    Fault("连接被重置", "reset connections", _reset, held=20),
    Fault("半开连接", "half-open connections", _half_open, "kafka|database", held=20),
    Fault("HTTP 进程被杀", "api killed", _kills(("recruitment", "api")), "recruitment api .*no answer"),
    Fault("worker 被杀", "worker killed", _kills(("recruitment", "worker")), "recruitment worker .*no answer"),
    Fault(
        "投影的两个进程被杀", "projection killed",
        _kills(("projection", "projector"), ("projection", "api")), "projection projector .*no answer",
    ),
    Fault(
        "听取他人事实的服务的两个进程被杀", "hearing service killed",
        _kills(("subsidy", "worker"), ("subsidy", "api")), "subsidy worker .*no answer", _SUBSIDY,
    ),
    Fault("只问不读的人", "slow readers", slow_readers, held=20),
    Fault("只发半个请求的洪水", "half-open flood", half_open_flood, held=20),
    Fault("计划文件炸弹", "plan bomb", plan_bomb, held=20),
    Fault(
        "新旧版本并行、逐个换上", "rolling upgrade", rolling_upgrade, services=("recruitment",), code_in=oldest_release
    ),
    Fault("数据库时钟前后跳一小时", "database clock jumps", _clocks("database"), held=20),
    Fault("领域服务时钟前后跳一小时", "service clock jumps", _clocks("services"), held=20),
    Fault("投影器时钟前后跳一小时", "projector clock jumps", _clocks("projector"), held=20),
)  # fmt: skip


def suffer(own: FaultInstallation, fault: Fault, reports: int, seconds: float, held: float) -> FaultRow:
    """Send reports by both doors while the fault holds; return what became of them."""
    mark, each = f"{re.sub('[^a-z]', '-', fault.en)}-{time.monotonic_ns()}", reports // len(own.services)
    sent = {service: [_REPORT[service](f"{mark}-{n}") for n in range(each)] for service in own.services}
    row = FaultRow(fault, held, each * len(sent))
    with contextlib.ExitStack() as watched:
        for process in own.processes:
            watched.enter_context(process.watched())
        with contextlib.ExitStack() as meanwhile:
            meanwhile.enter_context(_listening(own, row.ready_said))
            flows = [
                meanwhile.enter_context(
                    flowing(partial(_door, own, service), own.system.kafka, some[::2], some[1::2], seconds, PATIENCE)
                )
                for service, some in sent.items()
            ]
            time.sleep(min(1.0, seconds / 4))
            row.note = fault.done(own, held)
        row.rate = row.sent / max(flow.took for flow in flows)
        over = time.monotonic()
        for service, some in sent.items():
            eventually(lambda service=service, some=some: own.decided(some, service), PATIENCE)  # type: ignore[misc]
        eventually(own.all_counted, PATIENCE)
        for process in own.processes:
            process.wait_ready(PATIENCE)
        row.lag_gone = time.monotonic() - over
    for service, some in sent.items():
        # A claim that is granted is two facts of one report.
        facts = Counter((f["type"], f["reportsource"], f["reportid"]) for f in check_log(own.system, service))
        ours = {(report["source"], report["id"]) for report in some}
        row.lost += sum(not facts[report["type"], report["source"], report["id"]] for report in some)
        row.twice += sum(count > 1 for (_, source, id_), count in facts.items() if (source, id_) in ours)
    row.accepted = accepted(own.system, [report for some in sent.values() for report in some])
    row.recount = _recount(own)
    return row


def _door(own: FaultInstallation, service: str) -> str:
    return own.system.the(service, "api").url


def accepted(system: System, sent: list[Report]) -> int:
    """Count the reports whose last receipt, as the projection and districts read it, accepts them."""
    receipts = last_receipts(system, {report["district"] for report in sent})
    return sum(receipts[report["source"], report["id"]]["status"] == "accepted" for report in sent)


def _recount(own: FaultInstallation) -> int:
    """Let the projection recount its ledger; 0 when it is equal."""
    done = subprocess.run(
        [sys.executable, "-m", "services.projection", "recount"],
        cwd=ROOT, env={**os.environ, **own.projector.settings}, capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode


def _plain(why: str) -> str:
    """Leave out what differs from one time to the next, and the names of the errors that clients met."""
    why = re.sub(r"127\.0\.0\.1:\d+ ", "", re.sub(r"\d+ (s|facts)\b", r"… \1", why))
    return re.sub(r"(not available|database|kafka): [A-Z][A-Za-z]+$", r"\1", why)


@contextlib.contextmanager
def _listening(own: FaultInstallation, seen: set[tuple[str, str, str]]) -> Iterator[None]:
    """Gather what `/readyz` of every process says meanwhile."""
    stop = threading.Event()

    def listen() -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not stop.wait(0.5):
                for process in own.processes:
                    try:
                        problems = client.get(f"{process.url}/readyz").json()["problems"]
                    except (httpx.HTTPError, ValueError):
                        problems = {"": "无应答 no answer"}
                    process_name = f"{process.service} {process.command}"
                    seen.update((process_name, part, _plain(why)) for part, why in problems.items())

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        yield
    finally:
        stop.set()
        listening.join(30)
