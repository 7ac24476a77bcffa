"""Response cache: one database snapshot per answer, reused until a checkpoint, a head, a plan or a target changes."""

import asyncio
import hashlib
import struct
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.status import HTTP_200_OK, HTTP_304_NOT_MODIFIED
from starlette.types import ASGIApp, Receive, Scope, Send

from services.projection.queries.log_heads import LogHeads
from services.projection.queries.parameters import today
from services.projection.queries.snapshot import SnapshotReader
from shared.contract.events import format_instant
from shared.http.problems import Problem, language_in

_MOST_BYTES: Final = 16_000_000
_NOW: Final = "@now@"
# From how many bytes on, and how much, a response is compressed for who takes it so.
LEAST_ZIPPED: Final = 1024
ZIP_LEVEL: Final = 5
_GZIP: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no name, no time, an unknown system
_MOST_URLS: Final = 2000
_LONGEST_QUERY: Final = 200
# A question; and the day of the request where it names none.
Key = tuple[Hashable, date | None]


class Computed(NamedTuple):
    """A body, and what it depends on.

    `state`: differs from that of another body whenever the two may differ. `until_now`: `known_at` in the body is the
    instant of the request. `latest`: when the last fact in it was recorded.
    """

    body: Mapping[str, object]
    state: Hashable
    until_now: bool
    latest: datetime | None


class KeyedResponse(Response):
    """A response that the cache can give again by its key."""

    key: Key


class _CachedResponse:
    """An encoded body; the instant as of which it is known goes between its two parts.

    `tag`: weak, since bodies that differ in that instant alone say the same (RFC 9110, 8.8.1).
    """

    def __init__(self, key: Key, parts: Sequence[bytes], tag: str) -> None:
        self._key, self._tag = key, tag
        *self._before, self._last = parts
        self._deflated = b""

    def response(self, now: datetime, *, may_zip: bool = False) -> KeyedResponse:
        """Return it as of an instant; `may_zip`: compressed where that is worth it."""
        head = b"".join(part + format_instant(now).encode() for part in self._before)
        # A browser may store it and must revalidate it: 304 while nothing has changed.
        headers = {"ETag": self._tag, "Cache-Control": "private, no-cache"}
        body = head + self._last
        if may_zip and len(body) >= LEAST_ZIPPED:
            body = self._zip(head, body)
            headers["Content-Encoding"] = "gzip"
        response = KeyedResponse(body, media_type="application/json", headers=headers)
        response.key = self._key
        return response

    def _zip(self, head: bytes, body: bytes) -> bytes:
        """Return the body as gzip (RFC 1952): the head as it is, what follows compressed once for all instants."""
        if not self._deflated:
            deflate = zlib.compressobj(ZIP_LEVEL, wbits=-zlib.MAX_WBITS)
            self._deflated = deflate.compress(self._last) + deflate.flush()
        # A block that is not compressed (RFC 1951, 3.2.4): its length, and the same with all bits turned.
        stored = struct.pack("<BHH", 0, len(head), len(head) ^ 0xFFFF)
        check = struct.pack("<II", zlib.crc32(body), len(body))
        return b"".join((_GZIP, stored, head, self._deflated, check))


def _unless_known(response: Response, known: str | None) -> Response:
    """Return the response, or 304 where If-None-Match says that its body is known."""
    tag = response.headers.get("etag")
    if known is None or tag is None or response.status_code != HTTP_200_OK:
        return response
    if tag not in (each.strip() for each in known.split(",")) and known.strip() != "*":
        return response
    headers = {name: response.headers[name] for name in ("etag", "cache-control", "vary") if name in response.headers}
    return Response(status_code=HTTP_304_NOT_MODIFIED, headers=headers)


class Conditional(APIRoute):
    """A route that answers 304 to a client that has the current body already (If-None-Match)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Wrap the handler of the route."""
        handle = super().get_route_handler()

        async def handle_conditionally(request: Request) -> Response:
            response = await handle(request)
            if isinstance(response, KeyedResponse):
                request.app.state.context.cache.note(request.scope, response.key)
            return _unless_known(response, request.headers.get("if-none-match"))

        return handle_conditionally


