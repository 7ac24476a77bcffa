"""Which months are closed, what was published of them, and what has moved since and why."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal, cast

import asyncpg
import orjson
from fastapi import APIRouter, Path, Request, Response
from typing_extensions import TypedDict

from services.planning.events import CloseOverridden, Figure, PeriodClosed, RestatementRequested
from services.planning.months import PlanMonth, PublishedFigures, month_of
from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.representation import Day, MonthName, Sha256
from services.projection.counting.ledger import Cause
from services.projection.counting.periods import WHOLE, running_period
from services.projection.exports import qr_code
from services.projection.exports.csv import columns_of, csv_response
from services.projection.exports.names import NAMES, PlanNames, name_of
from services.projection.exports.sheets import Cell, ListingColumn, listed
from services.projection.exports.texts import Language
from services.projection.exports.wording import achieved, rounded
from services.projection.queries.context import context_of
from services.projection.queries.figures import FigureValue, figures_of
from services.projection.queries.others import FactCount, FactSieve
from services.projection.queries.parameters import (
    NAMED,
    RESPONSES,
    District,
    Lang,
    ListingForm,
    PlanNamed,
    language_of,
    plan_of,
    scope_of,
)
from services.projection.queries.snapshot import Snapshot
from shared.contract.events import Fact, format_instant
from shared.contract.messages import DistrictCode, Instant
from shared.deciding.view import View
from shared.http.problems import Problem
from shared.http.visibility import Visibility, visibility_of
from shared.plan.model import Plan

_FILE: Final = "closings.sql"
_MOST_FACTS: Final = 200
MonthClosed = Annotated[str, Path(description="月份 a month, YYYY-MM")]
router = APIRouter(prefix="/v1/plans", tags=["closings"])


class Publication(TypedDict):
    """The figures of a month as they were published, first or anew; `why` is that of the request for it.

    `request_no` and `why` are null where another district requested it (RULES G6).
    """

    known_at: Instant
    recorded_at: Instant
    by: str
    sha256: Sha256
    request_no: str | None
    why: str | None


class CloseOverride(TypedDict):
    """Districts for which somebody answers although they are not approved."""

    districts: list[DistrictCode]
    by: str
    why: str


class MonthOfPlan(TypedDict):
    """A month, and the day as of which its figures are."""

    month: MonthName
    as_of: Day


class ClosedMonth(MonthOfPlan):
    """A month that is closed: its publications, the last one's instant and digest, and requests still open."""

    published: list[Publication]
    known_at: Instant
    sha256: Sha256
    overrides: list[CloseOverride]
    open_requests: list[str]


class PublicationRow(MonthOfPlan, Publication):
    """A publication as a row of a table."""


class ClosedMonths(TypedDict):
    """The months of a plan that are closed, in order."""

    plan: str
    months: list[ClosedMonth]


class LiveFigure(TypedDict):
    """The number of the same day as it is known now."""

    numerator: int
    denominator: int | None
    value: float | None
    goal: float | None
    met: bool | None


class Movement(TypedDict):
    """How much more and how much less."""

    more: int
    less: int


class MovingFact(TypedDict):
    """A fact that moved a number after its close."""

    cause: Cause
    part: Literal["numerator", "denominator"]
    delta: int
    district: DistrictCode
    service: str
    position: int
    id: str
    type: str
    subject: str
    report_source: str
    report_id: str
    reportedby: str | None
    counted_on: Day
    recorded_at: Instant


class AfterClose(Movement):
    """What became known after a close: in all, by cause, and the facts, 200 at most.

    `facts`: those that the caller may see (RULES G6); `others`: how many of the 200 are besides, by the day they count
    from and type, null where figures are all that may be seen.
    """

    by_cause: dict[Cause, Movement]
    facts: list[MovingFact]
    others: list[FactCount] | None


class ComparedFigure(FigureValue):
    """A published number beside the live one of the same day, and what lies between them."""

    live: LiveFigure | None
    after_close: AfterClose


class FiguresCode(TypedDict):
    """The QR code of the figures last published: what it says, and its picture as SVG."""

    text: str
    svg: str


class MonthClosing(ClosedMonth):
    """A closed month compared; `verified`: the figures published, counted anew as known then, came out the same."""

    plan: str
    verified: bool
    district: DistrictCode | None
    code: FiguresCode
    figures: list[ComparedFigure]


class MovedBecause(Movement):
    """How much a number moved after its close for one cause."""

    cause: Cause


