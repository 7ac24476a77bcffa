"""Decides batches of reports in one transaction each, whichever way they came: by HTTP or Kafka."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
import orjson
import structlog

from shared.contract import rules
from shared.contract.cloudevents import NotReadableError
from shared.contract.decoder import Channel, Decoder
from shared.contract.events import Fact, Language, NotUnderstood, Report
from shared.contract.shapes import Person, in_sandbox
from shared.contract.unreadable import first_seen
from shared.deciding.decider import Domain
from shared.deciding.facts import StreamCache, decode_fact
from shared.deciding.unit_of_work import Answer, UnitOfWork
from shared.log.event_store import EventStore, QuarantineRow, Transaction
from shared.log.sealing import Seal
from shared.observability.tracing import Tracing, trace_id
from shared.observability.turns import Turns
from shared.observability.unavailable import UNAVAILABLE
from shared.service.decision_metrics import DecisionMetrics

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot be read of a topic, with its place and sender, goes to quarantine: bytes that are no JSON object, or
    the first of a number of messages that were `gone` before they were read."""

    topic: str
    partition: int
    offset: int
    reason: str
    raw: bytes
    at: datetime
    sender: Channel
    gone: int = 0

    @property
    def place(self) -> str:
        """Where they came in."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def not_understood(self) -> NotUnderstood:
        """Return what their sender is told (RULES A19)."""
        seen, district = first_seen(self.raw, self.reason), self.sender.district
        rule = rules.NeverRead(count=self.gone) if self.gone else rules.NotJson(seen_zh=seen.zh, seen_en=seen.en)
        return NotUnderstood(
            "invalid",
            (rule,),
            self.at,
            district=district,
            route=district,
            reported_by=self.sender.reported_by,
            place=self.place,
        )


def _is_trial(item: Report | NotUnderstood) -> bool:
    return in_sandbox(item.source)


class _Envelope(msgspec.Struct, gc=False):
    """What is read of every fact of another service; of most types nothing else is."""

    position: int
    type: str


_envelope: Final = msgspec.json.Decoder(_Envelope)


class HeardFact(NamedTuple):
    """A fact of another service's log, as it came; `fact`: None where nothing here rests on its type."""

    position: int
    fact: Fact | None
    bytes: bytes


class Preview(NamedTuple):
    """The answer that a report would get now, and the facts that would be recorded of it."""

    answer: Answer
    facts: Sequence[Fact]


