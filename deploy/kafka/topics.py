"""Names, partitions and retention of all topics, and the command that creates them: `python -m deploy.kafka.topics`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import DirectoryPath, Field, ValidationError

from services.catalogue import DOMAIN_SERVICES, OFFICE
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings
from shared.plan.districts import district_codes

_WEEK = str(7 * 24 * 3600 * 1000)
_PARTITIONS_OF_REPORTS = 3
# How long a new topic may take until every broker knows it.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int = 1
    config: dict[str, str] = field(default_factory=dict)


def reports(service: str, district: str) -> Topic:
    """Return a district's inbox of a service. The broker says when a report arrived; a week to catch up."""
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": _WEEK}
    return Topic(f"{service}.reports.{district}", _PARTITIONS_OF_REPORTS, config)


def of_the_office() -> list[Topic]:
    """Return the inboxes of the plan office, of each service that it decides by (RULES F1a)."""
    return [reports(service, OFFICE) for service, entry in DOMAIN_SERVICES.items() if not entry.counted]


def events(service: str) -> Topic:
    """Return a service's facts: one order, kept for ever."""
    return Topic(f"{service}.events", 1, {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"})


def receipts(district: str) -> Topic:
    """Return a district's answers, the last one per report."""
    return Topic(f"receipts.{district}", 1, {"cleanup.policy": "compact"})


def quarantine() -> Topic:
    """Return the topic that reports unreadable messages to a district."""
    return Topic("quarantine", 1, {"retention.ms": "-1"})


def wanted(districts: Iterable[str]) -> list[Topic]:
    """List every topic of an installation with these districts."""
    codes = sorted(set(districts))
    return [
        *(reports(service, code) for service in DOMAIN_SERVICES for code in codes),
        *of_the_office(),
        *(events(service) for service in DOMAIN_SERVICES),
        *(receipts(code) for code in codes),
        quarantine(),
    ]


async def create(broker: Broker, topics: Sequence[Topic], *, replication: int = 1) -> list[str]:
    """Make the topics that are missing, wait until the broker knows them, and return their names.

    What is there already stays as it is. More partitions, for one, would put later reports of a subject elsewhere.
    """
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in there]
        if not missing:
            return []
        made = await admin.create_topics(
            [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config) for topic in missing]
        )
        refused = [
            (name, message or code) for name, code, message in made.topic_errors if code not in (0, _ALREADY_THERE)
        ]
        if refused:
            raise RuntimeError(f"topics refused by the broker: {refused}")
        names = {topic.name for topic in missing}
        async with asyncio.timeout(_PATIENCE):
            while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - the broker sends no notice
                await asyncio.sleep(0.05)
        return sorted(names)
    finally:
        await admin.close()


_ALREADY_THERE = 36  # TopicAlreadyExists: somebody made it in the same moment


class _Settings(BrokerSettings):
    """Settings of this command: the broker, the plans with their districts, and the replication factor."""

    plans: DirectoryPath = Field(Path("plans"), validate_default=True)
    replication: int = Field(1, ge=1)


async def _create(settings: _Settings) -> None:
    if problem := await settings.broker.problem():
        sys.exit(f"✗ {problem}")
    made = await create(settings.broker, wanted(district_codes(settings.plans)), replication=settings.replication)
    sys.stdout.write(f"topics.created count={len(made)}\n")


if __name__ == "__main__":
    try:
        asyncio.run(_create(_Settings()))
    except ValidationError as invalid:
        sys.exit(wrong_settings(invalid))
