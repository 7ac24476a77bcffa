"""The tables in which the commands print targets, their history, months and the changes of a plan file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from client.commands.plan.planning import (
    DiffAnswer,
    IndicatorAnswer,
    MonthAnswer,
    TableAnswer,
    TargetAnswer,
    TargetsAnswer,
)
from client.districts import DistrictNames
from client.output import CommandError, Output, text

_FEN = 100
DISTRICT_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "open": ("未提交", "open"),
    "submitted": ("已提交", "submitted"),
    "returned": ("已退回", "returned"),
    "approved": ("已核准", "approved"),
}
MONTH_STATES: Final[Mapping[str, tuple[str, str]]] = {"open": ("未关账", "open"), "closed": ("已关账", "closed")}
# Each with the command that does it.
ACT_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "submit": ("提交", "submit"),
    "approve": ("核准", "approve"),
    "return": ("退回", "return"),
    "override": ("破例", "override"),
    "close": ("关账", "close"),
    "request-restatement": ("申请重述", "restate --ask"),
    "restate": ("核准重述", "restate --number"),
    "withdraw": ("撤回", "withdraw"),
}


def print_diff(output: Output, diff: DiffAnswer, districts: DistrictNames) -> None:
    """Print what adopting a file would change."""
    heads = ("指标", "项目 What", "原 Before", "新 After")
    rows = [
        [
            change["indicator"],
            " ".join([change["what"], *([districts.label(change["district"])] if change["district"] else ())]),
            change["before"] or "–", change["after"] or "–",
        ]
        for change in diff["changes"]
    ]  # fmt: skip
    against = (diff["against"] or "–")[:12]
    output.table(heads, rows, f"{diff['plan']}: {against} → {diff['sha256'][:12]}", len(heads))


def print_table(output: Output, table: TableAnswer, districts: DistrictNames) -> None:
    """Print what an edited workbook would change, and what is wrong in it."""
    heads = ("指标", "期间 Period", "区县 District", "现在 Now", "改为 Then")
    rows = [
        [
            f"{change['indicator']} {change['name']['zh']}", change["period"],
            _place(change["district"], districts),
            change["before"] or "–", change["after"],
        ]
        for change in table["changes"]
    ]  # fmt: skip
    if rows:
        output.table(heads, rows, f"{table['plan']} {table['effective_from']}", len(heads))
    elif not table["faults"]:
        output.line(text("与现行的相同,没有改动。", "This is what is in force: nothing would change.", " "))
    for fault in table["faults"]:
        output.problem(f"第 {fault['row']} 行:{fault['zh']}", f"Row {fault['row']}: {fault['en']}")


def print_targets(output: Output, targets: TargetsAnswer) -> None:
    """Print the targets in force."""
    adopted = targets["adopted"]
    state = "未采用,以文件为准 nothing adopted: the file holds" if adopted is None else adopted["sha256"][:12]
    heads = ("指标", "名称 Name", "期间", "目标 Target", "区县合计", "差额")
    rows = [
        [
            indicator["id"], f"{indicator['name']['zh']} {indicator['name']['en']}", period["period"],
            _target(period["target"], indicator["unit"]),
            _number(period["sum_of_districts"], indicator["unit"]), _number(period["difference"], indicator["unit"]),
        ]
        for indicator in targets["indicators"] for period in indicator["periods"]
    ]  # fmt: skip
    output.table(heads, rows, f"{targets['plan']} {targets['on']} ({state})", len(heads))


def print_indicator(output: Output, targets: TargetsAnswer, indicator: str, districts: DistrictNames) -> None:
    """Print the target of one indicator and its parts; raises CommandError where there is no such indicator."""
    targets["indicators"] = [entry for entry in targets["indicators"] if entry["id"] == indicator]
    if not targets["indicators"]:
        raise CommandError("该计划没有这个指标。", "This plan has no such indicator.")
    output.record(targets)
    print_targets(output, targets)
    print_parts(output, targets["indicators"][0], districts)


def print_parts(output: Output, indicator: IndicatorAnswer, districts: DistrictNames) -> None:
    """Print how a target is split over districts and months."""
    rows: list[list[str]] = []
    unit = indicator["unit"]
    for period in indicator["periods"]:
        shares = [
            [period["period"], districts.label(code), _target(part, unit)] for code, part in period["districts"].items()
        ]
        months = period["target"]["months"] if period["target"] else None
        parts = [[period["period"], month, _number(part, unit)] for month, part in (months or {}).items()]
        if shares:
            rows += [*shares, [period["period"], "差额 difference", _number(period["difference"], unit)]]
        if parts:
            rows += [*parts, [period["period"], "差额 difference", _number(period["difference_of_months"], unit)]]
    heads = ("期间", "区县或月份 District or month", "目标 Target")
    output.table(heads, rows, f"{indicator['id']} 分解 Parts", len(heads))


def print_history(output: Output, indicator: IndicatorAnswer, districts: DistrictNames) -> None:
    """Print how a target came to be what it is."""
    heads = ("生效 From", "对象 For", "目标 Target", "经办 By", "理由 Why", "报告 Report")
    rows = [
        [
            step.get("effective_from") or "", _place(step["district"], districts),
            _target(step["target"], indicator["unit"]), step["by"] or "", step["why"] or "", step.get("id") or "",
        ]
        for step in indicator["history"]
    ]  # fmt: skip
    output.table(heads, rows, f"{indicator['id']} 沿革 History", len(heads))


def print_month(output: Output, month: MonthAnswer, districts: DistrictNames) -> None:
    """Print how a month stands and what may be done."""
    heads = ("区县 District", "状态 State", "经办 By", "说明 Message")
    rows = [
        [
            districts.label(each["district"]),
            _name(DISTRICT_STATES, each["state"]),
            each.get("by") or "",
            each.get("message") or "",
        ]
        for each in month["districts"]
    ]
    output.table(heads, rows, f"{month['plan']} {month['month']}: {_name(MONTH_STATES, month['state'])}", len(heads))
    between = "、" if text("zh", "en") == "zh" else ", "
    acts = between.join(_name(ACT_NAMES, act) for act in month["may"])
    output.line(f"{text('可办', 'may', ' ')}: {acts or '–'}")
    for number in dict.fromkeys(request["request_no"] for request in month["requests"]):
        output.line(f"{text('申请编号', 'request', ' ')}: {number}")


def _place(code: str | None, districts: DistrictNames) -> str:
    return "全市 whole" if code is None else districts.label(code)


def _name(names: Mapping[str, tuple[str, str]], code: str) -> str:
    return text(*names.get(code, (code, code)), " ")


def _target(target: TargetAnswer | None, unit: str) -> str:
    if target is None or target["op"] is None:
        return "–"
    match target["op"]:
        case "range":
            return f"{_number(target['value'], unit)}–{_number(target['upper'], unit)}"
        case "all":
            return "all"
        case op:
            return f"{op} {_number(target['value'], unit)}"


def _number(value: float | None, unit: str) -> str:
    """Write a number for people: money in yuan with its unit (RULES E29)."""
    if value is None:
        return "–"
    return f"{value / _FEN:,.2f} 元 yuan" if unit == "fen" else f"{value:,}"
