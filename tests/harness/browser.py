"""Runs one errand of browser.mjs in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from deploy.local.dashboard import SOURCES, path_with_node

CHROMIUM: Final = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def run_errand(errand: str, **told: Any) -> dict[str, Any]:
    """Return what it saw; it is always told `base`, the address of the projection, and the `plan`."""
    given = {"chromium": CHROMIUM, "packages": str(SOURCES / "package.json"), **told}
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("browser.mjs")), errand, json.dumps(given)],
        capture_output=True, text=True, timeout=280, check=False, env={**os.environ, "PATH": path_with_node()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
