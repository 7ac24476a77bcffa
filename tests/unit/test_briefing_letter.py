"""The monthly briefing as an official letter: its form by GB/T 9704, and who signs it."""

import io
import re
import zipfile
from datetime import date
from typing import Any

import pytest

from services.projection.exports.layout import layout
from services.projection.exports.letter import letter
from services.projection.exports.pdf import pdf
from tests.harness.papers import letter_rows, pdf_text
from tests.unit.test_briefing import PLAN, body_of

MAY = date(2025, 5, 31)


def _part(content: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(name).decode()


def _style(content: bytes, name: str) -> str:
    (style,) = re.findall(f'<w:style [^>]*w:styleId="{name}".*?</w:style>', _part(content, "word/styles.xml"))
    return str(style)


def test_the_sheet_is_a4_with_the_margins_the_fonts_and_the_page_numbers_of_the_standard() -> None:
    content = letter(body_of({}, MAY), "zh")
    section = _part(content, "word/document.xml").partition("<w:sectPr>")[2]
    sides = {name: int(size) for name, size in re.findall(r'w:(top|right|bottom|left|w|h)="(\d+)"', section)}
    # Twentieths of a point to millimetres.
    assert {name: round(size / 1440 * 25.4) for name, size in sides.items()} == {
        "w": 210, "h": 297, "top": 37, "bottom": 35, "left": 28, "right": 26,
    }  # fmt: skip
    for name, font, half_points in (
        ("Normal", "仿宋", 32), ("Title", "方正小标宋简体", 44), ("Heading1", "黑体", 32), ("Heading2", "楷体", 32),
        ("Annex", "黑体", 32), ("Page", "宋体", 28),
    ):  # fmt: skip
        assert f'w:eastAsia="{font}"' in _style(content, name), name
        assert f'<w:sz w:val="{half_points}"/>' in _style(content, name), name
    odd, even = (_part(content, f"word/footer-{side}.xml") for side in ("odd", "even"))
    assert re.sub("<.*?>", "", odd).endswith("— 1 —")
    assert ('<w:jc w:val="right"/>' in odd, '<w:jc w:val="left"/>' in even) == (True, True)
    assert "<w:evenAndOddHeaders/>" in _part(content, "word/settings.xml")


@pytest.mark.parametrize(("language", "day"), [("zh", "2025年6月3日"), ("en", "3 Jun 2025")])
def test_it_names_its_annex_then_who_signs_it_and_the_day_of_its_publication(language: Any, day: str) -> None:
    body = body_of({}, MAY)
    body["published"] = {"recorded_at": "2025-06-02T17:00:00Z", "by": "局长", "number": 1, "code": "skillplan 1"}
    assert PLAN.issuer
    issuer = PLAN.bodies[PLAN.issuer].model_dump()[language]
    _, paragraphs = letter_rows(letter(body, language))
    place = paragraphs.index(day)
    assert paragraphs[place - 1] == issuer
    assert paragraphs[place - 2] == {"zh": "附件:条文与责任单位", "en": "Annex: clauses and lead units"}[language]
    assert {"zh": "附件", "en": "Annex"}[language] in paragraphs[place + 1 :]
    assert "".join(issuer.split()) + "".join(day.split()) in pdf_text(pdf(body, language))


@pytest.mark.parametrize(
    ("name", "right_of_name", "right_of_day"),
    [("市人力社保局", 4.0, 2.0), ("局", 9.0, 2.0), ("绍兴市人力资源和社会保障局", 2.0, 7.0)],
)
def test_neither_name_nor_date_stands_nearer_to_the_edge_than_two_characters(
    name: str, right_of_name: float, right_of_day: float
) -> None:
    body = body_of({}, MAY)
    body["issuer"] = {"zh": name, "en": name}
    signature, day = (block for block in layout(body, "zh") if "right" in block)
    # The date begins two characters right of the name.
    assert (signature["right"], day["right"]) == (right_of_name, right_of_day)


def test_without_an_issuer_it_has_its_date_alone() -> None:
    body = body_of({}, MAY, "330602")
    assert body["issuer"] is None, "who signs for a district, no plan says"
    content = letter(body, "zh")
    assert 'w:val="Signature"' not in _part(content, "word/document.xml")
    assert "2025年7月1日" in letter_rows(content)[1]
