"""`POST /v1/plans/{plan}/diff`: what adopting a plan file would change; nothing is recorded."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import JsonValue

from services.planning.api.context import PLAN_RESPONSES, Context, PlanId, taking, text_of
from services.planning.api.decisions import Body
from services.planning.plan_differences import PlanDifference, differences
from services.planning.targets_in_force import History, document_of
from shared.http.openapi import problem_model
from shared.http.problems import Problem
from shared.plan.loading import PlanError, read_plan
from shared.plan.model import Plan

router = APIRouter()
_YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


class PlanFileDifferences(Body):
    """What adopting a file would change: digests of the file and of the adopted document, and the file's content."""

    plan: str
    sha256: str
    against: str | None
    changes: list[PlanDifference]
    document: dict[str, JsonValue]


class PlanFileFault(Body):
    """One fault of a plan file, by line and path."""

    line: int | None
    path: str
    zh: str
    en: str


class PlanFaultsProblem(Body):
    """A problem (RFC 9457) that names each fault of the file that was sent."""

    type: str = "about:blank"
    status: int = 422
    title: str
    detail: str
    zh: str
    en: str
    faults: list[PlanFileFault]


@router.post(
    "/{plan}/diff",
    summary="采用此文件会改变什么 What adopting this file would change",
    description=(
        "与已采用的逐项比较,什么也不改变;文件有误时逐条指明行和位置。\n\n"
        "Compares it with what was adopted and changes nothing; a file's faults are named by line and path."
    ),
    responses=PLAN_RESPONSES
    | taking(*_YAML)
    | {
        422: problem_model(PlanFaultsProblem, "计划文件有误 The plan file has faults"),
    },
    response_model=PlanFileDifferences,
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def post_diff(plan: PlanId, request: Request, context: Context) -> PlanFileDifferences | Response:
    """Compare a plan file with the document that was adopted last."""
    counted = context.plan(plan)
    text = await text_of(request, *_YAML)
    adopted = History(counted, await context.view()).adopted
    async with context.reading:
        # In a thread: the largest file that is read to its end takes seconds, and all others are still answered.
        return await asyncio.to_thread(_compare, text, counted, adopted)


def _compare(text: str, counted: Plan, adopted: Plan | None) -> PlanFileDifferences | Response:
    try:
        given = read_plan(text, "plan")
    except PlanError as error:
        return _problem(error)
    if given.id != counted.id:
        raise Problem(422, "文件是另一个计划的。", "The file is of another plan.")
    return PlanFileDifferences(
        plan=counted.id,
        sha256=given.digest,
        against=None if adopted is None else adopted.digest,
        changes=differences(adopted, given),
        document=document_of(given),
    )


def _problem(error: PlanError) -> Response:
    faults = [PlanFileFault(line=fault.line, path=fault.path, zh=fault.zh, en=fault.en) for fault in error.faults]
    zh, en = f"计划文件有 {len(faults)} 处错误。", f"The plan file has {len(faults)} faults."
    problem = PlanFaultsProblem(title=en, detail=en, zh=zh, en=en, faults=faults)
    return Response(problem.model_dump_json(), problem.status, media_type="application/problem+json")
