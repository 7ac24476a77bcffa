"""Follows the receipts topics and stores for each report the receipt in force.

In force is the latest decision, else the last receipt that decided nothing.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import aiokafka
import asyncpg
import msgspec
import structlog
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from services.projection.counting import writers
from services.projection.counting.log_reader import WAIT_MS, new_consumer, read_from_start, retry_forever
from services.projection.receipts.store import FollowedReceipt, OffsetMove, ReceiptKey, store_receipts
from services.projection.receipts.store import offsets as offsets_of
from shared.contract.events import LOCAL_TIME
from shared.contract.shapes import in_sandbox
from shared.kafka.clients import Broker
from shared.kafka.names import receipts_topic
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

_LOCK: Final = 0x5C111_0004
_MOST: Final = 2000
_PART: Final = "receipts"
_LOOK_AGAIN: Final = 10.0
_GOOD_FOR: Final = 15.0  # seconds that a step may take at most
# Between batches that are not full, so that a stream of receipts is stored ten times a second and not one by one.
_GATHERED: Final = 0.1
# Between any two batches while there are many facts to count: numbers come first, of one processor.
_AFTER_FACTS: Final = 1.0
_log = structlog.get_logger()


class _Reason(msgspec.Struct, gc=False):
    code: str


class _Receipt(msgspec.Struct, gc=False):
    """What is stored of a receipt apart from its bytes."""

    service: str
    district: str
    status: str
    reasons: list[_Reason]
    received_at: datetime
    decided_at: datetime
    source: str | None = None
    id: str | None = None
    type: str | None = None
    first: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_receipt: Final = msgspec.json.Decoder(_Receipt)


def read(message_key: bytes | None, value: bytes | None, place: str) -> FollowedReceipt | None:
    """Return the receipt in a message.

    None for what repeats a first one (RULES A6), for what no page shows (A26), and for what is no receipt.
    """
    try:
        receipt = _receipt.decode(value or b"")
        body = (value or b"").decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if receipt.first is not msgspec.UNSET or receipt.received_at.tzinfo is None or receipt.decided_at.tzinfo is None:
        return None
    if in_sandbox(receipt.source):
        return None
    key = f"{receipt.source} {receipt.id}" if receipt.source is not None and receipt.id is not None else place
    return FollowedReceipt(
        service=receipt.service,
        key=key,
        source=receipt.source,
        id=receipt.id,
        district=receipt.district,
        day=receipt.received_at.astimezone(LOCAL_TIME).date(),
        type=receipt.type or "",
        status=receipt.status,
        code=receipt.reasons[0].code if receipt.reasons else "",
        # The relay sends what decides nothing under another key (decision 15).
        bound=message_key == key.encode(),
        received_at=receipt.received_at,
        decided_at=receipt.decided_at,
        body=body,
    )


def latest(received: Iterable[FollowedReceipt]) -> list[FollowedReceipt]:
    """Return of some receipts the one in force of each report; topics repeat, and only a decision replaces one.

    The statement that stores them compares in the same way with what is stored.
    """
    in_force: dict[ReceiptKey, FollowedReceipt] = {}
    for receipt in received:
        key = ReceiptKey(receipt.service, receipt.key)
        current = in_force.get(key)
        if current is None or (receipt.bound, receipt.decided_at) >= (current.bound, current.decided_at):
            in_force[key] = receipt
    return list(in_force.values())


def pause_after(receipts: int, facts_wait: bool) -> float:
    """Return for how long the next batch gathers, in seconds."""
    if facts_wait:
        return _AFTER_FACTS
    return _GATHERED if receipts < _MOST else 0.0


class ReceiptFollower:
    """Reads the receipts topics of districts; receipts and offsets are stored in one transaction a batch.

    `facts_wait`: whether the same process has many facts to count, which go first.
    """

    def __init__(
        self, dsn: str, broker: Broker, districts: Sequence[str], health: Health, facts_wait: Callable[[], bool]
    ) -> None:
        self._dsn = dsn
        self._broker = broker
        self._topics = [receipts_topic(code) for code in districts]
        self._health = health
        self._facts_wait = facts_wait

    async def run(self) -> None:
        """Follow until cancelled; while the database or the broker is away, pause, then go on from what is stored."""
        await retry_forever(self._attempt)

    async def _attempt(self) -> None:
        try:
            await self._follow()
        except writers.OtherWriter:
            _log.info("receipts.starts-again")
        except (*UNAVAILABLE, KafkaError, TimeoutError) as error:
            problem = f"not available: {type(error).__name__}"
            if isinstance(error, KafkaError):
                problem = await self._broker.problem() or problem
            self._health.report(_PART, problem)
            _log.warning("receipts.paused", problem=problem)

    async def _follow(self) -> None:
        async with writers.connected(self._dsn, "skillplan projection receipts") as connection:
            while not await writers.lock(connection, _LOCK):
                self._health.report(_PART, None, _GOOD_FOR)  # a standby is healthy
                await asyncio.sleep(1)
            consumer = new_consumer(self._broker, _MOST)
            await consumer.start()
            try:
                there = set(map(self._broker.plain, await consumer.topics()))
                missing = [topic for topic in self._topics if topic not in there]
                problem = f"missing topics: {', '.join(missing)}" if missing else None
                self._health.report(_PART, problem, _GOOD_FOR)
                topics = [topic for topic in self._topics if topic in there]
                offsets = await offsets_of(connection, topics)
                partitions = {topic: aiokafka.TopicPartition(self._broker.named(topic), 0) for topic in topics}
                consumer.assign(list(partitions.values()))
                for topic, partition in partitions.items():
                    consumer.seek(partition, offsets[topic])
                _log.info("receipts.follows", topics=len(topics))
                # A topic created later is noticed at the next look.
                until = time.monotonic() + _LOOK_AGAIN if missing else math.inf
                while topics and time.monotonic() < until:
                    await self._step(consumer, connection, offsets)
                    self._health.report(_PART, problem, _GOOD_FOR)
            finally:
                await consumer.stop()

    async def _step(
        self, consumer: aiokafka.AIOKafkaConsumer, connection: asyncpg.Connection, offsets: dict[str, int]
    ) -> None:
        try:
            records = await consumer.getmany(timeout_ms=WAIT_MS)
        except OffsetOutOfRangeError as error:
            # What is stored already stays as it is.
            await read_from_start(consumer, error, "receipts.from-the-start")
            return
        if not records:
            await connection.execute("select 1")  # an idle connection does not notice that it is broken
            return
        received: list[FollowedReceipt] = []
        moves: list[OffsetMove] = []
        for partition, messages in records.items():
            topic = self._broker.plain(partition.topic)
            receipts = (read(message.key, message.value, f"@{topic}/{message.offset}") for message in messages)
            received.extend(receipt for receipt in receipts if receipt is not None)
            moves.append(OffsetMove(topic, offsets[topic], messages[-1].offset + 1))
            await asyncio.sleep(0)  # for the counting of facts
        async with connection.transaction():
            moved = await store_receipts(connection, latest(received), moves)
            if len(moved) < len(moves):
                raise writers.OtherWriter(", ".join(sorted({move.topic for move in moves} - moved)))
        offsets.update({move.topic: move.after for move in moves})
        await asyncio.sleep(pause_after(len(received), self._facts_wait()))
