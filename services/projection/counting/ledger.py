"""Decides what a batch of facts changes: which facts stand from when on, and the rows the ledger gets for it: pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from services.projection.counting.contributions import ContributionRow, Contributions, contributions_of
from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans, Line, LineShape, StandingRow, UseRole

Cause = Literal["original", "correction", "retraction", "supersede", "end"]
CellKey = tuple[int, int, int, str, date]  # (line, part, period, district, effective on)


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


@dataclass(slots=True)
class Posting:
    """What a batch of facts changes: rows to keep, rows whose standing changed, and the ledger's new rows."""

    new: list[StandingRow] = field(default_factory=list)
    changed: list[StandingRow] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)

    def cells(self) -> dict[CellKey, int]:
        """Return what is added to each cell."""
        cells: dict[CellKey, int] = defaultdict(int)
        for row in self.contributions:
            cells[row.line, row.part, row.period, row.district, row.effective_on] += row.delta
        return {key: delta for key, delta in cells.items() if delta}


ReportKey = tuple[str, str, str]  # service, source, id


class FactBatch:
    """Facts of one transaction, in the order of each log, on their way into the ledger.

    Add the facts; give `post` what the database keeps for `reports` (see `take_reports`) and then for `members` and
    `threads`. The order in which services come together in a batch does not matter.
    """

    def __init__(self, compiled: CompiledPlans) -> None:
        self._compiled = compiled
        self._facts: list[tuple[LogFact, list[StandingRow]]] = []
        self._causes: dict[datetime, tuple[Cause, tuple[str, int]]] = {}
        self._loaded: dict[tuple[int, int, str, int], StandingRow] = {}
        self.reports: set[ReportKey] = set()
        self.decided: list[tuple[int, datetime, bytes]] = []

    def __len__(self) -> int:
        return len(self._facts)

    def add(self, fact: LogFact) -> None:
        """Take a fact; raises ValueError when it is not what its type promises, and then takes nothing of it."""
        rows = list(self._compiled.read(fact))
        takes_back = _taken_back(fact)
        if takes_back is not None:
            self.reports.add((fact.service, fact.reportsource, takes_back[1]))
            # Its own report too: it may have been suspended, and is decided again by this.
            self.reports.add((fact.service, fact.reportsource, fact.reportid))
        if rows or takes_back is not None:
            self._facts.append((fact, rows))

    def keep(self, fact: LogFact, raw: bytes) -> None:
        """Take a fact that counts nowhere but says how numbers are judged: it is kept as it was sent."""
        self.decided.append((fact.position, fact.recordedat, raw))

    def take_reports(self, rows: Iterable[StandingRow]) -> None:
        """Take the rows kept for `reports`: those of the report, and those a correction of that id replaced."""
        for row in rows:
            self._loaded[row.line, row.use, row.service, row.position] = row

    def mark(self) -> None:
        """Work out, fact by fact, from when on which facts stand."""
        by_report: dict[ReportKey, list[StandingRow]] = defaultdict(list)
        if self.reports:
            for row in self._loaded.values():
                by_report[row.service, row.report_source, row.report_id].append(row)
                if row.replaced_by is not None:
                    by_report[row.service, row.report_source, row.replaced_by].append(row)
        for fact, rows in self._facts:
            at = fact.recordedat
            cause: Cause = "original"
            if self.reports and (takes_back := _taken_back(fact)) is not None:
                cause, report_id = takes_back
                key = (fact.service, fact.reportsource, report_id)
                if cause == "correction":
                    _take_place(rows, by_report[key], by_report[fact.service, fact.reportsource, fact.reportid])
                for row in list(by_report[key]):
                    _mark(row, fact, report_id)
                    if cause == "correction" and row.report_id == report_id:
                        by_report[fact.service, fact.reportsource, fact.reportid].append(row)
            for row in rows:
                row.stood.append(at)
                if self.reports:
                    by_report[row.service, row.report_source, row.report_id].append(row)
            self._causes[at] = (cause, (fact.service, fact.position))

    def keys(self) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
        """Return (line, member) and (line, subject) whose other facts must be known to post this batch."""
        members: set[tuple[int, str]] = set()
        threads: set[tuple[int, str]] = set()
        for row in self._touched():
            line = self._compiled.line(row.line)
            if line.threaded:
                threads.add((row.line, row.subject))
            if row.member is not None and not (line.shape is LineShape.EACH and line.simple):
                members.add((row.line, row.member))
        return members, threads

    def _touched(self) -> Iterator[StandingRow]:
        for _, rows in self._facts:
            yield from rows
        for row in self._loaded.values():
            if len(row.stood) > row.known:
                yield row

    def post(self, kept: Iterable[StandingRow]) -> Posting:
        """Return what the batch changes, given every row that the database keeps for `keys`."""
        posting = Posting(changed=[row for row in self._loaded.values() if row.marked])
        rows = dict(self._loaded)
        for row in kept:
            rows.setdefault((row.line, row.use, row.service, row.position), row)
        for _, own in self._facts:
            posting.new.extend(own)
        for group in _groups(self._compiled, [*rows.values(), *posting.new]):
            if any(len(row.stood) > row.known for row in group):
                self._account(self._compiled.line(group[0].line), group, posting.contributions)
        return posting

    def _account(self, line: Line, group: list[StandingRow], contributions: list[Contribution]) -> None:
        """Append what the ledger lacks for a group of facts, instant by instant.

        A fact of another service may come in with an earlier instant than one already counted; so what should be known
        at each instant is compared with what the ledger says for it, from the first new instant on.
        """
        if len(group) == 1 and len(group[0].stood) == 1:
            # Most members have one fact, and it stands.
            for key, delta in contributions_of(line, group).items():
                if delta:
                    self._append(line, key, delta, group[0].stood[0], group, contributions)
            return
        if line.shape is LineShape.ONCE and all(line.uses[row.use].role is UseRole.OPENS for row in group):
            group = _that_may_win(line, group)
        instants = sorted({at for row in group for at in row.stood[row.known :]})
        if not instants:
            return
        late = {at for row in group for at in row.stood[: row.known] if at > instants[0]}
        before: Mapping[ContributionRow, int] = {}
        counted: Contributions = {}
        first = True
        for at in sorted({*instants, *late}) if late else instants:
            if first or at in late:
                old = [row for row in group if row.known and _odd(row.stood, row.known, at)]
                counted = contributions_of(line, old) if old else {}
                first = False
            should = contributions_of(line, [row for row in group if _odd(row.stood, len(row.stood), at)])
            gap = _minus(should, counted)
            for key, delta in _minus(gap, before).items():
                self._append(line, key, delta, at, group, contributions)
            before = gap

    def _append(
        self,
        line: Line,
        key: ContributionRow,
        delta: int,
        at: datetime,
        group: Sequence[StandingRow],
        contributions: list[Contribution],
    ) -> None:
        part, period, district, counted_on, effective_on, service, position = key
        cause, by = self._causes.get(at, _SUPERSEDED)
        if cause == "original":
            if any(row.stood[0] == at and line.uses[row.use].role in _CLOSING for row in group):
                cause = "end"
            elif by != (service, position):
                cause = "supersede"
            elif delta < 0 and line.shape is not LineShape.EACH:
                cause = "end"
        contributions.append(
            Contribution(
                line.number, part, period, district, counted_on, effective_on, at, delta, cause, service, position
            )
        )


