"""Which members and subjects a ledger has rows of, as far as it was written by this process from its start."""

from array import array
from collections.abc import Hashable, Iterable
from typing import Final

from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.standing import StandingRow

# 16 MB: with 10 million members, 10 of 1,000 new ones are taken for one that is there, and looked up for nothing.
_WORDS: Final = 1 << 21
_PLACE: Final = _WORDS - 1


class SeenKeys:
    """A Bloom filter in slots of 64 bits: what it has not seen was never added; what it has seen may have been.

    `slots`: where they are, for processes that share them, and whose hashes are the same (`PYTHONHASHSEED`).
    """

    BYTES: Final = 8 * _WORDS

    def __init__(self, slots: "memoryview[int] | None" = None) -> None:
        self._filled: array[int] | memoryview[int] = array("Q", bytes(self.BYTES)) if slots is None else slots

    def add(self, key: Hashable) -> bool:
        """Add a key; return whether it was not there for certain."""
        digest = hash(key)
        place = digest & _PLACE
        bits = 1 << (digest >> 21 & 63) | 1 << (digest >> 27 & 63) | 1 << (digest >> 33 & 63) | 1 << (digest >> 39 & 63)
        word = self._filled[place]
        if word & bits == bits:
            return False
        self._filled[place] = word | bits
        return True

    def __contains__(self, key: Hashable) -> bool:
        """Return whether a key may have been added."""
        digest = hash(key)
        bits = 1 << (digest >> 21 & 63) | 1 << (digest >> 27 & 63) | 1 << (digest >> 33 & 63) | 1 << (digest >> 39 & 63)
        return self._filled[digest & _PLACE] & bits == bits


class FirstFacts:
    """Tells facts that have to do with none before them, and so need no look at what is stored, from all others.

    Whatever has to do with a fact that is not a first one is none either. Counted after all first ones, in their order,
    the others find each group of facts as if all had been counted in turn: its first fact, and then one another.
    """

    def __init__(self, compiled: CompiledPlans, seen: SeenKeys | None = None) -> None:
        self._seen = seen or SeenKeys()
        self._threaded, self._each_alone = compiled.threaded, compiled.taking_each_alone
        self.any_taken_back = False

    def add(self, fact: LogFact, rows: Iterable[StandingRow], takes_back: bool) -> bool:
        """Add a fact and its rows; return whether it is a first one for certain."""
        seen = self._seen
        if takes_back:
            # By whatever follows on its subject it could be taken for one that came later.
            seen.add((fact.subject,))
            self.any_taken_back = True
            first = False
        else:
            first = not self.any_taken_back or (fact.subject,) not in seen
        keys = set[Hashable]()
        for row in rows:
            line, member = row.line, row.member
            if line in self._threaded:
                keys.add(("subject", line, row.subject))
            elif line in self._each_alone:
                continue
            if member is not None:
                keys.add((line, member))
        for key in keys:
            if not seen.add(key):
                first = False
        return first
