"""Decides which facts feed which line of the ledger: plans compiled to one lookup by the type of a fact."""

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

import msgspec

from services.projection.counting.facts import LogFact
from services.projection.counting.periods import WHOLE
from shared.plan.model import (
    Amount,
    Count,
    Coverage,
    Distinct,
    Indicator,
    Latest,
    Milestones,
    Other,
    Plan,
    Ratio,
    Selector,
    Sum,
)

Content = dict[str, Any]
_DAY: Final = timedelta(days=1)
_SCALARS: Final = frozenset({str, int, bool})


class Part(IntEnum):
    """Numerator or denominator."""

    NUM = 0
    DEN = 1


class LineShape(IntEnum):
    """How a line counts."""

    ONCE = 0  # each member once, by its earliest fact
    EACH = 1  # each fact by itself
    LATEST = 2  # the latest fact of each subject
    COVERAGE = 3  # members of a register, and those of them that are covered


class UseRole(IntEnum):
    """What a fact is to a line."""

    OPENS = 0
    ENDS = 1
    UNDOES = 2
    NAMES = 3  # gives the other facts of its subject their member
    DATES = 4  # gives the facts of its report their date


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which facts of one type enter a line.

    `covers`: on the covering side of a coverage. `match`: whether the data is meant (for the latest: whether it
    counts). `keeps_all`: facts that do not count are kept too, since they push out others or take ends to themselves.
    `opening`: for an end or an undoing, the numbers of the uses it works on.
    """

    number: int
    kind: str
    role: UseRole
    covers: bool = False
    latest: bool = False
    keeps_all: bool = False
    match: Callable[[Content], bool] = lambda _content: True
    member: Callable[[Content, str], str | None] = lambda _content, _subject: None
    amount: Callable[[Content], int] = lambda _content: 1
    dated: str | None = None
    until: str | None = None
    same: str | None = None
    opening: frozenset[int] = frozenset()


@dataclass(slots=True)
class Line:
    """One sum of the ledger: an indicator of a plan, or one part of its ratio.

    `periods`: (period, first day, last day). `by_subject`: the member is the subject. `simple`: nothing ends, undoes
    or names a fact. `threaded`: members are found through subjects, since a subject's facts are one member's together.
    """

    number: int
    plan: str
    indicator: str
    part: Part
    shape: LineShape
    periods: tuple[tuple[int, date, date], ...]
    districts: frozenset[str]
    uses: tuple[Use, ...] = ()
    threaded: bool = False
    by_subject: bool = False
    simple: bool = False
    since_registered: bool = False
    register_latest: bool = False


@dataclass(slots=True, eq=False)
class StandingRow:
    """A fact as a line of the ledger keeps it, and the instants at which it began and ceased to stand, in turn."""

    line: int
    use: int
    service: str
    position: int
    event_id: str
    type: str
    subject: str
    member: str | None
    on: date
    stop: date | None  # the first day that no longer counts
    district: str
    amount: int
    same: str | None
    report_source: str
    report_id: str
    stood: list[datetime]
    root: int  # the position it takes among the facts of its subject: a correction that of its original (RULES B4)
    retracted: bool = False
    suspended: bool = False
    replaced_by: str | None = None
    known: int = 0  # how many of `stood` the ledger has counted already
    marked: bool = False  # since it was loaded

    @property
    def order(self) -> tuple[date, str, str]:
        """What the earliest is decided by (RULES E8)."""
        return (self.on, self.report_source, self.report_id)


class CompiledPlans:
    """The lines of all plans, and for each type of fact the uses it has."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.plans = {plan.id: plan for plan in plans}
        self.lines: list[Line] = []
        self.of_indicator: dict[tuple[str, str], list[Line]] = {}
        self._uses: dict[str, list[tuple[Line, Use]]] = {}
        self._by_type: dict[str, tuple[tuple[Line, Use], ...]] = {}
        for plan in sorted(plans, key=lambda plan: plan.id):
            for _, indicator in plan.indicators.values():
                for line in _lines(plan, indicator, len(self.lines) + 1):
                    self.lines.append(line)
                    self.of_indicator.setdefault((plan.id, indicator.id), []).append(line)
                    for use in line.uses:
                        self._uses.setdefault(use.kind, []).append((line, use))
        self.services = sorted({kind.partition(".")[0] for kind in self._uses})
        self.digest = _digest(plans)

    def line(self, number: int) -> Line:
        """Return a line by its number."""
        return self.lines[number - 1]

    def read(self, fact: LogFact) -> Iterator[StandingRow]:
        """Yield what a fact is to each line it feeds; raises ValueError when its data is not what the plans expect."""
        uses = self._by_type.get(fact.type)
        if uses is None:
            uses = self._by_type[fact.type] = tuple(self._uses.get(fact.kind, ()))
        if not uses:
            return
        try:
            content = fact.content()
            on = fact.happened_on(content)
            for line, use in uses:
                standing = _stand(fact, content, on, line, use)
                if standing is not None:
                    yield standing
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{fact.kind}: {type(error).__name__}") from error


