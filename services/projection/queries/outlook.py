"""What would happen at this pace: where its last full months carry every indicator, and what is still needed."""

from collections import Counter
from typing import Final

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import AssessmentBasis
from services.projection.assessment.pace import State
from services.projection.assessment.representation import (
    AssessedAnswer,
    CellState,
    ForecastValue,
    IndicatorSummary,
    cell_state,
    forecast_value,
    indicator_summary,
    number,
    number_or_none,
)
from services.projection.exports.csv import columns_of
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, District, Form, KnownAt, PlanNamed

_STATES: Final[tuple[State, ...]] = ("reached", "on-course", "short", "not-enough-data", "not-forecast")
router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class IndicatorOutlook(IndicatorSummary, CellState):
    """An indicator in the running period, and where it goes."""

    months_left: float
    needed_per_month: float | None
    forecast: ForecastValue


_COLUMNS: Final = columns_of(IndicatorOutlook)


class OutlookTable(TypedDict):
    """What this query adds to its scope."""

    states: dict[State, int]
    indicators: list[IndicatorOutlook]


class PlanOutlook(OutlookTable, AssessedAnswer):
    """The outlook of every indicator of a plan, and how many targets there are of each state."""


def outlook(basis: AssessmentBasis) -> OutlookTable:
    """Return the outlook of every indicator."""
    rows: list[IndicatorOutlook] = []
    states = Counter[State]()
    for measure, assessment in basis.all_running(basis.scope.district):
        forecast = basis.forecast(assessment)
        if assessment.goal is not None and forecast.state is not None:
            states[forecast.state] += 1
        rows.append(
            {
                **indicator_summary(measure, assessment.indicator),
                **cell_state(assessment),
                "months_left": number(assessment.course.months_left(assessment.day)),
                "needed_per_month": number_or_none(assessment.needed_per_month),
                "forecast": forecast_value(forecast),
            }
        )
    return {"states": {state: states[state] for state in _STATES}, "indicators": rows}


@router.get(
    "/{plan}/outlook",
    summary="照此下去会怎样 What would happen at this pace",
    description=(
        "各指标当期期末的预测、区间、何时达到、每月还需多少;方法见 docs/pace.md。"
        "没有目标的也有预测,`state` 为空。\n\n"
        "Every indicator's forecast for the end of the running period, its range, when the target is reached and"
        " what is still needed a month; how: docs/pace.md. Without a target there is a forecast, but no `state`."
    ),
    response_model=PlanOutlook,
    responses=RESPONSES,
)
async def get_outlook(
    request: Request,
    plan: PlanNamed,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    district: District = None,
    form: Form = "json",
) -> Response:
    """Respond with the outlook of a plan."""
    context = context_of(request)
    question = Question(("outlook",), plan, as_of, known_at, district)
    return await context.respond_table(question, pure(outlook), form, lambda table: table["indicators"], _COLUMNS)
