"""Decides a report by the rules that hold for every type, then by the type's own; pure: no clock, no I/O."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from shared.contract import rules
from shared.contract.events import (
    LOCAL_TIME,
    Adds,
    DecisionFlagged,
    Ends,
    Event,
    Fact,
    Opens,
    Report,
    ReportKey,
    ReportRetracted,
    ReportSuspended,
)
from shared.contract.rules import Rule

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Accept:
    """The report is a fact now; `also`: decisions of the service's own, recorded behind it."""

    also: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """A rule says no."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Wait:
    """What it refers to is not known yet. `waits_for` is what the receipt says; `until` the key that wakes it (a
    stream, a tag, a report); `never` the rule that refuses it when nothing came in time."""

    waits_for: str
    until: str
    never: type[Rule] = rules.NeverArrived


Decision = Accept | Refuse | Wait


@dataclass(frozen=True, slots=True)
class NamedReport:
    """The report that a correction or a retraction names, as its receipt has it now; `code`: why it was refused; `by`:
    the correction that took its place while it waited."""

    type: str
    subject: str
    status: str
    code: str | None = None
    by: str | None = None


@dataclass(slots=True)
class FactInForce:
    """One standing fact, with its end where it has one, and the decisions recorded with it."""

    fact: Fact
    root: int  # the position of the first report that this one corrects; its own where it corrects none
    end: Fact | None = None

    @property
    def event(self) -> Event:
        """What happened."""
        return self.fact.event

    @property
    def starts_on(self) -> date:
        """First day that counts (RULES C1)."""
        return self.fact.happened_on

    @property
    def ended_on(self) -> date | None:
        """First day that no longer counts, None without an end."""
        return self.end.happened_on if self.end else None

    @property
    def void(self) -> bool:
        """Whether its end took it out of every period (RULES C5)."""
        return self.end is not None and isinstance(self.end.event.role, Ends) and self.end.event.role.voids

    @property
    def last_day(self) -> date:
        """Last day that counts: the day before the end, else the day the span names, else the end of days (C2)."""
        return _last_day(self.event, self.end)

    def open_on(self, day: date) -> bool:
        """Tell whether the thing is open on a day."""
        return self.starts_on <= day <= self.last_day

    def overlaps(self, first: date, last: date) -> bool:
        """Tell whether the span shares a day with another (RULES C2)."""
        return first <= last and self.starts_on <= last and first <= self.last_day and self.starts_on <= self.last_day


def _last_day(event: Event, end: Fact | None) -> date:
    if end is not None:
        return end.happened_on - timedelta(days=1)
    until = getattr(event, event.role.until) if isinstance(event.role, Opens) and event.role.until else None
    return until or date.max


@dataclass(slots=True)
class _Reported:
    """All that was recorded because of one report."""

    facts: list[Fact]
    root: int
    retracted: bool = False
    suspended: bool = False
    replaced_by: list[ReportKey] = field(default_factory=list)


class View:
    """What stands among the facts that a report depends on: the fold that every decision is made from.

    A fact stands unless its report was retracted, is replaced by a standing correction, or was suspended and not
    decided again (RULES B1, B6). A correction stands in the place of its original, whose end stays attached (B4).
    """

    def __init__(self, facts: Iterable[Fact], without: ReportKey | None = None) -> None:
        self.facts = sorted(facts, key=lambda fact: (fact.service, fact.position))
        self._reports: dict[tuple[str, ReportKey], _Reported] = {}
        self._by_type: defaultdict[str, list[FactInForce]] = defaultdict(list)
        self._streams: defaultdict[str, list[FactInForce]] = defaultdict(list)
        self._of_report: dict[tuple[str, ReportKey], FactInForce] = {}
        self._ended: dict[tuple[str, ReportKey], FactInForce] = {}
        self.orphans: list[Fact] = []
        self.own_end: Fact | None = None
        for fact in self.facts:
            self._gather(fact)
        places = [
            (reported.root, fact)
            for (service, key), reported in self._reports.items()
            if key != without and self._stands(service, reported)
            for fact in reported.facts
        ]
        for root, fact in sorted(places, key=lambda place: (place[1].service, place[0], place[1].position)):
            self._evolve(root, fact)

    def _gather(self, fact: Fact) -> None:
        """Note what a fact does to its report, or to the report that it names."""
        event = fact.event
        if isinstance(event, ReportRetracted):
            named = self._reports.get((fact.service, (fact.report_source, event.report_id)))
            if named is not None:
                named.retracted = True
            return
        key = (fact.service, (fact.report_source, fact.report_id))
        if isinstance(event, ReportSuspended):
            if key in self._reports:
                self._reports[key].suspended = True
        elif not isinstance(event, DecisionFlagged):
            reported = self._reports.get(key)
            if reported is None:
                reported = self._reports[key] = _Reported([], self._root(fact, key[1]))
            elif reported.suspended:
                # Decided again: what was recorded before is history.
                reported.facts, reported.suspended, reported.root = [], False, self._root(fact, key[1], anew=True)
            reported.facts.append(fact)

    def _root(self, fact: Fact, key: ReportKey, anew: bool = False) -> int:
        """Return the place of a report's facts: that of its original, unless what stood there was taken back or the
        correction ends another thing than its original did."""
        original = self._reports.get((fact.service, (fact.report_source, fact.corrects or "")))
        if fact.corrects is None or original is None:
            return fact.position
        if key not in original.replaced_by:
            original.replaced_by.append(key)
        role = fact.event.role
        if isinstance(role, Ends) and role.key and _differ(role.key, fact.event, original.facts[0].event):
            return fact.position
        if anew or original.suspended:
            original.root = fact.position
        return original.root

    def _stands(self, service: str, reported: _Reported) -> bool:
        return not reported.retracted and not reported.suspended and self._replacement(service, reported) is None

    def _replacement(self, service: str, reported: _Reported) -> ReportKey | None:
        for key in reported.replaced_by:
            if not self._reports[service, key].retracted:
                return key
        return None

    def _evolve(self, root: int, fact: Fact) -> None:
        role = fact.event.role
        key = (fact.service, (fact.report_source, fact.report_id))
        if isinstance(role, Ends):
            for standing in reversed(self.opened(fact.stream, role.opening, fact.event)):
                if standing.end is None:
                    standing.end = fact
                    self._ended[key] = standing
                    return
            self.orphans.append(fact)
            return
        if isinstance(role, Adds) and role.to and not self.opened(fact.stream, role.to, fact.event):
            self.orphans.append(fact)
            return
        standing = FactInForce(fact, root)
        self._by_type[fact.event.type_name].append(standing)
        self._streams[fact.stream].append(standing)
        self._of_report.setdefault(key, standing)

    def of(self, event: type[E]) -> Iterator[tuple[E, FactInForce]]:
        """Yield what stands of a type, in the order it was recorded; what was cancelled does not stand (C5)."""
        for standing in self._by_type.get(event.type_name, ()):
            if not standing.void and isinstance(standing.event, event):
                yield standing.event, standing

    def opened(self, stream: str, opening: str, like: Event) -> Sequence[FactInForce]:
        """Return every opening on a stream, cancelled ones too, that agrees with `like` in the opening's key."""
        return [s for s in self._streams.get(stream, ()) if s.event.type_name == opening and _same_key(s, like)]

    def on(self, stream: str) -> Sequence[FactInForce]:
        """Return what stands on a stream, ends aside."""
        return self._streams.get(stream, ())

    def of_report(self, service: str, key: ReportKey) -> FactInForce | None:
        """Return what stands because of a report, None when nothing does or when it is an end."""
        return self._of_report.get((service, key))

    def ended_by(self, service: str, key: ReportKey) -> FactInForce | None:
        """Return what a report ended, None when it stands as no end."""
        return self._ended.get((service, key))

    def facts_of(self, service: str, key: ReportKey) -> Sequence[Fact]:
        """Return what was recorded because of a report, standing or not."""
        reported = self._reports.get((service, key))
        return reported.facts if reported else ()

    def fate(self, service: str, key: ReportKey) -> Rule | None:
        """Return why an accepted report does not stand, None when it does (RULES B2)."""
        reported = self._reports.get((service, key))
        if reported is None:
            return None
        if reported.retracted:
            return rules.AlreadyRetracted()
        by = self._replacement(service, reported)
        return rules.AlreadyCorrected(by=by[1]) if by else None

    def span(self, report: Report) -> tuple[date, date]:
        """Return the first and last day that a report's opening would count, with the end it has already (B4)."""
        return report.happened_on, _last_day(report.event, self.own_end)


