"""JSON of a decision of the plan office, or of a district's report to it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self, assert_never, cast

from pydantic import BaseModel, ConfigDict, PlainSerializer

from services.planning.events import (
    CloseOverridden,
    NoteWritten,
    PeriodApproved,
    PeriodClosed,
    PeriodRestated,
    PeriodReturned,
    PeriodSubmitted,
    PlanAdopted,
    PlanEvent,
    RestatementRequested,
    TargetRevised,
    TargetSplit,
)
from services.planning.targets_in_force import decimal
from shared.contract.events import Fact, format_instant
from shared.http.visibility import Visibility

Number = int | float
Instant = Annotated[datetime, PlainSerializer(format_instant, return_type=str)]


class Body(BaseModel):
    """A response or a part of one; fields appear in the order in which they are declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Decision(Body):
    """Who decided, when and why, and the report that said so.

    `source`, `id` and `reportedby` are left out of what another district reported (RULES G6), `reportedby` also of what
    was recorded before reports had it (G5). The last three fields are left out where they mean nothing:
    `effective_from` is of targets only, `over` and `difference` are of splits only. Responses are therefore serialised
    without fields that were not set.
    """

    type: str
    position: int
    source: str | None = None
    id: str | None = None
    reportedby: str | None = None
    recorded_at: Instant
    by: str
    why: str | None
    effective_from: date | None = None
    over: Literal["districts", "months"] | None = None
    difference: Number | None = None

    @classmethod
    def of(cls, fact: Fact, visibility: Visibility, **own: object) -> Self:
        """Return what a caller may see of a fact, with the fields that a subclass adds."""
        event = event_of(fact)
        fields: dict[str, object] = {
            "type": event.type_name,
            "position": fact.position,
            "recorded_at": fact.recorded_at,
            "by": event.by,
            "why": _reason(event),
        }
        if visibility.sees(fact.report_source):
            fields |= {"source": fact.report_source, "id": fact.report_id}
            if fact.reported_by is not None:
                fields["reportedby"] = fact.reported_by
        if isinstance(event, PlanAdopted | TargetRevised | TargetSplit):
            fields["effective_from"] = event.effective_from
        if isinstance(event, TargetSplit):
            fields["over"] = event.over
            fields["difference"] = None if event.difference is None else number_of(decimal(event.difference))
        return cls.model_validate(own | fields)


def event_of(fact: Fact) -> PlanEvent:
    """Return the event of a fact in force: one of planning's own, never a retraction."""
    return cast("PlanEvent", fact.event)


def _reason(event: PlanEvent) -> str | None:
    match event:
        case PlanAdopted() | TargetRevised() | TargetSplit() | CloseOverridden() | RestatementRequested():
            return event.why
        case (
            PeriodSubmitted() | PeriodReturned() | PeriodApproved() | PeriodClosed() | PeriodRestated() | NoteWritten()
        ):  # fmt: skip
            return None
        case _:
            assert_never(event)


def number_of(value: Decimal) -> Number:
    """Return a decimal as JSON has it: whole numbers without a fraction."""
    return int(value) if value == value.to_integral_value() else float(value)


def optional_number(value: Decimal | None) -> Number | None:
    """Return a decimal as JSON has it, None for None."""
    return None if value is None else number_of(value)
