"""The published language: what a report and a fact are, and how an event type declares what it is."""

import hashlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import ClassVar, Final, Literal, get_args
from zoneinfo import ZoneInfo

import orjson

from shared.contract import rules
from shared.contract.cloudevents import JsonObject
from shared.contract.rules import Rule
from shared.contract.shapes import DISTRICT_FORM, NO_FORM, DistrictCode, ReportId, ReportSource, Shape, Text, in_sandbox

LOCAL_TIME: Final = ZoneInfo("Asia/Shanghai")  # of every date: the one zone of the country

_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DAY: Final = timedelta(days=1)
_FORMER: Final = re.compile(r"V[0-9]+$")  # how the class of a former version is called
PLACEHOLDER: Final = re.compile(r"<([a-z_.]+)>")

# What a part of a subject looks like, by the last word of its placeholder; a part that stands neither here nor in a
# type's own `parts` is a number of a thing (RULES A12).
_PART_FORMS: Final[Mapping[str, str]] = {
    "credit_code": r"[0-9A-HJ-NPQRTUWXY]{18}",
    "district": DISTRICT_FORM,
}


@dataclass(frozen=True, slots=True)
class Opens:
    """Starts its subject (RULES C3). `again`: after an end it may open anew. `key`: a field that tells several things
    opened on one subject apart. `until`: the field with the last day of a span that ends by itself."""

    again: bool = False
    taken: type[Rule] = rules.AlreadyOpen
    key: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends what `opening` opened on the same subject. `voids`: it takes the thing out of every period (RULES C5)."""

    opening: str
    voids: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Stands:
    """A later one for the same subject replaces the earlier from its date on *(latest stands)*."""


@dataclass(frozen=True, slots=True)
class Adds:
    """May repeat on its subject; with `to` it waits until that opening stands (RULES C4, C9)."""

    to: str | None = None


@dataclass(frozen=True, slots=True)
class Retracts:
    """Takes a report back; only the kernel has such types."""


SubjectRole = Opens | Ends | Stands | Adds | Retracts


class Event(Shape):
    """The data of one type of report and fact; its class name, in lower case with hyphens, is the type's name.

    Declared by class arguments: `subject`, a template in which `<path>` names the field that must agree with the part
    (or, where the data has no such field, only its form); `role`; `dated`, the field with the fact's date (RULES A1;
    none: the date of `time`); `ordered`, pairs of date fields (earlier, later) of RULES C6; `decision`: recorded by
    the service itself, never reported; `parts`, the form of parts of the subject by the last word of their
    placeholder; `district_only`, the rule that a report for the whole area breaks, where the type counts for a
    district alone (RULES E11); `whole_only`, the rule that a report for a district breaks, where only who answers for
    the whole area may report the type (G2); `reserved`: only with a key of who plans for it.

    A type whose data changes by more than an addition becomes a version: its class is renamed `…V1` and gets a
    `sunset`, the last day on which reports of it are taken, and the method `upcast`; the class of the new version
    names it as `former`. Reports and facts of a former version keep their type and data, and mean what `upcast` says.
    """

    type_name: ClassVar[str]
    version: ClassVar[int]
    former: ClassVar["type[Event] | None"]
    sunset: ClassVar[date | None]
    subject: ClassVar[str]
    role: ClassVar[SubjectRole]
    dated: ClassVar[str | None]
    ordered: ClassVar[tuple[tuple[str, str], ...]]
    decision: ClassVar[bool]
    district_only: ClassVar[type[Rule] | None]
    whole_only: ClassVar[type[Rule] | None]
    reserved: ClassVar[bool]
    has_person: ClassVar[bool]
    subject_form: ClassVar[re.Pattern[str]]
    subject_paths: ClassVar[tuple[str, ...]]
    for_every_service: ClassVar[bool]  # those without a form of their subject, which is another report's

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Leave the class arguments to pydantic's hook below, which runs once the fields are known."""

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        subject: str = "",
        role: SubjectRole | None = None,
        dated: str | None = None,
        ordered: tuple[tuple[str, str], ...] = (),
        decision: bool = False,
        parts: Mapping[str, str] | None = None,
        district_only: type[Rule] | None = None,
        whole_only: type[Rule] | None = None,
        reserved: bool = False,
        former: "type[Event] | None" = None,
        sunset: date | None = None,
        **kwargs: object,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        name, _, version = cls.__name__.rpartition("V") if _FORMER.search(cls.__name__) else (cls.__name__, "", "")
        cls.type_name = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
        cls.former, cls.sunset, cls.version = former, sunset, former.version + 1 if former else 1
        if bool(version) != (sunset is not None) or version not in ("", str(cls.version)):
            raise TypeError(f"{cls.__name__}: a former version is called …V{cls.version} and has a sunset")
        if former is not None and former.type_name != cls.type_name:
            raise TypeError(f"{cls.__name__}: {former.__name__} is no version of it")
        cls.subject, cls.role, cls.dated, cls.ordered, cls.decision = subject, role or Adds(), dated, ordered, decision
        cls.district_only, cls.whole_only, cls.reserved = district_only, whole_only, reserved
        cls.has_person = "person" in cls.model_fields
        cls.for_every_service = not subject
        cls.subject_paths = tuple(PLACEHOLDER.findall(subject))
        forms = {**_PART_FORMS, **(parts or {})}
        cls.subject_form = re.compile(
            PLACEHOLDER.sub(lambda part: f"({forms.get(part[1].rpartition('.')[2], NO_FORM)})", subject)
        )

    @classmethod
    def versioned_name(cls) -> str:
        """Return the name of the type with its version, as it ends the CloudEvents type."""
        return f"{cls.type_name}.v{cls.version}"

    @classmethod
    def misplaced(cls, source: str | None, *, for_whole: bool) -> type[Rule] | None:
        """Return the rule that a report for the whole area, or for a district, breaks; None when it may be (E11, G2).

        What rests on the whole area's own a district could never try, were its sandbox kept from it, too (RULES A26).
        """
        if for_whole:
            return cls.district_only
        is_trial = in_sandbox(source) and not (cls.reserved or cls.for_every_service)
        return None if is_trial else cls.whole_only

    def happened_on(self, at: datetime) -> date:
        """Return the date of the fact (RULES A1) that happened `at`."""
        return getattr(self, self.dated) if self.dated else at.astimezone(LOCAL_TIME).date()

    def upcast(self) -> "Event":
        """Return what a former version says in the words of the next: a pure function of its data."""
        return self

    def newest(self) -> "Event":
        """Return what it says in the words of the newest version of its type."""
        return self if self.sunset is None else self.upcast().newest()


