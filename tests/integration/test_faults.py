"""Killed with -9 in mid-batch while reports flow: no fact is lost and none is there twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.harness.processes import System, eventually
from tests.harness.reports import Report, person_hired
from tests.harness.topics import check_answered, publish, settle, structured, whole
from tests.harness.traffic import flowing, moments

pytestmark = pytest.mark.xdist_group("waiting")

SERVICES = ("recruitment",)
SECONDS = 8.0


def hires(name: str, count: int) -> list[Report]:
    return [person_hired(f"{name}-{n}") for n in range(count)]


def decided(system: System, name: str) -> int:
    """Count the reports of a test that are facts."""
    sql = "select count(*) from fact where starts_with(report_id, $1)"
    count: int = system.query("recruitment", sql, f"hire-{name}-")[0][0]
    return count


def test_a_worker_killed_before_its_commit_decides_the_batch_again(running: System) -> None:
    worker, reports = running.the("recruitment", "worker"), hires("before", 300)
    with running.holding("recruitment", "select from log_head for update"):
        publish(running.kafka, map(structured, reports))
        eventually(lambda: running.blocked("recruitment"))
        worker.kill()
    assert decided(running, "before") == 0, "it was in mid-batch"
    worker.start()
    eventually(lambda: decided(running, "before") == len(reports))
    check_answered(running, "recruitment", reports)


def test_a_worker_killed_after_its_commit_decides_nothing_twice(running: System) -> None:
    worker, reports = running.the("recruitment", "worker"), hires("after", 300)
    publish(running.kafka, map(structured, reports))
    eventually(lambda: decided(running, "after") == len(reports))
    worker.kill()  # well before the second in which offsets are committed is over
    worker.start()
    sql = "select count(*) from receipt where starts_with(id, 'hire-after-') and decision is null"
    repeats = eventually(lambda: running.query("recruitment", sql)[0][0])
    assert repeats > 0, "messages came in twice"
    check_answered(running, "recruitment", reports)
    assert decided(running, "after") == len(reports)


def test_reports_flow_on_through_kills_of_both_processes(running: System) -> None:
    api, worker = running.the("recruitment", "api"), running.the("recruitment", "worker")
    by_http, by_kafka = hires("http", 1_000), hires("kafka", 1_000)
    twice = hires("twice", 100)
    by_http[500:500], by_kafka[400:400] = twice, twice
    with api.watched() as api_ends, worker.watched() as worker_ends:
        with flowing(api.url, running.kafka, by_http, by_kafka, SECONDS) as flow:
            for moment in moments(flow, 6, SECONDS):
                (worker, api)[moment % 3 == 2].kill()
        everything = [*by_http[:500], *by_http[600:], *by_kafka]
        eventually(lambda: decided(running, "kafka") == 1_000)
        check_answered(running, "recruitment", everything)
        assert set(api_ends) == set(worker_ends) == {-9}, "none ended for a reason of its own"
    reported = Counter(
        (stored.json["id"], stored.json["status"])
        for stored in whole(running.kafka, "receipts.330681")
        if stored.json["id"].startswith("hire-twice-")
    )
    accepted = {id_ for id_, status in reported if status == "accepted"}
    assert len(accepted) == 100


def test_a_stop_in_mid_stream_loses_nothing(running: System) -> None:
    """SIGTERM, as every new version brings it: what is in work is finished, and the exit is clean and bounded."""
    worker, reports = running.the("recruitment", "worker"), hires("term", 600)
    publish(running.kafka, map(structured, reports))
    eventually(lambda: decided(running, "term") > 0)
    assert worker.kill(15) == 0
    worker.start()
    eventually(lambda: decided(running, "term") == len(reports))
    check_answered(running, "recruitment", reports)
    settle(running, "recruitment")
