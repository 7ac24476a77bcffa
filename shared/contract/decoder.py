"""Decoder: from a CloudEvents envelope to a report, or to all that is wrong with it, in the order of RULES A7."""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from shared.contract import rules
from shared.contract.events import (
    LOCAL_TIME,
    Event,
    Language,
    NotUnderstood,
    Report,
    Retracts,
    SubjectAssigned,
    format_instant,
    parse_instant,
    parted,
)
from shared.contract.faults import faults_of, pointer_to
from shared.contract.identity_numbers import canonical_person, holds_personal_number
from shared.contract.rules import Rule
from shared.contract.shapes import ID_FORM, SOURCE_FORM, AtTheDoor, IdentifiedPerson, Shape, is_plain

OPEN: Final = "open"  # who reports while no keys are set
_SOURCE: Final = re.compile(SOURCE_FORM)
_ID: Final = re.compile(ID_FORM)
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,100})?")  # W3C Trace Context
_JSON_TYPE: Final = re.compile(r"application/([a-z0-9.-]+\+)?json\s*(;|$)", re.IGNORECASE)
_LONGEST_ATTRIBUTE: Final = 400
_NAME: Final = re.compile(r"[a-z0-9]+")  # of an attribute (CloudEvents 1.0.2, section 3.1)
_USUAL: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "district", "corrects", "traceparent", "datacontenttype"}
)
_KNOWN: Final = _USUAL | {"data", "data_base64"}  # members of the JSON format that are no attributes
_MOST_ITEMS: Final = 5_000
_MOST_REASONS: Final = 50
# What a fact and a receipt are made of must fit into one Kafka message (1 MiB), with its envelope and the sealing.
_LARGEST_CONTENT: Final = 1_000_000
_SHOWN_TYPE: Final = re.compile(r"(?!.*[0-9]{5})[A-Za-z][A-Za-z0-9._-]{0,199}")  # no telephone either
_WHOLE: Final = "00"  # how the code of the whole area ends, its districts' do not (GB/T 2260)
# What is behind `model_validate` and `model_dump`, which take a tenth of the time of a whole report around it.
_persons: Final = IdentifiedPerson.__pydantic_validator__


@dataclass(frozen=True, slots=True)
class Channel:
    """Through which a report came in and for whom its sender may speak (RULES A10).

    `district`: the code in the Kafka topic, None over HTTP. `prefixes`: the source prefixes that the HTTP key covers,
    None while no keys are set. `for_whole`: whether the sender may report what is the whole area's own to report;
    `whole_only`: and, besides, types of every service alone. `reported_by`: its credential's id (RULES G5).
    """

    district: str | None = None
    prefixes: tuple[str, ...] | None = None
    for_whole: bool = True
    whole_only: bool = False
    reported_by: str = OPEN

    def admits(self, source: str, district: str) -> bool:
        """Tell whether the sender may speak for a source."""
        if self.district is not None:
            return self.district == district
        if self.prefixes is None:
            return True
        return any(source == p or source.startswith(p if p.endswith("/") else p + "/") for p in self.prefixes)


@dataclass(frozen=True, slots=True)
class Keys:
    """The key that all services share: tokens (equal across them) and content digests are HMACs under keys of it."""

    shared: bytes
    # Begun once: a copy takes less than to begin with a key.
    _token: hmac.HMAC = field(init=False, repr=False)
    _digest: hmac.HMAC = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, purpose in (("_token", b"person-token"), ("_digest", b"content-digest")):
            key = hmac.digest(self.shared, purpose, "sha256")
            object.__setattr__(self, name, hmac.new(key, digestmod="sha256"))

    def token(self, normalised: str) -> str:
        """Return the pseudonym of a normalised identity number: 32 lower-case hex digits (128 bits of the HMAC)."""
        return _digested(self._token, normalised.encode())[:16].hex()

    def digest(self, content: bytes) -> bytes:
        """Return the keyed digest of a content; without the key it reveals no number (RULES A4)."""
        return _digested(self._digest, content)


def _digested(begun: hmac.HMAC, content: bytes) -> bytes:
    keyed = begun.copy()
    keyed.update(content)
    return keyed.digest()


def is_whole(district: str) -> bool:
    """Tell whether a code is that of the whole area, of which the others are districts."""
    return district.endswith(_WHOLE)