def _stand(fact: LogFact, content: Content, on: date, line: Line, use: Use) -> StandingRow | None:
    amount = 1
    stop = None
    member = None
    if use.role is UseRole.OPENS:
        counts = use.match(content) and (use.covers or use.latest or fact.district in line.districts)
        if not counts and not use.keeps_all:
            return None
        amount = use.amount(content) if counts else 0
        if use.dated:
            on = fact.happened_on(content, use.dated)
        if use.until and content.get(use.until) is not None:
            last = date.fromisoformat(content[use.until])
            stop = last + _DAY if last < date.max else None
    if line.by_subject:
        member = fact.subject
    elif use.role in (UseRole.OPENS, UseRole.NAMES):
        member = use.member(content, fact.subject)
    same = content.get(use.same) if use.same else None
    return StandingRow(
        line.number, use.number, fact.service, fact.position, fact.id, fact.type, fact.subject, member, on, stop,
        fact.district, amount, same, fact.reportsource, fact.reportid, [], fact.position,
    )  # fmt: skip


def _lines(plan: Plan, indicator: Indicator, number: int) -> Iterator[Line]:
    value = indicator.value
    match value:
        case Ratio():
            yield _line(plan, indicator, number, Part.NUM, value.numerator)
            yield _line(plan, indicator, number + 1, Part.DEN, value.denominator)
        case _:
            yield _line(plan, indicator, number, Part.NUM, value)


def _line(
    plan: Plan,
    indicator: Indicator,
    number: int,
    part: Part,
    value: Count | Distinct | Sum | Latest | Milestones | Ratio | Coverage,
) -> Line:
    uses = _Uses()
    line = Line(
        number, plan.id, indicator.id, part, LineShape.ONCE, tuple(_periods(plan, indicator)), plan.district_codes
    )  # fmt: skip
    match value:
        case Count():
            line.by_subject = True
            uses.add(value.of)
        case Distinct():
            line.by_subject = value.by == "subject"
            named_in = value.named_in
            uses.add(value.of, _nothing if named_in else _member(value.by))
            if named_in:
                uses.append(kind=named_in, role=UseRole.NAMES, member=_member(value.by))
        case Milestones():
            for index, milestone in enumerate(value.each):
                uses.add(milestone.of, _always(f"milestone/{index}"))
        case Sum():
            line.shape, line.by_subject = LineShape.EACH, True
            uses.add(value.of)
        case Latest():
            line.shape, line.by_subject = LineShape.LATEST, True
            uses.add((value.of,), amount=_sum(value.add), latest=True)
        case Coverage():
            register, covered = value.registered, value.covered
            line.shape = LineShape.COVERAGE
            line.since_registered = covered.since_registered
            line.register_latest = isinstance(register, Latest)
            line.by_subject = register.by == covered.by == "subject"
            of = (register.of,) if isinstance(register, Latest) else register.of
            uses.add(of, _member(register.by or "subject"), latest=line.register_latest)
            uses.add(covered.of, _member(covered.by), covers=True)
        case Ratio():
            raise TypeError("a ratio is no part of a ratio")
    line.uses = tuple(uses.all)
    line.simple = all(use.role is UseRole.OPENS for use in line.uses)
    line.threaded = not line.simple and not line.by_subject
    return line


