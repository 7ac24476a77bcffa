"""`make faults`: does every fault of the table to an installation of its own, and prints what became of the reports."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import signal
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.conftest import ROOT
from tests.faults.hosts import HOST_FAULTS, suffer_on_hosts
from tests.faults.table import FAULTS, STARTING, Fault, FaultRow, suffer
from tests.harness.faults import fault_installation
from tests.harness.hosts import Hosts, three_hosts

HEADINGS = ("故障 fault", "秒 s", "已发 sent", "每秒 a second", "接受 accepted", "丢失 lost", "重复 twice",
            "重算差 recount", "追平用时 lag 0 after, s", "/readyz 其间所述 said meanwhile")  # fmt: skip
ALL_FAULTS = (*FAULTS, *HOST_FAULTS)
_PAGE = ROOT / "docs" / "faults.md"
_LOGS = ROOT / ".cache" / "faults"
_BEFORE, _AFTER = 1, 3  # seconds in which reports flow besides
_HEAD = """# 故障 Faults

由 `make faults ARGS=--write` 生成:每一行都在一套新建的系统上真实发生过一次,其间报告从两扇门流入,无人插手。
只做几行时(`--only`)其余各行不变。“三台”各行依次做在同一套三台主机上。 Written by `make faults ARGS=--write`.
Each row was done for real to a new installation while reports came in by both doors; nobody helped. Where only
some were done (`--only`) the others stay. Those of "three hosts" were done one after another to one installation
on three hosts, each a network namespace that runs the units of [production.md](production.md).

- *每秒 a second*:实际送达的速率;不能送达的其后补送,故含停顿。 The rate that was reached; what could not be taken was
  sent again afterwards, so pauses are in it.
- *追平用时 lag 0 after*:全部送达后,到每件已决定、已计数、各进程就绪。 From the last report taken to all decided, all
  counted and every process ready.

"""


def cells(row: FaultRow) -> tuple[str, ...]:
    """Return a row as it is shown."""
    counted = (row.accepted, row.lost, row.twice, row.recount)
    pause = f"停顿至多 paused at most {row.pause:.1f} s" if row.pause else ""
    note = "; ".join(filter(None, (row.note, pause)))
    name = " ".join(filter(None, (f"{row.fault.zh} {row.fault.en}", note and f"({note})")))
    answers = f"✗ {row.wrong}. {readiness(row)}" if row.wrong else readiness(row)
    return (
        name, f"{row.seconds:.0f}", str(row.sent), f"{row.rate:.0f}", *map(str, counted), f"{row.lag_gone:.1f}", answers
    )  # fmt: skip


def readiness(row: FaultRow) -> str:
    """Say what `/readyz` named: each cause once, with the processes that named it."""
    by_cause: defaultdict[str, set[str]] = defaultdict(set)
    for process, part, why in row.ready_said:
        by_cause["正在启动 starting" if why == STARTING else f"{part}: {why}" if part else why].add(process)
    lines = (f"{cause} ({', '.join(sorted(processes))})" for cause, processes in sorted(by_cause.items()))
    return "; ".join(lines) or "–"


def page(rows: list[FaultRow], before: str) -> str:
    """Write the page of the documentation; a fault that was not done keeps its row of the page before."""
    heads = [_line(HEADINGS), _line(("---",) * len(HEADINGS))]
    fresh = {row.fault.en: _line(cells(row)) for row in rows}
    old = before.splitlines() if heads[0] in before else []
    lines = [
        fresh.get(fault.en) or next((line for line in old if line.startswith(f"| {fault.zh} {fault.en}")), None)
        for fault in ALL_FAULTS
    ]
    return _HEAD + "\n".join([*heads, *filter(None, lines)]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def done(
    fault: Fault, held: float, rate: float, console: Console, hosts: contextlib.AbstractContextManager[Hosts]
) -> FaultRow:
    """Do one fault to an installation of its own, so that a row that fails is no other's trouble.

    `hosts`: the three hosts, which bear theirs one after another.
    """
    logs = _LOGS / re.sub("[^a-z]+", "-", fault.en)
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    seconds = _BEFORE + held + _AFTER
    reports = int(seconds * rate)
    try:
        if fault.hosts:
            with hosts as three:
                return suffer_on_hosts(three, fault, reports, seconds, held)
        with fault_installation(logs, fault.services, fault.own_disks, fault.code_in) as own:
            return suffer(own, fault, reports, seconds, held)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's result
        (logs / "failure.log").write_text(traceback.format_exc(), encoding="utf-8")
        console.print(f"  {escape(traceback.format_exc().strip()[-2000:])}\n  {logs}")
        return FaultRow(fault, held, reports, failed=" ".join(f"{type(error).__name__}: {error}".split())[:200])


class _OnceStarted(contextlib.AbstractContextManager[Hosts]):
    """Three hosts that are started when they are first needed, and stay until `close`."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._hosts: Hosts | None = None

    def __enter__(self) -> Hosts:
        if self._hosts is None:
            logs = _LOGS / "hosts"
            shutil.rmtree(logs, ignore_errors=True)
            logs.mkdir(parents=True)
            self._hosts = self._stack.enter_context(three_hosts(logs, ("recruitment",)))
        return self._hosts

    def __exit__(self, *_error: object) -> None:
        """Leave them running."""

    def close(self) -> None:
        self._stack.close()


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the table, or the faults whose name holds a word."""
    parser = argparse.ArgumentParser(prog="make faults", description="故障表 the table of faults")
    parser.add_argument("--only", default="", help="名称含其一者 faults whose English name holds one of a,b")
    parser.add_argument(
        "--held", type=float, help="每个故障持续秒数,不给则各依其表 seconds that each lasts; else its own"
    )
    parser.add_argument("--rate", type=float, default=300.0, help="每秒报告数 reports a second")
    parser.add_argument("--write", action="store_true", help="写入 docs/faults.md write the page")
    options = parser.parse_args()
    chosen = [fault for fault in ALL_FAULTS if any(word in fault.en for word in options.only.split(","))]
    if not chosen:
        names = ", ".join(fault.en for fault in ALL_FAULTS)
        parser.error(f"没有这样的故障 no fault is called so: {options.only}; {names}")
    # SIGTERM also unmounts and stops everything in order.
    signal.signal(signal.SIGTERM, _end)
    console, rows, began = Console(width=200), [], time.monotonic()
    with contextlib.closing(_OnceStarted()) as hosts:
        for number, fault in enumerate(chosen, 1):
            console.print(f"… {number}/{len(chosen)} {fault.zh} {fault.en}")
            row = done(fault, options.held or fault.held, options.rate, console, hosts)
            rows.append(row)
            if options.write:  # each time: a row that is there is not lost with those that are not
                _PAGE.write_text(page(rows, _PAGE.read_text(encoding="utf-8")), encoding="utf-8")
            passed = f"{time.monotonic() - began:.0f} s"
            verdict = "✗ " + escape(row.wrong) if row.wrong else "✓"
            console.print(f"  {verdict} {row.accepted}/{row.sent} {' '.join(cells(row)[:9])} {passed}")
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, cells(row)))
    console.print(table)
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
