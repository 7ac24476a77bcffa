"""Which facts is a number made of: their sum is the cell, or a month of it."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

import orjson
from fastapi import APIRouter, Response

from services.projection.judging import Asked, Body, show_period
from services.projection.read_models.asking import (
    RESPONSES,
    AsOf,
    District,
    KnownAt,
    MonthAsked,
    PeriodAsked,
    asked_of,
    days_of,
    indicator_of,
    period_of,
    plan_of,
)
from services.projection.read_models.reading import Reader, View
from shared.events import show_instant
from shared.plan import Indicator, Plan

_FILE: Final = "facts.sql"


def routes(reader: Reader, clock: Callable[[], datetime]) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])

    @router.get(
        "/{plan}/indicators/{indicator}/facts",
        summary="数字背后的事实 The facts behind a number; their sum is it",
        responses=RESPONSES,
    )
    async def get_facts(
        plan: str,
        indicator: str,
        period: PeriodAsked = None,
        district: District = None,
        month: MonthAsked = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
    ) -> Response:
        async with reader.view() as view:
            found = plan_of(view.chart, plan)
            asked = asked_of(found, as_of, known_at, district, clock())
            wanted = indicator_of(found, indicator)
            number = period_of(found, wanted, period, asked.as_of)
            facts = await facts_of(view, found, wanted, number, days_of(wanted, month), asked)
            answer = {"plan": found.id, "indicator": indicator, "period": show_period(number)}
            sums = {
                "numerator": sum(fact["numerator"] for fact in facts),
                "denominator": sum(fact["denominator"] for fact in facts) if wanted.is_ratio else None,
            }
            body = answer | {"month": month} | asked.shown() | sums | {"facts": facts}
            return Response(orjson.dumps(body), media_type="application/json")

    return router


async def facts_of(
    view: View, plan: Plan, indicator: Indicator, period: int, days: tuple[date, date], asked: Asked
) -> list[Body]:
    """Return what each fact adds to a cell, in the order of the days it counts from."""
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
