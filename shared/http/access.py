"""Access control over HTTP: key, role and rate of a caller, and the headers that every response has."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contract.decoder import Channel
from shared.http.api_keys import Key, KeyRing, Role
from shared.http.problems import Problem, language_in, problem_of
from shared.http.query_parameters import KnownParameters
from shared.http.route_names import RouteNames
from shared.http.server import HSTS
from shared.http.unknown_page import HEADERS, NOTHING_THERE, is_visited, page_of
from shared.observability.health import Health

# Open to monitoring: none of these reveals anything of a report or a person.
PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
# Pages and the description of the API are the same for everybody; the data they display needs a key.
_OPEN: Final = PROBES | {"/", "/docs", "/map.json", "/openapi.json", "/asyncapi.yaml", "/schemas"}
_OPEN_BELOW: Final = ("/assets/", "/schemas/")
_RECEIPTS: Final = frozenset({Role.DISTRICT, Role.PLANNER, Role.OPERATOR, Role.AUDITOR, Role.SERVICE})
# What each role may do, by method and prefix of the path. The longest match decides; without one, no role may.
# Which sources a district or a planner speaks for is decided report by report (RULES A10).
PERMISSIONS: Final[Mapping[tuple[str, str], frozenset[Role]]] = {
    ("POST", "/v1/events"): frozenset({Role.DISTRICT, Role.PLANNER}),
    ("POST", "/v1/validate"): frozenset({Role.DISTRICT, Role.PLANNER}),
    ("POST", "/v1/would-count"): frozenset(Role),
    ("POST", "/v1/plans"): frozenset({Role.PLANNER}),
    ("GET", "/v1/receipts"): _RECEIPTS,
    ("POST", "/v1/receipts/query"): _RECEIPTS,
    ("POST", "/v1/session"): frozenset(Role),
    ("DELETE", "/v1/session"): frozenset(Role),
    ("POST", "/v1/tables"): frozenset({Role.DISTRICT, Role.PLANNER}),
    ("GET", "/v1/districts"): frozenset({Role.DISTRICT, Role.PLANNER, Role.OPERATOR, Role.AUDITOR}),
    ("GET", "/v1/difference"): frozenset({Role.PLANNER, Role.OPERATOR, Role.AUDITOR}),
    ("GET", "/v1/log"): frozenset({Role.OPERATOR, Role.AUDITOR, Role.SERVICE}),
    **{
        ("GET", f"/v1/log/{hashes}"): frozenset(Role)
        for hashes in ("key", "checkpoint", "tile", "proof", "consistency")
    },
    ("GET", ""): frozenset(Role),
}
_CALLER: Final = "skillplan.caller"
REFUSAL: Final = "skillplan.refusal"  # in the scope: the problem by which what stands outside refuses the request
_BURST: Final = 1000  # a whole batch (RULES A16)
_MOST_AT_ONCE: Final = 200  # requests of one key, those that follow the numbers among them
# A response is data unless the app sets these headers itself, as the pages do.
_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
_FEATURES: Final = ("camera", "geolocation", "microphone", "payment", "usb")
_HEADERS_OF_TLS: Final = [
    (b"strict-transport-security", HSTS),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b", ".join(f"{feature}=()".encode() for feature in _FEATURES)),
]
_LOOPBACK: Final = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REFUSALS: Final = frozenset({401, 403, 429})
_LOGGED_A_SECOND: Final = 1.0
_LOGGED_AT_ONCE: Final = 20
_log = structlog.get_logger()


class TokenBucket:
    """A token bucket: refilled at a rate, up to a burst."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, count: int, now: float) -> float:
        """Take tokens and return 0; with too few, take none and return the seconds until there are enough."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if count <= self._tokens:
            self._tokens -= count
            return 0
        return (min(count, self._burst) - self._tokens) / self._rate


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request: the holder of a key, or anybody while no keys are set."""

    key: Key | None = None
    bucket: TokenBucket | None = field(default=None, repr=False)

    def channel(self) -> Channel:
        """Return for whom the caller may speak."""
        if self.key is None:
            return Channel()
        return Channel(prefixes=self.key.prefixes, for_whole=self.key.role is Role.PLANNER, reported_by=self.key.id)

    def being(self, roles: frozenset[Role]) -> "Caller":
        """Return the caller; raise a Problem unless it has one of these roles."""
        if self.key is not None and self.key.role not in roles:
            raise NOT_ALLOWED
        return self

    def must_cover(self, source: str) -> None:
        """Raise a Problem when the caller may see only its own sources and this is none of them."""
        if self.key is not None and self.key.role is Role.DISTRICT and not self.channel().admits(source, ""):
            raise Problem(403, "您的密钥不能查看这个 source。", "Your key does not cover this source.")

    def spend(self, events: int) -> None:
        """Count events against the rate of the key; raise a Problem when they are too many."""
        if self.bucket is None or (seconds := self.bucket.take(events, time.monotonic())) == 0:
            return
        raise too_often(seconds)


