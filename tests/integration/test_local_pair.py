"""The pair that all integration tests stand on."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.kafka.topics import Topic, TopicsRefused, events, mend, receipts, reports
from shared.kafka.clients import Broker
from tests.conftest import ROOT, NewDatabase, NewTopics

MIGRATIONS = ROOT / "shared" / "log" / "migrations"


async def test_each_database_is_fresh_and_migrated(database: NewDatabase) -> None:
    first, second = database("pair", MIGRATIONS), database("pair", MIGRATIONS)
    owner = await asyncpg.connect(first.owner_dsn)
    await owner.execute("CREATE TABLE only_here (one int)")
    await owner.close()
    other = await asyncpg.connect(second.dsn)
    assert await other.fetchval("SELECT to_regclass('only_here')") is None
    assert await other.fetchval("SELECT current_user") == "pair"
    await other.close()


async def test_a_service_cannot_enter_the_database_of_another(database: NewDatabase) -> None:
    mine, theirs = database("pair", MIGRATIONS), database("pair_other", MIGRATIONS)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(mine.dsn.replace(mine.name, theirs.name))


async def test_topics_are_empty_for_each_test(kafka: str, topics: NewTopics) -> None:
    for _ in range(2):
        (name,) = topics(events("pair"))
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        sent = await producer.send_and_wait(name, b"one")
        await producer.stop()
        assert sent.offset == 0
    consumer = AIOKafkaConsumer(name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    assert (await consumer.getone()).value == b"one"
    await consumer.stop()


async def test_a_topic_with_other_settings_is_mended_and_named(kafka: str, topics: NewTopics) -> None:
    right = [events("pair"), receipts("330624"), reports("pair", "330624")]
    wrong = [
        {"retention.ms": "604800000", "max.message.bytes": "2000000"},
        {"cleanup.policy": "delete"},
        {"message.timestamp.type": "CreateTime", "cleanup.policy": "compact", "retention.ms": "604800000"},
    ]
    names = topics(*(replace(topic, config=config) for topic, config in zip(right, wrong, strict=True)))
    wanted = [replace(topic, name=name) for topic, name in zip(right, names, strict=True)]
    mended = await mend(Broker(kafka), wanted)
    assert {(row.topic, row.setting, row.before) for row in mended} >= {
        (names[0], "retention.ms", "604800000"),
        (names[1], "cleanup.policy", "delete"),
        (names[1], "message.timestamp.type", "CreateTime"),
        (names[2], "message.timestamp.type", "CreateTime"),
        (names[2], "cleanup.policy", "compact"),
        (names[2], "retention.ms", "604800000"),  # a week of older versions; now 90 days
        (names[2], "retention.bytes", "-1"),  # a flood is bounded, too
    }
    assert await mend(Broker(kafka), wanted) == []
    # What the operator set besides is still as it was.
    assert (names[0], "max.message.bytes", "2000000") in {
        (row.topic, row.setting, row.before)
        for row in await mend(Broker(kafka), [Topic(names[0], config={"max.message.bytes": "1000000"})])
    }


async def test_a_topic_with_another_number_of_partitions_is_refused_by_name(kafka: str, topics: NewTopics) -> None:
    name, other = topics(Topic("pair.events", 2), Topic("pair.receipts", config={"cleanup.policy": "delete"}))
    wanted = [Topic(name, config=events("pair").config), replace(receipts("330624"), name=other)]
    with pytest.raises(TopicsRefused, match=f"{name}: 2"):
        await mend(Broker(kafka), wanted)
    assert len(await mend(Broker(kafka), wanted[1:])) == 3  # nothing was changed before
