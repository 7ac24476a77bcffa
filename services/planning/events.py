"""The published language of planning: decisions on targets, closing a month, notes, erasing a person."""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

import orjson
from pydantic import AfterValidator, Field, JsonValue, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from services.vocabulary import ClosedBefore, OnlyThePlanOffice, RequestedBefore
from shared.contract.events import Event, Language, Opens, format_instant, parse_instant
from shared.contract.identity_numbers import holds_personal_number
from shared.contract.shapes import (
    LARGEST,
    AtTheDoor,
    Count,
    Date,
    DistrictCode,
    Month,
    No,
    Quantity,
    Sha256,
    Shape,
    Text,
    described,
    form,
)
from shared.plan.loading import DEEPEST, MOST_NODES


def _instant(value: str) -> str:
    if parse_instant(value) is None:
        raise PydanticCustomError("bad-value", "wrong", {"expected": "带时区的时刻 an instant with offset (RFC 3339)"})
    return value


def _document(document: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
    if missing := [key for key in _KEYS if key not in document]:
        raise PydanticCustomError(
            "bad-value", "wrong", {"expected": f"计划文件的内容 a plan with {', '.join(missing)}"}
        )
    door = info.context
    if isinstance(door, AtTheDoor) and not _is_bounded(document):
        limits = f"至多 {DEEPEST} 层、{MOST_NODES} 个值 at most {DEEPEST} levels and {MOST_NODES} values"
        raise PydanticCustomError("bad-value", "wrong", {"expected": limits})
    if isinstance(door, AtTheDoor) and any(map(holds_personal_number, _texts(document, door))):
        raise PydanticCustomError("personal-number", "wrong", {})
    return document


def _plain(value: str, info: ValidationInfo) -> str:
    if info.context is not None and _TAG.search(value):
        raise PydanticCustomError("bad-value", "wrong", {"expected": "纯文字,不含 HTML 标记 plain text without markup"})
    return value


def _texts(value: JsonValue, door: AtTheDoor) -> Iterator[str]:
    """Yield every text and key of a document but credit codes, which may have the form of an identity number."""
    if isinstance(value, str):
        if not door.takes_credit_code(value):
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner, door)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, door)


def _is_bounded(document: JsonValue) -> bool:
    """Tell whether a document is no deeper and no larger than a plan file may be (contract F2)."""
    level, nodes = [document], 1
    for _ in range(DEEPEST + 1):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return True
        level = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]
        nodes += len(level)
        if nodes > MOST_NODES:
            return False
    return False


_TAG: Final = re.compile(r"<[A-Za-z/!?]")
_KEYS: Final = ("id", "title", "period", "districts", "series")
Document = Annotated[dict[str, JsonValue], AfterValidator(_document), Field(json_schema_extra={"required": [*_KEYS]})]
Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]
Gap = Annotated[int | float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]


class Figure(Shape):
    """One number of a month as it is published: of an indicator, for a district or (without one) the whole."""

    indicator: No
    district: DistrictCode | None = None
    period: No
    numerator: int
    denominator: int | None = None
    value: int | float | None = None
    goal: int | float | None = None
    met: bool | None = None


_PSEUDONYM: Final = r"[0-9a-f]{32}"
Token = Annotated[str, form(_PSEUDONYM, "32 位十六进制 32 hex digits"), described(_PSEUDONYM)]


class ErasedCounts(Shape):
    """What of one person becomes unreadable in a service, counted before it is destroyed.

    `keys`: of the person, 0 or 1. `facts`: with fields sealed under that key, all at or before `position`. `waiting`,
    `raw`: reports that wait, and reports as they came on the inbox's topics. `quarantined`: messages that name the
    person.
    """

    service: No
    keys: Count
    facts: Count
    waiting: Count
    quarantined: Count
    raw: Count
    position: Count


Figures = Annotated[list[Figure], Field(min_length=1)]


def digest_of(figures: Sequence[Figure]) -> str:
    """Return the SHA-256 of figures in their canonical form: JSON, keys sorted, no spaces, what is absent left out."""
    canonical = [figure.model_dump(mode="json", exclude_none=True) for figure in figures]
    return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()


def seal_of(key: bytes, plan: str, month: str, known_at: str, sha256: str) -> str:
    """Return the seal of a month's figures (RULES F8a): who has the key has counted them.

    HMAC-SHA-256 over the four, lines of text; `known_at` however it is spelled, in UTC with microseconds.
    """
    instant = parse_instant(known_at)
    at = known_at if instant is None else format_instant(instant)
    return hmac.digest(key, "\n".join(("figures", plan, month, at, sha256)).encode(), "sha256").hex()


class PlanAdopted(Event, subject="plan/<plan>", whole_only=OnlyThePlanOffice, reserved=True):
    """采用计划文件: A plan file is adopted; from its day on its targets hold.

    A line that says what the last adoption said undoes no revision. `against`: the digest of the adoption it was
    compared with, none for the first.
    """

    plan: No
    document: Document
    sha256: Sha256
    against: Sha256 | None = None
    effective_from: Date
    by: Text
    why: Text | None = None


class TargetRevised(Event, subject="target/<plan>/<indicator>", whole_only=OnlyThePlanOffice, reserved=True):
    """调整目标: A target is another from a day on, for the whole or for one district."""

    plan: No
    indicator: No
    district: DistrictCode | None = None
    op: Literal[">=", ">", "=", "range", "all"]
    value: Quantity | None = None
    upper: Quantity | None = None
    baseline: Quantity | None = None
    clause: Text | None = None
    effective_from: Date
    by: Text
    why: Text | None = None


