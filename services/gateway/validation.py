"""`POST /v1/validate` for every type: what a report would be answered now, and what it would count in."""

from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.gateway.reports import UndecidedReport, distribute
from services.gateway.upstream import PROJECTION, ServiceResponse, Upstream, headers_of_caller
from shared.contract.cloudevents import JsonObject
from shared.contract.messages import ValidatedReceipt
from shared.http.problems import Problem
from shared.service.http_door import REPORT_BODIES, SAID_OF_VALIDATE, report_responses

_OK: Final = 200
_VALIDATED: Final = (_OK, 202, 422)
_SAID_BESIDES: Final = (
    "\n\n`counts_in` 列出将推动的指标、期间、月份和区划;投影没有应答时为 null。\n\n"
    "`counts_in` lists the indicators, periods, months and districts that would move; null while the projection does"
    " not answer."
)


class DistributedValidations(TypedDict):
    """The receipts that a batch would get now, in the order sent."""

    results: list[ValidatedReceipt | UndecidedReport]


def router_of(upstream: Upstream) -> APIRouter:
    """Return the route that answers as `/v1/events` would, and records nothing."""
    router = APIRouter()

    @router.post(
        "/v1/validate",
        summary="试报,并看将计入何处 Ask what reports would be answered now, and what they would count in",
        description=SAID_OF_VALIDATE + _SAID_BESIDES,
        openapi_extra=REPORT_BODIES,
        response_model=ValidatedReceipt | DistributedValidations,
        responses=report_responses(ValidatedReceipt),
        tags=["reports"],
    )
    async def validate(request: Request) -> Response:
        answer = await distribute(request, upstream)
        if answer.status not in _VALIDATED or dict(answer.headers).get(b"content-type") != b"application/json":
            return answer.response()
        body = orjson.loads(answer.body)
        receipts = [result for result in body.get("results", [body]) if "facts" in result]
        await _add_counts(request, upstream, receipts)
        return ServiceResponse(answer.status, answer.headers, orjson.dumps(body)).response()

    return router


async def _add_counts(request: Request, upstream: Upstream, receipts: list[JsonObject]) -> None:
    """Add to each receipt what its facts would count in; null while the projection does not answer."""
    facts = [fact for receipt in receipts for fact in receipt["facts"]]
    counts_in: list[list[JsonObject]] | None = None
    if facts:
        body, headers = orjson.dumps({"facts": facts}), headers_of_caller(request.scope, "application/json")
        try:
            answer = await upstream.ask(PROJECTION, "POST", "/v1/would-count", headers, body)
        except Problem:
            pass
        else:
            counts_in = orjson.loads(answer.body)["counts_in"] if answer.status == _OK else None
    each = iter(counts_in or ())
    for receipt in receipts:
        own = receipt["facts"]
        known = counts_in is not None or not own
        receipt["counts_in"] = [cell for _ in own for cell in next(each)] if known else None
