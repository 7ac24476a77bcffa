"""Decides which receipt of a report is kept: its latest decision, else the last answer that decided nothing."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import aiokafka
import asyncpg
import orjson
import structlog
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from services.projection.counting import writers
from services.projection.counting.log_reader import retry_forever
from shared.contract.events import SHANGHAI, parse_instant
from shared.kafka.clients import Broker
from shared.log.event_store import read_queries
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("services.projection.receipts", "store.sql")
_LOCK: Final = 0x5C111_0004
_WAIT_MS: Final = 500
_MOST: Final = 2000
_PART: Final = "receipts"
_LOOK_AGAIN: Final = 10.0
_GOOD_FOR: Final = 15.0  # seconds that a step may take at most
_log = structlog.get_logger()

Key = tuple[str, str]  # service, and source and id
Tally = tuple[str, date, str, str, str]  # district, day, type, status, code


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a report, as far as a later answer is compared with it."""

    tally: Tally
    bound: bool
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Heard(Kept):
    """A receipt as it was heard."""

    key: Key
    source: str | None
    id: str | None
    received_at: datetime
    body: str

    def replaces(self, kept: Kept | None) -> bool:
        """Tell whether it takes the place of what is kept; topics repeat, and only a decision displaces one."""
        if kept is None or self.bound != kept.bound:
            return kept is None or self.bound
        return self.decided_at >= kept.decided_at

    def row(self) -> tuple[object, ...]:
        """Return its columns in the order of the query `keep`."""
        district, day, type_, status, code = self.tally
        return (
            *self.key, self.source, self.id, district, day, type_, status, code, self.bound, self.received_at,
            self.decided_at, self.body,
        )  # fmt: skip


def read(message_key: bytes | None, value: bytes | None, place: str) -> Heard | None:
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
        tally = (
            str(receipt["district"]),
            received_at.astimezone(SHANGHAI).date(),
            str(receipt.get("type") or ""),
            str(receipt["status"]),
            str(reasons[0]["code"]) if reasons else "",
        )
        # The relay keeps what decides nothing under another key (decision 15).
        bound = (message_key or b"").decode(errors="replace") == plain
        key = (str(receipt["service"]), plain)
        return Heard(tally, bound, decided_at, key, source, id_, received_at, orjson.dumps(receipt).decode())
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return None


def fold(heard: Iterable[Heard], known: Mapping[Key, Kept]) -> tuple[list[Heard], Counter[Tally]]:
    """Return what is to be kept of some receipts, and how the counts change by it."""
    latest: dict[Key, Kept] = dict(known)
    changed: dict[Key, Heard] = {}
    for one in heard:
        if one.replaces(latest.get(one.key)):
            latest[one.key] = changed[one.key] = one
    counts: Counter[Tally] = Counter()
    for key, one in changed.items():
        counts[one.tally] += 1
        if key in known:
            counts[known[key].tally] -= 1
    return list(changed.values()), counts


class ReceiptFollower:
    """Reads what districts are told, and keeps it with the offsets in one transaction a batch."""

    def __init__(self, dsn: str, broker: Broker, districts: Sequence[str], health: Health) -> None:
        self._dsn = dsn
        self._broker = broker
        self._topics = [f"receipts.{code}" for code in districts]
        self._health = health

    async def run(self) -> None:
        """Follow until cancelled; when the database or the broker is away, pause and start again from what is kept."""
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
                self._health.report(_PART, None, _GOOD_FOR)  # a standby is well
                await asyncio.sleep(1)
            consumer = aiokafka.AIOKafkaConsumer(
                enable_auto_commit=False,
                auto_offset_reset="none",  # offsets of record are ours
                max_poll_records=_MOST,
                fetch_max_wait_ms=_WAIT_MS,
                request_timeout_ms=20000,
                **self._broker.client(),
            )
            await consumer.start()
            try:
                there = await consumer.topics()
                missing = [topic for topic in self._topics if topic not in there]
                problem = f"missing topics: {', '.join(missing)}" if missing else None
                self._health.report(_PART, problem, _GOOD_FOR)
                topics = [topic for topic in self._topics if topic in there]
                offsets = await self._offsets(connection, topics)
                partitions = {topic: aiokafka.TopicPartition(topic, 0) for topic in topics}
                consumer.assign(list(partitions.values()))
                for topic, partition in partitions.items():
                    consumer.seek(partition, offsets[topic])
                _log.info("receipts.follows", topics=len(topics))
                # One that is made later is found when it is looked for again.
                until = time.monotonic() + _LOOK_AGAIN if missing else math.inf
                while topics and time.monotonic() < until:
                    await self._step(consumer, connection, offsets)
                    self._health.report(_PART, problem, _GOOD_FOR)
            finally:
                await consumer.stop()

    async def _offsets(self, connection: asyncpg.Connection, topics: Sequence[str]) -> dict[str, int]:
        await connection.execute(_SQL["begin_checkpoints"], topics)
        return {row["topic"]: row["next_offset"] for row in await connection.fetch(_SQL["checkpoints"], topics)}

    async def _step(
        self, consumer: aiokafka.AIOKafkaConsumer, connection: asyncpg.Connection, offsets: dict[str, int]
    ) -> None:
        try:
            records = await consumer.getmany(timeout_ms=_WAIT_MS)
        except OffsetOutOfRangeError as error:
            # The topic was made anew: read it from its start; what is kept already stays as it is.
            for partition in error.args[0]:
                _log.warning("receipts.from-the-start", topic=partition.topic)
                await consumer.seek_to_beginning(partition)
            return
        if not records:
            await connection.execute("select 1")  # an idle connection does not tell that it is broken
            return
        heard, moved = [], {}
        for partition, messages in records.items():
            for message in messages:
                place = f"@{partition.topic}/{message.offset}"
                if (one := read(message.key, message.value, place)) is not None:
                    heard.append(one)
            moved[partition.topic] = messages[-1].offset + 1
        async with connection.transaction():
            await keep(connection, heard)
            for topic, offset in moved.items():
                if await connection.execute(_SQL["move_checkpoint"], topic, offsets[topic], offset) != "UPDATE 1":
                    raise writers.OtherWriter(topic)
        offsets.update(moved)


async def keep(connection: asyncpg.Connection, heard: Sequence[Heard]) -> None:
    """Keep what is new in some receipts, and their counts."""
    keys = sorted({one.key for one in heard})
    if not keys:
        return
    rows = await connection.fetch(_SQL["known"], [key[0] for key in keys], [key[1] for key in keys])
    known = {
        (row["service"], row["key"]): Kept(
            (row["district"], row["day"], row["type"], row["status"], row["code"]), row["bound"], row["decided_at"]
        )
        for row in rows
    }
    changed, counts = fold(heard, known)
    if changed:
        await connection.execute(_SQL["keep"], *map(list, zip(*(one.row() for one in changed), strict=True)))
    if moves := sorted((*tally, number) for tally, number in counts.items() if number):
        await connection.execute(_SQL["tally"], *map(list, zip(*moves, strict=True)))
