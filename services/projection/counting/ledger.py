"""What a batch of facts changes: the rows to store and the new rows of the ledger; pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple, assert_never

from services.projection.counting.contributions import ContributionKey, Contributions, contributions_of
from services.projection.counting.corrections import TakingBack, take_back, take_place, taking_back
from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans, Line, LineShape
from services.projection.counting.standing import Precedence, RowKey, StandingRow
from services.projection.counting.uses import UseRole

Cause = Literal["original", "correction", "retraction", "supersede", "end"]


class CellKey(NamedTuple):
    """A cell, and the day from which on something is added to it."""

    line: int
    part: int
    period: int
    district: str
    effective_on: date


class Contribution(NamedTuple):
    """A row of the ledger: from `recorded_at` on it is known that from `effective_on` on a fact adds `delta`."""

    line: int
    part: int
    period: int
    district: str
    counted_on: date
    effective_on: date
    recorded_at: datetime
    delta: int
    cause: Cause
    service: str
    position: int


class PlanningFact(NamedTuple):
    """What the plan office decided, as it was sent."""

    position: int
    recorded_at: datetime
    bytes: bytes


@dataclass(slots=True)
class Posting:
    """What a batch of facts changes: rows to insert, rows to update, and the ledger's new rows."""

    new: list[StandingRow] = field(default_factory=list)
    changed: list[StandingRow] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)

    def cells(self) -> dict[CellKey, int]:
        """Return what is added to each cell."""
        cells: dict[CellKey, int] = defaultdict(int)
        for row in self.contributions:
            cells[CellKey(row.line, row.part, row.period, row.district, row.effective_on)] += row.delta
        return {key: delta for key, delta in cells.items() if delta}


class ReportIdentity(NamedTuple):
    """What tells reports apart (RULES A3)."""

    service: str
    source: str
    id: str


# A member of a line, and a subject of a line: plain pairs, since there are several of each for a fact.
LineMember = tuple[int, str]
LineSubject = tuple[int, str]


@dataclass(slots=True)
class _BatchFact:
    fact: LogFact
    rows: list[StandingRow]
    taking_back: TakingBack | None


