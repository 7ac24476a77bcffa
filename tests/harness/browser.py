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


def run_errand(errand: str, **options: Any) -> dict[str, Any]:
    """Return its result; every errand needs `base`, the address of the projection, and the `plan`.

    `profiles`: the folder in which its browsers keep all that they keep, temporary files among it.
    """
    options = {"chromium": CHROMIUM, "packages": str(SOURCES / "package.json"), **options}
    temporary = {"TMPDIR": options["profiles"]} if "profiles" in options else {}
    process = subprocess.run(
        ["node", str(Path(__file__).with_name("browser.mjs")), errand, json.dumps(options)],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "PATH": path_with_node(), **temporary},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    result: dict[str, Any] = json.loads(process.stdout)
    return result
