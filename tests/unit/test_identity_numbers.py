"""Identity numbers in whatever spelling (RULES A14), who a number stands for (A15), what cannot be seen (A22)."""

import sys
import unicodedata
from datetime import date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalogue import COUNTED
from services.enrollment.events import LANGUAGE as ENROLLMENT
from services.recruitment.events import LANGUAGE as RECRUITMENT
from shared.contract import identity_numbers
from shared.contract.cloudevents import from_http_headers
from shared.contract.decoder import Channel, Decoder
from shared.contract.events import NotUnderstood, Report
from shared.contract.identity_numbers import canonical, canonical_person, holds_personal_number
from shared.contract.shapes import is_credit_code, is_visible
from tests.harness import people
from tests.unit.test_envelope import (
    DISTRICTS,
    ENVELOPE,
    HIRE,
    HTTP,
    KEYS,
    NOW,
    NUMBER,
    changed,
    decode,
    hire,
    invalid,
    person,
    rejected,
    understood,
)

X_NUMBER = next(number for number in map(people.number_of, range(100)) if number.endswith("X"))
FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in "0123456789X"}
SPELLINGS = [
    NUMBER,
    X_NUMBER.lower(),
    " ".join((NUMBER[:6], NUMBER[6:14], NUMBER[14:])),
    "-".join((NUMBER[:6], NUMBER[6:14], NUMBER[14:])),
    "\u2014".join(NUMBER),
    "_".join(NUMBER),
    "\uff3f".join(NUMBER),
    "\u2212".join(NUMBER),
    ".".join((NUMBER[:6], NUMBER[6:10], NUMBER[10:12], NUMBER[12:])),
    "·".join(NUMBER),
    "・".join(NUMBER),
    "。".join(NUMBER),
    "•".join(NUMBER),
    "\u200b".join(NUMBER),
    "\ufeff".join(NUMBER),
    "\u00ad".join(NUMBER),
    "\u3000".join(NUMBER),
    "\u00a0".join(NUMBER),
    "\u2060 ".join(NUMBER),
    NUMBER.translate(FULL_WIDTH),
    X_NUMBER.lower().replace("x", "x"),
    X_NUMBER.replace("X", "\u00d7"),
    X_NUMBER.replace("X", "\u0425"),
    X_NUMBER.replace("X", "\u03c7").translate(FULL_WIDTH),
    "".join(chr(0x0660 + int(char)) for char in next(n for n in map(people.number_of, range(9)) if n.isdigit())),
    "1" + NUMBER + "2",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_is_found_in_every_spelling(spelling: str) -> None:
    assert holds_personal_number(spelling)
    assert holds_personal_number(f"身份证{spelling}号")
    assert not holds_personal_number(spelling[:-2])


def _separated(number: str, separators: list[str]) -> str:
    return "".join(char + between for char, between in zip(number, separators, strict=True))


_BETWEEN = st.lists(
    st.sampled_from(["", " ", "-", ".", "·", "\u200b", "\u2009", "–", "\u00ad"]), min_size=18, max_size=18
)


@given(st.builds(_separated, people.resident_numbers, _BETWEEN), st.text(max_size=20), st.text(max_size=20))
def test_any_number_is_found_however_it_is_separated(number: str, before: str, after: str) -> None:
    assert holds_personal_number(before + number + after)


def test_every_character_that_says_a_digit_is_known() -> None:
    for code_point in range(sys.maxunicode + 1):
        char = chr(code_point)
        if any(unicodedata.decimal(plain, None) is not None for plain in unicodedata.normalize("NFKC", char)):
            assert identity_numbers._DIGITS.fullmatch(char), hex(code_point)


@pytest.mark.parametrize("text", ["", "330602", "9" * 300, "a" * 30, "2024-03-01 2024-03-31", "/".join(NUMBER)])
def test_what_is_no_number_is_none(text: str) -> None:
    assert not holds_personal_number(text)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ids_sources_subjects_and_texts_hold_no_number_in_any_spelling(spelling: str) -> None:
    assert rejected(changed(id=f"hr{spelling}")) == invalid("personal-number", "/id")
    assert rejected(changed(source=f"/districts/330681/{spelling}")) == invalid("personal-number", "/source")
    assert rejected(changed(corrects=spelling)) == invalid("personal-number", "/corrects")
    subject = changed(subject=f"hire/{spelling}")
    assert rejected(subject) == invalid("personal-number", "/subject")
    answer = decode(subject)
    assert isinstance(answer, NotUnderstood)
    assert answer.subject is None
    named = {"credit_code": people.credit_code(1), "name": f"公司{spelling}"}
    assert rejected(hire(enterprise=named)) == invalid("personal-number", "/data/enterprise/name")
    assert rejected(hire(fair_no=spelling)) == invalid("personal-number", "/data/fair_no")
    assert rejected(changed(data={**HIRE, spelling: 1})) == invalid("unknown-field", "/data")
    assert rejected({**ENVELOPE, spelling + ".": 1}) == invalid("bad-attribute", "")


def _both(kind: str = "91") -> str:
    """Return a credit code that has the form of a valid resident number, too."""
    for place in range(110000, 660000):
        for order in range(0, 1000, 7):
            number = people.resident_number(order, place=f"{kind}{place:06}"[:6])
            if is_credit_code(number):
                return number
    raise AssertionError("there is none")


def test_a_credit_code_may_have_the_form_of_a_number_where_a_credit_code_stands() -> None:
    both = _both()
    assert holds_personal_number(both)
    hired = understood(hire(enterprise={"credit_code": both, "name": "公司"}))
    assert hired.body["enterprise"]["credit_code"] == both
    school = {"credit_code": both, "name": "学校"}
    intake = changed(
        type="skillplan.enrollment.intake-reported.v1",
        subject=f"intake/{both}",
        data={"school": school, "year": 2024, "total": 1, "emerging": {}},
    )
    assert understood(intake, ENROLLMENT).subject == f"intake/{both}"
    assert rejected(changed(id=both)) == invalid("personal-number", "/id")
    assert rejected(changed(subject=f"hire/{both}")) == invalid("personal-number", "/subject")
    assert rejected(hire(fair_no=both)) == invalid("personal-number", "/data/fair_no")
    assert rejected(hire(enterprise={"credit_code": both, "name": both})) == invalid(
        "personal-number", "/data/enterprise/name"
    )


def test_a_number_in_the_place_of_a_credit_code_is_no_credit_code() -> None:
    assert rejected(hire(enterprise={"credit_code": NUMBER, "name": "公司"})) == invalid(
        "personal-number", "/data/enterprise/credit_code"
    )
    school = {"credit_code": people.credit_code(1), "name": "学校"}
    intake = changed(
        type="skillplan.enrollment.intake-reported.v1",
        subject=f"intake/{NUMBER}",
        data={"school": school, "year": 2024, "total": 1, "emerging": {}},
    )
    assert rejected(intake, ENROLLMENT) == invalid("personal-number", "/subject")


@pytest.mark.parametrize("type_name", ["skillplan.competition.award-granted.v1", "skillplan.competition.x.v9"])
def test_a_misdirected_report_keeps_its_subject_unless_it_holds_a_number(type_name: str) -> None:
    plain = decode(changed(type=type_name, subject="award/A-1"))
    assert isinstance(plain, NotUnderstood)
    assert (plain.status, plain.subject) == ("misdirected", "award/A-1")
    assert rejected(changed(type=type_name, subject=f"award/{NUMBER}")) == invalid("personal-number", "/subject")
    code = decode(changed(type=type_name, subject=f"award/{_both()}"))
    assert isinstance(code, NotUnderstood)
    assert (code.status, code.subject) == ("misdirected", None)


# A15


@pytest.mark.parametrize("kind", ["resident", "passport", "hk-macao-taiwan"])
def test_a_valid_resident_number_is_one_whatever_it_is_called(kind: str) -> None:
    for number in (NUMBER, f" {NUMBER[:6]}-{NUMBER[6:]}", NUMBER.translate(FULL_WIDTH)):
        report = understood(person(id_type=kind, id_number=number))
        assert report.body["person"]["token"] == KEYS.token(f"resident:{NUMBER}")
        assert report.digest == understood(ENVELOPE).digest
        assert orjson.loads(report.personal or b"")["id_number"] == NUMBER


def test_name_and_telephone_hold_no_number_of_anybody() -> None:
    assert rejected(person(name=f"张三 {NUMBER}")) == invalid("personal-number", "/data/person/name")
    assert rejected(person(phone=NUMBER)) == invalid("personal-number", "/data/person/phone")


def test_renewals_of_a_permit_are_the_same_person() -> None:
    first, second = (
        understood(person(id_type="hk-macao-taiwan", id_number=n)) for n in ("H1234567801", "h12345678 02")
    )
    assert first.body == second.body
    assert first.body["person"]["token"] == KEYS.token("hk-macao-taiwan:H12345678")
    assert first.digest == second.digest
    assert orjson.loads(second.personal or b"")["id_number"] == "H1234567802"  # sealed as it was reported
    other = understood(person(id_type="passport", id_number="H1234567801"))
    assert other.body["person"]["token"] == KEYS.token("passport:H1234567801")


@pytest.mark.parametrize("kind", ["resident", "passport", "hk-macao-taiwan"])
def test_fifteen_digits_are_no_number_of_any_kind(kind: str) -> None:
    assert rejected(person(id_type=kind, id_number="330602900101001")) == invalid("bad-value", "/data/person/id_number")


@given(people.resident_numbers)
def test_a_canonical_number_stays_as_it_is(number: str) -> None:
    assert canonical(number) == canonical(f" {number.lower()} ") == number
    assert canonical_person("passport", number) == ("resident", number)


# A20


@pytest.mark.parametrize("name", ["Corrects", "corrected", "correctsid", "correct", "data-content", "日期", "a_b", ""])
def test_an_attribute_has_a_name_of_cloudevents_and_none_like_corrects(name: str) -> None:
    pointer = f"/{name}" if name and name.isascii() else ""
    assert rejected({**ENVELOPE, name: "x"}) == invalid("bad-attribute", pointer)


def test_other_attributes_stay_no_fault() -> None:
    assert understood(changed(partitionkey="x", sequence="1", data_base64=None)).digest == understood(ENVELOPE).digest


def test_an_attribute_named_like_a_telephone_is_not_repeated() -> None:
    assert rejected({**ENVELOPE, "199-0000-0007": "x"}) == invalid("bad-attribute", "")


# A21


def _binary(**attributes: str) -> dict[str, Any]:
    headers = {f"ce-{name}": value for name, value in ENVELOPE.items() if name not in ("data", "datacontenttype")}
    return from_http_headers({**headers, **attributes, "content-type": "application/json"}, orjson.dumps(HIRE))


@pytest.mark.parametrize(
    "value",
    [
        "录用-1".encode().decode("latin-1"),
        "%E5%BD%95%E7%94%A8-1",
        '"%E5%BD%95%E7%94%A8-1"',
        '"录用-1"'.encode().decode("latin-1"),
        '"\\录用-\\1"'.encode().decode("latin-1"),
    ],
)
def test_the_same_event_structured_and_binary_is_the_same(value: str) -> None:
    structured, binary = understood(changed(id="录用-1")), understood(_binary(**{"ce-id": value}))
    assert (binary.id, binary.digest) == (structured.id, structured.digest)


@pytest.mark.parametrize("value", ["\xff-1", "%FF-1", "%E5%BD"])
def test_a_header_that_is_no_utf_8_is_a_bad_attribute(value: str) -> None:
    assert rejected(_binary(**{"ce-id": value})) == invalid("bad-attribute", "/id")


def test_a_misspelt_corrects_is_seen_in_a_header_too() -> None:
    assert rejected(_binary(**{"ce-corrected": "hr-0"})) == invalid("bad-attribute", "/corrected")


# A22

HIDDEN = ["\u200b", "\u200e", "\u202e", "\ufeff", "\u00ad", "\u2060", "\u034f", "\u3164", "\u2800", "\ue000", "\u2028",
          "\ufe0f", "\u180b", "\U000e0100"]  # fmt: skip


@pytest.mark.parametrize("char", HIDDEN)
def test_what_cannot_be_seen_stands_nowhere(char: str) -> None:
    assert not is_visible(f"a{char}b")
    assert rejected(changed(id=f"hr{char}1")) == invalid("bad-attribute", "/id")
    assert rejected(changed(corrects=f"hr{char}1")) == invalid("bad-attribute", "/corrects")
    assert rejected(changed(source=f"/districts/330681/h{char}r")) == invalid("bad-attribute", "/source")
    assert rejected(changed(subject=f"hire/C{char}1")) == invalid("bad-subject", "/subject")
    named = {"credit_code": people.credit_code(1), "name": f"公{char}司"}
    assert rejected(hire(enterprise=named)) == invalid("bad-value", "/data/enterprise/name")
    assert rejected(person(name=f"张{char}三")) == invalid("bad-value", "/data/person/name")
    retracted = changed(
        type="skillplan.recruitment.report-retracted.v1", data={"report_id": f"hr{char}1", "reason": "误报"}
    )
    assert rejected(retracted) == invalid("bad-value", "/data/report_id")


@pytest.mark.parametrize("id_", ["hr\uff0d1", "ﬁ1", "①", "H㎏"])
def test_an_id_equals_its_compatibility_form(id_: str) -> None:
    assert unicodedata.normalize("NFKC", id_) != id_
    assert rejected(changed(id=id_)) == invalid("bad-attribute", "/id")


@pytest.mark.parametrize("text", ["绍兴(越城)公司:1 号", "㛃𠮷", "Société", "\U00031350"])
def test_what_people_write_may_stand_in_a_text(text: str) -> None:
    named = {"credit_code": people.credit_code(1), "name": text}
    assert understood(hire(enterprise=named)).body["enterprise"]["name"] == unicodedata.normalize("NFC", text)


# A24


def _denied() -> str:
    code = people.credit_code(5)
    return code[:-1] + ("0" if code[-1] != "0" else "1")


def test_a_listed_credit_code_is_taken_wherever_a_credit_code_stands() -> None:
    denied = _denied()
    listing = Decoder(ENROLLMENT, DISTRICTS, KEYS, COUNTED, credit_codes=[denied])
    intake = changed(
        type="skillplan.enrollment.intake-reported.v1",
        subject=f"intake/{denied}",
        data={"school": {"credit_code": denied, "name": "学校"}, "year": 2024, "total": 1, "emerging": {}},
    )
    report = listing.decode(intake, Channel(), NOW)
    assert isinstance(report, Report)
    # The fact is read again although the code has left the plan.
    assert type(report.event).model_validate(report.body) == report.event
    unlisted = rejected(intake, ENROLLMENT)
    assert unlisted == ("invalid", {("bad-subject", "/subject"), ("bad-checksum", "/data/school/credit_code")})
    assert rejected(hire(enterprise={"credit_code": denied, "name": "公司"})) == invalid(
        "bad-checksum", "/data/enterprise/credit_code"
    )


# E28


@pytest.mark.parametrize(("day", "taken"), [("2024-05-31", True), ("2024-06-01", True), ("2024-06-02", False)])
def test_a_former_code_reports_until_its_day_and_corrects_for_ever(day: str, taken: bool) -> None:
    decoder = Decoder(RECRUITMENT, DISTRICTS, KEYS, COUNTED, former={"330601": date(2024, 6, 1)})
    received = datetime.fromisoformat(f"{day}T23:59:00+08:00")

    def sent(channel: Channel = HTTP, **changes: Any) -> Report | NotUnderstood:
        old = {"source": "/districts/330601/hr", "district": "330601"}
        return decoder.decode(changed(**{**old, **changes}), channel, received)

    new = sent()
    assert isinstance(new, Report) is taken
    if isinstance(new, NotUnderstood):
        reasons = {(rule.code, rule.pointer) for rule in new.reasons}
        assert (new.status, reasons) == invalid("bad-attribute", "/source", "/district")
        assert new.route == "330601"
    taken_back: dict[str, Any] = {
        "type": "skillplan.recruitment.report-retracted.v1",
        "data": {"report_id": "hr-0", "reason": "误报"},
    }
    for putting_right in (
        sent(corrects="hr-0"),
        sent(HTTP, **taken_back),
        sent(Channel(district="330601"), corrects="hr-0"),
    ):
        assert isinstance(putting_right, Report)
        assert putting_right.district == "330601"
    mixed = sent(district="330681", corrects="hr-0")
    assert isinstance(mixed, NotUnderstood)
    assert [rule.code for rule in mixed.reasons] == ["wrong-district"]
    assert isinstance(decoder.decode(ENVELOPE, HTTP, received), Report)