class FactBatch:
    """Facts counted in one transaction, in the order of each log.

    Add the facts; give `load_reports` the stored rows of `reports`; let `take_back` work out what that changes; give
    `post` the stored rows of `members_and_subjects`. The order in which services come together in a batch does not
    matter.
    """

    def __init__(self, compiled: CompiledPlans) -> None:
        self._compiled = compiled
        self._facts: list[_BatchFact] = []
        self._recorded: dict[datetime, _BatchFact] = {}
        self._loaded: dict[RowKey, StandingRow] = {}
        self.reports: set[ReportIdentity] = set()
        self.planning: list[PlanningFact] = []

    def __len__(self) -> int:
        return len(self._facts)

    def add(self, fact: LogFact) -> None:
        """Take a fact; raises ValueError when it is not what its type promises, and then takes nothing of it."""
        rows = list(self._compiled.read(fact))
        taken = taking_back(fact)
        if taken is not None:
            self.reports.add(ReportIdentity(fact.service, taken.source, taken.report_id))
            if taken.corrects is not None:
                self.reports.add(ReportIdentity(fact.service, taken.source, taken.corrects))
            # Its own report too: it may have been suspended, and is decided again by this.
            self.reports.add(ReportIdentity(fact.service, fact.reportsource, fact.reportid))
        if rows or taken is not None:
            self._facts.append(_BatchFact(fact, rows, taken))

    def add_planning(self, fact: LogFact, raw: bytes) -> None:
        """Take a fact of the plan office: it counts nowhere, but numbers are assessed by it."""
        self.planning.append(PlanningFact(fact.position, fact.recordedat, raw))

    def load_reports(self, rows: Iterable[StandingRow]) -> None:
        """Take the rows stored for `reports`: those of the report, and those that a correction of that id replaced."""
        for row in rows:
            self._loaded[row.key] = row

    def take_back(self) -> None:
        """Work out, fact by fact, what corrections, retractions, suspensions and restorations change."""
        by_report: dict[ReportIdentity, list[StandingRow]] = defaultdict(list)
        if self.reports:
            for row in self._loaded.values():
                by_report[_report_of(row)].append(row)
                for id_ in row.replaced_by:
                    by_report[ReportIdentity(row.service, row.report_source, id_)].append(row)
        for added in self._facts:
            fact, taken = added.fact, added.taking_back
            self._recorded[fact.recordedat] = added
            if taken is not None:
                key = ReportIdentity(fact.service, taken.source, taken.report_id)
                own = by_report[ReportIdentity(fact.service, fact.reportsource, fact.reportid)]
                if taken.action == "correction":
                    take_place(added.rows, by_report[key], own)
                if taken.corrects is not None:
                    by_report[key] += by_report[ReportIdentity(fact.service, taken.source, taken.corrects)]
                for row in list(by_report[key]):
                    take_back(row, fact, taken)
                    if taken.action == "correction" and row.report_id == taken.report_id:
                        own.append(row)
            if self.reports:
                for row in added.rows:
                    by_report[_report_of(row)].append(row)

    def members_and_subjects(self) -> tuple[set[LineMember], set[LineSubject]]:
        """Return the members and the subjects whose other facts must be known to post this batch."""
        members: set[LineMember] = set()
        subjects: set[LineSubject] = set()
        alone = self._compiled.taking_each_alone
        for row in self._touched():
            if row.threaded:
                subjects.add((row.line, row.subject))
            if row.member is not None and row.line not in alone:
                members.add((row.line, row.member))
        return members, subjects

    def _touched(self) -> Iterator[StandingRow]:
        for added in self._facts:
            yield from added.rows
        for row in self._loaded.values():
            if row.in_force.is_new:
                yield row

    def post(self, stored: Iterable[StandingRow]) -> Posting:
        """Return what the batch changes, given every row that is stored for `members_and_subjects`."""
        posting = Posting(changed=[row for row in self._loaded.values() if row.changed])
        rows = dict(self._loaded)
        for row in stored:
            rows.setdefault(row.key, row)
        for added in self._facts:
            posting.new.extend(added.rows)
        for group in _groups(self._compiled, [*rows.values(), *posting.new]):
            self._account(self._compiled.line(group[0].line), group, posting.contributions)
        return posting

    def _account(self, line: Line, group: list[StandingRow], contributions: list[Contribution]) -> None:
        """Append what the ledger lacks for a group of facts, instant by instant.

        A fact of another service may come in with an earlier instant than one already counted; so what should be known
        at each instant is compared with what the ledger says for it, from the first new instant on.
        """
        if len(group) == 1 and group[0].in_force.unbroken:
            # Most members have one fact, and it is in force.
            row = group[0]
            if not row.in_force.is_new:
                return
            if row.stop is None and line.counts_simply and not self.reports:
                self._append_original(line, row, contributions)
                return
            for key, delta in contributions_of(line, group).items():
                if delta:
                    self._append(line, key, delta, row.in_force.recorded_at, group, contributions)
            return
        if not any(row.in_force.is_new for row in group):
            return
        if line.shape is LineShape.ONCE and all(line.uses[row.use].role is UseRole.OPENS for row in group):
            group = _that_may_win(line, group)
        instants = sorted({at for row in group for at in row.in_force.new_bounds})
        if not instants:
            return
        late = {at for row in group for at in row.in_force.counted_bounds if at > instants[0]}
        before: Mapping[ContributionKey, int] = {}
        counted: Contributions = {}
        first = True
        for at in sorted({*instants, *late}) if late else instants:
            if first or at in late:
                old = [row for row in group if row.in_force.counted_at(at)]
                counted = contributions_of(line, old) if old else {}
                first = False
            due = contributions_of(line, [row for row in group if row.in_force.at(at)])
            gap = _minus(due, counted)
            for key, delta in _minus(gap, before).items():
                self._append(line, key, delta, at, group, contributions)
            before = gap

    def _append_original(self, line: Line, row: StandingRow, contributions: list[Contribution]) -> None:
        """Append what the only fact of a member adds, which nothing ends and which takes nothing back."""
        on, delta = row.on, line.amount_of(row)
        if not delta:
            return
        for period, first, last in line.periods:
            if first <= on <= last:
                contributions.append(
                    Contribution(
                        line.number, line.part, period, row.district, on, on, row.in_force.recorded_at, delta,
                        "original", row.service, row.position,
                    )
                )  # fmt: skip

    def _append(
        self,
        line: Line,
        key: ContributionKey,
        delta: int,
        at: datetime,
        group: Sequence[StandingRow],
        contributions: list[Contribution],
    ) -> None:
        cause = self._cause_of(line, key, delta, at, group)
        contributions.append(
            Contribution(
                line.number, key.part, key.period, key.district, key.counted_on, key.effective_on, at, delta, cause,
                key.service, key.position,
            )
        )  # fmt: skip

    def _cause_of(
        self, line: Line, key: ContributionKey, delta: int, at: datetime, group: Sequence[StandingRow]
    ) -> Cause:
        recorded = self._recorded.get(at)
        if recorded is None:
            return "supersede"
        if recorded.taking_back is not None:
            return _cause_of_taking_back(recorded.taking_back)
        if not line.simple and any(row.in_force.recorded_at == at and line.uses[row.use].closes for row in group):
            return "end"
        if (recorded.fact.position, recorded.fact.service) != (key.position, key.service):
            return "supersede"
        return "end" if delta < 0 and line.shape is not LineShape.EACH else "original"


