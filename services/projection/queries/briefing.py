"""What goes into the monthly meeting: every target at a month's end, what moved since, district by district."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Final, Literal, cast

from fastapi import APIRouter, Query, Request, Response

from services.planning.months import PublishedFigures, month_of
from services.projection.assessment.assessment import Assessment, AssessmentBasis, MonthEnd, Scope
from services.projection.assessment.pace import length_of
from services.projection.assessment.representation import (
    SignalCounts,
    bilingual,
    cell_pace,
    forecast_value,
    number_or_none,
    target_value,
)
from services.projection.assessment.values import indicator_kind
from services.projection.counting.periods import period_name, running_period
from services.projection.exports import briefing as export
from services.projection.exports import letter, qr_code, workbook
from services.projection.exports.document import (
    Briefing,
    BriefingIndicator,
    BriefingMeasure,
    BriefingNote,
    BriefingPublication,
    BriefingSeries,
    BriefingTable,
)
from services.projection.exports.pdf import PDF, pdf
from services.projection.exports.sheets import XLSX, download
from services.projection.exports.spool import beside
from services.projection.exports.wording import exact
from services.projection.queries.context import Question, ReadContext, context_of
from services.projection.queries.district_matrix import district_matrix
from services.projection.queries.facts import facts_of
from services.projection.queries.notes import CellNote, cell_notes
from services.projection.queries.others import FactSieve
from services.projection.queries.parameters import RESPONSES, District, KnownAt, Lang, PlanNamed, language_of, plan_of
from services.projection.queries.snapshot import Snapshot
from shared.contract.events import format_instant
from shared.deciding.view import View
from shared.http.problems import Problem
from shared.http.visibility import visibility_of
from shared.plan.model import Indicator, Measure, Plan

_DAY: Final = timedelta(days=1)
Month = Annotated[
    str | None,
    Query(
        description="月份 the month, YYYY-MM; the last full one of the plan when left out",
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$",
    ),
]
BriefingForm = Annotated[
    Literal["html", "pdf", "docx", "xlsx", "json"],
    Query(
        alias="format",
        description="html 网页 a page;pdf 供打印 for print;docx 公文 as a letter;xlsx 供计算 to reckon with;"
        "json 供程序 for programs",
    ),
]
Figures = Annotated[
    Literal["published", "now"],
    Query(
        description="published 已关账的月份用最近公布的数 a closed month as last published;now 现在所知 as known now"
    ),
]
WithFacts = Annotated[
    bool,
    Query(
        alias="facts",
        description="xlsx 附本月事实明细,其他区县的只有条数 the xlsx with the month's facts; others' are counted",
    ),
]
_WRITTEN: Final = {"pdf": (pdf, PDF), "docx": (letter.letter, letter.DOCX)}
router = APIRouter(prefix="/v1/plans", tags=["briefing"])


def briefing(
    basis: AssessmentBasis,
    month: date,
    publications: Sequence[PublishedFigures] = (),
    example_day: date | None = None,
    notes: Sequence[CellNote] = (),
) -> BriefingTable:
    """Return every indicator on the day of the scope, and what has moved since the month before ended.

    `publications`: those of the month; the one as known at whose instant the scope is gives these figures.
    `example_day`: of made-up data. `notes`: those on the plan's cells.
    """
    plan, matrix = basis.plan, district_matrix(basis)
    series: list[BriefingSeries] = [
        {
            "id": each.id,
            "name": bilingual(each.name),
            "measures": [_measure(basis, measure, month) for measure in each.measures],
        }
        for each in plan.series
    ]
    rows = [row for each in series for measure in each["measures"] for row in measure["indicators"]]
    summary: SignalCounts = {"met": 0, "green": 0, "amber": 0, "red": 0, "none": 0}
    for row in rows:
        summary[row["signal"]] += 1
    return {
        "month": f"{month:%Y-%m}",
        "title": bilingual(plan.title),
        "document_no": plan.document_no,
        "city": bilingual(plan.city),
        "issuer": bilingual(plan.bodies[plan.issuer]) if plan.issuer and not basis.scope.district else None,
        "units": {unit: bilingual(name) for unit, name in plan.units.items()},
        "districts": [{"code": district.code, "name": bilingual(district.name)} for district in plan.districts],
        "published": _published(plan.id, f"{month:%Y-%m}", publications, basis.scope.known_at),
        "example_day": example_day.isoformat() if example_day else None,
        "summary": summary,
        "turned": [row["id"] for row in rows if _has_turned(row)],
        "late": [row["id"] for row in sorted(rows, key=_share_of_expected) if row["signal"] in ("amber", "red")],
        "notes": [note for each in notes if (note := _note(each, rows, basis.scope.district)) is not None],
        "standings": matrix["districts"],
        "shared_by": matrix["shared_by"],
        "series": series,
    }


def _note(note: CellNote, rows: Sequence[BriefingIndicator], district: str | None) -> BriefingNote | None:
    """Return a note on a period that runs in the month, None for one of another; `district`: the briefing's own."""
    runs = any((row["id"], row["period"]) == (note["indicator"], note["period"]) for row in rows)
    if not runs or (district is not None and note["district"] not in (None, district)):
        return None
    return {
        "indicator": note["indicator"],
        "district": note["district"],
        "cause": note["cause"],
        "next_step": note["next_step"],
        "by": note["by"],
        "recorded_at": note["recorded_at"],
    }


