"""What the facts in force contribute to a line, and from which day on; pure, whatever the order they came in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple, assert_never

from services.projection.counting.lines import Line, LineShape, Part
from services.projection.counting.standing import RowKey, StandingRow
from services.projection.counting.uses import Use, UseRole


class ContributionKey(NamedTuple):
    """What one fact adds to one cell from a day on: the cell, the month it counts in, the day, the fact."""

    part: Part
    period: int
    district: str
    counted_on: date
    effective_on: date
    service: str
    position: int


Contributions = dict[ContributionKey, int]


def contributions_of(line: Line, in_force: Sequence[StandingRow]) -> Contributions:
    """Return what the facts in force contribute to a line, and from when; the order of the facts does not matter."""
    rows: Contributions = defaultdict(int)
    match line.shape:
        case LineShape.LATEST:
            _count_latest(line, in_force, rows)
        case LineShape.EACH:
            if _is_single(line, in_force):
                _count_single(line, in_force[0], rows)
            else:
                for span in _spans(line, in_force):
                    _count_earliest(line, [span], rows)
        case LineShape.ONCE:
            if _is_single(line, in_force):
                _count_single(line, in_force[0], rows)
            else:
                for spans in _by_member(line, in_force):
                    _count_earliest(line, spans, rows)
        case LineShape.COVERAGE:
            for spans in _by_member(line, in_force):
                _count_covered(line, spans, rows)
        case _:
            assert_never(line.shape)
    return rows


def _is_single(line: Line, in_force: Sequence[StandingRow]) -> bool:
    """Return whether there is a single fact that nothing ends, as for most members."""
    return line.simple and len(in_force) == 1 and in_force[0].stop is None


def _count_single(line: Line, fact: StandingRow, rows: Contributions) -> None:
    for period, first, last in line.periods:
        if first <= fact.on <= last:
            key = ContributionKey(line.part, period, fact.district, fact.on, fact.on, fact.service, fact.position)
            rows[key] = line.amount_of(fact)


class _Span(NamedTuple):
    """A fact that opens something, whose it is, and the first day on which it no longer holds."""

    fact: StandingRow
    member: str | None
    stop: date | None

    def holds_on(self, day: date) -> bool:
        return self.fact.on <= day and (self.stop is None or day < self.stop)


def _by_member(line: Line, in_force: Sequence[StandingRow]) -> Iterable[list[_Span]]:
    members: dict[str, list[_Span]] = defaultdict(list)
    for span in _spans(line, in_force):
        if span.member is not None:
            members[span.member].append(span)
    return members.values()


def _spans(line: Line, in_force: Sequence[StandingRow]) -> Iterator[_Span]:
    """Yield each opening with what ends and names it, within its subject; without those that are undone."""
    for facts in _by_subject(in_force):
        subject = _Subject(line, facts)
        name = subject.names[0].member if subject.names else None
        for opening in subject.openings:
            # An entry of a register that no longer counts still replaces the one before it.
            if not (opening.amount or line.uses[opening.use].latest) or subject.undoes(opening):
                continue
            limits = [day for day in (opening.stop, subject.ended_on.get(opening.key)) if day is not None]
            fact = subject.dated(opening)
            yield _Span(fact, fact.member or name, min(limits, default=None))


def _by_subject(in_force: Iterable[StandingRow]) -> Iterable[list[StandingRow]]:
    subjects: dict[str, list[StandingRow]] = defaultdict(list)
    for fact in in_force:
        subjects[fact.subject].append(fact)
    return subjects.values()


class _Subject:
    """The facts of one subject, by what they are to a line.

    An end belongs to the latest opening that was open when it was decided, so they are taken in the order of the log,
    in which a correction takes the place of its original (RULES B4).
    """

    def __init__(self, line: Line, facts: Iterable[StandingRow]) -> None:
        self._line = line
        self.openings: list[StandingRow] = []
        self.names: list[StandingRow] = []
        self.ended_on: dict[RowKey, date] = {}
        self._undoings: list[Use] = []
        self._dates: list[StandingRow] = []
        for fact in sorted(facts, key=lambda fact: (fact.root, fact.position)):
            use = line.uses[fact.use]
            match use.role:
                case UseRole.OPENS:
                    self.openings.append(fact)
                case UseRole.ENDS:
                    self._end(use, fact)
                case UseRole.UNDOES:
                    self._undoings.append(use)
                case UseRole.NAMES:
                    self.names.append(fact)
                case UseRole.DATES:
                    self._dates.append(fact)
                case _:
                    assert_never(use.role)

    def undoes(self, opening: StandingRow) -> bool:
        """Return whether something takes an opening out of every period."""
        return any(opening.use in use.opening for use in self._undoings)

    def dated(self, opening: StandingRow) -> StandingRow:
        """Return a decision with the date of its cause (RULES E24), any other fact as it is."""
        for cause in self._dates:
            if opening.use in self._line.uses[cause.use].opening and cause.report_id == opening.report_id:
                return replace(opening, on=cause.on)
        return opening

    def _end(self, use: Use, end: StandingRow) -> None:
        for opening in reversed(self.openings):
            if (
                opening.use in use.opening
                and (use.same is None or end.same == opening.same)
                and opening.key not in self.ended_on
            ):
                self.ended_on[opening.key] = end.on
                return


def _count_earliest(line: Line, spans: Sequence[_Span], rows: Contributions) -> None:
    """Count a member once a period, by the earliest of its facts that count on the day (RULES E8)."""
    for period, first, last in line.periods:
        inside = [span for span in spans if first <= span.fact.on <= last]
        if not inside:
            continue
        if len(inside) == 1 and inside[0].stop is None:
            fact = inside[0].fact
            key = ContributionKey(line.part, period, fact.district, fact.on, fact.on, fact.service, fact.position)
            rows[key] += line.amount_of(fact)
            continue
        days = {span.fact.on for span in inside}
        days.update(span.stop for span in inside if span.stop is not None and span.stop <= last)
        counted: _Counted | None = None
        for day in sorted(days):
            earliest = _earliest(span.fact for span in inside if span.holds_on(day))
            current = None if earliest is None else _Counted(earliest, earliest)
            _move(line, rows, line.part, period, day, counted, current)
            counted = current


def _count_latest(line: Line, in_force: Sequence[StandingRow], rows: Contributions) -> None:
    """Count what the latest fact of each subject says, from its date on (RULES E11, B12)."""
    members: dict[str | None, list[StandingRow]] = defaultdict(list)
    for fact in in_force:
        members[fact.member].append(fact)
    for period, first, last in line.periods:
        for facts in members.values():
            counted: _Counted | None = None
            for day, fact in _latest_of(fact for fact in facts if first <= fact.on <= last):
                current = _Counted(fact, fact) if fact.district in line.districts else None
                _move(line, rows, line.part, period, day, counted, current)
                counted = current


def _latest_of(facts: Iterable[StandingRow]) -> Iterator[tuple[date, StandingRow]]:
    """Yield each day with facts and the one recorded last of that day."""
    days: dict[date, StandingRow] = {}
    for fact in facts:
        other = days.get(fact.on)
        if other is None or _recorded(fact) > _recorded(other):
            days[fact.on] = fact
    yield from sorted(days.items(), key=lambda item: item[0])


def _recorded(fact: StandingRow) -> tuple[datetime, int]:
    return fact.in_force.recorded_at, fact.position


def _count_covered(line: Line, spans: Sequence[_Span], rows: Contributions) -> None:
    """Count a member of the register, and whether it is covered, both where it is registered."""
    covering = [span for span in spans if line.uses[span.fact.use].covers]
    register = _register(line, [span for span in spans if not line.uses[span.fact.use].covers])
    if not register:
        return
    days = {day for span in (*covering, *register) for day in (span.fact.on, span.stop) if day is not None}
    for period, _, last in line.periods:
        entry: _Counted | None = None
        coverage: _Counted | None = None
        for day in sorted(day for day in days if day <= last):
            member = _earliest(span.fact for span in register if span.holds_on(day))
            cover = None
            if member is not None:
                since = member.on if line.since_registered else date.min
                cover = _earliest(span.fact for span in covering if span.holds_on(day) and span.fact.on >= since)
            current_entry = None if member is None else _Counted(member, member)
            current_coverage = None if member is None or cover is None else _Counted(member, cover)
            _move(line, rows, Part.DEN, period, day, entry, current_entry)
            _move(line, rows, Part.NUM, period, day, coverage, current_coverage)
            entry, coverage = current_entry, current_coverage


def _register(line: Line, spans: Sequence[_Span]) -> list[_Span]:
    """Return when each entry of the register holds: for the latest, until the next one of its subject."""
    if not line.register_latest:
        return list(spans)
    entries = []
    for facts in _by_subject(span.fact for span in spans):
        days = list(_latest_of(facts))
        for (_, fact), after in zip(days, [*days[1:], None], strict=True):
            if fact.amount and fact.district in line.districts:
                entries.append(_Span(fact, fact.member, after[0] if after else None))
    return entries


def _earliest(facts: Iterable[StandingRow]) -> StandingRow | None:
    return min(facts, key=lambda fact: fact.precedence, default=None)


class _Counted(NamedTuple):
    """What counts on a day: the fact that says where and in which month, and the fact that counts."""

    place: StandingRow
    fact: StandingRow


def _move(
    line: Line,
    rows: Contributions,
    part: Part,
    period: int,
    day: date,
    before: _Counted | None,
    after: _Counted | None,
) -> None:
    """From a day on, no longer count what did before, but what does after."""
    if before == after:
        return
    for counted, sign in ((before, -1), (after, 1)):
        if counted is not None:
            place, fact = counted
            key = ContributionKey(part, period, place.district, place.on, day, fact.service, fact.position)
            rows[key] += sign * line.amount_of(fact)
