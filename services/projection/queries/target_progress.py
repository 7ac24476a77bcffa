"""How far is each target of a plan, as of a day, as known at an instant, and is that enough for the time gone."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.planning.targets_in_force import History
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
from services.projection.assessment.values import Amounts
from services.projection.counting.periods import periods_of
from services.projection.exports.csv import Row, joined, joined_columns
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, District, Form, KnownAt, PlanNamed
from shared.plan.model import Indicator, Measure

_MOST_SCOPES: Final = 16  # days and districts for which rows are kept
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


SumsOfLine = Mapping[tuple[int, int], Mapping[str, Amounts]]  # by part and period, then by district


class _MadeRow(NamedTuple):
    """The progress of an indicator, and the sums of its lines that made it."""

    sums: list[SumsOfLine | None]
    progress: IndicatorProgress


# Most reports move one number: the rows of the others are given again. Beside the sums, they rest on the plan with what
# was decided on its targets, which each history stands for, and on the day and the district.
_rows_by_scope: Final[dict[tuple[History, date, str | None], dict[str, _MadeRow]]] = {}


def computed(basis: AssessmentBasis) -> ProgressTable:
    """Return the progress of every indicator, computed anew: of numbers that nobody follows."""
    rows = (_progress_of(basis, measure, indicator) for measure, indicator in basis.plan.indicators.values())
    return {"indicators": list(rows)}


def progress(basis: AssessmentBasis) -> ProgressTable:
    """Return the progress of every indicator, by the rules of VOCABULARY 4 and 5 and RULES E; not to be changed."""
    plan, scope = basis.plan, basis.scope
    key = basis.targets.as_known(scope.known_at), scope.as_of, scope.district
    rows = _rows_by_scope[key] = _rows_by_scope.pop(key, {})
    if len(_rows_by_scope) > _MOST_SCOPES:  # the least recently used goes first
        del _rows_by_scope[next(iter(_rows_by_scope))]
    sums: dict[int, dict[tuple[int, int], Mapping[str, Amounts]]] = defaultdict(dict)
    for (line, part, period), by_district in basis.sums.items():
        sums[line][part, period] = by_district
    indicators: list[IndicatorProgress] = []
    for measure, indicator in plan.indicators.values():
        own: list[SumsOfLine | None] = [
            sums.get(line.number) for line in basis.compiled.of_indicator[plan.id, indicator.id]
        ]
        known = rows.get(indicator.id)
        if known is None or known.sums != own:
            known = rows[indicator.id] = _MadeRow(own, _progress_of(basis, measure, indicator))
        indicators.append(known.progress)
    return {"indicators": indicators}


def _progress_of(basis: AssessmentBasis, measure: Measure, indicator: Indicator) -> IndicatorProgress:
    periods: list[PeriodProgress] = []
    for period in periods_of(basis.plan, indicator, basis.scope.as_of):
        assessment = basis.assess(indicator, period, basis.scope.district)
        periods.append({**cell_state(assessment), "pace": cell_pace(basis, assessment)})
    return {**indicator_summary(measure, indicator), "periods": periods}


_COLUMNS: Final = joined_columns("indicators", IndicatorProgress, "periods", PeriodProgress)


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
        Question(("progress",), plan, as_of, known_at, district), pure(progress), form, _rows, _COLUMNS
    )
