"""Sums of cells by month, as the assessment needs them, read from the ledger and cached until a checkpoint moves."""

from datetime import date, datetime
from typing import Final

from services.projection.assessment.assessment import Scope
from services.projection.assessment.pace import length_of
from services.projection.assessment.values import Sums
from services.projection.counting.periods import month_number, place_of
from services.projection.queries.snapshot import Snapshot
from shared.plan.model import Plan

_FILE: Final = "sums.sql"
_MOST_SUMS: Final = 32


class SumsCache:
    """The sums of cells as last read: they change only when a checkpoint moves or a generation is switched.

    As known at an instant they depend only on the logs that are not counted beyond it.
    """

    def __init__(self) -> None:
        self._sums: dict[object, Sums] = {}

    async def read(self, view: Snapshot, plan: Plan, scope: Scope, indicator: str | None = None) -> Sums:
        """Return the sums of a plan, or of one indicator of it."""
        if scope.as_of < plan.period.first:
            return {}
        last = {row["service"]: row["recorded_at"] for row in view.checkpoints}
        beyond = {service for service, at in last.items() if at is not None and at > scope.known_at}
        known_at = scope.known_at if beyond else None
        depends_on = tuple(
            (row["service"], row["position"]) for row in view.checkpoints if row["service"] not in beyond
        )
        as_of = min(scope.as_of, plan.period.last)
        key, whole = ((view.number, plan.id, name, as_of, known_at, depends_on) for name in (indicator, None))
        sums = self._sums.pop(key, None) or self._sums.get(whole)
        if sums is None:
            numbers = [
                line.number
                for line in view.compiled.lines
                if line.plan == plan.id and indicator in (None, line.indicator)
            ]
            sums = await _read(view, plan, numbers, as_of, known_at)
        # The least recently used is evicted first.
        self._sums[key] = sums
        if len(self._sums) > _MOST_SUMS:
            del self._sums[next(iter(self._sums))]
        return sums


async def _read(view: Snapshot, plan: Plan, numbers: list[int], as_of: date, known_at: datetime | None) -> Sums:
    sql = view.sql(_FILE)
    sums: dict[tuple[int, int, int], dict[str, list[int]]] = {}
    last = place_of(plan, as_of)
    for row in await view.connection.fetch(sql["now"], numbers, as_of, as_of.replace(day=length_of(as_of))):
        amounts = row["amounts"][: last + 1]
        amounts[last] -= row["later"] or 0
        sums.setdefault((row["line"], row["part"], row["period"]), {})[row["district"]] = amounts
    if known_at is not None:
        before = month_number(plan.period.first) - 1
        for row in await view.connection.fetch(sql["since"], numbers, as_of, plan.period.first, before, known_at):
            # What came and went in one batch has no cell.
            by_district = sums.setdefault((row["line"], row["part"], row["period"]), {})
            by_district.setdefault(row["district"], [0] * (last + 1))[row["place"]] -= row["value"]
    return sums
