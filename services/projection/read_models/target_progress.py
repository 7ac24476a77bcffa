"""How far is each target of a plan, as of a day, as known at an instant, and is that enough for the time gone."""

from fastapi import APIRouter, Response

from services.projection.judging import Body, Ground, Standing, number, show_pace, show_period, show_target
from services.projection.read_models.answers import Answers, Question
from services.projection.read_models.asking import RESPONSES, AsOf, District, KnownAt
from services.projection.read_models.reading import View
from services.projection.values import bounds, periods_of
from shared.plan import Indicator, Measure


def progress(ground: Ground) -> list[Body]:
    """Return the progress of every indicator, by the rules of VOCABULARY 4 and 5 and RULES E."""
    plan, asked = ground.plan, ground.asked
    return [
        head(measure, indicator)
        | {
            "periods": [
                _period(ground, ground.standing(indicator, period, asked.district))
                for period in periods_of(plan, indicator, asked.as_of)
            ]
        }
        for measure, indicator in plan.indicators.values()
    ]


def head(measure: Measure, indicator: Indicator) -> Body:
    """Return what an indicator is, as answers show it."""
    return {
        "id": indicator.id,
        "measure": measure.id,
        "name": indicator.name.model_dump(),
        "unit": indicator.unit,
        "kind": indicator.value.kind,
        "basis": indicator.basis,
    }


def _period(ground: Ground, standing: Standing) -> Body:
    indicator, worth, target = standing.indicator, standing.worth, standing.target
    first, last = bounds(standing.plan, standing.period)
    upper = target.target.upper if target else None
    return {
        "period": show_period(standing.period),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "value": number(worth.value),
        "numerator": worth.numerator,
        "denominator": worth.denominator if indicator.is_ratio else None,
        "target": show_target(indicator, target),
        "met": standing.met,
        "progress": number(standing.progress),
        "exceeds": upper is not None and worth.value is not None and worth.value > upper,
        "expected": number(standing.expected),
        "signal": standing.signal,
        "computable": worth.value is not None,
        "pace": show_pace(ground, standing),
    }


def routes(answers: Answers) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])

    async def make(ground: Ground, _view: View) -> Body:
        return {"indicators": progress(ground)}

    @router.get(
        "/{plan}/progress", summary="各项目标的进度与信号 How far each target is, and its signal", responses=RESPONSES
    )
    async def get_progress(
        plan: str, as_of: AsOf = None, known_at: KnownAt = None, district: District = None
    ) -> Response:
        return await answers.answer(Question(("progress",), plan, as_of, known_at, district), make)

    return router
