"""A district reports through Kafka with the reference client, and the services answer the demo feed as it is meant."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

import pytest

from services.district.chronicle import Told
from services.district.demo import feed
from services.district.sample import sample
from tests.conftest import ROOT
from tests.integration.processes import System, eventually
from tests.integration.road import check_log, whole

SERVICES: Final = ("enrollment", "competition", "recruitment", "subsidy")
REPORTS: Final = 1_500
# These bind no id, or repeat one: their receipts stand beside the one in force.
BESIDE: Final = {
    "bad-checksum", "bad-value", "unknown-field", "missing-field", "bad-date", "wrong-district", "duplicate",
    "id-reused",
}  # fmt: skip
# Of two alike it is the service's own order that says which one comes second (RULES A17).
EITHER: Final = {
    "overlapping-apprenticeship", "overlapping-training", "already-employed-there", "already-granted", "over-the-limit",
    "class-full",
}  # fmt: skip
Outcomes = defaultdict[tuple[str, str], list[str]]


@pytest.mark.timeout(500)
def test_the_services_answer_the_demo_feed_as_it_is_meant_and_again_change_nothing(running: System) -> None:
    told = list(feed(REPORTS))
    _demo(running)
    in_force, beside = _wanted(told)
    waiting, others = Counter(in_force.values())["waiting"], sum(map(len, beside.values()))
    eventually(lambda: _counts(running) == (len(in_force), others, waiting), 120)
    _compare(running, in_force, beside)
    logs = {service: check_log(running, service) for service in SERVICES}

    _demo(running)
    again = {key: [*outcomes, *outcomes] for key, outcomes in beside.items()}
    for key in in_force:
        again.setdefault(key, []).append("duplicate")
    eventually(lambda: _counts(running) == (len(in_force), sum(map(len, again.values())), waiting), 120)
    for service in SERVICES:
        assert len(check_log(running, service)) == len(logs[service]), "a feed published again changes nothing"


def test_a_file_is_published_and_its_wrong_lines_are_named(running: System) -> None:
    hire = sample("skillplan.recruitment.person-hired.v1")
    assert hire is not None
    elsewhere = {**hire, "source": "/districts/110101/employment"}
    large = {**hire, "data": {"project": "x" * 2_000_000}}
    lines = [
        "{",
        "",
        "[]",
        *map(json.dumps, (hire, {**hire, "type": "hired"}, elsewhere, large, {**hire, "id": "sample-0002"})),
    ]
    done = _run(running.kafka, "publish", "-", told="\n".join(lines))
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        f"第 {number} 行 line {number}" for number in (1, 3, 5, 6, 7)
    ]
    assert "2 reports published, 5 lines left out" in done.stdout
    stored = [
        message for message in whole(running.kafka, "recruitment.reports.330681") if b"sample" in (message.value or b"")
    ]
    assert [message.json["id"] for message in stored] == ["sample-0001", "sample-0002"]
    assert {message.key for message in stored} == {hire["subject"].encode()}
    assert {message.headers for message in stored} == {
        (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    }


def test_a_broker_that_is_away_and_a_file_that_is_missing_get_one_clear_sentence(running: System) -> None:
    away = _run("127.0.0.1:1", "demo", "--reports", "10")
    assert away.returncode == 1
    assert "Kafka did not take it" in away.stderr
    assert "Traceback" not in away.stderr
    missing = _run(running.kafka, "publish", "no-such-file")
    assert missing.returncode == 1
    assert "no such file" in missing.stderr


def _demo(running: System) -> None:
    done = _run(running.kafka, "demo", "--reports", str(REPORTS), "--patience", "90")
    assert done.returncode == 0, done.stderr
    assert f"{REPORTS} reports published" in done.stdout
    assert "no receipt" not in done.stdout, "the groundwork was decided before the rest was sent"


def _run(kafka: str, *command: str, told: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.district", *command],
        cwd=ROOT,
        env={**os.environ, "SKILLPLAN_KAFKA": kafka},
        input=told,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _key(event: dict[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


def _wanted(told: Iterable[Told]) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], list[str]]]:
    """Return what is to be in force of each report in the end, and the answers beside it."""
    in_force: dict[tuple[str, str], str] = {}
    beside: dict[tuple[str, str], list[str]] = {}
    for one in told:
        if one.meant in BESIDE:
            beside.setdefault(_key(one.envelope), []).append(one.meant)
        else:
            in_force[_key(one.envelope)] = one.meant
    return in_force, beside


def _outcome(receipt: dict[str, Any]) -> str:
    return str(receipt["reasons"][0]["code"] if receipt["reasons"] else receipt["status"])


def _counts(running: System) -> tuple[int, int, int]:
    """Return how many reports have an answer in force, how many answers there are besides, how many reports wait."""
    sql = """
        select count(distinct (source, id)) filter (where decision is not null),
            count(*) filter (where decision is null),
            (select count(*) from waiting)
        from receipt where id not like 'sample%'
    """
    rows = [running.query(service, sql)[0] for service in SERVICES]
    decided, besides, waiting = (sum(row[column] for row in rows) for column in range(3))
    return decided, besides, waiting


def _compare(running: System, in_force: dict[tuple[str, str], str], beside: dict[tuple[str, str], list[str]]) -> None:
    decided: dict[tuple[str, str], tuple[int, str]] = {}
    others: Outcomes = defaultdict(list)
    for service in SERVICES:
        sql = "select source, id, decision, bytes from receipt where id not like 'sample%' order by number"
        for row in running.query(service, sql):
            receipt = json.loads(row["bytes"])
            key = (row["source"], row["id"])
            if row["decision"] is None:
                others[key].append(_outcome(receipt))
            else:
                decided[key] = max(decided.get(key, (0, "")), (row["decision"], _outcome(receipt)))
    got = {key: outcome for key, (_, outcome) in decided.items()}
    assert Counter(got.values()) == Counter(in_force.values())
    differ = {key: (got.get(key), meant) for key, meant in in_force.items() if got.get(key) != meant}
    assert {key: pair for key, pair in differ.items() if not EITHER & set(pair)} == {}
    assert dict(others) == beside
