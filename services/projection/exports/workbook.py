"""Hides how tables become files: a workbook of the briefing, and CSV that a spreadsheet opens as it stands.

Names come from outside: a text that a spreadsheet would take for a formula never becomes one.
"""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

import xlsxwriter
from starlette.responses import Response, StreamingResponse
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from services.projection.exports.printing import (
    COLOURS,
    SIGNALS,
    Language,
    Row,
    freshness,
    goal,
    place,
    rows_of,
    text,
)

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_ROWS: Final = 1_048_576
_CHUNK: Final = 65_536
# What a spreadsheet would reckon with (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
Cells = Sequence[Any]


async def workbook(body: Row, language: Language, facts: AsyncIterator[Sequence[Row]] | None) -> IO[bytes]:
    """Return the briefing as XLSX: an overview, a sheet a series, the district matrix, and the month's facts."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
    book = _Book(file, body, language)
    try:
        await asyncio.to_thread(book.sheets)
        if facts is not None:
            await asyncio.to_thread(book.begin_facts)
            async for rows in facts:
                await asyncio.to_thread(book.facts, rows)
    finally:
        await asyncio.to_thread(book.close)
    file.seek(0)
    return file


def download(file: IO[bytes], name: str) -> Response:
    """Send a file by and by, and close it."""

    def parts() -> Iterator[bytes]:
        with file:
            while part := file.read(_CHUNK):
                yield part

    disposition = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return StreamingResponse(parts(), media_type=XLSX, headers=disposition)


class _Book:
    """A workbook, written from the top down so that it takes no memory."""

    def __init__(self, file: IO[bytes], body: Row, language: Language) -> None:
        self._book = xlsxwriter.Workbook(
            file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        self._body, self._language = body, language
        self._bold = self._book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#F2F2F2"})
        self._wrapped = self._book.add_format({"text_wrap": True, "valign": "top"})
        self._signals = {signal: self._book.add_format({"bg_color": COLOURS[signal]}) for signal in SIGNALS}
        self._facts: Worksheet | None = None
        self._row = 0

    def close(self) -> None:
        self._book.close()

    def sheets(self) -> None:
        """Write every sheet but the facts."""
        self._overview()
        for series in self._body["series"]:
            self._series(series)
        if not self._body["district"]:
            self._matrix()

    def _overview(self) -> None:
        body, language = self._body, self._language
        sheet = self._sheet(text("overview", language), (24, 40))
        about = text("as_of", language).format(as_of=body["as_of"], known_at=body["known_at"])
        for line in (
            (body["title"][language], body["document_no"]),
            (place(body, language), f"{body['month']} {text('title', language)}"),
            (about, freshness(body, language)),
        ):
            self._write(sheet, line)
        self._row += 1
        for signal in SIGNALS:
            self._write(sheet, (text(signal, language), body["summary"][signal]), (self._signals[signal],))

    def _series(self, series: Row) -> None:
        language = self._language
        sheet = self._sheet(f"{series['id']} {series['name'][language]}", (8, 26, 60, 24, 8, 34, 8, 9, 12, 12, 12, 10))
        columns = ("measure", "measure", "clause", "lead", "id", "indicator", "unit", "period", "target", "value",
                   "expected", "progress", "signal", "before", "change", "forecast", "rule")  # fmt: skip
        self._titles(sheet, columns)
        for measure in series["measures"]:
            for row in measure["indicators"]:
                before = row["before"]["signal"] if row["before"] else None
                unit = self._body["units"].get(row["unit"])
                cells = (
                    measure["id"], measure["name"][language], measure["text"],
                    "、".join(one[language] for one in measure["lead"]), row["id"], row["name"][language],
                    unit[language] if unit else row["unit"],
                    text("plan", language) if row["period"] == "plan" else row["period"],
                    row["target"]["value"] if row["target"] and row["target"]["op"] == ">=" else goal(row, language),
                    row["value"], row["expected"], row["progress"], text(row["signal"], language),
                    text(before, language) if before else None, row["change"], row["forecast"]["value"],
                    row["rule"][language] if row["rule"] else None,
                )  # fmt: skip
                wrapped = self._wrapped
                formats = (None, wrapped, wrapped, wrapped, *(None,) * 8, self._signals[row["signal"]])
                self._write(sheet, cells, formats)

    def _matrix(self) -> None:
        body, language = self._body, self._language
        sheet = self._sheet(text("districts", language), (8, 40))
        names = [one["name"][language] for one in body["districts"]]
        self._write(sheet, (text("id", language), text("indicator", language), text("whole", language), *names),
                    (self._bold,) * (len(names) + 3))  # fmt: skip
        for _, _, row in rows_of(body):
            there = [row["districts"].get(one["code"], {"value": None, "signal": "none"}) for one in body["districts"]]
            shades = (self._signals[one["signal"]] if one["signal"] != "none" else None for one in there)
            cells = (row["id"], row["name"][language], row["value"], *(one["value"] for one in there))
            self._write(sheet, cells, (None, None, None, *shades))

    def begin_facts(self) -> None:
        """Begin the sheet of facts."""
        self._facts = self._sheet(text("facts", self._language), (8, 12, 10, 36, 44, 34, 24, 28, 8))
        columns = ("id", "on", "district", "type", "subject", "source", "report", "recorded_at", "counts")
        self._titles(self._facts, columns)

    def facts(self, rows: Sequence[Row]) -> None:
        """Write facts, as many as a sheet holds."""
        assert self._facts is not None  # noqa: S101 - begun before
        for fact in rows:
            if self._row >= _MOST_ROWS - 1:
                self._facts.write_string(_MOST_ROWS - 1, 0, text("cut", self._language))
                return
            self._write(
                self._facts,
                (fact["indicator"], fact["counted_on"], fact["district"], fact["type"], fact["subject"],
                 fact["report_source"], fact["report_id"], fact["recorded_at"], fact["numerator"]),
            )  # fmt: skip

    def _sheet(self, name: str, widths: Iterable[int]) -> Worksheet:
        # A sheet's name has 31 characters at most and none of these.
        sheet = self._book.add_worksheet("".join(c for c in name if c not in "[]:*?/\\")[:31])
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        self._row = 0
        return sheet

    def _titles(self, sheet: Worksheet, columns: Sequence[str]) -> None:
        self._write(sheet, [text(column, self._language) for column in columns], (self._bold,) * len(columns))
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)

    def _write(self, sheet: Worksheet, cells: Cells, formats: Sequence[Format | None] = ()) -> None:
        for column, cell in enumerate(cells):
            form = formats[column] if column < len(formats) else None
            if cell is None:
                sheet.write_blank(self._row, column, None, form)
            elif isinstance(cell, int | float):
                sheet.write_number(self._row, column, cell, form)
            else:
                sheet.write_string(self._row, column, str(cell), form)
        self._row += 1


def csv_headers(name: str) -> dict[str, str]:
    """Return what a CSV file is sent with."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}


def csv_lines(rows: Sequence[Mapping[str, Any]], titled: bool = True) -> Iterator[bytes]:
    """Yield rows as CSV in UTF-8, their members flattened to dotted columns; `titled`: with BOM and the columns' names.

    Rows of several calls must have the same members.
    """
    flat = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    # What is null in one row and has members in another is not a column of its own.
    columns = [name for name in columns if not any(other.startswith(f"{name}.") for other in columns)]
    out = io.StringIO()
    writer = csv.writer(out)
    if titled:
        yield b"\xef\xbb\xbf"
        writer.writerow(columns)
    for row in flat:
        writer.writerow([_safe(row.get(column)) for column in columns])
        if out.tell() > _CHUNK:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def rows_at(body: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """Return the rows of a table in an answer: `indicators.periods` is a row a period, with its indicator's members."""
    step, _, rest = path.partition(".")
    rows: list[Mapping[str, Any]] = []
    for row in body[step]:
        if not rest:
            rows.append(row)
            continue
        inner = rest.partition(".")[0]
        for found in rows_at(row, rest):
            own = {f"{step}.{name}" if name in found else name: row[name] for name in row if name != inner}
            rows.append({**own, **found})
    return rows


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _safe(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
