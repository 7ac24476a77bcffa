"""Deletes raw reports, which hold identity numbers, once they are decided and backups have what was decided.

What a service's group has committed is in its database, so what was committed before a dump began is in the dump.
Records go as far as a backup of some time ago reached, and no further than what is decided now; the newest backup
reaches further. So no backup that is restored lacks what the broker no longer has, as long as the newest is beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import NotLeaderForPartitionError, OffsetOutOfRangeError

from deploy.operations.hops.topics import messages_before
from shared.kafka.clients import Broker
from shared.kafka.names import consumer_group, reports_topic

Offsets = dict[str, int]  # by topic/partition, the first offset that is not decided


async def decided(broker: Broker, service: str) -> Offsets:
    """Return up to where the inboxes of a service are decided; raises KafkaError."""
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(broker.named(consumer_group(service)))
    finally:
        await admin.close()
    ours = broker.named(reports_topic(service, ""))
    inboxes = {place: at.offset for place, at in committed.items() if place.topic.startswith(ours)}
    return {f"{place.topic}/{place.partition}": offset for place, offset in sorted(inboxes.items()) if offset > 0}


async def holding(broker: Broker, service: str, is_meant: Callable[[bytes], bool]) -> tuple[int, Offsets]:
    """Return how many raw reports of a service are meant, and up to where they go. Raises KafkaError, TimeoutError."""
    places = await _places(broker, service)
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **broker.client())
    try:
        await consumer.start()
        count, up_to = 0, Offsets()
        if places:
            async for messages in messages_before(consumer, await consumer.end_offsets(places)):
                for message in messages:
                    if is_meant(message.value or b"") or is_meant(message.key or b""):
                        count += 1
                        place = f"{message.topic}/{message.partition}"
                        up_to[place] = max(up_to.get(place, 0), message.offset + 1)
        return count, up_to
    finally:
        await consumer.stop()


async def _places(broker: Broker, service: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        ours = broker.named(reports_topic(service, ""))
        inboxes = [topic for topic in await admin.list_topics() if topic.startswith(ours)]
        described = await admin.describe_topics(inboxes)
    finally:
        await admin.close()
    return [TopicPartition(row["topic"], it["partition"]) for row in described for it in row["partitions"]]


def covered(file: Path, taken_at: str, now_decided: Offsets, after: timedelta) -> Offsets:
    """Note in a file what a new backup reaches, and return up to where records may be deleted.

    That is where a backup at least `after` older reached; what is older still is forgotten.
    """
    reached: dict[str, Offsets] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    last = datetime.fromisoformat(taken_at) - after
    due = max((stamp for stamp in reached if datetime.fromisoformat(stamp) <= last), default="")
    noted = {stamp: offsets for stamp, offsets in reached.items() if stamp >= due} | {taken_at: now_decided}
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(noted), encoding="utf-8")
    fresh.replace(file)
    # After a restore less may be decided now than there was then: it is read again.
    return {
        place: min(offset, now_decided[place]) for place, offset in reached.get(due, {}).items() if place in now_decided
    }


async def delete(broker: Broker, up_to: Mapping[str, int]) -> None:
    """Delete all records before these offsets; raises KafkaError. A topic that was made anew stays as it is."""
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        for place, offset in up_to.items():
            topic, _, partition = place.rpartition("/")
            try:
                await admin.delete_records({TopicPartition(topic, int(partition)): RecordsToDelete(offset)})
            except (OffsetOutOfRangeError, NotLeaderForPartitionError):
                continue
    finally:
        await admin.close()
