"""Enterprises, schools and offices: contests, fairs, classes, demands, pilots, majors."""

from __future__ import annotations

from typing import Final

from client.demo.calendar import CITY, Calendar, date_of, year_of
from client.demo.scenarios.trades import SOURCES_OF_LABOUR, TRADES, some_enterprise, some_school, some_trade


def contest(c: Calendar, day: int) -> None:
    """A skills competition and those it distinguished."""
    district = CITY if c.chance(0.2) else c.district()
    no = c.number("JS")
    occupation = c.random.choice(TRADES)
    data = {
        "name": f"“演示杯”{occupation.name}职业技能竞赛",
        "rank": "city" if district == CITY else c.random.choice(("district", "district", "city")),
        "organiser": c.invented.organisation("office", district, 1),
        "participants": c.random.randrange(24, 180),
        "held_on": date_of(day),
    }
    c.report("competition", "competition-held", f"competition/{no}", data, day, district)
    if c.chance(0.03):
        cancelled = {"reason": "成绩作废"}
        c.report("competition", "competition-cancelled", f"competition/{no}", cancelled, day + 12, district)
        return
    for _ in range(c.random.choice((0, 1, 1, 1, 2))):
        award, person = f"award/{c.number('RY')}", c.person()
        granted = {
            "award": "city-technical-expert" if c.chance(0.85) else c.random.choice(("medal", "other")),
            "person": person,
            "competition_no": no,
            "granted_on": date_of(day + 20),
        }
        c.report("competition", "award-granted", award, granted, day + 20, district)
        if c.chance(0.02):
            c.report("competition", "award-withdrawn", award, {"reason": "资格不符"}, day + 90, district)


def fair(c: Calendar, day: int) -> None:
    """A job fair or exchange in a province with labour to spare."""
    district = CITY if c.chance(0.15) else c.district()
    stop = c.turn("fair")
    no = f"ZP{c.feed}-{stop}"
    province = c.random.choice(SOURCES_OF_LABOUR)
    data = {
        "name": f"“金蓝领”引才专列演示专场第{stop}站",
        "kind": c.random.choice(("job-fair", "job-fair", "exchange")),
        "province": province,
        "held_on": date_of(day),
        "enterprises": c.random.randrange(12, 90),
        "jobs": c.random.randrange(200, 2600),
    }
    c.report("recruitment", "fair-held", f"fair/{no}", data, day, district)
    if c.chance(0.02):
        c.report("recruitment", "fair-cancelled", f"fair/{no}", {"reason": "天气原因未举办"}, day + 3, district)


def invitation(c: Calendar, day: int) -> None:
    """A vocational school invited to the year's school-enterprise fair."""
    province = c.random.choice((*SOURCES_OF_LABOUR, "33", "42", "43"))
    fair_no = f"QX{c.feed}-{year_of(day)}"
    school = c.invented.organisation("school", f"{province}0100", 40 + c.turn("invitation"))
    data = {
        "fair_no": fair_no,
        "school": school,
        "province": province,
        "attended": c.chance(0.8),
        "on": date_of(day),
    }
    subject = f"invitation/{fair_no}/{school['credit_code']}"
    c.report("recruitment", "school-invited", subject, data, day, CITY)


def school_class(c: Calendar, day: int) -> None:
    """A class of two schools, and those who join it; one comes when it is full."""
    district = c.district()
    province = c.random.choice(("51", "36"))
    no, seats = c.number("BJ"), c.random.randrange(20, 31)
    data: dict[str, object] = {
        "kind": c.random.choice(("named", "order", "joint")),
        "home_school": some_school(c, district),
        "partner_school": c.invented.organisation("school", f"{province}0100", c.random.randrange(1, 40)),
        "partner_province": province,
        "seats": seats,
    }
    if c.chance(0.6):
        data["enterprise"] = some_enterprise(c, district)
    c.report("recruitment", "cooperation-class-opened", f"class/{no}", data, day, district)
    members = seats + 1 if c.chance(0.25) else seats - c.random.randrange(4)
    for member in range(1, members + 1):
        joined = {"class_no": no, "person": c.person(), "joined_on": date_of(day + 10)}
        meant = "class-full" if member > seats else "accepted"
        subject = f"class-member/{no}/{member}"
        c.report("recruitment", "student-joined-class", subject, joined, day + 10, district, late=0, meant=meant)


