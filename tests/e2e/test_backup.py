"""`make backup` and `make restore` as an operator types them, on the stack with the demo feed, while Kafka moves on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import counted, make
from tests.harness.processes import eventually
from tests.harness.reports import certificate_issued, person_hired, subsidy_claimed

BATCH = {"content-type": "application/cloudevents-batch+json"}


def reconciled(folder: Path) -> bool:
    done = make(folder, "reconcile", JSON="1")
    result = json.loads(done.stdout)
    assert (done.returncode == 0) == result["equal"]
    return bool(result["equal"])


def numbers(addresses: dict[str, str]) -> dict[str, Any]:
    """Return every number, once all that was decided is counted."""
    progress = counted(addresses, as_of="2025-12-31")
    return {row["id"]: [period["value"] for period in row["periods"]] for row in progress["indicators"]}


@pytest.mark.timeout(600)
def test_what_came_after_the_backup_is_there_after_the_restore_and_counted_once(
    state: Path, addresses: dict[str, str], tmp_path: Path
) -> None:
    def post(service: str, *reports: dict[str, Any]) -> list[str]:
        answer = httpx.post(f"{addresses[service]}/v1/events", json=reports, headers=BATCH, timeout=30)
        return [receipt["status"] for receipt in answer.json()["results"]]

    hires = [person_hired(f"backup-{n}") for n in range(40)]
    certificates = [certificate_issued(f"backup-{n}") for n in range(10)]
    claims = [subsidy_claimed(f"backup-{n}") for n in range(10)]
    hired = numbers(addresses)["4.1.b"][1]
    assert set(post("recruitment", *hires[:20]) + post("competition", *certificates[:5])) == {"accepted"}
    others = set((state / "backups").glob("*"))
    done = make(state, "backup")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = set((state / "backups").glob("*")) - others
    assert set(post("recruitment", *hires[20:]) + post("competition", *certificates[5:])) == {"accepted"}
    eventually(lambda: "waiting" not in post("subsidy", *claims))  # it has heard of the certificates
    before = numbers(addresses)
    assert before["4.1.b"][1] == hired + 40

    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "recruitment.dump").write_bytes(b"x")
    refused = make(state, "restore", FROM=str(damaged))
    assert refused.returncode != 0
    assert "missing or damaged" in refused.stderr
    assert post("recruitment", hires[0]) == ["duplicate"], "nothing was stopped"

    for service in ("recruitment", ""):
        restored = make(state, "restore", FROM=str(folder), **({"SERVICE": service} if service else {}))
        assert restored.returncode == 0, restored.stdout + restored.stderr
        eventually(lambda: numbers(addresses) == before)
        assert set(post("recruitment", *hires)) == {"duplicate"}
        eventually(lambda: reconciled(state))
