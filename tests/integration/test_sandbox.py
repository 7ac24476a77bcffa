"""What sandboxes report goes the whole road, in a plan of its own, and touches nothing that is real (RULES A26)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from services.catalogue import DOMAIN_SERVICES
from shared.contract.shapes import in_sandbox
from shared.log.sandbox import SCHEMA, week_of
from tests.harness.processes import System, eventually
from tests.harness.reports import certificate_issued, hire_ended, person_hired, standard_set, subsidy_claimed
from tests.harness.topics import publish, structured, whole
from tests.integration.conftest import Template, fresh_databases, fresh_topics

SERVICES: Final = ("competition", "recruitment", "subsidy")
PLAN: Final = "shaoxing-2023-2025"
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
Node = dict[str, Any]


def tried(report: Node, system: str = "sandbox-hr") -> Node:
    """Return a report as a sandbox system sends it."""
    return report | {"source": f"{report['source'].rpartition('/')[0]}/{system}"}


class Trial:
    """Three services, the projection and a gateway, in which nothing real is ever reported."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.start_services(*SERVICES)
        services = {name: system.the(name, "api").url for name in SERVICES}
        behind = {"SKILLPLAN_SERVICES": json.dumps(services)}
        projector = system.process("projection", "projector").start(wait=False)
        projection = system.process("projection", "api", **behind).start(wait=False)
        gateway = system.process("gateway", "api", **behind, SKILLPLAN_PROJECTION=projection.url).start()
        projector.wait_ready()
        self.http, self.projection = gateway.http, projection.http

    def post(self, *reports: Node, path: str = "/v1/events") -> list[Node]:
        results: list[Node] = self.http.post(path, content=json.dumps(reports), headers=BATCH).json()["results"]
        return results

    def receipt(self, report: Node) -> Node | None:
        params = {"source": report["source"], "id": report["id"]}
        answer = self.http.get("/v1/receipts", params=params)
        receipt: Node | None = answer.json()["receipts"][0] if answer.is_success else None
        return receipt

    def hires(self, path: str = "/v1/sandbox") -> int | None:
        answer = self.http.get(f"{path}/{PLAN}/progress", params={"as_of": "2024-12-31", "district": "330681"}).json()
        (gold,) = (each for each in answer["indicators"] if each["id"] == "4.1.b")
        value: int | None = next(period["value"] for period in gold["periods"] if period["period"] == "2024")
        return value

    def rows(self, service: str, table: str) -> int:
        (row,) = self.system.query(service, f"select count(*) as rows from {SCHEMA}.{table}")  # noqa: S608
        count: int = row["rows"]
        return count


