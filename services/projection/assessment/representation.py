"""JSON representations that several queries share: a scope, an indicator, an assessed cell, its pace and forecast.

Response models are TypedDicts: an answer is built as the dictionary that is encoded, mypy checks its fields, and
FastAPI derives the schema in OpenAPI from the type. Nothing is validated or copied while a request is answered.
"""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import WithJsonSchema
from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on

from services.planning.events import PlanAdopted, TargetRevised, TargetSplit
from services.planning.targets_in_force import TargetInForce
from services.projection.assessment.assessment import Assessment, AssessmentBasis, Scope
from services.projection.assessment.pace import (
    OUTLOOKS,
    RULES,
    Course,
    Forecast,
    Op,
    Signal,
    State,
    outlook_text,
    rule_text,
)
from services.projection.assessment.values import goal_of
from services.projection.counting.periods import bounds, period_name
from shared.contract.events import Fact, format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.plan.model import Indicator, Measure
from shared.plan.parts import Name

Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
MonthName = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"})]
PeriodName = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": "^(plan|[0-9]{4})$", "description": "年份或 plan a year, or plan"}),
]
Sha256 = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
Basis = Literal["annual", "cumulative", "level"]
ValueKind = Literal["count", "distinct", "sum", "latest", "milestones", "share", "density", "coverage"]
OutlookName = Annotated[str, WithJsonSchema({"type": "string", "enum": [*OUTLOOKS]})]
RuleName = Annotated[str, WithJsonSchema({"type": "string", "enum": [*RULES]})]
WORST_FIRST: Final[tuple[Signal, ...]] = ("red", "amber", "green", "met", "none")


class BilingualText(TypedDict):
    """A text in Chinese and in English."""

    zh: str
    en: str


class ScopeFields(TypedDict):
    """For which plan, day, instant and district an answer is (RULES E1, E19)."""

    plan: str
    as_of: Day
    known_at: Instant
    district: DistrictCode | None


class LogProgress(TypedDict):
    """How far a service's log is counted; how far behind is null while the service does not answer."""

    position: int
    recorded_at: Instant | None
    behind_events: int | None
    behind_seconds: float | None


class AssessedAnswer(ScopeFields):
    """The scope of an answer about the numbers of a plan, and how far each service's log is counted."""

    complete_to: dict[str, LogProgress]


class IndicatorSummary(TypedDict):
    """An indicator of a plan."""

    id: str
    measure: str
    name: BilingualText
    unit: str
    kind: ValueKind
    basis: Basis


class TargetValue(TypedDict):
    """A target: comparator and number; a range has its lower bound in `value`, `all` how many there are."""

    op: Op
    value: float
    upper: float | None


DaySpan = TypedDict("DaySpan", {"from": Day, "to": Day})


class _Period(TypedDict):
    period: PeriodName


class CellState(_Period, DaySpan):
    """An indicator in one period, for the whole or a district, on the day asked for."""

    value: float | None
    numerator: int
    denominator: int | None
    target: TargetValue | None
    met: bool | None
    progress: float | None
    exceeds: bool
    expected: float | None
    signal: Signal
    computable: bool


class SignalCounts(TypedDict):
    """How many targets there are of each signal."""

    red: int
    amber: int
    green: int
    met: int
    none: int


class SignalRule(BilingualText):
    """The rule by which a target has its signal."""

    id: RuleName


class ForecastOutlook(BilingualText):
    """How certain a forecast is, in words, or why there is none."""

    id: OutlookName


class ForecastValue(TypedDict):
    """The value at the end of the period at the pace of the last full months; `state` is null without a target.

    Whole numbers. No value for a ratio, after the end, once met for good, and before two full months are over.
    """

    state: State | None
    outlook: ForecastOutlook
    value: float | None
    low: float | None
    high: float | None
    per_month: float | None
    months: int
    reached_on: Day | None


class Thresholds(TypedDict):
    """From which share of what was expected a signal is green or amber."""

    green_percent: int
    amber_percent: int


class TargetDecision(TypedDict):
    """From which day a target holds that the plan office decided, when that was recorded, by whom, and why."""

    effective_from: Day
    recorded_at: Instant
    by: str
    why: str | None


class CellPace(TypedDict):
    """Why a target has its signal, what is still needed, and where it goes.

    `clause`: the document that the target rests on. `revision`: the id of the plan office's report that set the target,
    `decided` what it said; null where it is the plan's own. `elapsed`: the share of the period that is gone. `weights`:
    of each month of the period.
    """

    rule: SignalRule
    clause: str
    revision: str | None
    decided: TargetDecision | None
    elapsed: float
    weights: list[float]
    baseline: float | None
    expected: float | None
    ratio: float | None
    gap: float | None
    thresholds: Thresholds
    months_left: float
    needed_per_month: float | None
    forecast: ForecastValue


class DistrictStanding(TypedDict):
    """How a district stands: the signals of its own targets, and how many targets of the whole are not split to it.

    `indicative`: in how many of those it has an indicative share; `below`: in how many it is under the green threshold
    of what that would be by now.
    """

    code: DistrictCode
    name: BilingualText
    city: bool
    signals: SignalCounts
    unsplit: int
    indicative: int
    below: int


