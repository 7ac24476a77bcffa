"""Counts all facts again into a new generation, beside the one that is read, and switches, unless somebody is asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import asyncpg
import structlog
from pydantic import ValidationError

from services.projection.counting import difference, generations, store, withheld, writers
from services.projection.counting.difference import Difference
from services.projection.counting.facts import LOGS
from services.projection.counting.generations import of_generation
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import Counting, LogReader
from services.projection.counting.pacing import FAST, GENTLE, ReplayPace, go_last, let_others_go_first
from services.projection.counting.seen import FirstFacts
from services.projection.counting.shares import OnProgress, count_later, later_beside, shares_of
from services.projection.counting.store import Ledger
from services.projection.counting.turns import Stretch, count_in_turn
from services.projection.counting.withheld import FactsWouldGo
from shared.kafka.clients import Broker
from shared.plan.loading import PlanError

# With fewer facts, or fewer that are set aside, further processes take longer to start than they save.
_SPREAD_FROM: Final = 200_000
_SPREAD_LATER_FROM: Final = 5_000
_HELD_MS: Final = 50  # it asks for the ends of the logs, which waits behind a fetch that the broker holds
_log = structlog.get_logger()


class RebuildBehind(Exception):
    """The topics hold less than what is counted already; a switch would lose numbers."""


async def rebuild(
    connection: asyncpg.Connection,
    broker: Broker,
    compiled: CompiledPlans,
    counting: Counting,
    on_progress: OnProgress,
    accepted: str = "",
) -> int:
    """Count all facts from the start into a new generation, switch to it, and return its number.

    The process that writes goes on with the old generation until the switch, and with the new one from its checkpoints
    on. `on_progress` is called about once a second. Raises RebuildBehind; and FactsWouldGo where other plans leave out
    facts that count, unless `accepted` is the code of just that change.
    """
    async with _alone(connection):
        number = await _accepted_beside(connection, accepted)
        if number is not None:
            compiled = CompiledPlans(await generations.plans_of(connection, number))
            await _replay(connection, number, broker, compiled, counting, on_progress, pace=FAST, fresh=False)
        else:
            number = await generations.create(connection, compiled, indexed=False)
            try:
                await _replay(connection, number, broker, compiled, counting, on_progress, pace=FAST)
                await _ask(connection, number, compiled, accepted)
            except (RebuildBehind, FactsWouldGo):
                await generations.discard(connection, number)
                raise
        await generations.switch(connection, number)
        return number


async def stand_beside(
    connection: asyncpg.Connection,
    broker: Broker,
    compiled: CompiledPlans,
    counting: Counting,
    on_progress: OnProgress,
) -> Difference | None:
    """Count all facts into a generation that stands beside the one that is read, and return what it would change.

    Whoever reads and writes goes on as before and has the processor first; `rebuild` switches to it once its code is
    accepted. One that stood there before is dropped. None where nothing is read yet. Raises RebuildBehind.
    """
    async with _alone(connection):
        await go_last(connection)
        await _let_go(connection)
        current = await generations.current(connection)
        if current is None:
            return None
        number = await generations.create(connection, compiled, indexed=False)
        try:
            await _replay(connection, number, broker, compiled, counting, on_progress, pace=GENTLE)
            return await difference.compare(connection, generations.digest(compiled), current.number, number)
        except RebuildBehind:
            await generations.discard(connection, number)
            raise


async def go_back(connection: asyncpg.Connection) -> int:
    """Let go of what stands beside the generation that is read; return how many generations."""
    async with _alone(connection):
        return await _let_go(connection)


async def _let_go(connection: asyncpg.Connection) -> int:
    waiting = await difference.standing_beside(connection)
    for beside_ in waiting:
        await generations.discard(connection, beside_.number)
    return len(waiting)


async def _accepted_beside(connection: asyncpg.Connection, accepted: str) -> int | None:
    """Return the generation that stands beside and is accepted, where this code still counts as it was counted."""
    for waiting in await difference.standing_beside(connection):
        plans = CompiledPlans(await generations.plans_of(connection, waiting.number))
        if waiting.code == accepted and waiting.digest == generations.digest(plans):
            return waiting.number
    return None


@contextlib.asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    while not await writers.lock(connection, writers.REBUILD_LOCK):  # noqa: ASYNC110 - another process has it
        await asyncio.sleep(1)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", writers.REBUILD_LOCK)


async def standing_plans(connection: asyncpg.Connection, number: int) -> CompiledPlans | None:
    """Return the plans that a generation was counted by; None where this code reads them no longer."""
    try:
        return CompiledPlans(await generations.plans_of(connection, number))
    except (ValidationError, PlanError):
        return None


async def _ask(connection: asyncpg.Connection, number: int, compiled: CompiledPlans, accepted: str) -> None:
    """Raise FactsWouldGo where the plans have changed and the new generation leaves out facts that count."""
    current = await generations.current(connection)
    standing = await standing_plans(connection, current.number) if current else None
    if current is None or standing is None or standing.digest == compiled.digest:
        return  # nothing to compare with, or a repair: what is gone then should not have counted
    question = await withheld.withhold(connection, generations.digest(compiled), current.number, number)
    if question is not None and question.code != accepted:
        raise FactsWouldGo(question)


async def _replay(
    connection: asyncpg.Connection,
    number: int,
    broker: Broker,
    compiled: CompiledPlans,
    counting: Counting,
    on_progress: OnProgress,
    *,
    pace: ReplayPace,
    fresh: bool = True,
) -> None:
    """Count into a generation until nothing is left; `fresh`: one that is empty."""
    current = await generations.current(connection)
    counted = await store.positions(connection, current.number) if current else {}
    if fresh:
        await _count_by_shares(connection, number, broker, compiled, counting, on_progress, pace)
    reader = LogReader(broker, pace.ledger(connection, number, compiled), compiled, counting)
    async with reader.following(pace.most, _HELD_MS) as follower:
        await follower.read_all(on_progress)  # what has come since, and what a process that failed has left
        await connection.execute(of_generation(number)["analyze"])
        await follower.read_all(on_progress)  # and since then, so that no number goes back at the switch
    behind = [
        f"{log.service}.events: {log.committed.position} < {counted[log.service]} {log.problem or ''}".strip()
        for log in follower.logs.values()
        if log.committed.position < counted.get(log.service, 0)
    ]
    if behind:
        raise RebuildBehind("; ".join(behind))


async def _count_by_shares(
    connection: asyncpg.Connection,
    number: int,
    broker: Broker,
    compiled: CompiledPlans,
    counting: Counting,
    on_progress: OnProgress,
    pace: ReplayPace,
) -> None:
    """Count what there is into an empty generation, and make its indexes."""
    ledger = pace.ledger(connection, number, compiled, first=FirstFacts(compiled), adds_up=False)
    async with LogReader(broker, ledger, compiled, counting).following(pace.most, _HELD_MS) as follower:
        ahead = await follower.ahead()
        spread = pace.processes > 1 and sum(ahead.values()) >= _SPREAD_FROM
        if spread:
            await let_others_go_first(connection)  # as will those that it starts
        if not (spread and await _count_in_turn(ledger, ahead, on_progress, pace)):
            await follower.read_all(on_progress)
    aside = await ledger.aside(LOGS)
    _, *others = shares_of(compiled.lines, aside, pace.processes)
    others = [share for share in others if sum(aside[service] for service in share) >= _SPREAD_LATER_FROM]
    async with later_beside(number, others):
        await count_later(ledger, sorted({*LOGS}.difference(*others)), on_progress)
    await count_later(ledger, LOGS, on_progress)  # what a process that failed has left
    await generations.index(connection, number, "sum_up", "index_standing", "index_contribution")
    await connection.execute(of_generation(number)["nothing_aside"])


async def _count_in_turn(ledger: Ledger, ahead: Mapping[str, int], on_progress: OnProgress, pace: ReplayPace) -> bool:
    """Count what lies ahead by several processes; return whether that went well, else nothing is counted."""
    stretches = [Stretch(service, 0, end) for service, end in ahead.items()]
    reached = await count_in_turn(ledger.number, stretches, pace.processes, on_progress, pace.most)
    if reached is None:
        _log.warning("rebuild.counts-alone", because="a process that counted beside others has failed")
        await ledger.empty()
        return False
    await ledger.reach(reached)
    return True
