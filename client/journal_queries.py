"""What the journal knows: counts by day and type, the answers of a run, and what a file no longer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import orjson

from client.journal import ContentAnswer, Journal, base_id

_STATEMENT: Final = """
with every as (
    select source, coalesce(a.district, s.district) district, coalesce(a.type, s.type) type,
        coalesce(a.received_at, s.sent_at) at, a.status, a.flags like '%"same-content"%' same
    from answer a left join sent s using (target, source, id) where target = :target
    union all
    select source, s.district, s.type, s.sent_at, null, 0
    from sent s left join answer a using (target, source, id) where target = :target and a.id is null
    union all
    select source, district, type, received_at, 'refused', 0 from reused where target = :target
)
select date(at, '+8 hours') day, type, count(*), coalesce(sum(status = 'accepted'), 0),
    coalesce(sum(status = 'waiting'), 0), coalesce(sum(status = 'refused'), 0),
    coalesce(sum(status in ('invalid', 'misdirected')), 0), coalesce(sum(status is null), 0), coalesce(sum(same), 0)
from every where (:district is null or district = :district) and (:source is null or source = :source)
    and (:since is null or date(at, '+8 hours') >= :since)
group by 1, 2 order by 1, 2
"""
# Of a run: what the service said of the very content of each line; not of what was mended since, under another id.
_OF_RUN: Final = """
select s.line, s.reply, s.reply_reasons, a.status, a.code, a.reasons, a.flags, s.source, s.given
from sent s indexed by sent_run left join answer a using (target, source, id)
where target = :target and s.run = :run and not exists (
    select 1 from sent later indexed by sent_given
    where later.target = s.target and later.source = s.source and later.given = s.given
        and later.digest = s.digest and length(later.id) > length(s.id) and later.run = s.run)
order by s.line
"""
_LISTED: Final = """
create temp table if not exists listed (
    source text, given text, digest blob, type text, primary key (source, given)) without rowid
"""
# Accepted and standing, of a source and type that the file has, and not in it. `known`: sent from this file, or from
# one that holds a report of it with the same content.
_MISSING: Final = """
select a.source, a.id, a.type, a.district, a.subject, s.file in (
        select :file union
        select distinct o.file from listed l join sent o indexed by sent_given
            on l.source = o.source and l.given = o.given
            and l.digest = o.digest where o.target = :target and o.file is not null) known,
    s.file is null unknown, s.line
from answer a left join sent s using (target, source, id)
where target = :target and a.status = 'accepted' and a.type not like '%.report-retracted.v1'
    and a.type not like '%.report-voided.v1' and coalesce(a.flags, '') not like '%"voided"%'
    and a.source in (select source from listed)
    and a.type in (select type from listed)
    and not exists (select 1 from listed l where l.source = a.source
        and (l.given = coalesce(s.given, base_id(a.id)) or l.given = a.id))
    and not exists (select 1 from sent r indexed by sent_about join answer ra using (target, source, id)
        where r.target = a.target and r.source = a.source and r.about = a.id and ra.status = 'accepted')
