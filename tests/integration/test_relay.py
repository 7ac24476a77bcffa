"""What is on the topics is the log: in order, nothing skipped, also when the relay dies between send and checkpoint."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import pytest

from tests.harness.processes import System, eventually
from tests.harness.reports import Report, person_hired
from tests.harness.topics import check_log, settle, whole

pytestmark = pytest.mark.waits

SERVICES = ("recruitment",)


def post(system: System, name: str, count: int) -> list[Report]:
    reports = [person_hired(f"{name}-{n}") for n in range(count)]
    api = system.the("recruitment", "api")
    answer = api.http.post("/v1/events", json=reports, headers={"content-type": "application/cloudevents-batch+json"})
    assert {receipt["status"] for receipt in answer.json()["results"]} == {"accepted"}
    return reports


def positions(system: System) -> list[int]:
    return [stored.json["position"] for stored in whole(system.kafka, "recruitment.events")]


def checkpoint(system: System, outbox: str) -> int:
    number: int = system.query("recruitment", "select number from relayed where outbox = $1", outbox)[0][0]
    return number


def test_a_settled_head_waits_for_what_is_being_decided(running: System) -> None:
    api = running.the("recruitment", "api")
    with ThreadPoolExecutor(2) as apart:
        with running.holding("recruitment", "select from log_head for update"):
            deciding = apart.submit(post, running, "under-way", 1)
            eventually(lambda: running.blocked("recruitment"))
            settled = apart.submit(httpx.get, f"{api.url}/v1/log/head", params={"settled": "true"}, timeout=30)
            before = api.http.get("/v1/log/head").json()["position"]
            assert not wait([settled], 1).done, "what was under way first is not recorded yet"
        deciding.result()
        assert settled.result().json()["position"] > before


@pytest.mark.parametrize("outbox", ["facts", "receipts"])
def test_a_relay_killed_between_send_and_checkpoint_repeats_and_skips_nothing(running: System, outbox: str) -> None:
    worker = running.the("recruitment", "worker")
    topic = {"facts": "recruitment.events", "receipts": "receipts.330681"}[outbox]
    settle(running, "recruitment")
    sent_before, checkpoint_before = len(whole(running.kafka, topic)), checkpoint(running, outbox)
    with running.holding("recruitment", f"select from relayed where outbox = '{outbox}' for update"):
        post(running, f"between-{outbox}", 200)
        eventually(lambda: len(whole(running.kafka, topic)) >= sent_before + 200)
        blocked = eventually(lambda: running.blocked("recruitment"))
        worker.kill()
        running.cut_off(blocked)
    assert checkpoint(running, outbox) == checkpoint_before, "sent, and the checkpoint not moved"
    worker.start(wait=False)
    settle(running, "recruitment")
    repeats = len(whole(running.kafka, topic)) - sent_before - 200
    assert repeats >= 200, "what was sent without a checkpoint is sent again"
    check_log(running, "recruitment")


def test_a_second_worker_stands_by_and_takes_over(running: System) -> None:
    first = running.the("recruitment", "worker")
    second = running.process("recruitment", "worker").start()
    post(running, "with-two", 100)
    settle(running, "recruitment")
    assert max(Counter(positions(running)[-100:]).values()) == 1, "only one of them relays"
    first.kill()
    post(running, "with-one", 100)
    settle(running, "recruitment", within=20)
    check_log(running, "recruitment")
    first.start(wait=False)
    second.stop()
    running.processes.remove(second)
    second.http.close()
