"""Kafka consumers, by Faust. Offsets are committed after the transaction: each message is handled at least once.

No other module imports Faust (decision 0003).
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self, TypeVar, cast

import faust
import mode
import stamina
import structlog
from faust.types import TP, EventT, StreamT

from shared.kafka import patches
from shared.kafka.clients import MECHANISM, MISSING_TOPICS, Broker
from shared.kafka.patches import faust_delivery, faust_rewind
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE
from shared.process.process import end_process_if_failed

# A batch is what has come while the one before was handled: small when there is little to do. What comes meanwhile, or
# by the hundred, waits for so long for those that come with it.
_GATHER_SECONDS: Final = 0.002
_FEW: Final = 50
_BATCH: Final = 1000
_TURNS: Final = 20  # a second, where what is taken is bounded: more at once would be felt by who shares the machine
_STALLED_SECONDS: Final = 60
_RETENTION_SECONDS: Final = 60
_GOOD_FOR: Final = 10.0
_LOOKED_EVERY: Final = 5.0
_log = structlog.get_logger()


class KafkaMessage(NamedTuple):
    """One Kafka message as it came in; `at` is the broker's append time in seconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    at: float


class _NotOpenError(Exception):
    """The broker, or one of the topics, is closed to us."""


class _Queue(Protocol):
    """What is used of the queue in which Faust delivers the messages of a channel."""

    async def get(self) -> EventT[bytes]: ...

    def get_nowait(self) -> EventT[bytes]: ...

    def empty(self) -> bool: ...

    def qsize(self) -> int: ...


class _Channel(Protocol):
    """What is used of a Faust channel that is iterated."""

    queue: _Queue


class _Consumer(faust_rewind.RewindableConsumer[TP], faust_delivery.DeliveringConsumer, Protocol):
    """What is used of Faust's consumer; nothing public has the offsets read and committed."""

    def assignment(self) -> set[TP]: ...


class _Extensible(Protocol):
    """What messages are decoded to: the rest of a batch is added to it."""

    def extend(self, more: Self, /) -> None: ...


T = TypeVar("T", bound=_Extensible)
Decode = Callable[[Sequence[KafkaMessage]], Awaitable[T]]
Handle = Callable[[T], Awaitable[None]]
Missed = Callable[[str, int, int, int], Awaitable[None]]  # topic, partition, first offset, how many
_Attempt = Callable[[int], Awaitable[None]]  # given its number, from 1


