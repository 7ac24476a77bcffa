"""The client installs alone: its wheel, in an empty virtual environment with its own dependencies, is the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.conftest import ROOT

UV: Final = Path(sys.executable).with_name("uv")
EXAMPLE: Final = ROOT / "docs" / "examples"
HIRE: Final = "skillplan.recruitment.person-hired.v1"
OF_THE_SERVICES: Final = ("asyncpg", "faust", "mode", "uvloop", "uvicorn", "fastapi", "cryptography", "supervisor")
OURS: Final = "import client.__main__, sys; print(*(n for n in sys.modules if n.split('.')[0] in {0}))"


class Tool(NamedTuple):
    """An environment with the wheel and nothing else."""

    wheel: Path
    folder: Path

    def run(self, program: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "SKILLPLAN_LANG": "en"} | settings
        return subprocess.run(
            [str(self.folder / "env" / "bin" / program), *arguments], cwd=self.folder, env=environment,
            capture_output=True, encoding="utf-8", timeout=250, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    folder = tmp_path_factory.mktemp("tool")

    def uv(*arguments: str | Path) -> None:
        subprocess.run([UV, "--quiet", *arguments], cwd=ROOT, check=True, timeout=250)

    uv("build", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("skillplan-*.whl")
    uv("venv", "--python", sys.executable, folder / "env")
    uv("pip", "install", "--python", folder / "env" / "bin" / "python", wheel)
    return Tool(wheel, folder)


@pytest.mark.timeout(900)
def test_the_program_runs_from_its_wheel_alone(tool: Tool) -> None:
    for arguments in (("--help",), ("plan", "--help")):
        explained = tool.run("skillplan", *arguments)
        assert (explained.returncode, explained.stderr) == (0, "")
        assert "Usage: skillplan" in explained.stdout
    assert json.loads(tool.run("skillplan", "sample", HIRE).stdout)["type"] == HIRE
    assert "录用" in tool.run("skillplan", "sample", HIRE, "--mapping").stdout, "the terms are in the wheel"
    example = ("validate", str(EXAMPLE / "hires.csv"), "--mapping", str(EXAMPLE / "hires.yaml"))
    valid = tool.run("skillplan", *example)
    assert (valid.returncode, valid.stdout) == (0, "6 reports, 6 right, 0 wrong\n"), valid.stderr
    elsewhere = tool.run("skillplan", *example, "--district", "330602", "--limit", "1")
    assert elsewhere.returncode == 1
    assert "→" in elsewhere.stdout, "the remedies are in the wheel"


def test_neither_a_time_zone_database_nor_a_unicode_encoding_of_the_system_is_needed(tool: Tool) -> None:
    """As on Windows, in a pipe."""
    example = ("validate", str(EXAMPLE / "hires.csv"), "--mapping", str(EXAMPLE / "hires.yaml"))
    valid = tool.run("skillplan", *example, PYTHONTZPATH="", PYTHONIOENCODING="cp1252", SKILLPLAN_LANG="zh")
    assert (valid.returncode, valid.stdout) == (0, "✓ 共 6 份,正确 6,有误 0\n"), valid.stderr


def test_nothing_of_the_services_processes_comes_along(tool: Tool) -> None:
    find = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n)))"
    assert tool.run("python", "-c", find, *OF_THE_SERVICES, "deploy", "aiokafka").stdout.split() == ["aiokafka"]


def test_the_wheel_holds_no_module_that_the_program_does_not_import(tool: Tool) -> None:
    imported = tool.run("python", "-c", OURS.format({"client", "shared", "services"})).stdout.split()
    files = [name for name in zipfile.ZipFile(tool.wheel).namelist() if name.endswith(".py")]
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    on_demand = {"client.audit.witness", "shared.log.checkpoints", "shared.log.cosignatures"}  # by its command
    assert modules - set(imported) == {"services.gateway", "services.projection"} | on_demand  # empty packages
    assert "client/audit/check.html" in zipfile.ZipFile(tool.wheel).namelist()
    lacking = tool.run("skillplan", "witness", "folder", "--name", "w", "--log", "x", SKILLPLAN_LANG="en")
    assert (lacking.returncode, "pip install cryptography" in lacking.stderr) == (2, True), lacking.stderr