class Decoder:
    """Turns an envelope into a report, or says what is wrong with it, in the order of RULES A7 up to its data."""

    def __init__(
        self,
        language: Language,
        districts: Iterable[str],
        keys: Keys,
        redirects: Iterable[str],
        credit_codes: Iterable[str] = (),
        former: Mapping[str, date] | None = None,
    ) -> None:
        """`redirects`: the services whose types are misdirected when they arrive at another (RULES A11).

        `credit_codes`: registered ones that are taken although their check character is wrong (RULES A24). `former`:
        codes that districts had before, with the last day on which new reports under each are taken (RULES E28).
        """
        self.language = language
        current = frozenset(districts)
        self.districts = current.union(former or ())
        self.closed = {code: until for code, until in (former or {}).items() if code not in current}
        self.redirects = frozenset(redirects) - {language.service}
        self.keys = keys
        self.door = AtTheDoor(frozenset(credit_codes))

    def decode(
        self, envelope: Mapping[str, Any], channel: Channel, received_at: datetime, read_at: datetime | None = None
    ) -> Report | NotUnderstood:
        """Return the report, its person replaced by a token, or what is wrong with it (never quoting a value).

        `received_at`: by the clock of who received it, over Kafka the broker; `read_at`: then by our own (RULES A2).
        """
        reader = _Reader(envelope, self, channel, received_at)
        event = reader.event_class()
        if event is None and reader.send_to and not reader.faults:
            return reader.reject("misdirected", rules.SendTo("/type", service=reader.send_to))
        if event is None or reader.faults:
            if event is not None and reader.may_report():
                reader.data(event)
            return reader.reject("invalid", *reader.faults)
        if (rule := reader.forbids(event)) is not None:
            return reader.reject("refused", rule)
        content = reader.data(event)
        if content is None or reader.faults:
            return reader.reject("invalid", *reader.faults)
        return reader.report(*content, read_at)


@dataclass(frozen=True, slots=True)
class _Personal:
    """The personal fields of a report as JSON: as they are sealed, and as contents are compared (RULES A4, A15)."""

    fields: bytes
    compared: bytes


