"""Memory of a process that handles batch after batch: what one batch held is there for the next."""

import ctypes
import gc
from typing import Final

# Of malloc.h (glibc): what lies free before memory goes back to the system, what is asked of it at once, and from which
# size on a piece is asked of it separately. All of it is used again by the next batch.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MEGABYTE: Final = 1024 * 1024
# So many new objects the collector looks at in one go, and how often it looks at older ones. 100,000 held the event
# loop for 40 to 60 ms while reports were decided; in smaller portions it takes the same in all.
COLLECTED_AT: Final = (25_000, 200, 50)


def keep_memory() -> None:
    """Let the collector and the allocator leave alone what the next batch needs again.

    A batch's objects are freed by reference counting: at its usual pace the collector takes a tenth of a worker's time,
    and a quarter of a replay's, to find nothing. Memory that goes back to the system after each batch, and comes again
    page by page, costs a sixth.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another libc has its own ways
        mallopt(_TRIM_THRESHOLD, 64 * _MEGABYTE)
        mallopt(_TOP_PAD, 4 * _MEGABYTE)
        mallopt(_MMAP_THRESHOLD, 32 * _MEGABYTE)
