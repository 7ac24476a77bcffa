"""`POST …/close` and `…/restate`: take a month's figures from the projection and report them as the plan office."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Final

import httpx
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from services.planning.api.context import PLAN_RESPONSES, Context, MonthName, PlanId, PlanningContext, taking, text_of
from services.planning.api.witnesses import cosigned_checkpoints
from services.planning.events import LANGUAGE, PeriodClosed, PeriodRestated
from shared.contract.events import format_instant
from shared.contract.messages import Receipt
from shared.http import client as http_client
from shared.http.access import caller_of
from shared.http.openapi import Responses, request_body
from shared.http.problems import Problem
from shared.observability.unavailable import UNAVAILABLE
from shared.service.http_door import AWAY

router = APIRouter()
_OFFICE: Final = "plan-office"
_PATIENCE: Final = 90.0  # seconds; the projection itself waits until all is counted


class PublicationRequest(BaseModel):
    """What the plan office sends to close or restate a month.

    `source` and `id` name the report that is made of it (made up when left out or empty); `known_at` is the instant as
    of which figures are taken (now when left out). All other fields become data of the report, which the contract's
    decoder checks: what is wrong with them is in the receipt.
    """

    model_config = ConfigDict(extra="allow")
    source: Annotated[StrictStr | None, BeforeValidator(lambda given: given or None)] = None
    id: Annotated[
        Annotated[StrictStr, Field(pattern=r"^[^\s\x00-\x1f\x7f]{1,200}$")] | None,
        BeforeValidator(lambda given: given or None),
    ] = None
    known_at: Annotated[JsonValue, WithJsonSchema({"type": "string", "format": "date-time"})] = None
    by: Annotated[JsonValue, WithJsonSchema({"type": "string"})] = None
    request_no: Annotated[JsonValue, WithJsonSchema({"type": "string"})] = None


class FiguresToPublish(BaseModel):
    """A month's figures as the projection has them, with their digest and its seal; the decider checks them."""

    known_at: JsonValue
    figures: JsonValue
    sha256: JsonValue
    seal: JsonValue = None


class _NoFigures(BaseModel):
    zh: str = "暂时取不到数据。"
    en: str = "No figures now."


class _FirstReceipt(BaseModel):
    status: str
    type: str | None = None
    subject: str | None = None


_JSON: Final = "application/json"
_RESPONSES: Final[Responses] = (PLAN_RESPONSES | taking(_JSON)) | {
    200: {"description": "受理,或以前已受理 Accepted, now or before: the receipt"},
    422: {"model": Receipt, "description": "拒绝:回执写明原因 Refused: the receipt says why"},
}


@router.post(
    "/{plan}/months/{month}/close",
    summary="关账:取数并公布 Close: take the figures and publish them",
    description=(
        "答复是回执;带同样的 `source` 与 `id` 再发,答以同一回执。计划要求见证的,等到副署够数;等不到则 503,"
        "写明缺谁的。\n\n"
        "The answer is a receipt; sent again with the same `source` and `id` it is the same receipt. Where the plan"
        " asks for witnesses it waits for their cosignatures; 503 says whose are missing."
    ),
    responses=_RESPONSES,
    response_model=Receipt,
    openapi_extra=request_body({_JSON: PublicationRequest}, required=False),
)
async def post_close(plan: PlanId, month: MonthName, request: Request, context: Context) -> Response:
    """Close a month."""
    return await _publish(context, plan, month, request, PeriodClosed)


@router.post(
    "/{plan}/months/{month}/restate",
    summary="核准重述 Approve a restatement: the figures anew",
    description="`request_no`:所核准的申请;其余同关账。\n\n`request_no`: the request that is approved; else as close.",
    responses=_RESPONSES,
    response_model=Receipt,
    openapi_extra=request_body({_JSON: PublicationRequest}, required=False),
)
async def post_restate(plan: PlanId, month: MonthName, request: Request, context: Context) -> Response:
    """Publish a closed month anew for a request."""
    return await _publish(context, plan, month, request, PeriodRestated)


