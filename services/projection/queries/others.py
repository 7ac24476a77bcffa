"""Facts of others in a list: how many there are a day and a type, and nothing else of them (RULES G6)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from typing_extensions import TypedDict

from services.projection.assessment.representation import Day
from shared.http.visibility import Visibility


class FactCount(TypedDict):
    """How many facts of a type others reported for a day, among those that the list is made of."""

    day: Day
    type: str
    count: int


Listed = TypeVar("Listed", bound=Mapping[str, object])


class FactSieve:
    """Lets through the facts that a caller may see, and counts the others."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._counts: Counter[tuple[str, str]] = Counter()

    def seen(self, facts: Iterable[Listed], day: str) -> list[Listed]:
        """Return those that are seen; `day`: the field by which the others are counted."""
        seen: list[Listed] = []
        for fact in facts:
            if self._visibility.sees(str(fact["report_source"])):
                seen.append(fact)
            else:
                self._counts[str(fact[day]), str(fact["type"])] += 1
        return seen

    @property
    def seen_all(self) -> bool:
        """Whether nothing is held back from this caller."""
        return self._visibility.codes is None

    def others(self) -> list[FactCount] | None:
        """Return the counts of those held back so far; None for a caller that sees figures alone."""
        if not self._visibility.counts:
            return None
        return [{"day": day, "type": type_, "count": number} for (day, type_), number in sorted(self._counts.items())]