def _cause_of_taking_back(taken: TakingBack) -> Cause:
    match taken.action:
        case "correction":
            return "correction"
        case "retraction" | "suspension" | "restoration":
            return "retraction"
        case _:
            assert_never(taken.action)


def _report_of(row: StandingRow) -> ReportIdentity:
    return ReportIdentity(row.service, row.report_source, row.report_id)


def _minus(left: Mapping[ContributionKey, int], right: Mapping[ContributionKey, int]) -> dict[ContributionKey, int]:
    if not right:
        return {row: delta for row, delta in left.items() if delta}
    rows = dict(left)
    for row, delta in right.items():
        rows[row] = rows.get(row, 0) - delta
    return {row: delta for row, delta in rows.items() if delta}


def _groups(compiled: CompiledPlans, rows: Sequence[StandingRow]) -> Iterator[list[StandingRow]]:
    """Part rows into groups that share no member: within a line by member, or by all that subjects tie together."""
    by_member: dict[LineMember, list[StandingRow]] = {}
    threaded: dict[int, list[StandingRow]] = {}
    alone = compiled.taking_each_alone
    for row in rows:
        if row.threaded:
            threaded.setdefault(row.line, []).append(row)
        elif row.member is None or row.line in alone:
            yield [row]
        else:
            by_member.setdefault((row.line, row.member), []).append(row)
    yield from by_member.values()
    for of_line in threaded.values():
        yield from _tied(of_line)


class _Competition(NamedTuple):
    """Those among which the earliest counts: as far as the ledger has counted, or beyond."""

    counted: bool
    member: str | None
    periods: tuple[int, ...]


def _that_may_win(line: Line, group: Iterable[StandingRow]) -> list[StandingRow]:
    """Leave out openings before which an earlier one of their member is in force for good.

    Else a member with many facts costs their square. What the ledger has counted gives way to what it has counted only.
    """
    candidates = []
    best: dict[_Competition, Precedence] = {}
    for row in sorted(group, key=lambda row: row.in_force.recorded_at):
        periods = tuple(period.period for period in line.periods if period.first <= row.on <= period.last)
        before = best.get(_Competition(row.in_force.counted, row.member, periods))
        if before is not None and before < row.precedence:
            continue
        candidates.append(row)
        if row.in_force.unbroken and row.stop is None and row.amount:
            for counted in (True, False) if row.in_force.counted else (False,):
                key = _Competition(counted, row.member, periods)
                best[key] = min(best.get(key, row.precedence), row.precedence)
    return candidates


def _tied(rows: Sequence[StandingRow]) -> Iterator[list[StandingRow]]:
    """Part the rows of a line into those whose members and subjects are tied together (union-find)."""
    parent: dict[tuple[bool, str], tuple[bool, str]] = {}

    def root(key: tuple[bool, str]) -> tuple[bool, str]:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = parent[above]
            key = above
        return key

    for row in rows:
        if row.member is not None:
            parent[root((True, row.member))] = root((False, row.subject))
    groups: dict[tuple[bool, str], list[StandingRow]] = defaultdict(list)
    for row in rows:
        groups[root((False, row.subject))].append(row)
    yield from groups.values()
