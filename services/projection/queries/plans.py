"""Which plans are counted, and what each says, with every clause."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Response

from services.projection.queries.parameters import NAMED, PlanNamed, plan_of
from services.projection.queries.snapshot import SnapshotReader
from shared.plan.model import Plan


def routes(reader: SnapshotReader) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/plans", tags=["plans"])

    @router.get(
        "",
        summary="正在统计的计划 The plans that are counted",
        description="各计划的编号、名称、期间和区划。\n\nEach plan's id, title, period and districts.",
        responses={503: NAMED[503]},
    )
    async def get_plans() -> Response:
        async with reader.view() as view:
            return _json({"plans": [_summary(plan) for plan in view.compiled.plans.values()]})

    @router.get(
        "/{plan}",
        summary="计划全文及条文 A plan as its file says it, with every clause",
        description=(
            "系列、举措(含条文与责任单位)、指标、目标和计数规则。\n\n"
            "Series, measures with their clauses and lead units, indicators, targets and what counts."
        ),
        responses=NAMED,
    )
    async def get_plan(plan: PlanNamed) -> Response:
        async with reader.view() as view:
            return _json(plan_of(view.compiled, plan).model_dump(mode="json", by_alias=True))

    return router


def _summary(plan: Plan) -> Mapping[str, Any]:
    return {
        "id": plan.id,
        "title": plan.title.model_dump(),
        "document_no": plan.document_no,
        "from": plan.period.first.isoformat(),
        "to": plan.period.last.isoformat(),
        "districts": [
            {"code": district.code, "name": district.name.model_dump(), "city": district.city}
            for district in plan.districts
        ],
    }


def _json(body: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
