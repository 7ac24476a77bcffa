"""The house rules that no linter knows: no long file, no folder beside the kernel's chapters, one place for names."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

_MOST_LINES = 400
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
    assert {name: size for name, size in sizes.items() if size > _MOST_LINES} == {}


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
