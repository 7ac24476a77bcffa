"""Bad messages of every kind among good ones: each has its receipt or its quarantine row, and the good go through."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy

from shared.log.sealing import Seal
from tests.harness.bad_messages import INBOX, Bad, every_kind
from tests.harness.processes import SERVICE_KEY, System, eventually, run
from tests.harness.reports import person_hired
from tests.harness.topics import OutgoingMessage, check_answered, publish, standing, structured, whole

pytestmark = pytest.mark.waits

SERVICES = ("recruitment",)
ROUNDS = 4  # over 500 by Kafka
Receipt = dict[str, Any]


def test_every_kind_over_kafka(running: System) -> None:
    bad = [each for n in range(ROUNDS) for each in every_kind(1_000 * n)]
    good = [person_hired(f"good-0-{n}") for n in range(len(bad))]
    # Good ones between them, on every partition: what stops at a bad one never comes to the next.
    mixed = itertools.chain.from_iterable(
        (each.message, structured(hire)) for each, hire in zip(bad, good, strict=True)
    )
    places = publish(running.kafka, mixed)
    check_answered_soon(running, good)
    quarantine = _quarantine(running)
    receipts = _receipts(running)
    wrong = [
        problem
        for each, place in zip(bad, places[::2], strict=True)
        if (problem := _check(each, place, receipts, quarantine))
    ]
    assert not wrong, "\n".join(wrong[:20])
    assert sum(place in quarantine for place in places) == sum(each.becomes == "quarantined" for each in bad)
    assert all(process.alive for process in running.processes)


def check_answered_soon(system: System, good: list[dict[str, Any]]) -> None:
    count = "select count(*) from receipt where id like 'hire-good-0-%'"
    eventually(lambda: system.query("recruitment", count)[0][0] == len(good))
    check_answered(system, "recruitment", good)


class _Name(str):
    """A header's name as clients in C may write it: in any encoding."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("gb18030")


@pytest.mark.parametrize("codec", [DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_LZ4])
def test_a_header_name_may_be_any_bytes(running: System, codec: int) -> None:
    hires = [person_hired(f"good-name-{codec}-{n}") for n in range(20)]

    # The builder written in Python lets a name encode itself.
    named = ((_Name("来源"), b"x"),)
    messages = (OutgoingMessage(INBOX, m.key, m.value, (*named, *m.headers)) for m in map(structured, hires))
    run(_send_batch(running.kafka, codec, messages))
    publish(running.kafka, map(structured, after := [person_hired(f"good-after-{codec}-{n}") for n in range(20)]))
    eventually(lambda: all(standing(running, "recruitment", [*hires, *after])))
    check_answered(running, "recruitment", [*hires, *after])


def _check(
    bad: Bad, place: tuple[str, int, int], receipts: dict[str, list[Receipt]], quarantine: dict[Any, dict[str, Any]]
) -> str | None:
    if bad.becomes == "quarantined":
        row = quarantine.get(place)
        if row is None:
            return f"{bad.kind}: not in quarantine; receipts {receipts.get(bad.mark)}"
        value = bad.message.value or b""
        opened = Seal(bytes.fromhex(SERVICE_KEY)).unseal_unreadable(row["sealed"], "/".join(map(str, place)))
        assert (row["reason"], row["size"], opened) == (bad.code, len(value), value), bad.kind
        answers = receipts.get("/".join(map(str, place)), [])
        if [answer["reasons"][0]["code"] for answer in answers] != ["not-json"]:
            return f"{bad.kind}: in quarantine, and its sender got {answers}"
        return None
    matches = receipts.get(bad.mark, [])
    if len(matches) != 1:
        return f"{bad.kind}: {len(matches)} receipts; quarantine {quarantine.get(place)}"
    return _faults_of(bad, matches[0])


def _faults_of(bad: Bad, receipt: Receipt) -> str | None:
    reported = [(reason["code"], reason.get("pointer")) for reason in receipt["reasons"]]
    fits = any(code == bad.code and bad.pointer in (None, pointer) for code, pointer in reported)
    if receipt["status"] != bad.becomes or not fits:
        return f"{bad.kind}: {receipt['status']} {reported[:5]}"
    assert all(reason["zh"] and reason["en"] for reason in receipt["reasons"])
    return None


