"""Papers that several scenarios end in: certificates, claims and payments, contracts of work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from client.demo.calendar import Calendar, date_of
from client.demo.scenarios.trades import EMERGING, SHORTAGE, Occupation, base_fen

# In every round of this many claims, these come out wrong.
_CLAIMS_A_ROUND: Final = 60
_WRONG_CLAIMS: Final = {
    11: "not-your-certificate",
    23: "certificate-not-valid",
    37: "waiting",  # for a certificate that never comes
    53: "already-granted",
}


def certify(
    c: Calendar,
    person: Mapping[str, str],
    occupation: Occupation,
    level: str,
    issuer: Mapping[str, str],
    issuer_kind: str,
    day: int,
    district: str,
) -> str:
    """Report that a certificate was issued; return its number."""
    number = c.number("S")
    data = {
        "person": person,
        "occupation_code": occupation.code,
        "occupation_name": occupation.name,
        "level": level,
        "kind": "vocational-qualification" if c.chance(0.08) else "skill-level",
        "issuer": issuer,
        "issuer_kind": issuer_kind,
        "issued_on": date_of(day),
    }
    if c.chance(0.1):
        data["expires_on"] = date_of(day + 1095)
    c.report("competition", "certificate-issued", f"certificate/{number}", data, day, district)
    return number


def claim(
    c: Calendar,
    person: Mapping[str, str],
    number: str,
    occupation: Occupation,
    level: str,
    issued: int,
    district: str,
) -> None:
    """Report a claim on a certificate and its payments; now and then one that must not pass."""
    day = issued + c.random.randrange(3, 60)
    data: dict[str, object] = {
        "person": person,
        "certificate_number": number,
        "industry": occupation.industry,
        "applicant": c.random.choice(("person", "enterprise", "provider")),
        "claimed_on": date_of(day),
    }
    meant = _WRONG_CLAIMS.get(c.turn("claim") % _CLAIMS_A_ROUND, "accepted")
    if meant == "not-your-certificate":
        data["person"] = c.person()
    elif meant == "certificate-not-valid":
        data["claimed_on"] = date_of(max(0, issued - 1))
    elif meant == "waiting":
        data["certificate_number"] = c.number("S")
    twice = meant == "already-granted"
    no = c.number("BT")
    subject = f"claim/{no}"
    c.report("subsidy", "subsidy-claimed", subject, data, day, district, meant="accepted" if twice else meant)
    if twice:  # which of the two is granted is the service's to say, so neither is paid here
        again = f"claim/{c.number('BT')}"
        c.report("subsidy", "subsidy-claimed", again, data, day + 1, district, meant=meant)
    elif meant in ("not-your-certificate", "certificate-not-valid"):
        payment = {"amount_fen": 1_000, "on": date_of(day + 20)}
        c.report("subsidy", "subsidy-paid", subject, payment, day + 20, district, meant="not-granted")
    elif meant == "accepted" and c.chance(0.8):
        _pay_subsidy(c, subject, occupation, level, day, district)


def _pay_subsidy(c: Calendar, subject: str, occupation: Occupation, level: str, day: int, district: str) -> None:
    percentage = 0
    if occupation.industry in EMERGING:
        percentage = 50 if occupation in SHORTAGE else 30
    granted = (base_fen(occupation, level) * (100 + percentage) + 50) // 100
    day += c.random.randrange(15, 50)
    parts = [granted] if c.chance(0.85) else [granted // 2, granted - granted // 2]
    for part in parts:
        c.report("subsidy", "subsidy-paid", subject, {"amount_fen": part, "on": date_of(day)}, day, district)
        day += 30
    if c.chance(0.03):
        more = {"amount_fen": 1, "on": date_of(day)}
        c.report("subsidy", "subsidy-paid", subject, more, day, district, meant="more-than-granted")
    elif c.chance(0.03):
        back = {"amount_fen": parts[0] // 3, "on": date_of(day)}
        c.report("subsidy", "subsidy-recovered", subject, back, day, district)
        if c.chance(0.3):
            back = {"amount_fen": granted + 1, "on": date_of(day + 5)}
            c.report("subsidy", "subsidy-recovered", subject, back, day + 5, district, meant="more-than-paid")


def hire(
    c: Calendar,
    person: Mapping[str, str],
    enterprise: Mapping[str, str],
    channel: str,
    occupation: Occupation,
    level: str | None,
    day: int,
    district: str,
    meant: str = "accepted",
) -> str:
    """Report that a person was hired; return the subject of the contract."""
    subject = f"hire/{c.number('HT')}"
    data: dict[str, object] = {
        "person": person,
        "enterprise": enterprise,
        "channel": channel,
        "occupation_code": occupation.code,
        "hired_on": date_of(day),
    }
    if level is not None:
        data["level"] = level
    if channel == "gold-blue-collar" and c.so_far("fair"):
        data["fair_no"] = f"ZP{c.feed}-{c.random.randint(1, c.so_far('fair'))}"
    c.report("recruitment", "person-hired", subject, data, day, district, meant=meant)
    return subject


def end_hire(c: Calendar, subject: str, day: int, district: str) -> None:
    """Report that the employment ended."""
    data = {"ended_on": date_of(day), "reason": c.random.choice(("合同期满", "本人辞职", "返乡就业"))}
    c.report("recruitment", "hire-ended", subject, data, day, district)
