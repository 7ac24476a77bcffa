"""HTTP server: uvicorn with TLS and limits on handshakes, a request's time, the size of its head, and connections.

uvicorn bounds none of these with httptools: a client that sends its headers a byte a minute, or never reads the
response, would hold its connection for ever.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from cryptography import x509
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared.http.problems import Problem, problem_of
from shared.observability.health import ConfigurationError

_MOST_HEADERS: Final = 100
_LEAST_READ: Final = 1024  # bytes a second of an answer; a telephone line of 1990 had more
_HANDSHAKE_SECONDS: Final = 10
_MOST_HANDSHAKES: Final = 200  # at once, in all
_MOST_HANDSHAKES_OF_ONE: Final = 20
_LARGEST_HEAD: Final = 32 * 1024
_LINGER_SECONDS: Final = 2  # after the last byte that came for nothing
_LONGEST_LINGER: Final = 300  # a file of 300 MB over a slow line
_MOST_LINGERING: Final = 200  # in all; who comes besides is cut off at once
SLOW: Final = Problem(408, "请求未在限定时间内到齐。", "The request did not arrive in time.")
HSTS: Final = b"max-age=31536000; includeSubDomains"  # where there is TLS, browsers ask by nothing else from then on
_LARGE: Final = Problem(431, "请求头过多或过大。", "Too many headers, or too large ones.")
# What names one thing is there once: of two, one reader takes the first and the next the last (RFC 9110, 5.3 and 7.2).
# The attributes of an event in binary mode are such.
_SINGLE: Final = frozenset(
    {
        b"host",
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"cookie",
        b"origin",
        b"sec-fetch-site",
        b"x-csrf-token",
    }
)
_ATTRIBUTE: Final = b"ce-"
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_AMBIGUOUS: Final = Problem(
    400,
    "缺少 Host,或 Host、Authorization、Content-Type、Origin、Cookie、ce-… 等只可有一个的请求头有多个,"
    "或请求行写了另一个主机;请各发一个。",
    "Host is missing, or a header that may be there once (Host, Authorization, Content-Type, Origin, Cookie, ce-…) is "
    "there more often, or the request line names another host; send each once.",
)
_ENCODED: Final = Problem(
    415,
    "请求体不收压缩的;请去掉 Content-Encoding,原样发送。",
    "A body is taken as it is, not compressed: leave out Content-Encoding.",
    accept_encoding="identity",
)
_FULL: Final = Problem(
    503, "同时连接过多,请稍后再试。", "Too many connections at once; try again later.", retry_after="2"
)


class TlsRefused(ConfigurationError):
    """Certificate and key cannot be used."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until a request is complete or more of a response is read; how many connections, and of one address."""

    seconds: float = 30
    connections: int = 1000
    of_address: int = 250


