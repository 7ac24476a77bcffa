"""Decider of subsidy: the rules of its reports, and grants by the plan's parameters (RULES D); pure."""

import calendar
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never, cast

from services.competition.events import CertificateIssued, HonourConferred
from services.recruitment.events import PersonHired
from services.subsidy import policies
from services.subsidy.events import (
    ActivityReported,
    AllowanceClaimed,
    AllowanceGranted,
    AllowancePaid,
    AllowanceRefused,
    BaseFunded,
    CatalogueOccupation,
    CataloguePublished,
    CreditLineClosed,
    CreditLineGranted,
    CreditLineRefused,
    CreditLineRequested,
    EnterpriseClassified,
    StandardSet,
    SubsidyClaimed,
    SubsidyEvent,
    SubsidyGranted,
    SubsidyPaid,
    SubsidyRecovered,
    SubsidyRefused,
    WageAgreementEnded,
    WageAgreementSigned,
)
from shared.contract.events import Event, Fact, Report
from shared.contract.rules import AlreadyOpen, InTheFuture, Rule
from shared.deciding.decider import Accept, Decision, Domain, Refuse, Wait
from shared.deciding.stream_fold import FactInForce
from shared.deciding.view import View
from shared.plan.model import Plan, successors
from shared.plan.parameters import Parameters


class OverlappingCatalogue(Rule):
    zh = "与另一份目录的有效期有重叠。请先更正前一份的有效期。"
    en = "Its validity overlaps another catalogue's. Correct the earlier one's dates first."


class NotYourCertificate(Rule):
    zh, en = "该证书属于另一人。", "The certificate is another person's."


class CertificateNotValid(Rule):
    zh, en = "申领之日该证书尚未生效、已过期或已注销。", "The certificate was not valid on the day of the claim."


class NoStandard(Rule):
    zh = "发证之日没有该职业(工种)该等级的补贴标准。"
    en = "No subsidy standard for this occupation and level was in force on the day the certificate was issued."


class AlreadyGranted(Rule):
    zh, en = "该人员已享受过这项待遇,不能重复享受。", "This person has been granted this already; it is granted once."


class LevelTooLow(Rule):
    zh, en = "证书等级须为技师(二级)及以上。", "The certificate must be of level 2 (technician) or above."


class NotAShortageOccupation(Rule):
    zh = "该职业(工种)不在申领之日有效的紧缺(职业)工种目录内。"
    en = "The occupation is not in the shortage catalogue in force on the day of the claim."


class NotEmployed(Rule):
    zh, en = "申领之日该人员在该企业的在职记录已结束。", "The person's employment at this enterprise had ended."


class NoHonour(Rule):
    zh = "等待 {days} 天,仍没有符合条件的荣誉。"
    en = "No honour that opens a credit line was reported within {days} days."


class OverTheLimit(Rule):
    """Not by how much: the other lines may be another district's (RULES G6)."""

    zh = "超过每人授信总额上限(各区县未结清的合计)。"
    en = "Over the limit for all open lines of a person, in all districts together."


class NotGranted(Rule):
    zh, en = "该申领未获批准,不能支付或追回。", "The claim was refused; nothing can be paid or recovered on it."


class MoreThanGranted(Rule):
    zh, en = "累计支付超过批准金额。", "All payments together come to more than was granted."


class AlreadyPaid(Rule):
    zh, en = (
        "已有支付,不能撤回申领。请先追回。",
        "Money stands paid on this claim; recover it before taking the claim back.",
    )


class MoreThanPaid(Rule):
    zh, en = "追回超过已支付金额。", "More than stands paid cannot be recovered."


