"""The monthly briefing as a PDF (tagged), set by Typst with the characters it uses embedded.

Typst and its fonts are two wheels (docs/decisions/0028), loaded with the first PDF only: the library alone takes 84 MB.
The briefing goes in as JSON, so no sign of a name or a note is read as markup; a character that neither font has is
an empty box, not an error (as PDF/UA asks). The same briefing gives the same bytes.
"""

import json
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, cast

from services.projection.exports import qr_code, wording
from services.projection.exports.briefing import BARS
from services.projection.exports.document import Briefing
from services.projection.exports.filling import TEMPLATES
from services.projection.exports.layout import layout
from services.projection.exports.texts import Language
from services.projection.exports.wording import COLOURS

if TYPE_CHECKING:
    import typst

PDF: Final = "application/pdf"
_TEMPLATE: Final = TEMPLATES / "briefing.typ"


def pdf(briefing: Briefing, language: Language) -> bytes:
    """Return the briefing as PDF."""
    (content,) = compiled(briefing, language, "pdf")
    return content


def compiled(briefing: Briefing, language: Language, form: Literal["pdf", "png"]) -> list[bytes]:
    """Return the briefing as one PDF, or the picture of each sheet."""
    blocks = [
        block | {"svg": qr_code.svg(block["code"], wording.code_title(briefing, language))}
        if "code" in block
        else block
        for block in layout(briefing, language)
    ]
    document = {
        "lang": language,
        "title": wording.title(briefing, language),
        "head": wording.running_head(briefing, language),
        "colours": COLOURS,
        "bars": BARS,
        "blocks": blocks,
    }
    content = _compiler().compile(
        format=form,
        sys_inputs={"briefing": json.dumps(document, ensure_ascii=False)},
        timestamp=datetime.fromisoformat(briefing["known_at"]).replace(microsecond=0),
    )
    return content if isinstance(content, list) else [cast("bytes", content)]


@cache
def _compiler() -> "typst.Compiler":
    import pylopdf_fonts_zh_cn as fonts  # noqa: PLC0415 - see above
    import typst  # noqa: PLC0415

    return typst.Compiler(
        input=_TEMPLATE,
        root=_TEMPLATE.parent,
        font_paths=typst.Fonts(False, False, [fonts.sans_path().parent]),  # no font of the machine's
    )
