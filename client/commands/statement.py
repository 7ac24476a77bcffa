"""`skillplan statement`: what became of everything that was sent, by day and type, and what a file no longer holds."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from client import catch_up, journal_queries
from client.commands.options import (
    District,
    Encoding,
    HiddenRows,
    Http,
    JournalFile,
    Json,
    Key,
    MappingFile,
    Patience,
    Sheet,
    Source,
    check_day,
)
from client.delivery import read_receipts
from client.http import WebClient
from client.journal import Journal
from client.journal_queries import ListedReport, MissingReport, ReportCounts, StatementRow
from client.messages import source_of
from client.output import CommandError, Output, file_error, text
from client.publishing import has_key
from client.report_file import ReportFile
from client.retraction import retraction
from client.routing import district_of
from client.session import run_async, session
from client.settings import ClientSettings
from client.spreadsheet import safe_row
from client.terms import type_name
from client.validation import Checker

_HEADS: Final = (
    ("日期", "Day"), ("类型", "Type"), ("已报", "Sent"), ("受理", "Accepted"), ("等待", "Waiting"), ("退回", "Refused"),
    ("有误", "Invalid"), ("无回执", "No answer"),
)  # fmt: skip


def statement(
    district: District = None,
    source: Source = None,
    since: Annotated[str | None, typer.Option(help="从哪一天起 YYYY-MM-DD from which day on")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="与这份文件比:受理过而不在其中的 compare with a file: what was accepted and is not in it"),
    ] = None,
    mapping: MappingFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    hidden: HiddenRows = None,
    retractions: Annotated[
        Path | None, typer.Option(help="把这些的撤回报告写到此文件 write the retractions of these there (NDJSON)")
    ] = None,
    whole_source: Annotated[
        bool, typer.Option("--whole-source", help="来源中受理的都比 compare with everything accepted of its source")
    ] = False,
    why: Annotated[str, typer.Option(help="撤回理由 why they are taken back")] = "已不在台账中",
    http: Http = False,
    key: Key = None,
    patience: Patience = 30,
    journal: JournalFile = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV print CSV")] = False,
    json: Json = False,
) -> None:
    """对账单:每日每类已报、受理、等待、退回、无回执 Sent, accepted, waiting, refused, unanswered by day and type."""
    with session(json) as (output, settings):
        if since is not None:
            check_day(since)
        if retractions is not None and file is None:
            raise CommandError("--retractions 要与 --file 同用。", "--retractions goes with --file.")
        with Journal(journal or settings.journal, settings.target(http)) as record:
            _catch_up(
                settings, record, output, district or (district_of(source) if source else None), key, patience, http
            )
            if file is not None:
                opened = ReportFile(file, mapping, encoding, sheet, Checker.by_plans(settings.plans), hidden)
                _compare(output, record, opened, file, retractions, whole_source, why)
                return
            rows = list(journal_queries.statement(record, district, source, since))
        if as_csv:
            _print_csv(rows)
        else:
            _print(output, rows)


def _catch_up(
    settings: ClientSettings, record: Journal, output: Output, district: str | None, key: str | None, patience: float,
    http: bool,
) -> None:  # fmt: skip
    async def by_http() -> None:
        async with WebClient(settings.addresses, settings.wire(key), patience) as client:
            await catch_up.by_http(settings, record, client)
            if journal_queries.districts(record):
                return
            if district is None:
                raise CommandError(
                    "这份发送记录里还没有报送过什么。请用 --district 指明区划,由服务列出已收到的。",
                    "Nothing was sent by this journal. Name a district by --district: the service lists what it has.",
                )
            await catch_up.all_of_district(record, client, district)

    if http:
        run_async(by_http())
    else:
        read_receipts(settings, record, output, [district] if district else [])


def _print(output: Output, rows: list[StatementRow]) -> None:
    columns = zip(*(row.counts for row in rows), strict=True)
    total = ReportCounts(*map(sum, columns)) if rows else ReportCounts(0, 0, 0, 0, 0, 0)
    same_content = sum(row.same_content for row in rows)
    for row in rows:
        flagged = {"same_content": row.same_content} if row.same_content else {}
        output.record({"day": row.day, "type": row.type, **row.counts._asdict(), **flagged})
    output.record({"total": total._asdict() | ({"same_content": same_content} if same_content else {})})
    lines = [[row.day, type_name(row.type), *map(str, row.counts)] for row in rows]
    output.table(_HEADS, [*lines, [text("合计", "Total"), "", *map(str, total)]])
    if same_content:
        output.sentence(
            f"! 受理的报告中有 {same_content} 份与另一份内容完全相同,请核对是否报了两次",
            f"{same_content} of the accepted ones say exactly what another says; check whether it was reported twice",
        )


def _print_csv(rows: list[StatementRow]) -> None:
    sys.stdout.write("\ufeff")
    out = csv.writer(sys.stdout)
    out.writerow(["day", "type", *ReportCounts._fields, "same_content"])
    out.writerows([row.day, *safe_row([row.type, *row.counts, row.same_content])] for row in rows)


def _compare(
    output: Output,
    record: Journal,
    opened: ReportFile,
    file: str,
    retractions: Path | None,
    whole_source: bool,
    why: str,
) -> None:
    listed = [
        ListedReport(*source_of(event), record.digest(event), str(event["type"]))
        for report in opened.reports()
        if report is not None and (event := report.event) is not None and has_key(event)
    ]
    if not listed:
        raise CommandError("这份文件里没有可比的报告。", "There is no report in this file to compare.")
    journal_queries.list_reports(record, listed)
    every = journal_queries.missing(record, record.file_mark(file))
    known = [each for each in every if each.known or whole_source]
    others = [each for each in every if each.unknown and not each.known and not whole_source]
    for each in known:
        output.record({"missing": {"source": each.source, "id": each.id, "type": each.type, "subject": each.subject}})
        output.line(f"{each.id} {type_name(each.type)} {each.source}")
    output.record({"summary": {"in_file": len(listed), "missing": len(known), "sent_elsewhere": len(others)}})
    output.sentence(
        f"文件中 {len(listed)} 份;受理过而不在其中的 {len(known)} 份",
        f"{len(listed)} in the file; {len(known)} accepted and not in it",
    )
    if others:
        output.sentence(
            f"! 同一来源另有 {len(others)} 份受理的报告,不知是否出自这份文件(别处报送);要一并比较,加 --whole-source",
            f"{len(others)} more of this source were accepted, sent from elsewhere; --whole-source compares with them",
        )
    if retractions is not None:
        _write(output, record, known, retractions, why)


def _write(output: Output, record: Journal, reports: list[MissingReport], file: Path, why: str) -> None:
    at = datetime.now(UTC)
    lines = []
    for each in reports:
        if each.subject is None or each.district is None:
            raise CommandError(
                f"{each.id} 的回执里没有业务编号,写不出撤回报告。",
                f"The receipt of {each.id} names no subject: no retraction can be written.",
            )
        id_ = journal_queries.free_id(record, each.source, each.id, ".r")
        lines.append(
            orjson.dumps(retraction(each.source, each.id, each.type, each.subject, each.district, why, id_, at))
        )
    try:
        file.write_bytes(b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise file_error(error, ("写不进去", "cannot be written")) from None
    output.sentence(
        f"✓ {len(lines)} 份撤回报告已写入 {file.name};核对后用 skillplan publish {file.name} 报送",
        f"{len(lines)} retractions written to {file.name}; look at them, then skillplan publish {file.name}",
    )
