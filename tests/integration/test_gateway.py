"""One address for all services: a report sent to the gateway is decided once, whoever dies meanwhile (issue 16.1)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from shared.http.api_keys import KeyFile, Role
from tests.conftest import ROOT
from tests.harness.languages import understood
from tests.harness.processes import Process, System, eventually
from tests.harness.reports import major_closed, major_opened, person_hired
from tests.integration.conftest import Template, fresh_databases

PEPPER = "6e" * 32
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NEIGHBOUR = "/districts/330602/tests"
PLAN = "shaoxing-2023-2025"
Node = dict[str, Any]


@dataclass
class Town:
    """Two services that take reports, the projection, and a gateway in front, all closed by keys."""

    system: System
    key: str
    reader: str
    service: str

    @property
    def gateway(self) -> Process:
        return self.system.the("gateway", "api")

    def ask(self, method: str, path: str, process: Process | None = None, **more: Any) -> httpx.Response:
        key = more.pop("key", self.key)
        headers = ({"authorization": f"Bearer {key}"} if key else {}) | more.pop("headers", {})
        return (process or self.gateway).http.request(method, path, headers=headers, **more)

    def post(self, body: Any, process: Process | None = None, media: str = "", **more: Any) -> httpx.Response:
        media = media or (BATCH if isinstance(body, list) else STRUCTURED)
        headers = {"content-type": media} | more.pop("headers", {})
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.ask("POST", more.pop("path", "/v1/events"), process, content=content, headers=headers, **more)

    def facts(self, service: str, ids: set[str]) -> list[str]:
        """Return the ids of these reports in the order of the service's log."""
        rows = self.system.query(service, "select report_id from fact order by position")
        return [row["report_id"] for row in rows if row["report_id"] in ids]


@pytest.fixture(scope="module")
def town(postgres: str, _template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    book = KeyFile(folder / "keys.json", PEPPER)
    book.create()
    district, reader, service = (
        book.add(role, prefixes)[1]
        for role, prefixes in ((Role.DISTRICT, ("/districts/330681/",)), (Role.READER, ()), (Role.SERVICE, ()))
    )
    keys = {"SKILLPLAN_KEYS": str(folder / "keys.json"), "SKILLPLAN_KEY_PEPPER": PEPPER, "SKILLPLAN_API_KEY": service}
    with fresh_databases(postgres, _template) as new_database:
        system = System("127.0.0.1:1", folder, new_database, postgres)
        try:
            names = ("enrollment", "recruitment")
            addresses = {name: system.process(name, "api", **keys).start(wait=False).url for name in names}
            services = {"SKILLPLAN_SERVICES": json.dumps(addresses)}
            projection = system.process("projection", "api", **keys, **services).start(wait=False)
            behind = services | {"SKILLPLAN_PROJECTION": projection.url}
            system.process("gateway", "api", **keys, **behind).start(wait=False)
            system.process("gateway", "api", **behind).start(wait=False)  # one that everybody may ask
            for process in system.processes:
                if process is not projection:  # without a projector it has no numbers
                    process.wait_ready()
            eventually(lambda: projection.http.get("/livez").status_code == 200)
            yield Town(system, district, reader, service)
        finally:
            system.close()


def mixed(start: int, count: int) -> list[Node]:
    """Return a batch in which two services own every other report, each subject with its end after its opening."""
    return [make(n) for n in range(start, start + count) for make in (major_opened, person_hired, major_closed)]


def ids_of(batch: list[Node]) -> set[str]:
    return {report["id"] for report in batch}


def test_a_report_goes_to_the_owner_of_its_type_in_every_mode(town: Town) -> None:
    hired = person_hired(1)
    first = town.post(hired)
    assert (first.status_code, first.json()["service"], first.json()["status"]) == (200, "recruitment", "accepted")
    direct = town.post(hired, town.system.the("recruitment", "api"))
    assert direct.json()["first"] == first.json()
    assert town.post(major_opened(1)).json()["service"] == "enrollment"
    event = person_hired(2)
    headers = {f"ce-{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")}
    binary = town.post(event["data"], media="application/json", headers=headers)
    assert binary.json()["status"] == "accepted", binary.text
    own_batch = town.post([person_hired(2), person_hired(3)]).json()["results"]
    assert [result["status"] for result in own_batch] == ["duplicate", "accepted"]


