"""Compares the copies of every report and fact, hop by hop and by position, and names the first difference of each hop.

Receipts ↔ log ↔ topic ↔ what other services heard ↔ ledger ↔ cells. It runs beside live work: how far each hop has
come is read before the hop before it, and nothing beyond that is compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from services.catalogue import DOMAIN_SERVICES
from services.projection.counting import generations, store
from services.projection.counting.facts import LogFact, decode
from services.projection.counting.lines import CompiledPlans
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings
from shared.log.event_store import read_queries
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("deploy.operations", "reconcile.sql")
_MOST: Final = 2_000
_QUIET_SECONDS: Final = 20.0


@dataclass(frozen=True)
class HopDifference:
    """Where two hops do not agree: the first such place."""

    service: str
    hop: str
    position: int | None
    zh: str
    en: str


@dataclass
class Compared:
    """What was compared of one service, and the first difference of each hop."""

    service: str
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    differences: dict[str, HopDifference] = field(default_factory=dict)

    def differs(self, hop: str, position: int | None, zh: str, en: str) -> None:
        """Note a difference, unless the hop has an earlier one."""
        first = self.differences.get(hop)
        if first is None or (position is not None and first.position is not None and position < first.position):
            self.differences[hop] = HopDifference(self.service, hop, position, zh, en)


@dataclass(frozen=True)
class Places:
    """Addresses: of each service's database, as its role, and of the broker."""

    databases: Mapping[str, str]
    broker: Broker


@dataclass
class _Listener:
    """A service that stores facts of others as evidence: which types of which service, and how far it has heard."""

    connection: asyncpg.Connection
    compared: Compared
    types: Mapping[str, frozenset[str]]
    reached: Mapping[str, int]


@dataclass
class _Numbers:
    """The current generation of the projection, and how far it has counted each log."""

    connection: asyncpg.Connection
    compiled: CompiledPlans
    number: int
    reached: Mapping[str, int]

    def sql(self, name: str) -> str:
        return generations.of_generation(self.number, "deploy.operations", "reconcile.sql")[name]


