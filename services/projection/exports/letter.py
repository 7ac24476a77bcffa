"""The monthly briefing as a DOCX laid out as an official letter (GB/T 9704), for WPS, Word and LibreOffice.

Its parts are written by templates and packed here: a document library would bring lxml into the image, and writes the
hour at which it was called into every file. The same briefing gives the same bytes.
"""

import io
import re
import zipfile
from typing import Final
from xml.sax.saxutils import escape

from services.projection.exports import qr_code, wording
from services.projection.exports.document import Briefing
from services.projection.exports.filling import TEMPLATES, filled
from services.projection.exports.layout import QrCode, Signed, Table, Text, layout
from services.projection.exports.texts import Language
from services.projection.exports.wording import COLOURS

DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say
_PICTURE: Final = "media/code.png"
_DECLARED: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_PART: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_TYPES: Final = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_PART}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_PART}.styles+xml"/>'
    f'<Override PartName="/word/header.xml" ContentType="{_PART}.header+xml"/>'
    f'<Override PartName="/word/footer-odd.xml" ContentType="{_PART}.footer+xml"/>'
    f'<Override PartName="/word/footer-even.xml" ContentType="{_PART}.footer+xml"/>'
    f'<Override PartName="/word/settings.xml" ContentType="{_PART}.settings+xml"/>'
    '<Override PartName="/docProps/core.xml"'
    ' ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>'
)
_ROOT: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
    f'<Relationship Id="rId2" Type="{_PACKAGE}/relationships/metadata/core-properties" Target="docProps/core.xml"/>'
    "</Relationships>"
)
_OF_DOCUMENT: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/header" Target="header.xml"/>'
    f'<Relationship Id="rId3" Type="{_OFFICE}/footer" Target="footer-odd.xml"/>'
    f'<Relationship Id="rId4" Type="{_OFFICE}/footer" Target="footer-even.xml"/>'
    f'<Relationship Id="rId5" Type="{_OFFICE}/settings" Target="settings.xml"/>'
)
_SETTINGS: Final = f'<w:settings xmlns:w="{_WORD}"><w:evenAndOddHeaders/></w:settings>'
# Outside, a character off the edge: odd pages on the right, even ones on the left (GB/T 9704, 7.5).
_FOOTER: Final = (
    f'<w:ftr xmlns:w="{_WORD}"><w:p><w:pPr><w:pStyle w:val="Page"/><w:jc w:val="SIDE"/></w:pPr>'
    '<w:r><w:t xml:space="preserve">— </w:t></w:r>'
    '<w:fldSimple w:instr=" PAGE "><w:r><w:t>1</w:t></w:r></w:fldSimple>'
    '<w:r><w:t xml:space="preserve"> —</w:t></w:r></w:p></w:ftr>'
)


def letter(briefing: Briefing, language: Language) -> bytes:
    """Return the briefing as DOCX."""
    blocks: list[Text | Signed | QrCode | Table] = [*layout(briefing, language)]
    document = filled(
        "letter.xml",
        blocks=blocks,
        colours={signal: colour.lstrip("#") for signal, colour in COLOURS.items()},
    )
    head = (
        f'<w:hdr xmlns:w="{_WORD}"><w:p><w:pPr><w:pStyle w:val="Head"/></w:pPr><w:r><w:t>'
        f"{escape(wording.running_head(briefing, language))}</w:t></w:r></w:p></w:hdr>"
    )
    code = [qr_code.png(block["code"]) for block in blocks if "code" in block]
    pictures = {f"word/{_PICTURE}": picture for picture in code}
    relations = f'<Relationship Id="rId6" Type="{_OFFICE}/image" Target="{_PICTURE}"/>' if code else ""
    return _packed(
        {
            "[Content_Types].xml": _DECLARED + _TYPES,
            "_rels/.rels": _DECLARED + _ROOT,
            "docProps/core.xml": _DECLARED + _core(briefing, language),
            "word/_rels/document.xml.rels": f"{_DECLARED}{_OF_DOCUMENT}{relations}</Relationships>",
            "word/document.xml": document.strip(),
            "word/styles.xml": _DECLARED + (TEMPLATES / "letter-styles.xml").read_text(encoding="utf-8"),
            "word/header.xml": _DECLARED + head,
            "word/footer-odd.xml": _DECLARED + _FOOTER.replace("SIDE", "right"),
            "word/footer-even.xml": _DECLARED + _FOOTER.replace("SIDE", "left"),
            "word/settings.xml": _DECLARED + _SETTINGS,
            **pictures,
        }
    )


def _core(briefing: Briefing, language: Language) -> str:
    at = escape(briefing["known_at"])
    return (
        f'<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{escape(wording.title(briefing, language))}</dc:title>"
        f'<dcterms:created xsi:type="dcterms:W3CDTF">{at}</dcterms:created></cp:coreProperties>'
    )


def _packed(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, _NO_XML.sub("", content) if isinstance(content, str) else content)
    return file.getvalue()
