"""HTTP API of a domain service: reports in, receipts out; concurrent requests share one transaction."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

import orjson
import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from shared.contract import rules
from shared.contract.cloudevents import (
    BATCH,
    STRUCTURED,
    JsonObject,
    NotReadableError,
    from_http_headers,
    parse_array,
    parse_object,
)
from shared.contract.events import NotUnderstood, Report
from shared.contract.messages import BatchReceipts, LogPage, Receipt, ReportEnvelope, ServiceLogHead
from shared.deciding.unit_of_work import Answer
from shared.http.access import Caller, caller_of
from shared.http.api_keys import Role
from shared.http.openapi import describe, problem_response, request_body
from shared.http.problems import Problem, answer_problems, known_parameters
from shared.http.server import SLOW
from shared.observability.tracing import HEADER
from shared.observability.turns import Turns
from shared.observability.unavailable import UNAVAILABLE
from shared.process.process import end_process_if_failed
from shared.service.command_handler import CommandHandler

_LARGEST_EVENT: Final = 1024 * 1024
_LARGEST_BATCH: Final = 4 * 1024 * 1024
_MOST_EVENTS: Final = 1000  # RULES A16
_MOST_TOGETHER: Final = 500
_STATUS: Final = {"accepted": 200, "duplicate": 200, "waiting": 202}
_log = structlog.get_logger()

Arrived = Report | NotUnderstood
T = TypeVar("T")


AWAY: Final = Problem(
    503,
    "服务暂时无法作出决定(数据库不可用),请稍后重发。",
    "The service cannot decide now (database away); send it again.",
    retry_after="2",
)
_NOT_NOW: Final = problem_response(
    AWAY, "暂时不能作出决定 The service cannot decide now; send it again after Retry-After"
)
_OTHER_TYPE: Final = Problem(
    415, f"请使用 Content-Type {STRUCTURED} 或 {BATCH}。", f"Use Content-Type {STRUCTURED} or {BATCH}."
)
SourceNamed = Annotated[str, Query(description="报告的 source the report's source, /districts/<code>/<system>")]
IdNamed = Annotated[str, Query(description="报告的 id the report's id")]


class GroupCommit:
    """Gathers what concurrent requests bring into one transaction after another."""

    def __init__(self, handler: CommandHandler) -> None:
        self._handler = handler
        self._queue: list[tuple[Sequence[Arrived], asyncio.Future[list[Answer]]]] = []
        self._arrived = asyncio.Event()

    async def submit(self, items: Sequence[Arrived]) -> list[Answer]:
        """Return the answers once they are committed; raises one of `UNAVAILABLE` when the database is away."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._queue.append((items, future))
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Decide what has been submitted, until cancelled."""
        while True:
            await self._arrived.wait()
            group: list[tuple[Sequence[Arrived], asyncio.Future[list[Answer]]]] = []
            taken = 0
            while self._queue and (not group or taken + len(self._queue[0][0]) <= _MOST_TOGETHER):
                group.append(self._queue.pop(0))
                taken += len(group[-1][0])
            if not self._queue:
                self._arrived.clear()
            await self._decide(group)

    async def _decide(self, group: list[tuple[Sequence[Arrived], asyncio.Future[list[Answer]]]]) -> None:
        try:
            answers = iter(await self._handler.handle([item for items, _ in group for item in items]))
        except UNAVAILABLE as error:
            for _, future in group:
                _settle(future, error)
        except Exception as error:  # noqa: BLE001 - an error of ours: logged, answered 500, and the next group goes on
            _log.exception("http.failed", requests=len(group))
            if len(group) == 1:
                _settle(group[0][1], error)
                return
            # One report must not fail the others of its batch.
            for single in group:
                await self._decide([single])
        else:
            for items, future in group:
                own = [next(answers) for _ in items]
                if not future.done():
                    future.set_result(own)


def _settle(future: asyncio.Future[list[Answer]], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


@dataclass(frozen=True, slots=True)
class ReportIntake:
    """Decides reports that came over HTTP; a service's own routes use it, too."""

    handler: CommandHandler
    group: GroupCommit

    async def report(self, envelope: JsonObject, caller: Caller, received_at: datetime, began: int) -> Response:
        """Decide one report; the answer is its receipt."""
        arrived = self.handler.decoder.decode(envelope, caller.channel(), received_at)
        answer = (await self.submit([arrived], began))[0]
        return Response(answer.receipt, _STATUS.get(answer.status, 422), media_type="application/json")

    async def submit(self, arrived: Sequence[Arrived], began: int) -> list[Answer]:
        """Decide what arrived, in order; raises Problem while the database is away."""
        self.handler.tracing.receive((item for item in arrived if isinstance(item, Report)), began)
        try:
            return await self.group.submit(arrived)
        except UNAVAILABLE:
            raise AWAY from None


