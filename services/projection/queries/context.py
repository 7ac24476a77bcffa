"""Context of the queries: snapshots, sums, cache, log heads and the clock."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, Literal, NamedTuple, TypeVar, cast

import httpx
import orjson
from fastapi import Request, Response

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.representation import LogProgress, ScopeFields, scope_fields
from services.projection.exports.csv import csv_response
from services.projection.queries.cache import Computed, ResponseCache
from services.projection.queries.checkpoint_watch import CheckpointWatch
from services.projection.queries.log_heads import LogHeads
from services.projection.queries.parameters import plan_of, scope_of, today
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from services.projection.queries.sums import SumsCache
from shared.plan.model import Plan

Table = TypeVar("Table", bound=Mapping[str, object])
Compute = Callable[[AssessmentBasis, Snapshot], Awaitable[Table]]


def pure(compute: Callable[[AssessmentBasis], Table]) -> Compute[Table]:
    """Return a query that needs nothing but what assessments are made from."""

    async def compute_table(basis: AssessmentBasis, _view: Snapshot) -> Table:
        return compute(basis)

    return compute_table


class Question(NamedTuple):
    """A request about the numbers of a plan, its parameters not checked yet.

    `name`: tells one query and its own parameters from another; a downloaded file is called by it. `indicator`: the
    only one whose sums are needed, None for all of the plan.
    """

    name: tuple[str, ...]
    plan: str
    as_of: str | None
    known_at: str | None
    district: str | None = None
    indicator: str | None = None


@dataclass(frozen=True, slots=True)
class QueryResult(Generic[Table]):
    """The result of a query, its scope, how far the logs were counted, and what identifies that state."""

    scope: ScopeFields
    table: Table
    complete_to: dict[str, LogProgress]
    state: tuple[object, ...]
    latest: datetime | None

    def body(self) -> dict[str, object]:
        """Return the body to encode."""
        return {**self.scope, **self.table, "complete_to": self.complete_to}


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What queries read with; one a process."""

    reader: SnapshotReader
    heads: LogHeads
    watch: CheckpointWatch
    cache: ResponseCache
    sums: SumsCache
    clock: Callable[[], datetime]
    services: Mapping[str, str]
    client: httpx.AsyncClient
    figures_key: bytes
    example_day: date | None = None

    def scope(self, plan: Plan, as_of: str | None, known_at: str | None, district: str | None) -> Scope:
        """Return the scope that parameters name by now; raises Problem."""
        return scope_of(plan, as_of, known_at, district, self.clock(), self.example_day)

    def today(self, now: datetime) -> date:
        """Return the day that is shown where none is named (RULES E19), the last one of made-up data."""
        return self.example_day or today(now)

    async def basis(self, view: Snapshot, plan: Plan, scope: Scope, indicator: str | None = None) -> AssessmentBasis:
        """Return what assessments within a scope are made from; `indicator`: the only one that is assessed."""
        sums = await self.sums.read(view, plan, scope, indicator)
        return AssessmentBasis(plan, view.compiled, await view.targets(plan), sums, scope)

    async def answer(self, question: Question, compute: Compute[Table], now: datetime) -> QueryResult[Table]:
        """Read the answer to a question in one snapshot, `now` where it names no day or instant; raises Problem."""
        await self.heads.recent()
        async with self.reader.view() as view:
            plan = plan_of(view.compiled, question.plan)
            scope = scope_of(plan, question.as_of, question.known_at, question.district, now, self.example_day)
            table = await compute(await self.basis(view, plan, scope, question.indicator), view)
            recorded = [row["recorded_at"] for row in view.checkpoints if row["recorded_at"] is not None]
            return QueryResult(
                scope_fields(plan.id, scope),
                table,
                self.heads.progress(view.checkpoints),
                (view.state, self.heads.heads()),
                max(recorded, default=None),
            )

    async def respond(self, question: Question, compute: Compute[Table]) -> Response:
        """Respond with the answer to a question as JSON, from the cache while nothing has changed; raises Problem."""

        async def computed() -> Computed:
            # One instant for all of it: what is recorded from here on is in no number that says it was known by then.
            answer = await self.answer(question, compute, now)
            return Computed(answer.body(), answer.state, question.known_at is None, answer.latest)

        now = self.clock()
        key = (question, today(now) if question.as_of is None else None)
        return await self.cache.respond(key, computed, now)

    async def read(self, question: Question, compute: Compute[Table]) -> dict[str, object]:
        """Return the body of `respond`, decoded: the table with its scope and `complete_to`; raises Problem."""
        body: dict[str, object] = orjson.loads((await self.respond(question, compute)).body)
        return body

    async def respond_table(
        self,
        question: Question,
        compute: Compute[Table],
        form: Literal["json", "csv"],
        rows: Callable[[Table], Sequence[Mapping[str, object]]],
        columns: Sequence[str],
    ) -> Response:
        """Respond as JSON, or with the rows of the answer as CSV of these columns; raises Problem."""
        if form == "json":
            return await self.respond(question, compute)
        body = await self.read(question, compute)
        return csv_response(rows(cast("Table", body)), columns, file_name(question, body, form))


def file_name(question: Question, body: Mapping[str, object], form: str) -> str:
    """Return what the file of an answer is called."""
    parts = (body["plan"], *question.name, body["district"], body["as_of"])
    return f"{'-'.join(str(part) for part in parts if part)}.{form}"


def context_of(request: Request) -> ReadContext:
    """Return the context of the app that serves a request.

    A function and not a dependency of FastAPI's, which would cost a cached answer a tenth of its time.
    """
    context: ReadContext = request.app.state.context
    return context
