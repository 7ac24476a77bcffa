"""Rows of a backup that an erasure takes out: keys of persons and unreadable bytes, in files beside the dumps.

A dump is one compressed file, of which nothing is taken out. These tables lie apart from it, a row a line as COPY of
PostgreSQL writes it. A file is written anew under another name before the manifest names it, so that a backup is whole
wherever that is broken off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final, NotRequired, TypedDict

import asyncpg

MANIFEST: Final = "backup.json"
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "person_key": ("token", "wrapped"),
    "quarantine": ("number", "topic", "partition", "offset", "reason", "size", "digest", "sealed", "at"),
}
_NULL: Final = b"\\N"
_PAGE: Final = 1 << 20


class RowsFile(TypedDict):
    """A file beside a dump that holds the rows of one table."""

    file: str
    sha256: str


class DumpedDatabase(TypedDict):
    """The dump of a database, the head of its log where it has one, and the rows apart from it, by table."""

    sha256: str
    bytes: int
    position: int | None
    apart: NotRequired[dict[str, RowsFile]]  # not in backups from before there were erasures


class Manifest(TypedDict):
    """What a backup holds, by service, and the fingerprints of the keys that belong to it."""

    taken_at: str
    services: dict[str, DumpedDatabase]
    keys: dict[str, str]


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write what a backup holds; a power cut leaves the old or the new one."""
    _replace(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


async def copy_out(connection: asyncpg.Connection, folder: Path, service: str) -> dict[str, RowsFile]:
    """Write the rows of these tables, as the connection's transaction sees them."""
    files = {}
    for table, columns in TABLES.items():
        file = folder / f"{service}.{table}.0"
        await connection.copy_from_table(table, columns=columns, output=file)
        files[table] = RowsFile(file=file.name, sha256=digest_of(file))
    return files


async def copy_in(dsn: str, folder: Path, dumped: DumpedDatabase, wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Add the rows of these tables to a database that has none of them."""
    connection = await asyncpg.connect(dsn)
    try:
        for table, columns in wanted.items():
            if table in dumped.get("apart", {}):
                source = _pages(folder / dumped["apart"][table]["file"])
                await connection.copy_to_table(table, columns=columns, source=source)
    finally:
        await connection.close()


async def _pages(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while page := opened.read(_PAGE):
            yield page


def take_out(
    folder: Path, manifest: Manifest, service: str, token: str, is_meant: Callable[[bytes, str], bool]
) -> tuple[int, int]:
    """Take a person out of a backup of a service; return how many keys and how many unreadable messages went.

    `is_meant`: whether sealed bytes, at their place, are to go; their row stays, as in the database.
    """
    key = token.encode() + b"\t"

    def without_key(line: bytes) -> bytes:
        return b"" if line.startswith(key) else line

    def without_bytes(line: bytes) -> bytes:
        fields = line.split(b"\t")
        sealed = fields[7]
        place = b"/".join(fields[1:4]).decode()
        if sealed == _NULL or not is_meant(bytes.fromhex(sealed.lstrip(b"\\x").decode()), place):
            return line
        return b"\t".join((*fields[:7], _NULL, *fields[8:]))

    taken = tuple(
        _rewrite(folder, manifest, service, table, change)
        for table, change in (("person_key", without_key), ("quarantine", without_bytes))
    )
    return taken[0], taken[1]


def _rewrite(folder: Path, manifest: Manifest, service: str, table: str, change: Callable[[bytes], bytes]) -> int:
    """Write a file of rows anew where a line changes; return how many do."""
    apart = manifest["services"][service].get("apart", {})
    if table not in apart:
        return 0
    named = folder / apart[table]["file"]
    stem, _, number = named.name.rpartition(".")
    fresh = folder / f"{stem}.{int(number) + 1}"
    changed = 0
    with named.open("rb") as lines, fresh.open("wb") as out:
        for line in lines:
            rest = change(line)
            changed += rest != line
            out.write(rest)
        out.flush()
        os.fsync(out.fileno())
    if changed:
        apart[table] = RowsFile(file=fresh.name, sha256=digest_of(fresh))
        write_manifest(folder, manifest)
    # One who was killed here before left a file that no manifest names.
    for file in folder.glob(f"{stem}.*"):
        if file.name != apart[table]["file"]:
            file.unlink()
    return changed


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
