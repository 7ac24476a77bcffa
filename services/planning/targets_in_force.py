"""Decides which target holds for an indicator on a day, by what the plan office has decided so far: pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

import orjson
from pydantic import BaseModel

from services.planning.events import PlanAdopted, TargetRevised, TargetSplit
from shared.contract.events import Event, Fact
from shared.deciding.decider import View
from shared.plan.loading import check_plan
from shared.plan.model import Indicator, Milestones, Plan, Target

_BY_INDICATOR: Final = {"series", "month_weights", "indicators"}  # compared indicator by indicator
WHOLE: Final = "plan"  # the period of what is cumulative or a level; an annual period is its year


@dataclass(frozen=True, slots=True)
class InForce:
    """A target as it holds: with what each month of the period weighs, and the fact that last said so, if one did.

    `split_by`: the split over months that the weights come from; `months`: its parts.
    """

    target: Target
    weights: tuple[Decimal, ...]
    clause: str
    revised_by: Fact | None = None
    split_by: Fact | None = None
    months: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """From a day on a target is another (`period` None: in every period)."""

    effective_from: date
    position: int
    period: str | None
    target: Target | None
    fact: Fact | None


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What a plan file would change for one indicator: a target, its district's, its weights, its name, its meaning.

    Or for a measure, or the whole (`plan`): what the file says of it besides.
    """

    indicator: str
    what: str
    district: str | None
    before: str | None
    after: str | None


