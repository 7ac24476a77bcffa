"""What codes are called in a listing, in the words of the pages; an unknown code stands for itself."""

from collections.abc import Mapping
from typing import Final

from services.projection.assessment.representation import BilingualText
from services.projection.exports.texts import Language

# As in the pages' texts.json, which holds each under the same key: one word for one thing.
NAMES: Final[Mapping[str, BilingualText]] = {
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
}


def name_of(kind: str, code: str, language: Language) -> str:
    """Return what a code of this kind is called."""
    name = NAMES.get(f"{kind}.{code}")
    return name[language] if name else code
