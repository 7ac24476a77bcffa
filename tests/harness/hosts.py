"""Three hosts on this machine, each a network namespace that runs the very units that `deploy.cluster` writes.

Needs root and `ip`. What is not installed of etcd, Patroni and HAProxy is fetched from Debian into the cache.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from deploy.cluster.__main__ import files
from deploy.cluster.hosts import ThreeHosts
from deploy.local.databases import Database
from deploy.local.debian import fetch
from deploy.local.postgres import find_binaries
from deploy.local.status import rows_of
from deploy.secrets.kept import KEYS, KeptSecrets
from services.catalogue import SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, Role
from shared.observability.unavailable import UNAVAILABLE
from tests.conftest import ROOT
from tests.harness.processes import DISTRICTS, System, eventually

PATIENCE: Final = 240.0
_PACKAGES: Final = (
    "etcd-server", "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1", "patroni", "python3-etcd",
    "python3-psycopg2", "python3-click", "python3-dateutil", "python3-prettytable", "python3-psutil", "python3-urllib3",
    "python3-yaml", "python3-six", "python3-wcwidth", "python3-dnspython", "python3-idna",
)  # fmt: skip
_NET: Final = f"10.213.{secrets.randbelow(250) + 1}"  # beside those of other runs
_DRIVER: Final = 19092  # a door of each broker for the driver of the test, without passwords


@dataclass
class Unit:
    """One unit of systemd, run as systemd would: started again a second after it ended, until it is stopped."""

    name: str
    host: str
    command: list[str]
    settings: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    _watch: threading.Thread | None = None
    _wake: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.wanted = True
        self._wake.clear()
        self._watch = threading.Thread(target=self._keep, daemon=True)
        self._watch.start()

    def _keep(self) -> None:
        while self.wanted:
            with self.log.open("ab") as out:
                self.child = subprocess.Popen(
                    self.command, cwd=ROOT, env=self.settings, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    start_new_session=True,
                )  # fmt: skip
            self.child.wait()
            self._wake.wait(1)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to all that it started; systemd starts it again, unless it is not wanted."""
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.wanted = False
        self._wake.set()
        self.kill(number)
        if self._watch is not None:
            self._watch.join(20)
            if self._watch.is_alive():
                self.kill()
                self._watch.join(20)


