"""A service's key is rotated while reports flow: what the old one wrapped opens all the time, and then by the new."""

from __future__ import annotations

import json
import secrets

import pytest

from shared.log.sealing import Seal
from tests.harness.fork_server import Ended, fork_server
from tests.harness.processes import SERVICE_KEY, Process, System, eventually
from tests.harness.reports import person_hired
from tests.harness.topics import OutgoingMessage, check_answered, publish, standing
from tests.harness.traffic import flowing

pytestmark = pytest.mark.waits

OLD, NEW = "SKILLPLAN_OLD_SERVICE_KEY", "SKILLPLAN_SERVICE_KEY"
UNREADABLE = b"\xefno json"
QUARANTINED = """
    select concat_ws('/', topic, partition, "offset") as place, sealed from quarantine order by number
"""


def rewrap(process: Process, owner_dsn: str, **settings: str) -> Ended:
    environment = {**process.settings, "SKILLPLAN_PG_OWNER_DSN": owner_dsn, **settings}
    return fork_server().run("services.recruitment", ["rewrap"], environment)


def test_a_key_is_rotated_while_reports_flow_and_unreadable_bytes_end(system: System) -> None:
    api, worker = system.start("recruitment", "api", "worker")
    owner, key = system.databases["recruitment"].owner_dsn, secrets.token_hex(32)
    publish(system.kafka, [OutgoingMessage("recruitment.reports.330681", b"x", UNREADABLE)] * 3)
    hires = [person_hired(f"rotated-{n}") for n in range(200)]
    with flowing(api.url, system.kafka, hires[::2], hires[1::2], 8) as flow:
        eventually(lambda: flow.answered > 10 and len(system.query("recruitment", QUARANTINED)) == 3)
        for process in (api, worker):  # both are away before the first is back: none meets what it cannot open
            process.kill(15)
        for process in (api, worker):
            process.settings |= {NEW: key, OLD: SERVICE_KEY}
            process.start(wait=False)
        api.wait_ready()
        wrong = rewrap(api, owner, **{OLD: secrets.token_hex(32)})
        assert (wrong.returncode, len(wrong.output.strip().splitlines())) == (1, 1), wrong.output
        for _ in range(2):  # repeating is harmless
            done = rewrap(api, owner)
            assert done.returncode == 0, done.output
    worker.wait_ready()
    eventually(lambda: None not in standing(system, "recruitment", hires))
    check_answered(system, "recruitment", hires)
    everything_opens_with(system, key, len(hires))
    unreadable_bytes_end_and_the_old_key_is_refused(system, api, worker)


def everything_opens_with(system: System, key: str, count: int) -> None:
    seal = Seal(bytes.fromhex(key))
    wrapped = {row["token"]: row["wrapped"] for row in system.query("recruitment", "select * from person_key")}
    facts = [json.loads(row["bytes"]) for row in system.query("recruitment", "select bytes from fact")]
    persons = [fact["data"]["person"] for fact in facts]
    assert len(persons) == count
    for person in persons:
        assert json.loads(seal.unseal(wrapped[person["token"]], person["token"], person["sealed"]))["id_number"]
    for row in system.query("recruitment", QUARANTINED):
        assert seal.unseal_unreadable(row["sealed"], row["place"]) == UNREADABLE


def unreadable_bytes_end_and_the_old_key_is_refused(system: System, api: Process, worker: Process) -> None:
    for process in (api, worker):
        process.kill(15)
        del process.settings[OLD]
    system.query("recruitment", "update quarantine set at = at - interval '89 days' - number * interval '10 hours'")
    worker.start()

    def ended() -> list[bool]:
        return [row["sealed"] is None for row in system.query("recruitment", QUARANTINED)]

    eventually(lambda: ended() == [False, False, True])  # after 90 days; the row stays
    stale = fork_server().run("services.recruitment", ["api"], api.settings | {NEW: SERVICE_KEY})
    assert stale.returncode == 1
    assert NEW in stale.output
