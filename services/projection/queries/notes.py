"""Why numbers stand as they do and what is done next: the notes on cells, with what each took the place of."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Final, cast

import orjson
from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from services.planning.notes import Note, NotedCell, may_write, notes_of
from services.projection.assessment.assessment import AssessmentBasis
from services.projection.assessment.representation import Day, PeriodName
from services.projection.counting.periods import period_name
from services.projection.exports.csv import Row, csv_response
from services.projection.exports.names import NAMES, PlanNames
from services.projection.exports.sheets import ListingColumn, listed
from services.projection.queries.context import context_of
from services.projection.queries.parameters import (
    RESPONSES,
    AsOf,
    District,
    KnownAt,
    Lang,
    ListingForm,
    PlanNamed,
    indicator_of,
    language_of,
    period_of,
    plan_of,
)
from shared.contract.decoder import is_whole
from shared.contract.events import LOCAL_TIME, format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.deciding.view import View
from shared.http.access import caller_of
from shared.http.visibility import Visibility, visibility_of
from shared.plan.model import Plan

_NOBODY: Final = Visibility(frozenset(), counts=False)
_COLUMNS: Final = ("indicator", "period", "district", "cause", "next_step", "by", "recorded_at", "reportedby")
router = APIRouter(prefix="/v1/plans", tags=["progress"])
OfIndicator = Annotated[
    str | None, Query(alias="indicator", description="指标编号 an indicator's id; all when left out")
]
OfPeriod = Annotated[str | None, Query(alias="period", description="年份或 plan a year, or plan; all when left out")]


class NoteText(TypedDict):
    """What was written, by whom, and when; `reportedby` is null where another district reported it (RULES G6)."""

    cause: str
    next_step: str
    by: str
    recorded_at: Instant
    reportedby: str | None


class CellNote(NoteText):
    """The note that holds on a cell (`district` null: the whole), and those it took the place of, the latest first."""

    indicator: str
    period: PeriodName
    district: DistrictCode | None
    earlier: list[NoteText]


class MissingNote(TypedDict):
    """A cell that is red, for which nothing was written since the month (`since`: its first day) in which it turned."""

    indicator: str
    period: PeriodName
    district: DistrictCode | None
    since: Day


class CellNotes(TypedDict):
    """The notes on a plan's cells as known at an instant; `may`: the districts on whose cells the caller may write.

    The city's own code in `may` means the cells of the whole. `missing`: the running cells that want one on `as_of`.
    """

    plan: str
    as_of: Day
    known_at: Instant
    notes: list[CellNote]
    missing: list[MissingNote]
    may: list[DistrictCode]


@router.get(
    "/{plan}/notes",
    summary="原因与下一步 Why numbers stand as they do, and what is done next",
    description=(
        "责任单位或区、县(市)在各项数字上填写的原因和下一步,按 `known_at` 所知;`may` 为持此密钥者可填写的区、县(市)"
        "(市本级代码即全市);`missing` 为 `as_of` 当日滞后、转红以来还没有填写的。\n\n"
        "What lead units and districts wrote on numbers, as known at `known_at`; `may`: the districts on whose"
        " numbers the bearer of this key may write, the city's own code meaning the whole; `missing`: those that are"
        " red on `as_of` and have no note since they turned."
    ),
    response_model=CellNotes,
    responses=RESPONSES,
)
async def get_notes(
    request: Request,
    plan: PlanNamed,
    indicator: OfIndicator = None,
    period: OfPeriod = None,
    district: District = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    form: ListingForm = "json",
    lang: Lang = None,
) -> Response:
    """Respond with the notes on a plan's cells."""
    context = context_of(request)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        scope = context.scope(plan_read, as_of, known_at, district)
        if indicator is not None:
            period_of(plan_read, indicator_of(plan_read, indicator), period, scope.as_of)
        facts = [fact for fact in await view.decided() if fact.recorded_at <= scope.known_at]
        basis = await context.basis(view, plan_read, scope, indicator)

    def is_of_question(cell: CellNote | MissingNote) -> bool:
        return (
            indicator in (None, cell["indicator"])
            and period in (None, cell["period"])
            and (district is None or cell["district"] == (None if is_whole(district) else district))
        )

    written = cell_notes(plan_read, View(facts), visibility_of(request, plan_read.successors))
    notes = [note for note in written if is_of_question(note)]
    if form == "csv":
        rows = [{name: cast("Row", note)[name] for name in _COLUMNS} for note in notes]
        return csv_response(rows, _COLUMNS, f"{plan}-notes.csv")
    if form == "xlsx":
        names = PlanNames(plan_read, language_of(request, lang))
        sheet = NAMES["notes.title"][names.language]
        return await listed(notes, _listed(names), sheet, names.language, f"{plan}-notes.xlsx")
    key = caller_of(request).key
    speaks_for = plan_read.district_codes if key is None else {prefix.split("/")[2] for prefix in key.prefixes}
    answer: CellNotes = {
        "plan": plan,
        "as_of": scope.as_of.isoformat(),
        "known_at": format_instant(scope.known_at),
        "notes": notes,
        "missing": [cell for cell in missing_notes(basis, written) if is_of_question(cell)],
        "may": may_write(plan_read, speaks_for),
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _listed(names: PlanNames) -> Sequence[ListingColumn[CellNote]]:
    """Return the columns of a listing to read."""
    return (
        ListingColumn(NAMES["value.indicator"], 44, lambda it: names.indicator(it["indicator"])),
        ListingColumn(NAMES["asked.period"], 12, lambda it: names.period(it["period"])),
        ListingColumn(NAMES["asked.district"], 14, lambda it: names.place(it["district"])),
        ListingColumn(NAMES["notes.cause"], 50, lambda it: it["cause"]),
        ListingColumn(NAMES["notes.next"], 50, lambda it: it["next_step"]),
        ListingColumn({"zh": "填写人", "en": "Written by"}, 16, lambda it: it["by"]),
        ListingColumn({"zh": "填写(北京时间)", "en": "Written (Beijing time)"}, 20,
                      lambda it: datetime.fromisoformat(it["recorded_at"])),
        ListingColumn({"zh": "填写凭据", "en": "Key"}, 18, lambda it: it["reportedby"]),
    )  # fmt: skip


def missing_notes(basis: AssessmentBasis, notes: Iterable[CellNote]) -> Iterator[MissingNote]:
    """Yield the running cells, of the whole and of each district, that are red and have no note since they turned."""
    written = {(note["indicator"], note["period"], note["district"]): note["recorded_at"] for note in notes}
    for _, indicator in basis.plan.indicators.values():
        for district in (None, *(each.code for each in basis.plan.districts if not each.city)):
            assessment = basis.running(indicator, district, aimed=True)
            since = basis.red_since(assessment) if assessment else None
            if assessment is None or since is None:
                continue
            period = period_name(assessment.period)
            if not answers(written.get((indicator.id, period, district)), since):
                yield {
                    "indicator": indicator.id, "period": period, "district": district, "since": since.isoformat()
                }  # fmt: skip


def answers(recorded_at: Instant | None, since: date) -> bool:
    """Return whether a note recorded at an instant (None: there is none) is about what has been red since a day."""
    return recorded_at is not None and datetime.fromisoformat(recorded_at).astimezone(LOCAL_TIME).date() >= since


def cell_notes(plan: Plan, view: View, visibility: Visibility = _NOBODY) -> list[CellNote]:
    """Return the notes on a plan's cells, in the order of its indicators, the whole before its districts.

    `visibility`: by which it is said who reported them.
    """
    places = {indicator: place for place, indicator in enumerate(plan.indicators)}
    written = notes_of(plan, view)
    cells = sorted(
        (cell for cell in written if cell.indicator in places),
        key=lambda cell: (places[cell.indicator], cell.period, cell.of),
    )
    return [_cell_note(cell, written[cell], visibility) for cell in cells]


def _cell_note(cell: NotedCell, notes: Sequence[Note], visibility: Visibility) -> CellNote:
    last, *earlier = [_text(note, visibility) for note in reversed(notes)]
    return {
        **last,
        "indicator": cell.indicator,
        "period": cell.period,
        "district": None if is_whole(cell.of) else cell.of,
        "earlier": earlier,
    }


def _text(note: Note, visibility: Visibility) -> NoteText:
    return {
        "cause": note.event.cause,
        "next_step": note.event.next_step,
        "by": note.event.by,
        "recorded_at": format_instant(note.fact.recorded_at),
        "reportedby": note.fact.reported_by if visibility.sees(note.fact.report_source) else None,
    }
