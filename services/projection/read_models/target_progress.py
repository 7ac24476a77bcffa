"""How far is each target of a plan, as of a day, as known at an instant; and which facts a number is made of."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final, Protocol

import asyncpg
import orjson
from fastapi import APIRouter, Query, Response

from services.projection.chart import WHOLE, Chart, Part
from services.projection.read_models.reading import Reader, View
from shared.events import SERVICES, SHANGHAI, parse_instant, show_instant
from shared.http import Problem
from shared.plan import Indicator, Latest, Measure, Milestones, Plan, Ratio, Target

_FILE: Final = "target_progress.sql"
_MOST_KEPT: Final = 64
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
Cells = Mapping[tuple[int, int, int, str], int]  # (line, part, period, district) → sum
Body = dict[str, Any]


class Heads(Protocol):
    """Knows where the services' logs stand; None for a service that does not answer."""

    def head(self, service: str) -> tuple[int, datetime] | None:
        """Return position and instant of the last fact of a log."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a number is asked for: the day, the instant, the district (RULES E1, E19)."""

    as_of: date
    known_at: datetime
    district: str | None

    def shown(self) -> Body:
        """Return it as the answer repeats it."""
        return {
            "as_of": self.as_of.isoformat(),
            "known_at": show_instant(self.known_at),
            "district": self.district,
        }


def progress(plan: Plan, chart: Chart, cells: Cells, asked: Asked) -> list[Body]:
    """Return the progress of every indicator, by the rules of VOCABULARY 4 and 5 and RULES E."""
    return [
        _head(measure, indicator)
        | {
            "periods": [
                _period(plan, chart, indicator, period, cells, asked)
                for period in periods_of(plan, indicator, asked.as_of)
            ]
        }
        for measure, indicator in plan.indicators.values()
    ]


def periods_of(plan: Plan, indicator: Indicator, as_of: date) -> list[int]:
    """Return the periods that have begun: the plan's years for what is annual, else the whole (RULES E13)."""
    if indicator.basis != "annual":
        return [WHOLE]
    return [year for year in plan.years if max(plan.period.first, date(year, 1, 1)) <= as_of]


def bounds(plan: Plan, period: int) -> tuple[date, date]:
    """Return the first and the last day of a period."""
    if period == WHOLE:
        return plan.period.first, plan.period.last
    return max(plan.period.first, date(period, 1, 1)), min(plan.period.last, date(period, 12, 31))


def _head(measure: Measure, indicator: Indicator) -> Body:
    return {
        "id": indicator.id,
        "measure": measure.id,
        "name": indicator.name.model_dump(),
        "unit": indicator.unit,
        "kind": indicator.value.kind,
        "basis": indicator.basis,
    }


def _period(plan: Plan, chart: Chart, indicator: Indicator, period: int, cells: Cells, asked: Asked) -> Body:
    first, last = bounds(plan, period)
    numerator, denominator, computable = _parts(plan, chart, indicator, period, cells, asked.district)
    value = None
    if computable:
        value = Fraction(indicator.factor * numerator, denominator) if indicator.is_ratio else Fraction(numerator)
    target = _target(indicator, asked.district)
    return {
        "period": "plan" if period == WHOLE else str(period),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "value": _number(value),
        "numerator": numerator,
        "denominator": denominator if indicator.is_ratio else None,
        "target": None
        if target is None
        else {"op": target.op, "value": _number(_goal(indicator, target)), "upper": _number(target.upper)},
        "met": None if target is None or value is None else _met(indicator, target, value),
        "progress": None if target is None or value is None else _progress(indicator, target, value),
        "exceeds": target is not None and target.upper is not None and value is not None and value > target.upper,
        "expected": None,
        "signal": "none",
        "computable": computable,
    }


def _parts(
    plan: Plan, chart: Chart, indicator: Indicator, period: int, cells: Cells, district: str | None
) -> tuple[int, int, bool]:
    """Return numerator, denominator, and whether a value can be computed of them (RULES E10, E25)."""
    codes = [district] if district else [one.code for one in plan.districts]
    sums: dict[Part, dict[str, int]] = {Part.NUM: defaultdict(int), Part.DEN: defaultdict(int)}
    for line in chart.of_indicator[plan.id, indicator.id]:
        for part in Part:
            for code in codes:
                sums[part][code] += cells.get((line.number, part, period, code), 0)
    numerator, denominator = (sum(sums[part].values()) for part in Part)
    if not indicator.is_ratio:
        return numerator, denominator, True
    of_city = {one.code for one in plan.districts if one.city}
    computable = denominator > 0 and district not in of_city
    value = indicator.value
    if isinstance(value, Ratio) and isinstance(value.denominator, Latest) and value.denominator.each_district:
        computable = computable and all(sums[Part.DEN][code] > 0 for code in codes if code not in of_city)
    return numerator, denominator, computable


