"""Which plans are counted, and the content of each, with every clause."""

import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.representation import BilingualText, DaySpan, bilingual
from services.projection.queries.context import context_of
from services.projection.queries.parameters import NAMED, PlanNamed, plan_of
from shared.contract.messages import DistrictCode
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


class PlanList(TypedDict):
    """The plans that are counted."""

    plans: list[PlanSummary]


@router.get(
    "",
    summary="正在统计的计划 The plans that are counted",
    description="各计划的编号、名称、期间和区划。\n\nEach plan's id, title, period and districts.",
    response_model=PlanList,
    responses={503: NAMED[503]},
)
async def get_plans(request: Request) -> Response:
    """Respond with a summary of every plan."""
    context = context_of(request)
    async with context.reader.view() as view:
        plans: PlanList = {"plans": [_summary(plan) for plan in view.compiled.plans.values()]}
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