class CommandHandler:
    """Decides batches of reports of one service; each batch is one transaction."""

    def __init__(
        self,
        decoder: Decoder,
        domain: Domain,
        store: EventStore,
        seal: Seal,
        hears: Sequence[Language] = (),
        tracing: Tracing | None = None,
        metrics: DecisionMetrics | None = None,
        streams: StreamCache | None = None,
        sandbox: "CommandHandler | None" = None,
    ) -> None:
        """`sandbox`: who decides what sandboxes report (RULES A26); none in a sandbox."""
        self.decoder = decoder
        self.language = decoder.language
        self.service = decoder.language.service
        self.domain = domain
        self.store = store
        self.seal = seal
        self.tracing = tracing or Tracing()
        self.metrics = metrics or DecisionMetrics(self.service)
        self.sandbox = sandbox
        self._streams = streams or StreamCache(self.service)
        self._languages = {language.service: language for language in (decoder.language, *hears)}

    async def handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable] = ()
    ) -> list[Answer]:
        """Decide reports in order, each seeing the earlier; return their answers once all of it is committed, and after
        them those to what could not be read.

        Raises one of `UNAVAILABLE` when the database is away; then nothing was recorded, unless some of it is for the
        sandbox, which is a transaction of its own: what was is a duplicate when it is sent again.
        """
        if self.sandbox is not None and any(map(_is_trial, arrived)):
            own = iter(await self._own(arrived, unreadable))
            tried = iter(await self.sandbox.handle([item for item in arrived if _is_trial(item)]))
            return [next(tried if _is_trial(item) else own) for item in arrived] + list(own)
        with self.metrics.batch():
            answers = await self._handle(arrived, unreadable)
        self.metrics.answered(answers)
        return answers

    async def _own(self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable]) -> list[Answer]:
        own = [item for item in arrived if not _is_trial(item)]
        return await self.handle(own, unreadable) if own or unreadable else []

    async def _handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable]
    ) -> list[Answer]:
        reports = [item for item in arrived if isinstance(item, Report)]
        await self._seal_persons(reports)
        async with self.store.transaction() as transaction:
            quarantined = await self._quarantine(transaction, unreadable) if unreadable else []
            unit = await self._unit_of_work(transaction, reports)
            began = self.tracing.now()
            await unit.prepare(reports)
            answers, turns = list[Answer](), Turns()
            for item in arrived:
                answers.append(await self._decide(unit, item) if isinstance(item, Report) else unit.answer(item))
                await transaction.append_meanwhile(unit.recorded, unit.head)
                await turns.take()
            answers += [unit.answer(message.not_understood()) for message in quarantined]
            decided = self.tracing.now()
            await transaction.append(unit.recorded, unit.head)
        unit.committed()
        self.metrics.waited(transaction.waited)
        self.tracing.hop("decide", (report.traceparent for report in reports), began, decided, service=self.service)
        self.tracing.hop("append", (fact.traceparent for fact in unit.recorded.facts), decided, service=self.service)
        await self.store.announce()
        return answers

    async def preview(self, arrived: Sequence[Report | NotUnderstood]) -> list[Preview]:
        """Decide reports as `handle` would by what stands now, each seeing the earlier, and record nothing.

        Raises one of `UNAVAILABLE` when the database is away.
        """
        if self.sandbox is not None and any(map(_is_trial, arrived)):
            mine = iter(await self.preview([item for item in arrived if not _is_trial(item)]))
            tried = iter(await self.sandbox.preview([item for item in arrived if _is_trial(item)]))
            return [next(tried if _is_trial(item) else mine) for item in arrived]
        previews, turns = list[Preview](), Turns()
        async with self.store.snapshot() as transaction:
            # What the others remember may be of later than this snapshot, and is not to learn what nobody records.
            reports = [item for item in arrived if isinstance(item, Report)]
            unit = await self._unit_of_work(transaction, reports, StreamCache(self.service))
            await unit.prepare(reports)
            for item in arrived:
                if isinstance(item, NotUnderstood):
                    previews.append(Preview(unit.answer(item), ()))
                    continue
                before = len(unit.recorded.facts)
                answer = await self._decide(unit, item)
                facts = unit.recorded.facts[before:]  # those of others that waited for it are theirs
                own = [fact for fact in facts if (fact.report_source, fact.report_id) == item.key]
                previews.append(Preview(answer, own))
                await turns.take()
        return previews

    async def _quarantine(self, transaction: Transaction, unreadable: Sequence[Unreadable]) -> list[Unreadable]:
        """Store bytes that are no JSON object; return those that were not stored before."""
        rows = [
            QuarantineRow(
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                reason=message.reason,
                size=len(message.raw),
                digest=self.seal.digest(message.raw),
                sealed=self.seal.seal_unreadable(message.raw, message.place),
                at=message.at,
            )
            for message in unreadable
        ]
        new = await transaction.quarantine(rows)
        return [message for message in unreadable if message.place in new]

    async def _decide(self, unit: UnitOfWork, report: Report) -> Answer:
        try:
            return await unit.decide(report)
        except UNAVAILABLE:
            raise
        except Exception:
            trace = trace_id(report.traceparent)
            _log.exception("decide.failed", type=report.type, correlation_id=report.correlation_id, trace_id=trace)
            raise

    def decode_heard(self, service: str, raw: bytes) -> HeardFact:
        """Decode a fact of another service's log; raises NotReadableError where it has no position or no type."""
        try:
            envelope = _envelope.decode(raw)
        except msgspec.DecodeError as error:
            raise NotReadableError(type(error).__name__) from None
        heard = self._languages[service].find(envelope.type) is not None
        fact = decode_fact(self._languages, orjson.loads(raw), ()) if heard else None
        return HeardFact(envelope.position, fact, raw)

    async def hear(self, service: str, facts: Sequence[HeardFact]) -> int:
        """Store facts of another service's log, in order, and decide what waited for them.

        Positions stored before are skipped; returns the position up to which the log is stored now. What lies beyond a
        hole is left out: the relay that could not send what is missing sends from there again.
        """
        began = self.tracing.now()
        async with self.store.transaction() as transaction:
            unit = await self._unit_of_work(transaction)
            position = await transaction.subscription(service)
            heard: list[tuple[Fact, bytes]] = []
            for at, fact, raw in facts:
                if not self._is_next(at, position):
                    continue
                position = at
                if fact is not None:
                    heard.append((fact, raw))
            if heard:
                await unit.hear(heard)
            if unit.recorded.receipts or unit.recorded.facts:
                await transaction.append(unit.recorded, unit.head)
            await transaction.move_subscription(service, position)
        unit.committed()
        self.metrics.waited(transaction.waited)
        self.tracing.hop("append", (fact.traceparent for fact in unit.recorded.facts), began, service=self.service)
        await self.store.announce()
        return position

    def _is_next(self, at: int, position: int) -> bool:
        return at == position + 1

    async def expire(self, days: int, districts: Sequence[str] | None) -> int:
        """Refuse reports of these districts, None for every one, that have waited for more than `days` (RULES D13).

        Returns how many.
        """
        async with self.store.transaction() as transaction:
            unit = await self._unit_of_work(transaction)
            overdue = await transaction.overdue(days, districts)
            if overdue:
                await unit.expire(overdue, days)
                await transaction.append(unit.recorded, unit.head)
        if overdue:
            unit.committed()
            await self.store.announce()
        return len(overdue)

    async def _unit_of_work(
        self, transaction: Transaction, reports: Sequence[Report] = (), streams: StreamCache | None = None
    ) -> UnitOfWork:
        """Begin to decide, with the decisions in force of the reports and of those that they name."""
        named = (key for report in reports if (key := report.names) is not None)
        keys = list(dict.fromkeys((*(report.key for report in reports), *named)))
        head, decided = await transaction.head(keys)
        decisions = {key: decided.get(key) for key in keys}
        return UnitOfWork(
            self._languages, self.language, self.domain, transaction, head, decisions, streams or self._streams
        )

    async def _seal_persons(self, reports: Iterable[Report]) -> None:
        personal = [(report, report.body["person"]["token"]) for report in reports if report.personal is not None]
        if not personal:
            return
        made = {token: self.seal.new_key() for _, token in personal}
        keys = await self.store.person_keys({token: new.wrapped for token, new in made.items()})
        turns = Turns()
        for report, token in personal:
            await turns.take()
            sealed = self.seal.seal(keys[token], token, report.personal or b"", made[token])
            report.body["person"]["sealed"] = sealed
            # `personal` stays: where the transaction fails, the next attempt seals anew. Nobody else has the event yet,
            # of which a copy would cost more than all of the sealing.
            vars(report.event)["person"] = Person.model_construct(token=token, sealed=sealed)
