"""Subsidy hears competition's log: killed in the midst of it, and when the topic has a hole or what is no fact."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from shared.contract.decoder import Keys
from tests.harness.processes import CITY_KEY, Process, System, eventually
from tests.harness.reports import Report, certificate_issued, standard_set, subsidy_claimed
from tests.harness.topics import STRUCTURED, OutgoingMessage, check_answered, publish, standing

pytestmark = pytest.mark.waits

SERVICES = ("subsidy",)
BATCH = {"content-type": "application/cloudevents-batch+json"}


def fact(position: int, report: Report) -> dict[str, Any]:
    """Return what competition records of a certificate."""
    number = report["data"]["person"]["id_number"]
    person = {"token": Keys(bytes.fromhex(CITY_KEY)).token(f"resident:{number}"), "sealed": ""}
    attributes = {name: report[name] for name in ("specversion", "type", "subject", "time", "district")}
    reported = {"id": f"fact-{position}", "source": "/services/competition", "position": position, "version": 1}
    cause = {"reportsource": report["source"], "reportid": report["id"], "correlationid": "c", "causationid": "c"}
    recorded = {"recordedat": f"2024-03-01T00:00:00.{position:06}Z", "datacontenttype": "application/json"}
    return attributes | reported | cause | recorded | {"data": report["data"] | {"person": person}}


class Log:
    """Competition's log as this module publishes it: certificate by certificate."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.reports: list[Report] = []

    def claims(self, name: str, count: int) -> list[Report]:
        """Claim on certificates that are recorded, yet not heard of; each waits."""
        self.reports += [certificate_issued(f"{name}-{n}") for n in range(count)]
        claims = [subsidy_claimed(f"{name}-{n}") for n in range(count)]
        answer = self.system.the("subsidy", "api").http.post("/v1/events", json=claims, headers=BATCH)
        assert {receipt["status"] for receipt in answer.json()["results"]} == {"waiting"}
        return claims

    def send(self, *positions: int) -> None:
        facts = [fact(position, self.reports[position - 1]) for position in positions]
        publish(self.system.kafka, [message(single["subject"], json.dumps(single).encode()) for single in facts])

    def heard(self) -> int:
        rows = self.system.query("subsidy", "select position from subscription where service = 'competition'")
        return rows[0]["position"] if rows else 0


def message(key: str, value: bytes) -> OutgoingMessage:
    return OutgoingMessage("competition.events", key.encode(), value, STRUCTURED)


@pytest.fixture(scope="module")
def log(running: System) -> Log:
    standard = standard_set("hearing")
    assert running.the("subsidy", "api").http.post("/v1/events", json=standard).json()["status"] == "accepted"
    return Log(running)


@pytest.fixture
def worker(running: System) -> Process:
    return running.the("subsidy", "worker")


def granted(system: System, claims: list[Report]) -> bool:
    receipts = standing(system, "subsidy", claims)
    return all(receipt and receipt["status"] == "accepted" for receipt in receipts)


def test_a_worker_killed_while_it_hears_grants_each_claim_once(running: System, log: Log, worker: Process) -> None:
    first = len(log.reports) + 1
    claims = log.claims("killed", 200)
    with running.holding("subsidy", "select from log_head for update"):
        log.send(*range(first, first + 200))
        eventually(lambda: running.blocked("subsidy"))
        worker.kill()
    assert log.heard() == first - 1
    worker.start()
    eventually(lambda: granted(running, claims))
    worker.kill()  # heard and recorded, the offsets not committed: it all comes in again
    worker.start()
    more = log.claims("killed-again", 1)
    log.send(len(log.reports))
    eventually(lambda: granted(running, more))
    facts = running.query("subsidy", "select count(*) from fact where stream like 'claim/S-killed-%'")[0][0]
    assert facts == 2 * 201, "a claim and a grant each"
    assert log.heard() == len(log.reports)


def test_a_hole_stops_the_line_until_it_is_filled(running: System, log: Log, worker: Process) -> None:
    first = len(log.reports) + 1
    claims = log.claims("hole", 4)
    log.send(first, first + 2, first + 3)
    eventually(lambda: f"position {first + 1} is missing" in worker.problems().get("competition.events", ""))
    assert log.heard() == first
    assert worker.alive
    log.send(first + 1, first + 2, first + 3)
    eventually(lambda: granted(running, claims))
    eventually(lambda: not worker.problems())


def test_what_is_no_fact_is_passed_over(running: System, log: Log, worker: Process) -> None:
    claims = log.claims("passed-over", 1)
    for junk in (b"", b"{", b"[]", b"{}", b'{"position": "x"}', b"\xff" * 100):
        publish(running.kafka, [message("x", junk)])
    log.send(len(log.reports))
    eventually(lambda: granted(running, claims))
    assert worker.alive
    assert worker.kill(signal.SIGTERM) == 0
    worker.start()


def test_the_largest_report_that_is_taken_reaches_the_topic(running: System) -> None:
    """What is decided must fit into a Kafka message, or the relay would stand still for ever."""
    occupations = [{"code": "6-18-01-01", "name": f"{n:04}{'工' * 58}", "industry": "other"} for n in range(4_300)]
    catalogue = {"title": "目录", "document_no": "1", "effective_from": "2030-01-01", "effective_until": "2030-12-31"}
    city = {"source": "/districts/330600/tests", "district": "330600"}
    report = city | {"type": "skillplan.subsidy.catalogue-published.v1", "subject": "catalogue/large", "id": "large"}
    large = certificate_issued("x") | report | {"data": catalogue | {"occupations": occupations}}
    assert 985_000 < len(json.dumps(large, ensure_ascii=False, separators=(",", ":")).encode()) < 1_000_000
    api = running.the("subsidy", "api").http
    assert api.post("/v1/events", json=large).json()["status"] == "accepted"
    check_answered(running, "subsidy", [large])
    too_large = large | {"id": "larger", "data": catalogue | {"occupations": occupations + occupations[:500]}}
    receipt = api.post("/v1/events", json=[too_large], headers=BATCH).json()["results"][0]
    assert (receipt["status"], receipt["reasons"][0]["code"]) == ("invalid", "bad-value")
    endless = large | {"id": "endless", "data": catalogue | {"occupations": [{}] * 300_000}}
    receipt = api.post("/v1/events", json=endless).json()
    assert (receipt["status"], receipt["reasons"][0]["pointer"]) == ("invalid", "/data/occupations")
