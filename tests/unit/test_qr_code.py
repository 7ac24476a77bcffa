"""The QR code of published figures, read as a telephone reads it from the page, the PDF and the letter."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date
from typing import Any

import pytest

from services.planning.events import CosignedCheckpoint, Figure, PeriodClosed
from services.planning.months import PublishedFigures
from services.projection.exports import qr_code
from services.projection.exports.briefing import page
from services.projection.exports.letter import letter
from services.projection.exports.pdf import compiled, pdf
from shared.contract.events import parse_instant
from tests.harness.papers import sheets_of
from tests.harness.pictures import code_in_svg, codes_in_png
from tests.unit.test_briefing import body_of

FIGURE = Figure(indicator="4.1.b", period="2025", numerator=1)
SHA256 = "5" * 64
KNOWN_AT = "2025-06-03T01:00:00.123456Z"
ROOT = "A" * 43 + "="


def published(logs: int) -> PublishedFigures:
    """Return a publication whose close has the checkpoints of some logs."""
    checkpoints = [
        CosignedCheckpoint(origin=f"shaoxing/log-{at}", size=10_000_000, root=ROOT, signatures=["— x y"])
        for at in range(logs)
    ]
    fields: dict[str, Any] = {"plan": "p", "month": "2025-05", "known_at": KNOWN_AT, "sha256": SHA256, "by": "局长"}
    event = PeriodClosed(figures=[FIGURE], checkpoints=checkpoints or None, **fields)
    fact: Any = type("Fact", (), {"event": event})()
    known_at = parse_instant(KNOWN_AT)
    assert known_at is not None
    return PublishedFigures(fact, known_at, (), SHA256, "局长", None)


SAID = f"skillplan 1\nplan p\nmonth 2025-05\nknown_at 2025-06-03T01:00:00.123456Z\nsha256 {SHA256}"


@pytest.mark.parametrize("logs", [0, 4])
def test_the_picture_says_what_the_publication_is_and_the_checkpoints_it_rests_on(logs: int) -> None:
    text = qr_code.text_of("p", "2025-05", published(logs))
    assert text == SAID + "".join(f"\nlog shaoxing/log-{at} 10000000 {ROOT}" for at in range(logs))
    assert code_in_svg(qr_code.svg(text, "<&>")) == text
    assert codes_in_png(qr_code.png(text)) == [text]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_pdf_and_letter_of_published_figures_carry_it_and_others_do_not(language: Any) -> None:
    body = body_of({}, date(2025, 5, 31))
    papers = [page(body, language)[0], letter(body, language), pdf(body, language)]
    assert 'class="code"' not in papers[0]
    body["published"] = {"recorded_at": "2025-06-03T01:00:00Z", "by": "局长", "number": 1, "code": SAID}
    (picture,) = re.findall(r'<figure class="code">(<svg.*?</svg>)', page(body, language)[0])
    assert code_in_svg(picture.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')) == SAID
    assert "2025" in picture.partition("</title>")[0]
    with zipfile.ZipFile(io.BytesIO(letter(body, language))) as package:
        assert codes_in_png(package.read("word/media/code.png")) == [SAID]
        assert 'Id="rId6"' in package.read("word/_rels/document.xml.rels").decode()
        assert 'r:embed="rId6"' in package.read("word/document.xml").decode()
    sheet = next(number for number, text in enumerate(sheets_of(pdf(body, language))) if "check.html" in text)
    assert codes_in_png(compiled(body, language, "png")[sheet]) == [SAID]
    again = [page(body, language)[0], letter(body, language), pdf(body, language)]
    assert again == [page(body, language)[0], letter(body, language), pdf(body, language)] != papers
