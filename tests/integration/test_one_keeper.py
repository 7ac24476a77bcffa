"""One keeper of backups is at work at a time, wherever there are several of an installation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from deploy.operations.keeper import Turn, await_turn
from tests.harness.processes import run


def test_a_second_keeper_waits_until_the_first_has_ended(postgres: str) -> None:
    async def two() -> None:
        turns, ended = (Turn(), Turn()), (asyncio.Event(), asyncio.Event())
        first = asyncio.create_task(await_turn(postgres, turns[0], ended[0]))
        await _until(lambda: turns[0].is_ours is True)
        second = asyncio.create_task(await_turn(postgres, turns[1], ended[1]))
        await _until(lambda: turns[1].is_ours is False)
        assert turns[0].is_ours
        ended[0].set()
        await first
        await _until(lambda: turns[1].is_ours is True)
        ended[1].set()
        await second

    run(two())


async def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
