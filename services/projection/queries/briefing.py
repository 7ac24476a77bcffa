"""What goes into the monthly meeting: every target at a month's end, what moved since, district by district."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from services.projection.assessment.assessment import (
    Assessment,
    AssessmentBasis,
    Body,
    MonthEnd,
    Scope,
    number,
    show_forecast,
    show_pace,
    show_period,
    show_target,
)
from services.projection.assessment.pace import length_of
from services.projection.assessment.values import indicator_kind
from services.projection.counting.periods import running_period
from services.projection.exports import printing, workbook
from services.projection.queries.cache import Question, ResponseCache
from services.projection.queries.facts import facts_of
from services.projection.queries.parameters import RESPONSES, District, KnownAt, PlanNamed, plan_of, today
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.http.problems import Problem, language_in
from shared.plan.model import Indicator, Plan

_DAY: Final = timedelta(days=1)
Month = Annotated[
    str | None,
    Query(
        description="月份 the month, YYYY-MM; the last full one of the plan when left out",
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$",
    ),
]
Form = Annotated[
    Literal["html", "xlsx", "json"],
    Query(alias="format", description="html 供打印 for print;xlsx 供计算 to reckon with;json 供程序 for programs"),
]
Lang = Annotated[
    Literal["zh", "en"] | None, Query(description="语言 the language; that of Accept-Language when left out")
]
Facts = Annotated[bool, Query(description="xlsx 附本月事实明细 with the month's facts, in the xlsx")]


def briefing(ground: AssessmentBasis, month: date) -> Body:
    """Return how every indicator stands on the day asked for, and what has moved since the month before ended."""
    plan = ground.plan
    series: list[Body] = [
        {
            "id": one.id,
            "name": one.name.model_dump(),
            "measures": [
                {
                    "id": measure.id,
                    "name": measure.name.model_dump(),
                    "text": measure.text,
                    "lead": [plan.bodies[body].model_dump() for body in measure.lead],
                    "indicators": [
                        shown
                        for indicator in measure.indicators
                        if (shown := _indicator(ground, indicator, month)) is not None
                    ],
                }
                for measure in one.measures
            ],
        }
        for one in plan.series
    ]
    rows = [row for one in series for measure in one["measures"] for row in measure["indicators"]]
    counts = Counter(row["signal"] for row in rows)
    return {
        "month": f"{month:%Y-%m}",
        "title": plan.title.model_dump(),
        "document_no": plan.document_no,
        "city": plan.city.model_dump(),
        "units": {unit: name.model_dump() for unit, name in plan.units.items()},
        "districts": [{"code": one.code, "name": one.name.model_dump()} for one in plan.districts],
        "summary": {signal: counts.get(signal, 0) for signal in ("met", "green", "amber", "red", "none")},
        "turned": [row["id"] for row in rows if _turned(row)],
        "series": series,
    }


def _indicator(ground: AssessmentBasis, indicator: Indicator, month: date) -> Body | None:
    standing = ground.running(indicator, ground.scope.district)
    if standing is None:
        return None
    pace = show_pace(ground, standing)
    before = ground.month_before(standing, month)
    return {
        "id": indicator.id,
        "name": indicator.name.model_dump(),
        "unit": indicator.unit,
        "basis": indicator.basis,
        "period": show_period(standing.period),
        "value": number(standing.worth.value),
        "numerator": standing.worth.numerator,
        "denominator": standing.worth.denominator if indicator.is_ratio else None,
        "target": show_target(indicator, standing.target),
        "progress": number(standing.progress),
        "expected": number(standing.expected),
        "signal": standing.signal,
        "rule": pace["rule"] if pace else None,
        "forecast": show_forecast(ground.forecast(standing)),
        "before": {"value": number(before.worth.value), "signal": before.signal} if before else None,
        "change": number(_change(standing, before)),
        "districts": {
            one.code: {
                "value": number(there.worth.value),
                "signal": there.signal,
                "change": number(_change(there, ground.month_before(there, month))),
            }
            for one in ground.plan.districts
            if (there := ground.running(indicator, one.code)) is not None
        },
    }


def _change(standing: Assessment, before: MonthEnd | None) -> Fraction | None:
    """Return what came since; in a period's first month all of what adds up came in it."""
    value = standing.worth.value
    if value is None or (before is None and not indicator_kind(standing.indicator).adds):
        return None
    if before is None:
        return value
    return None if before.worth.value is None else value - before.worth.value


def _turned(row: Body) -> bool:
    """Tell whether the signal is another one than a month ago."""
    before = row["before"]
    return before is not None and "none" not in (before["signal"], row["signal"]) and before["signal"] != row["signal"]


def _month_of(plan: Plan, month: str | None, now: datetime) -> tuple[date, date]:
    """Return the first day of a month and the day it is shown as of: its last, or today while it runs."""
    day = today(now)
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


def routes(answers: ResponseCache, reader: SnapshotReader, clock: Callable[[], datetime]) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["briefing"])

    @router.get(
        "/{plan}/briefing",
        summary="月度通报 The monthly briefing: to print, to reckon with, or for programs",
        description=(
            "一月的通报:各指标的值、目标、信号,以及与上月相比的变动。HTML 可直接打印,XLSX 每系列一张表。\n\n"
            "A month's briefing: value, target and signal of every indicator, and what moved since the month before."
            " HTML prints as it is; the XLSX has a sheet a series."
        ),
        responses=RESPONSES | {200: {"content": {"text/html": {}, workbook.XLSX: {}, "application/json": {}}}},
    )
    async def get_briefing(
        request: Request,
        plan: PlanNamed,
        month: Month = None,
        district: District = None,
        known_at: KnownAt = None,
        form: Form = "html",
        lang: Lang = None,
        facts: Facts = False,
    ) -> Response:
        async with reader.view() as view:
            first, as_of = _month_of(plan_of(view.compiled, plan), month, clock())
        language = lang or language_in(request.scope) or "zh"

        async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
            return briefing(ground, first)

        question = Question(("briefing", f"{first:%Y-%m}"), plan, as_of.isoformat(), known_at, district)
        answer = await answers.answer(question, make)
        if form == "json":
            return answer
        body = orjson.loads(answer.body)
        if form == "html":
            return Response(printing.page(body, language), media_type="text/html", headers=printing.HEADERS)
        rows = _facts(reader, body, first) if facts else None
        book = await workbook.workbook(body, language, rows)
        name = f"{body['plan']}-{body['month']}{'-' + district if district else ''}.xlsx"
        return workbook.download(book, name)

    return router


async def _facts(reader: SnapshotReader, body: Body, first: date) -> AsyncIterator[Sequence[Body]]:
    """Yield the month's facts, indicator by indicator, as known at the instant of the briefing."""
    as_of, known_at = date.fromisoformat(body["as_of"]), datetime.fromisoformat(body["known_at"])
    async with reader.view() as view:
        plan = plan_of(view.compiled, body["plan"])
        asked = Scope(as_of, known_at, body["district"])
        for _, indicator in plan.indicators.values():
            period = running_period(plan, indicator, as_of)
            if period is not None and indicator.basis != "level":
                async for found in facts_of(view, plan, indicator, period, (first, as_of), asked):
                    yield [{"indicator": indicator.id} | fact for fact in found]
