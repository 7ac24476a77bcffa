"""The monthly briefing: its months, what moved, and that no name becomes a formula or a tag."""

import asyncio
import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pytest

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.representation import LogProgress, scope_fields
from services.projection.assessment.targets import Targets
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE, month_number
from services.projection.exports import folding, texts, wording
from services.projection.exports.briefing import page
from services.projection.exports.csv import columns_of, csv_lines
from services.projection.exports.document import Briefing, BriefingIndicator, BriefingNote
from services.projection.exports.letter import letter
from services.projection.exports.pdf import pdf
from services.projection.exports.texts import TEXTS
from services.projection.exports.wording import (
    SIGNALS,
    achieved_text,
    conclusion,
    progress,
    publication,
    rows_of,
)
from services.projection.exports.workbook import ListedFact, workbook
from services.projection.queries.briefing import briefing
from services.projection.queries.notes import answers
from services.projection.queries.who_is_behind import BehindTarget
from shared.http.problems import language_of
from shared.plan.loading import load_plan
from tests.harness.briefings import folded_names, unsaid_figures
from tests.harness.cells import sums_of
from tests.harness.papers import letter_rows, page_rows, pdf_text

PLAN = load_plan(Path(__file__).parents[2] / "plans" / "shaoxing-2023-2025.yaml")
COMPILED = CompiledPlans([PLAN])
COMPLETE: LogProgress = {"position": 1, "recorded_at": None, "behind_events": 0, "behind_seconds": 0.0}
EVIL = '=HYPERLINK("//x","<b>&")'


def body_of(
    sums: Mapping[tuple[str, int, str], Mapping[str, int]], as_of: date, district: str | None = None
) -> Briefing:
    """Return the briefing of what each month (YYYY-MM) added to a cell."""
    cells = {}
    for (id_, period, code), months in sums.items():
        line = next(line for line in COMPILED.of_indicator[PLAN.id, id_] if line.part is Part.NUM)
        cells[line.number, int(Part.NUM), period, code] = {
            month_number(date.fromisoformat(f"{month}-01")): amount for month, amount in months.items()
        }
    scope = Scope(as_of, datetime(2025, 7, 1, tzinfo=UTC), district)
    basis = AssessmentBasis(PLAN, COMPILED, Targets(PLAN), sums_of(PLAN, cells), scope)
    return {
        **scope_fields(PLAN.id, scope),
        **briefing(basis, as_of.replace(day=1)),
        "complete_to": {"recruitment": COMPLETE},
    }


async def _written(body: Briefing, facts: AsyncIterator[Sequence[ListedFact]] | None = None) -> bytes:
    with await workbook(body, "zh", facts) as file:
        return file.read()


def row_of(body: Briefing, indicator: str) -> BriefingIndicator:
    """Return the row of an indicator."""
    return next(row for row in rows_of(body) if row["id"] == indicator)


def test_a_row_says_what_came_since_the_month_before_in_the_whole_and_in_each_district() -> None:
    body = body_of(
        {("4.1.b", 2025, "330602"): {"2025-04": 300, "2025-05": 60}, ("4.1.b", 2025, "330681"): {"2025-05": 5}},
        date(2025, 5, 31),
    )
    row = row_of(body, "4.1.b")
    assert row["before"] is not None
    assert (row["value"], row["change"], row["before"]["value"]) == (365, 65, 300)
    assert row["districts"]["330602"] == {"value": 360, "met": None, "signal": "none", "change": 60}
    assert row["districts"]["330681"]["change"] == 5
    assert sum(own["value"] or 0 for own in row["districts"].values()) == row["value"]


def test_in_the_first_month_of_a_year_all_of_it_came_in_that_month() -> None:
    row = row_of(body_of({("4.1.b", 2025, "330602"): {"2025-01": 90}}, date(2025, 1, 31)), "4.1.b")
    assert (row["value"], row["change"], row["before"]) == (90, 90, None)


def test_a_signal_that_changed_is_told_with_the_one_before() -> None:
    # 1,000 a year: by the end of April 333 are due, by the end of May 414 (RULES E18).
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 100, "2025-05": 400}}, date(2025, 5, 31))
    assert "4.1.b" in body["turned"]
    row = row_of(body, "4.1.b")
    assert row["before"] is not None
    assert (row["before"]["signal"], row["signal"]) == ("red", "green")
    assert sum(body["summary"][signal] for signal in SIGNALS) == len([*PLAN.indicators])


