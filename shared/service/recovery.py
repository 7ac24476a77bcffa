"""Recovery of a log from its topics, when the database was restored from an older backup.

Decision 0020: what was published was read and counted, so it stays, byte by byte and with its position. What the topics
do not have – reports that waited, keys of persons, quarantined bytes – comes in again from the inbox or is named.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import orjson

from shared.contract import rules
from shared.contract.cloudevents import JsonObject
from shared.contract.events import Fact, Language, ReportKey, ReportSuspended, parse_instant
from shared.contract.shapes import in_sandbox
from shared.deciding import receipts
from shared.deciding.decider import Domain
from shared.deciding.facts import decode_fact
from shared.deciding.waiting import store_waiting
from shared.kafka.clients import Broker
from shared.kafka.names import consumer_group, events_topic, reports_topic
from shared.kafka.topic_reader import StoredMessage, TopicReader, position_of
from shared.log.event_store import ReceiptRow, Statement, WaitingRow, read_queries
from shared.log.migrate import connect, unreachable
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("shared.service", "recovery.sql")
_TAKE_FACT: Final = Statement(_SQL["take_fact"])
_TAKE_RECEIPT: Final = Statement(_SQL["take_receipt"])
_WAIT_AGAIN: Final = Statement(_SQL["wait_again"])
# What a lagging inbox took only after the backup may have been sent well before it.
_MARGIN: Final = timedelta(hours=1)


class CannotRecover(Exception):
    """Log and topic are not one history; the text names where they differ, in both languages."""


@dataclass
class Recovered:
    """What was recovered, and what could not be."""

    facts: int = 0
    receipts: int = 0
    made: int = 0
    waits_again: int = 0
    since: datetime | None = None
    again: list[str] = field(default_factory=list)

    def text(self, service: str) -> str:
        """Return the message for the operator."""
        lines = [
            f"{service}: 取回 {self.facts} 条事实、{self.receipts} 张回执,补写 {self.made} 张,"
            f"恢复等待 {self.waits_again} 件",
            f"  taken back {self.facts} facts, {self.receipts} receipts; {self.made} receipts written anew;"
            f" {self.waits_again} reports wait again",
            "  备份之后新建的个人密钥已失,其封存字段打不开;数字不受影响",
            "  keys of persons made since the backup are gone: their sealed fields open no more; no number changes",
        ]
        if self.again:
            listed = ", ".join(self.again[:20]) + (" …" if len(self.again) > 20 else "")  # noqa: PLR2004 - a line
            lines += [
                f"  请重发 {len(self.again)} 件(HTTP;经 Kafka 的自动重读):{listed}",
                f"  to be sent again, {len(self.again)} (by HTTP; what came by Kafka is read again by itself)",
            ]
        return "\n".join(lines)


async def recover(dsn: str, broker: Broker, language: Language, domain: Domain, districts: Sequence[str],
                  senders: Sequence[str], heard: Sequence[str]) -> Recovered:  # fmt: skip
    """Make the log as long as its topic again, in one transaction; the service's worker must not be running.

    `districts`: whose receipts are read. `senders`: how the topics end from which reports are read again.
    Raises CannotRecover when log and topic are not one history or the broker is away, ConfigurationError when the
    database is; nothing is changed then. Repeating it is harmless.
    """
    service = language.service
    if problem := await broker.problem():
        raise CannotRecover(problem)
    try:
        connection = await connect(dsn, "SKILLPLAN_PG_DSN")
    except (*UNAVAILABLE, TimeoutError) as error:
        raise unreachable("SKILLPLAN_PG_DSN", error) from None
    try:
        async with TopicReader(broker, service, consumer_group(service)) as published, connection.transaction():
            if not await published.await_no_member():
                raise CannotRecover(
                    f"{service} 的 worker 仍在运行,请先停止 the worker of {service} runs; stop it first"
                )
            recovery = _Recovery(connection, language, domain)
            await recovery.begin()
            async for messages in published.facts():
                await recovery.take_facts(messages)
            beyond: dict[bytes, StoredMessage] = {}
            async for messages in published.receipts(districts):
                beyond |= {message.value: message for message in messages if recovery.is_beyond(message.value)}
            await recovery.take_receipts(beyond.values())
            await recovery.finish()
            recovered = recovery.recovered
            reports = [reports_topic(service, sender) for sender in senders]
            await published.read_again(reports, recovered.since - _MARGIN if recovered.since else None)
            await published.read_again([events_topic(other) for other in heard], None)
            return recovered
    finally:
        await asyncio.wait_for(connection.close(), 5)


class _Recovery:
    """The transaction of a recovery; it holds the head's lock."""

    def __init__(self, connection: asyncpg.Connection, language: Language, domain: Domain) -> None:
        self._connection = connection
        self._languages = {language.service: language}
        self._language = language
        self._domain = domain
        self._suspended: dict[ReportKey, Fact] = {}
        self.recovered = Recovered()

    async def begin(self) -> None:
        head = await self._connection.fetchrow(_SQL["lock"])
        if head is None:
            raise LookupError("log_head is empty")
        self._restored, self._position, self._receipts = head["position"], head["position"], head["receipts"]
        self._at: datetime = head["recorded_at"]
        self._reached = self._at
        self.recovered.since = self._at if self._restored else None

    async def take_facts(self, messages: Sequence[StoredMessage]) -> None:
        """Append what comes next; raise CannotRecover unless all the rest is there already, byte by byte."""
        for message in messages:
            position = position_of(message.value)
            if position > self._position + 1:
                raise CannotRecover(
                    f"主题在 {self._position} 之后缺一位,其后为 {position}"
                    f" the topic has a hole after {self._position}: {position} comes next"
                )
            if position == self._position + 1:
                await self._take_fact(message.value)
        rows = await self._connection.fetch(_SQL["digests"], [position_of(message.value) for message in messages])
        stored = {row["position"]: row["sha256"] for row in rows}
        for message in messages:
            if stored.get(position_of(message.value)) != hashlib.sha256(message.value).digest():
                raise CannotRecover(
                    f"第 {position_of(message.value)} 位:日志与主题的字节不同,不是同一段历史,请勿启动该服务"
                    f" position {position_of(message.value)}: log and topic have other bytes: not one history"
                )

    async def _take_fact(self, raw: bytes) -> None:
        fact = decode_fact(self._languages, orjson.loads(raw), ())
        arguments = _TAKE_FACT.arguments(
            position=fact.position,
            stream=fact.stream,
            version=fact.version,
            id=uuid.UUID(fact.id),
            report_source=fact.report_source,
            report_id=fact.report_id,
            tags=list(self._domain.tags(fact.event)),
            recorded_at=fact.recorded_at,
            bytes=raw,
        )
        await self._connection.execute(_TAKE_FACT.sql, *arguments)
        self._position = fact.position
        self._reached = max(self._reached, fact.recorded_at)
        self.recovered.facts += 1
        key = (fact.report_source, fact.report_id)
        if isinstance(fact.event, ReportSuspended):
            self._suspended[key] = fact
        elif not fact.event.decision:
            self._suspended.pop(key, None)

    def is_beyond(self, receipt: bytes) -> bool:
        """Tell whether a receipt is one of this service's that the restored database has not; a sandbox's is none."""
        body = orjson.loads(receipt)
        at = parse_instant(body.get("decided_at"))
        own = body.get("service") == self._language.service and not in_sandbox(body.get("source"))
        return own and at is not None and at > self._at

    async def take_receipts(self, messages: Iterable[StoredMessage]) -> None:
        """Take receipts in the order they were given; what they bind is bound again."""
        in_order = [(orjson.loads(message.value), message) for message in messages]
        in_order.sort(key=lambda pair: str(pair[0]["decided_at"]))
        last = {(body["source"], body["id"]): body for body, message in in_order if _binds(body, message)}
        for body, message in in_order:
            key = (body.get("source"), body.get("id"))
            decision = None
            if _binds(body, message):
                row = await self._connection.fetchrow(_SQL["decisions"], *key)
                assert row is not None  # noqa: S101 - a select without from
                if not await self._holds(body, row["waits"], last[key]):
                    self.recovered.again.append(f"{body['source']} {body['id']}")
                    received = parse_instant(body["received_at"])
                    self.recovered.since = min(filter(None, (self.recovered.since, received)), default=None)
                    continue
                decision = (row["decision"] or 0) + 1
            digest = bytes.fromhex(message.headers.get("digest", b"").decode()) if decision else None
            await self._add_receipt(*key, decision, digest, message.topic.rpartition(".")[2], message.value)
            self.recovered.receipts += 1
            self._reached = max(self._reached, parse_instant(body["decided_at"]) or self._reached)

    async def _holds(self, body: JsonObject, waits: bool, last: JsonObject) -> bool:
        """Tell whether a receipt can still be true: its fact is there, or the report that waits is."""
        match body["status"]:
            case "accepted":
                return bool(
                    await self._connection.fetchval(_SQL["is_fact"], body["position"], body["source"], body["id"])
                )
            case "waiting":
                decided = last["status"] != "waiting" and await self._holds(last, waits, last)
                return waits or (body["source"], body["id"]) in self._suspended or decided
            case _:
                return True

    async def finish(self) -> None:
        """Write the receipts that were never sent, settle what waits, and move the head."""
        for row in await self._connection.fetch(_SQL["undecided"], self._restored):
            fact = decode_fact(self._languages, orjson.loads(row["bytes"]), ())
            fact.exact = row["bytes"]
            bound = await self._connection.fetchrow(_SQL["decisions"], fact.report_source, fact.report_id)
            if fact.event.decision or (bound is not None and bound["decision"]):
                continue
            self._reached += timedelta(microseconds=1)
            receipt = receipts.decided(fact.as_report(b"", fact.recorded_at), fact.service, self._reached, fact)
            await self._add_receipt(fact.report_source, fact.report_id, 1, b"", fact.district, receipt)
            self.recovered.made += 1
        await self._connection.execute(_SQL["no_longer_waiting"])
        for suspended in self._suspended.values():
            await self._wait_again(suspended)
        await self._connection.execute(_SQL["move"], self._position, self._reached, self._receipts)

    async def _wait_again(self, suspended: Fact) -> None:
        """Let a report wait again whose fact was suspended (RULES B6) and whose row here is lost."""
        key = (suspended.report_source, suspended.report_id)
        decided = await self._connection.fetchrow(_SQL["digest_of_report"], *key)
        if decided is None or orjson.loads(decided["bytes"])["status"] not in ("accepted", "waiting"):
            return
        rows = await self._connection.fetch(_SQL["bytes_of_report"], suspended.stream)
        facts = [decode_fact(self._languages, orjson.loads(row["bytes"]), tuple(row["tags"])) for row in rows]
        own = [fact for fact in facts if (fact.report_source, fact.report_id) == key and not fact.event.decision]
        report = own[-1].as_report(decided["digest"], receipts.received_at(decided["bytes"]))
        report.resumed = True
        assert isinstance(suspended.event, ReportSuspended)  # noqa: S101 - see take_facts
        until = suspended.event.reason.removeprefix("waits-for:")
        row = WaitingRow(
            source=suspended.report_source,
            id=suspended.report_id,
            until=until,
            number=self._receipts + 1,
            since=suspended.recorded_at,
            never=rules.NeverArrived.code,
            report=store_waiting(report),
        )
        await self._connection.execute(_WAIT_AGAIN.sql, *_WAIT_AGAIN.arguments(**row._asdict()))
        self.recovered.waits_again += 1

    async def _add_receipt(
        self, source: str, id_: str, decision: int | None, digest: bytes | None, district: str, receipt: bytes
    ) -> None:
        self._receipts += 1
        row = ReceiptRow(self._receipts, source, id_, decision, digest, district, receipt)
        await self._connection.execute(_TAKE_RECEIPT.sql, *_TAKE_RECEIPT.arguments(**row._asdict()))


def _binds(body: JsonObject, message: StoredMessage) -> bool:
    known = body.get("source") is not None and body.get("id") is not None
    return known and not message.key.endswith(b" undecided")
