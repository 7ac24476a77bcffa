"""Knows which processes make up Skillplan, and runs them under supervisor."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict

from supervisor.xmlrpc import SupervisorTransport

from client.demo.calendar import CITY_DAY
from deploy.local.children import dies_with_parent
from deploy.local.installation import ROOT, Installation
from deploy.local.ports import HOST
from deploy.local.refusal import LocalError
from services.catalogue import API_PROBES, DOMAIN_SERVICES, PROBES, PROJECTION, SERVICES, WITH_DATABASE

PORTS = {name: entry.port for name, entry in SERVICES.items()}
INFRASTRUCTURE_PORTS = {"kafka": 9092, "kafka-controller": 9093, "postgres": 5432}
_GROUP = "skillplan"
DEMO = "demo"
_ONCE = {"autorestart": "false", "startsecs": "0", "exitcodes": "0", "priority": "20"}
_SOCKET_PATH_LIMIT = 100
_ALREADY_STARTED = 60  # a fault code of supervisor
_LAST_LINES = 8  # of a log, for people
# In each process's environment a digest of what it runs: a change of one is a change of its configuration.
CODE, PLAN = "RUNNING_CODE", "RUNNING_PLAN"
# Reports a second by Kafka that each service of a city takes where several share the servers: a quarter of two cores.
_INBOX_OF_A_CITY: Final = "300"
_HANDED_ON = (
    "SKILLPLAN_LOG_LEVEL",
    "SKILLPLAN_LOG_GM_KEY",
    "SKILLPLAN_WITNESSES",
)  # of our own environment to every process
_CODE_SUFFIXES = {".py", ".sql", ".html", ".yaml"}


@dataclass(frozen=True)
class Program:
    """One process: its name, command, environment, and address."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    url: str


def programs(installation: Installation) -> list[Program]:
    """List the processes of every service."""
    running = {CODE: digest(_code()), PLAN: digest(sorted(installation.plans.glob("*.yaml")))}
    return [
        Program(
            name=f"{service}-{command}",
            command=dies_with_parent([sys.executable, "-m", f"services.{service}", command]),
            environment=environment(installation, service, port) | probes | running,
            url=f"http://{HOST}:{port}",
        )
        for service, entry in SERVICES.items()
        for at, command in enumerate(entry.commands)
        for port in (installation.ports[service] + PROBES * at,)
        for probes in ({} if at else {"SKILLPLAN_PROBES": str(port + API_PROBES)},)
    ]


def _code() -> list[Path]:
    """Return the files that a process of a service may read at its start: code, SQL, templates, packages."""
    folders = (ROOT / "shared", *(file for file in (ROOT / "services").iterdir() if file.is_dir()))
    parts = (part for folder in folders for part in folder.iterdir() if part.name not in ("dashboard", "static"))
    files = (file for part in parts for file in (part.rglob("*") if part.is_dir() else (part,)))
    top = [*(ROOT / "services").glob("*.py"), ROOT / "requirements.txt"]
    return sorted([*(file for file in files if file.suffix in _CODE_SUFFIXES), *top])


