"""The monthly briefing as a document: what the page, the workbook and the JSON are made of."""

from typing_extensions import TypedDict

from services.projection.assessment.pace import Signal
from services.projection.assessment.representation import (
    AssessedAnswer,
    Basis,
    BilingualText,
    Day,
    DistrictStanding,
    ForecastValue,
    MonthName,
    PeriodName,
    SharedBy,
    SignalCounts,
    SignalRule,
    TargetValue,
)
from shared.contract.messages import DistrictCode, Instant


class MonthBefore(TypedDict):
    """An indicator at the end of the month before."""

    value: float | None
    signal: Signal


class DistrictFigure(TypedDict):
    """An indicator in a district, and what changed since the month before."""

    value: float | None
    met: bool | None
    signal: Signal
    change: float | None


class BriefingIndicator(TypedDict):
    """An indicator in the period that runs in the month; `before` is null where that period begins with the month.

    `red_since`: the first day of the month from whose end on it has been red; null where it is not.
    """

    id: str
    name: BilingualText
    unit: str
    basis: Basis
    period: PeriodName
    value: float | None
    numerator: int
    denominator: int | None
    target: TargetValue | None
    met: bool | None
    progress: float | None
    expected: float | None
    signal: Signal
    red_since: Day | None
    rule: SignalRule | None
    forecast: ForecastValue
    before: MonthBefore | None
    change: float | None
    districts: dict[DistrictCode, DistrictFigure]


class BriefingMeasure(TypedDict):
    """A measure with its clause, the bodies that answer for it, and its indicators."""

    id: str
    name: BilingualText
    text: str
    lead: list[BilingualText]
    indicators: list[BriefingIndicator]


class BriefingSeries(TypedDict):
    """A series of measures."""

    id: str
    name: BilingualText
    measures: list[BriefingMeasure]


class BriefingDistrict(TypedDict):
    """A district of the plan."""

    code: DistrictCode
    name: BilingualText


class BriefingPublication(TypedDict):
    """The publication whose figures these are: when, by whom, and as which one of the month (1: the close itself).

    `code`: what the QR code on its papers says (exports/qr_code.py).
    """

    recorded_at: Instant
    by: str
    number: int
    code: str


class BriefingNote(TypedDict):
    """Why an indicator of the briefing stands as it does, and what is done next; `district` null: the whole."""

    indicator: str
    district: DistrictCode | None
    cause: str
    next_step: str
    by: str
    recorded_at: Instant


class BriefingTable(TypedDict):
    """What this query adds to its scope; `published` is null where these are not the figures of a publication.

    `issuer`: who signs that of the whole, null where the plan names nobody and for a district. `example_day`: the day
    of made-up data, null where they are real. `turned`: the indicators whose signal is another than a month ago.
    `late`: those amber or red, the furthest from what was expected first. `notes`: those known at the instant, in the
    order of the indicators, of the whole and of each district, or of one. `standings`: how each district stands;
    `shared_by`: by what indicative shares are made.
    """

    month: MonthName
    title: BilingualText
    document_no: str
    city: BilingualText
    issuer: BilingualText | None
    units: dict[str, BilingualText]
    districts: list[BriefingDistrict]
    published: BriefingPublication | None
    example_day: Day | None
    summary: SignalCounts
    turned: list[str]
    late: list[str]
    notes: list[BriefingNote]
    standings: list[DistrictStanding]
    shared_by: SharedBy
    series: list[BriefingSeries]


class Briefing(BriefingTable, AssessedAnswer):
    """The briefing of a month."""
