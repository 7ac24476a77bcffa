"""Decides a report: the rules that every type shares, then the type's own. Pure: no clock, no I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shared.contract import rules
from shared.contract.events import (
    Adds,
    Ends,
    Event,
    Fact,
    Opens,
    Report,
    ReportKey,
    ReportRetracted,
    ReportVoided,
    Retracts,
    SubjectAssigned,
    kind_of,
)
from shared.contract.rules import Rule
from shared.deciding.ownership import not_yours
from shared.deciding.stream_fold import FactInForce, same_key
from shared.deciding.view import View


@dataclass(frozen=True, slots=True)
class Accept:
    """The report becomes a fact; `also`: decisions of the service's own that are recorded after it."""

    also: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """A rule refuses the report."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Wait:
    """What the report refers to is not known yet.

    `waits_for`: as the receipt has it; `until`: the key that wakes it (a stream, a tag, a report); `never`: the rule
    that refuses it when nothing came in time.
    """

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


def _no_refusal(_event: Event, _rule: Rule) -> Iterable[Event]:
    return ()


def _may_retract(_fact: Fact, _view: View) -> Rule | None:
    return None


@dataclass(frozen=True, slots=True)
class Domain:
    """What a service adds to the kernel: pure functions over its language.

    `tags(event)`: what later decisions will look a fact up by; `rests-on:<stream>` on a decision: it is flagged when
    what is in force on that stream changes; `follows:<stream>`: it waits again when what was opened there is taken
    back. `query(report, view)`: the tags and streams whose facts a report depends on; called again with what they led
    to until it names nothing new. `decide(report, view)`: the service's own rules. `refusal(event, rule)`: what a
    refusal records. `may_retract(fact, view)`: the rule that keeps an accepted report from being taken back.
    `successors`: the district that each former code is of today (RULES E28).
    """

    tags: Callable[[Event], Iterable[str]]
    query: Callable[[Report, View], Iterable[str]]
    decide: Callable[[Report, View], Decision]
    refusal: Callable[[Event, Rule], Iterable[Event]] = _no_refusal
    may_retract: Callable[[Fact, View], Rule | None] = _may_retract
    successors: Mapping[str, str] = field(default_factory=dict)


def decide(report: Report, view: View, domain: Domain, service: str, named: NamedReport | None) -> Decision:
    """Decide a report: the first rule of RULES A7 that applies, from `in-the-future` on.

    `named`: the report that `corrects` or `report_id` names, None when it was never received here.
    """
    if ahead := report.ahead_of_time:
        return Refuse(rules.InTheFuture(ahead))
    key = report.names
    if key is not None and (decision := _decide_named(report, key, view, service, named)) is not None:
        return decision
    if key is not None and isinstance(report.event.role, Retracts):
        return _decide_retraction(key, view, domain, service)
    # Who has something in force on a subject may correct it, whosever the subject is by now.
    if key is None or (named is not None and named.status == "waiting"):
        rule = not_yours(report, view, service, domain.successors)
        if rule is not None:
            return Refuse(rule)
    return _decide_anew(report, view, domain) if key is None else _decide_correction(report, key, view, domain, service)


def _decide_anew(report: Report, view: View, domain: Domain) -> Decision:
    event, role = report.event, report.event.role
    if type(event) is SubjectAssigned:
        return Accept()
    if (refused := _decide_dates(report)) is not None:
        return refused
    if isinstance(role, Ends):
        refused = _decide_end(report, role, view)
    elif isinstance(role, Opens):
        refused = _decide_opening(report, role, view)
    elif isinstance(role, Adds) and role.to and not view.opened(report.subject, role.to, event):
        # The type's own rules may know of a refused opening, so they come first (RULES C7).
        decision = domain.decide(report, view)
        return decision if isinstance(decision, Refuse) else Wait(report.subject, report.subject)
    else:
        refused = None
    return refused or domain.decide(report, view)


def _dated_at(report: Report) -> str:
    return f"/data/{report.event.dated}" if report.event.dated else "/time"


def _decide_end(report: Report, role: Ends, view: View) -> Decision | None:
    opened = view.opened(report.subject, role.opening, report.event)
    if not opened:
        return Wait(report.subject, report.subject)
    running = [opening for opening in opened if opening.end is None]
    if not running:
        return Refuse(rules.NotOpen())
    if report.happened_on < running[-1].starts_on:
        return Refuse(rules.EndsBeforeStart(_dated_at(report)))
    return None


def _decide_opening(report: Report, role: Opens, view: View) -> Decision | None:
    opened = view.opened(report.subject, report.event.type_name, report.event)
    for opening in opened:
        if not role.again or opening.ended_on is None or report.happened_on < opening.ended_on:
            return Refuse(role.taken("/subject"))
    return None


def _decide_named(
    report: Report, key: ReportKey, view: View, service: str, named: NamedReport | None
) -> Decision | None:
    """Decide by what is known of the report named (RULES B3, then B2); None when it is in force, or waits."""
    retracts = isinstance(report.event.role, Retracts)
    pointer = "/data/report_id" if retracts else "/corrects"
    if named is None:
        source, id_ = key
        return Wait(f"report/{id_}", f"report:{source}:{id_}")
    if named.subject != report.subject or (not retracts and kind_of(named.type) != kind_of(report.type)):
        return Refuse(rules.OtherSubject(pointer))
    if retracts and _is_final(named, report.event):
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
    if named.status == "accepted" and (fate := view.fate(service, key)) is not None:
        fate.pointer = pointer
        return Refuse(fate)
    return None


def _is_final(named: NamedReport, event: Event) -> bool:
    """Tell whether a report cannot be taken back: it is itself a retraction, or a voiding that is not its sender's."""
    kind = named.type.split(".")[2]
    return kind == ReportRetracted.type_name or (kind == ReportVoided.type_name and isinstance(event, ReportVoided))


