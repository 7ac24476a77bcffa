"""Random logs of all services, as they could have come about: reports, corrections, retractions, voidings, ends."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

import orjson

from tests.harness.generated_plans import DAYS, DISTRICTS, KINDS, START, Data, GeneratedFact, GeneratedType


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


CITY: Final = "/districts/330600/plan-office"
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
    _voided: list[tuple[GeneratedReport, str, int]] = field(default_factory=list)

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
        elif way < 0.5:
            self._unvoid()
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
        """Let the sender retract a report, or the city void it (RULES G4)."""
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
        id_, data = f"x{len(self.facts):03d}", {"report_id": report.id, "reason": "错"}
        if self.rnd.random() < 0.4:
            self._emit(report, "report-voided", data | {"source": report.source}, id_, sender=CITY)
            self._voided.append((report, id_, len(self.facts)))
        else:
            self._emit(report, "report-retracted", data, id_)
        for end in follows:
            self._emit(end, "report-suspended", {"report_id": end.id, "reason": "B6"}, end.id)

    def _unvoid(self) -> None:
        """Retract a voiding if nothing was recorded on its subject since: the services flag what then collides."""
        for report, voiding, since in self._voided:
            if all(fact["subject"] != report.subject for fact in self.facts[since:]):
                self._voided.remove((report, voiding, since))
                report.stands, report.retracted = True, False
                data: Data = {"report_id": report.id, "reason": "错"}
                if report.corrects is not None:
                    report.corrects.stands = False
                    data["corrects"] = report.corrects.id
                retraction = {"report_id": voiding, "reason": "错"}
                self._emit(report, "report-retracted", retraction, f"x{len(self.facts):03d}", sender=CITY)
                self._emit(report, "report-restored", data, report.id)
                return

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
        self, report: GeneratedReport, name: str, data: Data, report_id: str, corrects: GeneratedReport | None = None,
        sender: str | None = None,
    ) -> None:  # fmt: skip
        service = report.kind.partition(".")[0]
        # Clocks of services run apart by some steps, so that their instants come interleaved.
        at = self._clock.get(service, START + timedelta(seconds=self.rnd.randint(0, 20)))
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
            "reportsource": sender or report.source,
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