def _published(
    plan: str, month: str, publications: Sequence[PublishedFigures], known_at: datetime
) -> BriefingPublication | None:
    for number, published in enumerate(publications, 1):
        if published.known_at == known_at:
            recorded_at = format_instant(published.fact.recorded_at)
            code = qr_code.text_of(plan, month, published)
            return {"recorded_at": recorded_at, "by": published.by, "number": number, "code": code}
    return None


def _share_of_expected(row: BriefingIndicator) -> float:
    return row["value"] / row["expected"] if row["expected"] and row["value"] is not None else 1.0


def _measure(basis: AssessmentBasis, measure: Measure, month: date) -> BriefingMeasure:
    rows = [_indicator(basis, indicator, month) for indicator in measure.indicators]
    return {
        "id": measure.id,
        "name": bilingual(measure.name),
        "text": measure.text,
        "lead": [bilingual(basis.plan.bodies[body]) for body in measure.lead],
        "indicators": [row for row in rows if row is not None],
    }


def _indicator(basis: AssessmentBasis, indicator: Indicator, month: date) -> BriefingIndicator | None:
    assessment = basis.running(indicator, basis.scope.district)
    if assessment is None:
        return None
    pace = cell_pace(basis, assessment)
    before = basis.month_before(assessment, month)
    since = basis.red_since(assessment)
    return {
        "id": indicator.id,
        "name": bilingual(indicator.name),
        "unit": indicator.unit,
        "basis": indicator.basis,
        "period": period_name(assessment.period),
        "value": number_or_none(assessment.worth.value),
        "numerator": assessment.worth.numerator,
        "denominator": assessment.worth.denominator if indicator.is_ratio else None,
        "target": target_value(indicator, assessment.target),
        "met": assessment.met,
        "progress": number_or_none(assessment.progress),
        "expected": number_or_none(assessment.expected),
        "signal": assessment.signal,
        "red_since": since.isoformat() if since else None,
        "rule": pace["rule"] if pace else None,
        "forecast": forecast_value(basis.forecast(assessment)),
        "before": {"value": number_or_none(before.worth.value), "signal": before.signal} if before else None,
        "change": number_or_none(_change(assessment, before)),
        "districts": {
            district.code: {
                "value": number_or_none(own.worth.value),
                "met": own.met,
                "signal": own.signal,
                "change": number_or_none(_change(own, basis.month_before(own, month))),
            }
            for district in basis.plan.districts
            if (own := basis.running(indicator, district.code)) is not None
        },
    }


def _change(assessment: Assessment, before: MonthEnd | None) -> Fraction | None:
    """Return the change since the month before; in a period's first month all of what adds up came in it."""
    value = assessment.worth.value
    if value is None or (before is None and not indicator_kind(assessment.indicator).adds):
        return None
    if before is None:
        return value
    return None if before.worth.value is None else value - before.worth.value


def _has_turned(row: BriefingIndicator) -> bool:
    """Return whether the signal is another than a month ago."""
    before = row["before"]
    return before is not None and "none" not in (before["signal"], row["signal"]) and before["signal"] != row["signal"]


def _month_of(plan: Plan, month: str | None, day: date) -> tuple[date, date]:
    """Return the first day of a month and the day it is assessed on: its last, or today (`day`) while it runs."""
    # The last full one; once the plan is over, its last.
    first = min(day.replace(day=1) - _DAY, plan.period.last).replace(day=1)
    if month is not None:
        year, of_year = map(int, month.split("-"))
        if not plan.period.first <= date(max(year, 1), of_year, length_of(date(max(year, 1), of_year, 1))):
            raise Problem(422, "month 早于计划期。", "That month is before the plan's period.")
        first = date(year, of_year, 1)
    if first > plan.period.last:
        raise Problem(422, "month 晚于计划期。", "That month is after the plan's period.")
    if first > day:
        raise Problem(422, "month 还没有开始。", "That month has not begun.")
    return first, min(day, first.replace(day=length_of(first)))


