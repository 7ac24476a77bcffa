"""Backup and restore: the databases in one folder, the keys apart from them.

Each database is dumped by itself; a service's log and its topic settle the rest (decision 0020). A restore fills a new
database beside the old one and changes names last, so that one that fails has changed nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.local import databases, postgres
from deploy.local.console import say, step
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.local.up import run
from services.catalogue import SERVICES, WITH_DATABASE

_MANIFEST = "backup.json"


class DumpedDatabase(TypedDict):
    """The dump of a database, and the head of its log where it has one."""

    sha256: str
    bytes: int
    position: int | None


class Manifest(TypedDict):
    """What a backup holds, by service, and the fingerprints of the keys that belong to it."""

    taken_at: str
    services: dict[str, DumpedDatabase]
    keys: dict[str, str]


@dataclass(frozen=True)
class Backup:
    """A folder with one dump a service, and the manifest that says what they are."""

    folder: Path
    manifest: Manifest

    def dump(self, service: str) -> Path:
        """Return the file of a service."""
        return self.folder / f"{service}.dump"


def back_up(installation: Installation, to: Path | None, keys_to: Path | None) -> Backup:
    """Dump every service's database into a new folder, and write the keys to a file of their own."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder = (to or installation.state / "backups") / stamp
    keys = (keys_to or installation.state / "backup-keys") / f"{stamp}.json"
    if keys.resolve().is_relative_to(folder.parent.resolve()):
        raise LocalError(
            "密钥不得与备份放在一起:请用 KEYS=<另一处>。", "Keys must not lie beside the backup: KEYS=<elsewhere>."
        )
    if folder.exists():
        raise LocalError(f"{folder} 已存在。", f"{folder} is there already.")
    folder.mkdir(parents=True, mode=0o700)
    try:
        digests = {}
        for service in WITH_DATABASE:
            with step(f"备份 {service}", f"Backing up {service}"):
                digests[service] = _dump(installation, service, folder / f"{service}.dump")
        manifest: Manifest = {"taken_at": stamp, "services": digests, "keys": _fingerprints(installation)}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder)
        raise
    keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump({"city_key": installation.city_key, "service_keys": installation.service_keys}, out)
    say(f"备份 {folder};密钥 {keys},请移到别处保存。", "Backup and keys are written; keep them apart from each other.")
    return Backup(folder, manifest)


def read(folder: Path, wanted: Sequence[str]) -> Backup:
    """Read a backup and see that the files of these services are whole."""
    try:
        manifest: Manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        digests = {service: manifest["services"][service]["sha256"] for service in wanted}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"{folder} 不是含有 {', '.join(wanted)} 的备份。", f"{folder} is no backup with {', '.join(wanted)} in it."
        ) from error
    backup = Backup(folder, manifest)
    for service, digest in digests.items():
        if not backup.dump(service).exists() or _digest(backup.dump(service)) != digest:
            raise LocalError(
                f"{backup.dump(service)} 缺失或已损坏。",
                f"{backup.dump(service)} is missing or damaged; nothing changed.",
            )
    return backup


def check(installation: Installation, folder: Path, wanted: Sequence[str], keys: Path | None) -> None:
    """Refuse what cannot be restored, before anything is stopped or changed. Restores keys from `keys`."""
    if unknown := set(wanted) - set(WITH_DATABASE):
        raise LocalError(
            f"没有服务 {', '.join(sorted(unknown))}。", f"There is no service {', '.join(sorted(unknown))}."
        )
    backup = read(folder, wanted)
    if keys is not None:
        _take_keys(installation, keys)
    if backup.manifest["keys"] != _fingerprints(installation):
        raise LocalError(
            "备份是用另一套密钥做的:请用 KEYS=<密钥文件> 带回。",
            "This backup belongs to other keys: KEYS=<their file>.",
        )


