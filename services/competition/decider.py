"""Decider of competition: the rules of its reports, pure, without I/O or clock."""

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

from services.competition.events import (
    ActivityReported,
    AwardGranted,
    AwardWithdrawn,
    CertificateIssued,
    CertificateRevoked,
    CertificationSessionHeld,
    CompetitionCancelled,
    CompetitionEvent,
    CompetitionHeld,
    ConferenceHeld,
    HonourConferred,
    HonourWithdrawn,
    PilotEnterpriseRegistered,
    PilotEnterpriseWithdrawn,
    SkillFactorApplied,
    TitleConferred,
    TitleSeriesOpened,
)
from shared.contract.events import Event, Report
from shared.contract.rules import Rule
from shared.deciding.decider import Accept, Decision, Domain, Refuse
from shared.deciding.view import View
from shared.plan.model import Plan, successors


class PartsExceedTotal(Rule):
    """More passed than sat."""

    zh = "合格人数多于参加人数,请核对这两个数(candidates、passed)。"
    en = "More passed than took part; check candidates and passed."


class SeriesNotOpen(Rule):
    """No standing opening of the series on or before the day (RULES C10)."""

    zh = "授予之日该职称系列尚未开放。请先报告职称系列开放(title-series-opened),再换新编号重报。"
    en = (
        "This title series was not open on the day of conferral. Report title-series-opened first, then report the "
        "title again under a new id."
    )


def tags(_event: Event) -> Iterable[str]:
    """Name what later decisions look a fact up by: nothing but its subject."""
    return ()


def query(report: Report, _view: View) -> Iterable[str]:
    """Name the facts a report depends on other than its own subject's: a title's series."""
    if isinstance(report.event, TitleConferred):
        yield f"title-series/{report.event.series}"


def decide(report: Report, view: View) -> Decision:
    """Decide by the type's own rules; those of every type were applied before."""
    event = cast("CompetitionEvent", report.event)
    match event:
        case CertificationSessionHeld():
            return Refuse(PartsExceedTotal("/data/passed")) if event.passed > event.candidates else Accept()
        case TitleConferred():
            return _decide_title(event, view)
        case (
            PilotEnterpriseRegistered()
            | PilotEnterpriseWithdrawn()
            | CertificateIssued()
            | CertificateRevoked()
            | CompetitionHeld()
            | CompetitionCancelled()
            | AwardGranted()
            | AwardWithdrawn()
            | TitleSeriesOpened()
            | SkillFactorApplied()
            | ConferenceHeld()
            | HonourConferred()
            | HonourWithdrawn()
            | ActivityReported()
        ):
            return Accept()
        case _:
            assert_never(event)


def _decide_title(title: TitleConferred, view: View) -> Decision:
    opened = any(standing.starts_on <= title.conferred_on for _, standing in view.of(TitleSeriesOpened))
    return Accept() if opened else Refuse(SeriesNotOpen("/data/series"))


def domain(plans: Sequence[Plan]) -> Domain:
    """Return competition's rules; the plan says only which codes districts had before."""
    return Domain(tags, query, decide, successors=successors(plans))
