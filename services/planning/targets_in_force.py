"""Targets in force: which target, with which weights, holds for an indicator, district and period on a day. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, NamedTuple, assert_never

import orjson
from pydantic import JsonValue

from services.planning.events import PlanAdopted, TargetRevised, TargetSplit
from shared.contract.events import Fact
from shared.deciding.view import View
from shared.plan.loading import check_plan
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
    Target,
)

WHOLE: Final = "plan"  # the period of what is cumulative or a level; an annual period is its year


@dataclass(frozen=True, slots=True)
class TargetInForce:
    """A target in force, with the weight of each month of the period and the fact that set it last, if one did.

    `clause`: the measure's number, or the document that a revision names. `months`: the parts of a split over
    months, by month YYYY-MM; the weights are these then.
    """

    target: Target
    weights: tuple[Decimal, ...]
    clause: str
    revised_by: Fact | None = None
    months: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A target changes from a day on (`period` None: in every period); `fact` None: by the plan file itself."""

    effective_from: date
    position: int
    period: str | None
    target: Target | None
    fact: Fact | None

    @property
    def revision(self) -> TargetRevised | None:
        """The revision that made the change, None when something else did."""
        return self.fact.event if self.fact is not None and isinstance(self.fact.event, TargetRevised) else None


class _Split(NamedTuple):
    event: TargetSplit
    fact: Fact


class _Adopted(NamedTuple):
    effective_from: date
    plan: Plan


