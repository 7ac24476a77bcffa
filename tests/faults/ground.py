"""An installation of its own whose broker and database can be stopped, and whose network can be spoilt."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy import topics as deploy_topics
from deploy.local import jars, kafka, postgres
from deploy.local.ports import HOST, any_free
from shared.broker import Broker
from tests.integration.processes import Process, System, eventually, own_database, run, topics_of
from tests.integration.proxy import Network, between
from tests.integration.reports import Report
from tests.integration.road import standing

PATIENCE = 60.0


@dataclass
class Server:
    """A database or a broker that is stopped and started again on the same data and port."""

    command: list[str]
    log: Path
    answers: Callable[[], bool]
    child: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self._told(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
            )
        eventually(self.answers, PATIENCE)

    def _told(self) -> list[str]:
        """Tell the program alone what it is told, and nobody who becomes its user before."""
        at = next(at for at, word in enumerate(self.command) if word.startswith("/"))
        told = [f"{name}={value}" for name, value in self.settings.items()]
        return [*self.command[:at], *(["env", *told] if told else []), *self.command[at:]]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        assert self.child is not None
        self.child.send_signal(number)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            # A broker that was hurt may never end in order.
            self.child.kill()
            self.child.wait()


@dataclass
class Own:
    """A pair of our own with recruitment on it; services reach both through networks that can be spoilt."""

    system: System
    database: Server
    broker: Server
    to_database: Network
    to_broker: Network
    folder: Path  # the database's user may read what is in it

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


@contextlib.contextmanager
def own_installation(logs: Path) -> Iterator[Own]:
    """Start broker, database, recruitment and the projector; all of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="skillplan-away-"))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port, broker_road, database_road = any_free(5)
    bootstrap, password = f"{HOST}:{broker_road}", secrets.token_urlsafe(18)
    superuser = postgres.dsn(database_port, password)
    command = kafka.prepare(
        folder / "kafka", broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
    )
    properties = folder / "kafka" / "server.properties"
    # Clients go on with the address that the broker tells them: it must be the road, not the broker's own.
    told = f"advertised.listeners=PLAINTEXT://{HOST}:"
    properties.write_text(properties.read_text().replace(f"{told}{broker_port}", f"{told}{broker_road}"))
    cluster = postgres.prepare(folder / "postgres", password)
    broker = Server(command, folder / "kafka.log", lambda: kafka.is_up(bootstrap))
    database = Server(cluster.command(database_port, {}), folder / "postgres.log", lambda: postgres.is_up(superuser))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        to_broker = stack.enter_context(between(HOST, broker_port, broker_road))
        to_database = stack.enter_context(between(HOST, database_port, database_road))
        system = System(bootstrap, logs, lambda name: own_database(superuser, name, database_road), superuser)
        for server in (broker, database):
            server.start()
            stack.callback(server.stop)
        stack.callback(system.close)
        run(deploy_topics.create(Broker(bootstrap), topics_of(["recruitment"])))
        system.start_services("recruitment")
        system.start("projection", "projector")
        yield Own(system, database, broker, to_database, to_broker, folder)