def tags(event: Event) -> Iterable[str]:
    """Name what later decisions look a fact up by."""
    match event:
        case CataloguePublished():
            yield "catalogue"
        case SubsidyClaimed():
            yield f"grant-of:{event.person.token}:{event.certificate_number}"
        case SubsidyGranted():
            yield f"rests-on:certificate/{event.certificate_number}"
            yield f"rests-on:standard/{event.occupation_code}/{event.level}"
            if event.catalogue_no is not None:
                yield f"rests-on:catalogue/{event.catalogue_no}"
        case AllowanceClaimed():
            yield f"allowance-of:{event.person.token}"
        case AllowanceGranted():
            yield f"rests-on:certificate/{event.certificate_number}"
            yield f"rests-on:catalogue/{event.catalogue_no}"
        case CreditLineRequested():
            yield f"credit-of:{event.person.token}"
        case CreditLineGranted():
            yield f"rests-on:honour/{event.honour_no}"
        case _:
            yield from policies.tags(event)


def query(report: Report, view: View) -> Iterable[str]:
    """Name the facts a report depends on other than its own subject's; a standard is known once the certificate is."""
    yield from tags(report.event)
    match report.event:
        case SubsidyClaimed() | AllowanceClaimed() as claim:
            yield f"certificate/{claim.certificate_number}"
            yield "catalogue"
            certificate = _certificate(view, claim.certificate_number)
            if certificate is not None:
                yield f"standard/{certificate[0].occupation_code}/{certificate[0].level}"
            if isinstance(claim, AllowanceClaimed):
                yield f"hire-of:{claim.person.token}:{claim.enterprise.credit_code}"
        case CreditLineRequested() as line:
            yield f"honour-of:{line.person.token}"
        case _:
            return


@dataclass(frozen=True, slots=True)
class Rules:
    """Subsidy's rules under the parameters of the plans."""

    plans: Sequence[Plan]

    def parameters(self, district: str, day: date) -> Parameters:
        """Return the parameters of the plan that covers a district on a day (else of the first that covers it)."""
        covering = [plan for plan in self.plans if plan.covers(district)] or list(self.plans)
        running = [plan for plan in covering if plan.period.first <= day <= plan.period.last]
        return (running or covering)[0].parameters

    def decide(self, report: Report, view: View) -> Decision:
        """Decide by the type's own rules; those of every type were applied before."""
        event = cast("SubsidyEvent", report.event)
        parameters = self.parameters(report.district, report.happened_on)
        match event:
            case CataloguePublished():
                return _decide_catalogue(event, view)
            case SubsidyClaimed():
                return _decide_subsidy(event, view, parameters)
            case AllowanceClaimed():
                return _decide_allowance(event, view, parameters)
            case CreditLineRequested():
                return _decide_credit_line(event, view, parameters)
            case SubsidyPaid() | SubsidyRecovered():
                return _decide_money(event, view, SubsidyGranted, SubsidyRefused)
            case AllowancePaid():
                return _decide_money(event, view, AllowanceGranted, AllowanceRefused)
            case (
                StandardSet()
                | BaseFunded()
                | EnterpriseClassified()
                | WageAgreementSigned()
                | WageAgreementEnded()
                | CreditLineClosed()
                | ActivityReported()
            ):
                return Accept()
            case (
                SubsidyGranted()
                | SubsidyRefused()
                | AllowanceGranted()
                | AllowanceRefused()
                | CreditLineGranted()
                | CreditLineRefused()
            ):
                raise TypeError(f"{event.type_name} is a decision, not a report")
            case _:
                assert_never(event)


def _decide_catalogue(catalogue: CataloguePublished, view: View) -> Decision:
    last = catalogue.effective_until or date.max
    for other, _ in view.of(CataloguePublished):
        if other.effective_from <= last and catalogue.effective_from <= (other.effective_until or date.max):
            return Refuse(OverlappingCatalogue("/data/effective_from"))
    return Accept()


