"""The page that a browser gets at an address where nothing is: in both languages, with a way back."""

import base64
import hashlib
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from shared.http.problems import language_in

_API: Final = "/v1/"
# What a page answers there, by the app's status. Without a key an address that nobody knows is refused before it is
# looked for; a page says the same of both. Chat programs hang parameters on links that no page has.
NOTHING_THERE: Final = {401: 404, 404: 404, 422: 422}
_CSS: Final = (
    "body{font:1rem/1.6 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;margin:0;"
    "color:#1b2733;background:#f4f6f8}main{max-width:34rem;margin:12vh auto 0;padding:0 1.25rem}"
    "h1{font-size:1.5rem;margin:0 0 .4rem}p{margin:.3rem 0}section+section{margin-top:2.5rem}a{color:#0b5f8a}"
    "@media(prefers-color-scheme:dark){body{color:#e4eaf0;background:#12181f}a{color:#7cc4ea}}"
)
_SECTIONS: Final = {
    "zh": '<section lang="zh-CN"><h1>没有这个页面</h1><p>地址可能有误(如问号后有多余的内容),'
    "或页面已不在此处。请核对地址。</p>"
    '<p><a href="/">返回首页</a></p></section>',
    "en": '<section lang="en"><h1>There is no such page</h1><p>The address may be wrong (by what follows a '
    "question mark, say), or the page has gone. Please check the address.</p>"
    '<p><a href="/">Back to the first page</a></p></section>',
}
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    (b"vary", b"Accept, Accept-Language"),
]


def is_visited(scope: Scope) -> bool:
    """Tell whether a request is a browser's visit to a page: it takes HTML, and asks nothing of the API."""
    accepted = Headers(scope=scope).get("accept", "")
    return scope["method"] == "GET" and "text/html" in accepted and not scope["path"].startswith(_API)


def page_of(scope: Scope) -> bytes:
    """Return the page, with the language first that the request prefers."""
    first = language_in(scope) or "zh"
    sections = _SECTIONS[first] + _SECTIONS["en" if first == "zh" else "zh"]
    title = "没有这个页面 · There is no such page"
    return (
        f'<!doctype html><html lang="{"zh-CN" if first == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>{title}</title><style>{_CSS}</style></head><body><main>{sections}</main>'
        "</body></html>"
    ).encode()
