"""Names of columns and words of a table, compared as people read them: width, spaces and marks play no part."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Zero-width characters, directions, soft hyphens: nobody sees them, programs copy them along.
INVISIBLE: Final = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
# Quotation marks too: “金蓝领” is typed without them, or with those of a keyboard.
_NOT_COMPARED: Final = re.compile(r"[\s\"'“”‘’「」『』]+")


def plain(text: str) -> str:
    """Return a name as it is compared: NFKC, without spaces, quotes, what is invisible and a needed column's star."""
    if not text.isascii():
        text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _NOT_COMPARED.sub("", text).strip("*").casefold()
