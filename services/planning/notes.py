"""Notes on cells: why a number stands as it does and what is done next, by indicator, period and district. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.planning.events import NoteWritten
from shared.contract.decoder import is_whole
from shared.contract.events import Fact
from shared.deciding.view import View
from shared.plan.model import Plan


class NotedCell(NamedTuple):
    """An indicator in a period, for a district; the city's own code: the whole."""

    indicator: str
    period: str
    of: str


@dataclass(frozen=True, slots=True)
class Note:
    """What was written on a cell, and the fact that it is."""

    event: NoteWritten
    fact: Fact


def notes_of(plan: Plan, view: View) -> Mapping[NotedCell, list[Note]]:
    """Return the notes of a plan by cell, each list in log order: the last one holds, the others are its history."""
    notes: defaultdict[NotedCell, list[Note]] = defaultdict(list)
    for event, in_force in view.of(NoteWritten):
        if event.plan == plan.id:
            notes[NotedCell(event.indicator, event.period, event.of)].append(Note(event, in_force.fact))
    for written in notes.values():
        written.sort(key=lambda note: note.fact.position)
    return notes


def may_write(plan: Plan, speaks_for: Iterable[str]) -> list[str]:
    """Return the districts on whose cells somebody may write who speaks for these: a district on its own, the city on
    all (RULES F11)."""
    codes = plan.district_codes & set(speaks_for)
    return sorted(plan.district_codes if any(map(is_whole, codes)) else codes)
