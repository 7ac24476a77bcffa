"""HTTP API of a domain service: reports in, receipts out; concurrent requests share one transaction."""

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request, Response

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
from shared.contract.decoder import Channel
from shared.contract.events import Fact, NotUnderstood, Report
from shared.contract.messages import (
    BatchReceipts,
    FactToRecord,
    Receipt,
    ValidatedReceipt,
    ValidatedReceipts,
)
from shared.contract.unreadable import first_seen
from shared.deciding.unit_of_work import Answer
from shared.http.access import Caller, caller_of
from shared.http.api_keys import Role
from shared.http.openapi import describe
from shared.http.problems import Problem, answer_problems
from shared.log.checkpoints import LogSigner
from shared.observability.tracing import HEADER
from shared.observability.turns import Turns
from shared.observability.unavailable import UNAVAILABLE
from shared.process.process import end_process_if_failed
from shared.service import http_log, http_receipts
from shared.service.command_handler import CommandHandler, Preview
from shared.service.http_door import (
    AWAY,
    LARGEST_BATCH,
    LARGEST_EVENT,
    MOST_EVENTS,
    OTHER_TYPE,
    REPORT_BODIES,
    SAID_OF_EVENTS,
    SAID_OF_VALIDATE,
    TOO_MANY_EVENTS,
    answer_of,
    read_body,
    report_responses,
)

_MOST_TOGETHER: Final = 200  # measured: fewer cost more statements, more cost more memory at a time
_AT_ONCE: Final = 2  # groups
_STATUS: Final = {"accepted": 200, "duplicate": 200, "waiting": 202}
_log = structlog.get_logger()

Arrived = Report | NotUnderstood
T = TypeVar("T")


class GroupCommit:
    """Gathers what concurrent requests bring into one transaction after another."""

    def __init__(self, handler: CommandHandler) -> None:
        self._handler = handler
        self._queue = deque[tuple[Sequence[Arrived], asyncio.Future[list[Answer]]]]()
        self._queued = 0  # reports
        self._arrived = asyncio.Event()

    async def submit(self, items: Sequence[Arrived]) -> list[Answer]:
        """Return the answers once they are committed; raises one of `UNAVAILABLE` when the database is away."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._queue.append((items, future))
        self._queued += len(items)
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Decide what has been submitted, until cancelled.

        Where there is enough for it, the next group begins while the database still works for the one before: the lock
        of the log keeps them apart.
        """
        async with asyncio.TaskGroup() as tasks:
            deciding = set[asyncio.Task[None]]()
            while True:
                await self._arrived.wait()
                if len(deciding) >= (_AT_ONCE if self._queued >= _MOST_TOGETHER else 1):
                    _, deciding = await asyncio.wait(deciding, return_when=asyncio.FIRST_COMPLETED)
                    continue
                deciding.add(tasks.create_task(self._decide(self._take())))

    def _take(self) -> list[tuple[Sequence[Arrived], asyncio.Future[list[Answer]]]]:
        """Return the next group, of one request at least."""
        group = [self._queue.popleft()]
        taken = len(group[0][0])
        while self._queue and taken + len(self._queue[0][0]) <= _MOST_TOGETHER:
            group.append(self._queue.popleft())
            taken += len(group[-1][0])
        self._queued -= taken
        if not self._queue:
            self._arrived.clear()
        return group

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
class ReceivedReports:
    """What a request brought: one report, or a batch of them."""

    items: Sequence[Arrived]
    is_batch: bool

    def response(self, statuses: Sequence[str], bodies: Sequence[bytes]) -> Response:
        """Return the response that gives each of them its answer."""
        if not self.is_batch:
            return Response(bodies[0], _STATUS.get(statuses[0], 422), media_type="application/json")
        return Response(b'{"results":[' + b",".join(bodies) + b"]}", media_type="application/json")


