"""Delivers the reports of a run, by Kafka or HTTP, and waits for their answers where that is wanted."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from client import catch_up, journal_queries
from client.http import WebClient
from client.journal import Arrival, FileReport, Journal
from client.journal_queries import LineOutcome
from client.kafka import Appended, Publisher
from client.output import SOME_WRONG, CommandError, Output
from client.publishing import PublishingRun, Sender, UnreadableRestError
from client.routing import CannotPublishError, CannotReachError, district_of
from client.session import run_async
from client.settings import ClientSettings
from client.validation import districts_of

_MOST_ROUNDS: Final = 100  # of sending what is learned to be mended under its next id


async def deliver(
    settings: ClientSettings,
    run: PublishingRun,
    web: WebClient | None,
    wait: float | None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Send the reports of a run; `wait`: for how many seconds to wait for answers from Kafka, None: not at all. Returns
    how many have no answer. Raises CannotReachError, UnreadableRestError after everything else was sent."""
    broken: CommandError | None = None
    missing = 0
    async with web or Publisher(settings.broker) as sender:
        # asyncio's own handler of Ctrl-C would wait for the next line of a pipe.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            await run.run(sender, progress)
        except UnreadableRestError as error:
            right = run.summary.sent + run.summary.before
            zh = f"{error.zh}前面正确的 {right} 份已报送,从那里起都没有报。"
            en = f"{error.en} The {right} right ones before it were sent, nothing from there on."
            broken = CommandError(zh, en, error.code, SOME_WRONG)
        except CannotReachError as error:
            broken = error
        if web is not None or wait is not None:
            missing = await _answers(settings, run, sender, None if web else wait)
    if broken is not None:
        raise broken
    return missing


async def _answers(settings: ClientSettings, run: PublishingRun, sender: Sender, wait: float | None) -> int:
    missing = 0
    for _ in range(_MOST_ROUNDS):
        if wait is not None:
            missing = await catch_up.until_answered(settings, run.journal, run.districts, run.id, wait)
        if not await run.again_for_mended(sender):
            break
    if wait is not None:
        run.count_answers()
    return missing


async def catch_up_on(settings: ClientSettings, journal: Journal, districts: set[str]) -> list[str]:
    """Read the receipts of those districts that anything was sent for from here; return what cannot be read."""
    known = districts & set(journal_queries.districts(journal))
    return await catch_up.by_kafka(settings, journal, known) if known else []


def read_receipts(settings: ClientSettings, journal: Journal, output: Output, districts: Sequence[str]) -> None:
    """Read the receipts topics of these districts, where none are given of those that anything was sent for from here,
    and of those that a new journal may be about: its user's own, else all. Says what cannot be read."""
    wanted = list(districts) or journal_queries.districts(journal)
    own = settings.kafka_user.removeprefix("district-")
    known = districts_of(settings.plans)
    problems = run_async(catch_up.by_kafka(settings, journal, wanted or ([own] if own in known else known)))
    for problem in problems if wanted else ():
        output.problem(f"读不到回执:{problem}", f"Receipts cannot be read: {problem}")


async def send_each(
    settings: ClientSettings, journal: Journal, reports: Sequence[FileReport], about: Sequence[str],
    web: WebClient | None, patience: float,
) -> tuple[list[LineOutcome], int]:  # fmt: skip
    """Send a few reports, each about another one, and wait for their answers: return these, and how many there are
    none of."""
    run = uuid.uuid4().hex
    for report, named in zip(reports, about, strict=True):
        journal.sending([report], run, None, named)
    districts = {district for report in reports if (district := district_of(report.event.get("source")))}
    missing = 0
    async with web or Publisher(settings.broker) as sender:
        arrivals = []
        for report, result in zip(reports, await sender.send([report.event for report in reports]), strict=True):
            if isinstance(result, CannotPublishError):
                journal.not_sent([each.event for each in reports])
                raise result
            if isinstance(result, Appended):
                arrivals.append(Arrival(report.event, appended=result.at))
            else:
                arrivals.append(Arrival(report.event, result))
        journal.arrived(arrivals)
    if web is None:
        missing = await catch_up.until_answered(settings, journal, districts, run, patience)
    return list(journal_queries.outcomes_of(journal, run)), missing
