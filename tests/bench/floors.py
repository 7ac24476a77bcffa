"""The floors: each hop with nothing but the tool it stands on: `python -m tests.bench.floors <JSON>`."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiokafka
import asyncpg
import faust
import uuid_utils
import uvloop

from tests.bench import feed
from tests.bench.meter import SELF, Meter, Section
from tests.harness.processes import DISTRICTS

_TAKEN = 500  # as the inbox takes them
_PAGE = 2000  # as the relay reads them
_POLLED = 1000  # as the projector polls them
_WARM_UP = 10
# The same rows that an accepted report leaves, in one statement, which is one transaction and one round trip.
_APPEND = """
with head as (
    update log_head set position = position + 1, recorded_at = clock_timestamp(), receipts = receipts + 1
    returning position, recorded_at, receipts
), receipt as (
    insert into receipt (number, source, id, decision, digest, district, bytes)
    select receipts, $1, $2, 1, $3, $4, $5 from head
)
insert into fact (position, stream, version, id, report_source, report_id, tags, recorded_at, bytes, sha256)
select position, $6, 1, $7, $1, $2, $8, recorded_at, $9, $10 from head
"""
# What the projection writes for a fact that counts once: a row of facts that stand, and one of the ledger.
_WIDE = (
    *("line smallint", "use smallint", "service text", "position bigint", "event_id text", "type text", "subject text"),
    *("member text", "on_day date", "district text", "amount bigint", "report_source text", "report_id text"),
    *("recorded_at timestamptz", "retracted boolean", "suspended boolean", "threaded boolean", "report bigint"),
    *("c_line smallint", "part smallint", "period smallint", "c_district text", "counted_on date"),
    *("effective_on date", "c_recorded_at timestamptz", "delta bigint", "cause text", "c_service text", "at bigint"),
)
_AN_ID, _A_TOKEN = "0198a3b2-7c11-7a90-8f3e-9e8d7c6b5a43", "9f86d081884c7d659a2feaa0c55ad015"
_A_TYPE = "skillplan.recruitment.person-hired.v1"


def producer(kafka: str) -> aiokafka.AIOKafkaProducer:
    """Return a producer with the relay's settings."""
    return aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=131072,
        compression_type="lz4",
        request_timeout_ms=20000,
    )


async def append(options: dict[str, Any]) -> Section:
    """Insert fact, receipt and head by bare asyncpg, one transaction each, from many connections."""
    count, clients, run = options["count"], options["clients"], options["run"]
    warm = clients * _WARM_UP

    def row(index: int) -> tuple[Any, ...]:
        district, raw = feed.district_of(index), feed.hire(index, run)
        # Of the size that ours store: an envelope with what the service adds, and a receipt.
        fact, receipt = raw.ljust(options["fact"]), raw[: options["receipt"]]
        digest = hashlib.sha256(fact).digest()
        tags = [f"hire-of:{digest[:16].hex()}:{index % 500:018}"]
        source = f"/districts/{district}/hr"
        subject = feed.subject_of(index, run)
        return source, f"{run}-{index}", digest, district, receipt, subject, uuid_utils.uuid7().hex, tags, fact, digest

    rows = [row(index) for index in range(count + warm)]
    connections = [await asyncpg.connect(options["dsn"]) for _ in range(clients)]

    async def insert(connection: asyncpg.Connection, own: list[tuple[Any, ...]]) -> None:
        statement = await connection.prepare(_APPEND)
        for values in own:
            await statement.fetch(*values)

    async def insert_all(some: list[tuple[Any, ...]]) -> None:
        await asyncio.gather(*(insert(c, some[at::clients]) for at, c in enumerate(connections)))

    await insert_all(rows[:warm])
    meter = Meter(options["pids"] | {SELF: os.getpid()})
    await insert_all(rows[warm:])
    section = meter.section(count)
    for connection in connections:
        await connection.close()
    return section


async def inbox(options: dict[str, Any]) -> Section:
    """Take messages with Faust's `noack_take` and COPY the same bytes to one table."""
    connection = await asyncpg.connect(options["dsn"])
    table = f"taken_{options['run']}"
    await connection.execute(f"create table {table} (topic text, partition int, at bigint, bytes bytea)")
    app = faust.App(
        options["run"],
        broker=f"kafka://{options['kafka']}",
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16384,
        broker_commit_interval=1.0,
    )
    topics = [f"{feed.SERVICE}.reports.{district}" for district in DISTRICTS]
    channel = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    mark = f'"id":"{options["reports"]}-'.encode()
    finished: asyncio.Future[Section] = asyncio.get_running_loop().create_future()
    meters: list[Meter] = []
    taken = skipped = 0

    async def agent(stream: Any) -> None:
        try:
            await take(stream)
        except Exception as error:  # noqa: BLE001 - Faust would go on without its agent
            finished.set_exception(error)

    async def take(stream: Any) -> None:
        nonlocal taken, skipped
        async for events in stream.noack_take(_TAKEN, within=0.01):
            messages = [event.message for event in events]
            rows = [(m.topic, m.partition, m.offset, m.value) for m in messages if mark in m.value]
            await connection.copy_records_to_table(table, records=rows)
            for event in events:
                await stream.ack(event)
            taken += len(rows)
            if rows and not meters:  # the first batch stands for starting up, as with ours
                skipped = taken
                meters.append(Meter(options["pids"] | {SELF: os.getpid()}))
            elif taken >= options["count"] and not finished.done():
                finished.set_result(meters[0].section(taken - skipped))

    app.agent(channel, concurrency=1)(agent)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    await app.start()
    return await finished


