"""Takes back into a log what its topics have beyond it, when the database was restored from an older backup.

Decision 0020: what was published was read and counted, so it stays, byte by byte and with its position. What the topics
do not have – reports that waited, keys of persons, quarantined bytes – comes in again from the inbox or is named.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import orjson

from shared.contract import rules
from shared.contract.events import Fact, Language, ReportKey, ReportSuspended, parse_instant
from shared.deciding import receipts
from shared.deciding.decider import Domain
from shared.deciding.unit_of_work import decode_fact, store_waiting
from shared.kafka.clients import Broker
from shared.kafka.topic_reader import StoredMessage, TopicReader, position_of
from shared.log.event_store import read_queries

_SQL: Final = read_queries("shared.service", "recovery.sql")
# What a lagging inbox took only after the backup may have been sent well before it.
_MARGIN: Final = timedelta(hours=1)


class CannotRecover(Exception):
    """Log and topic are not one history; the text says where they part, in both languages."""


@dataclass
class Taken:
    """What was taken back, and what could not be."""

    facts: int = 0
    receipts: int = 0
    made: int = 0
    waits_again: int = 0
    since: datetime | None = None
    again: list[str] = field(default_factory=list)

    def tell(self, service: str) -> str:
        """Say it to an operator."""
        lines = [
            f"{service}: 取回 {self.facts} 条事实、{self.receipts} 张回执,补写 {self.made} 张,"
            f"恢复等待 {self.waits_again} 件",
            f"  taken back {self.facts} facts, {self.receipts} receipts; {self.made} receipts written anew;"
            f" {self.waits_again} reports wait again",
            "  备份之后新建的个人密钥已失,其封存字段打不开;数字不受影响",
            "  keys of persons made since the backup are gone: their sealed fields open no more; no number changes",
        ]
        if self.again:
            shown = ", ".join(self.again[:20]) + (" …" if len(self.again) > 20 else "")  # noqa: PLR2004 - a line
            lines += [
                f"  请重发 {len(self.again)} 件(HTTP;经 Kafka 的自动重读):{shown}",
                f"  to be sent again, {len(self.again)} (by HTTP; what came by Kafka is read again by itself)",
            ]
        return "\n".join(lines)


async def recover(dsn: str, broker: Broker, language: Language, domain: Domain, districts: Sequence[str],
                  heard: Sequence[str]) -> Taken:  # fmt: skip
    """Make the log as long as its topic again, in one transaction; the service's worker must not be running.

    Raises CannotRecover when log and topic are not one history; nothing is changed then. Repeating it is harmless.
    """
    service = language.service
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with TopicReader(broker, service, f"skillplan-{service}") as published, connection.transaction():
            if not await published.await_no_member():
                raise CannotRecover(
                    f"{service} 的 worker 仍在运行,请先停止 the worker of {service} runs; stop it first"
                )
            taking = _Taking(connection, language, domain)
            await taking.begin()
            async for messages in published.facts():
                await taking.take_facts(messages)
            told: dict[bytes, StoredMessage] = {}
            async for messages in published.receipts(districts):
                told |= {message.value: message for message in messages if taking.is_beyond(message.value)}
            await taking.take_receipts(told.values())
            await taking.finish()
            taken = taking.taken
            reports = [f"{service}.reports.{district}" for district in districts]
            await published.read_again(reports, taken.since - _MARGIN if taken.since else None)
            await published.read_again([f"{other}.events" for other in heard], None)
            return taken
    finally:
        await asyncio.wait_for(connection.close(), 5)


class _Taking:
    """One transaction that takes back; it holds the head's lock."""

    def __init__(self, connection: asyncpg.Connection, language: Language, domain: Domain) -> None:
        self._connection = connection
        self._languages = {language.service: language}
        self._language = language
        self._domain = domain
        self._suspended: dict[ReportKey, Fact] = {}
        self.taken = Taken()

    async def begin(self) -> None:
        head = await self._connection.fetchrow(_SQL["lock"])
        if head is None:
            raise LookupError("log_head is empty")
        self._kept, self._position, self._receipts = head["position"], head["position"], head["receipts"]
        self._at: datetime = head["recorded_at"]
        self._reached = self._at
        self.taken.since = self._at if self._kept else None

    async def take_facts(self, messages: Sequence[StoredMessage]) -> None:
        """Append what comes next; see that all the rest is there already, byte by byte."""
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
        kept = {row["position"]: row["sha256"] for row in rows}
        for message in messages:
            if kept.get(position_of(message.value)) != hashlib.sha256(message.value).digest():
                raise CannotRecover(
                    f"第 {position_of(message.value)} 位:日志与主题的字节不同,不是同一段历史,请勿启动该服务"
                    f" position {position_of(message.value)}: log and topic have other bytes: not one history"
                )

    async def _take_fact(self, raw: bytes) -> None:
        fact = decode_fact(self._languages, orjson.loads(raw), ())
        await self._connection.execute(
            _SQL["take_fact"], fact.position, fact.stream, fact.version, uuid.UUID(fact.id), fact.report_source,
            fact.report_id, list(self._domain.tags(fact.event)), fact.recorded_at, raw,
        )  # fmt: skip
        self._position = fact.position
        self._reached = max(self._reached, fact.recorded_at)
        self.taken.facts += 1
        key = (fact.report_source, fact.report_id)
        if isinstance(fact.event, ReportSuspended):
            self._suspended[key] = fact
        elif not fact.event.decision:
            self._suspended.pop(key, None)

    def is_beyond(self, receipt: bytes) -> bool:
        """Tell whether a receipt is one of this service's that the restored database has not."""
        shown = orjson.loads(receipt)
        at = parse_instant(shown.get("decided_at"))
        return shown.get("service") == self._language.service and at is not None and at > self._at

    async def take_receipts(self, messages: Iterable[StoredMessage]) -> None:
        """Take receipts in the order they were given; what they bind is bound again."""
        shown = [(orjson.loads(message.value), message) for message in messages]
        shown.sort(key=lambda one: str(one[0]["decided_at"]))
        last = {(told["source"], told["id"]): told for told, message in shown if _binds(told, message)}
        for told, message in shown:
            key = (told.get("source"), told.get("id"))
            decision = None
            if _binds(told, message):
                row = await self._connection.fetchrow(_SQL["decisions"], *key)
                assert row is not None  # noqa: S101 - a select without from
                if not await self._holds(told, row["waits"], last[key]):
                    self.taken.again.append(f"{told['source']} {told['id']}")
                    received = parse_instant(told["received_at"])
                    self.taken.since = min(filter(None, (self.taken.since, received)), default=None)
                    continue
                decision = (row["decision"] or 0) + 1
            digest = bytes.fromhex(message.headers.get("digest", b"").decode()) if decision else None
            await self._keep(*key, decision, digest, message.topic.rpartition(".")[2], message.value)
            self.taken.receipts += 1
            self._reached = max(self._reached, parse_instant(told["decided_at"]) or self._reached)

    async def _holds(self, told: dict[str, Any], waits: bool, last: dict[str, Any]) -> bool:
        """Tell whether what a receipt says can still be true: its fact is there, or the report that waits is."""
        match told["status"]:
            case "accepted":
                asked = (told["position"], told["source"], told["id"])
                return bool(await self._connection.fetchval(_SQL["is_fact"], *asked))
            case "waiting":
                decided = last["status"] != "waiting" and await self._holds(last, waits, last)
                return waits or (told["source"], told["id"]) in self._suspended or decided
            case _:
                return True

    async def finish(self) -> None:
        """Write the receipts that were never sent, settle what waits, and move the head."""
        for row in await self._connection.fetch(_SQL["undecided"], self._kept):
            fact = decode_fact(self._languages, orjson.loads(row["bytes"]), ())
            found = await self._connection.fetchrow(_SQL["decisions"], fact.report_source, fact.report_id)
            if fact.event.decision or (found is not None and found["decision"]):
                continue
            self._reached += timedelta(microseconds=1)
            receipt = receipts.decided(fact.as_report(b"", fact.recorded_at), fact.service, self._reached, fact)
            await self._keep(fact.report_source, fact.report_id, 1, b"", fact.district, receipt)
            self.taken.made += 1
        await self._connection.execute(_SQL["no_longer_waiting"])
        for suspended in self._suspended.values():
            await self._wait_again(suspended)
        await self._connection.execute(_SQL["move"], self._position, self._reached, self._receipts)

    async def _wait_again(self, suspended: Fact) -> None:
        """Let a report wait again whose fact was suspended (RULES B6) and whose row here is lost."""
        key = (suspended.report_source, suspended.report_id)
        kept = await self._connection.fetchrow(_SQL["digest_of_report"], *key)
        if kept is None or orjson.loads(kept["bytes"])["status"] not in ("accepted", "waiting"):
            return
        rows = await self._connection.fetch(_SQL["bytes_of_report"], suspended.stream)
        facts = [decode_fact(self._languages, orjson.loads(row["bytes"]), tuple(row["tags"])) for row in rows]
        own = [fact for fact in facts if (fact.report_source, fact.report_id) == key and not fact.event.decision]
        report = own[-1].as_report(kept["digest"], receipts.received_at(kept["bytes"]))
        report.resumed = True
        assert isinstance(suspended.event, ReportSuspended)  # noqa: S101 - see take_facts
        until = suspended.event.reason.removeprefix("waits-for:")
        await self._connection.execute(
            _SQL["wait_again"], *key, until, self._receipts + 1, suspended.recorded_at, rules.NeverArrived.code,
            store_waiting(report),
        )  # fmt: skip
        self.taken.waits_again += 1

    async def _keep(
        self, source: str, id_: str, decision: int | None, digest: bytes | None, district: str, receipt: bytes
    ) -> None:
        self._receipts += 1
        await self._connection.execute(
            _SQL["take_receipt"], self._receipts, source, id_, decision, digest, district, receipt
        )


def _binds(told: dict[str, Any], message: StoredMessage) -> bool:
    known = told.get("source") is not None and told.get("id") is not None
    return known and not message.key.endswith(b" undecided")
