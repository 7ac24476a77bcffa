"""The plan office's command line: `skillplan plan …`; it says what the API answers and decides nothing.

Ends with 0 when it was done, 1 when it was refused (or there is a difference, for `diff`), 2 when the command or a file
is wrong, 3 when the service cannot be reached or lets nobody in with this key.
"""

import json
import math
import os
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import httpx
import typer
from rich.console import Console
from rich.table import Table

from services.catalogue import DOMAIN_SERVICES
from shared.contract.events import SHANGHAI
from shared.process.command_line import run

Body = dict[str, Any]
DONE, REFUSED, WRONG, AWAY = 0, 1, 2, 3
_ADDRESS: Final = f"http://127.0.0.1:{DOMAIN_SERVICES['planning'].port}"
_SECONDS: Final = 120.0  # a close waits until all is counted
app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="计划办公室:目标的采用、调整、分解,月度提交与关账 The plan office: targets and months",
)  # fmt: skip
_out, _err = Console(), Console(stderr=True)
_told: dict[str, Any] = {"address": _ADDRESS, "json": False}

Plan = Annotated[str, typer.Option("--plan", "-p", envvar="SKILLPLAN_PLAN", help="计划编号 the plan's id")]
By = Annotated[str, typer.Option("--by", envvar="SKILLPLAN_BY", help="经办人(部门或职务) who decides")]
Why = Annotated[str | None, typer.Option("--why", help="理由 why")]
From = Annotated[str | None, typer.Option("--from", help="生效日期 YYYY-MM-DD,默认今天 takes effect; today")]
Id = Annotated[str | None, typer.Option("--id", help="报告编号;重发时用同一个 the report's id; the same to send again")]
Source = Annotated[str | None, typer.Option("--source", help="来源 the source, /districts/<code>/<system>")]
Month = Annotated[str, typer.Argument(help="月份 YYYY-MM")]
_PLAN: Final = "shaoxing-2023-2025"
_BY: Final = "计划办公室"
_CITY: Final = "330600"


@app.callback()
def _settings(
    address: Annotated[
        str, typer.Option("--url", envvar="SKILLPLAN_PLANNING", help="planning 的地址 its address")
    ] = _ADDRESS,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 for programs")] = False,
) -> None:
    """计划办公室的命令行 The plan office's command line. 密钥 key: SKILLPLAN_KEY."""
    _told.update(address=address.rstrip("/"), json=as_json)


@app.command()
def show(
    plan: Plan = _PLAN,
    indicator: Annotated[str | None, typer.Argument(help="指标编号 an indicator; all when left out")] = None,
    on: Annotated[str | None, typer.Option("--on", help="日期 as of a day, YYYY-MM-DD")] = None,
    month: Annotated[str | None, typer.Option("--month", help="看某月的状态 how a month stands, YYYY-MM")] = None,
) -> None:
    """现行目标及其沿革;--month 看月份 The targets in force and their history; --month: a month."""
    if month is not None:
        shown = _ask("GET", f"/v1/plans/{plan}/months/{month}")
        _print(shown, _month_table(shown), f"可办 may: {', '.join(shown['may']) or '–'}")
        return
    shown = _ask("GET", f"/v1/plans/{plan}", params={"on": str(_day(on))} if on else {})
    if indicator is not None:
        shown["indicators"] = [one for one in shown["indicators"] if one["id"] == indicator]
        if not shown["indicators"]:
            _stop(WRONG, "该计划没有这个指标。", "This plan has no such indicator.")
    one = shown["indicators"][0] if indicator is not None else None
    _print(shown, _targets_table(shown), *([] if one is None else [_parts_table(one), _history_table(one)]))


@app.command()
def diff(file: Annotated[Path, typer.Argument(help="计划文件 a plan file")], plan: Plan = _PLAN) -> None:
    """采用此文件会改变什么,不作记录 What adopting a file would change; records nothing."""
    shown = _diff(plan, file)
    _print({key: value for key, value in shown.items() if key != "document"}, _diff_table(shown))
    raise typer.Exit(REFUSED if shown["changes"] else DONE)