def _differ(name: str, one: Event, other: Event) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _same_key(standing: FactInForce, event: Event) -> bool:
    role = standing.event.role
    if not isinstance(role, Opens) or role.key is None:
        return True
    return bool(getattr(standing.event, role.key) == getattr(event, role.key, None))


def _no_refusal(_event: Event, _rule: Rule) -> Iterable[Event]:
    return ()


def _may_retract(_fact: Fact, _view: View) -> Rule | None:
    return None


@dataclass(frozen=True, slots=True)
class Domain:
    """What a service adds to the kernel: pure functions over its language.

    `tags(event)`: what later decisions will look a fact up by; `rests-on:<stream>` on a decision: it is flagged when
    what stands on that stream changes; `follows:<stream>`: it waits again when what was opened there is taken back.
    `needs(report, view)`: the tags and streams whose facts a report depends on; asked again with what was found until
    it names nothing new. `decide(report, view)`: the own rules. `refusal(event, rule)`: what a refusal records.
    `may_retract(fact, view)`: the rule that keeps an accepted report from being taken back.
    """

    tags: Callable[[Event], Iterable[str]]
    needs: Callable[[Report, View], Iterable[str]]
    decide: Callable[[Report, View], Decision]
    refusal: Callable[[Event, Rule], Iterable[Event]] = _no_refusal
    may_retract: Callable[[Fact, View], Rule | None] = _may_retract


