"""Hides how an answer is made and kept: read in one snapshot, and given again while nothing it rests on has changed."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

import asyncpg
import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse
from starlette.status import HTTP_200_OK, HTTP_304_NOT_MODIFIED

from services.projection.assessment.assessment import AssessmentBasis, Body, Scope
from services.projection.assessment.pace import length_of
from services.projection.assessment.values import Sums
from services.projection.counting.facts import LOGS
from services.projection.counting.periods import month_number, place_of
from services.projection.exports.workbook import csv_headers, csv_lines, rows_at
from services.projection.queries.parameters import plan_of, scope_of, today
from services.projection.queries.snapshot import Snapshot, SnapshotReader
from shared.contract.events import format_instant
from shared.plan.model import Plan

_FILE: Final = "sums.sql"
_MOST_SUMS: Final = 32
_MOST_BYTES: Final = 16_000_000
_NOW: Final = "@now@"
Make = Callable[[AssessmentBasis, Snapshot], Awaitable[Body]]


class Heads(Protocol):
    """Knows where the services' logs stand; None for a service that does not answer."""

    def head(self, service: str) -> tuple[int, datetime] | None:
        """Return position and instant of the last fact of a log."""


class Question(NamedTuple):
    """What is asked, as it came: nothing of it is checked yet. `about` tells one question from another.

    `indicator`: the only one that the answer needs the sums of; None for all of the plan.
    """

    about: tuple[str, ...]
    plan: str
    as_of: str | None
    known_at: str | None
    district: str | None = None
    indicator: str | None = None


class _Kept(NamedTuple):
    """An answer; where it says when it was known, the instant goes between two parts.

    `tag`: weak, since answers that differ in that instant alone say the same (RFC 9110, 8.8.1).
    """

    parts: tuple[bytes, ...]
    tag: str

    def response(self, now: datetime) -> Response:
        body = format_instant(now).encode().join(self.parts)
        # Kept by the browser, asked about each time: 304 while nothing has changed.
        headers = {"ETag": self.tag, "Cache-Control": "private, no-cache"}
        return Response(body, media_type="application/json", headers=headers)


