"""The words and numbers of the monthly briefing as people read them, in either language."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final, Literal

from services.projection.assessment.pace import Op, Signal
from services.projection.assessment.representation import DistrictStanding, TargetValue
from services.projection.exports.document import Briefing, BriefingIndicator, BriefingSeries
from shared.contract.events import LOCAL_TIME

Language = Literal["zh", "en"]
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TEXTS: Final[Mapping[str, Mapping[Language, str]]] = {
    "title": {"zh": "月度通报", "en": "Monthly briefing"},
    "as_of": {
        "zh": "截至 {as_of},按北京时间 {known_at} 已知的事实",
        "en": "As of {as_of}, by what was known at {known_at} Beijing time",
    },
    "example": {"zh": "示例数据,截至 {day}。", "en": "Example data as of {day}."},
    "behind": {"zh": "尚有 {count} 条事实待计入", "en": "{count} facts not counted yet"},
    "unknown": {"zh": "部分服务无应答,不知是否完整", "en": "A service does not answer: it may be incomplete"},
    "whole": {"zh": "全市", "en": "Whole city"},
    "published": {
        "zh": "{month}数据已公布:{at}(北京时间)由{by}公布{again}。",
        "en": "The figures of {month} as published at {at} Beijing time by {by}{again}.",
    },
    "again": {"zh": ",为第 {number} 次公布(重述)", "en": ", restated ({number} publications)"},
    "code": {"zh": "二维码:{month}公布的数及其摘要", "en": "QR code of the figures of {month} and their digest"},
    "code-hint": {
        "zh": "扫码可见计划、月份、所知时刻和数字的 SHA-256;用证据包中的 check.html 离线核对。",
        "en": "Scanned it says plan, month, instant and SHA-256 of the figures; check.html of an evidence pack compares"
        " it offline.",
    },
    "not-published": {
        "zh": "以下不是{month}的公布数,为所列时刻所知。",
        "en": "Not published figures of {month}: as known at that instant.",
    },
    "conclusion": {"zh": "总体情况", "en": "Conclusion"},
    "counts": {
        "zh": "有目标的指标 {all} 项:已达成 {met} 项,正常 {green} 项,预警 {amber} 项,滞后 {red} 项{none}。",
        "en": "Of {all} indicators with a target: {met} met, {green} on pace, {amber} slipping, {red} behind{none}.",
    },
    "counts-none": {"zh": ",暂不能判断 {count} 项", "en": ", {count} not to be judged yet"},
    "changes": {
        "zh": "与上月末相比,{moved} 项指标的值有变动,{better} 项信号好转,{worse} 项信号转差。",
        "en": "Since the end of last month {moved} values moved, {better} signals got better, {worse} worse.",
    },
    "worst": {"zh": "差距最大的是:{list}。", "en": "The furthest behind: {list}."},
    "worst-row": {
        "zh": "{name}({period},现值 {value},应达 {expected})",
        "en": "{name} ({period}: {value}, expected {expected})",
    },
    "own": {
        "zh": "有目标的指标 {all} 项:已达成 {met},正常 {green},预警 {amber},滞后 {red}",
        "en": "{all} with a target: {met} met, {green} on pace, {amber} slipping, {red} behind",
    },
    "no-own": {"zh": "全市目标尚未分解", "en": "the city's targets are not split to it"},
    "of-city": {"zh": "本级单位,不分担目标", "en": "city bodies, without a share of the targets"},
    "by-share": {"zh": "可比 {all} 项中 {below} 项低于时序", "en": "{below} of {all} comparable below the pace"},
    "share-note": {
        "zh": "示意份额({by}),仅供参考,不是目标,不据以评信号。",
        "en": "Indicative shares ({by}) are to go by; they are no targets, and nothing is judged by them.",
    },
    "by-population": {
        "zh": "按人口,取自指标 {indicator} 的分母",
        "en": "by population, the denominator of {indicator}",
    },
    "by-equal": {"zh": "各区县均分", "en": "equal for every district"},
    "own-targets": {"zh": "自有目标", "en": "Targets of its own"},
    "indicative": {"zh": "按示意份额", "en": "By indicative shares"},
    "notes": {"zh": "原因和下一步", "en": "Causes and next steps"},
    "cause": {"zh": "原因", "en": "Cause"},
    "next-step": {"zh": "下一步", "en": "Next step"},
    "written-by": {"zh": "填写", "en": "Written by"},
    "no-notes": {"zh": "尚未填写。", "en": "None was written yet."},
    "without-note": {"zh": "已转红而未填写的:{list}。", "en": "Behind, and nothing written: {list}."},
    "folded": {
        "zh": "另有监测指标 {count} 项为零且本月无变动:{list}。",
        "en": "{count} more, without a target, are zero and did not move: {list}.",
    },
    "by-series": {"zh": "各系列进展", "en": "Series by series"},
    "annex": {"zh": "附件:条文与责任单位", "en": "Annex: clauses and lead units"},
    "measure": {"zh": "举措", "en": "Measure"},
    "clause": {"zh": "条文", "en": "Clause"},
    "lead": {"zh": "责任单位", "en": "Lead units"},
    "id": {"zh": "编号", "en": "No."},
    "indicator": {"zh": "指标", "en": "Indicator"},
    "period": {"zh": "期间", "en": "Period"},
    "unit": {"zh": "单位", "en": "Unit"},
    "target": {"zh": "目标", "en": "Target"},
    "value": {"zh": "现值", "en": "Value"},
    "expected": {"zh": "时序应达", "en": "Expected"},
    "progress": {"zh": "完成率", "en": "Of target"},
    "signal": {"zh": "信号", "en": "Signal"},
    "change": {"zh": "较上月末", "en": "Since last month"},
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
    "amber": {"zh": "预警", "en": "slipping"},
    "red": {"zh": "滞后", "en": "behind"},
    "none": {"zh": "监测", "en": "monitored"},
    "not-judged": {"zh": "暂不能判断", "en": "not to be judged yet"},
    "overview": {"zh": "总览", "en": "Overview"},
    "facts": {"zh": "本月事实", "en": "Facts of the month"},
    "on": {"zh": "日期", "en": "Date"},
    "district": {"zh": "区划代码", "en": "District"},
    "district-name": {"zh": "区、县(市)", "en": "District"},
    "subject": {"zh": "事项", "en": "Subject"},
    "type": {"zh": "类型", "en": "Type"},
    "source": {"zh": "来源", "en": "Source"},
    "report": {"zh": "报告编号", "en": "Report"},
    "recorded_at": {"zh": "入账时刻(北京时间)", "en": "Recorded at (Beijing time)"},
    "reported_by": {"zh": "报送凭据", "en": "Reported by"},
    "counted": {"zh": "计入", "en": "Counts"},
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
OPS: Final[Mapping[Op, str]] = {">=": "≥ ", ">": "> ", "=": "= ", "range": "", "all": ""}
DASH: Final = "–"
_FEN: Final = 100
_TENTH: Final = Decimal("0.1")
_HUNDREDTH: Final = Decimal("0.01")
_WHOLE: Final = Decimal(100)
_ALMOST: Final = Decimal("99.9")
_MOST_WORST: Final = 3
_BEST_FIRST: Final[tuple[Signal, ...]] = ("met", "green", "amber", "red", "none")


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


def signal_name(row: BriefingIndicator, language: Language) -> str:
    """Return a row's signal; a target that cannot be judged yet is not said to be none."""
    return text("not-judged" if row["signal"] == "none" and row["target"] else row["signal"], language)


