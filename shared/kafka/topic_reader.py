"""Topic reader: reads back what a service has published, for comparison with its database and for recovery."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import aiokafka
import orjson
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError

from shared.kafka.clients import Broker
from shared.kafka.names import events_topic, receipts_topic

# A relay that dies in mid-page sends that page again; so the highest position stands among the last few pages.
_TAIL: Final = 6_000
_QUIET_SECONDS: Final = 20.0
_GROUP_SECONDS: Final = 15
_Fetched = dict[aiokafka.TopicPartition, list[aiokafka.ConsumerRecord]]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message on a topic."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]


class TopicReader:
    """The topics that one service writes, as they stand now."""

    def __init__(self, broker: Broker, service: str, group: str | None = None) -> None:
        self._broker = broker
        self._group = broker.named(group) if group is not None else None
        self._events = aiokafka.TopicPartition(broker.named(events_topic(service)), 0)
        self._consumer = aiokafka.AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50, group_id=self._group,
            max_poll_records=2_000, **broker.client(),
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def end(self) -> int:
        """Return the offset that the next fact will get."""
        return (await self._ends([self._events]))[self._events]

    async def last(self) -> tuple[int, bytes]:
        """Return the highest position on the topic and the bytes of that fact; (0, b"") when there is none."""
        end = await self.end()
        highest = (0, b"")
        async for messages in self._read({self._events: (max(0, end - _TAIL), end)}):
            for message in messages:
                if (position := position_of(message.value)) > highest[0]:
                    highest = (position, message.value)
        return highest

    async def facts(self) -> AsyncIterator[list[StoredMessage]]:
        """Yield every fact on the topic, in order, repeats too."""
        async for messages in self._read({self._events: (0, await self.end())}):
            yield [message for message in messages if position_of(message.value)]

    async def receipts(self, districts: Iterable[str]) -> AsyncIterator[list[StoredMessage]]:
        """Yield every receipt on the topics of some districts, whichever service gave it."""
        places = [aiokafka.TopicPartition(self._broker.named(receipts_topic(district)), 0) for district in districts]
        async for messages in self._read({place: (0, end) for place, end in (await self._ends(places)).items()}):
            yield messages

    async def to_come(self) -> int:
        """Return how many messages of the topic of facts the group has not taken yet."""
        taken = await self._consumer.committed(self._events)
        return (await self.end()) - (taken or 0)

    async def await_no_member(self) -> bool:
        """Wait until the group has no member; False when one remains for longer than a dead one's session lasts."""
        admin = AIOKafkaAdminClient(**self._broker.client())
        await admin.start()
        try:
            for _ in range(_GROUP_SECONDS):
                (answer,) = await admin.describe_consumer_groups([self._group])
                if not any(group[5] for group in answer.groups):  # its members
                    return True
                await asyncio.sleep(1)
            return False
        finally:
            await admin.close()

    async def read_again(self, topics: Iterable[str], since: datetime | None) -> None:
        """Let the group read topics again from an instant on (None: from the start); the group must have no member."""
        there = [
            aiokafka.TopicPartition(topic, partition)
            for topic in map(self._broker.named, topics)
            for partition in self._consumer.partitions_for_topic(topic) or await self._partitions(topic)
        ]
        offsets = await self._consumer.beginning_offsets(there)  # what was deleted before was decided (operations)
        if since is not None:
            at = int(since.timestamp() * 1000)
            at_time = await self._consumer.offsets_for_times(dict.fromkeys(there, at))
            ends = await self._ends(there)
            offsets = {place: at_time[place].offset if at_time.get(place) else ends[place] for place in there}
        if there:
            self._consumer.assign(there)
            await self._consumer.commit(offsets)

    async def _partitions(self, topic: str) -> set[int]:
        await self._consumer._client.force_metadata_update()
        await self._consumer._client.fetch_all_metadata()
        return set(self._consumer._client.cluster.partitions_for_topic(topic) or ())

    async def _ends(self, places: list[aiokafka.TopicPartition]) -> dict[aiokafka.TopicPartition, int]:
        try:
            ends: dict[aiokafka.TopicPartition, int] = await asyncio.wait_for(self._consumer.end_offsets(places), 10)
        except TimeoutError:
            raise KafkaTimeoutError from None
        return ends

    async def _read(
        self, spans: Mapping[aiokafka.TopicPartition, tuple[int, int]]
    ) -> AsyncIterator[list[StoredMessage]]:
        """Yield the messages between offsets, in order within each partition."""
        self._consumer.assign(list(spans))
        for place, (first, _) in spans.items():
            self._consumer.seek(place, first)
        loop = asyncio.get_running_loop()
        heard = loop.time()
        try:
            while any([await self._consumer.position(place) < end for place, (_, end) in spans.items()]):
                got: _Fetched = await self._consumer.getmany(timeout_ms=500)
                if got:
                    heard = loop.time()
                elif loop.time() - heard > _QUIET_SECONDS:
                    raise KafkaTimeoutError
                for place, messages in got.items():
                    yield [
                        StoredMessage(
                            self._broker.plain(message.topic),
                            message.key or b"",
                            message.value or b"",
                            dict(message.headers),
                        )
                        for message in messages
                        if message.offset < spans[place][1]
                    ]
        finally:
            # Otherwise it would go on fetching from the broker, twenty times a second.
            self._consumer.pause(*spans)


def position_of(value: bytes) -> int:
    """Return the position of a fact; 0 when it is none."""
    try:
        position = orjson.loads(value)["position"]
    except (ValueError, KeyError, TypeError):
        return 0
    return position if isinstance(position, int) else 0
