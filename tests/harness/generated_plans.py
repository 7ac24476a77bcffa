"""Small random worlds: facts as the services publish them, openings, ends, corrections, retractions and all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Any

GeneratedFact = dict[str, Any]
Data = dict[str, Any]

DISTRICTS = ("330602", "330681", "330600", "110101")  # the last one is none of the plan's
DAYS = tuple(
    date.fromisoformat(day)
    for day in (
        "2021-05-01", "2022-12-31", "2023-01-01", "2023-03-01", "2023-12-31", "2024-01-01", "2024-02-29", "2024-07-15",
        "2024-12-31", "2025-01-01", "2025-06-30", "2025-12-31", "2026-01-01",
    )
)  # fmt: skip
START = datetime(2026, 2, 1, tzinfo=UTC)


def person(rnd: Random) -> Data:
    return {"token": f"{rnd.randint(1, 3):032x}", "sealed": "c2VhbGVk"}


def organisation(number: int) -> Data:
    return {"credit_code": f"91330600MA2A{number:06d}", "name": f"机构{number}"}


@dataclass(frozen=True)
class GeneratedType:
    """How facts of one type come about: the form of the subject, the data, the field with the date."""

    subject: Callable[[Random], str]
    data: Callable[[Random, str], Data]
    dated: str | None = None
    ends: str | None = None  # the type it ends or undoes
    again: bool = False  # may be opened anew after its end
    repeats: bool = False
    until: str | None = None
    key: str | None = None
    decision: str | None = None  # the fact that the service's decision adds


def _no(prefix: str, most: int = 3) -> Callable[[Random], str]:
    return lambda rnd: f"{prefix}/{rnd.randint(1, most)}"


def _organisation_subject(prefix: str) -> Callable[[Random], str]:
    return lambda rnd: f"{prefix}/{organisation(rnd.randint(1, 3))['credit_code']}"


def _named(subject: str) -> Data:
    return {"credit_code": subject.split("/")[1], "name": "机构"}


def _industry(rnd: Random) -> str:
    return rnd.choice(("electronic-information", "modern-medicine", "other"))


KINDS: dict[str, GeneratedType] = {
    "enrollment.major-opened": GeneratedType(
        _no("major"), lambda r, _s: {"industry": _industry(r), "major_code": "510101"}, again=True
    ),
    "enrollment.major-closed": GeneratedType(_no("major"), lambda _r, _s: {}, ends="enrollment.major-opened"),
    "enrollment.intake-reported": GeneratedType(
        _organisation_subject("intake"),
        lambda r, s: {
            "school": _named(s), "year": 2024, "total": r.randint(0, 3) * 50,
            "emerging": {"electronic-information": r.randint(0, 9), "new-materials": r.randint(0, 9)},
        },
        repeats=True,
    ),
    "enrollment.student-enrolled": GeneratedType(
        _no("enrollment"),
        lambda r, _s: {
            "person": person(r), "major_group": r.choice(("microelectronics", "other")),
            "school_level": r.choice(("technician", "technician", "higher")),
        },
        again=True,
    ),
    "enrollment.student-withdrawn": GeneratedType(
        _no("enrollment"), lambda _r, _s: {}, dated="withdrawn_on", ends="enrollment.student-enrolled"
    ),
    "enrollment.facility-commissioned": GeneratedType(
        _no("facility"),
        lambda r, _s: {"facility": r.choice(("chip-blue-collar-base", "design-training-room"))},
    ),
    "enrollment.apprenticeship-started": GeneratedType(
        _no("apprenticeship"),
        lambda r, _s: {"kind": r.choice(("enterprise", "modern")), "person": person(r), "until": "2026-12-31"},
        dated="starts_on", again=True,
    ),
    "enrollment.evaluation-body-accredited": GeneratedType(
        _organisation_subject("evaluation-body"), lambda r, _s: {"kind": r.choice(("school", "social"))}, again=True
    ),
    "enrollment.evaluation-body-withdrawn": GeneratedType(
        _organisation_subject("evaluation-body"), lambda _r, _s: {}, ends="enrollment.evaluation-body-accredited"
    ),
    "enrollment.credits-recognized": GeneratedType(
        _no("credits"), lambda r, _s: {"person": person(r), "credits": r.randint(1, 5)}
    ),
    "enrollment.training-completed": GeneratedType(
        _no("training"),
        lambda r, _s: {
            "programme": r.choice(("digital-artisan", "elder-care", "nursery-care", "household")),
            "person": person(r), "passed": r.random() < 0.7, "started_on": "2020-01-01",
        },
        dated="completed_on",
    ),
    "enrollment.base-designated": GeneratedType(
        _no("base"),
        lambda r, _s: {"kind": r.choice(("digital-skill-public", "high-skill-talent", "care-demonstration"))},
        again=True,
    ),
    "enrollment.base-withdrawn": GeneratedType(_no("base"), lambda _r, _s: {}, ends="enrollment.base-designated"),
    "enrollment.staffing-reported": GeneratedType(
        _organisation_subject("staffing"),
        lambda r, _s: {"staff": r.randint(0, 2) * 10, "certified_staff": r.randint(0, 9)}, dated="on", repeats=True,
    ),
    "enrollment.population-reported": GeneratedType(
        lambda r: f"population/{r.choice(DISTRICTS[:2])}/elderly", lambda r, _s: {"residents": r.randint(1, 9) * 1000},
        dated="on", repeats=True,
    ),
    "enrollment.activity-reported": GeneratedType(
        lambda r: f"activity/{r.choice(('1.1', '1.2'))}/{r.randint(1, 2)}",
        lambda _r, s: {"measure": s.split("/")[1], "kind": "enterprise-partnership"}, dated="on",
    ),
    "competition.certificate-issued": GeneratedType(
        _no("certificate"),
        lambda r, _s: {
            "person": person(r), "occupation_code": r.choice(("4-10-01-05", "6-18-01-01")),
            "issuer_kind": r.choice(("school", "enterprise")),
        },
        dated="issued_on", until="expires_on",
    ),
    "competition.certificate-revoked": GeneratedType(
        _no("certificate"), lambda _r, _s: {}, dated="revoked_on", ends="competition.certificate-issued"
    ),
    "competition.pilot-enterprise-registered": GeneratedType(
        _organisation_subject("pilot"), lambda _r, s: {"enterprise": _named(s)}, again=True
    ),
    "competition.pilot-enterprise-withdrawn": GeneratedType(
        _organisation_subject("pilot"), lambda _r, _s: {}, ends="competition.pilot-enterprise-registered"
    ),
    "competition.certification-session-held": GeneratedType(
        _no("session"), lambda r, _s: {"organiser": organisation(r.randint(1, 3))}, dated="held_on"
    ),
    "competition.competition-held": GeneratedType(_no("competition"), lambda _r, _s: {"rank": "city"}, dated="held_on"),
    "competition.competition-cancelled": GeneratedType(
        _no("competition"), lambda _r, _s: {}, ends="competition.competition-held"
    ),
    "competition.award-granted": GeneratedType(
        _no("award"),
        lambda r, _s: {"award": r.choice(("city-technical-expert", "medal")), "person": person(r)}, dated="granted_on",
    ),
    "competition.award-withdrawn": GeneratedType(_no("award"), lambda _r, _s: {}, ends="competition.award-granted"),
    "competition.title-series-opened": GeneratedType(
        lambda r: f"title-series/{r.choice(('engineering', 'arts'))}", lambda _r, s: {"series": s.split("/")[1]}
    ),
    "competition.title-conferred": GeneratedType(
        _no("title"), lambda r, _s: {"person": person(r)}, dated="conferred_on"
    ),
    "competition.honour-conferred": GeneratedType(
        _no("honour"), lambda r, _s: {"person": person(r), "honour": "artisan"}, dated="conferred_on"
    ),
    "competition.honour-withdrawn": GeneratedType(
        _no("honour"), lambda _r, _s: {}, ends="competition.honour-conferred"
    ),
    "recruitment.fair-held": GeneratedType(
        _no("fair"), lambda r, _s: {"kind": r.choice(("job-fair", "exchange", "school-enterprise"))}, dated="held_on"
    ),
    "recruitment.fair-cancelled": GeneratedType(_no("fair"), lambda _r, _s: {}, ends="recruitment.fair-held"),
    "recruitment.person-hired": GeneratedType(
        _no("hire"),
        lambda r, _s: {"person": person(r), "channel": r.choice(("gold-blue-collar", "gold-blue-collar", "other"))},
        dated="hired_on", again=True,
    ),
    "recruitment.hire-ended": GeneratedType(
        _no("hire"), lambda _r, _s: {}, dated="ended_on", ends="recruitment.person-hired"
    ),
    "recruitment.practical-training-started": GeneratedType(
        _no("internship"), lambda r, _s: {"person": person(r), "school_province": r.choice(("33", "36"))},
        dated="starts_on",
    ),
    "recruitment.demand-raised": GeneratedType(_no("demand"), lambda _r, _s: {"persons": 5}),
    "recruitment.demand-matched": GeneratedType(_no("demand"), lambda _r, _s: {"persons": 1}, repeats=True),
    "recruitment.school-invited": GeneratedType(
        _no("invitation"), lambda r, _s: {"school": organisation(r.randint(1, 3)), "attended": True}, dated="on"
    ),
    "subsidy.catalogue-published": GeneratedType(_no("catalogue"), lambda _r, _s: {"effective_from": "2023-01-01"}),
    "subsidy.allowance-claimed": GeneratedType(
        _no("allowance"), lambda r, _s: {"person": person(r), "employed_since": "2020-01-01"}, dated="claimed_on"
    ),
    "subsidy.allowance-paid": GeneratedType(
        _no("allowance"), lambda r, _s: {"amount_fen": r.randint(1, 3) * 100}, dated="on", repeats=True,
        key="subsidy.allowance-claimed",
    ),
    "subsidy.subsidy-paid": GeneratedType(
        _no("claim"), lambda r, _s: {"amount_fen": r.randint(1, 3) * 100}, dated="on", repeats=True
    ),
    "subsidy.subsidy-recovered": GeneratedType(
        _no("claim"), lambda r, _s: {"amount_fen": r.randint(1, 3) * 100}, dated="on", repeats=True
    ),
    "subsidy.enterprise-classified": GeneratedType(
        _organisation_subject("enterprise"),
        lambda r, s: {
            "enterprise": _named(s), "above_scale": r.random() < 0.6, "industrial_reform_pilot": r.random() < 0.6,
        },
        repeats=True,
    ),
    "subsidy.wage-agreement-signed": GeneratedType(
        _organisation_subject("enterprise"), lambda _r, _s: {"agreement_no": "a"}, dated="signed_on", again=True,
        until="valid_until",
    ),
    "subsidy.wage-agreement-ended": GeneratedType(
        _organisation_subject("enterprise"), lambda _r, _s: {"agreement_no": "a"}, dated="ended_on",
        ends="subsidy.wage-agreement-signed",
    ),
    "subsidy.credit-line-requested": GeneratedType(
        _no("credit"), lambda r, _s: {"person": person(r), "amount_fen": r.randint(1, 3) * 10}, dated="requested_on",
        decision="subsidy.credit-line-granted",
    ),
}  # fmt: skip