class History:
    """The targets of one plan with all that was decided on them, as far as a view knows it."""

    def __init__(self, plan: Plan, view: View) -> None:
        # In the order in which they were decided: each was compared with the one before.
        adoptions = sorted(
            ((adopted, standing) for adopted, standing in view.of(PlanAdopted) if adopted.plan == plan.id),
            key=lambda one: one[1].root,
        )
        self._counted = plan
        self.adoptions = tuple(standing.fact for _, standing in adoptions)
        self._changes: defaultdict[tuple[str, str | None], list[Change]] = defaultdict(list)
        self._weights: defaultdict[str, list[tuple[date, Plan]]] = defaultdict(list)
        self._months: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
        self._district_splits: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
        documents = [plan_of(adopted) for adopted, _ in adoptions]
        # What was adopted first holds for all days before; until then the file itself does.
        base = documents[0] if documents else plan
        self._take(base, None, date.min, self.adoptions[0] if adoptions else None)
        for (adopted, standing), before, after in zip(adoptions[1:], documents, documents[1:], strict=False):
            self._take(after, before, adopted.effective_from, standing.fact)
        self.adopted = documents[-1] if documents else None
        self.plan = documents[-1] if documents else plan
        for revised, standing in view.of(TargetRevised):
            if revised.plan == plan.id:
                self._add(revised.indicator, revised.district, revised.effective_from, None, target_of(revised),
                          standing.fact)  # fmt: skip
        splits = [(split, standing.fact) for split, standing in view.of(TargetSplit) if split.plan == plan.id]
        for split, fact in sorted(splits, key=lambda one: (one[0].effective_from, one[1].position)):
            if split.over == "months":
                self._months[split.indicator, split.period].append(fact)
                continue
            self._district_splits[split.indicator, split.period].append(fact)
            op = self._op_of_parts(split)
            for district, part in split.parts.items():
                self._add(split.indicator, district, split.effective_from, split.period,
                          Target(op=op, value=decimal(part)), fact)  # fmt: skip
        for changes in self._changes.values():
            changes.sort(key=lambda change: (change.effective_from, change.position))
        for weights in self._weights.values():
            weights.sort(key=lambda one: one[0])

    def _take(self, plan: Plan, before: Plan | None, on: date, fact: Fact | None) -> None:
        """Take what a plan says, as far as it differs from the one before: an unchanged line undoes no revision."""
        for _, indicator in plan.indicators.values():
            old = before.indicators[indicator.id][1] if before and indicator.id in before.indicators else None
            if before is None or old is None or old.target != indicator.target:
                self._add(indicator.id, None, on, None, indicator.target, fact)
            was = old.district_targets if old else {}
            for district in {**was, **indicator.district_targets}:
                if before is None or was.get(district) != indicator.district_targets.get(district):
                    self._add(indicator.id, district, on, None, indicator.district_targets.get(district), fact)
            self._weights[indicator.id].append((on, plan))
        for gone in (before.indicators.keys() if before else set()) - plan.indicators.keys():
            for place in (None, *self._counted.district_codes):
                self._add(gone, place, on, None, None, fact)

    def _add(
        self, indicator: str, district: str | None, on: date, period: str | None, target: Target | None,
        fact: Fact | None,
    ) -> None:  # fmt: skip
        position = fact.position if fact and on != date.min else 0
        self._changes[indicator, district].append(Change(on, position, period, target, fact))

    def _op_of_parts(self, split: TargetSplit) -> Literal[">=", ">", "="]:
        """A part is compared as the whole is; a part of a range has a lower bound only."""
        found = self.plan.indicators.get(split.indicator)
        whole = self._last(split.indicator, None, split.period, split.effective_from)
        target = whole.target if whole else found[1].target if found else None
        op = target.op if target is not None else ">="
        return op if op in (">", "=") else ">="

    def _last(self, indicator: str, district: str | None, period: str, on: date) -> Change | None:
        """Return the change that holds on a day; they may not be in order yet."""
        found = [
            change
            for change in self._changes.get((indicator, district), ())
            if change.effective_from <= on and change.period in (None, period)
        ]
        return max(found, key=lambda change: (change.effective_from, change.position), default=None)

    def target(self, indicator: str, district: str | None, period: str, on: date) -> InForce | None:
        """Return the target in force on a day for a period, `plan` or a year; None where none is set.

        A day after the period asks for its last day.
        """
        on = min(on, last_day(self._counted, period))
        change = self._last(indicator, district, period, on)
        if change is None or change.target is None:
            return None
        target, event = change.target, event_of(change.fact)
        if isinstance(event, TargetRevised) and (began := self._baseline(change, indicator, district)) is not None:
            target = target.model_copy(update={"baseline": began})
        weighed_by = self._weighed_by(indicator, on)
        measure, found = weighed_by.indicators[indicator]
        clause = event.clause if isinstance(event, TargetRevised) and event.clause else measure.id
        by_months = self._split_in_force(self._months[indicator, period], on)
        # The months are those of the plan that is counted, whatever period an adopted file names.
        if by_months is None:
            weights = weights_of(self._counted, found, period, weighed_by)
            return InForce(target, weights, clause, change.fact)
        parts = {month: decimal(part) for month, part in _split(by_months).parts.items()}
        weights = tuple(parts.get(f"{first:%Y-%m}", Decimal(0)) for first in months_of(self._counted, period))
        return InForce(target, weights, clause, change.fact, by_months, parts)

    def _weighed_by(self, indicator: str, on: date) -> Plan:
        """Return the plan whose weights hold on a day: the one adopted last before it, else the first that has it."""
        adopted = self._weights.get(indicator)
        if not adopted:
            return self._counted  # revised, and the adoption that brought it withdrawn
        return next((plan for day, plan in reversed(adopted) if day <= on), adopted[0][1])

    def _baseline(self, change: Change, indicator: str, district: str | None) -> Decimal | None:
        """Return where a level started from: a revision that says nothing of it leaves it as it was."""
        changes = self._changes[indicator, district]
        for earlier in reversed(changes[: changes.index(change) + 1]):
            known = earlier.target.baseline if earlier.target else None
            if known is not None or not isinstance(event_of(earlier.fact), TargetRevised):
                return known
        return None

    def changes(self, indicator: str, district: str | None) -> Sequence[Change]:
        """Return every change of a target, in the order in which they take effect."""
        return self._changes.get((indicator, district), ())

    def splits(self, indicator: str, period: str, on: date) -> list[Fact]:
        """Return the splits in force on a day, of districts and of months."""
        found = (self._split_in_force(kind[indicator, period], on) for kind in (self._district_splits, self._months))
        return [fact for fact in found if fact is not None]

    def _split_in_force(self, splits: Iterable[Fact], on: date) -> Fact | None:
        return next((fact for fact in reversed(list(splits)) if _split(fact).effective_from <= on), None)


def _split(fact: Fact) -> TargetSplit:
    assert isinstance(fact.event, TargetSplit)  # noqa: S101 - only such facts are kept there
    return fact.event


def decimal(number: int | float) -> Decimal:
    """Return a JSON number as it was written, so that parts add up."""
    return Decimal(str(number))


def goal_of(indicator: Indicator, target: Target) -> Decimal:
    """Return the number to be reached: of `all`, how many there are; of a range, its lower bound."""
    if target.value is not None:
        return target.value
    return Decimal(len(indicator.value.each)) if isinstance(indicator.value, Milestones) else Decimal(0)


