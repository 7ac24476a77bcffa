"""Runs the real processes of services on fresh databases and fresh topics, so that a test can drive and kill them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
import httpx

from deploy.kafka import topics as deploy_topics
from deploy.local import databases
from deploy.local.children import dies_with_parent
from deploy.local.databases import Database, Passwords
from deploy.local.ports import HOST
from services.catalogue import DOMAIN_SERVICES, WITH_DATABASE
from shared.log.migrate import migrate
from shared.plan.districts import district_codes
from tests.conftest import ROOT
from tests.harness.fork_server import Child, fork_server
from tests.harness.ports import any_free

# Of each test run its own, so that nothing written down can open what another run sealed.
CITY_KEY: Final = secrets.token_hex(32)
SERVICE_KEY: Final = secrets.token_hex(32)
LOG_KEY: Final = secrets.token_hex(32)
FIGURES_KEY: Final = secrets.token_hex(32)
DISTRICTS: Final = district_codes(ROOT / "plans")
# The bench and the fault table start processes as everybody does.
_IN_TEST: Final = "PYTEST_VERSION" in os.environ
# To the kernel a child's parent is the thread that started it, so one that stays starts them all.
_STARTER: Final = ThreadPoolExecutor(1)
T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, also where a loop runs already."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, work).result()


def eventually(ask: Callable[[], T], within: float = 60.0, pause: float = 0.05) -> T:
    """Return the first answer that is true; fail with the last one when none came in time."""
    end = time.monotonic() + within
    while True:
        try:
            answer = ask()
        except (httpx.HTTPError, OSError) as error:
            answer, last = None, repr(error)
        else:
            last = repr(answer)
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s; last: {last}")
        time.sleep(pause)


@dataclass
class Process:
    """One process of a service, with what it said so far."""

    service: str
    command: str
    port: int
    settings: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | Child | None = None
    ends: list[int] = field(default_factory=list)  # exit codes, while it is watched
    code: Path = ROOT  # the tree that it runs
    constants: dict[str, float] = field(default_factory=dict)  # of the code, that are others here
    _watched: threading.Event | None = None

    def __post_init__(self) -> None:
        # One client a process: making one costs more than what it is asked.
        self.http = httpx.Client(base_url=self.url, timeout=20, verify=False)  # noqa: S501 - there is no TLS here

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, wait: bool = True) -> Process:
        own = "LD_PRELOAD" in self.settings or self.code != ROOT  # not what this process has imported
        self.child = self._exec() if own or not _IN_TEST else self._fork()
        if wait:
            self.wait_ready()
        return self

    def _fork(self) -> Child:
        environment = {**os.environ, **self.settings}
        module, arguments = f"services.{self.service}", [self.command]
        return fork_server().start(module, arguments, environment, self.log, constants=self.constants)

    def _exec(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return _STARTER.submit(
                subprocess.Popen[bytes],
                dies_with_parent([sys.executable, "-m", f"services.{self.service}", self.command]),
                cwd=self.code,
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            ).result()

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def problems(self) -> dict[str, str]:
        """Return what `/readyz` complains of; nothing when all is well."""
        response = self.http.get("/readyz")
        problems: dict[str, str] = response.json()["problems"]
        assert (response.status_code == 200) == (not problems)
        return problems

    def wait_ready(self, within: float = 60.0) -> None:
        def ready() -> bool:
            assert self._watched or self.alive, f"{self.service} {self.command} ended: {self.text()[-3000:]}"
            return not self.problems()

        eventually(ready, within)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.child is not None
        self.child.send_signal(number)
        return self.child.wait(30)

    def stop(self) -> int:
        """End it in order: after one that is killed the next waits for ten seconds, until the broker has missed it."""
        return self.kill(signal.SIGTERM)

    def retire(self) -> int:
        """End it in order for good, whoever watches it; returns the exit code."""
        if self._watched is not None:
            self._watched.set()
        return self.kill(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal that does not end it, such as SIGSTOP."""
        assert self.child is not None
        self.child.send_signal(number)

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Start it again whenever it ends, as a supervisor does; yields the exit codes so far."""
        stop = self._watched = threading.Event()
        self.ends = []  # those of an earlier watch are no business of this one

        def watch() -> None:
            while not stop.wait(0.2):
                if self.child is not None and (code := self.child.poll()) is not None:
                    self.ends.append(code)
                    self.start(wait=False)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield self.ends
        finally:
            stop.set()
            watching.join()
            self._watched = None

    @property
    def peak_mb(self) -> int:
        """The most memory it has had, in MB."""
        assert self.child is not None
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class System:
    """The processes of a test and where they find things."""

    kafka: str
    folder: Path
    new_database: Callable[[str], Database]
    superuser: str = ""
    databases: dict[str, Database] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    code: Path = ROOT  # the tree that the next processes run
    constants: dict[str, float] = field(default_factory=dict)  # of the code, that are others in the next processes

    def process(self, service: str, command: str, **settings: str) -> Process:
        if service not in self.databases and service in WITH_DATABASE:
            self.databases[service] = self.new_database(service)
        port = any_free(1)[0]
        known = {
            name: value
            for name, value in {
                "SKILLPLAN_PG_DSN": self.databases[service].dsn if service in WITH_DATABASE else "",
                "SKILLPLAN_KAFKA": self.kafka,
                "SKILLPLAN_PORT": str(port),
                "SKILLPLAN_CITY_KEY": CITY_KEY,
                "SKILLPLAN_SERVICE_KEY": SERVICE_KEY,
                "SKILLPLAN_LOG_KEY": LOG_KEY,
                "SKILLPLAN_FIGURES_KEY": FIGURES_KEY,
                "SKILLPLAN_PLANS": str(self.code / "plans"),
                **settings,
            }.items()
            if self._knows(name)
        }
        process = Process(
            service,
            command,
            port,
            known,
            self.folder / f"{service}-{command}-{port}.log",
            code=self.code,
            constants=self.constants,
        )
        self.processes.append(process)
        return process

    def _knows(self, setting: str) -> bool:
        """Tell whether the code has a setting of this name: an older one refuses those that came since."""
        field = re.compile(rf"^    {setting.removeprefix('SKILLPLAN_').lower()}: ", re.MULTILINE)
        return self.code == ROOT or any(field.search(file.read_text()) for file in self.code.glob("s*/**/*.py"))

    def start(self, service: str, *commands: str) -> list[Process]:
        """Start processes of a service at once and wait until each is ready."""
        started = [self.process(service, command).start(wait=False) for command in commands]
        for process in started:
            process.wait_ready()
        return started

    def start_services(self, *services: str) -> None:
        """Start both processes of several services at once."""
        for service in services:
            for command in ("api", "worker"):
                self.process(service, command).start(wait=False)
        for process in self.processes:
            process.wait_ready()

    def the(self, service: str, command: str) -> Process:
        """Return the first process of a service with this command."""
        return next(p for p in self.processes if (p.service, p.command) == (service, command))

    def close(self) -> None:
        """Kill whatever is left."""
        for process in self.processes:
            process.http.close()
            if process.child is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.child.kill()
                process.child.wait(10)

    def query(self, service: str, sql: str, *values: object, as_role: bool = False) -> list[asyncpg.Record]:
        """Ask a service's database, as the owner of its tables or as the service's role."""
        database = self.databases[service]
        return run(_fetch(database.dsn if as_role else database.owner_dsn, sql, *values))

    def blocked(self, service: str) -> list[int]:
        """Return the database's own processes that wait for a lock in a service's database."""
        sql = "select pid from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
        return [row["pid"] for row in run(_fetch(self.superuser, sql, self.databases[service].name))]

    def cut_off(self, pids: list[int]) -> None:
        """End connections of the database, as it does by itself once it notices that nobody is there any more."""
        run(_fetch(self.superuser, "select pg_terminate_backend(pid, 5000) from unnest($1::int[]) as pid", pids))

    @contextlib.contextmanager
    def holding(self, service: str, sql: str, as_role: bool = False) -> Iterator[None]:
        """Hold the locks that a statement takes, in a transaction of its own, while the block runs."""
        database = self.databases[service]
        held, release = threading.Event(), threading.Event()

        async def hold() -> None:
            connection = await asyncpg.connect(database.dsn if as_role else database.owner_dsn)
            try:
                async with connection.transaction():
                    await connection.fetch(sql)
                    held.set()
                    while not release.is_set():  # noqa: ASYNC110 - set by another thread
                        await asyncio.sleep(0.01)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as apart:
            holder = apart.submit(asyncio.run, hold())
            try:
                while not held.wait(0.05):
                    assert not holder.done(), holder.exception()
                yield
            finally:
                release.set()
                holder.result()


def own_database(superuser: str, service: str, road: int | None = None, code: Path = ROOT) -> Database:
    """Make a service's database on a server of the test's own; `road`: the port that the service goes through to it.

    `code`: the tree whose migrations it gets.
    """
    passwords = Passwords(secrets.token_hex(12), secrets.token_hex(12))
    run(databases.ensure_roles(superuser, {service: passwords}))
    run(databases.ensure_databases(superuser, [service]))
    owner = databases.address(superuser, f"{service}_owner", passwords.owner, service)
    of_logs = next(folder for folder in ("shared/log/migrations", "shared/migrations") if (code / folder).is_dir())
    migrations = "services/projection/migrations" if service == "projection" else of_logs
    run(migrate(owner, code / migrations, service))
    by_road = superuser if road is None else re.sub(rf"@{HOST}:\d+/", f"@{HOST}:{road}/", superuser)
    return Database(service, service, owner, databases.address(by_road, service, passwords.role, service))


async def _fetch(dsn: str, sql: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql, *values)
    finally:
        await connection.close()


def topics_of(services: Sequence[str]) -> list[deploy_topics.Topic]:
    """List the topics that some services read and write, and everything that the projection reads."""
    return [
        *(deploy_topics.reports(service, district) for service in services for district in DISTRICTS),
        *(topic for topic in deploy_topics.of_the_office() if topic.name.partition(".")[0] in services),
        *map(deploy_topics.events, DOMAIN_SERVICES),
        *map(deploy_topics.receipts, DISTRICTS),
        deploy_topics.quarantine(),
        deploy_topics.sandbox(),
    ]
