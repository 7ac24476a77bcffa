"""Every kind of bad message that the inbox of recruitment may meet, each with what must become of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.harness import people
from tests.harness.reports import Report, fair_held, person_hired
from tests.harness.topics import STRUCTURED, Headers, OutgoingMessage

INBOX: Final = "recruitment.reports.330681"
LEFT_OUT: Final = object()


@dataclass(frozen=True)
class Bad:
    """A bad message, with a mark that its receipt shows somewhere.

    `becomes`: `quarantined` with the reason as code, else the status of its receipt with the code that is among its
    reasons, at `pointer` where one is given.
    """

    kind: str
    mark: str
    message: OutgoingMessage
    becomes: str
    code: str
    pointer: str | None

    @property
    def by_http(self) -> bool:
        """Whether it means the same without a topic and Kafka's headers."""
        return self.message.topic == INBOX and self.message.headers == STRUCTURED


def every_kind(first: int) -> Iterator[Bad]:
    """Yield one of each kind; `first` numbers them, so that no two are the same."""
    for number, (kind, expected, make) in enumerate(KINDS, first):
        mark = f"bad-{number}"
        # The mark is in all that a receipt may show, since any one of it may be what is bad.
        hire = person_hired(mark) | {"id": mark, "source": f"/districts/330681/{mark}", "subject": f"hire/{mark}"}
        made = make(hire)
        becomes, code, *pointer = expected.split(" ")
        message = made if isinstance(made, OutgoingMessage) else OutgoingMessage(INBOX, mark.encode(), made)
        yield Bad(kind, mark, message, becomes, code, pointer[0] if pointer else None)


Make = Callable[[Report], bytes | OutgoingMessage | None]


def raw(hire: Report) -> bytes:
    return json.dumps(hire, ensure_ascii=False).encode()


def always(value: bytes | None) -> Make:
    return lambda hire: value


def changed(change: Callable[[bytes], bytes]) -> Make:
    return lambda hire: change(raw(hire))


def instead(old: bytes, new: bytes) -> Make:
    return changed(lambda good: good.replace(old, new, 1))


def _merged(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (good | changes).items() if value is not LEFT_OUT}


def attributes(**changes: Any) -> Make:
    return lambda hire: raw(_merged(hire, changes))


def subject(change: Callable[[str], str]) -> Make:
    return lambda hire: raw(hire | {"subject": change(hire["subject"])})


def data(**changes: Any) -> Make:
    return lambda hire: raw(hire | {"data": _merged(hire["data"], changes)})


def enterprise(**changes: Any) -> Make:
    return lambda hire: raw(hire | {"data": hire["data"] | {"enterprise": hire["data"]["enterprise"] | changes}})


def person(**fields: Any) -> Make:
    return data(person=fields)


def jobs(value: Any) -> Make:
    return lambda hire: raw(_fair(hire, value))


def jobs_spelt(digits: bytes) -> Make:
    return lambda hire: raw(_fair(hire, 987654321)).replace(b"987654321", digits)


def _fair(hire: Report, jobs: Any) -> Report:
    fair = fair_held(0, jobs=jobs)
    return hire | {"type": fair["type"], "subject": f"fair/{hire['id']}", "data": fair["data"]}


def binary(body: Callable[[bytes], bytes] = bytes, content_type: bytes = b"application/json", **changes: Any) -> Make:
    def make(hire: Report) -> OutgoingMessage:
        given = {name: str(value).encode() for name, value in hire.items() if name not in ("data", "datacontenttype")}
        headers: Headers = tuple((f"ce_{name}", value) for name, value in _merged(given, changes).items())
        return OutgoingMessage(INBOX, None, body(raw(hire["data"])), (("content-type", content_type), *headers))

    return make


def sent(topic: str = INBOX, key: bytes | None = None, headers: Headers = (), **changes: Any) -> Make:
    return lambda hire: OutgoingMessage(topic, key, raw(_merged(hire, changes)), headers)


def _nested(depth: int) -> str:
    return '{"a":' * depth + "0" + "}" * depth


