"""Database snapshots: the current generation, its plans and checkpoints, read together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import orjson

from services.planning.events import LANGUAGE
from services.projection.assessment.targets import Targets
from services.projection.counting.generations import of_generation, read_plans
from services.projection.counting.lines import CompiledPlans
from shared.contract.events import Fact
from shared.deciding.facts import decode_fact
from shared.http.problems import Problem
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.model import Plan

_CURRENT: Final = "select number, revision from generation join head on head.generation = generation.number"
_PATIENCE_OF_EXPORTS: Final = 60  # seconds
_PLANS: Final = "select plans from generation where number = $1"
# Seconds for a connection, and again for the first answer: a database that hangs is told within five.
_PATIENCE: Final = 2.0
State = tuple[int, int, tuple[tuple[object, ...], ...]]  # generation, revision of its plans, checkpoints
_Connection = asyncpg.pool.PoolConnectionProxy


@dataclass(slots=True)
class _Decisions:
    """The facts of the plan office, as last read of one generation, and the targets that they give its plans."""

    position: int = 0
    facts: Sequence[Fact] = ()
    targets: dict[str, Targets] = field(default_factory=dict)


@dataclass(slots=True)
class Snapshot:
    """One snapshot of one generation: everything read with it is of the same state.

    `state` differs whenever anything that is read may; `checkpoints`: how far each log is counted, by service.
    """

    connection: _Connection
    state: State
    checkpoints: Sequence[asyncpg.Record]
    compiled: CompiledPlans
    decisions: _Decisions

    @property
    def number(self) -> int:
        """The number of the generation."""
        return self.state[0]

    def sql(self, file: str) -> Mapping[str, str]:
        """Return the queries of a read model's .sql file on this generation."""
        return of_generation(self.number, "services.projection.queries", file)

    async def targets(self, plan: Plan) -> Targets:
        """Return a plan's targets with all that the plan office has decided on them."""
        facts = await self.decided()
        if plan.id not in self.decisions.targets:
            self.decisions.targets[plan.id] = Targets(plan, facts)
        return self.decisions.targets[plan.id]

    async def decided(self) -> Sequence[Fact]:
        """Return all that the plan office has decided, in the order of its log."""
        position = next((row["position"] for row in self.checkpoints if row["service"] == LANGUAGE.service), 0)
        if position != self.decisions.position:
            rows = await self.connection.fetch(of_generation(self.number)["planning"], 0)
            facts = [decode_fact({LANGUAGE.service: LANGUAGE}, orjson.loads(row["bytes"]), ()) for row in rows]
            self.decisions.position, self.decisions.facts, self.decisions.targets = position, facts, {}
        return self.decisions.facts


class NotCountedYet(Problem):
    """No generation has been started."""

    def __init__(self) -> None:
        super().__init__(
            503, "尚无数据:projector 还未启动。", "No numbers yet: the projector has not started.", retry_after="2"
        )


_AWAY: Final = Problem(
    503,
    "服务暂时无法查询(数据库不可用),请稍后再试。",
    "Nothing can be read now (database away); try again.",
    retry_after="2",
)


@dataclass(slots=True)
class SnapshotReader:
    """Opens snapshots; the plans are read again only when they have changed.

    `exports`: connections for what reads long, so that nobody's question waits for them; without, those of `pool`.
    """

    pool: asyncpg.Pool
    exports: asyncpg.Pool | None = None
    _compiled: dict[tuple[int, int], tuple[CompiledPlans, _Decisions]] = field(default_factory=dict)
    _plans: tuple[str, CompiledPlans] | None = None  # as they were last stored, and compiled
    _number: int | None = None  # the generation last read
    _running: asyncio.Task[State] | None = None
    _next: asyncio.Task[State] | None = None

    async def state(self) -> State:
        """Return what all answers depend on: generation, plans and checkpoints, read after this was called.

        Calls that come while a query is under way share the next one.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._state_after(self._running))
        return await asyncio.shield(self._next)

    async def _state_after(self, before: asyncio.Task[State] | None) -> State:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        with _as_problem():
            async with self.pool.acquire(timeout=_PATIENCE) as connection, _answering(connection):
                state = await self._state_of_last(connection)
                if state is None:
                    state, _ = await _state(connection)
                self._number = state[0]
                return state

    async def _state_of_last(self, connection: _Connection) -> State | None:
        """Return the state by one query where the generation last read is still the one that is; None where not."""
        if self._number is None:
            return None
        try:
            rows = await connection.fetch(of_generation(self._number)["state"])
        except asyncpg.UndefinedTableError:  # switched, and its tables dropped
            return None
        if not rows or rows[0]["number"] != self._number:
            return None
        return self._number, rows[0]["revision"], tuple(tuple(row)[2:] for row in rows if row["service"] is not None)

    @contextlib.asynccontextmanager
    async def view(self, *, exports: bool = False) -> AsyncIterator[Snapshot]:
        """Open a snapshot; raises Problem when there is nothing to read or the database is away.

        `exports`: for one that may read a million facts; it waits for others of its kind.
        """
        pool, patience = (self.exports or self.pool, _PATIENCE_OF_EXPORTS) if exports else (self.pool, _PATIENCE)
        with _as_problem():
            async with pool.acquire(timeout=patience) as connection, contextlib.AsyncExitStack() as stack:
                async with _answering(connection):
                    await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
                    state, checkpoints = await _state(connection)
                key = state[:2]
                if key not in self._compiled:
                    compiled = self._compile(await connection.fetchval(_PLANS, state[0]))
                    self._compiled = {key: (compiled, _Decisions())}
                yield Snapshot(connection, state, checkpoints, *self._compiled[key])

    def _compile(self, documents: str) -> CompiledPlans:
        """Return stored plans compiled; those of a generation that was rebuilt are mostly the same."""
        if self._plans is None or self._plans[0] != documents:
            self._plans = documents, CompiledPlans(read_plans(documents))
        return self._plans[1]


@contextlib.asynccontextmanager
async def _answering(connection: _Connection) -> AsyncIterator[None]:
    """Give up a connection whose database does not answer: waiting for it to roll back would take as long again."""
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except TimeoutError:
        connection.terminate()
        raise


async def _state(connection: _Connection) -> tuple[State, Sequence[asyncpg.Record]]:
    row = await connection.fetchrow(_CURRENT)
    if row is None:
        raise NotCountedYet
    checkpoints = await connection.fetch(of_generation(row["number"])["checkpoints"])
    return (row["number"], row["revision"], tuple(map(tuple, checkpoints))), checkpoints


@contextlib.contextmanager
def _as_problem() -> Iterator[None]:
    """Turn a database that cannot be read into a problem in both languages."""
    try:
        yield
    except asyncpg.UndefinedTableError:
        # A rebuild has switched and dropped the tables between two statements.
        raise Problem(
            503, "数据正在切换,请重试。", "The numbers are being switched; try again.", retry_after="1"
        ) from None
    except (*UNAVAILABLE, TimeoutError):
        raise _AWAY from None