@dataclass(frozen=True, slots=True)
class ReportIntake:
    """Decides reports that came over HTTP; a service's own routes use it, too.

    `reporters`: whose keys may report every type; others that may report at all, the whole area's own types alone (G4).
    """

    handler: CommandHandler
    group: GroupCommit
    reporters: frozenset[Role]

    async def receive(self, request: Request) -> ReceivedReports:
        """Read and decode what a request brings; raises Problem where that is no event and no batch."""
        caller = caller_of(request)
        mode = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        received_at = datetime.now(UTC)
        # The request's own trace, where the event has none.
        trace = {HEADER: request.headers[HEADER]} if HEADER in request.headers else {}
        if mode == BATCH:
            raw = await read_body(request, LARGEST_BATCH)
            return await self._batch(_readable(lambda: parse_array(raw), raw), caller, received_at, trace)
        if mode not in (STRUCTURED, "application/json"):
            raise OTHER_TYPE
        raw = await read_body(request, LARGEST_EVENT)
        if mode == "application/json" and any(name.startswith("ce-") for name in request.headers):
            envelope = _readable(lambda: from_http_headers(request.headers, raw), raw)
        elif mode == "application/json" and raw.lstrip()[:1] == b"[":
            return await self._batch(_readable(lambda: parse_array(raw), raw), caller, received_at, trace)
        else:
            envelope = _readable(lambda: parse_object(raw), raw)
        arrived = self.handler.decoder.decode(trace | envelope, self._channel(caller), received_at)
        return ReceivedReports([arrived], is_batch=False)

    def _channel(self, caller: Caller) -> Channel:
        every = caller.key is None or caller.key.role in self.reporters
        return caller.channel() if every else dataclasses.replace(caller.channel(), whole_only=True)

    async def _batch(
        self, elements: list[object], caller: Caller, received_at: datetime, trace: dict[str, str]
    ) -> ReceivedReports:
        if len(elements) > MOST_EVENTS:
            raise TOO_MANY_EVENTS
        caller.spend(max(len(elements) - 1, 0))  # access control counted one
        channel, turns, arrived = self._channel(caller), Turns(), list[Arrived]()
        for index, element in enumerate(elements):
            arrived.append(
                self.handler.decoder.decode(trace | element if trace else element, channel, received_at)
                if isinstance(element, dict)
                else NotUnderstood(
                    "invalid", (rules.NotAnEvent(f"/{index}"),), received_at, reported_by=channel.reported_by
                )
            )
            await turns.take()
        return ReceivedReports(arrived, is_batch=True)

    async def report(self, envelope: JsonObject, caller: Caller, received_at: datetime, began: int) -> Response:
        """Decide one report; the answer is its receipt."""
        arrived = self.handler.decoder.decode(envelope, caller.channel(), received_at)
        return await self.answer(ReceivedReports([arrived], is_batch=False), began)

    async def answer(self, received: ReceivedReports, began: int) -> Response:
        """Decide what was received; the answer is the receipts."""
        answers = await self.submit(received.items, began) if received.items else []
        return received.response([answer.status for answer in answers], [answer.receipt for answer in answers])

    async def submit(self, arrived: Sequence[Arrived], began: int) -> list[Answer]:
        """Decide what arrived, in order; raises Problem while the database is away."""
        self.handler.tracing.receive((item for item in arrived if isinstance(item, Report)), began)
        try:
            return await self.group.submit(arrived)
        except UNAVAILABLE:
            raise AWAY from None

    async def preview(self, received: ReceivedReports) -> Response:
        """Answer what was received as it would be decided now, with the facts that would be recorded; nothing is."""
        previews = await answer_of(self.handler.preview(received.items)) if received.items else []
        return received.response([preview.answer.status for preview in previews], [*receipts_of(previews)])


def receipts_of(previews: Iterable[Preview]) -> Iterator[bytes]:
    """Yield the receipts of previews, without hashes of what will never be recorded, be it a report or its first."""
    tried = set[tuple[str | None, str | None]]()
    for preview in previews:
        receipt = orjson.loads(preview.answer.receipt)
        key = receipt.get("source"), receipt.get("id")
        receipt.pop("sha256", None)
        if "first" not in receipt:
            tried.add(key)
        elif key in tried:
            receipt["first"].pop("sha256", None)
        yield orjson.dumps(receipt | {"facts": [*map(_plain, preview.facts)]})


def _plain(fact: Fact) -> FactToRecord:
    """Return a fact that would be recorded, without who it is about: a token leads to other facts of that person."""
    data = {name: value for name, value in fact.body.items() if name != "person"}
    return {"type": fact.type, "subject": fact.stream, "district": fact.district, "time": fact.time, "data": data}


Routes = Callable[[ReportIntake], APIRouter]


def create_app(
    handler: CommandHandler,
    reporters: frozenset[Role] = frozenset({Role.DISTRICT}),
    routes: Routes | None = None,
    signer: LogSigner | None = None,
) -> FastAPI:
    """Return the HTTP side of a domain service: `/v1/events`, `/v1/receipts`, `/v1/log…`.

    `reporters`: whose keys may report every type here. `routes`: what the service answers besides. `signer`: of its
    log's checkpoints.
    """
    group, store, service = GroupCommit(handler), handler.store, handler.service
    intake = ReportIntake(handler, group, reporters)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        committing = asyncio.create_task(group.run())
        committing.add_done_callback(end_process_if_failed)
        yield
        committing.cancel()

    # Its pages of documentation would have scripts fetched from elsewhere.
    app = FastAPI(
        title=f"Skillplan {service}", version="1", summary="报送与回执 Reports in, receipts out", lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    answer_problems(app)
    describe(app, service)

    @app.post(
        "/v1/events",
        summary="报送一份或一批 Report one event or a batch; the answer is its receipt",
        description=SAID_OF_EVENTS,
        openapi_extra=REPORT_BODIES,
        response_model=Receipt | BatchReceipts,
        responses=report_responses(Receipt),
    )
    async def post_events(request: Request) -> Response:
        began = handler.tracing.now()
        return await intake.answer(await intake.receive(request), began)

    @app.post(
        "/v1/validate",
        summary="试报 Ask what a report or a batch would be answered now; nothing is recorded",
        description=SAID_OF_VALIDATE,
        openapi_extra=REPORT_BODIES,
        response_model=ValidatedReceipt | ValidatedReceipts,
        responses=report_responses(ValidatedReceipt),
    )
    async def validate(request: Request) -> Response:
        return await intake.preview(await intake.receive(request))

    app.include_router(http_receipts.router_of(store))
    http_log.add_routes(app, store, service, signer)

    if routes is not None:
        app.include_router(routes(intake))
    return app


def _readable(parse: Callable[[], T], raw: bytes) -> T:
    try:
        return parse()
    except NotReadableError as error:
        seen = first_seen(raw, str(error))
        not_json = (f"请求体不是有效的 JSON(UTF-8):{seen.zh}。", f"The body is not valid JSON in UTF-8: {seen.en}.")
        texts = {
            "empty": ("请求体为空。", "The body is empty."),
            "not-json": not_json,
            "not-an-object": ("请求体应为一个 JSON 对象。", "The body must be one JSON object."),
            "not-an-array": ("批量请求体应为 JSON 数组。", "The body of a batch must be a JSON array."),
        }
        raise Problem(400, *texts[str(error)]) from None
