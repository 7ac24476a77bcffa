"""What has moved a number after it was first counted: corrections, retractions, ends, each when it came to be known."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Response

from services.projection.assessment.assessment import show_period
from services.projection.queries.parameters import (
    RESPONSES,
    AfterRow,
    AsOf,
    District,
    IndicatorNamed,
    KnownAt,
    PeriodAsked,
    PlanNamed,
    indicator_of,
    period_of,
    plan_of,
    scope_of,
)
from services.projection.queries.snapshot import SnapshotReader
from shared.contract.events import format_instant

_FILE: Final = "changes.sql"


def routes(reader: SnapshotReader, clock: Callable[[], datetime]) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/plans", tags=["progress"])

    @router.get(
        "/{plan}/indicators/{indicator}/changes",
        summary="更正、撤回与终止 What has moved a number since it was first counted",
        description=(
            "某格明细账中首次计入以外的各行,由新到旧:何时得知(`recorded_at`)、因何(`cause`)、加减多少。翻页时请固定"
            " `known_at`,把 `next` 作为 `after`。\n\n"
            "The rows of a cell's ledger other than those that first counted something, the latest first: when it came"
            " to be known, why, and by how much. For the next page pin `known_at` and give `next` as `after`."
        ),
        responses=RESPONSES,
    )
    async def get_changes(
        plan: PlanNamed,
        indicator: IndicatorNamed,
        period: PeriodAsked = None,
        district: District = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        after: AfterRow = 0,
        limit: Annotated[int, Query(ge=1, le=500, description="每页几行 how many a page")] = 100,
    ) -> Response:
        async with reader.view() as view:
            found = plan_of(view.compiled, plan)
            asked = scope_of(found, as_of, known_at, district, clock())
            wanted = indicator_of(found, indicator)
            number = period_of(found, wanted, period, asked.as_of)
            rows = await view.connection.fetch(
                view.sql(_FILE)["changes"],
                [line.number for line in view.compiled.of_indicator[found.id, indicator]],
                number,
                min(asked.as_of, found.period.last),
                asked.known_at,
                asked.district,
                after,
                limit + 1,
            )
        changes = [
            {
                "service": row["service"],
                "position": row["position"],
                "type": row["type"],
                "subject": row["subject"],
                "district": row["district"],
                "effective_on": row["effective_on"].isoformat(),
                "recorded_at": format_instant(row["recorded_at"]),
                "cause": row["cause"],
                "numerator": int(row["num"]),
                "denominator": int(row["den"]),
                "report_source": row["report_source"],
                "report_id": row["report_id"],
            }
            for row in rows[:limit]
        ]
        body = {"plan": found.id, "indicator": indicator, "period": show_period(number)} | asked.shown()
        following = str(after + limit) if len(rows) > limit else None
        return Response(orjson.dumps(body | {"changes": changes, "next": following}), media_type="application/json")

    return router
