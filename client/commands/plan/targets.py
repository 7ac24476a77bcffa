"""`skillplan plan show`, `diff`, `adopt` (`import`), `export`, `revise`, `split`, `withdraw`: a plan's targets."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from client.commands.plan import tables
from client.commands.plan.office import (
    PLAN,
    By,
    From,
    Id,
    Plan,
    PlanSession,
    Source,
    Why,
    connect,
    day,
    number,
    optional_number,
)
from client.districts import DistrictNames
from client.messages import JsonObject
from client.output import ALL_WELL, SOME_WRONG, CommandError


def show(
    context: typer.Context,
    plan: Plan = PLAN,
    indicator: Annotated[str | None, typer.Argument(help="指标编号 an indicator; all when left out")] = None,
    on: Annotated[str | None, typer.Option("--on", help="日期 as of a day, YYYY-MM-DD")] = None,
    month: Annotated[str | None, typer.Option("--month", help="看某月的状态 how a month stands, YYYY-MM")] = None,
) -> None:
    """现行目标及其沿革;--month 看月份 The targets in force and their history; --month: a month."""
    with connect(context) as office:
        output = office.output
        if month is not None:
            status = office.planning.month(plan, month)
            output.record(status)
            tables.print_month(output, status, office.districts)
            return
        targets = office.planning.targets(plan, day(on) if on else None)
        if indicator is None:
            output.record(targets)
            tables.print_targets(output, targets)
            return
        tables.print_indicator(output, targets, indicator, office.districts)
        tables.print_history(output, targets["indicators"][0], office.districts)


def diff(
    context: typer.Context, file: Annotated[Path, typer.Argument(help="计划文件 a plan file")], plan: Plan = PLAN
) -> None:
    """采用此文件会改变什么,不作记录 What adopting a file would change; records nothing."""
    with connect(context) as office:
        changes = office.planning.diff(plan, file)
        office.output.record({key: value for key, value in changes.items() if key != "document"})
        tables.print_diff(office.output, changes, office.districts)
        raise typer.Exit(SOME_WRONG if changes["changes"] else ALL_WELL)


def adopt(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="计划文件,或导出后改过的目标表 .xlsx a plan file, or an edited workbook")
    ],
    plan: Plan = PLAN,
    by: By = None,
    why: Why = None,
    effective_from: From = None,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 do not ask")] = False,
    id_: Id = None,
    source: Source = None,
) -> None:
    """采用计划文件,或按目标表调整、分解:先列出改动 Adopt a plan file, or revise and split as an edited workbook says;
    what changes is shown first."""
    with connect(context) as office:
        reports = (_of_table if file.suffix.lower() == ".xlsx" else _of_plan_file)(
            office, file, plan, day(effective_from)
        )
        if not reports:
            raise typer.Exit(ALL_WELL)
        if not yes and not typer.confirm("采用?Adopt?"):
            raise CommandError("未采用,没有改变。", "Not adopted; nothing has changed.", "not-adopted", SOME_WRONG)
        decision: JsonObject = {"by": office.by(plan, by), "why": why}
        taken = [
            office.tell(name, subject, data | decision, id_ and f"{id_}{number}", source)
            for number, (name, subject, data) in zip(
                ("", *map("-{}".format, range(2, len(reports) + 1))), reports, strict=True
            )
        ]
        raise typer.Exit(ALL_WELL if all(taken) else SOME_WRONG)


class _Decided(NamedTuple):
    """What is to be reported, without who decides and why."""

    name: str
    subject: str
    data: JsonObject


def _of_plan_file(office: PlanSession, file: Path, plan: str, effective_from: str) -> list[_Decided]:
    """Print what adopting a plan file changes, and return the adoption."""
    changes = office.planning.diff(plan, file)
    tables.print_diff(office.output, changes, office.districts)
    given: JsonObject = {
        "plan": plan, "document": changes["document"], "sha256": changes["sha256"], "against": changes["against"],
        "effective_from": effective_from,
    }  # fmt: skip
    return [_Decided("plan-adopted", f"plan/{plan}", given)]


def _of_table(office: PlanSession, file: Path, plan: str, effective_from: str) -> list[_Decided]:
    """Print what an edited workbook changes, and return the revisions and splits; raises CommandError for faults."""
    table = office.planning.compare_table(plan, file, effective_from)
    tables.print_table(office.output, table, office.districts)
    if table["faults"]:
        raise CommandError(
            "表中有错误,什么也没有改变。", "The table has faults; nothing has changed.", "bad-table", SOME_WRONG
        )
    return [_Decided(report["type"], report["subject"], report["data"]) for report in table["reports"]]


def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="写入的文件 the file to write, .xlsx")],
    plan: Plan = PLAN,
    on: Annotated[str | None, typer.Option("--on", help="日期 as of a day, YYYY-MM-DD; today")] = None,
) -> None:
    """把现行目标导出为表格,改后导入 Write the targets in force to a workbook, to be edited and imported."""
    with connect(context) as office:
        content = office.planning.table(plan, day(on))
        file.write_bytes(content)
        office.output.record({"file": str(file), "bytes": len(content)})
        office.output.line(f"✓ {file}")


def revise(
    context: typer.Context,
    indicator: Annotated[str, typer.Argument(help="指标编号 the indicator, e.g. 1.3.a")],
    target: Annotated[str, typer.Argument(help="如 e.g. '>=3600'、'2-3'、all")],
    plan: Plan = PLAN,
    district: Annotated[str | None, typer.Option("--district", help="只对某区、县(市)for one district only")] = None,
    baseline: Annotated[float | None, typer.Option("--baseline", help="基线 where a level starts from")] = None,
    clause: Annotated[str | None, typer.Option("--clause", help="依据 the document it rests on")] = None,
    by: By = None,
    why: Why = None,
    effective_from: From = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """调整目标 Revise a target. 撤回 to withdraw: skillplan plan withdraw."""
    with connect(context) as office:
        data: JsonObject = _read_target(target) | {
            "plan": plan, "indicator": indicator,
            "district": None if district is None else office.districts.code(district),
            "baseline": optional_number(baseline), "clause": clause,
            "effective_from": day(effective_from), "why": why, "by": office.by(plan, by),
        }  # fmt: skip
        office.revise("target-revised", f"target/{plan}/{indicator}", data, id_, source)


def split(
    context: typer.Context,
    indicator: Annotated[str, typer.Argument(help="指标编号 the indicator")],
    period: Annotated[str, typer.Argument(help="年份或 plan a year, or plan")],
    parts: Annotated[list[str], typer.Argument(help="诸暨市=500 330603=400 … 或 or 2024-01=250 …")],
    plan: Plan = PLAN,
    difference: Annotated[float | None, typer.Option("--difference", help="目标减合计 target less the sum")] = None,
    by: By = None,
    why: Why = None,
    effective_from: From = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """按区、县(市)或按月分解目标 Split a target over districts or months."""
    with connect(context) as office:
        numbers = _read_parts(parts)
        over = "months" if all("-" in key for key in numbers) else "districts"
        if over == "districts":
            numbers = _by_code(numbers, office.districts)
        data: JsonObject = {
            "plan": plan, "indicator": indicator, "period": period, "over": over, "parts": numbers,
            "difference": optional_number(difference), "effective_from": day(effective_from), "why": why,
            "by": office.by(plan, by),
        }  # fmt: skip
        office.revise("target-split", f"split/{plan}/{indicator}/{period}/{over}", data, id_, source)


def withdraw(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="如 e.g. target/shaoxing-2023-2025/1.3.a")],
    report: Annotated[str, typer.Argument(help="所撤回报告的编号 the id of the report to withdraw")],
    why: Annotated[str, typer.Option("--why", help="理由 why")],
    service: Annotated[str, typer.Option("--service", help="改归、作废所在的服务 where it was assigned or voided")] = (
        "planning"
    ),
    id_: Id = None,
    source: Source = None,
) -> None:
    """撤回采用、调整、分解、提交,或改归、作废 Withdraw an adoption, a revision, a split, a submission, or an assignment
    or voiding at a service."""
    with connect(context, service) as office:
        office.report("report-retracted", subject, {"report_id": report, "reason": why}, id_, source)


def _read_parts(parts: list[str]) -> JsonObject:
    """Read `<code or month>=<number>` of each part; raises CommandError."""
    numbers: JsonObject = {}
    for part in parts:
        key, _, text = part.partition("=")
        try:
            value = number(float(text))
        except ValueError:
            raise CommandError(
                "各部分写作 <名称、代码或月份>=<数>。", "Write each part as <name, code or month>=<number>."
            ) from None
        if key in numbers:
            raise CommandError("有一部分写了两次。", "One part is given twice.")
        numbers[key] = value
    return numbers


def _by_code(numbers: JsonObject, districts: DistrictNames) -> JsonObject:
    """Return the parts by code; raises CommandError where two names are of one district."""
    parts = {districts.code(name): value for name, value in numbers.items()}
    if len(parts) < len(numbers):
        raise CommandError("有一部分写了两次。", "One part is given twice.")
    return parts


def _read_target(text: str) -> JsonObject:
    """Read a target as people write it: >=3600, >100, =1, 2-3, all; raises CommandError."""
    target = text.strip().replace("≥", ">=")
    try:
        if target == "all":
            return {"op": "all"}
        for op in (">=", ">", "="):
            if target.startswith(op):
                return {"op": op, "value": number(float(target.removeprefix(op)))}
        lower, dash, upper = target.partition("-")
        if dash:
            return {"op": "range", "value": number(float(lower)), "upper": number(float(upper))}
    except ValueError:
        pass
    raise CommandError("目标写作 >=3600、>100、=1、2-3 或 all。", "Write a target as >=3600, >100, =1, 2-3 or all.")
