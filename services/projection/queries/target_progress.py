"""How far is each target of a plan, as of a day, as known at an instant, and is that enough for the time gone."""

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import AssessmentBasis, Body, show_indicator, show_pace, show_standing
from services.projection.counting.periods import periods_of
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import RESPONSES, AsOf, District, FormAsked, KnownAt, PlanNamed
from services.projection.queries.snapshot import Snapshot


def progress(ground: AssessmentBasis) -> list[Body]:
    """Return the progress of every indicator, by the rules of VOCABULARY 4 and 5 and RULES E."""
    plan, asked = ground.plan, ground.scope
    return [
        show_indicator(measure, indicator)
        | {
            "periods": [
                show_standing(standing) | {"pace": show_pace(ground, standing)}
                for period in periods_of(plan, indicator, asked.as_of)
                for standing in (ground.assess(indicator, period, asked.district),)
            ]
        }
        for measure, indicator in plan.indicators.values()
    ]


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"], route_class=Conditional)

    async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
        return {"indicators": progress(ground)}

    @router.get(
        "/{plan}/progress",
        summary="各项目标的进度与信号 How far each target is, and its signal",
        description=(
            "截至某日、按某时所知:各指标各期的值、目标、时序和信号;`complete_to` 为各服务日志已计到之处。\n\n"
            "As of a day, as known at an instant: every indicator's value, target, pace and signal in each period;"
            " `complete_to`: how far each service's log is counted."
        ),
        responses=RESPONSES,
    )
    async def get_progress(
        plan: PlanNamed,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        district: District = None,
        form: FormAsked = "json",
    ) -> Response:
        return await answers.table(
            Question(("progress",), plan, as_of, known_at, district), make, form, "indicators.periods"
        )

    return router
