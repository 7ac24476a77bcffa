"""Messages on the topics of facts and receipts, up to the ends that were read first."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from services.catalogue import DOMAIN_SERVICES
from services.projection.counting.facts import LogFact, decode
from shared.kafka.clients import Broker
from shared.kafka.names import events_topic, receipts_topic

_QUIET_SECONDS: Final = 20.0


async def ends_of_topics(consumer: AIOKafkaConsumer, broker: Broker) -> dict[TopicPartition, int]:
    """Return the end offset of every topic of ours of facts and of receipts."""
    facts = {broker.named(events_topic(service)) for service in DOMAIN_SERVICES}
    receipts = broker.named(receipts_topic(""))
    there = await consumer.topics()
    wanted = [TopicPartition(topic, 0) for topic in there if topic in facts or topic.startswith(receipts)]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(wanted) if wanted else {}
    return ends


async def messages_before(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """Yield the messages of partitions before these offsets, in order within each. Raises TimeoutError."""
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    last_arrival = time.monotonic()
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        batch = await consumer.getmany(timeout_ms=500)
        if batch:
            last_arrival = time.monotonic()
            for place, messages in batch.items():
                yield [message for message in messages if message.offset < ends[place]]
        elif time.monotonic() - last_arrival > _QUIET_SECONDS:
            raise TimeoutError(f"nothing came for {_QUIET_SECONDS:.0f} s")


def facts_of(messages: Iterable[ConsumerRecord[bytes, bytes]]) -> list[tuple[LogFact, bytes, bytes]]:
    """Return the messages that decode as a fact, with key and bytes; the others have no position to compare."""
    facts = []
    for message in messages:
        with contextlib.suppress(msgspec.DecodeError, ValueError):
            value = message.value or b""
            facts.append((decode(value), message.key or b"", value))
    return facts
