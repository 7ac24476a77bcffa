"""The worker process of a domain service: Kafka in, the relay out, expiry of what waits, and its probes."""

import asyncio
from collections.abc import Sequence
from typing import Final

import stamina
import structlog
from starlette.applications import Starlette

from shared.contract.events import Language
from shared.http.api_keys import KeyRing
from shared.kafka.clients import ReservedTopic
from shared.kafka.names import consumer_group
from shared.log.outbox_relay import Relay
from shared.log.sandbox import SandboxRelay
from shared.observability.metrics import Reading
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.model import districts_by_waiting_days
from shared.process.process import add_probes, end_process_if_failed, serve
from shared.service.kafka_consumer import KafkaConsumer
from shared.service.kafka_facts import KafkaFacts
from shared.service.kafka_reports import KafkaReports
from shared.service.parts import Parts
from shared.service.sandbox import SandboxFacts, SandboxHandler
from shared.service.witnesses import Witnessing

_EXPIRY_SECONDS: Final = 60
_log = structlog.get_logger()


class Worker:
    """The work of one service that no request sets off."""

    def __init__(
        self,
        parts: Parts,
        hears: Sequence[Language],
        reserved: ReservedTopic | None,
        quarantine_days: int,
        witnessing: Witnessing,
        inbox_rate: int = 0,
    ) -> None:
        stamina.instrumentation.set_on_retry_hooks([])  # each retry here logs what it waits for
        self._parts = parts
        self._quarantine_days = quarantine_days
        self._witnessing = witnessing
        self._group = consumer_group(parts.name)
        health = parts.metrics.health
        self._consumer = KafkaConsumer(self._group, parts.settings.broker, health, inbox_rate)
        ring = KeyRing(parts.settings.keys, parts.settings.key_pepper.get_secret_value())

        def with_keys() -> bool:
            ring.refresh()
            return ring.closed

        named = bool(parts.settings.broker.user)
        reports = KafkaReports(parts.handler, reserved, named=named, with_keys=with_keys)
        reports.subscribe(self._consumer)
        self._sandbox = parts.handler.sandbox
        if hears and self._sandbox is not None:
            SandboxFacts([language.service for language in hears], self._sandbox, self._consumer)
        self._facts = [KafkaFacts(language.service, parts.handler, self._consumer, health) for language in hears]
        dsn = parts.settings.pg_dsn.get_secret_value()
        self._relay = Relay(dsn, parts.settings.broker, parts.name, health, self._compare, parts.tracing)
        self._sandbox_relay = SandboxRelay(dsn, parts.settings.broker, health)
        parts.store.wake = self._relay.wake
        parts.metrics.read(self._read)

    async def run(self) -> None:
        """Work, and answer probes, until SIGTERM or SIGINT."""
        app = Starlette()
        add_probes(app, self._parts.metrics)
        await serve(app, self._parts.settings, self._work, self._parts.metrics)

    async def _work(self, stop: asyncio.Event) -> None:
        works = (self._relay.run(), self._sandbox_relay.run(), self._expire(), self._witnessing.run())
        beside = [asyncio.create_task(work) for work in works]
        for task in beside:
            task.add_done_callback(end_process_if_failed)
        await self._consumer.run(stop)
        for task in beside:
            task.cancel()

    async def _compare(self) -> None:
        for facts in self._facts:
            await facts.compare(self._parts.settings.broker, self._group)

    async def _expire(self) -> None:
        """Refuse what has waited too long (RULES D13), and delete unreadable bytes whose time is over.

        Every minute is often enough, since days are what counts.
        """
        districts_by_days = districts_by_waiting_days(self._parts.plans)
        longest = max(districts_by_days)
        while True:
            try:
                if isinstance(self._sandbox, SandboxHandler):  # nothing waits there for longer than its week
                    await self._sandbox.begin_week()
                for days, districts in districts_by_days.items():
                    # A district that has left the plans has the longest of them.
                    while await self._parts.handler.expire(days, None if days == longest else districts):
                        pass
                if ended := await self._parts.store.end_unreadable(self._quarantine_days):
                    _log.info("quarantine.ended", count=ended, days=self._quarantine_days)
            except UNAVAILABLE:
                _log.warning("expiry.paused", waiting_for="database")
            await asyncio.sleep(_EXPIRY_SECONDS)

    def _read(self) -> list[Reading]:
        own = (self._parts.name,)
        return [
            Reading("skillplan_inbox_lag", self._consumer.lag(), own),
            Reading("skillplan_inbox_partitions", self._consumer.partitions(), own),
            Reading("skillplan_clock_difference_seconds", self._relay.clocks.difference, own),
            *(Reading("skillplan_parked", facts.hole, (*own, facts.topic)) for facts in self._facts),
        ]
