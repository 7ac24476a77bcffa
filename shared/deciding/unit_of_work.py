"""The decisions of one transaction: what is known so far, what is recorded because of it, and what that sets off."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import uuid_utils

from shared.contract import rules
from shared.contract.events import (
    DecisionFlagged,
    Ends,
    Event,
    Fact,
    Language,
    NotUnderstood,
    Opens,
    Report,
    ReportKey,
    ReportRetracted,
    ReportSuspended,
    format_instant,
    parse_instant,
)
from shared.contract.rules import Rule
from shared.deciding import receipts
from shared.deciding.decider import (
    Accept,
    Decision,
    Domain,
    FactInForce,
    NamedReport,
    Refuse,
    View,
    Wait,
    breaks,
    decide,
    event_body,
    named_report_id,
)
from shared.log.event_store import Decided, Head, Recorded, Transaction

_NOTHING: Final = View(())
_SILENT: Final = (ReportRetracted, ReportSuspended, DecisionFlagged)  # these bring nothing that anyone waits for


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one report: its status and the exact bytes of its receipt."""

    status: str
    receipt: bytes


class UnitOfWork:
    """Decides reports one after another, each seeing what the earlier ones recorded."""

    def __init__(self, languages: Mapping[str, Language], language: Language, domain: Domain, transaction: Transaction,
                 head: Head) -> None:  # fmt: skip
        self.head = head
        self.recorded = Recorded()
        self._languages = languages
        self._language = language
        self._service = language.service
        self._domain = domain
        self._transaction = transaction
        self._facts: defaultdict[str, list[Fact]] = defaultdict(list)
        self._known: set[tuple[str, int]] = set()
        self._loaded: set[str] = set()
        self._decided: dict[ReportKey, Decided | None] = {}
        self._waiting: defaultdict[str, dict[ReportKey, tuple[int, Report]]] = defaultdict(dict)
        self._until: dict[ReportKey, str] = {}
        self._watched: set[str] = set()

    async def prepare(self, reports: Sequence[Report]) -> None:
        """Load in a few queries what the decisions of all the reports will need."""
        named = [(report.source, name) for report in reports if (name := named_report_id(report)) is not None]
        await self._find([*(report.key for report in reports), *named])
        pending = [report for report in reports if self._decided.get(report.key) is None]
        await self._watch({key for report in pending for key in self._wakes(report)})
        pending += [report for group in self._waiting.values() for _, report in group.values()]
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
        receipt = receipts.not_decided(item, self._service, self.head.tick())
        self._keep(item.source, item.id, None, item.route, receipt)
        return Answer(item.status, receipt)

    async def decide(self, report: Report) -> Answer:
        """Decide one report, and whatever its facts set off."""
        if (known := self._decided.get(report.key)) is not None:
            # A receipt taken back into a restored database may have come without its digest: believe the sender.
            same = known.digest in (report.digest, b"")
            receipt = receipts.repeated(report, self._service, self.head.tick(), known.receipt, same)
            self._keep(report.source, report.id, None, report.district, receipt)
            return Answer("duplicate" if same else "refused", receipt)
        answer, keys = await self._decide(report)
        await self._wake(keys)
        return answer

    async def hear(self, facts: Sequence[tuple[Fact, bytes]]) -> None:
        """Keep other services' facts as evidence, in order; decide what waited for each, flag what rested on it."""
        await self._load({fact.stream for fact, _ in facts})
        for fact, _ in facts:
            fact.tags = tuple(self._domain.tags(fact.event))
        await self._transaction.hear([(f.service, f.position, f.stream, f.tags, raw) for f, raw in facts])
        await self._watch({key for fact, _ in facts for key in (fact.stream, *fact.tags)})
        for fact, _ in facts:
            self._remember(fact)
            if self._takes_evidence(fact):
                await self._flag_what_rests_on(fact.stream, fact)
            # What is retracted may let another stand again, which brings something new after all.
            again = isinstance(fact.event, ReportRetracted)
            await self._wake(_keys(self._of(fact.stream, fact.service) if again else [fact]))

    async def expire(self, stored: Sequence[tuple[bytes, str]], days: int) -> None:
        """Refuse reports, each by the rule of the code beside it, that have waited too long (RULES D13)."""
        waiting = [(restore_waiting(report, self._language), never) for report, never in stored]
        await self._find([report.key for report, _ in waiting])
        for report, never in waiting:
            if await self._rouse(report.key) is not None:
                await self._load({report.subject})
                _, facts = self._settle(report, Refuse(rules.find(never)(days=days)))
                await self._wake(_keys(facts))

    async def _decide(self, report: Report) -> tuple[Answer, list[str]]:
        """Decide one report and record what follows; return the keys of what may now be decided too."""
        facts = await self._facts_for(report)
        # What a resumed report corrects was settled when it was first decided.
        name = None if report.resumed else named_report_id(report)
        named = await self._named((report.source, name)) if name is not None else None
        asked = replace(report, corrects=None) if report.resumed else report
        decision = decide(asked, facts, self._domain, self._service, named)
        if isinstance(decision, Wait) and self._until.get(report.key) == decision.until:
            known = self._decided[report.key]
            return Answer("waiting", known.receipt if known else b""), []  # nothing new to say; it keeps its place
        self._take_out(report.key)
        if name is not None and named is not None and named.status == "waiting" and not isinstance(decision, Refuse):
            await self._close((report.source, name), report)
            report.resumed = isinstance(decision, Wait)  # in the place of what it corrects (RULES B9)
        answer, recorded = self._settle(report, decision)
        keys = [*_keys(recorded), f"report:{report.source}:{report.id}"]
        if isinstance(decision, Accept):
            role = report.event.role
            if name is not None or (isinstance(role, Ends) and role.voids):
                keys += await self._after_change(recorded[0], (report.source, name) if name is not None else None)
        return answer, keys

    def _settle(self, report: Report, decision: Decision) -> tuple[Answer, list[Fact]]:
        waits_for = decision.waits_for if isinstance(decision, Wait) else None
        if isinstance(decision, Wait):
            self._sleep(report, decision.until, decision.never)
        facts: list[Fact] = []
        if isinstance(decision, Accept):
            facts.append(self._record(report, report.event, report.body, report.corrects))
            facts += [self._record(report, event, event_body(event), cause=facts[0]) for event in decision.also]
        elif isinstance(decision, Refuse) and (report.corrects is None or report.resumed):
            also = self._domain.refusal(report.event, decision.rule)
            facts += [self._record(report, event, event_body(event)) for event in also]
        refused = decision.rule if isinstance(decision, Refuse) else None
        first = facts[0] if facts else None
        receipt = receipts.decided(report, self._service, self.head.tick(), first, refused, waits_for)
        self._bind(report, receipt)
        status = "waiting" if waits_for is not None else "refused" if refused else "accepted"
        return Answer(status, receipt), facts

    async def _after_change(self, cause: Fact, named: ReportKey | None) -> list[str]:
        """Follow up a retraction, a correction or a cancellation: what hung on it waits again, what rested on it is
        flagged, and what stands again is checked (RULES B6, B14, B15); return the keys on which something does."""
        stream = cause.stream
        view = View(self._of(stream, self._service))
        for orphan in view.orphans:
            await self._suspend(orphan, stream, cause)
        if not any(isinstance(standing.event.role, Opens) and not standing.void for standing in view.on(stream)):
            for standing in await self._tagged(f"follows:{stream}"):
                await self._suspend(standing.fact, stream, cause)
        if self._takes_evidence(cause):
            await self._flag_what_rests_on(stream, cause)
        if named is not None and isinstance(cause.event, ReportRetracted):
            for taken in view.facts_of(self._service, named)[:1]:
                await self._check_what_stands_again(view, taken, cause)
                if taken.corrects is not None:
                    return [stream]
        return []

    def _takes_evidence(self, cause: Fact) -> bool:
        """Tell whether a fact changes what decisions may rest on: not by an end, unless it undoes the whole thing."""
        named = cause.event.report_id if isinstance(cause.event, ReportRetracted) else cause.corrects
        if named is None:
            return isinstance(cause.event.role, Ends) and cause.event.role.voids
        view = View(self._of(cause.stream, cause.service))
        taken = view.facts_of(cause.service, (cause.report_source, named))
        return any(not isinstance(fact.event.role, Ends) or fact.event.role.voids for fact in taken)

    async def _check_what_stands_again(self, view: View, taken: Fact, cause: Fact) -> None:
        if isinstance(taken.event.role, Ends):
            opened = view.opened(taken.stream, taken.event.role.opening, taken.event)
            again = [s for s in opened if s.end is None or s.end.report_id == taken.corrects]
        else:
            original = view.of_report(self._service, (taken.report_source, taken.corrects or ""))
            again = [original] if original is not None else []
        for standing in again:
            report = await self._report_of(standing.fact)
            broken = breaks(report, await self._facts_for(report), self._domain, self._service)
            if broken is not None:
                self._flag(report, f"breaks:{broken.code_of()}", cause)

    async def _flag_what_rests_on(self, stream: str, cause: Fact) -> None:
        for standing in await self._tagged(f"rests-on:{stream}"):
            self._flag(await self._report_of(standing.fact), "evidence-changed", cause)

    def _flag(self, report: Report, reason: str, cause: Fact) -> None:
        flagged = DecisionFlagged(report_id=report.id, flag="needs-review", reason=reason)
        self._record(report, flagged, event_body(flagged), cause=cause)
        known = self._decided[report.key]
        if known is not None:
            self._bind(report, receipts.flagged(known.receipt, "needs-review", self.head.tick()))

    async def _suspend(self, fact: Fact, stream: str, cause: Fact) -> None:
        """Let an accepted report wait again for what was taken back (RULES B6)."""
        report = await self._report_of(fact)
        suspended = ReportSuspended(report_id=report.id, reason=f"waits-for:{stream}")
        self._record(report, suspended, event_body(suspended), cause=cause)
        report.resumed = True
        self._settle(report, Wait(stream, stream))

    async def _close(self, key: ReportKey, by: Report) -> None:
        """Give a waiting report that was retracted or corrected its last receipt (RULES B9)."""
        report = await self._rouse(key)
        if report is None:
            return
        rule: Rule = rules.Retracted() if isinstance(by.event, ReportRetracted) else rules.Corrected()
        self._bind(
            report,
            receipts.decided(report, self._service, self.head.tick(), None, rule, corrected_by=by.corrects and by.id),
        )

    async def _wake(self, keys: Iterable[str]) -> None:
        """Decide what waits for one of the keys, in the order received (RULES C8), and what that sets off."""
        queue = deque(keys)
        while queue:
            key = queue.popleft()
            await self._watch({key})
            for _, report in sorted(self._waiting.get(key, {}).values(), key=lambda waiting: waiting[0]):
                # It may have been closed, or have begun to wait anew, by what one before it set off.
                if self._until.get(report.key) == key:
                    queue.extend((await self._decide(report))[1])

    def _record(
        self,
        report: Report,
        event: Event,
        body: dict[str, Any],
        corrects: str | None = None,
        cause: Fact | None = None,
    ) -> Fact:
        self.head.position += 1
        versions = [fact.version for fact in self._facts[report.subject] if fact.service == self._service]
        fact_id = str(uuid_utils.uuid7())
        fact = Fact(
            service=self._service,
            position=self.head.position,
            version=max(versions, default=0) + 1,
            id=fact_id,
            type=self._language.type_of(type(event)),
            stream=report.subject,
            district=report.district,
            at=report.at,
            time=report.time,
            recorded_at=self.head.tick(),
            report_source=report.source,
            report_id=report.id,
            event=event,
            body=body,
            tags=tuple(self._domain.tags(event)),
            corrects=corrects,
            correlation_id=report.correlation_id or (cause.correlation_id if cause else fact_id),
            causation_id=cause.id if cause else report.id,
            traceparent=report.traceparent,
        )
        self.recorded.facts.append(fact)
        self._remember(fact)
        return fact

    def _bind(self, report: Report, receipt: bytes) -> None:
        """Keep the receipt of a decision; it is the one in force of its (source, id) from now on."""
        earlier = self._decided.get(report.key)
        decided = Decided(earlier.decision + 1 if earlier else 1, report.digest, receipt)
        self._decided[report.key] = decided
        self._keep(report.source, report.id, decided, report.district, receipt)

    def _keep(
        self, source: str | None, id_: str | None, decided: Decided | None, district: str | None, receipt: bytes
    ) -> None:
        self.head.receipts += 1
        decision, digest = (decided.decision, decided.digest) if decided else (None, None)
        self.recorded.receipts.append((self.head.receipts, source, id_, decision, digest, district, receipt))

    def _sleep(self, report: Report, until: str, never: type[Rule]) -> None:
        self.head.waiting += 1
        number = self.head.receipts + 1
        since = self.head.at if report.resumed else report.received_at
        self.recorded.asleep[report.key] = (
            report.source, report.id, until, number, since, never.code, store_waiting(report)
        )  # fmt: skip
        self._waiting[until][report.key] = (number, report)
        self._until[report.key] = until

    async def _rouse(self, key: ReportKey) -> Report | None:
        """Take a report out of those that wait; None when it does not wait."""
        if key not in self._until:
            await self._await(await self._transaction.waiting_report(*key))
        return self._take_out(key)

    def _take_out(self, key: ReportKey) -> Report | None:
        until = self._until.pop(key, None)
        if until is None:
            return None
        self.head.waiting -= 1
        if self.recorded.asleep.pop(key, None) is None:
            self.recorded.woken.append(key)
        return self._waiting[until].pop(key)[1]

    def _needs(self, report: Report, view: View) -> set[str]:
        """The keys of what a report depends on; a stream that a tag led to is needed whole, with its ends."""
        return {report.subject, *self._domain.needs(report, view), *(fact.stream for fact in view.facts)}

    def _of(self, stream: str, service: str) -> list[Fact]:
        return [fact for fact in self._facts[stream] if fact.service == service]

    def _gather(self, keys: Iterable[str]) -> list[Fact]:
        found = {(fact.service, fact.position): fact for key in keys for fact in self._facts.get(key, ())}
        return list(found.values())

    def _wakes(self, report: Report) -> Iterable[str]:
        return (report.subject, *self._domain.tags(report.event), f"report:{report.source}:{report.id}")

    async def _facts_for(self, report: Report) -> list[Fact]:
        keys = self._needs(report, _NOTHING)
        while True:
            await self._load(keys)
            facts = self._gather(keys)
            if not facts or (more := self._needs(report, View(facts))) <= keys:
                return facts
            keys |= more

    async def _tagged(self, tag: str) -> list[FactInForce]:
        """Return what stands with a tag, one a report."""
        await self._load({tag})
        streams = {fact.stream for fact in self._facts.get(tag, ())}
        await self._load(streams)
        view = View(self._gather(streams))
        found = [standing for stream in sorted(streams) for standing in view.on(stream) if tag in standing.fact.tags]
        return list({(s.fact.report_source, s.fact.report_id): s for s in found}.values())

    async def _report_of(self, fact: Fact) -> Report:
        """Return the report that a fact was recorded for, as it would be decided again."""
        key = (fact.report_source, fact.report_id)
        await self._find([key])
        decided = self._decided[key]
        if decided is None:
            raise LookupError(f"no receipt for the report of position {fact.position}")
        first = [
            other
            for other in self._facts[fact.stream]
            if (other.service, other.report_source, other.report_id) == (fact.service, *key)
            and not other.event.decision
        ][-1]
        return first.as_report(decided.digest, receipts.received_at(decided.receipt))

    async def _find(self, keys: Sequence[ReportKey]) -> None:
        """Load the decisions in force of some reports."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._decided]
        if missing:
            found = await self._transaction.decided(missing)
            self._decided |= {key: found.get(key) for key in missing}

    async def _named(self, key: ReportKey) -> NamedReport | None:
        await self._find([key])
        decided = self._decided[key]
        return receipts.named(decided.receipt) if decided else None

    async def _load(self, keys: Iterable[str]) -> None:
        keys = set(keys) - self._loaded
        if not keys:
            return
        self._loaded |= keys
        for tags, raw in await self._transaction.load(keys):
            self._remember(decode_fact(self._languages, orjson.loads(raw), tags))

    async def _watch(self, keys: set[str]) -> None:
        keys = keys - self._watched
        self._watched |= keys
        if not self.head.waiting or not keys:
            return
        await self._await(await self._transaction.waiting(keys))

    async def _await(self, found: Sequence[tuple[str, int, bytes]]) -> None:
        waiting = [(until, number, restore_waiting(stored, self._language)) for until, number, stored in found]
        await self._find([report.key for _, _, report in waiting])
        gone = set(self.recorded.woken)
        for until, number, report in waiting:
            if report.key not in self._until and report.key not in gone:
                self._waiting[until][report.key] = (number, report)
                self._until[report.key] = until

    def _remember(self, fact: Fact) -> None:
        if (fact.service, fact.position) in self._known:
            return
        self._known.add((fact.service, fact.position))
        for key in {fact.stream, *fact.tags}:
            self._facts[key].append(fact)


def _keys(facts: Iterable[Fact]) -> list[str]:
    """The streams and tags on which facts have brought something new."""
    return [key for fact in facts if not isinstance(fact.event, _SILENT) for key in (fact.stream, *fact.tags)]


def decode_fact(languages: Mapping[str, Language], envelope: dict[str, Any], tags: tuple[str, ...]) -> Fact:
    """Return a recorded fact from its envelope."""
    service = envelope["source"].rpartition("/")[2]
    event = languages[service].find(envelope["type"])
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


_STORED: Final = (
    "id", "source", "type", "subject", "time", "district", "body", "corrects", "traceparent", "correlation_id",
    "resumed",
)  # fmt: skip


def store_waiting(report: Report) -> bytes:
    """Return a waiting report as it is stored; its person is sealed already."""
    stored = {name: getattr(report, name) for name in _STORED}
    return orjson.dumps(stored | {"digest": report.digest.hex(), "received_at": format_instant(report.received_at)})


def restore_waiting(stored: bytes, language: Language) -> Report:
    """Return a waiting report as it was when it began to wait."""
    fields = orjson.loads(stored)
    event = language.find(fields["type"])
    at, received_at = parse_instant(fields["time"]), parse_instant(fields.pop("received_at"))
    if event is None or at is None or received_at is None:
        raise ValueError("a waiting report of an unknown type")
    digest = bytes.fromhex(fields.pop("digest"))
    return Report(**fields, event=event.model_validate(fields["body"]), at=at, digest=digest, received_at=received_at)
