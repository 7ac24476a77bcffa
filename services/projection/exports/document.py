"""The monthly briefing as a document: what the page, the workbook and the JSON are made of."""

from typing_extensions import TypedDict

from services.projection.assessment.pace import Signal
from services.projection.assessment.representation import (
    AssessedAnswer,
    Basis,
    BilingualText,
    ForecastValue,
    MonthName,
    PeriodName,
    SignalCounts,
    SignalRule,
    TargetValue,
)
from shared.contract.messages import DistrictCode


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
    """An indicator in the period that runs in the month; `before` is null where that period begins with the month."""

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


class BriefingTable(TypedDict):
    """What this query adds to its scope; `turned`: the indicators whose signal is another than a month ago."""

    month: MonthName
    title: BilingualText
    document_no: str
    city: BilingualText
    units: dict[str, BilingualText]
    districts: list[BriefingDistrict]
    summary: SignalCounts
    turned: list[str]
    series: list[BriefingSeries]


class Briefing(BriefingTable, AssessedAnswer):
    """The briefing of a month."""
