"""The journal of what was sent and what became of it: one SQLite file, consistent after a crash at any moment.

It remembers what the services answered, and about which content: an answer to other content under the same id is none
to this one. It holds nothing personal: of a report's content only a digest, under a key that is this file's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import orjson
from pydantic import JsonValue

from client import journal_schema
from client.messages import code_of, decides, final, source_of
from client.output import CommandError
from shared.contract.events import parse_instant
from shared.contract.messages import Receipt, ReceiptReason

_DECIDED: Final = "decided"
_ID_REUSED: Final = "id-reused"
_NUMBERED: Final = re.compile(r"(.+)\.([2-9]|[1-9][0-9]{1,3})")
_SENT: Final = """
insert into sent (target, source, id, digest, type, district, sent_at, given, file, line, run, about)
values (:target, :source, :id, :digest, :type, :district, :sent_at, :given, :file, :line, :run, :about)
on conflict (target, source, id) do update set digest = excluded.digest, type = excluded.type,
    district = excluded.district, sent_at = excluded.sent_at, given = excluded.given, file = excluded.file,
    line = excluded.line, run = excluded.run, about = excluded.about, acknowledged_at = null, appended = null,
    reply = null, reply_reasons = null
"""
_ARRIVED: Final = """
update sent set acknowledged_at = :at, appended = coalesce(:appended, appended),
    reply = coalesce(:reply, reply), reply_reasons = coalesce(:reasons, reply_reasons)
where target = :target and source = :source and id = :id
"""
# A later answer replaces an earlier one, but one that binds no id never replaces a decision.
_ANSWER: Final = """
insert into answer (target, source, id, type, district, status, code, binds, received_at, decided_at, subject, reasons,
    flags)
values (:target, :source, :id, :type, :district, :status, :code, :binds, :received_at, :decided_at, :subject, :reasons,
    :flags)
on conflict (target, source, id) do update set type = excluded.type, district = excluded.district,
    status = excluded.status, code = excluded.code, binds = excluded.binds, received_at = excluded.received_at,
    decided_at = excluded.decided_at, subject = excluded.subject, reasons = excluded.reasons, flags = excluded.flags
where excluded.binds > answer.binds or (excluded.binds = answer.binds and excluded.decided_at >= answer.decided_at)
"""
_REUSED: Final = """
insert or ignore into reused (target, source, id, type, district, received_at, reasons)
values (:target, :source, :id, :type, :district, :received_at, :reasons)
"""
# A receipt is about what was sent from here where the broker's time of arrival is the same; a row of an earlier version
# has none, and takes what came after it was sent.
_REPLY: Final = """
update sent set reply = :reply, reply_reasons = :reasons where target = :target and source = :source and id = :id
    and (appended = :appended or (appended is null and acknowledged_at is not null and :appended is not null
        and (substr(sent_at, 1, 23) <= substr(:received_at, 1, 23) or reply is null and :reply = 'decided')))
"""
_ROWS: Final = """
select s.id, s.digest, s.acknowledged_at is not null, s.reply, s.reply_reasons, s.about is not null, a.status, a.code,
    a.binds, a.reasons, a.flags
