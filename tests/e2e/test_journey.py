"""One journey through the processes of `make up`: what README promises, typed as a newcomer would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import installation, kafka, postgres
from tests.e2e.conftest import PLAN, addresses_of, counted, make, progress_of
from tests.harness.processes import eventually
from tests.harness.reports import certificate_issued, person_hired, subsidy_claimed


def _value(progress: dict[str, Any], indicator: str, period: str) -> Any:
    (row,) = [row for row in progress["indicators"] if row["id"] == indicator]
    (cell,) = [cell for cell in row["periods"] if cell["period"] == period]
    return cell["value"]


def _report(address: str, report: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{address}/v1/events", json=report, timeout=10)


@pytest.mark.timeout(400)
def test_a_reported_hire_moves_the_number_and_its_facts_add_up_to_it(addresses: dict[str, str]) -> None:
    before = _value(counted(addresses), "4.1.b", "2024")
    receipt = _report(addresses["recruitment"], person_hired("journey"))
    assert receipt.status_code == 200, receipt.text
    assert receipt.json()["status"] == "accepted"
    eventually(lambda: _value(progress_of(addresses), "4.1.b", "2024") == before + 1, within=5)
    facts = httpx.get(
        f"{addresses['projection']}/v1/plans/{PLAN}/indicators/4.1.b/facts", params={"period": "2024"}, timeout=10
    )
    assert facts.status_code == 200, facts.text
    assert _report(addresses["recruitment"], person_hired("journey")).json()["status"] == "duplicate"
    assert _value(progress_of(addresses), "4.1.b", "2024") == before + 1


def test_the_projection_knows_a_receipt_whoever_decided_it(addresses: dict[str, str]) -> None:
    report = person_hired("asked-later")
    receipt = _report(addresses["recruitment"], report).json()
    parameters = {"source": report["source"], "id": report["id"]}
    answer = httpx.get(f"{addresses['projection']}/v1/receipts", params=parameters, timeout=10)
    assert answer.json() == {"receipts": [receipt]}
    unknown = httpx.get(f"{addresses['projection']}/v1/receipts", params=parameters | {"id": "never"}, timeout=10)
    assert unknown.status_code == 404


def test_a_wrong_report_is_told_what_is_wrong_in_both_languages(addresses: dict[str, str]) -> None:
    wrong = person_hired("wrong")
    wrong["data"]["hired_on"] = "2024-02-30"
    wrong["data"]["chanel"] = wrong["data"].pop("channel")
    answer = _report(addresses["recruitment"], wrong)
    assert answer.status_code == 422
    reasons = {(reason["code"], reason["pointer"]) for reason in answer.json()["reasons"]}
    assert reasons == {
        ("bad-date", "/data/hired_on"),
        ("unknown-field", "/data/chanel"),
        ("missing-field", "/data/channel"),
    }
    assert all(re.search("[一-鿿]", reason["zh"]) and reason["en"] for reason in answer.json()["reasons"])


def test_a_claim_waits_for_the_certificate_of_another_service(addresses: dict[str, str]) -> None:
    claim = subsidy_claimed("journey")
    waiting = _report(addresses["subsidy"], claim)
    assert waiting.status_code == 202, waiting.text
    assert waiting.json()["waits_for"] == f"certificate/{claim['data']['certificate_number']}"
    issued = certificate_issued("journey")
    issued["subject"] = waiting.json()["waits_for"]
    issued["data"]["person"] = claim["data"]["person"]
    assert _report(addresses["competition"], issued).status_code == 200

    def decided() -> bool:
        receipt = httpx.get(
            f"{addresses['subsidy']}/v1/receipts", params={"source": claim["source"], "id": claim["id"]}, timeout=10
        )
        return bool(receipt.json()["status"] in ("accepted", "refused"))

    eventually(decided, within=10)


def test_rebuild_and_recount_agree(state: Path, addresses: dict[str, str]) -> None:
    def numbers() -> list[Any]:
        progress = counted(addresses)
        return [(i["id"], p["period"], p["value"]) for i in progress["indicators"] for p in i["periods"]]

    before = numbers()
    assert any(value for _, _, value in before)
    recount = make(state, "recount")
    assert recount.returncode == 0, recount.stdout + recount.stderr
    rebuild = make(state, "rebuild")
    assert rebuild.returncode == 0, rebuild.stdout + rebuild.stderr
    eventually(lambda: numbers() == before, within=20)


@pytest.mark.timeout(400)
def test_down_and_up_again_finds_what_was_there(state: Path, addresses: dict[str, str]) -> None:
    before, installed = _value(counted(addresses), "4.1.b", "2024"), installation.load(state)
    assert make(state, "down").returncode == 0
    assert not postgres.is_up(installed.superuser)
    assert not kafka.is_up(installed.bootstrap)
    again = make(state, "up", DEMO="0")
    assert again.returncode == 0, again.stdout + again.stderr
    assert installation.load(state) == installed
    harmless = make(state, "up")
    assert harmless.returncode == 0, harmless.stdout + harmless.stderr
    assert _value(counted(addresses_of(state)), "4.1.b", "2024") == before