class ResponseCache:
    """Keeps encoded answers until a checkpoint, a head, the plans or the targets change.

    Every request first reads from the database whether they have, so an answer is never older than its request.
    Requests that come together share that look-up, and the computation of an answer.
    """

    def __init__(self, reader: SnapshotReader, heads: LogHeads) -> None:
        self._reader, self._heads = reader, heads
        self._state: Hashable = None
        self._responses: dict[Key, _CachedResponse] = {}
        self._urls: dict[tuple[str, bytes], tuple[Key, BaseRoute]] = {}
        self._bytes = 0
        self._computing: dict[Hashable, asyncio.Task[_CachedResponse]] = {}

    def note(self, scope: Scope, key: Key) -> None:
        """Note which key the URL of a request stands for."""
        if len(scope["query_string"]) <= _LONGEST_QUERY:
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            self._urls[scope["path"], scope["query_string"]] = (key, scope["route"])

    async def known(self, scope: Scope, now: datetime) -> Response | None:
        """Return the cached response of a URL whose key was noted, None where there is none; raises Problem."""
        noted = self._urls.get((scope["path"], scope["query_string"]))
        if noted is None:
            return None
        (question, day), scope["route"] = noted  # the route for the metrics
        state = (await self._reader.state(), await self._heads.recent())
        cached = self._responses.get((question, None if day is None else today(now)))
        if cached is None or state != self._state:
            return None
        headers = Headers(scope=scope)
        may_zip = "gzip" in headers.get("accept-encoding", "")
        response = _unless_known(cached.response(now, may_zip=may_zip), headers.get("if-none-match"))
        response.headers["Vary"] = "Accept-Encoding"
        return response

    async def respond(self, key: Key, compute: Callable[[], Awaitable[Computed]], now: datetime) -> Response:
        """Return the cached response of a key, else compute it; `now` is the instant of the request."""
        state = (await self._reader.state(), await self._heads.recent())
        if state == self._state and (cached := self._responses.get(key)) is not None:
            return cached.response(now)
        task = self._computing.get((state, key))
        if task is None:
            task = self._computing[state, key] = asyncio.create_task(self._compute(key, compute, now))
            task.add_done_callback(lambda _: self._computing.pop((state, key), None))
        # A client that disconnects must not cancel the computation that others wait for.
        return (await asyncio.shield(task)).response(now)

    async def _compute(self, key: Key, compute: Callable[[], Awaitable[Computed]], now: datetime) -> _CachedResponse:
        body, state, until_now, latest = await compute()
        text = orjson.dumps({**body, "known_at": _NOW} if until_now else body)
        parts = tuple(text.split(_NOW.encode(), 1)) if until_now else (text,)
        response = _CachedResponse(key, parts, f'W/"{hashlib.sha256(text).hexdigest()[:32]}"')
        # With clocks that disagree, what is known now may change by time alone.
        if latest is None or latest <= now:
            self._store(state, key, response, len(text))
        return response

    def _store(self, state: Hashable, key: Key, response: _CachedResponse, size: int) -> None:
        if state != self._state or self._bytes + size > _MOST_BYTES:
            self._state, self._responses, self._bytes = state, {}, 0
        self._responses[key] = response
        self._bytes += size


class KnownAnswers:
    """ASGI middleware: gives again what the cache has for a URL, without the app; all else goes on to the app.

    It stands inside access control, and what it gives is the same for everybody who may ask.
    """

    def __init__(self, app: ASGIApp, cache: ResponseCache, clock: Callable[[], datetime]) -> None:
        self._app, self._cache, self._clock = app, cache, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_get = scope["type"] == "http" and scope["method"] == "GET"
        try:
            answer = await self._cache.known(scope, self._clock()) if is_get else None
        except Problem as problem:  # at once: the app would wait for the database as long again
            answer = problem.response(language_in(scope))
        await (answer or self._app)(scope, receive, send)