def decide(report: Report, facts: Iterable[Fact], domain: Domain, service: str, named: NamedReport | None) -> Decision:
    """Decide a report: the first rule of RULES A7 that applies, from `in-the-future` on.

    `named`: the report that `corrects` or `report_id` names, None when it was never received here.
    """
    if ahead := _ahead_of_time(report):
        return Refuse(rules.InTheFuture(ahead))
    view = View(facts)
    if (name := named_report_id(report)) is not None:
        decision = _decide_named(report, name, view, service, named)
        if decision is not None:
            return decision
        if isinstance(report.event, ReportRetracted):
            return _decide_retraction(report.event, (report.source, name), view, domain, service)
        return _decide_correction(report, (report.source, name), view, domain, service)
    return _decide_anew(report, view, domain)


def named_report_id(report: Report) -> str | None:
    """Return the id of the report that a correction or a retraction names."""
    return report.event.report_id if isinstance(report.event, ReportRetracted) else report.corrects


def _decide_anew(report: Report, view: View, domain: Domain) -> Decision:
    event, role = report.event, report.event.role
    if (refused := _decide_dates(report)) is not None:
        return refused
    if isinstance(role, Ends):
        refused = _decide_end(report, role, view)
    elif isinstance(role, Opens):
        refused = _decide_opening(report, role, view)
    elif isinstance(role, Adds) and role.to and not view.opened(report.subject, role.to, event):
        # The type's own rules may know of a refused opening, so they are asked first (RULES C7).
        decision = domain.decide(report, view)
        return decision if isinstance(decision, Refuse) else Wait(report.subject, report.subject)
    else:
        refused = None
    return refused or domain.decide(report, view)


def _ahead_of_time(report: Report) -> str | None:
    """Return the pointer at what lies ahead (RULES A2), None when nothing does."""
    if report.at > report.received_at + timedelta(hours=24):
        return "/time"
    tomorrow = report.received_at.astimezone(LOCAL_TIME).date() + timedelta(days=1)
    dated = report.event.dated
    return f"/data/{dated}" if dated and report.happened_on > tomorrow else None


def _dated_at(report: Report) -> str:
    return f"/data/{report.event.dated}" if report.event.dated else "/time"


def _decide_end(report: Report, role: Ends, view: View) -> Decision | None:
    opened = view.opened(report.subject, role.opening, report.event)
    if not opened:
        return Wait(report.subject, report.subject)
    running = [standing for standing in opened if standing.end is None]
    if not running:
        return Refuse(rules.NotOpen())
    if report.happened_on < running[-1].starts_on:
        return Refuse(rules.EndsBeforeStart(_dated_at(report)))
    return None


def _decide_opening(report: Report, role: Opens, view: View) -> Decision | None:
    opened = view.opened(report.subject, report.event.type_name, report.event)
    for standing in opened:
        if not role.again or standing.ended_on is None or report.happened_on < standing.ended_on:
            return Refuse(role.taken("/subject"))
    return None