@app.command()
def adopt(
    file: Annotated[Path, typer.Argument(help="计划文件 a plan file")],
    plan: Plan = _PLAN,
    by: By = _BY,
    why: Why = None,
    effective_from: From = None,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 do not ask")] = False,
    id_: Id = None,
    source: Source = None,
) -> None:
    """采用计划文件:先列出改动 Adopt a plan file; what changes is shown first."""
    shown = _diff(plan, file)
    if not _told["json"]:
        _out.print(_diff_table(shown))
    if not yes and not typer.confirm("采用?Adopt?"):
        _stop(REFUSED, "未采用,没有改变。", "Not adopted; nothing has changed.")
    data = {
        "document": shown["document"], "sha256": shown["sha256"], "against": shown["against"],
        "effective_from": str(_day(effective_from)), "by": by, "why": why,
    }  # fmt: skip
    _report("plan-adopted", f"plan/{plan}", {"plan": plan} | data, id_, source)


@app.command()
def revise(
    indicator: Annotated[str, typer.Argument(help="指标编号 the indicator, e.g. 1.3.a")],
    target: Annotated[str, typer.Argument(help="如 e.g. '>=3600'、'2-3'、all")],
    plan: Plan = _PLAN,
    district: Annotated[str | None, typer.Option("--district", help="只对某区、县(市)for one district only")] = None,
    baseline: Annotated[float | None, typer.Option("--baseline", help="基线 where a level starts from")] = None,
    clause: Annotated[str | None, typer.Option("--clause", help="依据 the document it rests on")] = None,
    by: By = _BY,
    why: Why = None,
    effective_from: From = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """调整目标 Revise a target. 撤回 to withdraw: skillplan plan withdraw."""
    data = _target(target) | {
        "plan": plan, "indicator": indicator, "district": district, "baseline": _given(baseline), "clause": clause,
        "effective_from": str(_day(effective_from)), "by": by, "why": why,
    }  # fmt: skip
    _report("target-revised", f"target/{plan}/{indicator}", data, id_, source)


@app.command()
def split(
    indicator: Annotated[str, typer.Argument(help="指标编号 the indicator")],
    period: Annotated[str, typer.Argument(help="年份或 plan a year, or plan")],
    parts: Annotated[list[str], typer.Argument(help="330602=500 330603=400 … 或 or 2024-01=250 …")],
    plan: Plan = _PLAN,
    difference: Annotated[float | None, typer.Option("--difference", help="目标减合计 target less the sum")] = None,
    by: By = _BY,
    why: Why = None,
    effective_from: From = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """按区、县(市)或按月分解目标 Split a target over districts or months."""
    given: dict[str, int | float | None] = {}
    for part in parts:
        key, _, value = part.partition("=")
        try:
            number = _whole(float(value))
        except ValueError:
            _stop(WRONG, "各部分写作 <代码或月份>=<数>。", "Write each part as <code or month>=<number>.")
        if key in given:
            _stop(WRONG, "有一部分写了两次。", "One part is given twice.")
        given[key] = number
    over = "months" if all("-" in key for key in given) else "districts"
    data = {
        "plan": plan, "indicator": indicator, "period": period, "over": over, "parts": given,
        "difference": _given(difference), "effective_from": str(_day(effective_from)), "by": by, "why": why,
    }  # fmt: skip
    _report("target-split", f"split/{plan}/{indicator}/{period}/{over}", data, id_, source)


@app.command()
def withdraw(
    subject: Annotated[str, typer.Argument(help="如 e.g. target/shaoxing-2023-2025/1.3.a")],
    report: Annotated[str, typer.Argument(help="所撤回报告的编号 the id of the report to withdraw")],
    why: Annotated[str, typer.Option("--why", help="理由 why")],
    id_: Id = None,
    source: Source = None,
) -> None:
    """撤回一次采用、调整、分解或提交 Withdraw an adoption, a revision, a split, a submission."""
    _report("report-retracted", subject, {"report_id": report, "reason": why}, id_, source)


@app.command()
def submit(
    month: Month,
    district: Annotated[str, typer.Argument(help="区划代码 the district's code")],
    plan: Plan = _PLAN,
    by: By = _BY,
    note: Annotated[str | None, typer.Option("--note", help="备注 a note")] = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """区、县(市)提交月度数据 A district submits its month."""
    data = {"plan": plan, "month": month, "by": by, "note": note}
    own = source or f"/districts/{district}/statistics"
    _report("period-submitted", f"month/{plan}/{month}/{district}", data, id_, own)


@app.command("return")
def send_back(
    month: Month,
    district: Annotated[str, typer.Argument(help="区划代码 the district's code")],
    message: Annotated[str, typer.Option("--message", help="说明 what is to be done")],
    items: Annotated[list[str], typer.Option("--item", help="须核对的事项,可多次 what is to be seen to; repeat")],
    plan: Plan = _PLAN,
    by: By = _BY,
    id_: Id = None,
    source: Source = None,
) -> None:
    """退回月度数据 Return a district's month."""
    data = {"plan": plan, "month": month, "submitted_by": district, "items": items, "message": message, "by": by}
    _report("period-returned", f"month/{plan}/{month}/{district}", data, id_, source)


@app.command()
def approve(
    month: Month,
    district: Annotated[str, typer.Argument(help="区划代码 the district's code")],
    plan: Plan = _PLAN,
    by: By = _BY,
    id_: Id = None,
    source: Source = None,
) -> None:
    """核准月度数据 Approve a district's month."""
    data = {"plan": plan, "month": month, "submitted_by": district, "by": by}
    _report("period-approved", f"month/{plan}/{month}/{district}", data, id_, source)


@app.command()
def override(
    month: Month,
    districts: Annotated[list[str], typer.Argument(help="未核准的区划代码 districts that are not approved")],
    by: Annotated[str, typer.Option("--by", help="负责人 who answers for it")],
    why: Annotated[str, typer.Option("--why", help="理由 why")],
    plan: Plan = _PLAN,
    id_: Id = None,
    source: Source = None,
) -> None:
    """破例:个别区、县(市)未核准而关账 Answer for closing without some districts."""
    data = {"plan": plan, "month": month, "districts": districts, "by": by, "why": why}
    _report("close-overridden", f"month/{plan}/{month}", data, id_, source)


@app.command()
def close(
    month: Month,
    plan: Plan = _PLAN,
    by: By = _BY,
    known_at: Annotated[str | None, typer.Option("--known-at", help="所知截至时刻,默认现在 as known at; now")] = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """月度关账:取数、公布 Close a month: its figures are taken and published."""
    _publish(plan, month, "close", {"by": by, "known_at": known_at, "id": id_, "source": source})


@app.command()
def restate(
    month: Month,
    plan: Plan = _PLAN,
    by: By = _BY,
    ask: Annotated[bool, typer.Option("--ask", help="申请重述(需 --why)ask for one (needs --why)")] = False,
    number: Annotated[str | None, typer.Option("--number", help="申请编号 the number of the request")] = None,
    why: Why = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """重述:--ask 申请,--number 核准 Restate a closed month: --ask for it, approve it by --number."""
    if ask:
        if not why:
            _stop(WRONG, "申请重述须写明理由(--why)。", "To ask for a restatement, say why (--why).")
        number = number or f"R-{uuid.uuid4().hex[:8]}"
        data = {"plan": plan, "month": month, "by": by, "why": why}
        _report("restatement-requested", f"restatement/{plan}/{month}/{number}", data, id_, source)
        return
    if number is None:
        _stop(WRONG, "核准重述须给出申请编号(--number)。", "To approve one, give the number of the request (--number).")
    _publish(plan, month, "restate", {"by": by, "request_no": number, "id": id_, "source": source})


def _publish(plan: str, month: str, what: str, data: Mapping[str, Any]) -> None:
    sent = {key: value for key, value in data.items() if value is not None}
    _conclude(_ask("POST", f"/v1/plans/{plan}/months/{month}/{what}", json=sent, receipt=True))


def _report(name: str, subject: str, data: Mapping[str, Any], id_: str | None, source: str | None) -> None:
    own = source or f"/districts/{_CITY}/plan-office"
    envelope = {
        "specversion": "1.0",
        "id": id_ or f"{name}-{uuid.uuid4().hex[:12]}",
        "source": own,
        "type": f"skillplan.planning.{name}.v1",
        "subject": subject,
        "time": datetime.now(UTC).isoformat(),
        "district": own.split("/")[2] if own.count("/") >= 2 else _CITY,  # noqa: PLR2004
        "data": {key: value for key, value in data.items() if value is not None},
    }
    _conclude(_ask("POST", "/v1/events", json=envelope, receipt=True))


def _conclude(receipt: Body) -> None:
    """Say what became of a report, and end with 1 when nothing did."""
    taken = receipt["status"] in ("accepted", "duplicate", "waiting")
    if _told["json"]:
        sys.stdout.write(json.dumps(receipt, ensure_ascii=False) + "\n")
    elif taken:
        waits = f" 等待 waits for {receipt['waits_for']}" if "waits_for" in receipt else ""
        _out.print(f"✓ {receipt['status']} {receipt['id']}{waits}", markup=False, soft_wrap=True)
    for reason in receipt["reasons"]:
        place = f" ({reason['pointer']})" if "pointer" in reason else ""
        _err.print(f"✗ {reason['code']}{place}: {reason['zh']}\n  {reason['en']}", markup=False, soft_wrap=True)
    raise typer.Exit(DONE if taken else REFUSED)


def _ask(method: str, path: str, receipt: bool = False, **what: Any) -> Body:
    """Ask planning; end with one sentence in both languages when it gives no answer."""
    key = os.environ.get("SKILLPLAN_KEY", "")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if receipt and path == "/v1/events":
        headers["content-type"] = "application/cloudevents+json"
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False, headers=headers) as client:
            answer = client.request(method, _told["address"] + path, **what)
            told: Body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        where = _told["address"]
        _stop(AWAY, f"无法连接 planning({where})。请看 make status,或用 --url 指明。",
              f"planning cannot be reached at {where}. See make status, or name it with --url.")  # fmt: skip
    if answer.is_success or (receipt and "status" in told and "reasons" in told):
        return told
    for fault in told.get("faults", ()):
        _err.print(
            f"✗ {fault['line']}: {fault['path'] or '(file)'}: 应为 {fault['zh']}; expected {fault['en']}",
            markup=False,
            soft_wrap=True,
        )
    bad = answer.status_code in (400, 404, 413, 422)
    return _stop(WRONG if bad else AWAY, told.get("zh", "没有应答。"), told.get("en", "No answer."))


def _stop(code: int, zh: str, en: str) -> NoReturn:
    if _told["json"]:
        sys.stdout.write(json.dumps({"zh": zh, "en": en}, ensure_ascii=False) + "\n")
    _err.print(f"✗ {zh}\n  {en}", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _diff(plan: str, file: Path) -> Body:
    try:
        content = file.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        _stop(WRONG, f"无法读取 {file}({why})。", f"{file} cannot be read ({why}).")
    return _ask("POST", f"/v1/plans/{plan}/diff", content=content)


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(SHANGHAI).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        _stop(WRONG, "日期应为 YYYY-MM-DD。", "A date is YYYY-MM-DD.")


def _whole(number: float | None) -> int | float | None:
    """Return a number as JSON has it; raises ValueError where it has none."""
    if number is None:
        return None
    if not math.isfinite(number):
        raise ValueError
    return int(number) if number.is_integer() else number


def _given(number: float | None) -> int | float | None:
    try:
        return _whole(number)
    except ValueError:
        _stop(WRONG, "数值应为有限的数。", "A number must be a finite one.")


def _target(text: str) -> Body:
    """Read a target as people write it: >=3600, >100, =1, 2-3, all."""
    shown = text.strip().replace("≥", ">=")
    try:
        if shown == "all":
            return {"op": "all"}
        for op in (">=", ">", "="):
            if shown.startswith(op):
                return {"op": op, "value": _whole(float(shown.removeprefix(op)))}
        lower, dash, upper = shown.partition("-")
        if dash:
            return {"op": "range", "value": _whole(float(lower)), "upper": _whole(float(upper))}
    except ValueError:
        pass
    return _stop(WRONG, "目标写作 >=3600、>100、=1、2-3 或 all。", "Write a target as >=3600, >100, =1, 2-3 or all.")


def _print(shown: Body, *tables: object) -> None:
    if _told["json"]:
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
        return
    for table in tables:
        _out.print(table)


def _diff_table(shown: Body) -> Table:
    against = (shown["against"] or "–")[:12]
    table = _table(f"{shown['plan']}: {against} → {shown['sha256'][:12]}", "指标", "项目 What", "原 Before", "新 After")
    for one in shown["changes"]:
        what = one["what"] + (f" {one['district']}" if one["district"] else "")
        table.add_row(one["indicator"], what, one["before"] or "–", one["after"] or "–")
    return table


def _targets_table(shown: Body) -> Table:
    adopted = shown["adopted"]
    state = "未采用,以文件为准 nothing adopted: the file holds" if adopted is None else f"{adopted['sha256'][:12]}"
    table = _table(
        f"{shown['plan']} {shown['on']} ({state})", "指标", "名称 Name", "期间", "目标 Target", "区县合计", "差额"
    )
    for one in shown["indicators"]:
        for period in one["periods"]:
            target = period["target"]
            table.add_row(
                one["id"], f"{one['name']['zh']} {one['name']['en']}", period["period"], _show(target),
                _number(period["sum_of_districts"]), _number(period["difference"]),
            )  # fmt: skip
    return table


def _parts_table(one: Body) -> Table:
    table = _table(f"{one['id']} 分解 Parts", "期间", "区县或月份 District or month", "目标 Target")
    for period in one["periods"]:
        months = (period["target"] or {}).get("months") or {}
        for parts, gap in (
            ({code: _show(part) for code, part in period["districts"].items()}, period["difference"]),
            ({month: _number(part) for month, part in months.items()}, period["difference_of_months"]),
        ):
            for name, part in parts.items():
                table.add_row(period["period"], name, part)
            if parts:
                table.add_row(period["period"], "差额 difference", _number(gap))
    return table


def _history_table(one: Body) -> Table:
    table = _table(
        f"{one['id']} 沿革 History", "生效 From", "对象", "目标 Target", "经办 By", "理由 Why", "报告 Report"
    )
    for step in one["history"]:
        table.add_row(
            step.get("effective_from") or "", step["district"] or "全市 whole", _show(step["target"]), step["by"] or "",
            step["why"] or "", step["id"],
        )  # fmt: skip
    return table


def _month_table(shown: Body) -> Table:
    table = _table(
        f"{shown['plan']} {shown['month']}: {shown['state']}", "区县 District", "状态 State", "经办 By", "说明"
    )
    for one in shown["districts"]:
        table.add_row(one["district"], one["state"], one.get("by") or "", one.get("message") or "")
    return table


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _show(target: Body | None) -> str:
    if target is None or target["op"] is None:
        return "–"
    if target["op"] == "range":
        return f"{target['value']}–{target['upper']}"
    return "all" if target["op"] == "all" else f"{target['op']} {target['value']}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def main() -> None:
    """Run the command line."""
    run(app, "skillplan plan", REFUSED)


if __name__ == "__main__":
    main()
