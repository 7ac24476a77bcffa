"""What the HTTP routes of reports and receipts share: limits of a body, and the answer while the database is away."""

from collections.abc import Awaitable
from typing import Annotated, Final, TypeVar

from fastapi import Query, Request
from typing_extensions import TypeForm

from shared.contract.cloudevents import BATCH, STRUCTURED
from shared.contract.messages import ReportEnvelope
from shared.http.openapi import Responses, problem_response, request_body
from shared.http.problems import Problem
from shared.http.server import SLOW
from shared.observability.unavailable import UNAVAILABLE

LARGEST_EVENT: Final = 1024 * 1024
LARGEST_BATCH: Final = 4 * 1024 * 1024
MOST_EVENTS: Final = 1000  # RULES A16
AWAY: Final = Problem(
    503,
    "服务暂时无法作出决定(数据库不可用),请稍后重发。",
    "The service cannot decide now (database away); send it again.",
    retry_after="2",
)
NOT_NOW: Final = problem_response(
    AWAY, "暂时不能作出决定 The service cannot decide now; send it again after Retry-After"
)
TOO_MANY_EVENTS: Final = Problem(413, f"每批最多 {MOST_EVENTS} 条。", f"A batch holds at most {MOST_EVENTS} events.")
SAID_OF_EVENTS: Final = (
    "CloudEvents 1.0,结构化、批量或二进制模式。一份的答复是其回执;一批的答复按次序列出回执,状态总是 200。"
    "同一 `source` 与 `id` 原样重发不会重复计数。\n\n"
    "CloudEvents 1.0, structured, batched or binary. One event is answered with its receipt; a batch with the"
    " receipts in the order sent, always 200. The same `source` and `id` sent again counts once."
)
SAID_OF_VALIDATE: Final = (
    "与 `/v1/events` 相同的解码和规则,按此刻已有的事实裁定;不入账,不占用编号。答复同 `/v1/events`,"
    "另有 `facts`:将会记下的事实(不含个人)。\n\n"
    "The decoder and the rules of `/v1/events` on what stands now; nothing is recorded and no id is bound. The"
    " answer is as there, with `facts` besides: what would be recorded, without persons."
)
REPORT_BODIES: Final = request_body({STRUCTURED: ReportEnvelope, BATCH: list[ReportEnvelope]})
OTHER_TYPE: Final = Problem(
    415, f"请使用 Content-Type {STRUCTURED} 或 {BATCH}。", f"Use Content-Type {STRUCTURED} or {BATCH}."
)
_RESPONSES: Final[Responses] = {
    200: {"description": "受理或重复;一批为各回执 Accepted, or a duplicate; of a batch: the receipts"},
    202: {"description": "等待尚未报告的事 Waiting for something not reported yet"},
    400: {"description": "不是 JSON No JSON"},
    408: problem_response(SLOW, "请求未在限定时间内到齐 The request did not arrive in time"),
    413: {"description": "过大或过多 Too large, or too many events"},
    415: problem_response(OTHER_TYPE, "内容类型不符 Another content type"),
    422: {"description": "拒绝、有误或发错服务 Refused, invalid or misdirected: the receipt says why"},
    503: NOT_NOW,
}


def report_responses(receipt: TypeForm[object]) -> Responses:
    """Return how a route that takes reports declares its responses; `receipt`: the model of each answer."""
    return {
        status: response | ({"model": receipt} if status in (202, 422) else {})
        for status, response in _RESPONSES.items()
    }


SourceNamed = Annotated[str, Query(description="报告的 source the report's source, /districts/<code>/<system>")]
IdNamed = Annotated[str, Query(description="报告的 id the report's id")]
T = TypeVar("T")


async def answer_of(query: Awaitable[T]) -> T:
    """Return what the database answers; raises Problem 503 while it is away."""
    try:
        return await query
    except UNAVAILABLE:
        raise AWAY from None


async def read_body(request: Request, largest: int) -> bytes:
    """Return a request's body; raises Problem 413 as soon as more than the largest has come."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise Problem(413, f"请求体超过 {largest} 字节。", f"The body is larger than {largest} bytes.")
        parts.append(part)
    return b"".join(parts)
