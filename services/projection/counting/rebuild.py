"""Counts all facts again into a new generation, beside the one that is read, and then switches to it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg

from services.projection.counting import generations, store, writers
from services.projection.counting.generations import of_generation
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import Counting, LogReader
from services.projection.counting.store import Ledger
from shared.kafka.clients import Broker

_MOST: Final = 5000
OnProgress = Callable[[int, int], None]  # messages read, of how many


class RebuildBehind(Exception):
    """The topics hold less than what is counted already; a switch would lose numbers."""


async def rebuild(
    connection: asyncpg.Connection, broker: Broker, compiled: CompiledPlans, counting: Counting, on_progress: OnProgress
) -> int:
    """Count all facts from the start into a new generation, switch to it, and return its number.

    The process that writes goes on with the old generation until the switch, and with the new one from its checkpoints
    on. `on_progress` is called about once a second. Raises RebuildBehind.
    """
    while not await writers.lock(connection, writers.REBUILD_LOCK):  # noqa: ASYNC110 - another process has it
        await asyncio.sleep(1)
    try:
        number = await generations.create(connection, compiled)
        try:
            await _replay(connection, number, broker, compiled, counting, on_progress)
        except RebuildBehind:
            await generations.discard(connection, number)
            raise
        await generations.switch(connection, number)
        return number
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", writers.REBUILD_LOCK)


async def _replay(
    connection: asyncpg.Connection,
    number: int,
    broker: Broker,
    compiled: CompiledPlans,
    counting: Counting,
    on_progress: OnProgress,
) -> None:
    current = await generations.current(connection)
    counted = await store.positions(connection, current.number) if current else {}
    follower = LogReader(broker, Ledger(connection, number, compiled), compiled, counting)
    async with follower.following(_MOST):
        read, reported_at = 0, time.monotonic()
        ahead = sum((await follower.ahead()).values())
        while ahead:
            messages = await follower.step(must_be_current=False)
            read += messages
            if not messages:
                await follower.settle()
            if not messages or time.monotonic() - reported_at > 1:
                ahead, reported_at = sum((await follower.ahead()).values()), time.monotonic()
                on_progress(read, read + ahead)
            if not messages and any(log.problem for log in follower.logs.values()):
                break
    await connection.execute(of_generation(number)["analyze"])
    behind = [
        f"{log.service}.events: {log.committed.position} < {counted[log.service]} {log.problem or ''}".strip()
        for log in follower.logs.values()
        if log.committed.position < counted.get(log.service, 0)
    ]
    if behind:
        raise RebuildBehind("; ".join(behind))
