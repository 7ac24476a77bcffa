"""`skillplan correct`: report a row anew in the place of what was accepted under its id."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from client import journal_queries
from client.commands.faults import DEFAULT_LIMIT, FaultPrinter
from client.commands.options import Encoding, HiddenRows, Http, JournalFile, Json, Key, MappingFile, Patience, Sheet
from client.commands.outcomes import conclude
from client.delivery import read_receipts, send_each
from client.http import WebClient
from client.journal import FileReport, Journal
from client.messages import JsonObject, source_of
from client.output import SOME_WRONG, CommandError
from client.report_file import CheckedReport, ReportFile
from client.routing import district_of, route
from client.session import run_async, session
from client.settings import ClientSettings
from client.validation import Checker


def correct(
    what: Annotated[str, typer.Argument(metavar="ROW|ID", help="行号,或报告编号 a row's number, or the report's id")],
    file: Annotated[str, typer.Option("--file", help="改正后的台账或 NDJSON the file as it should be")],
    mapping: MappingFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    hidden: HiddenRows = None,
    corrects: Annotated[
        str | None, typer.Option(help="所更正的编号,默认为最近一次受理的 the id that it corrects; the one that stands")
    ] = None,
    http: Http = False,
    key: Key = None,
    patience: Patience = 60,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """更正一份受理过的报告:照文件中现在的一行重报 Correct an accepted report by what its row says now."""
    with session(json) as (output, settings):
        opened = ReportFile(file, mapping, encoding, sheet, Checker.by_plans(settings.plans), hidden)
        row = _row(opened, what)
        event = row.event
        if row.faults or event is None:
            printer = FaultPrinter(output, DEFAULT_LIMIT, sys.stderr)
            for fault in row.faults:
                printer(fault)
            raise typer.Exit(SOME_WRONG)
        source, given = source_of(event)
        with Journal(journal or settings.journal, settings.target(http)) as record:
            if not http:
                read_receipts(settings, record, output, [district] if (district := district_of(source)) else [])
            digest = record.digest(event)
            resolved = record.resolve(event, digest)
            if resolved.decided and resolved.outcome is not None and resolved.outcome.status == "accepted":
                output.sentence(
                    "✓ 这一行与已受理的内容相同,不必更正", "this row is what was accepted: there is nothing to correct"
                )
                return
            chain = journal_queries.standing(record, given, source)
            original = corrects or (chain[-1].id if chain else None)
            if original is None and http:
                original = run_async(_ask(settings, key, patience, event))
            if original is None:
                raise CommandError(
                    f"{given} 没有受理过,无可更正。请用 skillplan publish 报送。",
                    f"{given} was never accepted: there is nothing to correct. Send it by `skillplan publish`.",
                    "not-found",
                )
            own_id = journal_queries.free_id(record, source, given, ".")
            report = FileReport(row.line, event | {"id": own_id, "corrects": original}, given, digest)
            web = WebClient(settings.services, settings.wire(key), patience) if http else None
            outcomes, missing = run_async(send_each(settings, record, [report], [original], web, patience))
        conclude(output, outcomes, missing, patience, ("已更正", "corrected"))


def _row(opened: ReportFile, what: str) -> CheckedReport:
    """Return the report of a row, or of an id; raises CommandError where the file has none, or several of the id."""
    reports = (report for report in opened.reports() if report is not None)
    if what.isdecimal():
        matching = [report for report in reports if report.line == int(what)]
    else:
        matching = [report for report in reports if report.event is not None and report.event.get("id") == what]
    if len(matching) != 1:
        zh, en = ("没有", "no") if not matching else ("不止一行是", "more than one row of")
        raise CommandError(f"文件中{zh} {what}。", f"There is {en} {what} in the file.", "not-found")
    return matching[0]


async def _ask(settings: ClientSettings, key: str | None, patience: float, event: JsonObject) -> str | None:
    """Return the id of a report where its service has accepted it, for a journal that has nothing of it."""
    async with WebClient(settings.services, settings.wire(key), patience) as client:
        receipt = await client.receipt(route(event).service, *source_of(event))
    return receipt["id"] if receipt is not None and receipt["status"] in ("accepted", "waiting") else None