def _target(indicator: Indicator, district: str | None) -> Target | None:
    """Return the target: the city's, or the one the plan gives the district (RULES E2)."""
    return indicator.target if district is None else indicator.district_targets.get(district)


def _goal(indicator: Indicator, target: Target) -> Decimal:
    if target.value is not None:
        return target.value
    assert isinstance(indicator.value, Milestones)  # noqa: S101 - the plan's loader sees to it
    return Decimal(len(indicator.value.each))


def _met(indicator: Indicator, target: Target, value: Fraction) -> bool:
    """Compare exactly: `>` is strict, a range is met from its lower bound on (RULES E17, E23)."""
    goal = Fraction(_goal(indicator, target))
    match target.op:
        case ">":
            return value > goal
        case "=" | "all":
            return value == goal
        case ">=" | "range":
            return value >= goal


def _progress(indicator: Indicator, target: Target, value: Fraction) -> float | int | None:
    goal = Fraction(_goal(indicator, target))
    return _number(value / goal) if goal else None


def _number(value: Fraction | Decimal | None) -> float | int | None:
    """Return a number for JSON: an integer where it is one, else the nearest double."""
    if value is None:
        return None
    exact = Fraction(value)
    return exact.numerator if exact.denominator == 1 else float(exact)


def complete_to(rows: Iterable[asyncpg.Record], heads: Heads) -> Body:
    """Return up to what each log is counted, and how far behind it that is (RULES E19)."""
    kept = {row["service"]: row for row in rows}
    shown = {}
    for service in SERVICES:
        position = kept[service]["position"] if service in kept else 0
        recorded_at = kept[service]["recorded_at"] if service in kept else None
        head = heads.head(service)
        behind = seconds = None
        if head is not None:
            behind = max(0, head[0] - position)
            since = recorded_at or head[1]
            seconds = max(0.0, (head[1] - since).total_seconds()) if behind else 0.0
        shown[service] = {
            "position": position,
            "recorded_at": show_instant(recorded_at) if recorded_at else None,
            "behind_events": behind,
            "behind_seconds": seconds,
        }
    return shown


class KeptSums:
    """The sums of cells as last read: they only change when a checkpoint moves or a generation is switched."""

    def __init__(self) -> None:
        self._state: tuple[object, ...] = ()
        self._sums: dict[tuple[str, date], Cells] = {}

    async def read(self, view: View, plan: Plan, asked: Asked, checkpoints: Sequence[asyncpg.Record]) -> Cells:
        """Return a plan's sums: from the cells, or from the ledger where more was recorded since `known_at`."""
        if asked.as_of < plan.period.first:
            return {}
        numbers = [line.number for line in view.chart.lines if line.plan == plan.id]
        as_of = min(asked.as_of, plan.period.last)
        sql = view.sql(_FILE)
        if any(row["recorded_at"] is not None and row["recorded_at"] > asked.known_at for row in checkpoints):
            return _cells(await view.connection.fetch(sql["as_known"], numbers, as_of, asked.known_at))
        state = (view.number, *(row["position"] for row in checkpoints))
        if state != self._state or len(self._sums) >= _MOST_KEPT:
            self._state, self._sums = state, {}
        # What was asked while another snapshot was read is kept for that one's state only.
        sums = self._sums
        if (plan.id, as_of) not in sums:
            sums[plan.id, as_of] = _cells(await view.connection.fetch(sql["now"], numbers, as_of))
        return sums[plan.id, as_of]


def _cells(rows: Iterable[asyncpg.Record]) -> Cells:
    return {(row["line"], row["part"], row["period"], row["district"]): int(row["value"]) for row in rows}


AsOf = Annotated[str | None, Query(description="日期 the day, YYYY-MM-DD; today in Asia/Shanghai when left out")]
KnownAt = Annotated[str | None, Query(description="时刻 the instant, RFC 3339; now when left out")]
District = Annotated[str | None, Query(description="区划代码 a district's code; the whole when left out")]


