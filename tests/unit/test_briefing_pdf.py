"""The monthly briefing as a PDF: its text can be read again, its fonts are in it, its bytes are the same each time."""

import io
import re
from datetime import date
from typing import Any, cast

import pypdf
import pytest
from pypdf.generic import BooleanObject, DictionaryObject

from services.projection.exports import wording
from services.projection.exports.layout import layout
from services.projection.exports.letter import letter
from services.projection.exports.pdf import pdf
from tests.harness.papers import as_one, pdf_text
from tests.unit.test_briefing import EVIL, PLAN, body_of

SUMS = {("4.1.b", 2025, "330602"): {"2025-04": 1234}, ("1.3.b", 2025, "330602"): {"2025-05": 500}}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_text_and_number_can_be_read_from_the_pdf_in_the_order_of_the_letter(language: Any) -> None:
    body = body_of(SUMS, date(2025, 5, 31))
    content = pdf(body, language)
    text, position = pdf_text(content), 0
    blocks: list[Any] = [*layout(body, language)]
    for block in blocks:
        texts = [cell["text"] for row in block["rows"] for cell in row] if "rows" in block else [block["text"]]
        for each in texts:
            # The running head may stand between the two halves of a paragraph: its beginning is looked for.
            position = text.index(as_one(each)[:12], position)
    assert "1,234" in text
    assert all(as_one(measure.text)[:20] in text for measure in PLAN.measures)
    assert letter(body, language)  # of the same blocks


def test_the_fonts_are_in_the_file_the_sheets_are_a4_with_their_head_and_it_is_tagged() -> None:
    body = body_of(SUMS, date(2025, 5, 31))
    content = pdf(body, "zh")
    file = pypdf.PdfReader(io.BytesIO(content))
    resources = [cast("DictionaryObject", page["/Resources"]) for page in file.pages]
    named = [cast("DictionaryObject", each["/Font"]) for each in resources]
    fonts = {str(cast("DictionaryObject", font.get_object())["/BaseFont"]) for each in named for font in each.values()}
    assert {font.partition("+")[2] for font in fonts} == {
        "NotoSansSC-Regular-Identity-H",
        "NotoSerifSC-Regular-Identity-H",
    }
    assert len(re.findall(rb"/FontFile3", content)) == len(fonts)
    head = as_one(wording.running_head(body, "zh"))
    for number, page in enumerate(file.pages, 1):
        assert [round(float(side)) for side in page.mediabox] == [0, 0, 595, 842]
        text = as_one(page.extract_text())
        assert head in text
        assert f"—{number}—" in text
    assert cast("DictionaryObject", file.root_object["/MarkInfo"])["/Marked"] == BooleanObject(True)
    assert file.metadata is not None
    assert file.metadata.title == wording.title(body, "zh")


def test_the_same_briefing_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (body_of(SUMS, date(2025, 5, day)) for day in (31, 31, 30))
    first["known_at"] = again["known_at"] = "2025-07-01T00:00:00.123456Z"
    assert pdf(first, "zh") == pdf(again, "zh") != pdf(other, "zh")


def test_no_sign_of_a_note_is_read_as_markup() -> None:
    body = body_of(SUMS, date(2025, 5, 31))
    signs = '#panic("x") $x$ *a* _b_ \\ @c <d> `e` "}] // /* 𠮷 😀 \u202e'
    body["notes"] = [
        {"indicator": "4.1.b", "district": None, "cause": signs, "next_step": EVIL, "by": "局",
         "recorded_at": "2025-06-01T20:00:00Z"},
    ]  # fmt: skip
    text = pdf_text(pdf(body, "zh"))
    assert as_one('#panic("x") $x$ *a* _b_ \\ @c <d> `e` "}] // /*') in text
    assert as_one(EVIL) in text


def test_what_is_counted_comes_whole_and_a_target_that_cannot_be_judged_is_not_said_to_be_none() -> None:
    rows = {row["id"]: row for row in wording.rows_of(body_of(SUMS, date(2025, 5, 31)))}
    assert rows["1.3.b"]["expected"] == pytest.approx(2000 * 5 / 12, rel=0.2)
    assert re.fullmatch(r"[0-9,]+", wording.expected_text(rows["1.3.b"]))
    assert wording.signal_name(rows["1.1.e"], "zh") == "暂不能判断"
    monitored = next(row for row in rows.values() if row["target"] is None)
    assert wording.signal_name(monitored, "zh") == "监测"
