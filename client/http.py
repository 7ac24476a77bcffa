"""How a district reports over HTTP: batches to the service of each type, patient with one that is busy or away."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson
import stamina

from client.kafka import CannotPublishError, route
from client.output import AWAY, CommandError

_BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
_MOST: Final = 500
_LARGEST: Final = 3 * 1024 * 1024
_TOO_LARGE: Final = 413
_TRY_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE: Final = 60.0


class AwayError(Exception):
    """The service did not answer, or not yet; `pause` as it asked for."""

    def __init__(self, service: str, pause: float | None = None) -> None:
        super().__init__(service)
        self.service, self.pause = service, pause


def _again(error: Exception) -> bool | timedelta:
    if not isinstance(error, AwayError):
        return False
    return True if error.pause is None else timedelta(seconds=min(error.pause, _LONGEST_PAUSE))


class WebClient:
    """Posts reports in batches and returns their receipts; the same batch again after a break changes nothing."""

    def __init__(self, services: Mapping[str, str], key: str | None, patience: float, ca: Path | None) -> None:
        self._services, self._patience = services, max(patience, 0.001)  # 0 would be warned of
        if key is not None and not (key.isascii() and key.isprintable()):
            raise CommandError(
                "密钥中有不可用的字符;请整段复制。",
                "The key holds a character that cannot be; copy it whole.",
                "bad-key",
            )
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            trusted = ssl.create_default_context(cafile=ca)
        except OSError:
            raise CommandError(
                "SKILLPLAN_CA 不是可用的证书文件。", "SKILLPLAN_CA is no usable file of certificates."
            ) from None
        self._http = httpx.AsyncClient(timeout=30, headers=headers, verify=trusted)
        stamina.instrumentation.set_on_retry_hooks([])
        logging.getLogger("httpx").setLevel(logging.WARNING)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | CannotPublishError]:
        """Return the receipt of each report, or why it alone could not be sent; in the order given."""
        outcomes: dict[int, dict[str, Any] | CannotPublishError] = {}
        by_service: dict[str, list[int]] = {}
        for at, event in enumerate(events):
            try:
                by_service.setdefault(route(event)[0].split(".")[0], []).append(at)
            except CannotPublishError as error:
                outcomes[at] = error
        for service, places in by_service.items():
            for batch in _batches(places, [orjson.dumps(events[at]) for at in places]):
                receipts = await self._post(service, [raw for _, raw in batch])
                outcomes.update(zip((at for at, _ in batch), receipts, strict=True))
        return [outcomes[at] for at in range(len(events))]

    async def receipt(self, service: str, source: str, id_: str) -> dict[str, Any] | None:
        """Return the receipt of a report as it stands now, None when it was never received."""
        answer = await self._ask(service, "GET", "/v1/receipts", params={"source": source, "id": id_})
        if answer.status_code == 404:  # noqa: PLR2004
            return None
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def page(self, district: str, after: str | None) -> dict[str, Any]:
        """Return a page of a district's receipts, the latest first, and where the next one is."""
        asked = {"limit": str(_MOST)} | ({"after": after} if after else {})
        answer = await self._ask("projection", "GET", f"/v1/districts/{district}/receipts", params=asked)
        if not answer.is_success:
            raise CommandError(answer.json()["zh"], answer.json()["en"])
        shown: dict[str, Any] = answer.json()
        return shown

    async def _post(self, service: str, batch: Sequence[bytes]) -> list[dict[str, Any] | CannotPublishError]:
        answer = await self._ask(service, "POST", "/v1/events", content=b"[" + b",".join(batch) + b"]", headers=_BATCH)
        if answer.status_code == _TOO_LARGE:
            if len(batch) == 1:
                return [CannotPublishError("超过服务允许的大小  larger than the service takes")]
            half = len(batch) // 2
            return [*await self._post(service, batch[:half]), *await self._post(service, batch[half:])]
        receipts: list[dict[str, Any] | CannotPublishError] = answer.json()["results"]
        return receipts

    async def _ask(self, service: str, method: str, path: str, **request: Any) -> httpx.Response:
        """Ask until there is an answer, for as long as patience lasts. Raises Refusal when there is none, or the key
        is no good."""
        url = self._services.get(service)
        if url is None:
            raise CommandError(
                f"没有 {service} 服务的地址。请设置 SKILLPLAN_SERVICES。",
                f"There is no address of the {service} service. Set SKILLPLAN_SERVICES.",
            )
        try:
            async for attempt in stamina.retry_context(
                on=_again, attempts=None, timeout=self._patience, wait_initial=0.2, wait_max=10.0
            ):
                with attempt:
                    return await self._once(service, method, url.rstrip("/") + path, **request)
        except AwayError:
            pass
        raise CommandError(
            f"{service} 服务没有应答或暂时不能作出决定。稍后重新运行同一命令,会从断点继续。",
            f"The {service} service does not answer or cannot decide now. Run the same command later; it goes on "
            "from here.",
            "service-away",
            AWAY,
        )

    async def _once(self, service: str, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, url, **request)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise CommandError(
                f"{service} 服务的地址有误。", f"The address of the {service} service is wrong."
            ) from None
        except httpx.TransportError:
            raise AwayError(service) from None
        if answer.status_code in _TRY_AGAIN:
            after = answer.headers.get("retry-after", "")
            raise AwayError(service, float(after) if after.isdecimal() else None)
        if answer.status_code in (401, 403):
            raise CommandError(
                "密钥无效、已过期,或无此权限。请核对 SKILLPLAN_KEY。",
                "The key is not valid, has expired, or does not allow this. Check SKILLPLAN_KEY.",
                "bad-key",
            )
        if answer.status_code not in (200, 202, 404, 422, _TOO_LARGE):
            raise CommandError(
                f"{service} 服务答复 HTTP {answer.status_code};请核对地址。",
                f"The {service} service answers HTTP {answer.status_code}; check its address.",
            )
        return answer


def _batches(places: Sequence[int], raws: Sequence[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    size = 0
    for at, raw in zip(places, raws, strict=True):
        if batch and (len(batch) == _MOST or size + len(raw) > _LARGEST):
            yield batch
            batch, size = [], 0
        batch.append((at, raw))
        size += len(raw) + 1
    if batch:
        yield batch
