"""The journal of what was sent and what became of it: one SQLite file, consistent after a crash at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import orjson
from pydantic import JsonValue

from client.messages import Receipt, final, source_of
from client.output import CommandError

# These answers bind no id (RULES A3): with a key or setting mended the same report may yet be accepted.
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
_SENT: Final = """
insert or replace into sent values (:target, :source, :id, :digest, :type, :district, :sent_at, :acknowledged_at)
"""
# A later answer replaces an earlier one, but one that binds no id never replaces a decision.
_RECORD: Final = """
insert into answer values (:target, :source, :id, :type, :district, :status, :code, :binds, :received_at, :decided_at)
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
    """Return where the journal is by default."""
    return Path.home() / ".skillplan" / "journal.sqlite"


class ReportCounts(NamedTuple):
    """How many reports were sent, and how many of them have which answer."""

    sent: int
    accepted: int
    waiting: int
    refused: int
    invalid: int
    no_answer: int


class StatementRow(NamedTuple):
    """The counts of one day and type."""

    day: str
    type: str
    counts: ReportCounts


class _SentRow(NamedTuple):
    target: str
    source: str
    id: str
    digest: bytes
    type: str
    district: str
    sent_at: str
    acknowledged_at: str | None


class _AnswerRow(NamedTuple):
    target: str
    source: str
    id: str
    type: str | None
    district: str | None
    status: str
    code: str | None
    binds: bool
    received_at: str
    decided_at: str


class Journal:
    """What was sent to one target (a broker or an address), and the answers. It holds nothing personal: of a report's
    content only a digest, under a key that is this file's own."""

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

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does; roll it back where the block raises."""
        with self._db:
            self._db.execute("begin immediate")
            yield

    def digest(self, event: Mapping[str, JsonValue]) -> bytes:
        """Return a keyed digest of a report, 16 bytes."""
        compact = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(compact, digest_size=16, key=self._key).digest()

    def is_settled(self, event: Mapping[str, JsonValue]) -> bool:
        """Return whether this very content was acknowledged, with no answer that asks for it again."""
        row = self._db.execute(
            "select s.digest, a.code from sent s left join answer a using (target, source, id) "
            "where target = ? and source = ? and id = ? and s.acknowledged_at is not null",
            (self._target, event.get("source"), event.get("id")),
        ).fetchone()
        if row is None:
            return False
        digest, code = row
        return bool(digest == self.digest(event) and code not in _NOT_FINAL)

    def sending(self, events: Iterable[Mapping[str, JsonValue]]) -> None:
        """Record reports before they are sent, so that after a crash they count as unanswered."""
        at = _now()
        rows = [
            _SentRow(
                self._target, source, id_, self.digest(event), str(event["type"]), source.split("/")[2], at, None
            )
            for event in events for source, id_ in (source_of(event),)
        ]  # fmt: skip
        with self._transaction():
            self._db.executemany(_SENT, [row._asdict() for row in rows])

    def acknowledged(self, events: Iterable[Mapping[str, JsonValue]], receipts: Iterable[Receipt] = ()) -> None:
        """Record that reports have arrived, with their receipts where there are any already."""
        at = _now()
        with self._transaction():
            self._db.executemany(
                "update sent set acknowledged_at = ? where target = ? and source = ? and id = ?",
                [(at, self._target, *source_of(event)) for event in events],
            )
            self._record(receipts)

    def answered(self, receipts: Iterable[Receipt], topic: str, next_offset: int) -> None:
        """Record receipts from a topic, and the offset of the next one."""
        with self._transaction():
            self._record(receipts)
            self._db.execute("insert or replace into place values (?, ?, ?)", (self._target, topic, next_offset))

    def next_offset(self, topic: str) -> int | None:
        """Return the offset from which to read on in a topic, None where it was never read."""
        row = self._db.execute(
            "select next from place where target = ? and topic = ?", (self._target, topic)
        ).fetchone()
        return None if row is None else int(row[0])

    def _record(self, receipts: Iterable[Receipt]) -> None:
        self._db.executemany(
            _RECORD, [row._asdict() for receipt in receipts if (row := self._row(receipt)) is not None]
        )

    def _row(self, receipt: Receipt) -> _AnswerRow | None:
        # `first` of a repeated report is how that one stands now; an id used again says nothing about the first report.
        if _code(receipt) == "id-reused":
            return None
        answer = final(receipt)
        source, id_, status, code = answer.get("source"), answer.get("id"), answer["status"], _code(answer)
        if not source or not id_:
            return None
        binds = status in ("accepted", "waiting") or (status == "refused" and code not in _NOT_FINAL)
        return _AnswerRow(
            self._target, source, id_, answer.get("type"), answer.get("district"), status, code, binds,
            answer["received_at"], answer["decided_at"],
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
    ) -> Iterator[StatementRow]:
        """Yield the counts of each day and type, days in Asia/Shanghai."""
        parameters = {"target": self._target, "district": district, "source": source, "since": since}
        for day, type_, *counts in self._db.execute(_STATEMENT, parameters):
            yield StatementRow(day, type_ or "–", ReportCounts(*counts))

    def districts(self) -> list[str]:
        """Return the districts of everything that was sent."""
        return [row[0] for row in self._db.execute(
            "select distinct district from sent where target = ? order by 1", (self._target,)
        )]  # fmt: skip

    def unanswered_since(self, began: datetime) -> int:
        """Count what was sent since then and has no answer yet."""
        sql = (
            "select count(*) from sent s left join answer a using (target, source, id) "
            "where target = ? and s.sent_at >= ? and a.id is null"
        )
        return int(self._db.execute(sql, (self._target, _instant(began))).fetchone()[0])

    def answers_since(self, began: datetime) -> tuple[Counter[str], int]:
        """Count the answers to what was sent since then by status, and those that reject it."""
        sql = (
            "select a.status, count(*) from sent s join answer a using (target, source, id) "
            "where target = ? and s.sent_at >= ? group by 1"
        )
        counts = Counter(dict(self._db.execute(sql, (self._target, _instant(began)))))
        return counts, sum(count for status, count in counts.items() if status not in ("accepted", "waiting"))


def _code(receipt: Receipt) -> str | None:
    reasons = receipt.get("reasons")
    return reasons[0]["code"] if reasons else None


def _now() -> str:
    return _instant(datetime.now(UTC))


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
