"""Erasing people as an act of two: afterwards they are nowhere, and facts, hashes and numbers are what they were."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from deploy.local import installation, postgres
from deploy.operations import erasure_records
from services.catalogue import DOMAIN_SERVICES
from shared.log.event_store import read_queries
from tests.conftest import ROOT
from tests.e2e.conftest import make
from tests.e2e.test_backup import BATCH, backed_up, numbers, receipt_of
from tests.harness.people import reported, spelt
from tests.harness.processes import eventually, run
from tests.harness.reports import certificate_issued, organisation, person_hired, subsidy_claimed
from tests.harness.topics import OutgoingMessage, publish, structured, whole

SEEDED: Final = 2


def someone() -> dict[str, Any]:
    """Return a person whom no other run knows, and whose name is found nowhere by chance."""
    n = secrets.randbelow(90_000)
    return reported(700_000 + n) | {"name": f"遗忘{chr(0x4E00 + n % 20_000)}{chr(0x9E10 + n // 20_000)}"}


def admin(state: Path, number: str, second: str = "分管领导") -> subprocess.Popen[str]:
    arguments = ["erase", "--reason", "本人申请", "--by", "信息科", "--second", second]
    erasing = subprocess.Popen(
        [str(ROOT / "bin" / "skillplan"), "admin", *arguments], env=os.environ | {"STATE": str(state)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert erasing.stdin is not None
    erasing.stdin.write(f"{number}\n")
    erasing.stdin.close()
    return erasing


def ended(erasing: subprocess.Popen[str]) -> tuple[int, str]:
    assert erasing.stdout is not None
    with erasing.stdout as out:
        output = out.read()
    return erasing.wait(120), output


async def _fetch(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


def rows(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    return run(_fetch(dsn, statement, *arguments))


@pytest.fixture
def seeded(state: Path, addresses: dict[str, str]) -> list[dict[str, Any]]:
    """People with facts in two services, a report that waits, one on a topic, and one in a message nobody can read."""
    dsn = installation.load(state).owner_dsn("recruitment")
    unreadable = "select count(*) from quarantine where topic = 'recruitment.reports.330681'"
    before = rows(dsn, unreadable)[0][0]
    people = [someone() for _ in range(SEEDED)]
    marks = [secrets.token_hex(4) for _ in people]
    hires = [person_hired(mark, person=person) for mark, person in zip(marks, people, strict=True)]
    publish(addresses["kafka"], map(structured, hires))
    for mark, person in zip(marks, people, strict=True):
        certificate = certificate_issued(mark, person=person)
        claim = subsidy_claimed(f"{mark}-none", person=person)
        for service, report in (("competition", certificate), ("subsidy", claim)):
            answer = httpx.post(f"{addresses[service]}/v1/events", json=[report], headers=BATCH, timeout=30)
            assert answer.json()["results"][0]["status"] in ("accepted", "waiting")
        cut = json.dumps(person_hired("cut", person=person), ensure_ascii=False).encode("gb18030")[:-9]
        publish(addresses["kafka"], [OutgoingMessage("recruitment.reports.330681", b"cut", cut)])
    eventually(lambda: all(receipt_of(addresses, hire) == "accepted" for hire in hires))
    eventually(lambda: rows(dsn, unreadable)[0][0] >= before + SEEDED)
    store_away_all(dsn)
    return hires


def store_away_all(dsn: str) -> None:
    """Store what was recorded until now away, as if its year were over."""
    here = "select min(position), max(position) from fact where bytes is not null"
    ((first, last),) = rows(dsn, here)
    part = f"stored_away_{secrets.token_hex(4)}"
    rows(dsn, f"create table {part} partition of stored_away for values from ({first}) to ({last + 1})")
    rows(dsn, read_queries("shared.log", "store_away.sql")["store"], first, last)


def proofs(there: installation.Installation) -> dict[str, list[bytes]]:
    """Return the hash of every fact of the services that count, as stored."""
    statement = "select sha256 from recorded_fact where sha256 = sha256(bytes) order by position"
    return {name: [row[0] for row in rows(there.owner_dsn(name), statement)] for name in DOMAIN_SERVICES}


def everything(state: Path, there: installation.Installation, kafka: str) -> Iterator[tuple[str, bytes]]:
    """Yield what is stored: tables, files of the database and its WAL, topics, logs, opened backups, records."""
    databases = [row[0] for row in rows(there.superuser, "select datname from pg_database where datallowconn")]
    for name in databases:
        address = urlsplit(there.superuser)._replace(path=f"/{name}").geturl()
        tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public'"
        for (table,) in rows(address, tables):
            content = rows(address, f"select convert_to(t::text, 'UTF8') from {table} t")  # noqa: S608 - the catalogue's
            yield f"{name}: {table}", b"\n".join(row[0] for row in content)
    folders = ("logs", "backups", "postgres")
    files = (file for folder in folders for file in (state / folder).resolve().rglob("*") if file.is_file())
    for file in files:
        if file.suffix == ".dump":
            opened = subprocess.run(
                [str(postgres.find_binaries()[0].folder / "pg_restore"), "-f", "-", str(file)],
                capture_output=True, check=True, timeout=60,
            )  # fmt: skip
            yield str(file), opened.stdout
        else:
            yield str(file), file.read_bytes()
    codes = [f"{service}.reports.330681" for service in DOMAIN_SERVICES]
    topics = [*codes, *(f"{service}.events" for service in DOMAIN_SERVICES), "receipts.330681", "quarantine"]
    for topic in topics:
        yield topic, b"\n".join((message.key or b"") + (message.value or b"") for message in whole(kafka, topic))


def betrayed(state: Path, there: installation.Installation, kafka: str, wanted: set[bytes]) -> set[str]:
    return {place for place, content in everything(state, there, kafka) if any(secret in content for secret in wanted)}


def checked(*arguments: str) -> None:
    """Run the auditor's file by itself."""
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "client" / "audit" / "verify.py"), *arguments],
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def nothing_is_erased_without_a_known_person_and_two_others(
    state: Path, there: installation.Installation, known: str
) -> list[asyncpg.Record]:
    statement = "select position from log_head"
    planned = rows(there.owner_dsn("planning"), statement)
    wrong = (("分管领导", someone()["id_number"]), ("信 息科", known), ("分管领导", "1"), ("分管领导", ""))
    for second, number in wrong:
        code, output = ended(admin(state, number, second))
        assert code != 0
        assert "什么也没有删" in output
        assert "Traceback" not in output
    assert rows(there.owner_dsn("planning"), statement) == planned
    return planned


