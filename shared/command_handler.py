"""Receive → decide → append: the one road from a report to a fact, for HTTP and Kafka alike."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import uuid_utils

from shared import receipts
from shared.decider import Accept, Domain, Refuse, View, Wait, decide, values
from shared.event_store import Decided, EventStore, Head, Recorded, Transaction
from shared.events import Decoder, Event, Fact, Language, NotUnderstood, Report, parse_instant, show_instant
from shared.sealing import Seal
from shared.shapes import Person


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes from a topic that are no JSON object, with their place; they go to quarantine."""

    topic: str
    partition: int
    offset: int
    reason: str
    raw: bytes
    at: datetime

    @property
    def place(self) -> str:
        """Where they came in."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one report: its status and the exact bytes of its receipt."""

    status: str
    receipt: bytes


class CommandHandler:
    """Decides batches of reports of one service; each batch is one transaction."""

    def __init__(
        self,
        decoder: Decoder,
        domain: Domain,
        store: EventStore,
        seal: Seal,
        hears: Sequence[Language] = (),
    ) -> None:
        self.decoder = decoder
        self.language = decoder.language
        self.service = decoder.language.service
        self.domain = domain
        self.store = store
        self.seal = seal
        self._languages = {language.service: language for language in (decoder.language, *hears)}

    async def handle(
        self, arrived: Sequence[Report | NotUnderstood], unreadable: Sequence[Unreadable] = ()
    ) -> list[Answer]:
        """Decide reports in order, each seeing the earlier; return their answers once all of it is committed.

        Raises one of `event_store.UNAVAILABLE` when the database is away; then nothing was recorded.
        """
        async with self.store.transaction() as transaction:
            reports = [item for item in arrived if isinstance(item, Report)]
            await self._seal_persons(transaction, reports)
            if unreadable:
                await transaction.quarantine(
                    [
                        (u.topic, u.partition, u.offset, u.reason, len(u.raw), self.seal.digest(u.raw),
                         self.seal.seal_unreadable(u.raw, u.place), u.at)
                        for u in unreadable
                    ]
                )  # fmt: skip
            batch = _Batch(self, transaction, await transaction.lock())
            await batch.prepare(reports)
            answers = [await batch.decide(item) if isinstance(item, Report) else batch.answer(item) for item in arrived]
            await transaction.append(batch.recorded, batch.head)
        await self.store.announce()
        return answers

    async def hear(self, service: str, facts: Sequence[tuple[int, dict[str, Any], bytes]]) -> int:
        """Take (position, envelope, bytes) of another service's log, in order, and decide what waited for them.

        Positions heard before are skipped; returns the position up to which the log is heard now. Raises LookupError
        at a hole: something is missing between what was heard and the next fact, and going on would lose it.
        """
        language = self._languages[service]
        async with self.store.transaction() as transaction:
            head = await transaction.lock()
            position = await transaction.subscription(service)
            batch = _Batch(self, transaction, head)
            heard: list[tuple[Fact, bytes]] = []
            for at, envelope, raw in facts:
                if at <= position:
                    continue
                if at != position + 1:
                    raise LookupError(f"{service}: position {position + 1} is missing before {at}")
                position = at
                if language.find(envelope["type"]) is not None:
                    heard.append((self.decode_fact(envelope, ()), raw))
            if heard:
                await batch.hear(heard)
            if batch.recorded.receipts or batch.recorded.facts:
                await transaction.append(batch.recorded, batch.head)
            await transaction.move_subscription(service, position)
        await self.store.announce()
        return position

    def decode_fact(self, envelope: dict[str, Any], tags: tuple[str, ...]) -> Fact:
        """Return a recorded fact from its envelope."""
        service = envelope["source"].rpartition("/")[2]
        event = self._languages[service].find(envelope["type"])
        at, recorded_at = parse_instant(envelope["time"]), parse_instant(envelope["recordedat"])
        if event is None or at is None or recorded_at is None:
            raise ValueError(f"{service} position {envelope.get('position')}: not a fact of this language")
        return Fact(
            service=service,
            position=envelope["position"],
            version=envelope["version"],
            id=envelope["id"],
            type=envelope["type"],
            stream=envelope["subject"],
            district=envelope["district"],
            at=at,
            time=envelope["time"],
            recorded_at=recorded_at,
            report_source=envelope["reportsource"],
            report_id=envelope["reportid"],
            event=event.model_validate(envelope["data"]),
            body=envelope["data"],
            tags=tags,
            corrects=envelope.get("corrects"),
            correlation_id=envelope["correlationid"],
            causation_id=envelope["causationid"],
            traceparent=envelope.get("traceparent"),
        )

    async def _seal_persons(self, transaction: Transaction, reports: Iterable[Report]) -> None:
        personal = [(report, report.body["person"]["token"]) for report in reports if report.personal is not None]
        if not personal:
            return
        tokens = sorted({token for _, token in personal})
        keys = await transaction.person_keys(tokens)
        if missing := {token: self.seal.new_wrapped_key() for token in tokens if token not in keys}:
            await transaction.add_person_keys(missing)
            # Read again: another transaction may have been first with one of them.
            keys = await transaction.person_keys(tokens)
        for report, token in personal:
            sealed = self.seal.seal(keys[token], token, report.personal or b"")
            report.body["person"]["sealed"] = sealed
            report.event = report.event.model_copy(update={"person": Person(token=token, sealed=sealed)})
            report.personal = None


