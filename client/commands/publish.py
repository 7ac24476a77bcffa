"""`skillplan publish`: report a file."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from client import journal_queries
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
from client.delivery import catch_up_on, deliver
from client.http import WebClient
from client.journal import Journal
from client.journal_queries import MissingReport
from client.output import ALL_WELL, SOME_WRONG, UNANSWERED, CommandError, Output
from client.publishing import PublishingRun, Summary
from client.report_file import CheckedReport, ReportFile
from client.session import run_async, session
from client.settings import ClientSettings
from client.tables.rows import Hidden
from client.terms import STATUS_NAMES
from client.validation import Checker

_MOST_IDS: Final = 20


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
        report_file = _opened(file, mapping, encoding, sheet, hidden, settings)
        printer = FaultPrinter(output, limit, sys.stderr)
        missing = 0
        gone: list[MissingReport] = []
        with Journal(journal or settings.journal, settings.target(http)) as record:

            def reports() -> Iterator[CheckedReport | None]:
                again_opened = run.summary.reports > 0  # its Checker has seen every id
                return (
                    _opened(file, mapping, encoding, sheet, hidden, settings) if again_opened else report_file
                ).reports()

            async def catch_up(districts: set[str]) -> None:
                for problem in await catch_up_on(settings, record, districts):
                    output.problem(f"读不到回执:{problem}", f"Receipts cannot be read: {problem}")

            run = PublishingRun(
                reports, record, lambda fault: printer(report_file.located(fault)), uuid.uuid4().hex,
                None if file == "-" else record.file_mark(file), again, unchecked, None if http else catch_up,
            )  # fmt: skip
            try:
                web = WebClient(settings.services, settings.wire(key), patience) if http else None
                with output.progress("报送", "Publishing", report_file.total) as progress:
                    missing = run_async(
                        deliver(
                            settings, run, web, patience if wait else None,
                            lambda reports: progress(report_file.progress.read, reports),
                        )
                    )  # fmt: skip
                if run.file is not None:
                    gone = [each for each in journal_queries.missing(record, run.file) if each.known]
            finally:
                printer.rest()
                printer.notices(report_file.notices)
                _print(output, run.summary, gone, waits=wait)
        _conclude(output, run.summary, missing, patience)


def _opened(
    file: str, mapping: Path | None, encoding: str | None, sheet: str | None, hidden: Hidden | None,
    settings: ClientSettings,
) -> ReportFile:  # fmt: skip
    return ReportFile(file, mapping, encoding, sheet, Checker.by_plans(settings.plans), hidden)


def _conclude(output: Output, summary: Summary, missing: int, patience: float) -> None:
    if not summary.reports:
        raise CommandError(
            "没有找到数据行,什么也没有报送。", "There are no rows of data: nothing was sent.", "empty", SOME_WRONG
        )
    is_wrong = bool(summary.left_out or summary.rejected)
    if missing:
        unanswered = CommandError(
            f"{patience:.0f} 秒内还有 {missing} 份没有回执。稍后用 skillplan statement 查看。",
            f"{missing} reports had no receipt in {patience:.0f} s. See `skillplan statement` later.",
            "unanswered",
            UNANSWERED,
        )
        if not is_wrong:
            raise unanswered
        output.error(unanswered)
    raise typer.Exit(SOME_WRONG if is_wrong else ALL_WELL)


def _print(output: Output, summary: Summary, gone: list[MissingReport], *, waits: bool) -> None:
    names = [{"source": each.source, "id": each.id} for each in gone]
    output.record({"summary": summary.as_json() | ({"no_longer_in_file": names} if names else {})})
    now_zh, now_en = _statuses(summary.by_status)
    before_zh, before_en = _statuses(summary.before_by_status)
    before_zh, before_en = (
        (f",以前已送达 {summary.before}{before_zh}", f", {summary.before} arrived before{before_en}")
        if summary.before else ("", "")
    )  # fmt: skip
    renamed_zh, renamed_en = (
        (f",其中改正后换新编号报送 {summary.renamed}", f", {summary.renamed} of them mended, under a new id")
        if summary.renamed else ("", "")
    )  # fmt: skip
    unsent_zh, unsent_en = (
        (f",未能送达 {summary.unsent}", f", {summary.unsent} not sent") if summary.unsent else ("", "")
    )
    wrong = summary.left_out or summary.rejected or not summary.reports or sys.exc_info()[0] is not None
    output.sentence(
        f"{'✗' if wrong else '✓'} 已报送 {summary.sent}{now_zh}{renamed_zh}{before_zh},有误未报 {summary.left_out}"
        f"{unsent_zh}",
        f"{summary.sent} published{now_en}{renamed_en}{before_en}, {summary.left_out} left out{unsent_en}",
    )
    unanswered = summary.sent - sum(summary.by_status.values())
    if unanswered and not waits:
        output.sentence(
            f"! 其中 {unanswered} 份尚无回执,是否受理还不知道:加 --wait 等回执,或稍后运行 skillplan statement 查看。",
            f"{unanswered} of them have no receipt yet, so whether they are accepted is not known: add --wait, or run "
            "skillplan statement later.",
        )
    if gone:
        ids = "、".join(each.id for each in gone[:_MOST_IDS]) + (" …" if len(gone) > _MOST_IDS else "")
        output.sentence(
            f"! 以前从这份文件报送并受理、现已不在其中的有 {len(gone)} 份:{ids}。要撤回,运行 "
            "skillplan statement --file <文件> --retractions <撤回.ndjson>",
            f"{len(gone)} reports of this file were accepted and are no longer in it: {ids}. To take them back: "
            "skillplan statement --file <file> --retractions <out.ndjson>",
        )


def _statuses(counts: Mapping[str, int]) -> tuple[str, str]:
    if not counts:
        return "", ""
    listed = sorted(counts.items())
    zh = "、".join(f"{STATUS_NAMES.get(status, (status,))[0]} {count}" for status, count in listed)
    en = ", ".join(f"{status} {count}" for status, count in listed)
    return f"({zh})", f" ({en})"