def certificates_say_what_became_unreadable_and_of_nobody(
    state: Path, there: installation.Installation, planning: str, since: float, tokens: list[str], folder: Path
) -> None:
    mirror = ("--key", httpx.get(f"{planning}/v1/log/key", timeout=30).text.strip(), "--mirror", str(folder / "mirror"))
    last = rows(there.owner_dsn("planning"), "select position from log_head")[0][0]
    proof = {"position": last}
    eventually(lambda: httpx.get(f"{planning}/v1/log/proof", params=proof, timeout=30).is_success)
    checked("mirror", planning, mirror[3], *mirror[:2])
    notes = [file for file in (state / "backups" / "erasures").glob("*.certificate") if file.stat().st_mtime >= since]
    assert len(notes) == SEEDED
    for note in notes:
        checked("certificate", str(note), *mirror)
        certificate = json.loads(note.read_text(encoding="utf-8").rpartition("\n\n")[0])
        assert not any(token in note.read_text(encoding="utf-8") for token in tokens)
        assert [fact["by"] for fact in certificate["recorded"]] == ["信息科", "分管领导"]
        digests = [bytes.fromhex(fact["sha256"]) for fact in certificate["recorded"]]
        assert digests == [proofs(there)["planning"][fact["position"] - 1] for fact in certificate["recorded"]]
        counts = {name: (it["facts"], it["waiting"]) for name, it in certificate["services"].items()}
        assert (counts["recruitment"], counts["competition"], counts["subsidy"]) == ((1, 0), (1, 0), (0, 1))