def target_of(revised: TargetRevised) -> Target:
    """Return the target that a revision sets; raises ValueError when value and comparator do not fit."""
    numbers = {name: getattr(revised, name) for name in ("value", "upper", "baseline")}
    return Target(op=revised.op, **{name: decimal(n) for name, n in numbers.items() if n is not None})


def plan_of(adopted: PlanAdopted) -> Plan:
    """Return the plan that an adoption holds; raises PlanError."""
    return _parsed(orjson.dumps(adopted.document))


@lru_cache(16)
def _parsed(document: bytes) -> Plan:
    return check_plan(orjson.loads(document))


def document_of(plan: Plan) -> dict[str, object]:
    """Return a plan as an adoption holds it."""
    shown: dict[str, object] = orjson.loads(plan.model_dump_json(by_alias=True, exclude_unset=True))
    return shown


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
    """Return what a plan file, by default the plan's own, lets each month of a period weigh."""
    said = weighed_by or plan
    return _weights(*bounds(plan, period), tuple(indicator.month_weights or said.month_weights), said.years[0])


@lru_cache(maxsize=512)
def _weights(first: date, last: date, weights: tuple[int | Decimal, ...], year: int) -> tuple[Decimal, ...]:
    """Return what the months between two days weigh; `weights` begin with the January of a year and come again."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(Decimal(weights[(month - year * 12) % len(weights)]) for month in months)


def differences(before: Plan | None, after: Plan) -> list[PlanDifference]:
    """Return what adopting a plan changes against the one before; without one, every target is new."""
    found = _besides(before, after) if before else []
    olds = {id_: indicator for id_, (_, indicator) in before.indicators.items()} if before else {}
    news = {id_: indicator for id_, (_, indicator) in after.indicators.items()}
    for id_ in [*news, *(id_ for id_ in olds if id_ not in news)]:
        old, new = olds.get(id_), news.get(id_)
        if old is None or new is None:
            found.append(PlanDifference(id_, "indicator", None, _shown(old), _shown(new)))
            continue
        if old.target != new.target:
            found.append(PlanDifference(id_, "target", None, show_target(old.target), show_target(new.target)))
        for district in sorted({**old.district_targets, **new.district_targets}):
            was, is_ = old.district_targets.get(district), new.district_targets.get(district)
            if was != is_:
                found.append(PlanDifference(id_, "target", district, show_target(was), show_target(is_)))
        was_weighed = str(list(old.month_weights or (before or after).month_weights))
        is_weighed = str(list(new.month_weights or after.month_weights))
        if was_weighed != is_weighed:
            found.append(PlanDifference(id_, "weights", None, was_weighed, is_weighed))
        if old.name != new.name:
            found.append(
                PlanDifference(id_, "name", None, f"{old.name.zh} {old.name.en}", f"{new.name.zh} {new.name.en}")
            )
        if (old.value, old.basis, old.unit) != (new.value, new.basis, new.unit):
            found.append(PlanDifference(id_, "what-counts", None, _meaning(old), _meaning(new)))
    return found


def _meaning(indicator: Indicator) -> str:
    return f"{indicator.basis} {indicator.unit} {indicator.value.model_dump_json(by_alias=True, exclude_unset=True)}"


def _besides(before: Plan, after: Plan) -> list[PlanDifference]:
    """Return what a file says otherwise of the plan as a whole and of its measures."""
    pairs: list[tuple[str, BaseModel | None, BaseModel | None]] = [("plan", before, after)]
    olds, news = ({measure.id: measure for measure in plan.measures} for plan in (before, after))
    pairs += [(id_, olds.get(id_), news.get(id_)) for id_ in dict.fromkeys((*news, *olds))]
    found = []
    for id_, *both in pairs:
        was, is_ = ({} if one is None else one.model_dump(mode="json", exclude=_BY_INDICATOR) for one in both)
        found += [
            PlanDifference(id_, field, None, _text(was.get(field)), _text(is_.get(field)))
            for field in dict.fromkeys((*was, *is_))
            if was.get(field) != is_.get(field)
        ]
    return found


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _shown(indicator: Indicator | None) -> str | None:
    return None if indicator is None else f"{indicator.name.zh} {indicator.name.en}: {show_target(indicator.target)}"


def show_target(target: Target | None) -> str | None:
    """Return a target in a few signs, None where there is none."""
    if target is None:
        return None
    shown = {"all": "all", "range": f"{target.value} - {target.upper}"}.get(target.op, f"{target.op} {target.value}")
    return shown + (f" (baseline {target.baseline})" if target.baseline is not None else "")


def event_of(fact: Fact | None) -> Event | None:
    """Return what a fact says."""
    return fact.event if fact else None
