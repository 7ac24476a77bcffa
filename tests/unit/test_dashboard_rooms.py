"""The dashboard's sources keep to their rooms: its linter accepts them, and rejects what would break a rule of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.local.dashboard import SOURCES, path_with_node

# A line to add to a file, and the rule that it breaks.
_VIOLATIONS: Final = (
    ("src/pages/health.tsx", 'import { FactsPage } from "./facts";', "no-restricted-imports"),
    ("src/parts/theme.ts", 'import { FactsPage } from "../pages/facts";', "no-restricted-imports"),
    ("src/texts/language.ts", 'import { Mark } from "../parts/signals";', "no-restricted-imports"),
    ("src/api/client.ts", 'import { t } from "../texts/language";', "no-restricted-imports"),
    ("src/parts/view.ts", 'import { RankingTable } from "./ranking";', "no-cycle"),
    ("src/parts/chart.ts", "\n" * 400, "max-lines"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources, with the packages of the last build, or with new ones where there has been none."""
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules", ".lock"), dirs_exist_ok=True)
    if (SOURCES / "node_modules" / ".bin" / "oxlint").exists():
        (folder / "node_modules").symlink_to(SOURCES / "node_modules")
    else:
        install = _npm(folder, "ci", "--no-audit", "--no-fund", "--no-progress", "--prefer-offline")
        assert install.returncode == 0, install.stderr
    return folder


def _npm(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path_with_node()}
    return subprocess.run(
        ["npm", *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_sources_have_no_import_cycle_and_no_page_imports_a_page(project: Path) -> None:
    lint = _npm(project, "run", "lint")
    assert lint.returncode == 0, lint.stdout


def test_an_import_between_pages_out_of_a_lower_room_or_in_a_circle_fails_the_build(
    project: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "dashboard"
    shutil.copytree(project, broken, symlinks=True)
    for file, line, _ in _VIOLATIONS:
        with (broken / file).open("a", encoding="utf-8") as source:
            source.write(f"{line}\n")
    lint = _npm(broken, "--silent", "run", "lint", "--", "--format=json")
    assert lint.returncode != 0
    faults = {(fault["filename"], fault["code"]) for fault in json.loads(lint.stdout)["diagnostics"]}
    for file, _, rule in _VIOLATIONS:
        assert any(name == file and f"({rule})" in code for name, code in faults), (file, rule)
