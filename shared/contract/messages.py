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
    sha256: NotRequired[
        Annotated[
            str,
            Field(
                pattern="^[0-9a-f]{64}$",
                description="该位置上事实的原始字节的 SHA-256 of the exact bytes of the fact at that position",
            ),
        ]
    ]
    sunset: NotRequired[
        Annotated[
            str,
            WithJsonSchema({"type": "string", "format": "date"}),
            Field(description="该版本收到这一天为止 the last day on which reports of this version are taken"),
        ]
    ]
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


class FactToRecord(TypedDict):
    """A fact that is or would be recorded, without who it is about."""

    type: str
    subject: str
    district: DistrictCode
    time: Instant
    data: dict[str, object]


class RecordedReport(FactToRecord):
    """What is recorded of a report: the fact that it became, and `decided`, what the service decided because of it."""

    decided: list[FactToRecord]


class MovedCell(TypedDict):
    """A number of a plan that a fact would move.

    `effect`: whether it counts, ends what counts, or takes out what it undoes. `once`: a member (a person, a subject)
    counts once, by its earliest fact. `month`: null for a level. `amount`: what it adds, in the indicator's unit.
    """

    plan: str
    indicator: str
    name: dict[Literal["zh", "en"], str]
    part: Literal["numerator", "denominator"]
    period: str
    month: str | None
    district: DistrictCode
    effect: Literal["counts", "ends", "takes-out"]
    once: bool
    amount: int | None
    unit: str


class ValidatedReceipt(Receipt):
    """The receipt that a report would get now, and the facts that would be recorded because of it."""

    facts: list[FactToRecord]
    counts_in: NotRequired[
        Annotated[
            list[MovedCell] | None,
            Field(description="at the gateway: what the facts would count in; null while that cannot be told"),
        ]
    ]


class ValidatedReceipts(TypedDict):
    """The receipts that a batch would get now, in the order sent."""

    results: list[ValidatedReceipt]


class ReportPair(TypedDict):
    """What names a report for ever."""

    source: str
    id: str


class ReportPairs(TypedDict):
    """The reports that are asked about."""

    pairs: Annotated[list[ReportPair], Field(max_length=1000)]


class PairReceipts(ReportPair):
    """The receipts of a report as they stand now, one of each service that knows it; none where it never came."""

    receipts: list[Receipt]


class PairsReceipts(TypedDict):
    """The receipts of the reports that were asked about, in their order."""

    results: list[PairReceipts]


class LogPage(TypedDict):
    """Facts in the order of their positions; `next` is what to ask for as `after`, null at the end."""

    facts: list[FactEnvelope]
    next: int | None


class ServiceLogHead(TypedDict):
    """Position of the last fact of a log and when it was recorded; null while there is none."""

    service: str
    position: int
    recorded_at: Instant | None


class InclusionProof(TypedDict):
    """That the fact at a position is in the tree of a size: its leaf's hash and the path to the root (RFC 6962)."""

    service: str
    position: int
    size: int
    leaf: str
    proof: list[str]


class ConsistencyProof(TypedDict):
    """That the tree of a size begins with that of the size `old` (RFC 6962)."""

    service: str
    old: int
    size: int
    proof: list[str]
