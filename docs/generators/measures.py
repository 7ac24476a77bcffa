"""docs/measures.md: every measure of the plan with its indicators, the reports that feed them, rules and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from docs.generators.catalogue import Catalogue, IncompleteError
from docs.generators.markdown import cell, files, render, table, type_link
from shared.plan.model import Indicator, Measure

_BASES: Final = {"annual": "每年 annual", "cumulative": "累计 cumulative", "level": "时点 level"}
_HEADINGS: Final = (
    "", "指标 Indicator", "单位 Unit", "期间 Basis", "目标 Target", "报告 Reports", "规则 Rules", "测试 Tests",
)  # fmt: skip


def measures(catalogue: Catalogue) -> str:
    """Return docs/measures.md; raises IncompleteError for a measure that is incomplete."""
    plan = catalogue.plan
    if gaps := [gap for series in plan.series for measure in series.measures for gap in _gaps(catalogue, measure)]:
        raise IncompleteError("\n".join(gaps))
    tables = {
        measure.id: table(_HEADINGS, (_row(catalogue, indicator) for indicator in measure.indicators))
        for series in plan.series
        for measure in series.measures
    }
    return render("measures.md", plan=plan, tables=tables)


def _gaps(catalogue: Catalogue, measure: Measure) -> Iterator[str]:
    reports = [name for indicator in measure.indicators for name in catalogue.reports(indicator)]
    unknown = [name for name in reports if name not in catalogue.types]
    yield from (f"{measure.id}: no such type: {name}" for name in unknown)
    if not measure.text.strip():
        yield f"{measure.id}: no clause"
    if not unknown and not any(catalogue.codes_for(name) for name in reports):
        yield f"{measure.id}: no rule"
    for indicator in measure.indicators:
        known = [name for name in catalogue.reports(indicator) if name in catalogue.types]
        if not known:
            yield f"{indicator.id}: no report type"
        elif not catalogue.tests_of_indicator(indicator):
            yield f"{indicator.id}: no test speaks of it or of what feeds it"


def _row(catalogue: Catalogue, indicator: Indicator) -> list[str]:
    names = [name for name in catalogue.reports(indicator) if name in catalogue.types]
    codes = list(dict.fromkeys(code.link for name in names for code in catalogue.codes_for(name)))
    unit = catalogue.plan.units[indicator.unit]
    notes = [f"*{indicator.note.zh} {indicator.note.en}*"] if indicator.note else []
    return [
        f'<a id="{indicator.id}"></a>**{indicator.id}**',
        cell([indicator.name.zh, indicator.name.en, *notes]),
        f"{unit.zh}<br>{unit.en}" if unit.zh != unit.en else unit.zh,
        _BASES[indicator.basis],
        _target(indicator),
        cell(type_link(name) for name in names),
        cell(codes),
        files(catalogue.tests_of_indicator(indicator)),
    ]


def _target(indicator: Indicator) -> str:
    target = indicator.target
    if target is None:
        return "监测 monitored"
    if target.op == "all":
        return "全部 all"
    text = {">=": "≥ ", ">": "> ", "=": "= ", "range": ""}[target.op] + f"{target.value:f}"
    if target.op == "range":
        text += f"–{target.upper:f}"
    return text + (f"<br>基线 baseline {target.baseline:f}" if target.baseline is not None else "")
