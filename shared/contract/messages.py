"""The messages that travel, as JSON: a report, a fact, a receipt, and the pages of them that a service answers with.

They describe; what is answered is encoded by `Fact` and by shared/deciding/receipts.py, and not validated again.
"""

from typing import (
    Annotated,
    Literal,
    NotRequired,  # pydantic takes typing's own from Python 3.12 on
)

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
DistrictCode = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9]{6}$"})]
ReportedBy = Annotated[
    str,
    Field(
        description="谁报送的:HTTP 密钥编号、Kafka 用户,或 open who reported it: the id of the HTTP key, the Kafka"
        " user, or open while no keys are set"
    ),
]
LogPosition = Annotated[int, Field(ge=1, description="dense, in the service's log")]
StreamVersion = Annotated[int, Field(ge=1, description="in the stream")]
ReceiptStatus = Literal["accepted", "waiting", "refused", "invalid", "misdirected", "duplicate"]


class EventEnvelope(TypedDict):
    """What CloudEvents says of a report or of a fact (VOCABULARY 1)."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    district: DistrictCode
    datacontenttype: NotRequired[str]
    corrects: NotRequired[str]
    traceparent: NotRequired[str]
    data: dict[str, object]


class ReportEnvelope(EventEnvelope):
    """A report; docs/events has the schema of each type's data."""


class FactEnvelope(EventEnvelope):
    """A fact: what was accepted, where it stands in the log, and which report it comes from (VOCABULARY 2a)."""

    position: LogPosition
    version: StreamVersion
    recordedat: Instant
    reportsource: str
    reportid: str
    correlationid: str
    causationid: str
    reportedby: NotRequired[ReportedBy]


class ReceiptReason(TypedDict):
    """A rule that was broken, and where (RFC 6901)."""

    code: str
    zh: str
    en: str
    pointer: NotRequired[str]


class ReceiptFields(TypedDict):
    """A receipt but for its reasons; what could not be read of the report is left out (VOCABULARY 2)."""

    source: NotRequired[str]
    id: NotRequired[str]
    type: NotRequired[str]
    subject: NotRequired[str]
    district: NotRequired[DistrictCode]
    reportedby: NotRequired[ReportedBy]
    service: str
    status: ReceiptStatus
    position: NotRequired[LogPosition]
    stream: NotRequired[str]
    version: NotRequired[StreamVersion]
    waits_for: NotRequired[Annotated[str, Field(description="a subject, report/<id>, or what the service calls it")]]
    corrected_by: NotRequired[str]
    place: NotRequired[Annotated[str, Field(description="topic/partition/offset of what was no JSON object")]]
    first: NotRequired[Annotated["Receipt", Field(description="of the first report of this source and id")]]
    flags: list[str]
    received_at: Instant
    decided_at: Instant


class Receipt(ReceiptFields):
    """What became of a report."""

    reasons: list[ReceiptReason]


class BatchReceipts(TypedDict):
    """The receipts of a batch, in the order sent."""

    results: list[Receipt]


class LogPage(TypedDict):
    """Facts in the order of their positions; `next` is what to ask for as `after`, null at the end."""

    facts: list[FactEnvelope]
    next: int | None


class ServiceLogHead(TypedDict):
    """Position of the last fact of a log and when it was recorded; null while there is none."""

    service: str
    position: int
    recorded_at: Instant | None
