"""Answers what became of a report when its sender does not know which service decided it (RULES A18)."""

import asyncio
from collections.abc import Mapping

import httpx
import orjson
from fastapi import APIRouter, Request, Response

from shared.http.access import caller_of
from shared.http.openapi import problem_response
from shared.http.problems import Problem
from shared.service.http_reports import IdNamed, SourceNamed


def _no_answer(names: str) -> Problem:
    return Problem(503, f"暂时问不到:{names}。请再试。", f"No answer now from: {names}. Try again.", retry_after="2")


def routes(services: Mapping[str, str], client: httpx.AsyncClient) -> APIRouter:
    """Return `GET /v1/receipts`, which asks the domain services at these addresses; each keeps its own receipts."""
    router = APIRouter(prefix="/v1", tags=["receipts"])

    @router.get(
        "/receipts",
        summary="一份报告的回执 The receipts of a report as they stand now",
        description=(
            "不知由哪个服务裁定时用:问遍各服务,答以知道它的各家的回执(RULES A18)。\n\n"
            "For who does not know which service decided it: every service is asked; the answer holds the receipts of"
            " those that know it (RULES A18)."
        ),
        responses={
            404: {"description": "没有收到过 No such report was received"},
            422: {"description": "参数不正确 A parameter is wrong"},
            503: problem_response(
                _no_answer("recruitment"), "有的服务没有应答 A service does not answer; see Retry-After"
            ),
        },
    )
    async def get_receipts(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        caller_of(request).must_cover(source)
        answers = await asyncio.gather(
            *(client.get(f"{url}/v1/receipts", params={"source": source, "id": id}) for url in services.values()),
            return_exceptions=True,
        )
        known = [answer.content for answer in answers if not isinstance(answer, BaseException) and answer.is_success]
        away = [
            service
            for service, answer in zip(services, answers, strict=True)
            if isinstance(answer, BaseException) or answer.status_code not in (200, 404)
        ]
        if away:
            raise _no_answer(", ".join(away))
        if not known:
            raise Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received.")
        return Response(
            orjson.dumps({"receipts": [orjson.Fragment(receipt) for receipt in known]}), media_type="application/json"
        )

    return router