def _odd(stood: Sequence[datetime], known: int, at: datetime) -> bool:
    """Tell whether a fact stands at an instant, by the first `known` of the instants at which that changed."""
    changes = 0
    for number in range(known):
        if stood[number] > at:
            break
        changes += 1
    return changes % 2 == 1


def _minus(left: Mapping[ContributionRow, int], right: Mapping[ContributionRow, int]) -> dict[ContributionRow, int]:
    if not right:
        return {row: delta for row, delta in left.items() if delta}
    rows = dict(left)
    for row, delta in right.items():
        rows[row] = rows.get(row, 0) - delta
    return {row: delta for row, delta in rows.items() if delta}


_CLOSING: Final = (UseRole.ENDS, UseRole.UNDOES)
_SUPERSEDED: Final[tuple[Cause, tuple[str, int]]] = ("supersede", ("", 0))
_RETRACTED: Final = "report-retracted"
_SUSPENDED: Final = "report-suspended"


class _TakenBack(msgspec.Struct, gc=False):
    report_id: str


_taken: Final = msgspec.json.Decoder(_TakenBack)


def _taken_back(fact: LogFact) -> tuple[Cause, str] | None:
    """Return the id of the report that a fact corrects, retracts or suspends, and which of them it does."""
    if fact.corrects is not None:
        return "correction", fact.corrects
    if ".report-" not in fact.type:
        return None
    name = fact.kind.partition(".")[2]
    if name not in (_RETRACTED, _SUSPENDED):
        return None
    try:
        return "retraction", _taken.decode(fact.data).report_id
    except msgspec.DecodeError as error:
        raise ValueError(f"{fact.kind}: {type(error).__name__}") from error