def too_often(seconds: float) -> Problem:
    """Return the problem of a caller who may try again in so many seconds."""
    return Problem(
        429,
        "超过该密钥的速率上限,请按 Retry-After 稍后重发;原样重发不会重复计数。",
        "More than this key's rate allows; send it again after Retry-After: the same again counts once.",
        retry_after=str(math.ceil(seconds)),
    )


_TOO_MANY: Final = Problem(
    429,
    "该密钥同时进行的请求过多,请待前面的答复后再发。",
    "Too many requests of this key at once; wait for the answers to the earlier ones.",
    retry_after="5",
)
_ANYBODY: Final = Caller()
NOT_ALLOWED: Final = Problem(403, "您的密钥没有这项权限。", "The role of your key does not allow this.")
_FROM_ELSEWHERE: Final = Problem(
    403,
    "未设密钥时只接受发往 localhost、127.0.0.1 或 [::1] 的请求,不接受别处网页发出的;请用这些地址,或先建密钥。",
    "While no keys are set, only requests to localhost, 127.0.0.1 or [::1] are taken, and none sent by a page of "
    "elsewhere: use such an address, or make keys.",
)


def caller_of(request: Request) -> Caller:
    """Return the caller of a request."""
    caller: Caller = request.scope.get(_CALLER, _ANYBODY)
    return caller


def reporter_in(scope: Scope) -> str:
    """Return by whose credential a request came that was let in (RULES G5)."""
    caller: Caller = scope.get(_CALLER, _ANYBODY)
    return caller.channel().reported_by


