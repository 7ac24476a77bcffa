"""Spool: an export is written here while the database is read, and sent once the connection is given back."""

import tempfile
import zlib
from collections.abc import AsyncIterator
from typing import Final

from shared.http.problems import Problem

_IN_MEMORY: Final = 1024 * 1024
_CHUNK: Final = 65_536
_FULL: Final = Problem(503, "同时导出过多,请稍后再试。", "Too many exports at once; try again later.", retry_after="30")


async def spooled(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Read all parts, and return an iterator that yields the same bytes without them; raises Problem on a full disk.

    Compressed: a million facts take 35 MB.
    """
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by who sends it, or with its last use
    deflate = zlib.compressobj(1)
    try:
        async for part in parts:
            file.write(deflate.compress(part))
        file.write(deflate.flush())
    except OSError:
        file.close()
        raise _FULL from None
    file.seek(0)

    async def sent() -> AsyncIterator[bytes]:
        with file:
            inflate = zlib.decompressobj()
            while compressed := inflate.unconsumed_tail or file.read(_CHUNK):
                yield inflate.decompress(compressed, _CHUNK)
            yield inflate.flush()

    return sent()
