"""Reporting over HTTP: batches to the service of each type, retried while it is busy or away."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypedDict

import httpx
import orjson
import stamina

from client.messages import JsonObject, Receipt, read_receipt
from client.output import AWAY, CommandError
from client.routing import CannotPublishError, route

_BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
_BATCH_REPORTS: Final = 500
_BATCH_BYTES: Final = 3 * 1024 * 1024
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = 413
_TRY_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE: Final = 60.0


SendOutcome = Receipt | CannotPublishError


class ReceiptPage(TypedDict):
    """A page of a district's receipts, the latest first; `next` is the cursor of the next page."""

    receipts: list[Receipt]
    next: str | None


class _Encoded(NamedTuple):
    """A report as it is sent, and its place among those given."""

    place: int
    raw: bytes


class AwayError(Exception):
    """The service did not answer, or wants the request again, after `pause` seconds where it names a time."""

    def __init__(self, service: str, pause: float | None = None) -> None:
        super().__init__(service)
        self.service, self.pause = service, pause


def _retry_after(error: Exception) -> bool | timedelta:
    if not isinstance(error, AwayError):
        return False
    return True if error.pause is None else timedelta(seconds=min(error.pause, _LONGEST_PAUSE))


class WebClient:
    """Posts reports in batches and returns their receipts; sending a batch again changes nothing (RULES A4)."""

    def __init__(self, services: Mapping[str, str], key: str | None, patience: float, ca: Path | None) -> None:
        self._services, self._patience = services, max(patience, 0.001)  # stamina warns of 0
        headers, verify = authorization(key), trusted(ca)
        self._http = httpx.AsyncClient(timeout=30, headers=headers, verify=verify)
        stamina.instrumentation.set_on_retry_hooks([])
        logging.getLogger("httpx").setLevel(logging.WARNING)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(self, events: Sequence[JsonObject]) -> list[SendOutcome]:
        """Return the receipt of each report, or why it alone could not be sent; in the order given."""
        outcomes: dict[int, SendOutcome] = {}
        by_service: dict[str, list[_Encoded]] = {}
        for place, event in enumerate(events):
            try:
                by_service.setdefault(route(event).service, []).append(_Encoded(place, orjson.dumps(event)))
            except CannotPublishError as error:
                outcomes[place] = error
        for service, reports in by_service.items():
            for batch in _batches(reports):
                receipts = await self._post(service, [report.raw for report in batch])
                outcomes.update(zip((report.place for report in batch), receipts, strict=True))
        return [outcomes[place] for place in range(len(events))]

    async def receipt(self, service: str, source: str, id_: str) -> Receipt | None:
        """Return the current receipt of a report, None when it was never received."""
        response = await self._request(service, "GET", "/v1/receipts", params={"source": source, "id": id_})
        return None if response.status_code == _NOT_FOUND else read_receipt(response.content)

    async def page(self, district: str, after: str | None) -> ReceiptPage:
        """Return a page of a district's receipts."""
        parameters = {"limit": str(_BATCH_REPORTS)} | ({"after": after} if after else {})
        response = await self._request("projection", "GET", f"/v1/districts/{district}/receipts", params=parameters)
        if not response.is_success:
            problem = orjson.loads(response.content)
            raise CommandError(problem["zh"], problem["en"])
        page: ReceiptPage = orjson.loads(response.content)
        return page

    async def _post(self, service: str, batch: Sequence[bytes]) -> list[SendOutcome]:
        content = b"[" + b",".join(batch) + b"]"
        response = await self._request(service, "POST", "/v1/events", content=content, headers=_BATCH)
        if response.status_code == _TOO_LARGE:
            if len(batch) == 1:
                return [CannotPublishError("超过服务允许的大小", "larger than the service takes")]
            half = len(batch) // 2
            return [*await self._post(service, batch[:half]), *await self._post(service, batch[half:])]
        receipts: list[SendOutcome] = orjson.loads(response.content)["results"]
        return receipts

    async def _request(self, service: str, method: str, path: str, **request: Any) -> httpx.Response:
        """Repeat a request until it is answered or `patience` is over; raises CommandError where it is not answered,
        or the key is not valid."""
        url = self._services.get(service)
        if url is None:
            raise CommandError(
                f"没有 {service} 服务的地址。请设置 SKILLPLAN_SERVICES。",
                f"There is no address of the {service} service. Set SKILLPLAN_SERVICES.",
            )
        try:
            async for attempt in stamina.retry_context(
                on=_retry_after, attempts=None, timeout=self._patience, wait_initial=0.2, wait_max=10.0
            ):
                with attempt:
                    return await self._attempt(service, method, url.rstrip("/") + path, **request)
        except AwayError:
            pass
        raise CommandError(
            f"{service} 服务没有应答或暂时不能作出决定。稍后重新运行同一命令,会从断点继续。",
            f"The {service} service does not answer or cannot decide now. Run the same command later; it goes on "
            "from here.",
            "service-away",
            AWAY,
        )

    async def _attempt(self, service: str, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, url, **request)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise CommandError(
                f"{service} 服务的地址有误。", f"The address of the {service} service is wrong."
            ) from None
        except httpx.TransportError:
            raise AwayError(service) from None
        if response.status_code in _TRY_AGAIN:
            after = response.headers.get("retry-after", "")
            raise AwayError(service, float(after) if after.isdecimal() else None)
        if response.status_code in (401, 403):
            raise CommandError(
                "密钥无效、已过期,或无此权限。请核对 SKILLPLAN_KEY。",
                "The key is not valid, has expired, or does not allow this. Check SKILLPLAN_KEY.",
                "bad-key",
            )
        if response.status_code not in (200, 202, 404, 422, _TOO_LARGE):
            raise CommandError(
                f"{service} 服务答复 HTTP {response.status_code};请核对地址。",
                f"The {service} service answers HTTP {response.status_code}; check its address.",
            )
        return response


def authorization(key: str | None) -> dict[str, str]:
    """Return the header that carries a key, none without one; raises CommandError where it cannot be a key."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise CommandError(
            "密钥中有不可用的字符;请整段复制。", "The key holds a character that cannot be; copy it whole.", "bad-key"
        )
    return {"authorization": f"Bearer {key}"} if key else {}


def trusted(ca: Path | None) -> ssl.SSLContext:
    """Return whose certificates are trusted: the system's, or those of a CA file; raises CommandError."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError:
        raise CommandError(
            "SKILLPLAN_CA 不是可用的证书文件。", "SKILLPLAN_CA is no usable file of certificates."
        ) from None


def _batches(reports: Sequence[_Encoded]) -> Iterator[list[_Encoded]]:
    batch: list[_Encoded] = []
    size = 0
    for report in reports:
        if batch and (len(batch) == _BATCH_REPORTS or size + len(report.raw) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(report)
        size += len(report.raw) + 1
    if batch:
        yield batch