def restore(installation: Installation, folder: Path, wanted: Sequence[str]) -> None:
    """Put databases back as a backup has them; their processes must not be running. The old ones stay under a name."""
    backup = read(folder, wanted)
    stamp = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    for service in wanted:
        with step(f"恢复 {service}", f"Restoring {service}"):
            asyncio.run(_make_room(installation.superuser, service, f"{service}_new"))
            _fill(installation, f"{service}_new", backup.dump(service))
            asyncio.run(_swap(installation.superuser, service, f"{service}_new", f"{service}_before_{stamp}"))
        if run(installation, service, "migrate"):
            raise LocalError(f"{service} 的库未能迁移。", f"The database of {service} could not be migrated.")
    say(f"原库保留为 *_before_{stamp}。", "The databases that were there are kept under these names.")


def recover(installation: Installation, wanted: Sequence[str]) -> None:
    """Let each domain service take back what its topics have beyond its log."""
    for service in wanted:
        if service != "projection" and run(installation, service, "recover"):
            raise LocalError(
                f"{service} 未能从主题取回,暂不作决定;见上。",
                f"{service} could not recover and decides nothing; see above.",
            )


def _dump(installation: Installation, service: str, file: Path) -> DumpedDatabase:
    position = asyncio.run(_position(installation.owner_dsn(service))) if service != "projection" else None
    _tool(installation, "pg_dump", "--format=custom", f"--file={file}", f"--dbname={_database(installation, service)}")
    return {"sha256": _digest(file), "bytes": file.stat().st_size, "position": position}


def _fill(installation: Installation, name: str, dump: Path) -> None:
    into = f"--dbname={_database(installation, name)}"
    _tool(installation, "pg_restore", "--exit-on-error", "--single-transaction", into, str(dump))


def _database(installation: Installation, name: str) -> str:
    """Write the address of a database without its password: who lists processes sees command lines."""
    return databases.without_password(installation.superuser).rpartition("/")[0] + f"/{name}"


def _tool(installation: Installation, tool: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own tools, of the server's major version or a later one."""
    major = asyncio.run(_major(installation.superuser))
    beside = shutil.which(tool)
    try:
        available = postgres.find_binaries()
    except LocalError:
        available = []  # no server here; its tools may be
    able = [binaries for binaries in available if binaries.major >= major and (binaries.folder / tool).exists()]
    if not able and beside is None:
        raise LocalError(
            f"没有找到 PostgreSQL {major} 的 {tool}。请安装,或用 PG_BIN 指明。",
            f"No {tool} of PostgreSQL {major} found. Install it, or name its folder with PG_BIN.",
        )
    program = str(able[0].folder / tool) if able else str(beside)
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, "PGPASSWORD": unquote(urlsplit(installation.superuser).password or "")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise LocalError(f"{tool} 失败:{reason}", f"{tool} failed: {reason}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _fingerprints(installation: Installation) -> dict[str, str]:
    """Return short digests that identify the keys; the keys are random and 32 bytes long."""
    keys = {"city": installation.city_key, **installation.service_keys}
    return {name: hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16] for name, key in sorted(keys.items())}


def _take_keys(installation: Installation, file: Path) -> None:
    try:
        current = json.loads(file.read_text(encoding="utf-8"))
        installation.city_key, installation.service_keys = str(current["city_key"]), dict(current["service_keys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{file} 不是密钥文件。", f"{file} is no file of keys.") from error
    installation.make_secrets(list(SERVICES))


async def _position(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select position from log_head"))
    finally:
        await connection.close()


async def _major(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(connection.get_server_version().major)
    finally:
        await connection.close()


async def _make_room(superuser: str, service: str, name: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
        await databases.create_database(connection, service, name)
    finally:
        await connection.close()


async def _swap(superuser: str, service: str, fresh: str, aside: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        if await connection.fetchval("select exists (select from pg_database where datname = $1)", service):
            await connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", service
            )
            await connection.execute(f'alter database "{service}" rename to "{aside}"')
        await connection.execute(f'alter database "{fresh}" rename to "{service}"')
    finally:
        await connection.close()
