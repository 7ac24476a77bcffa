"""What a retraction, a correction or a cancellation sets off: reports that wait again, flags, and what may be decided.

Each step is yielded and recorded before the next is looked for, so that the next is decided by what it changed.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from shared.contract.events import Ends, Fact, Opens, Report, ReportKey, ReportVoided, Retracts, SubjectAssigned
from shared.deciding.decider import Domain, breaks
from shared.deciding.facts import FactIndex
from shared.deciding.loading import Loader
from shared.deciding.stream_fold import FactInForce
from shared.deciding.view import View


@dataclass(frozen=True, slots=True)
class Suspend:
    """An accepted report waits again for `stream` (RULES B6)."""

    report: Report
    stream: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A person must look at a decision; nothing is undone (RULES B14, B15)."""

    report: Report
    reason: str


@dataclass(frozen=True, slots=True)
class Void:
    """The receipt of an accepted report is sent anew: it is voided (RULES G4)."""

    report: Report


@dataclass(frozen=True, slots=True)
class Restore:
    """A voided report counts again; its receipt is sent anew."""

    report: Report


@dataclass(frozen=True, slots=True)
class Wake:
    """What waits for a key may be decided now."""

    key: str


FollowUp = Suspend | Flag | Void | Restore | Wake


async def follow_up(cause: Fact, named: ReportKey | None, loader: Loader, domain: Domain) -> AsyncIterator[FollowUp]:
    """Yield what a fact just recorded sets off: it takes back or replaces the report `named`, or cancels its subject.

    What hung on that waits again, what rested on it is flagged, and what is in force again is checked.
    """
    stream, service = cause.stream, cause.service
    view = loader.facts.own_view(stream, service)
    undone = view.facts_of(service, named)[:1] if named is not None and isinstance(cause.event.role, Retracts) else ()
    restored = [await loader.report_of(fact) for voided in undone for fact in _unvoided(view, voided)]
    for report in restored:
        yield Restore(report)
    for orphan in view.orphans:
        yield Suspend(await loader.report_of(orphan), stream)
    if not any(isinstance(it.event.role, Opens) and not it.void for it in view.on(stream)):
        for follower in await loader.in_force_with(f"follows:{stream}"):
            yield Suspend(await loader.report_of(follower.fact), stream)
    async for flag in flag_evidence(cause, loader):
        yield flag
    for retracted in undone:
        report = await loader.report_of(retracted)
        if isinstance(cause.event, ReportVoided) and await loader.is_accepted(report.key):
            yield Void(report)
        again = [await loader.report_of(it.fact) for it in _in_force_again(view, retracted, service)]
        for report in (*again, *restored):
            stands = await loader.view(report)
            broken = breaks(report, stands, domain, service) if stands.counts(service, report.key) else None
            if broken is not None:
                yield Flag(report, f"breaks:{broken.code_of()}")
        if retracted.corrects is not None or restored:
            yield Wake(stream)


async def flag_evidence(cause: Fact, loader: Loader) -> AsyncIterator[Flag]:
    """Yield a flag for each decision that rests on the stream of a fact which changes what is in force there."""
    if _changes_evidence(cause, loader.facts):
        for resting in await loader.in_force_with(f"rests-on:{cause.stream}"):
            yield Flag(await loader.report_of(resting.fact), "evidence-changed")


def changes_earlier(fact: Fact) -> bool:
    """Tell whether a fact may change what an earlier one of its stream says: it names a report, or takes all out."""
    role = fact.event.role
    return fact.corrects is not None or isinstance(role, Retracts) or (isinstance(role, Ends) and role.voids)


def _changes_evidence(cause: Fact, facts: FactIndex) -> bool:
    """Tell whether a fact changes what decisions may rest on: not by an end, unless it undoes the whole thing."""
    if cause.names is None:
        return isinstance(cause.event.role, Ends) and cause.event.role.voids
    view = facts.own_view(cause.stream, cause.service)
    replaced = view.facts_of(cause.service, cause.names)
    voided = [fact.names for fact in replaced if isinstance(fact.event, ReportVoided)]  # and that is retracted
    for key in filter(None, voided):
        replaced = view.facts_of(cause.service, key)
    return any(_is_evidence(fact) for fact in replaced)


def _is_evidence(fact: Fact) -> bool:
    ends = isinstance(fact.event.role, Ends) and not fact.event.role.voids
    return not (ends or isinstance(fact.event, SubjectAssigned))


def _unvoided(view: View, retracted: Fact) -> Sequence[Fact]:
    """Return the fact of the report that counts again since its voiding was retracted; none if that was no voiding."""
    key = retracted.names
    if not isinstance(retracted.event, ReportVoided) or key is None or not view.counts(retracted.service, key):
        return ()
    return view.facts_of(retracted.service, key)[:1]


def _in_force_again(view: View, retracted: Fact, service: str) -> list[FactInForce]:
    """Return what is in force again since a report was retracted: what it ended, or what it corrected."""
    if isinstance(retracted.event.role, Ends):
        opened = view.opened(retracted.stream, retracted.event.role.opening, retracted.event)
        return [it for it in opened if it.end is None or it.end.report_id == retracted.corrects]
    original = view.of_report(service, (retracted.report_source, retracted.corrects or ""))
    return [original] if original is not None else []
