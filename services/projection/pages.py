"""Serves the dashboard: built files under a strict content security policy, cached by their hashed names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from shared.http.problems import Problem

STATIC: Final = Path(__file__).parent / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI sets styles of its own, with pictures in them.
_POLICY_OF_REFERENCE: Final = _POLICY.replace(
    "style-src 'self'; img-src 'self'", "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
_FRAMED: Final = '<meta name="skillplan-frames" content="allowed">'  # the page offers what is put into another one
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_NOT_BUILT: Final = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>Skillplan</title>
<p>看板还没有构建(需要 Node 和 npm 源)。请联网后再运行 <code>make up</code>;
接口照常可用:<a href="openapi.json">openapi.json</a>。
<p lang="en">The dashboard has not been built (that takes Node and the npm registry). Run <code>make up</code> again
with a network; the API works all the same: <a href="openapi.json">openapi.json</a>.</html>"""


class _HashedFiles(StaticFiles):
    """Files whose names change with their content: a browser may keep them for a year."""

    async def check_config(self) -> None:
        """Accept that the folder is absent: where nothing has been built, every file is a 404."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 206, 304):
                headers = [header for header in message["headers"] if header[0].lower() != b"cache-control"]
                message["headers"] = [
                    *headers,
                    (b"cache-control", b"public, max-age=31536000, immutable"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


def add_pages(app: FastAPI, outlines: Path | None, static: Path = STATIC, frames: Sequence[str] = ()) -> None:
    """Serve the dashboard at `/` and the API's own page at `/docs`; a page that is not built says so.

    `outlines`: a map in place of the built one. `frames`: the origins whose pages may show the dashboard in a frame;
    there it shows numbers alone, so that nobody is led to press a button that he does not see.
    """
    dashboard = _POLICY.replace("frame-ancestors 'none'", " ".join(("frame-ancestors", *frames))) if frames else _POLICY

    def page(name: str, policy: str) -> Response:
        file = static / name
        # Read each time, since a new build has other names of files.
        text = file.read_text(encoding="utf-8") if file.is_file() else _NOT_BUILT
        if policy is not _POLICY_OF_REFERENCE and frames:
            text = text.replace("</head>", _FRAMED + "</head>")
        return HTMLResponse(text, headers=_HEADERS | {"Content-Security-Policy": policy})

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        return page("index.html", dashboard)

    @app.get("/docs", include_in_schema=False)
    async def get_reference() -> Response:
        return page("docs.html", _POLICY_OF_REFERENCE)

    @app.get("/map.json", include_in_schema=False)
    async def get_outlines() -> Response:
        file = outlines or static / "map.json"
        if not file.is_file():
            raise Problem(404, "没有配置地图。", "There is no map.")
        return FileResponse(file, media_type="application/geo+json", headers=_HEADERS)

    app.mount("/assets", _HashedFiles(directory=static / "assets", check_dir=False))
