"""Hides two faults of aiokafka 0.14: one message could stop a consumer for ever, an absent broker flood a process.

A header's name that is no UTF-8 raised in the midst of a batch, again after every start. A partition without a leader
(its broker was stopped in order) made clients ask for metadata 5,000 times a second, with two log lines each: the
back-off meant for it is not taken.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

_PAUSE_SECONDS: Final = 0.2
_MAGIC_OFFSET: Final = 16
_WITH_HEADERS: Final = 2

_ask: Final[Any] = AIOKafkaClient._metadata_update


def mend_clients() -> None:
    """Mend every client of this process, Faust's too. Repeating it is harmless."""
    AIOKafkaClient._metadata_update = _ask_patiently
    fetcher.MemoryRecords = _Records


async def _ask_patiently(client: Any, *arguments: Any) -> bool:
    told: bool = await _ask(client, *arguments)
    if not told:
        await asyncio.sleep(_PAUSE_SECONDS)
    return told


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    """What one fetch brought of a partition, batch by batch."""

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, raw) if raw is not None and raw[_MAGIC_OFFSET] >= _WITH_HEADERS else batch


class _Batch:
    """A batch that can be read whatever its headers are called."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            plain = _DefaultRecordBatchPy(self._raw)
            plain._maybe_uncompress()
            plain._buffer = _Lenient(plain._buffer)
            return iter(list(plain))


class _Lenient(bytearray):
    """Bytes that show what is no UTF-8 as escapes."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace" if errors == "strict" else errors)
