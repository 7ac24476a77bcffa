"""The services behind the gateway: one pool of connections, each request passed on with its caller's own headers."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope
from yarl import URL

from shared.http.problems import Problem
from shared.observability.health import Health

PROJECTION: Final = "projection"
# Of one connection only (RFC 9110, section 7.6.1), or written anew for the next one.
_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"proxy-authenticate", b"proxy-authorization", b"content-length", b"expect", b"x-request-id")
)  # fmt: skip
_NOT_OURS: Final = _HOP_BY_HOP | {b"date", b"server"}  # of a response: the listener writes its own
# Who asks and from where, without what describes the body: for requests that the gateway makes out of one.
_OF_THE_CALLER: Final = frozenset(
    (b"authorization", b"host", b"origin", b"sec-fetch-site", b"accept-language", b"traceparent", b"user-agent")
)
# A service admits 250 connections of one address: ordinary requests wait for one of these, the rest is for streams.
_CONNECTIONS: Final = 100
_KEPT_SECONDS: Final = 3  # shorter than uvicorn keeps an idle connection, so that none is used which it just closed
_SECONDS: Final = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=65)  # an export comes within 60
_AWAY: Final = (aiohttp.ClientError, TimeoutError, OSError)
_WHOLE: Final = 256 * 1024  # a longer response, or one of unknown length, is passed on as it comes
_NO_CONTENT: Final = frozenset((204, 304))
_OF_PROXIES: Final = frozenset((502, 503, 504))
_OURS: Final = ("application/problem+json", "application/json")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """A service's response to what the gateway asked: its headers in their order, without those of its connection."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def response(self) -> Response:
        """Return it as the gateway's own response."""
        return _with_headers(Response(self.body, self.status), self.headers, len(self.body))


def away(services: Iterable[str]) -> Problem:
    """Return the problem of who needs services that do not answer; whoever needs others does not have it."""
    names = "、".join(services)
    return Problem(
        503,
        f"{names} 暂时没有应答,请稍后原样重发;其余类型不受影响。",
        f"No answer now from: {names.replace('、', ', ')}; send the same again later. Other types are not affected.",
        retry_after="2",
    )


class Upstream:
    """Client of the services; `addresses`: of those that take reports, by name, in the catalogue's order."""

    def __init__(
        self, addresses: Mapping[str, str], projection: str, tls: SSLContext | bool, health: Health | None = None
    ) -> None:
        self.services = tuple(addresses)
        self._addresses = {**addresses, PROJECTION: projection}
        self._tls = tls
        self._health = health or Health()
        self._sessions: list[aiohttp.ClientSession] = []

    async def __aenter__(self) -> Self:
        for most in (_CONNECTIONS, 0):  # of streams as many as their service admits
            connector = aiohttp.TCPConnector(
                limit=0, limit_per_host=most, keepalive_timeout=_KEPT_SECONDS, ssl=self._tls, ttl_dns_cache=10
            )
            self._sessions.append(
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=_SECONDS,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                )
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions:
            await session.close()

    async def ask(
        self, service: str, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None = None
    ) -> ServiceResponse:
        """Return a service's whole response; raises Problem 503 when it does not answer."""
        try:
            async with self._sessions[0].request(
                method, self._url(service, target), headers=headers, data=body, allow_redirects=False
            ) as response:
                self._refuse_proxy(service, response)
                answer = ServiceResponse(response.status, _passed_on(response.raw_headers), await response.read())
        except _AWAY as error:
            raise self._away(service, error) from None
        self._health.warn(service, None)
        return answer

    async def forward(self, request: Request, service: str, target: str = "") -> Response:
        """Pass a request on as it is and return the response as it comes.

        `target`: path and query at the service, where they are others. Raises Problem 503 when it does not answer.
        """
        scope = request.scope
        is_stream = scope["path"].endswith("/stream")
        try:
            response = await self._sessions[is_stream].request(
                scope["method"],
                self._url(service, target or target_of(scope)),
                headers=headers_of(scope),
                data=request.stream() if _has_body(scope) else None,
                allow_redirects=False,
            )
        except _AWAY as error:
            raise self._away(service, error) from None
        self._refuse_proxy(service, response)
        self._health.warn(service, None)
        headers = _passed_on(response.raw_headers)
        length = response.content_length
        if response.status in _NO_CONTENT or (length is not None and length <= _WHOLE):
            try:
                whole = await response.read()
            except _AWAY as error:
                raise self._away(service, error) from None
            finally:
                response.release()
            return ServiceResponse(response.status, headers, whole).response()
        return _with_headers(StreamingResponse(_parts(response), response.status), headers, length)

    def _url(self, service: str, target: str) -> URL:
        address = self._addresses.get(service)
        if not address:
            raise away([service])
        return URL(address.rstrip("/") + target, encoded=True)

    def _refuse_proxy(self, service: str, response: aiohttp.ClientResponse) -> None:
        """Raise Problem 503 where a proxy in between answered in the place of the service."""
        if response.status in _OF_PROXIES and response.content_type not in _OURS:
            response.release()
            raise self._away(service, ConnectionError())

    def _away(self, service: str, error: BaseException) -> Problem:
        if service not in self._health.warnings:  # once, not for each request
            _log.warning("gateway.away", to=service, error=type(error).__name__)
        self._health.warn(service, f"does not answer: {type(error).__name__}")
        return away([service])


def target_of(scope: Scope) -> str:
    """Return path and query of a request exactly as they came."""
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"].partition(b"?")[0]
    return (path + b"?" + query if query else path).decode("latin-1")


def headers_of(scope: Scope) -> list[tuple[str, str]]:
    """Return the headers with which a request is passed on; Host and Origin stay, the service judges them itself."""
    return _request_headers(scope, lambda name: name not in _HOP_BY_HOP)


def headers_of_caller(scope: Scope, content_type: str = "") -> list[tuple[str, str]]:
    """Return the headers of a request that the gateway makes out of another one."""
    headers = _request_headers(scope, _OF_THE_CALLER.__contains__)
    return [*headers, ("content-type", content_type)] if content_type else headers


def _request_headers(scope: Scope, passes: Callable[[bytes], bool]) -> list[tuple[str, str]]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    passed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if passes(name.lower())]
    request_id = structlog.contextvars.get_contextvars().get("request_id")  # so that both logs name the same one
    return [*passed, ("x-request-id", request_id)] if request_id else passed


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in _NOT_OURS]


def _with_headers(response: Response, headers: list[tuple[bytes, bytes]], length: int | None) -> Response:
    bodiless = response.status_code in _NO_CONTENT
    own = [] if length is None or bodiless else [(b"content-length", b"%d" % length)]
    response.raw_headers = [*headers, *own]
    return response


async def _parts(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield what has come of a response, as soon as it has; one that breaks off breaks off for the caller, too."""
    try:
        async for part in response.content.iter_any():
            yield part
    finally:
        response.close()
