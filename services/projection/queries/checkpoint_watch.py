"""Watches the checkpoints while clients follow the numbers: one query of the database serves all of them."""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import structlog

from services.projection.queries.log_heads import LogHeads
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.contract.events import LOCAL_TIME
from shared.http.problems import Problem

_EVERY_SECONDS: Final = 0.25  # listeners hear of changes at most this often
_HEARTBEAT_SECONDS: Final = 2.0
_MOST_LISTENERS: Final = 1000
_MOST_OF_KEY: Final = 100
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beat:
    """The state as last seen: `state` differs whenever any number may."""

    state: tuple[object, ...]
    plans: frozenset[str]
    day: str
    behind: int | None


class CheckpointWatch:
    """Reads the checkpoints while anybody listens; `receipts_read` counts the receipts that have been read."""

    def __init__(
        self,
        reader: SnapshotReader,
        heads: LogHeads,
        receipts_read: Callable[[Snapshot], Awaitable[int]],
        clock: Callable[[], datetime],
        example_day: date | None = None,
    ) -> None:
        self._reader = reader
        self._heads = heads
        self._receipts_read = receipts_read
        self._clock = clock
        self._example_day = example_day
        self._listeners: Counter[str | None] = Counter()  # by the id of their key
        self._wanted = asyncio.Event()
        self._changed = asyncio.Condition()
        self._beat: Beat | None = None
        self._read_at = -math.inf

    async def run(self) -> None:
        """Watch until cancelled; a read that fails is tried again."""
        while True:
            await self._wanted.wait()
            try:
                beat = await self._look()
            except Problem as problem:
                _log.warning("live.not-read", why=problem.en)
            else:
                async with self._changed:
                    self._beat, self._read_at = beat, time.monotonic()
                    self._changed.notify_all()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _look(self) -> Beat:
        await self._heads.recent()
        async with self._reader.view() as view:
            receipts = await self._receipts_read(view)
        behind = [log["behind_events"] for log in self._heads.progress(view.checkpoints).values()]
        return Beat(
            (view.state, receipts),
            frozenset(view.compiled.plans),
            (self._example_day or self._clock().astimezone(LOCAL_TIME).date()).isoformat(),
            None if None in behind else sum(filter(None, behind)),
        )

    def admit(self, key: str | None = None) -> None:
        """Raise Problem when too many listen already, in all or with a key; None while no keys are set."""
        if self._listeners.total() >= _MOST_LISTENERS or (key and self._listeners[key] >= _MOST_OF_KEY):
            raise Problem(503, "实时连接过多,请稍后再试。", "Too many live connections; try again.", retry_after="30")

    async def beats(self, key: str | None = None) -> AsyncIterator[tuple[Beat, bool]]:
        """Yield at once, at each change, and as a heartbeat between; with whether the state changed.

        There is no heartbeat while the database does not answer: whoever listens sees that nothing is known.
        """
        self._listeners[key] += 1
        self._wanted.set()
        last: Beat | None = None
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_SECONDS), self._changed:
                        # What was read too long ago is no news: without a wait this would go round and round.
                        while (beat := self._fresh()) is None or beat == last:
                            await self._changed.wait()
                if (beat := self._fresh()) is not None:
                    moved = last is None or last.state != beat.state
                    last = beat
                    yield last, moved
        finally:
            self._listeners[key] -= 1
            if not self._listeners.total():
                self._wanted.clear()
                self._beat = None

    def _fresh(self) -> Beat | None:
        return self._beat if time.monotonic() - self._read_at < _HEARTBEAT_SECONDS else None
