"""The database or the broker goes away while reports flow: services say so, pause, and go on by themselves."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.faults.table import FAULTS, STARTING, Fault, FaultRow, suffer
from tests.harness.faults import FaultInstallation, fault_installation
from tests.harness.processes import eventually
from tests.harness.reports import person_hired
from tests.harness.topics import check_answered, publish, settle, structured

pytestmark = pytest.mark.waits


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultInstallation]:
    with fault_installation(tmp_path_factory.mktemp("away"), own_disks=True) as made:
        yield made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_database_goes_away(own: FaultInstallation, number: signal.Signals) -> None:
    name = number.name.lower()
    before, meanwhile, after = (person_hired(f"database-{name}-{when}") for when in ("before", "meanwhile", "after"))
    queued = [person_hired(f"database-{name}-queued-{n}") for n in range(50)]
    assert own.post(before) == 200
    children = [process.child for process in own.processes]
    worker_log = len(own.worker.text())
    own.database.stop(number)
    try:
        answer = own.api.http.post("/v1/events", json=meanwhile)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["zh"]
        assert answer.json()["en"]
        batch = {"content-type": "application/cloudevents-batch+json"}
        assert own.api.http.post("/v1/events", json=[meanwhile], headers=batch).status_code == 503
        for path in ("/v1/log", "/v1/log/head", "/v1/receipts?source=x&id=x"):
            assert own.api.http.get(path).status_code == 503
        publish(own.system.kafka, map(structured, queued))
        for process in own.processes:
            eventually(lambda process=process: "database" in process.problems())  # type: ignore[misc]
            assert process.http.get("/livez").status_code == 200
        # The worker has them in hand and cannot record them.
        eventually(lambda: "inbox.paused" in own.worker.text()[worker_log:])
    finally:
        own.database.start()
    eventually(lambda: own.post(meanwhile) == 200)
    assert own.post(after) == 200
    eventually(lambda: own.decided(queued))
    eventually(own.all_counted)
    for process in own.processes:
        process.wait_ready()
        assert process.alive
    assert [process.child for process in own.processes] == children
    check_answered(own.system, "recruitment", [before, meanwhile, after, *queued])
    message = own.database.log.read_text() + own.broker.log.read_text()
    for report in (before, meanwhile, after, *queued):
        assert not any(personal in message for personal in report["data"]["person"].values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_broker_goes_away(own: FaultInstallation, number: signal.Signals) -> None:
    name = number.name.lower()
    before, meanwhile = ([person_hired(f"broker-{name}-{when}-{n}") for n in range(50)] for when in ("b", "m"))
    after = [person_hired(f"broker-{name}-a-{n}") for n in range(50)]
    publish(own.system.kafka, map(structured, before))
    with own.worker.watched() as ends:
        message = len(own.worker.text()) + len(own.projector.text())
        own.broker.stop(number)
        try:
            assert {own.post(report) for report in meanwhile} == {200}, "deciding needs no broker"
            assert not own.api.problems()
            for process in (own.worker, own.projector):
                eventually(lambda process=process: "kafka" in str(process.problems()))  # type: ignore[misc]
            message = len(own.worker.text()) + len(own.projector.text()) - message
            assert message < 1_000_000, "they say so without flooding their logs"
        finally:
            own.broker.start()
        settle(own.system, "recruitment")
        publish(own.system.kafka, map(structured, after))
        eventually(lambda: own.decided([*before, *after]))
        eventually(own.all_counted)
        for process in own.processes:
            process.wait_ready()
            assert process.alive
        check_answered(own.system, "recruitment", [*before, *meanwhile, *after])
        assert not ends, "it needed no new start"


SHORT = ("connections cut", "late network", "reset connections", "half-open connections", "broker's disk full",
         "database's disk full", "database clock jumps", "service clock jumps", "projector clock jumps")  # fmt: skip


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.en in SHORT], ids=lambda fault: fault.en)
def test_every_report_is_decided_and_counted_once_through(own: FaultInstallation, fault: Fault) -> None:
    row = suffer(own, fault, reports=120, seconds=4.0, held=2.0)
    assert (row.lost, row.twice, row.recount) == (0, 0, 0)
    assert row.sent == row.accepted


def test_a_row_is_wrong_where_nothing_named_the_cause() -> None:
    fault = next(fault for fault in FAULTS if fault.en == "broker killed")
    row = FaultRow(fault, 2.0, sent=5, accepted=5, ready_said={("recruitment worker", "kafka", STARTING)})
    assert "never named the cause" in row.wrong, "who starts does not know it"
    row.ready_said.add(("recruitment worker", "relay", "kafka: nothing acknowledged"))
    assert not row.wrong
    row.lost = 1
    assert "lost 1" in row.wrong
