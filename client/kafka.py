"""Reporting over Kafka: publishers that wait for every replica, and the topics of receipts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Self

import aiokafka
import orjson
from aiokafka.errors import (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import RecordMetadata

from client.messages import JsonObject, read_receipt
from client.routing import CannotPublishError, route
from client.settings import ClientSettings
from shared.contract.messages import Receipt
from shared.kafka.clients import Broker
from shared.kafka.names import receipts_topic

STRUCTURED: Final = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


class ReceiptBatch(NamedTuple):
    """Consecutive receipts of a topic, and the offset of the next one."""

    topic: str
    receipts: list[Receipt]
    next_offset: int


class Appended(NamedTuple):
    """A report that the broker has: when it appended it, in ms since 1970, which its receipt names as `received_at`;
    None where the broker does not say."""

    at: int | None


class Publisher:
    """Publishes reports in structured mode: acknowledged by every replica, never twice by a retry of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer = aiokafka.AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=131072,
            compression_type="lz4",
            request_timeout_ms=20000,
            **broker.client(),
        )
        self._sent: list[asyncio.Future[RecordMetadata]] = []
        self._topics: set[str] = set()
        self.acknowledged = 0

    async def __aenter__(self) -> Self:
        if (problem := await self._broker.problem()) is not None:
            await self._producer.stop()
            raise CannotPublishError(problem, problem)
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def publish(self, event: JsonObject) -> asyncio.Future[RecordMetadata]:
        """Hand a report to the producer; waits while too much is unsent. Raises CannotPublishError for this report
        alone, KafkaError when nothing more can be sent."""
        destination = route(event)
        topic = destination.topic
        if topic not in self._topics:
            # The producer itself would wait until its time limit for a topic that does not exist.
            there = (await self._producer.client.fetch_all_metadata()).topics()
            self._topics = set(map(self._broker.plain, there))
            if topic not in self._topics:
                problem = await self._broker.problem([topic]) or f"没有主题 no topic: {topic}"
                raise CannotPublishError(problem, problem)
        try:
            sent: asyncio.Future[RecordMetadata] = await self._producer.send(
                self._broker.named(topic), orjson.dumps(event), key=destination.key, headers=STRUCTURED
            )
        except MessageSizeTooLargeError:
            raise _too_large() from None
        self._sent.append(sent)
        return sent

    async def send(self, events: Sequence[JsonObject]) -> list[Appended | CannotPublishError]:
        """Publish reports and wait until the broker has them; of each when, or why it alone could not be sent."""
        outcomes: list[Appended | CannotPublishError | asyncio.Future[RecordMetadata]] = []
        for event in events:
            try:
                outcomes.append(await self.publish(event))
            except CannotPublishError as error:
                outcomes.append(error)
        await self._flush()
        return [_outcome(each) if isinstance(each, asyncio.Future) else each for each in outcomes]

    async def flush(self) -> None:
        """Wait until the broker has everything that was published. Raises KafkaError when it refused something."""
        for sent in await self._flush():
            if (error := sent.exception()) is not None:
                raise error

    async def _flush(self) -> list[asyncio.Future[RecordMetadata]]:
        await self._producer.flush()
        sent, self._sent = self._sent, []
        await asyncio.wait(sent) if sent else None
        self.acknowledged += sum(each.exception() is None for each in sent)
        return sent


def _too_large() -> CannotPublishError:
    return CannotPublishError("超过 1 MB", "larger than 1 MB")


def _outcome(sent: asyncio.Future[RecordMetadata]) -> Appended | CannotPublishError:
    """Return when a report was appended, or why it alone was not; raises KafkaError where no other would be either."""
    error = sent.exception()
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return _too_large()
    if isinstance(error, TopicAuthorizationFailedError):
        return CannotPublishError("用户无权写这个区县的主题", "this user may not write this district's topic")
    if error is not None:
        raise error
    at = sent.result().timestamp
    return Appended(at if at is not None and at > 0 else None)


