"""How did a number come about: month by month what was counted, what came together, what was expected, the signal."""

from fractions import Fraction
from typing import Final

from fastapi import APIRouter, Response

from services.projection.assessment.assessment import (
    Assessment,
    AssessmentBasis,
    Body,
    MonthEnd,
    number,
    show_indicator,
    show_pace,
    show_standing,
)
from services.projection.assessment.pace import IndicatorKind
from services.projection.assessment.values import indicator_kind
from services.projection.counting.lines import Line, LineShape, Part, UseRole
from services.projection.counting.periods import month_number
from services.projection.queries.cache import Conditional, Question, ResponseCache
from services.projection.queries.parameters import (
    RESPONSES,
    AsOf,
    District,
    FormAsked,
    IndicatorNamed,
    KnownAt,
    PeriodAsked,
    PlanNamed,
    indicator_of,
    period_of,
)
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import Indicator

_FILE: Final = "months.sql"
_Counted = dict[tuple[int, int], int]  # (part, month) → what is first counted in it


def routes(answers: ResponseCache) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)

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
        responses=RESPONSES,
    )
    async def get_months(
        plan: PlanNamed,
        indicator: IndicatorNamed,
        period: PeriodAsked = None,
        district: District = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        form: FormAsked = "json",
    ) -> Response:
        async def make(ground: AssessmentBasis, view: Snapshot) -> Body:
            found = indicator_of(ground.plan, indicator)
            standing = ground.assess(found, period_of(ground.plan, found, period, ground.scope.as_of), district)
            return {
                "indicator": show_indicator(ground.plan.indicators[indicator][0], found),
                **show_standing(standing),
                "pace": show_pace(ground, standing),
                "months": await _months(ground, view, standing),
            }

        question = Question(("months", indicator, period or ""), plan, as_of, known_at, district, indicator)
        return await answers.table(question, make, form, "months")

    return router


async def _months(ground: AssessmentBasis, view: Snapshot, standing: Assessment) -> list[Body]:
    kind = indicator_kind(standing.indicator)
    ends = ground.months(standing)
    counted: _Counted = {}
    if not kind.level and ends:
        lines = ground.compiled.of_indicator[ground.plan.id, standing.indicator.id]
        counted = (
            await _counted(ground, view, standing)
            if any(_may_move(line) for line in lines)
            else _as_they_fall(standing, ends)
        )
    return [_month(standing.indicator, kind, end, counted) for end in ends]


def _month(indicator: Indicator, kind: IndicatorKind, end: MonthEnd, counted: _Counted) -> Body:
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
        "value": number(value),
        "numerator": numerator,
        "denominator": denominator if indicator.is_ratio else None,
        "cumulative": number(end.worth.value),
        "expected": number(end.expected),
        "signal": end.current_signal,
        "signal_then": end.signal,
    }


def _may_move(line: Line) -> bool:
    """Tell whether a fact of another month may take over: where what counts can end, or be replaced by a later one."""
    return line.shape not in (LineShape.ONCE, LineShape.EACH) or any(
        use.until is not None or use.role is UseRole.ENDS for use in line.uses
    )


def _as_they_fall(standing: Assessment, ends: list[MonthEnd]) -> _Counted:
    found: _Counted = {}
    before = standing.cell.at(month_number(ends[0].first) - 1)
    for end in ends:
        month = month_number(end.first)
        found[Part.NUM, month] = end.worth.numerator - before.numerator
        found[Part.DEN, month] = end.worth.denominator - before.denominator
        before = end.worth
    return found


async def _counted(ground: AssessmentBasis, view: Snapshot, standing: Assessment) -> _Counted:
    lines = ground.compiled.of_indicator[ground.plan.id, standing.indicator.id]
    asked = ground.scope
    rows = await view.connection.fetch(
        view.sql(_FILE)["counted"],
        [line.number for line in lines],
        standing.period,
        min(asked.as_of, ground.plan.period.last),
        asked.known_at,
        asked.district,
    )
    return {(row["part"], row["month"]): row["value"] for row in rows}