def _decide_retraction(key: ReportKey, view: View, domain: Domain, service: str) -> Decision:
    ended = view.ended_by(service, key)
    if ended is not None and _next(ended, view) is not None:
        return Refuse(rules.OpenedAgain())
    in_force = view.of_report(service, key)
    own = in_force is not None and not isinstance(in_force.event, SubjectAssigned)
    rule = domain.may_retract(in_force.fact, view) if in_force and own else None
    return Refuse(rule) if rule else Accept()


def _decide_correction(report: Report, key: ReportKey, view: View, domain: Domain, service: str) -> Decision:
    """Decide as if the original had never been made, in its place (RULES B4)."""
    original, ended = view.of_report(service, key), view.ended_by(service, key)
    role, event = report.event.role, report.event
    thing = original or ended
    if thing is not None and not same_key(thing, event):
        # It says something of another thing on the subject, which may be another's.
        rule = not_yours(report, view, service, domain.successors)
        if rule is not None:
            return Refuse(rule)
    if (refused := _decide_dates(report)) is not None:
        return refused
    if original is not None and isinstance(role, Opens) and same_key(original, event):
        as_if = view.without(report.subject, service, key, own_end=original.end)
        if original.ended_on is not None and report.happened_on > original.ended_on:
            return Refuse(rules.EndsBeforeStart(_dated_at(report)))
        # Opened and ended again since: only what came before can be in the way.
        same = as_if.opened(report.subject, event.type_name, event)
        before = [opening for opening in same if opening.root < original.root]
        if any(opening.ended_on is None or report.happened_on < opening.ended_on for opening in before):
            return Refuse(role.taken("/subject"))
        return (
            domain.decide(report, as_if)
            if original.end is not None or not same
            else _decide_anew(report, as_if, domain)
        )
    as_if = view.without(report.subject, service, key)
    if ended is not None and isinstance(role, Ends):
        following = _next(ended, view)
        if same_key(ended, event):
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


def breaks(report: Report, view: View, domain: Domain, service: str) -> Rule | None:
    """Return the rule that a fact in force again would break if it were reported now, in its place (RULES B15)."""
    decision = _decide_correction(report, report.key, view, domain, service)
    if isinstance(decision, Wait):
        return decision.never()  # what it rests on is gone
    return decision.rule if isinstance(decision, Refuse) else None


def _next(opening: FactInForce, view: View) -> FactInForce | None:
    """Return what was opened on the same subject after this."""
    same = view.opened(opening.fact.stream, opening.event.type_name, opening.event)
    return next((other for other in same if other.root > opening.root), None)
