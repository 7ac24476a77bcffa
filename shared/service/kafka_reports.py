"""Reports of districts from Kafka: decoded, and decided in batches; bytes that are no JSON object go to quarantine."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from shared.contract.cloudevents import NotReadableError, from_kafka
from shared.contract.decoder import Channel
from shared.contract.events import NotUnderstood, Report
from shared.service.command_handler import CommandHandler, Unreadable
from shared.service.kafka_consumer import KafkaConsumer, KafkaMessage


class KafkaReports:
    """The topics `<service>.reports.<district>`."""

    def __init__(self, handler: CommandHandler) -> None:
        self._handler = handler

    def subscribe(self, consumer: KafkaConsumer, districts: Iterable[str]) -> None:
        """Take the reports of some districts."""
        topics = [f"{self._handler.service}.reports.{district}" for district in districts]
        consumer.subscribe("reports", topics, self.handle)

    async def handle(self, messages: Sequence[KafkaMessage]) -> None:
        """Decide a batch; raises one of `UNAVAILABLE` when the database is away, and nothing was recorded."""
        arrived: list[Report | NotUnderstood] = []
        unreadable: list[Unreadable] = []
        began = self._handler.tracing.now()
        for message in messages:
            at = datetime.fromtimestamp(message.at, UTC)
            try:
                envelope = from_kafka(message.value, message.headers)
            except NotReadableError as error:
                unreadable.append(
                    Unreadable(message.topic, message.partition, message.offset, str(error), message.value or b"", at)
                )
            else:
                channel = Channel(district=message.topic.rpartition(".")[2])
                arrived.append(self._handler.decoder.decode(envelope, channel, at))
        self._handler.tracing.receive((item for item in arrived if isinstance(item, Report)), began)
        await self._handler.handle(arrived, unreadable)
