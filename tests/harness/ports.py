"""Free TCP ports for the servers of tests: never one that an earlier part of the same run was given."""

from __future__ import annotations

import itertools
import os
import random
from typing import Final

from deploy.local.ports import is_free

_SERVERS_ONLY: Final = range(20_000, 32_000)  # above every usual port, below those of connections: 32768, 49152 by IANA


def _of_this_process() -> list[int]:
    """Return the ports that this process of the tests may give, in a random order: no other gives one of them.

    A server takes seconds to listen on its port and may be killed and started again; meanwhile it only looks free.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(_SERVERS_ONLY[worker::workers])
    random.shuffle(ports)
    return ports


_LEFT: Final = iter(_of_this_process())


def any_free(count: int) -> list[int]:
    """Return that many ports that are free, were not returned before, and are never an outgoing connection's."""
    ports = list(itertools.islice(filter(is_free, _LEFT), count))
    assert len(ports) == count, "every port for servers of tests was given"
    return ports
