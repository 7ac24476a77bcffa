"""Reads logs by several processes: each takes every so-manieth portion, and in turn they tell what came before what."""

import asyncio
import contextlib
import gc
import mmap
import os
import random
import struct
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import aiokafka
import msgspec

from services.projection.counting import generations, writers
from services.projection.counting.facts import LogFact
from services.projection.counting.ledger import FactBatch
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import PLANNING, WAIT_MS, FollowedLog, Message, new_consumer
from services.projection.counting.pacing import FAST, let_others_go_first
from services.projection.counting.seen import FirstFacts, SeenKeys
from services.projection.counting.shares import OnProgress, Start, children, run_child
from services.projection.counting.standing import StandingRow
from services.projection.counting.store import Checkpoint, Ledger
from shared.kafka.clients import Broker
from shared.kafka.names import events_topic
from shared.process.settings import Settings

_WORD: Final = 8
_BREATH: Final = 250  # facts, after which what is being written has its turn
_FETCHED: Final = 1024 * 1024  # bytes; what lies beyond a portion is fetched for nothing
# What aiokafka has fetched beyond a portion, a megabyte, refers to itself: after so many portions the collector looks.
_COLLECTED_EVERY: Final = 16
_REPORTED_EVERY: Final = 1.0
_PATIENCE: Final = 120.0  # seconds for a portion


class Stretch(NamedTuple):
    """Messages of a service's topic, by their offsets: from the first on, before the second."""

    service: str
    begin: int
    end: int


class _Reached(NamedTuple):
    """How far a log is taken, and whether something keeps it from being taken further."""

    checkpoint: Checkpoint
    stopped: bool


class _Turn(msgspec.Struct):
    """What goes from process to process: by service how far each log is taken, and whether any fact takes one back."""

    logs: dict[str, _Reached]
    any_taken_back: bool = False


class _Task(msgspec.Struct):
    """What one of several processes does: from its place on, every so-manieth portion of the logs, of `most` messages.

    Files that it is started with: `shared` has the keys that were seen, and how much each process has read; from `turn`
    it hears that it is its turn, from `next_turn` the next one; to `end` goes how far all is taken.
    """

    number: int
    place: int
    of: int
    stretches: list[Stretch]
    most: int
    shared: int
    turn: int
    next_turn: int
    end: int


def _portions(stretches: Iterable[Stretch], most: int) -> list[Stretch]:
    return [
        Stretch(service, at, min(at + most, end)) for service, begin, end in stretches for at in range(begin, end, most)
    ]


async def count_in_turn(
    number: int, stretches: Sequence[Stretch], of: int, on_progress: OnProgress, most: int = FAST.most
) -> dict[str, Checkpoint] | None:
    """Count stretches of logs into an empty generation by so many processes, and return how far each log is counted.

    Portions are read and written side by side, and taken in turn, in the order of the log, so that the same facts are
    set aside, and the same rows written, as if one process had read them all. What is set aside is counted later, and
    nothing beyond what stops a log. None if a process failed: then rows are missing.
    """
    total = sum(stretch.end - stretch.begin for stretch in stretches)
    if not total:
        return {}
    with tempfile.TemporaryFile() as shared, contextlib.ExitStack() as files:
        shared.truncate(SeenKeys.BYTES + _WORD * of)
        memory = files.enter_context(mmap.mmap(shared.fileno(), 0))
        pipes = [os.pipe() for _ in range(of + 1)]
        *turns, ended = [files.enter_context(os.fdopen(out, "rb", 0)) for out, _ in pipes]
        async with contextlib.AsyncExitStack() as running:
            with contextlib.ExitStack() as until_started:  # so that one hears when the one before it is gone
                *nexts, end = [until_started.enter_context(os.fdopen(into, "wb", 0)) for _, into in pipes]
                logs = {stretch.service: _Reached(Checkpoint(), stopped=False) for stretch in stretches}
                nexts[0].write(_written(_Turn(logs)))
                tasks = [
                    _Task(
                        number, place, of, list(stretches), most, shared.fileno(), turns[place].fileno(),
                        nexts[(place + 1) % of].fileno(), end.fileno(),
                    )
                    for place in range(of)
                ]  # fmt: skip
                starts = [
                    Start([msgspec.json.encode(task).decode()], (task.shared, task.turn, task.next_turn, task.end))
                    for task in tasks
                ]
                # What they have seen they share by its hash.
                seed = str(random.SystemRandom().randrange(1, 2**32))
                processes = await running.enter_async_context(children(__name__, starts, PYTHONHASHSEED=seed))
            ending = asyncio.gather(*(process.wait() for process in processes))
            while not (await asyncio.wait([ending], timeout=_REPORTED_EVERY))[0]:
                on_progress(sum(struct.unpack_from(f"={of}Q", memory, SeenKeys.BYTES)), total)
        if any(process.returncode for process in processes):
            return None
        taken = _read(ended.readline())
    on_progress(total, total)
    return {service: log.checkpoint for service, log in taken.logs.items()}


