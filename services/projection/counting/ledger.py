"""What a batch of facts changes: the rows to store and the new rows of the ledger; pure."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from operator import itemgetter
from typing import Final, Literal, NamedTuple, assert_never

from services.projection.counting.contributions import ContributionKey, Contributions, contributions_of
from services.projection.counting.corrections import TakingBack, take_back, take_place, taking_back
from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans, Line, LineShape
from services.projection.counting.seen import FirstFacts
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


_cell_of: Final = itemgetter(*map(Contribution._fields.index, CellKey._fields))


class LaterFact(NamedTuple):
    """A fact that is set aside, as it came."""

    recorded_at: datetime
    service: str
    position: int
    bytes: bytes


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
        cells: dict[tuple[int, int, int, str, date], int] = {}
        for row in self.contributions:
            cell = _cell_of(row)
            cells[cell] = cells.get(cell, 0) + row.delta
        return {CellKey(*cell): delta for cell, delta in cells.items() if delta}


class ReportIdentity(NamedTuple):
    """What tells reports apart (RULES A3)."""

    service: str
    source: str
    id: str


# A member of a line, and a subject of a line: plain pairs, since there are several of each for a fact.
LineMember = tuple[int, str]
LineSubject = tuple[int, str]


class _Recorded(NamedTuple):
    """A fact of the batch, and which report it takes back."""

    service: str
    position: int
    taking_back: TakingBack | None = None


class _TakingFact(NamedTuple):
    """A fact that takes a report back; its rows are those of the batch between `first` and `end`."""

    fact: LogFact
    taken: TakingBack
    first: int
    end: int


class FactBatch:
    """Facts counted in one transaction, in the order of each log.

    Add the facts; give `load_reports` the stored rows of `reports`, all of which are on `subjects`; let `take_back`
    work out what that changes; give `post` the stored rows of `members_and_subjects`. The order in which services come
    together in a batch does not matter. With `first` it takes only first facts, which need no stored rows, and sets all
    others aside in `later`.
    """

    def __init__(self, compiled: CompiledPlans, first: FirstFacts | None = None) -> None:
        self._compiled = compiled
        self._first = first
        self._taking: list[_TakingFact] = []
        self._new: list[StandingRow] = []
        self._groups = _Groups(compiled)
        self._loaded: dict[RowKey, StandingRow] = {}
        self._taking_back: set[tuple[str, int]] = set()  # service and position of what is in `_taking`
        self.reports: set[ReportIdentity] = set()
        self.subjects: set[str] = set()  # of `reports`: neither a correction nor a retraction changes it (RULES B3, B5)
        self.planning: list[PlanningFact] = []
        self.later: list[LaterFact] = []

    def __len__(self) -> int:
        return len(self._new) + len(self._taking)

    def add(self, fact: LogFact, raw: bytes = b"", rows: list[StandingRow] | None = None) -> None:
        """Take a fact; raises ValueError when it is not what its type promises, and then takes nothing of it.

        `raw`: the fact as it came, needed where some are set aside. `rows`: what it is to the lines, where
        that is known.
        """
        if rows is None:
            rows = self._compiled.read(fact)
        taken = taking_back(fact)
        if self._first is not None and not self._first.add(fact, rows, taken is not None):
            self.later.append(LaterFact(fact.recordedat, fact.service, fact.position, raw))
            return
        if self._first is not None:
            self._groups.add_alone(rows)
        if taken is not None:
            first = len(self._new)
            self._taking.append(_TakingFact(fact, taken, first, first + len(rows)))
            self.subjects.add(fact.subject)
            self._taking_back.add((fact.service, fact.position))
            self.reports.add(ReportIdentity(fact.service, taken.source, taken.report_id))
            if taken.corrects is not None:
                self.reports.add(ReportIdentity(fact.service, taken.source, taken.corrects))
            # Its own report too: it may have been suspended, and is decided again by this.
            self.reports.add(ReportIdentity(fact.service, fact.reportsource, fact.reportid))
        self._new += rows

    def add_planning(self, fact: LogFact, raw: bytes) -> None:
        """Take a fact of the plan office: it counts nowhere, but numbers are assessed by it."""
        self.planning.append(PlanningFact(fact.position, fact.recordedat, raw))

    def load_reports(self, rows: Iterable[StandingRow]) -> None:
        """Take the rows stored for `reports`: those of the report, and those that a correction of that id replaced.

        Others are passed over.
        """
        for row in rows:
            replacing = {ReportIdentity(row.service, row.report_source, id_) for id_ in row.replaced_by}
            if _report_of(row) in self.reports or replacing & self.reports:
                self._loaded[row.key] = row

    def take_back(self) -> None:
        """Work out, fact by fact, what corrections, retractions, suspensions and restorations change."""
        if not self.reports:
            return
        by_report: dict[ReportIdentity, list[StandingRow]] = defaultdict(list)
        for row in self._loaded.values():
            by_report[_report_of(row)].append(row)
            for id_ in row.replaced_by:
                by_report[ReportIdentity(row.service, row.report_source, id_)].append(row)
        ids, reached = {report.id for report in self.reports}, 0
        for fact, taken, first, end in self._taking:
            rows = self._new[first:end]
            for row in self._new[reached:first]:
                if row.report_id in ids:
                    by_report[_report_of(row)].append(row)
            key = ReportIdentity(fact.service, taken.source, taken.report_id)
            own = by_report[ReportIdentity(fact.service, fact.reportsource, fact.reportid)]
            if taken.action == "correction":
                take_place(rows, by_report[key], own)
            if taken.corrects is not None:
                by_report[key] += by_report[ReportIdentity(fact.service, taken.source, taken.corrects)]
            for row in list(by_report[key]):
                take_back(row, fact, taken)
                if taken.action == "correction" and row.report_id == taken.report_id:
                    own.append(row)
            for row in rows:
                by_report[_report_of(row)].append(row)
            reached = end

    def members_and_subjects(self) -> tuple[set[LineMember], set[LineSubject]]:
        """Return the members and the subjects whose other facts must be known to post this batch."""
        groups = self._groups
        if self._first is None:
            for row in self._new:
                groups.add(row)
        for row in self._loaded.values():
            if row.in_force.is_new:
                groups.add(row)
        threaded = list(itertools.chain.from_iterable(groups.threaded.values()))
        members = set(groups.by_member)
        members.update((row.line, row.member) for row in threaded if row.member is not None)
        return members, {(row.line, row.subject) for row in threaded}

    def post(self, stored: Iterable[StandingRow]) -> Posting:
        """Return what the batch changes, given every row that is stored for `members_and_subjects`."""
        loaded = self._loaded
        posting = Posting(self._new, [row for row in loaded.values() if row.changed])
        for row in loaded.values():
            if not row.in_force.is_new:
                self._groups.add(row)
        for row in stored:
            if not loaded or row.key not in loaded:
                self._groups.add(row)
        for group in self._groups:
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
            simply = line.counts_simply or (row.use in line.opens_once and row.member is not None and row.amount)
            if row.stop is None and simply and (row.service, row.position) not in self._taking_back:
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
        on, delta = row.on, row.amount if line.adds_amounts else 1
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

    @cached_property
    def _recorded(self) -> dict[datetime, _Recorded]:
        """The facts by when they were recorded; most batches need none of them."""
        recorded = {row.in_force.recorded_at: _Recorded(row.service, row.position) for row in self._new}
        for fact, taken, _, _ in self._taking:
            recorded[fact.recordedat] = _Recorded(fact.service, fact.position, taken)
        return recorded

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
        if (recorded.position, recorded.service) != (key.position, key.service):
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


class _Groups:
    """Rows in groups that share no member: within a line by member, or by all that subjects tie together."""

    def __init__(self, compiled: CompiledPlans) -> None:
        self._threaded, self._each_alone = compiled.threaded, compiled.taking_each_alone
        self._alone: list[list[StandingRow]] = []
        self.by_member: dict[LineMember, list[StandingRow]] = {}
        self.threaded: dict[int, list[StandingRow]] = {}

    def add_alone(self, rows: list[StandingRow]) -> None:
        """Add the rows of a fact that shares no member or subject with any other."""
        if len(rows) == 1:
            self._alone.append(rows)
        else:
            for row in rows:
                self.add(row)

    def add(self, row: StandingRow) -> None:
        line, member = row.line, row.member
        if line in self._threaded:
            self.threaded.setdefault(line, []).append(row)
        elif member is None or line in self._each_alone:
            self._alone.append([row])
        elif (group := self.by_member.get(key := (line, member))) is None:
            self.by_member[key] = [row]
        else:
            group.append(row)

    def __iter__(self) -> Iterator[list[StandingRow]]:
        yield from self._alone
        yield from self.by_member.values()
        for of_line in self.threaded.values():
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
    # Most have neither in common with any other.
    of_subject, of_member = Counter(row.subject for row in rows), Counter(row.member for row in rows)
    alone = [of_subject[row.subject] == 1 and (row.member is None or of_member[row.member] == 1) for row in rows]
    yield from ([row] for row in itertools.compress(rows, alone))
    rows = [row for row, is_alone in zip(rows, alone, strict=True) if not is_alone]
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
