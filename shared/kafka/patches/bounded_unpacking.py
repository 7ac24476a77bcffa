"""A bound on what a compressed batch unpacks to.

The broker bounds the packed size alone; aiokafka 0.14 unpacks a batch to whatever it is: 31 KB to 1 GB. No issue is
known upstream.
"""

import mmap
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from shared.kafka.patches.lenient_headers import records_of

_MAGIC_OFFSET: Final = 16
_WITH_HEADERS: Final = 2
_CODEC_OFFSET: Final = 22  # the lower byte of the attributes
_HEADER: Final = _DefaultRecordBatchPy.HEADER_STRUCT.size
_CODEC_MASK: Final = _DefaultRecordBatchPy.CODEC_MASK
# What a batch may unpack to, twice a whole batch over HTTP (RULES A16). Snappy packs 21 to 1 at best and is let be.
_MOST: Final = 8 * 1024 * 1024
_UNPACK: Final[dict[int, Callable[[memoryview, memoryview], int]]] = {
    _DefaultRecordBatchPy.CODEC_GZIP: cramjam.gzip.decompress_into,
    _DefaultRecordBatchPy.CODEC_LZ4: cramjam.lz4.decompress_into,
    _DefaultRecordBatchPy.CODEC_ZSTD: cramjam.zstd.decompress_into,
}


class _Rooms(threading.local):
    """Where a thread unpacks every batch: fresh memory for each would cost more than unpacking it."""

    def __init__(self) -> None:
        self.room = memoryview(mmap.mmap(-1, _HEADER + _MOST))  # the system gives of it what is written to


_rooms: Final = _Rooms()


def apply() -> None:
    """Let every consumer read batches through `_Records`."""
    fetcher.MemoryRecords = _Records


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    """What one fetch brought of a partition, batch by batch; what is too much to unpack at once is fetched again."""

    _unpacked = 0

    def has_next(self) -> bool:
        return self._unpacked < _MOST and bool(super().has_next())

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, raw, self) if raw is not None and raw[_MAGIC_OFFSET] >= _WITH_HEADERS else batch

    def unpack(self, raw: memoryview) -> memoryview:
        """Return a batch as it would be had it not been compressed, good until this thread unpacks the next one.

        Raises cramjam's error where it is too large.
        """
        unpack = _UNPACK.get(raw[_CODEC_OFFSET] & _CODEC_MASK)
        if unpack is None:
            return raw
        room = _rooms.room
        room[:_HEADER] = raw[:_HEADER]
        room[_CODEC_OFFSET] &= ~_CODEC_MASK
        size = unpack(raw[_HEADER:], room[_HEADER:])
        self._unpacked += size
        return room[: _HEADER + size]


class _Batch:
    """A batch that can be read whatever its headers are called, and however small something large was packed."""

    def __init__(self, batch: Any, raw: memoryview, records: _Records) -> None:
        self._batch = batch
        self._raw = raw
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            raw = self._records.unpack(self._raw)
        except cramjam.DecompressionError:
            # One message in place of all, as it came: it goes to quarantine.
            packed, last = bytes(self._raw[_HEADER:]), self.next_offset - 1
            return iter([_DefaultRecordPy(last, self.max_timestamp, self.timestamp_type, None, packed, [])])
        return iter(records_of(raw))
