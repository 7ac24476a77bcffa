"""The published language of subsidy: catalogues, standards, claims, payments, and the service's own decisions."""

from typing import Annotated, Literal

from pydantic import Field

from services.vocabulary import LEVEL_FORM, MEASURE_FORM, OCCUPATION_FORM, Industry, Level, OccupationCode, OnlyTheCity
from shared.contract.events import Adds, Ends, Event, Language, Opens, Stands
from shared.contract.shapes import Count, Date, Fen, No, Organisation, Person, Shape, Text


class CatalogueOccupation(Shape):
    """An occupation that is short, and the industry that is short of it."""

    code: OccupationCode
    name: Text
    industry: Industry


class CataloguePublished(
    Event,
    subject="catalogue/<no>",
    role=Opens(until="effective_until"),
    ordered=(("effective_from", "effective_until"),),
    whole_only=OnlyTheCity,
):
    """A shortage-occupation catalogue came out (2.1); it runs on without effective_until (C13)."""

    title: Text
    document_no: Text
    effective_from: Date
    effective_until: Date | None = None
    occupations: Annotated[list[CatalogueOccupation], Field(min_length=1)]


class StandardSet(
    Event,
    subject="standard/<occupation_code>/<level>",
    parts={"occupation_code": OCCUPATION_FORM, "level": LEVEL_FORM},
    role=Adds(),
    whole_only=OnlyTheCity,
):
    """The base amount of the training subsidy for an occupation and level, from a date on (measure 2.2)."""

    occupation_code: OccupationCode
    level: Level
    amount_fen: Fen
    effective_from: Date


class SubsidyClaimed(Event, subject="claim/<no>", role=Opens(), dated="claimed_on"):
    """A training subsidy was claimed on a certificate (measure 2.2); recorded when it is granted."""

    person: Person
    certificate_number: No
    industry: Industry
    applicant: Literal["person", "enterprise", "provider"]
    claimed_on: Date


class SubsidyGranted(Event, subject="claim/<no>", decision=True):
    """The grant with its arithmetic: amount = base × (100 + percentage) / 100, rounded half up to the fen (D5)."""

    certificate_number: No
    occupation_code: OccupationCode
    level: Level
    base_fen: Fen
    standard_effective_from: Date
    percentage: Count
    clause: Text
    catalogue_no: No | None = None
    amount_fen: Fen


class SubsidyRefused(Event, subject="claim/<no>", decision=True):
    """The claim was refused; `code` names the rule."""

    certificate_number: No
    code: Text


class SubsidyPaid(Event, subject="claim/<no>", role=Adds("subsidy-claimed"), dated="on"):
    """Money went out on a granted claim; may come in instalments."""

    amount_fen: Fen
    on: Date


class SubsidyRecovered(Event, subject="claim/<no>", role=Adds("subsidy-claimed"), dated="on"):
    """Money came back; it frees nothing (RULES D10)."""

    amount_fen: Fen
    on: Date


class AllowanceClaimed(Event, subject="allowance/<no>", role=Opens(), dated="claimed_on"):
    """A post allowance was claimed (measure 5.1); recorded when it is granted."""

    person: Person
    certificate_number: No
    enterprise: Organisation
    employed_since: Date
    claimed_on: Date


class AllowanceGranted(Event, subject="allowance/<no>", decision=True):
    """The grant with its arithmetic: at most amount_fen = monthly_fen × months, in any instalments (RULES D7)."""

    certificate_number: No
    level: Level
    monthly_fen: Fen
    months: Count
    clause: Text
    catalogue_no: No
    runs_from: Date
    runs_until: Date
    amount_fen: Fen


class AllowanceRefused(Event, subject="allowance/<no>", decision=True):
    """The allowance was refused; `code` names the rule."""

    certificate_number: No
    code: Text


class AllowancePaid(Event, subject="allowance/<no>", role=Adds("allowance-claimed"), dated="on"):
    """An instalment of a granted allowance went out."""

    amount_fen: Fen
    on: Date


class BaseFunded(Event, subject="funding/<no>", role=Opens(), dated="on"):
    """A training base was paid funding (measure 2.2)."""

    base_code: No
    amount_fen: Fen
    on: Date


class EnterpriseClassified(Event, subject="enterprise/<enterprise.credit_code>", role=Stands()):
    """What kind of enterprise it is (measure 5.2); the latest stands."""

    enterprise: Organisation
    above_scale: bool
    industrial_reform_pilot: bool
    industry: Industry


class WageAgreementSigned(
    Event,
    subject="enterprise/<credit_code>",
    role=Opens(again=True, key="agreement_no", until="valid_until"),
    dated="signed_on",
    ordered=(("signed_on", "valid_until"),),
):
    """A skill-grade wage agreement binds an enterprise (measure 5.2)."""

    agreement_no: No
    signed_on: Date
    valid_until: Date


class WageAgreementEnded(
    Event,
    subject="enterprise/<credit_code>",
    role=Ends("wage-agreement-signed", key="agreement_no"),
    dated="ended_on",
):
    """The agreement ended early."""

    agreement_no: No
    ended_on: Date


class CreditLineRequested(Event, subject="credit/<no>", role=Opens(), dated="requested_on"):
    """A model-worker credit line was requested (measure 5.4); recorded when it is granted."""

    person: Person
    bank: Organisation
    amount_fen: Fen
    requested_on: Date


class CreditLineGranted(Event, subject="credit/<no>", decision=True):
    """The line with its arithmetic: other open lines + amount ≤ cap (RULES D12)."""

    amount_fen: Fen
    other_open_fen: Count
    cap_fen: Fen
    clause: Text
    honour_no: No


class CreditLineRefused(Event, subject="credit/<no>", decision=True):
    """The line was refused; `code` names the rule."""

    amount_fen: Fen
    code: Text


class CreditLineClosed(Event, subject="credit/<no>", role=Ends("credit-line-requested"), dated="closed_on"):
    """The line was closed and takes nothing of the cap any more."""

    closed_on: Date


class ActivityReported(
    Event, subject="activity/<measure>/<no>", parts={"measure": MEASURE_FORM}, role=Opens(), dated="on"
):
    """A clause without a number was acted on (measure 5.2)."""

    measure: Literal["5.2"]
    kind: Literal["wage-survey", "wage-guidance"]
    title: Text
    on: Date
    organiser: Organisation | None = None


SubsidyEvent = (
    CataloguePublished
    | StandardSet
    | SubsidyClaimed
    | SubsidyGranted
    | SubsidyRefused
    | SubsidyPaid
    | SubsidyRecovered
    | AllowanceClaimed
    | AllowanceGranted
    | AllowanceRefused
    | AllowancePaid
    | BaseFunded
    | EnterpriseClassified
    | WageAgreementSigned
    | WageAgreementEnded
    | CreditLineRequested
    | CreditLineGranted
    | CreditLineRefused
    | CreditLineClosed
    | ActivityReported
)
LANGUAGE = Language("subsidy", SubsidyEvent)
