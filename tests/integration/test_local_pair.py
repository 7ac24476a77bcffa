"""The pair that all integration tests stand on."""

from __future__ import annotations

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.kafka.topics import events
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
