"""The whole road under kills: what `/progress` says in the end is a plain count of the accepted facts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.harness.fork_server import fork_server
from tests.harness.processes import Process, System, eventually
from tests.harness.reports import Report, fair_held, organisation, person, person_hired
from tests.harness.topics import check_answered, check_log
from tests.harness.traffic import flowing, moments

pytestmark = pytest.mark.waits

SERVICES = ("recruitment",)
SECONDS = 8.0
PLAN = "shaoxing-2023-2025"
DISTRICTS = ("330602", "330681", "330683")
Fact = dict[str, Any]


def reports() -> list[Report]:
    """Hires in three districts and two years, some persons twice or by another channel, and some fairs."""
    made = []
    for n in range(1_000):
        day, district = f"202{3 + n % 2}-0{1 + n % 9}-15", DISTRICTS[n % 3]
        channel = "other" if n % 7 == 0 else "gold-blue-collar"
        who, enterprise = person(f"road-{n * 4 // 5}"), organisation(7_000 + n)
        hire = person_hired(f"road-{n}", person=who, enterprise=enterprise, hired_on=day, channel=channel)
        made.append(_from(district, hire))
        if n % 9 == 0:
            kind = "school-enterprise" if n % 27 == 0 else "job-fair"
            made.append(_from(district, fair_held(n, held_on=day, kind=kind)))
    return made


def _from(district: str, report: Report) -> Report:
    return report | {"source": f"/districts/{district}/tests", "district": district}


def counted(facts: list[Fact]) -> Counter[tuple[str, str, str]]:
    """Count (indicator, year, district) as RULES E8 says it in words, from nothing but the facts."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    seen = set()
    for fact in sorted(facts, key=lambda fact: (_date(fact), fact["reportsource"], fact["reportid"])):
        data, year = fact["data"], _date(fact)[:4]
        if data.get("channel") == "gold-blue-collar" and (data["person"]["token"], year) not in seen:
            seen.add((data["person"]["token"], year))
            numbers["4.1.b", year, fact["district"]] += 1
        elif data.get("kind") in ("job-fair", "exchange"):
            numbers["4.1.a", year, fact["district"]] += 1
    return numbers


def _date(fact: Fact) -> str:
    date: str = fact["data"].get("hired_on") or fact["data"]["held_on"]
    return date


def reported(api: Process, **query: str) -> dict[tuple[str, str], int]:
    answer = api.http.get(f"/v1/plans/{PLAN}/progress", params=query).json()
    return {(i["id"], p["period"]): p["value"] for i in answer["indicators"] for p in i["periods"]}


def behind(api: Process) -> int | None:
    answer = api.http.get(f"/v1/plans/{PLAN}/progress").json()
    events: int | None = answer["complete_to"]["recruitment"]["behind_events"]
    return events


def test_progress_is_a_count_of_the_accepted_facts_whatever_is_killed(running: System) -> None:
    door, worker = running.the("recruitment", "api"), running.the("recruitment", "worker")
    projector = running.process("projection", "projector").start(wait=False)
    services = json.dumps({"recruitment": door.url})
    api = running.process("projection", "api", SKILLPLAN_SERVICES=services).start()
    projector.wait_ready()
    sent = reports()
    with worker.watched() as worker_ends, projector.watched() as projector_ends:
        with flowing(door.url, running.kafka, sent[::2], sent[1::2], SECONDS) as flow:
            for moment in moments(flow, 6, SECONDS):
                (projector, worker, projector)[moment % 3].kill()
        count = "select count(*) from fact"
        eventually(lambda: running.query("recruitment", count)[0][0] == len(sent))
        check_answered(running, "recruitment", sent)
        eventually(lambda: behind(api) == 0)
        assert set(worker_ends) == set(projector_ends) == {-9}, "none ended for a reason of its own"
    expected = counted(check_log(running, "recruitment"))
    for indicator in ("4.1.a", "4.1.b"):
        for year in ("2023", "2024"):
            whole = sum(number for (i, y, _), number in expected.items() if (i, y) == (indicator, year))
            assert reported(api)[indicator, year] == whole > 0
            for district in DISTRICTS:
                assert reported(api, district=district)[indicator, year] == expected[indicator, year, district]
    check_recount(running, projector)


def check_recount(system: System, projector: Process) -> None:
    """Let the projection recount its ledger."""
    done = fork_server().run("services.projection", ["recount"], projector.settings)
    assert done.returncode == 0, done.stdout + done.stderr