from sent s indexed by sent_given left join answer a using (target, source, id)
where s.target = ? and s.source = ? and s.given = ? order by length(s.id), s.id
"""


def default_place() -> Path:
    """Return where the journal is by default; raises CommandError where this user has no home."""
    try:
        return Path.home() / ".skillplan" / "journal.sqlite"
    except RuntimeError:
        return Path(".skillplan") / "journal.sqlite"


class ContentAnswer(NamedTuple):
    """What a service answered about one content; `reasons` as in the receipt."""

    status: str
    code: str | None
    reasons: list[ReceiptReason]
    flags: list[str]

    @property
    def is_rejected(self) -> bool:
        """Whether no fact was made of it, nor will be."""
        return self.status not in ("accepted", "waiting")


class Resolved(NamedTuple):
    """The id under which a report of a file goes out, and what is known of this very content."""

    id: str
    arrived: bool = False
    decided: bool = False  # by an answer that stays (RULES A3)
    outcome: ContentAnswer | None = None


class FileReport(NamedTuple):
    """A report of a file as it is sent: `event` has the id under which it goes, `given` is that of the file."""

    line: int
    event: dict[str, JsonValue]
    given: str
    digest: bytes


class Arrival(NamedTuple):
    """A report that has arrived: its receipt, or the time at which the broker appended it, in ms since 1970."""

    event: Mapping[str, JsonValue]
    receipt: Receipt | None = None
    appended: int | None = None


class _SentRow(NamedTuple):
    id: str
    digest: bytes
    arrived: bool
    reply: str | None
    reply_reasons: str | None
    puts_right: bool
    status: str | None
    code: str | None
    binds: bool | None
    reasons: str | None
    flags: str | None

    @property
    def outcome(self) -> ContentAnswer | None:
        if self.reply == _DECIDED and self.status is not None:
            return ContentAnswer(self.status, self.code, _list(self.reasons), _list(self.flags))
        if self.reply is None or self.reply == _DECIDED:
            return None
        reasons: list[ReceiptReason] = _list(self.reply_reasons)
        return ContentAnswer(self.reply, reasons[0]["code"] if reasons else None, reasons, [])

    @property
    def resolved(self) -> Resolved:
        # An answer to this id that is none to this content: it is sent once more, and gets its own.
        arrived = self.arrived and (self.reply is not None or self.status is None)
        return Resolved(self.id, arrived, self.reply == _DECIDED, self.outcome)


class Journal:
    """What was sent to one target (a broker or an address), and the answers."""

    def __init__(self, file: Path, target: str) -> None:
        self.target = target
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self.database = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._key = journal_schema.prepare(self.database)
        except journal_schema.NewerJournalError:
            raise CommandError(
                "发送记录由更新版本的程序写成。请升级本程序,或用 --journal 另指一个位置。",
                "The journal was written by a newer version of this program. Upgrade it, or name another place by "
                "--journal.",
                "no-journal",
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does; roll it back where the block raises."""
        with self.database:
            self.database.execute("begin immediate")
            yield

    def digest(self, event: Mapping[str, JsonValue]) -> bytes:
        """Return a keyed digest of a report, 16 bytes."""
        compact = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(compact, digest_size=16, key=self._key).digest()

    def file_mark(self, file: str) -> bytes:
        """Return a keyed digest of a file's place, by which its reports are found again."""
        return hashlib.blake2b(os.fsencode(os.path.abspath(file)), digest_size=16, key=self._key).digest()

    def resolve(self, event: Mapping[str, JsonValue], digest: bytes) -> Resolved:
        """Return under which id a report of a file goes out. What was refused by a rule and mended since has a new id,
        `<id>.2` and so on (RULES B8); what bound no id, or was never sent, has its own."""
        source, given = source_of(event)
        rows = {row[0]: _SentRow(*row) for row in self.database.execute(_ROWS, (self.target, source, given))}
        for row in rows.values():
            if row.digest == digest and (row.reply == _DECIDED or row.puts_right):
                return row.resolved
        id_, number = given, 1
        while (known := rows.get(id_)) is not None:
            is_refused = known.status == "refused" and bool(known.binds)
            if known.digest == digest:
                if not (is_refused and _reason_of(known.reply_reasons) == _ID_REUSED):
                    return known.resolved
            elif not is_refused:
                break
            number += 1
            id_ = f"{given}.{number}"
        return Resolved(id_)

    def is_settled(self, resolved: Resolved) -> bool:
        """Return whether a report need not be sent again. Over Kafka what was decided, or not answered yet: its receipt
        comes by itself. Over HTTP only what was accepted: the service says anew how the rest stands."""
        if self.target.startswith("http:"):
            outcome = resolved.outcome
            return resolved.decided and outcome is not None and outcome.status == "accepted"
        return resolved.arrived and (resolved.decided or resolved.outcome is None)

    def sending(
        self, reports: Iterable[FileReport], run: str = "", file: bytes | None = None, about: str | None = None
    ) -> None:
        """Record reports before they are sent, so that after a crash they count as unanswered."""
        at = instant(datetime.now(UTC))
        rows = [
            {
                "target": self.target, "source": source, "id": id_, "digest": report.digest,
                "type": str(report.event["type"]), "district": source.split("/")[2], "sent_at": at,
                "given": report.given, "file": file, "line": report.line, "run": run,
                "about": about or named_by(report.event),
            }
            for report in reports for source, id_ in (source_of(report.event),)
        ]  # fmt: skip
        with self.transaction():
            self.database.executemany(_SENT, rows)

    def not_sent(self, events: Iterable[Mapping[str, JsonValue]]) -> None:
        """Forget reports that could not be sent: no answer will come."""
        with self.transaction():
            self.database.executemany(
                "delete from sent where target = ? and source = ? and id = ? and acknowledged_at is null",
                [(self.target, *source_of(event)) for event in events],
            )

    def awaiting(self, reports: Iterable[FileReport], run: str) -> None:
        """Record that a run meets reports again that were sent before and have no answer yet."""
        with self.transaction():
            self.database.executemany(
                "update sent set run = ?, line = ? where target = ? and source = ? and id = ?",
                [(run, report.line, self.target, *source_of(report.event)) for report in reports],
            )

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Record that reports have arrived, with their receipts where there are any already."""
        at, rows, receipts = instant(datetime.now(UTC)), [], []
        for event, receipt, appended in arrivals:
            source, id_ = source_of(event)
            reply, reasons = _reply(receipt) if receipt is not None else (None, None)
            rows.append(
                {
                    "at": at, "target": self.target, "source": source, "id": id_, "appended": appended, "reply": reply,
                    "reasons": reasons,
                }
            )  # fmt: skip
            receipts += [receipt] if receipt is not None else []
        with self.transaction():
            self.database.executemany(_ARRIVED, rows)
            self._record(receipts)

    def answered(self, receipts: Sequence[Receipt], topic: str | None = None, next_offset: int = 0) -> None:
        """Record receipts; those from a topic with the offset of the next one, and about which content they are."""
        with self.transaction():
            self._record(receipts)
            if topic is not None:
                self.database.executemany(_REPLY, [row for receipt in receipts for row in self._replies(receipt)])
                self.database.execute(
                    "insert or replace into place values (?, ?, ?)", (self.target, topic, next_offset)
                )

    def next_offset(self, topic: str) -> int | None:
        """Return the offset from which to read on in a topic, None where it was never read."""
        row = self.database.execute(
            "select next from place where target = ? and topic = ?", (self.target, topic)
        ).fetchone()
        return None if row is None else int(row[0])

    def _record(self, receipts: Iterable[Receipt]) -> None:
        answers, reused = [], []
        for receipt in receipts:
            # `first` of a repeated report is how that one stands now, and not what became of the later one.
            if (row := self._row(final(receipt))) is not None and code_of(final(receipt)) != _ID_REUSED:
                answers.append(row)
            if code_of(receipt) == _ID_REUSED and (row := self._row(receipt)) is not None:
                reused.append(row)
        self.database.executemany(_ANSWER, answers)
        self.database.executemany(_REUSED, reused)

    def _row(self, receipt: Receipt) -> dict[str, object] | None:
        if not receipt.get("source") or not receipt.get("id"):
            return None
        return {
            "target": self.target, "source": receipt.get("source"), "id": receipt.get("id"),
            "type": receipt.get("type"), "district": receipt.get("district"), "status": receipt["status"],
            "code": code_of(receipt), "binds": decides(receipt), "received_at": receipt["received_at"],
            "decided_at": receipt["decided_at"], "subject": receipt.get("subject"), "reasons": _reasons(receipt),
            "flags": orjson.dumps(receipt.get("flags") or []).decode(),
        }  # fmt: skip

    def _replies(self, receipt: Receipt) -> Iterator[dict[str, object]]:
        """Yield what a receipt says of the contents that it may be about, the first report's before its own."""
        about = [receipt["first"]] if "first" in receipt else []
        for part in (*about, receipt):
            reply, reasons = _reply(part)
            at = parse_instant(part["received_at"])
            yield {
                "target": self.target, "source": receipt.get("source"), "id": receipt.get("id"), "reply": reply,
                "reasons": reasons, "received_at": part["received_at"],
                "appended": None if at is None else round(at.timestamp() * 1000),
            }  # fmt: skip


