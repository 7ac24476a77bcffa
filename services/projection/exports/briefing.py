"""The monthly briefing as one page of HTML to print, without scripts; the template escapes every text."""

import base64
import hashlib
from typing import Final

from services.projection.exports import folding, qr_code, wording
from services.projection.exports.document import Briefing
from services.projection.exports.filling import filled
from services.projection.exports.texts import Language, text
from services.projection.exports.wording import COLOURS, SIGNALS

BARS: Final = {"met": "#14546f", "green": "#1d6b3a", "amber": "#d98a00", "red": "#b3261e", "none": "#777"}
# The margins of each sheet of paper have the running head and the page's number.
_CSS: Final = (
    "@page{size:A4 portrait;margin:18mm 14mm 16mm;@top-left{content:"
    "HEAD;font:8pt sans-serif;color:#444}"
    "@bottom-center{content:'— ' counter(page) ' —';font:9pt sans-serif}}"
    "body{font:10pt/1.5 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;color:#111;"
    "background:#fff;margin:1.5rem auto;max-width:56rem;padding:0 1rem}"
    "h1{font-size:1.6em;margin:0 0 .2em}h2{font-size:1.15em;margin:1.4em 0 .4em;break-after:avoid}"
    "h3{font-size:1em;margin:1em 0 .2em;break-after:avoid}p{margin:.2em 0}p.lead{font-size:1.1em;margin:.35em 0}"
    "table{border-collapse:collapse;width:100%;margin:.4em 0 1em}th,td{border:1px solid #999;padding:.2em .45em;"
    "text-align:left;vertical-align:top}th{background:#f2f2f2;font-weight:600}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums}tr{break-inside:avoid}thead{display:table-header-group}"
    ".s{font-size:.85em;color:#444}.wide{overflow-x:auto}th.indicator{width:22%}th.forecast{width:17%}"
    "td.w{white-space:nowrap}th.of-measure{background:#fafafa}tr:has(.of-measure){break-after:avoid}"
    "figure{margin:1.2em 0}figure svg{width:36mm;height:36mm}svg.bar{display:block;margin:.2em 0 0 auto}"
    "svg .all{fill:#e4e4e4}"
    "@media print{body{margin:0;max-width:none;padding:0;font-size:9pt}.annex{break-before:page}"
    ".wide{overflow:visible}.wide table{font-size:7.5pt}.wide th,.wide td{padding:.15em .3em}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}"
    + "".join(f".{signal}{{background:{colour}}}" for signal, colour in COLOURS.items())
    + "".join(f"svg .b-{signal}{{fill:{colour}}}" for signal, colour in BARS.items())
)


def page(briefing: Briefing, language: Language) -> tuple[str, dict[str, str]]:
    """Return the briefing as one page, with the headers it is served with: they allow this page's own style alone."""
    css = _CSS.replace("HEAD", _css_text(wording.running_head(briefing, language)))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-cache",
        "Vary": "Accept-Language",
    }
    title = wording.title(briefing, language)
    published = briefing["published"]
    picture = qr_code.svg(published["code"], wording.code_title(briefing, language), inline=True) if published else ""
    content = filled(
        "briefing.html",
        briefing=briefing,
        language=language,
        signals=SIGNALS,
        css=css,
        wording=wording,
        text=text,
        folding=folding,
        title=title,
        picture=picture,
    )
    return content, headers


def _css_text(text: str) -> str:
    """Return a text as a string of CSS; no sign of a plan's title ends the string or the style."""
    return '"' + "".join(sign if sign.isalnum() or sign == " " else f"\\{ord(sign):x} " for sign in text) + '"'
