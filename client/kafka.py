"""How a district reports over Kafka: topic and key, when the broker has it for certain, and the receipts to it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import aiokafka
import orjson
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from pydantic import DirectoryPath, Field

from client.forms import LANGUAGES
from shared.kafka.clients import Broker, BrokerSettings

STRUCTURED: Final = [("content-type", b"application/cloudevents+json; charset=UTF-8")]

_SERVICES: Final = "|".join(language.service for language in LANGUAGES)
_TYPE: Final = re.compile(rf"skillplan\.({_SERVICES})\.[a-z][a-z0-9-]*\.v[1-9][0-9]*")
_SOURCE: Final = re.compile(r"/districts/([0-9]{6})/[A-Za-z0-9._-]{1,40}")


class DistrictSettings(BrokerSettings):
    """What the district's side is told from outside."""

    kafka_passwords: DirectoryPath | None = Field(
        None, description="Folder with the password of district-<code> in a file of that name, to report as several"
    )

    def broker_of(self, district: str) -> Broker:
        """Return the broker as this district sees it."""
        if self.kafka_passwords is None:
            return self.broker
        user = f"district-{district}"
        try:
            password = (self.kafka_passwords / user).read_text(encoding="utf-8").strip()
        except OSError:
            raise CannotPublishError(f"没有 {user} 的密码文件  there is no password file of {user}") from None
        return dataclasses.replace(self.broker, user=user, password=password)


class CannotPublishError(ValueError):
    """This event cannot be sent, others can; the message says why in both languages and quotes nothing."""


def route(event: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the topic and key of a report: the service is in its type, the district in its source, the key its
    subject, so that the reports of one subject stay in order (RULES A10, A17)."""
    kind = _TYPE.fullmatch(str(event.get("type", "")))
    if kind is None:
        raise CannotPublishError("type 不是 skillplan.<服务>.<事实>.v<n>  type is no skillplan.<service>.<fact>.v<n>")
    source = _SOURCE.fullmatch(str(event.get("source", "")))
    if source is None:
        raise CannotPublishError("source 不是 /districts/<区划代码>/<系统>  source is no /districts/<code>/<system>")
    subject = event.get("subject")
    if not isinstance(subject, str) or not subject:
        raise CannotPublishError("缺少 subject  there is no subject")
    return f"{kind[1]}.reports.{source[1]}", subject.encode()


class Client:
    """Publishes reports in structured mode: acknowledged by every replica, never twice by a retry of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer = aiokafka.AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=131072,
            compression_type="lz4",
            request_timeout_ms=20000,
            **broker.client(),
        )
        self._failed: BaseException | None = None
        self._topics: set[str] = set()
        self.acknowledged = 0

    async def __aenter__(self) -> Self:
        if (problem := await self._broker.problem()) is not None:
            await self._producer.stop()
            raise CannotPublishError(problem)
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def publish(self, event: Mapping[str, Any]) -> None:
        """Hand a report to the producer; waits while too much is unsent. Raises CannotPublishError for this
        report alone, KafkaError when nothing more can be sent."""
        topic, key = route(event)
        if self._failed is not None:
            raise self._failed
        if topic not in self._topics:
            # Asked rather than tried: the producer would wait until its time limit for a topic that is not there.
            self._topics = (await self._producer.client.fetch_all_metadata()).topics()
            if topic not in self._topics:
                raise CannotPublishError(await self._broker.problem([topic]) or f"没有主题 no topic: {topic}")
        try:
            sent = await self._producer.send(topic, orjson.dumps(event), key=key, headers=STRUCTURED)
        except MessageSizeTooLargeError:
            raise CannotPublishError("超过 1 MB  larger than 1 MB") from None
        sent.add_done_callback(self._note)

    async def send(self, events: Sequence[Mapping[str, Any]]) -> list[CannotPublishError | None]:
        """Publish reports and wait until the broker has them; of each None, or why it alone could not be sent."""
        outcomes: list[CannotPublishError | None] = []
        for event in events:
            try:
                await self.publish(event)
            except CannotPublishError as error:
                outcomes.append(error)
            else:
                outcomes.append(None)
        await self.flush()
        return outcomes

    async def flush(self) -> None:
        """Wait until the broker has everything that was published. Raises KafkaError when it refused something."""
        await self._producer.flush()
        await asyncio.sleep(0)  # let the last acknowledgements be noted
        if self._failed is not None:
            raise self._failed

    def _note(self, sent: asyncio.Future[Any]) -> None:
        if sent.cancelled():
            return
        error = sent.exception()
        if error is None:
            self.acknowledged += 1
        elif self._failed is None:
            self._failed = error if isinstance(error, KafkaError) else RuntimeError(repr(error))


