"""The decisions of one transaction: load what a report needs, decide, record, follow up, wake what waited for it.

Loading is in `loading`, the decision in `decider`, what is written in `recording`, what a change sets off in
`follow_up`, what waits in `waiting`; here is their order.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

from shared.contract import rules
from shared.contract.events import (
    DecisionFlagged,
    Ends,
    Event,
    Fact,
    Language,
    NotUnderstood,
    Report,
    ReportKey,
    ReportRestored,
    ReportRetracted,
    ReportSuspended,
    ReportVoided,
    Retracts,
)
from shared.contract.rules import Rule
from shared.deciding import receipts
from shared.deciding.decider import Accept, Decision, Domain, Refuse, Wait, decide
from shared.deciding.facts import StreamCache, event_body
from shared.deciding.follow_up import (
    Flag,
    FollowUp,
    Restore,
    Suspend,
    Void,
    Wake,
    changes_earlier,
    flag_evidence,
    follow_up,
)
from shared.deciding.loading import Loader
from shared.deciding.recording import Recorder
from shared.deciding.waiting import WaitingReports, restore_waiting
from shared.log.event_store import Decided, Head, HeardRow, OverdueReport, Recorded, Transaction

_SAME_CONTENT: Final = "same-content"  # the flag on the receipt of what was reported under another id (RULES A23)
_NOT_AWAITED: Final = ("rests-on:", "follows:")  # tags by which the kernel finds what a change concerns
_SILENT: Final = frozenset[type[Event]](
    {ReportRetracted, ReportVoided, ReportSuspended, ReportRestored, DecisionFlagged}
)  # none waits for these
_VOIDED: Final = "voided"  # the flag on the receipt of a voided report (RULES G4)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one report: its status and the exact bytes of its receipt."""

    status: str
    receipt: bytes


