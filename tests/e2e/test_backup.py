"""`make backup` and `make restore` as an operator types them, on the stack with the demo feed, while Kafka moves on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import new_state_folder
from tests.e2e.conftest import addresses_of, make, progress_of
from tests.integration.processes import eventually
from tests.integration.reports import certificate_issued, person_hired, subsidy_claimed

BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture(scope="module")
def own() -> Iterator[Path]:
    """An installation of this module alone: it is set back again and again."""
    with new_state_folder() as folder:
        up = make(folder, "up", DEMO="0")
        assert up.returncode == 0, up.stdout + up.stderr
        yield folder


def reconciled(folder: Path) -> bool:
    told = make(folder, "reconcile", JSON="1")
    shown = json.loads(told.stdout)
    assert (told.returncode == 0) == shown["equal"]
    return bool(shown["equal"])


def numbers(addresses: dict[str, str]) -> dict[str, Any]:
    shown = progress_of(addresses, as_of="2025-12-31")
    assert all(one["behind_events"] == 0 for one in shown["complete_to"].values())
    return {one["id"]: [period["value"] for period in one["periods"]] for one in shown["indicators"]}


@pytest.mark.timeout(600)
def test_what_came_after_the_backup_is_there_after_the_restore_and_counted_once(own: Path) -> None:
    addresses = addresses_of(own)

    def post(service: str, *reports: dict[str, Any]) -> list[str]:
        answer = httpx.post(f"{addresses[service]}/v1/events", json=reports, headers=BATCH, timeout=30)
        return [receipt["status"] for receipt in answer.json()["results"]]

    hires = [person_hired(f"backup-{n}") for n in range(40)]
    certificates = [certificate_issued(f"backup-{n}") for n in range(10)]
    claims = [subsidy_claimed(f"backup-{n}") for n in range(10)]
    assert set(post("recruitment", *hires[:20]) + post("competition", *certificates[:5])) == {"accepted"}
    done = make(own, "backup")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (own / "backups").iterdir()
    assert set(post("recruitment", *hires[20:]) + post("competition", *certificates[5:])) == {"accepted"}
    post("subsidy", *claims)
    eventually(lambda: numbers(addresses)["4.1.b"] == [0, 40, 0])
    before = numbers(addresses)

    damaged = own / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "recruitment.dump").write_bytes(b"x")
    refused = make(own, "restore", FROM=str(damaged))
    assert refused.returncode != 0
    assert "missing or damaged" in refused.stderr
    assert post("recruitment", hires[0]) == ["duplicate"], "nothing was stopped"

    for service in ("recruitment", ""):
        restored = make(own, "restore", FROM=str(folder), **({"SERVICE": service} if service else {}))
        assert restored.returncode == 0, restored.stdout + restored.stderr
        eventually(lambda: numbers(addresses) == before)
        assert set(post("recruitment", *hires)) == {"duplicate"}
        eventually(lambda: reconciled(own))
