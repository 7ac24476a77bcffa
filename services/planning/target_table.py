"""The targets of a plan as a table of rows, and what an edited one asks for: revisions and splits. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from services.planning.targets_in_force import History, TargetInForce, bounds, goal_of, periods_of
from shared.plan.model import Indicator, Plan, Target

FEN: Final = 100
OPS: Final = (">=", ">", "=", "range", "all")


class TargetRow(NamedTuple):
    """A line of the table; money in yuan. `parts`: by district; `difference`: the target less their sum, as stated."""

    row: int
    indicator: str
    period: str
    op: str | None
    value: Decimal | None
    upper: Decimal | None
    parts: Mapping[str, Decimal]
    difference: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TableFault:
    """What is wrong in a cell; `column` is the key of its column."""

    row: int
    column: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class TableChange:
    """One thing that the table changes; `district` None: of the whole. As people read it, money in yuan."""

    row: int
    indicator: str
    name: dict[str, str]
    period: str
    district: str | None
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class TableReport:
    """A report that the table asks for; who decides and why is added by its sender."""

    row: int
    type: Literal["target-revised", "target-split"]
    subject: str
    data: dict[str, JsonValue]


@dataclass(slots=True)
class TableDifferences:
    """What adopting a table would change, what is wrong in it, and the reports that it asks for: none with a fault."""

    changes: list[TableChange] = field(default_factory=list)
    faults: list[TableFault] = field(default_factory=list)
    reports: list[TableReport] = field(default_factory=list)


def in_unit(value: Decimal | None, unit: str) -> Decimal | None:
    """Return a number of a target as people write it: money in yuan."""
    return None if value is None else value / FEN if unit == "fen" else value


def rows_of(history: History, plan: Plan, on: date) -> Iterator[TargetRow]:
    """Yield a row for each indicator and period, as in force on a day."""
    row = 1
    for _, indicator in history.plan.indicators.values():
        for period in periods_of(plan, indicator):
            row += 1
            day = max(on, bounds(plan, period)[0])
            whole = _target(history.target(indicator.id, None, period, day))
            parts = _parts(history, plan, indicator, period, day)
            unit = indicator.unit
            amount = {code: amount for code, part in parts.items() if (amount := in_unit(part, unit)) is not None}
            gap = None
            if whole and parts and not indicator.is_ratio:
                gap = in_unit(goal_of(indicator, whole) - sum(parts.values(), Decimal(0)), unit)
            yield TargetRow(
                row, indicator.id, period, whole.op if whole else None,
                in_unit(whole.value, unit) if whole else None, in_unit(whole.upper, unit) if whole else None,
                amount, gap or None,
            )  # fmt: skip


def _target(in_force: TargetInForce | None) -> Target | None:
    return None if in_force is None else in_force.target


def _parts(history: History, plan: Plan, indicator: Indicator, period: str, day: date) -> dict[str, Decimal]:
    targets = {code: _target(history.target(indicator.id, code, period, day)) for code in sorted(plan.district_codes)}
    return {code: target.value for code, target in targets.items() if target is not None and target.value is not None}


def compare(
    history: History, plan: Plan, rows: Sequence[TargetRow], effective_from: date, faults: Sequence[TableFault] = ()
) -> TableDifferences:
    """Compare a table with the targets in force from a day on; a line left out changes nothing.

    `faults`: those that were found in its cells.
    """
    result = TableDifferences(faults=[*faults])
    by_cell: dict[tuple[str, str], TargetRow] = {}
    for row in rows:
        place = history.plan.indicators.get(row.indicator)
        if place is None or row.period not in periods_of(plan, place[1]):
            result.faults.append(TableFault(row.row, "indicator", "该计划没有这一行的指标或期间。",
                                           "The plan has no such indicator or period."))  # fmt: skip
        elif (row.indicator, row.period) in by_cell:
            result.faults.append(TableFault(row.row, "indicator", "这一行写了两次。", "This line is there twice."))
        else:
            by_cell[row.indicator, row.period] = row
    for _, indicator in history.plan.indicators.values():
        whole: Target | None = None
        for period in periods_of(plan, indicator):
            if (given := by_cell.get((indicator.id, period))) is not None:
                whole = _Line(history, plan, indicator, given, effective_from, result).compare(whole)
    if result.faults:
        result.reports.clear()
    return result


@dataclass(slots=True)
class _Line:
    """One line of a table, compared with what is in force."""

    history: History
    plan: Plan
    indicator: Indicator
    given: TargetRow
    effective_from: date
    result: TableDifferences

    def compare(self, revised: Target | None) -> Target | None:
        """Take up its changes; `revised`: what lines of earlier years make of the target. Return what it is after."""
        first, last = bounds(self.plan, self.given.period)
        day = max(self.effective_from, first)
        before = revised or _target(self.history.target(self.indicator.id, None, self.given.period, min(day, last)))
        after = self._wanted(before)
        parts = _parts(self.history, self.plan, self.indicator, self.given.period, min(day, last))
        if after is None:
            return revised
        is_changed = before is None or _numbers(before) != _numbers(after)
        has_parts = self._has_other_parts(parts, after)
        if not is_changed and not has_parts:
            return revised
        if day > last:
            self._fault("period", "生效日期晚于这一期的期末,不再改变。", "This period ends before the day of effect.")
            return revised
        if is_changed:
            self._change(
                None, _target_text(before, self.indicator.unit), _target_text(after, self.indicator.unit) or ""
            )
            self._report("target-revised", None, _numbers(after), day)
        if has_parts:
            self._take_parts(parts, after, day)
        return after if is_changed else revised

    def _wanted(self, before: Target | None) -> Target | None:
        given, unit = self.given, self.indicator.unit
        if given.op is None:
            if before is not None:
                self._fault("op", "目标不能在表中删除。", "A target cannot be removed in the table.")
            elif given.value is not None or given.parts:
                self._fault("op", "请写明比较方式。", "Say how it is compared.")
            return None
        try:
            op: Literal[">=", ">", "=", "range", "all"] = given.op  # type: ignore[assignment]
            return Target(op=op, value=_whole_fen(given.value, unit), upper=_whole_fen(given.upper, unit))
        except ValueError:
            self._fault(
                "value", "比较方式与数值不配,或数值有误。", "Comparator and number do not fit, or one is wrong."
            )
            return None

    def _has_other_parts(self, parts: Mapping[str, Decimal], after: Target) -> bool:
        if not self.given.parts and parts:
            self._fault("parts", "分解不能在表中删除。", "A split cannot be removed in the table.")
            return False
        try:
            wanted = {code: _whole_fen(part, self.indicator.unit) for code, part in self.given.parts.items()}
        except ValueError:
            self._fault("parts", "金额至多两位小数。", "Money has two decimals at most.")
            return False
        return wanted != {**parts} and bool(wanted)

    def _take_parts(self, parts: Mapping[str, Decimal], after: Target, day: date) -> None:
        unit = self.indicator.unit
        wanted = {code: part for code, each in self.given.parts.items() if (part := _whole_fen(each, unit)) is not None}
        if self.indicator.is_ratio:
            for code, part in wanted.items():
                if parts.get(code) != part:
                    target = Target(op=after.op, value=part)
                    self._change(code, _number(parts.get(code), unit), _number(part, unit) or "")
                    self._report("target-revised", code, _numbers(target), day)
            return
        gap = goal_of(self.indicator, after) - sum(wanted.values(), Decimal(0))
        if gap != (_whole_fen(self.given.difference, unit) or 0):
            amount = _number(gap, unit)
            self._fault(
                "difference",
                f"各区、县(市)合计与目标相差 {amount};请改正,或在“差额”列写明。",
                f"The parts leave a gap of {amount}: correct them, or state it in the column “Difference”.",
            )
            return
        for code, part in wanted.items():
            if parts.get(code) != part:
                self._change(code, _number(parts.get(code), unit), _number(part, unit) or "")
        data: dict[str, JsonValue] = {"period": self.given.period, "over": "districts"}
        data |= {"parts": {code: _json(part) for code, part in wanted.items()}}
        data |= {"difference": _json(gap)} if gap else {}
        subject = f"split/{self.plan.id}/{self.indicator.id}/{self.given.period}/districts"
        self._add_report("target-split", subject, data, day)

    def _report(self, type_: Literal["target-revised"], district: str | None, numbers: "_Numbers", day: date) -> None:
        data: dict[str, JsonValue] = {"op": numbers.op}
        named = (("value", numbers.value), ("upper", numbers.upper))
        data |= {name: _json(each) for name, each in named if each is not None}
        data |= {"district": district} if district else {}
        self._add_report(type_, f"target/{self.plan.id}/{self.indicator.id}", data, day)

    def _add_report(
        self, type_: Literal["target-revised", "target-split"], subject: str, data: dict[str, JsonValue], day: date
    ) -> None:
        whose: dict[str, JsonValue] = {"plan": self.plan.id, "indicator": self.indicator.id}
        effective: dict[str, JsonValue] = {"effective_from": day.isoformat()}
        self.result.reports.append(TableReport(self.given.row, type_, subject, whose | data | effective))

    def _change(self, district: str | None, before: str | None, after: str) -> None:
        name = {"zh": self.indicator.name.zh, "en": self.indicator.name.en}
        self.result.changes.append(
            TableChange(self.given.row, self.indicator.id, name, self.given.period, district, before, after)
        )

    def _fault(self, column: str, zh: str, en: str) -> None:
        self.result.faults.append(TableFault(self.given.row, column, zh, en))


class _Numbers(NamedTuple):
    """A target without its baseline, which a table does not have."""

    op: str
    value: Decimal | None
    upper: Decimal | None


def _numbers(target: Target) -> _Numbers:
    return _Numbers(target.op, target.value, target.upper)


def _whole_fen(value: Decimal | None, unit: str) -> Decimal | None:
    """Return a number as the contract has it; raises ValueError for parts of a fen."""
    if value is None or unit != "fen":
        return value
    if (fen := value * FEN) != fen.to_integral_value():
        raise ValueError
    return fen


def _json(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _number(value: Decimal | None, unit: str) -> str | None:
    amount = in_unit(value, unit)
    return None if amount is None else f"{amount.normalize():,f}"


def _target_text(target: Target | None, unit: str) -> str | None:
    if target is None:
        return None
    if target.op == "range":
        return f"{_number(target.value, unit)} - {_number(target.upper, unit)}"
    return "all" if target.op == "all" else f"{target.op} {_number(target.value, unit)}"
