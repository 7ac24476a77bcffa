"""Reading a partition from its start, with Faust.

Faust 0.15 counts what it acknowledges from the offset it committed last: after a seek to the start it commits nothing
until it is past that offset, and drops what was read below the offset it read last. No issue is known upstream.
"""

from collections.abc import MutableMapping
from typing import Protocol, TypeVar

P = TypeVar("P")


class RewindableConsumer(Protocol[P]):
    """What is used of Faust's consumer; nothing public has the offsets that it read and committed."""

    _read_offset: MutableMapping[P, int | None]
    _committed_offset: MutableMapping[P, int | None]
    _acked: MutableMapping[P, object]
    _acked_index: MutableMapping[P, object]
    _gap: MutableMapping[P, object]

    def highwater(self, tp: P, /) -> int | None: ...

    async def seek(self, partition: P, offset: int, /) -> None: ...


def is_past_end(consumer: RewindableConsumer[P], partition: P) -> bool:
    """Return whether more was read of a partition than it has now: its topic was made again."""
    end, read = consumer.highwater(partition), consumer._read_offset.get(partition)
    return end is not None and read is not None and read > end


async def rewind(consumer: RewindableConsumer[P], partition: P) -> None:
    """Read a partition again from its start, and commit what is handled of it from there on."""
    for known in (consumer._read_offset, consumer._committed_offset):
        known.pop(partition, None)
    for done in (consumer._acked, consumer._acked_index, consumer._gap):
        done.pop(partition, None)
    await consumer.seek(partition, 0)