class Clients:
    """Publishes reports of several districts, each under its own name where there are names."""

    def __init__(self, settings: DistrictSettings) -> None:
        self._settings = settings
        self._opened = contextlib.AsyncExitStack()
        self._clients: dict[str, Client] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def publish(self, event: Mapping[str, Any]) -> None:
        """Hand a report to its district's producer."""
        district = route(event)[0].rpartition(".")[2]
        name = district if self._settings.kafka_passwords else ""
        if name not in self._clients:
            client = Client(self._settings.broker_of(district))
            self._clients[name] = await self._opened.enter_async_context(client)
        await self._clients[name].publish(event)

    async def flush(self) -> None:
        """Wait until the broker has everything that was published."""
        for client in self._clients.values():
            await client.flush()

    @property
    def acknowledged(self) -> int:
        """How many reports the broker has."""
        return sum(client.acknowledged for client in self._clients.values())


class Receipts:
    """Hears the answers that districts get: from the moment it was opened, or from an earlier one on."""

    def __init__(self, broker: Broker, districts: Iterable[str], since: datetime | None = None) -> None:
        self.topics = [f"receipts.{district}" for district in districts]
        self._since = since
        self._broker = broker
        self._consumer = aiokafka.AIOKafkaConsumer(
            *self.topics, enable_auto_commit=False, auto_offset_reset="latest", **broker.client()
        )

    async def __aenter__(self) -> Self:
        if (problem := await self._broker.problem(self.topics)) is not None:
            await self._consumer.stop()
            raise CannotPublishError(problem)
        try:
            await self._consumer.start()
            for partition in self._consumer.assignment():  # settled now, so that nothing sent from here on is missed
                await self._consumer.position(partition)
            if self._since is not None:
                await self._go_back(self._since)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def _go_back(self, since: datetime) -> None:
        at = int(since.timestamp() * 1000)
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._consumer.assignment(), at))
        for partition, place in found.items():
            if place is not None:
                self._consumer.seek(partition, place.offset)

    async def up_to_now(
        self, places: Mapping[str, int | None] | None
    ) -> AsyncIterator[tuple[str, list[dict[str, Any]], int]]:
        """Yield (topic, receipts, next place) up to where the topics end now: from these places on (of a topic None:
        its beginning), or from where this stands."""
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        for partition in partitions if places is not None else ():
            place = (places or {}).get(partition.topic)
            # A topic made anew is shorter than what was read of the old one.
            start = begins[partition] if place is None or place > ends[partition] else max(place, begins[partition])
            self._consumer.seek(partition, start)
        while behind := [one for one in partitions if await self._consumer.position(one) < ends[one]]:
            for partition, messages in (await self._consumer.getmany(*behind, timeout_ms=1000)).items():
                yield partition.topic, list(map(_receipt, messages)), messages[-1].offset + 1

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield receipts as they come, for ever."""
        while True:
            for messages in (await self._consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    yield _receipt(message)

    async def await_answers(self, keys: Iterable[tuple[str, str]], seconds: float) -> set[tuple[str, str]]:
        """Wait until each report, by source and id, has an answer of whatever kind; return those that have none yet."""
        missing = set(keys)
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    for messages in (await self._consumer.getmany(timeout_ms=200)).values():
                        for message in messages:
                            receipt = _receipt(message)
                            missing.discard((receipt.get("source"), receipt.get("id")))
        except TimeoutError:
            pass
        return missing


def _receipt(message: Any) -> dict[str, Any]:
    receipt: dict[str, Any] = orjson.loads(message.value)
    return receipt
