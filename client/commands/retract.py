"""`skillplan retract`: take a report back; with what corrects it, the latest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from client import journal_queries
from client.commands.options import Http, JournalFile, Json, Key, Patience, Source
from client.commands.outcomes import conclude
from client.delivery import read_receipts, send_each
from client.http import WebClient
from client.journal import FileReport, Journal
from client.journal_queries import StandingReport
from client.messages import JsonObject
from client.output import CommandError
from client.retraction import retraction
from client.routing import district_of
from client.session import run_async, session
from client.settings import ClientSettings


def retract(
    id_: Annotated[str, typer.Argument(metavar="ID", help="报告编号 the report's id")],
    why: Annotated[str, typer.Option("--why", help="撤回理由 why it is taken back")],
    source: Source = None,
    http: Http = False,
    key: Key = None,
    patience: Patience = 60,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """撤回一份报告,视为从未报告 Take a report back: it counts as never made."""
    with session(json) as (output, settings):
        with Journal(journal or settings.journal, settings.target(http)) as record:
            if not http:
                read_receipts(settings, record, output, [district] if (district := district_of(source)) else [])
            chain = journal_queries.standing(record, id_, source)
            if not chain and http and source is not None:
                chain = run_async(_ask(settings, key, patience, source, id_))
            _check(chain, id_, http and source is None)
            at = datetime.now(UTC)
            reports = [_report(record, each, why, at) for each in reversed(chain)]
            web = WebClient(settings.services, settings.wire(key), patience) if http else None
            outcomes, missing = run_async(
                send_each(settings, record, reports, [each.id for each in reversed(chain)], web, patience)
            )
        conclude(output, outcomes, missing, patience, ("已撤回", "retracted"))


def _check(chain: list[StandingReport], id_: str, needs_source: bool) -> None:
    """Raise CommandError where it is not clear which report is meant, or how to take it back."""
    sources = sorted({each.source for each in chain})
    if not sources:
        hint_zh, hint_en = ("请用 --source 指明来源。", "Name its source by --source.") if needs_source else ("", "")
        raise CommandError(
            f"没有受理或等待中的报告 {id_},无可撤回。{hint_zh}",
            f"No report {id_} was accepted or waits. {hint_en}".rstrip(),
            "not-found",
        )
    if len(sources) > 1:
        names = "、".join(sources)
        raise CommandError(
            f"{id_} 在几个来源中都有:{names}。请用 --source 指明。",
            f"{id_} stands in several sources: {names}. Name it by --source.",
            "not-found",
        )
    if any(each.subject is None for each in chain):
        raise CommandError(
            f"{id_} 的回执里没有业务编号,请用 --source 向服务查询。",
            f"The receipt of {id_} names no subject; ask the service by --source.",
            "not-found",
        )


def _report(journal: Journal, report: StandingReport, why: str, at: datetime) -> FileReport:
    own_id = journal_queries.free_id(journal, report.source, report.id, ".r")
    event: JsonObject = retraction(
        report.source, report.id, report.type, report.subject or "", report.district, why, own_id, at
    )
    return FileReport(0, event, own_id, journal.digest(event))


async def _ask(
    settings: ClientSettings, key: str | None, patience: float, source: str, id_: str
) -> list[StandingReport]:
    """Return the report as the projection knows it, for a journal that has nothing of it."""
    async with WebClient(settings.addresses, settings.wire(key), patience) as client:
        receipts = await client.receipts(source, id_)
    return [
        StandingReport(source, id_, each["type"], each["district"], each.get("subject"), each["status"], id_)
        for each in receipts
        if each["status"] in ("accepted", "waiting")
    ]
