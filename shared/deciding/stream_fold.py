"""The fold of one stream: which of its facts are in force, evolved fact by fact.

A fact is in force unless its report was retracted, is replaced by a correction in force, or was suspended and not
decided again (RULES B1, B6). A correction stands in the place of its original, whose end stays attached (B4).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, timedelta

import orjson

from shared.contract import rules
from shared.contract.events import (
    Adds,
    DecisionFlagged,
    Ends,
    Event,
    Fact,
    Opens,
    Report,
    ReportKey,
    ReportRestored,
    ReportSuspended,
    ReportVoided,
    Retracts,
    Stands,
)
from shared.contract.rules import Rule

_Origin = tuple[str, ReportKey]  # the service, and the report that a fact was recorded for
_Content = tuple[str, str, date, bytes]  # type, district, date and data
_Place = tuple[str, int, int]  # the service, the root and the position: the order in which facts are folded


@dataclass(slots=True)
class FactInForce:
    """A fact in force, with its end where it has one."""

    fact: Fact
    root: int  # the position of the first report that this one corrects; its own where it corrects none
    end: Fact | None = None

    @property
    def event(self) -> Event:
        """The event."""
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
        return last_day_of(self.event, self.end)

    @property
    def place(self) -> _Place:
        """Its place in the order of the fold."""
        return self.fact.service, self.root, self.fact.position

    def open_on(self, day: date) -> bool:
        """Tell whether the thing is open on a day."""
        return self.starts_on <= day <= self.last_day

    def overlaps(self, first: date, last: date) -> bool:
        """Tell whether the span shares a day with another (RULES C2)."""
        return first <= last and self.starts_on <= last and first <= self.last_day and self.starts_on <= self.last_day


def last_day_of(event: Event, end: Fact | None) -> date:
    """Return the last day that counts of what was opened, with its end or without one (RULES C2)."""
    if end is not None:
        return end.happened_on - timedelta(days=1)
    until = getattr(event, event.role.until) if isinstance(event.role, Opens) and event.role.until else None
    return until or date.max


@dataclass(slots=True)
class _Reported:
    """All that was recorded because of one report."""

    facts: list[Fact]
    root: int
    taken_back: bool = False
    voided_by: list["_Reported"] = field(default_factory=list)
    suspended: bool = False
    replaced_by: list[ReportKey] = field(default_factory=list)

    @property
    def retracted(self) -> bool:
        """Whether it was retracted, or voided by a report that was not retracted itself (RULES G4)."""
        return self.taken_back or any(not voided.taken_back for voided in self.voided_by)


class StreamFold:
    """The fold of one stream. All that is recorded because of a report is on its subject's stream."""

    def __init__(self, facts: Iterable[Fact], without: _Origin | None = None) -> None:
        """Fold facts in any order; `without`: as if this report had never been made."""
        self.facts = sorted(facts, key=position_of)
        self.in_force: list[FactInForce] = []
        self.first: dict[str, FactInForce] = {}  # of each service's openings and *(latest stands)* reports
        self.orphans: list[tuple[_Place, Fact]] = []  # ends and additions whose opening is not in force
        self._reports: dict[_Origin, _Reported] = {}
        self._of_type: defaultdict[str, list[FactInForce]] = defaultdict(list)
        self._of_report: dict[_Origin, FactInForce] = {}
        self._ended_by: dict[_Origin, FactInForce] = {}
        self._totals: dict[tuple[str, str], tuple[int, int]] = {}  # by type and field: of how many, and their sum
        self._of_content: defaultdict[_Content, dict[_Origin, None]] = defaultdict(dict)
        self._last: _Place = ("", 0, 0)
        for fact in self.facts:
            self._gather(fact)
        places = [
            (fact.service, reported.root, fact.position, fact)
            for origin, reported in self._reports.items()
            if origin != without and self._counts(origin[0], reported)
            for fact in reported.facts
        ]
        for service, root, position, fact in sorted(places, key=lambda place: place[:3]):
            self._apply((service, root, position), fact)

    def evolve(self, fact: Fact) -> bool:
        """Take the next fact of the stream; return False, with nothing changed, when only a new fold can take it."""
        event, origin = fact.event, _origin(fact)
        if self.facts and position_of(fact) < position_of(self.facts[-1]):
            return False
        if isinstance(event.role, Retracts) or fact.corrects is not None:
            return self._change_addition(fact)
        if isinstance(event, ReportSuspended):
            return False
        if not isinstance(event, DecisionFlagged | ReportRestored):
            reported = self._reports.get(origin)
            if reported is not None and not self._counts(fact.service, reported):
                return False
            place = (fact.service, reported.root if reported is not None else fact.position, fact.position)
            if place < self._last:
                return False
            self._gather(fact)
            self._apply(place, fact)
        self.facts.append(fact)
        return True

    def without(self, origin: _Origin) -> "StreamFold":
        """Return the fold as if a report had never been made."""
        addition = self._addition(origin)
        if addition is None:
            return StreamFold(self.facts, origin)
        fold = copy(self)
        type_name = addition.event.type_name
        fold.in_force, fold._of_report, fold._totals = [*self.in_force], {**self._of_report}, {**self._totals}
        fold._of_type = self._of_type.copy()
        fold._of_type[type_name] = [*self._of_type[type_name]]
        fold._exchange(addition, None)
        return fold

    def _change_addition(self, fact: Fact) -> bool:
        """Take a fact that takes back or corrects a mere addition; return False, with nothing changed, for others."""
        origin, names = _origin(fact), fact.names
        addition = self._addition((fact.service, names)) if names is not None else None
        if addition is None or isinstance(fact.event, ReportVoided):
            return False
        if isinstance(fact.event.role, Retracts):
            if addition.fact.corrects is not None:  # what it corrects counts again
                return False
            self._gather(fact)
            self._exchange(addition, None)
        else:
            if origin in self._reports or type(fact.event) is not type(addition.event):
                return False
            self._gather(fact)
            by = FactInForce(fact, self._reports[origin].root)
            self._exchange(addition, by)
            self._last = max(self._last, by.place)
        del self._of_content[_content(addition.fact)][_origin(addition.fact)]
        self.facts.append(fact)
        return True

    def _addition(self, origin: _Origin) -> FactInForce | None:
        """Return what is in force because of a report on which nothing else in the fold hangs, None for any other."""
        reported, in_force = self._reports.get(origin), self._of_report.get(origin)
        if reported is None or in_force is None or len(reported.facts) != 1 or not self._counts(origin[0], reported):
            return None
        if not may_repeat(type(in_force.event)) or self.first.get(origin[0]) is in_force:
            return None
        role = in_force.event.role
        opening = self.of_type(role.to)[:1] if isinstance(role, Adds) and role.to is not None else ()
        return None if any(map(_has_key, opening)) else in_force

    def _exchange(self, addition: FactInForce, by: FactInForce | None) -> None:
        """Put another in the place of an addition, or nothing."""
        type_name, instead = addition.event.type_name, [by] if by is not None else []
        at = bisect_left(self.in_force, addition.place, key=_place)
        self.in_force[at : at + 1] = instead
        at = bisect_left(self._of_type[type_name], addition.place, key=_place)
        self._of_type[type_name][at : at + 1] = instead
        del self._of_report[_origin(addition.fact)]
        if by is not None:
            self._of_report[_origin(by.fact)] = by
            self._of_content[_content(by.fact)][_origin(by.fact)] = None
        for (of, name), (count, total) in self._totals.items():
            if of == type_name and at < count:
                more = getattr(by.event, name) if by is not None else 0
                counted = count if by is not None else count - 1
                self._totals[of, name] = counted, total - getattr(addition.event, name) + more

    def _gather(self, fact: Fact) -> None:
        """Note what a fact does to its report, or to the report that it names."""
        event, origin = fact.event, _origin(fact)
        if isinstance(event.role, Retracts):
            named = self._reports.get((fact.service, fact.names)) if fact.names is not None else None
            if isinstance(event, ReportVoided):
                voiding = self._reports[origin] = _Reported([fact], fact.position)
                if named is not None and named.suspended:
                    named.taken_back = True  # it waited, and had its last receipt by this (RULES B9)
                elif named is not None:
                    named.voided_by.append(voiding)
            elif named is not None:
                named.taken_back = True
        elif isinstance(event, ReportSuspended):
            if origin in self._reports:
                self._reports[origin].suspended = True
        elif not isinstance(event, DecisionFlagged | ReportRestored):
            reported = self._reports.get(origin)
            if reported is None:
                reported = self._reports[origin] = _Reported([], self._root(fact, origin[1]))
            elif reported.suspended:
                # Decided again: what was recorded before is history.
                reported.facts, reported.suspended, reported.root = [], False, self._root(fact, origin[1], anew=True)
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

    def _counts(self, service: str, reported: _Reported) -> bool:
        return not reported.retracted and not reported.suspended and self._replacement(service, reported) is None

    def _replacement(self, service: str, reported: _Reported) -> ReportKey | None:
        for key in reported.replaced_by:
            if not self._reports[service, key].retracted:
                return key
        return None

    def _apply(self, place: _Place, fact: Fact) -> None:
        self._last = place
        role, origin = fact.event.role, _origin(fact)
        if isinstance(role, Retracts):
            return
        if isinstance(role, Ends):
            for opened in reversed(self.opened(role.opening, fact.event)):
                if opened.end is None:
                    opened.end = fact
                    self._ended_by[origin] = opened
                    return
            self.orphans.append((place, fact))
            return
        if isinstance(role, Adds) and role.to and not self.opened(role.to, fact.event):
            self.orphans.append((place, fact))
            return
        in_force = FactInForce(fact, place[1])
        self.in_force.append(in_force)
        if isinstance(role, Opens | Stands):
            self.first.setdefault(fact.service, in_force)
        self._of_type[fact.event.type_name].append(in_force)
        self._of_report.setdefault(origin, in_force)
        if may_repeat(type(fact.event)):
            self._of_content[_content(fact)][origin] = None

    def of_type(self, type_name: str) -> Sequence[FactInForce]:
        """Return what is in force of a type, cancelled ones too, in the order of the fold."""
        return self._of_type.get(type_name, ())

    def total(self, type_name: str, name: str) -> int:
        """Return the sum of a field over what is in force of a type that nothing ends.

        Summed once and continued: thousands of additions to one subject would else be summed for each new one.
        """
        in_force = self.of_type(type_name)
        count, total = self._totals.get((type_name, name), (0, 0))
        more: int = sum(getattr(in_force[number].event, name) for number in range(count, len(in_force)))
        total += more
        self._totals[type_name, name] = len(in_force), total
        return total

    def opened(self, opening: str, like: Event) -> Sequence[FactInForce]:
        """Return every opening of a type, cancelled ones too, that agrees with `like` in the opening's key."""
        openings = self.of_type(opening)
        if not openings or not _has_key(openings[0]):
            return openings
        return [in_force for in_force in openings if same_key(in_force, like)]

    def of_report(self, origin: _Origin) -> FactInForce | None:
        """Return what is in force because of a report, None when nothing is or when it is an end."""
        return self._of_report.get(origin)

    def ended_by(self, origin: _Origin) -> FactInForce | None:
        """Return what a report ended, None when it is no end in force."""
        return self._ended_by.get(origin)

    def says(self, report: Report, service: str) -> bool:
        """Tell whether another report in force, but for the one it corrects, has the same content (RULES A23)."""
        own = {(service, report.key), (service, (report.source, report.corrects or ""))}
        return any(origin[0] == service and origin not in own for origin in self._of_content.get(_content(report), ()))

    def facts_of(self, origin: _Origin) -> Sequence[Fact]:
        """Return what was recorded because of a report, in force or not."""
        reported = self._reports.get(origin)
        return reported.facts if reported is not None else ()

    def counts(self, origin: _Origin) -> bool:
        """Tell whether what was recorded because of a report is neither taken back nor replaced nor suspended."""
        reported = self._reports.get(origin)
        return reported is not None and self._counts(origin[0], reported)

    def fate(self, origin: _Origin) -> Rule | None:
        """Return why an accepted report is no longer in force, None when it is (RULES B2)."""
        reported = self._reports.get(origin)
        if reported is None:
            return None
        if reported.retracted:
            return rules.AlreadyRetracted()
        by = self._replacement(origin[0], reported)
        return rules.AlreadyCorrected(by=by[1]) if by else None