def _decide_named(report: Report, name: str, view: View, service: str, named: NamedReport | None) -> Decision | None:
    """Decide by what is known of the report named (RULES B3, then B2); None when it stands, or waits."""
    retracts = isinstance(report.event, ReportRetracted)
    pointer = "/data/report_id" if retracts else "/corrects"
    if named is None:
        return Wait(f"report/{name}", f"report:{report.source}:{name}")
    if named.subject != report.subject or (not retracts and named.type != report.type):
        return Refuse(rules.OtherSubject(pointer))
    if retracts and named.type == report.type:
        return Refuse(rules.NothingToRetract(pointer))
    if named.status == "refused":
        rule: Rule
        if named.code == rules.Retracted.code:
            rule = rules.AlreadyRetracted(pointer)
        elif named.code == rules.Corrected.code:
            rule = rules.AlreadyCorrected(pointer, by=named.by or "")
        else:
            rule = rules.NothingToRetract(pointer) if retracts else rules.NothingToCorrect(pointer)
        return Refuse(rule)
    if named.status == "accepted" and (fate := view.fate(service, (report.source, name))) is not None:
        fate.pointer = pointer
        return Refuse(fate)
    return None


def _decide_retraction(
    retraction: ReportRetracted, key: ReportKey, view: View, domain: Domain, service: str
) -> Decision:
    ended = view.ended_by(service, key)
    if ended is not None and _next(ended, view) is not None:
        return Refuse(rules.OpenedAgain())
    standing = view.of_report(service, key)
    rule = domain.may_retract(standing.fact, view) if standing else None
    return Refuse(rule) if rule else Accept()


def _decide_correction(report: Report, key: ReportKey, view: View, domain: Domain, service: str) -> Decision:
    """Decide as if the original had never been made, in its place (RULES B4)."""
    as_if = View(view.facts, without=key)
    original, ended = view.of_report(service, key), view.ended_by(service, key)
    role, event = report.event.role, report.event
    if (refused := _decide_dates(report)) is not None:
        return refused
    if original is not None and isinstance(role, Opens) and _same_key(original, event):
        as_if.own_end = original.end
        if original.ended_on is not None and report.happened_on > original.ended_on:
            return Refuse(rules.EndsBeforeStart(_dated_at(report)))
        # Opened and ended again since: only what came before can be in the way.
        same = as_if.opened(report.subject, event.type_name, event)
        before = [standing for standing in same if standing.root < original.root]
        if any(standing.ended_on is None or report.happened_on < standing.ended_on for standing in before):
            return Refuse(role.taken("/subject"))
        if original.end is not None or not same:
            return domain.decide(report, as_if)
    if ended is not None and isinstance(role, Ends):
        following = _next(ended, view)
        if _same_key(ended, event):
            if report.happened_on < ended.starts_on:
                return Refuse(rules.EndsBeforeStart(_dated_at(report)))
            if following is not None and report.happened_on > following.starts_on:
                return Refuse(rules.OpenedAgain())
            return domain.decide(report, as_if)
        if following is not None:
            return Refuse(rules.OpenedAgain())
    return _decide_anew(report, as_if, domain)


def _decide_dates(report: Report) -> Decision | None:
    """Refuse dates of one report in the wrong order (RULES C6)."""
    for earlier, later in report.event.ordered:
        first, last = getattr(report.event, earlier), getattr(report.event, later)
        if first is not None and last is not None and last < first:
            return Refuse(rules.EndsBeforeStart(f"/data/{later}"))
    return None


def breaks(report: Report, facts: Iterable[Fact], domain: Domain, service: str) -> Rule | None:
    """Return the rule that what stands again would break if it were reported now, in its place (RULES B15)."""
    decision = _decide_correction(report, report.key, View(facts), domain, service)
    if isinstance(decision, Wait):
        return decision.never()  # what it rests on is gone
    return decision.rule if isinstance(decision, Refuse) else None


def _next(standing: FactInForce, view: View) -> FactInForce | None:
    """Return what was opened on the same subject after this."""
    same = view.opened(standing.fact.stream, standing.event.type_name, standing.event)
    return next((other for other in same if other.root > standing.root), None)


def event_body(event: Event) -> dict[str, Any]:
    """Return an event's data as it is recorded: JSON values, absent fields left out."""
    return event.model_dump(mode="json", exclude_none=True)
