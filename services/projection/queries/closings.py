"""Which months are closed, what was published of them, and what has moved since and why."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from services.planning.events import (
    CloseOverridden,
    Figure,
    PeriodClosed,
    RestatementRequested,
    digest_of,
)
from services.planning.months import PlanMonth, PublishedFigures, days_of, is_of, month_of
from services.projection.assessment.assessment import AssessmentBasis, Body, Scope, number
from services.projection.counting.periods import WHOLE, running_period
from services.projection.queries.cache import Heads, KeptSums
from services.projection.queries.parameters import NAMED, RESPONSES, District, KnownAt, PlanNamed, plan_of, scope_of
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.contract.events import format_instant
from shared.deciding.decider import View
from shared.http.problems import Problem
from shared.plan.model import Indicator, Plan

_FILE: Final = "closings.sql"
_PATIENCE: Final = 60.0
_MOST_FACTS: Final = 200
MonthClosed = Annotated[str, Path(description="月份 a month, YYYY-MM")]
MonthNamed = Annotated[
    str, Query(alias="month", description="月份 a month, YYYY-MM", pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")
]


def figures_of(ground: AssessmentBasis, sums: Sequence[str | None]) -> list[Figure]:
    """Return every number of a plan on the day asked for, for the whole and each of some districts."""
    return [
        figure
        for _, indicator in ground.plan.indicators.values()
        for district in sums
        if (figure := _figure(ground, indicator, district)) is not None
    ]


def _figure(ground: AssessmentBasis, indicator: Indicator, district: str | None) -> Figure | None:
    standing = ground.running(indicator, district)
    if standing is None:
        return None
    worth = standing.worth
    return Figure(
        indicator=indicator.id,
        district=district,
        period="plan" if standing.period == WHOLE else str(standing.period),
        numerator=worth.numerator,
        denominator=worth.denominator if indicator.is_ratio else None,
        value=number(worth.value),
        goal=None if standing.goal is None else number(standing.goal.value),
        met=standing.met,
    )


class _Closings:
    """Makes the answers; `ask` brings the heads of the logs up to date."""

    def __init__(
        self,
        reader: SnapshotReader,
        heads: Heads,
        ask: Callable[[bool], Awaitable[Sequence[str]]],
        sums: KeptSums,
        clock: Callable[[], datetime],
    ) -> None:
        self._reader, self._heads, self._ask, self._sums, self._clock = reader, heads, ask, sums, clock

    async def ground_of(self, view: Snapshot, plan: Plan, asked: Scope) -> AssessmentBasis:
        sums = await self._sums.read(view, plan, asked)
        return AssessmentBasis(plan, view.compiled, await view.targets(plan), sums, asked)

    async def figures(self, plan: str, month: str, known_at: str | None) -> Body:
        """Return every number at a month's end, once all that was decided by `known_at` is counted."""
        async with self._reader.view() as view:
            asked = scope_of(plan_of(view.compiled, plan), None, known_at, None, self._clock())
        await self._all_counted(asked.known_at)
        async with self._reader.view() as view:
            found = plan_of(view.compiled, plan)
            last = _last_day(found, month)
            ground = await self.ground_of(view, found, Scope(last, asked.known_at))
            figures = figures_of(ground, [None, *(one.code for one in found.districts)])
        if not figures:
            raise Problem(422, "该月没有数据。", "There are no figures for this month.")
        shown = [figure.model_dump(mode="json", exclude_none=True) for figure in figures]
        told = {"plan": plan, "month": month, "as_of": last.isoformat(), "known_at": format_instant(asked.known_at)}
        return told | {"figures": shown, "sha256": digest_of(figures)}

    async def _all_counted(self, known_at: datetime) -> None:
        """Wait until every log is counted as far as it went at an instant; raises Problem when that does not happen."""
        if known_at > self._clock():
            raise Problem(422, "known_at 在未来。", "known_at lies ahead.")
        # A transaction takes its instant before it commits: those under way now may still record an earlier one.
        services = await self._ask(True)
        wanted = {service: head[0] for service in services if (head := self._heads.head(service)) is not None}
        if missing := ", ".join(service for service in services if service not in wanted):
            raise Problem(503, f"暂时问不到:{missing}。", f"No answer now from: {missing}.", retry_after="5")
        limit = self._clock() + timedelta(seconds=_PATIENCE)
        while True:
            async with self._reader.view() as view:
                counted = {row["service"]: row["position"] for row in view.checkpoints}
            behind = ", ".join(service for service, position in wanted.items() if counted.get(service, 0) < position)
            if not behind:
                return
            if self._clock() > limit:
                raise Problem(503, f"尚未计完:{behind}。", f"Not counted yet: {behind}.", retry_after="5")
            await asyncio.sleep(0.3)

    async def closings(self, plan: str) -> Body:
        """Return the months of a plan that are closed."""
        async with self._reader.view() as view:
            found = plan_of(view.compiled, plan)
            standing = View(await view.decided())
            months = [month_of(found, name, standing) for name in _months(found, standing)]
        return {"plan": plan, "months": [_head(month) for month in months]}

    async def closing(self, plan: str, month: str, district: str | None) -> Body:
        """Return a closed month: what was published beside what is known now, and what lies between."""
        async with self._reader.view() as view:
            found = plan_of(view.compiled, plan)
            asked = scope_of(found, None, None, district, self._clock())
            if month not in _months(found, standing := View(await view.decided())):
                raise Problem(404, "这个月还没有关账。", "This month is not closed.")
            closed = month_of(found, month, standing)
            last = closed.published[-1]
            ground = await self.ground_of(view, found, Scope(closed.last, asked.known_at))
            live = {(one.indicator, one.district): one for one in figures_of(ground, [district])}
            moves = await _moves(view, found, closed, last, asked)
        figures = [
            _compared(one, live.get((one.indicator, one.district)), moves.get(one.indicator, _NOTHING))
            for one in last.figures
            if one.district == district
        ]
        checked = {"verified": digest_of(last.figures) == last.sha256, "district": district}
        return {"plan": plan} | _head(closed) | checked | {"figures": figures}


