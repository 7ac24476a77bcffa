"""State folder of an installation: ports, passwords, keys and finished steps, the same at every `make up`."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local import databases, postgres
from deploy.local.databases import Passwords
from deploy.local.ports import HOST, is_free, next_free
from deploy.local.refusal import LocalError
from services.catalogue import API_PROBES, DOMAIN_SERVICES, PROBES, SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, Role
from shared.kafka.clients import Broker
from shared.log.database import database_name
from shared.observability.health import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
_ROOM_NEEDED = 1024**3
_ROOM_KEPT = 200 * 1024**2


@dataclass
class Installation:
    """One state folder. `kafka` and `superuser_dsn` are set when servers that are there already are used.

    `city`: the name of one that stands on the servers of the installation whose folder is `host`; nothing there that
    is another's has a name that begins with it.
    """

    state: Path
    city: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    demo: bool = False  # all of the demo feed has been reported
    demo_size: str = ""  # which one was begun: `small` or `city`
    migrated: str = ""
    kafka: str | None = None
    superuser_dsn: str | None = None
    superuser_password: str = ""
    city_key: str = ""
    key_pepper: str = ""
    api_key: str = ""  # of role service: used by the services, and by `make status`
    passwords: dict[str, Passwords] = field(default_factory=dict)
    service_keys: dict[str, str] = field(default_factory=dict)
    old_service_keys: dict[str, str] = field(default_factory=dict)  # of services whose key is being rotated
    log_keys: dict[str, str] = field(default_factory=dict)  # what the checkpoints of a service's log are signed with
    shared_keys: dict[str, str] = field(default_factory=dict)  # of some services, by the name of the setting

    @property
    def host(self) -> Path:
        """The state folder of the installation whose servers it uses; its own, where it is no further city."""
        return self.state.parents[1] if self.city else self.state

    @property
    def cities(self) -> list[Path]:
        """The state folders of the cities that stand on its servers."""
        return sorted(folder.parent for folder in self.state.glob("cities/*/installation.json"))

    @property
    def plans(self) -> Path:
        """The folder of its plan files."""
        return self.state / "plans" if self.city else ROOT / "plans"

    @property
    def broker(self) -> Broker:
        """The broker, on which what is its own has names of its own."""
        return Broker(self.bootstrap, namespace=self.city)

    @property
    def mark(self) -> str:
        """What its databases are marked with: the same wherever they are, and no other installation's."""
        return f"skillplan {hashlib.sha256(bytes.fromhex(self.city_key)).hexdigest()[:16]}"

    def database(self, service: str) -> str:
        """What a service's database is called, and the role that works with it; its owner has `_owner` behind that."""
        return database_name(service, self.city)

    @property
    def bootstrap(self) -> str:
        """The broker's `host:port`."""
        return self.kafka or f"{HOST}:{self.ports['kafka']}"

    @property
    def superuser(self) -> str:
        """The database server's address, as superuser."""
        return self.superuser_dsn or postgres.dsn(self.ports["postgres"], self.superuser_password)

    def url(self, service: str) -> str:
        """Where a service answers."""
        return f"http://{HOST}:{self.ports[service]}"

    def owner_dsn(self, service: str, trial: str = "") -> str:
        """The address of a service's database as the owner of its tables; `trial`: of another one that is its own."""
        name = self.database(service)
        return databases.address(self.superuser, f"{name}_owner", self.passwords[service].owner, trial or name)

    def role_dsn(self, service: str, trial: str = "") -> str:
        """The address of a service's database as the role it works with; `trial` as above."""
        name = self.database(service)
        return databases.address(self.superuser, name, self.passwords[service].role, trial or name)

    def secrets_folder(self, service: str) -> Path:
        """The folder of a service's settings that are nobody else's."""
        return self.state / "secrets" / service

    @property
    def demo_place(self) -> Path:
        """The file that says how far the demo of the whole city has come."""
        return self.state / "demo.json"

    @property
    def key_file(self) -> Path:
        """The file of the keys that HTTP callers have."""
        return self.state / "secrets" / "keys.json"

    @property
    def credentials(self) -> dict[str, str]:
        """The header with which we ask our own services."""
        return {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def choose_ports(self, usual: dict[str, int]) -> list[tuple[str, int, int]]:
        """Give every part a port that is free now, the one it had if possible; list the moves (part, from, to)."""
        moved = []
        given: set[int] = set()
        for part, first in usual.items():
            previous = self.ports.get(part, first)
            probed = part not in ("kafka", "kafka-controller", "postgres")
            free = next_free(previous, given, free=_free_with_probes if probed else is_free)
            if free != previous:
                moved.append((part, previous, free))
            self.ports[part] = free
            given |= {free, free + PROBES, free + API_PROBES} if probed else {free}
        return moved

    def make_secrets(self, services: list[str]) -> None:
        """Make the passwords and keys that are not there yet, and write each service's folder of settings."""
        self.superuser_password = self.superuser_password or secrets.token_urlsafe(24)
        self.city_key = self.city_key or secrets.token_hex(32)
        for service in services:
            if service in WITH_DATABASE:
                self.passwords.setdefault(service, Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24)))
                self.service_keys.setdefault(service, secrets.token_hex(32))
            if service in DOMAIN_SERVICES:
                self.log_keys.setdefault(service, secrets.token_hex(32))
            for name in SERVICES[service].keys:
                self.shared_keys.setdefault(name, secrets.token_hex(32))
        self._make_keys()
        self.save()
        for service in services:
            _write_secret(self.secrets_folder(service) / "skillplan_key_pepper", self.key_pepper)
            if service not in WITH_DATABASE:  # it shows its callers' keys, and has none of its own
                continue
            _write_secret(self.secrets_folder(service) / "skillplan_pg_dsn", self.role_dsn(service))
            _write_secret(self.secrets_folder(service) / "skillplan_city_key", self.city_key)
            _write_secret(self.secrets_folder(service) / "skillplan_service_key", self.service_keys[service])
            old = self.secrets_folder(service) / "skillplan_old_service_key"
            if service in self.old_service_keys:
                _write_secret(old, self.old_service_keys[service])
            else:
                old.unlink(missing_ok=True)
            if service in DOMAIN_SERVICES:
                _write_secret(self.secrets_folder(service) / "skillplan_log_key", self.log_keys[service])
            _write_secret(self.secrets_folder(service) / "skillplan_api_key", self.api_key)
            for name in SERVICES[service].keys:
                _write_secret(self.secrets_folder(service) / f"skillplan_{name}", self.shared_keys[name])

    def rotate_service_key(self, service: str) -> None:
        """Give a service a new key beside the old one; one that is being rotated already goes on with these two."""
        if service not in self.old_service_keys:
            self.old_service_keys[service] = self.service_keys[service]
            self.service_keys[service] = secrets.token_hex(32)
        self.make_secrets([service])

    def forget_old_service_key(self, service: str) -> None:
        """Let go of a service's old key: nothing is wrapped by it any more."""
        self.old_service_keys.pop(service, None)
        self.make_secrets([service])

    def _make_keys(self) -> None:
        """Make the key file with the services' own key in it; refuse to go on with one that was lost or damaged."""
        try:
            if self.key_pepper:
                KeyFile(self.key_file, self.key_pepper).keys()
                return
            pepper = secrets.token_hex(32)
            self.key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.key_file.unlink(missing_ok=True)  # its pepper is lost: no key in it is valid
            keys = KeyFile(self.key_file, pepper)
            keys.create()
            _, self.api_key = keys.add(Role.SERVICE, label="make up")
            self.key_pepper = pepper
        except ConfigurationError as refused:
            raise LocalError(
                str(refused),
                "Without its keys it would be open to anybody: bring the file back, or use STATE=<new folder>.",
            ) from None

    def save(self) -> None:
        """Write the state file."""
        public = {
            "city": self.city,
            "ports": self.ports,
            "demo": self.demo,
            "demo_size": self.demo_size,
            "migrated": self.migrated,
            "kafka": self.kafka,
        }
        _write(self.state / "installation.json", json.dumps(public, indent=1), 0o644)
        hidden = {
            "superuser_dsn": self.superuser_dsn,
            "superuser_password": self.superuser_password,
            "city_key": self.city_key,
            "key_pepper": self.key_pepper,
            "api_key": self.api_key,
            "passwords": {service: [pair.owner, pair.role] for service, pair in self.passwords.items()},
            "service_keys": self.service_keys,
            "old_service_keys": self.old_service_keys,
            "log_keys": self.log_keys,
            "shared_keys": self.shared_keys,
        }
        _write_secret(self.state / "secrets" / "installation.json", json.dumps(hidden, indent=1))


