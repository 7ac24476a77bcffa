"""Counts and times of deciding, for Prometheus and `/readyz`."""

import collections
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.deciding.unit_of_work import Answer
from shared.log.event_store import NotCompared
from shared.observability.unavailable import UNAVAILABLE

STATUSES: Final = ("accepted", "duplicate", "waiting", "refused", "invalid", "misdirected")
# Who balances by `/readyz` sends nothing meanwhile: it has to be tried again soon whether something can be recorded.
_VALID_SECONDS: Final = 5.0


class DecisionMetrics:
    """Counts what one process decides; without a registry the counts are not published."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        reports = Counter("skillplan_reports_total", "Reports answered.", ["service", "status"], registry=registry)
        self._count = {status: reports.labels(service, status) for status in STATUSES}
        self._seconds = Histogram(
            "skillplan_decision_seconds", "Time from taking a batch to its commit.", ["service"], registry=registry
        ).labels(service)
        self._lock_wait = Histogram(
            "skillplan_lock_wait_seconds", "Time a batch waited for the log's lock.", ["service"], registry=registry
        ).labels(service)
        self._failure: tuple[str, float] | None = None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Measure one batch, and remember a failure to record it."""
        try:
            with self._seconds.time():
                yield
        except UNAVAILABLE as error:
            if not isinstance(error, NotCompared):  # `/readyz` reports that already
                self._failure = type(error).__name__, time.monotonic()
            raise
        self._failure = None

    def answered(self, answers: Iterable[Answer]) -> None:
        """Count the answers of a batch."""
        for status, count in collections.Counter(answer.status for answer in answers).items():
            self._count[status].inc(count)

    def waited(self, seconds: float) -> None:
        """Note how long a batch waited for the lock."""
        self._lock_wait.observe(seconds)

    @property
    def problem(self) -> str | None:
        """Why nothing can be recorded, by the last attempt of these seconds: a full disk can still be read."""
        if self._failure is None or time.monotonic() - self._failure[1] > _VALID_SECONDS:
            return None
        return f"database: records nothing: {self._failure[0]}"