Routes = Callable[[ReportIntake], APIRouter]


def create_app(
    handler: CommandHandler,
    reporters: frozenset[Role] = frozenset({Role.DISTRICT}),
    routes: Routes | None = None,
) -> FastAPI:
    """Return the HTTP side of a domain service: `/v1/events`, `/v1/receipts`, `/v1/log`, `/v1/log/head`.

    `reporters`: whose keys may report here. `routes`: what the service answers besides.
    """
    group, decoder, store, service = GroupCommit(handler), handler.decoder, handler.store, handler.service
    intake = ReportIntake(handler, group)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        committing = asyncio.create_task(group.run())
        committing.add_done_callback(end_process_if_failed)
        yield
        committing.cancel()

    # Its pages of documentation would have scripts fetched from elsewhere.
    app = FastAPI(
        title=f"Skillplan {service}", version="1", summary="报送与回执 Reports in, receipts out", lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False, dependencies=[Depends(known_parameters)],
    )  # fmt: skip
    answer_problems(app)
    describe(app, service)

    @app.post(
        "/v1/events",
        summary="报送一份或一批 Report one event or a batch; the answer is its receipt",
        description=(
            "CloudEvents 1.0,结构化、批量或二进制模式。一份的答复是其回执;一批的答复按次序列出回执,状态总是 200。"
            "同一 `source` 与 `id` 原样重发不会重复计数。\n\n"
            "CloudEvents 1.0, structured, batched or binary. One event is answered with its receipt; a batch with the"
            " receipts in the order sent, always 200. The same `source` and `id` sent again counts once."
        ),
        openapi_extra=request_body({STRUCTURED: ReportEnvelope, BATCH: list[ReportEnvelope]}),
        response_model=Receipt | BatchReceipts,
        responses={
            200: {"description": "受理或重复;一批为各回执 Accepted, or a duplicate; of a batch: the receipts"},
            202: {"model": Receipt, "description": "等待尚未报告的事 Waiting for something not reported yet"},
            400: {"description": "不是 JSON No JSON"},
            408: problem_response(SLOW, "请求未在限定时间内到齐 The request did not arrive in time"),
            413: {"description": "过大或过多 Too large, or too many events"},
            415: problem_response(_OTHER_TYPE, "内容类型不符 Another content type"),
            422: {
                "model": Receipt,
                "description": "拒绝、有误或发错服务 Refused, invalid or misdirected: the receipt says why",
            },
            503: _NOT_NOW,
        },
    )
    async def post_events(request: Request) -> Response:
        caller = caller_of(request).being(reporters)
        mode = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        received_at, began = datetime.now(UTC), handler.tracing.now()
        # The request's own trace, where the event has none.
        trace = {HEADER: request.headers[HEADER]} if HEADER in request.headers else {}
        if mode == BATCH:
            raw = await read_body(request, _LARGEST_BATCH)
            return await batch(_readable(lambda: parse_array(raw)), caller, received_at, trace, began)
        if mode not in (STRUCTURED, "application/json"):
            raise _OTHER_TYPE
        raw = await read_body(request, _LARGEST_EVENT)
        if mode == "application/json" and any(name.startswith("ce-") for name in request.headers):
            envelope = _readable(lambda: from_http_headers(request.headers, raw))
        elif mode == "application/json" and raw.lstrip()[:1] == b"[":
            return await batch(_readable(lambda: parse_array(raw)), caller, received_at, trace, began)
        else:
            envelope = _readable(lambda: parse_object(raw))
        return await intake.report(trace | envelope, caller, received_at, began)

    async def batch(
        elements: list[object], caller: Caller, received_at: datetime, trace: dict[str, str], began: int
    ) -> Response:
        if len(elements) > _MOST_EVENTS:
            raise Problem(413, f"每批最多 {_MOST_EVENTS} 条。", f"A batch holds at most {_MOST_EVENTS} events.")
        caller.spend(max(len(elements) - 1, 0))  # access control counted one
        channel, turns, arrived = caller.channel(), Turns(), list[Arrived]()
        for index, element in enumerate(elements):
            arrived.append(
                decoder.decode(trace | element, channel, received_at)
                if isinstance(element, dict)
                else NotUnderstood(
                    "invalid", (rules.NotAnEvent(f"/{index}"),), received_at, reported_by=channel.reported_by
                )
            )
            await turns.take()
        answers = await intake.submit(arrived, began) if arrived else []
        body = b'{"results":[' + b",".join(answer.receipt for answer in answers) + b"]}"
        return Response(body, media_type="application/json")

    @app.get(
        "/v1/receipts",
        summary="一份报告的回执 The receipt of a report as it stands now",
        description=(
            "以报告的 `source` 与 `id` 查询;等待的报告后来有了结果,回执随之更新(RULES A18)。\n\n"
            "By the report's `source` and `id`; the receipt of one that waited says what has become of it (RULES A18)."
        ),
        response_model=Receipt,
        responses={
            404: {"description": "没有收到过 No such report was received here"},
            422: {"description": "缺少参数 A parameter is missing"},
            503: _NOT_NOW,
        },
    )
    async def get_receipt(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        caller_of(request).must_cover(source)
        receipt = None if "\x00" in source + id else await _ask(store.receipt(source, id))
        if receipt is None:
            raise Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received here.")
        return Response(receipt, media_type="application/json")

    @app.get(
        "/v1/log/head",
        summary="日志已到之处 Where this service's log stands",
        description=("最后一条事实的位置和入账时刻。\n\nPosition of the last fact and when it was recorded."),
        response_model=ServiceLogHead,
        responses={503: _NOT_NOW},
    )
    async def get_head(
        settled: Annotated[
            bool, Query(description="先等正在进行的裁定入账 first wait for what is being decided")
        ] = False,
    ) -> Response:
        head = await _ask(store.settled_head() if settled else store.head())
        body = {"service": service, "position": head.position, "recorded_at": head.recorded_at}
        return Response(orjson.dumps(body), media_type="application/json")

    @app.get(
        "/v1/log",
        summary="本服务的事实 A page of this service's facts",
        description=(
            "按位置排列,位置连续;供对账和修复。翻页:把 `next` 作为 `after`,到头为 null。\n\n"
            "In the order of their positions, which have no gaps; for reconciling and repair. Next page: `after` ="
            " `next`, null at the end."
        ),
        response_model=LogPage,
        responses={422: {"description": "参数不正确 A parameter is wrong"}, 503: _NOT_NOW},
    )
    async def get_log(
        after: Annotated[int, Query(ge=0, le=2**62, description="在此位置之后 after this position")] = 0,
        limit: Annotated[int, Query(ge=1, le=5000, description="每页几条 how many a page")] = 1000,
    ) -> Response:
        facts = await _ask(store.log(after, limit))
        following = b"%d" % (after + limit) if len(facts) == limit else b"null"
        body = b'{"facts":[' + b",".join(facts) + b'],"next":' + following + b"}"
        return Response(body, media_type="application/json")

    if routes is not None:
        app.include_router(routes(intake))
    return app


async def _ask(query: Awaitable[T]) -> T:
    try:
        return await query
    except UNAVAILABLE:
        raise AWAY from None


def _readable(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except NotReadableError as error:
        texts = {
            "empty": ("请求体为空。", "The body is empty."),
            "not-json": ("请求体不是有效的 JSON(UTF-8)。", "The body is no valid JSON in UTF-8."),
            "not-an-object": ("请求体应为一个 JSON 对象。", "The body must be one JSON object."),
            "not-an-array": ("批量请求体应为 JSON 数组。", "The body of a batch must be a JSON array."),
        }
        raise Problem(400, *texts[str(error)]) from None


async def read_body(request: Request, largest: int) -> bytes:
    """Return a request's body; raises Problem 413 as soon as more than the largest has come."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise Problem(413, f"请求体超过 {largest} 字节。", f"The body is larger than {largest} bytes.")
        parts.append(part)
    return b"".join(parts)
