"""What others have read stays: a log that lost its end, a topic that was lost, a database older than what was heard."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from deploy.kafka import topics as deploy_topics
from deploy.local import databases
from deploy.operations.reconcile import Places, compare
from shared.kafka.clients import Broker
from tests.harness.broker import delete_topics
from tests.harness.databases import drop
from tests.harness.fork_server import Ended, fork_server
from tests.harness.plan_office import FILE, MONTH, PLAN, SIX, STRUCTURED, PlanOffice
from tests.harness.processes import Process, System, eventually, run
from tests.harness.reports import certificate_issued, hire_ended, person_hired, standard_set, subsidy_claimed
from tests.harness.topics import check_answered, check_log, publish, settle, standing, structured

pytestmark = pytest.mark.waits

LOOKED_EVERY = ("shared.service.kafka_consumer._LOOKED_EVERY", "services.projection.counting.projector._LOOKED_EVERY")
BATCH = {"content-type": "application/cloudevents-batch+json"}


def differences(system: System) -> list[Any]:
    databases = {name: database.dsn for name, database in system.databases.items()}
    result = run(compare(Places(databases, Broker(system.kafka))))
    return [difference for service in result for difference in service.differences.values()]


def recover(process: Process, **settings: str) -> Ended:
    return fork_server().run(f"services.{process.service}", ["recover"], {**process.settings, **settings})


def set_back(system: System, service: str, position: int, number: int) -> None:
    """Make a log what a backup of an hour ago would have been: shorter, by facts and by receipts."""
    decided = system.query(service, "select bytes from receipt where number = $1", number)[0]["bytes"]
    at = datetime.fromisoformat(json.loads(decided)["decided_at"])
    system.query(service, "update log_head set recorded_at = $1", at)
    system.query(service, "delete from fact where position > $1", position)
    system.query(service, "delete from receipt where number > $1", number)
    system.query(service, "delete from waiting")
    system.query(service, "delete from person_key")
    system.query(service, "update relayed set number = 0")
    system.query(
        service, "update log_head set position = $1, receipts = $2, waiting = 0, compared = null", position, number
    )


def test_a_log_that_lost_its_end_decides_nothing_until_it_took_back_what_was_published(system: System) -> None:
    api, worker = system.start("recruitment", "api", "worker")
    stored = [person_hired(f"kept-{n}") for n in range(10)]
    lost = [person_hired(f"lost-{n}") for n in range(20)]
    ended = hire_ended("unheard-of")
    assert {api.http.post("/v1/events", json=report).status_code for report in stored} == {200}
    number = system.query("recruitment", "select receipts from log_head")[0][0]
    publish(system.kafka, map(structured, lost[:10]))
    for report in lost[10:]:
        assert api.http.post("/v1/events", json=report).status_code == 200
    refused = api.http.post("/v1/events", json=person_hired("kept-0") | {"id": "again"}).json()
    assert refused["reasons"][0]["code"] == "already-open"
    assert api.http.post("/v1/events", json=ended).json()["status"] == "waiting"
    trial = person_hired("trial") | {"source": "/districts/330681/sandbox-hr"}  # its receipt is on the same topic
    assert api.http.post("/v1/events", json=trial).json()["status"] == "accepted"
    eventually(lambda: None not in standing(system, "recruitment", lost))
    before = check_log(system, "recruitment")
    for process in (api, worker):
        process.kill(15)
    set_back(system, "recruitment", len(stored), number)

    fresh = person_hired("fresh")
    api.start(wait=False)
    eventually(lambda: "not compared" in api.problems().get("log", ""))
    assert api.http.post("/v1/events", json=fresh).status_code == 503
    worker.start(wait=False)
    eventually(lambda: "is at 30, the log at 10" in api.problems().get("log", ""))
    eventually(lambda: "is at 30" in worker.problems().get("relay", ""))
    assert api.http.post("/v1/events", json=fresh).status_code == 503
    worker.kill(15)

    nowhere = re.sub(r":\d+/", ":1/", worker.settings["SKILLPLAN_PG_DSN"])
    for away in ({"SKILLPLAN_KAFKA": "127.0.0.1:1"}, {"SKILLPLAN_PG_DSN": nowhere}):
        ended_with = recover(worker, **away)
        assert ended_with.returncode == 1
        assert len(ended_with.output.strip().splitlines()) == 1, ended_with.output
    recovery = recover(worker)
    assert recovery.returncode == 0, recovery.stdout + recovery.stderr
    assert "20 facts" in recovery.stdout
    assert ended["id"] in recovery.stdout, "what waited is lost, and named"
    assert trial["id"] not in recovery.stdout
    assert not system.query("recruitment", "select source from receipt where source like '%sandbox%'"), "not the log's"
    worker.start()
    api.wait_ready()
    receipts = {report["id"]: api.http.post("/v1/events", json=report).json() for report in [*stored, *lost, ended]}
    assert {receipts[report["id"]]["status"] for report in [*stored, *lost]} == {"duplicate"}
    assert receipts[ended["id"]]["status"] == "waiting", "it is decided anew"
    again = person_hired("lost-0", channel="other")
    assert api.http.post("/v1/events", json=again).json()["reasons"][0]["code"] == "id-reused"
    repeated = api.http.post("/v1/events", json=person_hired("kept-0") | {"id": "again"}).json()
    assert repeated["first"]["reasons"] == refused["reasons"]
    assert api.http.post("/v1/events", json=fresh).json()["position"] == 31, "no position is given out twice"
    assert check_log(system, "recruitment")[:30] == before
    check_answered(system, "recruitment", [*stored, *lost, fresh])
    beside = recover(worker)
    assert (beside.returncode, "stop it first" in beside.stderr) == (1, True), beside


def test_a_topic_that_was_lost_is_sent_again_and_counted_and_heard_once(system: System) -> None:
    system.constants = dict.fromkeys(LOOKED_EVERY, 0.5)
    system.start_services("competition", "subsidy")
    projector = system.process("projection", "projector").start()
    api = system.the("competition", "api").http
    # The standard is the city's, on a topic of its own: it comes in before a claim is decided by it.
    publish(system.kafka, [structured(standard_set("lost"))])
    eventually(lambda: system.query("subsidy", "select position from log_head")[0][0] >= 1)
    claims = [subsidy_claimed(f"lost-{n}") for n in range(40)]
    publish(system.kafka, map(structured, claims))
    certificates = [certificate_issued(f"lost-{n}") for n in range(40)]
    assert api.post("/v1/events", json=certificates[:20], headers=BATCH).status_code == 200
    # As after a relay that died in mid-page: offsets lead further than positions.
    settle(system, "competition")
    worker = system.the("competition", "worker")
    worker.kill(15)  # killed outright, the next one would wait until the broker missed it
    system.query("competition", "update relayed set number = 0 where outbox = 'facts'")
    worker.start()
    settle(system, "competition")

    def heard() -> int:
        rows = system.query("subsidy", "select position from subscription where service = 'competition'")
        return rows[0][0] if rows else 0

    eventually(lambda: heard() == 20)
    with contextlib.ExitStack() as supervised:
        for process in system.processes:
            supervised.enter_context(process.watched())
        topic = deploy_topics.events("competition")
        run(delete_topics(system.kafka, [topic.name]))
        for process in (worker, projector, system.the("subsidy", "worker")):
            eventually(lambda process=process: topic.name in str(process.problems()))  # type: ignore[misc]
        run(deploy_topics.create(Broker(system.kafka), [topic]))
        assert api.post("/v1/events", json=certificates[20:], headers=BATCH).status_code == 200
        eventually(lambda: heard() == 40, 90)
        accepted = "select count(*) from fact where bytes like '%subsidy-granted%'::bytea"
        eventually(lambda: system.query("subsidy", accepted)[0][0] == 40)
    for process in system.processes:
        process.wait_ready()
    settle(system, "competition", "subsidy")
    eventually(lambda: not differences(system))
    check_answered(system, "competition", certificates)


def test_a_database_older_than_what_it_acknowledged_hears_and_counts_it_again(system: System) -> None:
    """The service's own log is no shorter than its topic; what it heard and what the numbers count is."""
    system.start_services("competition", "subsidy")
    projector = system.process("projection", "projector").start()
    certificates = [certificate_issued(f"old-{n}") for n in range(30)]
    api = system.the("competition", "api").http
    assert api.post("/v1/events", json=certificates, headers=BATCH).status_code == 200
    subscription = "select position from subscription where service = 'competition'"
    eventually(lambda: [row[0] for row in system.query("subsidy", subscription)] == [30])
    worker = system.the("subsidy", "worker")
    for process in (worker, projector):
        process.kill(15)
    system.query("subsidy", "delete from heard where position > 10")
    system.query("subsidy", "update subscription set position = 10")
    worker.start()
    projector.start()
    eventually(lambda: [row[0] for row in system.query("subsidy", subscription)] == [30])
    claims = [standard_set("old"), *(subsidy_claimed(f"old-{n}") for n in range(30))]
    receipts = system.the("subsidy", "api").http.post("/v1/events", json=claims, headers=BATCH).json()["results"]
    assert {receipt["status"] for receipt in receipts} == {"accepted"}
    eventually(lambda: not differences(system))


