"""Further cities for tests, all of them invented: Shaoxing's plan and demo with other districts, under other names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from client.demo.feed import feed
from tests.conftest import ROOT

_PLAN: Final = ROOT / "plans" / "shaoxing-2023-2025.yaml"
# Where a code of six digits stands alone: numbers of persons and organisations keep their check characters.
_DISTRICT: Final = re.compile(r"(?<![0-9])3306(?=(?:00|02|03|04|24|81|83)(?![0-9]))")


class InventedCity(NamedTuple):
    """A city as Shaoxing is, but for its name and the codes of its districts."""

    name: str
    area: str  # the first four digits of its districts' codes

    @property
    def plan_id(self) -> str:
        """The id of its plan."""
        return f"{self.name}-2023-2025"

    def district(self, code: str) -> str:
        """Return what a district of Shaoxing is here."""
        return self._invented(code)

    def write_plan(self, folder: Path) -> Path:
        """Write its plan into a folder, and return the file."""
        file = folder / f"{self.plan_id}.yaml"
        file.write_text(self._invented(_PLAN.read_text(encoding="utf-8")), encoding="utf-8")
        return file

    def feed(self, reports: int, seed: int) -> Iterator[dict[str, Any]]:
        """Yield reports of its districts, as envelopes."""
        for planned in feed(reports, seed, corrections=False):
            yield json.loads(self._invented(json.dumps(planned.envelope, ensure_ascii=False)))

    def _invented(self, text: str) -> str:
        return _DISTRICT.sub(self.area, text).replace("shaoxing", self.name)


FIRST: Final = InventedCity("shaoxing", "3306")  # as it is
FURTHER: Final = (InventedCity("ningbo", "3302"), InventedCity("jinhua", "3307"))
