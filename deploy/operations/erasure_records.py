"""Records of erasures: what a restore goes by, so that no key of an erased person comes back with a backup from before.

A record is begun first, approved once planning's log has both facts, and ended once all is destroyed. Its token is
the person's pseudonym, as facts have it. The log of planning says the same (contract F12), for an installation that
has lost its records.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import asyncpg

_FOLDER: Final = "erasures"
_HELD: Final[set[Path]] = set()  # by this process: a backup is part of an erasure


@dataclass(frozen=True)
class Record:
    """An erasure: its number, whose, whether it is approved, and when it was whole, None before that."""

    number: str
    token: str
    approved: bool = False
    ended_at: str | None = None

    def write(self, backups: Path) -> None:
        """Write it beside the backups; a power cut leaves the old or the new one."""
        folder = backups / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f"{self.number}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(asdict(self), out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file(backups))

    def remove(self, backups: Path) -> None:
        """Take it back: nothing was destroyed."""
        self._file(backups).unlink(missing_ok=True)

    def certificate(self, backups: Path) -> Path:
        """Return the place of the certificate."""
        return backups / _FOLDER / f"{self.number}.certificate"

    def _file(self, backups: Path) -> Path:
        return backups / _FOLDER / f"{self.number}.json"

    @classmethod
    def unfinished(cls, backups: Path, token: str) -> Self | None:
        """Return the erasure of a person that was begun and broken off."""
        return next((it for it in cls.all(backups) if it.token == token and it.ended_at is None), None)

    @classmethod
    def all(cls, backups: Path) -> list[Self]:
        """Return every record beside the backups."""
        files = sorted((backups / _FOLDER).glob("*.json"))
        return [cls(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


@contextlib.contextmanager
def alone(backups: Path) -> Iterator[None]:
    """Make backups and erasures wait for each other: none writes a key into a backup while it goes everywhere else."""
    if backups in _HELD:
        yield
        return
    folder = backups / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _HELD.add(backups)
        try:
            yield
        finally:
            _HELD.discard(backups)


def erased_since(folders: Iterable[Path], taken_at: str) -> set[str]:
    """Return the tokens of who was erased after a backup was taken, by the records in folders of backups."""
    return {
        record.token
        for folder in folders
        for record in Record.all(folder)
        if record.approved and (record.ended_at is None or _instant(record.ended_at) >= _instant(taken_at))
    }


async def approved_since(planning: str, taken_at: str) -> set[str]:
    """Return the tokens of whose erasure the log of planning has since an instant; `planning`: its database."""
    connection = await asyncpg.connect(planning)
    try:
        rows = await connection.fetch("select bytes from recorded_fact where stream like 'erasure/%' order by position")
    finally:
        await connection.close()
    facts = [json.loads(row["bytes"]) for row in rows]
    token_of = {fact["subject"]: fact["data"]["token"] for fact in facts if "token" in fact["data"]}
    approved = [fact for fact in facts if fact["type"] == "skillplan.planning.person-erased.v1"]
    return {token_of[fact["subject"]] for fact in approved if _instant(fact["recordedat"]) >= _instant(taken_at)}


async def erase_again(dsn: str, tokens: set[str]) -> None:
    """Destroy the keys of these persons in a database that came of a backup."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("delete from person_key where token = any($1)", list(tokens))
    finally:
        await connection.close()


def _instant(text: str) -> datetime:
    """Return an instant as a backup's name, a record or a fact has it."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
