"""A district's file becomes reports: in any form, every fault named by row and column, nothing personal quoted."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from typer.testing import CliRunner

from client import sample as samples
from client.__main__ import app
from client.fields import reported_types
from client.mapping_file import read_mapping
from client.output import CommandError
from client.report_file import CheckedReport, ReportFile
from client.routing import route
from client.tables.files import TableOptions, table
from client.validation import Checker
from tests.conftest import ROOT
from tests.harness import people
from tests.harness.languages import DISTRICTS
from tests.harness.reports import person_hired

CSV = ROOT / "docs" / "examples" / "hires.csv"
MAPPING = ROOT / "docs" / "examples" / "hires.yaml"
TABULAR = [type_ for type_ in reported_types() if not type_.endswith("catalogue-published.v1")]
NUMBER = "339977199007134895"  # of nobody; of the first row of the example
runner = CliRunner()


def read(file: Path, mapping: Path | None = None, **options: Any) -> list[CheckedReport]:
    opened = ReportFile(
        str(file), mapping, options.get("encoding"), options.get("sheet"), Checker(DISTRICTS, options.get("of"))
    )
    return [item for item in opened.reports() if item is not None]


def event_of(item: CheckedReport) -> Any:
    assert item.event is not None
    return item.event


def places(items: list[CheckedReport]) -> list[tuple[str | None, str | None, str]]:
    return [(fault.cell, fault.pointer, fault.code) for item in items for fault in item.faults]


def workbook(file: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    book.save(file)
    return file


def header() -> list[Any]:
    return CSV.read_text(encoding="utf-8-sig").splitlines()[0].split(",")


def row(at: int = 1, **changed: Any) -> list[Any]:
    cells = dict(zip(header(), CSV.read_text(encoding="utf-8-sig").splitlines()[at].split(","), strict=True))
    return list((cells | changed).values())


def changed_mapping(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = MAPPING.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "changed.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_worked_example_is_right_and_says_what_its_rows_say() -> None:
    items = read(CSV, MAPPING)
    assert [item.line for item in items] == [2, 3, 4, 5, 6, 7]
    assert places(items) == []
    event = event_of(items[1])
    assert event["id"] == "hire-ZJ-2025-0002"
    assert event["time"] == "2025-06-05T00:00:00+08:00"
    assert (event["data"]["channel"], event["data"]["level"]) == ("school-enterprise", "2")
    assert "level" not in event_of(items[2])["data"], "an empty cell is an absent field"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("comma", [",", "\t", ";"])
def test_a_csv_file_is_read_in_any_usual_encoding_and_with_any_separator(
    encoding: str, comma: str, tmp_path: Path
) -> None:
    file = tmp_path / "hires.csv"
    file.write_text(CSV.read_text(encoding="utf-8-sig").replace(",", comma), encoding=encoding)
    assert [item.event for item in read(file, MAPPING)] == [item.event for item in read(CSV, MAPPING)]


def test_a_workbook_says_the_same_as_the_csv_file(tmp_path: Path) -> None:
    rows: list[list[Any]] = [row(at) for at in range(1, 7)]
    for cells in rows:
        cells[10] = datetime(2025, 6, 3)  # noqa: DTZ001 - a spreadsheet's dates know no zone
    items = read(workbook(tmp_path / "t.xlsx", header(), ["# 说明 a comment"], *rows, [None] * 12), MAPPING)
    assert places(items) == []
    assert [item.line for item in items] == [3, 4, 5, 6, 7, 8], "as the spreadsheet numbers its rows"
    assert {event_of(item)["data"]["hired_on"] for item in items} == {"2025-06-03"}


@pytest.mark.parametrize(
    ("changed", "cell", "pointer", "code"),
    [
        ({"身份证号": 339977199007134895}, "D2", "/data/person/id_number", "number-lost"),
        ({"身份证号": 3.39977199007134e17}, "D2", "/data/person/id_number", "number-lost"),
        ({"身份证号": "3.39977E+17"}, "D2", "/data/person/id_number", "number-lost"),
        ({"身份证号": NUMBER[:17] + "6"}, "D2", "/data/person/id_number", "bad-checksum"),
        ({"身份证号": None}, "D2", "/data/person/id_number", "missing-field"),
        ({"职业编码": datetime(2006, 6, 18)}, "I2", "/data/occupation_code", "cell-is-date"),  # noqa: DTZ001
        ({"职业编码": "6-18"}, "I2", "/data/occupation_code", "bad-value"),
        ({"渠道": "别的"}, "H2", "/data/channel", "bad-value"),
        ({"录用日期": "2025-13-01"}, "K2", "/data/hired_on", "bad-date"),
        ({"统一社会信用代码": "91330681E3GH40001L"}, "G2", "/data/enterprise/credit_code", "bad-checksum"),
        ({"合同编号": "ZJ 1"}, "B2", "/id", "bad-attribute"),
        ({"合同编号": None}, "B2", "/id", "missing-attribute"),
        ({"用人单位": f"某公司 {NUMBER}"}, "F2", "/data/enterprise/name", "personal-number"),
    ],
)
def test_a_wrong_cell_is_named_and_never_quoted(
    changed: dict[str, Any], cell: str, pointer: str, code: str, tmp_path: Path
) -> None:
    items = read(workbook(tmp_path / "t.xlsx", header(), row(**changed)), MAPPING)
    assert (cell, pointer, code) in places(items)
    reasons = json.dumps([fault.as_json() for fault in items[0].faults], ensure_ascii=False)
    texts = "".join(fault.as_text() for fault in items[0].faults)
    for secret in (NUMBER, NUMBER[:17], "演示罗辰己", "别的", "10042420489"):
        assert secret not in reasons + texts
    assert all(fault.as_json()["fix"] for fault in items[0].faults), "each says what to do"


def test_numbers_dates_and_yes_or_no_are_taken_as_people_write_them(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        """
type: skillplan.subsidy.subsidy-paid.v1
source: /districts/330681/subsidies
id: "pay-{单号}"
subject: "claim/{单号}"
columns:
  金额: {to: data.amount_fen, unit: yuan}
  日期: data.on