def may_repeat(event: type[Event]) -> bool:
    """Tell whether a type that is reported may repeat on a subject (RULES C4)."""
    return isinstance(event.role, Adds | Stands) and not event.decision


def _content(item: Fact | Report) -> _Content:
    """Return what is equal for equal contents; of a person only who it is, since the rest is sealed."""
    body = item.body if item.sunset is None else item.event.model_dump(mode="json", exclude_none=True)
    if "person" in body:
        body = body | {"person": body["person"]["token"]}
    return item.event.type_name, item.district, item.happened_on, orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def position_of(fact: Fact) -> tuple[str, int]:
    """Return a fact's place among those of all services."""
    return fact.service, fact.position


def _place(in_force: FactInForce) -> _Place:
    return in_force.place


def _origin(fact: Fact) -> _Origin:
    return fact.service, (fact.report_source, fact.report_id)


def _differ(name: str, first: Event, second: Event) -> bool:
    # What names a keyed thing without having its key is about none of them.
    return bool(getattr(first, name) != getattr(second, name, None))


def _has_key(opening: FactInForce) -> bool:
    role = opening.event.role
    return isinstance(role, Opens) and role.key is not None


def same_key(opening: FactInForce, event: Event) -> bool:
    """Tell whether an event is about the thing that was opened: they agree in the opening's key, if it has one."""
    role = opening.event.role
    return not isinstance(role, Opens) or role.key is None or not _differ(role.key, opening.event, event)
