"""How do the districts rank, and what has changed since the end of last month."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Assessment, AssessmentBasis
from services.projection.assessment.representation import (
    AssessedAnswer,
    BilingualText,
    CellState,
    IndicatorSummary,
    bilingual,
    cell_state,
    indicator_summary,
    number_or_none,
)
from services.projection.assessment.values import indicator_kind
from services.projection.counting.periods import month_number
from services.projection.exports.csv import columns_of
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import (
    RESPONSES,
    AsOf,
    Form,
    IndicatorNamed,
    KnownAt,
    PeriodNamed,
    PlanNamed,
    indicator_of,
    period_of,
)
from shared.contract.messages import DistrictCode
from shared.plan.model import District

router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class RankChange(TypedDict):
    """What has changed since the end of last month; `rank`: two places up is 2."""

    value: float | None
    rank: int | None


class _Ranked(TypedDict):
    rank: int | None
    code: DistrictCode
    name: BilingualText
    city: bool


class RankedDistrict(_Ranked, CellState):
    """A district in the ranking; the city's own bodies and what cannot be computed have no rank."""

    share_of_whole: float | None
    change: RankChange


_COLUMNS: Final = columns_of(RankedDistrict)


class Ranks(TypedDict):
    """The districts in their order."""

    ranked_by: Literal["progress", "value"]
    districts: list[RankedDistrict]


class RankingTable(Ranks):
    """What this query adds to its scope."""

    indicator: IndicatorSummary
    whole: CellState


class DistrictRanking(RankingTable, AssessedAnswer):
    """The districts of a plan by an indicator."""


@router.get(
    "/{plan}/indicators/{indicator}/districts",
    summary="区县排名 The districts ranked",
    description=(
        "各区县都有目标时按进度(值÷目标)排,否则按值排;并列同名次,不可计算的和市本级没有名次。"
        "`change` 为与上月末相比。\n\n"
        "By progress where every district has a target, else by value; equals share a rank; what cannot be computed"
        " and the city's own bodies have none. `change`: since the end of last month."
    ),
    response_model=DistrictRanking,
    responses=RESPONSES,
)
async def get_districts(
    request: Request,
    plan: PlanNamed,
    indicator: IndicatorNamed,
    period: PeriodNamed = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    form: Form = "json",
) -> Response:
    """Respond with the ranking of the districts."""
    context = context_of(request)

    def ranking(basis: AssessmentBasis) -> RankingTable:
        wanted = indicator_of(basis.plan, indicator)
        whole = basis.assess(wanted, period_of(basis.plan, wanted, period, basis.scope.as_of), None)
        return {
            "indicator": indicator_summary(basis.plan.indicators[indicator][0], wanted),
            "whole": cell_state(whole),
            **_rank(basis, whole),
        }

    question = Question(("districts", indicator, period or ""), plan, as_of, known_at, None, indicator)
    return await context.respond_table(question, pure(ranking), form, lambda table: table["districts"], _COLUMNS)


def _rank(basis: AssessmentBasis, whole: Assessment) -> Ranks:
    districts = basis.plan.districts
    assessments = [basis.assess(whole.indicator, whole.period, district.code) for district in districts]
    last_month = month_number(min(basis.scope.as_of, whole.course.last)) - 1
    by_progress = all(
        assessment.goal for assessment, district in zip(assessments, districts, strict=True) if not district.city
    )
    values: list[Fraction | None] = []
    values_before: list[Fraction | None] = []
    for assessment, district in zip(assessments, districts, strict=True):
        goal = assessment.goal.value if by_progress and assessment.goal else Fraction(1)
        value, before = assessment.worth.value, assessment.cell.at(last_month).value
        values.append(None if value is None or district.city or not goal else value / goal)
        values_before.append(None if before is None or district.city or not goal else before / goal)
    rows = [
        _row(whole, assessment, district, rank, rank_before, last_month)
        for assessment, district, rank, rank_before in zip(
            assessments, districts, _ranks(values), _ranks(values_before), strict=True
        )
    ]
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"]))
    return {"ranked_by": "progress" if by_progress else "value", "districts": rows}


def _ranks(values: Sequence[Fraction | None]) -> list[int | None]:
    return [
        None if value is None else 1 + sum(1 for other in values if other is not None and other > value)
        for value in values
    ]


def _row(
    whole: Assessment,
    assessment: Assessment,
    district: District,
    rank: int | None,
    rank_before: int | None,
    last_month: int,
) -> RankedDistrict:
    value, before = assessment.worth.value, assessment.cell.at(last_month).value
    share = None
    if indicator_kind(whole.indicator).adds and whole.worth.numerator:
        share = Fraction(assessment.worth.numerator, whole.worth.numerator)
    return {
        "rank": rank,
        "code": district.code,
        "name": bilingual(district.name),
        "city": district.city,
        **cell_state(assessment),
        "share_of_whole": number_or_none(share),
        "change": {
            "value": None if value is None or before is None else number_or_none(value - before),
            "rank": None if rank is None or rank_before is None else rank_before - rank,
        },
    }