def expected(row: BriefingIndicator) -> Decimal | None:
    """Return what was to be there by now in the unit that people read: of what is counted the next whole one."""
    if row["expected"] is None:
        return None
    if row["denominator"] is None and row["unit"] != "fen":
        return Decimal(repr(row["expected"])).quantize(_HUNDREDTH).to_integral_value(ROUND_CEILING)
    return rounded(row["expected"], row["unit"])


def expected_text(row: BriefingIndicator) -> str:
    """Return what was to be there by now, as text."""
    number = expected(row)
    return DASH if number is None else _text(number, row["unit"])


def value_text(row: BriefingIndicator, language: Language) -> str:
    """Return a row's value, or that there is none."""
    if row["value"] is None:
        return text("no-value", language)
    return achieved_text(row["value"], row["unit"], row["met"], row["target"])


def target_text(target: TargetValue, unit: str) -> str:
    """Return a target with its comparator."""
    least = _text(exact(target["value"], unit), unit)
    if target["op"] == "range":
        return f"{least}–{DASH if target['upper'] is None else _text(exact(target['upper'], unit), unit)}"
    return f"{OPS[target['op']]}{least}" + (f"/{least}" if target["op"] == "all" else "")


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


def _day(day: str, language: Language) -> str:
    """Return a date of JSON as a letter writes it."""
    on = date.fromisoformat(day)
    if language == "zh":
        return f"{on.year} 年 {on.month} 月 {on.day} 日"
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def _moment(instant: str, language: Language) -> str:
    """Return an instant of JSON as a letter writes it, in Beijing time."""
    at = local(instant)
    return f"{_day(at[:10], language)} {at[11:]}"


