"""`make backup` and `make restore` as an operator types them, on the stack with the demo feed, while Kafka moves on."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local import installation
from deploy.operations import inboxes, kept_backups
from shared.contract.events import LOCAL_TIME
from shared.kafka.clients import Broker
from tests.e2e.conftest import counted, make
from tests.faults.disk import Small, own_disk
from tests.harness.processes import eventually, run
from tests.harness.reports import certificate_issued, hire_ended, person_hired, subsidy_claimed
from tests.harness.topics import publish, structured, whole

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


def backed_up(state: Path) -> Path:
    before = set((state / "backups").glob("2*"))
    done = make(state, "backup")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = set((state / "backups").glob("2*")) - before
    return folder


def receipt_of(addresses: dict[str, str], report: dict[str, Any]) -> str:
    query = {name: report[name] for name in ("source", "id")}
    answer = httpx.get(f"{addresses['recruitment']}/v1/receipts", params=query, timeout=30)
    return str(answer.json().get("status"))


def raw_reports_go_once_a_backup_of_a_day_ago_has_what_was_decided(
    state: Path, kafka: str, place: tuple[str, int, int]
) -> None:
    """The second backup is made a day older by its name in the file that says what each reached."""
    topic, partition, offset = place

    def there() -> bool:
        return (partition, offset) in {(message.partition, message.offset) for message in whole(kafka, topic)}

    # What is decided is committed a moment later.
    decided = f"{topic}/{partition}"
    eventually(lambda: run(inboxes.decided(Broker(kafka), "recruitment")).get(decided) == offset + 1)
    second, file = backed_up(state), state / "backups" / "inboxes.json"
    reached = json.loads(file.read_text())
    assert reached[second.name][decided] == offset + 1
    assert there(), "a day has not passed"
    a_day_ago = f"{datetime.strptime(second.name, '%Y%m%dT%H%M%S%z') - timedelta(hours=25):%Y%m%dT%H%M%SZ}"
    file.write_text(json.dumps({a_day_ago: reached[second.name]}))
    backed_up(state)
    assert not there()


@pytest.mark.timeout(900)
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
    folder = backed_up(state)
    waits = hire_ended("backup-opened-later")
    places = publish(addresses["kafka"], [structured(waits)])
    eventually(lambda: receipt_of(addresses, waits) == "waiting")
    raw_reports_go_once_a_backup_of_a_day_ago_has_what_was_decided(state, addresses["kafka"], places[0])
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
        # Its bytes are no longer on the broker, and the backup is from before it came.
        assert post("recruitment", waits) == ["duplicate"]
        assert receipt_of(addresses, waits) == "waiting"
    assert post("recruitment", person_hired("backup-opened-later")) == ["accepted"]
    assert receipt_of(addresses, waits) == "accepted"
    rotated = make(state, "keys", ARGS="rotate-service recruitment")
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    assert make(state, "up", DEMO="0").returncode == 0
    assert set(post("recruitment", *hires)) == {"duplicate"}
    assert post("recruitment", person_hired("backup-rotated")) == ["accepted"]
    refused = make(state, "restore", FROM=str(folder), SERVICE="recruitment")
    assert refused.returncode != 0
    assert "belongs to other keys" in refused.stderr, "its own file of keys brings it back"


@pytest.mark.timeout(400)
def test_what_is_due_is_done_once_and_a_backup_that_is_of_no_use_is_named(state: Path) -> None:
    backups, this_minute = state / "backups", f"{datetime.now(LOCAL_TIME):%H:%M}"
    record = backups / "restore-test.json"
    record.unlink(missing_ok=True)

    def do_what_is_due(*, nothing: bool) -> dict[str, Any]:
        done = make(state, "backup-due", AT=this_minute)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("is due yet" in done.stdout) is nothing
        tested: dict[str, Any] = json.loads(record.read_text())
        return tested

    tested, names = do_what_is_due(nothing=False), kept_backups.whole(backups)
    assert (tested["backup"], tested["problems"]) == (names[-1], [])
    assert tested["facts"] > 0
    assert (do_what_is_due(nothing=True), kept_backups.whole(backups)) == (tested, names), "nothing was due"
    well = record.read_text()
    spoiled = shutil.copytree(backups / names[-1], backups / "20991231T000000Z")
    try:
        (spoiled / "recruitment.dump").write_bytes(b"x")
        refused = make(state, "restore-test")
        assert refused.returncode != 0
        assert "missing or damaged" in json.loads(record.read_text())["problems"][0]
        assert "make restore-test" in make(state, "doctor").stdout
    finally:
        shutil.rmtree(spoiled)
        record.write_text(well)
    left = run(_databases(installation.load(state).superuser))
    assert not any(name.endswith("_tested") for name in left)


def test_a_full_disk_is_one_sentence_and_leaves_no_part_of_a_backup(state: Path, tmp_path: Path) -> None:
    place, keys = tmp_path / "full", tmp_path / "keys"
    with own_disk(place, 1, None) as disk:
        if not isinstance(disk, Small):
            pytest.skip("nothing may be mounted here")
        disk.fill(0)
        refused = make(state, "backup", TO=str(place), KEYS=str(keys))
        left = [file for file in place.rglob("*") if file.name != "ballast"]
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].endswith("No space left on device"), refused.stderr
    assert (left, keys.exists()) == ([], False)


async def _databases(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row["datname"] for row in await connection.fetch("select datname from pg_database")]
    finally:
        await connection.close()
