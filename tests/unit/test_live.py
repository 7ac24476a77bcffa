"""Whoever has a page open is told when numbers move; one look serves all, and nobody looks when nobody listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest

from services.projection.queries import checkpoint_watch
from services.projection.queries.log_heads import LogHeads
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.http.problems import Problem
from shared.observability.health import Health


class Checkpoints:
    """A reader of checkpoints that counts how often it is asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.position = 1
        self.number = 1
        self.compiled = type("CompiledPlans", (), {"plans": {"plan": None}})
        self.away = False

    @contextlib.asynccontextmanager
    async def view(self) -> AsyncIterator[Checkpoints]:
        self.looks += 1
        if self.away:
            raise Problem(503, "不可用", "away")
        yield self

    @property
    def state(self) -> tuple[int, int]:
        return self.number, self.position

    @property
    def checkpoints(self) -> list[dict[str, Any]]:
        return [{"service": "recruitment", "position": self.position, "recorded_at": None}]


async def no_receipts(_view: Snapshot) -> int:
    return 0


@contextlib.asynccontextmanager
async def watching(checkpoints: Checkpoints) -> AsyncIterator[checkpoint_watch.CheckpointWatch]:
    async with httpx.AsyncClient() as client:
        watch = checkpoint_watch.CheckpointWatch(
            cast(SnapshotReader, checkpoints),
            LogHeads({}, client, Health()),
            no_receipts,
            lambda: datetime(2024, 5, 31, 17, tzinfo=UTC),
        )
        running = asyncio.create_task(watch.run())
        yield watch
        running.cancel()


async def test_all_listeners_are_told_of_a_move_by_one_look() -> None:
    checkpoints = Checkpoints()
    async with watching(checkpoints) as watch:
        listeners = [watch.beats() for _ in range(20)]
        first = await asyncio.gather(*(anext(listener) for listener in listeners))
        assert all(moved for _, moved in first)
        assert {beat.day for beat, _ in first} == {"2024-06-01"}
        before, checkpoints.position = checkpoints.looks, 2
        beats = await asyncio.gather(*(anext(listener) for listener in listeners))
        assert all(moved for _, moved in beats)
        assert checkpoints.looks <= before + 3
        for listener in listeners:
            await cast(Any, listener).aclose()
        looks = checkpoints.looks
        await asyncio.sleep(0.6)
        assert checkpoints.looks <= looks + 1


async def test_without_a_move_there_is_a_heartbeat_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_watch, "_HEARTBEAT_SECONDS", 0.4)
    async with watching(Checkpoints()) as watch:
        beats = watch.beats()
        assert (await anext(beats))[1]
        assert not (await anext(beats))[1]
        await cast(Any, beats).aclose()


async def test_while_the_database_is_away_nobody_is_told_anything_and_nobody_is_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint_watch, "_HEARTBEAT_SECONDS", 0.3)
    checkpoints = Checkpoints()
    async with watching(checkpoints) as watch:
        early, late = watch.beats(), watch.beats()
        assert (await anext(early))[1]
        checkpoints.away = True
        waiting = asyncio.create_task(cast(Any, early).__anext__())
        await asyncio.sleep(0.7)
        joining = asyncio.create_task(cast(Any, late).__anext__())
        await asyncio.sleep(0.7)
        assert not joining.done(), "what was read before is no news to who comes later"
        checkpoints.away = False
        assert (await joining)[1]
        await waiting
        for listener in (early, late):
            await cast(Any, listener).aclose()


async def test_there_is_a_bound_to_how_many_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_watch, "_MOST_LISTENERS", 1)
    async with watching(Checkpoints()) as watch:
        beats = watch.beats()
        await anext(beats)
        with pytest.raises(Problem):
            watch.admit()
        await cast(Any, beats).aclose()
        watch.admit()


async def test_one_key_has_so_many_streams_and_another_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_watch, "_MOST_OF_KEY", 1)
    async with watching(Checkpoints()) as watch:
        beats = watch.beats("one")
        await anext(beats)
        with pytest.raises(Problem):
            watch.admit("one")
        watch.admit("another")
        await cast(Any, beats).aclose()
        watch.admit("one")