def load(state: Path) -> Installation:
    """Read a state folder; an absent or empty one is a new installation."""
    public = _read(state / "installation.json")
    hidden = _read(state / "secrets" / "installation.json")
    passwords = {service: Passwords(*two) for service, two in hidden.pop("passwords", {}).items()}
    return Installation(state, passwords=passwords, **public, **hidden)


def is_there(state: Path) -> bool:
    """Return whether somebody ran `make up` with this state folder."""
    return (state / "installation.json").exists()


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Keep the state folder for ourselves; two `make up` at once would fight over it."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = (state / "lock").open("w")
    except OSError as error:
        raise LocalError(
            f"无法使用状态文件夹 {state}({error.strerror})。请检查其权限,或用 STATE=<可写的文件夹>。",
            f"The state folder {state} cannot be used ({error.strerror}). See to its permissions, "
            "or use STATE=<a folder you may write>.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(
                f"另一个 make 正在使用 {state}。请等它结束,或用 STATE=<文件夹> 另起一套。",
                f"Another make is at work on {state}. Wait until it is done, or use STATE=<folder> for a second one.",
            ) from error
        yield


@contextlib.contextmanager
def choosing_ports(must_wait: Callable[[], None]) -> Iterator[None]:
    """Lock the choice of ports among this user's installations; another one prints that it waits."""
    with (Path(tempfile.gettempdir()) / f"skillplan-ports-{os.getuid()}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            must_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_room(state: Path) -> None:
    """Refuse a disk on which a server would soon stop."""
    needed = _ROOM_KEPT if is_there(state) else _ROOM_NEEDED
    free = shutil.disk_usage(state).free
    if free < needed:
        raise LocalError(
            f"{state} 所在磁盘只剩 {free >> 20} MB,至少需要 {needed >> 20} MB。请腾出空间,或用 STATE=<别处的文件夹>。",
            f"Only {free >> 20} MB left on the disk of {state}; {needed >> 20} MB are needed. "
            "Free some, or use STATE=<folder elsewhere>.",
        )


def _free_with_probes(port: int) -> bool:
    return all(map(is_free, (port, port + PROBES, port + API_PROBES)))


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LocalError(
            f"{file} 已损坏。请从备份恢复,或用 STATE=<新文件夹> 另起一套。",
            f"{file} is damaged. Bring it back from a copy, or start afresh with STATE=<new folder>.",
        ) from error
    return dict(values)


def _write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(file, text, 0o600)


def _write(file: Path, text: str, mode: int) -> None:
    """Replace a file whole: a power cut leaves the old or the new one."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
