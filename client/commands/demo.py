"""`skillplan demo`: publish the demo feed over Kafka; of the whole city with what the plan office does meanwhile."""

import asyncio
import json as json_format
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, assert_never

import stamina
import typer

from client.commands.options import Json
from client.commands.plan.planning import PlanningApi
from client.demo.calendar import CITY, DISTRICTS, PlannedReport
from client.demo.feed import CITY_SIZE, DEFAULT_REPORTS, city_feed, feed
from client.demo.office import PLAN, MonthPublication, OfficeReport, OfficeStage, stages
from client.kafka import DistrictPublishers, ReceiptTopics
from client.messages import source_of
from client.output import AWAY, CommandError, Output
from client.session import run_async, session
from client.settings import ClientSettings
from shared.contract.events import LOCAL_TIME
from shared.kafka.names import district_user

_REMINDER_SECONDS: Final = 2.0
_PROGRESS_EVERY: Final = 50
_FLUSH_EVERY: Final = 1_000
_LAST_SENT: Final = 300  # of all inboxes, whose order is their own: once these are decided on, all before them are
_PATIENCE_OF_THE_OFFICE: Final = 900.0
_ATTEMPTS: Final = 20  # of the office, while planning or the projection is busy


def demo(
    size: Annotated[
        Literal["small", "city"], typer.Option(help="small:若干份 as many as --reports;city:全市 the whole city")
    ] = "small",
    reports: Annotated[int, typer.Option(min=1, help="报告份数 how many reports")] = DEFAULT_REPORTS,
    seed: Annotated[int, typer.Option(help="随机种子 the same seed and size give the same feed")] = 1,
    corrections: Annotated[bool, typer.Option(help="含更正与撤回 with corrections and retractions")] = True,
    patience: Annotated[
        float, typer.Option(min=0, help="等待受理目录与标准的秒数 seconds to wait until catalogue and standards are in")
    ] = 30,
    place: Annotated[
        Path | None, typer.Option(help="记下报到哪里,中断后接着报 file that says how far it came, to go on from there")
    ] = None,
    json: Json = False,
) -> None:
    """经 Kafka 上报一批演示数据 Publish a demo feed, as the districts would."""
    with session(json) as (output, settings):
        match size:
            case "small":
                planned = feed(reports, seed, datetime.now(LOCAL_TIME).date(), corrections)
                office: list[OfficeStage] = []
            case "city":
                planned, reports, office = city_feed(seed), CITY_SIZE, stages()
            case _:
                assert_never(size)
        run_async(_DemoRun(settings, output, FeedPlace(place), patience).publish(planned, reports, office))


class FeedPlace:
    """How far a feed has come, in a file where one is given: reports that the broker has, stages of the office done."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.sent = self.stages = 0
        self.done = False
        if file is not None and file.exists():
            try:
                stored = json_format.loads(file.read_text(encoding="utf-8"))
                self.sent, self.stages, self.done = int(stored["sent"]), int(stored["stages"]), bool(stored["done"])
            except (ValueError, KeyError, TypeError):
                pass  # from the beginning: what is there already is answered with its receipt

    def save(self) -> None:
        """Write the file whole."""
        if self._file is None:
            return
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(
            json_format.dumps({"sent": self.sent, "of": CITY_SIZE, "stages": self.stages, "done": self.done}),
            encoding="utf-8",
        )
        fresh.replace(self._file)


class _DemoRun:
    """One run of the command."""

    def __init__(self, settings: ClientSettings, output: Output, place: FeedPlace, patience: float) -> None:
        self._settings, self._output, self._place, self._patience = settings, output, place, patience

    async def publish(self, planned: Iterator[PlannedReport], reports: int, office: Sequence[OfficeStage]) -> None:
        """Publish a feed from where it came to the last time; between its reports the office acts."""
        output, place = self._output, self._place
        heard = [CITY, *DISTRICTS] if office else [CITY]
        async with (
            DistrictPublishers(self._settings) as publishers,
            ReceiptTopics(self._settings.broker_of(district_user(CITY)), heard) as receipts,
        ):
            with output.progress("演示数据上报", "Publishing the demo feed", reports) as progress:
                groundwork: list[tuple[str, str]] = []
                latest: deque[tuple[str, str]] = deque(maxlen=_LAST_SENT)
                number = 0
                for number, report in enumerate(planned, 1):
                    if groundwork and report.due > 0:
                        await publishers.flush()
                        await _await_groundwork(receipts, output, groundwork, self._patience)
                        groundwork = []
                        latest.clear()  # a receipt is heard once
                    while place.stages < len(office) and report.due >= office[place.stages].due:
                        await publishers.flush()
                        await receipts.await_answers(latest, _PATIENCE_OF_THE_OFFICE)
                        latest.clear()
                        await self._act(office[place.stages])
                    if number <= place.sent:
                        continue
                    if report.due == 0:
                        groundwork.append(source_of(report.envelope))
                    await publishers.publish(report.envelope)
                    latest.append(source_of(report.envelope))
                    if number % _FLUSH_EVERY == 0:
                        await publishers.flush()
                        place.sent = number
                        place.save()
                    if number % _PROGRESS_EVERY == 0 or number == reports:
                        progress(number, number)
                await publishers.flush()
        place.sent, place.done = max(place.sent, number), True
        place.save()
        output.record({"summary": {"sent": publishers.acknowledged}})
        output.sentence(f"✓ 已上报 {publishers.acknowledged} 份", f"{publishers.acknowledged} reports published")

    async def _act(self, stage: OfficeStage) -> None:
        """Do what the plan office does; what it may not, as once keys are set, is left out and named."""
        stamina.instrumentation.set_on_retry_hooks([])
        try:  # done again, what was done already is answered as it was
            async for attempt in stamina.retry_context(on=_may_pass, attempts=_ATTEMPTS, timeout=None, wait_max=10.0):
                with attempt:
                    await asyncio.to_thread(self._act_at_once, stage)
        except CommandError as error:
            self._output.sentence(f"! 计划办公室未能办理:{error.zh}", f"The plan office could not act: {error.en}")
        self._place.stages += 1
        self._place.save()

    def _act_at_once(self, stage: OfficeStage) -> None:
        with PlanningApi(self._settings.addresses["planning"], self._settings) as planning:
            for act in stage.acts:
                match act:
                    case OfficeReport(envelope):
                        receipt = planning.report(envelope)
                    case MonthPublication(month, action, data):
                        receipt = planning.publish(PLAN, month, action, data)
                    case _:
                        assert_never(act)
                if receipt["status"] not in ("accepted", "duplicate"):
                    codes = ", ".join(reason["code"] for reason in receipt["reasons"])
                    self._output.sentence(
                        f"! 计划办公室的一步未获受理({codes})", f"A step of the plan office was refused ({codes})"
                    )


def _may_pass(error: Exception) -> bool:
    return isinstance(error, CommandError) and error.exit_code == AWAY


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
