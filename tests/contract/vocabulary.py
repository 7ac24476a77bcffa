"""The contract, typed from VOCABULARY 3 and RULES A1, A12, A13, C3 to C6 by hand: what the code must agree with.

`subject`: `<x>` is a part that repeats the field x of the data, `{x}` a number of a thing that stands nowhere else.
`data`: `field: form` or `field?: form` where it is optional; a form is a name of `FORMS` or an enumeration `a|b`.
`dated`: the field with the date of the fact, None where it is the date of `time`. `ordered`: earlier and later.
`role`: opens (once), opens again (after an end), ends X, voids X (out of every period), stands (the latest), repeats,
adds to X.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Type:
    """One type of report."""

    subject: str
    data: str
    dated: str | None
    role: str
    ordered: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, tuple[str, bool]]:
        """Each field with its form and whether it is required."""
        pairs = (part.split(":") for part in self.data.split(",") if part.strip())
        return {name.strip().rstrip("?"): (form.strip(), not name.strip().endswith("?")) for name, form in pairs}


LEVEL: Final = "apprentice|5|4|3|2|1|special|chief"
RANK: Final = "district|city|province|national"
EMERGING: Final = "electronic-information|modern-medicine|high-end-equipment|new-materials"
INDUSTRY: Final = f"{EMERGING}|other"
SCHOOL_LEVEL: Final = "secondary|technician|higher"
SERIES: Final = (
    "engineering|agriculture|arts-and-crafts|cultural-relics-and-museums|laboratory-technology|arts|sports|"
    "technical-school-teachers"
)
ACTIVITY: Final = "title: text, on: date, organiser?: organisation"

ENROLLMENT: Final = {
    "major-opened": Type(
        "major/<school>/<major_code>",
        f"school: organisation, major_code: major-code, major_name: text, industry: {INDUSTRY}, "
        f"school_level: {SCHOOL_LEVEL}",
        None,
        "opens again",
    ),
    "major-closed": Type("major/{school}/{major_code}", "reason?: text", None, "ends major-opened"),
    "intake-reported": Type(
        "intake/<school>", "school: organisation, year: year, total: count, emerging: emerging", None, "stands"
    ),
    "student-enrolled": Type(
        "enrollment/<school>/{student_no}",
        "school: organisation, person: person, major_code: major-code, major_group: microelectronics|other, "
        f"school_level: {SCHOOL_LEVEL}",
        None,
        "opens again",
    ),
    "student-withdrawn": Type(
        "enrollment/{school}/{student_no}", "withdrawn_on: date, reason?: text", "withdrawn_on", "ends student-enrolled"
    ),
    "facility-commissioned": Type(
        "facility/{code}",
        "facility: chip-blue-collar-base|microelectronics-test-lab|design-training-room|virtual-simulation-room|"
        "childcare-service-centre|elder-care-talent-centre, operator: organisation",
        None,
        "opens",
    ),
    "apprenticeship-started": Type(
        "apprenticeship/{agreement_no}",
        "kind: enterprise|modern, enterprise: organisation, school: organisation, person: person, starts_on: date, "
        "until: date",
        "starts_on",
        "opens again",
        (("starts_on", "until"),),
    ),
    "apprenticeship-ended": Type(
        "apprenticeship/{agreement_no}",
        "ended_on: date, outcome: completed|terminated",
        "ended_on",
        "ends apprenticeship-started",
    ),
    "evaluation-body-accredited": Type(
        "evaluation-body/<body>", "body: organisation, kind: school|enterprise|social", None, "opens again"
    ),
    "evaluation-body-withdrawn": Type(
        "evaluation-body/{school}", "reason?: text", None, "ends evaluation-body-accredited"
    ),
    "credits-recognized": Type(
        "credits/<school>/{student_no}/<certificate_number>",
        "school: organisation, person: person, certificate_number: no, credits: number",
        None,
        "opens",
    ),
    "training-completed": Type(
        "training/{course_no}/{seat_no}",
        "programme: digital-artisan|elder-care|nursery-care|household|general, provider: organisation, "
        "person: person, occupation_code: occupation-code, hours: number, started_on: date, completed_on: date, "
        "passed: boolean",
        "completed_on",
        "opens",
        (("started_on", "completed_on"),),
    ),
    "base-designated": Type(
        "base/{code}",
        "kind: digital-skill-public|high-skill-talent|care-demonstration|worldskills-provincial, "
        f"operator: organisation, rank: {RANK}",
        None,
        "opens again",
    ),
    "base-withdrawn": Type("base/{code}", "reason?: text", None, "ends base-designated"),
    "staffing-reported": Type(
        "staffing/<institution>",
        "institution: organisation, staff: count, certified_staff: count, on: date",
        "on",
        "stands",
    ),
    "population-reported": Type("population/{district}/elderly", "residents: number, on: date", "on", "stands"),
    "activity-reported": Type(
        "activity/<measure>/{no}",
        f"measure: 1.1|1.2, kind: excellent-school-or-cluster|enterprise-partnership, {ACTIVITY}",
        "on",
        "opens",
    ),
}

COMPETITION: Final = {
    "pilot-enterprise-registered": Type(
        "pilot/<enterprise>", "enterprise: organisation, scope?: text", None, "opens again"
    ),
    "pilot-enterprise-withdrawn": Type("pilot/{enterprise}", "reason?: text", None, "ends pilot-enterprise-registered"),
    "certification-session-held": Type(
        "session/{no}",
        f"organiser: organisation, occupation_code: occupation-code, level: {LEVEL}, candidates: count, "
        "passed: count, held_on: date",
        "held_on",
        "opens",
    ),
    "certificate-issued": Type(
        "certificate/{number}",
        f"person: person, occupation_code: occupation-code, occupation_name: text, level: {LEVEL}, "
        "kind: skill-level|vocational-qualification, issuer: organisation, issuer_kind: school|enterprise|social, "
        "issued_on: date, expires_on?: date",
        "issued_on",
        "opens, else number-taken",
        (("issued_on", "expires_on"),),
    ),
    "certificate-revoked": Type(
        "certificate/{number}", "revoked_on: date, reason: text", "revoked_on", "ends certificate-issued"
    ),
    "competition-held": Type(
        "competition/{no}",
        f"name: text, rank: {RANK}, organiser: organisation, participants: number, held_on: date",
        "held_on",
        "opens",
    ),
    "competition-cancelled": Type("competition/{no}", "reason: text", None, "voids competition-held"),
    "award-granted": Type(
        "award/{no}",
        "award: city-technical-expert|medal|other, person: person, competition_no?: no, granted_on: date",
        "granted_on",
        "opens",
    ),
    "award-withdrawn": Type("award/{no}", "reason: text", None, "voids award-granted"),
    "title-series-opened": Type("title-series/<series>", f"series: {SERIES}", None, "opens"),
    "title-conferred": Type(
        "title/{no}",
        f"series: {SERIES}, person: person, title_level: junior|intermediate|senior, conferred_on: date",
        "conferred_on",
        "opens",
    ),
    "skill-factor-applied": Type(
        "evaluation/{no}",
        "procedure: tender|award|qualification, authority: organisation, enterprise: organisation, applied_on: date",
        "applied_on",
        "opens",
    ),
    "conference-held": Type("conference/{no}", "name: text, held_on: date", "held_on", "opens"),
    "honour-conferred": Type(
        "honour/{no}",
        f"honour: model-worker|artisan|gold-blue-collar|outstanding-talent, rank: {RANK}, person: person, "
        "conferred_on: date",
        "conferred_on",
        "opens",
    ),
    "honour-withdrawn": Type("honour/{no}", "reason: text", None, "voids honour-conferred"),
    "activity-reported": Type("activity/<measure>/{no}", f"measure: 5.3, kind: exhibition, {ACTIVITY}", "on", "opens"),
}

RECRUITMENT: Final = {
    "fair-held": Type(
        "fair/{no}",
        "name: text, kind: job-fair|exchange|school-enterprise, province: province, held_on: date, "
        "enterprises: count, jobs: count",
        "held_on",
        "opens",
    ),
    "fair-cancelled": Type("fair/{no}", "reason: text", None, "voids fair-held"),
    "person-hired": Type(
        "hire/{contract_no}",
        "person: person, enterprise: organisation, channel: gold-blue-collar|school-enterprise|other, fair_no?: no, "
        f"occupation_code: occupation-code, level?: {LEVEL}, hired_on: date",
        "hired_on",
        "opens again",
    ),
    "hire-ended": Type("hire/{contract_no}", "ended_on: date, reason?: text", "ended_on", "ends person-hired"),
    "cooperation-class-opened": Type(
        "class/{no}",
        "kind: named|order|joint, home_school: organisation, partner_school: organisation, "
        "partner_province: province, enterprise?: organisation, seats: number",
        None,
        "opens",
    ),
    "student-joined-class": Type(
        "class-member/<class_no>/{student_no}", "class_no: no, person: person, joined_on: date", "joined_on", "opens"
    ),
    "practical-training-started": Type(
        "internship/{agreement_no}",
        "person: person, school: organisation, school_province: province, enterprise: organisation, starts_on: date, "
        "until: date",
        "starts_on",
        "opens",
        (("starts_on", "until"),),
    ),
    "demand-raised": Type(
        "demand/{no}",
        "project: text, enterprise: organisation, occupation_code: occupation-code, persons: number",
        None,
        "opens",
    ),
    "demand-matched": Type(
        "demand/{no}",
        "instrument: recruitment-line|evaluation-item|policy-officer|agency-service, persons: number",
        None,
        "adds to demand-raised",
    ),
    "school-invited": Type(
        "invitation/<fair_no>/<school>",
        "fair_no: no, school: organisation, province: province, attended: boolean, on: date",
        "on",
        "opens",
    ),
    "activity-reported": Type("activity/<measure>/{no}", f"measure: 4.4, kind: field-visit, {ACTIVITY}", "on", "opens"),
}

SUBSIDY: Final = {
    "catalogue-published": Type(
        "catalogue/{no}",
        "title: text, document_no: text, effective_from: date, effective_until?: date, occupations: occupations",
        None,
        "opens",
        (("effective_from", "effective_until"),),
    ),
    "standard-set": Type(
        "standard/<occupation_code>/<level>",
        f"occupation_code: occupation-code, level: {LEVEL}, amount_fen: number, effective_from: date",
        None,
        "repeats",
    ),
    "subsidy-claimed": Type(
        "claim/{no}",
        f"person: person, certificate_number: no, industry: {INDUSTRY}, applicant: person|enterprise|provider, "
        "claimed_on: date",
        "claimed_on",
        "opens",
    ),
    "subsidy-paid": Type("claim/{no}", "amount_fen: number, on: date", "on", "adds to subsidy-claimed"),
    "subsidy-recovered": Type("claim/{no}", "amount_fen: number, on: date", "on", "adds to subsidy-claimed"),
    "allowance-claimed": Type(
        "allowance/{no}",
        "person: person, certificate_number: no, enterprise: organisation, employed_since: date, claimed_on: date",
        "claimed_on",
        "opens",
    ),
    "allowance-paid": Type("allowance/{no}", "amount_fen: number, on: date", "on", "adds to allowance-claimed"),
    "base-funded": Type("funding/{no}", "base_code: no, amount_fen: number, on: date", "on", "opens"),
    "enterprise-classified": Type(
        "enterprise/<enterprise>",
        f"enterprise: organisation, above_scale: boolean, industrial_reform_pilot: boolean, industry: {INDUSTRY}",
        None,
        "stands",
    ),
    "wage-agreement-signed": Type(
        "enterprise/{enterprise}",
        "agreement_no: no, signed_on: date, valid_until: date",
        "signed_on",
        "opens again",
        (("signed_on", "valid_until"),),
    ),
    "wage-agreement-ended": Type(
        "enterprise/{enterprise}", "agreement_no: no, ended_on: date", "ended_on", "ends wage-agreement-signed"
    ),
    "credit-line-requested": Type(
        "credit/{no}",
        "person: person, bank: organisation, amount_fen: number, requested_on: date",
        "requested_on",
        "opens",
    ),
    "credit-line-closed": Type("credit/{no}", "closed_on: date", "closed_on", "ends credit-line-requested"),
    "activity-reported": Type(
        "activity/<measure>/{no}", f"measure: 5.2, kind: wage-survey|wage-guidance, {ACTIVITY}", "on", "opens"
    ),
}

VOCABULARY: Final = {
    "enrollment": ENROLLMENT,
    "competition": COMPETITION,
    "recruitment": RECRUITMENT,
    "subsidy": SUBSIDY,
}

# What every service takes besides, with its fields: the subject is that of what is taken back or assigned.
RETRACTION: Final = ("report-retracted", {"report_id", "reason"})
KERNEL: Final = {
    "report-retracted": {"report_id", "reason"},
    "report-voided": {"source", "report_id", "reason"},
    "subject-assigned": {"to", "reason"},
}
# RULES G2, G3, G4: what is taken from the city alone, else refused `only-the-city`.
ONLY_THE_CITY: Final = {
    "catalogue-published", "standard-set", "title-series-opened", "report-voided", "subject-assigned",
}  # fmt: skip

# What a service decides itself: facts, never reports. The first three every service may record.
DECIDED_EVERYWHERE: Final = frozenset(["report-suspended", "report-restored", "decision-flagged"])
DECISIONS: Final = {
    "enrollment": DECIDED_EVERYWHERE,
    "competition": DECIDED_EVERYWHERE,
    "recruitment": DECIDED_EVERYWHERE,
    "subsidy": DECIDED_EVERYWHERE
    | {f"{thing}-{verdict}" for thing in ("subsidy", "allowance", "credit-line") for verdict in ("granted", "refused")},
}

# Dates that may lie ahead (RULES A2).
MAY_LIE_AHEAD: Final = frozenset(["until", "valid_until", "expires_on", "effective_from", "effective_until"])
