"""The reports of a feed as districts send them: envelope, number, day, and the outcome each is meant to have."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Any, Final

from client.demo.people import MadeUpPeople

FIRST_DAY: Final = date(2023, 1, 1)
LAST_DAY: Final = date(2025, 12, 31)
CITY_DAY: Final = date(2025, 6, 30)  # the last day of the whole city's demo: half of the plan's last year is over
MINUTES_OF_A_DAY: Final = 1_440
DAYS: Final = (LAST_DAY - FIRST_DAY).days + 1
NEW_YEARS: Final = tuple((date(year, 1, 1) - FIRST_DAY).days for year in (2023, 2024, 2025))
CITY: Final = "330600"
DISTRICTS: Final = ("330602", "330603", "330604", "330624", "330681", "330683")

# Each year a little more than the last; slow around the Spring Festival and in summer. Schools begin in September.
_YEARS: Final = (0.30, 0.335, 0.365)
_MONTHS: Final = (0.7, 0.5, 1.1, 1.1, 1.1, 1.1, 0.8, 0.8, 1.3, 1.2, 1.2, 1.1)
_SCHOOL_MONTHS: Final = (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
# The seasons of the whole city's demo, in which nothing begins at Spring Festival.
_SEASONS: Final = {
    "work": _MONTHS,
    "enrolment": (0, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0),
    "terms": (0, 0.4, 1.7, 0.8, 0.4, 0.2, 0, 0.2, 2.6, 0.9, 0.4, 0.2),
    "fairs": (0.3, 1.6, 3.0, 2.2, 1.0, 0.5, 0.2, 0.2, 1.0, 1.4, 0.9, 0.3),
    "hiring": (0.3, 1.5, 2.2, 1.7, 1.1, 0.8, 0.5, 0.6, 1.2, 1.0, 0.8, 0.6),
    "contests": (0, 0.2, 0.6, 1.2, 1.6, 1.2, 0.6, 0.8, 1.6, 2.0, 1.8, 0.8),
    "courses": (0.4, 0.3, 1.1, 1.1, 1.2, 1.2, 0.7, 0.7, 1.1, 1.2, 1.4, 1.6),
}
_FESTIVALS: Final = (
    (date(2023, 1, 21), date(2023, 1, 27)),
    (date(2024, 2, 9), date(2024, 2, 17)),
    (date(2025, 1, 28), date(2025, 2, 4)),
)
_SYSTEMS: Final = {
    "enrollment": "schooling",
    "competition": "certificates",
    "recruitment": "employment",
    "subsidy": "subsidies",
}
_TEXT: Final = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(DAYS + 8 * 366)]


def date_of(day: int) -> str:
    """Return the date of a day counted from the first day of the feed."""
    return _TEXT[day]


def year_of(day: int) -> int:
    """Return the year of a day counted from the first day of the feed."""
    return int(_TEXT[day][:4])


def _curve(months: tuple[float, ...], free: Iterable[tuple[date, date]] = ()) -> list[float]:
    days = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
    weights = [
        _YEARS[day.year - FIRST_DAY.year] * months[day.month - 1] * (not any(a <= day <= b for a, b in free))
        for day in days
    ]
    total = sum(weights)
    return [sofar / total for sofar in accumulate(weights)]


_CURVES: Final = {"usual": _curve(_MONTHS), "school": _curve(_SCHOOL_MONTHS)} | {
    season: _curve(months, _FESTIVALS) for season, months in _SEASONS.items()
}


def day_of(index: int, count: int, curve: str) -> int:
    """Return the day of the index-th of `count` things that happen over the three years."""
    return min(bisect_right(_CURVES[curve], (index + 0.5) / count), DAYS - 1)


Envelope = dict[str, Any]  # a report as it is sent


@dataclass(frozen=True, slots=True)
class PlannedReport:
    """A report of the feed: `due` is the minute at which it is sent, `meant` the outcome it must have in the end:
    `accepted`, `waiting`, `duplicate`, or the code of the rule that it breaks."""

    due: int
    envelope: Envelope
    meant: str = "accepted"


class Calendar:
    """What was planned so far; the scenarios of one feed share it."""

    def __init__(self, feed: str, last_day: int) -> None:
        self.feed = feed
        self.random = Random(feed)  # noqa: S311 - a demo, no secret
        self.invented = MadeUpPeople(feed)
        self.planned: list[PlannedReport] = []
        self._counts: Counter[str] = Counter()
        self._last_day = last_day
        self._persons = 0
        self._reports = 0
        self._numbers = 0
        self._sent: dict[str, int] = {}

    def begin_scenario(self) -> None:
        """Forget what was sent when in the scenario before, so that memory does not grow with the feed."""
        self._sent.clear()
        self.planned.clear()

    def chance(self, share: float) -> bool:
        """Return true with this probability."""
        return self.random.random() < share

    def district(self, weights: tuple[int, ...] = (19, 21, 16, 10, 22, 12)) -> str:
        """Pick a district by size (or by the given weights)."""
        return self.random.choices(DISTRICTS, weights)[0]

    def person(self) -> dict[str, str]:
        """Return a person of no earlier scenario."""
        self._persons += 1
        return self.invented.person(self._persons)

    def number(self, prefix: str) -> str:
        """Return the next number of a thing: unlike in any other feed."""
        self._numbers += 1
        return f"{prefix}{self.feed}-{self._numbers}"

    def turn(self, what: str) -> int:
        """Count things of a kind from 1 on, so that a small feed has each variety too."""
        self._counts[what] += 1
        return self._counts[what]

    def so_far(self, what: str) -> int:
        """Return how many things of a kind were counted."""
        return self._counts[what]

    def late(self) -> int:
        """Return how many days after the event its report is sent; one in twenty comes months late."""
        return self.random.randrange(20, 170) if self.chance(0.05) else self.random.randrange(6)

    def report(
        self,
        service: str,
        fact: str,
        subject: str,
        data: Mapping[str, object],
        day: int,
        district: str,
        *,
        late: int | None = None,
        meant: str = "accepted",
        id_: str | None = None,
    ) -> None:
        """Plan a report of something that happened on a day; after the feed's last day nothing happens.

        Reports of one subject are sent in the order of these calls.
        """
        # Counted and drawn in any case, so that a longer history contains the shorter one unchanged.
        self._reports += 1
        minute = 480 + self._reports * 7 % 600
        due = (day + (self.late() if late is None else late)) * MINUTES_OF_A_DAY + minute
        if day > self._last_day:
            return
        due = max(due, self._sent.get(subject, 0))
        self._sent[subject] = due
        envelope = {
            "specversion": "1.0",
            "id": id_ or f"{self.feed}-{self._reports}",
            "source": f"/districts/{district}/{_SYSTEMS[service]}",
            "type": f"skillplan.{service}.{fact}.v1",
            "subject": subject,
            "time": f"{_TEXT[day]}T{minute // 60:02}:{minute % 60:02}:00+08:00",
            "district": district,
            "datacontenttype": "application/json",
            "data": data,
        }
        self.planned.append(PlannedReport(due, envelope, meant))
