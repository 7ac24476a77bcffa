"""Sees to it that what the local stack starts never outlives it: children end with their parent."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path


@functools.cache
def _can_ask_the_kernel() -> bool:
    if shutil.which("setpriv") is None:
        return False
    return "--pdeathsig" in subprocess.run(["setpriv", "--help"], capture_output=True, text=True, check=False).stdout


def dies_with_parent(command: list[str]) -> list[str]:
    """Wrap the command so that it is told to end when whoever started it is killed, where the kernel can do that."""
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
