"""How did a number come about: month by month what was counted, what came together, what was expected, the signal."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, cast

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Assessment, AssessmentBasis, MonthEnd
from services.projection.assessment.pace import IndicatorKind, Signal
from services.projection.assessment.representation import (
    AssessedAnswer,
    CellPace,
    CellState,
    DaySpan,
    IndicatorSummary,
    MonthName,
    cell_pace,
    cell_state,
    indicator_summary,
    number_or_none,
)
from services.projection.assessment.values import indicator_kind
from services.projection.counting.lines import Line, LineShape, Part
from services.projection.counting.periods import month_number
from services.projection.counting.uses import UseRole
from services.projection.exports.csv import columns_of
from services.projection.exports.names import NAMES, PlanNames
from services.projection.exports.sheets import ListingColumn, listed
from services.projection.exports.texts import text
from services.projection.exports.wording import achieved, exact, rounded
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, file_name
from services.projection.queries.parameters import (
    RESPONSES,
    AsOf,
    District,
    IndicatorNamed,
    KnownAt,
    Lang,
    ListingForm,
    PeriodNamed,
    PlanNamed,
    indicator_of,
    language_of,
    period_of,
    plan_of,
)
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import Indicator

_FILE: Final = "months.sql"
_Counted = dict[tuple[int, int], int]  # (part, month) → what is first counted in it
router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class _Month(TypedDict):
    month: MonthName


class CellMonth(_Month, DaySpan):
    """A month of a cell: `value` what is first counted in it (a level: its month-end), `cumulative` at its end.

    `signal_then` as it was on the last day, `signal` as it is shown now: amber where it was red and was made up since.
    """

    complete: bool
    value: float | None
    numerator: int
    denominator: int | None
    cumulative: float | None
    expected: float | None
    signal: Signal
    signal_then: Signal


_COLUMNS: Final = columns_of(CellMonth)


class MonthsTable(CellState):
    """What this query adds to its scope."""

    indicator: IndicatorSummary
    pace: CellPace | None
    months: list[CellMonth]


class CellMonths(MonthsTable, AssessedAnswer):
    """An indicator in one period, and each of its months that has begun."""


@router.get(
    "/{plan}/indicators/{indicator}/months",
    summary="逐月走势 Month by month: value, cumulative, expected, signal",
    description=(
        "`value` 当月首次计入的(水平指标为月末值),`cumulative` 月末值,`expected` 月末应达值,"
        "`signal_then` 按当月月末判断的信号,`signal` 现在显示的信号(曾为红、后来补上的为黄)。\n\n"
        "`value`: what is first counted in the month (a level: its month-end); `cumulative`: at the month's end;"
        " `expected`: what was due by then; `signal_then`: the signal on that day; `signal`: as it is shown now,"
        " amber where it was red and was made up since."
    ),
    response_model=CellMonths,
    responses=RESPONSES,
)
async def get_months(
    request: Request,
    plan: PlanNamed,
    indicator: IndicatorNamed,
    period: PeriodNamed = None,
    district: District = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    form: ListingForm = "json",
    lang: Lang = None,
) -> Response:
    """Respond with the months of a cell."""
    context = context_of(request)

    async def months(basis: AssessmentBasis, view: Snapshot) -> MonthsTable:
        wanted = indicator_of(basis.plan, indicator)
        assessment = basis.assess(wanted, period_of(basis.plan, wanted, period, basis.scope.as_of), district)
        return {
            "indicator": indicator_summary(basis.plan.indicators[indicator][0], wanted),
            **cell_state(assessment),
            "pace": cell_pace(basis, assessment),
            "months": await _months(basis, view, assessment),
        }

    question = Question(("months", indicator, period or ""), plan, as_of, known_at, district, indicator)
    if form != "xlsx":
        return await context.respond_table(question, months, form, lambda table: table["months"], _COLUMNS)
    body = await context.read(question, months)
    async with context.reader.view() as view:
        names = PlanNames(plan_of(view.compiled, plan), language_of(request, lang))
    return await listed(
        cast("MonthsTable", body)["months"],
        _listed(names, indicator),
        f"{indicator} {NAMES['months.choose'][names.language]}",
        names.language,
        file_name(question, body, form),
    )


def _listed(names: PlanNames, indicator: str) -> Sequence[ListingColumn[CellMonth]]:
    """Return the columns of a listing to read."""
    language, unit = names.language, names.unit_code(indicator)
    of_ratio: Sequence[ListingColumn[CellMonth]] = (
        ListingColumn(NAMES["difference.numerator"], 14, lambda it: exact(it["numerator"], unit)),
        ListingColumn(NAMES["difference.denominator"], 14, lambda it: it["denominator"]),
    )
    return (
        ListingColumn(NAMES["months.choose"], 10, lambda it: it["month"]),
        ListingColumn({"zh": "单位", "en": "Unit"}, 14, lambda _: names.unit(indicator)),
        ListingColumn({"zh": "当月", "en": "In the month"}, 16, lambda it: rounded(it["value"], unit)),
        # Rounded towards "not yet" (RULES E29).
        ListingColumn({"zh": "月末", "en": "At its end"}, 16, lambda it: achieved(it["cumulative"], unit, met=False)),
        ListingColumn({"zh": "时序应达", "en": "Expected"}, 16, lambda it: rounded(it["expected"], unit)),
        ListingColumn({"zh": "信号", "en": "Signal"}, 12, lambda it: text(it["signal"], language)),
        ListingColumn({"zh": "当月末的信号", "en": "Signal then"}, 14, lambda it: text(it["signal_then"], language)),
        *(of_ratio if names.plan.indicators[indicator][1].is_ratio else ()),
    )


async def _months(basis: AssessmentBasis, view: Snapshot, assessment: Assessment) -> list[CellMonth]:
    kind = indicator_kind(assessment.indicator)
    ends = basis.months(assessment)
    counted: _Counted = {}
    if not kind.level and ends:
        lines = basis.compiled.of_indicator[basis.plan.id, assessment.indicator.id]
        counted = (
            await _counted(basis, view, assessment)
            if any(_may_move(line) for line in lines)
            else _differences(assessment, ends)
        )
    return [_month(assessment.indicator, kind, end, counted) for end in ends]


def _month(indicator: Indicator, kind: IndicatorKind, end: MonthEnd, counted: _Counted) -> CellMonth:
    month = month_number(end.first)
    numerator, denominator = (counted.get((part, month), 0) for part in Part)
    value: Fraction | None = Fraction(numerator)
    if kind.level:
        numerator, denominator, value = end.worth
    elif indicator.is_ratio:
        value = Fraction(indicator.factor * numerator, denominator) if denominator > 0 else None
    return {
        "month": f"{end.first:%Y-%m}",
        "from": end.first.isoformat(),
        "to": end.last.isoformat(),
        "complete": end.whole,
        "value": number_or_none(value),
        "numerator": numerator,
        "denominator": denominator if indicator.is_ratio else None,
        "cumulative": number_or_none(end.worth.value),
        "expected": number_or_none(end.expected),
        "signal": end.current_signal,
        "signal_then": end.signal,
    }


def _may_move(line: Line) -> bool:
    """Return whether a fact of another month may take over: where facts can end or be replaced by later ones."""
    return line.shape not in (LineShape.ONCE, LineShape.EACH) or any(
        use.until is not None or use.role is UseRole.ENDS for use in line.uses
    )


def _differences(assessment: Assessment, ends: list[MonthEnd]) -> _Counted:
    counted: _Counted = {}
    before = assessment.cell.at(month_number(ends[0].first) - 1)
    for end in ends:
        month = month_number(end.first)
        counted[Part.NUM, month] = end.worth.numerator - before.numerator
        counted[Part.DEN, month] = end.worth.denominator - before.denominator
        before = end.worth
    return counted


async def _counted(basis: AssessmentBasis, view: Snapshot, assessment: Assessment) -> _Counted:
    lines = basis.compiled.of_indicator[basis.plan.id, assessment.indicator.id]
    rows = await view.connection.fetch(
        view.sql(_FILE)["counted"],
        [line.number for line in lines],
        assessment.period,
        min(basis.scope.as_of, basis.plan.period.last),
        basis.scope.known_at,
        basis.scope.district,
    )
    return {(row["part"], row["month"]): row["value"] for row in rows}