async def relay(options: dict[str, Any]) -> Section:
    """Send the same bytes to the same number of topics with a bare producer."""
    connection = await asyncpg.connect(options["dsn"])
    facts = await connection.fetch(
        "select stream, bytes from fact where position > $1 order by position", options["after_fact"]
    )
    receipts = await connection.fetch(
        "select district, source || ' ' || id as key, bytes from receipt where number > $1 order by number",
        options["after_receipt"],
    )
    await connection.close()
    json_header = [("content-type", b"application/json")]
    messages = [(options["topic"], row["bytes"], row["stream"].encode(), 0, feed.STRUCTURED) for row in facts]
    # Receipts go to as many topics as there are districts; here, to as many partitions of one.
    messages += [
        (options["topic"], row["bytes"], row["key"].encode(), 1 + DISTRICTS.index(row["district"]), json_header)
        for row in receipts
    ]
    sender = producer(options["kafka"])
    await sender.start()
    await sender.send_and_wait(options["topic"], b"warm", partition=0)
    meter = Meter(options["pids"] | {SELF: os.getpid()})
    for at in range(0, len(messages), _PAGE):
        acks = [
            await sender.send(topic, value, key, partition=partition, headers=headers)
            for topic, value, key, partition, headers in messages[at : at + _PAGE]
        ]
        await asyncio.gather(*acks)
    section = meter.section(len(messages))
    await sender.stop()
    return section


async def ledger(options: dict[str, Any]) -> Section:
    """Poll facts and COPY as many rows of the width that the ledger has."""
    connection = await asyncpg.connect(options["dsn"])
    table = f"bare_{options['run']}"
    await connection.execute(f"create table {table} ({', '.join(_WIDE)})")
    consumer = aiokafka.AIOKafkaConsumer(
        f"{feed.SERVICE}.events",
        bootstrap_servers=options["kafka"],
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    now = datetime.now(UTC)
    today = now.date()
    taken = skipped = 0
    meter = None
    while taken < options["count"]:
        for messages in (await consumer.getmany(timeout_ms=1000, max_records=_POLLED)).values():
            rows = [
                (
                    *(1, 0, feed.SERVICE, m.offset, _AN_ID, _A_TYPE, m.key.decode(), _A_TOKEN, today, "330602", 1),
                    *("/districts/330602/hr", m.key.decode(), now, False, False, False, m.offset),
                    *(1, 0, 2024, "330602", today, today, now, 1, "original", feed.SERVICE, m.offset),
                )
                for m in messages
            ]
            await connection.copy_records_to_table(table, records=rows)
            taken += len(messages)
            if meter is None:
                skipped, meter = taken, Meter(options["pids"] | {SELF: os.getpid()})
    if meter is None:
        raise RuntimeError("there was nothing to take")
    section = meter.section(taken - skipped)
    await consumer.stop()
    await connection.close()
    return section


async def publish(options: dict[str, Any]) -> Section:
    """Publish reports to the inbox topics, all at once or `rate` a second; no floor, but the same tools."""
    messages = []
    for index in range(options["first"], options["first"] + options["count"]):
        topic = f"{feed.SERVICE}.reports.{feed.district_of(index)}"
        messages.append((topic, feed.hire(index, options["run"]), feed.subject_of(index, options["run"]).encode()))
    sender = producer(options["kafka"])
    await sender.start()
    meter = Meter({SELF: os.getpid()})
    acks = [await sender.send(topic, value, key, headers=feed.STRUCTURED) for topic, value, key in messages]
    await asyncio.gather(*acks)
    section = meter.section(len(messages))
    await sender.stop()
    return section


_FLOORS: dict[str, Callable[[dict[str, Any]], Awaitable[Section]]] = {
    made.__name__: made for made in (append, inbox, relay, ledger, publish)
}


async def _run(options: dict[str, Any]) -> None:
    section = await _FLOORS[options["floor"]](options)
    sys.stdout.write(json.dumps(dataclasses.asdict(section)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Faust never lets a loop end that it was not asked to stop in


def main() -> None:
    """Run the floor that the options name and print its section."""
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(_run(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
