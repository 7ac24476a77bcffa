"""The demo feed: how much happens of what, in which order it is reported; the same for the same size and seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice, takewhile
from typing import Final

from client.demo.calendar import CITY_DAY, DAYS, FIRST_DAY, MINUTES_OF_A_DAY, Calendar, PlannedReport, day_of
from client.demo.mistakes import with_mistakes
from client.demo.scenarios import city, institutions, learners, workers

Scenario = Callable[[Calendar, int], None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of scenario: how often it happens over the three years where the plan's targets are just about met, how
    many reports each makes on average, and how often it happens at least in a feed of the usual size.

    `city`: how often it happens in the demo of the whole city, where targets are missed and exceeded as in life;
    `season`: and when.
    """

    scenario: Scenario
    times: int
    reports: float
    city: int
    season: str = "work"
    least: int = 1
    curve: str = "usual"


_KINDS: Final = (
    _Kind(learners.apprentice("enterprise"), 9_150, 2.62, 9_500),
    _Kind(learners.apprentice("modern"), 6_200, 2.12, 6_000, "terms"),
    _Kind(learners.student, 930, 1.43, 960, "enrolment", curve="school"),
    _Kind(learners.other_student, 450, 1.43, 1_500, "enrolment", curve="school"),
    _Kind(learners.trainee("elder-care"), 3_060, 2.6, 3_500, "courses"),
    _Kind(learners.trainee("nursery-care"), 2_950, 2.14, 2_750, "courses"),
    _Kind(learners.trainee("digital-artisan"), 640, 2.38, 400, "courses"),
    _Kind(learners.trainee("household"), 180, 1.38, 600, "courses", least=6),
    _Kind(learners.trainee("general"), 300, 1.37, 1_500, "courses"),
    _Kind(learners.carer, 1_200, 1.02, 1_900, "courses"),
    _Kind(workers.recruit, 3_050, 1.16, 3_300, "hiring"),
    _Kind(workers.worker, 600, 1.12, 5_000, "hiring"),
    _Kind(workers.technician, 360, 6.25, 420),
    _Kind(workers.laureate, 60, 1.8, 70, least=8),
    _Kind(workers.title, 75, 1.0, 120, least=10),
    _Kind(workers.intern, 1_100, 1.0, 1_250, "terms"),
    _Kind(institutions.contest, 305, 2.02, 330, "contests", least=12),
    _Kind(institutions.fair, 94, 1.02, 150, "fairs", least=94),
    _Kind(institutions.invitation, 315, 1.0, 330, "fairs"),
    _Kind(institutions.school_class, 5, 25.0, 9, "terms"),
    _Kind(institutions.demand, 60, 2.5, 90, least=6),
    _Kind(institutions.evaluation, 60, 1.0, 90, least=4),
    _Kind(institutions.pilot, 206, 3.6, 215, least=14),
    _Kind(institutions.major, 18, 1.05, 18, "enrolment", least=18),
)
DEFAULT_REPORTS: Final = 2_000
# What certified elder-care workers of the whole city would come to, for the density of 2.4.c to be near its target.
_CARERS: Final = 3_400
_ELDERLY_A_CARER: Final = 10_000 / 26
_GROUNDWORK_AND_CHORES: Final = 224
_WITH_WRONG_ONES: Final = 1.026
_WINDOW: Final = 10_000
_CITYS_ELDERLY: Final = 1_400_000
CITY_SIZE: Final = 60_000  # about


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
    scale = _scale(reports)
    elderly = max(60, int(_CARERS * scale * _ELDERLY_A_CARER))
    times = [(_times(kind, scale, reports), kind.curve) for kind in _KINDS]
    happened = _scenarios(Calendar(name, last_day), reports, elderly, times)
    good = _in_order(islice(happened, int(reports / _WITH_WRONG_ONES)))
    # The estimate of how much the scenarios come to is on the low side; ordinary hires, reported late, fill up.
    return islice(chain(with_mistakes(good, corrections), _fillers(Calendar(f"{name}x", last_day))), reports)


def city_feed(seed: int = 1) -> Iterator[PlannedReport]:
    """Yield what the whole city has reported by `CITY_DAY`, about 60,000 reports, in the order of sending."""
    last_day = (CITY_DAY - FIRST_DAY).days
    times = [(kind.city, kind.season) for kind in _KINDS]
    happened = _scenarios(Calendar(f"d{seed}.city", last_day), CITY_SIZE, _CITYS_ELDERLY, times)
    sent = takewhile(lambda report: report.due < (last_day + 1) * MINUTES_OF_A_DAY, _in_order(happened))
    return with_mistakes(sent, corrections=True)


def _scenarios(c: Calendar, reports: int, elderly: int, times: list[tuple[int, str]]) -> Iterator[PlannedReport]:
    """Yield what happens, of each kind so many times and in its season."""
    c.begin_scenario()
    city.groundwork(c)
    for report in c.planned:
        yield PlannedReport(0, report.envelope, report.meant)
    c.begin_scenario()
    city.chores(c, elderly, reports)
    yield from c.planned
    calendars = (_days(at, often, curve) for at, (often, curve) in enumerate(times))
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


def _days(at: int, times: int, curve: str) -> Iterator[tuple[int, int]]:
    for index in range(times):
        yield day_of(index, times, curve), at


def _in_order(feed: Iterator[PlannedReport]) -> Iterator[PlannedReport]:
    window: list[tuple[int, int, PlannedReport]] = []
    for order, report in enumerate(feed):
        if len(window) < _WINDOW:
            heapq.heappush(window, (report.due, order, report))
        else:
            yield heapq.heappushpop(window, (report.due, order, report))[2]
    while window:
        yield heapq.heappop(window)[2]
