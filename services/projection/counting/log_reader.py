"""Reads the logs of all services from Kafka: each fact once, in its order; a log is not read beyond a missing one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import aiokafka
import msgspec
import structlog
from aiokafka.errors import OffsetOutOfRangeError
from prometheus_client import CollectorRegistry, Counter, Histogram

from services.projection.counting.facts import LOGS, LogFact, decode
from services.projection.counting.ledger import FactBatch
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.standing import StandingRow
from services.projection.counting.store import Checkpoint, CheckpointMove, Ledger
from shared.kafka.clients import Broker
from shared.kafka.names import events_topic, service_of
from shared.observability.tracing import Tracing

WAIT_MS: Final = 2000  # for messages, at most; the broker answers as soon as there is one
_BREATH: Final = 250
_SHORTEST: Final = 0.2
_LONGEST: Final = 5.0
_WELL_FOR: Final = 10.0
PLANNING: Final = "planning"
_log = structlog.get_logger()
Message: TypeAlias = aiokafka.ConsumerRecord[bytes | None, bytes | None]


async def retry_forever(attempt: Callable[[], Awaitable[None]]) -> None:
    """Attempt until cancelled, with growing pauses between attempts that end soon; the attempt handles its errors."""
    pause = _SHORTEST
    while True:
        began = time.monotonic()
        try:
            await attempt()
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # aiokafka cancels its caller when connections are reset; that is no request to end this process.
            _log.warning("follower.cancelled-from-within")
        if time.monotonic() - began > _WELL_FOR:
            pause = _SHORTEST
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST)


def new_consumer(
    broker: Broker, most: int, fetch_max_wait_ms: int = WAIT_MS, **settings: int
) -> aiokafka.AIOKafkaConsumer:
    """Return a consumer of at most so many messages a step; it commits no offsets, which are in our database."""
    return aiokafka.AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_poll_records=most,
        fetch_max_wait_ms=fetch_max_wait_ms,
        request_timeout_ms=20000,
        **settings,
        **broker.client(),
    )


async def read_from_start(consumer: aiokafka.AIOKafkaConsumer, error: OffsetOutOfRangeError, logged_as: str) -> None:
    """Read each topic from its start that was deleted and created again, so that our offset is beyond its end."""
    for partition in error.args[0]:
        _log.warning(logged_as, topic=partition.topic)
        await consumer.seek_to_beginning(partition)


class Counting:
    """Metrics of the projector, and how far each log is ahead of it."""

    def __init__(self, registry: CollectorRegistry | None = None, tracing: Tracing | None = None) -> None:
        self.facts = Counter("skillplan_facts_counted_total", "Facts counted.", ["service"], registry=registry)
        self.contributions = Counter("skillplan_contributions_total", "Rows of the ledger.", registry=registry)
        self.batch = Histogram("skillplan_projection_batch_seconds", "From a read to its commit.", registry=registry)
        self.tracing = tracing or Tracing()
        self.lag: dict[str, int] = {}
        self.last_facts: dict[tuple[str, str], float] = {}  # by service and district, when it was recorded


class FollowedLog:
    """How far one service's log is read, written and committed; `problem`: why it is not read further."""

    def __init__(self, service: str, checkpoint: Checkpoint) -> None:
        self.service = service
        self.committed = checkpoint  # in the database
        self.written = checkpoint  # in the transaction that runs, or was the last
        self.begin_at(checkpoint)
        self.problem: str | None = None
        self.districts: dict[str, datetime] = {}  # when the last fact of each was recorded
        self.traces: list[str] = []  # of what is read and not counted yet
        self._missing = 0  # the position for which the whole topic was read again

    def begin_at(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint: so far it is read."""
        self.position, self.recorded_at, self.next_offset = (
            checkpoint.position, checkpoint.recorded_at, checkpoint.next_offset
        )  # fmt: skip

    @property
    def reached(self) -> Checkpoint:
        """How far it is read."""
        return Checkpoint(self.position, self.recorded_at, self.next_offset)

    def looks_back(self) -> bool:
        """Return whether to read the topic from its start to find the missing position; once for each.

        It is there when the topic was made anew: its offsets are others then, and the stored one led beyond it.
        """
        missing = self.position + 1
        if self.problem is None or self._missing == missing:
            return False
        self._missing = missing
        return True

    def read(self, message: Message) -> LogFact | None:
        """Return the fact in a message; None where there is none of this log."""
        try:
            fact = decode(message.value or b"")
            if fact.service != self.service:
                raise ValueError(f"a fact of {fact.source}")  # noqa: TRY301 - one place says what is no fact of this log
        except (msgspec.DecodeError, ValueError) as error:
            _log.error("projector.not-a-fact", service=self.service, offset=message.offset, error=type(error).__name__)
            return None
        return fact

    def take(
        self, message: Message, fact: LogFact | None, batch: FactBatch, rows: list[StandingRow] | None = None
    ) -> None:
        """Take what was read of a message into the batch if it is the fact expected next.

        A position read before is skipped. Beyond a missing one nothing is taken until that comes, so a relay that
        sends again from there repairs it.
        """
        offset = message.offset + 1
        if fact is None:
            # Without a position it cannot be missed here; if it was a fact, the next one shows the gap.
            self._move_offset(offset)
            return
        expected = self.position + 1
        if fact.position < expected:
            self._move_offset(offset)
            return
        if fact.position > expected:
            self._stop(
                f"hole in {self.service}.events: position {expected} is missing,"
                f" {fact.position} came at offset {message.offset}"
            )
            return
        try:
            if self.service == PLANNING:
                batch.add_planning(fact, message.value or b"")
            else:
                batch.add(fact, message.value or b"", rows)
        except ValueError as error:
            self._stop(f"{self.service}.events: position {fact.position} cannot be counted: {error}")
            return
        if self.problem is not None:
            _log.info("projector.line-goes-on", service=self.service, position=fact.position)
            self.problem = None
        self.position, self.recorded_at, self.next_offset = expected, fact.recordedat, offset
        self.districts[fact.district] = fact.recordedat
        if fact.traceparent is not None:
            self.traces.append(fact.traceparent)

    def _move_offset(self, offset: int) -> None:
        """Pass over a message; a log with a problem keeps its offset, to be read again from there."""
        if self.problem is None:
            self.next_offset = offset

    def _stop(self, problem: str) -> None:
        if self.problem is None:
            _log.error("projector.line-stopped", service=self.service, problem=problem)
            self.problem = problem


class LogReader:
    """Reads the logs of services, by default all, from the checkpoints of one generation, and counts them into it."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        compiled: CompiledPlans,
        counting: Counting,
        services: Sequence[str] = LOGS,
    ) -> None:
        self._ledger = ledger
        self._compiled = compiled
        self._counted = counting
        self._broker = broker
        self._services = services
        self.logs: dict[str, FollowedLog] = {}
        self.is_behind = False  # whether the last batch was as large as one may be
        self._most = 0
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        self._counting: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def following(self, most: int, held_ms: int = WAIT_MS) -> AsyncIterator["LogReader"]:
        """Open a consumer at the checkpoints, and close it at the end.

        `held_ms`: how long the broker may hold a fetch, behind which it answers nothing else on that connection.
        """
        self._most = most
        checkpoints = await self._ledger.checkpoints(self._services)
        self.logs = {service: FollowedLog(service, checkpoints[service]) for service in self._services}
        consumer = new_consumer(self._broker, most, held_ms, max_partition_fetch_bytes=4 * 1024 * 1024)
        await consumer.start()
        try:
            partitions = [
                aiokafka.TopicPartition(self._broker.named(events_topic(service)), 0) for service in self._services
            ]
            await self._await_topics(consumer, partitions)
            consumer.assign(partitions)
            for partition, log in zip(partitions, self.logs.values(), strict=True):
                consumer.seek(partition, log.committed.next_offset)
            self._consumer = consumer
            yield self
        finally:
            self._consumer = None
            if self._counting is not None:
                self._counting.cancel()
                await asyncio.wait([self._counting])
            await consumer.stop()

    async def _await_topics(
        self, consumer: aiokafka.AIOKafkaConsumer, partitions: Sequence[aiokafka.TopicPartition]
    ) -> None:
        topics = await consumer.topics()
        if missing := [partition.topic for partition in partitions if partition.topic not in topics]:
            raise TopicsMissing(", ".join(missing))

    async def step(self, must_be_current: bool) -> int:
        """Read what has come, have it counted in one transaction, and return how many messages there were.

        While one batch is counted the next is read: a step waits for the transaction of the step before.
        """
        consumer = self._consumer
        assert consumer is not None  # noqa: S101
        try:
            records = await consumer.getmany(timeout_ms=WAIT_MS)
        except OffsetOutOfRangeError as error:
            # Positions say what is counted already.
            await read_from_start(consumer, error, "projector.from-the-start")
            return 0
        batch = self._ledger.new_batch()
        read = 0
        for partition, messages in records.items():
            log = self.logs[service_of(self._broker.plain(partition.topic))]
            for message in messages:
                log.take(message, log.read(message), batch)
                read += 1
                if read % _BREATH == 0:
                    await asyncio.sleep(0)  # for the batch that is being written, and for probes
            if log.looks_back():
                _log.warning("projector.from-the-start", topic=partition.topic)
                await consumer.seek_to_beginning(partition)
        self.is_behind = read >= self._most
        await self.settle()
        moves = {
            log.service: CheckpointMove(log.written, log.reached)
            for log in self.logs.values()
            if log.written != log.reached
        }
        if moves:
            for log in self.logs.values():
                log.written = log.reached
            traces = [trace for log in self.logs.values() for trace in log.traces]
            for log in self.logs.values():
                log.traces.clear()
            self._counting = asyncio.create_task(self._count(batch, moves, must_be_current, traces))
        return read

    async def read_all(self, on_progress: Callable[[int, int], None]) -> None:
        """Count until nothing is left, or a log cannot be read further.

        `on_progress` gets about once a second, and at the end, how many messages were read, of how many.
        """
        read, reported_at = 0, time.monotonic()
        while left := sum((await self.ahead()).values()):
            messages = 1
            while left > 0 and messages:
                messages = await self.step(must_be_current=False)
                read += messages
                left -= messages
                if time.monotonic() - reported_at > 1:
                    reported_at = time.monotonic()
                    on_progress(read, read + max(left, 0))
            await self.settle()
            on_progress(read, read + max(left, 0))
            if not messages and any(log.problem for log in self.logs.values()):
                break

    @property
    def committed(self) -> tuple[int, ...]:
        """The position up to which each log is counted."""
        return tuple(log.committed.position for log in self.logs.values())

    async def settle(self) -> None:
        """Wait until what was read is counted; raises what went wrong with it."""
        if self._counting is not None:
            counting, self._counting = self._counting, None
            await counting

    async def _count(
        self,
        batch: FactBatch,
        moves: dict[str, CheckpointMove],
        must_be_current: bool,
        traces: Sequence[str],
    ) -> None:
        started, began = time.perf_counter(), self._counted.tracing.now()
        posting = await self._ledger.count(batch, moves, must_be_current)
        for service, move in moves.items():
            log = self.logs[service]
            log.committed = move.after
            self._counted.facts.labels(service).inc(move.after.position - move.before.position)
            for district, at in log.districts.items():
                # A former code that falls silent is no alarm.
                self._counted.last_facts[service, self._compiled.successors.get(district, district)] = at.timestamp()
        self._counted.contributions.inc(len(posting.contributions))
        self._counted.batch.observe(time.perf_counter() - started)
        if must_be_current:  # a rebuild counts again what was traced before
            self._counted.tracing.hop("project", traces, began)

    async def ahead(self) -> dict[str, int]:
        """Return for each service how many messages of its topic were not read yet."""
        consumer = self._consumer
        assert consumer is not None  # noqa: S101
        partitions = consumer.assignment()
        ends = await asyncio.wait_for(consumer.end_offsets(partitions), 5)
        ahead = {}
        for partition in partitions:
            log = self.logs[service_of(self._broker.plain(partition.topic))]
            ahead[log.service] = max(0, ends[partition] - log.committed.next_offset)
        self._counted.lag = ahead
        return ahead


class TopicsMissing(Exception):
    """Topics of facts do not exist yet; `python -m deploy.kafka.topics` makes them."""