@pytest.mark.timeout(600)
def test_who_is_erased_is_nowhere_and_numbers_hashes_and_restored_backups_say_no_more(
    state: Path, addresses: dict[str, str], seeded: list[dict[str, Any]], tmp_path: Path
) -> None:
    there, kafka = installation.load(state), addresses["kafka"]
    folder = backed_up(state)
    away = tmp_path / "away" / folder.name
    shutil.copytree(folder, away)
    before, counted, hashes = time.time(), numbers(addresses), proofs(there)
    secret = {way for hire in seeded for field in hire["data"]["person"].values() for way in spelt(field)}
    facts = [json.loads(row[0]) for row in rows(there.owner_dsn("recruitment"), "select bytes from recorded_fact")]
    of = {fact["reportid"]: fact["data"]["person"]["token"] for fact in facts if "person" in fact["data"]}
    tokens = [of[hire["id"]] for hire in seeded]
    # As rows of a table and of a backup have it.
    wrapped = {
        bytes(row[0])
        for service in DOMAIN_SERVICES
        for row in rows(there.owner_dsn(service), "select wrapped from person_key where token = any($1)", tokens)
    }
    assert len(wrapped) == 3 * SEEDED
    keys = {key.hex().encode() for key in wrapped}
    assert any(key in (folder / "recruitment.person_key.0").read_bytes() for key in keys), "the search finds them"
    assert betrayed(state, there, kafka, secret) == {"recruitment.reports.330681"}

    numbers_of = [hire["data"]["person"]["id_number"] for hire in seeded]
    planned = nothing_is_erased_without_a_known_person_and_two_others(state, there, numbers_of[0])
    erasing = admin(state, numbers_of[0])
    eventually(lambda: rows(there.owner_dsn("planning"), "select position from log_head") != planned)
    os.killpg(erasing.pid, signal.SIGKILL)
    ended(erasing)
    for number in numbers_of:
        code, output = ended(admin(state, number))
        assert code == 0, output
    code, output = ended(admin(state, numbers_of[0]))
    assert code != 0
    assert "什么也没有删" in output, "there is nothing left to destroy"

    assert betrayed(state, there, kafka, secret | keys) == set()
    assert proofs(there) | {"planning": []} == hashes | {"planning": []}
    assert numbers(addresses) == counted
    certificates_say_what_became_unreadable_and_of_nobody(state, there, addresses["planning"], before, tokens, tmp_path)
    said_by_planning = run(erasure_records.approved_since(there.owner_dsn("planning"), folder.name))
    assert said_by_planning >= set(tokens), "an installation that lost its records knows it from the log"

    restored = make(state, "restore", FROM=str(away), SERVICE="recruitment")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    there_again = rows(
        there.owner_dsn("recruitment"),
        "select count(*), count(*) filter (where token = any($1)) from person_key",
        tokens,
    )
    assert there_again[0][1] == 0, "a copy elsewhere still has them, and a restore leaves them out"
    assert there_again[0][0] > 0
    eventually(lambda: numbers(addresses) == counted)
    again = person_hired(secrets.token_hex(4), person=seeded[0]["data"]["person"], enterprise=organisation(61))
    answer = httpx.post(f"{addresses['recruitment']}/v1/events", json=[again], headers=BATCH, timeout=30)
    assert answer.json()["results"][0]["status"] == "accepted"
    assert len(rows(there.owner_dsn("recruitment"), "select from person_key where token = $1", tokens[0])) == 1
