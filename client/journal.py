"""Keeps what was sent from here and what became of it: in one SQLite file that a crash at any moment leaves whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from client.output import CommandError

# What these answers say binds no id (RULES A3): mended outside, the same report may yet be accepted.
_NOT_FINAL: Final = ("wrong-district", "not-your-source", "id-reused")
_TABLES: Final = """
create table if not exists secret (key blob not null);
create table if not exists sent (
    target text, source text, id text, digest blob not null, type text not null, district text not null,
    sent_at text not null, acknowledged_at text, primary key (target, source, id)) without rowid;
create table if not exists answer (
    target text, source text, id text, type text, district text, status text not null, code text, binds int not null,
    received_at text not null, decided_at text not null, primary key (target, source, id)) without rowid;
create table if not exists place (
    target text, topic text, next int not null, primary key (target, topic)) without rowid;
"""
# A later answer takes the place of an earlier one; what binds no id never that of a decision.
_KEEP: Final = """
insert into answer values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (target, source, id) do update set type = excluded.type, district = excluded.district,
    status = excluded.status, code = excluded.code, binds = excluded.binds, received_at = excluded.received_at,
    decided_at = excluded.decided_at
where excluded.binds > answer.binds or (excluded.binds = answer.binds and excluded.decided_at >= answer.decided_at)
"""
_STATEMENT: Final = """
with every as (
    select source, coalesce(a.district, s.district) district, coalesce(a.type, s.type) type, s.acknowledged_at,
        coalesce(a.received_at, s.sent_at) at, a.status
    from answer a left join sent s using (target, source, id) where target = :target
    union all
    select source, s.district, s.type, s.acknowledged_at, s.sent_at, null
    from sent s left join answer a using (target, source, id) where target = :target and a.id is null
)
select date(at, '+8 hours') day, type, count(*), coalesce(sum(status = 'accepted'), 0),
    coalesce(sum(status = 'waiting'), 0), coalesce(sum(status = 'refused'), 0),
    coalesce(sum(status in ('invalid', 'misdirected')), 0), coalesce(sum(status is null), 0)
from every where (:district is null or district = :district) and (:source is null or source = :source)
    and (:since is null or date(at, '+8 hours') >= :since)
