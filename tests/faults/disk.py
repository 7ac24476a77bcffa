"""Fills the disk of one server and no other's: a small file system of its own, else a limit on what it may write."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local import postgres
from deploy.local.children import command_of

_NAME = "skillplan-faults-"
_CHUNK = bytes(65_536)


class Disk(Protocol):
    """What a server writes to, and which way it is made full."""

    @property
    def how(self) -> str: ...

    def fill(self, server: int) -> None:
        """Let it be full: now, and again after the server (of that process id) gave something free."""

    def free(self, server: int) -> None:
        """Let there be room again."""

    def refused(self, log: str) -> int:
        """Count what was refused, by what the server said meanwhile."""


@dataclass
class Small:
    """A file system of its own; a ballast file takes what is left of it."""

    place: Path
    megabytes: int

    @property
    def how(self) -> str:
        return f"独立文件系统 a file system of its own, {self.megabytes} MB"

    @property
    def _ballast(self) -> Path:
        return self.place / "ballast"

    def fill(self, server: int) -> None:
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            while os.write(file, _CHUNK):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(file)

    def free(self, server: int) -> None:
        self._ballast.unlink()

    def refused(self, log: str) -> int:
        return log.count(os.strerror(errno.ENOSPC))


@dataclass
class Limit:
    """Where nobody may mount: the kernel refuses each write past a limit. The server's own log is refused too."""

    user: str | None
    bounded: int = 0
    how: str = "写入上限(此处不能挂载) a write limit, for nothing may be mounted here"

    def fill(self, server: int) -> None:
        self.bounded += self._set(server, "0")  # connections made meanwhile are new processes

    def free(self, server: int) -> None:
        self._set(server, "unlimited")

    def refused(self, log: str) -> int:
        return self.bounded

    def _set(self, server: int, size: str) -> int:
        """Bound what a server and its children may write, as the user that runs it; return how many were bounded."""
        try:
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        except OSError:
            return 0
        done = [
            subprocess.run(
                postgres._as_user(self.user, ["prlimit", f"--fsize={size}:", f"--pid={pid}"]),
                capture_output=True,
                check=False,
            ).returncode
            for pid in (str(server), *children)
        ]
        return done.count(0)


@contextlib.contextmanager
def own_disk(place: Path, megabytes: int | None, user: str | None) -> Iterator[Disk]:
    """Mount a file system of so many MB at a folder, where we may and the settings allow it; it is gone afterwards.

    `user`: whom the server runs as.
    """
    _clear_away()
    place.mkdir(parents=True)
    place.chmod(0o711)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", f"{_NAME}{os.getpid()}", str(place)]
    if megabytes is None or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Limit(user)
        return
    try:
        yield Small(place, megabytes)
    finally:
        _unmount(place)


def _unmount(place: Path) -> None:
    # Lazily: a server that was hurt may hold a file to its end.
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def _clear_away() -> None:
    """Unmount what a run left that was killed."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            device, place, *_ = line.split()
            if device.startswith(_NAME) and not command_of(int(device.removeprefix(_NAME))):
                _unmount(Path(place))