@dataclass
class Hosts:
    """Three hosts with all that runs on them, and the way in that a district has."""

    cluster: ThreeHosts
    units: dict[str, list[Unit]]
    system: System
    key: str
    namespaces: dict[str, str]
    folder: Path
    victim: str = ""  # the host that a fault is done to

    def unit(self, host: str, name: str) -> Unit:
        return next(unit for unit in self.units[host] if unit.name == name)

    def beside(self, unit: Unit, host: str) -> Unit:
        """Return the same unit for another host, where it is not meant to run."""
        moved = [self.namespaces[host] if word == self.namespaces[unit.host] else word for word in unit.command]
        addresses = {each.name: str(each.address) for each in self.cluster.hosts}
        settings = unit.settings | {"SKILLPLAN_HOST": addresses[host]}
        return Unit(unit.name, host, moved, settings, unit.log.with_name(f"{host}-{unit.name}.log"))

    def primary(self) -> str | None:
        """Return the host whose PostgreSQL is the primary, None while nobody's is."""
        for host in self.cluster.hosts:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://{host.address}:8008/primary", timeout=1).status_code == 200:
                    return host.name
        return None

    def replicated(self) -> str | None:
        """Return the host of the primary once a standby has all that it acknowledged, so that it may be lost."""
        for host in self.cluster.hosts:
            with contextlib.suppress(httpx.HTTPError):
                members = httpx.get(f"http://{host.address}:8008/cluster", timeout=1).json()["members"]
                well = {each["role"]: each["name"] for each in members if each["state"] in ("running", "streaming")}
                if "sync_standby" in well and "leader" in well and self.primary() == well["leader"]:
                    return str(well["leader"])
        return None

    def whole(self) -> str | None:
        """Return the host of the primary once both standbys follow it."""
        try:
            rows = rows_of(self.system.superuser, "select from pg_stat_replication where state = 'streaming'")
        except (*UNAVAILABLE, TimeoutError, asyncpg.PostgresError):
            return None
        return self.replicated() if len(rows) == len(self.cluster.hosts) - 1 else None

    def kill_database(self, before: int) -> int:
        """Kill the server process of the primary, and nothing of Patroni; return which, 0 where it is none or `before`.

        `before`: the one that was killed last, of which Patroni may not know yet.
        """
        host = self.primary()
        if host is not None:
            pid_file = self.folder / host / "data" / "postgres" / "data" / "postmaster.pid"
            with contextlib.suppress(OSError, IndexError):
                if (process := int(pid_file.read_text().splitlines()[0])) != before:
                    os.kill(process, signal.SIGKILL)
                    return process
        return 0

    @contextlib.contextmanager
    def cut_off(self, host: str) -> Iterator[None]:
        """Cut one host off from the two others, and from everybody."""
        switch = self.namespaces[""]
        _ip("-n", switch, "link", "set", host, "down")
        try:
            yield
        finally:
            _ip("-n", switch, "link", "set", host, "up")

    def ready(self) -> bool:
        """Tell whether every process of ours is well."""
        for host in self.cluster.serving:
            for unit in self.units[host.name]:
                name, _, command = unit.name.partition("-")
                if name in SERVICES:
                    url = f"https://{host.address}:{SERVICES[name].probes[command]}/readyz"
                    with httpx.Client(verify=False, timeout=5) as client:  # noqa: S501 - it is asked by its address
                        if client.get(url).status_code != 200:
                            return False
        return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def _network(addresses: dict[str, str]) -> Iterator[dict[str, str]]:
    """Make a namespace a host, and one with the bridge between them; yields their names by host.

    The bridge has a namespace of its own, where no firewall of this machine looks at what crosses it.
    """
    mark = f"sp{secrets.token_hex(3)}"
    names, switch = {host: f"{mark}{at}" for at, host in enumerate(addresses)}, f"{mark}s"
    with contextlib.ExitStack() as stack:
        for name in (switch, *names.values()):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        _ip("link", "add", mark, "type", "veth", "peer", "name", "driver", "netns", switch)
        stack.callback(_ip, "link", "del", mark)
        _ip("addr", "add", f"{_NET}.1/24", "dev", mark)
        _ip("link", "set", mark, "up")
        _ip("-n", switch, "link", "set", "driver", "master", "bridge", "up")
        for host, name in names.items():
            _ip("-n", switch, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", switch, "link", "set", host, "master", "bridge", "up")
            _ip("-n", name, "addr", "add", f"{addresses[host]}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield names | {"": switch}


def _programs() -> Path:
    """Return a folder with etcd, Patroni and HAProxy, fetched once."""
    place = ROOT / ".cache" / "cluster"
    if not place.exists():
        fetch(_PACKAGES, place)
    return place


def _unit(text: str, name: str, host: str, namespace: str, log: Path) -> Unit:
    """Read a unit of systemd and turn it into a command in the host's namespace."""
    values: dict[str, str] = dict(re.findall(r"^(User|EnvironmentFile|ExecStart)=(.+)$", text, re.MULTILINE))
    settings = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    if file := values.get("EnvironmentFile"):
        settings |= dict(re.findall(r"^(\w+)='(.*)'$", Path(file).read_text(encoding="utf-8"), re.MULTILINE))
    command = shlex.split(values["ExecStart"])
    fetched = _programs()
    if command[0].startswith("/usr/"):
        command[0] = str(fetched / command[0].lstrip("/"))
        settings["LD_LIBRARY_PATH"] = str(fetched / "usr/lib/x86_64-linux-gnu")
    if name == "postgres":
        settings["PYTHONPATH"] = str(fetched / "usr/lib/python3/dist-packages")
        del settings["LD_LIBRARY_PATH"]
        entry = pwd.getpwnam("postgres")
        who = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        command = [*who, "/usr/bin/python3", *command]
    return Unit(name, host, ["ip", "netns", "exec", namespace, *command], settings, log)


@contextlib.contextmanager
def three_hosts(logs: Path, services: tuple[str, ...]) -> Iterator[Hosts]:
    """Run three hosts with these services and the projection on two of them; all of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="skillplan-hosts-"))
    folder.chmod(0o755)
    addresses = {name: f"{_NET}.{at}" for at, name in enumerate(("one", "two", "three"), 11)}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        namespaces = stack.enter_context(_network(addresses))
        kept_secrets = KeptSecrets(folder / "secrets")
        kept_secrets.key_file()
        key = KeyFile(folder / "secrets" / KEYS, kept_secrets.key("key_pepper")).add(
            Role.DISTRICT, tuple(f"/districts/{code}/" for code in DISTRICTS), label="faults"
        )[1]
        units: dict[str, list[Unit]] = {}
        every: list[dict[str, object]] = [
            {
                "name": name,
                "address": address,
                "rack": name,
                "services": name != "three",
                "backups": name == "three",
            }
            for name, address in addresses.items()
        ]
        values = {"name": "faults", "host": "faults.invalid", "postgres": find_binaries()[0].folder, "hosts": every}
        clusters = {
            name: ThreeHosts.model_validate(
                values | {"code": ROOT, "etc": folder / name / "etc", "data": folder / name / "data"}
            )
            for name in addresses
        }
        for name, cluster in clusters.items():
            texts = files(cluster, kept_secrets, ",DRIVER://{address}:" + str(_DRIVER))[name]
            driver = f"hostssl all all {_NET}.1/32 scram-sha-256"
            texts["postgres/patroni.yml"] = texts["postgres/patroni.yml"].replace(
                "  - local all all scram-sha-256", f"  - local all all scram-sha-256\n  - {driver}"
            )
            for file, text in texts.items():
                place = cluster.etc / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            for setting in texts["sysctl/90-skillplan.conf"].splitlines():
                _ip("netns", "exec", namespaces[name], "sysctl", "-qw", setting.replace(" ", ""))
            for part in ("etcd", "kafka", "postgres"):
                (cluster.data / part).mkdir(parents=True)
            (cluster.data / "etcd").chmod(0o700)
            owner = pwd.getpwnam("postgres")
            for place in (cluster.etc / "postgres", *(cluster.etc / "postgres").iterdir(), cluster.data / "postgres"):
                os.chown(place, owner.pw_uid, owner.pw_gid)
                place.chmod(0o700 if place.is_dir() else 0o600)
            units[name] = [
                _unit(text, unit, name, namespaces[name], logs / f"{name}-{unit}.log")
                for file, text in texts.items()
                if file.endswith(".service")
                for unit in [Path(file).stem.removeprefix("skillplan-")]
                if unit.partition("-")[0] in {*services, "projection", "gateway", "backup"} or "-" not in unit
            ]
        hosts = Hosts(
            next(iter(clusters.values())), units, _system(kept_secrets, addresses, logs), key, namespaces, folder
        )
        stack.callback(_stop, units)
        servers = [unit for some in units.values() for unit in some if "-" not in unit.name]
        for unit in servers:
            unit.start()
        eventually(hosts.replicated, PATIENCE)
        _prepare(namespaces["one"], clusters["one"], folder)
        for some in units.values():
            for unit in some:
                if unit not in servers:
                    unit.start()
        eventually(hosts.ready, PATIENCE)
        yield hosts


def _prepare(namespace: str, cluster: ThreeHosts, folder: Path) -> None:
    """Run `deploy.cluster prepare` on a host, again until the brokers and the primary are there for it."""
    file = folder / "hosts.json"
    file.write_text(cluster.model_dump_json(), encoding="utf-8")
    command = ["ip", "netns", "exec", namespace, str(ROOT / ".venv/bin/python"), "-m", "deploy.cluster", "prepare"]

    def done() -> bool:
        result = subprocess.run(
            [*command, str(file), str(folder / "secrets")], cwd=ROOT, capture_output=True, text=True, check=False
        )
        (folder / "prepare.log").write_text(result.stdout + result.stderr)
        if result.returncode:
            raise OSError(result.stdout[-500:] + result.stderr[-500:])
        return True

    eventually(done, PATIENCE, pause=2)


def _system(kept_secrets: KeptSecrets, addresses: dict[str, str], logs: Path) -> System:
    """Return what the checks of a log ask: the databases and the brokers, by the driver's own doors."""
    everywhere = ",".join(f"{address}:5432" for address in addresses.values())
    kafka = ",".join(f"{address}:{_DRIVER}" for address in addresses.values())

    def dsn(role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{everywhere}/{database}?target_session_attrs=primary&sslmode=require"

    databases = {
        service: Database(
            service, service,
            dsn(f"{service}_owner", kept_secrets.password(f"{service}.pg_owner"), service),
            dsn(service, kept_secrets.password(f"{service}.pg"), service),
        )
        for service in WITH_DATABASE
    }  # fmt: skip
    superuser = dsn("postgres", kept_secrets.password("postgres"), "postgres")
    return System(kafka, logs, lambda name: databases[name], superuser, databases)


def _stop(units: dict[str, list[Unit]]) -> None:
    every = [unit for some in units.values() for unit in some]
    for unit in every:
        unit.wanted = False
        unit.kill(signal.SIGTERM)
    for unit in every:
        unit.stop(signal.SIGKILL)