def digest(files: Iterable[Path]) -> str:
    """Return a digest of files of the checkout, of their names and of what is in them."""
    parts = (f"{os.path.relpath(file, ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def environment(installation: Installation, service: str, port: int | None = None) -> dict[str, str]:
    """Settings of a process of the service; secrets come from its folder."""
    return {
        **_addresses(installation),
        **SERVICES[service].address_settings(installation.url),
        **(_bound(installation) if service in DOMAIN_SERVICES else {}),
        "SKILLPLAN_HOST": HOST,
        "SKILLPLAN_PORT": str(port or installation.ports[service]),
        "SKILLPLAN_SECRETS": str(installation.secrets_folder(service)),
        "SKILLPLAN_KEYS": str(installation.key_file),
        "PYTHONUNBUFFERED": "1",
        **{name: os.environ[name] for name in _HANDED_ON if name in os.environ},
        **({"SKILLPLAN_EXAMPLE_DAY": CITY_DAY.isoformat()} if _shows_an_example_day(installation, service) else {}),
    }


def _shows_an_example_day(installation: Installation, service: str) -> bool:
    """Tell whether it is the reading side of a demo that ends on a day of its own."""
    return service == PROJECTION.name and installation.demo_size == "city"


_OF_A_REBUILD: Final = ("SKILLPLAN_ACCEPT", "SKILLPLAN_ONLY", "SKILLPLAN_REPORT")


def inherited() -> dict[str, str]:
    """Return our own environment without settings that were meant for something else."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("SKILLPLAN_") or name in _OF_A_REBUILD
    }


def command_environment(installation: Installation, service: str) -> dict[str, str]:
    """Environment of one command of a service: its processes' settings, and the owner of its tables."""
    owner = {"SKILLPLAN_PG_OWNER_DSN": installation.owner_dsn(service)} if service in WITH_DATABASE else {}
    return {**inherited(), **environment(installation, service), **owner}


def client_environment(installation: Installation) -> dict[str, str]:
    """Environment of a client of this installation, which has no secret of a service."""
    return {**inherited(), **_addresses(installation), **client_addresses(installation)}


def client_addresses(installation: Installation) -> dict[str, str]:
    """Return the settings by which a client finds this installation."""
    services = {name: installation.url(name) for name in DOMAIN_SERVICES}
    return {
        "SKILLPLAN_KAFKA": installation.bootstrap,
        "SKILLPLAN_SERVICES": json.dumps(services),
        "SKILLPLAN_PROJECTION": installation.url("projection"),
        "SKILLPLAN_PLANNING": installation.url("planning"),
        **_of_a_city(installation),
    }


def supervised(installation: Installation) -> list[Program]:
    """List what supervisor runs besides broker and database: the services, and the demo of the whole city."""
    return [*programs(installation), *([_city_demo(installation)] if installation.demo_size == "city" else ())]


def _city_demo(installation: Installation) -> Program:
    """Return the client that reports the demo of the whole city, from where it came to the last time; then it ends."""
    command = [sys.executable, "-m", "client", "demo", "--size", "city", "--place", str(installation.demo_place)]
    settings = _addresses(installation) | client_addresses(installation) | {"PYTHONUNBUFFERED": "1"}
    return Program(DEMO, dies_with_parent(command), settings, "")


def _addresses(installation: Installation) -> dict[str, str]:
    plans = {"SKILLPLAN_PLANS": str(installation.plans)}
    return {"SKILLPLAN_KAFKA": installation.bootstrap, **plans, **_of_a_city(installation)}


def _bound(installation: Installation) -> dict[str, str]:
    """Return by what a flood of one city leaves the servers to the others, where there are others."""
    shares = installation.city or installation.cities
    rate = os.environ.get("SKILLPLAN_INBOX_RATE") or _INBOX_OF_A_CITY
    return {"SKILLPLAN_INBOX_RATE": rate} if shares else {}


def _of_a_city(installation: Installation) -> dict[str, str]:
    """Return what processes and clients of a further city have to know, nothing for the first."""
    if not installation.city:
        return {}
    return {"SKILLPLAN_NAMESPACE": installation.city, "SKILLPLAN_PLANS": str(installation.plans)}


class ProcessState(TypedDict):
    """What supervisor reports of a process; `pid` is 0 where it does not run, `stop` when it ended last (s)."""

    statename: str
    pid: int
    stop: int
    description: str


class Supervisor:
    """The supervisor of one state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._run = state / "run"
        self.logs = state / "logs"
        # In the environment of everything that supervisor starts, and of nothing else.
        self.mark = f"SKILLPLAN_STATE={state}"
        socket = str(self._run / "supervisor.sock")
        if len(socket.encode()) > _SOCKET_PATH_LIMIT:  # the system's limit for such a path
            digest = hashlib.sha256(str(state).encode()).hexdigest()[:16]
            socket = str(Path(tempfile.gettempdir(), f"skillplan-{os.getuid()}-{digest}.sock"))
        self._socket = socket

    def _ask(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor, method)(*arguments)
        finally:
            if transport.connection is not None:
                transport.connection.close()

    def pid(self) -> int | None:
        """Return supervisor's process id, None when it does not run."""
        try:
            return int(self._ask("getPID"))
        except (OSError, http.client.HTTPException):
            return None

    def start(self, infrastructure: Mapping[str, list[str]], others: Iterable[Program]) -> set[str]:
        """Run supervisor with broker and database at once, services on demand; a running one takes up changes.

        Returns the names of the settings that changed; what they are of is stopped by it.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self._run.mkdir(mode=0o700, exist_ok=True)
        configuration = self._run / "supervisord.conf"
        text = self._configuration(infrastructure, list(others))
        if self.pid() is not None:
            before = configuration.read_text(encoding="utf-8")
            if before != text:
                configuration.write_text(text, encoding="utf-8")
                self._take_up_changes()
            for name in infrastructure:
                self._ensure_started(name)
            return _changed(before, text)
        configuration.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
            cwd=self._state,  # the configuration's own paths are relative: supervisor trips over a % in some
            env={**inherited(), **dict([self.mark.split("=", 1)])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        limit = time.monotonic() + 15
        while self.pid() is None:
            if done.returncode or time.monotonic() > limit:
                log = self.logs / "supervisord.log"
                raise LocalError(
                    f"supervisor 未能启动:{done.stderr.strip()[-300:]}。请看 {log}。",
                    f"supervisor did not start: {done.stderr.strip()[-300:]}. See {log}.",
                )
            time.sleep(0.05)
        return set()

    def changed(self, others: Iterable[Program]) -> set[str]:
        """Return the names of the settings in which what runs differs from what `start` would run."""
        before = (self._run / "supervisord.conf").read_text(encoding="utf-8")
        return _changed(before, self._configuration({}, [*others]))

    def start_demo(self) -> None:
        """Start the client that reports the demo of the whole city, unless it runs."""
        self._ensure_started(DEMO)

    def start_services(self) -> None:
        """Start every service that does not run, all at once."""
        for process in self._ask("getAllProcessInfo"):
            if process["group"] == _GROUP:
                self._ensure_started(f"{_GROUP}:{process['name']}")

    def parts(self, wanted: Sequence[str]) -> list[str]:
        """Return the processes that are meant, by supervisor's names: a service stands for each process of it.

        Raises LocalError for a name that is neither a service nor a process.
        """
        known = {process["name"]: f"{process['group']}:{process['name']}" for process in self._ask("getAllProcessInfo")}
        named = {name: [part for part in known if part == name or part.startswith(f"{name}-")] for name in wanted}
        if unknown := [name or '""' for name, parts in named.items() if not name or not parts]:
            names = ", ".join([*SERVICES, *sorted(known)])
            raise LocalError(
                f"没有名为 {', '.join(unknown)} 的服务或进程。SERVICE= 可写:{names}。",
                f"No service or process is called {', '.join(unknown)}. SERVICE= takes these, several with commas.",
            )
        return [known[part] for parts in named.values() for part in parts]

    def stop_parts(self, parts: Iterable[str]) -> None:
        """Stop processes, and wait for it."""
        for part in parts:
            with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
                self._ask("stopProcess", part, True)

    def start_parts(self, parts: Iterable[str]) -> None:
        """Start those processes that do not run."""
        for part in parts:
            self._ensure_started(part)

    def states(self) -> dict[str, ProcessState]:
        """Return supervisor's record of each process by name: statename, pid, description."""
        return {process["name"]: process for process in self._ask("getAllProcessInfo")}

    def is_alive(self, name: str) -> bool:
        """Return whether the process runs or is about to."""
        process = self.states().get(name)
        return process is not None and process["statename"] in ("STARTING", "RUNNING", "BACKOFF")

    def stop(self, seconds: float = 60) -> None:
        """Stop everything in order: services, then broker and database."""
        pid = self.pid()
        if pid is None:
            return
        self._ask("shutdown")
        limit = time.monotonic() + seconds
        while _exists(pid):
            if time.monotonic() > limit:
                raise LocalError(
                    f"{seconds:.0f} 秒内未能停止(supervisor 进程 {pid})。请看 {self.logs}。",
                    f"Not stopped within {seconds:.0f} s (supervisor is process {pid}). See {self.logs}.",
                )
            time.sleep(0.05)

    def last_words(self, name: str) -> str:
        """Return the end of a process's log."""
        with contextlib.suppress(OSError):
            return "\n".join(
                (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
            )
        return ""

    def _ensure_started(self, name: str) -> None:
        try:
            self._ask("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise

    def _take_up_changes(self) -> None:
        added, changed, removed = self._ask("reloadConfig")[0]
        for group in [*changed, *removed]:
            with contextlib.suppress(xmlrpc.client.Fault):  # it may have ended by itself
                self._ask("stopProcessGroup", group)
            self._ask("removeProcessGroup", group)
        for group in [*added, *changed]:
            self._ask("addProcessGroup", group)

    def _configuration(self, infrastructure: Mapping[str, list[str]], others: list[Program]) -> str:
        """Return supervisord.conf; a % of ours is doubled, since supervisor reads %(…)s in values."""
        parser = configparser.RawConfigParser()
        parser["unix_http_server"] = {"file": self._socket, "chmod": "0700"}
        parser["supervisord"] = {
            "logfile": "logs/supervisord.log",
            "logfile_maxbytes": "10MB",
            "logfile_backups": "1",
            "pidfile": "run/supervisord.pid",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        }
        parser["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for name, command in infrastructure.items():
            parser[f"program:{name}"] = _program(name, command) | {
                "autostart": "true",
                "priority": "1",
                "stopsignal": "INT" if name == "postgres" else "TERM",  # SIGINT is PostgreSQL's fast shutdown
                "stopwaitsecs": "30",
                "exitcodes": "0,143",
            }
        for program in others:
            parser[f"program:{program.name}"] = _program(program.name, program.command) | {
                "autostart": "false",
                "stopwaitsecs": "25",
                "environment": ",".join(f"{name}={_quoted(value)}" for name, value in program.environment.items()),
                **(_ONCE if program.name == DEMO else {}),
            }
        if grouped := [program.name for program in others if program.name != DEMO]:
            parser[f"group:{_GROUP}"] = {"programs": ",".join(grouped), "priority": "10"}
        text = io.StringIO()
        parser.write(text, space_around_delimiters=False)
        return text.getvalue().replace("%", "%%")


def _changed(before: str, now: str) -> set[str]:
    """Return the names of the environment's settings in which two configurations differ."""
    settings = [set(re.findall(r"(\w+)=('[^']*'|\"[^\"]*\")", text)) for text in (before, now)]
    return {name for name, _ in settings[0] ^ settings[1]}


def _program(name: str, command: list[str]) -> dict[str, str]:
    return {
        "command": shlex.join(command),
        "directory": str(ROOT),
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "10",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"logs/{name}.log",
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "1",
    }


def _quoted(value: str) -> str:
    """Quote a value of `environment=`; supervisor knows both quotes and no escape."""
    for mark in ("'", '"'):
        if mark not in value:
            return mark + value + mark
    raise LocalError(f"路径中不能同时有两种引号:{value}", f"A path cannot hold both kinds of quotes: {value}")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
