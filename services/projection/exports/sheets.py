"""XLSX: sheets with titles that stay in sight, filters, and numbers and times as such; no text becomes a formula."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Final, Generic, Self, TypeVar

import xlsxwriter
from starlette.responses import Response, StreamingResponse
from xlsxwriter.exceptions import XlsxWriterException
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from services.projection.assessment.pace import Signal
from services.projection.assessment.representation import BilingualText
from services.projection.exports.spool import FULL, beside
from services.projection.exports.texts import Language, text
from services.projection.exports.wording import COLOURS
from shared.contract.events import LOCAL_TIME

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_ROWS: Final = 1_048_576
_CHUNK: Final = 65_536
_SENTENCES: Final = 50  # characters: a column as wide as this has sentences in it, in as many lines as they take
_EARLIEST: Final = datetime(1980, 1, 1)  # noqa: DTZ001 - what a ZIP can say, of no zone
# Exponents of numbers as `wording` rounds them: a share, which is written in percent with one decimal, and cents.
_SHARE: Final = -3
_CENTS: Final = -2
Cell = str | int | float | Decimal | datetime | date | None
Row = TypeVar("Row")


@dataclass(frozen=True)
class ListingColumn(Generic[Row]):
    """A column of a listing: its title, how many characters wide it is, and what a row has in it."""

    title: BilingualText
    width: int
    cell: Callable[[Row], Cell]


async def listing(
    batches: AsyncIterator[Sequence[Row]], columns: Sequence[ListingColumn[Row]], name: str, language: Language
) -> IO[bytes]:
    """Return rows as an XLSX of one sheet of this name: the same rows give the same bytes."""
    async with _Listing(language, columns, name).written() as book:
        async for rows in batches:
            await beside(book.add, rows)
    return book.file


def download(file: IO[bytes], name: str) -> Response:
    """Respond with a file, sent in parts, and close it."""

    def parts() -> Iterator[bytes]:
        with file:
            while part := file.read(_CHUNK):
                yield part

    disposition = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return StreamingResponse(parts(), media_type=XLSX, headers=disposition)


async def listed(
    rows: Sequence[Row], columns: Sequence[ListingColumn[Row]], name: str, language: Language, file_name: str
) -> Response:
    """Respond with rows that are at hand as a listing."""
    return download(await listing(one_batch(rows), columns, name, language), file_name)


async def one_batch(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    """Yield rows that are at hand already."""
    yield rows


class Book:
    """A workbook, written from the top down so that it takes no memory. `file`: closed by its sender."""

    def __init__(self, language: Language, created: datetime) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - see above
        self._book = xlsxwriter.Workbook(
            self.file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        # Else the hour of writing is in the file; the same numbers give the same bytes.
        self._book.set_properties({"created": created})
        self._language = language
        self._bold = self._book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#F2F2F2"})
        self._wrapped = self._book.add_format({"text_wrap": True, "valign": "top"})
        self._forms: dict[tuple[str | None, Signal | None], Format] = {}
        self._row = 0

    @contextlib.asynccontextmanager
    async def written(self) -> AsyncIterator[Self]:
        """Have it written by who holds it, then end its file and go back to the start of that; raises Problem on a
        full disk."""
        try:
            try:
                yield self
            finally:
                await beside(self._close)
        except (OSError, XlsxWriterException):
            self.file.close()
            raise FULL from None
        self.file.seek(0)

    def _close(self) -> None:
        self._book.close()

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

    def _titles(self, sheet: Worksheet, columns: Sequence[str], names: int = 0) -> None:
        """Write the titles of a table; they stay in sight, as do the first columns that name a row."""
        self._write(sheet, [text(column, self._language) for column in columns], (self._bold,) * len(columns))
        sheet.freeze_panes(1, names)
        sheet.repeat_rows(0)

    def _filter(self, sheet: Worksheet, columns: int) -> None:
        sheet.autofilter(0, 0, max(self._row - 1, 1), columns - 1)

    def _is_full(self, sheet: Worksheet) -> bool:
        """Tell whether no row is left in a sheet, and say so in its last."""
        if self._row < _MOST_ROWS - 1:
            return False
        sheet.write_string(_MOST_ROWS - 1, 0, text("cut", self._language))
        return True

    def _form(self, number_format: str | None, shade: Signal | None) -> Format:
        if (number_format, shade) not in self._forms:
            colour = {"bg_color": COLOURS[shade]} if shade else {}
            form = {"num_format": number_format} if number_format else {}
            self._forms[number_format, shade] = self._book.add_format(colour | form)
        return self._forms[number_format, shade]

    def _write(
        self,
        sheet: Worksheet,
        cells: Sequence[Cell],
        formats: Sequence[Format | None] = (),
        shades: Sequence[Signal | None] = (),
    ) -> None:
        for column, cell in enumerate(cells):
            form = formats[column] if column < len(formats) else None
            shade = shades[column] if column < len(shades) else None
            number_format = _number_format(cell) if isinstance(cell, Decimal) else None
            if shade or (number_format and form is None):
                form = self._form(number_format, shade)
            if cell is None:
                sheet.write_blank(self._row, column, None, form)
            elif isinstance(cell, datetime):
                local = cell.astimezone(LOCAL_TIME).replace(tzinfo=None)
                sheet.write_datetime(self._row, column, local, self._form("yyyy-mm-dd hh:mm:ss", shade))
            elif isinstance(cell, date):
                sheet.write_datetime(self._row, column, cell, self._form("yyyy-mm-dd", shade))
            elif isinstance(cell, str):
                sheet.write_string(self._row, column, cell, form)
            else:
                sheet.write_number(self._row, column, float(cell), form)
        self._row += 1


class _Listing(Book, Generic[Row]):
    """A workbook of one sheet."""

    def __init__(self, language: Language, columns: Sequence[ListingColumn[Row]], name: str) -> None:
        super().__init__(language, _EARLIEST)
        self._columns = columns
        self._rows = self._sheet(name, [column.width for column in columns])
        titles = [column.title[language] for column in columns]
        self._write(self._rows, titles, (self._bold,) * len(titles))
        self._forms_of_columns = [self._wrapped if column.width >= _SENTENCES else None for column in columns]
        self._rows.freeze_panes(1, 0)
        self._rows.repeat_rows(0)

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows, as many as a sheet holds."""
        for row in rows:
            if self._is_full(self._rows):
                return
            self._write(self._rows, [column.cell(row) for column in self._columns], self._forms_of_columns)

    def _close(self) -> None:
        self._filter(self._rows, len(self._columns))  # over all rows
        super()._close()


def _number_format(number: Decimal) -> str:
    exponent = number.as_tuple().exponent
    if exponent == _SHARE:
        return "0.0%"
    if number == number.to_integral_value():
        return "#,##0"
    return "#,##0.00" if exponent == _CENTS else "#,##0.0#####"
