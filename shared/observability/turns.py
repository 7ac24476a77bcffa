"""Turns on the event loop: long work on one thing lets probes and other requests go on now and then."""

import asyncio
import time
from typing import Final

_LONGEST: Final = 0.005  # seconds in one go; a probe takes some five turns to be answered


class Turns:
    """How long one piece of work has had the event loop for itself."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def take(self) -> None:
        """Let others go on if this work has had its turn; called between its steps, of which none is long."""
        if time.perf_counter() - self._since > _LONGEST:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
