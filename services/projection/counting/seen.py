"""Which members and subjects a ledger has rows of, as far as it was written by this process from its start."""

from collections.abc import Hashable
from typing import Final

# 16 MB: with 10 million members, 4 of 1,000 new ones are taken for one that is there, and looked up for nothing.
_BITS: Final = 1 << 27
_MASK: Final = _BITS - 1
_PROBES: Final = 4


class SeenKeys:
    """A Bloom filter: what it has not seen was never added; what it has seen may have been."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def add(self, key: Hashable) -> bool:
        """Add a key; return whether it was not there for certain."""
        bits, is_new = self._bits, False
        digest = hash(key)
        place, step = digest & _MASK, (digest >> 32) & _MASK | 1
        for _ in range(_PROBES):
            bit = 1 << (place & 7)
            if not bits[place >> 3] & bit:
                bits[place >> 3] |= bit
                is_new = True
            place = (place + step) & _MASK
        return is_new
