"""Whoever has a page open is told when numbers move; one look serves all, and nobody looks when nobody listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.projection.queries import stream
from services.projection.queries.snapshot import SnapshotReader
from shared.http.problems import Problem


class Checkpoints:
    """A reader of checkpoints that counts how often it is asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.position = 1
        self.number = 1
        self.connection = self
        self.compiled = type("Chart", (), {"plans": {"plan": None}})

    @contextlib.asynccontextmanager
    async def view(self) -> AsyncIterator[Checkpoints]:
        self.looks += 1
        yield self

    @property
    def state(self) -> tuple[int, int]:
        return self.number, self.position

    @property
    def checkpoints(self) -> list[dict[str, Any]]:
        return [{"service": "recruitment", "position": self.position, "recorded_at": None}]

    async def fetchval(self, _sql: str) -> int:
        return 0


class NoHeads:
    def head(self, _service: str) -> None:
        return None


@contextlib.asynccontextmanager
async def pulse_of(checkpoints: Checkpoints) -> AsyncIterator[stream.CheckpointWatch]:
    pulse = stream.CheckpointWatch(
        cast(SnapshotReader, checkpoints), NoHeads(), lambda: datetime(2024, 5, 31, 17, tzinfo=UTC)
    )
    running = asyncio.create_task(pulse.run())
    yield pulse
    running.cancel()


async def test_all_listeners_are_told_of_a_move_by_one_look() -> None:
    checkpoints = Checkpoints()
    async with pulse_of(checkpoints) as pulse:
        listeners = [pulse.beats() for _ in range(20)]
        first = await asyncio.gather(*(anext(one) for one in listeners))
        assert all(moved for _, moved in first)
        assert {beat.day for beat, _ in first} == {"2024-06-01"}
        before, checkpoints.position = checkpoints.looks, 2
        told = await asyncio.gather(*(anext(one) for one in listeners))
        assert all(moved for _, moved in told)
        assert checkpoints.looks <= before + 3
        for one in listeners:
            await cast(Any, one).aclose()
        looks = checkpoints.looks
        await asyncio.sleep(0.6)
        assert checkpoints.looks <= looks + 1


async def test_without_a_move_there_is_a_heartbeat_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_HEARTBEAT_SECONDS", 0.4)
    async with pulse_of(Checkpoints()) as pulse:
        beats = pulse.beats()
        assert (await anext(beats))[1]
        assert not (await anext(beats))[1]
        await cast(Any, beats).aclose()


async def test_there_is_a_bound_to_how_many_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MOST_LISTENERS", 1)
    async with pulse_of(Checkpoints()) as pulse:
        beats = pulse.beats()
        await anext(beats)
        with pytest.raises(Problem):
            pulse.admit()
        await cast(Any, beats).aclose()
        pulse.admit()
