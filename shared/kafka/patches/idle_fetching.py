"""A consumer to which nothing comes does nothing.

aiokafka looks five times a second whether there is something to fetch (`consumer_timeout_ms`), although what changes
that wakes it. Faust does not hand the setting on.
"""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer

_LOOK_MS: Final = 2000


def apply() -> None:
    """Let every consumer look seldom, unless it is told how often."""
    construct: Any = AIOKafkaConsumer.__init__
    construct.__kwdefaults__["consumer_timeout_ms"] = _LOOK_MS
