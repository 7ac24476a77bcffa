"""Compares the broker's clock, by which reports are received, with this process's (RULES A2)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

import structlog

from shared.observability.health import Health

_APPEND_TIME: Final = 1  # of a record's timestamp: the broker set it when it appended
_APART_SECONDS: Final = 300
_PART: Final = "clock"
_log = structlog.get_logger()


class Acknowledgement(Protocol):
    """What a producer learns of a record that the broker appended; the timestamp is in milliseconds since 1970."""

    @property
    def timestamp(self) -> int | None: ...

    @property
    def timestamp_type(self) -> int | None: ...


class ClockComparison:
    """How far the broker's clock is ahead of ours, in seconds, as last seen; far apart it is a warning on `/readyz`."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self.difference = 0.0

    def compare(self, before: datetime, acknowledged: Iterable[Acknowledgement], after: datetime) -> None:
        """Compare when the broker says it appended records with our clock before they were sent and after it did."""
        stamps = [at.timestamp / 1000 for at in acknowledged if at.timestamp_type == _APPEND_TIME and at.timestamp]
        if not stamps:
            return
        ahead, behind = max(stamps) - after.timestamp(), before.timestamp() - min(stamps)
        self.difference = ahead if ahead > 0 else -behind if behind > 0 else 0.0
        if abs(self.difference) <= _APART_SECONDS:
            self._health.warn(_PART, None)
            return
        if _PART not in self._health.warnings:
            _log.warning("relay.clocks-apart", seconds=round(self.difference))
        self._health.warn(_PART, f"Kafka's clock is {self.difference:+.0f} s from this machine's: set both by NTP")
