"""What does each lead unit answer for: its measures with their worst signal, and how many there are of each."""

from collections.abc import Sequence

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import WORST_FIRST, Assessment, AssessmentBasis, Body, count_signals
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import RESPONSES, AsOf, District, FormAsked, KnownAt, PlanNamed
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import Measure


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)

    async def make(ground: AssessmentBasis, _view: Snapshot) -> Body:
        of_measure: dict[str, list[Assessment]] = {measure.id: [] for measure in ground.plan.measures}
        for measure, standing in ground.all_running(ground.scope.district):
            of_measure[measure.id].append(standing)
        shown = {measure.id: _measure(measure, of_measure[measure.id]) for measure in ground.plan.measures}
        bodies = []
        for body, name in ground.plan.bodies.items():
            own = [measure for measure in ground.plan.measures if body in measure.lead]
            standings = [standing for measure in own for standing in of_measure[measure.id]]
            bodies.append(
                {
                    "id": body,
                    "name": name.model_dump(),
                    "worst": _worst(standings),
                    "signals": count_signals(standings),
                    "measures": [shown[measure.id] for measure in own],
                }
            )
        return {"bodies": bodies}

    @router.get(
        "/{plan}/measures",
        summary="各责任单位的举措 Measures by lead unit",
        description=(
            "每个责任单位的举措、最差信号和各信号的指标数;几家共同负责的举措在各家名下。\n\n"
            "Each lead unit's measures, their worst signal and how many indicators have each; a measure led by several"
            " stands under each of them."
        ),
        responses=RESPONSES,
    )
    async def get_measures(
        plan: PlanNamed,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        district: District = None,
        form: FormAsked = "json",
    ) -> Response:
        return await answers.table(
            Question(("measures",), plan, as_of, known_at, district), make, form, "bodies.measures"
        )

    return router


def _measure(measure: Measure, standings: Sequence[Assessment]) -> Body:
    return {
        "id": measure.id,
        "name": measure.name.model_dump(),
        "lead": list(measure.lead),
        "worst": _worst(standings),
        "signals": count_signals(standings),
        "indicators": [{"id": standing.indicator.id, "signal": standing.signal} for standing in standings],
    }


def _worst(standings: Sequence[Assessment]) -> str:
    return min((standing.signal for standing in standings), key=WORST_FIRST.index, default="none")