def kind_of(type_: str) -> str:
    """Return a CloudEvents type without prefix and version: of all versions of a type the same."""
    return type_.removeprefix("skillplan.").rpartition(".v")[0]


@cache
def _codes_at(template: str) -> tuple[bool, ...]:
    return tuple(path.endswith("credit_code") for path in PLACEHOLDER.findall(template))


def parted(template: str, matched: re.Match[str]) -> tuple[Sequence[str], str]:
    """Return the parts of a subject that are credit codes, and the others in one text."""
    codes_at = _codes_at(template)
    if not any(codes_at):
        return (), matched[0]
    parts = list(zip(codes_at, matched.groups(), strict=True))
    return [part for is_code, part in parts if is_code], "/".join(part for is_code, part in parts if not is_code)


class ReportRetracted(Event, role=Retracts()):
    """A report is taken back: it counts as never made (VOCABULARY 1); the subject is the original's."""

    report_id: ReportId
    reason: Text


class ReportVoided(Event, role=Retracts(), whole_only=rules.OnlyTheWhole, reserved=True):
    """A report, whosever it is, counts as never made (RULES G4); the subject is the report's.

    `source`, `report_id`: the report. It may be retracted: then the report stands again.
    """

    source: ReportSource
    report_id: ReportId
    reason: Text


class SubjectAssigned(Event, whole_only=rules.OnlyTheWhole):
    """From now on the subject belongs to a district (RULES G3); what was reported on it stays where it counted."""

    to: DistrictCode
    reason: Text


class ReportSuspended(Event, decision=True):
    """What this report referred to was taken back: its fact counts for nothing, and it waits again (RULES B6)."""

    report_id: str
    reason: str


class ReportRestored(Event, decision=True):
    """This report had been voided, and that was retracted: it counts again, in place of what it corrects (RULES G4)."""

    report_id: str
    corrects: str | None = None
    reason: str


