"""Decides a report by the rules that hold for every type, then by the type's own; pure: no clock, no I/O."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from shared import rules
from shared.events import SHANGHAI, Adds, Ends, Event, Fact, Opens, Report
from shared.rules import Rule

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Accept:
    """The report is a fact now; `also`: decisions of the service's own, recorded behind it."""

    also: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """A rule says no; `also`: decisions recorded although the report itself is no fact."""

    rule: Rule
    also: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """What it refers to is not known yet. `waits_for` is what the receipt says; `until` the stream or tag that wakes
    it; `never` the rule that refuses it when nothing came in time."""

    waits_for: str
    until: str
    never: type[Rule] = rules.NeverArrived


Decision = Accept | Refuse | Wait


@dataclass(slots=True)
class Standing:
    """One standing fact, with its end where it has one."""

    fact: Fact
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
        if self.end is not None:
            return self.end.happened_on - timedelta(days=1)
        role = self.event.role
        until = getattr(self.event, role.until) if isinstance(role, Opens) and role.until else None
        return until or date.max

    def open_on(self, day: date) -> bool:
        """Tell whether the thing is open on a day."""
        return self.starts_on <= day <= self.last_day

    def overlaps(self, first: date, last: date) -> bool:
        """Tell whether the span shares a day with another (RULES C2)."""
        return self.starts_on <= last and first <= self.last_day and self.starts_on <= self.last_day


class View:
    """What stands among the facts that a report depends on: the fold that every decision is made from."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._by_type: defaultdict[str, list[Standing]] = defaultdict(list)
        self._streams: defaultdict[str, list[Standing]] = defaultdict(list)
        for fact in sorted(facts, key=lambda fact: (fact.service, fact.position)):
            self._evolve(fact)

    def _evolve(self, fact: Fact) -> None:
        role = fact.event.role
        if isinstance(role, Ends):
            for standing in self._streams[fact.stream]:
                if (
                    standing.end is None
                    and standing.event.type_name == role.opening
                    and _same_key(standing, fact.event)
                ):
                    standing.end = fact
                    return
            return
        standing = Standing(fact)
        self._by_type[fact.event.type_name].append(standing)
        self._streams[fact.stream].append(standing)

    def of(self, event: type[E]) -> Iterator[tuple[E, Standing]]:
        """Yield what stands of a type, in the order it was recorded; what was cancelled does not stand (C5)."""
        for standing in self._by_type.get(event.type_name, ()):
            if not standing.void and isinstance(standing.event, event):
                yield standing.event, standing

    def opened(self, stream: str, opening: str, like: Event) -> Sequence[Standing]:
        """Return every opening on a stream, cancelled ones too, that agrees with `like` in the opening's key."""
        return [s for s in self._streams.get(stream, ()) if s.event.type_name == opening and _same_key(s, like)]


def _same_key(standing: Standing, event: Event) -> bool:
    role = standing.event.role
    if not isinstance(role, Opens) or role.key is None:
        return True
    return bool(getattr(standing.event, role.key) == getattr(event, role.key, None))


@dataclass(frozen=True, slots=True)
class Domain:
    """What a service adds to the kernel: three pure functions over its language.

    `tags(event)`: what later decisions will look a fact up by. `needs(report, view)`: the tags whose facts a report
    depends on; asked again with what was found until it names nothing new. `decide(report, view)`: the own rules.
    """

    tags: Callable[[Event], Iterable[str]]
    needs: Callable[[Report, View], Iterable[str]]
    decide: Callable[[Report, View], Decision]

    def carried(self, stream: str, event: Event, view: View) -> tuple[str, ...]:
        """Return the tags of a fact: its own, and for an end those of what it ends, so that both are found together."""
        tags = list(self.tags(event))
        if isinstance(event.role, Ends):
            for standing in view.opened(stream, event.role.opening, event):
                tags.extend(standing.fact.tags)
        return tuple(dict.fromkeys(tags))


def decide(report: Report, view: View, domain: Domain) -> Decision:
    """Decide a report: the first rule of RULES A7 that applies, from `in-the-future` on."""
    event, role = report.event, report.event.role
    if ahead := _ahead_of_time(report):
        return Refuse(rules.InTheFuture(ahead))
    for earlier, later in event.ordered:
        first, last = getattr(event, earlier), getattr(event, later)
        if first is not None and last is not None and last < first:
            return Refuse(rules.EndsBeforeStart(f"/data/{later}"))
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
    tomorrow = report.received_at.astimezone(SHANGHAI).date() + timedelta(days=1)
    dated = report.event.dated
    return f"/data/{dated}" if dated and report.happened_on > tomorrow else None


def _decide_end(report: Report, role: Ends, view: View) -> Decision | None:
    opened = view.opened(report.subject, role.opening, report.event)
    if not opened:
        return Wait(report.subject, report.subject)
    running = [standing for standing in opened if standing.end is None]
    if not running:
        return Refuse(rules.NotOpen())
    if report.happened_on < running[-1].starts_on:
        return Refuse(rules.EndsBeforeStart(f"/data/{report.event.dated}" if report.event.dated else "/time"))
    return None


def _decide_opening(report: Report, role: Opens, view: View) -> Decision | None:
    opened = view.opened(report.subject, report.event.type_name, report.event)
    for standing in opened:
        if not role.again or standing.ended_on is None or report.happened_on < standing.ended_on:
            return Refuse(role.taken("/subject"))
    return None


def values(event: Event) -> dict[str, Any]:
    """Return an event's data as it is recorded: JSON values, absent fields left out."""
    return event.model_dump(mode="json", exclude_none=True)