class TargetSplit(
    Event, subject="split/<plan>/<indicator>/<period>/<over>", whole_only=OnlyThePlanOffice, reserved=True
):
    """分解目标: A target of a period is parted over districts or over months; the parts add up, or the gap is stated.

    `parts`: by district code, or by month (YYYY-MM). `difference`: the target less the sum of its parts.
    """

    plan: No
    indicator: No
    period: No
    over: Literal["districts", "months"]
    parts: Annotated[dict[No, Quantity], Field(min_length=1)]
    difference: Gap | None = None
    effective_from: Date
    by: Text
    why: Text | None = None


class PeriodSubmitted(Event, subject="month/<plan>/<month>/<district>"):
    """提交月度数据: A district says that what it has reported for a month is whole."""

    plan: No
    month: Month
    by: Text
    note: Text | None = None


class PeriodReturned(Event, subject="month/<plan>/<month>/<submitted_by>", whole_only=OnlyThePlanOffice, reserved=True):
    """退回月度数据: The plan office sends a district's month back, with what is to be seen to."""

    plan: No
    month: Month
    submitted_by: DistrictCode
    items: Annotated[list[Text], Field(min_length=1)]
    message: Text
    by: Text


class PeriodApproved(Event, subject="month/<plan>/<month>/<submitted_by>", whole_only=OnlyThePlanOffice, reserved=True):
    """核准月度数据: The plan office agrees with what a district submitted."""

    plan: No
    month: Month
    submitted_by: DistrictCode
    by: Text
    note: Text | None = None


class CloseOverridden(Event, subject="month/<plan>/<month>", whole_only=OnlyThePlanOffice, reserved=True):
    """破例关账: Somebody answers for closing a month although these districts are not approved."""

    plan: No
    month: Month
    districts: Annotated[list[DistrictCode], Field(min_length=1)]
    by: Text
    why: Text


class CosignedCheckpoint(Shape):
    """A log's checkpoint (C2SP tlog-checkpoint), with its own signature and those of its witnesses, a line each."""

    origin: Text
    size: Annotated[int, Field(ge=0, le=LARGEST)]
    root: Text
    signatures: Annotated[list[Text], Field(min_length=1, max_length=20)]

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{self.root}\n"


class PeriodClosed(
    Event,
    subject="month/<plan>/<month>",
    role=Opens(taken=ClosedBefore),
    whole_only=OnlyThePlanOffice,
    reserved=True,
):
    """月度关账: A month's figures are published, as they were known at an instant."""

    plan: No
    month: Month
    known_at: Instant
    figures: Figures
    sha256: Sha256
    seal: Sha256 | None = None
    checkpoints: Annotated[list[CosignedCheckpoint], Field(min_length=1, max_length=20)] | None = None
    by: Text


class RestatementRequested(Event, subject="restatement/<plan>/<month>/<no>", role=Opens(taken=RequestedBefore)):
    """申请重述: Somebody asks that a closed month be published anew with what became known since."""

    plan: No
    month: Month
    by: Text
    why: Text


class PeriodRestated(Event, subject="month/<plan>/<month>", whole_only=OnlyThePlanOffice, reserved=True):
    """重述月度数据: A request is approved: the month's figures are published anew."""

    plan: No
    month: Month
    request_no: No
    known_at: Instant
    figures: Figures
    sha256: Sha256
    seal: Sha256 | None = None
    by: Text


# It neither opens nor states its subject, which is nobody's therefore (RULES G1): district and city both write.
class NoteWritten(Event, subject="note/<plan>/<indicator>/<period>/<of>"):
    """填写说明: Why a number stands as it does, and what is done next, written on a cell; a later one takes its place.

    `of`: the district whose cell it is, the city's own code for the whole. `period`: a year, or plan.
    """

    plan: No
    indicator: No
    period: No
    of: DistrictCode
    cause: Text
    next_step: Text
    by: Text

    _plain = field_validator("cause", "next_step")(_plain)


class ErasureRequested(
    Event, subject="erasure/<no>", role=Opens(taken=RequestedBefore), whole_only=OnlyThePlanOffice, reserved=True
):
    """申请删除个人信息: Somebody asks that a person's keys be destroyed. `token` is the person's, as facts have it."""

    token: Token
    by: Text
    why: Text


class PersonErased(Event, subject="erasure/<no>", whole_only=OnlyThePlanOffice, reserved=True):
    """核准删除个人信息: Another approves it: what becomes unreadable, by service, and in how many backups."""

    by: Text
    unreadable: Annotated[list[ErasedCounts], Field(min_length=1)]
    backups: Count


TargetEvent = PlanAdopted | TargetRevised | TargetSplit
MonthEvent = (
    PeriodSubmitted
    | PeriodReturned
    | PeriodApproved
    | CloseOverridden
    | PeriodClosed
    | RestatementRequested
    | PeriodRestated
)
ErasureEvent = ErasureRequested | PersonErased
PlanEvent = TargetEvent | MonthEvent | NoteWritten
PlanningEvent = PlanEvent | ErasureEvent
LANGUAGE = Language("planning", PlanningEvent)
