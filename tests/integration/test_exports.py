"""Who asks for exports and does not read them holds no connection, and delays nobody while they are written."""

from __future__ import annotations

from typing import Final

import asyncpg
import httpx
import pytest

from services.projection.api import create_app
from shared.observability.health import Health
from shared.observability.metrics import Metrics
from tests.bench.slow_readers import BRIEFING, LISTED, PROGRESS, are_written, fill_listed, who_read_nothing
from tests.harness.processes import System, eventually, run
from tests.harness.steps import collected_as_in_services, timed_steps

_FACTS: Final = 20_000
_PAGE: Final = 5_000
_EXPORTS: Final = (LISTED, f"{LISTED}&format=xlsx", f"{BRIEFING}&format=xlsx&facts=true", BRIEFING)
_FORMS: Final = (*_EXPORTS, f"{LISTED}&format=csv", f"{BRIEFING}&format=docx", f"{BRIEFING}&format=pdf",
                 f"{BRIEFING}&format=json")  # fmt: skip
_PAGES: Final = (f"{LISTED}&limit={_PAGE}&after=0", f"{LISTED}&limit={_PAGE}&after=0&format=csv")
_FACT: Final = {
    "type": "skillplan.recruitment.person-hired.v1",
    "subject": "hire/H-1",
    "district": "330681",
    "time": "2024-03-05T09:00:00+08:00",
    "data": {"channel": "gold-blue-collar", "hired_on": "2024-03-05", "person": {"token": "a" * 32}},
}
_PROBE_SECONDS: Final = 0.1


def _states(system: System) -> list[str]:
    """Return what each connection of exports does, as their own role may see it."""
    sql = (
        "select state from pg_stat_activity where datname = current_database()"
        " and application_name = 'skillplan projection exports'"
    )
    return [row["state"] for row in system.query("projection", sql, as_role=True)]


@pytest.mark.timeout(600)
def test_who_reads_nothing_of_an_export_holds_no_connection(system: System) -> None:
    api = system.process("projection", "api")
    run(fill_listed(system.databases["projection"].dsn, _FACTS))
    api.start()
    assert len(api.http.get(LISTED, timeout=100).json()["facts"]) == _FACTS
    assert _states(system) == ["idle"]
    for path in _EXPORTS:
        with who_read_nothing(api, path) as readers:
            for _ in range(10):
                assert api.http.get(PROGRESS).status_code == 200
            # Their answers are read and written, one after another; then they hold nothing, unread as they are.
            eventually(lambda: set(_states(system)) == {"idle"} and are_written(readers), 120, pause=1)


def test_no_step_of_the_loop_is_long_while_exports_are_written(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay of a question is made of such steps, some twenty of them; by processor time, on any machine."""

    async def longest_of(path: str, body: object = None) -> float:
        pool = await asyncpg.create_pool(system.databases["projection"].dsn, min_size=0)
        app = create_app(pool, {}, httpx.AsyncClient(), Metrics("projection", "api", Health()), b"k" * 32)
        async with pool, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            await client.get(PROGRESS)  # what is made once, as the queries' SQL, is made
            longest = []
            for _ in range(3):
                with timed_steps(monkeypatch) as steps:
                    answer = await client.request("POST" if body else "GET", path, json=body)
                assert answer.status_code == 200, answer.text
                longest.append(max(steps))
            return min(longest)  # a step that is too long is so in each of them

    system.process("projection", "api")  # its database
    run(fill_listed(system.databases["projection"].dsn, _PAGE))
    with collected_as_in_services():
        longest = {path: run(longest_of(path)) for path in (*_FORMS, *_PAGES)}
        longest["would-count"] = run(longest_of("/v1/would-count", {"facts": [_FACT] * _PAGE}))
    assert max(longest.values()) < _PROBE_SECONDS / 2, longest