async def _publish(
    context: PlanningContext, plan: str, month: str, request: Request, event: type[PeriodClosed | PeriodRestated]
) -> Response:
    """Report the figures of a month; the receipt is the answer, the same one when it was accepted before."""
    counted = context.plan(plan)
    sent = _object_in(await text_of(request, _JSON))
    await context.month(counted, month)
    given = _request_in(sent)
    city = next((district.code for district in counted.districts if district.city), counted.districts[0].code)
    source = given.source or f"/districts/{city}/{_OFFICE}"
    id_ = given.id or f"{event.type_name}-{month}-{secrets.token_hex(6)}"
    caller = caller_of(request)
    caller.must_cover(source)
    type_, subject = LANGUAGE.type_of(event), f"month/{plan}/{month}"
    if (receipt := await _accepted_before(context, source, id_, type_, subject)) is not None:
        return Response(receipt, media_type="application/json")
    figures = await _figures(context, plan, month, given.known_at)
    cosigned = await cosigned_checkpoints(context, counted) if event is PeriodClosed else []
    checkpoints = {"checkpoints": [checkpoint.model_dump() for checkpoint in cosigned]} if cosigned else {}
    data = {name: value for name, value in sent.items() if name not in ("source", "id", "known_at")}
    envelope = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "subject": subject,
        "time": format_instant(datetime.now(UTC)),
        "district": city,
        "data": {"plan": plan, "month": month} | data | figures.model_dump() | checkpoints,
    }
    began = context.intake.handler.tracing.now()
    return await context.intake.report(envelope, caller, datetime.now(UTC), began)


def _object_in(text: str) -> dict[str, JsonValue]:
    try:
        sent = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        sent = None
    if not isinstance(sent, dict):
        raise Problem(400, "请求体应为一个 JSON 对象。", "The body must be one JSON object.")
    return sent


def _request_in(sent: dict[str, JsonValue]) -> PublicationRequest:
    try:
        return PublicationRequest.model_validate(sent)
    except ValidationError:
        raise Problem(422, "source、id 应为不含空白的文本。", "source and id must be texts without spaces.") from None


async def _accepted_before(context: PlanningContext, source: str, id_: str, type_: str, subject: str) -> bytes | None:
    """Return the receipt of the same report, accepted before: it is sent again after an answer was lost."""
    try:
        receipt = await context.intake.handler.store.receipt(source, id_)
    except UNAVAILABLE:
        raise AWAY from None
    if receipt is None:
        return None
    first = _FirstReceipt.model_validate_json(receipt)
    return receipt if (first.status, first.type, first.subject) == ("accepted", type_, subject) else None


async def _figures(context: PlanningContext, plan: str, month: str, known_at: JsonValue) -> FiguresToPublish:
    if not context.projection:
        raise Problem(503, "未设置 SKILLPLAN_PROJECTION,无法取数。", "SKILLPLAN_PROJECTION is not set: no figures.")
    query = {"month": month} | ({"known_at": str(known_at)} if known_at is not None else {})
    async with http_client.client(
        context.settings.api_key.get_secret_value(), context.settings.ca, _PATIENCE
    ) as client:
        try:
            response = await client.get(f"{context.projection}/v1/plans/{plan}/figures", params=query)
            body = response.json()
        except (httpx.HTTPError, ValueError):
            raise Problem(
                503, "暂时取不到数据(projection 没有应答)。", "No figures now: the projection does not answer.",
                retry_after="5",
            ) from None  # fmt: skip
    if response.is_success:
        figures = FiguresToPublish.model_validate(body)
        if figures.seal is None:
            raise Problem(
                503,
                "projection 未设置 SKILLPLAN_FIGURES_KEY,数据没有封印,不能公布。",
                "SKILLPLAN_FIGURES_KEY of the projection is not set: figures without its seal are not published.",
            )
        return figures
    refusal = _NoFigures.model_validate(body)
    status = response.status_code if response.status_code in (404, 422) else 503
    raise Problem(status, refusal.zh, refusal.en)
