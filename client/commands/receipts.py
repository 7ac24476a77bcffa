"""`skillplan receipts`: print the receipts of reports, as they arrive if wanted."""

import signal
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from client import receipts as streams
from client.commands.options import District, Http, Json, Key, Patience, Source, span
from client.http import WebClient
from client.kafka import ReceiptTopics
from client.output import CommandError
from client.session import run_async, session
from client.settings import ClientSettings
from client.validation import districts_of
from shared.contract.messages import Receipt

STATUSES: Final = ("accepted", "waiting", "refused", "invalid", "misdirected", "duplicate")


def receipts(
    district: District = None,
    status: Annotated[str | None, typer.Option(help="只看 refused、waiting 等 only this status")] = None,
    source: Source = None,
    since: Annotated[str, typer.Option(help="最近多久,如 30m、24h、7d how far back")] = "24h",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="持续显示 go on showing")] = False,
    http: Http = False,
    key: Key = None,
    patience: Patience = 60,
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV,可用 Excel 打开 print CSV for a spreadsheet")] = False,
    json: Json = False,
) -> None:
    """查看回执 Show the answers to reports."""
    with session(json) as (output, settings):
        began = datetime.now(UTC) - span(since)
        known = districts_of(settings.plans)
        if district is not None and district not in known:
            raise CommandError(f"计划中没有区划代码 {district}。", f"No plan has the district {district}.")
        if status is not None and status not in STATUSES:
            names = ", ".join(STATUSES)
            raise CommandError(f"--status 应为 {names} 之一。", f"--status is one of {names}.")
        secret = settings.key_or(key)
        if http and district is None and secret is not None:
            raise CommandError("用密钥时请以 --district 指明区划代码。", "With a key, name its district by --district.")
        districts = [district] if district else _districts(settings, known)

        printed = streams.csv_printer() if as_csv else streams.line_printer(output)

        def wanted(receipt: Receipt) -> bool:
            return status in (None, receipt.get("status")) and source in (None, receipt.get("source"))

        async def print_by_kafka() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            async with ReceiptTopics(settings.broker, districts, began) as topics:
                await streams.print_all(printed, streams.by_kafka(topics, follow), wanted)

        async def print_by_http() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            async with WebClient(settings.addresses, settings.wire(key), patience) as client:
                await streams.print_all(printed, streams.by_http(client, districts, began, follow), wanted)

        run_async(print_by_http() if http else print_by_kafka())


def _districts(settings: ClientSettings, known: list[str]) -> list[str]:
    """Return the district of the Kafka user, all where it is none of a district."""
    own = settings.kafka_user.removeprefix("district-")
    return [own] if own in known else known
