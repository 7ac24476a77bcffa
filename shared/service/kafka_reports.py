"""Reports of districts from Kafka: decoded, and decided in batches; bytes that are no JSON object go to quarantine.

Their sender gets a receipt all the same, which says what was seen first (RULES A19).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Self

from shared.contract import rules
from shared.contract.cloudevents import NotReadableError, from_kafka
from shared.contract.decoder import Channel, is_whole
from shared.contract.events import NotUnderstood, Report
from shared.kafka.clients import ReservedTopic
from shared.kafka.names import district_user, reports_topic
from shared.service.command_handler import CommandHandler, Unreadable
from shared.service.kafka_consumer import KafkaConsumer, KafkaMessage

_BREATH: Final = 50


@dataclass(slots=True)
class DecodedReports:
    """The reports of a batch, and what of it could not be read; `began`: when their decoding did."""

    began: int
    arrived: list[Report | NotUnderstood] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    def extend(self, more: Self, /) -> None:
        """Add what came later."""
        self.arrived += more.arrived
        self.unreadable += more.unreadable


class KafkaReports:
    """The topics `<service>.reports.<district>`, and the one of who plans for the whole area where there is one.

    `named`: the broker asks for users, so that whoever wrote a topic is the user who alone may. `with_keys`: tells
    whether reports over HTTP need a key by now.
    """

    def __init__(
        self,
        handler: CommandHandler,
        reserved: ReservedTopic | None = None,
        *,
        named: bool = False,
        with_keys: Callable[[], bool] = lambda: False,
    ) -> None:
        self._handler, self._with_keys = handler, with_keys
        districts = sorted(handler.decoder.districts)
        channels = {
            district: Channel(
                district=district,
                for_whole=reserved is None and not named,  # who plans has no user for this topic (RULES G4); see decode
                reported_by=district_user(district) if named else district,
            )
            for district in districts
        }
        if reserved is not None:
            whole = [district for district in districts if is_whole(district)]
            channels[reserved.sender] = Channel(
                district=whole[0] if len(whole) == 1 else None,
                prefixes=tuple(f"/districts/{district}" for district in whole),
                reported_by=reserved.user,
            )
        self._channels = {reports_topic(handler.service, sender): channel for sender, channel in channels.items()}
        self._reserved = {reports_topic(handler.service, reserved.sender)} if reserved is not None else frozenset[str]()

    def subscribe(self, consumer: KafkaConsumer) -> None:
        """Take the reports of every sender."""
        consumer.subscribe("reports", list(self._channels), self.decode, self.handle, self.missed)

    async def missed(self, topic: str, partition: int, first: int, count: int) -> None:
        """Record, and say to the sender, that messages outlived the topic's retention before they were read."""
        channel, now = self._channels[topic], datetime.now(UTC)
        gone = Unreadable(topic, partition, first, rules.NeverRead.code, b"", now, channel, gone=count)
        await self._handler.handle([], [gone])

    async def decode(self, messages: Sequence[KafkaMessage]) -> DecodedReports:
        """Decode a batch; now and then it lets the batch before it, which is being decided, go on."""
        decoded, now = DecodedReports(self._handler.tracing.now()), datetime.now(UTC)
        with_keys = self._with_keys()
        for number, message in enumerate(messages, 1):
            at, channel = datetime.fromtimestamp(message.at, UTC), self._channels[message.topic]
            if with_keys and message.topic not in self._reserved:  # nobody shows a key here (RULES G4)
                channel = replace(channel, for_whole=False)
            try:
                envelope = from_kafka(message.value, message.headers)
            except NotReadableError as error:
                decoded.unreadable.append(
                    Unreadable(
                        message.topic, message.partition, message.offset, str(error), message.value or b"", at, channel
                    )
                )
            else:
                decoded.arrived.append(self._handler.decoder.decode(envelope, channel, at, now))
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        self._handler.tracing.receive((item for item in decoded.arrived if isinstance(item, Report)), decoded.began)
        return decoded

    async def handle(self, decoded: DecodedReports) -> None:
        """Decide a batch; raises one of `UNAVAILABLE` when the database is away, and nothing was recorded."""
        await self._handler.handle(decoded.arrived, decoded.unreadable)
