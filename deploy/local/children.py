"""Child processes of the local stack: none of them outlives it."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@functools.cache
def _can_ask_the_kernel() -> bool:
    if shutil.which("setpriv") is None:
        return False
    return "--pdeathsig" in subprocess.run(["setpriv", "--help"], capture_output=True, text=True, check=False).stdout


def dies_with_parent(command: list[str]) -> list[str]:
    """Wrap the command so that the kernel ends it when its parent is killed, where the kernel can."""
    return ["setpriv", "--pdeathsig", "TERM", *command] if _can_ask_the_kernel() else command


def command_of(pid: int) -> str:
    """Return the command line of a process; empty when there is none of that number."""
    line = Path("/proc", str(pid), "cmdline")
    if line.parent.parent.joinpath("self").exists():
        try:
            return line.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    return subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()


def left_over(mark: str) -> list[int]:
    """Find the processes that were started with `mark`, a NAME=value, in their environment; never our own."""
    return [pid for pid, environment in _all() if pid != os.getpid() and mark in environment]


def end(mark: str, seconds: float) -> None:
    """End what is left over of an earlier run: by asking, and after that many seconds by force."""
    limit = time.monotonic() + seconds
    sign = signal.SIGTERM
    signalled: set[int] = set()
    while pids := left_over(mark):
        if time.monotonic() > limit:
            sign, signalled, limit = signal.SIGKILL, set(), limit + seconds
        for pid in set(pids) - signalled:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        signalled |= set(pids)
        time.sleep(0.1)


def _all() -> Iterator[tuple[int, list[str] | str]]:
    """List every process with its environment, as far as we may see it."""
    if not Path("/proc/self/environ").exists():
        output = subprocess.run(
            ["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=False
        ).stdout
        for line in output.splitlines():
            pid, _, environment = line.strip().partition(" ")
            yield int(pid), environment
        return
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(folder.name), (folder / "environ").read_bytes().decode(errors="surrogateescape").split("\0")
