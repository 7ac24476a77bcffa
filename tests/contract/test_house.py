"""The house rules that no linter knows: no long file, no folder beside the kernel's chapters, one place for names."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

_MOST_LINES = 400
_ALONE = {"client/audit/verify.py": 480}  # an auditor takes this one file away with them, and imports nothing of ours
_CHAPTERS = {"contract", "plan", "kafka", "observability", "http", "log", "process", "deciding", "service"}
_TOPIC = re.compile(
    r"""(?<!services\.)\{[^{}]*\}\.(events["']|reports\.)|["']receipts\.[{"']|["'](sandbox)?\.events["']"""
)
_HERE = ("shared/", "services/", "client/", "deploy/", "docs/generators/", "tests/harness/")


def tracked_sources() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *_HERE],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in listed:
        file = ROOT / name
        if file.suffix in (".py", ".ts", ".tsx", ".mjs", ".sql", ".css") and file.is_file():
            text = file.read_text(encoding="utf-8")
            if "generated" not in text[:300].lower():
                yield file


def lines_of_code(file: Path) -> int:
    """Count the lines that are neither blank nor a comment."""
    comment = {".py": "#", ".sql": "--", ".css": "/*"}.get(file.suffix, "//")
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith(comment) for line in lines)


def test_no_file_has_more_than_400_lines_of_code() -> None:
    sizes = {str(file.relative_to(ROOT)): lines_of_code(file) for file in tracked_sources()}
    assert len(sizes) > 200
    assert {name: size for name, size in sizes.items() if size > _ALONE.get(name, _MOST_LINES)} == {}


def test_the_kernel_is_its_nine_chapters() -> None:
    entries = {entry.name for entry in (ROOT / "shared").iterdir() if not entry.name.startswith((".", "__pycache__"))}
    assert entries - {"__init__.py", "__pycache__"} == _CHAPTERS


def test_topics_are_named_in_one_module() -> None:
    named = {
        str(file.relative_to(ROOT))
        for file in tracked_sources()
        if file.suffix == ".py" and _TOPIC.search(file.read_text(encoding="utf-8"))
    }
    assert {name for name in named if not name.startswith(("tests/", "docs/"))} == {"shared/kafka/names.py"}


def test_no_private_name_of_a_module_is_unused() -> None:
    assert [
        f"{file.relative_to(ROOT)}: {name}"
        for file in tracked_sources()
        if file.suffix == ".py"
        for name in unused_names(file.read_text(encoding="utf-8"))
    ] == []


def unused_names(source: str) -> list[str]:
    """Return the private names that a module gives to something and uses nowhere else."""
    uses = Counter(re.findall(r"\w+", source))
    named = {
        node.id
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return sorted(name for name in named if name.startswith("_") and name != "_" and uses[name] == 1)
