"""Which facts is a number made of: their sum is the cell, or a month of it."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, NamedTuple

import asyncpg
import orjson
from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from services.projection.assessment.assessment import Body, Scope, show_period
from services.projection.assessment.values import Cell
from services.projection.counting.periods import bounds
from services.projection.exports.workbook import csv_headers, csv_lines
from services.projection.queries.cache import KeptSums
from services.projection.queries.parameters import (
    RESPONSES,
    AfterPlace,
    AsOf,
    District,
    FormAsked,
    IndicatorNamed,
    KnownAt,
    MonthAsked,
    PeriodAsked,
    PlanNamed,
    days_of,
    indicator_of,
    period_of,
    plan_of,
    scope_of,
)
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.contract.events import format_instant
from shared.http.problems import Problem
from shared.plan.model import Indicator, Plan

_FILE: Final = "facts.sql"
_CHUNK: Final = 2000
_AFTER: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d{1,9})")


class Place(NamedTuple):
    """Where a page begins: the day from which facts count, and how many of that day stand before it."""

    day: date
    passed: int = 0


def routes(reader: SnapshotReader, sums: KeptSums, clock: Callable[[], datetime]) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])

    @router.get(
        "/{plan}/indicators/{indicator}/facts",
        summary="数字背后的事实 The facts behind a number; their sum is it",
        description=(
            "不给 `limit` 时列出全部;给了则分页:固定 `known_at`,把 `next` 作为 `after`。分子、分母总是全部之和。\n\n"
            "All of them, unless `limit` asks for a page; for the next one pin `known_at` and give `next` as `after`."
            " Numerator and denominator are always those of all."
        ),
        responses=RESPONSES,
    )
    async def get_facts(
        plan: PlanNamed,
        indicator: IndicatorNamed,
        period: PeriodAsked = None,
        district: District = None,
        month: MonthAsked = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        after: AfterPlace = None,
        limit: Annotated[
            int | None, Query(ge=1, le=5000, description="每页几条,不给则全部 how many a page; all when left out")
        ] = None,
        form: FormAsked = "json",
    ) -> Response:
        async with contextlib.AsyncExitStack() as stack:
            view = await stack.enter_async_context(reader.view())
            found = plan_of(view.compiled, plan)
            asked = scope_of(found, as_of, known_at, district, clock())
            wanted = indicator_of(found, indicator)
            number = period_of(found, wanted, period, asked.as_of)
            days = days_of(wanted, month)
            cell = _cell(view, found, wanted, number, days, asked)
            place, more = place_of(after, _first(found, wanted, number, days)), None
            rows = _rows(view, cell, place)
            if limit is not None:
                page = await view.connection.fetch(view.sql(_FILE)["facts"], *_from(cell, place), limit + 1)
                rows, more = _once(page[:limit]), _next(page, place, limit)
            if month is None:
                numerator, denominator, _ = Cell(
                    found, view.compiled, wanted, number, district, await sums.read(view, found, asked, wanted.id)
                ).at()
            else:
                numerator, denominator = map(int, (await view.connection.fetch(view.sql(_FILE)["sums"], *cell))[0])
            # Sent while they are read: a cell may be made of a million.
            held = stack.pop_all()
            if form == "csv":
                name = f"{found.id}-{indicator}-facts-{asked.as_of}.csv"
                return StreamingResponse(_csv(held, rows), headers=csv_headers(name), media_type="text/csv")
            head = {
                "plan": found.id,
                "indicator": indicator,
                "period": show_period(number),
                "month": month,
                **asked.shown(),
                "numerator": numerator,
                "denominator": denominator if wanted.is_ratio else None,
            }
            return StreamingResponse(_json(held, head, rows, more), media_type="application/json")

    return router


async def facts_of(
    view: Snapshot, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], asked: Scope
) -> AsyncIterator[list[Body]]:
    """Yield what each fact adds to a cell, in the order of the days it counts from, some at a time."""
    place = Place(_first(plan, indicator, period, days))
    async for rows in _rows(view, _cell(view, plan, indicator, period, days, asked), place):
        yield rows


def place_of(after: str | None, first: date) -> Place:
    """Return where a page begins, 0 being the start; raises Problem for what was no `next`."""
    if after in (None, "0"):
        return Place(first)
    if found := _AFTER.fullmatch(after or ""):
        with contextlib.suppress(ValueError):
            return Place(date.fromisoformat(found[1]), int(found[2]))
    raise Problem(422, "after 应为上一页的 next。", "after must be the `next` of the page before.")


def _first(plan: Plan, indicator: Indicator, period: int, days: tuple[date, date]) -> date:
    """Return the first day from which a fact can count in a cell; in a level from any."""
    return days[0] if indicator.basis == "level" else max(days[0], bounds(plan, period)[0])


def _next(page: Sequence[asyncpg.Record], place: Place, limit: int) -> str | None:
    """Return where the page after one begins, of which one row too many was read; None when there is none."""
    if len(page) <= limit:
        return None
    last = page[limit - 1]["counted_on"]
    passed = sum(row["counted_on"] == last for row in page[:limit])
    return f"{last}.{passed + (place.passed if last == place.day else 0)}"


def _cell(
    view: Snapshot, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], asked: Scope
) -> tuple[Any, ...]:
    """Return what the queries know a cell by."""
    # Before the plan nothing counts, in levels neither (RULES E13).
    lines = view.compiled.of_indicator[plan.id, indicator.id] if asked.as_of >= plan.period.first else ()
    as_of = min(asked.as_of, plan.period.last)
    return [line.number for line in lines], period, as_of, asked.known_at, *days, asked.district


def _from(cell: tuple[Any, ...], place: Place) -> tuple[Any, ...]:
    lines, period, as_of, known_at, _, last, district = cell
    return lines, period, as_of, known_at, place.day, last, district, place.passed


async def _rows(view: Snapshot, cell: tuple[Any, ...], place: Place) -> AsyncIterator[list[Body]]:
    cursor = await view.connection.cursor(view.sql(_FILE)["facts"], *_from(cell, place), None)
    while rows := await cursor.fetch(_CHUNK):
        yield [_fact(row) for row in rows]


async def _once(page: Sequence[asyncpg.Record]) -> AsyncIterator[list[Body]]:
    if page:
        yield [_fact(row) for row in page]


def _fact(row: asyncpg.Record) -> Body:
    return {
        "service": row["service"],
        "position": row["position"],
        "id": row["event_id"],
        "type": row["type"],
        "subject": row["subject"],
        "on": row["on_day"].isoformat(),
        "district": row["district"],
        "counted_on": row["counted_on"].isoformat() if row["counted_on"] else None,
        "recorded_at": format_instant(row["recorded_at"]),
        "report_source": row["report_source"],
        "report_id": row["report_id"],
        "numerator": int(row["num"]),
        "denominator": int(row["den"]),
    }


async def _json(
    held: contextlib.AsyncExitStack, head: Body, rows: AsyncIterator[list[Body]], more: str | None
) -> AsyncIterator[bytes]:
    async with held:
        yield orjson.dumps(head)[:-1] + b',"facts":['
        between = b""
        async for facts in rows:
            yield between + orjson.dumps(facts)[1:-1]
            between = b","
        yield b'],"next":' + orjson.dumps(more) + b"}"


async def _csv(held: contextlib.AsyncExitStack, rows: AsyncIterator[list[Body]]) -> AsyncIterator[bytes]:
    async with held:
        begun = False
        async for facts in rows:
            for part in csv_lines(facts, titled=not begun):
                yield part
            begun = True
        if not begun:
            yield b"\xef\xbb\xbf"
