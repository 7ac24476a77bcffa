"""`GET /v1/plans/{plan}/months/{month}`: how a month stands, and what the caller may do."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field

from services.planning.api.context import QUERY_RESPONSES, Context, MonthName, PlanId, PlanningContext
from services.planning.api.decisions import Body, Decision, Instant
from services.planning.api.permissions import Permissions, is_city_of
from services.planning.api.witnesses import look
from services.planning.events import CloseOverridden, PeriodClosed, PeriodReturned
from services.planning.months import Action, DistrictMonth, PlanMonth, Status, today_of
from services.planning.witnessed import all_witnessed, heads_of, lacking, sentence
from shared.contract.events import Fact
from shared.http.access import caller_of
from shared.http.visibility import Visibility, visibility_of
from shared.plan.model import Plan
from shared.plan.parts import Name

router = APIRouter()


class DistrictState(Body):
    """A district's month before it was submitted; `needed`: a close waits for its approval."""

    district: str
    state: Status
    needed: bool


class DistrictDecided(Decision, DistrictState):
    """A district's month with what was reported or decided on it last; `items`, `message`: of a return."""

    items: list[str] | None
    message: str | None


class OverrideDecision(Decision):
    """A close in spite of districts that are not approved."""

    districts: list[str]


class _PublishedDigest(Body):
    known_at: Instant
    sha256: str
    figures: int
    request_no: str | None


class PublicationDecision(Decision, _PublishedDigest):
    """A close or a restatement: how many figures, as known at which instant, for which request."""


class _RequestNumber(Body):
    request_no: str


class RestatementRequest(Decision, _RequestNumber):
    """A request to publish a closed month anew."""


class WitnessName(Body):
    """The name of a witness."""

    zh: str
    en: str


class LogCosigned(Body):
    """How far a service's log is cosigned, by whom, and who is missing; `size`: null where it does not answer."""

    service: str
    size: int | None
    by: list[WitnessName]
    missing: list[WitnessName]


class MonthWitnesses(Body):
    """The cosignatures that a close needs of each log, or had; `enough`: whether they are there, `zh`, `en`: if not."""

    needed: int
    enough: bool
    zh: str | None
    en: str | None
    logs: list[LogCosigned]


class MonthState(Body):
    """A month of a plan: its districts, its publications, its requests; `may`: what the bearer of this key can do.

    Of another district's month a district sees the state alone, and of requests its own (RULES G6).
    """

    plan: str
    month: str
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    state: Literal["open", "closed"]
    missing: list[str]
    districts: list[DistrictDecided | DistrictState]
    overrides: list[OverrideDecision]
    published: list[PublicationDecision]
    requests: list[RestatementRequest]
    witnesses: MonthWitnesses | None
    may: list[Action]


@router.get(
    "/{plan}/months/{month}",
    summary="月份状态及可办事项 How a month stands, what you may do",
    description=(
        "各区县的报审情况、公布与重述的记录;`may` 为持此密钥者现在可办的事。\n\n"
        "How each district's figures stand, what was published and restated; `may`: what the bearer of this key"
        " can do now."
    ),
    responses=QUERY_RESPONSES,
    response_model_exclude_unset=True,
)
async def get_month(plan: PlanId, month: MonthName, request: Request, context: Context) -> MonthState:
    """Return how a month stands."""
    counted = context.plan(plan)
    current = await context.month(counted, month)
    visibility = visibility_of(request, counted.successors)
    return MonthState(
        plan=current.plan,
        month=current.name,
        first=current.first,
        last=current.last,
        state="closed" if current.closed else "open",
        missing=[] if current.closed else current.missing,
        districts=[_district(counted, code, district, visibility) for code, district in current.districts.items()],
        overrides=_overrides(current.overridden.values(), visibility),
        published=_publications(current, visibility),
        requests=[
            RestatementRequest.of(fact, visibility, request_no=number)
            for number, fact in current.requests.items()
            if visibility.sees(fact.report_source)
        ],
        witnesses=await _witnesses(context, counted, current),
        may=Permissions(caller_of(request), counted).on_month(current, today_of(datetime.now(UTC))),
    )


def _district(
    plan: Plan, code: str, district: DistrictMonth, visibility: Visibility
) -> DistrictDecided | DistrictState:
    state = DistrictState(district=code, state=district.status, needed=not is_city_of(plan, code))
    if not district.facts or not visibility.sees_district(code):
        return state
    last = district.facts[-1]
    returned = last.event if isinstance(last.event, PeriodReturned) else None
    return DistrictDecided.of(
        last,
        visibility,
        **state.model_dump(),
        items=None if returned is None else returned.items,
        message=None if returned is None else returned.message,
    )


async def _witnesses(context: PlanningContext, plan: Plan, month: PlanMonth) -> MonthWitnesses | None:
    """Return what witnesses have cosigned: what the close had, or what is there now; None where none are needed."""
    if plan.witnesses is None:
        return None
    closes = [publication.fact.event for publication in month.published]
    closed = next((event for event in closes if isinstance(event, PeriodClosed)), None)
    if closed is None:
        logs = await look(context, plan)
    elif closed.checkpoints is None:
        return None  # closed before the plan asked
    else:
        logs = all_witnessed(plan, heads_of(closed.checkpoints))
    missing = lacking(plan, logs)
    zh, en = sentence(missing, plan.witnesses.needed) if missing else (None, None)
    return MonthWitnesses(
        needed=plan.witnesses.needed,
        enough=not missing,
        zh=zh,
        en=en,
        logs=[
            LogCosigned(service=log.service, size=log.size, by=_named(log.by), missing=_named(log.missing))
            for log in logs
        ],
    )


def _named(names: Iterable[Name]) -> list[WitnessName]:
    return [WitnessName(zh=name.zh, en=name.en) for name in names]


def _overrides(facts: Iterable[Fact], visibility: Visibility) -> list[OverrideDecision]:
    """Return each override once; a month has it under every district that it names."""
    by_position = {fact.position: fact for fact in facts}
    return [
        OverrideDecision.of(fact, visibility, districts=fact.event.districts)
        for fact in by_position.values()
        if isinstance(fact.event, CloseOverridden)
    ]


def _publications(month: PlanMonth, visibility: Visibility) -> list[PublicationDecision]:
    return [
        PublicationDecision.of(
            publication.fact,
            visibility,
            known_at=publication.known_at,
            sha256=publication.sha256,
            figures=len(publication.figures),
            request_no=publication.request if _is_seen(month, publication.request, visibility) else None,
        )
        for publication in month.published
    ]


def _is_seen(month: PlanMonth, request: str | None, visibility: Visibility) -> bool:
    """Return whether the caller may see a request for a restatement, whose number is a part of its subject."""
    return request in month.requests and visibility.sees(month.requests[request].report_source)