class DistrictPublishers:
    """Publishers of several districts, each with the credentials of its own where there are any."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._opened = contextlib.AsyncExitStack()
        self._publishers: dict[str, Publisher] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def publish(self, event: JsonObject) -> None:
        """Hand a report to its district's producer."""
        user = route(event).user
        name = user if self._settings.kafka_passwords else ""
        if name not in self._publishers:
            publisher = Publisher(self._settings.broker_of(user))
            self._publishers[name] = await self._opened.enter_async_context(publisher)
        await self._publishers[name].publish(event)

    async def flush(self) -> None:
        """Wait until the broker has everything that was published."""
        for publisher in self._publishers.values():
            await publisher.flush()

    @property
    def acknowledged(self) -> int:
        """How many reports the broker has."""
        return sum(publisher.acknowledged for publisher in self._publishers.values())


class ReceiptTopics:
    """Consumer of the districts' receipts, from the moment it was opened or from an earlier one on."""

    def __init__(self, broker: Broker, districts: Iterable[str], since: datetime | None = None) -> None:
        self.topics = [receipts_topic(district) for district in districts]
        self._since = since
        self._broker = broker
        self._consumer = aiokafka.AIOKafkaConsumer(
            *map(broker.named, self.topics), enable_auto_commit=False, auto_offset_reset="latest", **broker.client()
        )

    async def __aenter__(self) -> Self:
        if (problem := await self._broker.problem(self.topics)) is not None:
            await self._consumer.stop()
            raise CannotPublishError(problem, problem)
        try:
            await self._consumer.start()
            for partition in self._consumer.assignment():  # fixed now, so that nothing sent from here on is missed
                await self._consumer.position(partition)
            if self._since is not None:
                await self._go_back(self._since)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def _go_back(self, since: datetime) -> None:
        at = int(since.timestamp() * 1000)
        offsets = await self._consumer.offsets_for_times(dict.fromkeys(self._consumer.assignment(), at))
        for partition, place in offsets.items():
            if place is not None:
                self._consumer.seek(partition, place.offset)

    async def up_to_now(self, offsets: Mapping[str, int | None] | None = None) -> AsyncIterator[ReceiptBatch]:
        """Yield receipts up to the present end of the topics: from these offsets on (None: the beginning of a topic),
        or from the consumer's position."""
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions)
        if offsets is not None:
            begins = await self._consumer.beginning_offsets(partitions)
            for partition in partitions:
                offset = offsets.get(self._broker.plain(partition.topic))
                # A topic made anew is shorter than what was read of the old one.
                known = offset is not None and offset <= ends[partition]
                start = max(offset or 0, begins[partition]) if known else begins[partition]
                self._consumer.seek(partition, start)
        while behind := [
            partition for partition in partitions if await self._consumer.position(partition) < ends[partition]
        ]:
            for partition, messages in (await self._consumer.getmany(*behind, timeout_ms=1000)).items():
                receipts = [receipt for message in messages for receipt in _receipts(message.value)]
                yield ReceiptBatch(self._broker.plain(partition.topic), receipts, messages[-1].offset + 1)

    async def follow(self) -> AsyncIterator[Receipt]:
        """Yield receipts as they arrive, without end."""
        while True:
            for messages in (await self._consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    for receipt in _receipts(message.value):
                        yield receipt

    async def await_answers(self, keys: Iterable[tuple[str, str]], seconds: float) -> set[tuple[str, str]]:
        """Wait until each report, by source and id, has a receipt of any kind; return those without one."""
        missing = set(keys)
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    for messages in (await self._consumer.getmany(timeout_ms=200)).values():
                        for message in messages:
                            for receipt in _receipts(message.value):
                                missing.discard((receipt.get("source", ""), receipt.get("id", "")))
        except TimeoutError:
            pass
        return missing


def _receipts(raw: bytes | None) -> list[Receipt]:
    """Return the receipt in a message; none where it holds none, as what was deleted in a compacted topic."""
    try:
        return [read_receipt(raw or b"")]
    except ValueError:
        return []


async def readable(broker: Broker, districts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return of which districts the receipts can be read, and why those of others cannot; raises CannotPublishError
    where the broker itself cannot be reached."""
    wanted = list(districts)
    if not wanted or await broker.problem([receipts_topic(district) for district in wanted]) is None:
        return wanted, []
    if (problem := await broker.problem()) is not None:
        raise CannotPublishError(problem, problem)
    problems = {district: await broker.problem([receipts_topic(district)]) for district in wanted}
    return [each for each in wanted if problems[each] is None], [each for each in problems.values() if each]
