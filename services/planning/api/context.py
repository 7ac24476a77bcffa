"""Context of planning's routes: the plans that are counted, the log read so far, the intake for reports."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import orjson
from fastapi import Depends, Path, Request

from services.planning.events import LANGUAGE
from services.planning.months import PlanMonth, is_of, month_of
from shared.contract.events import Fact
from shared.deciding.facts import decode_fact
from shared.deciding.view import View
from shared.http.openapi import Responses, problem_response
from shared.http.problems import Problem
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.loading import LARGEST_FILE
from shared.plan.model import Plan
from shared.process.settings import Settings
from shared.service.http_door import AWAY, read_body
from shared.service.http_reports import ReportIntake

_PAGE: Final = 1000
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_NO_PLAN: Final = Problem(404, "没有这个计划。", "There is no such plan.")
AWAY_RESPONSE: Final[Responses] = {
    503: problem_response(AWAY, "暂时不能作出决定 The service cannot decide now; try again after Retry-After"),
}
PLAN_RESPONSES: Final = AWAY_RESPONSE | {404: problem_response(_NO_PLAN, "没有这个计划 There is no such plan")}
QUERY_RESPONSES: Final = PLAN_RESPONSES | {422: {"description": "参数不正确 A parameter is wrong"}}

PlanId = Annotated[str, Path(description="计划编号 the plan's id")]
MonthName = Annotated[str, Path(description="月份 a month, YYYY-MM")]


@dataclass(slots=True)
class PlanningContext:
    """The service's plans by id, its log, and its intake."""

    intake: ReportIntake
    settings: Settings
    projection: str
    services: Mapping[str, str]
    plans: Mapping[str, Plan]
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)  # one plan file at a time, beside all else
    _facts: list[Fact] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def view(self) -> View:
        """Return the facts in force; reads only those recorded since the last call. Raises Problem 503."""
        async with self._lock:
            while True:
                try:
                    page = await self.intake.handler.store.log(len(self._facts), _PAGE)
                except UNAVAILABLE:
                    raise AWAY from None
                self._facts += [decode_fact({LANGUAGE.service: LANGUAGE}, orjson.loads(raw), ()) for raw in page]
                if len(page) < _PAGE:
                    return View(self._facts)

    def plan(self, plan_id: str) -> Plan:
        """Return a plan; raises Problem 404."""
        if plan_id not in self.plans:
            raise _NO_PLAN
        return self.plans[plan_id]

    async def month(self, plan: Plan, name: str) -> PlanMonth:
        """Return the present state of a month; raises Problem 422 for a month outside the plan."""
        if not _MONTH.fullmatch(name) or not is_of(plan, name):
            raise Problem(422, "月份应为计划期内的 YYYY-MM。", "The month must be YYYY-MM within the plan.")
        return month_of(plan, name, await self.view())


def _context_of(request: Request) -> PlanningContext:
    context: PlanningContext = request.state.planning
    return context


Context = Annotated[PlanningContext, Depends(_context_of)]


def other_type(taken: Sequence[str]) -> Problem:
    """Return the problem of a body of another content type than those taken."""
    named = " / ".join(taken)
    return Problem(415, f"请使用 Content-Type {named}。", f"Use Content-Type {named}.")


def taking(*content_types: str) -> Responses:
    """Return how a route declares that it takes these content types alone."""
    return {415: problem_response(other_type(content_types), "内容类型不符 Another content type")}


async def text_of(request: Request, *content_types: str) -> str:
    """Return a request's body as text, read no further than its limit; raises Problem 415, 413 or 400.

    `content_types`: those taken; a browser asks before it sends one of them for a page of elsewhere.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in content_types:
        raise other_type(content_types)
    raw = await read_body(request, LARGEST_FILE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, "请求体不是 UTF-8。", "The body is not in UTF-8.") from None
