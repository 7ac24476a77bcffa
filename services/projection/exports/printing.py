"""Decides how the monthly briefing looks on paper: one page of HTML without scripts, every text escaped."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final, Literal

Language = Literal["zh", "en"]
Row = Mapping[str, Any]
TEXTS: Final[Mapping[str, Mapping[Language, str]]] = {
    "title": {"zh": "月度通报", "en": "Monthly briefing"},
    "as_of": {"zh": "截至 {as_of},按 {known_at} 已知的事实", "en": "As of {as_of}, by what was known at {known_at}"},
    "behind": {"zh": "尚有 {count} 条事实待计入", "en": "{count} facts not counted yet"},
    "unknown": {"zh": "部分服务无应答,不知是否完整", "en": "A service does not answer: it may be incomplete"},
    "whole": {"zh": "全市", "en": "Whole city"},
    "measure": {"zh": "措施", "en": "Measure"},
    "clause": {"zh": "条文", "en": "Clause"},
    "lead": {"zh": "责任单位", "en": "Lead units"},
    "id": {"zh": "编号", "en": "No."},
    "indicator": {"zh": "指标", "en": "Indicator"},
    "period": {"zh": "期间", "en": "Period"},
    "unit": {"zh": "单位", "en": "Unit"},
    "target": {"zh": "目标", "en": "Target"},
    "value": {"zh": "当前值", "en": "Value"},
    "expected": {"zh": "时序应达", "en": "Expected"},
    "progress": {"zh": "完成率", "en": "Of target"},
    "signal": {"zh": "信号", "en": "Signal"},
    "change": {"zh": "比上月末", "en": "Since last month"},
    "forecast": {"zh": "期末预测", "en": "Forecast"},
    "rule": {"zh": "信号依据", "en": "Why this signal"},
    "before": {"zh": "上月末信号", "en": "Signal a month ago"},
    "districts": {"zh": "各区、县(市)", "en": "District by district"},
    "turned": {"zh": "信号变化", "en": "Signals that changed"},
    "none-turned": {"zh": "与上月末相比,没有信号变化。", "en": "No signal has changed since the end of last month."},
    "plan": {"zh": "计划期", "en": "plan"},
    "monitored": {"zh": "监测", "en": "monitored"},
    "no-value": {"zh": "暂无法计算", "en": "not computable"},
    "not-enough-data": {"zh": "数据不足", "en": "not enough data"},
    "met": {"zh": "已达成", "en": "met"},
    "green": {"zh": "正常", "en": "on pace"},
    "amber": {"zh": "偏慢", "en": "slightly behind"},
    "red": {"zh": "滞后", "en": "behind"},
    "none": {"zh": "监测", "en": "monitored"},
    "overview": {"zh": "总览", "en": "Overview"},
    "facts": {"zh": "本月事实", "en": "Facts of the month"},
    "on": {"zh": "日期", "en": "Date"},
    "district": {"zh": "区划代码", "en": "District"},
    "subject": {"zh": "事项", "en": "Subject"},
    "type": {"zh": "类型", "en": "Type"},
    "source": {"zh": "来源", "en": "Source"},
    "report": {"zh": "报告编号", "en": "Report"},
    "recorded_at": {"zh": "入账时刻", "en": "Recorded at"},
    "counts": {"zh": "计入", "en": "Counts"},
    "cut": {"zh": "事实过多,余下的请用 CSV 导出。", "en": "Too many facts for a sheet; export the rest as CSV."},
}
SIGNALS: Final = ("met", "green", "amber", "red", "none")
# Each signal is told by its word as well: paper is often grey.
COLOURS: Final = {"met": "#d6e6fb", "green": "#d9f0dd", "amber": "#fdebc2", "red": "#f9d3cf", "none": "#eeeeee"}
_OPS: Final = {">=": "≥ ", ">": "> ", "=": "= ", "range": "", "all": ""}
_FEN: Final = 100
_COLUMNS: Final = (
    "measure", "indicator", "unit", "target", "value", "expected", "progress", "signal", "change", "forecast",
)  # fmt: skip
_CSS: Final = (
    "@page{size:A4 landscape;margin:12mm}"
    "body{font:10pt/1.45 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;color:#111;"
    "background:#fff;margin:1.5rem auto;max-width:72rem;padding:0 1rem}"
    "h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:1.6em 0 .4em;break-after:avoid}p{margin:.2em 0}"
    "table{border-collapse:collapse;width:100%;margin:.4em 0 1em}th,td{border:1px solid #999;padding:.2em .45em;"
    "text-align:left;vertical-align:top}th{background:#f2f2f2;font-weight:600}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}tr{break-inside:avoid}thead{display:table-header-group}"
    ".s{font-size:.85em;color:#444}.wide{overflow-x:auto}th.measure{width:24%}th.indicator{width:16%}"
    + "".join(f".{signal}{{background:{colour}}}" for signal, colour in COLOURS.items())
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}


def text(key: str, language: Language) -> str:
    """Return one of our own texts."""
    return TEXTS[key][language]


def amount(value: float | None, unit: str, signed: bool = False) -> str:
    """Return a number as people read it: thousands parted, two decimals at most, fen as yuan."""
    if value is None:
        return "–"
    shown = value / _FEN if unit == "fen" else value
    sign = "+" if signed and shown else ""
    if shown == int(shown) and unit != "fen":
        return f"{int(shown):{sign},d}"
    return f"{shown:{sign},.2f}"


def unit_name(body: Row, unit: str, language: Language) -> str:
    """Return what a unit is called; fen are shown as yuan."""
    if unit == "fen":
        return {"zh": "元", "en": "yuan"}[language]
    name = body["units"].get(unit)
    return str(name[language]) if name else unit


def goal(row: Row, language: Language) -> str:
    """Return a target with its comparator."""
    target = row["target"]
    if target is None:
        return text("monitored", language)
    least = amount(target["value"], row["unit"])
    if target["op"] == "range":
        return f"{least}–{amount(target['upper'], row['unit'])}"
    return f"{_OPS[target['op']]}{least}" + (f"/{least}" if target["op"] == "all" else "")


def outlook(row: Row, language: Language) -> str:
    """Return the forecast with its range."""
    found = row["forecast"]
    if found["value"] is None:
        return text("not-enough-data", language)
    # What is counted comes whole.
    value, low, high = (
        amount(round(found[part], 2 if row["denominator"] is not None else None), row["unit"])
        for part in ("value", "low", "high")
    )
    return value if low == high else f"{value} ({low}–{high})"


def rows_of(body: Row) -> Iterator[tuple[Row, Row, Row]]:
    """Yield series, measure and indicator, in the policy's order."""
    for series in body["series"]:
        for measure in series["measures"]:
            for indicator in measure["indicators"]:
                yield series, measure, indicator


