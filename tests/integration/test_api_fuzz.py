"""Whatever is asked of the HTTP door is answered: no 500, no dead process, never a stack trace."""

from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from tests.harness.languages import every_type, sample
from tests.harness.mutations import spoiled
from tests.harness.processes import System

SERVICES = ("recruitment",)
OF_THE_LOG = {"application/x-ndjson", "application/octet-stream", "text/plain"}
KINDS = {"application/json", "application/problem+json", *OF_THE_LOG}


def test_schemathesis_finds_no_server_error(running: System) -> None:
    api = running.the("recruitment", "api")
    requests = 0
    for operation in schemathesis.openapi.from_url(f"{api.url}/openapi.json").get_all_operations():
        assert isinstance(operation, Ok)

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=50, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        def ask(case: "schemathesis.Case[Any]") -> None:
            nonlocal requests
            requests += 1
            response = case.call()
            assert response.status_code < 500, response.text
            assert response.headers["content-type"][0].partition(";")[0] in KINDS
            assert b"Traceback" not in response.content

        ask()
    assert requests > 100


def test_spoiled_reports_over_http_are_each_answered(running: System) -> None:
    api = running.the("recruitment", "api")
    reports = [sample(language.service, event.type_name) for language, event in every_type() if not event.decision]
    with httpx.Client(base_url=api.url) as client:
        for _, raw in spoiled(reports, 1_000, seed=7):
            answer = client.post("/v1/events", content=raw, headers={"content-type": "application/cloudevents+json"})
            assert answer.status_code in (200, 202, 400, 422), answer.text
            assert answer.headers["content-type"].partition(";")[0] in KINDS
        assert client.get("/readyz").status_code == 200