async def _copy(superuser: str, service: str, origin: str, name: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await databases.create_database(connection, service, name, origin)
    finally:
        await connection.close()


TARGET = f"target/{PLAN.id}/4.1.b"
CLOSE = f"/v1/plans/{PLAN.id}/months/{MONTH}/close"


def revise(office: PlanOffice, value: int, on: str) -> dict[str, Any]:
    data: dict[str, Any] = {"plan": PLAN.id, "indicator": "4.1.b", "op": ">=", "value": value, "effective_from": on}
    return office.tell("target-revised", TARGET, **data, by="计划科", why="中期评估")


def seen(office: PlanOffice) -> list[Any]:
    """Return what anybody sees of it: the month, the closing, the targets and their history."""
    closing = office.projection.get(f"/v1/plans/{PLAN.id}/closings/{MONTH}").json()
    plan = office.planning.get(f"/v1/plans/{PLAN.id}", params={"on": "2024-12-31"}).json()
    months = [office.cell("4.1.b", as_of=f"2024-{month}-01")["target"] for month in ("06", "08", "10")]
    return [closing["published"], closing["figures"], plan, office.month(), months]


def until_a_close(office: PlanOffice) -> dict[str, Any]:
    """Adopt, revise, submit, approve, close; return the receipt of the close."""
    adopted = office.run("adopt", str(FILE), "--yes", "--from", "2023-01-01")
    assert adopted.returncode == 0, adopted.stderr
    office.hire(1, "2024-03-05")
    reported = [revise(office, 1200, "2024-07-01")]
    reported += [receipt for code in SIX for receipt in (office.submit(code), office.answer("period-approved", code))]
    closed: dict[str, Any] = office.planning.post(CLOSE, json={"by": "计划科", "id": "close-1"}).json()
    assert {receipt["status"] for receipt in (*reported, closed)} == {"accepted"}, reported
    return closed


def after_a_backup(office: PlanOffice) -> None:
    """Revise, withdraw the first revision, restate; what waits and what is refused, too."""
    office.hire(2, "2024-03-20")
    reported = [
        revise(office, 1500, "2024-09-01"),
        office.tell("report-retracted", TARGET, report_id="p-1", reason="误报"),
        office.tell("restatement-requested", f"restatement/{PLAN.id}/{MONTH}/R-1", district="330681", plan=PLAN.id,
                    month=MONTH, by="诸暨市统计科", why="补报"),
    ]  # fmt: skip
    sent = {"by": "计划科", "request_no": "R-1", "id": "restate-1"}
    reported.append(office.planning.post(CLOSE.replace("/close", "/restate"), json=sent).json())
    assert {receipt["status"] for receipt in reported} == {"accepted"}, reported
    assert office.tell("report-retracted", TARGET, report_id="unheard-of", reason="误报")["status"] == "waiting"
    assert revise(office, 1500, "2024-10-01")["reasons"][0]["code"] == "nothing-changed"


@pytest.mark.timeout(400)
def test_what_the_plan_office_decided_after_a_backup_is_taken_back_and_counted_on(system: System) -> None:
    """A copy of the database, more acts, the copy in its place, recover: one history, and the figures go on."""
    office = PlanOffice(system)
    api, worker = system.the("planning", "api"), system.the("planning", "worker")
    name = system.databases["planning"].name
    closed = until_a_close(office)
    for process in (api, worker):
        process.kill(15)
    run(_copy(system.superuser, "planning", name, f"{name}_backup"))
    try:
        for process in (api, worker):
            process.start()
        stored = office.head()
        after_a_backup(office)
        office.counted()
        settle(system, "planning")
        before, looked = check_log(system, "planning"), seen(office)
        for process in (api, worker):
            process.kill(15)
        run(drop(system.superuser, name))
        run(_copy(system.superuser, "planning", f"{name}_backup", name))
    finally:
        run(drop(system.superuser, f"{name}_backup"))

    api.start(wait=False)
    eventually(lambda: "not compared" in api.problems().get("log", ""))
    assert office.planning.post("/v1/events", json=office.sent[-1], headers=STRUCTURED).status_code == 503
    worker.start(wait=False)
    eventually(lambda: f"is at {stored + 4}, the log at {stored}" in api.problems().get("log", ""))
    worker.kill(15)
    recovery = recover(worker)
    assert recovery.returncode == 0, recovery.stdout + recovery.stderr
    assert "4 facts" in recovery.stdout
    assert "p-17" in recovery.stdout, "what waited is lost, and named"
    worker.start()
    api.wait_ready()
    assert check_log(system, "planning") == before
    again = [office.planning.post("/v1/events", json=sent, headers=STRUCTURED).json() for sent in office.sent]
    assert [first["status"] for first in again] == [*["duplicate"] * 16, "waiting", "duplicate"]
    assert office.planning.post(CLOSE, json={"by": "计划科", "id": "close-1"}).json() == closed
    assert office.planning.post(CLOSE, json={"by": "计划科"}).json()["reasons"][0]["code"] == "already-open"
    assert seen(office) == looked
    office.hire(3, "2024-03-21")
    assert revise(office, 1600, "2024-10-01")["position"] == len(before) + 1, "no position is given out twice"
    office.counted()
    assert office.cell("4.1.b", as_of="2024-10-01")["target"]["value"] == 1600
    assert office.cell("4.1.b", as_of="2024-03-31")["value"] == 3
    eventually(lambda: not differences(system))
