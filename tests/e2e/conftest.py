"""An installation brought up by `make up`, as a newcomer would type it, and what a test asks of it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, new_state_folder
from tests.harness.processes import eventually
from tests.harness.traces import PACKED, traces

PLAN = "shaoxing-2023-2025"
DISTRICTS = ("330602", "330603", "330604", "330624", "330681", "330683")


def make(state: Path, *targets: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, without what this test run has in its environment; the demo is the small one."""
    environment = {name: value for name, value in os.environ.items() if name not in ("KAFKA_BOOTSTRAP", "PG_DSN")}
    given = [f"{name}={value}" for name, value in {"STATE": str(state), "DEMO": "small", **variables}.items()]
    return subprocess.run(
        ["make", *targets, *given], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """An installation brought up with the demo feed, and taken down at the end."""
    with new_state_folder() as folder:
        up = make(folder, "up")
        assert up.returncode == 0, up.stdout + up.stderr
        assert "4.1.b" in up.stdout
        yield folder
        assert make(folder, "down").returncode == 0


@pytest.fixture
def profiles() -> Iterator[Path]:
    """Where the browsers of a test keep what they keep; a short path, since they have sockets there."""
    with tempfile.TemporaryDirectory(prefix="browsers-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def left_on_disk(state: Path, profiles: Path, values: list[str]) -> set[str]:
    """Return what the browsers of a test, closed or killed, and the installation's logs hold of these values.

    The search is known to find what is there: the language, stored as it is, and the scripts, which were cached packed.
    """
    assert {name.endswith(PACKED) for name in traces(profiles, ["skillplan-language"])} == {False, True}
    return traces(profiles, values) | traces(state / "logs", values)


def plan_office(state: Path, *arguments: str) -> dict[str, Any]:
    """Type a command of the plan office; return what it printed."""
    done = make(state, "plan", ARGS=shlex.join(["--json", *arguments]))
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


@pytest.fixture(scope="session")
def closed_month(state: Path) -> str:
    """A month that is published, so that its pages have something to show whatever ran before."""
    plan_office(state, "override", "2024-10", *DISTRICTS, "--by", "分管领导", "--why", "演示")
    plan_office(state, "close", "2024-10")
    return "2024-10"


def addresses_of(state: Path) -> dict[str, str]:
    """Return the addresses that `make status JSON=1` names."""
    status = make(state, "status", JSON="1")
    assert status.returncode == 0, status.stderr
    addresses: dict[str, Any] = json.loads(status.stdout)
    del addresses["states"], addresses["cities"]
    return addresses


@pytest.fixture(scope="session")
def addresses(state: Path) -> dict[str, str]:
    """Where everything answers, as long as the installation is there: also after a stop and a start."""
    return addresses_of(state)


def progress_of(addresses: dict[str, str], key: str = "", **parameters: str) -> dict[str, Any]:
    """Return the progress of the plan."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{addresses['projection']}/v1/plans/{PLAN}/progress"
    answer = httpx.get(url, params=parameters, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    progress: dict[str, Any] = answer.json()
    return progress


def counted(addresses: dict[str, str], **parameters: str) -> dict[str, Any]:
    """Return the progress once all that is decided by now is counted, of other tests, too.

    The services say how far their logs are: the projection asks them once a second, so that its own `behind_events`
    of 0 may be from before the last report.
    """
    heads = {
        service: httpx.get(f"{addresses[service]}/v1/log/head", params={"settled": "true"}, timeout=20).json()
        for service in progress_of(addresses, **parameters)["complete_to"]
    }

    def whole() -> dict[str, Any] | None:
        progress = progress_of(addresses, **parameters)
        counted_to = progress["complete_to"]
        done = all(counted_to[name]["position"] >= head["position"] for name, head in heads.items())
        return progress if done else None

    progress = eventually(whole)
    assert progress is not None
    return progress


def accepted(addresses: dict[str, str], type_: str, district: str = "330681") -> int:
    """Return how many reports of a type by a district are accepted, each counted once."""
    url, params = f"{addresses['projection']}/v1/districts/{district}/receipts", {"type": type_, "limit": "1"}
    counts: dict[str, int] = httpx.get(url, params=params, timeout=20).json()["counts"]["statuses"]
    return counts.get("accepted", 0)
