"""Every type that districts report has a form, made of its JSON Schema and of the words there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from client.fields import event_of, fields_of
from client.sample import sample, value_at
from services.gateway.forms import form_names, form_of, router_of
from shared.http.problems import answer_problems

TYPES = [form.type for form in form_names().forms]


def _nodes(schema: dict[str, Any], texts: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield every part of a form by its path, with its schema and its words."""
    yield path, schema, texts
    for name, part in schema.get("properties", {}).items():
        yield from _nodes(part, texts[name], f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from _nodes(schema["items"], texts["items"], f"{path}.items")


@pytest.mark.parametrize("type_", TYPES)
def test_a_form_has_every_field_of_its_type_with_a_name_and_every_value_of_a_list(type_: str) -> None:
    form, event, example = form_of(type_), event_of(type_), sample(type_)
    assert event is not None
    assert example is not None
    texts = {"zh": form.texts.zh, "en": form.texts.en}
    nodes = {path: schema for path, schema, _ in _nodes(form.form, form.texts.zh, "")}
    for language in ("zh", "en"):
        for path, schema, own in _nodes(form.form, texts[language], ""):
            assert not {"$ref", "anyOf", "const", "propertyNames"} & schema.keys(), path
            if path not in ("", "data", "subject"):
                assert re.search("[一-鿿]", own["ui:title"]) or language == "en", path
            if "enum" in schema:
                assert len(own["ui:enumNames"]) == len(schema["enum"]), path
    required = {path for path, field in fields_of(event).items() if path.startswith("data.") and field.required}
    assert required <= nodes.keys()
    # What stands in the subject is filled in, or the district's: nothing is left for a person to put together.
    parts = re.findall(r"<([\w.-]+)>", form.subject)
    assert all(part in nodes or part == "district" for part in parts)
    if event.subject:
        filled = re.sub(r"<(data[\w.-]+)>", lambda part: str(value_at(example, part[1])), form.subject)
        pattern = re.sub(r"<[\w.-]+>", "[^/]+", filled)
        assert re.fullmatch(pattern, str(example["subject"]))


def test_what_follows_begins_from_what_opened_its_subject() -> None:
    follows = {form.type: form.follows for form in form_names().forms}
    assert follows["skillplan.recruitment.hire-ended.v1"] == ["skillplan.recruitment.person-hired.v1"]
    assert follows["skillplan.recruitment.demand-matched.v1"] == ["skillplan.recruitment.demand-raised.v1"]
    assert follows["skillplan.subsidy.subsidy-paid.v1"] == ["skillplan.subsidy.subsidy-claimed.v1"]
    assert follows["skillplan.recruitment.person-hired.v1"] == []


def test_amounts_are_written_in_yuan_and_persons_are_not_for_a_browser_to_keep() -> None:
    paid = form_of("skillplan.subsidy.subsidy-paid.v1").texts
    assert paid.zh["data"]["amount_fen"] == {"ui:widget": "yuan", "ui:title": "金额(元)"}  # type: ignore[index, call-overload]
    assert form_of("skillplan.recruitment.person-hired.v1").personal == ["person"]
    assert form_of("skillplan.recruitment.hire-ended.v1").personal == []


async def test_the_routes_give_every_form_and_refuse_another_type_in_one_sentence() -> None:
    app = FastAPI()
    answer_problems(app)
    app.include_router(router_of())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        names = (await client.get("/v1/forms")).json()["forms"]
        assert [form["type"] for form in names] == TYPES
        form = await client.get(f"/v1/forms/{TYPES[0]}")
        assert form.json() == form_of(TYPES[0]).model_dump()
        missing = await client.get("/v1/forms/skillplan.recruitment.nothing.v1")
        assert (missing.status_code, missing.json()["zh"]) == (404, "没有这种报告类型。")
