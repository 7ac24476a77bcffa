"""An installation of its own whose broker and database can be stopped, and whose network can be spoilt."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.kafka import topics as deploy_topics
from deploy.local import jars, kafka, postgres
from deploy.local.ports import HOST
from shared.kafka.clients import Broker
from tests.conftest import ROOT
from tests.faults.disk import Disk, own_disk
from tests.harness.ports import any_free
from tests.harness.processes import Process, System, eventually, own_database, run, topics_of
from tests.harness.proxy import Network, between
from tests.harness.reports import Report, standard_set
from tests.harness.topics import standing

PATIENCE = 60.0
# Room for a minute's reports several times over, and little enough to be filled at once.
_DATABASE_MEGABYTES, _BROKER_MEGABYTES = 768, 384


@dataclass
class Server:
    """A database or a broker that is stopped and started again on the same data and port."""

    command: list[str]
    log: Path
    answers: Callable[[], bool]
    disk: Disk
    child: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        self.begin()
        eventually(self.answers, PATIENCE)

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def begin(self) -> None:
        """Start it without waiting for it."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self._command_line(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
            )

    def _command_line(self) -> list[str]:
        """Return the command with its settings, which the program itself gets and not the `setpriv` before it."""
        at = next(at for at, word in enumerate(self.command) if word.startswith("/"))
        variables = [f"{name}={value}" for name, value in self.settings.items()]
        return [*self.command[:at], *(["env", *variables] if variables else []), *self.command[at:]]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        assert self.child is not None
        self.child.send_signal(number)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


@dataclass
class FaultInstallation:
    """A pair of our own with services on it, which reach both through networks that can be spoilt."""

    system: System
    services: tuple[str, ...]
    database: Server
    broker: Server
    to_database: Network
    to_broker: Network
    folder: Path  # the database's user may read what is in it

    @property
    def api(self) -> Process:
        return self.system.the(self.services[0], "api")

    @property
    def worker(self) -> Process:
        return self.system.the(self.services[0], "worker")

    @property
    def projector(self) -> Process:
        return self.system.the("projection", "projector")

    @property
    def processes(self) -> tuple[Process, ...]:
        return tuple(self.system.processes)

    def start_beside(self, process: Process) -> Process:
        """Start another process of the same service and command, on ports of its own."""
        return self._start(process.service, process.command)

    def start_all(self) -> None:
        """Start both processes of every service, and those of the projection."""
        for service, command in (
            *((s, c) for s in self.services for c in ("api", "worker")),
            ("projection", "projector"),
        ):
            self._start(service, command)
        self._start("projection", "api")
        for process in self.processes:
            process.wait_ready(PATIENCE)

    def _start(self, service: str, command: str) -> Process:
        settings = {}
        if service == "projection" and command == "api":
            settings["SKILLPLAN_SERVICES"] = json.dumps(
                {name: self.system.the(name, "api").url for name in self.services}
            )
        elif command == "api":
            settings["SKILLPLAN_PROBES"] = str(any_free(1)[0])
        return self.system.process(service, command, **settings).start(wait=False)

    def all_counted(self) -> bool:
        """Tell whether the projection has counted every log whole."""
        metrics = self.projector.http.get("/metrics").text
        for service in self.services:
            position = self.system.query(service, "select position from log_head")[0][0]
            counted = re.search(rf'projection_position{{service="{service}"}} (\S+)', metrics)
            if counted is None or float(counted[1]) != position:
                return False
        return True

    def post(self, report: Report) -> int:
        return self.api.http.post("/v1/events", json=report).status_code

    def decided(self, reports: list[Report], service: str = "") -> bool:
        receipts = standing(self.system, service or self.services[0], reports)
        return all(receipt is not None and receipt["status"] != "waiting" for receipt in receipts)


@contextlib.contextmanager
def fault_installation(
    logs: Path,
    services: tuple[str, ...] = ("recruitment",),
    own_disks: bool = False,
    code_in: Callable[[Path], Path] | None = None,
) -> Iterator[FaultInstallation]:
    """Start broker, database, some services and the projection; all of it is gone afterwards.

    `code_in`: puts the code that they run into a folder, where it is not today's.
    """
    folder = Path(tempfile.mkdtemp(prefix="skillplan-away-"))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port, broker_road, database_road = any_free(5)
    bootstrap, password = f"{HOST}:{broker_road}", secrets.token_urlsafe(18)
    superuser = postgres.dsn(database_port, password)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        user = postgres._unprivileged()
        broker_disk, database_disk = (
            stack.enter_context(own_disk(folder / name, megabytes if own_disks else None, owner))
            for name, megabytes, owner in (
                ("broker", _BROKER_MEGABYTES, None),
                ("database", _DATABASE_MEGABYTES, user),
            )
        )
        place = folder / "broker" / "kafka"
        command = kafka.prepare(
            place, broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
        )
        properties = place / "server.properties"
        # Clients go on with the address that the broker tells them: it must be the road, not the broker's own.
        listener = f"advertised.listeners=PLAINTEXT://{HOST}:"
        properties.write_text(properties.read_text().replace(f"{listener}{broker_port}", f"{listener}{broker_road}"))
        cluster = postgres.prepare(folder / "database" / "postgres", password)
        broker = Server(command, folder / "kafka.log", lambda: kafka.is_up(bootstrap), broker_disk)
        database = Server(
            cluster.command(database_port, {}),
            folder / "postgres.log",
            lambda: postgres.is_up(superuser),
            database_disk,
        )
        to_broker = stack.enter_context(between(HOST, broker_port, broker_road))
        to_database = stack.enter_context(between(HOST, database_port, database_road))
        code = ROOT if code_in is None else code_in(folder)
        system = System(
            bootstrap, logs, lambda name: own_database(superuser, name, database_road, code), superuser, code=code
        )
        # A broker that was hurt may never end in order.
        for server, end in ((broker, signal.SIGKILL), (database, signal.SIGINT)):
            server.begin()
            stack.callback(server.stop, end)
        for server in (broker, database):
            eventually(server.answers, PATIENCE)
        stack.callback(system.close)
        run(deploy_topics.create(Broker(bootstrap), topics_of(services)))
        own = FaultInstallation(system, services, database, broker, to_database, to_broker, folder)
        own.start_all()
        if "subsidy" in services:  # nothing is granted without
            answer = system.the("subsidy", "api").http.post("/v1/events", json=standard_set("faults"))
            assert answer.json()["status"] == "accepted", answer.text
        yield own