@router.get(
    "/{plan}/briefing",
    summary="月度通报 The monthly briefing: to print, to reckon with, or for programs",
    description=(
        "一月的通报:先结论、各区县和变化,再逐系列列出,条文在附件。已关账的月份默认用最近公布的数并注明。"
        "HTML 可直接打印,PDF 内嵌中文字体,DOCX 按公文格式,XLSX 每系列一张表。\n\n"
        "A month's briefing: conclusion, districts and changes first, then series by series, the clauses in an annex."
        " Of a closed month it has the figures last published, and says so. HTML prints as it is, the PDF carries its"
        " fonts, the DOCX is laid out as an official letter, the XLSX has a sheet a series."
    ),
    response_model=Briefing,
    responses=RESPONSES
    | {200: {"content": {"text/html": {}, PDF: {}, XLSX: {}, letter.DOCX: {}, "application/json": {}}}},
)
async def get_briefing(
    request: Request,
    plan: PlanNamed,
    month: Month = None,
    district: District = None,
    known_at: KnownAt = None,
    figures: Figures = "published",
    form: BriefingForm = "html",
    lang: Lang = None,
    with_facts: WithFacts = False,
) -> Response:
    """Respond with the briefing of a month as a page, a workbook or JSON."""
    context = context_of(request)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        first, as_of = _month_of(plan_read, month, context.today(context.clock()))
        published = await _publications(view, plan_read, first)
    if known_at is None and figures == "published" and published:
        known_at = format_instant(published[-1].known_at)

    async def table(basis: AssessmentBasis, view: Snapshot) -> BriefingTable:
        publications = await _publications(view, basis.plan, first)
        known = View([fact for fact in await view.decided() if fact.recorded_at <= basis.scope.known_at])
        return briefing(basis, first, publications, context.example_day, cell_notes(basis.plan, known))

    question = Question(("briefing", f"{first:%Y-%m}"), plan, as_of.isoformat(), known_at, district)
    if form == "json":
        return await context.respond(question, table)
    document = cast("Briefing", await context.read(question, table))
    language = language_of(request, lang)
    if form == "html":
        page, headers = await beside(export.page, document, language)
        return Response(page, media_type="text/html", headers=headers)
    name = "-".join(filter(None, (document["plan"], document["month"], district)))
    if form in _WRITTEN:
        write, media_type = _WRITTEN[form]
        headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-cache"}
        return Response(await beside(write, document, language), media_type=media_type, headers=headers)
    facts = _facts(context, document, first, request) if with_facts else None
    return download(await workbook.workbook(document, language, facts), f"{name}.xlsx")


async def _publications(view: Snapshot, plan: Plan, first: date) -> Sequence[PublishedFigures]:
    """Return the publications of a month, none where it is not closed."""
    return month_of(plan, f"{first:%Y-%m}", View(await view.decided())).published


async def _facts(
    context: ReadContext, document: Briefing, first: date, request: Request
) -> AsyncIterator[list[workbook.ListedFact]]:
    """Yield the month's facts with their indicators, as known at the instant of the briefing; others' are counted."""
    as_of, known_at = date.fromisoformat(document["as_of"]), datetime.fromisoformat(document["known_at"])
    async with context.reader.view(exports=True) as view:
        plan = plan_of(view.compiled, document["plan"])
        scope = Scope(as_of, known_at, document["district"])
        for _, indicator in plan.indicators.values():
            period = running_period(plan, indicator, as_of)
            if period is not None and indicator.basis != "level":
                sieve = FactSieve(visibility_of(request, plan.successors))
                async for facts in facts_of(view, plan, indicator, period, (first, as_of), scope):
                    yield [
                        workbook.ListedFact(
                            indicator.id,
                            fact["counted_on"],
                            fact["district"],
                            fact["type"],
                            fact["subject"],
                            fact["report_source"],
                            fact["report_id"],
                            fact["recorded_at"],
                            exact(fact["numerator"], indicator.unit),
                            fact["reportedby"],
                        )
                        for fact in sieve.seen(facts, "counted_on")
                    ]
                yield [
                    workbook.ListedFact(indicator.id, row["day"], "", row["type"], "", "", "", "", row["count"], None)
                    for row in sieve.others() or ()
                ]
