"""Backup and restore: the databases in one folder, the keys apart from them.

Each database is dumped by itself; a service's log and its topic settle the rest (decision 0020). A restore fills a new
database beside the old one and changes names last, so that one that fails has changed nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
from aiokafka.errors import KafkaError

from deploy.local import databases, postgres
from deploy.local.console import say, step
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.local.up import run
from deploy.operations import erasable, inboxes, kept_backups
from deploy.operations import erasure_records as records
from deploy.operations.erasable import MANIFEST, DumpedDatabase, Manifest, digest_of
from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.kafka.clients import Broker

_INBOXES = "inboxes.json"  # beside the backups: up to where each reached in the inboxes
# The tables of which a later backup has rows that nothing else has, and their columns.
_BROUGHT: Final = {
    "waiting": ("source", "id", "until", "number", "since", "never", "report"),
    "person_key": erasable.TABLES["person_key"],
}


@dataclass(frozen=True)
class Backup:
    """A folder with one dump a service, and the manifest that says what they are."""

    folder: Path
    manifest: Manifest

    def dump(self, service: str) -> Path:
        """Return the file of a service."""
        return self.folder / f"{service}.dump"


def back_up(
    installation: Installation,
    to: Path | None,
    keys_to: Path | None,
    raw_hours: int,
    broker_of: Callable[[str], Broker],
) -> Backup:
    """Dump every service's database into a new folder, and write the keys to a file of their own.

    Then raw reports leave the broker as far as a backup reached that was taken at least `raw_hours` before.
    `broker_of`: the broker, as a service's user.
    """
    with records.alone(installation.state / "backups"):
        return _back_up(installation, to, keys_to, raw_hours, broker_of)


def _back_up(
    installation: Installation,
    to: Path | None,
    keys_to: Path | None,
    raw_hours: int,
    broker_of: Callable[[str], Broker],
) -> Backup:
    stamp = f"{datetime.now(UTC):{kept_backups.STAMP}}"
    folder = (to or installation.state / "backups") / stamp
    keys = (keys_to or installation.state / "backup-keys") / f"{stamp}.json"
    if keys.resolve().is_relative_to(folder.parent.resolve()):
        raise LocalError(
            "密钥不得与备份放在一起:请用 KEYS=<另一处>。", "Keys must not lie beside the backup: KEYS=<elsewhere>."
        )
    if folder.exists():
        raise LocalError(f"{folder} 已存在。", f"{folder} is there already.")
    folder.mkdir(parents=True, mode=0o700)
    decided = {service: _decided(broker_of(service), service) for service in DOMAIN_SERVICES}
    try:
        digests = {}
        for service in WITH_DATABASE:
            with step(f"备份 {service}", f"Backing up {service}"):
                digests[service] = _dump(installation, service, folder / f"{service}.dump")
        manifest: Manifest = {"taken_at": stamp, "services": digests, "keys": _fingerprints(installation)}
        erasable.write_manifest(folder, manifest)
    except BaseException:
        shutil.rmtree(folder)
        raise
    keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        of_services = {"service_keys": installation.service_keys, "log_keys": installation.log_keys}
        json.dump({"city_key": installation.city_key, **of_services}, out)
    say(f"备份 {folder};密钥 {keys},请移到别处保存。", "Backup and keys are written; keep them apart from each other.")
    reached = {place: offset for offsets in decided.values() for place, offset in offsets.items()}
    due = inboxes.covered(folder.parent / _INBOXES, stamp, reached, timedelta(hours=raw_hours))
    for service, offsets in decided.items():
        _delete(broker_of(service), service, {place: due[place] for place in offsets if place in due})
    return Backup(folder, manifest)


def _decided(broker: Broker, service: str) -> inboxes.Offsets:
    try:
        return asyncio.run(inboxes.decided(broker, service))
    except (KafkaError, TimeoutError) as error:
        say(
            f"! 没有问到 {service} 的收件主题裁定到哪里({type(error).__name__});其原始报告这次不删。",
            f"Where the inbox of {service} is decided could not be asked for; its raw reports stay this time.",
        )
        return {}


def _delete(broker: Broker, service: str, up_to: inboxes.Offsets) -> None:
    """Delete raw reports; where that fails the backup is none the worse, and the next one deletes them."""
    try:
        if up_to:
            asyncio.run(inboxes.delete(broker, up_to))
    except (KafkaError, TimeoutError) as error:
        say(
            f"! {service} 的原始报告未能删除({type(error).__name__}),下次备份时再删。",
            f"The raw reports of {service} could not be deleted; the next backup will.",
        )


def read(folder: Path, wanted: Sequence[str]) -> Backup:
    """Read a backup and see that the files of these services are whole."""
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        digests = {
            folder / name: digest
            for service in wanted
            for name, digest in _files(service, manifest["services"][service]).items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"{folder} 不是含有 {', '.join(wanted)} 的备份。",
            f"{folder} is not a backup with {', '.join(wanted)} in it.",
        ) from error
    backup = Backup(folder, manifest)
    for file, digest in digests.items():
        if not file.exists() or digest_of(file) != digest:
            raise LocalError(f"{file} 缺失或已损坏。", f"{file} is missing or damaged; nothing changed.")
    return backup


def _files(service: str, dumped: DumpedDatabase) -> dict[str, str]:
    """Return the files of a service in a backup, with their digests."""
    apart = dumped.get("apart", {}).values()
    return {f"{service}.dump": dumped["sha256"]} | {rows["file"]: rows["sha256"] for rows in apart}


def check(installation: Installation, folder: Path, wanted: Sequence[str], keys: Path | None) -> None:
    """Refuse what cannot be restored, before anything is stopped or changed.

    Restores the keys of the services wanted from `keys`: those of the others may have been rotated since.
    """
    if unknown := set(wanted) - set(WITH_DATABASE):
        raise LocalError(
            f"没有服务 {', '.join(sorted(unknown))}。", f"There is no service {', '.join(sorted(unknown))}."
        )
    backup = read(folder, wanted)
    if keys is not None:
        _take_keys(installation, keys, wanted)
    own = _fingerprints(installation)
    if any(backup.manifest["keys"].get(name) != own[name] for name in ("city", *wanted) if name in own):
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
            name = installation.database(service)
            fill(installation, backup, service, f"{name}_new")
            asyncio.run(_swap(installation.superuser, name, f"{name}_new", f"{name}_before_{stamp}"))
            asyncio.run(databases.mark_as_own(installation.superuser, [name], installation.mark))
        if run(installation, service, "migrate"):
            raise LocalError(f"{service} 的库未能迁移。", f"The database of {service} could not be migrated.")
        later = _newest(backup, service) if service in DOMAIN_SERVICES else None
        if later is not None:
            with step(f"取来后来的备份中在等待的报告 {service}", f"Taking what waits in a later backup: {service}"):
                _bring_along(installation, service, later)
    say(f"原库保留为 *_before_{stamp}。", "The databases that were there are kept under these names.")


def fill(installation: Installation, backup: Backup, service: str, name: str) -> None:
    """Make a database of this name as a backup has it of a service; one that was there is dropped."""
    asyncio.run(_make_room(installation.superuser, installation.database(service), name))
    options = ["--exit-on-error", "--single-transaction", f"--dbname={_database(installation, name)}"]
    if missing := asyncio.run(_missing_tablespaces(installation, backup.dump(service))):
        say(
            f"这里没有表空间 {', '.join(missing)}:其中的表恢复到库的默认表空间。",
            "Not here: these tables are restored into the database's own tablespace.",
        )
        options.append("--no-tablespaces")
    _tool(installation, "pg_restore", *options, str(backup.dump(service)))
    asyncio.run(_add_rows(installation, _database_address(installation, name), backup, service, erasable.TABLES))


async def _missing_tablespaces(installation: Installation, dump: Path) -> list[str]:
    """Return the tablespaces that a dump names and this server does not have."""
    schema = await asyncio.to_thread(_tool, installation, "pg_restore", "--schema-only", "--file=-", str(dump))
    named = set(re.findall(r'^SET default_tablespace = "?(\w+)"?;$', schema, re.MULTILINE))
    connection = await asyncpg.connect(installation.superuser)
    try:
        there = {row["spcname"] for row in await connection.fetch("select spcname from pg_tablespace")}
    finally:
        await connection.close()
    return sorted(named - there)


def _newest(backup: Backup, service: str) -> Backup | None:
    """Return the newest backup beside this one that is later and has this service under the same key, None without."""
    for manifest in sorted(backup.folder.parent.glob(f"*/{MANIFEST}"), reverse=True):
        if manifest.parent.name <= backup.folder.name:
            return None
        with suppress(LocalError):
            other = read(manifest.parent, [service])
            if other.manifest["keys"][service] == backup.manifest["keys"][service]:
                return other
    return None


async def _add_rows(
    installation: Installation, dsn: str, backup: Backup, service: str, tables: Mapping[str, tuple[str, ...]]
) -> None:
    """Add the rows that lie apart from a dump, but no key of a person who was erased since it was made."""
    if service not in DOMAIN_SERVICES:
        return
    await erasable.copy_in(dsn, backup.folder, backup.manifest["services"][service], tables)
    folders = (installation.state / "backups", backup.folder.parent)
    await records.erase_again(dsn, records.erased_since(folders, backup.manifest["taken_at"]))


def _bring_along(installation: Installation, service: str, later: Backup) -> None:
    """Add the reports that wait in a later backup, and the keys of persons: the broker has neither any more.

    What of them was decided since is found by `recover`, as with those of the backup itself.
    """
    own = installation.database(service)
    name = f"{own}_later"
    asyncio.run(_make_room(installation.superuser, own, name))
    into = (f"--dbname={_database(installation, name)}", "--no-owner", "--no-privileges", "--exit-on-error")
    tables = ("--schema=public", *(f"--table={table}" for table in _BROUGHT))
    _tool(installation, "pg_restore", *into, *tables, str(later.dump(service)))
    keys = {"person_key": _BROUGHT["person_key"]}
    asyncio.run(_add_rows(installation, _database_address(installation, name), later, service, keys))
    asyncio.run(_copy_rows(_database_address(installation, name), _database_address(installation, own)))
    asyncio.run(drop(installation.superuser, name))


def recover(installation: Installation, folder: Path, wanted: Sequence[str]) -> None:
    """Let each domain service take back what its topics have beyond its log; who was erased since stays so."""
    for service in wanted:
        if service != "projection" and run(installation, service, "recover"):
            raise LocalError(
                f"{service} 未能从主题取回,暂不作决定;见上。",
                f"{service} could not recover and decides nothing; see above.",
            )
    taken_at = read(folder, []).manifest["taken_at"]
    handled = records.erased_since((installation.state / "backups", folder.parent), taken_at)
    recorded = asyncio.run(records.approved_since(installation.owner_dsn("planning"), taken_at)) - handled
    for service in set(wanted) & set(DOMAIN_SERVICES):
        asyncio.run(records.erase_again(installation.owner_dsn(service), recorded))


def _dump(installation: Installation, service: str, file: Path) -> DumpedDatabase:
    if service in DOMAIN_SERVICES:
        dumped = asyncio.run(_dump_log(installation, service, file))
    else:
        _run_dump(installation, service, file)
        dumped = {"sha256": "", "bytes": 0, "position": None}
    return dumped | {"sha256": digest_of(file), "bytes": file.stat().st_size}


async def _dump_log(installation: Installation, service: str, file: Path) -> DumpedDatabase:
    """Dump a log, and apart from it the rows that may have to go, as of one snapshot."""
    connection = await asyncpg.connect(_database_address(installation, installation.database(service)))
    try:
        await connection.execute("set idle_in_transaction_session_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("select pg_export_snapshot()")
            position = await connection.fetchval("select position from log_head")
            without = [f"--exclude-table-data=*.{table}" for table in erasable.TABLES]
            await asyncio.to_thread(_run_dump, installation, service, file, f"--snapshot={snapshot}", *without)
            apart = await erasable.copy_out(connection, file.parent, service)
    finally:
        await connection.close()
    return {"sha256": "", "bytes": 0, "position": int(position), "apart": apart}


def _run_dump(installation: Installation, service: str, file: Path, *options: str) -> None:
    what = ("--format=custom", f"--file={file}", f"--dbname={_database(installation, installation.database(service))}")
    _tool(installation, "pg_dump", *what, *options)


def _database(installation: Installation, name: str) -> str:
    """Write the address of a database without its password: who lists processes sees command lines."""
    return databases.without_password(_database_address(installation, name))


def _database_address(installation: Installation, name: str) -> str:
    return urlunsplit(urlsplit(installation.superuser)._replace(path=f"/{name}"))


def _tool(installation: Installation, tool: str, *arguments: str) -> str:
    """Run one of PostgreSQL's own tools, of the server's major version or a later one; return what it printed."""
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
    return done.stdout


def _fingerprints(installation: Installation) -> dict[str, str]:
    """Return short digests that identify the keys; the keys are random and 32 bytes long."""
    keys = {"city": installation.city_key, **installation.service_keys}
    return {name: hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16] for name, key in sorted(keys.items())}


def _take_keys(installation: Installation, file: Path, wanted: Sequence[str]) -> None:
    try:
        current = json.loads(file.read_text(encoding="utf-8"))
        installation.city_key = str(current["city_key"])
        taken = {service: str(key) for service, key in current["service_keys"].items() if service in wanted}
        installation.service_keys = {**installation.service_keys, **taken}
        # A backup from before the logs were signed has none: the log then goes on under the key that there is.
        signs = {service: str(key) for service, key in current.get("log_keys", {}).items() if service in wanted}
        installation.log_keys = {**installation.log_keys, **signs}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{file} 不是密钥文件。", f"{file} is not a file of keys.") from error
    installation.make_secrets(list(SERVICES))


async def _major(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(connection.get_server_version().major)
    finally:
        await connection.close()


async def _make_room(superuser: str, role: str, name: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
        await databases.create_database(connection, role, name)
    finally:
        await connection.close()


async def _copy_rows(origin: str, into: str) -> None:
    """Copy the rows that are brought along from one database to another, as far as it has none of that key."""
    there, here = await asyncpg.connect(origin), await asyncpg.connect(into)
    try:
        async with here.transaction():
            for table, columns in _BROUGHT.items():
                rows = await there.fetch(f"select {', '.join(columns)} from {table}")  # noqa: S608 - names of ours
                places = ", ".join(f"${number}" for number, _ in enumerate(columns, 1))
                statement = f"insert into {table} ({', '.join(columns)}) values ({places}) on conflict do nothing"  # noqa: S608 - as above
                await here.executemany(statement, [tuple(row) for row in rows])
    finally:
        await there.close()
        await here.close()


async def drop(superuser: str, name: str) -> None:
    """Drop a database, whoever has it open; none is fine."""
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


async def _swap(superuser: str, name: str, fresh: str, aside: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        if await connection.fetchval("select exists (select from pg_database where datname = $1)", name):
            await connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", name
            )
            await connection.execute(f'alter database "{name}" rename to "{aside}"')
        await connection.execute(f'alter database "{fresh}" rename to "{name}"')
    finally:
        await connection.close()