def test_what_no_service_owns_or_can_be_read_is_answered_as_a_service_does(town: Town) -> None:
    direct = town.system.the("enrollment", "api")
    foreign = major_opened(4) | {"type": "org.example.thing"}
    bodies: list[tuple[Any, str]] = [
        (foreign, STRUCTURED), (foreign | {"type": 7}, STRUCTURED), (b"{", STRUCTURED), (b"", STRUCTURED),
        (b"[]", BATCH), (b"{}", BATCH), (b"x", "text/plain"), ([major_opened(4)] * 1001, BATCH),
        (b"[" + b" " * (4 << 20) + b"]", BATCH), (b"{" + b" " * (1 << 20) + b"}", STRUCTURED),
    ]  # fmt: skip
    for body, media in bodies:
        behind, before = town.post(body, direct, media), town.post(body, media=media)
        assert before.status_code == behind.status_code, (media, before.text)
        own = [{**answer.json(), "received_at": "", "decided_at": ""} for answer in (before, behind)]
        assert own[0] == own[1]
    unknown = town.post(person_hired(5) | {"type": "skillplan.recruitment.no-such-thing.v9"}).json()
    assert (unknown["service"], unknown["reasons"][0]["code"]) == ("recruitment", "unknown-type")


def test_a_mixed_batch_is_answered_in_the_order_sent(town: Town) -> None:
    batch = mixed(10, 5)
    strange: list[Any] = [*batch[:3], 7, *batch[3:], person_hired(10) | {"type": "org.example.thing"}]
    response = town.post(strange)
    results = response.json()["results"]
    assert response.status_code == 200
    assert [result.get("id") for result in results] == [
        report["id"] if isinstance(report, dict) else None for report in strange
    ]
    assert [result["status"] for result in results] == ["accepted"] * 3 + ["invalid"] + ["accepted"] * 12 + ["invalid"]
    assert results[3]["reasons"][0]["pointer"] == "/3"
    openings = town.facts("enrollment", ids_of(batch))
    assert all(openings.index(f"major-{n}") < openings.index(f"major-end-{n}") for n in range(10, 15))
    assert {result["status"] for result in town.post(batch).json()["results"]} == {"duplicate"}
    assert sorted(town.facts("enrollment", ids_of(batch)) + town.facts("recruitment", ids_of(batch))) == sorted(
        ids_of(batch)
    )


def test_receipts_are_found_without_knowing_who_decided(town: Town) -> None:
    hired, opened = person_hired(30), major_opened(30)
    town.post([hired, opened])
    pairs = [{"source": event["source"], "id": event["id"]} for event in (opened, hired)]
    never = {"source": hired["source"], "id": "never"}
    answer = town.ask("POST", "/v1/receipts/query", json={"pairs": [*pairs, never, pairs[0]]}).json()
    assert answer["away"] == []
    assert [[receipt["id"] for receipt in result["receipts"]] for result in answer["results"]] == [
        [opened["id"]], [hired["id"]], [], [opened["id"]],
    ]  # fmt: skip
    alone = town.ask("GET", "/v1/receipts", params=pairs[1]).json()
    assert alone == {"receipts": answer["results"][1]["receipts"], "away": []}
    assert town.ask("GET", "/v1/receipts", params=never).status_code == 404
    thousand = town.ask("POST", "/v1/receipts/query", json={"pairs": [never] * 1000})
    assert len(thousand.json()["results"]) == 1000
    wrong: list[Any] = [{"pairs": [never] * 1001}, {"pairs": [{"source": "x"}]}, [], {"pairs": [never], "more": 1}]
    refused = [town.ask("POST", "/v1/receipts/query", json=body).status_code for body in wrong]
    assert refused == [413, 422, 422, 422]
    other = {"source": NEIGHBOUR, "id": "x"}
    assert town.ask("POST", "/v1/receipts/query", json={"pairs": [other]}).status_code == 403


