"""`skillplan validate`: check a file without sending it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from client import marking
from client.commands.faults import DEFAULT_LIMIT, FaultPrinter
from client.commands.options import District, Encoding, File, HiddenRows, Json, Limit, MappingFile, Sheet
from client.output import ALL_WELL, SOME_WRONG, CommandError
from client.report_file import ReportFile
from client.session import session
from client.validation import Checker, ReportFault


def validate(
    file: File,
    mapping: MappingFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    hidden: HiddenRows = None,
    district: District = None,
    marked: Annotated[
        Path | None,
        typer.Option(
            help="把原表连同批注写到此文件:错处标色,附改法 write the table there, its faults coloured and noted"
        ),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    json: Json = False,
) -> None:
    """核对文件,不发送 Check a file without sending it."""
    with session(json) as (output, settings):
        checker = Checker.by_plans(settings.plans, district)
        report_file = ReportFile(file, mapping, encoding, sheet, checker, hidden)
        printer = FaultPrinter(output, limit, sys.stdout)
        if marked is not None:
            marking.check(file, marked)
        reports = wrong = 0
        faults: list[ReportFault] = []
        with output.progress("核对", "Checking", report_file.total) as progress:
            for report in report_file.reports():
                if report is None:
                    continue
                reports += 1
                wrong += bool(report.faults)
                for fault in report.faults:
                    printer(fault)
                faults += report.faults if marked is not None else ()
                progress(report_file.progress.read, reports)
        printer.rest()
        printer.notices(report_file.notices)
        if not reports:
            raise CommandError("文件里没有报告,没有可核对的。", "There is no report in the file.", "empty", SOME_WRONG)
        if marked is not None and report_file.table is not None:
            marking.write_marked(file, report_file.table, faults, marked, encoding)
            output.sentence(f"✓ 加了批注的表已写入 {marked.name}", f"the marked table is written to {marked.name}")
        output.record({"summary": {"reports": reports, "right": reports - wrong, "wrong": wrong}})
        output.sentence(
            f"{'✗' if wrong else '✓'} 共 {reports} 份,正确 {reports - wrong},有误 {wrong}",
            f"{reports} reports, {reports - wrong} right, {wrong} wrong",
        )
        raise typer.Exit(SOME_WRONG if wrong else ALL_WELL)
