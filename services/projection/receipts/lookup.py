"""What became of a report when its sender does not know which service decided it (RULES A18)."""

import asyncio

import httpx
import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.queries.context import context_of
from shared.contract.messages import Receipt
from shared.http.access import caller_of
from shared.http.openapi import problem_response
from shared.http.problems import Problem
from shared.service.http_door import IdNamed, SourceNamed

router = APIRouter(prefix="/v1", tags=["receipts"])


class ReportReceipts(TypedDict):
    """The receipts of the services that know a report."""

    receipts: list[Receipt]


def _no_answer(names: str) -> Problem:
    return Problem(503, f"暂时问不到:{names}。请再试。", f"No answer now from: {names}. Try again.", retry_after="2")


@router.get(
    "/receipts",
    summary="一份报告的回执 The receipts of a report as they stand now",
    description=(
        "不知由哪个服务裁定时用:问遍各服务,答以知道它的各家的回执(RULES A18)。\n\n"
        "For who does not know which service decided it: every service is asked; the answer holds the receipts of"
        " those that know it (RULES A18)."
    ),
    response_model=ReportReceipts,
    responses={
        404: {"description": "没有收到过 No such report was received"},
        422: {"description": "参数不正确 A parameter is wrong"},
        503: problem_response(_no_answer("recruitment"), "有的服务没有应答 A service does not answer; see Retry-After"),
    },
)
async def get_receipts(request: Request, source: SourceNamed, id: IdNamed) -> Response:
    """Ask every service for the receipt of a report and respond with those there are."""
    context = context_of(request)
    caller_of(request).must_cover(source)
    results = await asyncio.gather(
        *(
            context.client.get(f"{url}/v1/receipts", params={"source": source, "id": id})
            for url in context.services.values()
        ),
        return_exceptions=True,
    )
    responses = {
        service: result
        for service, result in zip(context.services, results, strict=True)
        if isinstance(result, httpx.Response) and result.status_code in (200, 404)
    }
    if missing := ", ".join(service for service in context.services if service not in responses):
        raise _no_answer(missing)
    receipts = [orjson.Fragment(response.content) for response in responses.values() if response.is_success]
    if not receipts:
        raise Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received.")
    return Response(orjson.dumps({"receipts": receipts}), media_type="application/json")
