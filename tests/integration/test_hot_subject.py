"""While many reports on one subject are decided the event loop goes on: no step of it takes a probe's time."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.harness.service import (
    ON_POSTGRES,
    ReportFields,
    ServiceHarnesses,
    report,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
)
from tests.harness.steps import collected_as_in_services, timed_steps

IN_MODULE: Final = pytest.mark.asyncio(loop_scope="module")
_BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
_REPORTS: Final = 1_000
_PROBE_SECONDS: Final = 0.1


def matched(number: str) -> ReportFields:
    return report("recruitment", "demand-matched", number, subject="demand/D", persons=1)


@IN_MODULE
@ON_POSTGRES
async def test_no_step_of_the_loop_is_long_while_a_thousand_reports_on_a_subject_are_decided(
    harnesses: ServiceHarnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await harnesses.at("recruitment")
    await harness.say(report("recruitment", "demand-raised", "raised", subject="demand/D", persons=10 * _REPORTS))
    longest = []
    with collected_as_in_services():
        for batch in range(3):
            body = json.dumps([matched(f"{batch}-{number}") for number in range(_REPORTS)])
            with timed_steps(monkeypatch) as steps:
                answer = await harness.http.post("/v1/events", content=body, headers=_BATCH)
            assert {receipt["status"] for receipt in answer.json()["results"]} == {"accepted"}
            longest.append(max(steps))
    # The least of three, since a step that is too long is so in each of them, and a machine may be slow once.
    assert min(longest) < _PROBE_SECONDS, longest
