"""The plan office's part in the demo of the whole city: targets, notes, months closed, one of them restated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from client.commands.plan.planning import Action
from client.demo.calendar import CITY, DISTRICTS, FIRST_DAY, MINUTES_OF_A_DAY, Envelope
from client.messages import JsonObject

PLAN: Final = "shaoxing-2023-2025"
_OFFICE: Final = "计划办公室"
_HEAD: Final = "市人力社保局分管领导"
# A year's target in parts for Yuecheng, Keqiao, Shangyu, Xinchang, Zhuji and Shengzhou: more for the larger ones.
_PARTS: Final = {
    "1.3.a": (600, 600, 480, 330, 600, 390),
    "1.3.b": (420, 400, 320, 220, 400, 240),
    "2.4.a": (240, 180, 150, 110, 200, 120),
    "2.4.b": (200, 200, 160, 110, 200, 130),
    "4.1.b": (200, 190, 160, 120, 200, 130),
}
_FIRST_CLOSED: Final = (2024, 1)
_LAST_CLOSED: Final = (2025, 5)
_CLOSED_FROM: Final = (2025, 2)  # the months before were closed when the plan office began with it
_ANSWERED_FOR: Final = ("2025-03", "330624")
_RETURNED: Final = ("2025-05", "330683")
_RESTATED: Final = "2025-02"
_NOT_YET_RESTATED: Final = "2025-03"


@dataclass(frozen=True, slots=True)
class OfficeReport:
    """What the plan office, or a district to it, reports."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class MonthPublication:
    """A month that the plan office closes or restates."""

    month: str
    action: Action
    data: JsonObject


@dataclass(frozen=True, slots=True)
class OfficeStage:
    """What the plan office does once everything due by a minute has been reported."""

    due: int
    acts: list[OfficeReport | MonthPublication]


def stages() -> list[OfficeStage]:
    """Return what the plan office does, in its order; the same every time, so that doing it again changes nothing."""
    by_day: dict[date, list[OfficeReport | MonthPublication]] = {FIRST_DAY: list(_targets())}
    for year, month in _months():
        name = f"{year}-{month:02}"
        closed_on = max(_eighth_after(year, month), _eighth_after(*_CLOSED_FROM))
        by_day.setdefault(closed_on, []).extend(_month(name, _eighth_after(year, month)))
    by_day[_eighth_after(2025, 4)].extend(_restatement())
    by_day[_eighth_after(*_LAST_CLOSED)].extend(_notes(_eighth_after(*_LAST_CLOSED)))
    # Groundwork is due in minute 0 and comes first of all.
    return [
        OfficeStage(max(1, (day - FIRST_DAY).days * MINUTES_OF_A_DAY), acts) for day, acts in sorted(by_day.items())
    ]


def _months() -> Iterator[tuple[int, int]]:
    for year in (2024, 2025):
        for month in range(1, 13):
            if _FIRST_CLOSED <= (year, month) <= _LAST_CLOSED:
                yield year, month


def _eighth_after(year: int, month: int) -> date:
    return (date(year, month, 28) + timedelta(days=4)).replace(day=8)


def _decision(type_: str, subject: str, day: date, data: Mapping[str, object], district: str = CITY) -> OfficeReport:
    system = "plan-office" if district == CITY else "statistics"
    return OfficeReport(
        {
            "specversion": "1.0",
            "id": f"demo-{type_}-{subject.replace('/', '-')}-{day}",
            "source": f"/districts/{district}/{system}",
            "type": f"skillplan.planning.{type_}.v1",
            "subject": subject,
            "time": f"{day}T10:00:00+08:00",
            "district": district,
            "datacontenttype": "application/json",
            "data": {"plan": PLAN, **data},
        }
    )


def _targets() -> Iterator[OfficeReport]:
    on = date(2024, 12, 30)
    for indicator, parts in _PARTS.items():
        data = {
            "indicator": indicator,
            "period": "2025",
            "over": "districts",
            "parts": dict(zip(DISTRICTS, parts, strict=True)),
            "effective_from": "2025-01-01",
            "by": _OFFICE,
            "why": "分解2025年任务(演示)",
        }
        yield _decision("target-split", f"split/{PLAN}/{indicator}/2025/districts", on, data)
    revised = {
        "indicator": "3.3.a",
        "op": ">=",
        "value": 110,
        "clause": "演示〔2025〕2号",
        "effective_from": "2025-01-01",
        "by": _OFFICE,
        "why": "中期评估后提高(演示)",
    }
    yield _decision("target-revised", f"target/{PLAN}/3.3.a", on, revised)


def _notes(on: date) -> Iterator[OfficeReport]:
    """Yield what the lead unit writes on a number of the whole city, and a district on its own."""
    for of, cause, next_step, by in (
        (CITY, "用工需求后移,两家龙头企业推迟招聘(演示)", "六月组织专场招聘会,逐周调度(演示)", "市就业管理中心"),
        (_RETURNED[1], "5月入职人数复核后核减(演示)", "会同企业核对名单,月底前补报(演示)", "嵊州市统计科"),
    ):  # fmt: skip
        data = {"indicator": "4.1.b", "period": "2025", "of": of, "cause": cause, "next_step": next_step, "by": by}
        yield _decision("note-written", f"note/{PLAN}/4.1.b/2025/{of}", on, data, of)


def _month(month: str, closed_on: date) -> Iterator[OfficeReport | MonthPublication]:
    """Yield a month from its districts' submissions to its close."""
    for at, district in enumerate(DISTRICTS):
        if (month, district) == _ANSWERED_FOR:
            continue
        subject, on = f"month/{PLAN}/{month}/{district}", closed_on - timedelta(days=5 - at % 3)
        submitted = {"month": month, "by": "区、县(市)统计科"}
        of_the_office = {"month": month, "submitted_by": district, "by": _OFFICE}
        yield _decision("period-submitted", subject, on, submitted, district)
        if (month, district) == _RETURNED:
            message = {"items": ["4.1.b"], "message": "请核对 5 月入职人数(演示)"}
            yield _decision("period-returned", subject, on + timedelta(days=1), {**of_the_office, **message})
            yield _decision(
                "period-submitted", subject, on + timedelta(days=2), submitted | {"note": "已核对"}, district
            )
        yield _decision("period-approved", subject, closed_on, of_the_office)
    if month == _ANSWERED_FOR[0]:
        why = {"month": month, "districts": [_ANSWERED_FOR[1]], "by": _HEAD, "why": "该县系统升级,逾期未报(演示)"}
        yield _decision("close-overridden", f"month/{PLAN}/{month}", closed_on, why)
    yield MonthPublication(month, "close", {"id": f"demo-close-{month}", "by": _OFFICE})


def _restatement() -> Iterator[OfficeReport | MonthPublication]:
    """Yield a restatement that was asked for and approved, and a request that is still open."""
    on = _eighth_after(2025, 4)
    for month in (_RESTATED, _NOT_YET_RESTATED):
        data = {"month": month, "by": "诸暨市统计科", "why": f"{month} 月有补报和更正(演示)"}
        yield _decision("restatement-requested", f"restatement/{PLAN}/{month}/R-1", on, data, "330681")
    yield MonthPublication(_RESTATED, "restate", {"id": f"demo-restate-{_RESTATED}", "by": _HEAD, "request_no": "R-1"})
