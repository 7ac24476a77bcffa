"""Builds valid reports of every type of the first road, about made-up people and organisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.harness import people

DISTRICT: Final = "330681"
CITY: Final = "330600"
TIME: Final = "2024-03-01T10:00:00+08:00"
OCCUPATION: Final = "6-18-01-01"
Report = dict[str, Any]


def report(
    type_: str, id_: str, subject: str, data: dict[str, Any], *, district: str = DISTRICT, time: str = TIME
) -> Report:
    """Return an envelope; `type_` is service and name, as in `recruitment.person-hired`."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": f"/districts/{district}/tests",
        "type": f"skillplan.{type_}.v1",
        "subject": subject,
        "time": time,
        "district": district,
        "datacontenttype": "application/json",
        "data": data,
    }


def organisation(index: int = 0, kind: str = "91") -> dict[str, Any]:
    """Return the index-th made-up organisation as a district reports it."""
    return {"credit_code": people.credit_code(index, kind), "name": f"样本机构 Sample {index}"}


_NAMED: Final[dict[str, int]] = {}


def person(n: int | str) -> dict[str, Any]:
    """Return the made-up person of a report: each report is about another one."""
    return people.reported(n if isinstance(n, int) else _NAMED.setdefault(n, 100_000 + len(_NAMED)))


def major_opened(n: int, **changes: Any) -> Report:
    school = organisation(n, "12")
    data = {"school": school, "major_code": "510301", "major_name": "机电一体化", "industry": "high-end-equipment"}
    subject = f"major/{school['credit_code']}/510301"
    return report("enrollment.major-opened", f"major-{n}", subject, data | {"school_level": "technician"} | changes)


def major_closed(n: int, **changes: Any) -> Report:
    subject = major_opened(n)["subject"]
    return report("enrollment.major-closed", f"major-end-{n}", subject, {"reason": "停止招生"} | changes)


def student_enrolled(n: int, **changes: Any) -> Report:
    school = organisation(1, "12")
    data = {"school": school, "person": person(n), "major_code": "510401", "major_group": "microelectronics"}
    subject = f"enrollment/{school['credit_code']}/S-{n}"
    return report(
        "enrollment.student-enrolled", f"student-{n}", subject, data | {"school_level": "technician"} | changes
    )


def student_withdrawn(n: int, **changes: Any) -> Report:
    data = {"withdrawn_on": "2024-05-01", "reason": "转学"}
    return report("enrollment.student-withdrawn", f"student-end-{n}", student_enrolled(n)["subject"], data | changes)


def apprenticeship_started(n: int, **changes: Any) -> Report:
    data = {
        "kind": "modern",
        "enterprise": organisation(2),
        "school": organisation(1, "12"),
        "person": person(n),
        "starts_on": "2024-02-01",
        "until": "2025-01-31",
    }
    return report("enrollment.apprenticeship-started", f"apprentice-{n}", f"apprenticeship/A-{n}", data | changes)


def apprenticeship_ended(n: int, **changes: Any) -> Report:
    data = {"ended_on": "2024-06-30", "outcome": "terminated"}
    return report("enrollment.apprenticeship-ended", f"apprentice-end-{n}", f"apprenticeship/A-{n}", data | changes)


def training_completed(n: int, **changes: Any) -> Report:
    data = {
        "programme": "elder-care",
        "provider": organisation(3),
        "person": person(n),
        "occupation_code": "4-10-01-05",
        "hours": 120,
        "started_on": "2024-01-08",
        "completed_on": "2024-02-29",
        "passed": True,
    }
    return report("enrollment.training-completed", f"training-{n}", f"training/T-1/{n}", data | changes)


def certificate_issued(n: int | str, **changes: Any) -> Report:
    data = {
        "person": person(n),
        "occupation_code": OCCUPATION,
        "occupation_name": "车工",
        "level": "3",
        "kind": "skill-level",
        "issuer": organisation(4),
        "issuer_kind": "enterprise",
        "issued_on": "2024-02-01",
    }
    return report("competition.certificate-issued", f"certificate-{n}", f"certificate/Z-{n}", data | changes)


def certificate_revoked(n: int | str, **changes: Any) -> Report:
    data = {"revoked_on": "2024-02-20", "reason": "违规取得"}
    return report("competition.certificate-revoked", f"certificate-end-{n}", f"certificate/Z-{n}", data | changes)


