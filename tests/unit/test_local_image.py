"""What deploy/Dockerfile copies suffices for what it runs while it builds; no Docker is needed to see it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

# A file or folder of the checkout, copied to a folder of the stage.
_COPY = re.compile(r"^COPY (?!--)(.+) (\S+)$", re.MULTILINE)


def test_the_stage_of_the_dashboard_has_all_modules_that_build_it(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (stage,) = re.findall(r"^FROM build AS dashboard\n(.*?)^FROM ", text, re.MULTILINE | re.DOTALL)
    assert "-m deploy.local.dashboard" in stage
    for sources, place in _COPY.findall(stage):
        for source in sources.split():
            if source.endswith(".py"):
                (tmp_path / place).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / place)
    done = subprocess.run(
        [sys.executable, "-c", "import deploy.local.dashboard"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
