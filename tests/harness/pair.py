"""A broker and a database for one process's lifetime: what tests and trials run on, gone without trace afterwards."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local import jars, kafka, postgres
from deploy.local.ports import HOST
from tests.harness.ports import any_free

# Nothing here outlives the process, so nothing has to reach the disk.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_PATIENCE = 60.0


@dataclass(frozen=True)
class Pair:
    """Addresses of a running broker and a running database, and the folder with their logs and data."""

    kafka: str
    postgres: str
    folder: Path


@contextlib.contextmanager
def running(*, with_kafka: bool = True, with_postgres: bool = True) -> Iterator[Pair]:
    """Start the pair on free ports in a temporary folder; stop both by pid and remove the folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="skillplan-pair-"))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port = any_free(3)
    bootstrap = f"{HOST}:{broker_port}" if with_kafka else ""
    password = secrets.token_urlsafe(18)
    address = postgres.dsn(database_port, password) if with_postgres else ""
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        broker = database = None
        if with_kafka:
            command = kafka.prepare(
                folder / "kafka", broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
            )
            broker = stack.enter_context(child(command, folder / "kafka.log"))
        if with_postgres:
            cluster = postgres.prepare(folder / "postgres", password)
            database = stack.enter_context(child(cluster.command(database_port, FORGETFUL), folder / "postgres.log"))
        if database and not postgres.wait_up(address, _PATIENCE, alive=lambda: database.poll() is None):
            raise RuntimeError(
                f"PostgreSQL did not start: {(folder / 'postgres.log').read_text(errors='replace')[-2000:]}"
            )
        if broker and not kafka.wait_up(bootstrap, _PATIENCE, alive=lambda: broker.poll() is None):
            raise RuntimeError(f"Kafka did not start: {(folder / 'kafka.log').read_text(errors='replace')[-2000:]}")
        yield Pair(bootstrap, address, folder)


@contextlib.contextmanager
def child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        # Its own session: Ctrl-C in the terminal is for us, and we stop it then.
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd="/", start_new_session=True
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Kafka: orderly stop
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