class ComparedRow(FigureValue):
    """A published number as a row of a table, beside the live one; `causes`: of what moved it, with more and less."""

    month: MonthName
    district: DistrictCode | None
    published_at: Instant
    live: LiveFigure | None
    more: int
    less: int
    causes: list[MovedBecause]


_LIVE: Final = set(LiveFigure.__annotations__)
_PUBLICATIONS: Final = columns_of(PublicationRow)
_COMPARED: Final = columns_of(ComparedRow)


@dataclass(slots=True)
class _Moves:
    """What came after a close, for one indicator."""

    total: Movement = field(default_factory=lambda: Movement(more=0, less=0))
    by_cause: dict[Cause, Movement] = field(default_factory=dict)
    facts: list[MovingFact] = field(default_factory=list)


@router.get(
    "/{plan}/closings",
    summary="各月关账情况 The months that are closed",
    description=(
        "每个已关账的月份:公布与重述的时刻、经办人、摘要,以及未决的重述申请。\n\n"
        "Each closed month: when it was published and restated, by whom, the digest, and requests still open."
    ),
    response_model=ClosedMonths,
    responses=NAMED,
)
async def get_closings(plan: PlanNamed, request: Request, form: ListingForm = "json", lang: Lang = None) -> Response:
    """Respond with the closed months of a plan."""
    context = context_of(request)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        decided = View(await view.decided())
        visibility = visibility_of(request, plan_read.successors)
        months = [_month(month_of(plan_read, name, decided), visibility) for name in _names(plan_read, decided)]
    if form == "json":
        answer: ClosedMonths = {"plan": plan, "months": months}
        return Response(orjson.dumps(answer), media_type="application/json")
    rows = [
        PublicationRow(month=month["month"], as_of=month["as_of"], **publication)
        for month in months
        for publication in month["published"]
    ]
    if form == "csv":
        return csv_response(rows, _PUBLICATIONS, f"{plan}-closings.csv")
    language = language_of(request, lang)
    columns = _listed_publications(language, {month["published"][0]["recorded_at"] for month in months})
    return await listed(rows, columns, NAMES["nav.closings"][language], language, f"{plan}-closings.xlsx")


@router.get(
    "/{plan}/closings/{month}",
    summary="关账后有何变动 What has moved since a close",
    description=(
        "公布的数与同一天现在的数并列,其间的增减按原因和事实列出;`verified`:按公布时所知重新计数,各数相同。\n\n"
        "What was published beside what is known of that day now, and by which causes and facts they differ;"
        " `verified`: counted anew as known when it was published, every figure came out the same."
    ),
    response_model=MonthClosing,
    responses=RESPONSES,
)
async def get_closing(
    request: Request,
    plan: PlanNamed,
    month: MonthClosed,
    district: District = None,
    form: ListingForm = "json",
    lang: Lang = None,
) -> Response:
    """Respond with a closed month beside what is known now."""
    context = context_of(request)
    async with context.reader.view() as view:
        plan_read = plan_of(view.compiled, plan)
        visibility = visibility_of(request, plan_read.successors)
        scope = scope_of(plan_read, None, None, district, context.clock())
        decided = View(await view.decided())
        if month not in _names(plan_read, decided):
            raise Problem(404, "这个月还没有关账。", "This month is not closed.")
        closed = month_of(plan_read, month, decided)
        last = closed.published[-1]
        basis = await context.basis(view, plan_read, Scope(closed.last, scope.known_at))
        live = {(figure.indicator, figure.district): figure for figure in figures_of(basis, [district])}
        pinned = await context.basis(view, plan_read, Scope(closed.last, last.known_at))
        moves = await _moves(view, plan_read, closed, last, scope)
    answer: MonthClosing = {
        "plan": plan,
        **_month(closed, visibility),
        "verified": _counted_alike(pinned, last.figures),
        "district": district,
        "code": _code(plan, month, last),
        "figures": [
            _compared(
                figure,
                live.get((figure.indicator, figure.district)),
                moves.get(figure.indicator, _Moves()),
                FactSieve(visibility),
            )
            for figure in last.figures
            if figure.district == district
        ],
    }
    if form == "json":
        return Response(orjson.dumps(answer), media_type="application/json")
    rows = [_row(answer, figure) for figure in answer["figures"]]
    file_name = f"{'-'.join(part for part in (plan, 'closing', month, district) if part)}.{form}"
    if form == "csv":
        return csv_response(rows, _COMPARED, file_name)
    names = PlanNames(plan_read, language_of(request, lang))
    sheet = f"{month} {NAMES['closings.published'][names.language]}"
    return await listed(rows, _listed_figures(names), sheet, names.language, file_name)


