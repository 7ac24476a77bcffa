"""Which facts is a number made of: their sum is the cell, or a month of it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Final, NamedTuple

import asyncpg
import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse
from typing_extensions import TypedDict

from services.projection.assessment.assessment import Scope
from services.projection.assessment.representation import (
    BilingualText,
    Day,
    MonthName,
    PeriodName,
    ScopeFields,
    scope_fields,
)
from services.projection.assessment.values import Cell
from services.projection.contract import type_name
from services.projection.counting.periods import bounds, period_name
from services.projection.exports import sheets
from services.projection.exports.csv import columns_of, csv_file, csv_parts
from services.projection.exports.names import NAMES, PlanNames
from services.projection.exports.sheets import ListingColumn, download, listing
from services.projection.exports.spool import spooled
from services.projection.exports.wording import exact
from services.projection.queries.context import context_of
from services.projection.queries.others import FactCount, FactSieve
from services.projection.queries.parameters import (
    RESPONSES,
    AfterCursor,
    AsOf,
    District,
    IndicatorNamed,
    KnownAt,
    Lang,
    ListingForm,
    MonthNamed,
    PeriodNamed,
    PlanNamed,
    days_of,
    indicator_of,
    language_of,
    page_of,
    period_of,
    plan_of,
    wrong_cursor,
)
from services.projection.queries.snapshot import Snapshot
from shared.contract.events import format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.http.visibility import visibility_of
from shared.plan.model import Indicator, Plan

_FILE: Final = "facts.sql"
_READ: Final = 100
_STEP: Final = 20  # encoded and written in a millisecond, after which others have their turn
_DAY: Final = "counted_on"
_AFTER: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([0-9]{1,9})")
router = APIRouter(prefix="/v1/plans", tags=["progress"])


class CountedFact(TypedDict):
    """A fact behind a number: what it adds to numerator and denominator, and from which day on."""

    service: str
    position: int
    id: str
    type: str
    subject: str
    on: Day
    district: DistrictCode
    counted_on: Day | None
    recorded_at: Instant
    report_source: str
    report_id: str
    reportedby: str | None
    numerator: int
    denominator: int


_COLUMNS: Final = columns_of(CountedFact)
_WITH_COUNTS: Final = (*_COLUMNS, "count")


class _Head(ScopeFields):
    indicator: str
    period: PeriodName
    month: MonthName | None
    numerator: int
    denominator: int | None


class CountedFacts(_Head):
    """The facts behind a cell or a month of it, all or a page; numerator and denominator are always those of all.

    `facts`: those that the caller may see (RULES G6); `others`: how many there are besides, by the day they count from
    and type, null where figures are all that may be seen.
    """

    facts: list[CountedFact]
    others: list[FactCount] | None
    next: str | None


class Place(NamedTuple):
    """Where a page begins: the day from which facts count, and how many of that day come before it."""

    day: date
    passed: int = 0


class _CellDays(NamedTuple):
    """A cell, or the part of it that counts from some days on, as the queries know it."""

    lines: list[int]
    period: int
    as_of: date
    known_at: datetime
    first: date
    last: date
    district: str | None


@router.get(
    "/{plan}/indicators/{indicator}/facts",
    summary="数字背后的事实 The facts behind a number; their sum is it",
    description=(
        "不给 `limit` 时列出全部;给了则分页:固定 `known_at`,把 `next` 作为 `after`。分子、分母总是全部之和。"
        "区县的密钥只见本区县报告的事实,其他区县的按日、类型计数,列在 `others`;只看数字的密钥两者皆无。\n\n"
        "All of them, unless `limit` asks for a page; for the next one pin `known_at` and give `next` as `after`."
        " Numerator and denominator are always those of all. A district's key sees the facts that its district"
        " reported, and of others' how many a day and a type, in `others`; a reader's key sees neither."
    ),
    response_model=CountedFacts,
    responses=RESPONSES,
)
async def get_facts(
    request: Request,
    plan: PlanNamed,
    indicator: IndicatorNamed,
    period: PeriodNamed = None,
    district: District = None,
    month: MonthNamed = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    after: AfterCursor = None,
    limit: Annotated[
        int | None, Query(ge=1, le=5000, description="每页几条,不给则全部 how many a page; all when left out")
    ] = None,
    form: ListingForm = "json",
    lang: Lang = None,
) -> Response:
    """Respond with the facts of a cell, a million maybe, once they are read and the connection is given back."""
    context = context_of(request)
    async with context.reader.view(exports=limit is None) as view:
        plan_read = plan_of(view.compiled, plan)
        sieve = FactSieve(visibility_of(request, plan_read.successors))
        scope = context.scope(plan_read, as_of, known_at, district)
        wanted = indicator_of(plan_read, indicator)
        number = period_of(plan_read, wanted, period, scope.as_of)
        days = days_of(wanted, month)
        cell = _cell(view, plan_read, wanted, number, days, scope)
        place, following = place_of(after, cell.first), None
        batches = _batches(view, cell, place)
        if limit is not None:
            rows = await view.connection.fetch(view.sql(_FILE)["facts"], *_from(cell, place), limit + 1)
            page = page_of(rows, limit, lambda page: _cursor(page, place))
            batches, following = _in_steps(page.rows), page.next
        if month is None:
            sums = await context.sums.read(view, plan_read, scope, wanted.id)
            numerator, denominator, _ = Cell(plan_read, view.compiled, wanted, number, district, sums).at()
        else:
            (row,) = await view.connection.fetch(view.sql(_FILE)["sums"], *cell._replace(first=days[0]))
            numerator, denominator = int(row["num"]), int(row["den"])
        file_name = f"{plan_read.id}-{indicator}-facts-{scope.as_of}.{form}"
        if form == "csv":
            columns = _COLUMNS if sieve.seen_all else _WITH_COUNTS
            return csv_file(await spooled(csv_parts(_rows(batches, sieve), columns)), file_name)
        if form == "xlsx":
            names = PlanNames(plan_read, language_of(request, lang))
            listed = _listed(names, wanted, counts=not sieve.seen_all)
            sheet = f"{indicator} {'事实' if names.language == 'zh' else 'Facts'}"
            return download(await listing(_rows(batches, sieve), listed, sheet, names.language), file_name)
        fields = scope_fields(plan_read.id, scope)
        head: _Head = {
            "plan": fields["plan"],
            "indicator": indicator,
            "period": period_name(number),
            "month": month,
            "as_of": fields["as_of"],
            "known_at": fields["known_at"],
            "district": fields["district"],
            "numerator": numerator,
            "denominator": denominator if wanted.is_ratio else None,
        }
        return StreamingResponse(await spooled(_json(head, batches, sieve, following)), media_type="application/json")


async def facts_of(
    view: Snapshot, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], scope: Scope
) -> AsyncIterator[list[CountedFact]]:
    """Yield the facts of a cell in batches, in the order of the days from which they count."""
    cell = _cell(view, plan, indicator, period, days, scope)
    async for facts in _batches(view, cell, Place(cell.first)):
        yield facts


def place_of(after: str | None, first: date) -> Place:
    """Return where a page begins, 0 being the start; raises Problem for what is no `next`."""
    if after in (None, "0"):
        return Place(first)
    if match := _AFTER.fullmatch(after or ""):
        with contextlib.suppress(ValueError):
            return Place(date.fromisoformat(match[1]), int(match[2]))
    raise wrong_cursor()


def _cursor(page: Sequence[asyncpg.Record], place: Place) -> str:
    last = page[-1]["counted_on"]
    passed = sum(row["counted_on"] == last for row in page)
    return f"{last}.{passed + (place.passed if last == place.day else 0)}"


def _cell(
    view: Snapshot, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], scope: Scope
) -> _CellDays:
    # Before the plan nothing counts, in levels neither (RULES E13); in a level a fact of any day may.
    lines = view.compiled.of_indicator[plan.id, indicator.id] if scope.as_of >= plan.period.first else ()
    first = days[0] if indicator.basis == "level" else max(days[0], bounds(plan, period)[0])
    as_of = min(scope.as_of, plan.period.last)
    return _CellDays([line.number for line in lines], period, as_of, scope.known_at, first, days[1], scope.district)


def _from(cell: _CellDays, place: Place) -> tuple[object, ...]:
    return *cell._replace(first=place.day), place.passed


async def _batches(view: Snapshot, cell: _CellDays, place: Place) -> AsyncIterator[list[CountedFact]]:
    cursor = await view.connection.cursor(view.sql(_FILE)["facts"], *_from(cell, place), None)
    while rows := await cursor.fetch(_READ):
        async for facts in _in_steps(rows):
            yield facts


async def _in_steps(rows: Sequence[asyncpg.Record]) -> AsyncIterator[list[CountedFact]]:
    for begin in range(0, len(rows), _STEP):
        await asyncio.sleep(0)
        yield [_fact(row) for row in rows[begin : begin + _STEP]]


async def _rows(
    batches: AsyncIterator[list[CountedFact]], sieve: FactSieve
) -> AsyncIterator[Sequence[Mapping[str, object]]]:
    """Yield the facts that the caller sees, then the counts of others; with a column more, `count`."""
    if sieve.seen_all:
        async for facts in batches:
            yield facts
        return
    blank = dict.fromkeys(_WITH_COUNTS)
    async for facts in batches:
        if rows := [{**fact, "count": 1} for fact in sieve.seen(facts, _DAY)]:
            yield rows
    if counts := sieve.others():
        yield [blank | {_DAY: row["day"], "type": row["type"], "count": row["count"]} for row in counts]


def _listed(names: PlanNames, indicator: Indicator, *, counts: bool) -> Sequence[ListingColumn[Mapping[str, object]]]:
    """Return the columns of a listing to read; `counts`: whether a row may stand for several facts of others."""

    def day(name: str) -> Callable[[Mapping[str, object]], sheets.Cell]:
        return lambda it: date.fromisoformat(str(it[name])) if it[name] else None

    def same(name: str) -> Callable[[Mapping[str, object]], sheets.Cell]:
        def cell(it: Mapping[str, object]) -> sheets.Cell:
            value = it[name]
            return value if isinstance(value, str | int) else None

        return cell

    def number(name: str) -> Callable[[Mapping[str, object]], sheets.Cell]:
        return lambda it: exact(value, indicator.unit) if isinstance(value := it[name], int) else None

    adds = NAMES["difference.numerator" if indicator.is_ratio else "facts.adds"]
    unit = "" if indicator.is_ratio else f"({names.unit(indicator.id)})"
    title: BilingualText = {"zh": adds["zh"] + unit, "en": f"{adds['en']} {unit}".strip()}
    numbers = [ListingColumn(title, 16, number("numerator"))]
    if indicator.is_ratio:
        numbers.append(ListingColumn(NAMES["difference.denominator"], 12, number("denominator")))
    if counts:
        numbers.append(ListingColumn(NAMES["others.facts"], 10, same("count")))
    return (
        ListingColumn({"zh": "计入自", "en": "Counted from"}, 12, day(_DAY)),
        ListingColumn(NAMES["facts.on"], 12, day("on")),
        ListingColumn(
            NAMES["asked.district"], 14, lambda it: names.place(str(it["district"])) if it["district"] else None
        ),
        ListingColumn(NAMES["receipts.type"], 26, lambda it: type_name(str(it["type"]), names.language)),
        ListingColumn(NAMES["facts.what"], 48, same("subject")),
        *numbers,
        ListingColumn(NAMES["facts.report"], 24, same("report_id")),
        ListingColumn({"zh": "来源", "en": "Source"}, 36, same("report_source")),
        ListingColumn({"zh": "得知(北京时间)", "en": "Known since (Beijing time)"}, 20, _instant),
        ListingColumn({"zh": "报送凭据", "en": "Reported by"}, 18, same("reportedby")),
    )


def _instant(it: Mapping[str, object]) -> sheets.Cell:
    return datetime.fromisoformat(str(it["recorded_at"])) if it["recorded_at"] else None


def _fact(row: asyncpg.Record) -> CountedFact:
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
        "reportedby": row["reported_by"],
        "numerator": int(row["num"]),
        "denominator": int(row["den"]),
    }


async def _json(
    head: _Head, batches: AsyncIterator[list[CountedFact]], sieve: FactSieve, following: str | None
) -> AsyncIterator[bytes]:
    yield orjson.dumps(head)[:-1] + b',"facts":['
    separator = b""
    async for facts in batches:
        if seen := sieve.seen(facts, _DAY):
            yield separator + orjson.dumps(seen)[1:-1]
            separator = b","
    yield b'],"others":' + orjson.dumps(sieve.others()) + b',"next":' + orjson.dumps(following) + b"}"