NUMBER: Final = people.number_of(4711)
WRONG_NUMBER: Final = NUMBER[:-1] + ("0" if NUMBER[-1] != "0" else "1")
WRONG: Final[tuple[object, ...]] = (7, True, ["x"], {"x": {}})
NOT_JSON, NOT_AN_OBJECT = "quarantined not-json", "quarantined not-an-object"

KINDS: Final[tuple[tuple[str, str, Make], ...]] = (
    # No JSON object at all.
    ("a word", NOT_JSON, always(b"hello")),
    ("HTML", NOT_JSON, always(b"<html><body>502 Bad Gateway</body></html>")),
    ("random bytes", NOT_JSON, always(bytes(range(256)) * 4)),
    ("only NUL bytes", NOT_JSON, always(b"\x00" * 64)),
    ("a lone brace", NOT_JSON, always(b"{")),
    ("a deep array", NOT_JSON, always(b"[" * 100_000)),
    ("a deep object", NOT_JSON, always(b'{"a":' * 100_000)),
    ("a deep but whole object", NOT_JSON, always(_nested(5_000).encode())),
    ("a zipped object", NOT_JSON, always(b"\x1f\x8b\x08\x00\x00\x00\x00\x00")),
    ("null", NOT_AN_OBJECT, always(b"null")),
    ("true", NOT_AN_OBJECT, always(b"true")),
    ("a number", NOT_AN_OBJECT, always(b"42")),
    ("a string", NOT_AN_OBJECT, always(b'"hire"')),
    ("an array", NOT_AN_OBJECT, always(b"[]")),
    ("a tombstone", "quarantined empty", always(None)),
    ("an empty value", "quarantined empty", always(b"")),
    ("cut off", NOT_JSON, changed(lambda good: good[:-20])),
    ("cut off in a character", NOT_JSON, changed(lambda good: good.partition("样本".encode())[0] + "样".encode()[:2])),
    ("two at once", NOT_JSON, changed(lambda good: good * 2)),
    ("an array of one", NOT_AN_OBJECT, changed(lambda good: b"[" + good + b"]")),
    ("a string of JSON", NOT_AN_OBJECT, changed(lambda good: json.dumps(good.decode()).encode())),
    ("single quotes", NOT_JSON, changed(lambda good: good.replace(b'"', b"'"))),
    ("a trailing comma", NOT_JSON, changed(lambda good: good[:-1] + b",}")),
    ("a byte order mark", NOT_JSON, changed(lambda good: b"\xef\xbb\xbf" + good)),
    ("UTF-16", NOT_JSON, changed(lambda good: good.decode().encode("utf-16"))),
    ("GB 18030", NOT_JSON, changed(lambda good: good.decode().encode("gb18030"))),
    ("a raw NUL byte", NOT_JSON, instead(b"Sample", b"Sam\x00ple")),
    ("a raw line feed", NOT_JSON, instead(b"Sample", b"Sam\nple")),
    ("a lone surrogate", NOT_JSON, instead(b"Sample", rb"Sam\ud800ple")),
    ("a surrogate's bytes", NOT_JSON, instead(b"Sample", b"Sam\xed\xa0\x80ple")),
    ("NaN", NOT_JSON, jobs_spelt(b"NaN")),
    ("Infinity", NOT_JSON, jobs_spelt(b"-Infinity")),
    # The envelope.
    *(
        (f"no {name}", f"invalid missing-attribute /{name}", attributes(**{name: LEFT_OUT}))
        for name in ("id", "source", "type", "subject", "time", "district", "specversion")
    ),
    *(
        (f"{wrong} as {name}", f"invalid bad-attribute /{name}", attributes(**{name: wrong}))
        for name in ("id", "source", "type", "subject", "time", "district", "specversion", "corrects")
        for wrong in WRONG
    ),
    ("null as id", "invalid missing-attribute /id", attributes(id=None)),
    ("hardly anything", "invalid missing-attribute /id", lambda hire: raw({k: hire[k] for k in ("subject", "type")})),
    ("an old specversion", "invalid bad-attribute /specversion", attributes(specversion="0.3")),
    ("an empty id", "invalid bad-attribute /id", attributes(id="")),
    ("an id with a space", "invalid bad-attribute /id", attributes(id="a b")),
    ("an id with a NUL", "invalid bad-attribute /id", attributes(id="a\x00b")),
    ("an endless id", "invalid bad-attribute /id", attributes(id="x" * 10_000)),
    ("an id with a person's number", "invalid personal-number /id", attributes(id=f"hire-{NUMBER}")),
    ("a subject with one", "invalid personal-number /subject", attributes(subject=f"hire/G{NUMBER}")),
    ("a source with one", "invalid personal-number /source", attributes(source=f"/districts/330681/{NUMBER}")),
    ("a source of nobody", "invalid bad-attribute /source", attributes(source="tests")),
    ("a source with a NUL", "invalid bad-attribute /source", attributes(source="/districts/330681/a\x00b")),
    ("a district of another city", "invalid bad-attribute /district", attributes(district="330101")),
    ("a district in other digits", "invalid bad-attribute /district", attributes(district="٣٣٠٦٨١")),
    ("a subject of another kind", "invalid bad-subject /subject", subject(lambda good: good.replace("hire", "fair"))),
    ("a subject with a NUL", "invalid bad-subject /subject", subject(lambda good: good + "\x00")),
    ("a subject with a part more", "invalid bad-subject /subject", subject(lambda good: good + "/1")),
    ("a time without offset", "invalid bad-attribute /time", attributes(time="2024-03-01T10:00:00")),
    ("a time that is none", "invalid bad-attribute /time", attributes(time="2024-02-30T10:00:00Z")),
    ("a time before time", "invalid bad-attribute /time", attributes(time="0001-01-01T00:00:00+14:00")),
    ("a time after time", "invalid bad-attribute /time", attributes(time="9999-12-31T23:59:59-12:00")),
    ("a foreign content type", "invalid bad-attribute /datacontenttype", attributes(datacontenttype="text/xml")),
    ("an unknown type", "invalid unknown-type /type", attributes(type="skillplan.recruitment.person-fired.v1")),
    ("an unknown version", "invalid unknown-type /type", attributes(type="skillplan.recruitment.person-hired.v2")),
    ("another system's type", "invalid unknown-type /type", attributes(type="com.github.pull.create")),
    ("a type with a NUL", "invalid unknown-type /type", attributes(type="skillplan.recruitment.person-\x00hired.v1")),
    ("wrong topic", "misdirected send-to-enrollment /type", attributes(type="skillplan.enrollment.major-opened.v1")),
    ("wrong topic, and none's", "misdirected send-to-subsidy /type", attributes(type="skillplan.subsidy.nothing.v1")),
    ("another district", "refused wrong-district /district", attributes(district="330602")),
    # The data.
    *(("no data but " + repr(wrong), "invalid bad-value /data", attributes(data=wrong)) for wrong in (*WRONG[:3], "x")),
    ("no data", "invalid missing-field /data", attributes(data=LEFT_OUT)),
    ("null as data", "invalid missing-field /data", attributes(data=None)),
    ("empty data", "invalid missing-field /data/person", attributes(data={})),
    ("an unknown field", "invalid unknown-field /data/hired_in", data(hired_in="2024")),
    ("a missing field", "invalid missing-field /data/hired_on", data(hired_on=LEFT_OUT)),
    ("a channel that is none", "invalid bad-value /data/channel", data(channel="gold")),
    ("a level as a number", "invalid bad-value /data/level", data(level=3)),
    ("a date that is none", "invalid bad-date /data/hired_on", data(hired_on="2024-02-30")),
    ("a date with a time", "invalid bad-date /data/hired_on", data(hired_on="2024-02-01T00:00:00")),
    ("a date as a number", "invalid bad-date /data/hired_on", data(hired_on=20240201)),
    (
        "a field twice",
        "invalid unknown-field /data/hired_on_twice",
        instead(b'"hired_on"', b'"hired_on": 7, "hired_on"'),
    ),
    ("an enterprise as text", "invalid bad-value /data/enterprise", data(enterprise="x")),
    ("a short code", "invalid bad-value /data/enterprise/credit_code", enterprise(credit_code="91330602")),
    ("a wrong code", "invalid bad-checksum /data/enterprise/credit_code", enterprise(credit_code="9133060200000000A6")),
    ("a number in a name", "invalid personal-number /data/enterprise/name", enterprise(name=f"No. {NUMBER}")),
    ("a NUL in a name", "invalid bad-value /data/enterprise/name", enterprise(name="a\x00b")),
    ("an endless name", "invalid bad-value /data/enterprise/name", enterprise(name="x" * 500_000)),
    ("a person as text", "invalid bad-value /data/person", data(person=NUMBER)),
    ("a person already replaced", "invalid unknown-field /data/person/token", person(token="t", sealed="s")),
    ("a person without a number", "invalid missing-field /data/person/id_number", person(name="张三")),
    ("a wrong number", "invalid bad-checksum /data/person/id_number", person(id_number=WRONG_NUMBER)),
    ("an old number", "invalid bad-value /data/person/id_number", person(id_number="330681900101123")),
    ("an impossible number", "invalid bad-date /data/person/id_number", person(id_number="33068119901345123X")),
    (
        "a wide number",
        "invalid bad-checksum /data/person/id_number",
        person(id_number="３３０６８１１９９００１０１１２３４"),
    ),
    ("an integer number", "invalid bad-value /data/person/id_number", person(id_number=330681199001011234)),
    ("a number as a field", "invalid unknown-field /data", data(**{NUMBER: 1})),
    ("deep data", "invalid unknown-field /data/deep", data(deep=json.loads(_nested(900)))),
    ("a thousand unknown fields", "invalid unknown-field", data(**{f"field_{n}": n for n in range(1_000)})),
    ("fifty thousand of them", "invalid unknown-field", data(**{f"field_{n}": n for n in range(50_000)})),
    ("half a megabyte in a field", "invalid unknown-field /data/pad", data(pad="x" * 500_000)),
    ("a negative count", "invalid bad-value /data/jobs", jobs(-1)),
    ("a count as text", "invalid bad-value /data/jobs", jobs("9")),
    ("a count as true", "invalid bad-value /data/jobs", jobs(True)),
    ("a count with a point", "invalid bad-value /data/jobs", jobs(3.0)),
    ("a count no one can count", "invalid bad-value /data/jobs", jobs_spelt(b"9" * 300)),
    ("a count that readers round", "invalid bad-value /data/jobs", jobs_spelt(b"9007199254740993")),
    ("a count of more than 64 bits", "invalid bad-value /data/jobs", jobs_spelt(b"18446744073709551617")),
    # Kafka's own: binary mode, topics, keys.
    ("binary: no type", "invalid missing-attribute /type", binary(type=LEFT_OUT)),
    ("binary: no specversion", "invalid missing-attribute /specversion", binary(specversion=LEFT_OUT)),
    ("binary: a null subject", "invalid missing-attribute /subject", binary(subject=None)),
    ("binary: bytes as id", "invalid bad-attribute /id", binary(id=b"\xff\xfe\x00")),
    ("binary: bytes as type", "invalid bad-attribute /type", binary(type=b"\xff")),
    ("binary: XML", "invalid bad-attribute /datacontenttype", binary(content_type=b"text/xml")),
    ("binary: bytes as content type", "invalid bad-attribute /datacontenttype", binary(content_type=b"\xff")),
    ("binary: a time of words", "invalid bad-attribute /time", binary(time=b"yesterday")),
    ("binary: an unknown field", "invalid unknown-field /data/x", binary(lambda good: good[:-1] + b', "x": 1}')),
    ("binary: no body", "quarantined empty", binary(lambda good: b"")),
    ("binary: null", NOT_AN_OBJECT, binary(lambda good: b"null")),
    ("binary: cut off", NOT_JSON, binary(lambda good: good[:-9])),
    ("a null content type", "invalid missing-field /data", sent(headers=(("content-type", None),), data=LEFT_OUT)),
    ("no header and no key", "invalid missing-field /data", sent(data=LEFT_OUT)),
    ("a key of bytes", "invalid missing-field /data", sent(key=b"\xff\x00\xfe", data=LEFT_OUT)),
    ("another district's topic", "refused not-your-source /source", sent("recruitment.reports.330602")),
    ("the city's topic", "refused not-your-source /source", sent("recruitment.reports.330600")),
)
