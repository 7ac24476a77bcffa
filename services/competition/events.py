"""The published language of competition: certificates, contests, awards, titles, honours (VOCABULARY 3)."""

from typing import Literal

from services.vocabulary import MEASURE_FORM, Level, OccupationCode, OnlyTheCity, Rank
from shared.contract.events import Ends, Event, Language, Opens
from shared.contract.rules import NumberTaken
from shared.contract.shapes import Count, Date, No, Number, Organisation, Person, Text

TitleSeries = Literal[
    "engineering",
    "agriculture",
    "arts-and-crafts",
    "cultural-relics-and-museums",
    "laboratory-technology",
    "arts",
    "sports",
    "technical-school-teachers",
]


class PilotEnterpriseRegistered(Event, subject="pilot/<enterprise.credit_code>", role=Opens(again=True)):
    """试点企业备案: An enterprise may certify the skill levels of its own staff (measure 3.2)."""

    enterprise: Organisation
    scope: Text | None = None


class PilotEnterpriseWithdrawn(
    Event, subject="pilot/<enterprise.credit_code>", role=Ends("pilot-enterprise-registered")
):
    """试点企业退出: The enterprise certifies no longer; the registration still counts (RULES E7)."""

    reason: Text | None = None


class CertificationSessionHeld(Event, subject="session/<no>", role=Opens(), dated="held_on"):
    """认定场次: A session at which candidates were certified (measure 3.2)."""

    organiser: Organisation
    occupation_code: OccupationCode
    level: Level
    candidates: Count
    passed: Count
    held_on: Date


class CertificateIssued(
    Event,
    subject="certificate/<number>",
    role=Opens(taken=NumberTaken, until="expires_on"),
    dated="issued_on",
    ordered=(("issued_on", "expires_on"),),
):
    """证书颁发: A person was certified in an occupation at a level (measures 1.4, 2.4; evidence for 2.2 and 5.1)."""

    person: Person
    occupation_code: OccupationCode
    occupation_name: Text
    level: Level
    kind: Literal["skill-level", "vocational-qualification"]
    issuer: Organisation
    issuer_kind: Literal["school", "enterprise", "social"]
    issued_on: Date
    expires_on: Date | None = None


class CertificateRevoked(Event, subject="certificate/<number>", role=Ends("certificate-issued"), dated="revoked_on"):
    """证书注销: The certificate is valid no longer; its number stays taken (RULES C3)."""

    revoked_on: Date
    reason: Text


class CompetitionHeld(Event, subject="competition/<no>", role=Opens(), dated="held_on"):
    """竞赛举办: A skills competition that took place (measure 3.3)."""

    name: Text
    rank: Rank
    organiser: Organisation
    participants: Number
    held_on: Date


class CompetitionCancelled(Event, subject="competition/<no>", role=Ends("competition-held", voids=True)):
    """竞赛取消: The competition did not take place after all; it counts in no period (RULES C5)."""

    reason: Text


class AwardGranted(Event, subject="award/<no>", role=Opens(), dated="granted_on"):
    """授奖: A person was awarded, as a city technical expert or otherwise (measure 3.3)."""

    award: Literal["city-technical-expert", "medal", "other"]
    person: Person
    competition_no: No | None = None
    granted_on: Date


class AwardWithdrawn(Event, subject="award/<no>", role=Ends("award-granted", voids=True)):
    """撤销授奖: The award is taken back and counts in no period (RULES C5)."""

    reason: Text


class TitleSeriesOpened(Event, subject="title-series/<series>", role=Opens(), whole_only=OnlyTheCity):
    """职称系列开放: Skilled workers may from now on be given titles of this series (measure 3.1)."""

    series: TitleSeries


class TitleConferred(Event, subject="title/<no>", role=Opens(), dated="conferred_on"):
    """职称授予: A skilled worker was given a professional title (measure 3.1)."""

    series: TitleSeries
    person: Person
    title_level: Literal["junior", "intermediate", "senior"]
    conferred_on: Date


class SkillFactorApplied(Event, subject="evaluation/<no>", role=Opens(), dated="applied_on"):
    """技能要素评价: A tender, an award or a qualification weighed an enterprise's skilled staff (measure 3.4)."""

    procedure: Literal["tender", "award", "qualification"]
    authority: Organisation
    enterprise: Organisation
    applied_on: Date


class ConferenceHeld(Event, subject="conference/<no>", role=Opens(), dated="held_on"):
    """发展大会: The talent conference took place (measure 5.3)."""

    name: Text
    held_on: Date


class HonourConferred(Event, subject="honour/<no>", role=Opens(), dated="conferred_on"):
    """荣誉授予: A person was honoured (measure 5.3; evidence for 5.4)."""

    honour: Literal["model-worker", "artisan", "gold-blue-collar", "outstanding-talent"]
    rank: Rank
    person: Person
    conferred_on: Date


class HonourWithdrawn(Event, subject="honour/<no>", role=Ends("honour-conferred", voids=True)):
    """撤销荣誉: The honour is taken back and counts in no period (RULES C5)."""

    reason: Text


class ActivityReported(
    Event, subject="activity/<measure>/<no>", parts={"measure": MEASURE_FORM}, role=Opens(), dated="on"
):
    """工作动态: Something was done for a clause that sets no number: an exhibition (measure 5.3)."""

    measure: Literal["5.3"]
    kind: Literal["exhibition"]
    title: Text
    on: Date
    organiser: Organisation | None = None


CompetitionEvent = (
    PilotEnterpriseRegistered
    | PilotEnterpriseWithdrawn
    | CertificationSessionHeld
    | CertificateIssued
    | CertificateRevoked
    | CompetitionHeld
    | CompetitionCancelled
    | AwardGranted
    | AwardWithdrawn
    | TitleSeriesOpened
    | TitleConferred
    | SkillFactorApplied
    | ConferenceHeld
    | HonourConferred
    | HonourWithdrawn
    | ActivityReported
)
LANGUAGE = Language("competition", CompetitionEvent)
