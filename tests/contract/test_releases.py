"""What a release left behind: its facts decode, fold and count as then, and nothing that it promised is taken away."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, Final

import httpx
import orjson
import pytest

from deploy.kafka import topics
from docs.generators.schemas import breaks as schema_breaks
from docs.generators.schemas import catalogue
from services.catalogue import COUNTED, SERVICES
from services.gateway.api import create_app as gateway_app
from services.gateway.upstream import Upstream
from services.projection.counting.lines import CompiledPlans
from shared.contract import remedies
from shared.contract.events import Retracts
from shared.deciding.facts import FactIndex, decode_fact
from shared.observability.health import Health
from shared.observability.metrics import Metrics
from shared.plan.loading import load_plan, load_plans
from tests.conftest import ROOT
from tests.contract.test_openapi import described_fixture as described_fixture  # noqa: PLC0414
from tests.harness.in_memory_store import InMemoryStore
from tests.harness.languages import ALL, SAMPLES
from tests.harness.oracle import standing_at
from tests.releases.__main__ import PLAN, last, read, releases
from tests.releases.promises import taken_away

NOBODY: Final = "http://127.0.0.1:1"
of_each_release = pytest.mark.parametrize("release", releases())


@cache
def facts_of(release: str) -> Mapping[str, list[tuple[bytes, dict[str, Any]]]]:
    """Return the exact bytes of every fact of a release and what they say, by service, in order."""
    return {
        name.removesuffix(".events"): [
            (exact, orjson.loads(exact)) for _, value, _ in topic["messages"] if (exact := base64.b64decode(value))
        ]
        for name, topic in read(release, "topics").items()
        if name.endswith(".events")
    }


@of_each_release
def test_the_facts_of_a_release_are_read_to_the_byte(release: str) -> None:
    for service, facts in facts_of(release).items():
        assert facts, service
        for exact, envelope in facts:
            fact = decode_fact(ALL, envelope, ())
            assert fact.encode() == exact, envelope


@of_each_release
def test_every_type_of_a_release_has_bytes_of_it(release: str) -> None:
    types = {envelope["type"] for facts in facts_of(release).values() for _, envelope in facts}
    samples = {f"skillplan.{file.stem}" for file in SAMPLES.glob("*.json")}
    assert {
        f"skillplan.{name.removesuffix('.json')}" for name in read(release, "promised")["schemas"]
    } <= types | samples
    assert len(types) > 70


@of_each_release
def test_the_facts_of_a_release_fold_as_the_rules_say(release: str) -> None:
    for service, facts in facts_of(release).items():
        index = FactIndex(decode_fact(ALL, envelope, ()) for _, envelope in facts)
        envelopes = [envelope for _, envelope in facts]
        latest = datetime.fromisoformat(max(envelope["recordedat"] for envelope in envelopes))
        in_force = [fact for fact in standing_at(envelopes, latest) if _reported(service, fact)]
        standing = {(fact["reportsource"], fact["reportid"]) for fact in in_force}
        reported = {
            (fact["subject"], fact["reportsource"], fact["reportid"]) for fact in envelopes if _reported(service, fact)
        }
        wrong = [
            key for key in reported
            if index.own_view(key[0], service).counts(service, key[1:]) != (key[1:] in standing)
        ]  # fmt: skip
        assert not wrong, (service, wrong)


def _reported(service: str, fact: dict[str, Any]) -> bool:
    """Tell whether a fact is what somebody reported, and no taking back."""
    event = ALL[service].find(fact["type"])
    return event is not None and not event.decision and not isinstance(event.role, Retracts)


@of_each_release
def test_the_facts_of_a_release_count_as_they_did_then(release: str) -> None:
    plan = load_plan(ROOT / "plans" / f"{PLAN}.yaml")
    store = InMemoryStore(CompiledPlans([plan]))
    for service in COUNTED:
        store.apply(envelope for _, envelope in facts_of(release)[service])
    wrong, compared = [], 0
    for question in read(release, "numbers"):
        parameters, answer = question["asked"], question["answer"]
        for row in answer["indicators"]:
            indicator = plan.indicators[row["id"]][1]
            for period in row["periods"]:
                cell = store.cell(
                    plan, indicator, parameters.get("district"), period["period"],
                    date.fromisoformat(parameters["as_of"]), datetime.fromisoformat(parameters["known_at"]),
                )  # fmt: skip
                compared += 1
                if cell != (period["numerator"], period["denominator"]):
                    wrong.append((parameters, row["id"], period, cell))
    assert not wrong, wrong[:3]
    assert compared > 700


@of_each_release
def test_no_schema_of_a_release_is_taken_from(release: str) -> None:
    now = catalogue()
    promised = read(release, "promised")["schemas"]
    gone = [name for name in promised if name not in now]
    assert not gone
    assert [fault for name, old in promised.items() for fault in schema_breaks(old, now[name])] == []


@pytest.mark.parametrize("described", SERVICES, indirect=True)
async def test_no_route_parameter_or_field_of_the_last_release_is_taken_away(
    described: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    service = request.node.callspec.params["described"]
    old, now = read(last(), "promised")["apis"][service], described
    if service == "gateway":
        # What it passes on is described by who answers it, and compared there.
        async with Upstream({"planning": NOBODY}, NOBODY, tls=True) as upstream:
            app = gateway_app(upstream, Metrics(service, "api", Health()))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
                now = (await client.get("/openapi.json")).json()
        assert len(now["paths"].keys() & old["paths"].keys()) > 3
        old["paths"] = {path: methods for path, methods in old["paths"].items() if path in now["paths"]}
    assert taken_away(old, now) == []


@of_each_release
def test_no_topic_of_a_release_is_gone_or_parted_otherwise(release: str) -> None:
    plans = list(load_plans(ROOT / "plans"))
    districts = sorted({district.code for plan in plans for district in plan.districts})
    now = {topic.name: topic.partitions for topic in topics.wanted(districts)}
    assert {name: now.get(name) for name in read(release, "promised")["topics"]} == read(release, "promised")["topics"]


@of_each_release
def test_no_code_of_a_release_is_gone(release: str) -> None:
    now = remedies.written()
    for status, codes in read(release, "promised")["codes"].items():
        assert not set(codes) - set(now[status]), status


def _answers(schema: dict[str, Any], **parameter: Any) -> dict[str, Any]:
    """Return the description of an API with one route that answers this, and takes a parameter."""
    content = {"application/json": {"schema": schema}}
    route: dict[str, Any] = {"responses": {"200": {"content": content}}}
    if parameter:
        route["parameters"] = [{"in": "query", "name": "day", **parameter}]
    return {"paths": {"/v1/log": {"get": route}}, "components": {"schemas": {}}}


_FIELDS: Final = {"facts": {"type": "array"}, "next": {"type": "integer"}}
_PAGE: Final[dict[str, Any]] = {"type": "object", "properties": _FIELDS}


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        ({"paths": {}}, "GET /v1/log: gone"),
        (_answers({"type": "object", "properties": {"next": {"type": "integer"}}}), "GET /v1/log 200/facts: gone"),
        (
            _answers(_PAGE | {"properties": _FIELDS | {"next": {"type": "string"}}}),
            "GET /v1/log 200/next: may be ['string']",
        ),
        (_answers(_PAGE, required=True), "GET /v1/log ?day: asked for"),
        (_answers(_PAGE | {"properties": _FIELDS | {"more": {"type": "boolean"}}}), None),
        (_answers(_PAGE, required=False), None),
    ],
)
def test_what_is_taken_away_is_named_with_its_place(now: dict[str, Any], lost: str | None) -> None:
    assert taken_away(_answers(_PAGE), now) == ([lost] if lost else [])