def freshness(body: Row, language: Language) -> str:
    """Return what is not in these numbers yet; empty when all is."""
    behind = [place["behind_events"] for place in body["complete_to"].values()]
    if None in behind:
        return text("unknown", language)
    return text("behind", language).format(count=sum(behind)) if sum(behind) else ""


def place(body: Row, language: Language) -> str:
    """Return for whom it is: the whole city, or one district."""
    names = {one["code"]: one["name"][language] for one in body["districts"]}
    return names[body["district"]] if body["district"] else text("whole", language)


def page(body: Row, language: Language) -> str:
    """Return the briefing as one page."""
    tag = {"zh": "zh-CN", "en": "en"}[language]
    title = f"{place(body, language)} {body['month']} {text('title', language)}"
    return (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_CSS}</style></head><body>{''.join(_parts(body, language, title))}</body></html>"
    )


def _parts(body: Row, language: Language, title: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1><p>{escape(body['title'][language])} {escape(body['document_no'])}</p>"
    known = body["known_at"][:16].replace("T", " ") + " UTC"
    yield f"<p>{escape(text('as_of', language).format(as_of=body['as_of'], known_at=known))}"
    yield f" {escape(freshness(body, language))}</p><table><tr>"
    for signal in SIGNALS:
        yield f'<td class="{signal}">{escape(text(signal, language))} <b>{body["summary"][signal]}</b></td>'
    yield f"</tr></table><h2>{escape(text('turned', language))}</h2>"
    yield from _turned(body, language)
    for series in body["series"]:
        yield f"<h2>{escape(series['id'])} {escape(series['name'][language])}</h2>"
        yield from _series(body, series, language)
        yield from _matrix(body, series, language)


def _turned(body: Row, language: Language) -> Iterator[str]:
    if not body["turned"]:
        yield f"<p>{escape(text('none-turned', language))}</p>"
        return
    yield _head(("indicator", "before", "signal", "change", "rule"), language)
    for _, _, row in rows_of(body):
        if row["id"] in body["turned"]:
            before = row["before"]["signal"]
            change = amount(row["change"], row["unit"], signed=True)
            yield (
                f"<tr><td>{_named(row, language)}</td>{_signal(before, language)}{_signal(row['signal'], language)}"
                f'<td class="n">{change}</td><td>{escape(row["rule"][language])}</td></tr>'
            )
    yield "</tbody></table>"


def _series(body: Row, series: Row, language: Language) -> Iterator[str]:
    yield '<div class="wide">'
    yield _head(_COLUMNS, language)
    for measure in series["measures"]:
        for index, row in enumerate(measure["indicators"]):
            yield "<tr>"
            if index == 0:
                lead = "、".join(one["zh"] for one in measure["lead"])
                lead = lead if language == "zh" else "; ".join(one["en"] for one in measure["lead"])
                yield (
                    f'<td rowspan="{len(measure["indicators"])}"><b>{_named(measure, language)}</b>'
                    f'<p class="s" lang="zh-CN">{escape(measure["text"])}</p><p class="s">{escape(lead)}</p></td>'
                )
            unit, value = row["unit"], row["value"]
            progress = "–" if row["progress"] is None else f"{100 * row['progress']:.1f} %"
            yield (
                f"<td>{_named(row, language)}</td><td>{escape(unit_name(body, unit, language))}</td>"
                f'<td class="n">{escape(goal(row, language))}</td>'
                f'<td class="n">{amount(value, unit) if value is not None else escape(text("no-value", language))}</td>'
                f'<td class="n">{amount(row["expected"], unit)}</td><td class="n">{progress}</td>'
                f"{_signal(row['signal'], language)}"
                f'<td class="n">{amount(row["change"], unit, signed=True)}</td>'
                f'<td class="n">{escape(outlook(row, language))}</td></tr>'
            )
    yield "</tbody></table></div>"


def _matrix(body: Row, series: Row, language: Language) -> Iterator[str]:
    if body["district"]:
        return
    names = [escape(one["name"][language]) for one in body["districts"]]
    yield f'<div class="wide"><table><caption class="s">{escape(text("districts", language))}</caption><thead><tr>'
    yield f"<th>{escape(text('indicator', language))}</th>" + "".join(f"<th>{name}</th>" for name in names)
    yield "</tr></thead><tbody>"
    for measure in series["measures"]:
        for row in measure["indicators"]:
            yield f"<tr><td>{_named(row, language)}</td>"
            for one in body["districts"]:
                there = row["districts"].get(one["code"], {"value": None, "signal": "none", "change": None})
                shade = f" {there['signal']}" if there["signal"] != "none" else ""
                change = there["change"]
                moved = f' <span class="s">({amount(change, row["unit"], signed=True)})</span>' if change else ""
                yield f'<td class="n{shade}">{amount(there["value"], row["unit"])}{moved}</td>'
            yield "</tr>"
    yield "</tbody></table></div>"


def _head(columns: Iterable[str], language: Language) -> str:
    names = "".join(f'<th class="{column}">{escape(text(column, language))}</th>' for column in columns)
    return f"<table><thead><tr>{names}</tr></thead><tbody>"


def _named(row: Row, language: Language) -> str:
    return f"{escape(row['id'])} {escape(row['name'][language])}"


def _signal(signal: str, language: Language) -> str:
    return f'<td class="{signal}">{escape(text(signal, language))}</td>'
