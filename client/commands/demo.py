"""`skillplan demo`: publish the demo feed over Kafka."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import typer

from client.commands.options import Json
from client.demo.calendar import CITY, PlannedReport
from client.demo.feed import DEFAULT_REPORTS, feed
from client.kafka import DistrictPublishers, ReceiptTopics
from client.messages import source_of
from client.output import Output
from client.session import run_async, session
from client.settings import ClientSettings
from shared.contract.events import LOCAL_TIME
from shared.kafka.clients import district_user

_REMINDER_SECONDS: Final = 2.0
_PROGRESS_EVERY: Final = 50


def demo(
    reports: Annotated[int, typer.Option(min=1, help="报告份数 how many reports")] = DEFAULT_REPORTS,
    seed: Annotated[int, typer.Option(help="随机种子 the same seed and size give the same feed")] = 1,
    corrections: Annotated[bool, typer.Option(help="含更正与撤回 with corrections and retractions")] = True,
    patience: Annotated[
        float, typer.Option(min=0, help="等待受理目录与标准的秒数 seconds to wait until catalogue and standards are in")
    ] = 30,
    json: Json = False,
) -> None:
    """经 Kafka 上报一批演示数据 Publish a demo feed, as the districts would."""
    with session(json) as (output, settings):
        planned = feed(reports, seed, datetime.now(LOCAL_TIME).date(), corrections)
        run_async(_publish(settings, output, planned, reports, patience))


async def _publish(
    settings: ClientSettings, output: Output, planned: Iterator[PlannedReport], reports: int, patience: float
) -> None:
    async with (
        DistrictPublishers(settings) as publishers,
        ReceiptTopics(settings.broker_of(district_user(CITY)), [CITY]) as receipts,
    ):
        with output.progress("演示数据上报", "Publishing the demo feed", reports) as progress:
            groundwork: list[tuple[str, str]] = []
            for number, report in enumerate(planned, 1):
                if groundwork and report.due > 0:
                    await publishers.flush()
                    await _await_groundwork(receipts, output, groundwork, patience)
                    groundwork = []
                if report.due == 0:
                    groundwork.append(source_of(report.envelope))
                await publishers.publish(report.envelope)
                if number % _PROGRESS_EVERY == 0 or number == reports:
                    progress(number, number)
            await publishers.flush()
    output.record({"summary": {"sent": publishers.acknowledged}})
    output.sentence(f"✓ 已上报 {publishers.acknowledged} 份", f"{publishers.acknowledged} reports published")


async def _await_groundwork(
    receipts: ReceiptTopics, output: Output, groundwork: list[tuple[str, str]], patience: float
) -> None:
    """Wait until what the rest depends on is decided: between subjects a service keeps no order (RULES A17)."""
    if not patience:
        return
    missing = await receipts.await_answers(groundwork, min(patience, _REMINDER_SECONDS))
    if missing and patience > _REMINDER_SECONDS:
        output.sentence("… 等待市级目录与标准受理", "Waiting for the city's catalogues and standards to be decided")
        missing = await receipts.await_answers(missing, patience - _REMINDER_SECONDS)
    if missing:
        output.sentence(
            f"… {patience:.0f} 秒内有 {len(missing)} 份目录、标准未获回执(服务未运行?),继续上报,部分申领可能被拒",
            f"{len(missing)} of {len(groundwork)} first reports had no receipt in {patience:.0f} s (is the service up?)"
            "; going on, some claims may be refused",
        )
