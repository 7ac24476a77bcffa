"""The city's own part: what it lays down first, and what is reported once or once a year whatever the size."""

from __future__ import annotations

from typing import Final

from client.demo.calendar import CITY, DISTRICTS, NEW_YEARS, Calendar, date_of, year_of
from client.demo.scenarios.trades import LEVELS, SERIES, SHORTAGE, SUBSIDISED, base_fen, some_provider

_WITHDRAWN_BODY: Final = ("330683", 2)


def groundwork(c: Calendar) -> None:
    """Report what the city lays down first; the same in every feed, so that a second feed only repeats it."""
    for first in NEW_YEARS:
        year = year_of(first)
        no = f"ML{year}-DEMO"
        data: dict[str, object] = {
            "title": f"绍兴市技能类紧缺职业(工种)目录({year}年)演示",
            "document_no": f"演示〔{year}〕1号",
            "effective_from": f"{year}-01-01",
            "effective_until": f"{year}-12-31",
            "occupations": [occupation._asdict() for occupation in SHORTAGE],
        }
        c.report("subsidy", "catalogue-published", f"catalogue/{no}", data, first, CITY, late=0, id_=f"demo-{no}")
    for occupation in SUBSIDISED:
        for level in LEVELS:
            data = {
                "occupation_code": occupation.code,
                "level": level,
                "amount_fen": base_fen(occupation, level),
                "effective_from": "2023-01-01",
            }
            subject = f"standard/{occupation.code}/{level}"
            c.report("subsidy", "standard-set", subject, data, 0, CITY, late=0, id_=f"demo-{subject.replace('/', '-')}")
    for series, month in SERIES:
        subject = f"title-series/{series}"
        c.report(
            "competition", "title-series-opened", subject, {"series": series}, month * 30, CITY, late=0,
            id_=f"demo-title-series-{series}",
        )  # fmt: skip


def chores(c: Calendar, elderly: int, reports: int) -> None:
    """Report what occurs once or once a year whatever the size: populations, staffing, rooms, bases, conferences.

    There is one population only: of several feeds the largest one's is dated last, so that it stands.
    """
    for year, first in enumerate(NEW_YEARS):
        for at, district in enumerate(DISTRICTS):
            day = first + 9 + reports.bit_length()
            share = (24, 18, 15, 11, 20, 12)[at]
            residents = int(elderly * share / 100 * (1 + 0.02 * (year - 2)))
            data: dict[str, object] = {"residents": max(residents, 1), "on": date_of(day)}
            c.report("enrollment", "population-reported", f"population/{district}/elderly", data, day, district)
            for index in (1, 2):
                _yearly(c, year, first, at, district, index)
    for facility, kind, district, day in (
        ("chip-blue-collar-base", "college", "330602", 200),
        ("microelectronics-test-lab", "college", "330602", 330),
        ("design-training-room", "college", "330602", 560),
        ("virtual-simulation-room", "college", "330602", 800),
        ("childcare-service-centre", "office", CITY, 480),
    ):
        data = {"facility": facility, "operator": c.invented.organisation(kind, district, 1)}
        c.report("enrollment", "facility-commissioned", f"facility/{c.number('SS')}", data, day, district)
    for kind, district, rank, day in (
        ("digital-skill-public", "330602", "city", 250),
        ("high-skill-talent", "330681", "province", 610),
        ("high-skill-talent", "330683", "city", 700),
        ("care-demonstration", "330603", "city", 300),
        ("care-demonstration", "330604", "district", 420),
        ("care-demonstration", "330624", "district", 500),
        ("worldskills-provincial", "330602", "province", 650),
    ):
        no = c.number("JD")
        data = {"kind": kind, "operator": some_provider(c, district), "rank": rank}
        c.report("enrollment", "base-designated", f"base/{no}", data, day, district)
        if rank != "district":
            money = {"base_code": no, "amount_fen": 50_000_000, "on": date_of(day + 60)}
            c.report("subsidy", "base-funded", f"funding/{c.number('JF')}", money, day + 60, district)
        else:
            c.report("enrollment", "base-withdrawn", f"base/{no}", {"reason": "复评未通过"}, day + 450, district)
    _occasions(c)


def _yearly(c: Calendar, year: int, first: int, at: int, district: str, index: int) -> None:
    school = c.invented.organisation("school", district, index)
    total = 300 + 80 * at + 40 * index
    share = (0.19, 0.28, 0.37)[year] + 0.02 * (at % 3 - 1)
    parts = {"high-end-equipment": 4, "electronic-information": 3, "modern-medicine": 2, "new-materials": 1}
    intake = {
        "school": school,
        "year": 2023 + year,
        "total": total,
        "emerging": {industry: int(total * share * part / 10) for industry, part in parts.items()},
    }
    day = first + 260 + at
    c.report("enrollment", "intake-reported", f"intake/{school['credit_code']}", intake, day, district)
    nursery = c.invented.organisation("nursery", district, index)
    staff = 18 + 5 * at + 3 * index
    day = first + 330 + at
    staffing = {
        "institution": nursery,
        "staff": staff,
        "certified_staff": int(staff * (0.72, 0.8, 0.885)[year] + 0.5),
        "on": date_of(day),
    }
    c.report("enrollment", "staffing-reported", f"staffing/{nursery['credit_code']}", staffing, day, district)
    if year == 0:
        body = {"body": school, "kind": "school"}
        subject = f"evaluation-body/{school['credit_code']}"
        c.report("enrollment", "evaluation-body-accredited", subject, body, 100 + at * 40, district)
        if (district, index) == _WITHDRAWN_BODY:
            c.report("enrollment", "evaluation-body-withdrawn", subject, {"reason": "督导整改"}, 700, district)


def _occasions(c: Calendar) -> None:
    conference = {"name": "绍兴市技能人才发展大会(演示)", "held_on": date_of(680)}
    c.report("competition", "conference-held", f"conference/{c.number('DH')}", conference, 680, CITY)
    for first in NEW_YEARS:
        year = year_of(first)
        school_fair = {
            "name": f"“名校名企”技能人才对接洽谈会({year}年演示)",
            "kind": "school-enterprise",
            "province": "33",
            "held_on": date_of(first + 290),
            "enterprises": 120,
            "jobs": 3_000,
        }
        c.report("recruitment", "fair-held", f"fair/QX{c.feed}-{year}", school_fair, first + 290, CITY)
        for service, measure, kind, title_zh in (
            ("enrollment", "1.1", "excellent-school-or-cluster", "高水平专业群立项"),
            ("enrollment", "1.2", "enterprise-partnership", "与集成电路头部企业签约"),
            ("recruitment", "4.4", "field-visit", "赴院校考察调研"),
            ("subsidy", "5.2", "wage-survey", "企业薪酬调查"),
            ("subsidy", "5.2", "wage-guidance", "发布工资指导价位"),
            ("competition", "5.3", "exhibition", "技能成果展陈"),
        ):
            day = first + c.random.randrange(60, 340)
            data = {"measure": measure, "kind": kind, "title": f"{title_zh}({year}年演示)", "on": date_of(day)}
            c.report(service, "activity-reported", f"activity/{measure}/{c.number('HD')}", data, day, CITY)
