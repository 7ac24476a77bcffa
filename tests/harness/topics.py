"""Sends to topics, reads them whole, and says what must always hold between a service's log, topics and receipts."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.harness.processes import DISTRICTS, System, eventually, run

STRUCTURED: Final = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class OutgoingMessage:
    """What a district's system puts on a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = STRUCTURED


@dataclass(frozen=True)
class TopicMessage:
    """What stands on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.value or b"null")
        return value


def structured(report: dict[str, Any], topic: str | None = None) -> OutgoingMessage:
    """Return a report as its district sends it: to the service its type names, in structured mode."""
    inbox = f"{report['type'].split('.')[1]}.reports.{report['source'].split('/')[2]}"
    return OutgoingMessage(topic or inbox, report["subject"].encode(), json.dumps(report, ensure_ascii=False).encode())


def binary(report: dict[str, Any]) -> OutgoingMessage:
    """Return a report in binary mode: attributes as headers, the data as value (CloudEvents Kafka binding)."""
    attributes = {name: value for name, value in report.items() if name not in ("data", "datacontenttype")}
    headers = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items()]
    value = json.dumps(report["data"], ensure_ascii=False).encode()
    whole = structured(report)
    return OutgoingMessage(whole.topic, whole.key, value, (("content-type", b"application/json"), *headers))


def publish(kafka: str, messages: Iterable[OutgoingMessage], codec: str | None = "lz4") -> list[tuple[str, int, int]]:
    """Send them all; return topic, partition and offset of each once the broker has them."""

    async def send() -> list[tuple[str, int, int]]:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka, acks="all", compression_type=codec, linger_ms=5, max_request_size=16 * 1024 * 1024
        )
        await producer.start()
        try:
            sent = [await producer.send(m.topic, m.value, m.key, headers=list(m.headers)) for m in messages]
            places = [await acknowledged for acknowledged in sent]
        finally:
            await producer.stop()
        return [(place.topic, place.partition, place.offset) for place in places]

    return run(send())


def whole(kafka: str, *topics: str) -> list[TopicMessage]:
    """Return everything that stands on some topics now, in order within a partition."""

    async def read() -> list[TopicMessage]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            places = [
                TopicPartition(topic, partition)
                for topic in topics
                for partition in sorted(consumer.partitions_for_topic(topic) or await _partitions(consumer, topic))
            ]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            messages: dict[TopicPartition, list[TopicMessage]] = defaultdict(list)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    messages[place] += [
                        TopicMessage(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in records
                    ]
            return [stored for place in places for stored in messages[place] if stored.offset < ends[place]]
        finally:
            await consumer.stop()

    return run(read())


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    await consumer._client.fetch_all_metadata()
    return set(consumer._client.cluster.partitions_for_topic(topic) or ())


def settle(system: System, *services: str, within: float = 60.0) -> None:
    """Wait until all that is decided by now is on the topics."""
    for service in services:
        head = system.query(service, "select position, receipts, quarantined from log_head")[0]
        decided = dict(zip(("facts", "receipts", "quarantine"), head, strict=True))

        def relayed(service: str = service, decided: dict[str, int] = decided) -> bool:
            checkpoints = system.query(service, "select outbox, number from relayed")
            return all(number >= decided[outbox] for outbox, number in checkpoints)

        eventually(relayed, within)


def standing(system: System, service: str, reports: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Return the receipt of each report as its service's database has it now, None where there is none yet."""
    rows = system.query(
        service,
        "select distinct on (source, id) source, id, bytes from receipt where id = any($1)"
        " order by source, id, (decision is null), decision desc, number desc",
        [report["id"] for report in reports],
    )
    receipts = {(row["source"], row["id"]): json.loads(row["bytes"]) for row in rows}
    return [receipts.get((report["source"], report["id"])) for report in reports]


