"""Reports of districts from Kafka: decoded, and decided in batches; bytes that are no JSON object go to quarantine.

Their sender gets a receipt all the same, which says what was seen first (RULES A19).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.contract.cloudevents import NotReadableError, from_kafka
from shared.contract.decoder import Channel, is_whole
from shared.contract.events import NotUnderstood, Report
from shared.kafka.clients import ReservedTopic, district_user
from shared.service.command_handler import CommandHandler, Unreadable
from shared.service.kafka_consumer import KafkaConsumer, KafkaMessage


class KafkaReports:
    """The topics `<service>.reports.<district>`, and the one of who plans for the whole area where there is one.

    `named`: the broker asks for users, so that whoever wrote a topic is the user who alone may.
    """

    def __init__(self, handler: CommandHandler, reserved: ReservedTopic | None = None, *, named: bool = False) -> None:
        self._handler = handler
        districts = sorted(handler.decoder.districts)
        channels = {
            district: Channel(
                district=district,
                for_whole=reserved is None,
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
        self._channels = {f"{handler.service}.reports.{sender}": channel for sender, channel in channels.items()}

    def subscribe(self, consumer: KafkaConsumer) -> None:
        """Take the reports of every sender."""
        consumer.subscribe("reports", list(self._channels), self.handle)

    async def handle(self, messages: Sequence[KafkaMessage]) -> None:
        """Decide a batch; raises one of `UNAVAILABLE` when the database is away, and nothing was recorded."""
        arrived: list[Report | NotUnderstood] = []
        unreadable: list[Unreadable] = []
        began = self._handler.tracing.now()
        for message in messages:
            at, channel = datetime.fromtimestamp(message.at, UTC), self._channels[message.topic]
            try:
                envelope = from_kafka(message.value, message.headers)
            except NotReadableError as error:
                unreadable.append(
                    Unreadable(
                        message.topic, message.partition, message.offset, str(error), message.value or b"", at, channel
                    )
                )
            else:
                arrived.append(self._handler.decoder.decode(envelope, channel, at))
        self._handler.tracing.receive((item for item in arrived if isinstance(item, Report)), began)
        await self._handler.handle(arrived, unreadable)