class SharedBy(TypedDict):
    """By what indicative shares are made: the population that an indicator rests on (named), else all equal."""

    by: Literal["population", "equal"]
    indicator: str | None
    shares: dict[DistrictCode, float]


def scope_fields(plan: str, scope: Scope) -> ScopeFields:
    """Return the scope of an answer as the answer repeats it."""
    return {
        "plan": plan,
        "as_of": scope.as_of.isoformat(),
        "known_at": format_instant(scope.known_at),
        "district": scope.district,
    }


def bilingual(name: Name) -> BilingualText:
    """Return a name in both languages."""
    return {"zh": name.zh, "en": name.en}


def number(value: Fraction) -> float:
    """Return a number for JSON: an integer where it is one, else the nearest double."""
    return value.numerator if value.denominator == 1 else float(value)


def number_or_none(value: Fraction | None) -> float | None:
    """Return a number for JSON, None for none."""
    return None if value is None else number(value)


def indicator_summary(measure: Measure, indicator: Indicator) -> IndicatorSummary:
    """Return what an indicator is."""
    return {
        "id": indicator.id,
        "measure": measure.id,
        "name": bilingual(indicator.name),
        "unit": indicator.unit,
        "kind": indicator.value.kind,
        "basis": indicator.basis,
    }


def target_value(indicator: Indicator, target: TargetInForce | None) -> TargetValue | None:
    """Return a target in force."""
    if target is None:
        return None
    upper = target.target.upper
    return {
        "op": target.target.op,
        "value": number(goal_of(indicator, target.target).value),
        "upper": None if upper is None else number(Fraction(upper)),
    }


def cell_state(assessment: Assessment) -> CellState:
    """Return the JSON of an assessed cell."""
    indicator, worth, target = assessment.indicator, assessment.worth, assessment.target
    first, last = bounds(assessment.plan, assessment.period)
    upper = target.target.upper if target else None
    return {
        "period": period_name(assessment.period),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "value": number_or_none(worth.value),
        "numerator": worth.numerator,
        "denominator": worth.denominator if indicator.is_ratio else None,
        "target": target_value(indicator, target),
        "met": assessment.met,
        "progress": number_or_none(assessment.progress),
        "exceeds": upper is not None and worth.value is not None and worth.value > upper,
        "expected": number_or_none(assessment.expected),
        "signal": assessment.signal,
        "computable": worth.value is not None,
    }


def cell_pace(basis: AssessmentBasis, assessment: Assessment) -> CellPace | None:
    """Return the rule that made the signal with its numbers, what is still needed, and the forecast."""
    goal, rule, target = assessment.goal, assessment.rule, assessment.target
    if goal is None or rule is None or target is None:
        return None
    thresholds = basis.plan.pace
    text = rule_text(rule, thresholds)
    return {
        "rule": {"id": rule, "zh": text["zh"], "en": text["en"]},
        "clause": target.clause,
        "revision": None if target.revised_by is None else target.revised_by.report_id,
        "decided": _decided(target.revised_by),
        "elapsed": number(assessment.course.share(assessment.day)),
        "weights": _weights(assessment.course),
        "baseline": number(goal.baseline) if goal.kind.level else None,
        "expected": number_or_none(assessment.expected),
        "ratio": number_or_none(assessment.share_of_expected),
        "gap": number_or_none(assessment.gap),
        "thresholds": {"green_percent": thresholds.green_percent, "amber_percent": thresholds.amber_percent},
        "months_left": number(assessment.course.months_left(assessment.day)),
        "needed_per_month": number_or_none(assessment.needed_per_month),
        "forecast": forecast_value(basis.forecast(assessment)),
    }


def _decided(fact: Fact | None) -> TargetDecision | None:
    if fact is None or not isinstance(fact.event, PlanAdopted | TargetRevised | TargetSplit):
        return None
    return {
        "effective_from": fact.event.effective_from.isoformat(),
        "recorded_at": format_instant(fact.recorded_at),
        "by": fact.event.by,
        "why": fact.event.why,
    }


@lru_cache(maxsize=512)
def _weights(course: Course) -> list[float]:
    return [number(month.weight) for month in course.months]


def forecast_value(forecast: Forecast) -> ForecastValue:
    """Return a forecast."""
    text = outlook_text(forecast)
    return {
        "state": forecast.state,
        "outlook": {"id": forecast.outlook, "zh": text["zh"], "en": text["en"]},
        "value": forecast.value,
        "low": forecast.low,
        "high": forecast.high,
        "per_month": number_or_none(forecast.per_month),
        "months": forecast.months,
        "reached_on": forecast.reached_on.isoformat() if forecast.reached_on else None,
    }


def count_signals(assessments: Iterable[Assessment]) -> SignalCounts:
    """Return how many assessments there are of each signal."""
    counts: SignalCounts = {"red": 0, "amber": 0, "green": 0, "met": 0, "none": 0}
    for assessment in assessments:
        counts[assessment.signal] += 1
    return counts