_NOTHING: Final = View(())


class _Batch:
    """The decisions of one transaction: what is known so far, and what is recorded because of it."""

    def __init__(self, handler: CommandHandler, transaction: Transaction, head: Head) -> None:
        self.handler = handler
        self.transaction = transaction
        self.head = head
        self.recorded = Recorded()
        self._facts: defaultdict[str, list[Fact]] = defaultdict(list)
        self._known: set[tuple[str, int]] = set()
        self._loaded: set[str] = set()
        self._decided: dict[tuple[str, str], Decided] = {}
        self._waiting: defaultdict[str, list[Report]] = defaultdict(list)
        self._watched: set[str] = set()

    async def prepare(self, reports: Sequence[Report]) -> None:
        """Load in a few queries what the decisions of all the reports will need."""
        if reports:
            self._decided = await self.transaction.decided([report.key for report in reports])
        pending = [report for report in reports if report.key not in self._decided]
        await self._watch({key for report in pending for key in (report.subject, *self._tags(report.event))})
        pending += [report for group in self._waiting.values() for report in group]
        keys = [(report, self._needs(report, _NOTHING)) for report in pending]
        while keys:
            await self._load(set().union(*(wanted for _, wanted in keys)))
            # Ask again only where something was found: it may name what else is needed.
            found = [(report, wanted) for report, wanted in keys if any(map(self._facts.get, wanted))]
            keys = [
                (report, more)
                for report, wanted in found
                if (more := self._needs(report, View(self._gather(wanted)))) - self._loaded
            ]

    def answer(self, item: NotUnderstood) -> Answer:
        """Answer what cannot be decided."""
        receipt = receipts.not_decided(item, self.handler.service, self.head.tick())
        self._keep(item.source, item.id, None, None, item.route, receipt)
        return Answer(item.status, receipt)

    async def decide(self, report: Report) -> Answer:
        """Decide one report, and whatever waited for it."""
        if (known := self._decided.get(report.key)) is not None:
            same = known.digest == report.digest
            receipt = receipts.repeated(report, self.handler.service, self.head.tick(), known.receipt, same)
            self._keep(report.source, report.id, None, None, report.district, receipt)
            return Answer("duplicate" if same else "refused", receipt)
        answer, woken = await self._decide(report)
        await self._wake(woken)
        return answer

    async def hear(self, facts: Sequence[tuple[Fact, bytes]]) -> None:
        """Keep other services' facts as evidence, in order, and decide what waited for each."""
        domain = self.handler.domain
        await self._load({fact.stream for fact, _ in facts})
        rows = []
        for fact, raw in facts:
            fact.tags = domain.carried(fact.stream, fact.event, View(self._facts[fact.stream]))
            rows.append((fact.service, fact.position, fact.stream, fact.tags, raw))
            self._remember(fact)
        await self.transaction.hear(rows)
        await self._watch({key for fact, _ in facts for key in (fact.stream, *fact.tags)})
        for fact, _ in facts:
            await self._wake([fact])

    async def _decide(self, report: Report) -> tuple[Answer, list[Fact]]:
        view = await self._view(report)
        decision = decide(report, view, self.handler.domain)
        facts: list[Fact] = []
        if isinstance(decision, Accept):
            tags = self.handler.domain.carried(report.subject, report.event, view)
            facts.append(self._record(report, report.event, report.body, tags))
        if not isinstance(decision, Wait):
            for event in decision.also:
                tags = tuple(self.handler.domain.tags(event))
                facts.append(self._record(report, event, values(event), tags, facts[0] if facts else None))
        waits_for = decision.waits_for if isinstance(decision, Wait) else None
        earlier = self._decided.get(report.key)
        if isinstance(decision, Wait):
            self._sleep(report, decision)
            if earlier is not None and orjson.loads(earlier.receipt).get("waits_for") == waits_for:
                return Answer("waiting", earlier.receipt), []  # nothing new to say
        refused = decision.rule if isinstance(decision, Refuse) else None
        receipt = receipts.decided(
            report, self.handler.service, self.head.tick(), facts[0] if facts else None, refused, waits_for
        )
        number = 1 if earlier is None else earlier.decision + 1
        self._decided[report.key] = Decided(number, report.digest, receipt)
        self._keep(report.source, report.id, number, report.digest, report.district, receipt)
        status = "waiting" if waits_for is not None else "refused" if refused else "accepted"
        return Answer(status, receipt), facts

    async def _wake(self, facts: Iterable[Fact]) -> None:
        queue = deque(facts)
        while queue:
            fact = queue.popleft()
            for key in (fact.stream, *fact.tags):
                if self.head.waiting and key not in self._watched:
                    await self._watch({key})
                # Taken out first: what must wait for longer puts itself back.
                for report in self._waiting.pop(key, ()):
                    self._forget(report)
                    queue.extend((await self._decide(report))[1])

    def _record(
        self, report: Report, event: Event, body: dict[str, Any], tags: tuple[str, ...], cause: Fact | None = None
    ) -> Fact:
        self.head.position += 1
        own = [fact.version for fact in self._facts[report.subject] if fact.service == self.handler.service]
        fact_id = str(uuid_utils.uuid7())
        fact = Fact(
            service=self.handler.service,
            position=self.head.position,
            version=max(own, default=0) + 1,
            id=fact_id,
            type=self.handler.language.type_of(type(event)),
            stream=report.subject,
            district=report.district,
            at=report.at,
            time=report.time,
            recorded_at=self.head.tick(),
            report_source=report.source,
            report_id=report.id,
            event=event,
            body=body,
            tags=tags,
            corrects=report.corrects if cause is None else None,
            correlation_id=report.correlation_id or (cause.correlation_id if cause else fact_id),
            causation_id=cause.id if cause else report.id,
            traceparent=report.traceparent,
        )
        self.recorded.facts.append(fact)
        self._remember(fact)
        return fact

    def _keep(
        self,
        source: str | None,
        id_: str | None,
        decision: int | None,
        digest: bytes | None,
        district: str | None,
        receipt: bytes,
    ) -> None:
        self.head.receipts += 1
        self.recorded.receipts.append((self.head.receipts, source, id_, decision, digest, district, receipt))

    def _sleep(self, report: Report, decision: Wait) -> None:
        self.head.waiting += 1
        stored = _store_waiting(report)
        self.recorded.asleep.append(
            (report.source, report.id, decision.until, self.head.receipts + 1, report.received_at, stored)
        )
        self._waiting[decision.until].append(report)

    def _forget(self, report: Report) -> None:
        self.head.waiting -= 1
        asleep = [row for row in self.recorded.asleep if (row[0], row[1]) != report.key]
        if len(asleep) == len(self.recorded.asleep):
            self.recorded.woken.append(report.key)
        self.recorded.asleep = asleep

    def _tags(self, event: Event) -> Iterable[str]:
        return self.handler.domain.tags(event)

    def _needs(self, report: Report, view: View) -> set[str]:
        return {report.subject, *self.handler.domain.needs(report, view)}

    def _gather(self, keys: Iterable[str]) -> Iterable[Fact]:
        return {(fact.service, fact.position): fact for key in keys for fact in self._facts.get(key, ())}.values()

    async def _view(self, report: Report) -> View:
        view, keys = _NOTHING, self._needs(report, _NOTHING)
        while True:
            await self._load(keys)
            facts = self._gather(keys)
            if not facts:
                return view
            view = View(facts)
            more = self._needs(report, view)
            if more <= keys:
                return view
            keys |= more

    async def _load(self, keys: Iterable[str]) -> None:
        keys = set(keys) - self._loaded
        if not keys:
            return
        self._loaded |= keys
        for tags, raw in await self.transaction.load(keys):
            self._remember(self.handler.decode_fact(orjson.loads(raw), tags))

    async def _watch(self, keys: set[str]) -> None:
        keys = keys - self._watched
        self._watched |= keys
        if not self.head.waiting or not keys:
            return
        found = await self.transaction.waiting(keys)
        waiting = [(until, _restore_waiting(stored, self.handler.language)) for until, stored in found]
        if waiting:
            self._decided |= await self.transaction.decided([report.key for _, report in waiting])
        for until, report in waiting:
            self._waiting[until].append(report)

    def _remember(self, fact: Fact) -> None:
        if (fact.service, fact.position) in self._known:
            return
        self._known.add((fact.service, fact.position))
        for key in {fact.stream, *fact.tags}:
            self._facts[key].append(fact)


_STORED: Final = ("id", "source", "type", "subject", "time", "district", "body", "corrects", "traceparent")


def _store_waiting(report: Report) -> bytes:
    stored = {name: getattr(report, name) for name in _STORED}
    stored |= {
        "correlation_id": report.correlation_id,
        "digest": report.digest.hex(),
        "received_at": show_instant(report.received_at),
    }
    return orjson.dumps(stored)


def _restore_waiting(stored: bytes, language: Language) -> Report:
    fields = orjson.loads(stored)
    event = language.find(fields["type"])
    at, received_at = parse_instant(fields["time"]), parse_instant(fields["received_at"])
    if event is None or at is None or received_at is None:
        raise ValueError("a waiting report of an unknown type")
    digest = bytes.fromhex(fields.pop("digest"))
    return Report(
        **fields | {"received_at": received_at},
        event=event.model_validate(fields["body"]),
        at=at,
        digest=digest,
    )
