"""`make faults`: does every fault of the table to an installation of its own, and prints what became of the reports."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conftest import ROOT
from tests.faults.ground import own_installation
from tests.faults.table import FAULTS, Row, suffer

HEADINGS = ("故障 fault", "秒 s", "已发 sent", "接受 accepted", "丢失 lost", "重复 twice", "重算差 recount",
            "追平用时 lag 0 after, s", "/readyz 其间所述 said meanwhile")  # fmt: skip
_PAGE = ROOT / "docs" / "faults.md"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as it is shown."""
    told = sorted(said for said in row.ready_said if "no answer" not in said)
    counted = (row.sent, row.accepted, row.lost, row.twice, row.recount)
    name = f"{row.fault.zh} {row.fault.en}"
    return (name, f"{row.seconds:.0f}", *map(str, counted), f"{row.lag_gone:.1f}", "; ".join(told) or "–")


def page(rows: list[Row]) -> str:
    """Write the page of the documentation."""
    head = """# 故障 Faults

由 `make faults ARGS=--write` 生成:每一行都真实发生过一次,其间报告从两扇门流入,无人插手。
Written by `make faults ARGS=--write`. Each row was done for real while reports came in by both doors; nobody helped.

"""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(cells(row) for row in rows)]
    return (
        head + "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
    )


def main() -> int:
    """Run the table, or the faults whose name holds a word."""
    asked = argparse.ArgumentParser(prog="make faults", description="故障表 the table of faults")
    asked.add_argument("--only", default="", help="名称含此词者 faults whose English name holds this")
    asked.add_argument("--held", type=float, default=60.0, help="每个故障持续秒数 seconds that each lasts")
    asked.add_argument("--rate", type=float, default=300.0, help="每秒报告数 reports a second")
    asked.add_argument("--write", action="store_true", help="写入 docs/faults.md write the page")
    told = asked.parse_args()
    console, rows = Console(width=160), []
    with tempfile.TemporaryDirectory(prefix="skillplan-faults-") as logs, own_installation(Path(logs)) as own:
        for fault in (fault for fault in FAULTS if told.only in fault.en):
            console.print(f"… {fault.zh} {fault.en}")
            seconds = told.held + 4
            rows.append(suffer(own, fault, int(seconds * told.rate), seconds, told.held))
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)
    if told.write:
        _PAGE.write_text(page(rows), encoding="utf-8")
    wrong = [row for row in rows if row.lost or row.twice or row.recount or row.accepted != row.sent]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
