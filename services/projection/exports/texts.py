"""The texts of the monthly briefing in both languages."""

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["zh", "en"]
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
        "zh": "其余 {count} 项没有目标的指标均为 0,本月无变动:{list}。",
        "en": "Without a target, 0 and not moved this month ({count}): {list}.",
    },
    "folded-unknown": {
        "zh": "没有目标且暂无法计算的指标 {count} 项:{list}。",
        "en": "Without a target and not computable ({count}): {list}.",
    },
    "folded-rows": {
        "zh": "各区、县(市)均为 0 的指标 {count} 项,不再列表:{list}。",
        "en": "Left out of the table, being 0 in every district ({count}): {list}.",
    },
    "folded-rows-unknown": {
        "zh": "各区、县(市)均暂无法计算的指标 {count} 项:{list}。",
        "en": "Not computable in any district ({count}): {list}.",
    },
    "folded-columns": {
        "zh": "表中各项均为 0 的 {count} 个区划,不再列出:{list}。",
        "en": "Without a column, being 0 in every row of the table ({count}): {list}.",
    },
    "folded-but": {"zh": "{list}暂无法计算", "en": "not computable: {list}"},
    "by-series": {"zh": "各系列进展", "en": "Series by series"},
    "annex": {"zh": "附件:条文与责任单位", "en": "Annex: clauses and lead units"},
    "annex-mark": {"zh": "附件", "en": "Annex"},
    "annex-title": {"zh": "条文与责任单位", "en": "Clauses and lead units"},
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
    "cut": {"zh": "一张表放不下的,请导出 CSV。", "en": "More rows than a sheet holds: export the rest as CSV."},
}


def text(key: str, language: Language) -> str:
    """Return a text of the briefing."""
    return TEXTS[key][language]
