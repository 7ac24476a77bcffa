"""While many reports on one subject are decided the event loop goes on: no step of it takes a probe's time."""

from __future__ import annotations

import json
import time
from typing import Final

import pytest

from tests.harness.service import (
    ON_POSTGRES,
    ReportFields,
    ServiceHarness,
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


def raised(demand: str) -> ReportFields:
    return report("recruitment", "demand-raised", f"raised-{demand}", subject=f"demand/{demand}", persons=20 * _REPORTS)


def matched(number: str, demand: str = "D") -> ReportFields:
    return report("recruitment", "demand-matched", number, subject=f"demand/{demand}", persons=1)


async def accepted(harness: ServiceHarness, reports: list[ReportFields]) -> float:
    """Report a batch; return the processor time that it took this process, which is all of the service."""
    body, began = json.dumps(reports), time.process_time()
    answer = await harness.http.post("/v1/events", content=body, headers=_BATCH)
    took = time.process_time() - began
    assert {receipt["status"] for receipt in answer.json()["results"]} == {"accepted"}
    return took


@IN_MODULE
@ON_POSTGRES
async def test_no_step_of_the_loop_is_long_while_a_thousand_reports_on_a_subject_are_decided(
    harnesses: ServiceHarnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await harnesses.at("recruitment")
    await harness.say(raised("D"))
    longest = []
    with collected_as_in_services():
        for batch in range(3):
            with timed_steps(monkeypatch) as steps:
                await accepted(harness, [matched(f"{batch}-{number}") for number in range(_REPORTS)])
            longest.append(max(steps))
    # The least of three, since a step that is too long is so in each of them, and a machine may be slow once.
    assert min(longest) < _PROBE_SECONDS, longest


@IN_MODULE
@ON_POSTGRES
async def test_a_thousand_reports_on_a_subject_cost_little_more_than_on_as_many_and_the_tenth_thousand_no_more(
    harnesses: ServiceHarnesses,
) -> None:
    harness = await harnesses.at("recruitment")
    apart = [f"apart-{number}" for number in range(_REPORTS)]
    await harness.say(raised("hot"))
    await accepted(harness, [raised(demand) for demand in apart])
    with collected_as_in_services():
        different = await accepted(harness, [matched(f"on-{demand}", demand) for demand in apart])
        hot = [
            await accepted(harness, [matched(f"hot-{batch}-{number}", "hot") for number in range(_REPORTS)])
            for batch in range(10)
        ]
    # The lesser of two, since a machine may be slow once: of those that are held to a bound.
    assert min(hot[:2]) < 3 * different, (different, hot)
    assert min(hot[-2:]) < 1.5 * max(hot[:2]), hot