def _listed_publications(language: Language, first: Collection[Instant]) -> Sequence[ListingColumn[PublicationRow]]:
    """Return the columns of a listing to read; `first`: when closes were recorded, each at an instant of its own."""

    def how(row: PublicationRow) -> Cell:
        return NAMES["closings.first" if row["recorded_at"] in first else "closings.again"][language]

    return (
        ListingColumn(NAMES["months.choose"], 10, lambda it: it["month"]),
        ListingColumn(NAMES["closings.published"], 10, how),
        ListingColumn({"zh": "数字截至", "en": "Figures as of"}, 12, lambda it: date.fromisoformat(it["as_of"])),
        ListingColumn({"zh": "公布(北京时间)", "en": "Published (Beijing time)"}, 20,
                      lambda it: datetime.fromisoformat(it["recorded_at"])),
        ListingColumn({"zh": "所知截至(北京时间)", "en": "As known at (Beijing time)"}, 20,
                      lambda it: datetime.fromisoformat(it["known_at"])),
        ListingColumn(NAMES["target.by"], 16, lambda it: it["by"]),
        ListingColumn({"zh": "重述申请", "en": "Request"}, 16, lambda it: it["request_no"]),
        ListingColumn(NAMES["months.why"], 50, lambda it: it["why"]),
        ListingColumn({"zh": "摘要(SHA-256)", "en": "Digest (SHA-256)"}, 66, lambda it: it["sha256"]),
    )  # fmt: skip


def _listed_figures(names: PlanNames) -> Sequence[ListingColumn[ComparedRow]]:
    """Return the columns of a listing to read: each figure as published and as it is now, and what lies between."""
    language = names.language

    def published(row: ComparedRow) -> Decimal | None:
        return achieved(row.get("value"), names.unit_code(row["indicator"]), row.get("met"))

    def live(row: ComparedRow) -> Decimal | None:
        now = row["live"]
        return achieved(now["value"], names.unit_code(row["indicator"]), now["met"]) if now else None

    def between(row: ComparedRow) -> Cell:
        before, now = published(row), live(row)
        return None if before is None or now is None else now - before

    def moved(name: Literal["more", "less"]) -> Callable[[ComparedRow], Cell]:
        return lambda it: rounded(it[name], "fen" if names.unit_code(it["indicator"]) == "fen" else "")

    def causes(row: ComparedRow) -> Cell:
        return "\n".join(name_of("cause", cause["cause"], language) for cause in row["causes"])

    return (
        ListingColumn(NAMES["value.indicator"], 44, lambda it: names.indicator(it["indicator"])),
        ListingColumn(NAMES["asked.period"], 12, lambda it: names.period(it["period"])),
        ListingColumn(NAMES["asked.district"], 14, lambda it: names.place(it["district"])),
        ListingColumn({"zh": "单位", "en": "Unit"}, 10, lambda it: names.unit(it["indicator"])),
        ListingColumn(NAMES["closings.value"], 17, published),
        ListingColumn(NAMES["closings.live"], 17, live),
        ListingColumn(NAMES["months.difference"], 17, between),
        ListingColumn({"zh": "关账后增加", "en": "More after the close"}, 17, moved("more")),
        ListingColumn({"zh": "关账后减少", "en": "Less after the close"}, 17, moved("less")),
        ListingColumn(NAMES["notes.cause"], 24, causes),
        ListingColumn({"zh": "公布数所知截至(北京时间)", "en": "Published as known at (Beijing time)"}, 24,
                      lambda it: datetime.fromisoformat(it["published_at"])),
    )  # fmt: skip


def _code(plan: str, month: str, published: PublishedFigures) -> FiguresCode:
    text = qr_code.text_of(plan, month, published)
    return {"text": text, "svg": qr_code.svg(text, f"{month} 公布的数及其摘要 the figures of {month} and their digest")}


def _row(closing: MonthClosing, figure: ComparedFigure) -> ComparedRow:
    moved = figure["after_close"]
    return {
        **cast("FigureValue", {name: figure.get(name) for name in FigureValue.__annotations__}),
        "month": closing["month"],
        "district": closing["district"],
        "published_at": closing["known_at"],
        "live": figure["live"],
        "more": moved["more"],
        "less": moved["less"],
        "causes": [{"cause": cause, **movement} for cause, movement in moved["by_cause"].items()],
    }


