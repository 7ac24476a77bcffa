"""What does each lead unit answer for: its measures with their worst signal, and how many there are of each."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Assessment, AssessmentBasis
from services.projection.assessment.pace import Signal
from services.projection.assessment.representation import (
    WORST_FIRST,
    AssessedAnswer,
    BilingualText,
    SignalCounts,
    bilingual,
    count_signals,
)
from services.projection.exports.csv import Row, joined, joined_columns
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, District, Form, KnownAt, PlanNamed
from shared.plan.model import Measure

router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class IndicatorSignal(TypedDict):
    """The signal of an indicator in the running period."""

    id: str
    signal: Signal


class MeasureSignals(TypedDict):
    """A measure of the plan; `lead` names the bodies that answer for it."""

    id: str
    name: BilingualText
    lead: list[str]
    worst: Signal
    signals: SignalCounts
    indicators: list[IndicatorSignal]


class BodySignals(TypedDict):
    """A lead unit with its measures."""

    id: str
    name: BilingualText
    worst: Signal
    signals: SignalCounts
    measures: list[MeasureSignals]


class MeasuresTable(TypedDict):
    """What this query adds to its scope."""

    bodies: list[BodySignals]


class MeasuresByBody(MeasuresTable, AssessedAnswer):
    """The measures of a plan by the unit that answers for them."""


def measures(basis: AssessmentBasis) -> MeasuresTable:
    """Return every lead unit with its measures."""
    plan = basis.plan
    assessments: dict[str, list[Assessment]] = {measure.id: [] for measure in plan.measures}
    for measure, assessment in basis.all_running(basis.scope.district):
        assessments[measure.id].append(assessment)
    rows = {measure.id: _measure(measure, assessments[measure.id]) for measure in plan.measures}
    bodies: list[BodySignals] = []
    for body, name in plan.bodies.items():
        own = [measure for measure in plan.measures if body in measure.lead]
        of_body = [assessment for measure in own for assessment in assessments[measure.id]]
        bodies.append(
            {
                "id": body,
                "name": bilingual(name),
                "worst": _worst(of_body),
                "signals": count_signals(of_body),
                "measures": [rows[measure.id] for measure in own],
            }
        )
    return {"bodies": bodies}


_COLUMNS: Final = joined_columns("bodies", BodySignals, "measures", MeasureSignals)


def _rows(table: MeasuresTable) -> list[Row]:
    return [joined("bodies", body, "measures", measure) for body in table["bodies"] for measure in body["measures"]]


@router.get(
    "/{plan}/measures",
    summary="各责任单位的举措 Measures by lead unit",
    description=(
        "每个责任单位的举措、最差信号和各信号的指标数;几家共同负责的举措在各家名下。\n\n"
        "Each lead unit's measures, their worst signal and how many indicators have each; a measure led by several"
        " stands under each of them."
    ),
    response_model=MeasuresByBody,
    responses=RESPONSES,
)
async def get_measures(
    request: Request,
    plan: PlanNamed,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    district: District = None,
    form: Form = "json",
) -> Response:
    """Respond with the measures of a plan by lead unit."""
    context = context_of(request)
    return await context.respond_table(
        Question(("measures",), plan, as_of, known_at, district), pure(measures), form, _rows, _COLUMNS
    )


def _measure(measure: Measure, assessments: Sequence[Assessment]) -> MeasureSignals:
    return {
        "id": measure.id,
        "name": bilingual(measure.name),
        "lead": list(measure.lead),
        "worst": _worst(assessments),
        "signals": count_signals(assessments),
        "indicators": [{"id": assessment.indicator.id, "signal": assessment.signal} for assessment in assessments],
    }


def _worst(assessments: Sequence[Assessment]) -> Signal:
    return min((assessment.signal for assessment in assessments), key=WORST_FIRST.index, default="none")