group by 1, 2 order by 1, 2
"""


def default_place() -> Path:
    """Return where the journal is unless told otherwise."""
    return Path.home() / ".skillplan" / "journal.sqlite"


class Journal:
    """What was sent to one target (a broker or an address), and the answers to it. Nothing personal is in it: of a
    report's content a digest under a key of this file's own."""

    def __init__(self, file: Path, target: str) -> None:
        self._target = target
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(_TABLES)
            with self._transaction():
                if self._db.execute("select 1 from secret").fetchone() is None:
                    self._db.execute("insert into secret values (?)", (secrets.token_bytes(32),))
            self._key: bytes = self._db.execute("select key from secret").fetchone()[0]
        except (OSError, sqlite3.Error):
            raise CommandError(
                "发送记录无法读写。请用 --journal 或 SKILLPLAN_JOURNAL 指定一个可写的位置。",
                "The journal cannot be read and written. Name a place by --journal or SKILLPLAN_JOURNAL.",
                "no-journal",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def digest(self, event: Mapping[str, Any]) -> bytes:
        """Return a keyed digest of a report, by which it is known again."""
        compact = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(compact, digest_size=16, key=self._key).digest()

    def settled(self, events: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Tell of each report whether this very content was acknowledged, and no answer asks for it again."""
        return [self._settled(event) for event in events]

    def _settled(self, event: Mapping[str, Any]) -> bool:
        found = self._db.execute(
            "select s.digest, s.acknowledged_at, a.code from sent s left join answer a using (target, source, id) "
            "where target = ? and source = ? and id = ?",
            (self._target, event.get("source"), event.get("id")),
        ).fetchone()
        return (
            found is not None and found[1] is not None and found[0] == self.digest(event) and found[2] not in _NOT_FINAL
        )

    def sending(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Note reports before they are sent, so that what was under way in a crash is known as unanswered."""
        at = _now()
        rows = [
            (self._target, event["source"], event["id"], self.digest(event), event["type"],
             str(event["source"]).split("/")[2], at)
            for event in events
        ]  # fmt: skip
        with self._transaction():
            self._db.executemany("insert or replace into sent values (?, ?, ?, ?, ?, ?, ?, null)", rows)

    def acknowledged(self, events: Iterable[Mapping[str, Any]], receipts: Iterable[Mapping[str, Any]] = ()) -> None:
        """Note that reports have arrived, with their receipts where there are any already."""
        at = _now()
        with self._transaction():
            self._db.executemany(
                "update sent set acknowledged_at = ? where target = ? and source = ? and id = ?",
                [(at, self._target, event["source"], event["id"]) for event in events],
            )
            self._keep(receipts)

    def heard(self, receipts: Iterable[Mapping[str, Any]], topic: str, following: int) -> None:
        """Keep receipts from a topic, and where in it the next one is."""
        with self._transaction():
            self._keep(receipts)
            self._db.execute("insert or replace into place values (?, ?, ?)", (self._target, topic, following))

    def place(self, topic: str) -> int | None:
        """Return where in a topic to go on, None where it was never read."""
        found = self._db.execute(
            "select next from place where target = ? and topic = ?", (self._target, topic)
        ).fetchone()
        return None if found is None else int(found[0])

    def _keep(self, receipts: Iterable[Mapping[str, Any]]) -> None:
        self._db.executemany(_KEEP, filter(None, map(self._row, receipts)))

    def _row(self, receipt: Mapping[str, Any]) -> tuple[Any, ...] | None:
        code = receipt["reasons"][0]["code"] if receipt.get("reasons") else None
        # What repeats a report tells in `first` how that one stands; what reuses its id is none of its answers.
        if code == "id-reused":
            return None
        standing = receipt.get("first") or receipt
        code = standing["reasons"][0]["code"] if standing.get("reasons") else None
        if not standing.get("source") or not standing.get("id"):
            return None
        binds = standing["status"] in ("accepted", "waiting") or (
            standing["status"] == "refused" and code not in _NOT_FINAL
        )
        return (
            self._target, standing["source"], standing["id"], standing.get("type"), standing.get("district"),
            standing["status"], code, binds, standing["received_at"], standing["decided_at"],
        )  # fmt: skip

    def unanswered(self, limit: int, also_waiting: bool = False) -> list[tuple[str, str, str]]:
        """Return (source, id, type) of what was sent and has no answer yet, or none but `waiting`."""
        sql = (
            "select s.source, s.id, s.type from sent s left join answer a using (target, source, id) where target = ? "
            "and (a.id is null or (? and a.status = 'waiting')) limit ?"
        )
        return list(self._db.execute(sql, (self._target, also_waiting, limit)))

    def statement(
        self, district: str | None = None, source: str | None = None, since: str | None = None
    ) -> Iterator[tuple[str, str, list[int]]]:
        """Yield (day, type, [sent, accepted, waiting, refused, invalid, no answer]) in Asia/Shanghai."""
        asked = {"target": self._target, "district": district, "source": source, "since": since}
        for day, type_, *counts in self._db.execute(_STATEMENT, asked):
            yield day, type_ or "–", counts

    def districts(self) -> list[str]:
        """Return the districts for which something was sent from here."""
        return [row[0] for row in self._db.execute(
            "select distinct district from sent where target = ? order by 1", (self._target,)
        )]  # fmt: skip

    def unanswered_since(self, began: datetime) -> int:
        """Count what was sent since then and has no answer yet."""
        sql = (
            "select count(*) from sent s left join answer a using (target, source, id) "
            "where target = ? and s.sent_at >= ? and a.id is null"
        )
        return int(self._db.execute(sql, (self._target, _shown(began))).fetchone()[0])

    def answers_since(self, began: datetime) -> tuple[Counter[str], int]:
        """Count the answers to what was sent since then by status, and those that are against it."""
        sql = (
            "select a.status, count(*) from sent s join answer a using (target, source, id) "
            "where target = ? and s.sent_at >= ? group by 1"
        )
        counts = Counter(dict(self._db.execute(sql, (self._target, _shown(began)))))
        return counts, sum(count for status, count in counts.items() if status not in ("accepted", "waiting"))


class _Transaction:
    """All or nothing, whatever happens in the block."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.execute("commit" if kind is None else "rollback")


def _now() -> str:
    return _shown(datetime.now(UTC))


def _shown(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
