"""The monthly briefing as an XLSX workbook; no text becomes a formula."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO, Final, NamedTuple

from xlsxwriter.worksheet import Worksheet

from services.projection.assessment.representation import TargetValue
from services.projection.exports import wording
from services.projection.exports.document import Briefing, BriefingSeries, DistrictFigure
from services.projection.exports.sheets import Book
from services.projection.exports.spool import beside
from services.projection.exports.texts import Language, text
from services.projection.exports.wording import (
    DASH,
    SIGNALS,
    achieved,
    exact,
    expected,
    rounded,
    rows_of,
    signal_name,
    unit_name,
)

_SUM: Final = 17  # wide enough for hundreds of millions of yuan with their fen: else a sheet shows ### in their place
_NO_FIGURE: Final[DistrictFigure] = {"value": None, "met": None, "signal": "none", "change": None}


class ListedFact(NamedTuple):
    """A fact of the month, and the indicator that it counts in: by how much, money in yuan."""

    indicator: str
    counted_on: str | None
    district: str
    type: str
    subject: str
    report_source: str
    report_id: str
    recorded_at: str
    counts: Decimal | int
    reported_by: str | None  # RULES G5; None where the generation is from before it was counted


async def workbook(body: Briefing, language: Language, facts: AsyncIterator[Sequence[ListedFact]] | None) -> IO[bytes]:
    """Return the briefing as XLSX: an overview, the districts, a sheet a series, the clauses, and the month's facts."""
    async with _BriefingBook(body, language).written() as book:
        await beside(book.sheets)
        if facts is not None:
            await beside(book.begin_facts)
            async for rows in facts:
                await beside(book.facts, rows)
    return book.file


