"""Sessions of browsers: a key pasted once, sealed in an HttpOnly cookie that the gateway turns into the key again.

No session is stored, so that any gateway with the same key of its own can open the cookie. A session ends by
signing out, when its time is over, and when the key is revoked: every service that is asked refuses it then.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Final, Literal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.access import NO_KEY, REFUSAL, caller_of
from shared.http.problems import Problem

COOKIE: Final = "skillplan-session"
TOKEN_COOKIE: Final = "skillplan-csrf"  # noqa: S105 - its name; a page reads it, and says it in TOKEN_HEADER
TOKEN_HEADER: Final = "x-csrf-token"  # noqa: S105
_SHORT: Final = timedelta(hours=24)  # of a session that ends with the browser
_NONCE: Final = 12
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_UNAUTHORIZED: Final = 401
_FORGED: Final = Problem(
    403,
    "缺少防伪标记,未执行。请刷新页面后再试。",
    "The token against forged requests is missing; nothing was done. Load the page again.",
)


class Sessions:
    """Seals keys into cookies and opens them again; `secret`: 32 bytes that all gateways of an installation share."""

    def __init__(self, secret: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._cipher = AESGCM(hashlib.blake2b(secret, digest_size=32, person=b"session").digest())
        self._secret = hashlib.blake2b(secret, digest_size=32, person=b"csrf").digest()
        self._clock = clock

    def sealed(self, key: str, lasts: timedelta) -> str:
        """Return a key as the value of a cookie."""
        nonce = secrets.token_bytes(_NONCE)
        content = orjson.dumps({"key": key, "until": (self._clock() + lasts).timestamp()})
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, None)).decode()

    def opened(self, cookie: str) -> str | None:
        """Return the key in a cookie, None where it is none of ours or its time is over."""
        try:
            raw = base64.urlsafe_b64decode(cookie)
            content = orjson.loads(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None))
        except (ValueError, InvalidTag):
            return None
        return str(content["key"]) if content["until"] > self._clock().timestamp() else None

    def token(self, cookie: str) -> str:
        """Return what a page must say with a request that changes something: only one of ours can read it."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()


class BrowserSessions:
    """ASGI middleware: a request with a session's cookie and no key of its own goes on with the session's key."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        cookie = _cookie_in(headers)
        # No service has any use for a cookie, and none may see one that holds a key.
        headers = [(name, value) for name, value in headers if name != b"cookie"]
        scope = {**scope, "headers": headers}
        if cookie is None or any(name == b"authorization" for name, _ in headers):
            await self._app(scope, receive, send)
            return
        key = self._sessions.opened(cookie)
        if key is not None and scope["method"] not in _HARMLESS and not self._is_ours(cookie, headers):
            scope[REFUSAL] = _FORGED
        elif key is not None:
            scope["headers"] = [*headers, (b"authorization", f"Bearer {key}".encode("latin-1", "replace"))]

        async def send_and_end(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _UNAUTHORIZED:
                _forget(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_and_end)

    def _is_ours(self, cookie: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = b"".join(value for name, value in headers if name == TOKEN_HEADER.encode())
        return hmac.compare_digest(given, self._sessions.token(cookie).encode())


class WhoIsIn(BaseModel):
    """The holder of the key that a request came with, by the name that it was given; no id while no keys are set."""

    key: str | None
    role: str | None
    label: str
    sources: list[str]


def router_of(sessions: Sessions) -> APIRouter:
    """Return the routes by which a browser's session begins and ends; they are the page's own."""
    router = APIRouter(include_in_schema=False)

    @router.post("/v1/session")
    async def sign_in(
        request: Request,
        response: Response,
        days: Literal["0", "30"] = "0",
    ) -> WhoIsIn:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or caller_of(request).key is None:
            raise NO_KEY
        lasting = timedelta(days=int(days))
        cookie = sessions.sealed(key.strip(), lasting or _SHORT)
        safe = "; Secure" if request.url.scheme == "https" else ""
        lasts = f"; Max-Age={int(lasting.total_seconds())}" if lasting else ""
        rest = f"; Path=/; SameSite=Strict{lasts}{safe}"
        response.headers.append("set-cookie", f"{COOKIE}={cookie}; HttpOnly{rest}")
        response.headers.append("set-cookie", f"{TOKEN_COOKIE}={sessions.token(cookie)}{rest}")
        return _who(request)

    @router.get("/v1/session")
    async def get_session(request: Request) -> WhoIsIn:
        return _who(request)

    @router.delete("/v1/session", status_code=204)
    async def sign_out(response: Response) -> None:
        _forget(response.headers)

    return router


def _who(request: Request) -> WhoIsIn:
    key = caller_of(request).key
    if key is None:
        return WhoIsIn(key=None, role=None, label="", sources=[])
    return WhoIsIn(key=key.id, role=key.role, label=key.label, sources=list(key.prefixes))


def _forget(headers: MutableHeaders) -> None:
    for name in (COOKIE, TOKEN_COOKIE):
        headers.append("set-cookie", f"{name}=; Path=/; SameSite=Strict; Max-Age=0")


def _cookie_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the session's cookie of a request, None where there is none, or more than one."""
    values = []
    for name, value in headers:
        if name == b"cookie" and COOKIE.encode() in value:
            cookies: SimpleCookie = SimpleCookie()
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                continue
            if COOKIE in cookies:
                values.append(cookies[COOKIE].value)
    return values[0] if len(values) == 1 else None
