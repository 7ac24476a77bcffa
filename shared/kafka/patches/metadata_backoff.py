"""A pause after metadata that did not help.

In aiokafka 0.14 a partition without a leader (its broker was stopped in order) makes clients ask for metadata 5,000
times a second, with two log lines each: the back-off meant for it is not taken. Upstream, for the fetcher's part of it:
https://github.com/aio-libs/aiokafka/issues/1155
"""

import asyncio
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

_PAUSE_SECONDS: Final = 0.2
_update: Final[Any] = AIOKafkaClient._metadata_update


def apply() -> None:
    """Let every client pause before it asks again."""
    AIOKafkaClient._metadata_update = _update_patiently


async def _update_patiently(client: Any, *arguments: Any) -> bool:
    updated: bool = await _update(client, *arguments)
    if not updated:
        await asyncio.sleep(_PAUSE_SECONDS)
    return updated
