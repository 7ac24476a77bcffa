"""Result of a comparison: the first difference of each hop and what was counted, as JSON and as text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class HopDifference:
    """Where two hops do not agree: the first such place."""

    service: str
    hop: str
    position: int | None
    zh: str
    en: str


@dataclass
class Compared:
    """What was compared of one service, and the first difference of each hop."""

    service: str
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    differences: dict[str, HopDifference] = field(default_factory=dict)

    def differs(self, hop: str, position: int | None, zh: str, en: str) -> None:
        """Note a difference, unless the hop has an earlier one."""
        first = self.differences.get(hop)
        if first is None or (position is not None and first.position is not None and position < first.position):
            self.differences[hop] = HopDifference(self.service, hop, position, zh, en)


def to_json(results: Sequence[Compared], seconds: float) -> str:
    """Return the results as one JSON object."""
    differences = [asdict(each) for compared in results for each in compared.differences.values()]
    compared = {each.service: dict(each.counts) for each in results}
    return json.dumps(
        {"equal": not differences, "seconds": round(seconds, 1), "compared": compared, "differences": differences},
        ensure_ascii=False,
    )


def to_text(results: Sequence[Compared]) -> str:
    """Return the results for a person: a line a service, then a line a difference."""
    lines = []
    for compared in results:
        counts = ", ".join(f"{count:,} {name}" for name, count in compared.counts.items())
        word = "不一致 differs" if compared.differences else "一致 equal"
        lines.append(f"{compared.service}: {word} ({counts})")
        for difference in compared.differences.values():
            at = "" if difference.position is None else f" @{difference.position}"
            lines.append(f"  ✗ [{difference.hop}]{at} {difference.zh}\n      {difference.en}")
    return "\n".join(lines)
