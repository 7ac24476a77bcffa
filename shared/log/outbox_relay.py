"""Outbox relay: sends what was recorded to Kafka, at least once, in log order, without gaps; one relay a service."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import aiokafka
import asyncpg
import orjson
import stamina
import structlog
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.contract.events import format_instant
from shared.kafka.clients import Broker
from shared.kafka.names import QUARANTINE, events_topic, receipts_topic
from shared.kafka.topic_reader import TopicReader
from shared.log.clocks import Acknowledgement, ClockComparison
from shared.log.event_store import read_queries
from shared.log.tree_store import TreeBuilder
from shared.observability import tracing
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("shared.log", "outbox_relay.sql")
PAGE: Final = 2000
TURN: Final = _SQL["turn"]
CHECKPOINTS: Final = _SQL["checkpoints"]
_SLOW_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 5.0
# For so long what was sent waits for what is recorded next: one statement moves the checkpoints and reads that.
_MOVE_SECONDS: Final = 0.1
STRUCTURED: Final = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
_JSON: Final = [("content-type", b"application/json")]
# It reports its health every few seconds, unless it waits for an acknowledgement.
_GOOD_FOR: Final = 15.0
_log = structlog.get_logger()


class _Place(Acknowledgement, Protocol):
    """Where and when the broker has put a message."""

    offset: int


Outgoing = tuple[str, bytes, bytes, list[tuple[str, bytes]]]


class TopicAhead(Exception):
    """The topic has facts that the log has not: nothing may be decided or sent until they are recovered (0020)."""


class Relay:
    """Reads each outbox after its checkpoint, sends, and moves the checkpoint once the broker has acknowledged."""

    def __init__(
        self,
        dsn: str,
        broker: Broker,
        service: str,
        health: Health,
        on_compared: Callable[[], Awaitable[None]],
        traces: tracing.Tracing | None = None,
    ) -> None:
        self._dsn = dsn
        self._broker = broker
        self._topics = {events_topic(service), QUARANTINE}
        self._service = service
        self._health = health
        self._tracing = traces or tracing.Tracing()
        self._on_compared = on_compared
        self.clocks = ClockComparison(health)
        self._recorded: asyncio.Event | None = None
        self._outboxes: dict[str, Callable[[asyncpg.Record], Outgoing | None]] = {
            "facts": self._fact,
            "receipts": message_of_receipt,
            "quarantine": self._quarantined,
        }

    def wake(self) -> bool:
        """Have what was just recorded sent; return False where that is not up to this relay, or not yet."""
        if self._recorded is None:
            return False
        self._recorded.set()
        return True

    async def run(self) -> None:
        """Relay until cancelled; when the database or the broker is away, pause and start again from the checkpoint."""
        async for attempt in stamina.retry_context(
            on=(TopicAhead, *UNAVAILABLE, KafkaError),
            attempts=None,
            timeout=None,
            wait_initial=0.2,
            wait_max=1.0,
            wait_jitter=0.1,
        ):
            with attempt:
                await self._attempt()

    async def _attempt(self) -> None:
        """Relay; what ends it is reported as the health of the relay."""
        try:
            await self._relay()
        except TopicAhead as error:
            self._health.report("relay", str(error))
            _log.error("relay.topic-ahead", problem=str(error))
            raise
        except (*UNAVAILABLE, KafkaError) as error:
            where, problem = "database", type(error).__name__
            if isinstance(error, KafkaError):
                where, problem = "kafka", await self._broker.problem(self._topics) or problem
            self._health.report("relay", f"{where}: {problem}")
            _log.warning("relay.paused", waiting_for=where, problem=problem)
            raise

    async def _relay(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            # A checkpoint that a crash of the database loses has its page sent again.
            settings = {"synchronous_commit": "off"}
            connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=30, server_settings=settings)
            stack.push_async_callback(_close, connection)
            while not await connection.fetchval(_SQL["lock"]):
                self._health.report("relay", None, _GOOD_FOR)  # a standby is healthy
                await asyncio.sleep(1)
            if (problem := await self._broker.problem(self._topics)) is not None:
                raise KafkaConnectionError(problem)
            topic = await stack.enter_async_context(TopicReader(self._broker, self._service))
            await self._compare(connection, topic)
            producer = aiokafka.AIOKafkaProducer(
                acks="all",
                enable_idempotence=True,
                linger_ms=0,  # a page is handed over before the producer has its turn
                max_batch_size=131072,
                compression_type="lz4",
                request_timeout_ms=20000,
                **self._broker.client(),
            )
            stack.push_async_callback(producer.stop)
            await producer.start()
            stack.callback(self._rest)
            await self._pump(connection, producer, topic)

    def _rest(self) -> None:
        self._recorded = None

    async def _compare(self, connection: asyncpg.Connection, topic: TopicReader) -> None:
        """Compare the log with its topic, and let the service decide when the log is no shorter (decision 0020).

        Where the topic is shorter than what was sent, it was lost and made anew: it gets what is missing again.
        """
        position, raw = await topic.last()
        head = await connection.fetchrow(_SQL["head"])
        if head is None:
            raise LookupError("log_head is empty")
        if position > head["position"]:
            await connection.execute(_SQL["ahead"], position)
            raise TopicAhead(f"{self._service}.events is at {position}, the log at {head['position']}")
        if position and await connection.fetchval(_SQL["digest"], position) != hashlib.sha256(raw).digest():
            raise TopicAhead(f"{self._service}.events has other bytes than the log at {position}")
        if position < head["relayed"]:
            _log.warning("relay.sends-again", after=position, sent=head["relayed"])
            await connection.execute(_SQL["move"], ["facts"], [position])
        await self._on_compared()
        await connection.execute(_SQL["compared"])

    async def _pump(
        self, connection: asyncpg.Connection, producer: aiokafka.AIOKafkaProducer, topic: TopicReader
    ) -> None:
        recorded = asyncio.Event()
        await connection.add_listener("recorded", lambda *_: recorded.set())
        connection.add_termination_listener(lambda *_: recorded.set())
        looked_at, end = float("-inf"), await topic.end()
        checkpoints = {row["outbox"]: row["number"] for row in await connection.fetch(CHECKPOINTS)}
        reached = dict[str, int]()
        tree = TreeBuilder(connection, self._health)
        self._recorded = recorded
        while True:
            recorded.clear()
            checkpoints |= reached
            pages = await self._turn(connection, reached, checkpoints)
            reached = {outbox: page[-1]["number"] for outbox, page in pages.items() if page}
            if reached:
                began = self._tracing.now()
                acks = {}
                with self._patience():
                    for outbox in reached:
                        sending_at = datetime.now(UTC)
                        acks[outbox] = await self._send(producer, outbox, pages[outbox])
                        if outbox == "receipts":
                            self.clocks.compare(sending_at, acks[outbox], datetime.now(UTC))
                if "facts" in acks:
                    end = self._follow(end, acks["facts"][0].offset, acks["facts"][-1].offset + 1)
                    tree.remember(pages["facts"])
                if self._tracing.on:
                    traces = (tracing.of_fact(row["bytes"]) for row in pages["facts"])
                    self._tracing.hop("relay", (trace.decode() for trace in traces if trace), began)
                self._health.report("relay", None, _GOOD_FOR)
            more_in = await tree.grow(checkpoints["facts"])
            if not any(len(page) == PAGE for page in pages.values()):
                idle = _LOOK_SECONDS if more_in is None else more_in
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(recorded.wait(), _MOVE_SECONDS if reached else idle)
            if reached:
                continue
            # With nothing to send nothing else would show that the broker is away.
            if (now := asyncio.get_running_loop().time()) - looked_at >= _LOOK_SECONDS:
                looked_at = now
                with self._patience():
                    available = await producer.client.force_metadata_update()
                problem = None if available else f"kafka: {await self._broker.problem() or 'not available'}"
                self._health.report("relay", problem, _GOOD_FOR)
                if available:
                    end = self._follow(end, at := await topic.end(), at)

    async def _turn(
        self, connection: asyncpg.Connection, reached: Mapping[str, int], checkpoints: Mapping[str, int]
    ) -> dict[str, list[asyncpg.Record]]:
        """Move the checkpoints that were reached; return a page of each outbox, in the order in which to send them.

        Facts and receipts are of one snapshot, and facts are sent first: no receipt is out before its fact. While there
        may be more facts than a page, receipts wait.
        """
        rows = await connection.fetch(
            TURN,
            list(reached),
            list(reached.values()),
            checkpoints["facts"],
            checkpoints["receipts"],
            PAGE,
        )
        if not rows:
            raise LookupError("log_head is empty")
        pages: dict[str, list[asyncpg.Record]] = {outbox: [] for outbox in self._outboxes}
        for row in rows:
            if row["outbox"] is not None:
                pages[row["outbox"]].append(row)
        if len(pages["facts"]) == PAGE:
            pages["receipts"] = []
        if rows[0]["quarantined"] > checkpoints["quarantine"]:
            pages["quarantine"] = await connection.fetch(_SQL["quarantine"], checkpoints["quarantine"], PAGE)
        return pages

    async def _send(
        self, producer: aiokafka.AIOKafkaProducer, outbox: str, rows: Sequence[asyncpg.Record]
    ) -> list[_Place]:
        """Send a page of an outbox; return where the broker has put its messages."""
        message, partition = self._outboxes[outbox], 0 if outbox == "facts" else None
        acks = []
        for row in rows:
            if (ready := message(row)) is not None:
                topic, key, value, headers = ready
                self._topics.add(topic)
                named = self._broker.named(topic)
                acks.append(await producer.send(named, value, key, partition=partition, headers=headers))
        places: list[_Place] = await asyncio.gather(*acks)
        return places

    def _follow(self, end: int, first: int, new: int) -> int:
        """Return where the topic of facts ends now; raises KafkaError when it was deleted and made again."""
        if first < end:
            raise KafkaConnectionError(f"{self._service}.events was made anew")
        return new

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """Report it when the broker acknowledges nothing for long: an idempotent producer retries for ever."""
        slow = "kafka: nothing acknowledged"
        alarm = asyncio.get_running_loop().call_later(_SLOW_SECONDS, self._health.report, "relay", slow)
        try:
            yield
        finally:
            alarm.cancel()

    def _fact(self, row: asyncpg.Record) -> Outgoing:
        raw = row["bytes"]
        trace = tracing.of_fact(raw)
        headers = [*STRUCTURED, (tracing.HEADER, trace)] if trace else STRUCTURED
        return events_topic(self._service), row["stream"].encode(), raw, headers

    def _quarantined(self, row: asyncpg.Record) -> Outgoing:
        value = {
            "service": self._service,
            "number": row["number"],
            "topic": row["topic"],
            "partition": row["partition"],
            "offset": row["offset"],
            "reason": row["reason"],
            "size": row["size"],
            "digest": row["digest"],
            "at": format_instant(row["at"]),
        }
        return QUARANTINE, f"{self._service} {row['number']}".encode(), orjson.dumps(value), _JSON


def message_of_receipt(row: asyncpg.Record) -> Outgoing | None:
    """Return the message of a receipt, None where no topic gets it.

    The topic is compacted: an answer that decides nothing must not displace a decision, so its key differs.
    """
    if row["district"] is None:
        return None
    known = row["source"] is not None and row["id"] is not None
    key = f"{row['source']} {row['id']}{'' if row['decision'] else ' undecided'}" if known else ""
    # For recovery of a restored database: repeats are recognised by it, and it reveals nothing (A4).
    digest = [("digest", row["digest"].hex().encode())] if row["digest"] else []
    return receipts_topic(row["district"]), key.encode(), row["bytes"], [*_JSON, *digest]


async def _close(connection: asyncpg.Connection) -> None:
    with contextlib.suppress(*UNAVAILABLE, TimeoutError):
        await connection.close(timeout=2)
