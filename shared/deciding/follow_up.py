"""What a retraction, a correction or a cancellation sets off: reports that wait again, flags, and what may be decided.

Each step is yielded and recorded before the next is looked for, so that the next is decided by what it changed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.contract.events import Ends, Fact, Opens, Report, ReportKey, ReportRetracted, Retracts
from shared.deciding.decider import Domain, breaks
from shared.deciding.facts import FactIndex
from shared.deciding.loading import Loader
from shared.deciding.view import FactInForce, View


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
class Wake:
    """What waits for a key may be decided now."""

    key: str


FollowUp = Suspend | Flag | Wake


async def follow_up(cause: Fact, named: ReportKey | None, loader: Loader, domain: Domain) -> AsyncIterator[FollowUp]:
    """Yield what a fact just recorded sets off: it takes back or replaces the report `named`, or cancels its subject.

    What hung on that waits again, what rested on it is flagged, and what is in force again is checked.
    """
    stream, service = cause.stream, cause.service
    view = View(loader.facts.on(stream, service))
    for orphan in view.orphans:
        yield Suspend(await loader.report_of(orphan), stream)
    if not any(isinstance(it.event.role, Opens) and not it.void for it in view.on(stream)):
        for follower in await loader.in_force_with(f"follows:{stream}"):
            yield Suspend(await loader.report_of(follower.fact), stream)
    async for flag in flag_evidence(cause, loader):
        yield flag
    if named is None or not isinstance(cause.event, ReportRetracted):
        return
    for retracted in view.facts_of(service, named)[:1]:
        for again in _in_force_again(view, retracted, service):
            report = await loader.report_of(again.fact)
            broken = breaks(report, await loader.view(report), domain, service)
            if broken is not None:
                yield Flag(report, f"breaks:{broken.code_of()}")
        if retracted.corrects is not None:
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
    named = cause.event.report_id if isinstance(cause.event, ReportRetracted) else cause.corrects
    if named is None:
        return isinstance(cause.event.role, Ends) and cause.event.role.voids
    replaced = View(facts.on(cause.stream, cause.service)).facts_of(cause.service, (cause.report_source, named))
    return any(not isinstance(fact.event.role, Ends) or fact.event.role.voids for fact in replaced)


def _in_force_again(view: View, retracted: Fact, service: str) -> list[FactInForce]:
    """Return what is in force again since a report was retracted: what it ended, or what it corrected."""
    if isinstance(retracted.event.role, Ends):
        opened = view.opened(retracted.stream, retracted.event.role.opening, retracted.event)
        return [it for it in opened if it.end is None or it.end.report_id == retracted.corrects]
    original = view.of_report(service, (retracted.report_source, retracted.corrects or ""))
    return [original] if original is not None else []