def rows_of(briefing: Briefing) -> Iterator[BriefingIndicator]:
    """Yield the indicators, in the policy's order."""
    for series in briefing["series"]:
        for measure in series["measures"]:
            yield from measure["indicators"]


def note_rows(briefing: Briefing, language: Language) -> list[tuple[str, str, str, str, str]]:
    """Return each note as people read it: indicator, district, cause, next step, by whom and when."""
    names = {row["id"]: f"{row['id']} {row['name'][language]}" for row in rows_of(briefing)}
    places = {district["code"]: district["name"][language] for district in briefing["districts"]}
    return [
        (
            names[note["indicator"]],
            places[note["district"]] if note["district"] else text("whole", language),
            note["cause"],
            note["next_step"],
            f"{note['by']} {local(note['recorded_at'])[:10]}",
        )
        for note in briefing["notes"]
    ]


def without_note(briefing: Briefing, language: Language) -> str:
    """Return which indicators are red and have no note of the briefing's own cell since they turned; empty: none."""
    noted = {
        note["indicator"]: local(note["recorded_at"])[:10]
        for note in briefing["notes"]
        if note["district"] == briefing["district"]
    }
    red = [row for row in rows_of(briefing) if row["red_since"] and noted.get(row["id"], "") < row["red_since"]]
    if not red:
        return ""
    names = ("、" if language == "zh" else ", ").join(f"{row['id']} {row['name'][language]}" for row in red)
    return text("without-note", language).format(list=names)


def freshness(briefing: Briefing, language: Language) -> str:
    """Return what is not in these numbers yet; empty when all is."""
    behind = [log["behind_events"] for log in briefing["complete_to"].values()]
    if None in behind:
        return text("unknown", language)
    count = sum(filter(None, behind))
    return text("behind", language).format(count=count) if count else ""


def title(briefing: Briefing, language: Language) -> str:
    """Return the briefing's own title: for whom and which month."""
    name = " " if language == "en" else ""
    return f"{place(briefing, language)} {month_name(briefing, language)}{name}{text('title', language)}"


def running_head(briefing: Briefing, language: Language) -> str:
    """Return what stands at the head of every sheet of paper: plan, district, day and instant."""
    return " · ".join((briefing["title"][language], place(briefing, language), about(briefing, language)))


def place(briefing: Briefing, language: Language) -> str:
    """Return for whom it is: the whole city, or one district."""
    names = {district["code"]: district["name"][language] for district in briefing["districts"]}
    return names[briefing["district"]] if briefing["district"] else text("whole", language)


def month_name(briefing: Briefing, language: Language) -> str:
    """Return the name of the month."""
    year, month = map(int, briefing["month"].split("-"))
    return f"{year} 年 {month} 月" if language == "zh" else briefing["month"]


def about(briefing: Briefing, language: Language) -> str:
    """Return for which day and by what knowledge the numbers are, whether they are made up, and what is not in yet."""
    known_at = _moment(briefing["known_at"], language)
    scope = text("as_of", language).format(as_of=_day(briefing["as_of"], language), known_at=known_at)
    day = briefing["example_day"]
    example = text("example", language).format(day=_day(day, language)) if day else ""
    return " ".join(filter(None, (example, scope, freshness(briefing, language))))


def publication(briefing: Briefing, language: Language) -> str:
    """Return whether these are the published figures of the month, and who published them when."""
    published, month = briefing["published"], month_name(briefing, language)
    if published is None:
        return text("not-published", language).format(month=month)
    number = published["number"]
    again = text("again", language).format(number=number) if number > 1 else ""
    at = _moment(published["recorded_at"], language)
    return text("published", language).format(month=month, at=at, by=published["by"], again=again)


