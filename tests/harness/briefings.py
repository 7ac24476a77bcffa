"""Compares the papers of a briefing with its figures: each stands in its table, or is named as zero or missing."""

from collections.abc import Iterator, Sequence

from services.projection.exports import wording
from services.projection.exports.document import Briefing, BriefingIndicator
from services.projection.exports.texts import Language
from tests.harness.papers import as_one


def unsaid_figures(
    briefing: Briefing, language: Language, rows: Sequence[Sequence[str]], paragraphs: Sequence[str]
) -> list[str]:
    """Return the figures of the whole and of each district that a paper neither shows nor names."""
    sentences = [as_one(paragraph) for paragraph in paragraphs]
    return [each for row in wording.rows_of(briefing) for each in _unsaid(briefing, row, language, rows, sentences)]


def folded_names(briefing: Briefing, language: Language, rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the indicators that have no row of their own in a paper, without spaces."""
    names = [as_one(f"{row['id']} {row['name'][language]}") for row in wording.rows_of(briefing)]
    return [name for name in names if not any(cells[0].startswith(f"{name}(") for cells in rows)]


def _unsaid(
    briefing: Briefing,
    row: BriefingIndicator,
    language: Language,
    rows: Sequence[Sequence[str]],
    sentences: Sequence[str],
) -> Iterator[str]:
    name = as_one(f"{row['id']} {row['name'][language]}")
    named = any(name in sentence for sentence in sentences)
    standing = next((cells for cells in rows if cells[0].startswith(f"{name}(")), None)
    if standing is None:
        if row["target"] is not None or row["value"] or row["change"] or not named:
            yield name
    elif standing[3] != as_one(wording.value_text(row, language)):
        yield f"{name} {standing[3]}"
    titles = {as_one(each["name"][language]): each["code"] for each in briefing["districts"]}
    columns: list[str] = []
    figures: dict[str, str] = {}
    for cells in rows:
        if cells[1:] and titles.keys() >= {*cells[1:]}:
            columns = [*cells[1:]]
        elif cells[0] == name and len(cells) == len(columns) + 1:
            figures = dict(zip(columns, cells[1:], strict=True))
    for title, code in titles.items():
        own = row["districts"].get(code)
        if title in figures:
            change = own["change"] if own else None
            moved = f"({wording.amount(change, row['unit'], signed=True)})" if change else ""
            text = wording.achieved_text(own["value"], row["unit"], own["met"]) + moved if own else wording.DASH
            if figures[title] != text:
                yield f"{name} {title} {figures[title]}"
            continue
        is_named = named or (figures and any(title in sentence and "0" in sentence for sentence in sentences))
        if not is_named or (own and (own["value"] or own["change"] or own["met"] is not None)):
            yield f"{name} {title}"
