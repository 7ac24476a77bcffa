"""The monthly briefing as the sequence of texts and tables that it is on paper: a letter and a PDF are set from it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, final
from unicodedata import east_asian_width

from typing_extensions import TypedDict

from services.projection.assessment.pace import Signal
from services.projection.exports import folding, wording
from services.projection.exports.document import Briefing, BriefingDistrict, BriefingIndicator, BriefingSeries
from services.projection.exports.texts import Language, text
from services.projection.exports.wording import DASH

Style = Literal[
    "Title",
    "Subtitle",
    "Heading1",
    "Heading2",
    "Body",
    "Small",
    "Enclosure",
    "Signature",
    "Date",
    "Annex",
    "AnnexTitle",
]


@final
class Text(TypedDict):
    """A paragraph, in a style of the letter."""

    style: Style
    text: str


@final
class Signed(TypedDict):
    """A line of who signs and when, set so many characters off the right edge."""

    style: Style
    text: str
    right: float


@final
class QrCode(TypedDict):
    """The QR code of the figures, which says `code`; `alt` is read aloud, `text` stands below it."""

    style: Style
    text: str
    code: str
    alt: str


class TableCell(TypedDict):
    """A cell; `number`: set to the right; `signal`: its ground; `share`: the part of its target, drawn below.

    `bar`: the signal in whose colour it is drawn.
    """

    text: str
    number: bool
    signal: Signal | None
    share: float | None
    bar: Signal


@final
class Table(TypedDict):
    """A table; `widths` in twentieths of a point, 8,844 in all."""

    widths: Sequence[int]
    titles: Sequence[str]
    rows: Sequence[Sequence[TableCell]]


_NUMBERS: Final = {"zh": ("一、", "二、", "三、", "四、", "五、"), "en": ("1. ", "2. ", "3. ", "4. ", "5. ")}
_WIDTH: Final = 8_844
_NAME: Final = 1_844
_OF_ROW: Final = 1_564  # leaves room for a million yuan in each of seven districts
_INDENT: Final = 2  # characters


def layout(briefing: Briefing, language: Language) -> Iterator[Text | Signed | QrCode | Table]:
    """Yield the conclusion, the districts, what changed and the notes, then series by series, and the clauses."""
    number = iter(_NUMBERS[language])
    yield _text("Title", wording.title(briefing, language))
    yield _text("Subtitle", f"{briefing['title'][language]} {briefing['document_no']}")
    yield _text("Heading1", next(number) + text("conclusion", language))
    yield _text("Body", wording.publication(briefing, language))
    yield _text("Body", wording.about(briefing, language))
    for sentence in wording.conclusion(briefing, language):
        yield _text("Body", sentence)
    yield _text("Heading1", next(number) + text("districts", language))
    yield _districts(briefing, language)
    yield from _sentence(wording.share_note(briefing, language))
    yield _text("Heading1", next(number) + text("turned", language))
    yield _turned(briefing, language) if briefing["turned"] else _text("Body", text("none-turned", language))
    yield _text("Heading1", next(number) + text("notes", language))
    yield _notes(briefing, language) if briefing["notes"] else _text("Body", text("no-notes", language))
    yield from _sentence(wording.without_note(briefing, language))
    yield _text("Heading1", next(number) + text("by-series", language))
    for series in briefing["series"]:
        yield from _series(briefing, series, language)
    yield _text("Enclosure", text("annex", language))
    yield from _signed(briefing, language)
    if (published := briefing["published"]) is not None:
        alt = wording.code_title(briefing, language)
        yield {"style": "Small", "text": text("code-hint", language), "code": published["code"], "alt": alt}
    yield _text("Annex", text("annex-mark", language))
    yield _text("AnnexTitle", text("annex-title", language))
    for series in briefing["series"]:
        for measure in series["measures"]:
            yield _text("Heading2", f"{measure['id']} {measure['name'][language]}")
            yield _text("Body", measure["text"])
            yield from _sentence(wording.leading(measure, language))


def _signed(briefing: Briefing, language: Language) -> Iterator[Signed]:
    """Yield who signs and the date as GB/T 9704 (7.3.5.2) sets them without a seal.

    The date begins two characters right of the name, and neither ends nearer to the edge than two.
    """
    issuer, day = briefing["issuer"], wording.date_of(briefing, language)
    name = issuer[language] if issuer else ""
    begins = max(_INDENT + _characters(name) - _INDENT, _INDENT + _characters(day))
    if name:
        yield {"style": "Signature", "text": name, "right": begins + _INDENT - _characters(name)}
    yield {"style": "Date", "text": day, "right": begins - _characters(day) if name else _INDENT}


def _characters(line: str) -> float:
    """Return how wide a text is in Chinese characters."""
    return sum(1.0 if east_asian_width(sign) in "WF" else 0.5 for sign in line)


def _text(style: Style, sentence: str) -> Text:
    return {"style": style, "text": sentence}


def _sentence(sentence: str) -> Iterator[Text]:
    if sentence:
        yield _text("Body", sentence)


def _cell(label: str, number: bool = False, signal: Signal | None = None) -> TableCell:
    return {"text": label, "number": number, "signal": signal, "share": None, "bar": "none"}


def _signal(signal: Signal, language: Language) -> TableCell:
    return _cell(text(signal, language), signal=signal)


def _table(
    widths: Sequence[int], keys: Sequence[str], rows: Sequence[Sequence[TableCell]], language: Language
) -> Table:
    return {"widths": widths, "titles": [text(key, language) for key in keys], "rows": rows}


def _name(row: BriefingIndicator, language: Language) -> str:
    return f"{row['id']} {row['name'][language]}"


def _districts(briefing: Briefing, language: Language) -> Table:
    rows = [
        [
            _cell(standing["name"][language]),
            _cell(wording.own_targets(standing, language)),
            _cell(wording.by_share(standing, language)),
        ]
        for standing in briefing["standings"]
        if briefing["district"] in (None, standing["code"])
    ]
    return _table((1_800, 3_522, 3_522), ("district-name", "own-targets", "indicative"), rows, language)


def _turned(briefing: Briefing, language: Language) -> Table:
    rows = [
        [
            _cell(_name(row, language)),
            _signal(row["before"]["signal"] if row["before"] else "none", language),
            _signal(row["signal"], language),
            _cell(wording.amount(row["change"], row["unit"], signed=True), number=True),
            _cell(row["rule"][language] if row["rule"] else DASH),
        ]
        for row in wording.rows_of(briefing)
        if row["id"] in briefing["turned"]
    ]
    widths = (2_844, 1_000, 1_000, 1_200, 2_800)
    return _table(widths, ("indicator", "before", "signal", "change", "rule"), rows, language)


def _notes(briefing: Briefing, language: Language) -> Table:
    rows = [[_cell(each) for each in row] for row in wording.note_rows(briefing, language)]
    keys = ("indicator", "district-name", "cause", "next-step", "written-by")
    return _table((_NAME, 1_000, 2_500, 2_500, 1_000), keys, rows, language)


def _series(briefing: Briefing, series: BriefingSeries, language: Language) -> Iterator[Text | Table]:
    yield _text("Heading2", f"{series['id']} {series['name'][language]}")
    if cells := [_standing(briefing, row, language) for row in folding.rows_shown(briefing, series)]:
        keys = ("indicator", "period", "target", "value", "expected", "progress", "signal", "change")
        yield _table((2_144, 800, 1_000, 1_100, 1_100, 800, 1_000, 900), keys, cells, language)
    yield from _notes_below(folding.idle_rows(briefing, series, language))
    if briefing["district"] is None:
        rows, districts, folded = folding.district_table(briefing, series, language)
        if rows:
            width = (_WIDTH - _OF_ROW) // len(districts)
            yield {
                "widths": (_OF_ROW, *[width] * len(districts)),
                "titles": [text("indicator", language), *(each["name"][language] for each in districts)],
                "rows": [_of_districts(districts, row, language) for row in rows],
            }
        yield from _notes_below(folded)


def _notes_below(sentences: Iterable[str]) -> Iterator[Text]:
    for sentence in sentences:
        yield _text("Small", sentence)


def _standing(briefing: Briefing, row: BriefingIndicator, language: Language) -> list[TableCell]:
    unit = row["unit"]
    progress = _cell(DASH, number=True)
    if row["progress"] is not None:
        progress = _cell(f"{wording.progress(row)}%", number=True)
        progress |= {"share": min(max(row["progress"], 0), 1), "bar": row["signal"]}
    return [
        _cell(f"{_name(row, language)} ({wording.unit_name(briefing, unit, language)})"),
        _cell(wording.period(row, language)),
        _cell(wording.goal(row, language), number=True),
        _cell(wording.value_text(row, language), number=True),
        _cell(wording.expected_text(row), number=True),
        progress,
        _cell(wording.signal_name(row, language), signal=row["signal"]),
        _cell(wording.amount(row["change"], unit, signed=True), number=True),
    ]


def _of_districts(districts: Iterable[BriefingDistrict], row: BriefingIndicator, language: Language) -> list[TableCell]:
    cells = [_cell(_name(row, language))]
    for district in districts:
        own = row["districts"].get(district["code"])
        if own is None:
            cells.append(_cell(DASH, number=True))
            continue
        change = f" ({wording.amount(own['change'], row['unit'], signed=True)})" if own["change"] else ""
        value = wording.achieved_text(own["value"], row["unit"], own["met"])
        cells.append(_cell(value + change, number=True, signal=None if own["signal"] == "none" else own["signal"]))
    return cells
