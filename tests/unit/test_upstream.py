"""What the gateway makes of a proxy's answer in the place of a service's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.gateway.upstream import Upstream
from shared.http.problems import Problem


@pytest.fixture
def proxy() -> Iterator[str]:
    class Proxy(BaseHTTPRequestHandler):
        """Answers with the status and the type of content that the path names."""

        def do_GET(self) -> None:
            _, status, *kind = self.path.split("/")
            self.send_response(int(status))
            self.send_header("content-type", "/".join(kind))
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxy_that_does_not_reach_a_service_is_as_a_service_that_does_not_answer(
    proxy: str, status: int
) -> None:
    async with Upstream({"recruitment": proxy}, "", tls=False) as upstream:
        with pytest.raises(Problem) as refused:
            await upstream.ask("recruitment", "GET", f"/{status}/text/html", [])
        assert refused.value.status == 503
        own = await upstream.ask("recruitment", "GET", f"/{status}/application/problem+json", [])
        assert (own.status, own.body) == (status, b"{}")