def check_log(system: System, service: str) -> list[dict[str, Any]]:
    """Check that the log is dense, in order and unharmed, and that every outbox stands on its topic; return the facts.

    Speaks of what is recorded when it begins; waits for the relay.
    """
    head = system.query(service, "select * from log_head")[0]
    settle(system, service)
    rows = system.query(service, "select * from fact where position <= $1 order by position", head["position"])
    assert [row["position"] for row in rows] == list(range(1, head["position"] + 1)), "positions are dense"
    instants = [row["recorded_at"] for row in rows]
    assert all(earlier < later for earlier, later in itertools.pairwise(instants))
    versions: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        versions[row["stream"]] += 1
        assert row["version"] == versions[row["stream"]], f"versions of {row['stream']} are dense"
        assert hashlib.sha256(row["bytes"]).digest() == row["sha256"]
    _check_events(system, service, [(row["stream"].encode(), row["bytes"]) for row in rows])
    _check_receipts(system, service, head["receipts"])
    _check_quarantine(system, service, head["quarantined"])
    return [json.loads(row["bytes"]) for row in rows]


def _check_events(system: System, service: str, log: Sequence[tuple[bytes, bytes]]) -> None:
    reached = 0
    for stored in whole(system.kafka, f"{service}.events"):
        position = stored.json["position"]
        assert position <= reached + 1, f"{service}.events skips from {reached} to {position}"
        reached = max(reached, position)
        if position <= len(log):
            assert (stored.key, stored.value) == log[position - 1], "the topic has the very bytes of the log"
            trace = stored.json.get("traceparent")
            assert stored.headers == ((*STRUCTURED, ("traceparent", trace.encode())) if trace else STRUCTURED)
    assert reached >= len(log)


def _check_receipts(system: System, service: str, count: int) -> None:
    sql = "select number, district, bytes from receipt where number <= $1 order by number"
    rows = system.query(service, sql, count)
    assert [row["number"] for row in rows] == list(range(1, count + 1)), "receipts are dense"
    values: defaultdict[str, set[bytes]] = defaultdict(set)
    for stored in whole(system.kafka, *(f"receipts.{district}" for district in DISTRICTS)):
        values[stored.topic].add(stored.value or b"")
    answers = [(f"receipts.{row['district']}", row["bytes"]) for row in rows if row["district"]]
    missing = [answer for topic, answer in answers if answer not in values[topic]]
    assert not missing, f"{len(missing)} receipts are not on their topic, one: {missing[0]!r}"


def _check_quarantine(system: System, service: str, count: int) -> None:
    sql = 'select number, topic, partition, "offset" from quarantine where number <= $1 order by number'
    rows = system.query(service, sql, count)
    assert [row["number"] for row in rows] == list(range(1, count + 1))
    places = {
        (row["topic"], row["partition"], row["offset"])
        for row in (stored.json for stored in whole(system.kafka, "quarantine"))
        if row["service"] == service
    }
    assert places >= {(row["topic"], row["partition"], row["offset"]) for row in rows}


def check_answered(system: System, service: str, reports: Sequence[dict[str, Any]]) -> None:
    """Check that each of these reports is exactly one fact, and that its decision is on its district's topic."""
    facts = check_log(system, service)
    made: defaultdict[tuple[str, str], int] = defaultdict(int)
    for fact in facts:
        made[fact["reportsource"], fact["reportid"]] += 1
    lost = [report["id"] for report in reports if not made[report["source"], report["id"]]]
    assert not lost, f"{len(lost)} reports are no fact: {lost[:5]}"
    twice = [report["id"] for report in reports if made[report["source"], report["id"]] > 1]
    assert not twice, f"{len(twice)} reports are a fact more than once: {twice[:5]}"
    decided = last_receipts(system, {report["district"] for report in reports})
    for report in reports:
        assert decided[report["source"], report["id"]]["status"] == "accepted"


def last_receipts(system: System, districts: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what a reader keeps who keeps one receipt a report and ignores those with `first` (RULES A5)."""
    receipts: dict[tuple[str, str], dict[str, Any]] = {}
    for stored in whole(system.kafka, *(f"receipts.{district}" for district in sorted(districts))):
        receipt = stored.json
        if "first" not in receipt and "source" in receipt and "id" in receipt:
            receipts[receipt["source"], receipt["id"]] = receipt
    return receipts
