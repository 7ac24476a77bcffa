"""The demo feed: how much happens of what, in which order it is reported; the same for the same size and seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from typing import Final

from services.district.chronicle import DAYS, FIRST_DAY, Chronicle, Told, day_of
from services.district.mistakes import with_mistakes
from services.district.stories import city, institutions, learners, workers

Story = Callable[[Chronicle, int], None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of story: how often it happens over the three years where the plan's targets are just about met, and how
    many reports one makes on average. `whole`: as often in a small feed, because there are so few."""

    story: Story
    times: int
    reports: float
    whole: bool = False
    curve: str = "usual"


_KINDS: Final = (
    _Kind(learners.apprentice("enterprise"), 9_150, 2.9),
    _Kind(learners.apprentice("modern"), 6_200, 2.5),
    _Kind(learners.student, 930, 1.6, curve="school"),
    _Kind(learners.other_student, 450, 1.6, curve="school"),
    _Kind(learners.trainee("elder-care"), 3_060, 2.8),
    _Kind(learners.trainee("nursery-care"), 2_950, 2.4),
    _Kind(learners.trainee("digital-artisan"), 640, 2.5),
    _Kind(learners.trainee("household"), 180, 1.4),
    _Kind(learners.trainee("general"), 300, 1.3),
    _Kind(learners.carer, 1_200, 1.0),
    _Kind(workers.recruit, 3_050, 1.2),
    _Kind(workers.worker, 600, 1.1),
    _Kind(workers.technician, 360, 6.0),
    _Kind(institutions.contest, 305, 2.1),
    _Kind(workers.laureate, 60, 2.0),
    _Kind(institutions.fair, 94, 1.0, whole=True),
    _Kind(institutions.invitation, 315, 1.0),
    _Kind(workers.intern, 1_100, 1.0),
    _Kind(institutions.school_class, 5, 25.0),
    _Kind(institutions.demand, 60, 2.2),
    _Kind(workers.title, 75, 1.0),
    _Kind(institutions.evaluation, 60, 1.0),
    _Kind(institutions.pilot, 206, 4.0),
    _Kind(institutions.major, 18, 1.0, whole=True),
)
# What certified elder-care workers of the whole city would come to, for the density of 2.4.c to be near its target.
_CARERS: Final = 3_400
_ELDERLY_A_CARER: Final = 10_000 / 26
_GROUNDWORK_AND_CHORES: Final = 240
_WRONG: Final = 1.03
_WINDOW: Final = 20_000
DEFAULT_REPORTS: Final = 2_000


def feed_name(reports: int, seed: int) -> str:
    """Name a feed; its ids and numbers carry the name, so that two feeds do not get into each other's way."""
    return f"d{seed}.{reports}"


def feed(reports: int = DEFAULT_REPORTS, seed: int = 1, today: date = date.max) -> Iterator[Told]:
    """Yield that many reports as the districts would send them, none of something after yesterday.

    Memory stays the same however many: what is sent later waits in a window, which for a small feed holds all of it.
    """
    c = Chronicle(feed_name(reports, seed), seed, min(DAYS - 1, (today - FIRST_DAY).days - 1))
    # The estimate of a story's length is on the low side; ordinary hires, reported late, fill up.
    told = chain(with_mistakes(_in_order(islice(_stories(c, reports), int(reports / _WRONG)))), _fillers(c))
    return islice(told, reports)


def _stories(c: Chronicle, reports: int) -> Iterator[Told]:
    c.begin_story()
    city.groundwork(c)
    for told in c.told:
        yield Told(0, told.envelope, told.meant)  # first of all, whatever its date
    scale = _scale(reports)
    c.begin_story()
    city.chores(c, max(60, int(_CARERS * scale * _ELDERLY_A_CARER)))
    yield from c.told
    for day, at in heapq.merge(*(_days(at, kind, scale) for at, kind in enumerate(_KINDS))):
        c.begin_story()
        _KINDS[at].story(c, day)
        yield from c.told


def _fillers(c: Chronicle) -> Iterator[Told]:
    while True:
        c.begin_story()
        workers.worker(c, c.random.randrange(DAYS))
        yield from c.told


def _scale(reports: int) -> float:
    fixed = _GROUNDWORK_AND_CHORES + sum(kind.times * kind.reports for kind in _KINDS if kind.whole)
    scaled = sum(kind.times * kind.reports for kind in _KINDS if not kind.whole)
    return max(0.001, (reports / _WRONG - fixed) / scaled)


def _days(at: int, kind: _Kind, scale: float) -> Iterator[tuple[int, int]]:
    count = max(1, round(kind.times * (max(1.0, scale) if kind.whole else scale)))
    for index in range(count):
        yield day_of(index, count, kind.curve), at


def _in_order(feed: Iterator[Told]) -> Iterator[Told]:
    window: list[tuple[int, int, Told]] = []
    for order, told in enumerate(feed):
        if len(window) < _WINDOW:
            heapq.heappush(window, (told.due, order, told))
        else:
            yield heapq.heappushpop(window, (told.due, order, told))[2]
    while window:
        yield heapq.heappop(window)[2]
