"""The QR code of a month's published figures: by it a paper is compared with the log, offline (docs/audit.md).

It says in lines of words which plan and month they are of, as known at which instant, their SHA-256, and of each log
whose cosigned checkpoint the close carries the size and root. The same publication gives the same picture.
"""

import io
from typing import Final

import segno

from services.planning.events import PeriodClosed
from services.planning.months import PublishedFigures
from shared.contract.events import format_instant

FORMAT: Final = "skillplan 1"
_SCALE: Final = 6  # of a module in the letter's picture, in pixels


def text_of(plan: str, month: str, published: PublishedFigures) -> str:
    """Return what the code of a publication says."""
    event = published.fact.event
    checkpoints = event.checkpoints or () if isinstance(event, PeriodClosed) else ()
    lines = [
        FORMAT,
        f"plan {plan}",
        f"month {month}",
        f"known_at {format_instant(published.known_at)}",
        f"sha256 {published.sha256}",
        *(f"log {checkpoint.origin} {checkpoint.size} {checkpoint.root}" for checkpoint in checkpoints),
    ]
    return "\n".join(lines)


def svg(text: str, title: str, *, inline: bool = False) -> str:
    """Return the picture of a code as SVG, black on white with its margin, `title` read aloud; `inline`: in a page."""
    file = io.BytesIO()
    _code(text).save(file, kind="svg", light="#fff", title=title, xmldecl=False, nl=False, omitsize=True,
                     svgns=not inline, svgclass=None, lineclass=None)  # fmt: skip
    return file.getvalue().decode()


def png(text: str) -> bytes:
    """Return the picture of a code as PNG."""
    file = io.BytesIO()
    _code(text).save(file, kind="png", scale=_SCALE)
    return file.getvalue()


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m", boost_error=False)
