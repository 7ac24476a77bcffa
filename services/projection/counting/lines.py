"""The lines of the ledger: plans compiled to one lookup, by the type of a fact, of what the fact is to which line."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import IntEnum
from typing import Final, NamedTuple, assert_never

import msgspec
import orjson

from services.projection.counting.facts import Data, LogFact, date_in, event_types
from services.projection.counting.periods import WHOLE, bounds
from services.projection.counting.selectors import constant, member_by, sum_of, text_at
from services.projection.counting.standing import InForce, StandingRow
from services.projection.counting.uses import Use, UseRole, Uses
from shared.contract.events import Event, kind_of
from shared.plan.loading import PlanError, PlanFault
from shared.plan.model import (
    Count,
    Coverage,
    Distinct,
    Indicator,
    Latest,
    Milestones,
    Plan,
    Ratio,
    Sum,
)

_DAY: Final = timedelta(days=1)
# Looking up a member of an enumeration takes as long as making half a row.
_OPENS: Final = UseRole.OPENS
_NAMES: Final = UseRole.NAMES
_OneLine = Count | Distinct | Sum | Latest | Milestones | Coverage


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


class PeriodBounds(NamedTuple):
    """A period, and the first and the last day whose facts count in it."""

    period: int
    first: date
    last: date


@dataclass(slots=True)
class Line:
    """One sum of the ledger: an indicator of a plan, or one part of its ratio.

    `places`: the district that each former code counts for (RULES E28). `by_subject`: the member is the subject, in
    which a former code stands for that district. `simple`: nothing ends, undoes or names a fact. `threaded`: members
    are found through subjects, since a subject's facts are one member's together. `takes_each_alone`: no fact has to do
    with another. `counts_simply`: the only fact of a member, if nothing ends it, adds to each period it is in.
    `opens_once`: the uses by which one that counts, and has a member, does so too. `adds_amounts`: a fact adds its
    amount, else 1.
    """

    number: int
    plan: str
    indicator: str
    part: Part
    periods: tuple[PeriodBounds, ...]
    districts: frozenset[str]
    shape: LineShape
    uses: tuple[Use, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    by_subject: bool = False
    since_registered: bool = False
    register_latest: bool = False
    simple: bool = field(init=False)
    threaded: bool = field(init=False)
    takes_each_alone: bool = field(init=False)
    opens_once: frozenset[int] = field(init=False)
    counts_simply: bool = field(init=False)
    adds_amounts: bool = field(init=False)

    def __post_init__(self) -> None:
        """Derive what the shape and the uses say."""
        self.simple = all(use.role is UseRole.OPENS for use in self.uses)
        self.threaded = not self.simple and not self.by_subject
        self.takes_each_alone = self.simple and self.shape is LineShape.EACH
        once = self.shape is LineShape.ONCE
        self.opens_once = frozenset(use.number for use in self.uses if once and use.role is UseRole.OPENS)
        self.counts_simply = self.simple and self.shape in (LineShape.ONCE, LineShape.EACH)
        match self.shape:
            case LineShape.EACH | LineShape.LATEST:
                self.adds_amounts = True
            case LineShape.ONCE | LineShape.COVERAGE:
                self.adds_amounts = False
            case _:
                assert_never(self.shape)

    def amount_of(self, row: StandingRow) -> int:
        """Return what a fact that counts adds."""
        return row.amount if self.adds_amounts else 1


class _TypeUses(NamedTuple):
    """What facts of one type are to all lines, the field with their date, and their subject.

    `former`: the class of a former version, whose facts are counted by what they say in the newest.
    """

    dated: str | None
    uses: tuple[tuple[Line, Use], ...]
    district_at: int | None  # which part of the subject is a district's code
    former: type[Event] | None = None


class CompiledPlans:
    """The lines of all plans, and for each type of fact the uses it has.

    Raises PlanError when a plan names a type of fact that no service publishes.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.plans = {plan.id: plan for plan in plans}
        self.successors = {former: code for plan in plans for former, code in plan.successors.items()}
        self.lines: list[Line] = []
        self.of_indicator: dict[tuple[str, str], list[Line]] = {}
        self._by_type: dict[str, _TypeUses] = {}
        uses: dict[str, list[tuple[Line, Use]]] = {}
        for plan in sorted(plans, key=lambda plan: plan.id):
            for _, indicator in plan.indicators.values():
                lines = list(_lines_of(plan, indicator, len(self.lines) + 1))
                self.lines += lines
                self.of_indicator[plan.id, indicator.id] = lines
                for line in lines:
                    for use in line.uses:
                        uses.setdefault(use.kind, []).append((line, use))
        newest = {kind_of(type_name): event for type_name, event in event_types().items() if event.sunset is None}
        for type_name, event in event_types().items():
            self._by_type[type_name] = _TypeUses(
                newest[kind_of(type_name)].dated,
                tuple(uses.get(kind_of(type_name), ())),
                _district_at(event),
                event if event.sunset else None,
            )
        self._refuse_unknown(uses)
        self.taking_each_alone = frozenset(line.number for line in self.lines if line.takes_each_alone)
        self.threaded = frozenset(line.number for line in self.lines if line.threaded)
        self.services = sorted({kind.partition(".")[0] for kind in uses})
        self.digest = self._digest()

    def line(self, number: int) -> Line:
        """Return a line by its number."""
        return self.lines[number - 1]

    def read(self, fact: LogFact) -> list[StandingRow]:
        """Return what a fact is to each line it feeds.

        Raises ValueError when its type is unknown to this program, or its data is not what the plans expect.
        """
        of_type = self._by_type.get(fact.type)
        if of_type is None:
            raise ValueError(f"{fact.type} is a type that this program does not know")
        dated, uses, district_at, former = of_type
        rows: list[StandingRow] = []
        if not uses:
            return rows
        try:
            data = fact.decoded()
            if former is not None:
                data = former.model_validate(data).newest().model_dump(mode="json", exclude_none=True)
            on = fact.happened_on(data, dated)
            for line, use in uses:
                row = _row(fact, data, on, line, use, district_at)
                if row is not None:
                    rows.append(row)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{fact.kind}: {type(error).__name__}") from error
        return rows

    def _refuse_unknown(self, uses: dict[str, list[tuple[Line, Use]]]) -> None:
        known = {kind_of(type_name) for type_name in event_types()}
        faults = [
            PlanFault(
                line.plan,
                0,
                f"{line.indicator} {kind}",
                "某服务发布的事实类型",
                "a type of fact that a service publishes",
            )
            for kind in sorted(uses.keys() - known)
            for line, _ in uses[kind][:1]
        ]
        if faults:
            raise PlanError(faults)

    def _digest(self) -> str:
        """Return a fingerprint of all that decides contributions: names and targets may change without a rebuild."""
        parts = hashlib.sha256()
        for _, plan in sorted(self.plans.items()):
            parts.update(f"{plan.id} {plan.period} {sorted(plan.district_codes)}\n".encode())
            if plan.successors:
                parts.update(f"{sorted(plan.successors.items())}\n".encode())
            for _, indicator in plan.indicators.values():
                # Sorted: the plans that are stored with a generation come back with their keys in another order.
                value = orjson.dumps(indicator.value.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()
                parts.update(f"{indicator.id} {indicator.basis} {value}\n".encode())
        # The date of a fact is decided by its type, in another folder.
        for type_name, of_type in sorted(self._by_type.items()):
            if of_type.uses:
                parts.update(f"{type_name} {of_type.dated}\n".encode())
        return parts.hexdigest()


def _district_at(event: type[Event]) -> int | None:
    """Return which part of a type's subject is the code of the district, None where none is."""
    return event.subject.split("/").index("<district>") if "district" in event.subject_paths else None


def _subject_in(places: Mapping[str, str], subject: str, district_at: int | None) -> str:
    """Return a subject with the district that its part counts for: under a former code it is the same thing (E28)."""
    if district_at is None:
        return subject
    parts = subject.split("/")
    if district_at >= len(parts):
        return subject
    parts[district_at] = places.get(parts[district_at], parts[district_at])
    return "/".join(parts)


def _row(fact: LogFact, data: Data, on: date, line: Line, use: Use, district_at: int | None) -> StandingRow | None:
    """Return what a fact is to a line by one use, None where it is nothing to it."""
    amount, stop, district, subject = 1, None, fact.district, fact.subject
    if line.places:
        district, subject = line.places.get(district, district), _subject_in(line.places, subject, district_at)
    member = subject if line.by_subject else None
    role = use.role
    if role is _OPENS:
        counts = use.match(data) and (use.covers or use.latest or district in line.districts)
        if not counts and not use.keeps_all:
            return None
        amount = use.amount(data) if counts else 0
        if use.dated is not None:
            on = date_in(data, use.dated)
        if use.until is not None and (last := text_at(data, use.until)) is not None:
            last_day = date.fromisoformat(last)
            stop = last_day + _DAY if last_day < date.max else None
    if (role is _OPENS or role is _NAMES) and not line.by_subject:
        member = use.member(data, subject)
    # In the order of its fields: names cost three times as much, and there is a row for each fact.
    return StandingRow(
        line.number,
        use.number,
        fact.service,
        fact.position,
        fact.id,
        fact.type,
        fact.subject,
        member,
        on,
        stop,
        district,
        amount,
        None if use.same is None else text_at(data, use.same),
        fact.reportsource,
        fact.reportid,
        InForce(fact.recordedat),
        fact.position,
        reported_by=fact.reportedby,
    )


def _lines_of(plan: Plan, indicator: Indicator, number: int) -> Iterator[Line]:
    value = indicator.value
    match value:
        case Ratio():
            yield _line(plan, indicator, number, Part.NUM, value.numerator)
            yield _line(plan, indicator, number + 1, Part.DEN, value.denominator)
        case Count() | Distinct() | Sum() | Latest() | Milestones() | Coverage():
            yield _line(plan, indicator, number, Part.NUM, value)
        case _:
            assert_never(value)


def _line(plan: Plan, indicator: Indicator, number: int, part: Part, value: _OneLine) -> Line:
    uses = Uses()
    shape, by_subject, since_registered, register_latest = LineShape.ONCE, False, False, False
    match value:
        case Count():
            by_subject = True
            uses.add(value.of)
        case Distinct():
            by_subject = value.by == "subject"
            if value.named_in is None:
                uses.add(value.of, member_by(value.by))
            else:
                uses.add(value.of)
                uses.append(value.named_in, UseRole.NAMES, member=member_by(value.by))
        case Milestones():
            for index, milestone in enumerate(value.each):
                uses.add(milestone.of, constant(f"milestone/{index}"))
        case Sum():
            shape, by_subject = LineShape.EACH, True
            uses.add(value.of)
        case Latest():
            shape, by_subject = LineShape.LATEST, True
            uses.add_latest(value.of, amount=sum_of(value.add))
        case Coverage():
            register, covered = value.registered, value.covered
            shape, since_registered = LineShape.COVERAGE, covered.since_registered
            by_subject = register.by == covered.by == "subject"
            register_latest = isinstance(register, Latest)
            uses.add_register(register)
            uses.add(covered.of, member_by(covered.by), covers=True)
        case _:
            assert_never(value)
    return Line(
        number, plan.id, indicator.id, part, _periods(plan, indicator), plan.district_codes, shape, tuple(uses.all),
        plan.successors, by_subject, since_registered, register_latest,
    )  # fmt: skip


def _periods(plan: Plan, indicator: Indicator) -> tuple[PeriodBounds, ...]:
    match indicator.basis:
        case "annual":
            return tuple(PeriodBounds(year, *bounds(plan, year)) for year in plan.years)
        case "cumulative":
            return (PeriodBounds(WHOLE, *bounds(plan, WHOLE)),)
        case "level":
            return (PeriodBounds(WHOLE, date.min, plan.period.last),)
        case _:
            assert_never(indicator.basis)
