"""`skillplan statement`: what became of everything that was sent, by day and type."""

from typing import Annotated, Final

import typer

from client import catch_up
from client.commands.options import District, Http, JournalFile, Json, Key, Patience, Source, check_day
from client.journal import Journal, ReportCounts
from client.output import text
from client.session import run_async, session

_HEADS: Final = (
    ("日期", "Day"), ("类型", "Type"), ("已报", "Sent"), ("受理", "Accepted"), ("等待", "Waiting"), ("拒绝", "Refused"),
    ("有误", "Invalid"), ("无回执", "No answer"),
)  # fmt: skip


def statement(
    district: District = None,
    source: Source = None,
    since: Annotated[str | None, typer.Option(help="从哪一天起 YYYY-MM-DD from which day on")] = None,
    http: Http = False,
    key: Key = None,
    patience: Patience = 30,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """对账单:每日每类已报、受理、等待、拒绝、无回执 Sent, accepted, waiting, refused, unanswered by day and type."""
    with session(json) as (output, settings):
        if since is not None:
            check_day(since)
        with Journal(journal or settings.journal, settings.target(http)) as record:
            if http:
                run_async(catch_up.by_http(settings, record, settings.key_or(key), patience))
            else:
                run_async(catch_up.by_kafka(settings, record, [district] if district else record.districts()))
            rows = list(record.statement(district, source, since))
        columns = zip(*(row.counts for row in rows), strict=True)
        total = ReportCounts(*map(sum, columns)) if rows else ReportCounts(0, 0, 0, 0, 0, 0)
        for row in rows:
            output.record({"day": row.day, "type": row.type, **row.counts._asdict()})
        output.record({"total": total._asdict()})
        lines = [[row.day, row.type.removeprefix("skillplan."), *map(str, row.counts)] for row in rows]
        output.table(_HEADS, [*lines, [text("合计", "Total"), "", *map(str, total)]])
