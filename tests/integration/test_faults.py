"""Killed with -9 in mid-batch while reports flow: no fact is lost and none is there twice."""

from __future__ import annotations

import contextlib
import re
from collections import Counter

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.harness.processes import System, eventually, run
from tests.harness.reports import Report, person_hired
from tests.harness.topics import OutgoingMessage, check_answered, publish, settle, structured, whole
from tests.harness.traffic import flowing, moments

pytestmark = pytest.mark.waits

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


def came_again(system: System, name: str) -> bool:
    """Kill the worker once the reports of a name are facts; return whether it got any of them again."""
    worker, sql = (
        system.the("recruitment", "worker"),
        "select from receipt where starts_with(id, $1) and decision is null",
    )
    publish(system.kafka, map(structured, hires(name, 300)))
    eventually(lambda: decided(system, name) == 300)
    worker.kill()  # mostly before the second in which offsets are committed is over
    worker.start()
    with contextlib.suppress(AssertionError):
        return bool(eventually(lambda: system.query("recruitment", sql, f"hire-{name}-"), within=10))
    return False


def test_a_worker_killed_after_its_commit_decides_nothing_twice(running: System) -> None:
    name = next((name for name in map("after{}".format, range(5)) if came_again(running, name)), None)
    assert name is not None, "messages came in twice"
    check_answered(running, "recruitment", hires(name, 300))
    assert decided(running, name) == 300


def test_what_outlived_its_retention_unread_is_said_to_its_sender_once(running: System) -> None:
    """The broker passes over it without a word: no receipt, no lag, ready."""
    worker, topic = running.the("recruitment", "worker"), "recruitment.reports.330624"
    worker.stop()
    publish(running.kafka, [OutgoingMessage(topic, b"x", b"{}") for _ in range(4)])
    gone = run(delete_records(running.kafka, topic))
    for end in (worker.kill, worker.stop):
        worker.start()
        eventually(lambda: len(never_read(running)) == len(gone))
        end()
    worker.start()
    (report,) = hires("late", 1)
    publish(running.kafka, [structured(report)])
    eventually(lambda: decided(running, "late") == 1)
    assert never_read(running) == sorted((f"{topic}/{partition}/0", count) for partition, count in gone.items())


async def delete_records(kafka: str, topic: str) -> dict[int, int]:
    """Delete all that stands in a topic, as its retention would; return how many messages that was, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    if not partitions:
        await consumer.topics()
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    ends = await consumer.end_offsets(partitions)
    await consumer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records(
        {partition: RecordsToDelete(before_offset=end) for partition, end in ends.items() if end}
    )
    await admin.close()
    return {partition.partition: end for partition, end in ends.items() if end}


def never_read(system: System) -> list[tuple[str, int]]:
    """Return the place of each receipt, and how many messages it says were never read; one sent again is the same."""
    receipts = {stored.value: stored.json for stored in whole(system.kafka, "receipts.330624")}
    return sorted(
        (receipt["place"], int(re.findall("[0-9]+", reason["en"])[0]))
        for receipt in receipts.values()
        for reason in receipt["reasons"]
        if reason["code"] == "never-read"
    )


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
