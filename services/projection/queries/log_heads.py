"""The heads of the services' logs, and how far the numbers are behind them."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg
import httpx
import structlog

from services.projection.assessment.representation import LogProgress
from services.projection.counting.facts import LOGS
from shared.contract.events import format_instant, parse_instant
from shared.observability.health import Health
from shared.observability.metrics import Reading, Since

_LATE_SECONDS: Final = 60.0
# Once a second while anybody reads. After so long without a reader, more seldom: for the metrics alone.
_QUIET_SECONDS: Final = 10.0
_SELDOM_SECONDS: Final = 4.0
_log = structlog.get_logger()


class ServiceHead(NamedTuple):
    """The last fact of a log: its position, and when it was recorded."""

    position: int
    recorded_at: datetime


class _Lag(NamedTuple):
    events: int
    seconds: float


class LogHeads:
    """Asks each service at intervals for the head of its log; a service that does not answer has none."""

    def __init__(self, services: Mapping[str, str], client: httpx.AsyncClient, health: Health) -> None:
        self._services = dict(services)
        self._client = client
        self._health = health
        self._heads: dict[str, ServiceHead] = {}
        self._since = {service: Since() for service in services}
        self._lag: dict[str, _Lag] = {}
        self._read_at = time.monotonic()
        self._wanted = asyncio.Event()
        self._recent = asyncio.Event()
        self._recent.set()
        self.counted: dict[
            str, int
        ] = {}  # the position up to which each log was counted when the database was last read

    def head(self, service: str) -> ServiceHead | None:
        """Return the head of a log, None when the service did not answer last time."""
        return self._heads.get(service)

    async def recent(self) -> tuple[ServiceHead | None, ...]:
        """Return the heads of all logs, asked for a second ago at most where the services answer at once."""
        self._read_at = time.monotonic()
        if not self._recent.is_set():
            self._wanted.set()
            await self._recent.wait()
        return self.heads()

    def heads(self) -> tuple[ServiceHead | None, ...]:
        """Return the heads of all logs as they were known last, in the order of LOGS."""
        return tuple(self._heads.get(service) for service in LOGS)

    def progress(self, checkpoints: Iterable[asyncpg.Record]) -> dict[str, LogProgress]:
        """Return up to what each log is counted, and how far behind it that is (RULES E19)."""
        by_service = {row["service"]: row for row in checkpoints}
        return {service: self._progress(service, by_service.get(service)) for service in LOGS}

    def _progress(self, service: str, checkpoint: asyncpg.Record | None) -> LogProgress:
        position: int = checkpoint["position"] if checkpoint else 0
        recorded_at: datetime | None = checkpoint["recorded_at"] if checkpoint else None
        behind = seconds = None
        if (head := self._heads.get(service)) is not None:
            behind = max(0, head.position - position)
            since = recorded_at or head.recorded_at
            seconds = max(0.0, (head.recorded_at - since).total_seconds()) if behind else 0.0
        return {
            "position": position,
            "recorded_at": format_instant(recorded_at) if recorded_at else None,
            "behind_events": behind,
            "behind_seconds": seconds,
        }

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask()
            self._recent.set()
            await asyncio.sleep(1)
            if time.monotonic() - self._read_at > _QUIET_SECONDS:
                self._recent.clear()
                self._wanted.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SELDOM_SECONDS):
                        await self._wanted.wait()

    async def ask(self, settled: bool = False) -> tuple[str, ...]:
        """Ask every service now and return their names; `settled`: answered once pending decisions are recorded."""
        await asyncio.gather(*(self._ask(service, url, settled) for service, url in self._services.items()))
        return tuple(self._services)

    async def _ask(self, service: str, url: str, settled: bool) -> None:
        counted = self.counted.get(service)  # read before the head, so that it is never ahead of it by itself
        params, timeout = ({"settled": "true"}, 15) if settled else ({}, 2)
        try:
            response = await self._client.get(f"{url}/v1/log/head", params=params, timeout=timeout)
            response.raise_for_status()
            body = response.json()
            recorded_at = parse_instant(body["recorded_at"])
            self._heads[service] = ServiceHead(int(body["position"]), recorded_at or datetime.now(UTC))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            self._lag.pop(service, None)
            self._health.warn(service, "no answer: how far behind its numbers are is not known")
            if self._heads.pop(service, None) is not None:
                _log.warning("heads.no-answer", service=service, error=type(error).__name__)
        else:
            self._compare(service, counted)

    def _compare(self, service: str, counted: int | None) -> None:
        head = self._heads[service].position
        self._since[service].note(head)
        if counted is None:
            self._lag.pop(service, None)
            return
        lag = self._lag[service] = _Lag(head - counted, self._since[service].seconds(counted))
        late = lag.seconds > _LATE_SECONDS
        self._health.warn(service, f"{lag.events} facts not counted yet, for {lag.seconds:.0f} s" if late else None)

    def read(self) -> list[Reading]:
        """Return how far the numbers are behind each log that answers, as metrics."""
        return [
            Reading(f"skillplan_projection_behind_{unit}", value, (service,))
            for service, lag in self._lag.items()
            for unit, value in lag._asdict().items()
        ]
