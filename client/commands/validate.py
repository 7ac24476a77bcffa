"""`skillplan validate`: check a file without sending it."""

import sys

import typer

from client.commands.faults import DEFAULT_LIMIT, FaultPrinter
from client.commands.options import District, Encoding, File, HiddenRows, Json, Limit, MappingFile, Sheet
from client.output import ALL_WELL, SOME_WRONG
from client.report_file import ReportFile
from client.session import session
from client.validation import Checker, districts_of


def validate(
    file: File,
    mapping: MappingFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    hidden: HiddenRows = None,
    district: District = None,
    limit: Limit = DEFAULT_LIMIT,
    json: Json = False,
) -> None:
    """核对文件,不发送 Check a file without sending it."""
    with session(json) as (output, settings):
        checker = Checker(districts_of(settings.plans), district)
        report_file = ReportFile(file, mapping, encoding, sheet, checker, hidden)
        printer = FaultPrinter(output, limit, sys.stdout)
        reports = wrong = 0
        with output.progress("核对", "Checking", report_file.total) as progress:
            for report in report_file.reports():
                if report is None:
                    continue
                reports += 1
                wrong += bool(report.faults)
                for fault in report.faults:
                    printer(fault)
                progress(report_file.progress.read, reports)
        printer.rest()
        printer.notices(report_file.notices)
        output.record({"summary": {"reports": reports, "right": reports - wrong, "wrong": wrong}})
        output.sentence(
            f"{'✗' if wrong else '✓'} 共 {reports} 份,正确 {reports - wrong},有误 {wrong}",
            f"{reports} reports, {reports - wrong} right, {wrong} wrong",
        )
        raise typer.Exit(SOME_WRONG if wrong else ALL_WELL)