class History:
    """The targets of one plan and every decision on them that a view knows.

    Adoptions are compared in the order in which they were decided. The first holds for all days before it, too; until
    there is one, the plan file itself does.
    """

    def __init__(self, plan: Plan, view: View) -> None:
        adoptions = sorted(
            ((adopted, standing) for adopted, standing in view.of(PlanAdopted) if adopted.plan == plan.id),
            key=lambda entry: entry[1].root,
        )
        self._counted = plan
        self.adoptions = tuple(standing.fact for _, standing in adoptions)
        self._changes: defaultdict[tuple[str, str | None], list[Change]] = defaultdict(list)
        self._weights: defaultdict[str, list[_Adopted]] = defaultdict(list)
        self._month_splits: defaultdict[tuple[str, str], list[_Split]] = defaultdict(list)
        self._district_splits: defaultdict[tuple[str, str], list[_Split]] = defaultdict(list)
        documents = [plan_of(adopted) for adopted, _ in adoptions]
        base = documents[0] if documents else plan
        self._take(base, None, date.min, self.adoptions[0] if adoptions else None)
        for (adopted, standing), before, after in zip(adoptions[1:], documents, documents[1:], strict=False):
            self._take(after, before, adopted.effective_from, standing.fact)
        self.adopted = documents[-1] if documents else None
        self.plan = documents[-1] if documents else plan
        for revised, standing in view.of(TargetRevised):
            if revised.plan == plan.id:
                self._add(
                    revised.indicator, revised.district, revised.effective_from, None, target_of(revised), standing.fact
                )
        splits = [_Split(split, standing.fact) for split, standing in view.of(TargetSplit) if split.plan == plan.id]
        for split in sorted(splits, key=lambda split: (split.event.effective_from, split.fact.position)):
            self._take_split(split)
        for changes in self._changes.values():
            changes.sort(key=lambda change: (change.effective_from, change.position))
        for weights in self._weights.values():
            weights.sort(key=lambda adopted: adopted.effective_from)

    def _take(self, plan: Plan, before: Plan | None, on: date, fact: Fact | None) -> None:
        """Take a plan's targets where they differ from the plan before; an unchanged line undoes no revision."""
        for _, indicator in plan.indicators.values():
            old = before.indicators[indicator.id][1] if before and indicator.id in before.indicators else None
            if before is None or old is None or old.target != indicator.target:
                self._add(indicator.id, None, on, None, indicator.target, fact)
            was = old.district_targets if old else {}
            for district in {**was, **indicator.district_targets}:
                if before is None or was.get(district) != indicator.district_targets.get(district):
                    self._add(indicator.id, district, on, None, indicator.district_targets.get(district), fact)
            self._weights[indicator.id].append(_Adopted(on, plan))
        for removed in (before.indicators.keys() if before else set()) - plan.indicators.keys():
            for place in (None, *self._counted.district_codes):
                self._add(removed, place, on, None, None, fact)

    def _take_split(self, split: _Split) -> None:
        event = split.event
        if event.over == "months":
            self._month_splits[event.indicator, event.period].append(split)
            return
        self._district_splits[event.indicator, event.period].append(split)
        op = self._op_of_parts(event)
        for district, part in event.parts.items():
            target = Target(op=op, value=decimal(part))
            self._add(event.indicator, district, event.effective_from, event.period, target, split.fact)

    def _add(
        self, indicator: str, district: str | None, on: date, period: str | None, target: Target | None,
        fact: Fact | None,
    ) -> None:  # fmt: skip
        position = fact.position if fact and on != date.min else 0
        self._changes[indicator, district].append(Change(on, position, period, target, fact))

    def _op_of_parts(self, split: TargetSplit) -> Literal[">=", ">", "="]:
        """A part is compared as the whole is; a part of a range has a lower bound only."""
        _, indicator = self.plan.indicators.get(split.indicator) or (None, None)
        whole = self._last(split.indicator, None, split.period, split.effective_from)
        target = whole.target if whole else indicator.target if indicator else None
        op = target.op if target is not None else ">="
        return op if op in (">", "=") else ">="

    def _last(self, indicator: str, district: str | None, period: str, on: date) -> Change | None:
        """Return the change that holds on a day; they may not be in order yet."""
        effective = (
            change
            for change in self._changes.get((indicator, district), ())
            if change.effective_from <= on and change.period in (None, period)
        )
        return max(effective, key=lambda change: (change.effective_from, change.position), default=None)

    def target(self, indicator: str, district: str | None, period: str, on: date) -> TargetInForce | None:
        """Return the target in force on a day for a period, `plan` or a year; None where none is set.

        A day after the period asks for its last day.
        """
        on = min(on, last_day(self._counted, period))
        change = self._last(indicator, district, period, on)
        if change is None or change.target is None:
            return None
        target, revision = change.target, change.revision
        if revision is not None and (baseline := self._baseline(change, indicator, district)) is not None:
            target = target.model_copy(update={"baseline": baseline})
        weighed_by = self._weighed_by(indicator, on)
        measure, weighed = weighed_by.indicators[indicator]
        clause = revision.clause if revision is not None and revision.clause else measure.id
        split = _in_force(self._month_splits[indicator, period], on)
        # The months are those of the plan that is counted, whatever period an adopted file names.
        if split is None:
            return TargetInForce(target, weights_of(self._counted, weighed, period, weighed_by), clause, change.fact)
        parts = {month: decimal(part) for month, part in split.event.parts.items()}
        weights = tuple(parts.get(f"{first:%Y-%m}", Decimal(0)) for first in months_of(self._counted, period))
        return TargetInForce(target, weights, clause, change.fact, parts)

    def _weighed_by(self, indicator: str, on: date) -> Plan:
        """Return the plan whose weights hold on a day: the last adopted by then, else the first that has it."""
        adopted = self._weights.get(indicator)
        if not adopted:
            return self._counted  # revised, and the adoption that brought it withdrawn
        return next((plan for day, plan in reversed(adopted) if day <= on), adopted[0].plan)

    def _baseline(self, change: Change, indicator: str, district: str | None) -> Decimal | None:
        """Return a level's baseline: a revision without one keeps the one before."""
        changes = self._changes[indicator, district]
        for earlier in reversed(changes[: changes.index(change) + 1]):
            baseline = earlier.target.baseline if earlier.target else None
            if baseline is not None or earlier.revision is None:
                return baseline
        return None

    def changes(self, indicator: str, district: str | None) -> Sequence[Change]:
        """Return every change of a target, in the order in which they take effect."""
        return self._changes.get((indicator, district), ())

    def splits(self, indicator: str, period: str, on: date) -> list[Fact]:
        """Return the splits in force on a day, of districts and of months."""
        splits = (_in_force(by[indicator, period], on) for by in (self._district_splits, self._month_splits))
        return [split.fact for split in splits if split is not None]


