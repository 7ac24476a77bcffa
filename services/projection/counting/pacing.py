"""How a replay shares the machine: it takes all of it, or works in small portions, rests, and lets others go first."""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from services.projection.counting.ledger import FactBatch, Posting
from services.projection.counting.store import CheckpointMove, Ledger

_PORTION: Final = 500  # facts
_REST: Final = 1.5  # for each second that this process computes: its database connection computes as long
_LONGEST_REST: Final = 0.1
_LAST: Final = 10  # a "nice" value: a tenth of the processor where others want all of it, and they are woken at once


class RestingLedger(Ledger):
    """A ledger that is written in small portions, with a rest after each.

    Rests are measured by processor time, not by the clock, so that a busy machine does not lengthen them.
    """

    _spent = 0.0

    async def count(self, batch: FactBatch, moves: Mapping[str, CheckpointMove], must_be_current: bool) -> Posting:
        """Write a batch as any ledger does, and rest."""
        posting = await super().count(batch, moves, must_be_current)
        await self._rest()
        return posting

    async def count_later(self, services: Sequence[str], most: int) -> int:
        """Count some of what was set aside as any ledger does, and rest."""
        count = await super().count_later(services, min(most, _PORTION))
        await self._rest()
        return count

    async def _rest(self) -> None:
        spent = time.process_time()
        await asyncio.sleep(min((spent - self._spent) * _REST, _LONGEST_REST))
        self._spent = spent


@dataclass(frozen=True, slots=True)
class ReplayPace:
    """How much a replay does at once: facts a transaction, in how many processes at most, and where it writes them."""

    most: int
    processes: int
    ledger: type[Ledger]


FAST: Final = ReplayPace(5000, os.cpu_count() or 1, Ledger)
GENTLE: Final = ReplayPace(_PORTION, 1, RestingLedger)


async def go_last(connection: asyncpg.Connection) -> None:
    """Let all others have the processor first, and take one.

    One statement of the server (an index, a comparison) has no portions.
    """
    await let_others_go_first(connection)
    await connection.execute("set max_parallel_workers_per_gather = 0")
    await connection.execute("set max_parallel_maintenance_workers = 0")


async def let_others_go_first(connection: asyncpg.Connection) -> None:
    """Give this process the processor where nobody else wants it, and its server where that is here and may be."""
    _lower(0)
    pid = connection.get_server_pid()
    port = await connection.fetchval("select inet_client_port()")
    with contextlib.suppress(OSError):  # no such process here, or no such file system
        title = await asyncio.to_thread(Path(f"/proc/{pid}/cmdline").read_bytes)
        if title.startswith(b"postgres:") and b"(%d) " % (port or 0) in title:
            _lower(pid)


def _lower(pid: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # another user's, or no system that has it
        os.setpriority(os.PRIO_PROCESS, pid, max(_LAST, os.getpriority(os.PRIO_PROCESS, pid)))
