"""What a person sees in a spreadsheet is what is read, or the cell is named: LibreOffice judges what a cell shows."""

import csv
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import openpyxl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from client.cells import CellError, ColumnReading, text_of, value_of
from client.fields import ReportField
from client.tables.content import Cell, Moment, Number
from client.tables.package import Package
from client.tables.sheet import SheetRows, outline

SOFFICE: Final = shutil.which("soffice")
AMOUNT: Final = ColumnReading(ReportField("data.amount_fen", "integer", required=True), unit="fen")
DAY: Final = ColumnReading(ReportField("data.on", "date", required=True))
# Text as shown, in UTF-8, quoted where it must be.
AS_SHOWN: Final = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true"

NUMBER_FORMATS: Final = (
    "General", "0", "0.00", "#,##0", "#,##0.00", "0000", "000000", '"HT-"0000', '0.00"元"', '#,##0.00"万元"', "0%",
    "0.00%", "0.00E+00", "# ?/?", "0.0,", "#,##0.00;[Red]-#,##0.00", '[$¥-804]#,##0.00', "@", "#.##", "00-00", "0.0#",
    '_ * #,##0.00_ ;_ * \\-#,##0.00_ ;_ * "-"??_ ;_ @_ ', "0_);(0)", '0;-0;"无"', "[>100]0.0;0",
)  # fmt: skip
DATE_FORMATS: Final = (
    "yyyy-mm-dd", "yyyy/m/d", 'yyyy"年"m"月"d"日"', "yyyy/m/d h:mm", "yyyy-mm-dd hh:mm:ss", "[$-804]yyyy.mm.dd",
    "yyyymmdd",
)  # fmt: skip


class Written(NamedTuple):
    """A cell as a person's program wrote it."""

    value: Any
    form: str


amounts = st.one_of(
    st.integers(-(10**6), 10**9),
    st.integers(-(10**7), 10**9).map(lambda fen: fen / 100),
    st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)).map(lambda pair: pair[0] / 10 + pair[1] / 10),
    st.integers(10**14, 10**18),
    st.sampled_from([0, 0.1 + 0.2, 300.005, 1e-3, 0.5]),
)
days = st.datetimes(datetime(1950, 1, 1), datetime(2099, 12, 31)).map(  # noqa: DTZ001 - a spreadsheet's know no zone
    lambda at: at.replace(microsecond=0)
)
midnights = days.map(lambda at: at.replace(hour=0, minute=0, second=0))
texts = st.text(st.sampled_from("甲乙丙aB09-_/ 　()()".replace("　", " ")), min_size=1, max_size=12).map(
    lambda t: "字" + t
)
cells = st.one_of(
    st.builds(Written, amounts, st.sampled_from(NUMBER_FORMATS)),
    st.builds(Written, st.one_of(days, midnights), st.sampled_from(DATE_FORMATS)),
    st.builds(Written, texts, st.sampled_from(["General", "@"])),
)


def written_workbook(folder: Path, rows: Sequence[Written]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.column_dimensions["A"].width = 60
    for number, row in enumerate(rows, 1):
        cell = sheet.cell(number, 1, row.value)
        cell.number_format = row.form
    file = folder / "cells.xlsx"
    book.save(file)
    return file


def shown_by_a_spreadsheet(file: Path) -> list[str]:
    """Open a workbook in LibreOffice and return what each cell of its first column shows."""
    profile = f"-env:UserInstallation=file://{file.parent}/profile"
    subprocess.run(
        [str(SOFFICE), profile, "--headless", "--convert-to", AS_SHOWN, "--outdir", file.parent, file],
        check=True, capture_output=True, timeout=250,
    )  # fmt: skip
    with file.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        return [row[0] if row else "" for row in csv.reader(stream)]


def read_cells(file: Path) -> Iterator[Cell]:
    with Package(file) as package:
        sheet = package.sheets[0]
        for row in SheetRows(package, outline(package, sheet.part)).rows(sheet.part):
            yield row.cells[0] if row.cells else None


def number_in(text: str) -> Decimal | None:
    """The number that a person reads in a cell, None where it is none."""
    digits = re.sub(r"[^0-9.\-]", "", text.replace("(", "-"))
    return Decimal(digits) if re.fullmatch(r"-?[0-9]*\.?[0-9]+", digits) and "%" not in text else None


def is_read_as_shown(cell: Cell, seen: str) -> bool:
    """Whether a cell is read as the text, the number or the day that a person sees, or is named."""
    try:
        text = text_of(cell)
    except CellError:
        text = None
    if isinstance(cell, Moment):
        return re.sub(r"[^0-9]", "", seen).startswith(f"{cell.at:%Y%m%d}") or value_of(cell, DAY) == day_in(seen)
    # A spreadsheet writes a long General number in fewer digits than it knows; ours are those of its formula bar.
    general = isinstance(cell, Number) and cell.form.kind in ("general", "text")
    if text is not None and text.split() != seen.split() and not general:
        return False
    if isinstance(cell, Number):
        try:
            amount = value_of(cell, AMOUNT)
        except CellError:
            return True
        return general or number_in(seen) in (None, amount) or (amount == 0 and not number_in(seen))
    return True


def day_in(text: str) -> str:
    year, month, day = re.findall(r"[0-9]+", text)[:3]
    return f"{int(year):04}-{int(month):02}-{int(day):02}"


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")
@settings(
    max_examples=1, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(rows=st.lists(cells, min_size=800, max_size=800))
def test_every_cell_is_read_as_it_is_shown_or_is_named(
    rows: list[Written], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = written_workbook(tmp_path_factory.mktemp("shown"), rows)
    wrong = [
        (row, seen)
        for row, cell, seen in zip(rows, read_cells(file), shown_by_a_spreadsheet(file), strict=True)
        if not is_read_as_shown(cell, seen)
    ]
    assert wrong == []