def test_a_district_has_no_signal_without_a_target_of_its_own() -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 100}}, date(2025, 5, 31), "330602")
    row = row_of(body, "4.1.b")
    assert (row["value"], row["target"], row["signal"]) == (100, None, "none")


@pytest.mark.parametrize(
    ("value", "unit", "op", "target", "text"),
    [
        (34.9999, "%", ">=", 35, "34.99"), (2_999.999, "person", ">=", 3_000, "2,999.99"), (0.29, "%", ">=", 1, "0.29"),
        (3_000.001, "person", "=", 3_000, "3,000.01"), (149_999, "fen", ">", 150_000, "1,499.99"),
        (12, "person", ">=", 13, "12"),
    ],
)  # fmt: skip
def test_a_value_short_of_its_target_never_reads_as_the_target(
    value: float, unit: str, op: Any, target: float, text: str
) -> None:
    goal: Any = {"op": op, "value": target, "upper": None, "months": None}
    assert achieved_text(value, unit, False, goal) == text


@pytest.mark.parametrize(
    ("share", "met", "text"),
    [
        (0.99967, False, "99.9"),
        (1.0, False, "99.9"),
        (1.0004, False, "100.1"),
        (0.99967, True, "100.0"),
        (1, True, "100.0"),
    ],
)
def test_a_progress_is_never_the_whole_while_the_target_is_not_met(share: float, met: bool, text: str) -> None:
    row = row_of(body_of({}, date(2025, 5, 31)), "4.1.b")
    row["progress"], row["met"] = share, met
    assert f"{progress(row)}" == text


def test_money_is_in_yuan_everywhere_value_and_target_alike() -> None:
    body = body_of({("2.2.a", 0, "330602"): {"2025-04": 164_800}}, date(2025, 5, 31))
    row = row_of(body, "2.2.a")
    row["target"], row["met"], row["progress"] = {"op": ">", "value": 150_000, "upper": None}, True, 1.0987
    html, _ = page(body, "zh")
    assert "1,648.00" in html
    assert "&gt; 1,500.00" in html
    book = openpyxl.load_workbook(io.BytesIO(asyncio.run(_written(body))))
    cells = next(cells for sheet in book for cells in sheet.iter_rows() if len(cells) > 9 and cells[2].value == "2.2.a")
    assert (cells[4].value, cells[6].value, cells[7].value) == ("元", 1500, 1648)
    assert cells[6].number_format == '"> "#,##0.00####'
    assert (cells[9].value, cells[9].number_format) == (1.099, "0.0%")
    assert "1,648.00" in _document(letter(body, "zh"))


def test_no_sum_of_money_is_wider_than_its_column() -> None:
    body = body_of({("2.2.a", 0, "330602"): {"2025-04": 98_765_432_109}}, date(2025, 5, 31))
    book = openpyxl.load_workbook(io.BytesIO(asyncio.run(_written(body))))
    places = 0
    for sheet in book.worksheets:
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.value == 987_654_321.09):
            (columns,) = (
                each
                for each in sheet.column_dimensions.values()
                if (each.min or 0) <= (cell.column or 0) <= (each.max or 0)
            )
            assert columns.width > len("987,654,321.09") + 1, (sheet.title, cell.coordinate)
            places += 1
    assert places == 3, "the whole and its district among the districts, and the whole in its series"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_is_whole_and_shows_every_text_in_one_language(language: Any) -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 1234}}, date(2025, 5, 31))
    html, headers = page(body, language)
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in headers["Content-Security-Policy"]
    assert html.startswith("<!doctype html>")
    assert html.count("<tr>") == html.count("</tr>")
    assert "1,234" in html
    for measure in PLAN.measures:
        assert measure.text[:20] in html  # the clause word for word
    other = "en" if language == "zh" else "zh"
    assert TEXTS["turned"][language] in html
    assert TEXTS["turned"][other] not in html  # type: ignore[index]


def test_a_name_with_markup_stays_text_on_the_page() -> None:
    body = body_of({}, date(2025, 5, 31))
    row_of(body, "4.1.b")["name"] = {"zh": "<script>x</script>\x01", "en": "x"}
    body["title"]["zh"] = '"}</style><script>'
    html, _ = page(body, "zh")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<script>x</script>" in _document(letter(body, "zh"))


