"""The AsyncAPI document: as the code is, valid by the specification's parser, true of topics, reports, receipts."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from deploy.kafka import topics
from deploy.local.dashboard import path_with_node
from docs.generators.asyncapi import FILE, document, page
from docs.generators.catalogue import LANGUAGES
from services.projection import contract
from shared.contract.events import Fact, NotUnderstood
from shared.deciding import receipts
from shared.http.problems import answer_problems
from tests.conftest import ROOT
from tests.harness.languages import DISTRICTS, RECEIVED, SAMPLES, decode, understood

CHECK: Final = ROOT / "tests" / "contract" / "asyncapi"
SAMPLED: Final = sorted(SAMPLES.glob("*.json"))


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def valid(described: dict[str, Any], message: str, payload: Any) -> None:
    """Fail with the first fault of a payload by the schema of a message."""
    reference = f"#/components/messages/{message}/payload"
    Draft202012Validator({"components": described["components"], "$ref": reference}).validate(payload)


def test_the_document_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_document_is_valid_by_the_specification_s_own_parser(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "check.mjs"):
        shutil.copy(CHECK / name, tmp_path)
    install = ["npm", "ci", "--no-audit", "--no-fund", "--no-progress", "--ignore-scripts"]
    node = {**os.environ, "PATH": path_with_node()}
    done = subprocess.run(install, cwd=tmp_path, env=node, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = subprocess.run(
        ["node", "check.mjs", str(FILE)], cwd=tmp_path, env=node, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.fullmatch(r"channels=\d+ messages=\d+\n", result.stdout), "neither errors nor warnings"

    # A document of its own: the parser takes half a minute for the whole.
    wrong = {"asyncapi": "3.1.0", "info": {"title": "x", "version": "1"}, "operations": {"x": {"action": "take"}}}
    (tmp_path / "wrong.yaml").write_text(json.dumps(wrong), encoding="utf-8")
    refused = subprocess.run(
        ["node", "check.mjs", "wrong.yaml"], cwd=tmp_path, env=node, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1, "the check can fail"
    assert "operations.x.action" in refused.stdout


def test_every_topic_stands_in_it_with_its_partitions(described: dict[str, Any]) -> None:
    partitions = {
        channel["address"].replace("{district}", district): channel["bindings"]["kafka"]["partitions"]
        for channel in described["channels"].values()
        for district in DISTRICTS
    }
    assert partitions == {topic.name: topic.partitions for topic in topics.wanted(DISTRICTS)}


def test_every_type_is_a_message_of_its_service_and_decisions_are_never_reported(described: dict[str, Any]) -> None:
    for language in LANGUAGES:
        every = {f"{language.service}.{event.versioned_name()}": event for event in language.versions}
        assert described["channels"][f"{language.service}.events"]["messages"].keys() == every.keys()
        reported = {name for name, event in every.items() if not event.decision}
        assert described["channels"][f"{language.service}.reports"]["messages"].keys() == reported


@pytest.mark.parametrize("file", SAMPLED, ids=lambda file: file.stem)
def test_reports_facts_and_receipts_are_as_it_says(file: Path, described: dict[str, Any]) -> None:
    service = file.name.partition(".")[0]
    envelope = json.loads(file.read_text(encoding="utf-8"))
    if f"report.{file.stem}" not in described["components"]["messages"]:
        return  # a decision: the service's own
    valid(described, f"report.{file.stem}", envelope)
    report = understood(service, envelope)
    if report.personal:
        report.body["person"]["sealed"] = "sealed"
    fact = Fact(
        service, 7, 1, "019a", report.type, report.subject, report.district, report.at, report.time, RECEIVED,
        report.source, report.id, report.event, report.body, correlation_id="c", causation_id="c",
    )  # fmt: skip
    valid(described, f"fact.{file.stem}", json.loads(fact.encode()))
    fact.reported_by = report.reported_by
    valid(described, f"fact.{file.stem}", json.loads(fact.encode()))
    for receipt in (
        receipts.decided(report, service, RECEIVED, fact),
        receipts.decided(report, service, RECEIVED, None, waits_for="certificate/1"),
        receipts.repeated(report, service, RECEIVED, receipts.decided(report, service, RECEIVED, fact), same=True),
    ):
        valid(described, "receipt", json.loads(receipt))


def test_the_receipt_of_what_was_not_understood_is_as_it_says(described: dict[str, Any]) -> None:
    for envelope in ({}, {"specversion": "1.0", "type": "skillplan.subsidy.subsidy-paid.v1"}):
        answer = decode("recruitment", envelope)
        assert isinstance(answer, NotUnderstood)
        valid(described, "receipt", json.loads(receipts.not_decided(answer, "recruitment", datetime.now(UTC))))


async def test_it_is_served_with_every_schema_and_nothing_else() -> None:
    app = FastAPI()
    answer_problems(app)
    app.include_router(contract.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        assert (await client.get("/asyncapi.yaml")).text == page()
        names = (await client.get("/schemas")).json()["schemas"]
        assert names == sorted(file.name for file in (ROOT / "docs" / "events").glob("*.json"))
        assert (await client.get(f"/schemas/{names[0]}")).json()["$id"].startswith("urn:skillplan:")
        for wrong in ("fixes.yaml", "..%2Ffixes.yaml", "recruitment.nothing.v1.json"):
            assert (await client.get(f"/schemas/{wrong}")).status_code == 404