def routes(
    reader: SnapshotReader,
    heads: Heads,
    ask: Callable[[bool], Awaitable[Sequence[str]]],
    sums: KeptSums,
    clock: Callable[[], datetime],
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/plans", tags=["closings"])
    closings = _Closings(reader, heads, ask, sums, clock)

    @router.get(
        "/{plan}/figures",
        summary="某月末的各项数据 Every number at a month's end",
        description=(
            "关账时公布的就是这些,附其 SHA-256;要等到各服务的日志都计到 `known_at` 才答。\n\n"
            "What a close publishes, with its SHA-256; answered once every log is counted up to `known_at`."
        ),
        responses=RESPONSES,
    )
    async def get_figures(plan: PlanNamed, month: MonthNamed, known_at: KnownAt = None) -> Response:
        return _json(await closings.figures(plan, month, known_at))

    @router.get(
        "/{plan}/closings",
        summary="各月关账情况 The months that are closed",
        description=(
            "每个已关账的月份:公布与重述的时刻、经办人、摘要,以及未决的重述申请。\n\n"
            "Each closed month: when it was published and restated, by whom, the digest, and requests still open."
        ),
        responses=NAMED,
    )
    async def get_closings(plan: PlanNamed) -> Response:
        return _json(await closings.closings(plan))

    @router.get(
        "/{plan}/closings/{month}",
        summary="关账后有何变动 What has moved since a close",
        description=(
            "公布的数与同一天现在的数并列,其间的增减按原因和事实列出;`verified`:公布的数与其摘要相符。\n\n"
            "What was published beside what is known of that day now, and by which causes and facts they differ;"
            " `verified`: what was published agrees with its digest."
        ),
        responses=RESPONSES,
    )
    async def get_closing(plan: PlanNamed, month: MonthClosed, district: District = None) -> Response:
        return _json(await closings.closing(plan, month, district))

    return router


def _months(plan: Plan, standing: View) -> list[str]:
    """Return the months of a plan that are closed, in order."""
    return sorted({closed.month for closed, _ in standing.of(PeriodClosed) if closed.plan == plan.id})


def _last_day(plan: Plan, month: str) -> date:
    if not is_of(plan, month):
        raise Problem(422, "月份不在计划期内。", "The month lies outside the plan.")
    return min(days_of(month)[1], plan.period.last)


def _head(month: PlanMonth) -> Body:
    last = month.published[-1]
    return {
        "month": month.name,
        "as_of": month.last.isoformat(),
        "published": [
            {
                "known_at": format_instant(one.known_at),
                "recorded_at": format_instant(one.fact.recorded_at),
                "by": one.by,
                "sha256": one.sha256,
                "request_no": one.request,
                "why": _why(month, one),
            }
            for one in month.published
        ],
        "known_at": format_instant(last.known_at),
        "sha256": last.sha256,
        "overrides": [
            {"districts": list(event.districts), "by": event.by, "why": event.why}
            for event in {id(fact): fact.event for fact in month.overridden.values()}.values()
            if isinstance(event, CloseOverridden)
        ],
        "open_requests": month.open_requests,
    }


def _why(month: PlanMonth, one: PublishedFigures) -> str | None:
    asked = month.requests.get(one.request or "")
    return asked.event.why if asked is not None and isinstance(asked.event, RestatementRequested) else None


class _Moved:
    """What came after a close, for one indicator: how much more, how much less, and by which facts."""

    def __init__(self) -> None:
        self.more = self.less = 0
        self.by_cause: dict[str, dict[str, int]] = {}
        self.facts: list[Body] = []


_NOTHING: Final = _Moved()


async def _moves(
    view: Snapshot, plan: Plan, month: PlanMonth, last: PublishedFigures, asked: Scope
) -> dict[str, _Moved]:
    """Return what the ledger learned after the pinned instant about days up to the month's end."""
    lines: Mapping[int, tuple[str, int]] = {
        line.number: (line.indicator, running_period(plan, plan.indicators[line.indicator][1], month.last) or WHOLE)
        for line in view.compiled.lines
        if line.plan == plan.id
    }
    rows = await view.connection.fetch(
        view.sql(_FILE)["moved"], list(lines), [period for _, period in lines.values()], month.last, last.known_at,
        asked.known_at, asked.district,
    )  # fmt: skip
    found: dict[str, _Moved] = {}
    for row in rows:
        moved = found.setdefault(lines[row["line"]][0], _Moved())
        delta = int(row["delta"])
        part = "denominator" if row["part"] else "numerator"
        cause = moved.by_cause.setdefault(row["cause"], {"more": 0, "less": 0})
        if part == "numerator":
            moved.more += max(delta, 0)
            moved.less += max(-delta, 0)
            cause["more"] += max(delta, 0)
            cause["less"] += max(-delta, 0)
        if len(moved.facts) < _MOST_FACTS:
            moved.facts.append(
                {
                    "cause": row["cause"], "part": part, "delta": delta, "district": row["district"],
                    "service": row["service"], "position": row["position"], "id": row["event_id"],
                    "type": row["type"], "subject": row["subject"], "report_source": row["report_source"],
                    "report_id": row["report_id"], "counted_on": row["counted_on"].isoformat(),
                    "recorded_at": format_instant(row["recorded_at"]),
                }
            )  # fmt: skip
    return found


def _compared(published: Figure, live: Figure | None, moved: _Moved) -> Body:
    """Return a published number beside the live one of the same day, and what lies between them."""
    return published.model_dump(mode="json", exclude_none=True, exclude={"district"}) | {
        "live": None
        if live is None
        else live.model_dump(mode="json", include={"numerator", "denominator", "value", "goal", "met"}),
        "after_close": {"more": moved.more, "less": moved.less, "by_cause": moved.by_cause, "facts": moved.facts},
    }


def _json(body: Body) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
