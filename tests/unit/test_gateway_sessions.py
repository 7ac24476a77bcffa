"""A key is pasted once a browser: the cookie stands for it, page and gateway alone can use it, and it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from services.gateway.sessions import COOKIE, TOKEN_COOKIE, TOKEN_HEADER, BrowserSessions, Sessions, router_of
from shared.http.access import AccessControl
from shared.http.api_keys import KeyFile, KeyRing, Role
from shared.http.problems import answer_problems
from shared.observability.health import Health

PEPPER = "ab" * 32
SOURCE = "/districts/330681/office"


class Clock:
    now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path / "keys.json", PEPPER)
    file.create()
    return file


@pytest.fixture
async def web(keys: KeyFile, clock: Clock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway of nothing but sessions, and a route that says what reaches it."""
    app = FastAPI()
    answer_problems(app)
    sessions = Sessions(b"k" * 32, clock)
    app.include_router(router_of(sessions))

    @app.api_route("/v1/events", methods=["GET", "POST"])
    async def reached(request: Request) -> list[str]:
        return sorted(request.headers)

    ring = KeyRing(tmp_path / "keys.json", PEPPER)
    gate = BrowserSessions(AccessControl(app, ring, 2000, Health()), sessions)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gateway") as client:
        yield client


async def signed_in(web: httpx.AsyncClient, key: str, days: str = "0") -> httpx.Response:
    response = await web.post("/v1/session", params={"days": days}, headers={"authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.text
    return response


async def test_a_session_stands_for_its_key_and_holds_it_unreadable(keys: KeyFile, web: httpx.AsyncClient) -> None:
    held, key = keys.add(Role.DISTRICT, (SOURCE,), "clerk", None)
    response = await signed_in(web, key)
    assert response.json() == {"key": held.id, "role": "district", "label": held.label, "sources": [SOURCE]}
    session, token = response.headers.get_list("set-cookie")
    assert session.startswith(COOKIE)
    assert "HttpOnly" in session
    assert "SameSite=Strict" in session
    assert "Max-Age" not in session
    assert "HttpOnly" not in token
    assert key not in session + token
    assert (await web.get("/v1/session")).json()["key"] == held.id
    reached = await web.get("/v1/events")
    assert "cookie" not in reached.json()
    assert "authorization" in reached.json()


async def test_thirty_days_on_request_and_not_one_more(keys: KeyFile, web: httpx.AsyncClient, clock: Clock) -> None:
    _, key = keys.add(Role.DISTRICT, (SOURCE,), "clerk", None)
    session = (await signed_in(web, key, "30")).headers.get_list("set-cookie")[0]
    assert f"Max-Age={30 * 24 * 3600}" in session
    clock.now += timedelta(days=30, seconds=-5)
    assert (await web.get("/v1/session")).status_code == 200
    clock.now += timedelta(seconds=10)
    assert (await web.get("/v1/session")).status_code == 401
    assert COOKIE not in web.cookies, "the browser is told to forget it"


async def test_what_changes_something_needs_the_token_that_a_page_of_elsewhere_cannot_read(
    keys: KeyFile, web: httpx.AsyncClient
) -> None:
    _, key = keys.add(Role.DISTRICT, (SOURCE,), "clerk", None)
    await signed_in(web, key)
    for token in ("", "0" * 64):
        forged = await web.post("/v1/events", headers={TOKEN_HEADER: token})
        assert forged.status_code == 403
        assert forged.headers["x-content-type-options"] == "nosniff", "it is refused as everything is"
    own = {TOKEN_HEADER: web.cookies[TOKEN_COOKIE]}
    assert (await web.post("/v1/events", headers=own)).status_code == 200
    web.cookies.set(COOKIE, web.cookies[COOKIE][:-4] + "AAAA")
    assert (await web.get("/v1/session")).status_code == 401


async def test_a_session_ends_by_signing_out_and_by_revoking_the_key(keys: KeyFile, web: httpx.AsyncClient) -> None:
    held, key = keys.add(Role.DISTRICT, (SOURCE,), "clerk", None)
    await signed_in(web, key)
    assert (await web.delete("/v1/session", headers={TOKEN_HEADER: web.cookies[TOKEN_COOKIE]})).status_code == 204
    assert COOKIE not in web.cookies
    await signed_in(web, key)
    keys.revoke(held.id)
    assert (await web.get("/v1/session")).status_code == 401
    assert COOKIE not in web.cookies


async def test_a_key_of_its_own_comes_before_a_cookie(keys: KeyFile, web: httpx.AsyncClient) -> None:
    _, key = keys.add(Role.DISTRICT, (SOURCE,), "clerk", None)
    other, other_key = keys.add(Role.READER, (), "director", None)
    await signed_in(web, key)
    own = await web.get("/v1/session", headers={"authorization": f"Bearer {other_key}"})
    assert own.json()["key"] == other.id
    wrong = await web.post("/v1/session", headers={"authorization": "Bearer sk_no_no"})
    assert wrong.status_code == 401