""",
        encoding="utf-8",
    )
    file = tmp_path / "paid.csv"
    file.write_text(
        '单号,金额,日期\nA1,"1,234.50",2024年3月5日\nA2,800,2024.3.6\nA3,0.005,20240307\n', encoding="utf-8"
    )
    items = read(file, mapping)
    amounts = [event_of(item)["data"].get("amount_fen") for item in items]
    assert amounts == [123450, 80000, None]
    assert [event_of(item)["data"]["on"] for item in items] == ["2024-03-05", "2024-03-06", "2024-03-07"]
    assert places(items) == [("B4", "/data/amount_fen", "bad-value")], "no part of a fen is made up or dropped"


def test_the_same_id_with_other_content_is_named_with_the_row_where_it_stood_first(tmp_path: Path) -> None:
    file = workbook(tmp_path / "t.xlsx", header(), row(), row(), row(录用日期="2025-06-04"))
    faults = [fault for item in read(file, MAPPING) for fault in item.faults]
    assert [(fault.line, fault.code) for fault in faults] == [(4, "id-reused")]
    assert "row 2" in faults[0].en


def test_another_district_than_the_one_asked_for_is_refused() -> None:
    assert {code for _, _, code in places(read(CSV, MAPPING, of="330602"))} == {"not-your-source"}


def test_json_lines_are_named_by_line_and_pointer(tmp_path: Path) -> None:
    hire = samples.sample("skillplan.recruitment.person-hired.v1")
    assert hire is not None
    hire_data = hire["data"]
    assert isinstance(hire_data, dict)
    data = {name: value for name, value in hire_data.items() if name != "channel"} | {"chanel": "other"}
    file = tmp_path / "f.ndjson"
    lines = ["{", "", "7", json.dumps(hire), json.dumps({**hire, "id": "b", "data": data})]
    lines += [json.dumps({**hire, "district": "330602"}), json.dumps({**hire, "type": "skillplan.x.y.v1"})]
    file.write_text("\n".join(lines), encoding="utf-8")
    places = [(fault.line, fault.pointer, fault.code) for item in read(file) for fault in item.faults]
    assert places == [
        (1, None, "not-json"),
        (3, None, "not-json"),
        (5, "/data/channel", "missing-field"),
        (5, "/data/chanel", "unknown-field"),
        (6, "/district", "wrong-district"),
        (7, "/type", "unknown-type"),
    ]


@pytest.mark.parametrize(
    ("changes", "line", "key"),
    [
        ([("type: skillplan.recruitment.person-hired.v1", "type: skillplan.recruitment.person-hire.v1")], 4, "type"),
        ([("渠道:\n    to: data.channel", "渠道:\n    to: data.chanel")], 14, "columns.渠道"),
        ([("金蓝领招引: gold-blue-collar", "金蓝领招引: gold")], 17, "columns.渠道.values.金蓝领招引"),
        ([('id: "hire-{合同编号}"', 'ids: "hire-{合同编号}"')], 6, "ids"),
        ([("  姓名: data.person.name", "  身份证号: data.person.name")], 10, "columns.身份证号"),
        ([("  联系电话: data.person.phone", "  联系电话: data.person.name")], 11, "columns.联系电话"),
        ([("  录用日期: data.hired_on ", "  录用日期: id ")], 24, "columns.录用日期"),
        ([("source: /dis", "source: [/dis")], 6, "(file)"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_by_line_and_key(
    changes: list[tuple[str, str]], line: int, key: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError) as refused:
        read_mapping(changed_mapping(tmp_path, *changes))
    message = refused.value
    assert any(sentence.startswith(f"changed.yaml:{line}:") for sentence in message.en.splitlines()), message.en
    assert key == "(file)" or f": {key}:" in message.en
    assert len(message.zh.splitlines()) == len(message.en.splitlines())


def test_a_column_that_the_file_lacks_is_named_by_line_and_key_and_no_cell_is_quoted(tmp_path: Path) -> None:
    file = workbook(tmp_path / "t.xlsx", row(), row(2))  # there is no header: the first row is a person
    with pytest.raises(CommandError) as refused:
        read(file, MAPPING)
    assert "hires.yaml:10: columns.身份证号" in refused.value.en
    assert NUMBER not in str(refused.value)
    assert "演示罗辰己" not in str(refused.value)


def test_a_column_called_otherwise_is_named_beside_the_one_that_is_meant(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        read(CSV, changed_mapping(tmp_path, ("联系电话: data", "电话: data")))
    assert "是 联系电话 吗" in refused.value.zh
    assert "did you mean 联系电话?" in refused.value.en


def test_of_a_wrong_day_it_is_said_once_that_it_is_wrong(tmp_path: Path) -> None:
    items = read(workbook(tmp_path / "t.xlsx", header(), row(录用日期="5月6日")), MAPPING)
    assert places(items) == [("K2", "/data/hired_on", "bad-date")]


def test_json_lines_may_begin_with_a_mark_and_what_is_no_utf_8_is_called_so(tmp_path: Path) -> None:
    event = json.dumps(samples.sample("skillplan.recruitment.person-hired.v1"), ensure_ascii=False)
    file = tmp_path / "t.ndjson"
    file.write_text(event + "\n", encoding="utf-8-sig")
    assert places(read(file)) == []
    file.write_text(event + "\n", encoding="gb18030")
    assert places(read(file)) == [(None, None, "not-utf-8")]


@pytest.mark.parametrize("typed", ["person-hired", "recruitment.person-hired", "skillplan.recruitment.person-hird.v1"])
def test_a_type_that_is_not_quite_one_is_told_which_is_meant(typed: str) -> None:
    done = runner.invoke(app, ["sample", typed])
    assert done.exit_code == 2
    assert "Did you mean skillplan.recruitment.person-hired.v1?" in done.stderr


def test_a_key_that_was_not_copied_whole_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    sent = ["publish", str(CSV), "--mapping", str(MAPPING), "--http", "--key", "钥匙", "--patience", "0"]
    done = runner.invoke(app, [*sent, "--journal", str(tmp_path / "journal.sqlite")])
    assert done.exit_code == 2
    assert "copy the whole key" in done.stderr


def test_what_the_plan_office_decides_is_checked_and_sent_as_json_lines_by_its_own_road(tmp_path: Path) -> None:
    decided: dict[str, Any] = {
        "specversion": "1.0", "id": "t-1", "source": "/districts/330600/plan-office", "district": "330600",
        "type": "skillplan.planning.target-revised.v1", "subject": "target/shaoxing-2023-2025/4.1.b",
        "time": "2024-05-06T09:30:00+08:00",
        "data": {"plan": "shaoxing-2023-2025", "indicator": "4.1.b", "op": ">=", "value": 1000,
                 "effective_from": "2024-07-01", "by": "计划办公室"},
    }  # fmt: skip
    file = tmp_path / "t.ndjson"
    file.write_text(json.dumps(decided) + "\n", encoding="utf-8")
    assert places(read(file)) == []
    assert (route(decided).topic, route(decided).key) == ("planning.reports.office", b"target/shaoxing-2023-2025/4.1.b")
    assert route(decided).user == "plan-office"
    of_a_district = route(decided | {"source": "/districts/330681/plan"})
    assert (of_a_district.topic, of_a_district.user) == ("planning.reports.330681", "district-330681")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK\x03\x04nothing", "damaged"),
        ("a.xlsx", b"type,id\n1,2\n", "named as a workbook but is not one"),
        ("a.xls", b"\xd0\xcf\x11\xe0old", "old (.xls) or password"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0secret", "old (.xls) or password"),
        ("a.csv", b"\xff\xff\x80\x80,\xff", "neither in UTF-8 nor in GB 18030"),
        ("a.csv", b"type,id,id,source,subject\n1,2,2,3,4\n", "not one that can be reported"),
        ("a.csv", b"type,id,id,source,subject\nskillplan.subsidy.subsidy-paid.v1,2,2,3,4\n", "same name"),
        ("a.csv", b'type,id,source,subject\n"x\n', "unclosed quote"),
        ("a.csv", b"name,date\n1,2\n", "--mapping"),
        ("a.csv", b"type,id,source,subject,data.x\nskillplan.subsidy.subsidy-paid.v1,1,2,3,4\n", "not a field of"),
    ],
)
def test_a_file_that_is_no_table_gets_one_clear_sentence(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    done = runner.invoke(app, ["validate", str(tmp_path / name)])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_a_type_with_a_list_has_no_template_and_says_so() -> None:
    for option in (["--csv"], ["--mapping"]):
        done = runner.invoke(app, ["sample", "skillplan.subsidy.catalogue-published.v1", *option])
        assert done.exit_code == 2
        assert "NDJSON" in done.stderr


def test_the_language_of_the_reader_is_spoken_and_both_where_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {}
    for locale in ("zh_CN.UTF-8", "en_GB.UTF-8", "C.UTF-8"):
        monkeypatch.setenv("SKILLPLAN_LANG", locale)
        outputs[locale[:2]] = runner.invoke(app, ["validate", str(CSV), "--mapping", str(MAPPING)]).stdout
    assert outputs["zh"] == "✓ 共 6 份,正确 6,有误 0\n"
    assert outputs["en"] == "6 reports, 6 right, 0 wrong\n"
    assert outputs["C."] == outputs["zh"].rstrip() + "  " + outputs["en"]


def test_memory_stays_the_same_however_many_rows(tmp_path: Path) -> None:
    peaks = []
    first = ",".join(row())
    for rows in (250, 1_250):
        file = tmp_path / f"{rows}.csv"
        with file.open("w", encoding="utf-8") as out:
            out.write(",".join(header()) + "\n")
            out.writelines(first.replace("ZJ-2025-0001", f"ZJ-{at}") + "\n" for at in range(rows))
        opened = ReportFile(str(file), MAPPING, None, None, Checker(DISTRICTS))
        tracemalloc.start()
        assert sum(not item.faults for item in opened.reports() if item is not None) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 1_000_000


def test_a_workbook_is_read_beyond_the_extent_that_it_claims(tmp_path: Path) -> None:
    file = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, cells in enumerate((header(), row(1), row(2))):
            for column, cell in enumerate(cells):
                sheet.write_string(number, column, cell)
    with table(str(file), TableOptions(), header()) as rows:
        assert len(list(rows.rows)) == 2


def test_every_report_of_the_example_goes_to_its_district() -> None:
    topics: Iterator[str] = (route(event_of(item)).topic for item in read(CSV, MAPPING))
    assert set(topics) == {"recruitment.reports.330681"}
    assert date.fromisoformat(event_of(read(CSV, MAPPING)[0])["data"]["hired_on"]).year == 2025


def test_the_plan_says_which_credit_codes_are_taken(tmp_path: Path) -> None:
    """RULES A24: what a service takes is right here, too."""
    text = (ROOT / "plans" / "shaoxing-2023-2025.yaml").read_text(encoding="utf-8")
    wrong = people.credit_code(1)[:-1] + ("0" if people.credit_code(1)[-1] != "0" else "1")
    report = person_hired(1)
    report["data"]["enterprise"]["credit_code"] = wrong
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    assert [fault.code for fault in Checker.by_plans(tmp_path).faults(report, 1)] == ["bad-checksum"]
    listed = f'credit_codes: [{{code: "{wrong}", reason: 登记证如此}}]\nunits:\n'
    (tmp_path / "plan.yaml").write_text(text.replace("\nunits:\n", f"\n{listed}"), encoding="utf-8")
    assert list(Checker.by_plans(tmp_path).faults(report, 1)) == []
