"""The process that writes the numbers: one at a time; it waits while the database or the broker is unavailable."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from services.catalogue import COUNTED
from services.projection.counting import difference, generations, withheld, writers
from services.projection.counting.generations import CurrentGeneration, of_generation
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import Counting, LogReader, TopicsMissing, retry_forever
from services.projection.counting.rebuild import rebuild, standing_plans
from services.projection.counting.store import Ledger, Switched
from services.projection.counting.withheld import FactsWouldGo
from services.projection.counting.writers import OtherWriter
from shared.kafka.clients import Broker
from shared.kafka.names import events_topic
from shared.observability.metrics import Metrics, Reading
from shared.observability.tracing import Tracing
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.loading import load_plans
from shared.process.process import end_process_if_failed

_MOST: Final = 2000
# Each part reports its health at least every five seconds, unless it waits for a response.
_GOOD_FOR: Final = 15.0
# The share of the database's time that comparing the numbers with their ledger may take.
_COMPARING: Final = 1 / 20
_COMPARED_EVERY: Final = 60.0
_LOOKED_EVERY: Final = 5.0
_TOPICS: Final = set(map(events_topic, COUNTED))
_log = structlog.get_logger()


class Projector:
    """The process that writes the numbers; a second one waits until the first has ended."""

    def __init__(
        self, dsn: str, broker: Broker, plans: Path, metrics: Metrics, tracing: Tracing, accepted: str = ""
    ) -> None:
        self._dsn = dsn
        self._broker = broker
        self._plans = plans
        self._accepted = accepted
        self._health = metrics.health
        self._counted = Counting(metrics.registry, tracing)
        self._compiled: CompiledPlans | None = None
        self._follower: LogReader | None = None  # while this is the process that writes
        self._compared: list[Reading] = []
        metrics.read(self._read)

    @property
    def is_behind(self) -> bool:
        """Whether there is more to count than one batch takes."""
        return self._follower is not None and self._follower.is_behind

    async def run(self) -> None:
        """Project until cancelled; with the database or the broker away, pause and start again from the checkpoints."""
        await retry_forever(self._attempt)

    async def _attempt(self) -> None:
        try:
            await self._project()
        except OtherWriter:
            _log.info("projector.starts-again")
        except TopicsMissing as error:
            self._health.report("kafka", f"missing topics: {error}")
            _log.warning("projector.paused", waiting_for="topics", missing=str(error))
        except (*UNAVAILABLE, KafkaError, TimeoutError) as error:
            part, problem = "database", f"not available: {type(error).__name__}"
            if isinstance(error, KafkaError):
                part, problem = "kafka", await self._broker.problem(_TOPICS) or problem
            self._health.report(part, problem)
            _log.warning("projector.paused", waiting_for=part, problem=problem)

    async def _project(self) -> None:
        async with writers.connected(self._dsn, "skillplan projection projector") as connection:
            if not await self._lock(connection):
                return
            while True:
                number, compiled = await self._generation(connection, self._compile())
                with contextlib.suppress(Switched):  # at once: readers wait for what comes
                    await self._follow(connection, number, compiled)

    def _compile(self) -> CompiledPlans:
        """Return the plan files as they are now, compiled."""
        plans = {plan.id: plan for plan in load_plans(self._plans)}
        if self._compiled is None or self._compiled.plans != plans:
            self._compiled = CompiledPlans(tuple(plans.values()))
        return self._compiled

    async def _follow(self, connection: asyncpg.Connection, number: int, compiled: CompiledPlans) -> None:
        """Count into a generation until another is read: raises Switched then."""
        follower = LogReader(self._broker, Ledger(connection, number, compiled), compiled, self._counted)
        async with follower.following(_MOST):
            _log.info("projector.follows", generation=number)
            self._follower = follower
            beside = [asyncio.create_task(work) for work in (self._watch(follower), self._compare(number, follower))]
            for task in beside:
                task.add_done_callback(end_process_if_failed)
            try:
                while True:
                    if not await follower.step(must_be_current=True):
                        await follower.settle()
                        await connection.execute("select 1")  # an idle connection does not notice that it is broken
                    self._report(follower)
            finally:
                self._follower = None
                self._compared = []
                for task in beside:
                    task.cancel()

    async def _lock(self, connection: asyncpg.Connection) -> bool:
        """Wait until no other process writes; a standby is healthy."""
        while not await writers.lock(connection, writers.WRITER_LOCK):
            for part in ("database", "kafka", "lines"):
                self._health.report(part, None, _GOOD_FOR)
            await asyncio.sleep(1)
        return True

    async def _generation(self, connection: asyncpg.Connection, compiled: CompiledPlans) -> tuple[int, CompiledPlans]:
        """Return the generation to write, and its plans: those of now, unless they leave out facts that count."""
        self._health.warn("plans", None)
        current = await generations.current(connection)
        if current is None:
            number = await generations.create(connection, compiled)
            await generations.switch(connection, number)
            return number, compiled
        if current.digest == generations.digest(compiled):
            await withheld.settle(connection)
            await generations.update_plans(connection, current.number, compiled)
            return current.number, compiled
        _log.info("projector.counts-anew", generation=current.number)
        self._health.report("lines", "counting anew: the plans, or the code that counts, have changed")
        before = await standing_plans(connection, current.number)
        waiting = await difference.standing_beside(connection)
        # Somebody is asked: what is read goes on, unless the code that counted it is gone.
        if waiting and before and generations.digest(before) == current.digest:
            _log.info("projector.goes-on", generation=current.number)
            self._health.report("lines", None)
            return current.number, before
        try:
            return await self._count_anew(connection, compiled, current, before), compiled
        except FactsWouldGo as error:
            _log.warning("projector.withholds", facts=error.withheld.facts, code=error.withheld.code)
            self._health.warn("plans", str(error))
            standing = await generations.current(connection)
            if standing is None or before is None:
                raise
            return standing.number, before
        finally:
            self._health.report("lines", None)

    async def _count_anew(
        self,
        connection: asyncpg.Connection,
        compiled: CompiledPlans,
        current: CurrentGeneration,
        before: CompiledPlans | None,
    ) -> int:
        """Count all again; where code and plans have changed, by the plans before first, so that only these ask."""
        question = await withheld.current(connection)
        if question and question.digest == generations.digest(compiled) and question.code != self._accepted:
            raise FactsWouldGo(question)

        async def count(plans: CompiledPlans) -> int:
            return await rebuild(connection, self._broker, plans, self._counted, lambda *_: None, self._accepted)

        if before and before.digest != compiled.digest and generations.digest(before) != current.digest:
            await count(before)
        return await count(compiled)

    def _report(self, follower: LogReader) -> None:
        problems = "; ".join(log.problem for log in follower.logs.values() if log.problem)
        self._health.report("database", None, _GOOD_FOR)
        self._health.report("lines", problems or None, _GOOD_FOR)

    async def _watch(self, follower: LogReader) -> None:
        """Ask the broker at intervals how far ahead the logs are, and so whether it is available."""
        while True:
            try:
                await follower.ahead()
                self._health.report("kafka", None, _GOOD_FOR)
            except (KafkaError, TimeoutError) as error:
                self._health.report(
                    "kafka", await self._broker.problem(_TOPICS) or f"not available: {type(error).__name__}"
                )
            await asyncio.sleep(_LOOKED_EVERY)

    async def _compare(self, number: int, follower: LogReader) -> None:
        """Compare the numbers with their ledger at intervals; a metric has how many cells differ.

        While nothing is counted, only now and then.
        """
        sql = of_generation(number)
        while True:
            try:
                # A connection of its own: whole tables are read here, by other query plans.
                connection = await asyncpg.connect(
                    self._dsn, timeout=5, command_timeout=60,
                    server_settings={"application_name": "skillplan projection compare", "jit": "off"},
                )  # fmt: skip
                try:
                    rows = await connection.fetch(sql["last_facts"])
                    last = {(row["service"], row["district"]): row["at"].timestamp() for row in rows}
                    self._counted.last_facts = last | self._counted.last_facts
                    while True:
                        began = time.monotonic()
                        wrong = len(await connection.fetch(sql["differences"]))
                        self._compared = [
                            Reading("skillplan_recount_differences", wrong),
                            Reading("skillplan_recount_timestamp_seconds", time.time()),
                        ]
                        if wrong:
                            _log.error("projector.differs", cells=wrong)
                        counted = follower.committed
                        # Bounded, since time spent waiting for the database does not predict the next comparison.
                        await asyncio.sleep(min(max(1.0, (time.monotonic() - began) / _COMPARING), _COMPARED_EVERY))
                        while follower.committed == counted and time.monotonic() - began < _COMPARED_EVERY:  # noqa: ASYNC110 - five seconds late will do
                            await asyncio.sleep(_LOOKED_EVERY)
                finally:
                    connection.terminate()
            except (*UNAVAILABLE, asyncpg.UndefinedTableError) as error:
                self._compared = []
                _log.warning("projector.compares-later", error=type(error).__name__)
                await asyncio.sleep(5)

    def _read(self) -> list[Reading]:
        follower = self._follower
        readings = [Reading("skillplan_projection_active", follower is not None), *self._compared]
        for service, log in follower.logs.items() if follower is not None else ():
            readings += [
                Reading("skillplan_projection_position", log.committed.position, (service,)),
                Reading("skillplan_parked", log.problem is not None, ("projection", events_topic(service))),
            ]
            if service in self._counted.lag:
                readings.append(Reading("skillplan_projection_lag", self._counted.lag[service], (service,)))
        return readings + [
            Reading("skillplan_last_fact_timestamp_seconds", at, place)
            for place, at in self._counted.last_facts.items()
        ]
