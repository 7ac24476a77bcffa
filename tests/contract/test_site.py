"""The documentation site: every link leads somewhere, Chinese can be searched, and no page asks another host."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

LOADED: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
IN_STYLES: Final = re.compile(r"""(?:url\(|@import\s+)["']?([^"')\s]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class _Loads(HTMLParser):
    """What a page makes its browser fetch; `rel=canonical` and the like fetch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.mermaid = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.mermaid = self.mermaid or "mermaid" in (values.get("class") or "")
        if tag in LOADED and not (tag == "link" and values.get("rel") in ("canonical", "prev", "next", "alternate")):
            self.targets.append(values.get(LOADED[tag]) or "")


def pages(site: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(site.rglob("*.html")):
        yield file, file.read_text(encoding="utf-8")


def test_no_page_and_no_style_asks_another_host(site: Path) -> None:
    for file, text in pages(site):
        loads = _Loads()
        loads.feed(text)
        assert [target for target in loads.targets if re.match(r"(https?:)?//", target)] == [], file.name
        # The theme's script would fetch this from elsewhere, only for pages that use it.
        assert not loads.mermaid, file.name
    for style in site.rglob("*.css"):
        assert [target for target in IN_STYLES.findall(style.read_text(encoding="utf-8")) if "//" in target[:8]] == []


def test_every_page_of_the_documentation_is_there_and_nothing_links_out_of_it(site: Path) -> None:
    wanted = {file.relative_to(ROOT / "docs").with_suffix(".html") for file in (ROOT / "docs").rglob("*.md")}
    there = {file.relative_to(site) for file, _ in pages(site)}
    assert {Path(str(page).replace("README", "index")) for page in wanted} <= there
    for file, text in pages(site):
        assert 'href="../../' not in text or file.parent != site, file.name


def test_chinese_is_parted_in_the_search_index(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    terms = {word for entry in index["docs"] for word in re.split(r"[\s\u200b]+", entry["text"])}
    assert {"报", "回", "执"} <= terms, "each character can be found"
    assert "\\u200b" in index["config"]["separator"]


def test_the_machine_readable_documents_and_the_example_are_on_it(site: Path) -> None:
    for name in ("asyncapi.yaml", "examples/hires.csv", "examples/hires.yaml", "picture.svg"):
        assert (site / name).read_bytes() == (ROOT / "docs" / name).read_bytes()
    assert (site / "events" / "recruitment.person-hired.v1.json").is_file()
