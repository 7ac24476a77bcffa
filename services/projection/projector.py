"""Decides which process writes the numbers and what it does when something it needs is away."""

import asyncio
import time
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from services.projection import store
from services.projection.chart import Chart
from services.projection.follower import Follower, Metrics, TopicsMissing
from services.projection.rebuild import rebuild
from services.projection.store import Ledger, OtherWriter, Switched
from shared.broker import Broker
from shared.event_store import UNAVAILABLE
from shared.health import Health
from shared.plan_file import load_plans

_MOST: Final = 2000
_log = structlog.get_logger()


class Projector:
    """The process that writes the numbers; a second one waits until the first is gone."""

    def __init__(self, dsn: str, broker: Broker, plans: Path, health: Health, metrics: Metrics) -> None:
        self._dsn = dsn
        self._broker = broker
        self._plans = plans
        self._health = health
        self._metrics = metrics

    async def run(self) -> None:
        """Project until cancelled; when the database or the broker is away, pause and start again from what is kept."""
        pause = 0.2
        while True:
            began = time.monotonic()
            try:
                await self._project()
            except (Switched, OtherWriter) as error:
                _log.info("projector.starts-again", why=type(error).__name__)
            except TopicsMissing as error:
                self._health.report("kafka", f"missing topics: {error}")
                _log.warning("projector.paused", waiting_for="topics", missing=str(error))
            except (*UNAVAILABLE, KafkaError, TimeoutError) as error:
                part, problem = "database", f"not available: {type(error).__name__}"
                if isinstance(error, KafkaError):
                    part, problem = "kafka", await self._broker.problem() or f"not available: {type(error).__name__}"
                self._health.report(part, problem)
                _log.warning("projector.paused", waiting_for=part, problem=problem)
            self._metrics.active.set(0)
            if time.monotonic() - began > 10:  # noqa: PLR2004 - it was well for a while
                pause = 0.2
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _project(self) -> None:
        async with store.connected(self._dsn, "skillplan projection projector") as connection:
            if not await self._lock(connection):
                return
            self._metrics.active.set(1)
            chart = Chart(load_plans(self._plans))
            number = await self._generation(connection, chart)
            follower = Follower(self._broker, Ledger(connection, number, chart), chart, self._metrics)
            async with follower.following(_MOST):
                _log.info("projector.follows", generation=number)
                watching = asyncio.create_task(self._watch(follower))
                try:
                    while True:
                        if not await follower.step(must_be_current=True):
                            await follower.settle()
                            await connection.execute("select 1")  # an idle connection does not tell that it is broken
                        self._report(follower)
                finally:
                    watching.cancel()

    async def _lock(self, connection: asyncpg.Connection) -> bool:
        """Wait until no other process writes; a standby is well, and says what it is."""
        while not await store.lock(connection, store.WRITER_LOCK):
            self._health.report("database", None)
            self._health.report("kafka", None)
            self._health.report("lines", None)
            await asyncio.sleep(1)
        return True

    async def _generation(self, connection: asyncpg.Connection, chart: Chart) -> int:
        """Return the generation to write: the current one, if it was counted by these plans."""
        kept = await store.current(connection)
        if kept is None:
            number = await store.create(connection, chart)
            await store.switch(connection, number)
            return number
        if kept.digest != store.digest(chart):
            _log.info("projector.counts-anew", generation=kept.number)
            self._health.report("lines", "counting anew: the plans, or the code that counts, have changed")
            number = await rebuild(connection, self._broker, chart, self._metrics, lambda *_: None)
            self._health.report("lines", None)
            return number
        await store.keep_plans(connection, kept.number, chart)
        return kept.number

    def _report(self, follower: Follower) -> None:
        problems = "; ".join(log.problem for log in follower.logs.values() if log.problem)
        self._health.report("database", None)
        self._health.report("lines", problems or None)

    async def _watch(self, follower: Follower) -> None:
        """Ask the broker now and then how far ahead the logs are, and so whether it is there."""
        while True:
            try:
                await follower.ahead()
                self._health.report("kafka", None)
            except (KafkaError, TimeoutError) as error:
                self._health.report("kafka", await self._broker.problem() or f"not available: {type(error).__name__}")
            await asyncio.sleep(2)