def test_what_a_report_said_is_given_again_without_persons_to_whoever_may_see_its_source(town: Town) -> None:
    hired = person_hired(32)
    named = {"source": hired["source"], "id": hired["id"]}
    assert town.ask("GET", "/v1/receipts/report", params=named).status_code == 404
    town.post(hired)
    recorded = town.ask("GET", "/v1/receipts/report", params=named).json()
    impersonal = {name: value for name, value in hired["data"].items() if name != "person"}
    assert recorded == {
        "type": hired["type"], "subject": hired["subject"], "district": "330681", "time": hired["time"],
        "data": impersonal, "decided": [],
    }  # fmt: skip
    assert town.ask("GET", "/v1/receipts/report", params=named | {"source": NEIGHBOUR}).status_code == 403
    assert town.ask("GET", "/v1/receipts/report", params=named, key=town.reader).status_code == 403
    town.post(hired | {"id": "refused-32"})
    assert town.ask("GET", "/v1/receipts/report", params=named | {"id": "refused-32"}).status_code == 404


def test_the_log_of_each_service_is_below_its_name_with_the_rights_that_it_has_there(town: Town) -> None:
    direct, below = town.system.the("recruitment", "api"), "/services/recruitment"
    for path in ("/v1/log/head", "/v1/log?after=0&limit=2&format=ndjson", "/v1/log?limit=0", "/v1/log/key"):
        for key in (town.key, town.service):
            through, own = (town.ask("GET", at, by, key=key) for at, by in ((below + path, None), (path, direct)))
            assert (through.status_code, through.content) == (own.status_code, own.content), path
    assert town.ask("GET", f"{below}/v1/log/head", key=town.service).json()["service"] == "recruitment"
    assert town.ask("GET", f"{below}/v1/log", key=town.key).status_code == 403
    assert town.ask("GET", "/services/projection/v1/log", key=town.service).status_code == 404
    assert town.ask("GET", f"{below}/v1/receipts", key=town.service).status_code == 404


def test_what_is_validated_gets_the_receipt_it_would_get_and_is_not_recorded(town: Town) -> None:
    batch = [*mixed(35, 1), major_opened(35) | {"id": "again"}, person_hired(36) | {"type": "org.example.thing"}]
    before = town.system.query("recruitment", "select position, receipts from log_head")
    tried = town.post(batch, path="/v1/validate").json()["results"]
    assert [result["status"] for result in tried] == ["accepted"] * 3 + ["accepted", "invalid"]
    assert town.system.query("recruitment", "select position, receipts from log_head") == before
    assert town.facts("recruitment", ids_of(batch)) == []
    (fact,) = tried[1]["facts"]
    assert fact["subject"] == batch[1]["subject"]
    assert "person" not in fact["data"]
    assert tried[1]["counts_in"] is None  # the projection has counted nothing yet
    assert tried[4]["counts_in"] == []
    decided = town.post(batch).json()["results"]
    later = {"received_at", "decided_at", "facts", "counts_in", "sha256"}
    for would, did in zip(tried, decided, strict=True):
        assert {k: v for k, v in would.items() if k not in later} == {k: v for k, v in did.items() if k not in later}
    alone = town.post(batch[1], path="/v1/validate")
    assert (alone.status_code, alone.json()["status"], alone.json()["facts"]) == (200, "duplicate", [])
    wrong = {name: value for name, value in batch[1].items() if name != "subject"}
    assert town.post(wrong, path="/v1/validate").status_code == 422
    assert town.post(batch[1], path="/v1/validate?dry_run=true").status_code == 422
    assert town.post(batch[1], path="/v1/validate", key=town.reader).status_code == 403


