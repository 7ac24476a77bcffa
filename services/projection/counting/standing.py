"""A fact as a line of the ledger stores it, and the intervals of time in which it was in force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


class InForce:
    """The intervals in which a fact was in force: from its recording to a retraction, perhaps later on again.

    An interval includes its begin and not its end. `counted`: whether the ledger has counted them already.
    """

    __slots__ = ("_changes", "_counted", "recorded_at")

    def __init__(self, recorded_at: datetime, changes: Iterable[datetime] = (), counted: bool = False) -> None:
        self.recorded_at = recorded_at  # the begin of the first interval
        self._changes = tuple(changes)  # the end of the first, the begin of the second, and so on
        self._counted = len(self._changes) + 1 if counted else 0

    @property
    def _bounds(self) -> tuple[datetime, ...]:
        return (self.recorded_at, *self._changes)

    @property
    def changes(self) -> tuple[datetime, ...]:
        """The instants at which it ended, began again, ended again and so on."""
        return self._changes

    @property
    def stored_changes(self) -> tuple[datetime, ...] | None:
        """The same as it is stored: None for none."""
        return self._changes or None

    @property
    def unbroken(self) -> bool:
        """Whether it has been in force ever since its recording."""
        return not self._changes

    @property
    def now(self) -> bool:
        """Whether the last interval is open."""
        return len(self._changes) % 2 == 0

    @property
    def counted(self) -> bool:
        """Whether the ledger has counted any of it."""
        return self._counted > 0

    @property
    def is_new(self) -> bool:
        """Whether there is something that the ledger has not counted."""
        return len(self._changes) >= self._counted

    @property
    def new_bounds(self) -> tuple[datetime, ...]:
        """The bounds that the ledger has not counted."""
        return self._bounds[self._counted :]

    @property
    def counted_bounds(self) -> tuple[datetime, ...]:
        """The bounds that the ledger has counted."""
        return self._bounds[: self._counted]

    def change_to(self, in_force: bool, at: datetime) -> None:
        """Let it be in force or not from an instant on."""
        if in_force != self.now:
            self._changes = (*self._changes, at)

    def at(self, instant: datetime) -> bool:
        """Return whether it was in force at an instant."""
        return _is_inside(self._bounds, instant)

    def counted_at(self, instant: datetime) -> bool:
        """Return whether it was in force at an instant as far as the ledger has counted."""
        return _is_inside(self.counted_bounds, instant)


def _is_inside(bounds: tuple[datetime, ...], instant: datetime) -> bool:
    """Return whether an instant is in one of the intervals: an odd number of bounds is not after it."""
    passed = 0
    for bound in bounds:
        if bound > instant:
            break
        passed += 1
    return passed % 2 == 1


class RowKey(NamedTuple):
    """What tells stored rows apart: the fact, and its use for a line."""

    line: int
    use: int
    service: str
    position: int


class Precedence(NamedTuple):
    """What decides which fact is the earliest (RULES E8)."""

    on: date
    report_source: str
    report_id: str


@dataclass(slots=True, eq=False)
class StandingRow:
    """A fact as a line of the ledger stores it.

    `stop`: the first day that no longer counts. `same`: the value that an end must agree in. `root`: the position it
    takes among the facts of its subject, for a correction that of its original (RULES B4). `replaced_by`: ids of the
    corrections of it that were not taken back; two where the voiding of the first was retracted after the second.
    `reported_by`: as in RULES G5. `changed`: other than it was loaded.
    """

    line: int
    use: int
    service: str
    position: int
    event_id: str
    type: str
    subject: str
    member: str | None
    on: date
    stop: date | None
    district: str
    amount: int
    same: str | None
    report_source: str
    report_id: str
    in_force: InForce
    root: int
    retracted: bool = False
    suspended: bool = False
    replaced_by: tuple[str, ...] = ()
    reported_by: str | None = None
    changed: bool = False

    @property
    def stored_replaced_by(self) -> tuple[str, ...] | None:
        """The corrections that replaced it as they are stored: None for none."""
        return self.replaced_by or None

    @property
    def key(self) -> RowKey:
        """What tells it from every other row."""
        return RowKey(self.line, self.use, self.service, self.position)

    @property
    def precedence(self) -> Precedence:
        """What decides which fact of several is the earliest (RULES E8)."""
        return Precedence(self.on, self.report_source, self.report_id)