class _Uses:
    """Gathers the uses of one line."""

    def __init__(self) -> None:
        self.all: list[Use] = []

    def append(self, **given: Any) -> Use:
        use = Use(len(self.all), **given)
        self.all.append(use)
        return use

    def add(
        self,
        selectors: Sequence[Selector],
        member: Callable[[Content, str], str | None] | None = None,
        amount: Callable[[Content], int] | None = None,
        covers: bool = False,
        latest: bool = False,
    ) -> None:
        """Add selectors, and for each what ends or undoes it."""
        ends: dict[tuple[str, UseRole, str | None], set[int]] = {}
        for selector in selectors:
            ended_by = selector.ended_by
            same = ended_by.same if ended_by else None
            use = self.append(
                kind=selector.fact,
                role=UseRole.OPENS,
                covers=covers,
                latest=latest,
                keeps_all=latest or ended_by is not None,
                match=_match(selector),
                member=member or _nothing,
                amount=_amount(selector) if isinstance(selector, Amount) else amount or _one,
                dated=selector.dated,
                until=selector.until,
                same=same,
            )
            if ended_by:
                ends.setdefault((ended_by.fact, UseRole.ENDS, same), set()).add(use.number)
            if selector.undone_by:
                ends.setdefault((selector.undone_by, UseRole.UNDOES, None), set()).add(use.number)
            if selector.dated_in:
                self.append(kind=selector.dated_in, role=UseRole.DATES, opening=frozenset({use.number}))
        for (kind, role, same), numbers in ends.items():
            self.append(kind=kind, role=role, covers=covers, same=same, opening=frozenset(numbers))


def _periods(plan: Plan, indicator: Indicator) -> Iterator[tuple[int, date, date]]:
    first, last = plan.period.first, plan.period.last
    if indicator.basis == "annual":
        for year in plan.years:
            yield year, max(first, date(year, 1, 1)), min(last, date(year, 12, 31))
    elif indicator.basis == "cumulative":
        yield WHOLE, first, last
    else:
        yield WHOLE, date.min, last


def _one(_content: Content) -> int:
    return 1


def _nothing(_content: Content, _subject: str) -> None:
    return None


def _always(member: str) -> Callable[[Content, str], str]:
    return lambda _content, _subject: member


def _getter(path: str) -> Callable[[Content], Any]:
    """Return what reads a field; a part of the path that is not there gives None."""
    steps = path.split(".")
    if len(steps) == 1:
        return operator.methodcaller("get", path)

    def get(content: Content) -> Any:
        value: Any = content
        for step in steps:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    return get


def _member(by: str) -> Callable[[Content, str], str | None]:
    """Return what tells members apart: a person's token, an organisation's credit code, else the value itself."""
    if by == "subject":
        return lambda _content, subject: subject
    get = _getter(by)

    def member(content: Content, _subject: str) -> str | None:
        value = get(content)
        if isinstance(value, dict):
            value = value.get("token") or value.get("credit_code")
        return None if value is None else str(value)

    return member


def _sum(paths: Sequence[str], sign: int = 1) -> Callable[[Content], int]:
    if not paths:
        return _one
    getters = [_getter(path) for path in paths]

    def amount(content: Content) -> int:
        total = 0
        for get in getters:
            value = get(content)
            if value is not None:
                if type(value) is not int:
                    raise TypeError("an amount is an integer")
                total += value
        return sign * total

    return amount


def _amount(selector: Amount) -> Callable[[Content], int]:
    return _sum(selector.add, -1 if selector.minus else 1)


def _match(selector: Selector) -> Callable[[Content], bool]:
    """Return the test of `where`; values are compared with their JSON type, so that true is not 1."""
    tests = [
        (_getter(path), frozenset((type(value), value) for value in getattr(wanted, "other_than", wanted)),
         not isinstance(wanted, Other))
        for path, wanted in selector.where.items()
    ]  # fmt: skip

    def match(content: Content) -> bool:
        for get, listed, wanted in tests:
            value = get(content)
            if (type(value) in _SCALARS and (type(value), value) in listed) is not wanted:
                return False
        return True

    return match


def _digest(plans: Sequence[Plan]) -> str:
    """Return a fingerprint of all that decides contributions: names and targets may change without a rebuild."""
    parts = hashlib.sha256()
    for plan in sorted(plans, key=lambda plan: plan.id):
        parts.update(f"{plan.id} {plan.period} {sorted(plan.district_codes)}\n".encode())
        for _, indicator in plan.indicators.values():
            parts.update(f"{indicator.id} {indicator.basis} {indicator.value.model_dump_json()}\n".encode())
    return parts.hexdigest()
