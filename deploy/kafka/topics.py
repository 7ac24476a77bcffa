"""Partitions and settings of all topics, and the command that makes them so: `python -m deploy.kafka.topics`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from pydantic import DirectoryPath, Field, ValidationError

from deploy.local.refusal import LocalError
from services.catalogue import DOMAIN_SERVICES, OFFICE
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings
from shared.kafka.names import QUARANTINE, SANDBOX_EVENTS, events_topic, mark_topic, receipts_topic, reports_topic
from shared.plan.districts import district_codes

_HOUR: Final = 3600 * 1000
_DAY: Final = 24 * _HOUR
_PARTITIONS_OF_REPORTS: Final = 3
# Of a partition: two million undecided reports, more than a district ever has; a flood fills no disk of the others.
_LARGEST_INBOX: Final = 2 << 30
# How long a new topic may take until every broker knows it.
_PATIENCE: Final = 30.0
_ALREADY_THERE: Final = 36  # TopicAlreadyExists: somebody made it in the same moment
_SET_ON_THE_TOPIC: Final = 1  # where a setting comes from, in Kafka's protocol: not the broker, not its defaults
_KEPT: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int = 1
    config: dict[str, str] = field(default_factory=dict)


class Mended(NamedTuple):
    """A setting of a topic that was found different and is now as it should be."""

    topic: str
    setting: str
    before: str
    now: str


class TopicsRefused(LocalError):
    """A topic is there already and differs in what cannot be changed while it holds messages."""


def reports(service: str, district: str) -> Topic:
    """Return a district's inbox of a service, in which the broker says when a report arrived.

    Kept to be decided: 90 days, and 2 GiB a partition; what is lost to either bound unread is told to its sender
    (RULES A19, `never-read`).

    Reports hold identity numbers in clear: what is decided and in a backup is deleted by a later backup
    (deploy/operations/inboxes.py), and a segment ends with the first report after an hour, so that bytes go soon after.
    """
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(90 * _DAY),
        "retention.bytes": str(_LARGEST_INBOX),
        "segment.ms": str(_HOUR),
        "message.timestamp.type": "LogAppendTime",
    }
    return Topic(reports_topic(service, district), _PARTITIONS_OF_REPORTS, config)


def of_the_office() -> list[Topic]:
    """Return the inboxes of the plan office, of each service that it decides by (RULES F1a)."""
    return [reports(service, OFFICE) for service, entry in DOMAIN_SERVICES.items() if not entry.counted]


def events(service: str) -> Topic:
    """Return a service's facts: one order, kept for ever."""
    return Topic(events_topic(service), 1, dict(_KEPT))


def receipts(district: str) -> Topic:
    """Return a district's answers, the last one per report; by when the broker appended them its clock is compared.

    In gzip, whatever the relay sends: every client of Kafka reads that without further packages.
    """
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", "compression.type": "gzip"}
    return Topic(receipts_topic(district), 1, config)


def quarantine() -> Topic:
    """Return the topic that keeps unreadable messages."""
    return Topic(QUARANTINE, 1, dict(_KEPT))


def sandbox() -> Topic:
    """Return the topic of what all sandboxes record (RULES A26): its week, and a day for who reads late."""
    config = {"cleanup.policy": "delete", "retention.ms": str(8 * _DAY), "segment.ms": str(_DAY)}
    return Topic(SANDBOX_EVENTS, 1, config)


def wanted(districts: Iterable[str]) -> list[Topic]:
    """List every topic of an installation with these districts."""
    codes = sorted(set(districts))
    return [
        *(reports(service, code) for service in DOMAIN_SERVICES for code in codes),
        *of_the_office(),
        *(events(service) for service in DOMAIN_SERVICES),
        *(receipts(code) for code in codes),
        quarantine(),
        sandbox(),
    ]


async def create(broker: Broker, topics: Sequence[Topic], *, replication: int = 1) -> list[str]:
    """Make the topics that are missing, wait until the broker knows them, and return their names."""
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in topics if broker.named(topic.name) not in there]
        if not missing:
            return []
        made = await admin.create_topics(
            [
                NewTopic(broker.named(topic.name), topic.partitions, replication, topic_configs=topic.config)
                for topic in missing
            ]
        )
        refused = [
            (name, message or code) for name, code, message in made.topic_errors if code not in (0, _ALREADY_THERE)
        ]
        if refused:
            raise RuntimeError(f"topics refused by the broker: {refused}")
        names = {broker.named(topic.name) for topic in missing}
        async with asyncio.timeout(_PATIENCE):
            while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - the broker sends no notice
                await asyncio.sleep(0.05)
        return sorted(names)
    finally:
        await admin.close()


