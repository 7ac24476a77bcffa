"""`POST /v1/events` for every type: each report goes to the service that owns its type, and its receipt comes back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import (
    Annotated,
    Final,
    NotRequired,  # pydantic takes typing's own from Python 3.12 on
)

import msgspec
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from services.gateway.upstream import ServiceResponse, Upstream, away, headers_of, headers_of_caller, target_of
from shared.contract.cloudevents import BATCH, NotReadableError, from_http_headers, parse_array, parse_object
from shared.contract.messages import Receipt
from shared.http.access import caller_of
from shared.http.problems import Problem, problem_of
from shared.service.http_door import (
    LARGEST_BATCH,
    LARGEST_EVENT,
    MOST_EVENTS,
    REPORT_BODIES,
    SAID_OF_EVENTS,
    TOO_MANY_EVENTS,
    read_body,
    report_responses,
)

_OK: Final = 200
_UNAVAILABLE: Final = 503
_JSON: Final = (b"content-type", b"application/json")
_SAID_BESIDES: Final = (
    "\n\n每份按其类型交给所属的服务裁定。某服务没有应答时,只有它的类型得不到裁定:单份答 503;一批中这些份的位置上是"
    "带 `status` 503 的错误说明,其余照常。按 Retry-After 原样重发即可。\n\n"
    "Each is decided by the service that owns its type. A service that does not answer costs its own types alone: a"
    " single report gets 503; in a batch a problem of status 503 stands in the place of each, the others are decided."
    " Send the same again after Retry-After."
)


class UndecidedReport(TypedDict):
    """In the place of a receipt: why the service of this report did not decide it (RFC 9457)."""

    type: str
    status: int
    title: str
    detail: str
    zh: str
    en: str
    service: str | None
    retry_after: NotRequired[Annotated[int, Field(description="seconds after which the same may be sent again")]]


class DistributedReceipts(TypedDict):
    """The receipts of a batch, in the order sent."""

    results: list[Receipt | UndecidedReport]


class _Results(msgspec.Struct):
    """A service's answer to a batch; each result as the bytes that it sent."""

    results: list[msgspec.Raw]


_results: Final = msgspec.json.Decoder(_Results)
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a batch one service owns, None for what none does: places in the batch, in the order sent."""

    service: str | None
    places: Sequence[int]


def router_of(upstream: Upstream) -> APIRouter:
    """Return the route that takes reports."""
    router = APIRouter()

    @router.post(
        "/v1/events",
        summary="报送一份或一批,不分服务 Report one event or a batch of any type; the answer is its receipt",
        description=SAID_OF_EVENTS + _SAID_BESIDES,
        openapi_extra=REPORT_BODIES,
        response_model=Receipt | DistributedReceipts,
        responses=report_responses(Receipt),
        tags=["reports"],
    )
    async def post_events(request: Request) -> Response:
        return (await distribute(request, upstream)).response()

    return router


async def distribute(request: Request, upstream: Upstream) -> ServiceResponse:
    """Send one report, or each of a batch, to the service that owns its type; what none owns, any may answer."""
    mode = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await read_body(request, LARGEST_BATCH if mode == BATCH else LARGEST_EVENT)
    is_binary = mode == "application/json" and any(name.startswith("ce-") for name in request.headers)
    owner = None
    try:
        if mode == BATCH or (mode == "application/json" and not is_binary and raw.lstrip()[:1] == b"["):
            return await _batch(request, upstream, raw, parse_array(raw))
        owner = _owner(from_http_headers(request.headers, raw) if is_binary else parse_object(raw), upstream)
    except NotReadableError:
        pass  # whichever service is asked says what is wrong with it
    return await _ask(request, upstream, owner, headers_of(request.scope), raw)


def _owner(event: object, upstream: Upstream) -> str | None:
    """Return the service that an event's type belongs to; None where it is none of ours, or no event."""
    type_ = event.get("type") if isinstance(event, dict) else None
    parts = type_.split(".") if isinstance(type_, str) else []
    return parts[1] if len(parts) > 1 and parts[0] == "skillplan" and parts[1] in upstream.services else None


async def _ask(
    request: Request, upstream: Upstream, owner: str | None, headers: list[tuple[str, str]], body: bytes
) -> ServiceResponse:
    """Ask the owner, or the first service that answers where there is none; raises Problem 503."""
    for service in [owner] if owner else upstream.services:
        try:
            return await upstream.ask(service, "POST", target_of(request.scope), headers, body)
        except Problem:
            if owner:
                raise
    raise away(upstream.services)


async def _batch(request: Request, upstream: Upstream, raw: bytes, elements: list[object]) -> ServiceResponse:
    if len(elements) > MOST_EVENTS:
        raise TOO_MANY_EVENTS
    caller_of(request).spend(max(len(elements) - 1, 0))  # access control counted one
    places: dict[str | None, list[int]] = {}
    for place, element in enumerate(elements):
        places.setdefault(_owner(element, upstream), []).append(place)
    if len(places) <= 1:
        return await _ask(request, upstream, next(iter(places), None), headers_of(request.scope), raw)
    try:
        sent = _elements.decode(raw)
    except msgspec.DecodeError:
        raise problem_of(400) from None  # nested deeper than can be split
    parts = [_Part(service, its) for service, its in places.items()]
    answers = await asyncio.gather(*(_ask_part(request, upstream, part, sent) for part in parts))
    if all(answer.status != _OK for answer in answers):  # nothing was decided, so that this is the answer to all of it
        return max(answers, key=lambda answer: answer.status)
    results: list[bytes | msgspec.Raw] = [b""] * len(elements)
    for part, answer in zip(parts, answers, strict=True):
        for place, result in zip(part.places, _of_part(part, answer), strict=True):
            results[place] = result if isinstance(elements[place], dict) else _placed(result, place)
    again = [(b"retry-after", b"2")] if any(answer.status == _UNAVAILABLE for answer in answers) else []
    return ServiceResponse(_OK, [_JSON, *again], b'{"results":[' + b",".join(results) + b"]}")


async def _ask_part(request: Request, upstream: Upstream, part: _Part, sent: Sequence[msgspec.Raw]) -> ServiceResponse:
    """Send its part of a batch to a service, as a batch in the same order."""
    body = b"[" + b",".join(sent[place] for place in part.places) + b"]"
    try:
        return await _ask(request, upstream, part.service, headers_of_caller(request.scope, BATCH), body)
    except Problem as problem:
        headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"2")]
        return ServiceResponse(problem.status, headers, problem.body())


def _of_part(part: _Part, answer: ServiceResponse) -> Sequence[bytes | msgspec.Raw]:
    """Return the receipts of a part; in the place of each the problem, where its service decided none of them."""
    if answer.status == _OK:
        return _results.decode(answer.body).results
    headers = dict(answer.headers)
    problem = orjson.loads(answer.body) | {"service": part.service}
    if b"retry-after" in headers:
        problem["retry_after"] = int(headers[b"retry-after"])
    return [orjson.dumps(problem)] * len(part.places)


def _placed(receipt: bytes | msgspec.Raw, place: int) -> bytes:
    """Return the receipt of an element that is no event, with the pointer to its place in the whole batch."""
    fields = orjson.loads(bytes(receipt))
    for reason in fields.get("reasons", ()):
        reason["pointer"] = f"/{place}"
    return orjson.dumps(fields)
