"""What has moved a number after it was first counted: corrections, retractions, ends, each when it came to be known."""

from typing import Annotated, Final

import asyncpg
import orjson
from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.representation import Day, PeriodName, ScopeFields, scope_fields
from services.projection.counting.ledger import Cause
from services.projection.counting.periods import period_name
from services.projection.queries.context import context_of
from services.projection.queries.others import FactCount, FactSieve
from services.projection.queries.parameters import (
    RESPONSES,
    AfterRow,
    AsOf,
    District,
    IndicatorNamed,
    KnownAt,
    PeriodNamed,
    PlanNamed,
    indicator_of,
    page_of,
    period_of,
    plan_of,
)
from shared.contract.events import format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.http.visibility import visibility_of

_FILE: Final = "changes.sql"
router = APIRouter(prefix="/v1/plans", tags=["progress"])


class NumberChange(TypedDict):
    """What one fact changed in a cell after its first count, and why."""

    service: str
    position: int
    type: str
    subject: str
    district: DistrictCode
    effective_on: Day
    recorded_at: Instant
    cause: Cause
    numerator: int
    denominator: int
    report_source: str
    report_id: str
    reportedby: str | None


class NumberChanges(ScopeFields):
    """A page of changes of a cell, the latest first.

    `changes`: by facts that the caller may see (RULES G6); `others`: how many there are besides on the page, by the day
    from which they hold and type, null where figures are all that may be seen.
    """

    indicator: str
    period: PeriodName
    changes: list[NumberChange]
    others: list[FactCount] | None
    next: str | None


@router.get(
    "/{plan}/indicators/{indicator}/changes",
    summary="更正、撤回与终止 What has moved a number since it was first counted",
    description=(
        "某格明细账中首次计入以外的各行,由新到旧:何时得知(`recorded_at`)、因何(`cause`)、加减多少。翻页时请固定"
        " `known_at`,把 `next` 作为 `after`。其他区县报告的按日、类型计数,列在 `others`。\n\n"
        "The rows of a cell's ledger other than those that first counted something, the latest first: when it came"
        " to be known, why, and by how much. For the next page pin `known_at` and give `next` as `after`."
        " To a district's key those of others are counted by day and type, in `others`."
    ),
    response_model=NumberChanges,
    responses=RESPONSES,
)
async def get_changes(
    request: Request,
    plan: PlanNamed,
    indicator: IndicatorNamed,
    period: PeriodNamed = None,
    district: District = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    after: AfterRow = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="每页几行 how many a page")] = 100,
) -> Response:
    """Respond with a page of the changes of a cell."""
    context = context_of(request)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        scope = context.scope(plan_read, as_of, known_at, district)
        wanted = indicator_of(plan_read, indicator)
        number = period_of(plan_read, wanted, period, scope.as_of)
        rows = await view.connection.fetch(
            view.sql(_FILE)["changes"],
            [line.number for line in view.compiled.of_indicator[plan_read.id, indicator]],
            number,
            min(scope.as_of, plan_read.period.last),
            scope.known_at,
            scope.district,
            after,
            limit + 1,
        )
    page = page_of(rows, limit, lambda _: after + limit)
    sieve = FactSieve(visibility_of(request, plan_read.successors))
    fields = scope_fields(plan_read.id, scope)
    answer: NumberChanges = {
        "plan": fields["plan"],
        "indicator": indicator,
        "period": period_name(number),
        "as_of": fields["as_of"],
        "known_at": fields["known_at"],
        "district": fields["district"],
        "changes": sieve.seen(map(_change, page.rows), "effective_on"),
        "others": sieve.others(),
        "next": page.next,
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _change(row: asyncpg.Record) -> NumberChange:
    return {
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
        "reportedby": row["reported_by"],
    }