class UnitOfWork:
    """Decides reports one after another, each by what the earlier ones recorded; `recorded` is to be written.

    `decisions`: those in force of the reports to be prepared and of those that they name, None where there is none.
    """

    def __init__(self, languages: Mapping[str, Language], language: Language, domain: Domain, transaction: Transaction,
                 head: Head, decisions: Mapping[ReportKey, Decided | None], cache: StreamCache) -> None:  # fmt: skip
        self.head = head
        self.recorded = Recorded()
        self._language = language
        self._domain = domain
        self._transaction = transaction
        self._loader = Loader(languages, language.service, domain, transaction, cache)
        self._loader.decisions |= decisions
        self._recorder = Recorder(language, domain, self._loader, head, self.recorded)
        self._waiting = WaitingReports(language, transaction, self._loader, head, self.recorded)

    async def prepare(self, reports: Sequence[Report]) -> None:
        """Load in few statements what the decisions of all the reports will need."""
        undecided = [report for report in reports if self._loader.decisions.get(report.key) is None]
        if self.head.waiting:
            await self._load_waiting({key for report in undecided for key in self._wakes(report)})
        await self._loader.load_for([*undecided, *self._waiting.reports()])

    async def _load_waiting(self, keys: set[str]) -> None:
        """Load what waits for one of the keys, and in turn what waits for what that will bring."""
        known: set[ReportKey] = set()
        while keys:
            await self._waiting.load(keys)
            woken = [report for report in self._waiting.reports() if report.key not in known]
            known |= {report.key for report in woken}
            keys = {key for report in woken for key in self._wakes(report)}

    def committed(self) -> None:
        """Remember long streams for the next transactions; called once this one is committed."""
        self._loader.remember()

    def _wakes(self, report: Report) -> Iterable[str]:
        return (report.subject, *self._domain.tags(report.event), f"report:{report.source}:{report.id}")

    def answer(self, item: NotUnderstood) -> Answer:
        """Answer what cannot be decided."""
        receipt = receipts.not_decided(item, self._language.service, self.head.tick())
        self._recorder.not_understood(item, receipt)
        return Answer(item.status, receipt)

    async def decide(self, report: Report) -> Answer:
        """Decide one report, and whatever its facts set off."""
        if (known := self._loader.decisions.get(report.key)) is not None:
            # A receipt taken back into a restored database may have come without its digest: believe the sender.
            same = known.digest in (report.digest, b"")
            receipt = receipts.repeated(report, self._language.service, self.head.tick(), known.receipt, same)
            self._recorder.repeat(report, receipt)
            return Answer("duplicate" if same else "refused", receipt)
        answer, keys = await self._decide(report)
        if self.head.waiting:
            await self._wake(keys)
        return answer

    async def hear(self, facts: Sequence[tuple[Fact, bytes]]) -> None:
        """Store other services' facts as evidence, in order; decide what waited for each, flag what rested on it."""
        for fact, _ in facts:
            fact.tags = tuple(self._domain.tags(fact.event))
        await self._loader.load_facts({fact.stream for fact, _ in facts if changes_earlier(fact)})
        await self._load_waiting({key for fact, _ in facts for key in (fact.stream, *fact.tags)})
        await self._loader.load_for(self._waiting.reports())
        for fact, _ in facts:
            self._loader.facts.add(fact)
            async for flag in flag_evidence(fact, self._loader):
                self._follow(flag, fact)
            # What is retracted may put another in force again, which brings something new after all.
            again = isinstance(fact.event.role, Retracts)
            await self._wake(_keys(self._loader.facts.on(fact.stream, fact.service) if again else [fact]))
        # Last, so that what is loaded meanwhile has none that come later in the batch.
        await self._transaction.hear(
            [HeardRow(fact.service, fact.position, fact.stream, fact.tags, raw) for fact, raw in facts]
        )

    async def expire(self, overdue: Sequence[OverdueReport], days: int) -> None:
        """Refuse reports that have waited too long (RULES D13), each by its own rule."""
        waiting = [(restore_waiting(row.report, self._language), row.never) for row in overdue]
        await self._loader.load_decisions([report.key for report, _ in waiting])
        for report, never in waiting:
            await self._waiting.load_report(report.key)
            if self._waiting.remove(report.key) is not None:
                await self._loader.load_facts({report.subject})
                _, facts = self._record(report, Refuse(rules.find(never)(days=days)))
                await self._wake(_keys(facts))

    async def _decide(self, report: Report) -> tuple[Answer, list[str]]:
        """Decide one report and record what follows; return the keys of what may now be decided too."""
        view = await self._loader.view(report)
        # What a resumed report corrects was settled when it was first decided.
        key = None if report.resumed else report.names
        named = await self._loader.named(key) if key is not None else None
        request = replace(report, corrects=None) if report.resumed else report
        decision = decide(request, view, self._domain, self._language.service, named)
        if isinstance(decision, Wait) and self._waiting.until(report.key) == decision.until:
            known = self._loader.decisions[report.key]
            return Answer("waiting", known.receipt if known else b""), []  # nothing new to say; it keeps its place
        self._waiting.remove(report.key)
        if key is not None and named is not None and named.status == "waiting" and not isinstance(decision, Refuse):
            await self._close(key, report)
            report.resumed = isinstance(decision, Wait)  # in the place of what it corrects (RULES B9)
        repeats = isinstance(decision, Accept) and view.says(report, self._language.service)
        answer, facts = self._record(report, decision, (_SAME_CONTENT,) if repeats else ())
        keys = [*_keys(facts), f"report:{report.source}:{report.id}"]
        role = report.event.role
        if isinstance(decision, Accept) and (key is not None or (isinstance(role, Ends) and role.voids)):
            async for step in follow_up(facts[0], key, self._loader, self._domain):
                keys += self._follow(step, facts[0])
        return answer, keys

    def _record(self, report: Report, decision: Decision, flags: Sequence[str] = ()) -> tuple[Answer, list[Fact]]:
        """Record what was decided: facts, the receipt with its flags, that it waits."""
        recorder, facts, refused = self._recorder, list[Fact](), None
        match decision:
            case Accept(also):
                status = "accepted"
                facts.append(recorder.fact(report, report.event, report.body, report.corrects))
                facts += [recorder.fact(report, event, event_body(event), cause=facts[0]) for event in also]
            case Refuse(rule):
                status, refused = "refused", rule
                if report.corrects is None or report.resumed:
                    also = tuple(self._domain.refusal(report.event, rule))
                    facts += [recorder.fact(report, event, event_body(event)) for event in also]
            case Wait():
                status = "waiting"
                self._waiting.add(report, decision)
            case _:
                assert_never(decision)
        receipt = receipts.decided(
            report,
            self._language.service,
            self.head.tick(),
            first_fact=facts[0] if facts else None,
            refused=refused,
            waits_for=decision.waits_for if isinstance(decision, Wait) else None,
            flags=flags,
        )
        recorder.decision(report, receipt)
        return Answer(status, receipt), facts

    def _follow(self, step: FollowUp, cause: Fact) -> list[str]:
        """Record one step of what a fact sets off; return the keys of what may now be decided."""
        match step:
            case Suspend(report, stream):
                suspended = ReportSuspended(report_id=report.id, reason=f"waits-for:{stream}")
                self._recorder.fact(report, suspended, event_body(suspended), cause=cause)
                report.resumed = True
                self._record(report, Wait(stream, stream))
            case Flag(report, reason):
                flagged = DecisionFlagged(report_id=report.id, flag="needs-review", reason=reason)
                self._recorder.fact(report, flagged, event_body(flagged), cause=cause)
                self._send_anew(report, receipts.flagged, flagged.flag)
            case Void(report):
                self._send_anew(report, receipts.flagged, _VOIDED)
            case Restore(report):
                restored = ReportRestored(report_id=report.id, corrects=report.corrects, reason="voiding-retracted")
                self._recorder.fact(report, restored, event_body(restored), cause=cause)
                self._send_anew(report, receipts.unflagged, _VOIDED)
            case Wake(key):
                return [key]
            case _:
                assert_never(step)
        return []

    def _send_anew(self, report: Report, change: Callable[[bytes, str, datetime], bytes], flag: str) -> None:
        """Record the receipt in force of a report with another flag."""
        known = self._loader.decisions[report.key]
        if known is not None:
            self._recorder.decision(report, change(known.receipt, flag, self.head.tick()))

    async def _close(self, key: ReportKey, by: Report) -> None:
        """Give a waiting report that was retracted, voided or corrected its last receipt (RULES B9)."""
        await self._waiting.load_report(key)
        report = self._waiting.remove(key)
        if report is None:
            return
        rule: Rule = rules.Corrected()
        if isinstance(by.event.role, Retracts):
            rule = rules.Voided() if isinstance(by.event, ReportVoided) else rules.Retracted()
        receipt = receipts.decided(
            report, self._language.service, self.head.tick(), refused=rule, corrected_by=by.id if by.corrects else None
        )
        if isinstance(by.event, ReportVoided):
            receipt = receipts.flagged(receipt, _VOIDED, self.head.tick())
        self._recorder.decision(report, receipt)

    async def _wake(self, keys: Iterable[str]) -> None:
        """Decide what waits for one of the keys, in the order received (RULES C8), and what that sets off."""
        if not self.head.waiting:
            return
        queue = deque(keys)
        while queue:
            key = queue.popleft()
            await self._waiting.load({key})
            for report in self._waiting.on(key):
                # It may have been closed, or have begun to wait for another key, by what one before it set off.
                if self._waiting.until(report.key) == key:
                    queue.extend((await self._decide(report))[1])


def _keys(facts: Iterable[Fact]) -> list[str]:
    """Return the streams and tags on which facts have brought something new, as far as a report may wait for them."""
    return [
        key
        for fact in facts
        if type(fact.event) not in _SILENT
        for key in (fact.stream, *fact.tags)
        if not key.startswith(_NOT_AWAITED)
    ]
