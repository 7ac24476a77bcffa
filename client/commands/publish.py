"""`skillplan publish`: check and send a file, over Kafka or HTTP."""

import signal
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from client import catch_up
from client.commands.faults import DEFAULT_LIMIT, FaultPrinter
from client.commands.options import (
    Encoding,
    File,
    HiddenRows,
    Http,
    JournalFile,
    Json,
    Key,
    Limit,
    MappingFile,
    Patience,
    Sheet,
)
from client.http import WebClient
from client.journal import Journal
from client.kafka import Publisher
from client.output import ALL_WELL, SOME_WRONG, UNANSWERED, CommandError, Output
from client.publishing import PublishingRun, Summary
from client.report_file import ReportFile
from client.session import run_async, session
from client.settings import ClientSettings
from client.validation import Checker, districts_of


def publish(
    file: File,
    mapping: MappingFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    hidden: HiddenRows = None,
    http: Http = False,
    key: Key = None,
    wait: Annotated[bool, typer.Option("--wait", help="等到全部有回执 wait until everything is answered")] = False,
    patience: Patience = 60,
    again: Annotated[bool, typer.Option("--again", help="已发送的也重发 send again what was sent before")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="不先核对 do not check before sending")] = False,
    journal: JournalFile = None,
    limit: Limit = DEFAULT_LIMIT,
    json: Json = False,
) -> None:
    """报送文件;中断后再运行会接着发 Publish a file; after a break the same command goes on."""
    with session(json) as (output, settings):
        report_file = ReportFile(file, mapping, encoding, sheet, Checker(districts_of(settings.plans)), hidden)
        printer = FaultPrinter(output, limit, sys.stderr)
        missing, began = 0, datetime.now(UTC)
        with Journal(journal or settings.journal, settings.target(http)) as record:
            publication = PublishingRun(report_file, record, printer, again, unchecked)
            summary = publication.summary
            try:
                web = WebClient(settings.services, settings.key_or(key), patience, settings.ca) if http else None
                run_async(_run(settings, output, publication, web))
                if wait and not http:
                    missing = run_async(catch_up.until_answered(settings, record, began, patience))
                    summary.by_status, summary.rejected = record.answers_since(began)
            finally:
                printer.rest()
                printer.notices(report_file.notices)
                _print(output, summary)
        if missing:
            raise CommandError(
                f"{patience:.0f} 秒内还有 {missing} 份没有回执。稍后用 skillplan statement 查看。",
                f"{missing} reports had no receipt in {patience:.0f} s. See `skillplan statement` later.",
                "unanswered",
                UNANSWERED,
            )
        raise typer.Exit(SOME_WRONG if summary.left_out or summary.rejected else ALL_WELL)


async def _run(settings: ClientSettings, output: Output, publication: PublishingRun, web: WebClient | None) -> None:
    async with web or Publisher(settings.broker) as sender:
        # asyncio's own handler of Ctrl-C would wait for the next line of a pipe.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with output.progress("报送", "Publishing", publication.file.total) as progress:
            await publication.run(sender, progress)


def _print(output: Output, summary: Summary) -> None:
    output.record({"summary": summary.as_json()})
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(summary.by_status.items()))
    details = f" ({statuses})" if statuses else ""
    before_zh, before_en = (
        (f",以前已送达 {summary.before}", f", {summary.before} arrived before") if summary.before else ("", "")
    )
    wrong = summary.left_out or summary.rejected or sys.exc_info()[0] is not None
    output.sentence(
        f"{'✗' if wrong else '✓'} 已报送 {summary.sent}{details}{before_zh},有误未报 {summary.left_out}",
        f"{summary.sent} published{details}{before_en}, {summary.left_out} left out",
    )
