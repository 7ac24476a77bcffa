"""Free TCP ports of this machine: the usual one of a part, else the next that is free."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection

from deploy.local.refusal import LocalError

HOST = "127.0.0.1"
_LAST_PORT = 65_000


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do it: a connection that lingers in TIME_WAIT does not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def next_free(first: int, given: Collection[int], *, free: Callable[[int], bool] = is_free) -> int:
    """Return the first free port from `first` on that is not in `given`."""
    for port in range(first, _LAST_PORT):
        if port not in given and free(port):
            return port
    raise LocalError(
        f"从 {first} 起没有空闲端口。请关闭占用端口的程序。", f"No free port from {first} on. Stop what holds them."
    )
