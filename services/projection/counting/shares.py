"""Spreads a replay over processes: services whose facts feed no line in common are counted side by side."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

import asyncpg
import uvloop
from aiokafka.errors import KafkaError

from services.projection.counting import generations, writers
from services.projection.counting.lines import CompiledPlans, Line
from services.projection.counting.log_reader import Counting, LogReader, TopicsMissing
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


@contextlib.asynccontextmanager
async def beside(number: int, shares: Sequence[Sequence[str]]) -> AsyncIterator[None]:
    """Count shares of a generation in processes of their own; at the end wait until each has counted what there is.

    One that fails leaves its share, up to its checkpoints, to whoever reads on from there.
    """
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, str(number), *share, stdin=asyncio.subprocess.PIPE
        )
        for share in shares
    ]
    try:
        yield
        for child in children:
            await child.wait()
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
                await asyncio.wait_for(child.wait(), _STOP_SECONDS)


async def count_share(
    reader: LogReader, ledger: Ledger, services: Sequence[str], on_progress: OnProgress, most: int = FAST.most
) -> None:
    """Count logs from their start until nothing is left: first facts first, and then what was set aside for them."""
    async with reader.following(most) as follower:
        await follower.read_all(on_progress)
    await count_later(ledger, services, on_progress)


async def count_later(ledger: Ledger, services: Sequence[str], on_progress: OnProgress) -> None:
    """Count what was set aside of some logs."""
    of, done, reported_at = await ledger.set_aside(services), 0, time.monotonic()
    while counted := await ledger.count_later(services, FAST.most):
        done += counted
        if time.monotonic() - reported_at > 1:
            reported_at = time.monotonic()
            on_progress(done, of)


async def _count(number: int, services: Sequence[str]) -> None:
    settings = Settings()
    async with writers.connected(settings.pg_dsn.get_secret_value(), "skillplan projection rebuild") as connection:
        compiled = CompiledPlans(await generations.plans_of(connection, number))
        ledger = Ledger(connection, number, compiled, sets_aside=True)
        reader = LogReader(settings.broker, ledger, compiled, Counting(), services)
        await count_share(reader, ledger, services, lambda *_: None)


def main() -> None:
    """Count the logs named on the command line into a generation until nothing is left."""

    def end_with_parent() -> None:
        os.read(0, 1)  # returns once the process that started this one is gone
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    keep_memory()
    try:
        uvloop.run(_count(int(sys.argv[1]), sys.argv[2:]))
    except (*UNAVAILABLE, asyncpg.UndefinedTableError, KafkaError, TimeoutError, TopicsMissing) as error:
        sys.exit(f"{' '.join(sys.argv[2:])}: {type(error).__name__}")


if __name__ == "__main__":
    main()
