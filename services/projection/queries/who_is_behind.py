"""Who is behind, and by how much: every target of the city or a district that is amber or red, the furthest first."""

from fractions import Fraction

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import (
    Assessment,
    AssessmentBasis,
    Body,
    count_signals,
    number,
    show_indicator,
    show_standing,
)
from services.projection.assessment.pace import still_needed
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import RESPONSES, AsOf, District, FormAsked, KnownAt, PlanNamed
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import Measure


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)

    async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
        asked = ground.scope.district
        places = [asked] if asked else [None, *(district.code for district in ground.plan.districts)]
        found = [one for place in places for one in ground.all_running(place, aimed=True)]
        behind = [one for one in found if one[1].signal in ("amber", "red")]
        behind.sort(key=lambda one: (_ratio(one[1]), one[1].indicator.id, one[1].district or ""))
        return {
            "signals": count_signals(standing for _, standing in found),
            "behind": [_row(ground, measure, standing) for measure, standing in behind],
        }

    @router.get(
        "/{plan}/behind",
        summary="谁落后、差多少 Who is behind, and by how much",
        description=(
            "当期信号为黄或红的目标(全市及有目标的区县),按完成应达值的比例从低到高。`behind_by`:距应达值的差额及百分比。\n\n"
            "The targets that are amber or red in the running period, of the city and of districts that have one; the"
            " least of what was expected first. `behind_by`: what is missing to what was expected, and in per"
            " cent of it."
        ),
        responses=RESPONSES,
    )
    async def get_behind(
        plan: PlanNamed,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        district: District = None,
        form: FormAsked = "json",
    ) -> Response:
        return await answers.table(Question(("behind",), plan, as_of, known_at, district), make, form, "behind")

    return router


def _ratio(standing: Assessment) -> Fraction:
    value, expected = standing.worth.value, standing.expected
    return value / expected if value is not None and expected else Fraction(1)


def _row(ground: AssessmentBasis, measure: Measure, standing: Assessment) -> Body:
    gap = standing.gap
    goal, value = standing.goal, standing.worth.value
    needed = still_needed(goal, value, standing.course, standing.day) if goal else None
    return {
        **show_indicator(measure, standing.indicator),
        "district": standing.district,
        "lead": list(measure.lead),
        **show_standing(standing),
        "behind_by": {
            "value": None if gap is None else number(max(-gap, Fraction(0))),
            "percent": number(max(100 - 100 * _ratio(standing), Fraction(0))),
        },
        "needed_per_month": number(needed),
        "months_left": number(standing.course.months_left(ground.scope.as_of)),
    }
