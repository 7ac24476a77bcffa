"""The plan office's journey on `make up`: adopt, report, behind, revise, close, a late fact, restate (contract F)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.e2e.conftest import DISTRICTS, PLAN, make, plan_office, progress_of
from tests.harness.processes import eventually
from tests.harness.reports import person_hired

MONTH: Final = "2024-11"


def cell(addresses: dict[str, str], as_of: str) -> dict[str, Any]:
    progress = progress_of(addresses, as_of=as_of)
    (row,) = [row for row in progress["indicators"] if row["id"] == "4.1.b"]
    (period,) = [period for period in row["periods"] if period["period"] == "2024"]
    return dict(period)


def behind(addresses: dict[str, str]) -> bool:
    answer = httpx.get(
        f"{addresses['projection']}/v1/plans/{PLAN}/behind", params={"as_of": "2024-12-31"}, timeout=10
    ).json()
    return "4.1.b" in {row["id"] for row in answer["behind"] if row["district"] is None}


def closing(addresses: dict[str, str]) -> dict[str, Any]:
    answer = httpx.get(f"{addresses['projection']}/v1/plans/{PLAN}/closings/{MONTH}", timeout=10)
    assert answer.status_code == 200, answer.text
    (row,) = [row for row in answer.json()["figures"] if row["indicator"] == "4.1.b"]
    return dict(row)


def hire(addresses: dict[str, str], name: str) -> None:
    report = person_hired(name, hired_on="2024-11-05")
    report["time"] = "2024-11-05T10:00:00+08:00"
    receipt = httpx.post(f"{addresses['recruitment']}/v1/events", json=report, timeout=10).json()
    assert receipt["status"] == "accepted", receipt


@pytest.mark.timeout(400)
def test_from_an_adoption_to_a_restatement(state: Path, addresses: dict[str, str]) -> None:
    # Whatever ran before may have closed a month: then a reason is asked for.
    plan_office(state, "adopt", f"plans/{PLAN}.yaml", "--yes", "--from", "2023-01-01", "--why", "演示")
    hire(addresses, "planning-1")
    eventually(lambda: behind(addresses), within=20)
    revised = plan_office(state, "revise", "4.1.b", ">=1", "--from", "2024-07-01", "--why", "中期评估")
    eventually(lambda: cell(addresses, "2024-12-31")["met"], within=20)
    assert not behind(addresses)
    pace = cell(addresses, "2024-12-31")["pace"]
    assert pace["revision"] == revised["id"]
    assert {name: pace["decided"][name] for name in ("effective_from", "why")} == {
        "effective_from": "2024-07-01",
        "why": "中期评估",
    }
    assert cell(addresses, "2024-06-30")["target"]["value"] == 1000
    plan_office(state, "override", MONTH, *DISTRICTS, "--by", "分管领导", "--why", "演示")
    plan_office(state, "close", MONTH)
    eventually(lambda: closing(addresses)["after_close"]["more"] == 0, within=20)
    published = closing(addresses)["numerator"]
    hire(addresses, "planning-2")
    eventually(lambda: closing(addresses)["after_close"]["more"] == 1, within=20)
    assert closing(addresses)["numerator"] == published
    request = ("--ask", "--by", "诸暨市统计科", "--why", "补报", "--number", "R-1")
    plan_office(state, "restate", MONTH, *request, "--source", "/districts/330681/statistics")
    plan_office(state, "restate", MONTH, "--number", "R-1")
    eventually(lambda: closing(addresses)["numerator"] == published + 1, within=20)
    assert closing(addresses)["after_close"]["more"] == 0
    plan_office(state, "withdraw", f"target/{PLAN}/4.1.b", revised["id"], "--why", "演示结束")
    eventually(lambda: cell(addresses, "2024-12-31")["target"]["value"] == 1000, within=20)
    # What the plan office recorded is in no ledger, and in no reconciliation of one.
    done = make(state, "reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
