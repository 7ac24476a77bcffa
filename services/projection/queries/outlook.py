"""What would happen at this pace: where its last full months carry every indicator, and what is still needed."""

from collections import Counter
from typing import Final

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import (
    AssessmentBasis,
    Body,
    number,
    show_forecast,
    show_indicator,
    show_standing,
)
from services.projection.assessment.pace import still_needed
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import RESPONSES, AsOf, District, FormAsked, KnownAt, PlanNamed
from services.projection.queries.snapshot import Snapshot

_STATES: Final = ("reached", "on-course", "short", "not-enough-data")


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)

    async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
        rows, states = [], Counter[str]()
        for measure, standing in ground.all_running(ground.scope.district):
            forecast = ground.forecast(standing)
            goal, value = standing.goal, standing.worth.value
            needed = still_needed(goal, value, standing.course, standing.day) if goal else None
            if goal is not None and forecast.state is not None:
                states[forecast.state] += 1
            rows.append(
                {
                    **show_indicator(measure, standing.indicator),
                    **show_standing(standing),
                    "months_left": number(standing.course.months_left(standing.day)),
                    "needed_per_month": number(needed),
                    "forecast": show_forecast(forecast),
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
        responses=RESPONSES,
    )
    async def get_outlook(
        plan: PlanNamed,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        district: District = None,
        form: FormAsked = "json",
    ) -> Response:
        return await answers.table(Question(("outlook",), plan, as_of, known_at, district), make, form, "indicators")

    return router
