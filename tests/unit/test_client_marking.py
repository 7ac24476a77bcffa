"""`validate --marked`: the clerk's own table comes back with its faulty cells coloured and the fix as a note."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Font
from typer.testing import CliRunner

from client.__main__ import app
from tests.conftest import ROOT

CSV = ROOT / "docs" / "examples" / "hires.csv"
MAPPING = ROOT / "docs" / "examples" / "hires.yaml"


def lines() -> list[list[str]]:
    return [line.split(",") for line in CSV.read_text(encoding="utf-8-sig").splitlines()]


def as_workbook(file: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "台账"
    for cells in lines():
        sheet.append(cells)
    sheet["A1"].font = Font(bold=True)
    sheet["H3"] = "别的"
    sheet["K4"] = "2125-01-01"
    book.save(file)


def as_csv(file: Path) -> None:
    rows = lines()
    rows[2][7], rows[3][10] = "别的", "2125-01-01"
    file.write_text("\n".join(",".join(row) for row in rows), encoding="gb18030")


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_the_table_comes_back_marked_and_otherwise_as_it_was(kind: str, tmp_path: Path) -> None:
    file, out = tmp_path / f"t.{kind}", tmp_path / "marked.xlsx"
    as_workbook(file) if kind == "xlsx" else as_csv(file)
    done = CliRunner().invoke(
        app, ["validate", str(file), "--mapping", str(MAPPING), "--marked", str(out)], env={"SKILLPLAN_LANG": "zh"}
    )
    assert done.exit_code == 1, done.output
    assert "第 3 行「渠道」(H3):" in done.stdout
    assert "第 4 行「录用日期」(K4):日期在未来" in done.stdout, "found before it is sent (RULES A2)"
    sheet = openpyxl.load_workbook(out).worksheets[0]
    marked = {cell.coordinate for row in sheet.iter_rows() for cell in row if cell.comment}
    assert marked == {"H3", "K4"}
    assert "→" in sheet["K4"].comment.text
    assert "[in-the-future]" in sheet["K4"].comment.text
    assert sheet["H3"].fill.start_color.rgb == "FFFFC7CE"
    if kind == "xlsx":
        assert (sheet.title, sheet["A1"].font.bold) == ("台账", True)
    else:
        assert sheet["D2"].value == lines()[1][3], "every digit of a number"


def test_what_cannot_be_marked_is_said_before_anything_is_read(tmp_path: Path) -> None:
    for file, out, message in (
        (str(CSV), "x.csv", ".xlsx"),
        ("-", "x.xlsx", "tables"),
        (str(CSV), str(tmp_path / "no" / "x.xlsx"), "folder"),
    ):
        done = CliRunner().invoke(app, ["validate", file, "--mapping", str(MAPPING), "--marked", out], input="{}")
        if file == "-":
            done = CliRunner().invoke(app, ["validate", file, "--marked", out], input="{}")
        assert (done.exit_code, message in done.stderr) == (2, True), done.output