def _mark(row: StandingRow, fact: LogFact, report_id: str) -> None:
    """Note on one row what a correction, a retraction or a suspension does to it."""
    row.marked = True
    if fact.corrects is not None:
        if row.report_id == report_id:
            row.replaced_by = fact.reportid
    elif fact.kind.endswith(_SUSPENDED):
        # What a suspended correction replaced stays replaced: its own opening is gone as well (RULES B6).
        if row.report_id == report_id:
            row.suspended = True
    else:
        if row.report_id == report_id:
            row.retracted = True
        if row.replaced_by == report_id:
            row.replaced_by = None  # RULES B1
    stands = not (row.retracted or row.suspended or row.replaced_by is not None)
    if stands != (len(row.stood) % 2 == 1):
        row.stood.append(fact.recordedat)


def _take_place(rows: Sequence[StandingRow], originals: Sequence[StandingRow], own: Sequence[StandingRow]) -> None:
    """Give the rows of a correction the place of what they correct among the facts of their subject (RULES B4).

    Where what stood there was taken back meanwhile, and where an end now ends another thing, they have a place of their
    own.
    """
    for row in rows:
        same = [o for o in originals if (o.line, o.use) == (row.line, row.use) and o.report_id != row.report_id]
        if not same:
            continue
        original = max(same, key=lambda one: one.position)
        anew = original.suspended or any(one.suspended for one in own if one.report_id == row.report_id)
        if row.same == original.same and not anew:
            row.root = original.root
        elif anew:
            original.root, original.marked = row.position, True


def _groups(compiled: CompiledPlans, rows: Sequence[StandingRow]) -> Iterator[list[StandingRow]]:
    """Part rows into groups that share no member: within a line by member, or by all that subjects tie together."""
    plain: dict[tuple[int, str], list[StandingRow]] = defaultdict(list)
    threads: dict[int, list[StandingRow]] = defaultdict(list)
    for row in rows:
        line = compiled.line(row.line)
        if line.threaded:
            threads[row.line].append(row)
        elif row.member is None or (line.simple and line.shape is LineShape.EACH):
            yield [row]
        else:
            plain[row.line, row.member].append(row)
    yield from plain.values()
    for own in threads.values():
        yield from _tied(own)


def _that_may_win(line: Line, group: Iterable[StandingRow]) -> list[StandingRow]:
    """Leave out openings before which an earlier one of their member stands for good: many must not cost their square.

    What the ledger has counted gives way to what it has counted only.
    """
    kept = []
    best: dict[tuple[bool, str | None, tuple[int, ...]], tuple[date, str, str]] = {}
    for row in sorted(group, key=lambda row: row.stood[0]):
        periods = tuple(period for period, first, last in line.periods if first <= row.on <= last)
        before = best.get((row.known > 0, row.member, periods))
        if before is not None and before < row.order:
            continue
        kept.append(row)
        if len(row.stood) == 1 and row.stop is None and row.amount:
            for known in (True, False) if row.known else (False,):
                key = (known, row.member, periods)
                best[key] = min(best.get(key, row.order), row.order)
    return kept


def _tied(rows: Sequence[StandingRow]) -> Iterator[list[StandingRow]]:
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