def competition_held(n: int, **changes: Any) -> Report:
    data = {"name": "技能大赛", "rank": "city", "organiser": organisation(5), "participants": 120}
    data |= {"held_on": "2024-02-15"} | changes
    return report("competition.competition-held", f"contest-{n}", f"competition/K-{n}", data)


def competition_cancelled(n: int, **changes: Any) -> Report:
    data = {"reason": "未举办"} | changes
    return report("competition.competition-cancelled", f"contest-end-{n}", f"competition/K-{n}", data)


def award_granted(n: int, **changes: Any) -> Report:
    data = {"award": "city-technical-expert", "person": person(n), "granted_on": "2024-02-20"}
    return report("competition.award-granted", f"award-{n}", f"award/J-{n}", data | changes)


def award_withdrawn(n: int, **changes: Any) -> Report:
    return report("competition.award-withdrawn", f"award-end-{n}", f"award/J-{n}", {"reason": "误报"} | changes)


def fair_held(n: int, **changes: Any) -> Report:
    data = {
        "name": "招聘会",
        "kind": "job-fair",
        "province": "52",
        "held_on": "2024-02-10",
        "enterprises": 40,
        "jobs": 900,
    }
    return report("recruitment.fair-held", f"fair-{n}", f"fair/F-{n}", data | changes)


def fair_cancelled(n: int, **changes: Any) -> Report:
    return report("recruitment.fair-cancelled", f"fair-end-{n}", f"fair/F-{n}", {"reason": "未举办"} | changes)


def person_hired(n: int | str, **changes: Any) -> Report:
    data = {
        "person": person(n),
        "enterprise": organisation(6),
        "channel": "gold-blue-collar",
        "occupation_code": OCCUPATION,
        "hired_on": "2024-03-01",
    }
    return report("recruitment.person-hired", f"hire-{n}", f"hire/C-{n}", data | changes)


def hire_ended(n: int | str, **changes: Any) -> Report:
    return report("recruitment.hire-ended", f"hire-end-{n}", f"hire/C-{n}", {"ended_on": "2024-06-01"} | changes)


def catalogue_published(n: int | str, **changes: Any) -> Report:
    occupations = [{"code": OCCUPATION, "name": "车工", "industry": "high-end-equipment"}]
    data = {
        "title": "紧缺职业(工种)目录",
        "document_no": "1",
        "effective_from": "2023-01-01",
        "occupations": occupations,
    }
    return report("subsidy.catalogue-published", f"catalogue-{n}", f"catalogue/M-{n}", data | changes, district=CITY)


def standard_set(n: int | str, **changes: Any) -> Report:
    data = {
        "occupation_code": OCCUPATION,
        "level": "3",
        "amount_fen": 100_001,
        "effective_from": "2023-01-01",
    } | changes
    subject = f"standard/{data['occupation_code']}/{data['level']}"
    return report("subsidy.standard-set", f"standard-{n}", subject, data, district=CITY)


def subsidy_claimed(n: int | str, **changes: Any) -> Report:
    data = {
        "person": person(n),
        "certificate_number": f"Z-{n}",
        "industry": "other",
        "applicant": "person",
        "claimed_on": "2024-03-01",
    }
    return report("subsidy.subsidy-claimed", f"claim-{n}", f"claim/S-{n}", data | changes)


def subsidy_paid(n: int | str, amount_fen: int, **changes: Any) -> Report:
    data = {"amount_fen": amount_fen, "on": "2024-03-02"} | changes
    return report("subsidy.subsidy-paid", f"payment-{n}", f"claim/S-{n}", data)


# What opens, each beside what ends it.
OF_THE_FIRST_ROAD: Final[tuple[tuple[Callable[..., Report], Callable[..., Report] | None], ...]] = (
    (major_opened, major_closed),
    (student_enrolled, student_withdrawn),
    (apprenticeship_started, apprenticeship_ended),
    (training_completed, None),
    (certificate_issued, certificate_revoked),
    (competition_held, competition_cancelled),
    (award_granted, award_withdrawn),
    (fair_held, fair_cancelled),
    (person_hired, hire_ended),
    (catalogue_published, None),
    (standard_set, None),
    (subsidy_claimed, None),
)