async def claim(broker: Broker, mark: str, *, replication: int = 1) -> None:
    """Note on the broker whose topics these are: by the name of an empty topic.

    Raises LocalError, and changes nothing, where they are another installation's; those that an earlier release made
    have no mark yet. `mark`: the same wherever it is, and no other installation's (`Installation.mark`).
    """
    ours = mark_topic(mark)
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        marks = [name for name in await admin.list_topics() if name.startswith(broker.named(mark_topic("")))]
    finally:
        await admin.close()
    if others := sorted({*marks} - {broker.named(ours)}):
        listed = ", ".join(others)
        raise LocalError(
            f"Kafka 中名称相同的主题属于另一套安装(城市密钥不同;{listed}),什么都没有改动。"
            "请用另一个 Kafka 或另一个名称,或放回那套安装的密钥。",
            f"Topics of this name in this Kafka: another installation's, with another city key ({listed}); nothing was"
            " changed. Use another Kafka or another name, or bring back the keys of that installation.",
        )
    await create(broker, [Topic(ours)], replication=replication)


async def delete_all(broker: Broker) -> None:
    """Delete every topic in our namespace; without one there is nothing that would be ours alone."""
    if not broker.namespace:
        raise ValueError("a broker without a namespace")
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        ours = [topic for topic in await admin.list_topics() if topic.startswith(broker.named(""))]
        if ours:
            await admin.delete_topics(ours)
    finally:
        await admin.close()


async def mend(broker: Broker, topics: Sequence[Topic], *, look_only: bool = False) -> list[Mended]:
    """Compare the settings of topics that are there with what they should be, and set right what differs.

    `look_only`: return what would be set right, and change nothing.
    Settings that are none of ours stay as the operator made them. Raises TopicsRefused for another number of
    partitions, before anything is changed: it cannot be mended, later reports of a subject would overtake earlier ones.
    """
    topics = [replace(topic, name=broker.named(topic.name)) for topic in topics]
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        partitions = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics(_names(topics))}
        wrong = [
            f"{topic.name}: {partitions[topic.name]}, 应为 not {topic.partitions}"
            for topic in topics
            if partitions.get(topic.name, topic.partitions) != topic.partitions
        ]
        if wrong:
            raise TopicsRefused(
                f"主题的分区数不对,已有消息时不能改:{'; '.join(wrong)}。请停下服务,删除主题后重建;事实由日志重发。",
                f"The number of partitions is wrong and cannot be changed under messages: {'; '.join(wrong)}."
                " Stop the services, delete the topic and make it anew; its log is sent again.",
            )
        mended: list[Mended] = []
        altered: list[ConfigResource] = []
        for topic, (effective, own) in zip(topics, await _settings_of(admin, topics), strict=True):
            differing = {name: value for name, value in topic.config.items() if effective.get(name) != value}
            if differing:
                mended += [
                    Mended(topic.name, name, effective.get(name, ""), value) for name, value in differing.items()
                ]
                # The request replaces all settings of the topic: those of the operator go along.
                altered.append(ConfigResource(ConfigResourceType.TOPIC, topic.name, {**own, **topic.config}))
        if altered and not look_only:
            for answer in await admin.alter_configs(altered):
                refused = [f"{name}: {message or code}" for code, message, _, name in answer.resources if code]
                if refused:
                    why = "; ".join(refused)
                    raise TopicsRefused(f"代理拒绝修改主题:{why}", f"The broker refuses to change topics: {why}")
        return mended
    finally:
        await admin.close()


def _names(topics: Iterable[Topic]) -> list[str]:
    return [topic.name for topic in topics]


async def _settings_of(
    admin: AIOKafkaAdminClient, topics: Sequence[Topic]
) -> list[tuple[Mapping[str, str], Mapping[str, str]]]:
    """Return for each topic the settings in effect, and those of them that were set on the topic itself."""
    (answer,) = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in _names(topics)]
    )
    settings = {}
    for code, message, _, name, entries in answer.resources:
        if code:
            why = f"{name}: {message or code}"
            raise TopicsRefused(f"代理不让查看主题的设置:{why}", f"The broker does not show a topic's settings: {why}")
        rows = [(entry[0], entry[1] or "", entry[3]) for entry in entries]
        settings[name] = (
            {key: value for key, value, _ in rows},
            {key: value for key, value, origin in rows if origin == _SET_ON_THE_TOPIC},
        )
    return [settings[name] for name in _names(topics)]


class _Settings(BrokerSettings):
    """Settings of this command: the broker, the plans with their districts, the replication factor, and whose the
    topics are (`claim`; nobody's where it is empty)."""

    plans: DirectoryPath = Field(Path("plans"), validate_default=True)
    replication: int = Field(1, ge=1)
    mark: str = ""


async def _create(settings: _Settings) -> None:
    if problem := await settings.broker.problem():
        sys.exit(f"✗ {problem}")
    topics = wanted(district_codes(settings.plans))
    try:
        if settings.mark:
            await claim(settings.broker, settings.mark, replication=settings.replication)
        made = await create(settings.broker, topics, replication=settings.replication)
        mended = await mend(settings.broker, topics)
    except LocalError as error:
        sys.exit(f"✗ {error.zh} {error.en}")
    for row in mended:
        sys.stdout.write(f"topics.mended topic={row.topic} setting={row.setting} before={row.before} now={row.now}\n")
    sys.stdout.write(f"topics.created count={len(made)} mended={len(mended)}\n")


if __name__ == "__main__":
    try:
        asyncio.run(_create(_Settings()))
    except ValidationError as invalid:
        sys.exit(wrong_settings(invalid))
