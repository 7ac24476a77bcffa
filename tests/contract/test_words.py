"""One word for one thing: no two classes of one name in different meanings, and no vague names of values."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

FOLDERS: Final = ("shared", "services", "client", "deploy", "docs/generators", "tests/harness")
GLOSSARY: Final = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
# A name says what a value is (result, row, current, cached, match, message), not that somebody told or found it.
VAGUE: Final = re.compile(r"told|shown|show_\w+|found|asked|kept|said|words|one")
# Where no such name may be: everywhere.
DONE: Final = ("shared", "services", "client", "deploy", "docs/generators", "tests")


def sources(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (file for file in files if "node_modules" not in file.parts)


def shared_on_purpose() -> set[str]:
    """Return the class names that the glossary lets several services declare: one meaning, each in its own language."""
    (line,) = re.findall(r"^.*<!-- shared classes -->(.*)$", GLOSSARY, re.M)
    return set(re.findall(r"`([A-Z]\w+)`", line))


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in sources(*FOLDERS):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(file.relative_to(ROOT).as_posix())
    several = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in several.items() if name not in shared_on_purpose()} == {}


def test_what_the_glossary_lets_several_declare_is_declared_by_several() -> None:
    named: dict[str, int] = defaultdict(int)
    for file in sources("services"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            named[node.name if isinstance(node, ast.ClassDef) else ""] += 1
    assert [name for name in sorted(shared_on_purpose()) if named[name] < 2] == []


@pytest.mark.parametrize("place", DONE)
def test_a_name_says_what_its_value_is(place: str) -> None:
    assert [hit for file in sources(place) for hit in vague_names(file)] == []


def test_a_vague_name_is_found_wherever_it_is_bound(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "told = one = 1\nfor found in (): pass\ndef show_it(asked): self.kept = [said for said in words]\n"
        "with a as shown: pass\nif (told := 1): pass\n",
        encoding="utf-8",
    )
    assert len(vague_names(file)) == 9


def vague_names(file: Path) -> list[str]:
    """Return every variable, parameter, attribute and function of a file with a vague name, as `file:line name`."""
    names: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.append((node.lineno, name))
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.append((node.lineno, name))
    return [f"{file.name}:{line} {name}" for line, name in names if VAGUE.fullmatch(name.lstrip("_"))]
