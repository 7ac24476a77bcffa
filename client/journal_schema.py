"""The tables of the journal, and how a file of an earlier version is brought up to date."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Final

# Version 0: as released first. What is added since stands in _UPGRADES, one entry a version (`pragma user_version`).
_FIRST: Final = (
    "create table if not exists secret (key blob not null)",
    """create table if not exists sent (
    target text, source text, id text, digest blob not null, type text not null, district text not null,
    sent_at text not null, acknowledged_at text, primary key (target, source, id)) without rowid""",
    """create table if not exists answer (
    target text, source text, id text, type text, district text, status text not null, code text, binds int not null,
    received_at text not null, decided_at text not null, primary key (target, source, id)) without rowid""",
    """create table if not exists place (
    target text, topic text, next int not null, primary key (target, topic)) without rowid""",
)
_UPGRADES: Final = (
    (
        # The id that the file gives it; when a broker appended it (ms); what was answered about this very content
        # (`decided`: as `answer` says, else the status that bound no id) and why.
        "alter table sent add column given text",
        "alter table sent add column appended int",
        "alter table sent add column reply text",
        "alter table sent add column reply_reasons text",
        # The file and line it came from, the run that handled it last, and the report that it corrects or retracts.
        "alter table sent add column file blob",
        "alter table sent add column line int",
        "alter table sent add column run text",
        "alter table sent add column about text",
        "update sent set given = id",
        "create index sent_given on sent (target, source, given)",
        "create index sent_run on sent (target, run)",
        "create index sent_about on sent (target, source, about)",
        "alter table answer add column subject text",
        "alter table answer add column reasons text",
        "alter table answer add column flags text",
        # Ids under which other content was refused: the decision in force stands in `answer`.
        """create table reused (
        target text, source text, id text, type text, district text, received_at text not null, reasons text,
        primary key (target, source, id)) without rowid""",
        # Receipts are read anew from the beginning, for what was not recorded of them before.
        "delete from place",
    ),
)


class NewerJournalError(Exception):
    """The journal was written by a later version of the program."""


def prepare(database: sqlite3.Connection) -> bytes:
    """Create or upgrade the tables in one transaction; return the key of the file's digests."""
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = normal")
    with database:
        database.execute("begin immediate")
        version = int(database.execute("pragma user_version").fetchone()[0])
        if version > len(_UPGRADES):
            raise NewerJournalError
        if version < len(_UPGRADES):
            for statement in (*_FIRST, *(statement for upgrade in _UPGRADES[version:] for statement in upgrade)):
                database.execute(statement)
            database.execute(f"pragma user_version = {len(_UPGRADES)}")
        if database.execute("select 1 from secret").fetchone() is None:
            database.execute("insert into secret values (?)", (secrets.token_bytes(32),))
        key: bytes = database.execute("select key from secret").fetchone()[0]
    return key
