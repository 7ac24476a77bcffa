"""Compares the copies of every report and fact, hop by hop and by position, and names the first difference of each hop.

Receipts ↔ log ↔ topic ↔ what other services heard ↔ ledger ↔ cells. It runs beside live work: the position that a
hop has reached is read before the hop ahead of it is, and nothing beyond that position is compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from deploy.operations.hops.comparison import Compared, to_json, to_text
from deploy.operations.hops.heard import Listener, compare_heard, listener_of
from deploy.operations.hops.log import compare_log, compare_topic, note_ahead
from deploy.operations.hops.numbers import Numbers, compare_cells, compare_ledger, numbers_of
from deploy.operations.hops.receipts import compare_receipts
from deploy.operations.hops.topics import ends_of_topics, facts_of, messages_before
from services.catalogue import DOMAIN_SERVICES
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings
from shared.kafka.names import events_topic
from shared.log.event_store import read_queries
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("deploy.operations", "reconcile.sql")
_MOST: Final = 2_000


@dataclass(frozen=True)
class Places:
    """Addresses: of each service's database, as its role, and of the broker."""

    databases: Mapping[str, str]
    broker: Broker


async def compare(places: Places, restored: bool = False) -> list[Compared]:
    """Compare everything that there is now; returns one entry a service, the projection last.

    `restored`: the databases are from a backup, and each of another moment: what is beyond its log is left out, and so
    are receipts on their topics.
    """
    services = [service for service in DOMAIN_SERVICES if service in places.databases]
    by_service = {service: Compared(service) for service in services}
    async with contextlib.AsyncExitStack() as stack:
        connections = {
            service: await stack.enter_async_context(_connected(places.databases[service])) for service in services
        }
        projection = Compared("projection")
        numbers = await _numbers(places, stack)
        relayed: dict[str, dict[str, int]] = {}
        for service, connection in connections.items():
            relayed[service] = {row["outbox"]: row["number"] for row in await connection.fetch(_SQL["relayed"])}
        listeners = [await listener_of(service, connections[service], by_service[service]) for service in services]
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            max_poll_records=_MOST,
            fetch_max_wait_ms=50,  # a fetch of the topic before holds up the next one
            **places.broker.client(),
        )
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        ends = await ends_of_topics(consumer, places.broker)
        heads: dict[str, int] = {}
        for service, connection in connections.items():
            await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
            heads[service] = await compare_log(by_service[service], connection)
        for service, connection in connections.items():
            compared = by_service[service]
            if not restored:
                _note_ahead(compared, heads[service], listeners, numbers)
            topic = TopicPartition(places.broker.named(events_topic(service)), 0)
            if topic not in ends:
                compared.differs("log → topic", None, f"没有主题 {topic.topic}", f"there is no topic {topic.topic}")
                continue
            reached = 0
            async for messages in messages_before(consumer, {topic: ends[topic]}):
                facts = [each for each in facts_of(messages) if not restored or each[0].position <= heads[service]]
                reached = await compare_topic(compared, connection, facts, reached, heads[service])
                for listener in listeners:
                    await compare_heard(listener, service, facts)
                if numbers is not None:
                    await compare_ledger(compared, numbers, service, facts)
            if reached < relayed[service]["facts"]:
                compared.differs(
                    "log → topic", reached + 1,
                    f"主题止于 {reached},转发器记为已发到 {relayed[service]['facts']}",
                    f"the topic ends at {reached}, the relay has noted {relayed[service]['facts']} as sent",
                )  # fmt: skip
        if not restored:
            sent = {service: row["receipts"] for service, row in relayed.items()}
            await compare_receipts(consumer, ends, connections, by_service, sent)
        if numbers is not None:
            await compare_cells(projection, numbers)
    return [*by_service.values(), projection]


def _note_ahead(compared: Compared, head: int, listeners: Sequence[Listener], numbers: Numbers | None) -> None:
    """Note who has come further than the log of a service."""
    service = compared.service
    for listener in listeners:
        if (reached := listener.reached.get(service, 0)) > head:
            note_ahead(listener.compared, f"{service}.log → heard", reached, head)
    if numbers is not None and (reached := numbers.reached.get(service, 0)) > head:
        note_ahead(compared, "topic → ledger", reached, head)


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    settings = {"application_name": "skillplan reconcile", "jit": "off"}
    connection = await asyncpg.connect(dsn, timeout=10, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close(timeout=2)


async def _numbers(places: Places, stack: contextlib.AsyncExitStack) -> Numbers | None:
    if "projection" not in places.databases:
        return None
    connection = await stack.enter_async_context(_connected(places.databases["projection"]))
    await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
    return await numbers_of(connection)


def run(places: Places, as_json: bool) -> int:
    """Compare, print the results, and return 0 when all is equal, 1 when not, 2 when a part is not available."""
    began = time.monotonic()
    try:
        results = asyncio.run(compare(places))
    except (*UNAVAILABLE, KafkaError, TimeoutError) as error:
        sys.stderr.write(
            f"无法对账:数据库或 Kafka 不可用({type(error).__name__})。\n"
            f"Cannot reconcile: database or broker away ({type(error).__name__}).\n"
        )
        return 2
    sys.stdout.write((to_json(results, time.monotonic() - began) if as_json else to_text(results)) + "\n")
    return 1 if any(compared.differences for compared in results) else 0


def main() -> int:
    """Compare what SKILLPLAN_DATABASES (JSON: service → address) and SKILLPLAN_KAFKA name; `--json` for programs."""
    try:
        databases = json.loads(os.environ.get("SKILLPLAN_DATABASES", ""))
    except ValueError:
        sys.stderr.write(
            '请用 SKILLPLAN_DATABASES={"enrollment": "postgresql://…", …} 指明各库,SKILLPLAN_KAFKA 指明 Kafka。\n'
            'Name the databases with SKILLPLAN_DATABASES={"enrollment": "postgresql://…", …}, and Kafka with '
            "SKILLPLAN_KAFKA.\n"
        )
        return 2
    try:
        broker = BrokerSettings().broker
    except ValidationError as error:
        sys.stderr.write(wrong_settings(error) + "\n")
        return 2
    return run(Places(databases, broker), "--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