def code_title(briefing: Briefing, language: Language) -> str:
    """Return what is read aloud of the QR code of published figures."""
    return text("code", language).format(month=month_name(briefing, language))


def conclusion(briefing: Briefing, language: Language) -> list[str]:
    """Return in sentences how the targets stand, what the month changed, and which are the furthest behind."""
    rows = list(rows_of(briefing))
    sentences = []
    standing = next((each for each in briefing["standings"] if each["code"] == briefing["district"]), None)
    if standing is None or any(standing["signals"].values()) or not standing["unsplit"]:
        sentences.append(_counted([row["signal"] for row in rows if row["target"]], language))
    if standing is not None:
        sentences.append(f"{place(briefing, language)}:{own_targets(standing, language)}。" if language == "zh" else
                         f"{place(briefing, language)}: {own_targets(standing, language)}.")  # fmt: skip
        if standing["indicative"]:
            sentences.append(f"{text('indicative', language)}:{by_share(standing, language)}。" if language == "zh" else
                             f"{text('indicative', language)}: {by_share(standing, language)}.")  # fmt: skip
    turned = [row for row in rows if row["id"] in briefing["turned"] and row["before"]]
    better = sum(_BEST_FIRST.index(row["signal"]) < _BEST_FIRST.index(_before(row)) for row in turned)
    sentences.append(
        text("changes", language).format(
            moved=sum(bool(row["change"]) for row in rows), better=better, worse=len(turned) - better
        )
    )
    by_id = {row["id"]: row for row in rows}
    if worst := [_worst(by_id[each], language) for each in briefing["late"][:_MOST_WORST]]:
        sentences.append(text("worst", language).format(list=(";" if language == "zh" else "; ").join(worst)))
    return sentences


def _before(row: BriefingIndicator) -> Signal:
    return row["before"]["signal"] if row["before"] else "none"


def _counted(signals: Sequence[Signal], language: Language) -> str:
    counts = {signal: signals.count(signal) for signal in SIGNALS}
    none = text("counts-none", language).format(count=counts["none"]) if counts["none"] else ""
    return text("counts", language).format(all=len(signals), **(counts | {"none": none}))


def _worst(row: BriefingIndicator, language: Language) -> str:
    unit = row["unit"]
    return text("worst-row", language).format(
        name=f"{row['id']} {row['name'][language]}",
        period=period(row, language),
        value=achieved_text(row["value"], unit, row["met"], row["target"]),
        expected=expected_text(row),
    )


def own_targets(standing: DistrictStanding, language: Language) -> str:
    """Return how a district stands by its own targets; without any, that the whole's are not split to it."""
    signals = standing["signals"]
    if standing["city"]:
        return text("of-city", language)
    if not any(signals.values()):
        return text("no-own", language) if standing["unsplit"] else DASH
    return text("own", language).format(all=sum(signals[signal] for signal in SIGNALS), **signals)


def by_share(standing: DistrictStanding, language: Language) -> str:
    """Return in how many indicators a district is below its indicative share."""
    if not standing["indicative"]:
        return DASH
    return text("by-share", language).format(all=standing["indicative"], below=standing["below"])


def share_note(briefing: Briefing, language: Language) -> str:
    """Return by what indicative shares are made, and what they are not; empty where there are none."""
    if not any(standing["indicative"] for standing in briefing["standings"]):
        return ""
    by = briefing["shared_by"]
    text_by = text(f"by-{by['by']}", language).format(indicator=by["indicator"])
    return text("share-note", language).format(by=text_by)


def period(row: BriefingIndicator, language: Language) -> str:
    """Return the name of a row's period."""
    if row["period"] == "plan":
        return text("plan", language)
    return f"{row['period']} 年" if language == "zh" else row["period"]


def is_idle(row: BriefingIndicator) -> bool:
    """Return whether a row says nothing: no target, nothing counted, nothing moved."""
    return row["target"] is None and not row["value"] and not row["change"]


def folded(series: BriefingSeries, language: Language) -> str:
    """Return the idle indicators of a series in one sentence, empty where there are none."""
    idle = [row for measure in series["measures"] for row in measure["indicators"] if is_idle(row)]
    if not idle:
        return ""
    names = ("、" if language == "zh" else ", ").join(f"{row['id']} {row['name'][language]}" for row in idle)
    return text("folded", language).format(count=len(idle), list=names)