order by a.source, s.line, a.id
"""


class ReportCounts(NamedTuple):
    """How many reports were sent, and how many of them have which answer."""

    sent: int
    accepted: int
    waiting: int
    refused: int
    invalid: int
    no_answer: int


class StatementRow(NamedTuple):
    """The counts of one day and type; `same_content`: of the accepted ones, those that repeat another report."""

    day: str
    type: str
    counts: ReportCounts
    same_content: int


class LineOutcome(NamedTuple):
    """What a service said of a line of a file."""

    line: int
    outcome: ContentAnswer
    source: str
    given: str


class ListedReport(NamedTuple):
    """A report that a file holds; `given` is its id there."""

    source: str
    given: str
    digest: bytes
    type: str


class MissingReport(NamedTuple):
    """An accepted report that a file no longer holds; `known`: it was sent from it, or an earlier state of it."""

    source: str
    id: str
    type: str
    district: str | None
    subject: str | None
    known: bool
    unknown: bool
    line: int | None


class StandingReport(NamedTuple):
    """An accepted report, or one that waits, as far as the journal knows."""

    source: str
    id: str
    type: str
    district: str
    subject: str | None
    status: str
    given: str


def statement(
    journal: Journal, district: str | None = None, source: str | None = None, since: str | None = None
) -> Iterator[StatementRow]:
    """Yield the counts of each day and type, days in Asia/Shanghai."""
    parameters = {"target": journal.target, "district": district, "source": source, "since": since}
    for day, type_, *counts, same_content in journal.database.execute(_STATEMENT, parameters):
        yield StatementRow(day, type_ or "–", ReportCounts(*counts), same_content)


def districts(journal: Journal) -> list[str]:
    """Return the districts of everything that arrived."""
    return [row[0] for row in journal.database.execute(
        "select distinct district from sent where target = ? and acknowledged_at is not null order by 1",
        (journal.target,),
    )]  # fmt: skip


def unanswered(journal: Journal, also_waiting: bool = False) -> list[tuple[str, str, str]]:
    """Return (source, id, type) of what was sent and has no answer yet, or none but `waiting`."""
    sql = (
        "select s.source, s.id, s.type from sent s left join answer a using (target, source, id) where target = ? "
        "and (a.id is null or (? and a.status = 'waiting'))"
    )
    return list(journal.database.execute(sql, (journal.target, also_waiting)))


def unanswered_of(journal: Journal, run: str) -> int:
    """Count the contents of a run that have no answer yet."""
    sql = "select count(*) from sent indexed by sent_run where target = ? and run = ? and reply is null"
    return int(journal.database.execute(sql, (journal.target, run)).fetchone()[0])


def outcomes_of(journal: Journal, run: str) -> Iterator[LineOutcome]:
    """Yield what the services said of the contents of a run, by line."""
    rows = journal.database.execute(_OF_RUN, {"target": journal.target, "run": run})
    for line, reply, reply_reasons, status, code, reasons, flags, source, given in rows:
        if reply == "decided" and status is not None:
            outcome = ContentAnswer(status, code, orjson.loads(reasons or "[]"), orjson.loads(flags or "[]"))
        elif reply is None or reply == "decided":
            continue
        else:
            listed = orjson.loads(reply_reasons or "[]")
            outcome = ContentAnswer(reply, listed[0]["code"] if listed else None, listed, [])
        yield LineOutcome(line or 0, outcome, source, given)


def mended_of(journal: Journal, run: str) -> int:
    """Count the contents of a run whose id was found to be that of a refused report: they go out under a new one."""
    sql = """
        select count(*) from sent s indexed by sent_run join answer a using (target, source, id)
        where target = ? and s.run = ? and s.reply = 'refused' and a.status = 'refused' and a.binds
            and s.reply_reasons like '%"id-reused"%' and not exists (
                select 1 from sent later indexed by sent_given where later.target = s.target and later.source = s.source
                    and later.given = s.given and later.digest = s.digest and length(later.id) > length(s.id))
    """
    return int(journal.database.execute(sql, (journal.target, run)).fetchone()[0])


def by_status(outcomes: Iterable[LineOutcome]) -> Counter[str]:
    """Count outcomes by status."""
    return Counter(each.outcome.status for each in outcomes)


def list_reports(journal: Journal, rows: Iterable[ListedReport]) -> None:
    """Note for this session which reports a file holds."""
    journal.database.execute(_LISTED)
    with journal.transaction():
        journal.database.executemany("insert or ignore into listed values (?, ?, ?, ?)", rows)


def missing(journal: Journal, file: bytes) -> list[MissingReport]:
    """Return what was accepted, stands, and is not among the reports listed."""
    journal.database.execute(_LISTED)
    journal.database.create_function("base_id", 1, base_id, deterministic=True)
    parameters = {"target": journal.target, "file": file}
    rows = journal.database.execute(_MISSING, parameters)
    return [
        MissingReport(source, id_, type_, district, subject, bool(known), bool(unknown), line)
        for source, id_, type_, district, subject, known, unknown, line in rows
    ]


def standing(journal: Journal, id_: str, source: str | None) -> list[StandingReport]:
    """Return the reports of an id, in every source or in one, each followed by what corrects it, the latest last."""
    sql = """
        with recursive chain (source, id, depth) as (
            select source, id, 0 from answer
            where target = :target and id = :id and (:source is null or source = :source)
            union
            select s.source, s.id, depth + 1 from chain c
                join sent s indexed by sent_about on s.target = :target and s.source = c.source
                    and s.about = c.id and s.type not like '%.report-retracted.v1'
            where depth < 100)
        select a.source, a.id, a.type, coalesce(a.district, s.district), a.subject, a.status, coalesce(s.given, a.id)
        from chain c join answer a on a.target = :target and a.source = c.source and a.id = c.id
            left join sent s using (target, source, id)
        where a.status in ('accepted', 'waiting') and not exists (
            select 1 from sent r indexed by sent_about join answer ra using (target, source, id)
            where r.target = :target
                and r.source = a.source and r.about = a.id and r.type like '%.report-retracted.v1'
                and ra.status in ('accepted', 'waiting'))
        order by a.source, c.depth
    """
    rows = journal.database.execute(sql, {"target": journal.target, "id": id_, "source": source})
    return [StandingReport(*row) for row in rows]


def free_id(journal: Journal, source: str, id_: str, ending: str) -> str:
    """Return `<id><ending>` with the first number that no report of this source has: `.2`, `.r`, `.r2` and so on."""
    number = 2 if ending == "." else 1
    while True:
        candidate = f"{id_}{ending}{number if number > 1 else ''}"
        taken = journal.database.execute(
            "select 1 from sent where target = :target and source = :source and id = :id union all "
            "select 1 from answer where target = :target and source = :source and id = :id",
            {"target": journal.target, "source": source, "id": candidate},
        ).fetchone()
        if taken is None:
            return candidate
        number += 1