def _in_force(splits: Sequence[_Split], on: date) -> _Split | None:
    return next((split for split in reversed(splits) if split.event.effective_from <= on), None)


def decimal(number: int | float) -> Decimal:
    """Return a JSON number exactly as it was written, so that parts add up."""
    return Decimal(str(number))


def goal_of(indicator: Indicator, target: Target) -> Decimal:
    """Return the number to be reached: of `all`, how many there are; of a range, its lower bound."""
    if target.value is not None:
        return target.value
    match indicator.value:
        case Milestones() as milestones:
            return Decimal(len(milestones.each))
        case Count() | Distinct() | Sum() | Latest() | Ratio() | Coverage():
            return Decimal(0)  # revised to `all` while the plan still counted milestones
        case _:
            assert_never(indicator.value)


def target_of(revised: TargetRevised) -> Target:
    """Return the target that a revision sets; raises ValueError when value and comparator do not fit."""
    return Target(
        op=revised.op,
        value=_optional_decimal(revised.value),
        upper=_optional_decimal(revised.upper),
        baseline=_optional_decimal(revised.baseline),
    )


def _optional_decimal(number: int | float | None) -> Decimal | None:
    return None if number is None else decimal(number)


def plan_of(adopted: PlanAdopted) -> Plan:
    """Return the plan that an adoption holds; raises PlanError."""
    return _parsed(orjson.dumps(adopted.document))


@lru_cache(16)
def _parsed(document: bytes) -> Plan:
    return check_plan(orjson.loads(document))


def document_of(plan: Plan) -> dict[str, JsonValue]:
    """Return a plan as an adoption holds it."""
    document: dict[str, JsonValue] = orjson.loads(plan.model_dump_json(by_alias=True, exclude_unset=True))
    return document


def periods_of(plan: Plan, indicator: Indicator) -> list[str]:
    """Return the periods of an indicator: the plan's years for what is annual, else the whole."""
    return [str(year) for year in plan.years] if indicator.basis == "annual" else [WHOLE]


def bounds(plan: Plan, period: str) -> tuple[date, date]:
    """Return the first and the last day of a period."""
    if period == WHOLE:
        return plan.period.first, plan.period.last
    year = int(period)
    return max(plan.period.first, date(year, 1, 1)), min(plan.period.last, date(year, 12, 31))


def last_day(plan: Plan, period: str) -> date:
    """Return the last day of a period."""
    return bounds(plan, period)[1]


def months_of(plan: Plan, period: str) -> list[date]:
    """Return the first day of each month that a period touches, in order."""
    first, last = bounds(plan, period)
    return [
        date(month // 12, month % 12 + 1, 1)
        for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    ]


def weights_of(plan: Plan, indicator: Indicator, period: str, weighed_by: Plan | None = None) -> tuple[Decimal, ...]:
    """Return the weight of each month of a period of `plan`, by the file `weighed_by` (by default `plan` itself)."""
    source = weighed_by or plan
    return _weights(*bounds(plan, period), tuple(indicator.month_weights or source.month_weights), source.years[0])


@lru_cache(maxsize=512)
def _weights(first: date, last: date, weights: tuple[int | Decimal, ...], year: int) -> tuple[Decimal, ...]:
    """Return the weight of each month between two days; `weights` begin in January of `year` and repeat."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(Decimal(weights[(month - year * 12) % len(weights)]) for month in months)
