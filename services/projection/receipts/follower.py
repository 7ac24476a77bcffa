"""Follows the receipts topics and stores for each report the receipt in force.

In force is the latest decision, else the last receipt that decided nothing.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiokafka
import asyncpg
import orjson
import structlog
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from services.projection.counting import writers
from services.projection.counting.log_reader import WAIT_MS, new_consumer, read_from_start, retry_forever
from services.projection.receipts.store import (
    FollowedReceipt,
    ReceiptKey,
    StoredReceipt,
    TallyKey,
    TallyRow,
    known_receipts,
    move_offset,
    store_receipts,
)
from services.projection.receipts.store import offsets as offsets_of
from shared.contract.events import LOCAL_TIME, parse_instant
from shared.kafka.clients import Broker
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

_LOCK: Final = 0x5C111_0004
_MOST: Final = 2000
_PART: Final = "receipts"
_LOOK_AGAIN: Final = 10.0
_GOOD_FOR: Final = 15.0  # seconds that a step may take at most
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReceivedReceipt:
    """A receipt as it was read from a topic."""

    row: FollowedReceipt

    @property
    def key(self) -> ReceiptKey:
        """The report that it answers."""
        return ReceiptKey(self.row.service, self.row.key)

    @property
    def stored(self) -> StoredReceipt:
        """What later receipts are compared with."""
        row = self.row
        tally = TallyKey(row.district, row.day, row.type, row.status, row.code)
        return StoredReceipt(tally, row.bound, row.decided_at)

    def replaces(self, current: StoredReceipt | None) -> bool:
        """Return whether it takes the place of the current one; topics repeat, and only a decision replaces one."""
        if current is None or self.row.bound != current.bound:
            return current is None or self.row.bound
        return self.row.decided_at >= current.decided_at


def read(message_key: bytes | None, value: bytes | None, place: str) -> ReceivedReceipt | None:
    """Return the receipt in a message; None for what repeats a first one (RULES A6) and for what is no receipt."""
    try:
        receipt: dict[str, Any] = orjson.loads(value or b"")
        if "first" in receipt:
            return None
        source, id_ = receipt.get("source"), receipt.get("id")
        plain = f"{source} {id_}" if source is not None and id_ is not None else place
        received_at, decided_at = parse_instant(receipt["received_at"]), parse_instant(receipt["decided_at"])
        if received_at is None or decided_at is None:
            return None
        reasons = receipt["reasons"]
        return ReceivedReceipt(
            FollowedReceipt(
                service=str(receipt["service"]),
                key=plain,
                source=source,
                id=id_,
                district=str(receipt["district"]),
                day=received_at.astimezone(LOCAL_TIME).date(),
                type=str(receipt.get("type") or ""),
                status=str(receipt["status"]),
                code=str(reasons[0]["code"]) if reasons else "",
                # The relay sends what decides nothing under another key (decision 15).
                bound=(message_key or b"").decode(errors="replace") == plain,
                received_at=received_at,
                decided_at=decided_at,
                body=orjson.dumps(receipt).decode(),
            )
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return None


def fold(
    received: Iterable[ReceivedReceipt], known: Mapping[ReceiptKey, StoredReceipt]
) -> tuple[list[ReceivedReceipt], Counter[TallyKey]]:
    """Return which of some receipts are to be stored, and how the counts change by it."""
    latest = dict(known)
    changed: dict[ReceiptKey, ReceivedReceipt] = {}
    for receipt in received:
        if receipt.replaces(latest.get(receipt.key)):
            changed[receipt.key] = receipt
            latest[receipt.key] = receipt.stored
    counts: Counter[TallyKey] = Counter()
    for key, receipt in changed.items():
        counts[receipt.stored.tally] += 1
        if key in known:
            counts[known[key].tally] -= 1
    return list(changed.values()), counts


async def store(connection: asyncpg.Connection, received: Sequence[ReceivedReceipt]) -> None:
    """Store what is new in some receipts, and their counts."""
    keys = sorted({receipt.key for receipt in received})
    if not keys:
        return
    changed, counts = fold(received, await known_receipts(connection, keys))
    tallies = [TallyRow(*tally, number) for tally, number in counts.items() if number]
    await store_receipts(connection, [receipt.row for receipt in changed], tallies)


class ReceiptFollower:
    """Reads the receipts topics of districts; receipts and offsets are stored in one transaction a batch."""

    def __init__(self, dsn: str, broker: Broker, districts: Sequence[str], health: Health) -> None:
        self._dsn = dsn
        self._broker = broker
        self._topics = [f"receipts.{code}" for code in districts]
        self._health = health

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
                there = await consumer.topics()
                missing = [topic for topic in self._topics if topic not in there]
                problem = f"missing topics: {', '.join(missing)}" if missing else None
                self._health.report(_PART, problem, _GOOD_FOR)
                topics = [topic for topic in self._topics if topic in there]
                offsets = await offsets_of(connection, topics)
                partitions = {topic: aiokafka.TopicPartition(topic, 0) for topic in topics}
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
        received: list[ReceivedReceipt] = []
        moved: dict[str, int] = {}
        for partition, messages in records.items():
            for message in messages:
                place = f"@{partition.topic}/{message.offset}"
                if (receipt := read(message.key, message.value, place)) is not None:
                    received.append(receipt)
            moved[partition.topic] = messages[-1].offset + 1
        async with connection.transaction():
            await store(connection, received)
            for topic, offset in moved.items():
                if not await move_offset(connection, topic, offsets[topic], offset):
                    raise writers.OtherWriter(topic)
        offsets.update(moved)