def _document(content: bytes) -> str:
    """Return the text of a letter; every part of it is well-formed."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts = {name: ElementTree.fromstring(package.read(name)) for name in package.namelist()}  # noqa: S314 - our own
    return "\n".join(text for text in parts["word/document.xml"].itertext() if text.strip())


def test_the_same_briefing_gives_the_same_bytes_in_every_form() -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 1234}}, date(2025, 5, 31))
    assert page(body, "zh") == page(body, "zh")
    for first, again in ((letter(body, "zh"), letter(body, "zh")), [asyncio.run(_written(body)) for _ in "12"]):
        assert first == again
        with zipfile.ZipFile(io.BytesIO(first)) as package:
            # No hour of writing is in it, only that of the numbers.
            assert {entry.date_time[0] for entry in package.infolist()} == {1980}
            assert body["known_at"][:19] in package.read("docProps/core.xml").decode()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_letter_has_the_conclusion_first_every_row_that_says_something_and_the_clauses_in_its_annex(
    language: Any,
) -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 1234}}, date(2025, 5, 31))
    text = _document(letter(body, language))
    order = [
        text.index(texts.text(key, language)) for key in ("conclusion", "districts", "turned", "by-series", "annex")
    ]
    assert order == sorted(order)
    assert "1,234" in text
    for row in rows_of(body):
        assert f"{row['id']} {row['name']['zh' if language == 'zh' else 'en']}" in text
    assert all(text.index(measure.text[:20]) > order[-1] for measure in PLAN.measures)


def test_the_figures_of_a_publication_are_said_to_be_so_and_others_not() -> None:
    body = body_of({}, date(2025, 5, 31))
    assert "不是2025 年 5 月的公布数" in publication(body, "zh")
    body["published"] = {"recorded_at": "2025-06-03T01:00:00Z", "by": "局长", "number": 2, "code": "skillplan 1"}
    sentence = publication(body, "zh")
    assert "2025 年 6 月 3 日 09:00:00(北京时间)" in sentence
    assert "局长" in sentence
    assert "第 2 次" in sentence


async def test_notes_stand_in_every_form_as_text_with_who_wrote_them_and_what_is_red_without_one_is_named() -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 1}}, date(2025, 5, 31))
    red = row_of(body, "4.1.b")
    assert red["signal"] == "red"
    assert "4.1.b" in wording.without_note(body, "zh")
    assert "尚未填写" in page(body, "zh")[0]
    written: BriefingNote = {
        "indicator": "4.1.b", "district": "330602", "cause": EVIL, "next_step": "<script>alert(1)</script>",
        "by": "越城区统计科", "recorded_at": "2025-06-01T20:00:00Z",
    }  # fmt: skip
    body["notes"] = [written]
    assert "4.1.b" in wording.without_note(body, "zh"), "a district's note is not the whole's"
    body["notes"] = [written | {"district": None}, written]
    assert "4.1.b" not in wording.without_note(body, "zh")
    text, _ = page(body, "zh")
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "越城区统计科 2025-06-02" in text
    letter_text = _document(letter(body, "zh"))
    assert EVIL in letter_text
    assert "<script>alert(1)</script>" in letter_text
    sheet = openpyxl.load_workbook(io.BytesIO(await _written(body)))["原因和下一步"]
    row = next(sheet.iter_rows(min_row=3, max_row=3))
    assert [cell.value for cell in row[1:4]] == ["越城区", EVIL, "<script>alert(1)</script>"]
    assert {cell.data_type for cell in row} == {"s"}


def test_a_note_from_before_an_indicator_turned_red_is_asked_for_anew() -> None:
    # 1,000 a year: 301 are enough until March, are amber at the end of April and red from the end of May on.
    sums = {("4.1.b", 2025, "330602"): {"2025-01": 300, "2025-05": 1}}
    body = body_of(sums, date(2025, 5, 31))
    row = row_of(body, "4.1.b")
    assert row["red_since"] == "2025-05-01"
    written: BriefingNote = {
        "indicator": "4.1.b", "district": None, "cause": "春节停工", "next_step": "补招", "by": "市就业处",
        "recorded_at": "2025-04-30T15:59:59Z",
    }  # fmt: skip
    for recorded_at, is_asked in (("2025-04-30T15:59:59Z", True), ("2025-04-30T16:00:00Z", False)):  # midnight here
        body["notes"] = [written | {"recorded_at": recorded_at}]
        assert ("4.1.b" in wording.without_note(body, "zh")) is is_asked
        assert answers(recorded_at, date(2025, 5, 1)) is not is_asked


async def test_made_up_data_are_said_to_be_so_on_the_first_page_at_the_head_of_each_and_in_every_form() -> None:
    body = body_of({}, date(2025, 5, 31))
    sentence = "示例数据,截至 2025 年 6 月 30 日。"
    assert "示例数据" not in page(body, "zh")[0]
    body["example_day"] = "2025-06-30"
    text, _ = page(body, "zh")
    assert f"<p>{sentence}" in text
    assert sentence in wording.running_head(body, "zh")
    assert sentence in _document(letter(body, "zh"))
    overview = openpyxl.load_workbook(io.BytesIO(await _written(body))).worksheets[0]
    assert sentence in "".join(str(row[0].value) for row in overview.iter_rows(max_row=5))


def test_the_conclusion_names_the_furthest_behind_and_never_says_that_a_district_without_targets_is_well() -> None:
    sums = {("4.1.b", 2025, "330602"): {"2025-04": 100}}
    city, district = body_of(sums, date(2025, 5, 31)), body_of(sums, date(2025, 5, 31), "330602")
    assert city["late"]
    assert f"{city['late'][0]} " in conclusion(city, "zh")[-1]
    text = "".join(conclusion(district, "zh"))
    assert "尚未分解" in text
    assert "可比" in text
    assert "有目标的指标 0 项" not in text
    assert "split" in "".join(conclusion(district, "en"))


SPREAD: Mapping[tuple[str, int, str], Mapping[str, int]] = {
    ("1.4.a", WHOLE, "330602"): {"2025-05": 2},
    ("4.1.b", 2025, "330602"): {"2025-04": 300, "2025-05": 60},
    ("4.1.b", 2025, "330681"): {"2025-05": 5},
    ("5.1.b", 2025, "330602"): {"2025-03": 164_800},
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_figure_stands_in_its_table_or_is_named_among_those_that_are_zero(language: Any) -> None:
    body = body_of(SPREAD, date(2025, 5, 31))
    paper = pdf_text(pdf(body, language))
    for rows, paragraphs in (page_rows(page(body, language)[0]), letter_rows(letter(body, language))):
        assert unsaid_figures(body, language, rows, paragraphs) == []
        folded = folded_names(body, language, rows)
        assert folded
        assert all(name in paper for name in folded)
    row_of(body, "4.1.b")["districts"]["330603"]["value"] = 1
    assert unsaid_figures(body, language, rows, paragraphs) != []


def test_a_figure_with_a_target_or_that_moved_is_never_folded_and_one_that_is_missing_is_not_zero() -> None:
    body = body_of(SPREAD, date(2025, 5, 31))
    series = next(each for each in body["series"] if each["id"] == "4")
    row = row_of(body, "4.1.b")
    table = folding.district_table(body, series, "zh")
    assert [each["code"] for each in table.districts] == ["330602", "330681"]
    (columns, *_) = table.folded
    assert columns.startswith("表中各项均为 0 的 5 个区划,不再列出:绍兴市本级")
    row["districts"]["330603"]["met"] = False  # a target of its own
    row["districts"]["330604"]["value"] = None
    row["districts"]["330683"]["change"] = -1
    table = folding.district_table(body, series, "zh")
    assert [each["code"] for each in table.districts] == ["330602", "330603", "330681", "330683"]
    assert "上虞区(4.1.b暂无法计算)" in table.folded[0]


def test_what_cannot_be_computed_is_not_said_to_be_zero() -> None:
    body = body_of({}, date(2025, 5, 31))
    series = body["series"][0]
    idle = [row for each in series["measures"] for row in each["indicators"] if folding.is_idle(body, row)]
    assert idle
    idle[0]["value"] = None
    zero, unknown = folding.idle_rows(body, series, "zh")
    assert f"{idle[0]['id']} " not in zero
    assert f"指标 1 项:{idle[0]['id']} " in unknown
    assert f"{len(idle) - 1} 项" in zero


def test_the_workbook_holds_the_numbers_and_no_formula() -> None:
    body = body_of({("4.1.b", 2025, "330602"): {"2025-04": 300, "2025-05": 60}}, date(2025, 5, 31))
    row_of(body, "4.1.b")["name"] = {"zh": EVIL, "en": EVIL}

    async def facts() -> AsyncIterator[Sequence[ListedFact]]:
        yield [ListedFact("4.1.b", "2025-05-02", "330602", "t", EVIL, "+1", "@x", "2025-05-03T00:00:00Z", 1, "=key")]

    content = asyncio.run(_written(body, facts()))
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in parts.namelist():
            assert b"<f>" not in parts.read(name), name
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert len(book.sheetnames) == 3 + len(PLAN.series) + 2
    series = next(sheet for sheet in book if sheet.title.startswith("4"))
    entry = next(row for row in series.iter_rows(values_only=True) if row[2] == "4.1.b")
    assert entry[3] == EVIL
    assert series.freeze_panes == "E2"
    assert series.auto_filter.ref
    assert 360 in entry
    titles, fact = book[TEXTS["facts"]["zh"]].iter_rows(values_only=True)
    assert fact[4:7] == (EVIL, "+1", "@x")
    assert dict(zip(titles, fact, strict=True))[TEXTS["reported_by"]["zh"]] == "=key"  # RULES G5


def test_csv_opens_in_a_spreadsheet_as_it_stands() -> None:
    rows = [
        {"id": "1", "name": {"zh": "越城", "en": EVIL}, "value": -3, "target": None, "met": True},
        {"id": "+2", "name": {"zh": "\t=1", "en": ""}, "value": 0.5, "target": {"op": ">=", "value": 2}, "met": None},
    ]
    content = b"".join(csv_lines(rows, ("id", "name.zh", "name.en", "value", "target.op", "target.value", "met")))
    assert content.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert read[0] == {
        "id": "1", "name.zh": "越城", "name.en": "'" + EVIL, "value": "-3", "target.op": "", "target.value": "",
        "met": "true",
    }  # fmt: skip
    assert (read[1]["id"], read[1]["name.zh"], read[1]["target.value"]) == ("'+2", "'\t=1", "2")


def test_a_table_has_the_same_columns_whatever_its_rows_hold() -> None:
    columns = columns_of(BehindTarget)
    assert columns[:4] == ("id", "measure", "name.zh", "name.en")
    assert {"target.op", "target.upper", "lead", "behind_by.percent"} < set(columns)
    assert "target" not in columns
    assert b"".join(csv_lines([], columns)).decode("utf-8-sig").strip().split(",") == list(columns)
    row = dict.fromkeys(BehindTarget.__annotations__) | {"target": None, "lead": ["hrss", "education"]}
    (read,) = csv.DictReader(io.StringIO(b"".join(csv_lines([row], columns)).decode("utf-8-sig")))
    assert (list(read), read["target.op"], read["lead"]) == (list(columns), "", "hrss; education")


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        *((sign + "1+1", True) for sign in "=+-@＝＋－＠﹢﹣﹦﹫\t\r\n"),
        (" =1", True),
        ("\u3000＝1", True),
        ("\u200b=1", True),
        ("\ufeff@sum", True),
        ("越城=1", False),
        ("1=1", False),
        ("（=1）", False),
        ("", False),
        (" ", False),
        ("\u200b", False),
    ],
)
def test_no_cell_begins_a_formula_in_whatever_spelling(text: str, guarded: bool) -> None:
    content = b"".join(csv_lines([{"name": text}], ["name"])).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    assert row["name"] == ("'" + text if guarded else text)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, None),
        ("", None),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.2, zh;q=0.7", "zh"),
        ("fr,de;q=0.9,en;q=0.1", "en"),
        ("*;q=0.1", None),
        ("en;q=x", None),
    ],
)
def test_the_language_is_the_best_liked_of_the_two(accepted: str | None, language: str | None) -> None:
    assert language_of(accepted) == language


def test_whole_periods_are_shown_as_the_plan() -> None:
    body = body_of({("1.1.a", WHOLE, "330602"): {"2023-05": 2}}, date(2025, 5, 31))
    assert (row_of(body, "1.1.a")["period"], row_of(body, "1.1.a")["change"]) == ("plan", 0)
