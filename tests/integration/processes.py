"""Runs the real processes of services on a fresh database and fresh topics, so that a test can drive and kill them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deploy import topics as deploy_topics
from deploy.local.databases import Database
from deploy.local.ports import any_free
from tests.conftest import ROOT, NewDatabase, NewTopics

CITY_KEY = "c1" * 32
SERVICE_KEY = "5e" * 32
DISTRICTS = deploy_topics.districts_of(ROOT / "plans")
T = TypeVar("T")


def eventually(ask: Callable[[], T], within: float = 30.0) -> T:
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
        time.sleep(0.05)


@dataclass
class Process:
    """One process of a service, with what it said so far."""

    service: str
    command: str
    port: int
    settings: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, wait: bool = True) -> Process:
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.service}", self.command],
                cwd=ROOT,
                env={**os.environ, **self.settings},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.child is not None
            assert self.child.poll() is None, f"{self.service} {self.command} ended: {self.text()[-3000:]}"
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200

        eventually(ready)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.child is not None
        self.child.send_signal(number)
        return self.child.wait(30)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class System:
    """The processes of a test and where they find things."""

    kafka: str
    folder: Path
    new_database: NewDatabase
    databases: dict[str, Database] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def process(self, service: str, command: str, **settings: str) -> Process:
        if service not in self.databases:
            self.databases[service] = self.new_database(service)
        port = any_free(1)[0]
        process = Process(
            service,
            command,
            port,
            {
                "SKILLPLAN_PG_DSN": self.databases[service].dsn,
                "SKILLPLAN_KAFKA": self.kafka,
                "SKILLPLAN_PORT": str(port),
                "SKILLPLAN_CITY_KEY": CITY_KEY,
                "SKILLPLAN_SERVICE_KEY": SERVICE_KEY,
                "SKILLPLAN_PLANS": str(ROOT / "plans"),
                **settings,
            },
            self.folder / f"{service}-{command}-{port}.log",
        )
        self.processes.append(process)
        return process

    def start(self, service: str, *commands: str) -> list[Process]:
        """Start processes of a service at once and wait until each is ready."""
        started = [self.process(service, command).start(wait=False) for command in commands]
        for process in started:
            process.wait_ready()
        return started


@pytest.fixture
def system(kafka: str, database: NewDatabase, topics: NewTopics, tmp_path: Path) -> Iterator[System]:
    """An empty installation: every topic fresh, no process yet; all are killed at the end."""
    topics(*deploy_topics.wanted(DISTRICTS))
    made = System(kafka, tmp_path, database)
    yield made
    for process in made.processes:
        if process.child is not None:
            with contextlib.suppress(ProcessLookupError):
                process.child.kill()
            process.child.wait(10)


def receipt_of(response: httpx.Response) -> dict[str, Any]:
    """Return the receipt in an answer."""
    answer: dict[str, Any] = json.loads(response.content)
    return answer
