"""`GET /v1/receipts` and `POST /v1/receipts/query`: every service is asked, one that is away hides its own alone."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from services.gateway.upstream import ServiceResponse, Upstream, away, headers_of_caller
from shared.contract.cloudevents import JsonObject
from shared.contract.messages import PairsReceipts, Receipt, RecordedReport
from shared.http.openapi import problem_response
from shared.http.problems import Problem
from shared.service.http_door import IdNamed, SourceNamed
from shared.service.http_receipts import (
    NEVER_RECEIVED,
    NOT_RECORDED,
    PAIRS,
    SAID_OF_QUERY,
    SAID_OF_REPORT,
    read_pairs,
)

_NOT_RECEIVED: Final = 404
_REFUSED: Final = 400
Away = Annotated[list[str], Field(description="没有应答的服务 the services that do not answer")]


class ReceiptsOfServices(TypedDict):
    """The receipts of a report, of each service that knows it."""

    receipts: list[Receipt]
    away: Away


class PairsReceiptsOfServices(PairsReceipts):
    """The receipts of the reports that were asked about, in their order."""

    away: Away


def router_of(upstream: Upstream) -> APIRouter:
    """Return the routes that answer what became of reports."""
    router = APIRouter()

    @router.get(
        "/v1/receipts",
        summary="一份报告的回执,不分服务 The receipts of a report, whichever service decided it",
        description=(
            "问遍各服务;没有应答的列在 `away` 中(RULES A18)。\n\n"
            "Every service is asked; `away` names those that do not answer (RULES A18)."
        ),
        response_model=ReceiptsOfServices,
        responses={
            404: {"description": "没有收到过 No such report was received"},
            422: {"description": "缺少参数 A parameter is missing"},
            503: problem_response(away(["recruitment"]), "可能由没有应答的服务裁定 It may be with one that is away"),
        },
        tags=["receipts"],
    )
    async def get_receipts(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        answered = await _ask_of(request, upstream, source, id, NEVER_RECEIVED)
        receipts = [orjson.Fragment(answer.body) for answer in answered.answers]
        return answered.refusal or _json({"receipts": receipts, "away": answered.away})

    @router.get(
        "/v1/receipts/report",
        summary="一份报告所报的内容,不分服务 What a report said, whichever service decided it",
        description=SAID_OF_REPORT,
        response_model=RecordedReport,
        responses={
            404: problem_response(NOT_RECORDED, "没有记下 Nothing is recorded"),
            422: {"description": "缺少参数 A parameter is missing"},
            503: problem_response(away(["recruitment"]), "可能由没有应答的服务裁定 It may be with one that is away"),
        },
        tags=["receipts"],
    )
    async def get_report(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        answered = await _ask_of(request, upstream, source, id, NOT_RECORDED)
        return answered.refusal or answered.answers[0].response()

    @router.post(
        "/v1/receipts/query",
        summary="许多报告的回执,不分服务 The receipts of many reports, whichever services decided them",
        description=SAID_OF_QUERY,
        openapi_extra=PAIRS,
        response_model=PairsReceiptsOfServices,
        responses={
            413: {"description": "过大或过多 Too large, or too many pairs"},
            422: {"description": "请求体不正确 Another body is expected"},
            503: problem_response(away(["recruitment"]), "没有一个服务应答 No service answers"),
        },
        tags=["receipts"],
    )
    async def query_receipts(request: Request) -> Response:
        pairs = await read_pairs(request)
        body = orjson.dumps({"pairs": [{"source": source, "id": id_} for source, id_ in pairs]})
        answered = await _ask_all(request, upstream, "POST", body)
        if answered.refusal:
            return answered.refusal
        if not answered.answers:
            raise away(answered.away)
        return _json({"results": _of_pairs(pairs, answered), "away": answered.away})

    return router


class _Asked(NamedTuple):
    """What the services answered: those that know of it, those that are away, and a refusal of the request itself."""

    answers: list[ServiceResponse]
    away: list[str]
    refusal: Response | None


def _of_pairs(pairs: Sequence[tuple[str, str]], answered: _Asked) -> list[JsonObject]:
    """Return for each pair the receipts that any service has of it."""
    results: list[JsonObject] = [{"source": source, "id": id_, "receipts": []} for source, id_ in pairs]
    for answer in answered.answers:
        for own, result in zip(results, orjson.loads(answer.body)["results"], strict=True):
            own["receipts"].extend(result["receipts"])
    return results


async def _ask_all(
    request: Request, upstream: Upstream, method: str, body: bytes | None = None, query: str = ""
) -> _Asked:
    """Ask every service at once by the path of the request, with the caller's own key."""
    headers = headers_of_caller(request.scope, "application/json" if body else "")

    async def ask(service: str) -> ServiceResponse | None:
        try:
            answer = await upstream.ask(service, method, request.url.path + query, headers, body)
        except Problem:
            return None
        return None if answer.status >= 500 else answer  # noqa: PLR2004 - its database is away

    answers = await asyncio.gather(*map(ask, upstream.services))
    missing = [service for service, answer in zip(upstream.services, answers, strict=True) if answer is None]
    given = [answer for answer in answers if answer is not None and answer.status != _NOT_RECEIVED]
    refusal = next((answer.response() for answer in given if answer.status >= _REFUSED), None)
    return _Asked(given, missing, refusal)


async def _ask_of(request: Request, upstream: Upstream, source: str, id_: str, nothing: Problem) -> _Asked:
    """Ask every service about one report; raises `nothing` where none knows it, Problem 503 where one is away."""
    answered = await _ask_all(request, upstream, "GET", query="?" + urlencode({"source": source, "id": id_}))
    if not answered.answers:
        raise away(answered.away) if answered.away else nothing
    return answered


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
