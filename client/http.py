"""Reporting over HTTP: batches to the service of each type, retried while it is busy or away."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple, Self, TypedDict, Unpack

import httpx
import orjson
import stamina

from client.messages import JsonObject, read_receipt
from client.output import AWAY, CommandError
from client.routing import CannotPublishError, CannotReachError, route
from client.web import Wire, cause_of, json_of
from shared.contract.messages import Receipt

_BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
_BATCH_REPORTS: Final = 500
_BATCH_BYTES: Final = 3 * 1024 * 1024
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = 413
_TRY_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE: Final = 60.0


SendOutcome = Receipt | CannotPublishError


class _RequestParts(TypedDict, total=False):
    params: Mapping[str, str]
    content: bytes
    headers: Mapping[str, str]


class ReceiptPage(TypedDict):
    """A page of a district's receipts, the latest first; `next` is the cursor of the next page."""

    receipts: list[Receipt]
    next: str | None


class _Encoded(NamedTuple):
    """A report as it is sent, and its place among those given."""

    place: int
    raw: bytes


class AwayError(Exception):
    """The service did not answer, or wants the request again, after `pause` seconds where it names a time; `zh` and
    `en` say why."""

    def __init__(self, zh: str, en: str, pause: float | None = None) -> None:
        super().__init__(en)
        self.zh, self.en, self.pause = zh, en, pause


def _retry_after(error: Exception) -> bool | timedelta:
    if not isinstance(error, AwayError):
        return False
    return True if error.pause is None else timedelta(seconds=min(error.pause, _LONGEST_PAUSE))


class WebClient:
    """Posts reports in batches and returns their receipts; sending a batch again changes nothing (RULES A4)."""

    def __init__(self, services: Mapping[str, str], wire: Wire, patience: float) -> None:
        self._services, self._patience = services, max(patience, 0.001)  # stamina warns of 0
        self._away: dict[str, CannotReachError] = {}
        self._http = wire.asynchronous(30)
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
                receipts = await self._send_to(service, batch)
                outcomes.update(zip((report.place for report in batch), receipts, strict=True))
        return [outcomes[place] for place in range(len(events))]

    async def _send_to(self, service: str, batch: Sequence[_Encoded]) -> Sequence[SendOutcome]:
        """Post a batch; a service that is away, or has no address, keeps nobody from the others and is not waited for
        again."""
        if service not in self._away:
            try:
                return await self._post(service, [report.raw for report in batch])
            except CannotReachError as error:
                self._away[service] = error
        return [self._away[service]] * len(batch)

    async def receipt(self, service: str, source: str, id_: str) -> Receipt | None:
        """Return the current receipt of a report, None when it was never received."""
        response = await self._request(service, "GET", "/v1/receipts", params={"source": source, "id": id_})
        if response.status_code == _NOT_FOUND and json_of(response) is not None:
            return None
        try:
            return read_receipt(response.content)
        except ValueError:
            raise _no_service(service, response) from None

    async def receipts(self, source: str, id_: str) -> list[Receipt]:
        """Return the receipts of an id, one from each service that knows it, as the projection has them."""
        response = await self._request("projection", "GET", "/v1/receipts", params={"source": source, "id": id_})
        body = json_of(response)
        if body is None:
            raise _no_service("projection", response)
        receipts: list[Receipt] = body.get("receipts", [])
        return receipts

    async def page(self, district: str, after: str | None) -> ReceiptPage:
        """Return a page of a district's receipts."""
        parameters = {"limit": str(_BATCH_REPORTS)} | ({"after": after} if after else {})
        response = await self._request("projection", "GET", f"/v1/districts/{district}/receipts", params=parameters)
        body = json_of(response)
        if body is None or not (response.is_success or "zh" in body):
            raise _no_service("projection", response)
        if not response.is_success:
            raise CommandError(body["zh"], body["en"])
        return ReceiptPage(receipts=body["receipts"], next=body.get("next"))

    async def _post(self, service: str, batch: Sequence[bytes]) -> list[SendOutcome]:
        content = b"[" + b",".join(batch) + b"]"
        response = await self._request(service, "POST", "/v1/events", content=content, headers=_BATCH)
        if response.status_code == _TOO_LARGE:
            if len(batch) == 1:
                return [CannotPublishError("超过服务允许的大小", "larger than the service takes")]
            half = len(batch) // 2
            return [*await self._post(service, batch[:half]), *await self._post(service, batch[half:])]
        receipts: list[SendOutcome] = (json_of(response) or {}).get("results", [])
        if len(receipts) != len(batch):
            raise _no_service(service, response)
        return receipts

    async def _request(self, service: str, method: str, path: str, **request: Unpack[_RequestParts]) -> httpx.Response:
        """Repeat a request until it is answered or `patience` is over; raises CannotReachError where it is not answered
        or there is no address, CommandError where the key is not valid."""
        url = self._services.get(service)
        if url is None:
            raise CannotReachError(
                f"没有 {service} 服务的地址。请设置 SKILLPLAN_SERVICES。",
                f"There is no address of the {service} service. Set SKILLPLAN_SERVICES.",
                "usage",
            )
        why: AwayError | None = None
        try:
            async for attempt in stamina.retry_context(
                on=_retry_after, attempts=None, timeout=self._patience, wait_initial=0.2, wait_max=10.0
            ):
                with attempt:
                    return await self._attempt(service, method, url.rstrip("/") + path, **request)
        except AwayError as error:
            why = error
        zh, en = (why.zh, why.en) if why else ("", "")
        raise CannotReachError(
            f"{service} 服务没有应答或暂时不能作出决定{zh}。稍后重新运行同一命令,会从断点继续。",
            f"The {service} service does not answer or cannot decide now{en}. Run the same command later; it goes on "
            "from here.",
            "service-away",
            AWAY,
        )

    async def _attempt(self, service: str, method: str, url: str, **request: Unpack[_RequestParts]) -> httpx.Response:
        try:
            response = await self._http.request(method, url, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = cause_of(error, url)
            if cause.passes:
                raise AwayError(f"({cause.zh})", f" ({cause.en})") from None
            raise CannotReachError(
                f"连不上 {service} 服务:{cause.zh}。",
                f"The {service} service cannot be reached: {cause.en}.",
                "no-service",
            ) from None
        status = response.status_code
        if status in _TRY_AGAIN:
            after = response.headers.get("retry-after", "")
            why = f"HTTP {status}" if json_of(response) is not None else f"HTTP {status},来自中间的网关或代理"
            why_en = f"HTTP {status}" if json_of(response) is not None else f"HTTP {status}, from a gateway or proxy"
            raise AwayError(f"({why})", f" ({why_en})", float(after) if after.isdecimal() else None)
        if status in (401, 403) and json_of(response) is not None:
            raise CommandError(
                "密钥无效、已过期,或无此权限。请核对 SKILLPLAN_KEY。",
                "The key is not valid, has expired, or does not allow this. Check SKILLPLAN_KEY.",
                "bad-key",
            )
        if status not in (200, 202, 404, 422, _TOO_LARGE):
            raise _no_service(service, response)
        return response


def _no_service(service: str, response: httpx.Response) -> CannotReachError:
    """Return the error of an answer that is none of a service: a proxy's, a gateway's, of another program."""
    status = response.status_code
    return CannotReachError(
        f"{service} 服务的地址上应答的不是该服务(HTTP {status})。请核对地址和代理设置(HTTP_PROXY、HTTPS_PROXY)。",
        f"What answers at the address of the {service} service is not this service (HTTP {status}). Check the address, "
        "and the proxy in HTTP_PROXY and HTTPS_PROXY.",
        "no-service",
    )


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
