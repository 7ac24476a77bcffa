"""Which rows and columns of the briefing's tables are folded into a sentence: those that are zero throughout.

Nothing is left out unsaid: what is folded is counted and named, what cannot be computed is never said to be zero, and
what has a target of its own is never folded. The workbook keeps every row, because its columns are filtered and added
up.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.projection.exports.document import (
    Briefing,
    BriefingDistrict,
    BriefingIndicator,
    BriefingMeasure,
    BriefingSeries,
)
from services.projection.exports.texts import Language, text


class DistrictTable(NamedTuple):
    """A series district by district: the rows and columns that say something, and sentences on those that do not."""

    rows: Sequence[BriefingIndicator]
    districts: Sequence[BriefingDistrict]
    folded: Sequence[str]


def is_idle(briefing: Briefing, row: BriefingIndicator) -> bool:
    """Return whether a row says nothing: no target, nothing counted, nothing moved, here and in every district."""
    if row["target"] is not None or row["value"] or row["change"]:
        return False
    return briefing["district"] is not None or all(_is_nothing(row, district) for district in briefing["districts"])


def measures_shown(briefing: Briefing, series: BriefingSeries) -> list[tuple[BriefingMeasure, list[BriefingIndicator]]]:
    """Return the measures of a series with the rows that are shown of each, without those of which none is."""
    measures = (
        (each, [row for row in each["indicators"] if not is_idle(briefing, row)]) for each in series["measures"]
    )
    return [(measure, rows) for measure, rows in measures if rows]


def rows_shown(briefing: Briefing, series: BriefingSeries) -> list[BriefingIndicator]:
    """Return the rows of a series that are shown."""
    return [row for _, rows in measures_shown(briefing, series) for row in rows]


def idle_rows(briefing: Briefing, series: BriefingSeries, language: Language) -> list[str]:
    """Return sentences on the rows of a series that are folded: which are zero, and which cannot be computed."""
    idle = [row for each in series["measures"] for row in each["indicators"] if is_idle(briefing, row)]
    zero = [row for row in idle if row["value"] is not None]
    return [
        *_sentence("folded", (_name(row, language) for row in zero), language),
        *_sentence("folded-unknown", (_name(row, language) for row in idle if row["value"] is None), language),
    ]


def district_table(briefing: Briefing, series: BriefingSeries, language: Language) -> DistrictTable:
    """Return what is shown of a series district by district."""
    districts = briefing["districts"]
    candidates = rows_shown(briefing, series)
    rows = [row for row in candidates if not all(_is_nothing(row, district) for district in districts)]
    flat = [row for row in candidates if row not in rows]
    columns = [district for district in districts if not all(_is_nothing(row, district) for row in rows)]
    # Where every figure is missing there is no zero to speak of.
    unknown = [row for row in flat if all(_value(row, district) is None for district in districts)]
    zero = [
        _name(row, language)
        + _unknown((each["name"][language] for each in districts if _value(row, each) is None), language)
        for row in flat
        if row not in unknown
    ]
    empty = [
        each["name"][language] + _unknown((row["id"] for row in rows if _value(row, each) is None), language)
        for each in districts
        if each not in columns and rows
    ]
    return DistrictTable(
        rows,
        columns,
        [
            *_sentence("folded-columns", empty, language),
            *_sentence("folded-rows", zero, language),
            *_sentence("folded-rows-unknown", (_name(row, language) for row in unknown), language),
        ],
    )


def _value(row: BriefingIndicator, district: BriefingDistrict) -> float | None:
    figure = row["districts"].get(district["code"])
    return figure["value"] if figure else None


def _is_nothing(row: BriefingIndicator, district: BriefingDistrict) -> bool:
    """Return whether a district's figure is zero or missing, did not move, and answers to no target of its own."""
    figure = row["districts"].get(district["code"])
    return figure is None or not (figure["value"] or figure["change"] or figure["met"] is not None)


def _name(row: BriefingIndicator, language: Language) -> str:
    return f"{row['id']} {row['name'][language]}"


def _unknown(names: Iterable[str], language: Language) -> str:
    """Return in brackets where a figure is missing among zeros; empty where none is."""
    listed = _listed(names, language)
    if not listed:
        return ""
    exception = text("folded-but", language).format(list=listed)
    return f"({exception})" if language == "zh" else f" ({exception})"


def _sentence(key: str, names: Iterable[str], language: Language) -> list[str]:
    listed = [*names]
    return [text(key, language).format(count=len(listed), list=_listed(listed, language))] if listed else []


def _listed(names: Iterable[str], language: Language) -> str:
    return ("、" if language == "zh" else ", ").join(names)
