"""`skillplan plan submit`, `return`, `approve`, `override`, `note`, `close`, `restate`: the months of a plan."""

import uuid
from typing import Annotated

import typer
from pydantic import JsonValue

from client.commands.plan.office import PLAN, By, Id, Plan, Source, Why, connect
from client.messages import JsonObject
from client.output import CommandError, Output

Month = Annotated[str, typer.Argument(help="月份 YYYY-MM")]


def submit(
    context: typer.Context,
    month: Month,
    district: Annotated[str, typer.Argument(help="名称或区划代码 the district, by name or code")],
    plan: Plan = PLAN,
    by: By = None,
    note: Annotated[str | None, typer.Option("--note", help="备注 a note")] = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """区、县(市)提交月度数据 A district submits its month."""
    with connect(context) as office:
        data: JsonObject = {"plan": plan, "month": month, "note": note}
        code = office.districts.code(district)
        data["by"] = office.by(plan, by)
        own = source or f"/districts/{code}/statistics"
        office.act("period-submitted", f"month/{plan}/{month}/{code}", data, id_, own)


def send_back(
    context: typer.Context,
    month: Month,
    district: Annotated[str, typer.Argument(help="名称或区划代码 the district, by name or code")],
    message: Annotated[str, typer.Option("--message", help="说明 what is to be done")],
    items: Annotated[list[str], typer.Option("--item", help="须核对的事项,可多次 what is to be seen to; repeat")],
    plan: Plan = PLAN,
    by: By = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """退回月度数据 Return a district's month."""
    with connect(context) as office:
        code = office.districts.code(district)
        data: JsonObject = {
            "plan": plan,
            "month": month,
            "submitted_by": code,
            "items": [*items],
            "message": message,
            "by": office.by(plan, by),
        }
        office.act("period-returned", f"month/{plan}/{month}/{code}", data, id_, source)


def approve(
    context: typer.Context,
    month: Month,
    district: Annotated[str, typer.Argument(help="名称或区划代码 the district, by name or code")],
    plan: Plan = PLAN,
    by: By = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """核准月度数据 Approve a district's month."""
    with connect(context) as office:
        code = office.districts.code(district)
        data: JsonObject = {"plan": plan, "month": month, "submitted_by": code, "by": office.by(plan, by)}
        office.act("period-approved", f"month/{plan}/{month}/{code}", data, id_, source)


def override(
    context: typer.Context,
    month: Month,
    districts: Annotated[list[str], typer.Argument(help="未核准的区县,名称或代码 districts that are not approved")],
    by: Annotated[str, typer.Option("--by", help="负责人 who answers for it")],
    why: Annotated[str, typer.Option("--why", help="理由 why")],
    plan: Plan = PLAN,
    id_: Id = None,
    source: Source = None,
) -> None:
    """破例:个别区、县(市)未核准而关账 Answer for closing without some districts."""
    with connect(context) as office:
        codes: list[JsonValue] = [office.districts.code(each) for each in districts]
        data: JsonObject = {"plan": plan, "month": month, "districts": codes, "by": by, "why": why}
        office.act("close-overridden", f"month/{plan}/{month}", data, id_, source)


def note(
    context: typer.Context,
    indicator: Annotated[str, typer.Argument(help="指标编号 the indicator's id")],
    period: Annotated[str, typer.Argument(help="年份或 plan a year, or plan")],
    district: Annotated[str, typer.Argument(help="名称或代码,330600 为全市 the district; 330600: the whole city")],
    cause: Annotated[str, typer.Option("--cause", help="原因 why it stands so")],
    next_step: Annotated[str, typer.Option("--next", help="下一步 what is done next")],
    plan: Plan = PLAN,
    by: By = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """填写原因和下一步 Write on a number why it stands so, and what is done next."""
    with connect(context) as office:
        code = office.districts.code(district)
        data: JsonObject = {
            "plan": plan,
            "indicator": indicator,
            "period": period,
            "of": code,
            "cause": cause,
            "next_step": next_step,
            "by": office.by(plan, by),
        }
        office.report("note-written", f"note/{plan}/{indicator}/{period}/{code}", data, id_, source)


def close(
    context: typer.Context,
    month: Month,
    plan: Plan = PLAN,
    by: By = None,
    known_at: Annotated[str | None, typer.Option("--known-at", help="所知截至时刻,默认现在 as known at; now")] = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """月度关账:取数、公布 Close a month: its figures are taken and published."""
    with connect(context) as office:
        office.publish(
            plan, month, "close", {"by": office.by(plan, by), "known_at": known_at, "id": id_, "source": source}
        )


def restate(
    context: typer.Context,
    month: Month,
    plan: Plan = PLAN,
    by: By = None,
    ask: Annotated[bool, typer.Option("--ask", help="申请重述(需 --why)ask for one (needs --why)")] = False,
    number: Annotated[str | None, typer.Option("--number", help="申请编号 the number of the request")] = None,
    why: Why = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """重述:--ask 申请(同一理由不重复申请),--number 核准 Restate a closed month: --ask for it, approve it by --number.

    What was asked for already by the same person for the same reason is not asked for again.
    """
    with connect(context) as office:
        if ask and not why:
            raise CommandError("申请重述须写明理由(--why)。", "To ask for a restatement, say why (--why).")
        if not ask and number is None:
            raise CommandError(
                f"核准重述须给出申请编号(--number);编号见 skillplan plan show --month {month}。",
                f"To approve one, give the number of the request (--number): skillplan plan show --month {month}.",
            )
        decides = office.by(plan, by)
        if not ask:
            data: JsonObject = {"by": decides, "request_no": number, "id": id_, "source": source}
            office.publish(plan, month, "restate", data)
            return
        standing = office.planning.month(plan, month)
        decided = {publication.get("request_no") for publication in standing["published"]}
        for request in standing["requests"]:
            if (request["by"], request["why"]) == (decides, why) and request["request_no"] not in decided:
                office.output.record({"request_no": request["request_no"]})
                _tell_number(office.output, request["request_no"])
                return
        number = number or f"R-{uuid.uuid4().hex[:8]}"
        data = {"plan": plan, "month": month, "why": why, "by": decides}
        _tell_number(office.output, number)
        office.act("restatement-requested", f"restatement/{plan}/{month}/{number}", data, id_, source)


def _tell_number(output: Output, number: str) -> None:
    output.sentence(
        f"申请编号:{number}(核准时用 --number {number})", f"Request {number}: approve it by --number {number}"
    )
