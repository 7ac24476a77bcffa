"""Differences between two plan files: what adopting one in place of the other would change. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import BaseModel, JsonValue

from shared.plan.model import Indicator, Plan, Target

_BY_INDICATOR: Final = {"series", "month_weights", "indicators"}  # compared indicator by indicator


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """One difference between two plan files.

    `indicator`: an indicator's id, a measure's, or `plan` for the plan as a whole. `what`: `indicator` (new or gone),
    `target` (`district` None: of the whole), `weights`, `name`, `what-counts`, or the name of a field.
    """

    indicator: str
    what: str
    district: str | None
    before: str | None
    after: str | None


def differences(before: Plan | None, after: Plan) -> list[PlanDifference]:
    """Return what adopting a plan in place of `before` changes; without `before`, every indicator is new."""
    olds = _indicators(before) if before else {}
    news = _indicators(after)
    changes = list(_outside_indicators(before, after)) if before else []
    for id_ in dict.fromkeys((*news, *olds)):
        old, new = olds.get(id_), news.get(id_)
        if before is None or old is None or new is None:
            changes.append(PlanDifference(id_, "indicator", None, _indicator_text(old), _indicator_text(new)))
        else:
            changes += _of_indicator(old, new, before, after)
    return changes


def _indicators(plan: Plan) -> Mapping[str, Indicator]:
    return {id_: indicator for id_, (_, indicator) in plan.indicators.items()}


def _of_indicator(old: Indicator, new: Indicator, before: Plan, after: Plan) -> Iterator[PlanDifference]:
    if old.target != new.target:
        yield PlanDifference(new.id, "target", None, _target_text(old.target), _target_text(new.target))
    for district in sorted({**old.district_targets, **new.district_targets}):
        was, is_ = old.district_targets.get(district), new.district_targets.get(district)
        if was != is_:
            yield PlanDifference(new.id, "target", district, _target_text(was), _target_text(is_))
    was_weighed, is_weighed = _weights_text(old, before), _weights_text(new, after)
    if was_weighed != is_weighed:
        yield PlanDifference(new.id, "weights", None, was_weighed, is_weighed)
    if old.name != new.name:
        yield PlanDifference(new.id, "name", None, _name_text(old), _name_text(new))
    if (old.value, old.basis, old.unit) != (new.value, new.basis, new.unit):
        yield PlanDifference(new.id, "what-counts", None, _value_text(old), _value_text(new))


def _outside_indicators(before: Plan, after: Plan) -> Iterator[PlanDifference]:
    """Yield the differences in the fields of the plan as a whole and of its measures."""
    olds, news = ({measure.id: measure for measure in plan.measures} for plan in (before, after))
    pairs = [(id_, olds.get(id_), news.get(id_)) for id_ in dict.fromkeys((*news, *olds))]
    for id_, old, new in [("plan", before, after), *pairs]:
        was, is_ = _fields(old), _fields(new)
        for field in dict.fromkeys((*was, *is_)):
            if was.get(field) != is_.get(field):
                yield PlanDifference(id_, field, None, _field_text(was.get(field)), _field_text(is_.get(field)))


def _fields(part: BaseModel | None) -> Mapping[str, JsonValue]:
    return {} if part is None else part.model_dump(mode="json", exclude=_BY_INDICATOR)


def _field_text(value: JsonValue) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _name_text(indicator: Indicator) -> str:
    return f"{indicator.name.zh} {indicator.name.en}"


def _value_text(indicator: Indicator) -> str:
    return f"{indicator.basis} {indicator.unit} {indicator.value.model_dump_json(by_alias=True, exclude_unset=True)}"


def _weights_text(indicator: Indicator, plan: Plan) -> str:
    return str(list(indicator.month_weights or plan.month_weights))


def _indicator_text(indicator: Indicator | None) -> str | None:
    return None if indicator is None else f"{_name_text(indicator)}: {_target_text(indicator.target) or '–'}"


def _target_text(target: Target | None) -> str | None:
    """Return a target as `>= 3000` or `2 - 3 (baseline 1)`; None where there is none."""
    if target is None:
        return None
    match target.op:
        case "all":
            text = "all"
        case "range":
            text = f"{target.value} - {target.upper}"
        case _:
            text = f"{target.op} {target.value}"
    return text if target.baseline is None else f"{text} (baseline {target.baseline})"
