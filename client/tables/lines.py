"""Files as streams of bytes: JSON lines, from a file or a pipe, and how much of a file was read."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from client.output import CommandError

CHUNK: Final = 1 << 16
LONGEST_LINE: Final = 2 * 1024 * 1024


@dataclass(slots=True)
class Progress:
    """How much of a file was read, in bytes or rows, and of how much."""

    read: int = 0
    total: int | None = None


@contextlib.contextmanager
def lines(file: str) -> Iterator[tuple[Iterator[bytes | None], Progress]]:
    """Open JSON lines; yields None where the sender of a pipe pauses: what was read must not wait for the rest."""
    piped = file == "-"
    with open(sys.stdin.fileno() if piped else existing(file), "rb", closefd=not piped) as stream:
        progress = Progress(total=None if piped else Path(file).stat().st_size)
        yield _lines(stream, progress, piped), progress


def _lines(stream: IO[bytes], progress: Progress, piped: bool) -> Iterator[bytes | None]:
    rest = b""
    while chunk := stream.read1(CHUNK):  # type: ignore[attr-defined]
        progress.read += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            # Longer than any report: the rest is dropped, so that it cannot fill the memory.
            yield rest[:LONGEST_LINE]
            while (chunk := stream.read1(CHUNK)) and b"\n" not in chunk:  # type: ignore[attr-defined]
                progress.read += len(chunk)
            rest = chunk.partition(b"\n")[2]
        if piped:
            yield None
    if rest:
        yield rest


def opened(file: Path | bytes) -> IO[bytes]:
    """Open a file to read its bytes, or what stands for one in memory."""
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def length_of(file: Path | bytes) -> int:
    """Return how many bytes a file has, or what stands for one in memory."""
    return len(file) if isinstance(file, bytes) else file.stat().st_size


def size_of(file: str) -> int | None:
    """Return a file's size in bytes, None for a pipe; raises CommandError when it does not exist."""
    return None if file == "-" else existing(file).stat().st_size


def existing(file: str) -> Path:
    """Return the path of a file that is there; raises CommandError."""
    path = Path(file)
    if path.is_dir():
        raise CommandError("这是一个文件夹,不是文件。", "This is a folder, not a file.")
    if not path.exists():
        raise CommandError("没有这个文件。", "There is no such file.")
    return path
