"""What codes are called in a listing, in the words of the pages; an unknown code stands for itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.projection.assessment.representation import BilingualText, bilingual
from services.projection.exports.texts import Language
from shared.plan.model import Plan

# As in the pages' texts.json, which holds each under the same key: one word for one thing.
NAMES: Final[Mapping[str, BilingualText]] = {
    "asked.district": {"zh": "区县", "en": "District"},
    "asked.period": {"zh": "期间", "en": "Period"},
    "asked.whole": {"zh": "全市", "en": "Whole city"},
    "asked.whole_plan": {"zh": "计划期", "en": "Whole plan"},
    "cause.correction": {"zh": "更正", "en": "Correction"},
    "cause.end": {"zh": "终止或到期", "en": "Ended or expired"},
    "cause.original": {"zh": "补报", "en": "Reported late"},
    "cause.retraction": {"zh": "撤回", "en": "Retraction"},
    "cause.supersede": {"zh": "被后来的事实取代", "en": "Superseded"},
    "closings.again": {"zh": "重述", "en": "Restated"},
    "closings.first": {"zh": "关账", "en": "Closed"},
    "closings.live": {"zh": "现在", "en": "Now"},
    "closings.published": {"zh": "公布", "en": "Published"},
    "closings.value": {"zh": "公布数", "en": "Published"},
    "difference.denominator": {"zh": "分母", "en": "Denominator"},
    "difference.numerator": {"zh": "分子", "en": "Numerator"},
    "facts.adds": {"zh": "计入", "en": "Adds"},
    "facts.on": {"zh": "发生日期", "en": "Happened on"},
    "facts.report": {"zh": "报告编号", "en": "Report"},
    "facts.what": {"zh": "事项", "en": "What"},
    "flag.needs-review": {
        "zh": "所依据的事项已变,须人工复核",
        "en": "What it rests on has changed; a person must look",
    },
    "flag.same-content": {"zh": "与另一份已受理的报告内容相同", "en": "Says the same as another accepted report"},
    "flag.voided": {"zh": "已由市里作废", "en": "Voided by the city"},
    "health.behind": {"zh": "是否完整", "en": "Complete"},
    "health.complete": {"zh": "全部计入", "en": "All counted"},
    "health.counted": {"zh": "已计入事实", "en": "Facts counted"},
    "health.logs": {"zh": "各服务的事实算到哪里", "en": "How far each service's facts are counted"},
    "health.no_answer": {"zh": "无应答", "en": "No answer"},
    "health.service": {"zh": "服务", "en": "Service"},
    "months.choose": {"zh": "月份", "en": "Month"},
    "months.difference": {"zh": "差额", "en": "Difference"},
    "months.why": {"zh": "理由", "en": "Why"},
    "nav.closings": {"zh": "月结", "en": "Months"},
    "notes.cause": {"zh": "原因", "en": "Cause"},
    "notes.next": {"zh": "下一步", "en": "Next step"},
    "notes.title": {"zh": "原因和下一步", "en": "Cause and next step"},
    "others.facts": {"zh": "条数", "en": "Facts"},
    "receipts.list": {"zh": "逐条回执", "en": "Receipts one by one"},
    "receipts.type": {"zh": "报告类型", "en": "Type"},
    "service.competition": {"zh": "评价与竞赛(competition)", "en": "Evaluation (competition)"},
    "service.enrollment": {"zh": "培养(enrollment)", "en": "Schooling (enrollment)"},
    "service.planning": {"zh": "计划(planning)", "en": "Planning (planning)"},
    "service.recruitment": {"zh": "引进(recruitment)", "en": "Recruitment (recruitment)"},
    "service.subsidy": {"zh": "补贴(subsidy)", "en": "Subsidies (subsidy)"},
    "status.accepted": {"zh": "已受理", "en": "Accepted"},
    "status.invalid": {"zh": "内容有误", "en": "Not understood"},
    "status.misdirected": {"zh": "发错服务", "en": "Misdirected"},
    "status.refused": {"zh": "不予受理", "en": "Refused"},
    "status.waiting": {"zh": "等待中", "en": "Waiting"},
    "target.by": {"zh": "经办", "en": "Decided by"},
    "value.indicator": {"zh": "指标", "en": "Indicator"},
}


def name_of(kind: str, code: str, language: Language) -> str:
    """Return what a code of this kind is called."""
    name = NAMES.get(f"{kind}.{code}")
    return name[language] if name else code


def unit_name(units: Mapping[str, BilingualText], unit: str, language: Language) -> str:
    """Return the name of one of a plan's units; fen are shown as yuan."""
    if unit == "fen":
        return {"zh": "元", "en": "yuan"}[language]
    return units[unit][language] if unit in units else unit


@dataclass(frozen=True)
class PlanNames:
    """What the things of a plan are called in a language."""

    plan: Plan
    language: Language

    def indicator(self, code: str) -> str:
        """Return an indicator's id and name."""
        placed = self.plan.indicators.get(code)
        return code if placed is None else f"{code} {bilingual(placed[1].name)[self.language]}"

    def unit(self, code: str) -> str:
        """Return the unit in which people read an indicator: fen are shown as yuan."""
        return unit_name(
            {unit: bilingual(name) for unit, name in self.plan.units.items()}, self.unit_code(code), self.language
        )

    def unit_code(self, code: str) -> str:
        """Return the code of an indicator's unit, empty where the plan has no such indicator any more."""
        return self.plan.indicators[code][1].unit if code in self.plan.indicators else ""

    def place(self, code: str | None) -> str:
        """Return for whom something is: the whole (None), or a district."""
        if code is None:
            return NAMES["asked.whole"][self.language]
        return next((bilingual(it.name)[self.language] for it in self.plan.districts if it.code == code), code)

    def period(self, name: str) -> str:
        """Return a period as JSON names it."""
        if name == "plan":
            return NAMES["asked.whole_plan"][self.language]
        return f"{name} 年" if self.language == "zh" else name