def test_the_read_routes_the_page_and_the_descriptions_are_here_too(town: Town) -> None:
    projection = town.system.the("projection", "api")
    for path in ("/", "/docs", "/v1/types", "/schemas", "/schemas/recruitment.person-hired.v1.json", "/asyncapi.yaml",
                 f"/v1/plans/{PLAN}/nothing", "/nowhere", "/v1/plans?x=1"):  # fmt: skip
        through, direct = town.ask("GET", path), town.ask("GET", path, projection)
        assert (through.status_code, through.content) == (direct.status_code, direct.content), path
        mine = {"date", "x-request-id"}
        assert {k: v for k, v in through.headers.items() if k not in mine} == {
            k: v for k, v in direct.headers.items() if k not in mine
        }, path
    described = town.gateway.http.get("/openapi.json").json()
    assert {"/v1/events", "/v1/validate", "/v1/receipts/query", "/v1/plans/{plan}/progress"} <= described[
        "paths"
    ].keys()
    body = described["paths"]["/v1/events"]["post"]["requestBody"]["content"][STRUCTURED]
    assert body["schema"] == {"$ref": "#/components/schemas/Report"}
    valid = Draft202012Validator(body["schema"] | {"components": described["components"]})
    assert list(valid.iter_errors(person_hired(31))) == []
    assert list(valid.iter_errors(person_hired(31) | {"data": {}}))
    schemas, examples = described["components"]["schemas"], described["components"]["examples"]
    assert examples.keys() == schemas["Report"]["discriminator"]["mapping"].keys()
    assert {f"#/components/examples/{name}" for name in examples} <= {
        example.get("$ref") for example in body["examples"].values()
    }
    for name, example in examples.items():
        assert list(valid.iter_errors(example["value"])) == [], name
        understood(name.split(".")[1], example["value"])
    texts = {name: example["summary"] for name, example in examples.items()}
    texts |= {name: schema["description"] for name, schema in schemas.items() if name.startswith("skillplan.")}
    assert [name for name, text in texts.items() if not re.match(r"(?s)[^a-z]*[一-鿿].*[a-z]{3}", text)] == []
    head = town.ask("HEAD", "/docs")
    assert (head.status_code, head.content) == (200, b"")
    assert town.gateway.http.get("/docs").status_code == 200  # needs no key
    packed = town.ask("GET", "/v1/types", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"


def test_it_adds_no_right(town: Town) -> None:
    assert town.gateway.http.get("/v1/types").status_code == 401
    assert town.post(person_hired(40), key=town.reader).status_code == 403
    stranger = town.post([person_hired(41) | {"source": NEIGHBOUR, "district": "330602"}, major_opened(41)])
    assert [result["status"] for result in stranger.json()["results"]] == ["refused", "accepted"]
    open_gateway = town.system.processes[-1]
    assert town.post(person_hired(42), open_gateway, key="").status_code == 401  # says the service
    assert town.post(person_hired(42), open_gateway).json()["reportedby"] == town.key.split("_")[1]
    for headers in ({"host": "rebound.example"}, {"origin": "https://elsewhere.example"}):
        assert town.post(person_hired(43), open_gateway, headers=headers, key="").status_code == 403
    assert town.ask("GET", "/v1/log").status_code == 403
    assert town.ask("GET", "/v1/receipts?source=/districts/330681/tests&id=x&dry_run=true").status_code == 422
    assert town.post(person_hired(44), path="/v1/events?dry_run=true").status_code == 422
    for process in town.system.processes:
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            assert town.ask("GET", f"{path}?dry_run=true", process).status_code == 422, (process.url, path)
    passed_on = "/services/enrollment/v1/log?dry_run=true"
    assert town.ask("GET", passed_on, key=town.service).status_code == 422


def test_a_service_that_dies_in_a_batch_costs_its_own_alone_and_nothing_is_lost_or_twice(town: Town) -> None:
    batch = mixed(50, 4)
    recruitment = town.system.the("recruitment", "api")
    with town.system.holding("recruitment", "select 1 from log_head for update"):
        answers: list[httpx.Response] = []
        sending = threading.Thread(target=lambda: answers.append(town.post(batch)))
        sending.start()
        eventually(lambda: len(town.facts("enrollment", ids_of(batch))) == 8)
        recruitment.kill()
        sending.join()
    (answer,) = answers
    assert (answer.status_code, answer.headers["retry-after"]) == (200, "2")
    for report, result in zip(batch, answer.json()["results"], strict=True):
        if "recruitment" in report["type"]:
            assert (result["status"], result["service"], result["retry_after"]) == (503, "recruitment", 2)
        else:
            assert result["status"] == "accepted"
    alone = town.post(person_hired(50))
    assert (alone.status_code, alone.headers["retry-after"]) == (503, "2")
    assert "recruitment" in alone.json()["en"]
    assert town.post([person_hired(50), person_hired(51)]).status_code == 503
    assert town.post(major_opened(59)).json()["status"] == "accepted"
    pairs = [{"source": report["source"], "id": report["id"]} for report in batch]
    known = town.ask("POST", "/v1/receipts/query", json={"pairs": pairs}).json()
    assert known["away"] == ["recruitment"]
    assert sum(len(result["receipts"]) for result in known["results"]) == 8
    assert town.ask("GET", "/v1/receipts", params=pairs[0]).json()["away"] == ["recruitment"]
    assert town.ask("GET", "/v1/receipts", params=pairs[1]).status_code == 503
    readiness = town.gateway.http.get("/readyz")
    assert (readiness.status_code, list(readiness.json()["warnings"])) == (200, ["recruitment"])
    recruitment.start()
    again = [result["status"] for result in town.post(batch).json()["results"]]
    assert again == ["duplicate", "accepted", "duplicate"] * 4
    assert len(town.facts("enrollment", ids_of(batch))) + len(town.facts("recruitment", ids_of(batch))) == 12


def test_a_gateway_that_dies_in_a_batch_loses_nothing_and_counts_nothing_twice(town: Town) -> None:
    batch = mixed(70, 4)
    gateway = town.gateway
    with town.system.holding("recruitment", "select 1 from log_head for update"):
        errors: list[Exception] = []

        def send() -> None:
            try:
                town.post(batch)
            except httpx.HTTPError as error:
                errors.append(error)

        sending = threading.Thread(target=send)
        sending.start()
        eventually(lambda: town.system.blocked("recruitment"))
        eventually(lambda: len(town.facts("enrollment", ids_of(batch))) == 8)
        gateway.kill()
        sending.join()
    assert len(errors) == 1
    gateway.start()
    again = town.post(batch).json()["results"]
    assert {result["status"] for result in again} <= {"accepted", "duplicate"}
    assert len(town.facts("enrollment", ids_of(batch))) + len(town.facts("recruitment", ids_of(batch))) == 12


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (sys.executable, "report_httpx.py"), (sys.executable, "report_cloudevents.py"), ("sh", "report.sh"),
        ("java", "Report.java"), ("go run", "report.go"), ("dotnet run", "Report.cs"), ("mono", "Report.cs"),
    ],
)  # fmt: skip
def test_a_client_of_the_documentation_reports(town: Town, command: str, file: str, tmp_path: Path) -> None:
    needs = {"sh": ("curl",), "java": ("javac",), "mono": ("mcs",)}.get(command, ())
    if any(shutil.which(tool) is None for tool in (command.split(maxsplit=1)[0], *needs)):
        pytest.skip(f"no {command} here")
    event = person_hired(f"client-{command[-4:].strip()}-{file}")
    (tmp_path / "report.json").write_text(json.dumps(event), encoding="utf-8")
    program = ROOT / "docs" / "clients" / file
    if command == "mono":
        source, program = program, tmp_path / "Report.exe"
        subprocess.run(["mcs", "-r:System.Net.Http", f"-out:{program}", source], check=True)
    arguments = [*command.split(), str(program), str(tmp_path / "report.json")]
    environment = {"SKILLPLAN_URL": town.gateway.url, "SKILLPLAN_KEY": town.key}
    done = subprocess.run(arguments, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["status"] == "accepted"


def test_nothing_personal_is_logged_or_stored(town: Town) -> None:
    hired = person_hired(90)
    assert town.post(hired).json()["status"] == "accepted"
    number = hired["data"]["person"]["id_number"]
    for process in town.system.processes:
        assert number not in process.text()
    assert "gateway" not in town.system.databases
