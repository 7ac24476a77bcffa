"""Sets the clock of one process wrong while it runs, and no other's: Debian's libfaketime, loaded before its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from deploy.local import debian
from tests.conftest import ROOT

_CACHE = ROOT / ".cache" / "faketime"


class Clock:
    """A clock that is right until it is set; timeouts, which count from the start of the machine, go on as they did."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        if not _CACHE.exists():
            debian.fetch(["libfaketime"], _CACHE)
        # Into a folder that the database's user may read, which the project's need not be.
        library = Path(shutil.copy(next(_CACHE.rglob("libfaketime.so.1")), folder))
        library.chmod(0o755)
        self._offset = folder / "offset"
        self.set(0)
        self.settings = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Let it be wrong by so many seconds from now on."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.chmod(0o644)
        fresh.replace(self._offset)
