"""`skillplan plan assign`, `void`: whose a subject is, and reports that are not to count, at every service."""

from collections.abc import Sequence
from typing import Annotated

import typer

from client.commands.plan.office import Id, Source, connect
from client.output import CommandError
from shared.contract.messages import Receipt

_SERVICE = typer.Option("--service", help="受理的服务 the service, e.g. recruitment")
Reason = Annotated[str, typer.Option("--why", help="理由 why")]


def assign(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="如 e.g. enterprise/91330681MA2DEM0X0G")],
    district: Annotated[str, typer.Argument(help="归属的区、县(市),名称或代码 the district, by name or code")],
    service: Annotated[str, _SERVICE],
    why: Reason,
    id_: Id = None,
    source: Source = None,
) -> None:
    """改定事项归属,已报告的仍计在原处 Assign a subject to a district; what was reported stays where it counted."""
    with connect(context, service) as office:
        office.report("subject-assigned", subject, {"to": office.districts.code(district), "reason": why}, id_, source)


def void(
    context: typer.Context,
    reporter: Annotated[str, typer.Argument(help="该报告的来源 its source, /districts/<code>/<system>")],
    report: Annotated[str, typer.Argument(help="该报告的编号 its id")],
    why: Reason,
    service: Annotated[str | None, _SERVICE] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="该报告的 subject;默认查其回执 its subject; by its receipt")
    ] = None,
    id_: Id = None,
    source: Source = None,
) -> None:
    """作废一份报告,视为从未报告 Void a report, whosever it is: it counts as never made."""
    home, about = service, subject
    if home is None or about is None:
        with connect(context, "projection") as reading:
            home, about = _place_of(reading.planning.receipts(reporter, report), service)
    data = {"source": reporter, "report_id": report, "reason": why}
    with connect(context, home) as office:
        office.report("report-voided", about, data, id_, source)


def _place_of(receipts: Sequence[Receipt], service: str | None) -> tuple[str, str]:
    """Return the service and the subject of a report; raises CommandError unless its receipts say one."""
    places = {(receipt.get("service", ""), receipt.get("subject", "")) for receipt in receipts}
    matches = [place for place in sorted(places) if service in (None, place[0])]
    if len(matches) != 1:
        raise CommandError(
            f"有 {len(matches)} 个服务收到过这份报告,请写明 --service 和 --subject。",
            f"{len(matches)} services have received this report: give --service and --subject.",
        )
    return matches[0]