class DecisionFlagged(Event, decision=True):
    """What a decision rests on has changed; a person must look, nothing is undone (RULES B14, B15)."""

    report_id: str
    flag: Literal["needs-review"]
    reason: str


ReportKey = tuple[str, str]  # (source, id)
_KERNEL: Final = (
    ReportRetracted, ReportVoided, SubjectAssigned, ReportSuspended, ReportRestored, DecisionFlagged,
)  # fmt: skip


def taken_back(event: Event, source: str) -> ReportKey | None:
    """Return the report that an event from a source takes back, None when it takes none back."""
    if not isinstance(event.role, Retracts):  # which takes a fifth of asking a model for its class
        return None
    if isinstance(event, ReportVoided):
        return (event.source, event.report_id)
    return (source, event.report_id) if isinstance(event, ReportRetracted) else None


class Language:
    """The event types of one service, derived from the union of their classes, and those that every service has.

    `events`: each in its newest version; `versions`: with the former ones, which are still read, and taken until their
    sunset.
    """

    def __init__(self, service: str, union: object) -> None:
        self.service = service
        own: tuple[type[Event], ...] = get_args(union) or (typing.cast("type[Event]", union),)
        self.events: tuple[type[Event], ...] = (*own, *_KERNEL)
        self.versions = tuple(version for event in self.events for version in _versions(event))
        named = [event for event in self.versions if event.subject]
        self.subject_forms = tuple({event.subject: event.subject_form for event in named}.items())
        self._whole_forms = tuple(event.subject_form for event in named if event.reserved)
        self._by_type = {self.type_of(event): event for event in self.versions}

    def type_of(self, event: type[Event]) -> str:
        """Return the CloudEvents type of an event class."""
        return f"skillplan.{self.service}.{event.versioned_name()}"

    def newest_of(self, event: type[Event]) -> type[Event]:
        """Return the newest version of a type."""
        return next(version for version in self.events if version.type_name == event.type_name)

    def is_of_whole(self, subject: str) -> bool:
        """Tell whether a subject may be one of those that only who plans for the whole area reports on."""
        return any(form.fullmatch(subject) for form in self._whole_forms)

    def find(self, type_name: str) -> type[Event] | None:
        """Return the class of a CloudEvents type, None when the service has none."""
        return self._by_type.get(type_name)


def _versions(event: type[Event]) -> Iterator[type[Event]]:
    """Yield an event type, then its former versions, the newest first."""
    version: type[Event] | None = event
    while version is not None:
        yield version
        version = version.former


@dataclass(slots=True)
class Report:
    """A report that was understood: who says what happened, to which subject, when.

    `body` is the data as JSON values as it will be recorded; `personal` the personal fields until they are sealed.
    `event` is what it says in the newest version of its type; `sunset` the last day on which its own version is taken.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    district: str
    event: Event
    body: JsonObject
    at: datetime
    digest: bytes
    received_at: datetime
    corrects: str | None = None
    traceparent: str | None = None
    correlation_id: str | None = None
    personal: bytes | None = None
    reported_by: str | None = None  # the credential that sent it (RULES G5); older reports have none
    read_at: datetime | None = None  # by the clock of who read it, where that is not who received it
    resumed: bool = False  # it waits again, or in the place of what it corrects: that was settled before
    sunset: date | None = None

    @property
    def clock_at(self) -> datetime:
        """The later of the clocks by which it came: what lies ahead of it is in the future (RULES A2)."""
        return max(self.received_at, self.read_at or self.received_at)

    @property
    def ahead_of_time(self) -> str | None:
        """The pointer to a date that lies ahead (RULES A2), None where there is none."""
        clock, dated = self.clock_at, self.event.dated
        if self.at > clock + _DAY:
            return "/time"
        # No day of the local time begins later than that of UTC: most reports need no time zone to be told right.
        if dated is None or self.happened_on <= clock.date():
            return None
        tomorrow = clock.astimezone(LOCAL_TIME).date() + timedelta(days=1)
        return f"/data/{dated}" if self.happened_on > tomorrow else None

    @property
    def key(self) -> ReportKey:
        """The idempotency key (RULES A3)."""
        return (self.source, self.id)

    @property
    def happened_on(self) -> date:
        """The date of the fact (RULES A1)."""
        return self.event.happened_on(self.at)

    @property
    def names(self) -> ReportKey | None:
        """The report that this one takes back or corrects."""
        return taken_back(self.event, self.source) if self.corrects is None else (self.source, self.corrects)


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The answer to an event that is `invalid`, `misdirected` or refused before any decision."""

    status: str
    reasons: tuple[Rule, ...]
    received_at: datetime
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    district: str | None = None
    route: str | None = None  # the district whose receipts topic gets the receipt
    place: str | None = None  # topic/partition/offset of what could not be read at all (RULES A19)
    reported_by: str | None = None
    sunset: date | None = None


