"""The HTTP door of a domain service: reports in, receipts out; concurrent requests share one transaction."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared import rules
from shared.batch import Answer
from shared.bindings import BATCH, STRUCTURED, NotReadableError, from_http_headers, parse_array, parse_object
from shared.command_handler import CommandHandler
from shared.event_store import UNAVAILABLE
from shared.events import NotUnderstood, Report
from shared.gate import Caller, Problem, caller_of, problem_of
from shared.keys import Role
from shared.process import end_process_if_failed
from shared.tracing import HEADER

_LARGEST_EVENT: Final = 1024 * 1024
_LARGEST_BATCH: Final = 4 * 1024 * 1024
_MOST_EVENTS: Final = 1000  # RULES A16
_MOST_TOGETHER: Final = 500
_EVENT: Final = {"type": "object", "required": ["specversion", "id", "source", "type", "subject", "time", "district"]}
_BODIES: Final = {STRUCTURED: {"schema": _EVENT}, BATCH: {"schema": {"type": "array", "items": _EVENT}}}
_STATUS: Final = {"accepted": 200, "duplicate": 200, "waiting": 202}
_log = structlog.get_logger()

__all__ = ["AWAY", "GroupCommit", "Problem", "answer_problems", "create_app"]
Arrived = Report | NotUnderstood
T = TypeVar("T")


AWAY: Final = Problem(
    503,
    "服务暂时无法作出决定(数据库不可用),请稍后重发。",
    "The service cannot decide now (database away); send it again.",
    retry_after="2",
)


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
            # One report must not take its neighbours down with it.
            for single in group:
                await self._decide([single])
        else:
            for items, future in group:
                own = [next(answers) for _ in items]
                if not future.done():
                    future.set_result(own)


def _settle(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where reports are decided that came over HTTP; a service's own routes work with it, too."""

    handler: CommandHandler
    group: GroupCommit

    async def report(self, envelope: Mapping[str, Any], caller: Caller, received_at: datetime, began: int) -> Response:
        """Decide one report; the answer is its receipt."""
        arrived = self.handler.decoder.decode(envelope, caller.door(), received_at)
        answer = (await self.submit([arrived], began))[0]
        return Response(answer.receipt, _STATUS.get(answer.status, 422), media_type="application/json")

    async def submit(self, arrived: Sequence[Arrived], began: int) -> list[Answer]:
        """Decide what arrived, in order; raises Problem while the database is away."""
        self.handler.tracing.receive((item for item in arrived if isinstance(item, Report)), began)
        try:
            return await self.group.submit(arrived)
        except UNAVAILABLE:
            raise AWAY from None


Routes = Callable[[Desk], APIRouter]


