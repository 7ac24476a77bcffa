"""Where a value stands in what a program left on disk: as it is, in UTF-16 as browsers write, and in packed answers."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_GZIP: Final = b"\x1f\x8b\x08"
PACKED: Final = "packed"  # beside the name of a file: the value stands in an answer that came packed


def traces(folder: Path, values: Iterable[str]) -> set[str]:
    """Return the files below a folder in which one of these values stands, in their content or their name."""
    forms = {form for value in values for form in (value.encode(), value.encode("utf-16-le"))}
    return {
        f"{file.relative_to(folder)} {how}".strip()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
        for how, text in _texts(file)
        if any(form in text for form in forms)
    }


def _texts(file: Path) -> Iterator[tuple[str, bytes]]:
    raw = file.read_bytes()
    yield "", file.name.encode() + b"\n" + raw
    at = raw.find(_GZIP)
    while at >= 0:
        with contextlib.suppress(zlib.error):  # it only looked like one
            yield PACKED, zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw[at:])
        at = raw.find(_GZIP, at + 1)
