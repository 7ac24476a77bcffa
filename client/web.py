"""The way out over HTTP, the same for every command: key, trusted certificates, proxy; and why nothing answered."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson

from client.output import CommandError

# No proxy stands between a program and its own machine.
_OWN_MACHINE: Final = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}


class Cause(NamedTuple):
    """Why there was no answer; `passes`: it may be otherwise in a moment."""

    zh: str
    en: str
    passes: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """How every client of HTTP is made: with the key, the CA of SKILLPLAN_CA or the system's, and the proxy of
    HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which is never asked for this machine's own addresses."""

    key: str | None
    ca: Path | None

    def asynchronous(self, seconds: float) -> httpx.AsyncClient:
        """Return a client that gives up after so many seconds; raises CommandError where a setting is wrong."""
        try:
            return httpx.AsyncClient(
                timeout=seconds, headers=self._headers(), verify=self._trusted(), mounts=_OWN_MACHINE
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            raise _wrong_proxy() from None

    def synchronous(self, seconds: float) -> httpx.Client:
        """Return a client that gives up after so many seconds; raises CommandError where a setting is wrong."""
        try:
            return httpx.Client(timeout=seconds, headers=self._headers(), verify=self._trusted(), mounts=_OWN_MACHINE)
        except (ValueError, ImportError, httpx.InvalidURL):
            raise _wrong_proxy() from None

    def _headers(self) -> dict[str, str]:
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise CommandError(
                "密钥中有不可用的字符;请整段复制。",
                "The key holds a character that no key has; copy the whole key.",
                "bad-key",
            )
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def _trusted(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError:
            raise CommandError(
                "SKILLPLAN_CA 不是可用的证书文件。", "SKILLPLAN_CA is not a usable file of certificates."
            ) from None


def _wrong_proxy() -> CommandError:
    return CommandError(
        "代理设置有误。请核对 HTTP_PROXY、HTTPS_PROXY、ALL_PROXY(应为 http://主机:端口)。",
        "The proxy setting is wrong. Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY (http://host:port).",
    )


def json_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the object in a response, None where it is none: as a page of a proxy."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def cause_of(error: Exception, url: str) -> Cause:
    """Return why a request to a URL had no answer; nothing in it quotes a password of a proxy."""
    chain = list(_chain(error))
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL) or not _is_address(url):
        return Cause("地址有误,应为 http://… 或 https://…", "the address is wrong; it is http://… or https://…", False)
    for inner in chain:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return Cause(
                f"它的证书未获信任,请设置 SKILLPLAN_CA({inner.verify_message})",
                f"its certificate is not trusted, set SKILLPLAN_CA ({inner.verify_message})",
                False,
            )
    if any(isinstance(inner, ssl.SSLError) for inner in chain):
        return Cause(
            "TLS 协商失败,地址应为 http:// 还是 https://?", "TLS failed; is its address http:// or https://?", False
        )
    proxy_zh, proxy_en = _proxy_of(url)
    if isinstance(error, httpx.ProxyError):
        return Cause(f"代理拒绝转接{proxy_zh}", f"the proxy refuses{proxy_en}", False)
    if any(isinstance(inner, socket.gaierror) for inner in chain):
        return Cause(
            f"找不到主机名,请核对地址或网络{proxy_zh}", f"no such host name; check address or network{proxy_en}", True
        )
    if isinstance(error, httpx.TimeoutException):
        return Cause(f"超时{proxy_zh}", f"time-out{proxy_en}", True)
    return Cause(f"连接不上或中断{proxy_zh}", f"no connection, or broken off{proxy_en}", True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_address(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _proxy_of(url: str) -> tuple[str, str]:
    """Return the words that name the proxy of a URL, empty where there is none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_own = False
    proxies = urllib.request.getproxies()
    name = next((name for name in (parts.scheme, "all") if name in proxies), None)
    if name is None or is_own or urllib.request.proxy_bypass(host):
        return "", ""
    variable = f"{name.upper()}_PROXY"
    return f",经代理 {variable}", f", by the proxy of {variable}"
