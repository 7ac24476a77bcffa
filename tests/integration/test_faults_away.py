"""The database or the broker goes away while reports flow: services say so, pause, and go on by themselves."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import topics as deploy_topics
from deploy.local import databases, jars, kafka, postgres
from deploy.local.databases import Database, Passwords
from deploy.local.ports import HOST, any_free
from shared.broker import Broker
from shared.migrations import migrate
from tests.conftest import ROOT
from tests.integration.processes import Process, System, eventually, run, topics_of
from tests.integration.reports import Report, person_hired
from tests.integration.road import check_answered, publish, settle, standing, structured

PATIENCE = 60.0


@dataclass
class Server:
    """A database or a broker that is stopped and started again on the same data and port."""

    command: list[str]
    log: Path
    answers: Callable[[], bool]
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
            )
        eventually(self.answers, PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        assert self.child is not None
        self.child.send_signal(number)
        self.child.wait(30)


@dataclass
class Own:
    """A pair of our own with recruitment on it."""

    system: System
    database: Server
    broker: Server

    @property
    def api(self) -> Process:
        return self.system.the("recruitment", "api")

    @property
    def worker(self) -> Process:
        return self.system.the("recruitment", "worker")

    @property
    def projector(self) -> Process:
        return self.system.the("projection", "projector")

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.api, self.worker, self.projector

    def all_counted(self) -> bool:
        """Tell whether the projection has counted the whole log."""
        position = self.system.query("recruitment", "select position from log_head")[0][0]
        told = re.search(r'projection_position{service="recruitment"} (\S+)', self.projector.http.get("/metrics").text)
        return told is not None and float(told[1]) == position

    def post(self, report: Report) -> int:
        return self.api.http.post("/v1/events", json=report).status_code

    def decided(self, reports: list[Report]) -> bool:
        return all(receipt is not None for receipt in standing(self.system, "recruitment", reports))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = Path(tempfile.mkdtemp(prefix="skillplan-away-"))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port = any_free(3)
    bootstrap, password = f"{HOST}:{broker_port}", secrets.token_urlsafe(18)
    superuser = postgres.dsn(database_port, password)
    command = kafka.prepare(
        folder / "kafka", broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
    )
    cluster = postgres.prepare(folder / "postgres", password)
    broker = Server(command, folder / "kafka.log", lambda: kafka.is_up(bootstrap))
    database = Server(cluster.command(database_port, {}), folder / "postgres.log", lambda: postgres.is_up(superuser))
    system = System(bootstrap, tmp_path_factory.mktemp("away"), lambda name: _database(superuser, name), superuser)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for server in (broker, database):
            server.start()
            stack.callback(server.stop)
        stack.callback(system.close)
        run(deploy_topics.create(Broker(bootstrap), topics_of(["recruitment"])))
        system.start_services("recruitment")
        system.start("projection", "projector")
        yield Own(system, database, broker)


def _database(superuser: str, service: str) -> Database:
    passwords = Passwords(secrets.token_hex(12), secrets.token_hex(12))
    run(databases.ensure_roles(superuser, {service: passwords}))
    run(databases.ensure_databases(superuser, [service]))
    owner = databases.address(superuser, f"{service}_owner", passwords.owner, service)
    migrations = "services/projection/migrations" if service == "projection" else "shared/migrations"
    run(migrate(owner, ROOT / migrations, service))
    return Database(service, service, owner, databases.address(superuser, service, passwords.role, service))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_database_goes_away(own: Own, number: signal.Signals) -> None:
    name = number.name.lower()
    before, meanwhile, after = (person_hired(f"database-{name}-{when}") for when in ("before", "meanwhile", "after"))
    queued = [person_hired(f"database-{name}-queued-{n}") for n in range(50)]
    assert own.post(before) == 200
    children = [process.child for process in own.processes]
    own.database.stop(number)
    try:
        answer = own.api.http.post("/v1/events", json=meanwhile)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["zh"]
        assert answer.json()["en"]
        batch = {"content-type": "application/cloudevents-batch+json"}
        assert own.api.http.post("/v1/events", json=[meanwhile], headers=batch).status_code == 503
        for path in ("/v1/log", "/v1/log/head", "/v1/receipts?source=x&id=x"):
            assert own.api.http.get(path).status_code == 503
        publish(own.system.kafka, map(structured, queued))
        for process in own.processes:
            eventually(lambda process=process: "database" in process.problems())  # type: ignore[misc]
            assert process.http.get("/livez").status_code == 200
        time.sleep(3)  # the worker has them in hand and cannot record them
    finally:
        own.database.start()
    eventually(lambda: own.post(meanwhile) == 200)
    assert own.post(after) == 200
    eventually(lambda: own.decided(queued))
    eventually(own.all_counted)
    for process in own.processes:
        process.wait_ready()
        assert process.alive
    assert [process.child for process in own.processes] == children
    check_answered(own.system, "recruitment", [before, meanwhile, after, *queued])
    said = own.database.log.read_text() + own.broker.log.read_text()
    for report in (before, meanwhile, after, *queued):
        assert not any(personal in said for personal in report["data"]["person"].values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_broker_goes_away(own: Own, number: signal.Signals) -> None:
    name = number.name.lower()
    before, meanwhile = ([person_hired(f"broker-{name}-{when}-{n}") for n in range(50)] for when in ("b", "m"))
    after = [person_hired(f"broker-{name}-a-{n}") for n in range(50)]
    publish(own.system.kafka, map(structured, before))
    with own.worker.watched() as ends:
        said = len(own.worker.text()) + len(own.projector.text())
        own.broker.stop(number)
        try:
            assert {own.post(report) for report in meanwhile} == {200}, "deciding needs no broker"
            assert not own.api.problems()
            for process in (own.worker, own.projector):
                eventually(lambda process=process: "kafka" in str(process.problems()))  # type: ignore[misc]
            said = len(own.worker.text()) + len(own.projector.text()) - said
            assert said < 1_000_000, "they say so without flooding their logs"
        finally:
            own.broker.start()
        settle(own.system, "recruitment")
        publish(own.system.kafka, map(structured, after))
        eventually(lambda: own.decided([*before, *after]))
        eventually(own.all_counted)
        for process in own.processes:
            process.wait_ready()
            assert process.alive
        check_answered(own.system, "recruitment", [*before, *meanwhile, *after])
        assert not ends, "it needed no new start"
