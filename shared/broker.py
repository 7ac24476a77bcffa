"""Hides that aiokafka asks a broker that is away for metadata again and again without a pause.

A partition without a leader (its broker was stopped in order) made consumers and producers ask 5,000 times a second,
with two log lines each, as long as the broker was away: aiokafka 0.14 means to take its back-off there, and does not.
"""

import asyncio
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

_PAUSE_SECONDS: Final = 0.2


def ask_patiently() -> None:
    """Make every client of this process pause after it asked for metadata in vain. Repeating it is harmless."""
    if AIOKafkaClient._metadata_update is not _patiently:
        AIOKafkaClient._metadata_update = _patiently


_ask: Final[Any] = AIOKafkaClient._metadata_update


async def _patiently(client: Any, *arguments: Any) -> bool:
    told: bool = await _ask(client, *arguments)
    if not told:
        await asyncio.sleep(_PAUSE_SECONDS)
    return told