def _decide_subsidy(claim: SubsidyClaimed, view: View, parameters: Parameters) -> Decision:
    evidence = _evidence(claim, view)
    if not isinstance(evidence, CertificateIssued):
        return evidence
    certificate = evidence
    standard = _standard(view, certificate)
    if standard is None:
        return Refuse(NoStandard())
    if any(_same_grant(claim, other) for other, _ in view.of(SubsidyClaimed)):
        return Refuse(AlreadyGranted())
    terms = parameters.training_subsidy
    catalogue_no, listed = _in_catalogue(view, certificate.issued_on, certificate.occupation_code)
    if any(occupation.industry in terms.industries for occupation in listed):
        percentage = terms.shortage_percent
    else:
        catalogue_no = None
        percentage = terms.industry_percent if claim.industry in terms.industries else 0
    return Accept(
        (
            SubsidyGranted(
                certificate_number=claim.certificate_number,
                occupation_code=certificate.occupation_code,
                level=certificate.level,
                base_fen=standard.amount_fen,
                standard_effective_from=standard.effective_from,
                percentage=percentage,
                clause=terms.clause or "",
                catalogue_no=catalogue_no,
                amount_fen=(standard.amount_fen * (100 + percentage) + 50) // 100,
            ),
        )
    )


def _same_grant(claim: SubsidyClaimed, other: SubsidyClaimed) -> bool:
    return (claim.person.token, claim.certificate_number) == (other.person.token, other.certificate_number)


def _decide_allowance(claim: AllowanceClaimed, view: View, parameters: Parameters) -> Decision:
    evidence = _evidence(claim, view)
    if not isinstance(evidence, CertificateIssued):
        return evidence
    certificate, terms = evidence, parameters.post_allowance
    monthly = terms.monthly_fen.get(certificate.level)
    if monthly is None:
        return Refuse(LevelTooLow())
    catalogue_no, listed = _in_catalogue(view, claim.claimed_on, certificate.occupation_code)
    if catalogue_no is None or not listed:
        return Refuse(NotAShortageOccupation())
    if not _employed(claim, view):
        return Refuse(NotEmployed())
    runs_until = _months_after(claim.claimed_on, terms.months) - timedelta(days=1)
    for other, _ in view.of(AllowanceClaimed):
        until = _months_after(other.claimed_on, terms.months) - timedelta(days=1)
        same = other.person.token == claim.person.token
        if same and other.claimed_on <= runs_until and claim.claimed_on <= until:
            return Refuse(AlreadyGranted())
    return Accept(
        (
            AllowanceGranted(
                certificate_number=claim.certificate_number,
                level=certificate.level,
                monthly_fen=monthly,
                months=terms.months,
                clause=terms.clause or "",
                catalogue_no=catalogue_no,
                runs_from=claim.claimed_on,
                runs_until=runs_until,
                amount_fen=monthly * terms.months,
            ),
        )
    )


def _employed(claim: AllowanceClaimed, view: View) -> bool:
    """Return whether no fact contradicts the claim; without a hire on record it is believed (RULES D8)."""
    hires = [
        standing
        for hire, standing in view.of(PersonHired)
        if hire.person.token == claim.person.token and hire.enterprise.credit_code == claim.enterprise.credit_code
    ]
    return not hires or any(hire.open_on(claim.claimed_on) for hire in hires)


def _decide_credit_line(line: CreditLineRequested, view: View, parameters: Parameters) -> Decision:
    terms = parameters.credit_line
    ranks = {honour.honour: honour.ranks for honour in terms.honours}
    honours = [
        standing
        for honour, standing in view.of(HonourConferred)
        if honour.person.token == line.person.token
        and honour.rank in ranks.get(honour.honour, ())
        and honour.conferred_on <= line.requested_on
    ]
    if not honours:
        return Wait("honour", f"honour-of:{line.person.token}", NoHonour)
    taken = sum(
        other.amount_fen
        for other, standing in view.of(CreditLineRequested)
        if other.person.token == line.person.token and standing.end is None
    )
    if taken + line.amount_fen > terms.cap_fen:
        return Refuse(OverTheLimit("/data/amount_fen"))
    return Accept(
        (
            CreditLineGranted(
                amount_fen=line.amount_fen,
                other_open_fen=taken,
                cap_fen=terms.cap_fen,
                clause=terms.clause or "",
                honour_no=honours[0].fact.stream.partition("/")[2],
            ),
        )
    )


