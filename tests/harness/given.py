"""Given-when-then for deciders: what was recorded, which report comes in, what is decided; all of it pure.

What is given has the ids `report-1`, `report-2`, … in its order, for a correction or a retraction to name.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.contract.events import Event, Fact, Language, Report, ReportRetracted
from shared.contract.rules import NeverArrived, Rule
from shared.deciding.decider import Accept, Decision, Domain, NamedReport, Refuse, Wait, decide
from shared.deciding.facts import FactIndex, event_body
from shared.deciding.query import Query
from shared.deciding.view import View


@dataclass(frozen=True)
class GivenReport:
    """Something that was told of a subject; as given it is a fact, as the case in hand a report."""

    subject: str
    event: Event
    at: datetime
    received_at: datetime
    district: str
    corrects: str | None = None
    by: str | None = None


def report(
    subject: str,
    event: Event,
    on: str | None = None,
    received: str = "2024-12-31",
    district: str = "330681",
    corrects: str | None = None,
    by: str | None = None,
) -> GivenReport:
    """Tell of an event that happened at noon of a day: its own date's, or `on`; received at noon, too.

    `by`: the credential by which it came.
    """
    assert not event.subject or event.subject_form.fullmatch(subject), f"{subject} is no {event.subject}"
    day = on or (str(getattr(event, event.dated)) if event.dated else "2024-06-01")
    return GivenReport(subject, event, _noon(day), _noon(received), district, corrects, by)


def retraction(subject: str, report_id: str, district: str = "330681") -> GivenReport:
    """Tell that a report is taken back."""
    return report(subject, ReportRetracted(report_id=report_id, reason="误报"), district=district)


def _noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+08:00")


@dataclass(frozen=True)
class Outcome:
    """What was decided."""

    decision: Decision
    refusal: tuple[Event, ...] = ()

    def then_accepted(self, *also: Event) -> None:
        """Check that it is a fact now, with these decisions of the service's own behind it."""
        assert self.decision == Accept(also), _describe(self.decision)

    def then_refused(self, rule: type[Rule], pointer: str | None = None, *also: Event) -> Rule:
        """Check that this rule said no, at this place, in words of both languages; return what it said."""
        assert isinstance(self.decision, Refuse), _describe(self.decision)
        assert type(self.decision.rule) is rule, _describe(self.decision)
        assert self.refusal == also
        result = self.decision.rule.reason()
        assert all(result[language] and "{" not in result[language] for language in ("zh", "en"))
        if pointer is not None:
            assert result["pointer"] == pointer
        return self.decision.rule

    def then_waits_for(self, waits_for: str, until: str | None = None, never: type[Rule] = NeverArrived) -> None:
        """Check that it waits for this, is woken by `until` (by default the same), and what refuses it in the end."""
        assert self.decision == Wait(waits_for, until or waits_for, never), _describe(self.decision)


def _describe(decision: Decision) -> str:
    return str(decision.rule.reason()) if isinstance(decision, Refuse) else str(decision)


@dataclass(frozen=True)
class Situation:
    """What was recorded before."""

    domain: Domain
    languages: tuple[Language, ...]
    facts: tuple[Fact, ...]

    def when(self, reported: GivenReport) -> Outcome:
        """Decide a report by those facts that its streams and tags bring up, as the command handler does."""
        case = Report(
            id="case",
            source=f"/districts/{reported.district}/tests",
            type=_home(self.languages, reported.event).type_of(type(reported.event)),
            subject=reported.subject,
            time=reported.at.isoformat(),
            district=reported.district,
            event=reported.event,
            body=event_body(reported.event),
            at=reported.at,
            digest=b"",
            received_at=reported.received_at,
            corrects=reported.corrects,
            reported_by=reported.by,
        )
        service = _home(self.languages, reported.event).service
        decision = decide(case, self._view(case), self.domain, service, self._named(case))
        refusal = self.domain.refusal(reported.event, decision.rule) if isinstance(decision, Refuse) else ()
        return Outcome(decision, tuple(refusal))

    def _named(self, case: Report) -> NamedReport | None:
        of_name = (fact for fact in self.facts if (fact.report_source, fact.report_id) == case.names)
        return next((NamedReport(fact.type, fact.stream, "accepted") for fact in of_name), None)

    def _view(self, case: Report) -> View:
        query = Query(case, self.domain, FactIndex(self.facts))
        while query.expand():
            pass  # the index has every fact
        return query.view


Given = Callable[..., Situation]


def rules_of(domain: Domain, language: Language, *hears: Language) -> Given:
    """Return `given`: it takes what was told before, in order, and yields what is known by it."""
    languages = (language, *hears)

    def given(*before: GivenReport) -> Situation:
        facts: list[Fact] = []
        versions: defaultdict[str, int] = defaultdict(int)
        for position, reported in enumerate(before, 1):
            home = _home(languages, reported.event)
            versions[reported.subject] += 1
            facts.append(
                Fact(
                    service=home.service,
                    position=position,
                    version=versions[reported.subject],
                    id=f"fact-{position}",
                    type=home.type_of(type(reported.event)),
                    stream=reported.subject,
                    district=reported.district,
                    at=reported.at,
                    time=reported.at.isoformat(),
                    recorded_at=reported.received_at,
                    report_source=f"/districts/{reported.district}/tests",
                    report_id=f"report-{position}",
                    event=reported.event,
                    body=event_body(reported.event),
                    tags=tuple(domain.tags(reported.event)),
                    corrects=reported.corrects,
                    reported_by=reported.by,
                )
            )
        return Situation(domain, languages, tuple(facts))

    return given


def _home(languages: tuple[Language, ...], event: Event) -> Language:
    return next(language for language in languages if type(event) in language.events)
