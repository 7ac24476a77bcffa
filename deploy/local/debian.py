"""Gets packages of Debian, which this machine has not installed, and unpacks them into a folder without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


class NotFetchedError(Exception):
    """The packages could not be fetched; the text says why."""


def fetch(packages: Sequence[str], into: Path, amend: Callable[[Path], None] | None = None) -> None:
    """Unpack packages into a folder, which is there only when it is whole; `amend` sees it before."""
    if shutil.which("apt-get") is None:
        raise NotFetchedError("apt-get: ?")
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="fetch-") as name:
        room = Path(name)
        download = ["apt-get", "-q", "download", *packages]
        if _run(download, room).returncode:
            # No lists yet, as in a fresh image: into folders of our own, so that nobody has to be root. apt checks what
            # it gets against the archive's signature.
            for part in ("lists/partial", "archives/partial"):
                (room / part).mkdir(parents=True)
            own = ["-o", f"Dir::State::lists={room}/lists", "-o", f"Dir::Cache={room}"]
            _must(["apt-get", "-q", *own, "update"], room)
            _must([*download, *own], room)
        for package in room.glob("*.deb"):
            _must(["dpkg-deb", "-x", str(package), str(room / "ready")], room)
        if amend is not None:
            amend(room / "ready")
        shutil.rmtree(into, ignore_errors=True)
        (room / "ready").rename(into)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
    )


def _must(command: list[str], folder: Path) -> None:
    done = _run(command, folder)
    if done.returncode:
        raise NotFetchedError((done.stderr.strip().splitlines() or ["?"])[-1])
