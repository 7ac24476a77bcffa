"""Fetches that follow one another too closely bring messages one by one, and one that is held holds up the others.

A message alone costs every process on its way nearly as much as many of them: 200 a second, one at a time, fill two
cores. aiokafka fetches again at once, and the broker answers at once with what has just come; its own setting for this
(`fetch_min_bytes`) has a message wait that comes alone.

It has one fetch a broker on its way, and after a tenth of a second one that leaves out the partitions whose messages we
have not taken yet. While the broker holds that one until something comes for the others, the left out ones wait.
"""

import asyncio
from typing import Any, Final

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.structs import TopicPartition

_SECONDS: Final = 0.010
# Where messages come by the thousand a second, batches of a hundredth of it would fill two cores with what each of them
# costs besides its messages, and all of them wait: they gather for longer.
_STREAM_SECONDS: Final = 0.025
_STREAM: Final = 20
_MANY: Final = 400
_PARTIAL_MS: Final = 50
_fetch: Final[Any] = Fetcher._proc_fetch_request


def apply() -> None:
    """Let a fetch from a broker wait until it is a hundredth of a second since the one before was asked for, where that
    had few, and a fortieth where it had some: one that the broker held meanwhile is followed at once, so that who sends
    at such a pace is not waited for.

    One that leaves out partitions is not held for long.
    """
    Fetcher._proc_fetch_request = _fetch_spaced


async def _fetch_spaced(fetcher: Any, assignment: Any, node: int, request: Any) -> bool:
    now = asyncio.get_running_loop().time
    due: dict[int, float] = vars(fetcher).setdefault("_due_by_node", {})
    if sum(len(partitions) for _, partitions in request.topics) < _partitions_of(fetcher, assignment, node):
        request._max_wait_ms = min(request._max_wait_ms, _PARTIAL_MS)
    try:
        await asyncio.sleep(max(0.0, due.pop(node, 0.0) - now()))
    except asyncio.CancelledError:  # as aiokafka does: nobody waits for it any more
        return False
    asked_at = now()
    fetched: bool = await _fetch(fetcher, assignment, node, request)
    if fetched and (waiting := _waiting(assignment, request)) < _MANY:
        due[node] = asked_at + (_SECONDS if waiting < _STREAM else _STREAM_SECONDS)
    return fetched


def _partitions_of(fetcher: Any, assignment: Any, node: int) -> int:
    """Return how many partitions are fetched from a broker, but for those that are paused."""
    return sum(
        fetcher._select_read_replica(partition) == node and not assignment.state_value(partition).paused
        for partition in assignment.tps
    )


def _waiting(assignment: Any, request: Any) -> int:
    """Return how many messages there were from where a fetch began on, as the broker said in its answer."""
    waiting = 0
    for topic, partitions in request.topics:
        for partition, offset, _ in partitions:
            waiting += (assignment.state_value(TopicPartition(topic, partition)).highwater or offset) - offset
    return waiting
