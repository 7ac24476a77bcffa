"""Every command that the page for operators gives for an alert, a hole or what waits runs on an installation."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import addresses_of

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return a section of the page, with what stands below it."""
    found = re.search(rf"^(#+) {heading}\n(.*?)(?=^\1 |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[2]


def commands(text: str) -> list[str]:
    """Return the commands of the blocks for a shell, each once."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line))


def test_every_alert_has_a_command_to_begin_with() -> None:
    without = [
        part for part in section("告警 Alerts").split("### ")[1:] if not commands(part) and "`source`" not in part
    ]
    assert without == []


@pytest.mark.timeout(600)
def test_every_command_for_operators_runs(state: Path) -> None:
    places = addresses_of(state)
    projector = re.sub(r"\d+$", lambda port: str(int(port[0]) + 100), places["projection"])
    told = {**os.environ, "STATE": str(state), "URL": places["recruitment"], "PROJECTOR": projector}
    found = commands(section("告警 Alerts") + section("缺口 A hole") + section("等待 Waiting"))
    assert len(found) > 15
    failed = []
    for command in found:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=ROOT,
            env=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode or not (done.stdout or "|| true" in command):
            failed.append(f"{command}\n{done.stdout[-500:]}{done.stderr[-1000:]}")
    assert failed == []
