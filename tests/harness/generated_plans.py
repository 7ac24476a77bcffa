"""Small random worlds: facts as the services publish them, openings, ends, corrections, retractions and all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import orjson

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
_START = datetime(2026, 2, 1, tzinfo=UTC)


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


@dataclass(eq=False)
class GeneratedReport:
    """A report that was accepted, as the world remembers it."""

    kind: str
    source: str
    id: str
    subject: str
    district: str
    on: date
    order: int
    corrects: "GeneratedReport | None" = None
    stands: bool = True
    retracted: bool = False
    suspended: bool = False


Pairs = list[tuple[GeneratedReport, GeneratedReport | None]]


@dataclass
class GeneratedLog:
    """The logs of all services; `step` adds what a service could have accepted next, within the rules B and C."""

    rnd: Random
    kinds: tuple[str, ...] = tuple(KINDS)
    facts: list[GeneratedFact] = field(default_factory=list)
    reports: list[GeneratedReport] = field(default_factory=list)
    days: tuple[date, ...] = DAYS
    _clock: dict[str, datetime] = field(default_factory=dict)
    _position: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Few days, so that facts meet on them.
        self.days = tuple(self.rnd.sample(DAYS, self.rnd.randint(2, 6)))

    def step(self) -> None:
        """Add what comes next; nothing when a service would have refused it."""
        way = self.rnd.random()
        standing = [report for report in self.reports if report.stands]
        if way < 0.2 and standing:
            self._correct(self.rnd.choice(standing))
        elif way < 0.38 and standing:
            self._retract(self.rnd.choice(standing))
        elif way < 0.45:
            self._decide_again()
        else:
            self._accept(self.rnd.choice(self.kinds), None)

    def _of(self, subject: str, kind: str) -> list[GeneratedReport]:
        reports = [r for r in self.reports if r.stands and r.kind == kind and r.subject == subject]
        return sorted(reports, key=lambda report: (report.on, report.order))

    def _accept(self, name: str, original: GeneratedReport | None) -> None:
        kind = KINDS[name]
        subject = original.subject if original else kind.subject(self.rnd)
        on = self.rnd.choice(self.days)
        if kind.key and not self._of(subject, kind.key):
            return
        if kind.ends:
            fits = self._may_end(self._pairs(subject, kind.ends, name), on, original)
        else:
            end = next((other for other, k in KINDS.items() if k.ends == name), None)
            fits = kind.repeats or self._may_open(self._pairs(subject, name, end), on, original, kind.again)
        if not fits:
            return
        district = self.rnd.choice(DISTRICTS)
        if subject.startswith("population/"):
            district = subject.split("/")[1]
        source = f"/districts/{district}/{self.rnd.choice('ab')}"
        if original:
            source, district = original.source, original.district
        number = len(self.reports)
        # Ids do not follow the order of arrival; a correction takes its original's place among the openings.
        id_ = f"{self.rnd.randint(0, 9)}-{number:03d}"
        report = GeneratedReport(
            name, source, id_, subject, district, on, original.order if original else number, original
        )
        if original:
            original.stands = False
        self.reports.append(report)
        self._publish(report, self._data(kind, report))

    def _may_end(self, pairs: Pairs, on: date, original: GeneratedReport | None) -> bool:
        if original is None:
            return bool(pairs) and pairs[-1][1] is None and on >= pairs[-1][0].on
        place = next((i for i, (_, end) in enumerate(pairs) if end is original), None)
        if place is None or on < pairs[place][0].on:
            return False
        return place + 1 == len(pairs) or on <= pairs[place + 1][0].on

    def _may_open(self, pairs: Pairs, on: date, original: GeneratedReport | None, again: bool) -> bool:
        if original is None:
            if not pairs:
                return True
            end = pairs[-1][1]
            return again and end is not None and on >= end.on
        place = next(i for i, (opening, _) in enumerate(pairs) if opening is original)
        end = pairs[place][1]
        before = pairs[place - 1][1] if place else None
        return not (end and on > end.on) and not (before and on < before.on)

    def _pairs(self, subject: str, opening: str, end: str | None) -> Pairs:
        ends = self._of(subject, end) if end else []
        pairs: Pairs = []
        for opened in self._of(subject, opening):
            fitting = next((e for e in ends if e.on >= opened.on), None)
            if fitting:
                ends.remove(fitting)
            pairs.append((opened, fitting))
        return pairs

    def _data(self, kind: GeneratedType, report: GeneratedReport) -> Data:
        data = kind.data(self.rnd, report.subject)
        if kind.dated:
            data[kind.dated] = report.on.isoformat()
        if kind.until and self.rnd.random() < 0.7:
            data[kind.until] = max(report.on, self.rnd.choice(self.days)).isoformat()
        return data

    def _correct(self, report: GeneratedReport) -> None:
        self._accept(report.kind, report)

    def _retract(self, report: GeneratedReport) -> None:
        kind = KINDS[report.kind]
        if kind.ends:
            pairs = self._pairs(report.subject, kind.ends, report.kind)
            place = next((i for i, (_, e) in enumerate(pairs) if e is report), None)
            if place is None or place + 1 < len(pairs):
                return
        report.stands, report.retracted = False, True
        follows: list[GeneratedReport] = []
        if report.corrects is not None:
            # RULES B1: what it replaced stands again.
            report.corrects.stands = not (report.corrects.retracted or report.corrects.suspended)
            if self._breaks_order(report.corrects):
                report.corrects.stands, report.stands, report.retracted = False, True, False
                return
        else:
            end_kind = next((n for n, k in KINDS.items() if k.ends == report.kind), None)
            if end_kind:
                report.stands = True
                end = next((e for o, e in self._pairs(report.subject, report.kind, end_kind) if o is report), None)
                report.stands = False
                if end is not None:
                    end.stands, end.suspended = False, True
                    follows.append(end)
        self._emit(report, "report-retracted", {"report_id": report.id, "reason": "错"}, f"x{len(self.facts):03d}")
        for end in follows:
            self._emit(end, "report-suspended", {"report_id": end.id, "reason": "B6"}, end.id)

    def _breaks_order(self, report: GeneratedReport) -> bool:
        """Leave out worlds in which what stands again collides with what came since: the services flag those."""
        kind = KINDS[report.kind]
        if kind.repeats:
            return False
        opening = kind.ends or report.kind
        end = report.kind if kind.ends else next((n for n, k in KINDS.items() if k.ends == report.kind), None)
        pairs = self._pairs(report.subject, opening, end)
        unended = [o for o, e in pairs[:-1] if e is None]
        ends = self._of(report.subject, end) if end else []
        return bool(unended) or len(ends) > sum(1 for _, e in pairs if e is not None)

    def _decide_again(self) -> None:
        waiting = [r for r in self.reports if r.suspended and not r.retracted]
        if not waiting:
            return
        report = self.rnd.choice(waiting)
        kind = KINDS[report.kind]
        pairs = self._pairs(report.subject, kind.ends or "", report.kind)
        if pairs and pairs[-1][1] is None and report.on >= pairs[-1][0].on:
            report.stands, report.suspended = True, False
            self._publish(report, self._data(kind, report))

    def _publish(self, report: GeneratedReport, data: Data) -> None:
        self._emit(report, report.kind.partition(".")[2], data, report.id, report.corrects)
        if decision := KINDS[report.kind].decision:
            # A decision has no date of its own: it carries its cause's (RULES E24).
            undated = {name: value for name, value in data.items() if name != KINDS[report.kind].dated}
            self._emit(report, decision.partition(".")[2], undated, report.id, report.corrects)

    def _noted_on(self, report: GeneratedReport) -> date:
        """Where the data says when it happened, the envelope's time need not agree (RULES A1)."""
        return self.rnd.choice(self.days) if KINDS[report.kind].dated else report.on

    def _emit(
        self, report: GeneratedReport, name: str, data: Data, report_id: str, corrects: GeneratedReport | None = None
    ) -> None:
        service = report.kind.partition(".")[0]
        # Clocks of services run apart by some steps, so that their instants come interleaved.
        at = self._clock.get(service, _START + timedelta(seconds=self.rnd.randint(0, 20)))
        at += timedelta(seconds=self.rnd.randint(1, 3))
        self._clock[service] = at
        position = self._position[service] = self._position.get(service, 0) + 1
        fact: GeneratedFact = {
            "specversion": "1.0",
            "id": f"00000000-0000-7000-8000-{len(self.facts):012d}",
            "source": f"/services/{service}",
            "type": f"skillplan.{service}.{name}.v1",
            "subject": report.subject,
            "time": f"{self._noted_on(report).isoformat()}T00:30:00+08:00",
            "district": report.district,
            "position": position,
            "version": position,
            "recordedat": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportsource": report.source,
            "reportid": report_id,
            "correlationid": "c",
            "causationid": "c",
            "datacontenttype": "application/json",
            "data": data,
        }
        if corrects is not None:
            fact["corrects"] = corrects.id
        self.facts.append(fact)


def encode(fact: GeneratedFact) -> bytes:
    return orjson.dumps(fact)
