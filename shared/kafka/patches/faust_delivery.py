"""Faust passes on each message without tasks made for it, which cost more than all else that it does.

Faust 0.15 makes four tasks a message, to end its delivery when partitions are taken away meanwhile. No issue is known
upstream.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

_DELIVERY_AND_SUSPENSION: Final = 2


class _Flag(Protocol):
    """What is used of Faust's events."""

    def is_set(self) -> bool: ...


class DeliveringConsumer(Protocol):
    """What is used of Faust's consumer; `suspend_flow` is set while partitions are taken away."""

    suspend_flow: _Flag
    wait_first: Callable[..., Coroutine[object, object, object]]


def apply(consumer: DeliveringConsumer) -> None:
    """Let a consumer await each delivery itself; its caller leaves out what was read before partitions were taken."""
    wait_first = consumer.wait_first

    async def deliver(*waited: Any, **options: Any) -> object:
        # It also waits for one thing by the same name: for the flow to go on, while partitions are taken away.
        if len(waited) != _DELIVERY_AND_SUSPENSION or consumer.suspend_flow.is_set():
            return await wait_first(*waited, **options)
        delivery, suspended = waited
        suspended.close()
        return await delivery

    consumer.wait_first = deliver
