"""Prometheus metrics of a process; readings that need I/O are taken in the background."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

# Gauges that are read from elsewhere, as opposed to counters of events: name → meaning, and labels.
READINGS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "skillplan_problem": ("1 for each part that /readyz complains of.", ("service", "process", "part", "needs")),
    "skillplan_warning": ("What `/readyz` warns of, while it is well.", ("service", "process", "part")),
    "skillplan_log_position": ("Last position of the log.", ("service",)),
    "skillplan_receipts_recorded": ("Receipts recorded so far, of whatever status.", ("service",)),
    "skillplan_waiting_reports": ("Reports that wait.", ("service",)),
    "skillplan_waiting_oldest_seconds": ("For how long the oldest of them has waited.", ("service",)),
    "skillplan_quarantined": ("Messages in quarantine.", ("service",)),
    "skillplan_oldest_transaction_seconds": ("Age of the oldest open transaction of the role.", ("service",)),
    "skillplan_relay_lag": ("Recorded but not sent yet.", ("service", "outbox")),
    "skillplan_relay_age_seconds": ("Age of the oldest that is not sent yet.", ("service", "outbox")),
    "skillplan_inbox_lag": ("Messages not handled yet.", ("service",)),
    "skillplan_inbox_partitions": ("Partitions that this process consumes.", ("service",)),
    "skillplan_clock_difference_seconds": ("How far the broker's clock is ahead of this process's.", ("service",)),
    "skillplan_parked": ("1 where a line stands still before a hole, else 0.", ("service", "line")),
    "skillplan_projection_behind_events": (
        "Facts recorded and not counted yet; below 0: more is counted than the log has.",
        ("service",),
    ),
    "skillplan_projection_behind_seconds": ("For how long the first of them has been seen.", ("service",)),
    "skillplan_projection_position": ("Position counted.", ("service",)),
    "skillplan_projection_lag": ("Messages not read yet.", ("service",)),
    "skillplan_projection_active": ("1 in the process that writes the numbers.", ()),
    "skillplan_last_fact_timestamp_seconds": ("When the last fact was recorded.", ("service", "district")),
    "skillplan_recount_differences": ("Cells that are not the sum of their ledger.", ()),
    "skillplan_recount_timestamp_seconds": ("When that was looked for last.", ()),
}
# Whoever waits for a process to be well again, or to have started, waits for the shorter of these.
_EVERY: Final = 5.0
_SOON: Final = 1.0
_WITHIN: Final = 3.0
# Readings may be late by a few intervals before the part counts as unwell.
_GOOD_FOR: Final = 12.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one of `READINGS`, its labels in their order."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class NotWell(Exception):
    """A source of readings responded, but is unusable; the text names the reason."""


Take = Callable[[], Iterable[Reading]]
Ask = Callable[[], Awaitable[Iterable[Reading]]]


class Metrics(Collector):
    """The metrics of one process. Collecting them is cheap and does no I/O.

    A reading that could not be taken is left out, not repeated: an old value would look as if all stood still.
    """

    def __init__(self, service: str, process: str, health: Health) -> None:
        self.service, self.process, self.health = service, process, health
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, open files, start time
        self.requests = Counter(
            "skillplan_http_requests_total", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "skillplan_http_request_seconds", "From a request to its answer.", ["route"], registry=self.registry
        )
        self.failures = Counter(
            "skillplan_http_failures_total", "Requests that met a defect of ours, answered 500.", registry=self.registry
        )
        self._takes: list[Take] = [self._problems]
        self._asks: list[tuple[str, Ask]] = []
        self._latest: dict[str, tuple[float, list[Reading]]] = {}
        self.registry.register(self)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the readings without taking any."""
        return [GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in READINGS.items()]

    def read(self, take: Take) -> None:
        """Take readings from memory at every collection."""
        self._takes.append(take)

    def ask(self, part: str, ask: Ask) -> None:
        """Take readings from elsewhere in the background; how it went is the health of that part."""
        self._asks.append((part, ask))

    async def run(self) -> None:
        """Take the background readings at intervals, until cancelled."""
        await asyncio.gather(*(self._ask(part, ask) for part, ask in self._asks))

    async def _ask(self, part: str, ask: Ask) -> None:
        while True:
            await self.look(part, ask)
            await asyncio.sleep(_SOON if self.health.problems else _EVERY)

    async def look(self, part: str, ask: Ask) -> None:
        """Take the background readings once."""
        try:
            async with asyncio.timeout(_WITHIN):
                readings = list(await ask())
        except TimeoutError:
            self._fail(part, f"no answer within {_WITHIN:.0f} s")
        except UNAVAILABLE as error:
            self._fail(part, f"not available: {type(error).__name__}")
        except NotWell as error:
            self._fail(part, str(error))
        else:
            self._latest[part] = (time.monotonic(), readings)
            self.health.report(part, None, _GOOD_FOR)

    def _fail(self, part: str, problem: str) -> None:
        self._latest.pop(part, None)
        self.health.report(part, problem)

    def _problems(self) -> Iterable[Reading]:
        for part, problem in self.health.problems.items():
            first = problem.partition(":")[0]
            needs = first if first in ("database", "kafka") else part if part in ("database", "kafka") else ""
            yield Reading("skillplan_problem", 1, (self.service, self.process, part, needs))
        for part in self.health.warnings:
            yield Reading("skillplan_warning", 1, (self.service, self.process, part))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every reading there is."""
        since = time.monotonic() - _GOOD_FOR
        latest = [reading for at, readings in self._latest.values() if at > since for reading in readings]
        families: dict[str, GaugeMetricFamily] = {}
        for reading in (*latest, *(reading for take in self._takes for reading in take())):
            text, labels = READINGS[reading.name]
            family = families.setdefault(reading.name, GaugeMetricFamily(reading.name, text, labels=labels))
            family.add_metric(reading.labels, reading.value)
        yield from families.values()


class Since:
    """For how long a head has been beyond what was done: when each of its positions was first seen."""

    _MOST: Final = 3600

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque()

    def note(self, head: int) -> None:
        """Note where the head is now."""
        if not self._seen or head > self._seen[-1][0]:
            at = self._clock()
            if len(self._seen) == self._MOST:  # the oldest is what counts
                at = self._seen.pop()[1]
            self._seen.append((head, at))

    def seconds(self, done: int) -> float:
        """Return for how many seconds the first position after `done` has been there; 0 when there is none."""
        while len(self._seen) > 1 and self._seen[0][0] <= done:
            self._seen.popleft()
        return self._clock() - self._seen[0][1] if self._seen and self._seen[0][0] > done else 0.0
