"""What would facts count in: for each, the indicators, periods and months that it would move, by the plans alone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final, Literal

import msgspec
import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans, Line, LineShape, Part
from services.projection.counting.periods import WHOLE, period_name
from services.projection.counting.standing import StandingRow
from services.projection.counting.uses import UseRole
from services.projection.queries.context import context_of
from services.projection.queries.parameters import NAMED
from shared.contract.messages import FactToRecord, MovedCell
from shared.http.openapi import request_body
from shared.http.problems import Problem
from shared.observability.turns import Turns
from shared.service.http_door import LARGEST_BATCH, read_body

router = APIRouter(prefix="/v1", tags=["progress"])
_MOST_FACTS: Final = 5000
_WRONG: Final = Problem(
    422,
    f'请求体应为 {{"facts": [{{type, subject, district, time, data}}, …]}},最多 {_MOST_FACTS} 条。',
    f'The body must be {{"facts": [{{type, subject, district, time, data}}, …]}}, at most {_MOST_FACTS}.',
)
Effect = Literal["counts", "ends", "takes-out"]


class FactsToCount(TypedDict):
    """The facts that are asked about, as they would be recorded."""

    facts: list[FactToRecord]


class CellsMoved(TypedDict):
    """For each fact that was asked about, in their order, the cells that it would move."""

    counts_in: list[list[MovedCell]]


class _Fact(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    subject: str
    district: str
    time: str
    data: msgspec.Raw


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    facts: list[_Fact]


_facts: Final = msgspec.json.Decoder(_Facts)


@router.post(
    "/would-count",
    summary="将计入何处 What facts would count in",
    description=(
        "逐条列出这些事实按各计划将推动的指标、期间、月份和区划;不记录任何内容。是否重复计人,以已有的事实为准。\n\n"
        "For each of these facts the indicators, periods, months and districts that it would move by the plans;"
        " nothing is recorded. Whether a person has counted before is for the facts there are to say."
    ),
    openapi_extra=request_body({"application/json": FactsToCount}),
    response_model=CellsMoved,
    responses={422: {"description": "请求体不正确 Another body is expected"}, 503: NAMED[503]},
)
async def would_count(request: Request) -> Response:
    """Respond with what each fact of the request would count in."""
    try:
        facts = _facts.decode(await read_body(request, LARGEST_BATCH)).facts
    except msgspec.DecodeError:
        raise _WRONG from None
    if len(facts) > _MOST_FACTS:
        raise _WRONG
    async with context_of(request).reader.view() as view:
        compiled = view.compiled
    moved: CellsMoved = {"counts_in": []}
    turns = Turns()
    for fact in facts:
        try:
            moved["counts_in"].append(list(cells_of(compiled, _log_fact(fact))))
        except ValueError:
            raise _WRONG from None
        await turns.take()
    return Response(orjson.dumps(moved), media_type="application/json")


def _log_fact(fact: _Fact) -> LogFact:
    return LogFact(
        id="", source="", type=fact.type, subject=fact.subject, time=fact.time, district=fact.district, position=0,
        recordedat=datetime.now(UTC), reportsource="", reportid="", data=fact.data,
    )  # fmt: skip


def cells_of(compiled: CompiledPlans, fact: LogFact) -> Iterator[MovedCell]:
    """Yield the cells that a fact would move; raises ValueError where it is none that the plans can read."""
    if fact.type.startswith("skillplan.planning."):
        return  # counted by no plan
    for row in compiled.read(fact):
        line = compiled.line(row.line)
        if (effect := _effect(row, line)) is None:
            continue
        plan = compiled.plans[line.plan]
        _, indicator = plan.indicators[line.indicator]
        for period in line.periods:
            if period.first <= row.on <= period.last:
                yield {
                    "plan": plan.id,
                    "indicator": indicator.id,
                    "name": {"zh": indicator.name.zh, "en": indicator.name.en},
                    "part": "numerator" if line.part is Part.NUM else "denominator",
                    "period": period_name(period.period),
                    "month": _month(row.on, period.period, indicator.basis),
                    "district": row.district,
                    "effect": effect,
                    "once": line.shape in (LineShape.ONCE, LineShape.COVERAGE),
                    "amount": line.amount_of(row) if effect == "counts" else None,
                    "unit": indicator.unit,
                }


def _effect(row: StandingRow, line: Line) -> Effect | None:
    """Return what a fact does to a line; None where it is stored there and moves nothing."""
    match line.uses[row.use].role:
        case UseRole.OPENS:
            return "counts" if row.amount else None
        case UseRole.ENDS:
            return "ends"
        case UseRole.UNDOES:
            return "takes-out"
        case UseRole.NAMES | UseRole.DATES:
            return None


def _month(on: date, period: int, basis: str) -> str | None:
    return None if basis == "level" and period == WHOLE else f"{on:%Y-%m}"
