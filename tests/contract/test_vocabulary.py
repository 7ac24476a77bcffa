"""Each type of report is what the contract's table says: subject, fields and their forms, date, role."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from shared.contract.events import Adds, Ends, Event, Opens, Retracts, Stands
from shared.contract.rules import NumberTaken
from tests.contract.vocabulary import DECISIONS, KERNEL, ONLY_THE_CITY, VOCABULARY, Type
from tests.harness.checks import Row, TypeChecks
from tests.harness.languages import LANGUAGES, decode, faults, sample, understood
from tests.harness.people import credit_code, number_of

NUMBER: Final = number_of(77)
OTHER: Final = {"credit_code": credit_code(99, "52"), "name": "另一家"}


@dataclass(frozen=True)
class Form:
    """A form of values: some that have it, and some that have it not, with the code and where below the field."""

    good: list[Any]
    bad: list[tuple[Any, str, str]] = field(default_factory=list)


def _bad(*values: Any, code: str = "bad-value", below: str = "") -> list[tuple[Any, str, str]]:
    return [(value, code, below) for value in values]


_NO_INTEGERS: Final = (-1, 1.0, "1", True, None, 10**20)
FORMS: Final = {
    "text": Form(
        ["字", "x" * 200, "A-1 (二期) – é"],
        [
            *_bad("", " ", "x" * 201, "a\x00b", "a\nb", "a\x85b", 5, True, [], {}),
            *_bad(NUMBER, f"学籍 G{NUMBER}", f"见{NUMBER.lower()}号", code="personal-number"),
        ],
    ),
    "no": Form(
        ["a", "0", "A.b_c-1", "x" * 64],
        [*_bad("", "-a", ".a", "a b", "a/b", "x" * 65, "号1", "a\n", 5), *_bad(NUMBER, code="personal-number")],
    ),
    "organisation": Form(
        [OTHER, {"name": "有字母 letters", "credit_code": credit_code(0, "91", "330602")}],
        [
            *_bad(5, "x", []),
            ({"name": "无码"}, "missing-field", "/credit_code"),
            ({"credit_code": credit_code(1)}, "missing-field", "/name"),
            (OTHER | {"phone": "1"}, "unknown-field", "/phone"),
            (OTHER | {"name": ""}, "bad-value", "/name"),
            (OTHER | {"name": NUMBER}, "personal-number", "/name"),
            (OTHER | {"credit_code": credit_code(1)[:17]}, "bad-value", "/credit_code"),
            (OTHER | {"credit_code": credit_code(1)[:17] + credit_code(2)[17]}, "bad-checksum", "/credit_code"),
            (OTHER | {"credit_code": None}, "bad-value", "/credit_code"),
        ],
    ),
    "person": Form(
        [
            {"id_number": NUMBER},
            {"id_number": "H60 123456", "id_type": "hk-macao-taiwan", "name": "陈", "phone": "+86 199 0000 0000"},
            {"id_number": "e12345678", "id_type": "passport", "name": None},
        ],
        [
            *_bad(5, NUMBER, []),
            ({}, "missing-field", "/id_number"),
            ({"id_number": NUMBER, "age": 30}, "unknown-field", "/age"),
            ({"id_number": NUMBER, "id_type": "driver"}, "bad-value", "/id_type"),
            ({"id_number": NUMBER, "name": 5}, "bad-value", "/name"),
            ({"id_number": NUMBER[:15]}, "bad-value", "/id_number"),
            ({"id_number": "33060219900101001" + ("1" if NUMBER[-1] != "1" else "2")}, "bad-checksum", "/id_number"),
        ],
    ),
    "date": Form(
        ["2024-02-29", "1999-12-31", "0001-01-01"],
        _bad("2023-02-29", "2024-1-1", "01.02.2024", "2024-01-01T00:00:00Z", "", 20240101, True, {}, code="bad-date"),
    ),
    "count": Form([0, 1, 10**9], _bad(*_NO_INTEGERS)),
    "number": Form([1, 10**9], _bad(0, *_NO_INTEGERS)),
    "year": Form([2023, 2025], _bad("2024", 2024.0, True, None)),
    "boolean": Form([True, False], _bad("true", 1, 0, None)),
    "major-code": Form(["710401", "000000"], _bad("71040", "7104011", "71040a", 710401, None, "710401\n", "71040１")),
    "occupation-code": Form(["4-10-01-05", "0-00-00-00"], _bad("4-10-01", "41-10-01-05", "4-10-01-5", 4, None)),
    "province": Form(["33", "51"], _bad("3", "330", "浙江", 33, None)),
    "emerging": Form(
        [{}, {"new-materials": 0}, {"electronic-information": 1, "modern-medicine": 1, "high-end-equipment": 1}],
        [
            *_bad(5, [], None),
            ({"other": 1}, "bad-value", "/other"),
            ({"robots": 1}, "bad-value", "/robots"),
            ({"new-materials": -1}, "bad-value", "/new-materials"),
            ({"new-materials": "1"}, "bad-value", "/new-materials"),
        ],
    ),
    "occupations": Form(
        [[{"code": "4-10-01-05", "name": "养老护理员", "industry": "other"}]],
        [
            *_bad(5, {}, None),
            ([{"code": "4-10", "name": "n", "industry": "other"}], "bad-value", "/0/code"),
            ([{"code": "4-10-01-05", "name": "", "industry": "other"}], "bad-value", "/0/name"),
            ([{"code": "4-10-01-05", "name": "n", "industry": "robots"}], "bad-value", "/0/industry"),
            ([{"code": "4-10-01-05", "name": "n"}], "missing-field", "/0/industry"),
            ([{"code": "4-10-01-05", "name": "n", "industry": "other", "x": 1}], "unknown-field", "/0/x"),
        ],
    ),
}


def form(name: str) -> Form:
    """Return a form by its name, or that of an enumeration."""
    if name in FORMS:
        return FORMS[name]
    choices = name.split("|")
    return Form(choices, _bad("", "robots", choices[0].title() + "s", choices[0] + " ", 5, True, None, []))


TYPES: Final[list[Row]] = [
    (f"{service}.{name}", (service, name, row)) for service, table in VOCABULARY.items() for name, row in table.items()
]
FIELDS: Final[list[Row]] = [
    (type_, (service, name, field_name, form_name, required))
    for type_, (service, name, row) in TYPES
    for field_name, (form_name, required) in row.fields.items()
]
CHECKS: Final = TypeChecks()
every_type = CHECKS.over(TYPES)
every_field = CHECKS.over(FIELDS)


def event_class(service: str, name: str) -> type[Event]:
    event_type = LANGUAGES[service].find(f"skillplan.{service}.{name}.v1")
    assert event_type is not None
    return event_type


def with_field(service: str, name: str, field_name: str, value: Any) -> dict[str, Any]:
    envelope = sample(service, name)
    envelope["data"][field_name] = value
    return envelope


def without(service: str, name: str, field_name: str) -> dict[str, Any]:
    envelope = sample(service, name)
    envelope["data"].pop(field_name, None)
    return envelope


@pytest.mark.parametrize("service", VOCABULARY)
def test_a_service_takes_the_types_of_the_contract_and_no_others(service: str) -> None:
    events = LANGUAGES[service].events
    assert {event.type_name for event in events if not event.decision} == {*VOCABULARY[service], *KERNEL}
    assert {event.type_name for event in events if event.decision} == DECISIONS[service]


@every_type
def the_stored_sample_is_understood(service: str, name: str, row: Type) -> None:
    report = understood(service, sample(service, name))
    assert report.type == f"skillplan.{service}.{name}.v1"
    assert type(report.event) is event_class(service, name)
    assert type(report.event).model_validate(report.body) == report.event


@every_type
def a_type_has_the_fields_of_the_contract(service: str, name: str, row: Type) -> None:
    model = event_class(service, name).model_fields
    assert set(model) == set(row.fields)
    required = {field_name for field_name, (_, needed) in row.fields.items() if needed}
    assert {field_name for field_name, info in model.items() if info.is_required()} == required


@every_type
def a_type_is_dated_as_the_contract_says(service: str, name: str, row: Type) -> None:
    event = event_class(service, name)
    assert event.dated == row.dated
    assert event.ordered == row.ordered
    report = understood(service, sample(service, name) | {"time": "2024-07-31T23:30:00Z"})
    dated = report.body[row.dated] if row.dated else "2024-08-01"
    assert str(report.happened_on) == dated


@every_type
def a_type_plays_the_part_of_the_contract(service: str, name: str, row: Type) -> None:
    assert _part(event_class(service, name)) == row.role


def _part(event: type[Event]) -> str:
    match event.role:
        case Opens(again=again, taken=taken):
            return "opens again" if again else "opens, else number-taken" if taken is NumberTaken else "opens"
        case Ends(opening=opening, voids=voids):
            return f"voids {opening}" if voids else f"ends {opening}"
        case Stands():
            return "stands"
        case Adds(to=to):
            return f"adds to {to}" if to else "repeats"
        case Retracts():
            return "retracts"


@every_type
def a_subject_has_its_form(service: str, name: str, row: Type) -> None:
    envelope = sample(service, name)
    parts = envelope["subject"].split("/")
    assert len(parts) == len(row.subject.split("/"))
    for wrong in (["x" + parts[0], *parts[1:]], [*parts, "x"], parts[:-1], [*parts[:-1], "a b"], [*parts[:-1], ""]):
        envelope["subject"] = "/".join(wrong)
        assert ("bad-subject", "/subject") in faults(service, envelope), envelope["subject"]


@every_type
def what_subject_and_data_both_say_agrees(service: str, name: str, row: Type) -> None:
    for place, part in enumerate(row.subject.split("/")):
        repeated = re.fullmatch(r"<(.*)>", part)
        if repeated is None:
            continue
        envelope = sample(service, name)
        is_organisation = row.fields[repeated[1]][0] == "organisation"
        parts = envelope["subject"].split("/")
        others = [OTHER["credit_code"]] if is_organisation else [*form(row.fields[repeated[1]][0]).good, "9.9"]
        accepted = 0
        for other in others:
            envelope["subject"] = "/".join([*parts[:place], other, *parts[place + 1 :]])
            reasons = faults(service, envelope)
            pointer = f"/data/{repeated[1]}" + ("/credit_code" if is_organisation else "")
            accepted += not reasons
            assert not reasons or reasons & {("subject-mismatch", pointer), ("bad-subject", "/subject")}, other
        assert accepted == (parts[place] in others)


@every_type
def a_part_that_stands_only_in_the_subject_is_any_number_of_its_form(service: str, name: str, row: Type) -> None:
    for place, part in enumerate(row.subject.split("/")):
        if not part.startswith("{") or part == "{district}":
            continue
        envelope = sample(service, name)
        parts = envelope["subject"].split("/")
        is_code = bool(re.fullmatch(r"[0-9A-Z]{18}", parts[place]))
        other = OTHER["credit_code"] if is_code else "123456" if part == "{major_code}" else "Z.z_9-"
        envelope["subject"] = "/".join([*parts[:place], other, *parts[place + 1 :]])
        understood(service, envelope)


@every_type
def an_unknown_field_is_nearly_always_a_spelling_mistake(service: str, name: str, row: Type) -> None:
    assert faults(service, with_field(service, name, "x_field", 1)) == {("unknown-field", "/data/x_field")}


@every_field
def a_field_is_asked_for_or_may_be_left_out(
    service: str, name: str, field_name: str, form_name: str, required: bool
) -> None:
    left_out = without(service, name, field_name)
    if required:
        assert faults(service, left_out) == {("missing-field", f"/data/{field_name}")}
        assert faults(service, with_field(service, name, field_name, None))
    else:
        null = with_field(service, name, field_name, None)
        assert understood(service, null).digest == understood(service, left_out).digest


@every_field
def a_field_takes_every_value_of_its_form(
    service: str, name: str, field_name: str, form_name: str, required: bool
) -> None:
    for value in form(form_name).good:
        # What a subject repeats, or a kind its measure, is asked of by tests of their own.
        reasons = faults(service, with_field(service, name, field_name, value))
        assert not {code for code, _ in reasons} - {"subject-mismatch"} or field_name in ("measure", "kind"), value


@every_field
def a_field_takes_no_other_value(service: str, name: str, field_name: str, form_name: str, required: bool) -> None:
    for value, code, below in form(form_name).bad:
        if value is None and not required:
            continue
        reasons = faults(service, with_field(service, name, field_name, value))
        assert reasons == {(code, f"/data/{field_name}{below}")}, value


@every_field
def an_enumeration_has_the_words_of_the_contract(
    service: str, name: str, field_name: str, form_name: str, required: bool
) -> None:
    if form_name in FORMS:
        return
    schema = event_class(service, name).model_json_schema()["properties"][field_name]
    schema = next((branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"), schema)
    assert schema.get("enum", [schema.get("const")]) == form_name.split("|")


@pytest.mark.parametrize("service", VOCABULARY)
@pytest.mark.parametrize("name", KERNEL)
def test_any_report_of_a_service_may_be_taken_back_and_any_subject_assigned(service: str, name: str) -> None:
    report = sample(service, name)
    assert set(event_class(service, name).model_fields) == KERNEL[name]
    for other in VOCABULARY[service]:
        understood(service, report | {"subject": sample(service, other)["subject"]})
    assert faults(service, report | {"subject": "other/1"}) == {("bad-subject", "/subject")}
    corrects = set() if name == "subject-assigned" else {("bad-attribute", "/corrects")}
    assert faults(service, report | {"corrects": "x"}) == corrects
    for field_name in KERNEL[name]:
        assert faults(service, without(service, name, field_name)) == {("missing-field", f"/data/{field_name}")}
        assert faults(service, with_field(service, name, field_name, 5)) == {("bad-value", f"/data/{field_name}")}
        if field_name in ("report_id", "reason"):
            envelope = with_field(service, name, field_name, NUMBER)
            assert faults(service, envelope) == {("personal-number", f"/data/{field_name}")}


@pytest.mark.parametrize("service", VOCABULARY)
def test_a_subject_is_assigned_to_a_district_of_the_plan(service: str) -> None:
    envelope = with_field(service, "subject-assigned", "to", "330600")
    assert faults(service, envelope) == set()
    envelope["data"]["to"] = "330699"
    assert faults(service, envelope) == {("bad-value", "/data/to")}


@pytest.mark.parametrize("service", VOCABULARY)
def test_what_is_the_citys_is_taken_from_the_city_alone(service: str) -> None:
    events = {event.type_name for event in LANGUAGES[service].events if not event.decision}
    for name in events:
        envelope = sample(service, name) | {"source": "/districts/330681/sample", "district": "330681"}
        refused = faults(service, envelope) == {("only-the-city", "/district")}
        assert refused == (name in ONLY_THE_CITY), name
        city = sample(service, name) | {"source": "/districts/330600/sample", "district": "330600"}
        assert ("only-the-city", "/district") not in faults(service, city), name
        both = envelope | {"source": "/districts/330600/sample", "data": {}}
        assert faults(service, both) == {("wrong-district", "/district")}, name  # the first of A7


@pytest.mark.parametrize(
    ("measure", "kind", "fits"),
    [
        ("1.1", "excellent-school-or-cluster", True),
        ("1.2", "enterprise-partnership", True),
        ("1.1", "enterprise-partnership", False),
        ("1.2", "excellent-school-or-cluster", False),
    ],
)
def test_a_kind_of_activity_belongs_to_its_measure(measure: str, kind: str, fits: bool) -> None:
    envelope = sample("enrollment", "activity-reported")
    envelope["subject"] = f"activity/{measure}/A-1"
    envelope["data"] |= {"measure": measure, "kind": kind}
    assert faults("enrollment", envelope) == (set() if fits else {("bad-value", "/data/kind")})


@every_type
def nothing_that_is_kept_of_a_report_shows_who_it_is_about(service: str, name: str, row: Type) -> None:
    if "person" not in row.fields:
        return
    envelope = with_field(service, name, "person", {"id_number": NUMBER, "name": "张秘密", "phone": "19900000077"})
    report = understood(service, envelope)
    output = f"{report.body} {report.event} {decode(service, envelope | {'id': 'a b'})}"
    assert not any(personal in output for personal in (NUMBER, "张秘密", "19900000077"))


@pytest.mark.parametrize("type_", CHECKS.types)
def test_a_type_is_what_the_contract_says(type_: str) -> None:
    CHECKS.run(type_)
