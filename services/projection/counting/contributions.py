"""Decides what the facts that stand contribute to a line, and from when: pure, whatever the order they came in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from services.projection.counting.lines import Line, LineShape, Part, StandingRow, UseRole

# What one fact adds to one cell from a day on: (part, period, district, counted on, effective on, service, position).
ContributionRow = tuple[Part, int, str, date, date, str, int]
Contributions = dict[ContributionRow, int]


def contributions_of(line: Line, standing: Sequence[StandingRow]) -> Contributions:
    """Return what the facts that stand contribute to a line, and from when; the order of the facts does not matter."""
    rows: Contributions = defaultdict(int)
    if line.shape is LineShape.LATEST:
        _latest(line, standing, rows)
        return rows
    if line.simple and len(standing) == 1 and standing[0].stop is None and line.shape is not LineShape.COVERAGE:
        # Most members have one fact, for ever.
        fact = standing[0]
        on, amount = fact.on, fact.amount if line.shape is LineShape.EACH else 1
        for period, first, last in line.periods:
            if first <= on <= last:
                rows[line.part, period, fact.district, on, on, fact.service, fact.position] = amount
        return rows
    spans = _spans(line, standing)
    if line.shape is LineShape.EACH:
        for span in spans:
            _once(line, [span], rows)
        return rows
    members: dict[str, list[_Span]] = defaultdict(list)
    for span in spans:
        if span.member is not None:
            members[span.member].append(span)
    for own in members.values():
        if line.shape is LineShape.COVERAGE:
            _covered(line, own, rows)
        else:
            _once(line, own, rows)
    return rows


class _Span(NamedTuple):
    """A fact that starts something, whose it is, and the first day on which it no longer holds."""

    fact: StandingRow
    member: str | None
    stop: date | None

    def holds_on(self, day: date) -> bool:
        return self.fact.on <= day and (self.stop is None or day < self.stop)


def _spans(line: Line, standing: Sequence[StandingRow]) -> list[_Span]:
    """Attach to each opening what ends it, what undoes it and what names it, within its subject.

    An end belongs to the opening that was open when it was decided, so the order is that of the log, in which a
    correction takes the place of its original (RULES B4).
    """
    subjects: dict[str, list[StandingRow]] = defaultdict(list)
    for fact in standing:
        subjects[fact.subject].append(fact)
    spans = []
    for facts in subjects.values():
        facts.sort(key=lambda fact: (fact.root, fact.position))
        ends: dict[int, date] = {}  # by the place of the opening
        for number, fact in enumerate(facts):
            if line.uses[fact.use].role is UseRole.ENDS:
                opening = next(
                    (n for n in range(number - 1, -1, -1) if n not in ends and _ends(line, fact, facts[n])), None
                )
                if opening is not None:
                    ends[opening] = fact.on
        for number, fact in enumerate(facts):
            if line.uses[fact.use].role is not UseRole.OPENS or not (fact.amount or line.register_latest):
                continue
            if any(_undoes(line, other, fact) for other in facts):
                continue
            fact = _dated(line, fact, facts)  # noqa: PLW2901 - the same fact on another day
            limits = [day for day in (fact.stop, ends.get(number)) if day is not None]
            spans.append(_Span(fact, fact.member or _name(line, facts), min(limits, default=None)))
    return spans


def _name(line: Line, facts: Sequence[StandingRow]) -> str | None:
    return next((fact.member for fact in facts if line.uses[fact.use].role is UseRole.NAMES), None)


def _dated(line: Line, fact: StandingRow, facts: Sequence[StandingRow]) -> StandingRow:
    """Return a decision with the date of its cause (RULES E24), any other fact as it is."""
    for other in facts:
        use = line.uses[other.use]
        if use.role is UseRole.DATES and fact.use in use.opening and other.report_id == fact.report_id:
            return replace(fact, on=other.on)
    return fact


def _undoes(line: Line, other: StandingRow, opening: StandingRow) -> bool:
    use = line.uses[other.use]
    return use.role is UseRole.UNDOES and opening.use in use.opening


def _ends(line: Line, end: StandingRow, opening: StandingRow) -> bool:
    use = line.uses[end.use]
    return opening.use in use.opening and (use.same is None or end.same == opening.same)


def _once(line: Line, spans: Sequence[_Span], rows: Contributions) -> None:
    """Count a member once a period, by the earliest of its facts that count on the day (RULES E8)."""
    for period, first, last in line.periods:
        inside = [span for span in spans if first <= span.fact.on <= last]
        if not inside:
            continue
        if len(inside) == 1 and inside[0].stop is None:
            fact = inside[0].fact
            amount = fact.amount if line.shape is LineShape.EACH else 1
            rows[line.part, period, fact.district, fact.on, fact.on, fact.service, fact.position] += amount
            continue
        days = {span.fact.on for span in inside}
        days.update(span.stop for span in inside if span.stop is not None and span.stop <= last)
        winner: StandingRow | None = None
        for day in sorted(days):
            holding = [span.fact for span in inside if span.holds_on(day)]
            earliest = min(holding, key=lambda fact: fact.order, default=None)
            if earliest is not winner:
                _move(rows, line.part, line, period, day, (winner, winner), (earliest, earliest))
                winner = earliest


def _latest(line: Line, standing: Sequence[StandingRow], rows: Contributions) -> None:
    """Count what the latest fact of each subject says, from its date on (RULES E11, B12)."""
    subjects: dict[str, list[StandingRow]] = defaultdict(list)
    for fact in standing:
        subjects[fact.subject].append(fact)
    for period, first, last in line.periods:
        for facts in subjects.values():
            before: StandingRow | None = None
            for day, fact in _latest_of(fact for fact in facts if first <= fact.on <= last):
                counted = fact if fact.district in line.districts else None
                _move(rows, line.part, line, period, day, (before, before), (counted, counted))
                before = counted


def _latest_of(facts: Iterable[StandingRow]) -> Iterator[tuple[date, StandingRow]]:
    """Yield each day with facts and the one recorded last of that day."""
    days: dict[date, StandingRow] = {}
    for fact in facts:
        other = days.get(fact.on)
        if other is None or (fact.stood[0], fact.position) > (other.stood[0], other.position):
            days[fact.on] = fact
    yield from sorted(days.items(), key=lambda item: item[0])


def _covered(line: Line, spans: Sequence[_Span], rows: Contributions) -> None:
    """Count a member of the register, and whether it is covered, both where it is registered."""
    covering = [span for span in spans if line.uses[span.fact.use].covers]
    register = _register(line, [span for span in spans if not line.uses[span.fact.use].covers])
    if not register:
        return
    days = {day for span in (*covering, *register) for day in (span.fact.on, span.stop) if day is not None}
    for period, _, last in line.periods:
        member: StandingRow | None = None
        cover: StandingRow | None = None
        for day in sorted(day for day in days if day <= last):
            holding = [span.fact for span in register if span.holds_on(day)]
            now = min(holding, key=lambda fact: fact.order, default=None)
            by = None
            if now is not None:
                since = now.on if line.since_registered else date.min
                ways = [span.fact for span in covering if span.holds_on(day) and span.fact.on >= since]
                by = min(ways, key=lambda fact: fact.order, default=None)
            if now is not member or by is not cover:
                _move(rows, Part.DEN, line, period, day, (member, member), (now, now))
                _move(rows, Part.NUM, line, period, day, (member, cover), (now, by))
            member, cover = now, by


def _register(line: Line, spans: Sequence[_Span]) -> list[_Span]:
    """Return when each entry of the register holds: for the latest, until the next one of its subject."""
    if not line.register_latest:
        return list(spans)
    subjects: dict[str, list[StandingRow]] = defaultdict(list)
    for span in spans:
        subjects[span.fact.subject].append(span.fact)
    entries = []
    for facts in subjects.values():
        days = list(_latest_of(facts))
        for (_, fact), after in zip(days, [*days[1:], None], strict=True):
            if fact.amount and fact.district in line.districts:
                entries.append(_Span(fact, fact.member, after[0] if after else None))
    return entries


def _move(
    rows: Contributions,
    part: Part,
    line: Line,
    period: int,
    day: date,
    old: tuple[StandingRow | None, StandingRow | None],
    new: tuple[StandingRow | None, StandingRow | None],
) -> None:
    """From a day on, no longer count `old` but `new`: each the fact that says where, and the fact that counts."""
    if old[0] is new[0] and old[1] is new[1]:
        return
    for (place, fact), sign in ((old, -1), (new, 1)):
        if place is not None and fact is not None:
            amount = fact.amount if line.shape in (LineShape.EACH, LineShape.LATEST) else 1
            rows[part, period, place.district, place.on, day, fact.service, fact.position] += sign * amount
