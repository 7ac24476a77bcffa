"""How does every district stand in every indicator; where a target is not split, what its share of it would be."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Assessment, AssessmentBasis
from services.projection.assessment.pace import Signal
from services.projection.assessment.representation import (
    AssessedAnswer,
    DistrictStanding,
    IndicatorSummary,
    PeriodName,
    SharedBy,
    TargetValue,
    Thresholds,
    bilingual,
    count_signals,
    indicator_summary,
    number,
    number_or_none,
    target_value,
)
from services.projection.assessment.values import indicator_kind
from services.projection.counting.periods import period_name
from services.projection.exports.csv import Row, joined, joined_columns
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, AsOf, Form, KnownAt, PlanNamed
from shared.contract.messages import DistrictCode
from shared.plan.model import Measure, Ratio

router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


class IndicativeShare(TypedDict):
    """What a district's part of the whole's target would be, and what of it by now; `ratio`: the value by that.

    An indication, no target: nothing is judged by it.
    """

    target: float
    expected: float | None
    ratio: float | None


class MatrixCell(TypedDict):
    """An indicator in a district, or (null) in the whole; `ratio`: the value by the expected one.

    `indicative` is null where there is a target of its own, none of the whole, and where it cannot be shared out.
    """

    district: DistrictCode | None
    value: float | None
    denominator: int | None
    target: TargetValue | None
    met: bool | None
    progress: float | None
    expected: float | None
    ratio: float | None
    signal: Signal
    indicative: IndicativeShare | None


class MatrixRow(IndicatorSummary):
    """An indicator in its running period, in the whole and in every district."""

    period: PeriodName
    lead: list[str]
    whole: MatrixCell
    districts: list[MatrixCell]


class Matrix(TypedDict):
    """What this query adds to its scope."""

    thresholds: Thresholds
    shared_by: SharedBy
    districts: list[DistrictStanding]
    indicators: list[MatrixRow]


class DistrictMatrix(Matrix, AssessedAnswer):
    """Every indicator of a plan in every district."""


class _Shares(NamedTuple):
    """The part of the whole that each district would have, by the indicator whose population it is."""

    indicator: str | None
    of: Mapping[str, Fraction]


def district_matrix(basis: AssessmentBasis) -> Matrix:
    """Return every indicator in every district, by the rules of progress, with indicative shares."""
    plan, shares = basis.plan, _shares(basis)
    cells: dict[str, list[tuple[Assessment, MatrixCell, bool]]] = {district.code: [] for district in plan.districts}
    rows: list[MatrixRow] = []
    for measure, whole in basis.all_running(None):
        own = [basis.assess(whole.indicator, whole.period, district.code) for district in plan.districts]
        row = _row(measure, whole, own, shares)
        rows.append(row)
        for assessment, cell in zip(own, row["districts"], strict=True):
            unsplit = whole.goal is not None and assessment.goal is None
            cells[cell["district"] or ""].append((assessment, cell, unsplit))
    least = Fraction(plan.pace.green_percent, 100)
    return {
        "thresholds": {"green_percent": plan.pace.green_percent, "amber_percent": plan.pace.amber_percent},
        "shared_by": {
            "by": "population" if shares.indicator else "equal",
            "indicator": shares.indicator,
            "shares": {code: number(share) for code, share in shares.of.items()},
        },
        "districts": [
            {
                "code": district.code,
                "name": bilingual(district.name),
                "city": district.city,
                "signals": count_signals(assessment for assessment, _, _ in cells[district.code] if assessment.goal),
                "unsplit": sum(not district.city and unsplit for _, _, unsplit in cells[district.code]),
                "indicative": sum(cell["indicative"] is not None for _, cell, _ in cells[district.code]),
                "below": sum(
                    share["ratio"] is not None and share["ratio"] < least
                    for _, cell, _ in cells[district.code]
                    if (share := cell["indicative"]) is not None
                ),
            }
            for district in plan.districts
        ],
        "indicators": rows,
    }


class _MatrixRowOfCell(IndicatorSummary):
    """A row of the table without the cells themselves."""

    period: PeriodName
    lead: list[str]


_COLUMNS: Final = joined_columns("indicators", _MatrixRowOfCell, "districts", MatrixCell)


def _rows(table: Matrix) -> list[Row]:
    return [
        joined("indicators", {name: cell for name, cell in row.items() if name != "whole"}, "districts", own)
        for row in table["indicators"]
        for own in (row["whole"], *row["districts"])
    ]


@router.get(
    "/{plan}/districts",
    summary="各区县各项指标 Every indicator in every district",
    description=(
        "当期各指标在全市和各区县的值、目标、时序和信号。全市目标没有分解到区县的,`indicative` 给出示意份额"
        "(`shared_by`:按人口,缺人口时均分),仅供参考,不据以评信号。\n\n"
        "Every indicator in its running period: value, target, pace and signal in the whole and in each district."
        " Where the whole's target is not split, `indicative` is a share to go by (`shared_by`: by population, equal"
        " where none is known); nothing is judged by it."
    ),
    response_model=DistrictMatrix,
    responses=RESPONSES,
)
async def get_district_matrix(
    request: Request, plan: PlanNamed, as_of: AsOf = None, known_at: KnownAt = None, form: Form = "json"
) -> Response:
    """Respond with every indicator in every district."""
    question = Question(("districts",), plan, as_of, known_at)
    return await context_of(request).respond_table(question, pure(district_matrix), form, _rows, _COLUMNS)


def _shares(basis: AssessmentBasis) -> _Shares:
    """Share by the population under a density, once every district has reported one; else equally."""
    codes = [district.code for district in basis.plan.districts if not district.city]
    for _, whole in basis.all_running(None):
        value = whole.indicator.value
        if isinstance(value, Ratio) and value.kind == "density":
            own = {code: basis.assess(whole.indicator, whole.period, code).worth.denominator for code in codes}
            if all(own.values()):
                return _Shares(whole.indicator.id, {code: Fraction(own[code], sum(own.values())) for code in codes})
    return _Shares(None, {code: Fraction(1, len(codes)) for code in codes})


def _row(measure: Measure, whole: Assessment, own: list[Assessment], shares: _Shares) -> MatrixRow:
    return {
        **indicator_summary(measure, whole.indicator),
        "period": period_name(whole.period),
        "lead": list(measure.lead),
        "whole": _cell(whole, None),
        "districts": [_cell(each, _indicative(whole, each, shares)) for each in own],
    }


def _cell(assessment: Assessment, indicative: IndicativeShare | None) -> MatrixCell:
    worth = assessment.worth
    return {
        "district": assessment.district,
        "value": number_or_none(worth.value),
        "denominator": worth.denominator if assessment.indicator.is_ratio else None,
        "target": target_value(assessment.indicator, assessment.target),
        "met": assessment.met,
        "progress": number_or_none(assessment.progress),
        "expected": number_or_none(assessment.expected),
        "ratio": number_or_none(assessment.share_of_expected),
        "signal": assessment.signal,
        "indicative": indicative,
    }


def _indicative(whole: Assessment, own: Assessment, shares: _Shares) -> IndicativeShare | None:
    """Return a district's share: of what adds up its part, of a ratio the same rate; None where that says nothing."""
    goal, share = whole.goal, shares.of.get(own.district or "")
    if goal is None or own.goal is not None or share is None or goal.op in ("=", "all"):
        return None
    if indicator_kind(whole.indicator).adds:
        if goal.value < len(shares.of):  # fewer than there are districts: each its part of one thing
            return None
    elif whole.indicator.is_ratio:
        share = Fraction(1)
    else:
        return None
    expected = None if whole.expected is None else whole.expected * share
    value = own.worth.value
    return {
        "target": number(goal.value * share),
        "expected": number_or_none(expected),
        "ratio": number(value / expected) if expected and value is not None else None,
    }
