"""People who learn: apprentices, students, trainees, and carers certified without a course."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from client.demo.calendar import DISTRICTS, Calendar, date_of
from client.demo.scenarios.papers import certify, claim, hire
from client.demo.scenarios.trades import (
    CARER,
    CHIP_MAKER,
    CHIP_TESTER,
    HOUSEKEEPER,
    NURSERY_NURSE,
    ROBOT_OPERATOR,
    Occupation,
    some_enterprise,
    some_provider,
    some_school,
    some_trade,
)

_AGREED_TWICE: Final = 29


def apprentice(kind: str) -> Callable[[Calendar, int], None]:
    """An apprentice of an enterprise and a school: a year or two, then a certificate, a subsidy, a job."""

    def scenario(c: Calendar, day: int) -> None:
        district = c.district()
        occupation = some_trade(c, district)
        person, enterprise = c.person(), some_enterprise(c, district)
        length = 364 if kind == "enterprise" or c.chance(0.3) else 729
        subject = f"apprenticeship/{c.number('XT' if kind == 'enterprise' else 'XD')}"
        data = {
            "kind": kind,
            "enterprise": enterprise,
            "school": some_school(c, district),
            "person": person,
            "starts_on": date_of(day),
            "until": date_of(day + length),
        }
        c.report("enrollment", "apprenticeship-started", subject, data, day, district)
        if c.turn("apprentice") % 100 == _AGREED_TWICE:
            again = f"apprenticeship/{c.number('XX')}"
            c.report(
                "enrollment", "apprenticeship-started", again, data, day, district, meant="overlapping-apprenticeship"
            )
            return  # either of the two may be the first there, so neither is ended
        if c.chance(0.08):
            end = day + c.random.randrange(20, length)
            ended = {"ended_on": date_of(end), "outcome": "terminated"}
            c.report("enrollment", "apprenticeship-ended", subject, ended, end, district)
            return
        end = day + length + 1
        ended = {"ended_on": date_of(end), "outcome": "completed"}
        c.report("enrollment", "apprenticeship-ended", subject, ended, end, district)
        if not c.chance(0.75):
            return
        level = "4" if kind == "enterprise" else c.random.choice("54")
        issued = end + c.random.randrange(5, 40)
        number = certify(c, person, occupation, level, enterprise, "enterprise", issued, district)
        if c.chance(0.7):
            claim(c, person, number, occupation, level, issued, district)
        if kind == "modern" and c.chance(0.4):
            hire(c, person, enterprise, "school-enterprise", occupation, level, issued + 10, district)

    return scenario


def student(c: Calendar, day: int) -> None:
    """A student of microelectronics at the technician college: some leave, some earn credits by a certificate."""
    college = c.invented.organisation("college", "330602", 1)
    _study(c, day, "330602", college, "514102", "microelectronics", "technician")


def other_student(c: Calendar, day: int) -> None:
    """A student of another major or school."""
    district = c.district()
    major = c.random.choice(("660103", "690203", "710107"))
    _study(c, day, district, some_school(c, district), major, "other", "secondary")


def _study(
    c: Calendar, day: int, district: str, school: Mapping[str, str], major: str, group: str, school_level: str
) -> None:
    no, person = c.number("XS"), c.person()
    subject = f"enrollment/{school['credit_code']}/{no}"
    data = {
        "school": school,
        "person": person,
        "major_code": major,
        "major_group": group,
        "school_level": school_level,
    }
    c.report("enrollment", "student-enrolled", subject, data, day, district)
    if c.chance(0.05):
        left = day + c.random.randrange(15, 400)
        withdrawn = {"withdrawn_on": date_of(left), "reason": c.random.choice(("转学", "休学未复", "个人原因"))}
        c.report("enrollment", "student-withdrawn", subject, withdrawn, left, district)
    elif c.chance(0.4):
        issued = day + c.random.randrange(250, 600)
        occupation = CHIP_TESTER if group == "microelectronics" else some_trade(c, district)
        number = certify(c, person, occupation, "4", school, "school", issued, district)
        recognised = {
            "school": school,
            "person": person,
            "certificate_number": number,
            "credits": c.random.randrange(2, 9),
        }
        c.report(
            "enrollment", "credits-recognized", f"credits/{school['credit_code']}/{no}/{number}", recognised,
            issued + 20, district,
        )  # fmt: skip


def trainee(programme: str) -> Callable[[Calendar, int], None]:
    """Someone who takes a training, and what comes of it."""

    def scenario(c: Calendar, day: int) -> None:
        district, person = c.district(), c.person()
        occupation = _occupation_of(programme, c, district)
        passed = _train(c, programme, person, occupation, day, district)
        if c.chance(0.06) and programme in ("elder-care", "nursery-care"):
            # Refresher a year on, sometimes in another district: one person, counted once a year.
            other = c.random.choice(DISTRICTS) if c.chance(0.4) else district
            _train(c, programme, person, occupation, day + 370, other)
        certified = {"digital-artisan": 0.75, "elder-care": 0.85, "nursery-care": 0.6, "household": 0.3, "general": 0.2}
        if not passed or not c.chance(certified[programme]):
            return
        level = "3" if programme == "digital-artisan" else c.random.choice("543")
        issued = day + c.random.randrange(5, 40)
        number = certify(c, person, occupation, level, some_provider(c, district), "social", issued, district)
        if programme == "household":
            if c.chance(0.3):
                data = {
                    "person": person,
                    "certificate_number": number,
                    "industry": "other",
                    "applicant": "person",
                    "claimed_on": date_of(issued + 9),
                }
                c.report(
                    "subsidy", "subsidy-claimed", f"claim/{c.number('BT')}", data, issued + 9, district,
                    meant="no-standard",
                )  # fmt: skip
        elif c.chance(0.55):
            claim(c, person, number, occupation, level, issued, district)

    return scenario


def _occupation_of(programme: str, c: Calendar, district: str) -> Occupation:
    fixed = {"elder-care": CARER, "nursery-care": NURSERY_NURSE, "household": HOUSEKEEPER}
    if programme == "digital-artisan":
        return c.random.choice((ROBOT_OPERATOR, CHIP_MAKER, CHIP_TESTER))
    return fixed.get(programme) or some_trade(c, district)


def _train(
    c: Calendar, programme: str, person: Mapping[str, str], occupation: Occupation, day: int, district: str
) -> bool:
    passed = c.chance(0.93)
    course = f"KC{c.feed}-{district[3:]}-{day // 30}-{programme}"
    data = {
        "programme": programme,
        "provider": some_provider(c, district),
        "person": person,
        "occupation_code": occupation.code,
        "hours": c.random.choice((24, 40, 64, 80, 120)),
        "started_on": date_of(max(0, day - c.random.randrange(3, 25))),
        "completed_on": date_of(day),
        "passed": passed,
    }
    c.report("enrollment", "training-completed", f"training/{course}/{c.number('Z')}", data, day, district)
    return passed


def carer(c: Calendar, day: int) -> None:
    """An elder-care worker certified by the employer; a few certificates are revoked."""
    district, person = c.district((24, 18, 15, 11, 20, 12)), c.person()
    issuer = c.invented.organisation("association", district, 1)
    number = certify(c, person, CARER, c.random.choice("5543"), issuer, "social", day, district)
    if c.chance(0.02):
        revoked = day + c.random.randrange(60, 500)
        data = {"revoked_on": date_of(revoked), "reason": "弄虚作假"}
        c.report("competition", "certificate-revoked", f"certificate/{number}", data, revoked, district)
