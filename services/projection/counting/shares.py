"""Spreads a replay over processes: what is set aside of services whose facts feed no line in common, side by side."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg
import uvloop
from aiokafka.errors import KafkaError

from services.projection.counting import generations, writers
from services.projection.counting.lines import CompiledPlans, Line
from services.projection.counting.log_reader import TopicsMissing
from services.projection.counting.pacing import FAST
from services.projection.counting.store import Ledger
from shared.observability.unavailable import UNAVAILABLE
from shared.process.memory import keep_memory
from shared.process.settings import Settings

_STOP_SECONDS: Final = 10
OnProgress = Callable[[int, int], None]  # messages read, or facts set aside that are counted, of how many


def shares_of(lines: Iterable[Line], facts: Mapping[str, int], most: int) -> list[tuple[str, ...]]:
    """Part services into at most so many shares of like size, those together whose facts feed a line together.

    `facts`: how many each service has; those without any belong to the first share, the largest.
    """
    together = {service: {service} for service in facts}
    for line in lines:
        services = {use.kind.partition(".")[0] for use in line.uses} & facts.keys()
        joined = set[str]().union(*(together[service] for service in services))
        together.update(dict.fromkeys(joined, joined))
    groups = {tuple(sorted(group)) for group in together.values()}

    def size(services: Iterable[str]) -> int:
        return sum(facts[service] for service in services)

    shares: list[tuple[str, ...]] = [()] * most
    for group in sorted(groups, key=lambda group: (-size(group), group)):
        smallest = min(range(most), key=lambda at: size(shares[at]))
        shares[smallest] += group
    first, *others = sorted(shares, key=size, reverse=True)
    idle = tuple(service for share in others if not size(share) for service in share)
    return [first + idle, *(share for share in others if size(share))]


class Start(NamedTuple):
    """What a process is started with: arguments, and open files that it has too."""

    arguments: Sequence[str]
    files: Sequence[int] = ()


@contextlib.asynccontextmanager
async def children(
    module: str, starts: Iterable[Start], **environment: str
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Run a module of ours in processes that end with this one; at the end wait until all have ended."""
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *start.arguments,
            stdin=asyncio.subprocess.PIPE, pass_fds=start.files, env={**os.environ, **environment},
        )
        for start in starts
    ]  # fmt: skip
    try:
        yield started
        for child in started:
            await child.wait()
    finally:
        for child in started:
            if child.returncode is None:
                child.kill()
                await asyncio.wait_for(child.wait(), _STOP_SECONDS)


def run_child(work: Coroutine[object, object, None], name: str) -> None:
    """Do the work of such a process."""

    def end_with_parent() -> None:
        os.read(0, 1)  # returns once the process that started this one is gone
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    keep_memory()
    try:
        uvloop.run(work)
    except (*UNAVAILABLE, asyncpg.UndefinedTableError, KafkaError, TimeoutError, TopicsMissing) as error:
        sys.exit(f"{name}: {type(error).__name__}")


async def count_later(ledger: Ledger, services: Sequence[str], on_progress: OnProgress) -> None:
    """Count what was set aside of some logs."""
    of, done, reported_at = await ledger.set_aside(services), 0, time.monotonic()
    while counted := await ledger.count_later(services, FAST.most):
        done += counted
        if time.monotonic() - reported_at > 1:
            reported_at = time.monotonic()
            on_progress(done, of)


@contextlib.asynccontextmanager
async def later_beside(number: int, shares: Iterable[Sequence[str]]) -> AsyncIterator[None]:
    """Count what was set aside of shares, each in a process of its own.

    One that fails leaves what it has not counted to whoever counts on.
    """
    async with children(__name__, (Start([str(number), *share]) for share in shares)):
        yield


async def _count(number: int, services: Sequence[str]) -> None:
    async with writers.connected(Settings().pg_dsn.get_secret_value(), "skillplan projection rebuild") as connection:
        compiled = CompiledPlans(await generations.plans_of(connection, number))
        await count_later(Ledger(connection, number, compiled, adds_up=False), services, lambda *_: None)


if __name__ == "__main__":
    run_child(_count(int(sys.argv[1]), sys.argv[2:]), " ".join(sys.argv[2:]))