def _receipts(system: System) -> dict[str, list[Receipt]]:
    """Return the receipts on all topics by the mark they show."""
    matches: defaultdict[str, list[Receipt]] = defaultdict(list)
    topics = [f"receipts.{district}" for district in ("330681", "330602", "330600")]
    for stored in whole(system.kafka, *topics):
        receipt = stored.json
        result = [
            receipt.get("id"),
            receipt.get("source", "").rpartition("/")[2],
            receipt.get("subject", "").partition("/")[2],
        ]
        for mark in {text for text in result if text and text.startswith("bad-")}:
            matches[mark].append(receipt)
        if "place" in receipt:
            assert (receipt["status"], stored.key, "id" in receipt) == ("invalid", b"", False)
            matches[receipt["place"]].append(receipt)
    return matches


def _quarantine(system: System) -> dict[Any, dict[str, Any]]:
    rows = system.query("recruitment", 'select topic, partition, "offset", reason, size, sealed from quarantine')
    return {(row["topic"], row["partition"], row["offset"]): dict(row) for row in rows}


async def _send_batch(kafka: str, codec: int, messages: Iterable[OutgoingMessage]) -> int:
    """Send one batch to partition 0, as large as it may be; return the offset of its first message."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, -1, 1 << 30)
        for message in messages:
            batch.append(key=message.key, value=message.value, timestamp=None, headers=list(message.headers))
        offset: int = (await (await producer.send_batch(batch, INBOX, partition=0))).offset
        return offset
    finally:
        await producer.stop()


@pytest.mark.parametrize(
    "codec", [DefaultRecordBatch.CODEC_GZIP, DefaultRecordBatch.CODEC_LZ4, DefaultRecordBatch.CODEC_ZSTD]
)
def test_a_batch_that_would_unpack_to_hundreds_of_megabytes_is_quarantined_packed(running: System, codec: int) -> None:
    worker = running.the("recruitment", "worker")
    spaces = b" " * (1 << 20)
    single, many = [spaces * 200], [spaces[: 1 << 19]] * 200
    bombs = [
        run(_send_batch(running.kafka, codec, (OutgoingMessage(INBOX, None, v) for v in values)))
        for values in (single, many)
    ]
    hires = [person_hired(f"good-bomb-{codec}-{n}") for n in range(20)]
    run(_send_batch(running.kafka, codec, map(structured, hires)))
    eventually(lambda: all(standing(running, "recruitment", hires)))
    check_answered(running, "recruitment", hires)
    quarantine = _quarantine(running)
    matches = [
        quarantine[INBOX, 0, first + len(values) - 1] for first, values in zip(bombs, (single, many), strict=True)
    ]
    assert all(row["size"] < len(spaces) for row in matches)
    assert worker.alive
    assert worker.peak_mb < 250, "docker-compose.yml lets it have 384"


def test_every_kind_over_http(running: System) -> None:
    api = running.the("recruitment", "api")
    wrong = []
    bad = [each for n in range(ROUNDS) for each in every_kind(100_000 + 1_000 * n) if each.by_http]
    for each in bad:
        headers = {"content-type": "application/cloudevents+json"}
        answer = api.http.post("/v1/events", content=each.message.value or b"", headers=headers)
        if each.becomes == "quarantined":
            fits = answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"
            problem = None if fits else f"{each.kind}: {answer.status_code} {answer.text[:200]}"
        else:
            too_large = len(each.message.value or b"") > 1024 * 1024 and answer.status_code == 413
            problem = None if too_large else _faults_of(each, answer.json())
            assert answer.status_code in (413, 422)
        if problem:
            wrong.append(problem)
    assert not wrong, "\n".join(wrong[:20])
    good = person_hired("good-after-all")
    assert api.http.post("/v1/events", json=good).json()["status"] == "accepted"
    assert all(process.alive for process in running.processes)