class _Reader:
    """Reads one envelope and gathers all its faults; what is readable stays readable for the receipt."""

    def __init__(self, envelope: Mapping[str, Any], decoder: Decoder, channel: Channel, received_at: datetime) -> None:
        self.envelope = envelope
        self.decoder = decoder
        self.channel = channel
        self.received_at = received_at
        self.faults: list[Rule] = []
        self.send_to: str | None = None
        self.shown_type: str | None = None
        self.shown_subject: str | None = None
        self.at: datetime | None = None
        self._sunset: date | None = None
        self._parts: re.Match[str] | None = None  # of the subject, by the form that its type gives it
        self._check_names()
        if (version := envelope.get("specversion")) != "1.0":
            self._fault(rules.MissingAttribute if version is None else rules.BadAttribute, "specversion")
        self.id = self._text("id", _ID, plain=True)
        self.source = self._text("source", _SOURCE, plain=True)
        self.source_district = self.source.split("/")[2] if self.source else None
        if self.source and self.source_district not in decoder.districts:
            self._fault(rules.BadAttribute, "source")
        self.district = self._text("district", None)
        if self.district is not None and self.district not in decoder.districts:
            self._fault(rules.BadAttribute, "district")
            self.district = None
        self.subject = self._text("subject", None, personal=True)
        self.time = self._text("time", None) or ""
        if self.time:
            self.at = parse_instant(self.time)
            if self.at is None:
                self._fault(rules.BadAttribute, "time")
        self.corrects = self._text("corrects", _ID, required=False, plain=True)
        given = envelope.get("datacontenttype")
        if given not in (None, "application/json") and not (isinstance(given, str) and _JSON_TYPE.match(given)):
            self._fault(rules.BadAttribute, "datacontenttype")

    def _fault(self, rule: type[Rule], pointer: str, **values: str) -> None:
        self.faults.append(rule(f"/{pointer}", **values))

    def _check_names(self) -> None:
        """Note each attribute of a name that none has, and each that may be a misspelt `corrects` (RULES A20)."""
        if self.envelope.keys() <= _KNOWN:
            return
        for name in self.envelope:
            if name not in _KNOWN and (name.startswith("correct") or not _NAME.fullmatch(name)):
                self.faults.append(rules.BadAttribute(pointer_to("", (name,))))

    def _text(
        self,
        name: str,
        form: re.Pattern[str] | None,
        required: bool = True,
        plain: bool = False,
        personal: bool = False,
    ) -> str | None:
        """Return an attribute's text, None after noting what is wrong with it.

        `plain`: it must equal its NFKC form and be visible (RULES A22); `personal`: whether it holds an identity number
        is looked for elsewhere (A14).
        """
        value = self.envelope.get(name)
        if value is None:
            if required:
                self._fault(rules.MissingAttribute, name)
            return None
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ATTRIBUTE:
            self._fault(rules.BadAttribute, name)
        elif not personal and holds_personal_number(value):
            self._fault(rules.PersonalNumber, name)
        elif (form is not None and form.fullmatch(value) is None) or (plain and not is_plain(value)):
            self._fault(rules.BadAttribute, name)
        else:
            return value
        return None

    def _carried(self, name: str, form: re.Pattern[str]) -> str | None:
        """Return an attribute that is carried through, None when it is not fit to be."""
        value = self.envelope.get(name)
        fit = isinstance(value, str) and form.fullmatch(value) and is_plain(value) and not holds_personal_number(value)
        return value if fit else None

    def event_class(self) -> type[Event] | None:
        """Return the class that the type names; else note why there is none (RULES A11), and check the subject."""
        name = self.envelope.get("type")
        language = self.decoder.language
        event = language.find(name) if isinstance(name, str) else None
        if event is None or event.decision:
            self._check_foreign()
            return None
        self.shown_type = name
        self._sunset = event.sunset
        if self.corrects is not None and isinstance(event.role, Retracts):
            self._fault(rules.BadAttribute, "corrects")
        if self.subject is not None:
            own = ((event.subject, event.subject_form),)
            self._check_subject(event, own if event.subject else language.subject_forms)
        if self._came_after(self.decoder.closed.get(self.source_district or "")):
            self._refuse_new(event)
        if self._came_after(event.sunset):
            self._fault(
                rules.VersionEnded, "type", until=f"{event.sunset}", newest=f"v{language.newest_of(event).version}"
            )
        return event

    def _came_after(self, last: date | None) -> bool:
        return last is not None and self.received_at.astimezone(LOCAL_TIME).date() > last

    def _check_foreign(self) -> None:
        """Check a type that this service takes no reports of, and its subject: any credit code in it may be one."""
        name = self._text("type", None)
        if name and _SHOWN_TYPE.fullmatch(name):
            self.shown_type = name
        prefix = name.removeprefix("skillplan.").partition(".")[0] if name and name.startswith("skillplan.") else None
        if prefix in self.decoder.redirects:
            self.send_to = prefix
        elif name:
            self._fault(rules.UnknownType, "type")
        if self.subject is None:
            return
        takes = self.decoder.door.takes_credit_code
        if holds_personal_number("/".join(part for part in self.subject.split("/") if not takes(part))):
            self._fault(rules.PersonalNumber, "subject")
        elif self.send_to and _ID.fullmatch(self.subject) and is_plain(self.subject):
            self.shown_subject = None if holds_personal_number(self.subject) else self.subject

    def _check_subject(self, event: type[Event], forms: Iterable[tuple[str, re.Pattern[str]]]) -> None:
        """Check the subject against the forms that it may have; it is repeated in the receipt when it has one."""
        subject, personal = self.subject or "", False
        for template, form in forms:
            matched = form.fullmatch(subject)
            if matched is None:
                continue
            self._parts = matched
            codes, others = parted(template, matched)
            wrong = [code for code in codes if not self.decoder.door.takes_credit_code(code)]
            if any(map(holds_personal_number, (*wrong, others))):
                personal = True
            elif not wrong:
                self.shown_subject = subject
                return
        if personal or holds_personal_number(subject):
            self._fault(rules.PersonalNumber, "subject")
            self.subject = self._parts = None
        else:
            self._fault(rules.BadSubject, "subject", form=event.subject or "<kind>/…")

    def _refuse_new(self, event: type[Event]) -> None:
        """Note that a district's former code is none of the plan's any more, except to put right what it reported."""
        if self.corrects is None and not isinstance(event.role, Retracts):
            self._fault(rules.BadAttribute, "source")
            if self.district == self.source_district:
                self._fault(rules.BadAttribute, "district")

    def may_report(self) -> bool:
        """Tell whether the sender's credentials cover the source."""
        return bool(self.source and self.source_district and self.channel.admits(self.source, self.source_district))

    def forbids(self, event: type[Event]) -> Rule | None:
        """Return the rule by which its sender may not report this type, source or district; None when it may."""
        channel, is_reserved = self.channel, self._is_reserved(event)
        # Over Kafka such types are one sender's alone, whatever district they name (RULES F1a).
        if channel.district is not None and not channel.for_whole and is_reserved:
            return rules.NotYourSource("/type")
        if self.district is None or self.district != self.source_district:
            return rules.WrongDistrict("/district")
        if misplaced := event.misplaced(self.source, for_whole=is_whole(self.district)):
            return misplaced("/district")
        if not self.may_report():
            return rules.NotYourSource("/source")
        # Who plans for the area puts right what others say (RULES G3, G4), and reports nothing else.
        if not (channel.for_whole if is_reserved else event.for_every_service or not channel.whole_only):
            return rules.NotYourSource("/type")
        return None

    def _is_reserved(self, event: type[Event]) -> bool:
        """Tell whether only who plans for the whole area may report it: its own types, and taking back what it said."""
        if event.reserved or not isinstance(event.role, Retracts):
            return event.reserved
        return is_whole(self.district or "") and self.decoder.language.is_of_whole(self.subject or "")

    def reject(self, status: str, *reasons: Rule) -> NotUnderstood:
        """Return what is answered instead: to the district that it names, else that of its sender."""
        route = self.channel.district or (self.source_district if self.channel.admits(self.source or "", "") else None)
        return NotUnderstood(
            status,
            reasons[:_MOST_REASONS],
            self.received_at,
            id=self.id,
            source=self.source,
            type=self.shown_type,
            subject=self.shown_subject,
            district=self.district or route,
            route=route if route in self.decoder.districts else None,
            reported_by=self.channel.reported_by,
            sunset=self._sunset,
        )

    def report(self, data: Event, personal: _Personal | None, read_at: datetime | None) -> Report | NotUnderstood:
        """Return the report; rejects one whose content is too large."""
        if self.at is None or not (self.id and self.source and self.subject and self.district):
            raise TypeError("an envelope without faults has all its attributes")
        body = data.__pydantic_serializer__.to_python(data, mode="json", exclude_none=True)
        same = {
            "type": self.shown_type,
            "subject": self.subject,
            "time": format_instant(self.at),
            "district": self.district,
            "corrects": self.corrects,
            "data": body | {"person": orjson.Fragment(personal.compared)} if personal else body,
        }
        compact = orjson.dumps(same, option=orjson.OPT_SORT_KEYS)
        if len(compact) > _LARGEST_CONTENT:
            at_most = f"至多 {_LARGEST_CONTENT} 字节 at most {_LARGEST_CONTENT} bytes"
            return self.reject("invalid", rules.BadValue("/data", expected=at_most))
        return Report(
            id=self.id,
            source=self.source,
            type=self.envelope["type"],
            subject=self.subject,
            time=self.time,
            district=self.district,
            event=data.newest(),
            body=body,
            at=self.at,
            digest=self.decoder.keys.digest(compact),
            received_at=self.received_at,
            corrects=self.corrects,
            traceparent=self._carried("traceparent", _TRACE),
            correlation_id=self._carried("correlationid", _ID),
            personal=personal.fields if personal else None,
            reported_by=self.channel.reported_by,
            read_at=read_at,
            sunset=self._sunset,
        )

    def data(self, event: type[Event]) -> tuple[Event, _Personal | None] | None:
        """Return the data and the personal fields, or None after noting every fault in them."""
        given = self.envelope.get("data")
        if not isinstance(given, dict):
            self._fault(rules.BadValue if given is not None else rules.MissingField, "data", expected="对象 an object")
            return None
        for name, value in given.items():
            # Each item may have faults of its own; a million of them took 6 s and 1.2 GB.
            if isinstance(value, (list, dict)) and len(value) > _MOST_ITEMS:
                at_most = f"至多 {_MOST_ITEMS} 项 at most {_MOST_ITEMS} items"
                self._fault(rules.BadValue, f"data/{name}" if name in event.model_fields else "data", expected=at_most)
                return None
        personal: _Personal | None = None
        if event.has_person and isinstance(given.get("person"), dict):
            try:
                person: IdentifiedPerson = _persons.validate_python(given["person"], context=self.decoder.door)
            except ValidationError as error:
                self.faults += faults_of(error, "/data/person")
                token = "-"  # noqa: S105
            else:
                number = person.number
                kind, canonical = canonical_person(person.id_type, number)
                token = self.decoder.keys.token(f"{kind}:{canonical}")
                fields = {name: value for name, value in vars(person).items() if value is not None}
                fields |= {"id_type": kind, "id_number": number}
                sealed = orjson.dumps(fields)
                same = number == canonical
                personal = _Personal(sealed, sealed if same else orjson.dumps(fields | {"id_number": canonical}))
            given = given | {"person": {"token": token, "sealed": ""}}
        try:
            data: Event = event.__pydantic_validator__.validate_python(given, context=self.decoder.door)
        except ValidationError as error:
            self.faults += faults_of(error, "/data")
            return None
        self._compare(event, data)
        if type(data) is SubjectAssigned and data.to not in self.decoder.districts:
            self._fault(rules.BadValue, "data/to", expected="本计划的区划代码 a district of the plan")
        return data, personal

    def _compare(self, event: type[Event], data: Event) -> None:
        parts = self._parts
        if parts is None or not event.subject:
            return
        for path, part in zip(event.subject_paths, parts.groups(), strict=True):
            first, *further = path.split(".")
            # Many a part has no field, which `getattr` of a model takes longer to say than all else here.
            value: object = vars(data).get(first)
            for step in further:
                value = vars(value).get(step) if isinstance(value, Shape) else None
            if value is not None and value != part:
                self._fault(rules.SubjectMismatch, "data/" + path.replace(".", "/"))
            if path == "district" and part != self.district:
                self._fault(rules.SubjectMismatch, "subject")