def _written(turn: _Turn) -> bytes:
    return msgspec.json.encode(turn) + b"\n"


def _read(line: bytes) -> _Turn:
    if not line:
        raise ConnectionError("the process before this one is gone")
    return msgspec.json.decode(line, type=_Turn)


async def _count(task: _Task) -> None:
    settings = Settings()
    async with contextlib.AsyncExitStack() as stack:
        memory = stack.enter_context(mmap.mmap(task.shared, 0))
        slots = stack.enter_context(memoryview(memory).cast("Q"))
        connecting = writers.connected(settings.pg_dsn.get_secret_value(), "skillplan projection rebuild")
        connection = await stack.enter_async_context(connecting)
        await let_others_go_first(connection)  # as many as there are processors would leave nobody any
        consumer = new_consumer(settings.broker, task.most, max_partition_fetch_bytes=_FETCHED)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        turn = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(turn), os.fdopen(task.turn, "rb", 0)
        )
        compiled = CompiledPlans(await generations.plans_of(connection, task.number))
        first = FirstFacts(compiled, SeenKeys(slots))
        ledger = Ledger(connection, task.number, compiled, first=first, adds_up=False)
        reader = _Reader(settings.broker, consumer, compiled)
        portions = _portions(task.stretches, task.most)
        own = portions[task.place :: task.of]
        writing = asyncio.create_task(asyncio.sleep(0))
        coming = asyncio.create_task(reader.messages(own[0])) if own else None
        for at, (portion, following) in enumerate(zip(own, [*own[1:], None], strict=True)):
            if at % _COLLECTED_EVERY == 0:
                gc.collect()
            assert coming is not None  # noqa: S101
            messages = await coming
            coming = asyncio.create_task(reader.messages(following)) if following else None
            log = FollowedLog(portion.service, Checkpoint())
            facts = await reader.facts(log, messages)
            taken = _read(await turn.readline())
            first.any_taken_back = taken.any_taken_back
            batch = ledger.new_batch()
            taken.logs[portion.service] = _take(log, taken.logs[portion.service], messages, facts, batch)
            taken.any_taken_back = first.any_taken_back
            os.write(task.end if portion is portions[-1] else task.next_turn, _written(taken))
            await writing
            writing = asyncio.create_task(_write(ledger, batch))
            slots[SeenKeys.BYTES // _WORD + task.place] += portion.end - portion.begin
        await writing


async def _write(ledger: Ledger, batch: FactBatch) -> None:
    await ledger.count(batch, {}, must_be_current=False)


class _Fact(NamedTuple):
    """What was read of a message; `rows`: None where that must be done again, to say what is wrong."""

    fact: LogFact | None
    rows: list[StandingRow] | None


class _Reader:
    """Reads portions, each from its own offset."""

    def __init__(self, broker: Broker, consumer: aiokafka.AIOKafkaConsumer, compiled: CompiledPlans) -> None:
        self._broker, self._consumer, self._compiled = broker, consumer, compiled

    async def messages(self, portion: Stretch) -> list[Message]:
        """Return the messages of a portion, all of which are there; raises TimeoutError when they do not come."""
        topic = aiokafka.TopicPartition(self._broker.named(events_topic(portion.service)), 0)
        if topic not in self._consumer.assignment():
            self._consumer.assign([topic])
        self._consumer.seek(topic, portion.begin)
        messages: list[Message] = []
        at = portion.begin
        async with asyncio.timeout(_PATIENCE):
            while at < portion.end:
                records = await self._consumer.getmany(topic, timeout_ms=WAIT_MS, max_records=portion.end - at)
                for message in records.get(topic, ()):
                    at = message.offset + 1
                    if at <= portion.end:
                        messages.append(message)
        return messages

    async def facts(self, log: FollowedLog, messages: Iterable[Message]) -> list[_Fact]:
        """Return what is in messages, and what it is to the lines."""
        facts = []
        for at, message in enumerate(messages):
            if at % _BREATH == 0:
                await asyncio.sleep(0)
            fact, rows = log.read(message), None
            if fact is not None and log.service != PLANNING:
                with contextlib.suppress(ValueError):
                    rows = self._compiled.read(fact)
            facts.append(_Fact(fact, rows))
        return facts


def _take(
    log: FollowedLog, before: _Reached, messages: Sequence[Message], facts: Sequence[_Fact], batch: FactBatch
) -> _Reached:
    """Take a portion's facts into a batch, up to what stops the log."""
    if before.stopped:
        return before
    log.begin_at(before.checkpoint)
    for message, (fact, rows) in zip(messages, facts, strict=True):
        log.take(message, fact, batch, rows)
        if log.problem is not None:
            break
    return _Reached(log.reached, log.problem is not None)


if __name__ == "__main__":
    run_child(_count(msgspec.json.decode(sys.argv[1], type=_Task)), "rebuild")
