"""What tests do to a broker that no production code does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient

_PATIENCE = 30.0


async def delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete those of the topics that exist, and wait until the broker lists none of them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = list(set(names) & set(await admin.list_topics()))
        if existing:
            await admin.delete_topics(existing)
        async with asyncio.timeout(_PATIENCE):
            while set(existing) & set(await admin.list_topics()):  # noqa: ASYNC110 - the broker sends no event
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
