"""Decides what sandboxes report, as everything is decided, in a log of their own that is emptied weekly (RULES A26)."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec
import structlog

from shared.contract.events import NotUnderstood, Report
from shared.deciding.facts import StreamCache
from shared.deciding.unit_of_work import Answer, UnitOfWork
from shared.kafka.names import SANDBOX_EVENTS
from shared.log.event_store import Transaction
from shared.log.sandbox import SandboxStore, week_of
from shared.service.command_handler import CommandHandler, HeardFact, Preview, Unreadable
from shared.service.kafka_consumer import KafkaConsumer, KafkaMessage

_log = structlog.get_logger()


class SandboxHandler(CommandHandler):
    """Decides the reports of sandboxes; what an earlier week left is forgotten first."""

    store: SandboxStore
    _week = date.min

    async def begin_week(self) -> None:
        """Empty the sandbox where a new week has begun."""
        if (week := week_of(datetime.now(UTC))) > self._week:
            await self.store.begin_week(week)
            self._week = week

    async def handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable] = ()
    ) -> list[Answer]:
        """Decide reports in order."""
        await self.begin_week()
        return await super().handle(arrived, unreadable)

    async def preview(self, arrived: Sequence[Report | NotUnderstood]) -> list[Preview]:
        """Decide reports by what stands in the sandbox now, and record nothing."""
        await self.begin_week()
        return await super().preview(arrived)

    async def hear(self, service: str, facts: Sequence[HeardFact]) -> int:
        """Store facts of another service's sandbox, in order, and decide what waited for them."""
        await self.begin_week()
        return await super().hear(service, facts)

    def _is_next(self, at: int, position: int) -> bool:
        return at > position  # what was emptied before it was sent is missing for good

    async def _unit_of_work(
        self, transaction: Transaction, reports: Sequence[Report] = (), streams: StreamCache | None = None
    ) -> UnitOfWork:
        # Another process may have emptied it: nothing is remembered from one transaction to the next.
        return await super()._unit_of_work(transaction, reports, streams or StreamCache(self.service))


class _Origin(msgspec.Struct, gc=False):
    source: str


_origin = msgspec.json.Decoder(_Origin)


class SandboxFacts:
    """The topic of what all sandboxes record, of which a service hears those that its decisions rest on."""

    def __init__(self, services: Sequence[str], handler: CommandHandler, consumer: KafkaConsumer) -> None:
        self._services = {f"/services/{service}": service for service in services}
        self._handler = handler
        consumer.subscribe("sandbox", [SANDBOX_EVENTS], self.decode, self.handle)

    async def decode(self, messages: Sequence[KafkaMessage]) -> list[tuple[str, HeardFact]]:
        """Decode a batch."""
        facts = []
        for message in messages:
            raw = message.value or b""
            try:
                service = self._services.get(_origin.decode(raw).source)
                if service is not None:
                    facts.append((service, self._handler.decode_heard(service, raw)))
            except (msgspec.DecodeError, ValueError) as error:
                _log.warning("sandbox.not-a-fact", offset=message.offset, error=type(error).__name__)
            await asyncio.sleep(0)
        return facts

    async def handle(self, facts: Sequence[tuple[str, HeardFact]]) -> None:
        """Take a batch, in order; raises one of `UNAVAILABLE` when the database is away."""
        by_service: dict[str, list[HeardFact]] = defaultdict(list)
        for service, fact in facts:
            by_service[service].append(fact)
        for service, own in by_service.items():
            await self._handler.hear(service, own)