def routes(reader: Reader, heads: Heads, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes that answer for plans, progress and the facts behind a number."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])
    kept = KeptSums()

    @router.get("", summary="The plans that are counted")
    async def get_plans() -> Response:
        async with reader.view() as view:
            return _json({"plans": [_summary(plan) for plan in view.chart.plans.values()]})

    @router.get("/{plan}", summary="A plan as its file says it, with every clause", responses=_RESPONSES)
    async def get_plan(plan: str) -> Response:
        async with reader.view() as view:
            return _json(_plan(view.chart, plan).model_dump(mode="json", by_alias=True))

    @router.get("/{plan}/progress", summary="How far each target is", responses=_RESPONSES)
    async def get_progress(
        plan: str, as_of: AsOf = None, known_at: KnownAt = None, district: District = None
    ) -> Response:
        async with reader.view() as view:
            found = _plan(view.chart, plan)
            asked = _asked(found, as_of, known_at, district, clock())
            checkpoints = await view.connection.fetch(view.sql(_FILE)["complete_to"])
            cells = await kept.read(view, found, asked, checkpoints)
            indicators = progress(found, view.chart, cells, asked)
            answer = {"plan": found.id} | asked.shown() | {"indicators": indicators}
            return _json(answer | {"complete_to": complete_to(checkpoints, heads)})

    @router.get(
        "/{plan}/indicators/{indicator}/facts",
        summary="The facts behind a number; their sum is it",
        responses=_RESPONSES,
    )
    async def get_facts(
        plan: str,
        indicator: str,
        period: Annotated[str | None, Query(description="年份或 plan a year, or plan")] = None,
        district: District = None,
        month: Annotated[str | None, Query(description="月份 a month, YYYY-MM")] = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
    ) -> Response:
        async with reader.view() as view:
            found = _plan(view.chart, plan)
            asked = _asked(found, as_of, known_at, district, clock())
            wanted = _indicator(found, indicator)
            number = _period_asked(found, wanted, period, asked.as_of)
            facts = await _facts(view, found, wanted, number, _days_of(wanted, month), asked)
            answer = {"plan": found.id, "indicator": indicator, "period": "plan" if number == WHOLE else str(number)}
            sums = {
                "numerator": sum(fact["numerator"] for fact in facts),
                "denominator": sum(fact["denominator"] for fact in facts) if wanted.is_ratio else None,
            }
            return _json(answer | {"month": month} | asked.shown() | sums | {"facts": facts})

    return router


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "没有这个计划或指标 No such plan or indicator"},
    422: {"description": "参数不正确 A parameter is wrong"},
    503: {"description": "暂时无法查询 Nothing can be read now; try again after Retry-After"},
}


async def _facts(
    view: View, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], asked: Asked
) -> list[Body]:
    if asked.as_of < plan.period.first:
        return []
    rows = await view.connection.fetch(
        view.sql(_FILE)["facts"],
        [line.number for line in view.chart.of_indicator[plan.id, indicator.id]],
        period,
        min(asked.as_of, plan.period.last),
        asked.known_at,
        *days,
        asked.district,
    )
    return [
        {
            "service": row["service"],
            "position": row["position"],
            "id": row["event_id"],
            "type": row["type"],
            "subject": row["subject"],
            "on": row["on_day"].isoformat(),
            "district": row["district"],
            "counted_on": row["counted_on"].isoformat() if row["counted_on"] else None,
            "recorded_at": show_instant(row["recorded_at"]),
            "report_source": row["report_source"],
            "report_id": row["report_id"],
            "numerator": int(row["num"]),
            "denominator": int(row["den"]),
        }
        for row in rows
    ]


def _summary(plan: Plan) -> Body:
    return {
        "id": plan.id,
        "title": plan.title.model_dump(),
        "document_no": plan.document_no,
        "from": plan.period.first.isoformat(),
        "to": plan.period.last.isoformat(),
        "districts": [
            {"code": district.code, "name": district.name.model_dump(), "city": district.city}
            for district in plan.districts
        ],
    }


def _plan(chart: Chart, plan: str) -> Plan:
    found = chart.plans.get(plan)
    if found is None:
        raise Problem(404, "没有这个计划。", "There is no such plan.")
    return found


def _indicator(plan: Plan, indicator: str) -> Indicator:
    found = plan.indicators.get(indicator)
    if found is None:
        raise Problem(404, "该计划没有这个指标。", "This plan has no such indicator.")
    return found[1]


def _asked(plan: Plan, as_of: str | None, known_at: str | None, district: str | None, now: datetime) -> Asked:
    day = now.astimezone(SHANGHAI).date()
    if as_of is not None:
        try:
            day = datetime.strptime(as_of, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            raise Problem(422, "as_of 应为日期 YYYY-MM-DD。", "as_of must be a date YYYY-MM-DD.") from None
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
        raise Problem(422, "district 不是该计划的区划代码。", "district is none of this plan's codes.")
    return Asked(day, instant, district)


def _period_asked(plan: Plan, indicator: Indicator, period: str | None, as_of: date) -> int:
    """Return the period asked for; left out: the one that runs on the day, else the last one."""
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


def _days_of(indicator: Indicator, month: str | None) -> tuple[date, date]:
    """Return the days of a month; levels have no months (RULES E26)."""
    if month is None:
        return date.min, date.max
    found = _MONTH.fullmatch(month)
    if found is None:
        raise Problem(422, "month 应为 YYYY-MM。", "month must be YYYY-MM.")
    if indicator.basis == "level":
        raise Problem(422, "水平指标没有月份。", "A level has no months.")
    year, number = int(found[1]), int(found[2])
    if year == 0:
        raise Problem(422, "month 应为 YYYY-MM。", "month must be YYYY-MM.")
    first = date(year, number, 1)
    after = date(year + number // 12, number % 12 + 1, 1) if (year, number) < (date.max.year, 12) else date.max
    return first, after - timedelta(days=1)


def _json(body: Body) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
