"""Query parameters: types, descriptions, defaults, and the problem for a wrong one."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Generic, Literal, NamedTuple, TypeVar

from fastapi import Path, Query, Request

from services.projection.assessment.assessment import Scope
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.periods import WHOLE, periods_of
from services.projection.exports.texts import Language
from services.projection.queries.snapshot import NotCountedYet
from shared.contract.events import LOCAL_TIME, parse_instant
from shared.http.openapi import Responses, problem_response
from shared.http.problems import Problem, language_in
from shared.plan.model import Indicator, Plan

PlanNamed = Annotated[str, Path(description="计划编号 the plan's id")]
IndicatorNamed = Annotated[str, Path(description="指标编号 the indicator's id")]
AsOf = Annotated[str | None, Query(description="日期 the day, YYYY-MM-DD; today in Asia/Shanghai when left out")]
KnownAt = Annotated[
    str | None,
    Query(description="时刻 the instant, RFC 3339; now when left out", examples=["2025-07-01T09:00:00+08:00"]),
]
District = Annotated[str | None, Query(description="区划代码 a district's code; the whole when left out")]
PeriodNamed = Annotated[
    str | None, Query(alias="period", description="年份或 plan a year, or plan; the running one when left out")
]
MonthNamed = Annotated[str | None, Query(alias="month", description="月份 a month, YYYY-MM")]
Form = Annotated[
    Literal["json", "csv"], Query(alias="format", description="csv 供电子表格打开 for a spreadsheet; json for programs")
]
ListingForm = Annotated[
    Literal["json", "csv", "xlsx"],
    Query(
        alias="format",
        description="xlsx 供阅读 to read;csv 供导入 to import; json for programs",
    ),
]
Lang = Annotated[Language | None, Query(description="语言 the language; that of Accept-Language when left out")]
AfterCursor = Annotated[str | None, Query(description="上一页的 next the page before's `next`")]
AfterRow = Annotated[int, Query(ge=0, le=10**9, description="上一页的 next the page before's `next`")]
NAMED: Final[Responses] = {
    404: {"description": "没有这个计划或指标 No such plan or indicator"},
    503: problem_response(
        NotCountedYet(), "暂时无法查询,按 Retry-After 再问 Nothing can be read now; try again after Retry-After"
    ),
}
RESPONSES: Final = NAMED | {422: {"description": "参数不正确 A parameter is wrong"}}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
Row = TypeVar("Row")


class Page(NamedTuple, Generic[Row]):
    """Rows of a page, and the cursor after which the next one begins; None on the last."""

    rows: Sequence[Row]
    next: str | None


def page_of(rows: Sequence[Row], limit: int, cursor: Callable[[Sequence[Row]], object]) -> Page[Row]:
    """Return a page of rows of which one more than the limit was read, where there is one."""
    page = rows[:limit]
    return Page(page, str(cursor(page)) if len(rows) > limit else None)


def wrong_cursor() -> Problem:
    """Return the problem of an `after` that is no `next` of another page."""
    return Problem(422, "after 应为上一页的 next。", "after must be the `next` of the page before.")


def language_of(request: Request, lang: Language | None) -> Language:
    """Return the language that a request names, else that of its Accept-Language, else Chinese."""
    return lang or language_in(request.scope) or "zh"


def parse_day(name: str, text: str) -> date:
    """Return the day that a parameter names as YYYY-MM-DD and in no other form; raises Problem."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise Problem(422, f"{name} 应为日期 YYYY-MM-DD。", f"{name} must be a date YYYY-MM-DD.")


def plan_of(compiled: CompiledPlans, plan: str) -> Plan:
    """Return a plan by its id."""
    if plan not in compiled.plans:
        raise Problem(404, "没有这个计划。", "There is no such plan.")
    return compiled.plans[plan]


def indicator_of(plan: Plan, indicator: str) -> Indicator:
    """Return an indicator by its id."""
    if indicator not in plan.indicators:
        raise Problem(404, "该计划没有这个指标。", "This plan has no such indicator.")
    return plan.indicators[indicator][1]


def today(now: datetime) -> date:
    """Return the default of `as_of` (RULES E19)."""
    return now.astimezone(LOCAL_TIME).date()


def scope_of(
    plan: Plan,
    as_of: str | None,
    known_at: str | None,
    district: str | None,
    now: datetime,
    example: date | None = None,
) -> Scope:
    """Return the scope that the parameters name; raises Problem. `example`: the day of made-up data, not today."""
    day = example or today(now) if as_of is None else parse_day("as_of", as_of)
    instant = now
    if known_at is not None:
        # In a query a bare + means a space.
        parsed = parse_instant(known_at.replace(" ", "+"))
        if parsed is None:
            raise Problem(
                422, "known_at 应为带时区的时刻(RFC 3339)。", "known_at must be an instant with offset (RFC 3339)."
            )
        instant = parsed
    if district is not None and district not in plan.district_codes:
        raise Problem(422, "district 不是该计划的区划代码。", "district is not one of this plan's codes.")
    return Scope(day, instant, district)


def period_of(plan: Plan, indicator: Indicator, period: str | None, as_of: date) -> int:
    """Return the period that the parameter names; by default the one that runs on the day, else the last."""
    if indicator.basis != "annual":
        if period not in (None, "plan"):
            raise Problem(422, "该指标的 period 只有 plan。", "This indicator's only period is plan.")
        return WHOLE
    if period is None:
        begun = periods_of(plan, indicator, as_of)
        return begun[-1] if begun else plan.years[0]
    if period not in map(str, plan.years):
        raise Problem(422, "period 应为计划期内的年份。", "period must be a year of the plan.")
    return int(period)


def days_of(indicator: Indicator, month: str | None) -> tuple[date, date]:
    """Return the days of a month; levels have no months (RULES E26)."""
    if month is None:
        return date.min, date.max
    match = _MONTH.fullmatch(month)
    if match is None:
        raise Problem(422, "month 应为 YYYY-MM。", "month must be YYYY-MM.")
    if indicator.basis == "level":
        raise Problem(422, "水平指标没有月份。", "A level has no months.")
    year, number = int(match[1]), int(match[2])
    if year == 0:
        raise Problem(422, "month 应为 YYYY-MM。", "month must be YYYY-MM.")
    first = date(year, number, 1)
    after = date(year + number // 12, number % 12 + 1, 1) if (year, number) < (date.max.year, 12) else date.max
    return first, after - timedelta(days=1)
