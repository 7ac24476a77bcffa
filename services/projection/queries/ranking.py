"""How do the districts stand beside one another, and what has changed since the end of last month."""

from collections.abc import Sequence
from fractions import Fraction

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import (
    Assessment,
    AssessmentBasis,
    Body,
    number,
    show_indicator,
    show_standing,
)
from services.projection.assessment.values import indicator_kind
from services.projection.counting.periods import month_number
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import (
    RESPONSES,
    AsOf,
    FormAsked,
    IndicatorNamed,
    KnownAt,
    PeriodAsked,
    PlanNamed,
    indicator_of,
    period_of,
)
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import District


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)

    @router.get(
        "/{plan}/indicators/{indicator}/districts",
        summary="区县排名 The districts ranked",
        description=(
            "各区县都有目标时按进度(值÷目标)排,否则按值排;并列同名次,不可计算的和市本级没有名次。"
            "`change` 为与上月末相比。\n\n"
            "By progress where every district has a target, else by value; equals share a rank; what cannot be computed"
            " and the city's own bodies have none. `change`: since the end of last month."
        ),
        responses=RESPONSES,
    )
    async def get_districts(
        plan: PlanNamed,
        indicator: IndicatorNamed,
        period: PeriodAsked = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        form: FormAsked = "json",
    ) -> Response:
        async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
            found = indicator_of(ground.plan, indicator)
            number_ = period_of(ground.plan, found, period, ground.scope.as_of)
            whole = ground.assess(found, number_, None)
            return {
                "indicator": show_indicator(ground.plan.indicators[indicator][0], found),
                "whole": show_standing(whole),
                **_rank(ground, whole),
            }

        question = Question(("districts", indicator, period or ""), plan, as_of, known_at, None, indicator)
        return await answers.table(question, make, form, "districts")

    return router


def _rank(ground: AssessmentBasis, whole: Assessment) -> Body:
    standings = [ground.assess(whole.indicator, whole.period, one.code) for one in ground.plan.districts]
    day = min(ground.scope.as_of, whole.course.last)
    last_month = month_number(day) - 1
    by_progress = all(one.goal for one, of in zip(standings, ground.plan.districts, strict=True) if not of.city)
    values, before = [], []
    for standing, district in zip(standings, ground.plan.districts, strict=True):
        old = standing.cell.at(last_month).value
        goal = standing.goal.value if by_progress and standing.goal else Fraction(1)
        now = standing.worth.value
        values.append(None if now is None or district.city or not goal else now / goal)
        before.append(None if old is None or district.city or not goal else old / goal)
    ranks, old_ranks = _ranks(values), _ranks(before)
    rows = [
        _row(whole, standing, district, rank, old_rank, last_month)
        for standing, district, rank, old_rank in zip(standings, ground.plan.districts, ranks, old_ranks, strict=True)
    ]
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"]))
    return {"ranked_by": "progress" if by_progress else "value", "districts": rows}


def _ranks(values: Sequence[Fraction | None]) -> list[int | None]:
    return [
        None if value is None else 1 + sum(1 for other in values if other is not None and other > value)
        for value in values
    ]


def _row(
    whole: Assessment, standing: Assessment, district: District, rank: int | None, old_rank: int | None, last_month: int
) -> Body:
    value, old = standing.worth.value, standing.cell.at(last_month).value
    share = None
    if indicator_kind(whole.indicator).adds and whole.worth.numerator:
        share = Fraction(standing.worth.numerator, whole.worth.numerator)
    return {
        "rank": rank,
        "code": district.code,
        "name": district.name.model_dump(),
        "city": district.city,
        **show_standing(standing),
        "share_of_whole": number(share),
        "change": {
            "value": None if value is None or old is None else number(value - old),
            # Two places up is 2.
            "rank": None if rank is None or old_rank is None else old_rank - rank,
        },
    }