def _decide_money(
    event: SubsidyPaid | SubsidyRecovered | AllowancePaid,
    view: View,
    granted_as: type[SubsidyGranted | AllowanceGranted],
    refused_as: type[SubsidyRefused | AllowanceRefused],
) -> Decision:
    grants = [grant for grant, _ in view.of(granted_as)]
    if not grants:
        return Refuse(NotGranted()) if any(view.of(refused_as)) else Accept()  # the kernel lets it wait
    granted = grants[-1].amount_fen
    paid = _net_paid(view)
    if isinstance(event, SubsidyRecovered):
        return Refuse(MoreThanPaid("/data/amount_fen")) if event.amount_fen > paid else Accept()
    if paid + event.amount_fen > granted:
        return Refuse(MoreThanGranted("/data/amount_fen"))
    return Accept()


def _net_paid(view: View) -> int:
    paid = view.total(SubsidyPaid, "amount_fen") + view.total(AllowancePaid, "amount_fen")
    return paid - view.total(SubsidyRecovered, "amount_fen")


def refusal(event: Event, rule: Rule) -> Iterable[Event]:
    """Return the fact of a refusal: a claim's is recorded too (RULES D1), but not that its number was used before."""
    code = rule.code_of()
    if isinstance(rule, AlreadyOpen | InTheFuture):
        return
    match event:
        case SubsidyClaimed():
            yield SubsidyRefused(certificate_number=event.certificate_number, code=code)
        case AllowanceClaimed():
            yield AllowanceRefused(certificate_number=event.certificate_number, code=code)
        case CreditLineRequested():
            yield CreditLineRefused(amount_fen=event.amount_fen, code=code)
        case _:
            return


def may_retract(fact: Fact, view: View) -> Rule | None:
    """Keep a granted claim from being taken back while a payment on it is in force (RULES D10)."""
    claimed = isinstance(fact.event, SubsidyClaimed | AllowanceClaimed)
    return AlreadyPaid() if claimed and _net_paid(view) > 0 else None


def _certificate(view: View, number: str) -> tuple[CertificateIssued, FactInForce] | None:
    for event, standing in view.of(CertificateIssued):
        if standing.fact.stream == f"certificate/{number}":
            return event, standing
    return None


def _evidence(claim: SubsidyClaimed | AllowanceClaimed, view: View) -> CertificateIssued | Refuse | Wait:
    """Return the certificate if it is known, the claimant's, and valid on the day of the claim (RULES D2, D3)."""
    evidence = _certificate(view, claim.certificate_number)
    if evidence is None:
        subject = f"certificate/{claim.certificate_number}"
        return Wait(subject, subject)
    certificate, standing = evidence
    if certificate.person.token != claim.person.token:
        return Refuse(NotYourCertificate("/data/certificate_number"))
    revoked = standing.ended_on is not None and standing.ended_on <= claim.claimed_on
    last_day = certificate.expires_on or date.max
    if revoked or not certificate.issued_on <= claim.claimed_on <= last_day:
        return Refuse(CertificateNotValid("/data/certificate_number"))
    return certificate


def _standard(view: View, certificate: CertificateIssued) -> StandardSet | None:
    """Return the standard in force on the issue date: the latest, of equal ones the later recorded (RULES D4)."""
    fitting = [
        (standard.effective_from, standing.fact.position, standard)
        for standard, standing in view.of(StandardSet)
        if (standard.occupation_code, standard.level) == (certificate.occupation_code, certificate.level)
        and standard.effective_from <= certificate.issued_on
    ]
    return max(fitting, key=lambda entry: entry[:2])[2] if fitting else None


def _in_catalogue(view: View, day: date, occupation_code: str) -> tuple[str | None, list[CatalogueOccupation]]:
    """Return the number of the catalogue in force on a day and its entries for an occupation."""
    for catalogue, standing in view.of(CataloguePublished):
        if catalogue.effective_from <= day <= (catalogue.effective_until or date.max):
            listed = [occupation for occupation in catalogue.occupations if occupation.code == occupation_code]
            return standing.fact.stream.partition("/")[2], listed
    return None, []


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def domain(plans: Sequence[Plan]) -> Domain:
    """Return subsidy's rules under the parameters of the plans."""
    decide: Callable[[Report, View], Decision] = Rules(plans).decide
    return Domain(tags, query, decide, refusal, may_retract, successors(plans))
