"""Facts of another service from Kafka: stored in log order as evidence; a hole is read again from the start."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.contract.cloudevents import NotReadableError
from shared.kafka.clients import Broker
from shared.kafka.names import events_topic
from shared.kafka.topic_reader import TopicReader
from shared.observability.health import Health
from shared.service.command_handler import CommandHandler, HeardFact
from shared.service.kafka_consumer import KafkaConsumer, KafkaMessage

_BREATH: Final = 50
_log = structlog.get_logger()


class KafkaFacts:
    """The topic `<service>.events` of one service that decisions here rest on."""

    def __init__(self, service: str, handler: CommandHandler, consumer: KafkaConsumer, health: Health) -> None:
        self.topic = events_topic(service)
        self.hole = False  # a position is missing, and what comes after it waits
        self._service = service
        self._handler = handler
        self._consumer = consumer
        self._health = health
        self._missing: int | None = None  # the position for which the topic was read again last
        self._reading: set[asyncio.Task[None]] = set()
        consumer.subscribe(service, [self.topic], self.decode, self.handle)

    async def decode(self, messages: Sequence[KafkaMessage]) -> list[HeardFact]:
        """Decode a batch, of facts that are heard all of it; now and then it lets the batch before it go on."""
        facts = []
        for number, message in enumerate(messages, 1):
            try:
                facts.append(self._handler.decode_heard(self._service, message.value or b""))
            except NotReadableError as error:
                # It has no position; if it stood for a fact, the next one shows the hole.
                _log.error("hear.not-a-fact", of=self._service, offset=message.offset, error=str(error))
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        return facts

    async def handle(self, facts: Sequence[HeardFact]) -> None:
        """Take a batch, in order; raises one of `UNAVAILABLE` when the database is away, and nothing was recorded."""
        position = await self._handler.hear(self._service, facts)
        self.hole = max((fact.position for fact in facts), default=0) > position
        if self.hole:
            if self._missing != position + 1:  # the topic may have been made again, or the database restored
                self._read_again(position + 1)
            _log.error("hear.hole", of=self._service, missing=position + 1)
        self._health.report(self.topic, f"position {position + 1} is missing" if self.hole else None)

    def _read_again(self, missing: int) -> None:
        """Read the topic from its start; what is stored already is skipped by its position."""
        self._missing = missing
        reading = asyncio.create_task(self._consumer.read_again(self.topic))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def compare(self, broker: Broker, group: str) -> None:
        """Read the topic again when fewer messages are to come than positions are missing: the database is older than
        the offsets committed by the group."""
        async with TopicReader(broker, self._service, group) as topic:
            (last, _), to_come = await topic.last(), await topic.to_come()
        stored = await self._handler.store.subscription(self._service)
        if last - stored > to_come:
            self._read_again(stored + 1)