class Conditional(APIRoute):
    """A route whose answer need not be sent again to who has it already (If-None-Match)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            response = await handle(request)
            tag = response.headers.get("etag")
            known = request.headers.get("if-none-match")
            if tag is None or response.status_code != HTTP_200_OK:
                return response
            if known is None or (tag not in (one.strip() for one in known.split(",")) and known.strip() != "*"):
                return response
            headers = {
                name: response.headers[name] for name in ("etag", "cache-control", "vary") if name in response.headers
            }
            return Response(status_code=HTTP_304_NOT_MODIFIED, headers=headers)

        return answer


class ResponseCache:
    """Answers questions; the bytes of an answer are kept until a checkpoint, a head, the plans or the targets change.

    Every question first asks the database whether they have, so an answer is never older than the question. Those that
    come together ask once.
    """

    def __init__(self, reader: SnapshotReader, heads: Heads, sums: "KeptSums", clock: Callable[[], datetime]) -> None:
        self._reader, self._heads, self._sums, self._clock = reader, heads, sums, clock
        self._state: object = None
        self._answers: dict[object, _Kept] = {}
        self._bytes = 0
        self._making: dict[object, asyncio.Task[_Kept]] = {}

    async def table(self, question: Question, make: Make, form: Literal["json", "csv"], rows: str) -> Response:
        """Return the answer that `make` gives, or the table in it at a path as CSV; raises Problem."""
        answer = await self.answer(question, make)
        if form == "json":
            return answer
        body = orjson.loads(answer.body)
        name = "-".join(
            (body["plan"], *filter(None, question.about), *filter(None, (body["district"],)), body["as_of"])
        )
        return StreamingResponse(
            csv_lines(rows_at(body, rows)), headers=csv_headers(f"{name}.csv"), media_type="text/csv"
        )

    async def answer(self, question: Question, make: Make) -> Response:
        """Return the answer that `make` gives; raises Problem."""
        now = self._clock()
        state = (await self._reader.state(), self._where_heads_are())
        key = (question, today(now) if question.as_of is None else None)
        if state == self._state and (kept := self._answers.get(key)) is not None:
            return kept.response(now)
        task = self._making.get((state, key))
        if task is None:
            task = self._making[state, key] = asyncio.create_task(self._make(question, key, make, now))
            task.add_done_callback(lambda _: self._making.pop((state, key), None))
        # Who goes away must not take the answer from the others who wait for it.
        return (await asyncio.shield(task)).response(now)

    async def _make(self, question: Question, key: object, make: Make, now: datetime) -> _Kept:
        async with self._reader.view() as view:
            plan = plan_of(view.compiled, question.plan)
            asked = scope_of(plan, question.as_of, question.known_at, question.district, now)
            sums = await self._sums.read(view, plan, asked, question.indicator)
            ground = AssessmentBasis(plan, view.compiled, await view.targets(plan), sums, asked)
            body = {"plan": plan.id} | asked.shown() | await make(ground, view)
        if question.known_at is None:
            body["known_at"] = _NOW
        state = (view.state, self._where_heads_are())
        text = orjson.dumps(body | {"complete_to": complete_to(view.checkpoints, self._heads)})
        parts = tuple(text.split(_NOW.encode(), 1)) if question.known_at is None else (text,)
        kept = _Kept(parts, f'W/"{hashlib.sha256(text).hexdigest()[:32]}"')
        # With clocks that disagree, what is known now may change by time alone.
        if all(row["recorded_at"] is None or row["recorded_at"] <= now for row in view.checkpoints):
            self._keep(state, key, kept, len(text))
        return kept

    def _keep(self, state: object, key: object, kept: _Kept, size: int) -> None:
        if state != self._state or self._bytes + size > _MOST_BYTES:
            self._state, self._answers, self._bytes = state, {}, 0
        self._answers[key] = kept
        self._bytes += size

    def _where_heads_are(self) -> tuple[tuple[int, datetime] | None, ...]:
        return tuple(self._heads.head(service) for service in LOGS)


def complete_to(rows: Iterable[asyncpg.Record], heads: Heads) -> Body:
    """Return up to what each log is counted, and how far behind it that is (RULES E19)."""
    kept = {row["service"]: row for row in rows}
    shown = {}
    for service in LOGS:
        position = kept[service]["position"] if service in kept else 0
        recorded_at = kept[service]["recorded_at"] if service in kept else None
        behind = seconds = None
        if (head := heads.head(service)) is not None:
            behind = max(0, head[0] - position)
            since = recorded_at or head[1]
            seconds = max(0.0, (head[1] - since).total_seconds()) if behind else 0.0
        shown[service] = {
            "position": position,
            "recorded_at": format_instant(recorded_at) if recorded_at else None,
            "behind_events": behind,
            "behind_seconds": seconds,
        }
    return shown


class KeptSums:
    """The sums of cells as last read: they change only when a checkpoint moves or a generation is switched.

    As known at an instant they rest on the logs alone that are not counted beyond it.
    """

    def __init__(self) -> None:
        self._sums: dict[object, Sums] = {}

    async def read(self, view: Snapshot, plan: Plan, asked: Scope, indicator: str | None = None) -> Sums:
        """Return the sums of a plan, or of one indicator of it."""
        if asked.as_of < plan.period.first:
            return {}
        last = {row["service"]: row["recorded_at"] for row in view.checkpoints}
        beyond = {service for service, at in last.items() if at is not None and at > asked.known_at}
        known_at = asked.known_at if beyond else None
        rests_on = tuple((row["service"], row["position"]) for row in view.checkpoints if row["service"] not in beyond)
        as_of = min(asked.as_of, plan.period.last)
        key, whole = ((view.number, plan.id, one, as_of, known_at, rests_on) for one in (indicator, None))
        kept = self._sums.pop(key, None) or self._sums.get(whole)
        if kept is None:
            numbers = [
                line.number
                for line in view.compiled.lines
                if line.plan == plan.id and indicator in (None, line.indicator)
            ]
            kept = await _read(view, plan, numbers, as_of, known_at)
        # The last asked for stays longest.
        self._sums[key] = kept
        if len(self._sums) > _MOST_SUMS:
            del self._sums[next(iter(self._sums))]
        return kept


async def _read(view: Snapshot, plan: Plan, numbers: list[int], as_of: date, known_at: datetime | None) -> Sums:
    sql = view.sql(_FILE)
    sums: dict[tuple[int, int, int], dict[str, list[int]]] = {}
    last = place_of(plan, as_of)
    for row in await view.connection.fetch(sql["now"], numbers, as_of, as_of.replace(day=length_of(as_of))):
        amounts = row["amounts"][: last + 1]
        amounts[last] -= row["later"] or 0
        sums.setdefault((row["line"], row["part"], row["period"]), {})[row["district"]] = amounts
    if known_at is not None:
        before = month_number(plan.period.first) - 1
        wanted = (numbers, as_of, plan.period.first, before, known_at)
        for row in await view.connection.fetch(sql["since"], *wanted):
            # What came and went in one batch has no cell.
            by_district = sums.setdefault((row["line"], row["part"], row["period"]), {})
            by_district.setdefault(row["district"], [0] * (last + 1))[row["place"]] -= row["value"]
    return sums
