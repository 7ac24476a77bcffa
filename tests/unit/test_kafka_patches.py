"""Each repair of aiokafka and Faust does its work, and is still needed: a test fails once they do without it."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from faust.types import TP, ConsumerMessage

from shared.kafka.patches import (
    bounded_unpacking,
    faust_delivery,
    faust_rewind,
    idle_fetching,
    lenient_headers,
    metadata_backoff,
    spaced_fetching,
)

GZIP: Final = 1
LZ4: Final = 3
ZSTD: Final = 4
LARGE: Final = 9 * 1024 * 1024
HELD_MS: Final = 500


def batch(value: bytes, codec: int = 0, header: str = "ce_id") -> bytes:
    """Return the bytes of a batch with one record."""
    builder = _DefaultRecordBatchBuilderPy(
        2, codec, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=2 * LARGE
    )
    builder.append(0, timestamp=1, key=None, value=value, headers=[(header, b"1")])
    return bytes(builder.build())


def misnamed() -> bytes:
    """Return a batch whose header's name is no UTF-8."""
    return batch(b"x", header="ce_id").replace(b"ce_id", b"ce_\xff\xfe")


def test_a_header_whose_name_is_no_text_is_read() -> None:
    (record,) = lenient_headers.records_of(memoryview(misnamed()))
    assert record.value == b"x"
    assert [name for name, _ in record.headers] == ["ce_\\xff\\xfe"]


def test_aiokafka_still_stumbles_over_such_a_header() -> None:
    with pytest.raises((UnicodeDecodeError, ValueError)):
        list(DefaultRecordBatch(misnamed()))


def test_a_batch_that_unpacks_to_too_much_comes_as_one_record_as_it_was_packed() -> None:
    packed = batch(b"a" * LARGE, GZIP)
    assert len(packed) < LARGE // 100
    records: Any = bounded_unpacking._Records(packed)
    (record,) = records.next_batch()
    assert len(record.value) < len(packed)


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_what_was_unpacked_stays_when_the_next_batch_is(codec: int) -> None:
    records = [next(iter(bounded_unpacking._Records(batch(value, codec)).next_batch())) for value in (b"a" * 99, b"b")]
    assert [bytes(record.value) for record in records] == [b"a" * 99, b"b"]


def test_aiokafka_still_unpacks_whatever_comes() -> None:
    (record,) = MemoryRecords(batch(b"a" * LARGE, GZIP)).next_batch()
    assert len(record.value) == LARGE


async def test_a_client_pauses_after_metadata_that_did_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unhelpful(_client: object) -> bool:
        return False

    monkeypatch.setattr(metadata_backoff, "_update", unhelpful)
    began = time.monotonic()
    assert await metadata_backoff._update_patiently(None) is False
    assert time.monotonic() - began >= metadata_backoff._PAUSE_SECONDS * 0.9


def test_aiokafka_still_has_no_pause_of_its_own() -> None:
    """Its update says no and returns at once; a release that sleeps there makes ours needless."""
    update: Any = metadata_backoff._update
    assert "sleep" not in update.__code__.co_names
    assert update.__qualname__ == f"{AIOKafkaClient.__name__}._metadata_update"


PARTITION: Final = TP("recruitment.events", 0)


@pytest.fixture
async def faust_consumer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Any]:
    """A consumer of Faust that never connects, and has handled a partition up to offset 7."""
    app = faust.App("patched", broker="kafka://127.0.0.1:1", store="memory://", datadir=tmp_path, web_enabled=False)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    consumer: Any = app.consumer

    async def nowhere(_partition: TP, _offset: int) -> None:
        pass

    monkeypatch.setattr(consumer, "_seek", nowhere)
    monkeypatch.setattr(app.topics, "acks_enabled_for", lambda _topic: True)
    consumer._read_offset[PARTITION], consumer._committed_offset[PARTITION] = 7, 8
    yield consumer
    consumer._thread.thread_loop.close()


def acknowledges_the_first_message(consumer: Any) -> bool:
    message = ConsumerMessage(PARTITION.topic, PARTITION.partition, 0, 0.0, 0, [], None, b"{}", None, tp=PARTITION)
    taken: bool = consumer.ack(message)
    return taken


async def test_a_partition_that_is_read_again_is_committed_again(faust_consumer: Any) -> None:
    await faust_rewind.rewind(faust_consumer, PARTITION)
    assert faust_consumer._read_offset[PARTITION] is None
    assert acknowledges_the_first_message(faust_consumer)


async def test_faust_still_takes_a_partition_that_it_sought_for_committed(faust_consumer: Any) -> None:
    await faust_consumer.seek(PARTITION, 0)
    assert not acknowledges_the_first_message(faust_consumer)


async def test_a_message_is_delivered_in_the_task_that_read_it_unless_partitions_are_taken(faust_consumer: Any) -> None:
    async def delivery() -> object:
        return asyncio.current_task()

    async def in_own_task() -> bool:
        delivered: list[object] = []

        async def deliver() -> None:
            delivered.append(await delivery())

        await faust_consumer.wait_first(deliver(), faust_consumer.suspend_flow.wait())
        return delivered == [asyncio.current_task()]

    assert not await in_own_task(), "Faust still makes tasks for each message"
    faust_delivery.apply(faust_consumer)
    assert await in_own_task()
    faust_consumer.suspend_flow.set()
    assert not await in_own_task()