def demand(c: Calendar, day: int) -> None:
    """What a major project needs, and how it is met."""
    district = c.district()
    persons = c.random.randrange(10, 80)
    subject = f"demand/{c.number('XQ')}"
    data = {
        "project": f"演示重大产业项目{c.random.randrange(1, 60)}期",
        "enterprise": some_enterprise(c, district),
        "occupation_code": some_trade(c, district).code,
        "persons": persons,
    }
    c.report("recruitment", "demand-raised", subject, data, day, district)
    left = persons
    for step in range(c.random.randrange(0, 4)):
        matched = c.random.randrange(1, 2 + left // 2)
        left -= matched
        met = {
            "instrument": c.random.choice(("recruitment-line", "evaluation-item", "policy-officer", "agency-service")),
            "persons": matched,
        }
        c.report("recruitment", "demand-matched", subject, met, day + 25 * (step + 1), district)
    if c.chance(0.05):
        more = {"instrument": "agency-service", "persons": persons + 1}
        c.report("recruitment", "demand-matched", subject, more, day + 120, district, meant="more-than-raised")


def evaluation(c: Calendar, day: int) -> None:
    """A tender, award or qualification that weighed an enterprise's skilled staff."""
    district = c.district()
    data = {
        "procedure": c.random.choice(("tender", "award", "qualification")),
        "authority": c.invented.organisation("office", district, 2),
        "enterprise": some_enterprise(c, district),
        "applied_on": date_of(day),
    }
    c.report("competition", "skill-factor-applied", f"evaluation/{c.number('PJ')}", data, day, district)


def pilot(c: Calendar, day: int) -> None:
    """An enterprise that may certify its own staff: classified, with sessions, with a wage agreement or none."""
    district = c.district()
    enterprise = c.invented.organisation("enterprise", district, 1_000 + c.turn("pilot"))
    code = enterprise["credit_code"]
    occupation = some_trade(c, district)
    registered = {"enterprise": enterprise, "scope": f"{occupation.name}等职业(工种)"}
    c.report("competition", "pilot-enterprise-registered", f"pilot/{code}", registered, day, district)
    if c.chance(0.88):
        for session in range(c.random.randrange(1, 3)):
            held = day + 30 + session * 200 + c.random.randrange(60)
            candidates = c.random.randrange(8, 60)
            data = {
                "organiser": enterprise,
                "occupation_code": occupation.code,
                "level": c.random.choice("43"),
                "candidates": candidates,
                "passed": int(candidates * (0.6 + 0.4 * c.random.random())),
                "held_on": date_of(held),
            }
            c.report("competition", "certification-session-held", f"session/{c.number('CC')}", data, held, district)
    if c.chance(0.04):
        reason = {"reason": "企业申请退出"}
        c.report("competition", "pilot-enterprise-withdrawn", f"pilot/{code}", reason, day + 300, district)
    reform = c.chance(0.35)
    subject = f"enterprise/{code}"
    classified = {
        "enterprise": enterprise,
        "above_scale": c.chance(0.8),
        "industrial_reform_pilot": reform,
        "industry": occupation.industry,
    }
    c.report("subsidy", "enterprise-classified", subject, classified, day, district)
    if c.chance(0.97 if reform else 0.12):
        signed = day + c.random.randrange(20, 100)
        agreement = {
            "agreement_no": c.number("XY"),
            "signed_on": date_of(signed),
            "valid_until": date_of(min(signed + 1095, 1460)),
        }
        c.report("subsidy", "wage-agreement-signed", subject, agreement, signed, district)
        if c.chance(0.05):
            over = signed + c.random.randrange(100, 500)
            ended = {"agreement_no": agreement["agreement_no"], "ended_on": date_of(over)}
            c.report("subsidy", "wage-agreement-ended", subject, ended, over, district)


# Industry → majors added at its schools over the three years: code, name.
_MAJORS: Final = (
    ("electronic-information", "710106", "电子信息技术"),
    ("electronic-information", "710402", "集成电路技术应用"),
    ("electronic-information", "510209", "人工智能技术应用"),
    ("electronic-information", "510102", "物联网应用技术"),
    ("electronic-information", "514102", "微电子技术"),
    ("modern-medicine", "690201", "生物制药工艺"),
    ("modern-medicine", "690203", "药物制剂技术"),
    ("modern-medicine", "690204", "制药设备维修"),
    ("modern-medicine", "490201", "药品生产技术"),
    ("modern-medicine", "490204", "生物医药检验"),
    ("modern-medicine", "720301", "药剂"),
    ("high-end-equipment", "660103", "数控技术应用"),
    ("high-end-equipment", "660303", "工业机器人技术应用"),
    ("high-end-equipment", "460104", "机械制造及自动化"),
    ("high-end-equipment", "460305", "智能控制技术"),
    ("high-end-equipment", "660301", "机电技术应用"),
    ("new-materials", "630801", "高分子材料加工"),
    ("other", "680202", "数字化染整工艺"),
)
_DISTRICT_OF_A_MAJOR: Final = {
    "electronic-information": ("330602", "330681"),
    "modern-medicine": ("330604", "330624"),
    "high-end-equipment": ("330624", "330681", "330683"),
    "new-materials": ("330603",),
    "other": ("330603",),
}


def major(c: Calendar, day: int) -> None:
    """A school opened a major; one or two of other industries close again."""
    turn = c.turn("major")
    industry, code, name = _MAJORS[turn * 7 % len(_MAJORS)]
    district = c.random.choice(_DISTRICT_OF_A_MAJOR[industry])
    level = {"4": "higher", "5": "technician"}.get(code[0], "secondary")
    college = level == "technician"
    school = c.invented.organisation("college" if college else "school", district, 1 + turn // len(_MAJORS))
    subject = f"major/{school['credit_code']}/{code}"
    data = {"school": school, "major_code": code, "major_name": name, "industry": industry, "school_level": level}
    c.report("enrollment", "major-opened", subject, data, day, district)
    if industry == "other":
        c.report("enrollment", "major-closed", subject, {"reason": "并入其他专业"}, day + 400, district)
