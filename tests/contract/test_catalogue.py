"""The published schemas: as stored, true to the samples, and only ever added to."""

import copy
from collections.abc import Callable
from typing import Any, Final

import jsonschema
import pytest

from docs.generators.schemas import FOLDER, Schema, breaks, catalogue, stored, text
from services.catalogue import DOMAIN_SERVICES
from shared.contract.events import Event, Language
from shared.deciding.facts import decode_fact, event_body
from shared.log.event_store import is_stream
from tests.harness.languages import ALL, SAMPLES, every_type, sample

NOW: Final = catalogue()
REPORTED: Final = [
    (language.service, event.versioned_name()) for language, event in every_type(ALL) if not event.decision
]
DECIDED: Final = [(language.service, event.versioned_name()) for language, event in every_type(ALL) if event.decision]


@pytest.mark.parametrize("name", sorted(NOW))
def test_a_released_schema_is_only_added_to(name: str) -> None:
    old = stored(name)
    assert old is not None, "python -m docs.generators.schemas"
    assert breaks(old, NOW[name]) == []


@pytest.mark.parametrize("name", sorted(NOW))
def test_the_stored_schema_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text(NOW[name]), "python -m docs.generators.schemas"


def test_every_released_type_is_still_there() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == set(NOW)
    assert {file.name for file in SAMPLES.glob("*.json")} == set(NOW)


@pytest.mark.parametrize("name", sorted(NOW))
def test_a_schema_is_a_schema_and_the_stored_sample_agrees_with_it(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(NOW[name])
    service, _, versioned = name.removesuffix(".json").partition(".")
    checked(NOW[name]).validate(sample(service, versioned))


@pytest.mark.parametrize(("service", "name"), DECIDED)
def test_the_stored_sample_of_a_decision_is_a_fact_of_its_type(service: str, name: str) -> None:
    stored_fact = sample(service, name)
    fact = decode_fact(ALL, stored_fact, ())
    assert (fact.event.versioned_name(), fact.service, fact.report_id) == (name, service, stored_fact["reportid"])
    assert event_body(fact.event) == stored_fact["data"]


@pytest.mark.parametrize(("language", "event"), list(every_type(ALL)))
def test_a_subject_is_no_tag_and_a_tag_no_subject(language: Language, event: type[Event]) -> None:
    stored_sample = sample(language.service, event.versioned_name())
    data = stored_sample["data"] | ({"person": {"token": "t", "sealed": "s"}} if event.has_person else {})
    tags = DOMAIN_SERVICES[language.service].composed().domain([]).tags(event.model_validate(data))
    assert is_stream(stored_sample["subject"])
    assert not any(is_stream(tag) for tag in tags)


@pytest.mark.parametrize(("service", "name"), REPORTED)
def test_a_schema_refuses_what_the_decoder_refuses(service: str, name: str) -> None:
    validator = checked(NOW[f"{service}.{name}.json"])
    for field in sample(service, name)["data"]:
        wrong = sample(service, name)
        wrong["data"][field] = {"no": "such"}
        assert not validator.is_valid(wrong), field
    misspelt = sample(service, name)
    misspelt["data"]["misspelt"] = 1
    assert not validator.is_valid(misspelt)
    assert not validator.is_valid(sample(service, name) | {"subject": "other/1"})


def checked(schema: Schema) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


OLD: Final = NOW["recruitment.person-hired.v1.json"]


def data(schema: Schema) -> Any:
    return schema["properties"]["data"]


def _optional_field(schema: Schema) -> None:
    data(schema)["properties"]["note"] = {"type": "string"}


def _more_words(schema: Schema) -> None:
    data(schema)["properties"]["channel"]["enum"].append("online")


def _other_description(schema: Schema) -> None:
    schema["description"] = data(schema)["properties"]["channel"]["description"] = "Other words."


def _wider_text(schema: Schema) -> None:
    schema["$defs"]["Organisation"]["properties"]["name"]["maxLength"] = 400


def _another_kind_of_value(schema: Schema) -> None:
    data(schema)["properties"]["level"]["anyOf"].append({"type": "integer"})


@pytest.mark.parametrize(
    "change", [_optional_field, _more_words, _other_description, _wider_text, _another_kind_of_value]
)
def test_an_addition_breaks_nothing(change: Callable[[Schema], None]) -> None:
    new = copy.deepcopy(OLD)
    change(new)
    assert new != OLD
    assert breaks(OLD, new) == []


def _field_gone(schema: Schema) -> None:
    del data(schema)["properties"]["fair_no"]


def _required_field(schema: Schema) -> None:
    data(schema)["properties"]["note"] = {"type": "string"}
    data(schema)["required"].append("note")


def _field_promised_no_more(schema: Schema) -> None:
    data(schema)["required"].remove("channel")


def _word_gone(schema: Schema) -> None:
    data(schema)["properties"]["channel"]["enum"].remove("other")


def _other_type(schema: Schema) -> None:
    data(schema)["properties"]["hired_on"]["type"] = "integer"


def _narrower_text(schema: Schema) -> None:
    schema["$defs"]["Organisation"]["properties"]["name"]["maxLength"] = 100


def _other_subject(schema: Schema) -> None:
    schema["properties"]["subject"]["pattern"] = "^contract/.*$"


def _kind_of_value_gone(schema: Schema) -> None:
    data(schema)["properties"]["level"]["anyOf"].pop(0)


@pytest.mark.parametrize(
    "change",
    [
        _field_gone,
        _required_field,
        _field_promised_no_more,
        _word_gone,
        _other_type,
        _narrower_text,
        _other_subject,
        _kind_of_value_gone,
    ],
)
def test_what_takes_away_or_asks_for_more_is_named(change: Callable[[Schema], None]) -> None:
    new = copy.deepcopy(OLD)
    change(new)
    assert breaks(OLD, new)
