"""The sandbox of a service (RULES A26): a log of its own, emptied every week, and the relay of it."""

import asyncio
import contextlib
from datetime import date, datetime, timedelta
from typing import Final

import aiokafka
import asyncpg
import structlog
from aiokafka.errors import KafkaError

from shared.contract.events import LOCAL_TIME
from shared.kafka.clients import Broker
from shared.kafka.names import SANDBOX_EVENTS
from shared.log.event_store import EventStore, open_pool, read_queries
from shared.log.outbox_relay import CHECKPOINTS, PAGE, STRUCTURED, TURN, Outgoing, message_of_receipt
from shared.observability.health import Health
from shared.observability.unavailable import UNAVAILABLE

SCHEMA: Final = "sandbox"
_SQL: Final = read_queries("shared.log", "sandbox.sql")
_LOOK_SECONDS: Final = 15.0
_PART: Final = "sandbox"
_log = structlog.get_logger()


def week_of(at: datetime) -> date:
    """Return the Monday of an instant's week, in local time."""
    day = at.astimezone(LOCAL_TIME).date()
    return day - timedelta(days=day.weekday())


class SandboxStore(EventStore):
    """The sandbox in the database of one service."""

    channel = "recorded_in_sandbox"

    async def begin_week(self, week: date) -> bool:
        """Forget all that was recorded in an earlier week; return whether one was over."""
        if (await self.pool.fetchval(_SQL["week"])) >= week:
            return False
        async with self.transaction() as transaction:
            begun = bool(await transaction.fetch(_SQL["empty"], week))
        if begun:
            _log.info("sandbox.emptied", week=week.isoformat())
        return begun


async def open_sandbox(dsn: str, name: str) -> SandboxStore:
    """Open the sandbox beside a service's log; without a connection until something is reported there."""
    return SandboxStore(await open_pool(dsn, f"{name} sandbox", most=2, schema=SCHEMA))


class SandboxRelay:
    """Sends what a sandbox records: receipts where all receipts go, facts to a topic from which nothing is counted.

    It has a producer only while there is something to send. What goes wrong is a warning: the service works.
    """

    def __init__(self, dsn: str, broker: Broker, health: Health) -> None:
        self._dsn, self._broker, self._health = dsn, broker, health

    async def run(self) -> None:
        """Relay until cancelled; while the database or the broker is away, try again later."""
        while True:
            try:
                await self._relay()
            except (*UNAVAILABLE, KafkaError, TimeoutError) as error:
                self._health.warn(_PART, f"what sandboxes record is not sent: {type(error).__name__}")
                _log.warning("sandbox.paused", problem=type(error).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _relay(self) -> None:
        settings = {"search_path": SCHEMA, "application_name": "skillplan sandbox relay"}
        connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=30, server_settings=settings)
        try:
            while not await connection.fetchval(_SQL["lock"]):  # noqa: ASYNC110 - the database sends no notice
                await asyncio.sleep(_LOOK_SECONDS)
            recorded = asyncio.Event()
            await connection.add_listener(SandboxStore.channel, lambda *_: recorded.set())
            connection.add_termination_listener(lambda *_: recorded.set())
            while True:
                recorded.clear()
                if page := await _next_page(connection, {}):
                    await self._send_all(connection, page)
                self._health.warn(_PART, None)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(recorded.wait(), _LOOK_SECONDS)
        finally:
            connection.terminate()

    async def _send_all(self, connection: asyncpg.Connection, page: list[asyncpg.Record]) -> None:
        producer = aiokafka.AIOKafkaProducer(
            acks="all", enable_idempotence=True, request_timeout_ms=20000, **self._broker.client()
        )
        try:
            await producer.start()
            while page:
                reached: dict[str, int] = {}
                acks = []
                for row in page:  # facts first: no receipt is out before its fact
                    reached[row["outbox"]] = row["number"]
                    ready = _fact(row) if row["outbox"] == "facts" else message_of_receipt(row)
                    if ready is not None:
                        topic, key, value, headers = ready
                        acks.append(await producer.send(self._broker.named(topic), value, key, headers=headers))
                await asyncio.gather(*acks)
                page = await _next_page(connection, reached)
        finally:
            await producer.stop()


async def _next_page(connection: asyncpg.Connection, reached: dict[str, int]) -> list[asyncpg.Record]:
    """Move the checkpoints that were reached, and return the facts and the receipts after them."""
    checkpoints = {row["outbox"]: row["number"] for row in await connection.fetch(CHECKPOINTS)} | reached
    facts, receipts = checkpoints["facts"], checkpoints["receipts"]
    rows = await connection.fetch(TURN, list(reached), list(reached.values()), facts, receipts, PAGE)
    return [row for row in rows if row["outbox"] is not None]


def _fact(row: asyncpg.Record) -> Outgoing:
    return SANDBOX_EVENTS, row["stream"].encode(), row["bytes"], STRUCTURED
