"""Is there anything new: a server-sent event whenever the numbers of a plan may have changed."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from typing_extensions import TypedDict

from services.projection.assessment.representation import Day
from services.projection.queries.context import context_of
from services.projection.queries.parameters import NAMED, PlanNamed, plan_of
from shared.http.access import caller_of

router = APIRouter(prefix="/v1/plans", tags=["progress"])


class StreamEvent(TypedDict):
    """The data of one event; `behind` is null while a service does not answer."""

    moved: bool
    day: Day
    behind: int | None


def _key_of(request: Request) -> str | None:
    key = caller_of(request).key
    return key.id if key else None


async def _known_plan(plan: PlanNamed, request: Request) -> str:
    context = context_of(request)
    context.watch.admit(_key_of(request))  # here, since a stream that has begun cannot respond with a problem
    async with context.reader.view() as view:
        plan_of(view.compiled, plan)
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
    responses=NAMED | {200: {"model": StreamEvent}},
)
async def get_stream(plan: Annotated[str, Depends(_known_plan)], request: Request) -> AsyncIterator[ServerSentEvent]:
    """Send an event at each change until the plan is no longer counted."""
    context = context_of(request)
    async for beat, moved in context.watch.beats(_key_of(request)):
        if plan not in beat.plans:
            return
        event: StreamEvent = {"moved": moved, "day": beat.day, "behind": beat.behind}
        yield ServerSentEvent(data=event)
