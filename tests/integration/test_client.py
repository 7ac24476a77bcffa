"""A district reports through Kafka with the reference client, and the services answer the demo feed as it is meant."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from client.demo.calendar import PlannedReport
from client.demo.feed import feed
from client.demo.people import MadeUpPeople
from client.sample import sample
from deploy.local.children import dies_with_parent
from services.catalogue import COUNTED
from tests.conftest import ROOT
from tests.harness.processes import System, eventually
from tests.harness.topics import check_log, whole

SERVICES: Final = COUNTED
REPORTS: Final = 1_500
ROWS: Final = 2_000
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
    planned = list(feed(REPORTS))
    _demo(running)
    in_force, beside = _wanted(planned)
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


def test_a_file_is_published_and_its_wrong_lines_are_named(running: System, tmp_path: Path) -> None:
    hire = sample("skillplan.recruitment.person-hired.v1")
    assert hire is not None
    elsewhere = {**hire, "source": "/districts/110101/employment"}
    large = {**hire, "id": "sample-large", "traceparent": "x" * 2_000_000}
    lines = [
        "{",
        "",
        "[]",
        *map(json.dumps, (hire, {**hire, "type": "hired"}, elsewhere, large, {**hire, "id": "sample-0002"})),
    ]
    done = _run(running.kafka, tmp_path, "publish", "-", standard_input="\n".join(lines))
    assert done.returncode == 1
    named = re.findall(r"^第 ([0-9]+) 行", done.stderr, re.MULTILINE)
    assert list(dict.fromkeys(named)) == ["1", "3", "5", "6", "7"]
    assert "2 published, 5 left out" in done.stdout
    assert "2 of them have no receipt yet" in done.stdout
    stored = [
        message for message in whole(running.kafka, "recruitment.reports.330681")
        if b'"sample-000' in (message.value or b"")
    ]  # fmt: skip
    assert [message.json["id"] for message in stored] == ["sample-0001", "sample-0002"]
    assert {message.key for message in stored} == {str(hire["subject"]).encode()}
    assert {message.headers for message in stored} == {
        (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    }


def test_a_broken_off_publication_goes_on_where_it_was_with_nothing_lost_and_nothing_twice(
    running: System, tmp_path: Path
) -> None:
    hires = _hires(ROWS, "kill")
    file = tmp_path / "hires.ndjson"
    file.write_bytes(b"".join(json.dumps(hire).encode() + b"\n" for hire in hires))
    with _started(running.kafka, tmp_path, "publish", "-") as sender:
        assert sender.stdin is not None
        lines = file.read_bytes().splitlines(keepends=True)
        sender.stdin.write(b"".join(lines[: ROWS // 3]))
        sender.stdin.flush()
        eventually(lambda: _acknowledged(tmp_path) == ROWS // 3, 30)
        sender.stdin.write(b"".join(lines[ROWS // 3 : ROWS // 2]))
        sender.stdin.flush()
        sender.kill()
    under_way = ROWS // 2 - _acknowledged(tmp_path)

    # The other half comes as a table: the content counts, not the form of the file.
    table = tmp_path / "hires.csv"
    table.write_text(_table(hires), encoding="gb18030")
    done = _run(running.kafka, tmp_path, "publish", str(table), "--wait", "--json", "--patience", "60")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["sent"] + summary["sent_before"] == ROWS
    assert summary["sent_before"] >= ROWS // 3

    ids = Counter(
        message.json["id"] for message in whole(running.kafka, "recruitment.reports.330604")
        if b"sample-kill" in (message.value or b"")
    )  # fmt: skip
    assert ids.keys() == {hire["id"] for hire in hires}, "nothing is lost"
    assert ids.total() - ROWS <= under_way, "at most what nobody had acknowledged went out twice"
    facts = running.query("recruitment", "select count(*) from fact where report_id like 'sample-kill-%'")
    assert facts[0][0] == ROWS, "and counts once"

    again = _run(running.kafka, tmp_path, "publish", str(file), "--json")
    assert json.loads(again.stdout.splitlines()[-1])["summary"]["sent"] == 0
    statement = _run(running.kafka, tmp_path, "statement", "--source", "/districts/330604/kill", "--json")
    total = json.loads(statement.stdout.splitlines()[-1])["total"]
    assert total == {"sent": ROWS, "accepted": ROWS, "waiting": 0, "refused": 0, "invalid": 0, "no_answer": 0}


def test_a_table_goes_out_by_http_and_each_answer_is_named_by_its_row(running: System, tmp_path: Path) -> None:
    hires = _hires(30, "http", "330603")
    hires[20] = {**hires[20], "subject": hires[3]["subject"]}  # open already when its turn comes
    table = tmp_path / "hires.csv"
    table.write_text(_table(hires), encoding="utf-8-sig")
    done = _run(running.kafka, tmp_path, "publish", str(table), "--http", **_addresses_of(running))
    assert done.returncode == 1, done.stderr
    assert "第 22 行「业务编号」(D22):该事项已经报告过且仍然有效。" in done.stderr
    assert "[already-open]" in done.stderr
    assert "30 published (accepted 29, refused 1), 0 left out" in done.stdout
    statement = _run(
        running.kafka, tmp_path, "statement", "--http", "--district", "330603", "--json", **_addresses_of(running)
    )
    total = json.loads(statement.stdout.splitlines()[-1])["total"]
    assert (total["sent"], total["accepted"], total["refused"]) == (30, 29, 1)
    command = ["receipts", "--district", "330603", "--status", "refused"]
    output = eventually(lambda: _run(running.kafka, tmp_path, *command).stdout)
    assert "already-open" in output
    assert "→" in output, "with what to do about it"


def test_what_is_away_and_what_is_missing_get_one_clear_sentence(running: System, tmp_path: Path) -> None:
    hires = tmp_path / "hires.ndjson"
    hires.write_text(json.dumps(_hires(1, "away")[0]), encoding="utf-8")
    nobody = {"SKILLPLAN_SERVICES": json.dumps({"recruitment": "http://127.0.0.1:1"})}
    for command, settings, code, message in (
        (["demo", "--reports", "10"], {}, 3, "Kafka did not take it"),
        (["publish", str(hires)], {}, 3, "Kafka did not take it"),
        (["publish", str(hires), "--http", "--patience", "0.5"], nobody, 3, "does not answer"),
        (["publish", str(hires), "--http"], {"SKILLPLAN_SERVICES": "{}"}, 2, "no address"),
        (["publish", "no-such-file"], {}, 2, "no such file"),
        (["validate", str(tmp_path)], {}, 2, "a folder"),
        (["receipts", "--since", "long"], {}, 2, "--since"),
    ):
        away = _run("127.0.0.1:1", tmp_path, *command, **settings)
        assert away.returncode == code, (command, away.stderr)
        assert message in away.stderr
        assert "Traceback" not in away.stderr
    # What nobody took is sent in the next run.
    done = _run(running.kafka, tmp_path, "publish", str(hires))
    assert "1 published, 0 left out" in done.stdout


def _hires(count: int, mark: str, district: str = "330604") -> list[dict[str, Any]]:
    invented = MadeUpPeople(f"cli {mark}")
    company = invented.organisation("enterprise", district, 1)
    return [
        {
            "specversion": "1.0",
            "type": "skillplan.recruitment.person-hired.v1",
            "data": {
                "person": invented.person(at), "enterprise": company, "channel": "other",
                "occupation_code": "6-18-01-01", "hired_on": "2024-05-06",
            },
            "id": f"sample-{mark}-{at}",
            "source": f"/districts/{district}/{mark}",
            "subject": f"hire/{mark}-{at}",
            "time": "2024-05-06T09:30:00+08:00",
            "district": district,
        }
        for at in range(count)
    ]  # fmt: skip


def _table(hires: list[dict[str, Any]]) -> str:
    heads = ["type", "id", "source", "subject", "time", "district", "data.person.id_number", "data.person.name",
             "data.person.phone", "data.enterprise.credit_code", "data.enterprise.name", "data.channel",
             "data.occupation_code", "data.hired_on"]  # fmt: skip
    rows = [heads]
    for hire in hires:
        row = []
        for head in heads:
            value: Any = hire
            for step in head.split("."):
                value = value[step]
            row.append(str(value))
        rows.append(row)
    return "".join(",".join(row) + "\r\n" for row in rows)


def _acknowledged(folder: Path) -> int:
    file = folder / "journal.sqlite"
    if not file.exists():
        return 0
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as database:
        try:
            return int(database.execute("select count(acknowledged_at) from sent").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # its tables are being made


def _addresses_of(running: System) -> dict[str, str]:
    return {"SKILLPLAN_SERVICES": json.dumps({service: running.the(service, "api").url for service in SERVICES})}


def _demo(running: System) -> None:
    done = _run(running.kafka, running.folder, "demo", "--reports", str(REPORTS), "--patience", "90")
    assert done.returncode == 0, done.stderr
    assert f"{REPORTS} reports published" in done.stdout
    assert "no receipt" not in done.stdout, "the groundwork was decided before the rest was sent"


def _run(
    kafka: str, folder: Path, *command: str, standard_input: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "client", *command],
        cwd=ROOT,
        env=_settings_of(kafka, folder) | settings,
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _started(kafka: str, folder: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        dies_with_parent([sys.executable, "-m", "client", *command]),
        cwd=ROOT,
        env=_settings_of(kafka, folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _settings_of(kafka: str, folder: Path) -> dict[str, str]:
    return {**os.environ, "SKILLPLAN_KAFKA": kafka, "SKILLPLAN_JOURNAL": str(folder / "journal.sqlite")}


def _key(event: dict[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


def _wanted(planned: Iterable[PlannedReport]) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], list[str]]]:
    """Return what is to be in force of each report in the end, and the answers beside it."""
    in_force: dict[tuple[str, str], str] = {}
    beside: dict[tuple[str, str], list[str]] = {}
    for report in planned:
        if report.meant in BESIDE:
            beside.setdefault(_key(report.envelope), []).append(report.meant)
        else:
            in_force[_key(report.envelope)] = report.meant
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
