"""A setting that nobody knows is refused at start, so every setting of the tree must be known to every process."""

import re
from pathlib import Path

from services import catalogue
from shared.http.access import PERMISSIONS
from shared.http.api_keys import Role
from shared.process.settings import ELSEWHERE, Settings

ROOT = Path(__file__).resolve().parents[2]
KINDS = {".py", ".yml", ".yaml", ".sh", ".md", ".example", ""}
FOLDERS = ("deploy", "services", "shared", "docs", "bin")
# Written to show what is refused.
MADE_UP = {"SKILLPLAN_KAFKA_USR"}


def test_every_setting_named_in_the_tree_is_known_to_every_process() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if "node_modules" not in file.parts]
    named = set()
    for file in [*files, *ROOT.glob("*.yml"), *ROOT.glob(".env*"), ROOT / "README.md", ROOT / "Makefile"]:
        if file.is_file() and file.suffix in KINDS:
            named |= set(re.findall(r"SKILLPLAN_[A-Z][A-Z_]*[A-Z]", file.read_text(encoding="utf-8", errors="ignore")))
    known = {f"SKILLPLAN_{name.upper()}" for name in Settings.model_fields} | ELSEWHERE | catalogue.ELSEWHERE
    assert sorted(named - known - MADE_UP) == []


def test_the_page_says_of_each_role_what_the_gate_does() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page[page.index("| 请求 request |") :].split("\n\n")[0].splitlines()
    roles = [Role(cell.strip()) for cell in table[0].split("|")[2:-1]]
    permissions = {}
    for row in table[2:]:
        request, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        method, path = request.split("`")[1].split(" ")
        may = frozenset(role for role, cell in zip(roles, cells, strict=True) if cell.startswith("✓"))
        permissions[method, path.removesuffix("…").rstrip("/")] = may
    assert permissions == PERMISSIONS
