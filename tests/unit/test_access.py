"""Who is let in over HTTP, what is logged of who is not, and what every response carries; the app is in process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from shared.http import access
from shared.http.access import AccessControl, caller_of
from shared.http.api_keys import KeyFile, KeyRing, Role
from shared.http.route_names import RouteNames
from shared.observability.health import Health

PEPPER: Final = "5e" * 32
HERE: Final = "http://127.0.0.1:8003"
NAMED: Final = "https://meeting.example"


async def _who(request: Request) -> JSONResponse:
    return JSONResponse({"by": caller_of(request).channel().reported_by})


async def _stream(_request: Request) -> StreamingResponse:
    async def beats() -> AsyncIterator[bytes]:
        while True:
            yield b"data: {}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(beats(), media_type="text/event-stream")


def control(ring: KeyRing, health: Health | None = None, rate: float = 1000) -> AccessControl:
    routes = [
        Route("/v1/receipts", _who),
        Route("/v1/plans/{plan}/stream", _stream),
        Route("/v1/events", _who, methods=["POST"]),
        Route("/readyz", _who),
    ]
    return AccessControl(Starlette(routes=routes), ring, rate, health or Health(), [NAMED])


def client(app: AccessControl, base: str = HERE, key: str = "") -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base, headers=headers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    KeyFile(path, PEPPER).create()
    return path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8003"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "[::1]:8003"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "rebound.example"}, 403),
        ({"host": "127.0.0.1.rebound.example:8003"}, 403),
        ({"host": "127.0.0.1@rebound.example"}, 403),
        ({"host": "localhost.rebound.example"}, 403),
        ({"host": "recruitment-api:8003"}, 403),
        ({"host": "10.0.0.7:8003"}, 403),
        ({"host": ""}, 403),
        ({"origin": HERE}, 200),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": NAMED}, 200),
        ({"origin": NAMED, "sec-fetch-site": "cross-site"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "Cross-Site", "origin": HERE}, 403),
        ({"sec-fetch-site": "same-origin", "origin": HERE}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
async def test_while_no_keys_are_set_only_this_machine_asks(headers: dict[str, str], status: int) -> None:
    async with client(control(KeyRing(None, ""))) as http:
        for method, path in (("GET", "/v1/receipts"), ("POST", "/v1/events")):
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == status
            if status == 403:
                assert "localhost" in answer.json()["zh"]
                assert answer.json()["zh"] != answer.json()["en"]
        # Monitoring asks by the names of containers.
        assert (await http.get("/readyz", headers=headers)).status_code == 200


async def test_our_own_services_ask_one_another_by_any_name(file: Path) -> None:
    _, own = KeyFile(file, PEPPER).add(Role.SERVICE)
    async with client(control(KeyRing(file, PEPPER)), "http://recruitment-api:8003") as http:
        assert (await http.get("/v1/receipts")).status_code == 403
        assert (await http.get("/v1/receipts", headers={"authorization": f"Bearer {own}"})).status_code == 200
        wrong = {"authorization": f"Bearer {own[:-1]}x"}
        assert (await http.get("/v1/receipts", headers=wrong)).status_code == 403


async def test_once_keys_are_set_the_name_of_the_host_does_not_matter(file: Path) -> None:
    key, secret = KeyFile(file, PEPPER).add(Role.AUDITOR)
    async with client(control(KeyRing(file, PEPPER)), "https://skillplan.example", secret) as http:
        answer = await http.get("/v1/receipts", headers={"sec-fetch-site": "cross-site"})
        assert (answer.status_code, answer.json()) == (200, {"by": key.id})


async def test_a_refusal_is_logged_with_who_where_and_what_and_quotes_nothing(file: Path) -> None:
    book = KeyFile(file, PEPPER)
    reader, of_reader = book.add(Role.READER)
    late, of_late = book.add(Role.AUDITOR, expires_at=datetime.now(UTC) - timedelta(days=1))
    app = control(KeyRing(file, PEPPER), rate=1)
    with capture_logs() as logs:
        async with client(app) as http:
            secret = {"source": "SECRET"}
            assert (await http.get("/v1/receipts", params=secret)).status_code == 401
            answer = await http.post("/v1/events", headers={"authorization": f"Bearer {of_reader}"}, params=secret)
            assert answer.status_code == 403
            expired = await http.get("/v1/plans/SECRET/stream", headers={"authorization": f"Bearer {of_late}"})
            assert expired.status_code == 401
            assert "expired" in expired.json()["en"]
            await http.get("/SECRET")
            await http.head("/v1/receipts")
    assert [(log["status"], log["key"], log["method"], log["route"], log["peer"]) for log in logs] == [
        (401, None, "GET", "/v1/receipts", "127.0.0.1"),
        (403, reader.id, "POST", "/v1/events", "127.0.0.1"),
        (401, late.id, "GET", "/v1/plans/{plan}/stream", "127.0.0.1"),
        (401, None, "GET", "other", "127.0.0.1"),
        (401, None, "GET", "/v1/receipts", "127.0.0.1"),
    ]
    assert "SECRET" not in str(logs)
    assert of_reader not in str(logs)


async def test_routes_of_included_routers_are_named_whole_where_they_are_refused_and_where_they_are_taken() -> None:
    """FastAPI keeps an included router as one route without a path, whose own routes know nothing of its prefix."""
    months, plans = APIRouter(), APIRouter()
    months.add_api_route("/{plan}/months/{month}/close", lambda: 1, methods=["POST"])
    plans.include_router(months, prefix="/v1/plans")
    app = FastAPI()
    app.include_router(plans)
    app.router.add_route("/{path:path}", _who)
    names, seen = RouteNames(app.routes), []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        wanted = names.wanted(scope)
        await app(scope, receive, send)
        seen.append((wanted, names.taken(scope)))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(watched), base_url=HERE) as http:
        for method, path in (("POST", "/v1/plans/p/months/2024-03/close"), ("GET", "/SECRET"), ("PUT", "/SECRET")):
            await http.request(method, path)
    close, rest = "/v1/plans/{plan}/months/{month}/close", "/{path:path}"
    assert seen == [(close, close), (rest, rest), (rest, rest)]
    assert {close, rest} <= names.all


async def test_one_key_has_so_many_requests_at_once_and_another_its_own(file: Path) -> None:
    book, most = KeyFile(file, PEPPER), access._MOST_AT_ONCE
    secrets = [book.add(Role.AUDITOR)[1] for _ in range(2)]
    running, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_request: Request) -> JSONResponse:
        running.release()
        await go_on.wait()
        return JSONResponse({})

    app = AccessControl(Starlette(routes=[Route("/v1/receipts", wait)]), KeyRing(file, PEPPER), 1000, Health())
    async with client(app, key=secrets[0]) as first, client(app, key=secrets[1]) as second:
        requests = [asyncio.create_task(first.get("/v1/receipts")) for _ in range(most)]
        for _ in range(most):
            await running.acquire()
        refused = await first.get("/v1/receipts")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        others = asyncio.create_task(second.get("/v1/receipts"))
        await running.acquire()
        go_on.set()
        assert {answer.status_code for answer in await asyncio.gather(*requests, others)} == {200}
        assert (await first.get("/v1/receipts")).status_code == 200


async def test_a_flood_of_refusals_is_counted_and_not_written_out(file: Path) -> None:
    _, secret = KeyFile(file, PEPPER).add(Role.AUDITOR)
    app = control(KeyRing(file, PEPPER), rate=1)
    with capture_logs() as logs:
        async with client(app, key=secret) as http:
            statuses = [(await http.get("/v1/receipts")).status_code for _ in range(1100)]
        assert statuses.count(429) > 50
        assert 20 <= len(logs) < 40
        await asyncio.sleep(1.1)
        async with client(app) as http:
            await http.get("/v1/receipts")
    assert sum(log["not_logged"] for log in logs) == statuses.count(429) + 1 - len(logs)
    assert {log["status"] for log in logs} == {401, 429}


@pytest.mark.parametrize("ends", ["revoked", "expired", "keys are made"])
async def test_a_stream_ends_once_its_reader_is_no_longer_let_in(file: Path, ends: str) -> None:
    book = KeyFile(file, PEPPER)
    headers = {}
    if ends == "keys are made":
        book.add(Role.SERVICE)
    else:
        expires_at = datetime.now(UTC) + timedelta(seconds=0.5) if ends == "expired" else None
        key, secret = book.add(Role.READER, expires_at=expires_at)
        headers = {"authorization": f"Bearer {secret}"}
    app = control(KeyRing(file, PEPPER))
    parts: list[bytes] = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        parts.append(message["body"])
        if len(parts) == 3:
            if ends == "revoked":
                book.revoke(key.id)
            elif ends == "keys are made":
                book.add(Role.READER)
        if not message.get("more_body"):
            ended.set()

    scope = {
        "type": "http", "method": "GET", "path": "/v1/plans/p/stream", "raw_path": b"", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), *((name.encode(), text.encode()) for name, text in headers.items())],
        "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
    }  # fmt: skip
    await asyncio.wait_for(app(scope, receive, send), 10)
    assert len(parts) >= 3
    assert parts[-1] == b""


async def test_transport_security_is_promised_where_there_is_tls_alone() -> None:
    async with client(control(KeyRing(None, ""))) as http:
        plain = await http.get("/v1/receipts")
    async with client(control(KeyRing(None, "")), HERE.replace("http", "https")) as http:
        secure = await http.get("/v1/receipts")
    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert secure.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in secure.headers["permissions-policy"]


async def test_readiness_warns_a_month_before_a_key_expires(file: Path) -> None:
    book = KeyFile(file, PEPPER)
    health = Health()
    app = control(KeyRing(file, PEPPER), health)
    soon, _ = book.add(Role.READER, expires_at=datetime.now(UTC) + timedelta(days=30))
    book.add(Role.READER, expires_at=datetime.now(UTC) + timedelta(days=32))
    book.add(Role.READER)
    revoked, _ = book.add(Role.READER, expires_at=datetime.now(UTC) + timedelta(days=1))
    book.revoke(revoked.id)
    async with client(app) as http:
        await http.get("/readyz")
        assert soon.id in health.warnings["keys"]
        assert revoked.id not in health.warnings["keys"]
        assert len(health.warnings["keys"].partition(":")[2].split(",")) == 1
        assert health.problems == {}
        book.rotate(soon.id, timedelta(0), expires_at=datetime.now(UTC) + timedelta(days=365))
        await http.get("/readyz")
        assert health.warnings == {}


BROWSER: Final = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_browser_at_an_unknown_address_gets_a_page_with_a_way_back_and_a_program_gets_json(
    file: Path, keyed: bool
) -> None:
    KeyFile(file, PEPPER).add(Role.READER, (), "director", None)
    ring = KeyRing(file, PEPPER) if keyed else KeyRing(None, "")
    app = Starlette(routes=[Route("/", _who), Route("/v1/receipts", _who)])
    status = 401 if keyed else 404
    async with client(AccessControl(app, ring, 1000, Health())) as browser:
        page = await browser.get("/no-such-page", headers={**BROWSER, "accept-language": "en"})
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "style-src 'sha256-" in page.headers["content-security-policy"]
        assert "www-authenticate" not in page.headers
        assert page.text.index("There is no such page</h1>") < page.text.index("没有这个页面</h1>")
        assert page.text.count('href="/"') == 2
        shared = await browser.get("/?from=timeline", headers=BROWSER)  # as chat programs hang it on links
        assert (shared.status_code, shared.text.count('href="/"')) == (422, 2)
        for path, headers in (("/v1/no-such", BROWSER), ("/no-such-page", {}), ("/no-such-page", {"accept": "*/*"})):
            answer = await browser.get(path, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    async with client(control(ring)) as browser:  # a service without a first page
        answer = await browser.get("/no-such-page", headers=BROWSER)
        assert answer.headers["content-type"] == "application/problem+json"