def create_app(
    handler: CommandHandler,
    reporters: frozenset[Role] = frozenset({Role.DISTRICT}),
    routes: Routes | None = None,
) -> FastAPI:
    """Return the HTTP side of a domain service: `/v1/events`, `/v1/receipts`, `/v1/log`, `/v1/log/head`.

    `reporters`: whose keys may report here. `routes`: what the service answers besides.
    """
    group, decoder, store, service = GroupCommit(handler), handler.decoder, handler.store, handler.service
    desk = Desk(handler, group)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        committing = asyncio.create_task(group.run())
        committing.add_done_callback(end_process_if_failed)
        yield
        committing.cancel()

    # Its pages of documentation would have scripts fetched from elsewhere.
    app = FastAPI(
        title=f"Skillplan {service}", version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    answer_problems(app)

    @app.post(
        "/v1/events",
        summary="Report one event or a batch; the answer is its receipt",
        openapi_extra={"requestBody": {"required": True, "content": _BODIES}},
        responses={
            200: {"description": "Accepted, or a duplicate; for a batch: the receipts in the order sent"},
            202: {"description": "Waiting for something not reported yet"},
            400: {"description": "No JSON"},
            401: {"description": "No key, or none that is valid"},
            403: {"description": "The role of the key does not allow this"},
            408: {"description": "The request did not arrive in time"},
            413: {"description": "Too large, or too many events"},
            415: {"description": "Another content type"},
            422: {"description": "Refused, invalid or misdirected: the receipt says why"},
            429: {"description": "More than the key's rate allows; send it again after Retry-After"},
            503: {"description": "The service cannot decide now; send it again after Retry-After"},
        },
    )
    async def post_events(request: Request) -> Response:
        caller = caller_of(request).being(reporters)
        mode = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        received_at, began = datetime.now(UTC), handler.tracing.now()
        # The request's own trace, where the event has none.
        trace = {HEADER: request.headers[HEADER]} if HEADER in request.headers else {}
        if mode == BATCH:
            raw = await _read(request, _LARGEST_BATCH)
            return await batch(_readable(lambda: parse_array(raw)), caller, received_at, trace, began)
        if mode not in (STRUCTURED, "application/json"):
            raise Problem(
                415, f"请使用 Content-Type {STRUCTURED} 或 {BATCH}。", f"Use Content-Type {STRUCTURED} or {BATCH}."
            )
        raw = await _read(request, _LARGEST_EVENT)
        if mode == "application/json" and any(name.startswith("ce-") for name in request.headers):
            envelope = _readable(lambda: from_http_headers(request.headers, raw))
        elif mode == "application/json" and raw.lstrip()[:1] == b"[":
            return await batch(_readable(lambda: parse_array(raw)), caller, received_at, trace, began)
        else:
            envelope = _readable(lambda: parse_object(raw))
        return await desk.report(trace | envelope, caller, received_at, began)

    async def batch(
        elements: list[Any], caller: Caller, received_at: datetime, trace: dict[str, str], began: int
    ) -> Response:
        if len(elements) > _MOST_EVENTS:
            raise Problem(413, f"每批最多 {_MOST_EVENTS} 条。", f"A batch holds at most {_MOST_EVENTS} events.")
        caller.spend(max(len(elements) - 1, 0))  # one was counted at the gate
        door = caller.door()
        arrived = [
            decoder.decode(trace | element, door, received_at)
            if isinstance(element, dict)
            else NotUnderstood("invalid", (rules.NotAnEvent(f"/{index}"),), received_at)
            for index, element in enumerate(elements)
        ]
        answers = await desk.submit(arrived, began) if arrived else []
        body = b'{"results":[' + b",".join(answer.receipt for answer in answers) + b"]}"
        return Response(body, media_type="application/json")

    @app.get("/v1/receipts", summary="The receipt of a report as it stands now (RULES A18)")
    async def get_receipt(request: Request, source: str, id: str) -> Response:
        caller_of(request).must_cover(source)
        receipt = None if "\x00" in source + id else await _ask(store.receipt(source, id))
        if receipt is None:
            raise Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received here.")
        return Response(receipt, media_type="application/json")

    @app.get("/v1/log/head", summary="Where this service's log stands")
    async def get_head(
        settled: Annotated[
            bool, Query(description="先等正在进行的裁定入账 first wait for what is being decided")
        ] = False,
    ) -> Response:
        head = await _ask(store.settled_head() if settled else store.head())
        shown = {"service": service, "position": head["position"], "recorded_at": head["recorded_at"]}
        return Response(orjson.dumps(shown), media_type="application/json")

    @app.get("/v1/log", summary="A page of this service's facts, for reconciling and repair")
    async def get_log(
        after: Annotated[int, Query(ge=0, le=2**62)] = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
    ) -> Response:
        facts = await _ask(store.log(after, limit))
        return Response(b'{"facts":[' + b",".join(facts) + b"]}", media_type="application/json")

    if routes is not None:
        app.include_router(routes(desk))
    return app


def answer_problems(app: FastAPI) -> None:
    """Answer every error as problem+json in both languages; a text never quotes what was sent."""

    @app.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        names = ", ".join(sorted({str(fault["loc"][-1]) for fault in error.errors()}))
        return Problem(422, f"请求参数缺失或不正确:{names}。", f"Missing or wrong in the request: {names}.").response()

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        return problem_of(error.status_code, **dict(error.headers or {})).response()

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return problem_of(408).response()  # nobody is there to read it

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return problem_of(500).response()


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


async def _read(request: Request, largest: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise Problem(413, f"请求体超过 {largest} 字节。", f"The body is larger than {largest} bytes.")
        parts.append(part)
    return b"".join(parts)