class AccessControl:
    """ASGI middleware: admits requests as the keys allow, refuses parameters that the app would leave unread, and adds
    the headers that every response must have."""

    def __init__(self, app: ASGIApp, ring: KeyRing, rate: float, health: Health, origins: Iterable[str] = ()) -> None:
        """`origins`: those of pages elsewhere that may ask (CORS)."""
        self._app, self._ring, self._rate, self._health = KnownParameters(app), ring, rate, health
        self._origins = frozenset(origin.encode() for origin in origins)
        self._buckets: dict[str, TokenBucket] = {}
        self._running: Counter[str] = Counter()  # requests that are being answered, by key
        names = RouteNames(getattr(app, "routes", ()))
        self._refusals = _RefusalLog(names)
        # A page at an unknown address leads back to the first one, which the services of reports do not have.
        self.has_pages = not names.all.isdisjoint(("/", "/{path:path}"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head_only = scope["method"] == "HEAD"
        if head_only:  # a GET whose answer ends with its head (RFC 9110, 9.3.2); routes know GET only
            scope = {**scope, "method": "GET"}
        answer = _Answer(scope, send, self, head_only)
        self._ring.refresh()
        self._health.report("keys", self._ring.problem)
        if scope["path"] in PROBES:
            self._health.warn("keys", self._ring.warning(datetime.now(UTC)))
        try:
            caller = scope[_CALLER] = self._admit(scope)
        except Problem as problem:
            await problem.response(language_in(scope))(scope, receive, answer)
            return
        id_ = caller.key.id if caller.key else ""
        self._running[id_] += 1
        try:
            await self._app(scope, receive, answer)
        except Exception:
            if answer.started:
                raise
            _log.exception("http.failed")
            await problem_of(500).response(language_in(scope))(scope, receive, answer)
        finally:
            self._running[id_] -= 1

    def _admit(self, scope: Scope) -> Caller:
        path = scope["path"]
        if REFUSAL in scope:
            raise scope[REFUSAL]
        if not self._ring.closed and path not in PROBES and self._is_from_elsewhere(scope):
            raise _FROM_ELSEWHERE
        if not self._ring.closed or is_open(path):
            return _ANYBODY
        key = self._key(scope)
        if key.role not in _allowed(scope["method"], path):
            raise NOT_ALLOWED
        bucket = self._buckets.get(key.id)
        if bucket is None:
            bucket = self._buckets[key.id] = TokenBucket(self._rate, max(self._rate, _BURST), time.monotonic())
        if self._running[key.id] >= _MOST_AT_ONCE:
            raise _TOO_MANY
        caller = Caller(key, bucket)
        caller.spend(1)
        return caller

    def _is_from_elsewhere(self, scope: Scope) -> bool:
        """Tell whether a request, while no keys are set, may be one that a page of elsewhere had a browser send.

        A name that is none of this machine's may be rebound to it by its owner. Our own processes, which ask each other
        by the names of containers, have keys from the start.
        """
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
            try:
                self._key(scope)
            except Problem:
                return True
        origins = [value for name, value in headers if name == b"origin"]
        named = bool(origins) and self._origins.issuperset(origins)
        same = all(origin.lower().partition(b"://")[2] == b"".join(hosts).lower() for origin in origins)
        cross_site = any(name == b"sec-fetch-site" and value.lower() == b"cross-site" for name, value in headers)
        return not named and (not same or cross_site)

    def still_admits(self, scope: Scope) -> bool:
        """Tell whether who began to read a stream may read on: a key may have been revoked, or made, since."""
        self._ring.refresh()
        key = scope.get(_CALLER, _ANYBODY).key
        if key is None:
            return not self._ring.closed or is_open(scope["path"])
        return self._ring.holds(key, datetime.now(UTC))

    def note(self, scope: Scope, status: int) -> None:
        """Log a refusal."""
        if status in _REFUSALS:
            self._refusals.note(scope, status, scope.get(_CALLER, _ANYBODY).key)

    def _key(self, scope: Scope) -> Key:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            raise NO_KEY
        now = datetime.now(UTC)
        key = self._ring.find(token.strip(), now)
        if key is None:
            raise _unauthorized("密钥无效。", "The key is not valid.", "invalid_token")
        scope[_CALLER] = Caller(key)  # whose it was, also where it is refused
        match key.state(now):
            case "revoked":
                raise _unauthorized("密钥已撤销。", "The key was revoked.", "invalid_token")
            case "expired":
                raise _unauthorized(
                    "密钥已过期;请向发放者要新的。",
                    "The key has expired; ask who issued it for another.",
                    "invalid_token",
                )
        return key


def is_open(path: str) -> bool:
    """Tell whether a path needs no key."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _allowed(method: str, path: str) -> frozenset[Role]:
    allowed, length = frozenset[Role](), -1
    for (m, beginning), roles in PERMISSIONS.items():
        if m == method and len(beginning) > length and (path + "/").startswith(beginning + "/"):
            allowed, length = roles, len(beginning)
    return allowed


def _unauthorized(zh: str, en: str, error: str = "") -> Problem:
    challenge = 'Bearer realm="skillplan"' + (f', error="{error}"' if error else "")
    return Problem(401, zh, en, www_authenticate=challenge)


NO_KEY: Final = _unauthorized("请在 Authorization: Bearer 中给出密钥。", "Send your key as Authorization: Bearer.")


class _RefusalLog:
    """Logs refused requests: who asked from where for what, at a bounded rate; what was not logged is counted."""

    def __init__(self, names: RouteNames) -> None:
        self._names = names
        self._bucket = TokenBucket(_LOGGED_A_SECOND, _LOGGED_AT_ONCE, time.monotonic())
        self._not_logged = 0

    def note(self, scope: Scope, status: int, key: Key | None) -> None:
        if self._bucket.take(1, time.monotonic()):
            self._not_logged += 1
            return
        peer = scope.get("client")
        _log.warning(
            "http.refused",
            status=status,
            key=key.id if key else None,
            peer=peer[0] if peer else None,
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=self._names.wanted(scope),
            not_logged=self._not_logged,
        )
        self._not_logged = 0


class _Answer:
    """Sends an app's response with our headers; an error that is no JSON yet becomes a problem.

    A stream of events ends once its reader's key is no longer valid.
    """

    def __init__(self, scope: Scope, send: Send, control: AccessControl, head_only: bool) -> None:
        self._scope = scope
        self._send = send
        self._control = control
        self._is_stream = False
        self._head_only = head_only
        self._ended = False
        self.started = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] != "http.response.start":
            if self._is_stream and not self._control.still_admits(self._scope):
                self._ended = True
                message = {"type": "http.response.body", "body": b""}
            await self._send(message)
            return
        self.started = True
        message, body = self._start(message)
        await self._send(message)
        if self._head_only or body:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"" if self._head_only else body})

    def _start(self, message: Message) -> tuple[Message, bytes]:
        """Return it with our headers, and a body to take the place of the app's."""
        status, headers = message["status"], list(message.get("headers", []))
        names = {name.lower(): value for name, value in headers}
        body = b""
        dropped = (b"content-type", b"content-length", b"content-encoding")
        self._control.note(self._scope, status)
        self._is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        if status in NOTHING_THERE and self._control.has_pages and is_visited(self._scope):
            status, body = NOTHING_THERE[status], page_of(self._scope)
            ours = {name for name, _ in HEADERS} | {*dropped, b"www-authenticate", b"content-language"}
            headers = [(name, value) for name, value in headers if name.lower() not in ours]
            headers += [*HEADERS, (b"content-length", b"%d" % len(body))]
        # Frameworks answer some errors in plain text of their own.
        elif status >= 400 and b"json" not in names.get(b"content-type", b""):  # noqa: PLR2004
            headers = [(name, value) for name, value in headers if name.lower() not in dropped]
            body = problem_of(status).body(language_in(self._scope))
            headers += [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        fixed = [*_HEADERS, *(_HEADERS_OF_TLS if self._scope.get("scheme") == "https" else ())]
        names |= dict(headers)
        headers += [pair for pair in fixed if pair[0] not in names]
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"no-store"))
        return {**message, "status": status, "headers": headers}, body
