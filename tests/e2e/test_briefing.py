"""The monthly briefing of a running stack: its workbook is opened, and its totals equal the API's."""

from __future__ import annotations

import io
from typing import Any

import httpx
import openpyxl
import pytest

from services.projection.exports.wording import goal, rows_of, unit_name, value_text
from services.projection.exports.wording import period as period_text
from tests.e2e.conftest import PLAN, progress_of
from tests.harness.briefings import folded_names, unsaid_figures
from tests.harness.papers import as_one, letter_rows, page_rows, pdf_text
from tests.harness.processes import eventually

MONTH, LAST_DAY = "2025-06", "2025-06-30"


def _briefing(addresses: dict[str, str], **parameters: str) -> httpx.Response:
    url = f"{addresses['projection']}/v1/plans/{PLAN}/briefing"
    answer = httpx.get(url, params={"month": MONTH, **parameters}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_the_workbook_of_a_month_holds_the_numbers_of_the_api(addresses: dict[str, str]) -> None:
    content = _briefing(addresses, format="xlsx", facts="true").content
    progress = progress_of(addresses, as_of=LAST_DAY)
    # A workbook is for people: money is in yuan (RULES E29).
    of_unit = {row["id"]: 100 if row["unit"] == "fen" else 1 for row in progress["indicators"]}
    wanted = {row["id"]: row["periods"][-1]["value"] for row in progress["indicators"]}
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    sheets: list[list[tuple[Any, ...]]] = [list(sheet.iter_rows(min_row=2, values_only=True)) for sheet in book]
    series = {row[2]: row[7] for sheet in sheets[3:-2] for row in sheet}
    assert {id_: value is None for id_, value in series.items()} == {id_: wanted[id_] is None for id_ in wanted}
    for id_, value in wanted.items():
        # Two decimals, rounded towards "not yet".
        assert value is None or series[id_] == pytest.approx(value / of_unit[id_], abs=0.01), id_
    # The districts add up to the whole wherever something is added up.
    matrix = {row[0]: row[3:] for row in sheets[1]}
    adding = [row["id"] for row in progress["indicators"] if row["kind"] in ("count", "distinct", "sum")]
    assert {id_: matrix[id_][0] for id_ in adding} == {id_: pytest.approx(sum(matrix[id_][1:])) for id_ in adding}
    assert any(wanted[id_] for id_ in adding)
    # The month's facts add up to what the month brought.
    brought: dict[str, float] = {}
    for row in sheets[-1]:
        brought[row[0]] = brought.get(row[0], 0) + row[8]
    briefing = _briefing(addresses, format="json").json()
    rows = [row for part in briefing["series"] for measure in part["measures"] for row in measure["indicators"]]
    changes = {row["id"]: row["change"] for row in rows if row["id"] in adding and row["basis"] != "level"}
    assert {id_: pytest.approx(brought.get(id_, 0) * of_unit[id_]) for id_ in changes} == changes
    assert any(changes.values())


def test_every_number_of_the_page_the_letter_and_the_pdf_is_that_of_the_api(addresses: dict[str, str]) -> None:
    briefing = _briefing(addresses, format="json").json()
    # All of them as known at one instant, whatever is decided meanwhile.
    known_at = briefing["known_at"]
    page = _briefing(addresses, format="html", lang="zh", known_at=known_at).text
    letter = _briefing(addresses, format="docx", lang="zh", known_at=known_at)
    paper = pdf_text(_briefing(addresses, format="pdf", lang="zh", known_at=known_at).content)
    progress = progress_of(addresses, as_of=LAST_DAY, known_at=known_at)
    rows = {row["id"]: row for row in rows_of(briefing)}
    for indicator in progress["indicators"]:
        row, period = rows[indicator["id"]], indicator["periods"][-1]
        assert (row["value"], row["met"], row["signal"]) == (period["value"], period["met"], period["signal"])
    for code in (district["code"] for district in briefing["districts"]):
        own = progress_of(addresses, as_of=LAST_DAY, known_at=known_at, district=code)["indicators"]
        wanted = {row["id"]: row["periods"][-1]["value"] for row in own}
        assert {id_: row["districts"][code]["value"] for id_, row in rows.items()} == wanted
    # Page and letter have each of them, of the whole and of every district, in its row or named among the zeros.
    for cells_of, paragraphs in (page_rows(page), letter_rows(letter.content)):
        assert unsaid_figures(briefing, "zh", cells_of, paragraphs) == []
    folded = folded_names(briefing, "zh", cells_of)
    for row in rows.values():
        start = f"{row['id']} {row['name']['zh']}"
        # The cells of its row in the PDF, in this order; the same blocks make the letter.
        figures = (period_text(row, "zh"), goal(row, "zh"), value_text(row, "zh"))
        cells = "".join((f"{start} ({unit_name(briefing, row['unit'], 'zh')})", *figures))
        assert (as_one(start) if as_one(start) in folded else as_one(cells)) in paper, start


def test_of_a_closed_month_the_figures_last_published_are_given_and_said_to_be_so(
    addresses: dict[str, str], closed_month: str
) -> None:
    url = f"{addresses['projection']}/v1/plans/{PLAN}/closings/{closed_month}"
    closing: Any = eventually(lambda: answer.json() if (answer := httpx.get(url, timeout=30)).is_success else None)
    briefing = _briefing(addresses, month=closed_month, format="json").json()
    assert briefing["known_at"] == closing["known_at"]
    assert briefing["published"]["by"] == closing["published"][-1]["by"]
    rows = {row["id"]: row["value"] for row in rows_of(briefing)}
    assert rows == {figure["indicator"]: figure.get("value") for figure in closing["figures"]}
    assert "已公布" in _briefing(addresses, month=closed_month, lang="zh").text
    now = _briefing(addresses, month=closed_month, format="json", figures="now").json()
    assert now["published"] is None
    assert now["known_at"] > closing["known_at"]


def test_the_page_is_in_the_language_asked_for_and_needs_nothing_else(addresses: dict[str, str]) -> None:
    for language, word in (("zh", "月度通报"), ("en", "Monthly briefing")):
        page = _briefing(addresses, lang=language)
        assert page.headers["content-type"].startswith("text/html")
        assert word in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http" not in page.text.replace("http-equiv", "")


def test_a_wrong_month_is_told_in_both_languages(addresses: dict[str, str]) -> None:
    url = f"{addresses['projection']}/v1/plans/{PLAN}/briefing"
    for month, word in (("2025-13", "month"), ("2022-12", "before"), ("2026-01", "after"), ("x", "month")):
        response = httpx.get(url, params={"month": month}, timeout=10)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert word in response.json()["en"]
        assert "month" in response.json()["zh"]
