"""Which members and subjects a ledger has rows of, as far as it was written by this process from its start."""

from array import array
from collections.abc import Hashable
from typing import Final

# 16 MB: with 10 million members, 10 of 1,000 new ones are taken for one that is there, and looked up for nothing.
_WORDS: Final = 1 << 21
_PLACE: Final = _WORDS - 1


class SeenKeys:
    """A Bloom filter in words of 64 bits: what it has not seen was never added; what it has seen may have been."""

    def __init__(self) -> None:
        self._filled = array("Q", bytes(8 * _WORDS))

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
