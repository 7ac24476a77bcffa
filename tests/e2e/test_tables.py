"""A clerk without a terminal: a table with ten planted faults, from the drop to the receipts, in a real browser."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local.processes import Supervisor
from tests.e2e.conftest import PLAN, accepted, left_on_disk
from tests.e2e.test_dashboard import SHOTS
from tests.harness.browser import CHROMIUM, run_errand
from tests.harness.dropped_tables import FAULTS, FIRST_ROW, HEADERS, ROWS, hires, right_cells
from tests.harness.processes import eventually

_WRONG: Final = ("bomb.xlsx", "other.csv", "damaged.xlsx", "2GB.xlsx", "renamed.xlsx")
HIRED: Final = "skillplan.recruitment.person-hired.v1"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium, or CHROMIUM=<path>")


def _wrong_tables(folder: Path) -> list[str]:
    bomb, other, damaged, huge, renamed = (folder / name for name in _WRONG)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * (300 << 20))
    other.write_text("课程,教室,教师\n语文,101,演示\n", encoding="utf-8")
    damaged.write_bytes(b"PK\x03\x04")
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    renamed.write_bytes(hires("renamed", headers=(*HEADERS[:-1], "备用")))
    return [str(bomb), str(other), str(damaged), str(huge), str(renamed)]


@pytest.mark.parametrize(("language", "width"), [("zh", 1280), ("en", 360)])
def test_a_table_goes_from_drop_to_receipts_and_nothing_is_sent_twice_or_lost(
    state: Path, addresses: dict[str, str], tmp_path: Path, profiles: Path, language: str, width: int
) -> None:
    name = f"e2e-{language}"
    before, running = accepted(addresses, HIRED), Supervisor(state).states()
    file, changed = tmp_path / "台账.xlsx", tmp_path / "改过.xlsx"
    file.write_bytes(hires(name))
    changed.write_bytes(hires(name, faults={**FAULTS, "I3": "技师"}))
    result: dict[str, Any] = run_errand(
        "table", base=addresses["gateway"], plan=PLAN, shots=str(SHOTS), language=language, width=width,
        profiles=str(profiles), file=str(file), changed=str(changed), mends=right_cells(name),
        wrong=_wrong_tables(tmp_path),
        killed=[running[name]["pid"] for name in ("gateway-api", "recruitment-api")], doomed=width > 360,
    )  # fmt: skip
    assert sorted(result["faulty"]) == sorted(FAULTS)
    assert all("→" in reason for reason in result["reasons"]), "each says what to do"
    assert result["first"] == {"accepted": ROWS}
    right = ROWS - len(FAULTS)
    assert result["again"] == {"accepted": right}
    assert result["changed"] == {"changed": 1, "accepted": right - 1}
    assert result["corrected"] == {"accepted": right}
    assert result["retracted"] == {"retracted": 1, "accepted": right - 1}
    assert result["renewed"] == {"accepted": right}
    assert not any(each["sendable"] for each in result["wrong"])
    assert all(re.fullmatch(r"[^。]+。" if language == "zh" else r"[^.]+\.", each["said"]) for each in result["wrong"])
    assert len({each["said"] for each in result["wrong"]}) == len(result["wrong"])
    assert result["axe"] == []
    assert max(result["wide"]) <= 0
    # Each hire once, a correction and a hire anew beside the first: the broker's receipts say the same.
    assert eventually(lambda: accepted(addresses, HIRED) == before + ROWS + 2, within=30)
    cells = right_cells(name, every=True)
    private = [cells[f"{column}{row}"] for column in "CD" for row in range(FIRST_ROW, FIRST_ROW + ROWS)]
    assert not any(value in result["stored"] for value in private)
    # Of a hundred files a browser has some megabytes: looked through for a dozen persons, the mended ones among them.
    few = [cells[f"{column}{row}"] for column in "CD" for row in (3, 4, 5, 12, 58, 77, 103, 150, 199, 202)]
    assert left_on_disk(state, profiles, few) == set()
