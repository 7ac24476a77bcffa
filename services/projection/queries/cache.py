"""Response cache: one database snapshot per answer, reused until a checkpoint, a head, a plan or a target changes."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.status import HTTP_200_OK, HTTP_304_NOT_MODIFIED

from services.projection.queries.log_heads import LogHeads
from services.projection.queries.snapshot import SnapshotReader
from shared.contract.events import format_instant

_MOST_BYTES: Final = 16_000_000
_NOW: Final = "@now@"


class Computed(NamedTuple):
    """A body, and what it depends on.

    `state`: differs from that of another body whenever the two may differ. `until_now`: `known_at` in the body is the
    instant of the request. `latest`: when the last fact in it was recorded.
    """

    body: Mapping[str, object]
    state: Hashable
    until_now: bool
    latest: datetime | None


class _CachedResponse(NamedTuple):
    """An encoded body; the instant as of which it is known goes between its two parts.

    `tag`: weak, since bodies that differ in that instant alone say the same (RFC 9110, 8.8.1).
    """

    parts: tuple[bytes, ...]
    tag: str

    def response(self, now: datetime) -> Response:
        body = format_instant(now).encode().join(self.parts)
        # A browser may store it and must revalidate it: 304 while nothing has changed.
        headers = {"ETag": self.tag, "Cache-Control": "private, no-cache"}
        return Response(body, media_type="application/json", headers=headers)


class Conditional(APIRoute):
    """A route that answers 304 to a client that has the current body already (If-None-Match)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Wrap the handler of the route."""
        handle = super().get_route_handler()

        async def handle_conditionally(request: Request) -> Response:
            response = await handle(request)
            tag = response.headers.get("etag")
            known = request.headers.get("if-none-match")
            if tag is None or response.status_code != HTTP_200_OK:
                return response
            if known is None or (tag not in (each.strip() for each in known.split(",")) and known.strip() != "*"):
                return response
            headers = {
                name: response.headers[name] for name in ("etag", "cache-control", "vary") if name in response.headers
            }
            return Response(status_code=HTTP_304_NOT_MODIFIED, headers=headers)

        return handle_conditionally


class ResponseCache:
    """Keeps encoded answers until a checkpoint, a head, the plans or the targets change.

    Every request first reads from the database whether they have, so an answer is never older than its request.
    Requests that come together share that look-up, and the computation of an answer.
    """

    def __init__(self, reader: SnapshotReader, heads: LogHeads) -> None:
        self._reader, self._heads = reader, heads
        self._state: Hashable = None
        self._responses: dict[Hashable, _CachedResponse] = {}
        self._bytes = 0
        self._computing: dict[Hashable, asyncio.Task[_CachedResponse]] = {}

    async def respond(self, key: Hashable, compute: Callable[[], Awaitable[Computed]], now: datetime) -> Response:
        """Return the cached response of a key, else compute it; `now` is the instant of the request."""
        state = (await self._reader.state(), self._heads.heads())
        if state == self._state and (cached := self._responses.get(key)) is not None:
            return cached.response(now)
        task = self._computing.get((state, key))
        if task is None:
            task = self._computing[state, key] = asyncio.create_task(self._compute(key, compute, now))
            task.add_done_callback(lambda _: self._computing.pop((state, key), None))
        # A client that disconnects must not cancel the computation that others wait for.
        return (await asyncio.shield(task)).response(now)

    async def _compute(
        self, key: Hashable, compute: Callable[[], Awaitable[Computed]], now: datetime
    ) -> _CachedResponse:
        body, state, until_now, latest = await compute()
        text = orjson.dumps({**body, "known_at": _NOW} if until_now else body)
        parts = tuple(text.split(_NOW.encode(), 1)) if until_now else (text,)
        response = _CachedResponse(parts, f'W/"{hashlib.sha256(text).hexdigest()[:32]}"')
        # With clocks that disagree, what is known now may change by time alone.
        if latest is None or latest <= now:
            self._store(state, key, response, len(text))
        return response

    def _store(self, state: Hashable, key: Hashable, response: _CachedResponse, size: int) -> None:
        if state != self._state or self._bytes + size > _MOST_BYTES:
            self._state, self._responses, self._bytes = state, {}, 0
        self._responses[key] = response
        self._bytes += size
