"""Module tables of the architecture page, written from the first sentence of each module's docstring."""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "architecture.md"
_TABLE: Final = re.compile(r"(<!-- modules: ([a-z_/ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SENTENCE: Final = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


def written(page: str) -> str:
    """Return a page with every table between `<!-- modules: <folders> -->` and `<!-- end -->` made anew."""
    return _TABLE.sub(lambda part: f"{part[1]}{_table(part[2].split())}{part[3]}", page)


def _table(folders: list[str]) -> str:
    rows = "".join(f"| {link} | {sentence} |\n" for folder in folders for link, sentence in _rows(folder))
    return f"| module | what it is |\n| --- | --- |\n{rows}"


def _rows(folder: str) -> Iterator[tuple[str, str]]:
    """Yield a folder's own row, where it says what it is, then its modules, then its folders."""
    path = ROOT / folder
    own = _sentence(path / "__init__.py")
    if own:
        yield f"**[{folder}/](../{folder})**", f"**{own}**"
    for module in sorted(path.glob("*.py")):
        if module.name != "__init__.py":
            yield f"[{module.name}](../{posixpath.join(folder, module.name)})", _sentence(module)
    for package in sorted(path.glob("*/__init__.py")):
        yield from _rows(package.parent.relative_to(ROOT).as_posix())


def _sentence(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.exists() else None
    paragraph = " ".join((docstring or "").partition("\n\n")[0].split())
    first = _SENTENCE.match(paragraph)
    return (first[0] if first else paragraph).removesuffix(".").replace("|", "\\|")


def main() -> int:
    """Write the tables anew."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
