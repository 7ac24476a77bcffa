"""What a person can select and copy from the briefing's papers: the PDF, the page and the letter."""

import io
import zipfile
from html.parser import HTMLParser
from typing import Final
from xml.etree import ElementTree

import pypdf

_WORD: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def as_one(text: str) -> str:
    """Return a text without its spaces and line ends: a PDF has them where its lines end."""
    return "".join(text.split())


def sheets_of(content: bytes) -> list[str]:
    """Return the text of each sheet, without its spaces."""
    return [as_one(page.extract_text()) for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def pdf_text(content: bytes) -> str:
    """Return the text of all sheets, one after another, without its spaces."""
    return "".join(sheets_of(content))


class _Page(HTMLParser):
    """Reads the rows of all tables of a page, and its paragraphs."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.paragraphs: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "p":
            self.paragraphs.append("")
        self._in_cell = tag in ("td", "th") or (tag != "p" and self._in_cell)

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data
        elif self.paragraphs:
            self.paragraphs[-1] += data


def page_rows(text: str) -> tuple[list[list[str]], list[str]]:
    """Return the rows of all tables of a page of HTML, without spaces in their cells, and its paragraphs."""
    page = _Page()
    page.feed(text)
    return [[as_one(cell) for cell in row] for row in page.rows], page.paragraphs


def letter_rows(content: bytes) -> tuple[list[list[str]], list[str]]:
    """Return the rows of all tables of a DOCX, without spaces in their cells, and its paragraphs."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        body = ElementTree.fromstring(package.read("word/document.xml"))[0]  # noqa: S314 - our own
    rows = [["".join(_texts(cell)) for cell in row.iter(f"{_WORD}tc")] for row in body.iter(f"{_WORD}tr")]
    return [[as_one(cell) for cell in row] for row in rows], ["".join(_texts(each)) for each in body.iter(f"{_WORD}p")]


def _texts(element: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in element.iter(f"{_WORD}t")]