@pytest.fixture(scope="module")
def trial(kafka: str, postgres: str, _template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with fresh_topics(kafka, SERVICES), fresh_databases(postgres, _template) as new_database:
        system = System(kafka, tmp_path_factory.mktemp("trial"), new_database, postgres)
        try:
            yield Trial(system)
            for service in SERVICES:  # whatever was tried: the real logs, numbers and receipts are as empty as before
                (head,) = system.query(service, "select position, receipts, waiting from log_head")
                assert tuple(head) == (0, 0, 0)
                assert not any(system.query(service, f"select from {table}") for table in ("heard", "person_key"))
            assert not whole(kafka, *(f"{service}.events" for service in SERVICES))
        finally:
            system.close()


def test_a_source_is_a_sandbox_by_how_its_system_begins_however_written() -> None:
    assert all(in_sandbox(f"/districts/330681/{name}") for name in ("sandbox", "sandbox-hr", "Sandbox.2", "SANDBOX"))
    assert not any(in_sandbox(f"/districts/330681/{name}") for name in ("hr", "hr-sandbox", "sand-box"))
    assert not in_sandbox(None)
    sunday = datetime(2025, 6, 29, 16, 30, tzinfo=UTC)  # Monday half past midnight in the city
    assert (week_of(sunday - timedelta(hours=1)), week_of(sunday)) == (date(2025, 6, 23), date(2025, 6, 30))


def test_every_report_gets_its_receipt_and_moves_the_numbers_of_the_sandbox_alone(trial: Trial) -> None:
    hired, ended, other = tried(person_hired(1)), tried(hire_ended(1)), tried(person_hired(2), "sandbox")
    before = trial.hires() or 0
    (would,) = trial.post(hired, path="/v1/validate")
    assert (would["status"], trial.receipt(hired)) == ("accepted", None)
    assert [each["status"] for each in trial.post(ended, hired, other)] == ["waiting", "accepted", "accepted"]
    assert (trial.receipt(ended) or {})["status"] == "accepted", "what waited is decided by itself"
    assert [each["status"] for each in trial.post(hired, hired | {"subject": "hire/other"})] == ["duplicate", "refused"]
    assert trial.hires() == before + 2
    (corrected,) = trial.post(other | {"id": "again", "corrects": other["id"]})
    assert corrected["status"] == "accepted"
    retracted = {**tried(person_hired(1)), "id": "back", "type": "skillplan.recruitment.report-retracted.v1"}
    assert trial.post(retracted | {"data": {"report_id": hired["id"], "reason": "试"}})[0]["status"] == "accepted"
    assert trial.hires() == before + 1
    pairs = {"pairs": [{"source": each["source"], "id": each["id"]} for each in (hired, other)]}
    answers = trial.http.post("/v1/receipts/query", json=pairs).json()["results"]
    assert [[receipt["status"] for receipt in each["receipts"]] for each in answers] == [["accepted"], ["accepted"]]
    assert trial.http.get("/v1/receipts/report", params=pairs["pairs"][1]).json()["subject"] == other["subject"]
    assert not trial.hires("/v1/plans"), "the real number"


def test_over_kafka_it_is_the_same_and_no_page_shows_it(trial: Trial, kafka: str) -> None:
    sent = [tried(person_hired(number)) for number in (11, 12)]
    publish(kafka, [structured(report) for report in sent])
    eventually(lambda: all(trial.receipt(report) for report in sent))
    ids = {report["id"] for report in sent}

    def heard() -> bool:
        receipts = [message.json for message in whole(kafka, "receipts.330681")]
        return ids <= {receipt["id"] for receipt in receipts if receipt["status"] == "accepted"}

    eventually(heard)
    eventually(lambda: ids <= {message.json["reportid"] for message in whole(kafka, "sandbox.events")})
    page = trial.projection.get("/v1/districts/330681/receipts", params={"limit": "500"}).json()
    assert page["receipts"] == []


def test_what_one_service_decides_by_another_it_decides_in_the_sandbox_too(trial: Trial) -> None:
    """Also where it rests on what only the city may report: a district's sandbox sets a standard of its own."""
    standard, claim, certificate = (tried(make("try")) for make in (standard_set, subsidy_claimed, certificate_issued))
    of_city = tried(standard_set("city"))
    own = {"district": claim["district"], "source": claim["source"]}
    real = standard | own | {"id": "real", "source": f"/districts/{claim['district']}/tests"}
    assert trial.post(real, path="/v1/validate")[0]["reasons"][0]["code"] == "only-the-city"
    voided = tried(hire_ended(1)) | {
        "id": "void", "type": "skillplan.recruitment.report-voided.v1",
        "data": {"source": claim["source"], "report_id": claim["id"], "reason": "试"},
    }  # fmt: skip
    assert trial.post(voided)[0]["reasons"][0]["code"] == "only-the-city", "it is another's that it would touch"
    answers = trial.post(of_city, standard | own, claim)
    assert [each["status"] for each in answers] == ["accepted", "accepted", "waiting"], answers
    trial.post(certificate)
    eventually(lambda: (trial.receipt(claim) or {})["status"] == "accepted")


def test_it_is_emptied_when_a_week_begins_and_what_comes_then_is_new(trial: Trial) -> None:
    hired = tried(person_hired(21))
    trial.post(hired)
    assert trial.rows("recruitment", "person_key") > 0
    for name in ("api", "worker"):
        # In order: what a killed worker has not acknowledged is read once more, and is new to a sandbox that is empty.
        trial.system.the("recruitment", name).stop()
    trial.system.query("recruitment", "update sandbox.log_head set week = week - 7")
    for name in ("api", "worker"):
        trial.system.the("recruitment", name).start()
    eventually(lambda: trial.rows("recruitment", "fact") == 0)
    assert [trial.rows("recruitment", table) for table in ("receipt", "waiting", "person_key")] == [0, 0, 0]
    assert trial.receipt(hired) is None
    assert trial.hires() in (None, 0)
    again = eventually(lambda: next((each for each in trial.post(hired) if each["status"] == "accepted"), None))
    assert again is not None
    assert trial.hires() == 1


def test_the_sandbox_has_the_columns_of_the_log_and_reaches_none_of_its_tables(trial: Trial) -> None:
    """A migration that changes the one must change the other."""
    columns = "select table_name, column_name, data_type from information_schema.columns where table_schema = $1"
    own, real = ({tuple(row) for row in trial.system.query("subsidy", columns, each)} for each in (SCHEMA, "public"))
    assert own - real == {("log_head", "week", "date")}
    assert {row for row in real if row[0] in {table for table, *_ in own}} <= own
    assert set(SERVICES) < set(DOMAIN_SERVICES)