def parse_instant(text: object) -> datetime | None:
    """Return the instant of an RFC 3339 text with offset, in UTC; None when it is none."""
    return _parse_instant(text) if isinstance(text, str) else None


@lru_cache(1024)  # a table of a district has the same days again and again
def _parse_instant(text: str) -> datetime | None:
    match_ = _TIME.fullmatch(text)
    if match_ is None:
        return None
    day, clock, fraction, offset = match_.groups()
    offset = "+00:00" if offset in "Zz" else offset
    try:
        return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0')[:7]:0<7}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_instant(at: datetime) -> str:
    """Return an instant as RFC 3339 in UTC with microseconds."""
    # A third of the time of `isoformat`; it leaves out microseconds that are none.
    text = orjson.dumps(at if at.tzinfo is UTC else at.astimezone(UTC))
    return f"{text[1:27].decode()}Z" if at.microsecond else f"{text[1:20].decode()}.000000Z"


@dataclass(slots=True)
class Fact:
    """An event of a log: what was accepted, where it stands there, and which report it comes from."""

    service: str
    position: int
    version: int
    id: str
    type: str
    stream: str
    district: str
    at: datetime
    time: str
    recorded_at: datetime
    report_source: str
    report_id: str
    event: Event
    body: JsonObject
    tags: tuple[str, ...] = ()
    corrects: str | None = None
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str | None = None
    reported_by: str | None = None
    sunset: date | None = None  # of the version that its type names
    exact: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def happened_on(self) -> date:
        """The date of the fact (RULES A1)."""
        return self.event.happened_on(self.at)

    @property
    def names(self) -> ReportKey | None:
        """The report that this fact takes back or corrects."""
        source = self.report_source
        return taken_back(self.event, source) if self.corrects is None else (source, self.corrects)

    def as_report(self, digest: bytes, received_at: datetime) -> Report:
        """Return the report that this was recorded for, as it would be decided again; of a content by its digest."""
        return Report(
            id=self.report_id,
            source=self.report_source,
            type=self.type,
            subject=self.stream,
            time=self.time,
            district=self.district,
            event=self.event,
            body=self.body,
            at=self.at,
            digest=digest,
            received_at=received_at,
            corrects=self.corrects,
            traceparent=self.traceparent,
            correlation_id=self.correlation_id,
            reported_by=self.reported_by,
            read_at=self.recorded_at,
            sunset=self.sunset,
        )

    def sha256(self) -> str:
        """Return the digest of the exact bytes, in hex, which are kept until they are taken."""
        if self.exact is None:
            self.exact = self.encode()
        return hashlib.sha256(self.exact).hexdigest()

    def take_bytes(self) -> bytes:
        """Return the exact bytes, and keep them no longer: a fact is remembered after it is stored."""
        exact, self.exact = self.exact, None
        return self.encode() if exact is None else exact

    def encode(self) -> bytes:
        """Return the exact bytes that are stored and sent (VOCABULARY 2a)."""
        envelope: dict[str, object] = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/services/{self.service}",
            "type": self.type,
            "subject": self.stream,
            "time": self.time,
            "district": self.district,
            "position": self.position,
            "version": self.version,
            "recordedat": format_instant(self.recorded_at),
            "reportsource": self.report_source,
            "reportid": self.report_id,
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
        }
        if self.reported_by is not None:
            envelope["reportedby"] = self.reported_by
        if self.corrects is not None:
            envelope["corrects"] = self.corrects
        if self.traceparent is not None:
            envelope["traceparent"] = self.traceparent
        envelope["datacontenttype"] = "application/json"
        envelope["data"] = self.body
        return orjson.dumps(envelope)
