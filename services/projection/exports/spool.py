"""Spool: an export is written here while the database is read, and sent once the connection is given back.

What takes long to write is written beside the event loop, one export at a time: many at once would take turns with
the loop and delay every question.
"""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from shared.http.problems import Problem

_IN_MEMORY: Final = 1024 * 1024
_CHUNK: Final = 65_536
FULL: Final = Problem(503, "同时导出过多,请稍后再试。", "Too many exports at once; try again later.", retry_after="30")

P = ParamSpec("P")
T = TypeVar("T")
_WRITER: Final = ThreadPoolExecutor(1, "exports")


async def beside(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return what a function returns, called in the one thread that writes exports."""
    return await asyncio.get_running_loop().run_in_executor(_WRITER, lambda: work(*arguments, **named))


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
        raise FULL from None
    file.seek(0)

    async def sent() -> AsyncIterator[bytes]:
        with file:
            inflate = zlib.decompressobj()
            while compressed := inflate.unconsumed_tail or file.read(_CHUNK):
                yield inflate.decompress(compressed, _CHUNK)
            yield inflate.flush()

    return sent()
