"""`GET /v1/plans/{plan}`: the targets in force on a day, and how they came to be."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.planning.api.context import QUERY_RESPONSES, Context, PlanId
from services.planning.api.decisions import Body, Decision, Number, number_of, optional_number
from services.planning.api.permissions import Permissions
from services.planning.api.plans import PlanState, summary_of
from services.planning.months import today_of
from services.planning.targets_in_force import History, TargetInForce, goal_of, last_day, periods_of
from shared.http.access import caller_of
from shared.http.visibility import Visibility, visibility_of
from shared.plan.model import Indicator, Plan, Target
from shared.plan.parts import Name

router = APIRouter()
OnDay = Annotated[date | None, Query(description="哪一天有效 in force on this day; today when left out")]


class TargetValues(Body):
    """The comparator and the numbers of a target; all null where none is set."""

    op: str | None
    value: Number | None
    upper: Number | None
    baseline: Number | None


class TargetOnDay(TargetValues):
    """A target in force, with the document it rests on, its months' weights (or parts), and what set it last."""

    clause: str
    weights: list[Number]
    months: dict[str, Number] | None
    set_by: Decision | None


class PeriodTargets(Body):
    """The targets of a period for the whole and by district, with what a split leaves over."""

    period: str
    target: TargetOnDay | None
    districts: dict[str, TargetOnDay]
    sum_of_districts: Number | None
    difference: Number | None
    sum_of_months: Number | None
    difference_of_months: Number | None
    split_by: list[Decision]


class _ChangedTarget(Body):
    district: str | None
    period: str | None
    target: TargetValues


class TargetChange(Decision, _ChangedTarget):
    """One change of a target (`period` null: in every period), and the decision that made it."""


class IndicatorTargets(Body):
    """The targets of an indicator and every change of them."""

    id: str
    measure: str
    name: Name
    unit: str
    basis: str
    periods: list[PeriodTargets]
    history: list[TargetChange]


class PlanTargets(PlanState):
    """A plan with its targets on a day; `may`: what the bearer of this key can do to them.

    `holder`: the name that this key was given, under which its bearer acts; empty while no keys are set.
    """

    on: date
    indicators: list[IndicatorTargets]
    may: list[str]
    holder: str


# The projection has a route of the first path, too; at the one address of all services the second leads here.
@router.get(
    "/{plan}/targets",
    summary="现行目标及其沿革 The targets in force, and how they came to be",
    description="同 `/v1/plans/{plan}`。 As `/v1/plans/{plan}`.",
    responses=QUERY_RESPONSES,
    response_model_exclude_unset=True,
)
@router.get(
    "/{plan}",
    summary="现行目标及其沿革 The targets in force, and how they came to be",
    description=(
        "某日有效的全市与区县目标、分解差额,以及每次调整的缘由。\n\n"
        "The targets of the city and its districts in force on a day, what a split leaves over, and why each"
        " was changed."
    ),
    responses=QUERY_RESPONSES,
    response_model_exclude_unset=True,
)
async def get_plan(plan: PlanId, request: Request, context: Context, on: OnDay = None) -> PlanTargets:
    """Return the targets of a plan."""
    counted = context.plan(plan)
    view = await context.view()
    history = History(counted, view)
    day = on or today_of(datetime.now(UTC))
    visibility = visibility_of(request, counted.successors)
    caller = caller_of(request)
    return PlanTargets(
        **dict(summary_of(counted, history, visibility)),
        on=day,
        indicators=[
            IndicatorTargets(
                id=indicator.id,
                measure=measure.id,
                name=indicator.name,
                unit=indicator.unit,
                basis=indicator.basis,
                periods=[
                    _period(history, counted, indicator, period, day, visibility)
                    for period in periods_of(counted, indicator)
                ],
                history=_changes(history, counted, indicator, visibility),
            )
            for measure, indicator in history.plan.indicators.values()
        ],
        may=Permissions(caller, counted).on_targets(view),
        holder="" if caller.key is None else caller.key.label,
    )


def _period(
    history: History, plan: Plan, indicator: Indicator, period: str, on: date, visibility: Visibility
) -> PeriodTargets:
    day = min(on, last_day(plan, period))
    whole = history.target(indicator.id, None, period, day)
    parts = {
        code: target
        for code in sorted(plan.district_codes)
        if (target := history.target(indicator.id, code, period, day)) is not None
    }
    goal = None if whole is None else goal_of(indicator, whole.target)
    by_district = None
    if goal is not None and parts and not indicator.is_ratio:
        by_district = sum((goal_of(indicator, part.target) for part in parts.values()), Decimal(0))
    by_month = None
    if whole is not None and whole.months is not None:
        by_month = sum(whole.months.values(), Decimal(0))
    return PeriodTargets(
        period=period,
        target=None if whole is None else _on_day(whole, visibility),
        districts={code: _on_day(part, visibility) for code, part in parts.items()},
        sum_of_districts=optional_number(by_district),
        difference=_gap(goal, by_district),
        sum_of_months=optional_number(by_month),
        difference_of_months=_gap(goal, by_month),
        split_by=[Decision.of(fact, visibility) for fact in history.splits(indicator.id, period, day)],
    )


def _gap(goal: Decimal | None, parts: Decimal | None) -> Number | None:
    return None if goal is None or parts is None else number_of(goal - parts)


def _on_day(in_force: TargetInForce, visibility: Visibility) -> TargetOnDay:
    months = in_force.months
    return TargetOnDay(
        **dict(_values(in_force.target)),
        clause=in_force.clause,
        weights=[number_of(weight) for weight in in_force.weights],
        months=None if months is None else {month: number_of(part) for month, part in months.items()},
        set_by=None if in_force.revised_by is None else Decision.of(in_force.revised_by, visibility),
    )


def _values(target: Target | None) -> TargetValues:
    if target is None:
        return TargetValues(op=None, value=None, upper=None, baseline=None)
    return TargetValues(
        op=target.op,
        value=optional_number(target.value),
        upper=optional_number(target.upper),
        baseline=optional_number(target.baseline),
    )


def _changes(history: History, plan: Plan, indicator: Indicator, visibility: Visibility) -> list[TargetChange]:
    return [
        TargetChange.of(change.fact, visibility, district=district, period=change.period, target=_values(change.target))
        for district in (None, *sorted(plan.district_codes))
        for change in history.changes(indicator.id, district)
        if change.fact is not None
    ]
