"""Decides when an open page is told that numbers have moved: one look at the checkpoints for all who listen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.projection.queries.cache import Heads, complete_to
from services.projection.queries.parameters import NAMED, PlanNamed
from services.projection.queries.snapshot import SnapshotReader
from services.projection.receipts.query import heard
from shared.contract.events import SHANGHAI
from shared.http.problems import Problem

_EVERY_SECONDS: Final = 0.25  # a page is told at most so often, whatever flows in
_HEARTBEAT_SECONDS: Final = 5.0
_MOST_LISTENERS: Final = 1000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beat:
    """What was seen last: `state` differs whenever any number may."""

    state: tuple[object, ...]
    plans: frozenset[str]
    day: str
    behind: int | None


class CheckpointWatch:
    """Looks at the checkpoints while anybody listens."""

    def __init__(self, reader: SnapshotReader, heads: Heads, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self._heads = heads
        self._clock = clock
        self._listeners = 0
        self._wanted = asyncio.Event()
        self._seen = asyncio.Condition()
        self._beat: Beat | None = None

    async def run(self) -> None:
        """Look until cancelled; what cannot be read now is looked at again."""
        while True:
            await self._wanted.wait()
            try:
                beat = await self._look()
            except Problem as problem:
                _log.warning("live.not-read", why=problem.en)
            else:
                async with self._seen:
                    self._beat = beat
                    self._seen.notify_all()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _look(self) -> Beat:
        async with self._reader.view() as view:
            receipts = await heard(view.connection)
        behind = [one["behind_events"] for one in complete_to(view.checkpoints, self._heads).values()]
        return Beat(
            (view.state, receipts),
            frozenset(view.compiled.plans),
            self._clock().astimezone(SHANGHAI).date().isoformat(),
            None if None in behind else sum(behind),
        )

    def admit(self) -> None:
        """Raise Problem when too many listen already."""
        if self._listeners >= _MOST_LISTENERS:
            raise Problem(503, "实时连接过多,请稍后再试。", "Too many live connections; try again.", retry_after="30")

    async def beats(self) -> AsyncIterator[tuple[Beat, bool]]:
        """Yield at once, then whenever something moved, and now and then without; with whether it moved."""
        self._listeners += 1
        self._wanted.set()
        told: Beat | None = None
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_SECONDS), self._seen:
                        while self._beat is None or self._beat == told:
                            await self._seen.wait()
                if self._beat is not None:
                    moved = told is None or told.state != self._beat.state
                    told = self._beat
                    yield told, moved
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._wanted.clear()
                self._beat = None


def routes(reader: SnapshotReader, pulse: CheckpointWatch) -> APIRouter:
    """Return the stream that an open page follows."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])

    async def known(plan: PlanNamed) -> str:
        pulse.admit()  # here, since a stream that has begun can answer no problem
        async with reader.view() as view:
            if plan not in view.compiled.plans:
                raise Problem(404, "没有这个计划。", "There is no such plan.")
        return plan

    @router.get(
        "/{plan}/stream",
        summary="实时 Told whenever numbers have moved, as server-sent events",
        description=(
            "每次数字变动时发送一条事件(最多每 250 毫秒一条),另有心跳;内容为 `moved`(自上一条以来是否变动)、"
            "`day`(上海的今天)、`behind`(尚未计入的事实数,有服务无应答时为 null)。\n\n"
            "An event whenever numbers have moved (at most one in 250 ms) and a heartbeat besides: `moved` (since the"
            " event before), `day` (today in Shanghai), `behind` (facts not counted yet; null while a service does not"
            " answer)."
        ),
        response_class=EventSourceResponse,
        responses=NAMED,
    )
    async def get_stream(plan: Annotated[str, Depends(known)]) -> AsyncIterator[ServerSentEvent]:
        async for beat, moved in pulse.beats():
            if plan not in beat.plans:
                return
            body: dict[str, Any] = {"moved": moved, "day": beat.day, "behind": beat.behind}
            yield ServerSentEvent(data=body)

    return router