def unusable(error: Exception) -> CommandError:
    """Return why a journal cannot be used, and what helps."""
    text = str(error)
    if "locked" in text or "busy" in text:
        zh, en = (
            "发送记录正被另一个命令占用。请等它结束后重新运行。",
            ("Another command is using the journal. Wait for its end and run this one again."),
        )
    elif "full" in text or "No space" in text:
        zh, en = (
            "磁盘已满,发送记录写不进去。请腾出空间后重新运行。",
            ("The disk is full, the journal cannot be written. Make room and run this again."),
        )
    elif "malformed" in text or "not a database" in text or "corrupt" in text:
        zh, en = (
            "发送记录已损坏,或不是本程序的文件。请把它改名留存,或用 --journal、SKILLPLAN_JOURNAL 另指一个位置;"
            "重新报送不会重复计数。",
            "The journal is damaged, or not a file of this program. Put it aside, or name another place by --journal "
            "or SKILLPLAN_JOURNAL; what is sent again is not counted twice.",
        )
    else:
        zh, en = (
            "发送记录无法读写。请用 --journal 或 SKILLPLAN_JOURNAL 指定一个可写的位置。",
            "The journal cannot be read and written. Name a place by --journal or SKILLPLAN_JOURNAL.",
        )
    return CommandError(zh, en, "no-journal")


def base_id(id_: str) -> str:
    """Return the id that a file gives a report that was sent as `<id>.2` and so on."""
    match = _NUMBERED.fullmatch(id_)
    return match[1] if match else id_


def named_by(event: Mapping[str, JsonValue]) -> str | None:
    """Return the id of the report that this one corrects or retracts, None where it does neither."""
    data = event.get("data")
    named = event.get("corrects") or (data.get("report_id") if isinstance(data, dict) else None)
    return named if isinstance(named, str) else None


def instant(at: datetime) -> str:
    """Return an instant as the journal has it; instants sort as texts."""
    return at.isoformat(timespec="milliseconds")


def _reply(receipt: Receipt) -> tuple[str, str | None]:
    """Return what a receipt says of its own content."""
    if receipt["status"] == "duplicate" or decides(receipt):
        return _DECIDED, None
    return receipt["status"], _reasons(receipt)


def _reasons(receipt: Receipt) -> str:
    return orjson.dumps(receipt.get("reasons") or []).decode()


def _reason_of(reasons: str | None) -> str | None:
    listed: list[ReceiptReason] = _list(reasons)
    return listed[0]["code"] if listed else None


def _list(text: str | None) -> list:  # type: ignore[type-arg]
    return orjson.loads(text) if text else []