class KafkaConsumer:
    """The Faust app of a service: each subscription is topics and the plain function that handles their messages."""

    def __init__(self, group: str, broker: Broker, health: Health, rate: int = 0) -> None:
        """`rate`: how many messages a second are taken at most, evenly; 0: as many as can be."""
        self._rate = rate
        self._most = min(_BATCH, max(1, rate // _TURNS)) if rate else _BATCH
        self._health = health
        self._broker = broker
        self._topics: set[str] = set()
        patches.apply()
        self._app = faust.App(
            broker.named(group),
            broker=[f"kafka://{server}" for server in broker.servers.split(",")],
            broker_credentials=_credentials(broker),
            store="memory://",
            # Faust makes folders there and stores nothing; its default is the checkout, or a read-only image.
            datadir=Path(tempfile.gettempdir(), f"{broker.named(group)}-{os.getuid()}"),
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=True,
            stream_buffer_maxsize=16384,
            broker_commit_interval=1.0,
            broker_session_timeout=10,
            broker_heartbeat_interval=3,
            broker_rebalance_timeout=30,
            broker_request_timeout=40,
            agent_supervisor=mode.CrashingSupervisor,
        )
        self._handled: dict[TP, int] = {}
        self._moved = time.monotonic()
        self._pausing = 0
        self._consuming = False
        self._missed: dict[str, Missed] = {}
        self._begun: dict[TP, int] = {}
        self._assigned = time.monotonic()

    def subscribe(
        self, name: str, topics: Sequence[str], decode: Decode[T], handle: Handle[T], missed: Missed | None = None
    ) -> None:
        """Pass the messages of some topics, in batches, to two functions, in order within a partition.

        `decode` needs nothing but the messages: it runs while the batch before is being handled, and what comes
        meanwhile is added to the batch. A batch is acknowledged after `handle` returned. While the database is away
        `handle` is called again with the same batch; any other error ends the process, whose supervisor starts it again
        from the last commit. `missed` is given what the broker deleted before it was read; until it has returned it is
        given it again.
        """
        if missed is not None:
            self._missed |= dict.fromkeys(topics, missed)
        self._topics.update(topics)
        channel = self._app.topic(
            *map(self._broker.named, topics),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        async def agent(stream: StreamT[bytes]) -> None:
            # Not the stream itself: every way of consuming it acknowledges an event that failed, or polls.
            inbox = _Inbox(cast("_Channel", aiter(stream.channel)).queue)
            handling: asyncio.Task[None] | None = None
            try:
                while True:
                    while not (events := await self._take(inbox, self._most, handling)):
                        pass
                    messages = [self._message(event) for event in events]
                    decoded = await decode(messages)
                    while handling is not None and await inbox.comes_before(handling, len(events) < self._most):
                        more = await self._take(inbox, self._most - len(events), handling)
                        added = [self._message(event) for event in more]
                        decoded.extend(await decode(added))
                        events += more
                        messages += added

                    async def attempt(number: int, first: T = decoded, messages: list[KafkaMessage] = messages) -> None:
                        # What a failed attempt has decided may have left its mark on what was decoded.
                        await handle(first if number == 1 else await decode(messages))

                    handling = asyncio.create_task(self._handle(name, attempt, events))
                    handling.add_done_callback(end_process_if_failed)
            except StopAsyncIteration:  # Faust stops
                if handling is not None:
                    await handling
            except asyncio.CancelledError:
                inbox.close()
                if handling is not None:
                    handling.cancel()
                raise
            except BaseException:  # noqa: BLE001 - whatever it is
                # Faust commits offsets past a failed message; exiting is the only way to keep it.
                _log.exception("inbox.failed", subscription=name)
                os._exit(70)

        self._app.agent(channel, name=name, concurrency=1)(agent)

    def _message(self, event: EventT[bytes]) -> KafkaMessage:
        message = event.message
        headers = message.headers or ()
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return KafkaMessage(
            self._broker.plain(message.topic),
            message.partition,
            message.offset,
            message.key,
            message.value,
            tuple(pairs),
            message.timestamp,
        )

    async def _take(self, inbox: "_Inbox", most: int, handling: asyncio.Task[None] | None) -> list[EventT[bytes]]:
        """Wait for a message, and return it with those that came with it; none where they are to be read again."""
        waiting = await inbox.take(most, handling)
        # What was read before partitions were last assigned is read again.
        active, assigned = self._app.flow_control.is_active(), self._app.consumer_generation_id
        events = [event for event in waiting if active and event.message.generation_id == assigned]
        first_offsets, track = dict[TP, int](), self._app.consumer.track_message
        for event in events:
            event.message.tracked = True
            track(event.message)  # Faust waits for it before it gives a partition away
            first_offsets.setdefault(event.message.tp, event.message.offset)
        for partition, offset in first_offsets.items():
            self._begin(partition)
            # Until the first batch is handled, the lag counts from here.
            self._handled.setdefault(partition, offset)
        return events

    async def _handle(self, name: str, attempt: _Attempt, events: Sequence[EventT[bytes]]) -> None:
        begun = time.monotonic()
        await self._retry(name, attempt)
        for event in events:
            event.ack()
        self._handled |= {event.message.tp: event.message.offset + 1 for event in events}
        self._moved = time.monotonic()
        if self._rate:  # the next batch waits for the end of this one
            await asyncio.sleep(begun + len(events) / self._rate - time.monotonic())

    async def _retry(self, name: str, attempt_once: _Attempt) -> None:
        self._pausing += 1  # between the attempts, too: waiting for the database is not a stall
        try:
            async for attempt in stamina.retry_context(on=UNAVAILABLE, attempts=None, timeout=None, wait_max=1.0):
                with attempt:
                    if attempt.num > 1:
                        self._health.report(f"inbox.{name}", "database: not available, messages wait")
                        _log.warning("inbox.paused", waiting_for="database", subscription=name)
                    await attempt_once(attempt.num)
        finally:
            self._pausing -= 1
            self._moved = time.monotonic()
        self._health.report(f"inbox.{name}", None)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; return once the batches in hand are committed, raise TimeoutError when Faust hangs."""
        await self._await_open(stop)
        if stop.is_set():
            return
        self._app.loop = asyncio.get_running_loop()
        self._app.finalize()
        faust_delivery.apply(cast("_Consumer", self._app.consumer))
        await self._app.start()
        self._consuming = True
        watch = asyncio.create_task(self._watch())
        watch.add_done_callback(end_process_if_failed)
        await stop.wait()
        watch.cancel()
        # Faust waits for empty streams without a time limit.
        await asyncio.wait_for(self._app.stop(), timeout=20)

    async def _await_open(self, stop: asyncio.Event) -> None:
        """Wait until the broker lets us in and has every topic: Faust leaves a missing topic out, or dies."""
        stopping = asyncio.create_task(stop.wait())
        opening = asyncio.create_task(self._retry_open())
        try:
            await asyncio.wait([stopping, opening], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
        finally:
            stopping.cancel()
            opening.cancel()

    async def _retry_open(self) -> None:
        async for attempt in stamina.retry_context(
            on=_NotOpenError, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.1
        ):
            with attempt:
                problem = await self._broker.problem(self._topics)
                if problem is not None:
                    self._health.report("kafka", problem)
                    _log.warning("inbox.paused", waiting_for="kafka", problem=problem)
                    raise _NotOpenError

    async def _watch(self) -> None:
        """Exit when Faust has died silently (its issue #532), or messages are there and none is handled."""
        watching = [asyncio.create_task(work) for work in (self._watch_topics(), self._watch_retention())]
        for task in watching:
            task.add_done_callback(end_process_if_failed)
        while True:
            await asyncio.sleep(1)
            if self._app.crashed:
                _log.error("inbox.crashed", reason=repr(self._app.crash_reason))
                os._exit(70)
            for partition in self._app.consumer.assignment():
                if faust_rewind.is_past_end(cast("_Consumer", self._app.consumer), partition):
                    await self._read_again(partition)
            lag = self.lag()
            if self.partitions():
                self._assigned = time.monotonic()
            alone = time.monotonic() - self._assigned > _STALLED_SECONDS
            self._health.report("kafka", "no partition to consume" if alone else None, _GOOD_FOR)
            if lag > 0 and not self._pausing and time.monotonic() - self._moved > _STALLED_SECONDS:
                _log.error("inbox.stalled", lag=lag)
                os._exit(70)

    async def _watch_topics(self) -> None:
        """Exit when a topic was deleted and made again: Faust no longer consumes it."""
        gone = False
        while True:
            problem = await self._broker.problem(self._topics)
            if problem is not None and MISSING_TOPICS in problem:
                gone = True
                self._health.report("topics", problem)
            elif problem is None and gone:
                _log.error("inbox.topic-made-anew")
                os._exit(70)
            await asyncio.sleep(_LOOKED_EVERY)

    async def _watch_retention(self) -> None:
        """Tell what was deleted before it was read: the broker passes over it without a word."""
        while True:
            own = self._own()
            # One that another process has read on meanwhile begins anew at what that committed.
            self._begun = {partition: first for partition, first in self._begun.items() if partition in own}
            partitions = [partition for partition in own if self._broker.plain(partition.topic) in self._missed]
            starts = await self._app.consumer.earliest_offsets(*partitions) if partitions else {}
            for partition, start in starts.items():
                first = self._begin(partition)
                if first < start:
                    _log.error("inbox.never-read", topic=partition.topic, first=first, count=start - first)
                    try:
                        topic = self._broker.plain(partition.topic)
                        await self._missed[topic](topic, partition.partition, first, start - first)
                    except UNAVAILABLE:
                        partitions = []  # looked at again in a second
                        break
                self._begun[partition] = max(start, self._done(partition) or 0)
            await asyncio.sleep(_RETENTION_SECONDS if partitions else 1)

    def _begin(self, partition: TP) -> int:
        """Return where reading a partition has to begin: what was committed when this process got it."""
        committed = cast("_Consumer", self._app.consumer)._committed_offset.get(partition)
        return self._begun.setdefault(partition, committed or 0)

    async def read_again(self, topic: str) -> None:
        """Read a topic from its start, once one of its partitions is ours."""
        named = self._broker.named(topic)
        while not (own := [partition for partition in self._own() if partition.topic == named]):  # noqa: ASYNC110 - Faust tells nobody
            await asyncio.sleep(0.2)
        for partition in own:
            await self._read_again(partition)

    def _own(self) -> list[TP]:
        return list(self._app.consumer.assignment()) if self._consuming else []

    async def _read_again(self, partition: TP) -> None:
        _log.warning("inbox.from-the-start", topic=partition.topic, partition=partition.partition)
        self._handled.pop(partition, None)
        await faust_rewind.rewind(cast("_Consumer", self._app.consumer), partition)

    def lag(self) -> int:
        """Return how many messages of the assigned partitions are not handled yet, as far as their ends are known."""
        if not self._consuming:
            return 0
        consumer, waiting = cast("_Consumer", self._app.consumer), 0
        for partition in consumer.assignment():
            end, done = consumer.highwater(partition), self._done(partition)
            waiting += max(0, end - done) if end is not None and done is not None else 0
        return waiting

    def _done(self, partition: TP) -> int | None:
        """Return up to where a partition was handled, here or by the process that had it before."""
        known = (
            self._handled.get(partition),
            cast("_Consumer", self._app.consumer)._committed_offset.get(partition),
        )
        return max((offset for offset in known if offset is not None), default=None)

    def partitions(self) -> int:
        """Return how many partitions this process consumes."""
        return len(self._app.consumer.assignment()) if self._consuming else 0


class _Inbox:
    """The queue of an agent: its messages, and whether one comes before something else ends."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._first: asyncio.Task[EventT[bytes]] | None = None

    async def take(self, most: int, handling: asyncio.Task[None] | None) -> list[EventT[bytes]]:
        """Wait for a message, and return it with those that came with it; more of them while a batch is handled."""
        waiting = [await self._next()]
        self._first = None
        busy = (handling is not None and not handling.done()) or self._queue.qsize() >= _FEW
        await asyncio.sleep(_GATHER_SECONDS if busy else 0)
        while len(waiting) < most and not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        return waiting

    async def comes_before(self, end: asyncio.Task[None], may: bool) -> bool:
        """Wait for a message, where there `may` be one, or an end; return whether it is not the end."""
        if may:
            await asyncio.wait({self._next(), end}, return_when=asyncio.FIRST_COMPLETED)
        if may and not end.done():
            return True
        await end
        return False

    def close(self) -> None:
        """Wait for no more."""
        if self._first is not None:
            self._first.cancel()

    def _next(self) -> asyncio.Task[EventT[bytes]]:
        if self._first is None:
            self._first = asyncio.create_task(self._queue.get())
        return self._first


def _credentials(broker: Broker) -> faust.SASLCredentials | faust.SSLCredentials | None:
    if broker.user:
        return faust.SASLCredentials(
            username=broker.named(broker.user),
            password=broker.password,
            mechanism=MECHANISM,
            ssl_context=broker.trusted,
        )
    return faust.SSLCredentials(broker.trusted) if broker.trusted else None
