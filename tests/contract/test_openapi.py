"""Every API says in both languages what each route and parameter is, and shows a real example of each answer."""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.catalogue import DOMAIN_SERVICES, SERVICES
from shared.contract.cloudevents import BATCH, STRUCTURED
from shared.http.openapi import EXAMPLES, PROBLEM
from tests.harness.apis import app_of

BOTH: Final = re.compile(r"(?s)(?=.*[\u4e00-\u9fff])(?=.*[A-Za-z]{2})")
LINES: Final = "application/x-ndjson"  # a fact a line
METHODS: Final = ("get", "post")
Node = dict[str, Any]


@pytest.fixture(name="described")
async def described_fixture(request: pytest.FixtureRequest) -> Node:
    """Return what an API says of itself."""
    return (await app_of(request.param)).openapi()


every_api = pytest.mark.parametrize("described", SERVICES, indirect=True)


def operations(described: Node) -> Iterator[tuple[str, Node]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method.upper()} {path}", operation


@every_api
def test_every_route_and_parameter_is_said_in_both_languages(described: Node) -> None:
    assert BOTH.match(described["info"]["description"])
    for route, operation in operations(described):
        for text in ("summary", "description"):
            assert BOTH.match(operation.get(text, "")), (route, text)
        for parameter in operation.get("parameters", ()):
            assert BOTH.match(parameter.get("description", "")), (route, parameter["name"])
        for status, response in operation["responses"].items():
            plain = status == "200" and response["description"] == "Successful Response"
            assert plain or BOTH.match(response["description"]), (route, status)


@every_api
def test_every_parameter_request_and_answer_has_an_example(described: Node) -> None:
    for route, operation in operations(described):
        for parameter in operation.get("parameters", ()):
            has_example = "example" in parameter or parameter["schema"].get("examples")
            assert has_example or parameter["name"] == "lang", (route, parameter["name"])
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            assert content["examples"], (route, media)
        for status, response in operation["responses"].items():
            if status == "304":
                assert "content" not in response
                continue
            content = response["content"]
            assert any("example" in body or "examples" in body for body in content.values()), (route, status)
            assert all("schema" in body for body in content.values()), (route, status)
            assert status < "400" or list(content) == [PROBLEM] or (route.startswith("POST") and status == "422")


@every_api
def test_every_example_is_as_its_schema_says(described: Node) -> None:
    for route, operation in operations(described):
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                examples = [entry["value"] for entry in content.get("examples", {}).values()]
                examples += [content["example"]] if "example" in content else []
                valid = Draft202012Validator(content["schema"] | {"components": described["components"]})
                for example in examples:
                    assert [fault.message for fault in valid.iter_errors(example)] == [], (route, status)


@every_api
def test_every_route_has_named_schemas(described: Node) -> None:
    def named(schema: Node) -> bool:
        if "anyOf" in schema:
            return all(named(each) for each in schema["anyOf"])
        if schema.get("type") == "array":
            return named(schema["items"])
        return schema.get("$ref", "").rpartition("/")[2] in described["components"]["schemas"]

    for route, operation in operations(described):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            assert "json" not in media or named(content["schema"]), (route, media)
        if route == "GET /schemas/{name}":  # the response there is a JSON Schema itself
            continue
        for status, response in operation["responses"].items():
            for media, content in response.get("content", {}).items():
                if (media.endswith("json") and media != LINES) or media == "text/event-stream":
                    assert named(content["schema"]), (route, status, media)


@every_api
def test_whoever_needs_a_key_is_told_so_and_how_often_it_may_be_used(described: Node) -> None:
    for route, operation in operations(described):
        guarded = "/v1/" in route
        assert guarded == ("security" in operation), route
        assert not guarded or {"401", "403", "429"} <= operation["responses"].keys(), route


@pytest.mark.parametrize("described", DOMAIN_SERVICES, indirect=True)
def test_one_report_and_a_batch_are_shown(described: Node) -> None:
    content = described["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    assert isinstance(content[STRUCTURED]["examples"]["one"]["value"], dict)
    assert isinstance(content[BATCH]["examples"]["batch"]["value"], list)
    responses = described["paths"]["/v1/events"]["post"]["responses"]
    assert {"200", "202", "400", "401", "408", "413", "415", "422", "429", "503"} <= responses.keys()


@every_api
def test_nothing_is_kept_of_a_route_that_is_no_more(described: Node, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["described"]
    stored = orjson.loads((EXAMPLES / f"{name}.json").read_bytes())
    assert stored.keys() == {route for route, _ in operations(described)}