def _counted_alike(pinned: AssessmentBasis, published: Sequence[Figure]) -> bool:
    """Return whether counting anew, as known when they were published, gives these figures (RULES F8a).

    An indicator that the plan has been given since, of which nothing was published, is left out.
    """
    indicators = {figure.indicator for figure in published}
    districts = [None, *(district.code for district in pinned.plan.districts)]
    counted = [figure for figure in figures_of(pinned, districts) if figure.indicator in indicators]
    return sorted(counted, key=_place) == sorted(published, key=_place)


def _place(figure: Figure) -> tuple[str, str]:
    return figure.indicator, figure.district or ""


def _names(plan: Plan, decided: View) -> list[str]:
    """Return the months of a plan that are closed, in order."""
    return sorted({closed.month for closed, _ in decided.of(PeriodClosed) if closed.plan == plan.id})


def _month(month: PlanMonth, visibility: Visibility) -> ClosedMonth:
    last = month.published[-1]
    # The number of a request is a part of its subject (RULES G6).
    requests = {number: fact for number, fact in month.requests.items() if visibility.sees(fact.report_source)}
    return {
        "month": month.name,
        "as_of": month.last.isoformat(),
        "published": [
            {
                "known_at": format_instant(published.known_at),
                "recorded_at": format_instant(published.fact.recorded_at),
                "by": published.by,
                "sha256": published.sha256,
                "request_no": published.request if published.request in requests else None,
                "why": _why(requests.get(published.request or "")),
            }
            for published in month.published
        ],
        "known_at": format_instant(last.known_at),
        "sha256": last.sha256,
        "overrides": [
            {"districts": list(event.districts), "by": event.by, "why": event.why}
            for event in {id(fact): fact.event for fact in month.overridden.values()}.values()
            if isinstance(event, CloseOverridden)
        ],
        "open_requests": [number for number in month.open_requests if number in requests],
    }


def _why(request: Fact | None) -> str | None:
    return request.event.why if request is not None and isinstance(request.event, RestatementRequested) else None


async def _moves(
    view: Snapshot, plan: Plan, month: PlanMonth, last: PublishedFigures, scope: Scope
) -> dict[str, _Moves]:
    """Return what the ledger learned after the pinned instant about days up to the month's end, by indicator."""
    indicators = {line.number: line.indicator for line in view.compiled.lines if line.plan == plan.id}
    periods = [
        running_period(plan, plan.indicators[indicator][1], month.last) or WHOLE for indicator in indicators.values()
    ]
    rows = await view.connection.fetch(
        view.sql(_FILE)["moved"], list(indicators), periods, month.last, last.known_at, scope.known_at, scope.district
    )
    moves: dict[str, _Moves] = {}
    for row in rows:
        moved = moves.setdefault(indicators[row["line"]], _Moves())
        fact = _moving_fact(row)
        by_cause = moved.by_cause.setdefault(fact["cause"], {"more": 0, "less": 0})
        if fact["part"] == "numerator":
            for movement in (moved.total, by_cause):
                movement["more"] += max(fact["delta"], 0)
                movement["less"] += max(-fact["delta"], 0)
        if len(moved.facts) < _MOST_FACTS:
            moved.facts.append(fact)
    return moves


def _moving_fact(row: asyncpg.Record) -> MovingFact:
    return {
        "cause": row["cause"],
        "part": "denominator" if row["part"] else "numerator",
        "delta": int(row["delta"]),
        "district": row["district"],
        "service": row["service"],
        "position": row["position"],
        "id": row["event_id"],
        "type": row["type"],
        "subject": row["subject"],
        "report_source": row["report_source"],
        "report_id": row["report_id"],
        "reportedby": row["reported_by"],
        "counted_on": row["counted_on"].isoformat(),
        "recorded_at": format_instant(row["recorded_at"]),
    }


def _compared(published: Figure, live: Figure | None, moves: _Moves, sieve: FactSieve) -> ComparedFigure:
    return {
        **cast("FigureValue", published.model_dump(exclude={"district"}, exclude_none=True)),
        "live": None if live is None else cast("LiveFigure", live.model_dump(include=_LIVE)),
        "after_close": {
            **moves.total,
            "by_cause": moves.by_cause,
            "facts": sieve.seen(moves.facts, "counted_on"),
            "others": sieve.others(),
        },
    }
