"""How far is each target of a plan, as of a day, as known at an instant, and is that enough for the time gone."""

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import AssessmentBasis
from services.projection.assessment.representation import (
    AssessedAnswer,
    CellPace,
    CellState,
    IndicatorSummary,
    cell_pace,
    cell_state,
    indicator_summary,
)
from services.projection.counting.periods import periods_of
from services.projection.exports.csv import Row, joined
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, District, Form, KnownAt, PlanNamed

router = APIRouter(prefix="/v1/plans", tags=["progress"], route_class=Conditional)


class PeriodProgress(CellState):
    """An indicator in one of its periods; `pace` is null without a target."""

    pace: CellPace | None


class IndicatorProgress(IndicatorSummary):
    """An indicator in every period that has begun."""

    periods: list[PeriodProgress]


class ProgressTable(TypedDict):
    """What this query adds to its scope."""

    indicators: list[IndicatorProgress]


class PlanProgress(ProgressTable, AssessedAnswer):
    """The progress of every indicator of a plan."""


def progress(basis: AssessmentBasis) -> ProgressTable:
    """Return the progress of every indicator, by the rules of VOCABULARY 4 and 5 and RULES E."""
    plan, scope = basis.plan, basis.scope
    indicators: list[IndicatorProgress] = []
    for measure, indicator in plan.indicators.values():
        periods: list[PeriodProgress] = []
        for period in periods_of(plan, indicator, scope.as_of):
            assessment = basis.assess(indicator, period, scope.district)
            periods.append({**cell_state(assessment), "pace": cell_pace(basis, assessment)})
        indicators.append({**indicator_summary(measure, indicator), "periods": periods})
    return {"indicators": indicators}


def _rows(table: ProgressTable) -> list[Row]:
    return [
        joined("indicators", indicator, "periods", period)
        for indicator in table["indicators"]
        for period in indicator["periods"]
    ]


@router.get(
    "/{plan}/progress",
    summary="各项目标的进度与信号 How far each target is, and its signal",
    description=(
        "截至某日、按某时所知:各指标各期的值、目标、时序和信号;`complete_to` 为各服务日志已计到之处。\n\n"
        "As of a day, as known at an instant: every indicator's value, target, pace and signal in each period;"
        " `complete_to`: how far each service's log is counted."
    ),
    response_model=PlanProgress,
    responses=RESPONSES,
)
async def get_progress(
    request: Request,
    plan: PlanNamed,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    district: District = None,
    form: Form = "json",
) -> Response:
    """Respond with the progress of a plan."""
    context = context_of(request)
    return await context.respond_table(
        Question(("progress",), plan, as_of, known_at, district), pure(progress), form, _rows
    )
