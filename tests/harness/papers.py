"""What a person can select and copy from a PDF."""

import io

import pypdf


def as_one(text: str) -> str:
    """Return a text without its spaces and line ends: a PDF has them where its lines end."""
    return "".join(text.split())


def sheets_of(content: bytes) -> list[str]:
    """Return the text of each sheet, without its spaces."""
    return [as_one(page.extract_text()) for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def pdf_text(content: bytes) -> str:
    """Return the text of all sheets, one after another, without its spaces."""
    return "".join(sheets_of(content))
