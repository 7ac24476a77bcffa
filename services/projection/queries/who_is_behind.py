"""Who is behind, and by how much: every target of the city or a district that is amber or red, the furthest first."""

from fractions import Fraction
from typing import Final

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Assessment, AssessmentBasis
from services.projection.assessment.representation import (
    AssessedAnswer,
    CellState,
    IndicatorSummary,
    SignalCounts,
    cell_state,
    count_signals,
    indicator_summary,
    number,
    number_or_none,
)
from services.projection.exports.csv import columns_of
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, District, Form, KnownAt, PlanNamed
from shared.contract.messages import DistrictCode
from shared.plan.model import Measure

router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class Shortfall(TypedDict):
    """What is missing to what was expected, and in per cent of it."""

    value: float | None
    percent: float


class _Responsible(TypedDict):
    district: DistrictCode | None
    lead: list[str]


class BehindTarget(IndicatorSummary, _Responsible, CellState):
    """A target that is behind; `district` is null for the whole, `lead` names the bodies that answer for it."""

    behind_by: Shortfall
    needed_per_month: float | None
    months_left: float


_COLUMNS: Final = columns_of(BehindTarget)


class BehindTable(TypedDict):
    """What this query adds to its scope."""

    signals: SignalCounts
    behind: list[BehindTarget]


class BehindTargets(BehindTable, AssessedAnswer):
    """The targets of a plan that are behind, the furthest first, and how many targets have each signal."""


def who_is_behind(basis: AssessmentBasis) -> BehindTable:
    """Return the targets that are behind."""
    district = basis.scope.district
    places = [district] if district else [None, *(each.code for each in basis.plan.districts)]
    targets = [target for place in places for target in basis.all_running(place, aimed=True)]
    behind = [(measure, assessment) for measure, assessment in targets if assessment.signal in ("amber", "red")]
    behind.sort(key=lambda pair: (_ratio(pair[1]), pair[1].indicator.id, pair[1].district or ""))
    return {
        "signals": count_signals(assessment for _, assessment in targets),
        "behind": [_row(basis, measure, assessment) for measure, assessment in behind],
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
    response_model=BehindTargets,
    responses=RESPONSES,
)
async def get_behind(
    request: Request,
    plan: PlanNamed,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    district: District = None,
    form: Form = "json",
) -> Response:
    """Respond with the targets that are behind."""
    context = context_of(request)
    question = Question(("behind",), plan, as_of, known_at, district)
    return await context.respond_table(question, pure(who_is_behind), form, lambda table: table["behind"], _COLUMNS)


def _ratio(assessment: Assessment) -> Fraction:
    share = assessment.share_of_expected
    return Fraction(1) if share is None else share


def _row(basis: AssessmentBasis, measure: Measure, assessment: Assessment) -> BehindTarget:
    gap = assessment.gap
    return {
        **indicator_summary(measure, assessment.indicator),
        "district": assessment.district,
        "lead": list(measure.lead),
        **cell_state(assessment),
        "behind_by": {
            "value": None if gap is None else number(max(-gap, Fraction(0))),
            "percent": number(max(100 - 100 * _ratio(assessment), Fraction(0))),
        },
        "needed_per_month": number_or_none(assessment.needed_per_month),
        "months_left": number(assessment.course.months_left(basis.scope.as_of)),
    }
