"""The words and numbers of the monthly briefing as people read them, in either language."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final, Literal

from services.projection.assessment.pace import Op, Signal
from services.projection.assessment.representation import TargetValue
from services.projection.exports.document import Briefing, BriefingIndicator
from shared.contract.events import LOCAL_TIME

Language = Literal["zh", "en"]
TEXTS: Final[Mapping[str, Mapping[Language, str]]] = {
    "title": {"zh": "月度通报", "en": "Monthly briefing"},
    "as_of": {
        "zh": "截至 {as_of},按北京时间 {known_at} 已知的事实",
        "en": "As of {as_of}, by what was known at {known_at} Beijing time",
    },
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
    "recorded_at": {"zh": "入账时刻(北京时间)", "en": "Recorded at (Beijing time)"},
    "reported_by": {"zh": "报送凭据", "en": "Reported by"},
    "counts": {"zh": "计入", "en": "Counts"},
    "cut": {"zh": "事实过多,余下的请用 CSV 导出。", "en": "Too many facts for a sheet; export the rest as CSV."},
}
SIGNALS: Final[tuple[Signal, ...]] = ("met", "green", "amber", "red", "none")
# A signal is written out beside its colour: paper is often grey.
COLOURS: Final[Mapping[Signal, str]] = {
    "met": "#d6e6fb",
    "green": "#d9f0dd",
    "amber": "#fdebc2",
    "red": "#f9d3cf",
    "none": "#eeeeee",
}
_OPS: Final[Mapping[Op, str]] = {">=": "≥ ", ">": "> ", "=": "= ", "range": "", "all": ""}
DASH: Final = "–"
_FEN: Final = 100
_TENTH: Final = Decimal("0.1")
_HUNDREDTH: Final = Decimal("0.01")
_WHOLE: Final = Decimal(100)
_ALMOST: Final = Decimal("99.9")


def text(key: str, language: Language) -> str:
    """Return a text of the briefing."""
    return TEXTS[key][language]


def amount(value: float | None, unit: str, signed: bool = False) -> str:
    """Return a number as people read it: thousands parted, two decimals at most, fen as yuan."""
    number = rounded(value, unit)
    return DASH if number is None else _text(number, unit, signed)


def rounded(value: float | None, unit: str) -> Decimal | None:
    """Return a number in the unit that people read, with two decimals at most."""
    return None if value is None else _rounded(value, unit, ROUND_HALF_UP)


def achieved(value: float | None, unit: str, met: bool | None, target: TargetValue | None = None) -> Decimal | None:
    """Return a value in the unit that people read, with two decimals at most.

    While its target is not met it is rounded towards "not yet" (RULES E29): never to the target's own figure.
    """
    if value is None:
        return None
    above = target is not None and target["op"] == "=" and value > target["value"]
    return _rounded(value, unit, ROUND_HALF_UP if met is not False else ROUND_CEILING if above else ROUND_FLOOR)


def achieved_text(value: float | None, unit: str, met: bool | None, target: TargetValue | None = None) -> str:
    """Return a value as `achieved` rounds it, as text."""
    number = achieved(value, unit, met, target)
    return DASH if number is None else _text(number, unit)


def progress(row: BriefingIndicator) -> Decimal | None:
    """Return the progress in percent with one decimal; never 100 while the target is not met (RULES E29)."""
    if row["progress"] is None:
        return None
    share = Decimal(repr(row["progress"])) * 100
    if row["met"] is not False:
        return share.quantize(_TENTH, ROUND_HALF_UP)
    return (
        min(share, _ALMOST).quantize(_TENTH, ROUND_FLOOR) if share <= _WHOLE else share.quantize(_TENTH, ROUND_CEILING)
    )


def exact(value: float, unit: str) -> Decimal:
    """Return a figure of the plan in the unit that people read, with all its digits."""
    return _in_unit(value, unit).quantize(_HUNDREDTH) if unit == "fen" else _in_unit(value, unit)


def _in_unit(value: float, unit: str) -> Decimal:
    return Decimal(repr(value)) / (_FEN if unit == "fen" else 1)


def _rounded(value: float, unit: str, rounding: str) -> Decimal:
    return _in_unit(value, unit).quantize(_HUNDREDTH, rounding)


def _text(number: Decimal, unit: str, signed: bool = False) -> str:
    sign = "+" if signed and number else ""
    if unit != "fen" and number == number.to_integral_value():
        return f"{int(number):{sign},d}"
    return f"{number:{sign},f}"


def unit_name(briefing: Briefing, unit: str, language: Language) -> str:
    """Return the name of a unit; fen are shown as yuan."""
    if unit == "fen":
        return {"zh": "元", "en": "yuan"}[language]
    name = briefing["units"].get(unit)
    return name[language] if name else unit


def goal(row: BriefingIndicator, language: Language) -> str:
    """Return a row's target with its comparator."""
    return text("monitored", language) if row["target"] is None else target_text(row["target"], row["unit"])


def target_text(target: TargetValue, unit: str) -> str:
    """Return a target with its comparator."""
    least = _text(exact(target["value"], unit), unit)
    if target["op"] == "range":
        return f"{least}–{DASH if target['upper'] is None else _text(exact(target['upper'], unit), unit)}"
    return f"{_OPS[target['op']]}{least}" + (f"/{least}" if target["op"] == "all" else "")


def outlook(row: BriefingIndicator, language: Language) -> str:
    """Return the forecast with its range; where there is none, why."""
    forecast, unit = row["forecast"], row["unit"]
    if forecast["value"] is None or forecast["low"] is None or forecast["high"] is None:
        return forecast["outlook"][language]
    value, low, high = (amount(number, unit) for number in (forecast["value"], forecast["low"], forecast["high"]))
    return value if low == high else f"{value} ({low}–{high})"


def local(instant: str) -> str:
    """Return an instant of JSON as people here read it, in Beijing time."""
    return f"{datetime.fromisoformat(instant).astimezone(LOCAL_TIME):%Y-%m-%d %H:%M:%S}"


def rows_of(briefing: Briefing) -> Iterator[BriefingIndicator]:
    """Yield the indicators, in the policy's order."""
    for series in briefing["series"]:
        for measure in series["measures"]:
            yield from measure["indicators"]


def freshness(briefing: Briefing, language: Language) -> str:
    """Return what is not in these numbers yet; empty when all is."""
    behind = [log["behind_events"] for log in briefing["complete_to"].values()]
    if None in behind:
        return text("unknown", language)
    count = sum(filter(None, behind))
    return text("behind", language).format(count=count) if count else ""


def place(briefing: Briefing, language: Language) -> str:
    """Return for whom it is: the whole city, or one district."""
    names = {district["code"]: district["name"][language] for district in briefing["districts"]}
    return names[briefing["district"]] if briefing["district"] else text("whole", language)
