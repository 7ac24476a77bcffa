"""Answers what became of a report when its sender does not know which service decided it (RULES A18)."""

import asyncio
from collections.abc import Mapping

import httpx
import orjson
from fastapi import APIRouter, Request, Response

from shared.gate import Problem, caller_of


def routes(services: Mapping[str, str], client: httpx.AsyncClient) -> APIRouter:
    """Return `GET /v1/receipts`, which asks the domain services at these addresses; each keeps its own receipts."""
    router = APIRouter(prefix="/v1", tags=["receipts"])

    @router.get("/receipts", summary="The receipts of a report as they stand now, from every service that knows it")
    async def get_receipts(request: Request, source: str, id: str) -> Response:
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
            names = ", ".join(away)
            raise Problem(
                503, f"暂时问不到:{names}。请稍后再试。", f"No answer now from: {names}. Try again.", retry_after="2"
            )
        if not known:
            raise Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received.")
        return Response(
            orjson.dumps({"receipts": [orjson.Fragment(receipt) for receipt in known]}), media_type="application/json"
        )

    return router
