"""Which plans are counted, and the content of each, with every clause."""

import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.representation import BilingualText, Day, DaySpan, bilingual
from services.projection.counting import withheld
from services.projection.counting.withheld import MissingFacts, WithheldPlans
from services.projection.queries.context import context_of
from services.projection.queries.parameters import NAMED, PlanNamed, plan_of
from shared.contract.events import format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.plan.model import Plan

router = APIRouter(prefix="/v1/plans", tags=["plans"])


class DistrictName(TypedDict):
    """A district of a plan; `city`: the city's own bodies."""

    code: DistrictCode
    name: BilingualText
    city: bool


class PlanSummary(DaySpan):
    """A plan that is counted."""

    id: str
    title: BilingualText
    document_no: str
    districts: list[DistrictName]


class WithheldChange(TypedDict):
    """A change of the plan files that would take facts out of the numbers, withheld until an operator accepts it.

    `facts`: how many, each once; `missing`: in which indicator and district; `code`: `make rebuild ACCEPT=<code>`.
    """

    code: str
    since: Instant
    facts: int
    missing: list[MissingFacts]


class PlanList(TypedDict):
    """The plans that are counted.

    `withheld`: a change of them that waits for an operator, null where none does. `example_day`: of made-up data, the
    day that is shown where none is asked for.
    """

    example_day: Day | None
    plans: list[PlanSummary]
    withheld: WithheldChange | None


@router.get(
    "",
    summary="正在统计的计划 The plans that are counted",
    description=(
        "各计划的编号、名称、期间和区划;`withheld` 是会使已计入的事实不再计入、尚待确认的计划改动。\n\n"
        "Each plan's id, title, period and districts; `withheld`: a change of the plan files that would take facts out"
        " of the numbers and waits to be accepted."
    ),
    response_model=PlanList,
    responses={503: NAMED[503]},
)
async def get_plans(request: Request) -> Response:
    """Respond with a summary of every plan."""
    context = context_of(request)
    async with context.reader.view() as view:
        waiting = await withheld.current(view.connection)
        plans: PlanList = {
            "example_day": context.example_day.isoformat() if context.example_day else None,
            "plans": [_summary(plan) for plan in view.compiled.plans.values()],
            "withheld": None if waiting is None else _withheld(waiting),
        }
    return Response(orjson.dumps(plans), media_type="application/json")


@router.get(
    "/{plan}",
    summary="计划全文及条文 A plan as its file says it, with every clause",
    description=(
        "系列、举措(含条文与责任单位)、指标、目标和计数规则。\n\n"
        "Series, measures with their clauses and lead units, indicators, targets and what counts."
    ),
    response_model=Plan,
    responses=NAMED,
)
async def get_plan(plan: PlanNamed, request: Request) -> Response:
    """Respond with the whole plan."""
    context = context_of(request)
    async with context.reader.view() as view:
        document = plan_of(view.compiled, plan).model_dump(mode="json", by_alias=True)
    return Response(orjson.dumps(document), media_type="application/json")


def _withheld(change: WithheldPlans) -> WithheldChange:
    return {
        "code": change.code,
        "since": format_instant(change.since),
        "facts": change.facts,
        "missing": change.cells,
    }


def _summary(plan: Plan) -> PlanSummary:
    return {
        "id": plan.id,
        "title": bilingual(plan.title),
        "document_no": plan.document_no,
        "from": plan.period.first.isoformat(),
        "to": plan.period.last.isoformat(),
        "districts": [
            {"code": district.code, "name": bilingual(district.name), "city": district.city}
            for district in plan.districts
        ],
    }