class _BriefingBook(Book):
    """The workbook of a briefing."""

    def __init__(self, body: Briefing, language: Language) -> None:
        super().__init__(language, datetime.fromisoformat(body["known_at"]))
        self._body = body
        self._facts: Worksheet | None = None

    def sheets(self) -> None:
        """Write every sheet but the facts."""
        self._overview()
        if not self._body["district"]:
            self._matrix()
        self._notes()
        for series in self._body["series"]:
            self._series(series)
        self._annex()

    def _overview(self) -> None:
        body, language = self._body, self._language
        sheet = self._sheet(text("overview", language), (24, 60, 40))
        lines = (
            wording.title(body, language),
            f"{body['title'][language]} {body['document_no']}",
            wording.about(body, language),
            wording.publication(body, language),
            "",
            *wording.conclusion(body, language),
            "",
        )
        for line in lines:
            self._write(sheet, (line,))
        for signal in SIGNALS:
            self._write(sheet, (text(signal, language), body["summary"][signal]), shades=(signal,))
        self._row += 1
        columns = [text(key, language) for key in ("district-name", "own-targets", "indicative")]
        self._write(sheet, columns, (self._bold,) * len(columns))
        for standing in body["standings"]:
            own, share = wording.own_targets(standing, language), wording.by_share(standing, language)
            self._write(sheet, (standing["name"][language], own, share), (None, self._wrapped, self._wrapped))
        self._write(sheet, (wording.share_note(body, language),))

    def _series(self, series: BriefingSeries) -> None:
        language = self._language
        widths = (8, 26, 8, 34, 14, 9, _SUM, _SUM, _SUM, 10, 9, 12, _SUM, _SUM, 40)
        sheet = self._sheet(f"{series['id']} {series['name'][language]}", widths)
        columns = ("measure", "measure", "id", "indicator", "unit", "period", "target",
                   "value", "expected", "progress", "signal", "before", "change", "forecast", "rule")  # fmt: skip
        self._titles(sheet, columns, 4)
        for measure in series["measures"]:
            for row in measure["indicators"]:
                before, unit, target = row["before"], row["unit"], row["target"]
                progress = wording.progress(row)
                cells = (
                    measure["id"], measure["name"][language], row["id"], row["name"][language],
                    unit_name(self._body, unit, language), wording.period(row, language),
                    exact(target["value"], unit) if target else text("monitored", language),
                    achieved(row["value"], unit, row["met"], target), expected(row),
                    # A share, which its form shows in percent.
                    None if progress is None else progress.scaleb(-2), signal_name(row, language),
                    text(before["signal"], language) if before else None, rounded(row["change"], unit),
                    rounded(row["forecast"]["value"], unit), row["rule"][language] if row["rule"] else None,
                )  # fmt: skip
                wrapped = self._wrapped
                shades = (*(None,) * (len(cells) - 5), row["signal"])
                goal = self._form(_target_format(target, unit), None) if target else None
                self._write(sheet, cells, (None, wrapped, None, wrapped, None, None, goal), shades)
        self._filter(sheet, len(columns))

    def _notes(self) -> None:
        body, language = self._body, self._language
        sheet = self._sheet(text("notes", language), (40, 14, 50, 50, 26))
        columns = ("indicator", "district-name", "cause", "next-step", "written-by")
        self._titles(sheet, columns, 1)
        for row in wording.note_rows(body, language):
            self._write(sheet, row, (self._wrapped,) * len(row))
        self._filter(sheet, len(columns))
        self._write(sheet, (wording.without_note(body, language),))

    def _annex(self) -> None:
        language = self._language
        sheet = self._sheet(text("annex", language).replace(":", " "), (8, 26, 90, 34))
        self._titles(sheet, ("measure", "measure", "clause", "lead"), 2)
        wrapped = self._wrapped
        for series in self._body["series"]:
            for measure in series["measures"]:
                lead = ("、" if language == "zh" else "; ").join(body[language] for body in measure["lead"])
                cells = (measure["id"], measure["name"][language], measure["text"], lead)
                self._write(sheet, cells, (None, wrapped, wrapped, wrapped))
        self._filter(sheet, 4)

    def _matrix(self) -> None:
        body, language = self._body, self._language
        sheet = self._sheet(text("districts", language), (8, 40, 14, *(_SUM,) * (1 + len(body["districts"]))))
        names = [district["name"][language] for district in body["districts"]]
        titles = (*(text(key, language) for key in ("id", "indicator", "unit", "whole")), *names)
        self._write(sheet, titles, (self._bold,) * len(titles))
        sheet.freeze_panes(1, 2)
        sheet.repeat_rows(0)
        for row in rows_of(body):
            unit = row["unit"]
            figures = [row["districts"].get(district["code"], _NO_FIGURE) for district in body["districts"]]
            shades = (own["signal"] if own["signal"] != "none" else None for own in figures)
            cells = (
                row["id"], row["name"][language], unit_name(body, unit, language),
                achieved(row["value"], unit, row["met"], row["target"]),
                *(achieved(own["value"], unit, own["met"]) for own in figures),
            )  # fmt: skip
            self._write(sheet, cells, shades=(None, None, None, None, *shades))
        self._filter(sheet, len(titles))

    def begin_facts(self) -> None:
        """Begin the sheet of facts."""
        self._facts = self._sheet(text("facts", self._language), (8, 12, 10, 36, 44, 34, 24, 28, 8, 18))
        columns = (
            "id",
            "on",
            "district",
            "type",
            "subject",
            "source",
            "report",
            "recorded_at",
            "counted",
            "reported_by",
        )
        self._titles(self._facts, columns)

    def facts(self, rows: Sequence[ListedFact]) -> None:
        """Write facts, as many as a sheet holds."""
        assert self._facts is not None  # noqa: S101 - begun before
        for fact in rows:
            if self._is_full(self._facts):
                return
            local = wording.local(fact.recorded_at) if fact.recorded_at else ""  # counts of others have none
            self._write(self._facts, fact._replace(recorded_at=local))


def _target_format(target: TargetValue, unit: str) -> str:
    """Return a number's form that shows a target's comparator before it, and the upper bound of a range behind."""
    whole = unit != "fen" and float(target["value"]).is_integer()
    number = "#,##0" if whole else "#,##0.00####"
    if target["op"] == "range":
        return f'{number}"–{DASH if target["upper"] is None else exact(target["upper"], unit)}"'
    return f'"{wording.OPS[target["op"]]}"{number}' if wording.OPS[target["op"]] else number