async def compare(places: Places) -> list[Compared]:
    """Compare everything that there is now; returns one entry a service, the projection last."""
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
        listeners = [await _listener(service, connections[service], by_service[service]) for service in services]
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            max_poll_records=_MOST,
            fetch_max_wait_ms=50,  # a fetch of the topic before holds up the next one
            **places.broker.client(),
        )
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        ends = await _ends(consumer)
        heads: dict[str, int] = {}
        for service, connection in connections.items():
            await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
            heads[service] = await _compare_log(by_service[service], connection)
        for service, connection in connections.items():
            compared = by_service[service]
            for listener in listeners:
                if (reached := listener.reached.get(service, 0)) > heads[service]:
                    _ahead(listener.compared, f"{service}.log → heard", reached, heads[service])
            if numbers is not None and (reached := numbers.reached.get(service, 0)) > heads[service]:
                _ahead(compared, "topic → ledger", reached, heads[service])
            topic = TopicPartition(f"{service}.events", 0)
            if topic not in ends:
                compared.differs("log → topic", None, f"没有主题 {topic.topic}", f"there is no topic {topic.topic}")
                continue
            reached = 0
            async for messages in _messages(consumer, {topic: ends[topic]}):
                facts = _facts(messages)
                reached = await _compare_topic(compared, connection, facts, reached, heads[service])
                for listener in listeners:
                    await _compare_heard(listener, service, facts)
                if numbers is not None:
                    await _compare_ledger(compared, numbers, service, facts)
            if reached < relayed[service]["facts"]:
                compared.differs(
                    "log → topic", reached + 1,
                    f"主题止于 {reached},转发器记为已发到 {relayed[service]['facts']}",
                    f"the topic ends at {reached}, the relay has noted {relayed[service]['facts']} as sent",
                )  # fmt: skip
        await _compare_receipts(consumer, ends, connections, by_service, {s: r["receipts"] for s, r in relayed.items()})
        if numbers is not None:
            await _compare_cells(projection, numbers)
    return [*by_service.values(), projection]


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    settings = {"application_name": "skillplan reconcile", "jit": "off"}
    connection = await asyncpg.connect(dsn, timeout=10, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close(timeout=2)


async def _numbers(places: Places, stack: contextlib.AsyncExitStack) -> _Numbers | None:
    """Open the projection's numbers as they stand now; None when there are none yet."""
    if "projection" not in places.databases:
        return None
    connection = await stack.enter_async_context(_connected(places.databases["projection"]))
    await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
    current = await generations.current(connection)
    if current is None:
        return None
    compiled = CompiledPlans(await generations.plans_of(connection, current.number))
    return _Numbers(connection, compiled, current.number, await store.positions(connection, current.number))


async def _listener(service: str, connection: asyncpg.Connection, compared: Compared) -> _Listener:
    types: dict[str, frozenset[str]] = {}
    if importlib.util.find_spec(f"services.{service}.policies") is not None:
        policies = importlib.import_module(f"services.{service}.policies")
        for language in getattr(policies, "HEARS", ()):
            types[language.service] = frozenset(map(language.type_of, language.events))
    reached = {row["service"]: row["position"] for row in await connection.fetch(_SQL["subscriptions"])}
    return _Listener(connection, compared, types, reached)


async def _ends(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    wanted = [
        TopicPartition(topic, 0)
        for topic in await consumer.topics()
        if topic.endswith(".events") or _is_receipts(topic)
    ]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(wanted) if wanted else {}
    return ends


def _is_receipts(topic: str) -> bool:
    return topic.startswith("receipts.")


async def _messages(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """Yield what stands on partitions before these offsets, in order within each, some at a time."""
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    heard = time.monotonic()
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        got = await consumer.getmany(timeout_ms=500)
        if got:
            heard = time.monotonic()
            for place, messages in got.items():
                yield [message for message in messages if message.offset < ends[place]]
        elif time.monotonic() - heard > _QUIET_SECONDS:
            raise TimeoutError(f"nothing came for {_QUIET_SECONDS:.0f} s")


def _facts(messages: Iterable[ConsumerRecord[bytes, bytes]]) -> list[tuple[LogFact, bytes, bytes]]:
    """Return what can be read as a fact, with key and bytes; the rest has no position and stands for none."""
    facts = []
    for message in messages:
        with contextlib.suppress(msgspec.DecodeError, ValueError):
            value = message.value or b""
            facts.append((decode(value), message.key or b"", value))
    return facts


async def _compare_log(compared: Compared, connection: asyncpg.Connection) -> int:
    """Compare the log with its head, its digests and its receipts; return its head."""
    head = await connection.fetchrow(_SQL["head"])
    assert head is not None  # noqa: S101 - the migration puts it there
    for what, table, number, last in (
        ("position", "fact", "position", head["position"]),
        ("number", "receipt", "number", head["receipts"]),
    ):
        row = await connection.fetchrow(_SQL["dense"].replace("$table", table).replace("$number", number))
        if row is not None and (row["count"] != last or row["last"] != last):
            missing = await connection.fetchval(_SQL["missing"].replace("$table", table).replace("$number", number))
            compared.differs(
                "log" if table == "fact" else "receipts",
                missing or last,
                f"日志头为 {last},表中有 {row['count']} 行,止于 {row['last']}",
                f"the head says {what} {last}, the table holds {row['count']} rows up to {row['last']}",
            )
    if (position := await connection.fetchval(_SQL["tampered"])) is not None:
        compared.differs("log", position, "字节与其 SHA-256 不符", "the bytes are not those of their SHA-256")
    if (position := await connection.fetchval(_SQL["without_receipt"])) is not None:
        compared.differs("receipts ↔ log", position, "事实没有回执", "a fact without a receipt")
    if (row := await connection.fetchrow(_SQL["without_fact"])) is not None:
        compared.differs(
            "receipts ↔ log", row["position"], f"第 {row['number']} 号回执说已接受,日志中该位不是此报告的事实",
            f"receipt {row['number']} says accepted, and the log has no fact of that report there",
        )  # fmt: skip
    compared.counts["facts"], compared.counts["receipts"] = head["position"], head["receipts"]
    position = head["position"]
    assert isinstance(position, int)  # noqa: S101 - a bigint
    return position


def _ahead(compared: Compared, hop: str, reached: int, head: int) -> None:
    compared.differs(
        hop, head + 1, f"已到 {reached},而日志止于 {head}(库被恢复到旧备份?)",
        f"it has come to {reached}, and the log ends at {head} (a database restored from an older backup?)",
    )  # fmt: skip


async def _compare_topic(
    compared: Compared,
    connection: asyncpg.Connection,
    facts: Sequence[tuple[LogFact, bytes, bytes]],
    reached: int,
    head: int,
) -> int:
    rows = await connection.fetch(_SQL["digests"], [fact.position for fact, _, _ in facts])
    stored = {row["position"]: (row["stream"].encode(), row["sha256"]) for row in rows}
    for fact, key, value in facts:
        at = fact.position
        if at > reached + 1:
            compared.differs(
                "log → topic", reached + 1, f"主题缺此位,其后为 {at}", f"the topic lacks it; {at} comes next"
            )
        reached = max(reached, at)
        if at > head:
            _ahead(compared, "log → topic", at, head)
        elif stored.get(at) != (key, hashlib.sha256(value).digest()):
            compared.differs("log → topic", at, "主题与日志的字节不同", "topic and log have other bytes")
    compared.counts["topic"] += len(facts)
    return reached


async def _compare_heard(listener: _Listener, service: str, facts: Sequence[tuple[LogFact, bytes, bytes]]) -> None:
    types, reached = listener.types.get(service), listener.reached.get(service, 0)
    if types is None:
        return
    wanted = {
        fact.position: hashlib.sha256(value).digest()
        for fact, _, value in facts
        if fact.position <= reached and fact.type in types
    }
    rows = await listener.connection.fetch(_SQL["heard"], service, list(wanted))
    stored = {row["position"]: row["sha256"] for row in rows}
    for position, digest in wanted.items():
        if stored.get(position) != digest:
            listener.compared.differs(
                f"{service}.log → heard", position,
                "没有听到该事实" if position not in stored else "听到的字节不同",
                "this fact was not heard" if position not in stored else "it was heard with other bytes",
            )  # fmt: skip
    listener.compared.counts["heard"] += len(wanted)


async def _compare_ledger(
    compared: Compared, numbers: _Numbers, service: str, facts: Sequence[tuple[LogFact, bytes, bytes]]
) -> None:
    counted = [fact for fact, _, _ in facts if fact.position <= numbers.reached.get(service, 0)]
    rows = await numbers.connection.fetch(numbers.sql("standing"), service, [fact.position for fact in counted])
    stored: defaultdict[int, set[tuple[int, int, str]]] = defaultdict(set)
    for row in rows:
        stored[row["position"]].add((row["line"], row["use"], row["event_id"]))
    for fact in counted:
        due = {(row.line, row.use, row.event_id) for row in numbers.compiled.read(fact)}
        if due != stored[fact.position]:
            compared.differs(
                "topic → ledger", fact.position, f"账本中有 {len(stored[fact.position])} 行,应有 {len(due)} 行",
                f"the ledger keeps {len(stored[fact.position])} rows of it, {len(due)} are due",
            )  # fmt: skip
        compared.counts["ledger"] += len(due)


async def _compare_receipts(
    consumer: AIOKafkaConsumer,
    ends: Mapping[TopicPartition, int],
    connections: Mapping[str, asyncpg.Connection],
    by_service: Mapping[str, Compared],
    relayed: Mapping[str, int],
) -> None:
    """Compare receipts with their topics: one bit a receipt says that it was seen."""
    seen = {service: bytearray(by_service[service].counts["receipts"] // 8 + 1) for service in connections}
    # By the key of the topic, which the next answer to the same report has, too.
    unknown: dict[str, dict[tuple[str, bytes], str]] = {service: {} for service in connections}
    async for messages in _messages(consumer, {place: end for place, end in ends.items() if _is_receipts(place.topic)}):
        receipts: defaultdict[str, list[_TopicReceipt]] = defaultdict(list)
        for message in messages:
            content = json.loads(message.value or b"{}")
            if (
                content.get("source") is not None
                and content.get("id") is not None
                and content["service"] in connections
            ):
                digest = hashlib.sha256(message.value or b"").digest()
                receipt = _TopicReceipt(content["source"], content["id"], digest, message.key or b"")
                receipts[content["service"]].append(receipt)
        for service, own in receipts.items():
            await _see(connections[service], messages[0].topic, own, seen[service], unknown[service])
    for service, connection in connections.items():
        bits, compared = seen[service], by_service[service]
        for (topic, _), id_ in unknown[service].items():
            compared.differs(
                "receipts → topic", None, f"{topic} 上有库中没有的回执(报告 {id_})",
                f"{topic} has a receipt that the database has not (report {id_})",
            )  # fmt: skip
        unseen = (n for n in range(1, relayed[service] + 1) if not bits[n // 8] >> n % 8 & 1)
        for some in _pages(unseen):
            # In a compacted topic a later receipt of the same key replaces an earlier one.
            for row in await connection.fetch(_SQL["last_of_key"], some, relayed[service]):
                if not bits[row["last"] // 8] >> row["last"] % 8 & 1:
                    compared.differs(
                        "receipts → topic", row["number"], "该号回执不在其主题上", "this receipt is not on its topic"
                    )
            if "receipts → topic" in compared.differences:
                break


class _TopicReceipt(NamedTuple):
    """A receipt on a topic: of which report, the digest of its bytes, and the key of its message."""

    source: str
    id: str
    sha256: bytes
    key: bytes


async def _see(
    connection: asyncpg.Connection,
    topic: str,
    receipts: Sequence[_TopicReceipt],
    bits: bytearray,
    unknown: dict[tuple[str, bytes], str],
) -> None:
    """Mark the receipts that the database has; keep the others, until a later one has the same key and is there.

    A report that waited when its database was restored was answered once more; the topic has its first answer, too.
    """
    keys = sorted({(receipt.source, receipt.id) for receipt in receipts})
    rows = await connection.fetch(_SQL["receipts"], [key[0] for key in keys], [key[1] for key in keys])
    stored = {(row["source"], row["id"], row["sha256"]): row["number"] for row in rows}
    for receipt in receipts:
        if (number := stored.get((receipt.source, receipt.id, receipt.sha256))) is not None:
            bits[number // 8] |= 1 << number % 8
            unknown.pop((topic, receipt.key), None)
        elif len(unknown) < _MOST:
            unknown[topic, receipt.key] = receipt.id


def _pages(numbers: Iterable[int]) -> Iterable[list[int]]:
    page: list[int] = []
    for number in numbers:
        page.append(number)
        if len(page) == _MOST:
            yield page
            page = []
    if page:
        yield page


async def _compare_cells(compared: Compared, numbers: _Numbers) -> None:
    differences = await store.differences(numbers.connection, numbers.number, numbers.compiled)
    for line in numbers.compiled.lines:
        differences += [cell async for cell in store.recount(numbers.connection, numbers.number, line)]
    for cell in differences:
        where = f"{cell.line.plan} {cell.line.indicator} [{cell.place}]"
        compared.differs(
            "ledger ↔ cells", None, f"{where}: 记录 {cell.stored},重算 {cell.recounted}",
            f"{where}: kept {cell.stored}, recounted {cell.recounted}",
        )  # fmt: skip
    compared.counts["lines"] = len(numbers.compiled.lines)


def to_json(results: Sequence[Compared], seconds: float) -> str:
    """Return the results as one JSON object."""
    differences = [asdict(each) for compared in results for each in compared.differences.values()]
    compared = {each.service: dict(each.counts) for each in results}
    return json.dumps(
        {"equal": not differences, "seconds": round(seconds, 1), "compared": compared, "differences": differences},
        ensure_ascii=False,
    )


def to_text(results: Sequence[Compared]) -> str:
    """Return the results for a person: a line a service, then a line a difference."""
    lines = []
    for compared in results:
        counts = ", ".join(f"{count:,} {name}" for name, count in compared.counts.items())
        word = "不一致 differs" if compared.differences else "一致 equal"
        lines.append(f"{compared.service}: {word} ({counts})")
        for difference in compared.differences.values():
            at = "" if difference.position is None else f" @{difference.position}"
            lines.append(f"  ✗ [{difference.hop}]{at} {difference.zh}\n      {difference.en}")
    return "\n".join(lines)


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
