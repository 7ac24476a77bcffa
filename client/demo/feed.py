"""The demo feed: how much happens of what, in which order it is reported; the same for the same size and seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from typing import Final

from client.demo.calendar import DAYS, FIRST_DAY, Calendar, PlannedReport, day_of
from client.demo.mistakes import with_mistakes
from client.demo.scenarios import city, institutions, learners, workers

Scenario = Callable[[Calendar, int], None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of scenario: how often it happens over the three years where the plan's targets are just about met, how
    many reports each makes on average, and how often it happens at least in a feed of the usual size."""

    scenario: Scenario
    times: int
    reports: float
    least: int = 1
    curve: str = "usual"


_KINDS: Final = (
    _Kind(learners.apprentice("enterprise"), 9_150, 2.62),
    _Kind(learners.apprentice("modern"), 6_200, 2.12),
    _Kind(learners.student, 930, 1.43, curve="school"),
    _Kind(learners.other_student, 450, 1.43, curve="school"),
    _Kind(learners.trainee("elder-care"), 3_060, 2.6),
    _Kind(learners.trainee("nursery-care"), 2_950, 2.14),
    _Kind(learners.trainee("digital-artisan"), 640, 2.38),
    _Kind(learners.trainee("household"), 180, 1.38, least=6),
    _Kind(learners.trainee("general"), 300, 1.37),
    _Kind(learners.carer, 1_200, 1.02),
    _Kind(workers.recruit, 3_050, 1.16),
    _Kind(workers.worker, 600, 1.12),
    _Kind(workers.technician, 360, 6.25),
    _Kind(workers.laureate, 60, 1.8, least=8),
    _Kind(workers.title, 75, 1.0, least=10),
    _Kind(workers.intern, 1_100, 1.0),
    _Kind(institutions.contest, 305, 2.02, least=12),
    _Kind(institutions.fair, 94, 1.02, least=94),
    _Kind(institutions.invitation, 315, 1.0),
    _Kind(institutions.school_class, 5, 25.0),
    _Kind(institutions.demand, 60, 2.5, least=6),
    _Kind(institutions.evaluation, 60, 1.0, least=4),
    _Kind(institutions.pilot, 206, 3.6, least=14),
    _Kind(institutions.major, 18, 1.05, least=18),
)
DEFAULT_REPORTS: Final = 2_000
# What certified elder-care workers of the whole city would come to, for the density of 2.4.c to be near its target.
_CARERS: Final = 3_400
_ELDERLY_A_CARER: Final = 10_000 / 26
_GROUNDWORK_AND_CHORES: Final = 224
_WITH_WRONG_ONES: Final = 1.026
_WINDOW: Final = 10_000


def feed_name(reports: int, seed: int) -> str:
    """Name a feed; its ids and numbers carry the name, so that two feeds do not get into each other's way."""
    return f"d{seed}.{reports}"


def feed(
    reports: int = DEFAULT_REPORTS, seed: int = 1, today: date = date.max, corrections: bool = True
) -> Iterator[PlannedReport]:
    """Yield that many reports as the districts would send them, none of something after yesterday.

    First comes what the city lays down (due 0): services decide between subjects in an order of their own (RULES A17),
    so let them have it before the rest. Without `corrections` the good reports are the same, none of them put right.
    Memory stays the same however many: what is sent later waits in a window, which for a small feed holds all of it.
    """
    name, last_day = feed_name(reports, seed), min(DAYS - 1, (today - FIRST_DAY).days - 1)
    good = _in_order(islice(_scenarios(Calendar(name, last_day), reports), int(reports / _WITH_WRONG_ONES)))
    # The estimate of how much the scenarios come to is on the low side; ordinary hires, reported late, fill up.
    return islice(chain(with_mistakes(good, corrections), _fillers(Calendar(f"{name}x", last_day))), reports)


def _scenarios(c: Calendar, reports: int) -> Iterator[PlannedReport]:
    c.begin_scenario()
    city.groundwork(c)
    for report in c.planned:
        yield PlannedReport(0, report.envelope, report.meant)
    scale = _scale(reports)
    c.begin_scenario()
    city.chores(c, max(60, int(_CARERS * scale * _ELDERLY_A_CARER)), reports)
    yield from c.planned
    calendars = (_days(at, kind, _times(kind, scale, reports)) for at, kind in enumerate(_KINDS))
    for day, at in heapq.merge(*calendars):
        c.begin_scenario()
        _KINDS[at].scenario(c, day)
        yield from c.planned


def _fillers(c: Calendar) -> Iterator[PlannedReport]:
    while True:
        c.begin_scenario()
        workers.worker(c, c.random.randrange(DAYS))
        yield from c.planned


def _times(kind: _Kind, scale: float, reports: int) -> int:
    least = kind.least * min(1.0, reports / DEFAULT_REPORTS)
    return max(1, round(max(least, kind.times * scale)))


def _scale(reports: int) -> float:
    """Return the share of the whole city's numbers that makes a feed of this size."""
    wanted = reports / _WITH_WRONG_ONES - _GROUNDWORK_AND_CHORES
    low, high = 0.0, 1 + reports / 1_000
    for _ in range(50):
        middle = (low + high) / 2
        if sum(_times(kind, middle, reports) * kind.reports for kind in _KINDS) < wanted:
            low = middle
        else:
            high = middle
    return low


def _days(at: int, kind: _Kind, times: int) -> Iterator[tuple[int, int]]:
    for index in range(times):
        yield day_of(index, times, kind.curve), at


def _in_order(feed: Iterator[PlannedReport]) -> Iterator[PlannedReport]:
    window: list[tuple[int, int, PlannedReport]] = []
    for order, report in enumerate(feed):
        if len(window) < _WINDOW:
            heapq.heappush(window, (report.due, order, report))
        else:
            yield heapq.heappushpop(window, (report.due, order, report))[2]
    while window:
        yield heapq.heappop(window)[2]
