"""Servers of a bench: a broker, a database that reaches its disk, and the services' real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from deploy.kafka import topics as deploy_topics
from deploy.local import databases, jars, kafka, postgres
from deploy.local.databases import Database, Passwords
from deploy.local.ports import HOST
from shared.kafka.clients import Broker
from tests.bench.meter import Section, peak_mb
from tests.conftest import ROOT
from tests.harness.broker import delete_topics
from tests.harness.databases import addresses, create, migrate
from tests.harness.ports import any_free
from tests.harness.processes import DISTRICTS, Process, System, run

_PATIENCE = 60.0
# A server as an installation would run it; what is on by default (fsync, full_page_writes) stays on.
_SERVER = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
# The folder for temporary files may be in memory, where reaching the disk costs nothing.
_ON_DISK = next((folder for folder in ("/var/tmp",) if Path(folder).is_dir()), None)  # noqa: S108 - a folder of its own


@dataclass
class BenchServers:
    """Where the parts are, and what each of our processes has held at most."""

    kafka: str
    postgres: str
    folder: Path
    broker: int
    database: int
    passwords: dict[str, Passwords] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, int]:
        """The pids of what every hop runs on."""
        return {"postgres": self.database, "kafka": self.broker}

    def new_database(self, service: str) -> Database:
        """Make a fresh, migrated database of a service."""
        return asyncio.run(self._new_database(service))

    async def _new_database(self, service: str) -> Database:
        if service not in self.passwords:
            self.passwords[service] = Passwords(secrets.token_hex(12), secrets.token_hex(12))
            await databases.ensure_roles(self.postgres, {service: self.passwords[service]})
        name = f"{service}_{secrets.token_hex(4)}"
        await create(self.postgres, service, name, None)
        made = addresses(self.postgres, service, name, self.passwords[service])
        await migrate(made, None)
        return made

    def flush(self) -> None:
        """Have the database write down what is in its memory, so that no row pays for the one before."""

        async def checkpoint() -> None:
            connection = await asyncpg.connect(self.postgres)
            await connection.execute("checkpoint")
            await connection.close()

        asyncio.run(checkpoint())

    @contextlib.contextmanager
    def system(self) -> Iterator[System]:
        """Yield a system without processes yet, its topics empty; what it started is noted and ended afterwards."""
        self.renew_topics()
        made = System(self.kafka, self.folder, self.new_database)
        try:
            yield made
        finally:
            self.note_peaks(made)
            made.close()

    def note_peaks(self, system: System) -> None:
        """Note the memory of a system's processes while they live."""
        for process in system.processes:
            if process.alive:
                name = f"{process.service} {process.command}"
                self.peaks[name] = max(self.peaks.get(name, 0.0), peak_mb(pid_of(process)))

    def run(self, program: str, options: Mapping[str, Any]) -> Section:
        """Run one of our measuring programs as a process of its own; return the section it measured."""
        command = [sys.executable, "-m", f"tests.bench.{program}", json.dumps({"kafka": self.kafka, **options})]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return Section(**json.loads(done.stdout.splitlines()[-1]))

    def renew_topics(self) -> None:
        """Make every topic of the plans anew: a log is compared with its topic, and refuses another log's."""
        wanted = deploy_topics.wanted(DISTRICTS)
        run(delete_topics(self.kafka, [topic.name for topic in wanted]))
        run(deploy_topics.create(Broker(self.kafka), wanted))


def pid_of(process: Process) -> int:
    """Return the pid of a process that was started."""
    if process.child is None:
        raise RuntimeError(f"{process.service} {process.command} was not started")
    return process.child.pid


@contextlib.contextmanager
def bench_servers() -> Iterator[BenchServers]:
    """Start broker and database in a folder of their own; stop them by pid and remove the folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="skillplan-bench-", dir=_ON_DISK))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port = any_free(3)
    password = secrets.token_urlsafe(18)
    bootstrap, address = f"{HOST}:{broker_port}", postgres.dsn(database_port, password)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        command = kafka.prepare(
            folder / "kafka", broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
        )
        broker = stack.enter_context(_child(command, folder / "kafka.log"))
        cluster = postgres.prepare(folder / "postgres", password)
        database = stack.enter_context(_child(cluster.command(database_port, _SERVER), folder / "postgres.log"))
        for name, up in (
            ("postgres", postgres.wait_up(address, _PATIENCE, alive=lambda: database.poll() is None)),
            ("kafka", kafka.wait_up(bootstrap, _PATIENCE, alive=lambda: broker.poll() is None)),
        ):
            if not up:
                raise RuntimeError(f"{name} did not start: {(folder / f'{name}.log').read_text()[-2000:]}")
        servers = BenchServers(bootstrap, address, folder, broker.pid, database.pid)
        yield servers


@contextlib.contextmanager
def _child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd="/", start_new_session=True
        )
    try:
        yield child
    finally:
        child.send_signal(2)  # SIGINT. PostgreSQL: fast shutdown; Kafka: orderly stop
        try:
            child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
