"""Parameters of the read API: days and instants in one form only, and pages that end where the rows do."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from services.catalogue import DOMAIN_SERVICES
from services.projection.assessment.assessment import Scope
from services.projection.queries.facts import place_of
from services.projection.queries.parameters import page_of, parse_day, scope_of
from shared.http.access import AccessControl
from shared.http.api_keys import KeyRing
from shared.http.problems import Problem
from shared.http.query_parameters import ELSEWHERE
from shared.http.route_names import each_route
from shared.observability.health import Health
from shared.observability.metrics import Metrics
from shared.plan.loading import load_plan
from shared.process.process import add_probes
from tests.harness.apis import app_of

PLAN = load_plan(Path(__file__).parents[2] / "plans" / "shaoxing-2023-2025.yaml")
NOW = datetime(2024, 5, 31, 17, tzinfo=UTC)


def test_a_day_is_four_two_and_two_digits() -> None:
    assert parse_day("as_of", "2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "2024-1-5",
        "2024-01-5",
        "20240105",
        "2024-W01-5",
        "2024-02-30",
        "2024-01-05T00:00",
        " 2024-01-05",
        "２０２４-01-05",
        "",
    ],
)
def test_a_day_in_another_form_is_a_wrong_parameter(text: str) -> None:
    with pytest.raises(Problem) as problem:
        parse_day("as_of", text)
    assert problem.value.status == 422
    assert "YYYY-MM-DD" in problem.value.en


def test_what_is_left_out_is_today_in_the_city_and_now() -> None:
    assert scope_of(PLAN, None, None, None, NOW) == Scope(date(2024, 6, 1), NOW)


def test_of_made_up_data_its_last_day_is_shown_unless_another_is_named() -> None:
    example = date(2025, 6, 30)
    assert scope_of(PLAN, None, None, None, NOW, example) == Scope(example, NOW)
    assert scope_of(PLAN, "2024-02-29", None, None, NOW, example).as_of == date(2024, 2, 29)


@pytest.mark.parametrize("text", ["2024-05-01T09:00:00+08:00", "2024-05-01T01:00:00Z", "2024-05-01T09:00:00 08:00"])
def test_an_instant_has_an_offset_and_a_bare_plus_in_a_query_is_a_space(text: str) -> None:
    assert scope_of(PLAN, None, text, None, NOW).known_at == datetime(2024, 5, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2024-05-01", "2024-05-01T09:00:00", "2024-5-1T09:00:00Z", "now"])
def test_an_instant_in_another_form_is_a_wrong_parameter(text: str) -> None:
    with pytest.raises(Problem) as problem:
        scope_of(PLAN, None, text, None, NOW)
    assert problem.value.status == 422


def test_a_page_names_the_next_one_only_where_rows_are_left() -> None:
    assert page_of([1, 2, 3], 2, lambda rows: rows[-1]) == ([1, 2], "2")
    assert page_of([1, 2], 2, lambda rows: rows[-1]) == ([1, 2], None)


@pytest.mark.parametrize("after", ["x", "2024-1-5.1", "2024-02-30.1", "2024-01-05", "-1"])
def test_a_cursor_that_is_none_of_ours_is_a_wrong_parameter(after: str) -> None:
    with pytest.raises(Problem):
        place_of(after, date(2024, 1, 1))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("district=330681", 200),
        ("district=330681&day=1", 200),
        ("district=330681&district=330602", 422),
        ("district=330681&district=330681", 422),
        ("district=330681&district=", 422),
        ("district=330681&%64istrict=330602", 422),
        ("District=330681", 422),
        ("district[]=330681", 422),
    ],
)
async def test_a_parameter_is_known_and_there_once(query: str, status: int) -> None:
    app = FastAPI()

    @app.get("/")
    async def get(district: str = "", day: str = "") -> str:
        return district + day

    async with _served(app) as client:
        answer = await client.get(f"/?{query}")
    assert answer.status_code == status
    assert status == 200 or {"zh", "en"} <= answer.json().keys()


def _served(app: Starlette) -> httpx.AsyncClient:
    """Return a client of an app as a process serves it, while no keys are set."""
    control = AccessControl(app, KeyRing(None, ""), 1000, Health())
    return httpx.AsyncClient(transport=httpx.ASGITransport(control), base_url="http://127.0.0.1")


@pytest.mark.parametrize("query", ["dry_run=true", "utm_source=x"])
@pytest.mark.parametrize("service", ["gateway", "projection", *DOMAIN_SERVICES, "probes"])
async def test_no_route_of_any_service_leaves_a_parameter_unread(service: str, query: str) -> None:
    """Issue 16.2: who tries with `?dry_run=true` must not have it decided for good."""
    if service == "probes":  # the listener that a worker has
        add_probes(app := Starlette(), Metrics("enrollment", "worker", Health()))
    else:
        app = await app_of(service)
    requests, passed_on = 0, set()
    async with _served(app) as client:
        for route in each_route(app.routes):
            path, endpoint = str(getattr(route, "path", "")), getattr(route, "endpoint", None)
            if endpoint is not None and endpoint in ELSEWHERE:
                passed_on.add(path)
                continue
            path += "/x" if path == "/assets" else ""  # a folder of files
            for method in getattr(route, "methods", None) or ("GET",):
                answer = await client.request(method, f"{re.sub('{[^}]+}', 'x', path)}?{query}")
                assert answer.status_code == 422, (method, path)
                assert method == "HEAD" or {"zh", "en", "status"} <= answer.json().keys()
                requests += 1
    assert requests >= (3 if service == "probes" else 10)
    logs = {"/services/{service}/v1/log", "/services/{service}/v1/log/{what:path}"}
    assert passed_on == ({"/{path:path}", *logs} if service == "gateway" else set())
