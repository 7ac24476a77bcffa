"""What would the numbers of a plan be if what sandboxes reported this week were all there is (RULES A26)."""

import asyncio
from collections import defaultdict
from itertools import chain
from typing import Final

import httpx
import orjson
from fastapi import APIRouter, Request, Response

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.representation import ScopeFields, scope_fields
from services.projection.assessment.targets import Targets
from services.projection.assessment.values import Sums
from services.projection.counting.facts import LogFact, decode
from services.projection.counting.ledger import FactBatch
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.periods import place_of
from services.projection.queries.context import ReadContext, context_of
from services.projection.queries.parameters import RESPONSES, AsOf, District, PlanNamed, plan_of
from services.projection.queries.target_progress import ProgressTable, computed
from shared.http.problems import Problem
from shared.observability.turns import Turns
from shared.plan.model import Plan

router = APIRouter(prefix="/v1/sandbox", tags=["progress"])
_PAGE: Final = 5000
_MOST: Final = 20_000
_AWAY: Final = Problem(
    503,
    "有服务没有应答,暂时无法计算试报的数字。",
    "A service does not answer, so the numbers of the sandbox cannot be counted now.",
    retry_after="2",
)
_TOO_MANY: Final = Problem(
    503,
    f"本周试报的事实超过 {_MOST} 条,不予计算;每周一清空。",
    f"More than {_MOST} facts were tried this week, which are not counted; it is emptied every Monday.",
    retry_after="3600",
)


class SandboxProgress(ProgressTable, ScopeFields):
    """The progress of every indicator by what sandboxes reported this week; `facts`: how many facts that were."""

    facts: int


@router.get(
    "/{plan}/progress",
    summary="试报的数字 The numbers of what was tried",
    description=(
        "只计 `source` 的系统以 `sandbox` 开头的报告:每周一清空,任何页面都不显示,也不进入真实的数字。内容同 "
        "`/v1/plans/{plan}/progress`,目标按计划文件。\n\n"
        "Of reports alone whose `source` has a system that begins with `sandbox`: emptied every Monday, shown on no"
        " page, and in none of the real numbers. As at `/v1/plans/{plan}/progress`, with the targets of the plan file."
    ),
    response_model=SandboxProgress,
    responses=RESPONSES,
)
async def get_sandbox_progress(
    request: Request, plan: PlanNamed, as_of: AsOf = None, district: District = None
) -> Response:
    """Respond with the progress of a plan by what sandboxes reported."""
    context = context_of(request)
    async with context.reader.view() as view:
        compiled = view.compiled
    chosen = plan_of(compiled, plan)
    scope = context.scope(chosen, as_of, None, district)
    logs = await asyncio.gather(*(_log(context, url) for url in context.services.values()))
    facts = list(chain.from_iterable(logs))
    if len(facts) > _MOST:
        raise _TOO_MANY
    sums = await _sums(compiled, chosen, scope, facts)
    table = computed(AssessmentBasis(chosen, compiled, Targets(chosen, ()), sums, scope))
    body: SandboxProgress = {**scope_fields(chosen.id, scope), **table, "facts": len(facts)}
    return Response(orjson.dumps(body), media_type="application/json")


async def _log(context: ReadContext, url: str) -> list[LogFact]:
    """Return what a service's sandbox has recorded."""
    facts = list[LogFact]()
    after: int | None = 0
    while after is not None and len(facts) <= _MOST:
        try:
            response = await context.client.get(f"{url}/v1/log/sandbox", params={"after": after, "limit": _PAGE})
            response.raise_for_status()
        except httpx.HTTPError:
            raise _AWAY from None
        page = orjson.loads(response.content)
        facts += [decode(orjson.dumps(fact)) for fact in page["facts"]]
        after = page["next"]
    return facts


async def _sums(compiled: CompiledPlans, plan: Plan, scope: Scope, facts: list[LogFact]) -> Sums:
    """Return the sums of a plan's cells up to a day, by what these facts come to."""
    batch, turns = FactBatch(compiled), Turns()
    for fact in facts:
        if not fact.type.startswith("skillplan.planning."):
            batch.add(fact)
        await turns.take()
    batch.take_back()
    batch.members_and_subjects()  # all that is needed of others is in the batch
    as_of = min(scope.as_of, plan.period.last)
    last = place_of(plan, as_of)
    sums: dict[tuple[int, int, int], dict[str, list[int]]] = defaultdict(dict)
    if scope.as_of < plan.period.first:
        return sums
    for row in batch.post(()).contributions:
        if row.effective_on <= as_of:
            by_district = sums[row.line, row.part, row.period]
            by_district.setdefault(row.district, [0] * (last + 1))[place_of(plan, row.effective_on)] += row.delta
    return sums
