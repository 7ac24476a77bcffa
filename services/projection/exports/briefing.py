"""The monthly briefing as one page of HTML to print, without scripts; the template escapes every text."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import jinja2

from services.projection.exports import wording
from services.projection.exports.document import Briefing
from services.projection.exports.wording import COLOURS, SIGNALS, Language

_CSS: Final = (
    "@page{size:A4 landscape;margin:12mm}"
    "body{font:10pt/1.45 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;color:#111;"
    "background:#fff;margin:1.5rem auto;max-width:72rem;padding:0 1rem}"
    "h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:1.6em 0 .4em;break-after:avoid}p{margin:.2em 0}"
    "table{border-collapse:collapse;width:100%;margin:.4em 0 1em}th,td{border:1px solid #999;padding:.2em .45em;"
    "text-align:left;vertical-align:top}th{background:#f2f2f2;font-weight:600}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}tr{break-inside:avoid}thead{display:table-header-group}"
    ".s{font-size:.85em;color:#444}.wide{overflow-x:auto}th.measure{width:24%}th.indicator{width:16%}"
    + "".join(f".{signal}{{background:{colour}}}" for signal, colour in COLOURS.items())
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("briefing.html")


def page(briefing: Briefing, language: Language) -> str:
    """Return the briefing as one page."""
    return _template().render(briefing=briefing, language=language, signals=SIGNALS, css=_CSS, wording=wording)
