"""What are the numbers at a month's end: what a close publishes, once all that was decided by an instant is counted."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Final, NotRequired

import orjson
from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from services.planning.events import Figure, digest_of, seal_of
from services.planning.months import days_of, is_of
from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.representation import Day, MonthName, PeriodName, Sha256, number_or_none
from services.projection.counting.periods import period_name
from services.projection.queries.context import ReadContext, context_of
from services.projection.queries.parameters import RESPONSES, KnownAt, PlanNamed, plan_of, scope_of
from shared.contract.events import format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.http.problems import Problem
from shared.plan.model import Indicator, Plan

_PATIENCE: Final = timedelta(seconds=60)
MonthOfFigures = Annotated[
    str, Query(alias="month", description="月份 a month, YYYY-MM", pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")
]
router = APIRouter(prefix="/v1/plans", tags=["closings"])


class FigureValue(TypedDict):
    """A number of an indicator in a period; what is absent is not computable, or there is no such target."""

    indicator: str
    period: PeriodName
    numerator: int
    denominator: NotRequired[int]
    value: NotRequired[float]
    goal: NotRequired[float]
    met: NotRequired[bool]


class PublishedFigure(FigureValue):
    """A number as a close publishes it, of a district or (without one) the whole."""

    district: NotRequired[DistrictCode]


class MonthFigures(TypedDict):
    """Every number of a plan at a month's end, their digest, and the seal by which planning takes them (F8a)."""

    plan: str
    month: MonthName
    as_of: Day
    known_at: Instant
    figures: list[PublishedFigure]
    sha256: Sha256
    seal: NotRequired[Sha256]


@router.get(
    "/{plan}/figures",
    summary="某月末的各项数据 Every number at a month's end",
    description=(
        "关账时公布的就是这些,附其 SHA-256 与投影的封印 `seal`;要等到各服务的日志都计到 `known_at` 才答。\n\n"
        "What a close publishes, with its SHA-256 and the projection's `seal`; answered once every log is counted up"
        " to `known_at`."
    ),
    response_model=MonthFigures,
    responses=RESPONSES,
)
async def get_figures(request: Request, plan: PlanNamed, month: MonthOfFigures, known_at: KnownAt = None) -> Response:
    """Respond with the numbers of a month as they are to be published."""
    context = context_of(request)
    async with context.reader.view() as view:
        scope = scope_of(plan_of(view.compiled, plan), None, known_at, None, context.clock())
    await _all_counted(context, scope.known_at)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        last = _last_day(plan_read, month)
        basis = await context.basis(view, plan_read, Scope(last, scope.known_at))
        figures = figures_of(basis, [None, *(district.code for district in plan_read.districts)])
    if not figures:
        raise Problem(422, "该月没有数据。", "There are no figures for this month.")
    instant, sha256 = format_instant(scope.known_at), digest_of(figures)
    answer: dict[str, object] = {
        "plan": plan,
        "month": month,
        "as_of": last.isoformat(),
        "known_at": instant,
        "figures": [figure.model_dump(mode="json", exclude_none=True) for figure in figures],
        "sha256": sha256,
    }
    if context.figures_key:
        answer["seal"] = seal_of(context.figures_key, plan, month, instant, sha256)
    return Response(orjson.dumps(answer), media_type="application/json")


def figures_of(basis: AssessmentBasis, districts: Sequence[str | None]) -> list[Figure]:
    """Return every number of a plan on the day of the scope, for some districts; None stands for the whole."""
    return [
        figure
        for _, indicator in basis.plan.indicators.values()
        for district in districts
        if (figure := _figure(basis, indicator, district)) is not None
    ]


def _figure(basis: AssessmentBasis, indicator: Indicator, district: str | None) -> Figure | None:
    assessment = basis.running(indicator, district)
    if assessment is None:
        return None
    worth = assessment.worth
    return Figure(
        indicator=indicator.id,
        district=district,
        period=period_name(assessment.period),
        numerator=worth.numerator,
        denominator=worth.denominator if indicator.is_ratio else None,
        value=number_or_none(worth.value),
        goal=None if assessment.goal is None else number_or_none(assessment.goal.value),
        met=assessment.met,
    )


async def _all_counted(context: ReadContext, known_at: datetime) -> None:
    """Wait until every log is counted as far as it went at an instant; raises Problem when that takes too long."""
    if known_at > context.clock():
        raise Problem(422, "known_at 在未来。", "known_at lies ahead.")
    # A transaction takes its instant before it commits: those under way now may still record an earlier one.
    services = await context.heads.ask(settled=True)
    wanted = {service: head.position for service in services if (head := context.heads.head(service)) is not None}
    if missing := ", ".join(service for service in services if service not in wanted):
        raise Problem(503, f"暂时问不到:{missing}。", f"No answer now from: {missing}.", retry_after="5")
    limit = context.clock() + _PATIENCE
    while True:
        async with context.reader.view() as view:
            counted = {row["service"]: row["position"] for row in view.checkpoints}
        behind = ", ".join(service for service, position in wanted.items() if counted.get(service, 0) < position)
        if not behind:
            return
        if context.clock() > limit:
            raise Problem(503, f"尚未计完:{behind}。", f"Not counted yet: {behind}.", retry_after="5")
        await asyncio.sleep(0.3)


def _last_day(plan: Plan, month: str) -> date:
    if not is_of(plan, month):
        raise Problem(422, "月份不在计划期内。", "The month lies outside the plan.")
    return min(days_of(month)[1], plan.period.last)