async def test_a_consumer_waits_until_partitions_are_given_again(faust_consumer: Any) -> None:
    faust_delivery.apply(faust_consumer)
    faust_consumer.suspend_flow.set()
    assert (await faust_consumer.wait(faust_consumer.can_resume_flow, timeout=0.01)).stopped
    faust_consumer.can_resume_flow.set()
    assert not (await faust_consumer.wait(faust_consumer.can_resume_flow, timeout=30)).stopped


async def fetch_twice(monkeypatch: pytest.MonkeyPatch, messages: int) -> float:
    """Fetch twice from a broker that had so many messages each time; return the seconds between the two."""
    partition, fetched_at = TopicPartition("reports", 0), list[float]()
    assignment = Assignment([partition])
    assignment.state_value(partition).highwater = messages
    request = FetchRequest(HELD_MS, 1, 1000, 0, [(partition.topic, [(partition.partition, 0, 1000)])])

    async def fetch(*_: object) -> bool:
        fetched_at.append(time.monotonic())
        return messages > 0

    monkeypatch.setattr(spaced_fetching, "_fetch", fetch)
    fetcher = fetcher_of_one_broker()
    for _ in range(2):
        assert await spaced_fetching._fetch_spaced(fetcher, assignment, 0, request) is (messages > 0)
    assert request._max_wait_ms == HELD_MS, "it asks for all partitions"
    return fetched_at[1] - fetched_at[0]


def fetcher_of_one_broker() -> Any:
    fetcher: Any = Fetcher.__new__(Fetcher)
    fetcher._select_read_replica = lambda _: 0
    return fetcher


async def test_a_fetch_of_few_messages_lets_more_of_them_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await fetch_twice(monkeypatch, 1) >= spaced_fetching._SECONDS * 0.9
    assert await fetch_twice(monkeypatch, spaced_fetching._STREAM) >= spaced_fetching._STREAM_SECONDS * 0.9


@pytest.mark.parametrize("messages", [0, 1000])
async def test_after_silence_or_many_messages_the_next_fetch_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, messages: int
) -> None:
    for seconds in ("_SECONDS", "_STREAM_SECONDS"):
        monkeypatch.setattr(spaced_fetching, seconds, 60.0)
    assert await fetch_twice(monkeypatch, messages) < 30


async def test_the_time_that_the_broker_held_a_fetch_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    partition, began = TopicPartition("reports", 0), list[float]()
    assignment = Assignment([partition])
    assignment.state_value(partition).highwater = 1
    request = FetchRequest(HELD_MS, 1, 1000, 0, [(partition.topic, [(partition.partition, 0, 1000)])])

    async def fetch(*_: object) -> bool:
        began.append(time.monotonic())
        await asyncio.sleep(0.05)
        return True

    monkeypatch.setattr(spaced_fetching, "_fetch", fetch)
    fetcher = fetcher_of_one_broker()
    await spaced_fetching._fetch_spaced(fetcher, assignment, 0, request)
    assert fetcher._due_by_node[0] <= began[0] + spaced_fetching._SECONDS


async def test_aiokafka_still_fetches_again_at_once() -> None:
    """Its next fetch is sent as soon as there is room for it; a release that spaces them makes ours needless."""
    patched: Any = spaced_fetching._fetch
    assert "sleep(self._retry_backoff)" in inspect.getsource(patched)
    assert inspect.getsource(patched).count("sleep(") == 1


@pytest.mark.parametrize("paused", [False, True])
async def test_a_fetch_that_leaves_out_partitions_is_not_held_for_long(
    monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    partition, left_out = TopicPartition("reports", 0), TopicPartition("reports", 1)
    assignment = Assignment([partition, left_out])
    if paused:
        assignment.state_value(left_out).pause()
    request = FetchRequest(HELD_MS, 1, 1000, 0, [(partition.topic, [(partition.partition, 0, 1000)])])

    async def fetch(*_: object) -> bool:
        return False

    monkeypatch.setattr(spaced_fetching, "_fetch", fetch)
    await spaced_fetching._fetch_spaced(fetcher_of_one_broker(), assignment, 0, request)
    assert request._max_wait_ms == (HELD_MS if paused else spaced_fetching._PARTIAL_MS)


def test_aiokafka_still_fetches_from_some_partitions_before_all_are_taken() -> None:
    assert "backoff = record.calculate_backoff()" in inspect.getsource(Fetcher._get_actions_per_node)


async def test_a_consumer_looks_seldom_and_aiokafka_still_looks_often() -> None:
    assert "consumer_timeout_ms=200" in inspect.getsource(AIOKafkaConsumer.__init__)
    idle_fetching.apply()
    for consumer, seconds in (
        (AIOKafkaConsumer(), idle_fetching._LOOK_MS / 1000),
        (AIOKafkaConsumer(consumer_timeout_ms=100), 0.1),
    ):
        assert consumer._consumer_timeout == seconds
        await consumer.stop()
