"""Sums of cells as the database gives them: those of districts, and of them the whole's."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from services.projection.values import WHOLE_CITY, Key, Sums


def with_whole(cells: Mapping[Key, tuple[Sequence[int], Sequence[int]]]) -> Sums:
    """Add the sum over all districts to cells that are given by district."""
    whole: dict[tuple[int, int, int], Counter[int]] = defaultdict(Counter)
    for (line, part, period, _), (months, amounts) in cells.items():
        for month, amount in zip(months, amounts, strict=True):
            whole[line, part, period][month] += amount
    added = {
        (*key, WHOLE_CITY): (sorted(amounts), [amounts[month] for month in sorted(amounts)])
        for key, amounts in whole.items()
    }
    return {**cells, **added}
