"""MkDocs hooks of the site: the files of docs/ that it publishes, links between its pages, and its search."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs.generators.markdown import anchor

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_NOTHING_BETWEEN: Final = "\u200b"


def slug(text: str, separator: str) -> str:
    """Return the anchor of a heading: the one that the pages' links name, the same as on the usual forges."""
    return anchor(text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show what a link to the sources names, without the link: the site has the documentation, not the checkout."""
    folder = posixpath.dirname(page.file.src_uri)

    def keep(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path = target.partition("#")[0]
        if re.match(r"[a-z]+:", target) or not path:
            return match[0]
        inside = posixpath.normpath(posixpath.join(folder, path))
        if inside == "../README.md":
            return f"[{text}]({posixpath.relpath('index.md', folder or '.')})"
        if files.get_file_from_path(inside) is not None and not (picture and inside.startswith("..")):
            return match[0]
        # A folder is shown by what lists it.
        return f"`{inside.removeprefix('../')}`" if text.startswith("`") or "/" in text else text

    parts = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(keep, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(keep, markdown[end:])])


def on_post_build(config: MkDocsConfig) -> None:
    """Part Chinese text into characters in the search index: it has no spaces to part it by."""
    file = Path(config["site_dir"], "search", "search_index.json")
    index = json.loads(file.read_text(encoding="utf-8"))
    for entry in index["docs"]:
        for field in ("title", "text"):
            entry[field] = _HAN.sub(lambda match: f"{_NOTHING_BETWEEN}{match[0]}{_NOTHING_BETWEEN}", entry[field])
    file.write_text(json.dumps(index, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