class Configuration(uvicorn.Config):
    """uvicorn's configuration with our limits."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        limits: Limits,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        """Raise TlsRefused when the certificate cannot be used."""
        self.limits = limits
        self.tls: ssl.SSLContext | None = None
        self.addresses: Counter[str] = Counter()  # connections, by the address of the other side
        self.handshakes: Counter[str] = Counter()
        self.lingering = 0  # connections whose answer is out, and that still send
        if certificate is not None or key is not None:
            _check_pair(certificate, key)
        super().__init__(
            app,
            host=host,
            port=port,
            http=_Protocol if certificate is None else _Handshake,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # An open stream must not hold up the stop.
            timeout_graceful_shutdown=3,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )

    def load(self) -> None:
        """Keep TLS from uvicorn, which would let a client take a minute for its handshake and counts none of them."""
        super().load()
        self.tls, self.ssl = self.ssl, None


def _check_pair(certificate: Path | None, key: Path | None) -> None:
    if certificate is None or key is None:
        raise TlsRefused(
            "SKILLPLAN_TLS_CERT 与 SKILLPLAN_TLS_KEY 须同时设置。"
            "SKILLPLAN_TLS_CERT and SKILLPLAN_TLS_KEY go together; one is missing."
        )
    try:
        # Without `password` OpenSSL would prompt for one on a terminal that nobody watches.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise TlsRefused(
            f"证书 {certificate} 或其私钥 {key} 无法使用({why})。"
            "SKILLPLAN_TLS_CERT, SKILLPLAN_TLS_KEY: the certificate or its key cannot be used."
        ) from None
    # Shown, it would be refused by everybody, each in words of their own.
    ends = x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    if ends < datetime.now(UTC):
        raise TlsRefused(
            f"证书 {certificate} 已于 {ends:%Y-%m-%d} 过期,请换新。"
            f"SKILLPLAN_TLS_CERT: the certificate expired on {ends:%Y-%m-%d}; renew it."
        )


class _Handshake(asyncio.Protocol):
    """A connection until its TLS handshake is done, within a time and among so many; then HTTP goes on with it."""

    def __init__(self, config: Configuration, **connection: Any) -> None:
        self._config, self._connection = config, connection
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Nothing was read yet. The same connection goes on under another descriptor, as one that somebody accepted:
        # of those the loop bounds the handshake.
        accepted = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._task = asyncio.create_task(self._run(accepted, _address(transport)))
        cast("asyncio.Transport", transport).abort()  # uvloop's is no subclass

    async def _run(self, accepted: socket.socket, address: str) -> None:
        count = self._config.handshakes
        if count.total() >= _MOST_HANDSHAKES or count[address] >= _MOST_HANDSHAKES_OF_ONE:
            accepted.close()
            return
        count[address] += 1
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Protocol(self._config, **self._connection),
                accepted,
                ssl=self._config.tls,
                ssl_handshake_timeout=min(_HANDSHAKE_SECONDS, self._config.limits.seconds),
            )
        except (OSError, TimeoutError):  # no TLS, none that suits, too slow, gone
            accepted.close()
        finally:
            count[address] -= 1
            if not count[address]:
                del count[address]


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _fault(target: bytes, headers: list[tuple[bytes, bytes]], version: str) -> Problem | None:
    """Return why a request may be understood in two ways or not at all, None when it may not."""
    names = [name for name, _ in headers if name in _SINGLE or name.startswith(_ATTRIBUTE)]
    if len(names) != len(set(names)) or (b"host" not in names and version != "1.0"):
        return _AMBIGUOUS
    if version not in _VERSIONS:
        return problem_of(400)
    if not target.startswith(b"/"):  # "http://host/path": another host than Host is a second one
        _, _, rest = target.partition(b"://")
        if rest.partition(b"/")[0].lower() != dict(headers).get(b"host", b"").strip().lower():
            return _AMBIGUOUS
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return _ENCODED
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return problem_of(400)
    return None


class _Closing:
    """A connection as a response sees it that is its last one: closed once what the client sends has been read."""

    def __init__(self, protocol: "_Protocol") -> None:
        self._protocol = protocol

    def __getattr__(self, name: str) -> object:
        return getattr(self._protocol.transport, name)

    def close(self) -> None:
        self._protocol.close()


class _Protocol(HttpToolsProtocol):
    """A connection with a deadline: for its first request from the start, for a later one from its first byte."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _refused = False
    _discarded = 0
    _head = 0
    _head_done = False
    _began = False
    _peer = ""

    @property
    def _configuration(self) -> Configuration:
        assert isinstance(self.config, Configuration)  # noqa: S101 - nobody else makes one
        return self.config

    @property
    def _limits(self) -> Limits:
        return self._configuration.limits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        # Whatever cannot be sent at once is watched, also the little that is left when a connection is refused.
        self.transport.set_write_buffer_limits(high=1)  # under TLS 0 would mean always
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: nor does the kernel keep for longer what nobody reads on
            self._option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._limits.seconds * 1000))
        self._peer = _address(transport)
        addresses = self._configuration.addresses
        addresses[self._peer] += 1
        if len(self.connections) > self._limits.connections or addresses[self._peer] > self._limits.of_address:
            self._refuse(_FULL)
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._unread is not None:
            self._unread.cancel()
        if self._lingering is None:
            self._forget()
        else:
            self._lingering.cancel()
            self._configuration.lingering -= 1
        super().connection_lost(exc)

    def _forget(self) -> None:
        """Count this connection no longer."""
        self.connections.discard(self)
        if (left := self._configuration.addresses[self._peer] - 1) > 0:
            self._configuration.addresses[self._peer] = left
        else:
            del self._configuration.addresses[self._peer]

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self._limits.seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who do not read: an earlier request of this connection is being answered
            self._arm()
        elif self._head_done and self.cycle.response_started:
            self.linger() if self.cycle.response_complete else self._reset()  # part of its answer is of no use
        else:
            self._refuse(SLOW)

    def _refuse(self, problem: Problem) -> None:
        """Respond without calling the app, and close."""
        if self._refused:
            return
        self._refused = True
        body = problem.body()
        lines = [
            STATUS_LINE[problem.status],
            b"content-type: application/problem+json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
            *(f"{name}: {value}\r\n".encode() for name, value in problem.headers.items()),
            *((b"strict-transport-security: %b\r\n" % HSTS,) if self.config.is_ssl else ()),
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body),
            body,
        ]
        self.transport.write(b"".join(lines))
        self.linger()

    def close(self) -> None:
        """End it, its last answer being out."""
        if self._deadline is None:  # the request has come whole
            self.transport.close()
        else:
            self.linger()

    def on_response_complete(self) -> None:
        if self._lingering is None:
            super().on_response_complete()

    def linger(self) -> None:
        """Close it for writing, and read what still comes until the client has read its answer and closes, too.

        Closed with something unread, it would be reset: a browser that sends a file would never see why it was refused.
        """
        self._refused = True
        self._disarm()
        if self._lingering is not None or self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        is_answering = self.pipeline or (cycle is not None and cycle.response_started and not cycle.response_complete)
        if is_answering or self._configuration.lingering >= _MOST_LINGERING:
            self.transport.close()
            return
        if cycle is not None and not cycle.response_started:  # as when the client has gone
            cycle.disconnected = True
            cycle.message_event.set()
        self._forget()
        self._configuration.lingering += 1
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():  # not under TLS, where the answer says where it ends
            self.transport.write_eof()
        began, before = self.loop.time(), -1

        def look() -> None:
            nonlocal before
            if self._discarded == before or self.loop.time() - began > _LONGEST_LINGER:
                self.transport.close()
            else:
                before = self._discarded
                self._lingering = self.loop.call_later(_LINGER_SECONDS, look)

        look()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discarded += len(data)
            return
        if self._deadline is None:
            self._arm()
        self._began = False
        super().data_received(data)
        if not self._head_done and not self._began:
            # The parser keeps a header until its end, however long it grows. What came with its beginning does not
            # count: whole requests may have come before it.
            self._head += len(data)
            if self._head > _LARGEST_HEAD:
                self._refuse(_LARGE)

    def send_400_response(self, msg: str) -> None:
        self._refuse(problem_of(400))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:  # what trails a body is nothing to us
            super().on_header(name, value)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._head_done, self._began = 0, False, True

    def on_headers_complete(self) -> None:
        self._head_done = True
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > _MOST_HEADERS or size > _LARGEST_HEAD:
            self._refuse(_LARGE)
        elif fault := _fault(self.url, self.headers, self.parser.get_http_version()):
            self._refuse(fault)
        if self._refused:
            return
        super().on_headers_complete()
        if not self.cycle.keep_alive:
            self.cycle.transport = cast("asyncio.Transport", _Closing(self))

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._disarm()
        self._head = 0
        if not self._refused:
            super().on_message_complete()

    def _reset(self) -> None:
        """End it at once: closed, the kernel would keep megabytes of an answer for minutes, for nobody."""
        self._option(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _option(self, level: int, name: int, value: int | bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone already
            self.transport.get_extra_info("socket").setsockopt(level, name, value)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _watch_reader(self) -> None:
        """Cut off who does not read its answer, or less of it than anybody's line carries."""
        before = self.transport.get_write_buffer_size()
        least = min(before, int(_LEAST_READ * self._limits.seconds))

        def look() -> None:
            if before - self.transport.get_write_buffer_size() < least:
                self._reset()
            else:
                self._watch_reader()

        self._unread = self.loop.call_later(self._limits.seconds, look)
