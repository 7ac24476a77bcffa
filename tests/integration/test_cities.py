"""Several cities on one broker and one database server: nothing of one is another's, though all else is alike."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka import topics
from deploy.local import cities, databases
from deploy.local.databases import Database
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from services.catalogue import WITH_DATABASE
from shared.http.api_keys import KeyFile, Role
from shared.kafka.clients import Broker
from shared.kafka.names import mark_topic
from shared.log.database import MIGRATIONS
from shared.log.migrate import migrate
from tests.conftest import ROOT
from tests.harness.processes import DISTRICTS, Process, System, eventually, run
from tests.harness.reports import DISTRICT, person_hired
from tests.harness.topics import publish, structured, whole

SERVICE: Final = "recruitment"


@pytest.fixture
def pair_of_cities(kafka: str, postgres: str, tmp_path: Path) -> Iterator[list[Installation]]:
    """Two cities with the very same plan, so that their names alone keep them apart; with a database each."""
    made = []
    for _ in range(2):
        name = f"c{secrets.token_hex(4)}"
        city = Installation(tmp_path / "cities" / name, city=name, kafka=kafka, superuser_dsn=postgres)
        city.make_secrets(list(WITH_DATABASE))
        run(databases.ensure_roles(postgres, {city.database(SERVICE): city.passwords[SERVICE]}))
        run(databases.ensure_databases(postgres, [city.database(SERVICE)], 9))
        run(migrate(city.owner_dsn(SERVICE), MIGRATIONS, city.database(SERVICE)))
        run(topics.create(city.broker, topics.wanted(DISTRICTS)))
        made.append(city)
    yield made
    for city in made:
        cities.remove_from_servers(city)


def start(system: System, city: Installation, command: str, **settings: str) -> Process:
    name = city.database(SERVICE)
    system.databases[SERVICE] = Database(SERVICE, name, city.owner_dsn(SERVICE), city.role_dsn(SERVICE))
    keys = {"SKILLPLAN_KEYS": str(city.key_file), "SKILLPLAN_KEY_PEPPER": city.key_pepper}
    own = {"SKILLPLAN_NAMESPACE": city.city, "SKILLPLAN_SERVICE_KEY": city.service_keys[SERVICE]} | keys
    return system.process(SERVICE, command, **own, **settings).start()


def test_a_report_to_one_city_leaves_no_trace_in_another(
    kafka: str, postgres: str, tmp_path: Path, pair_of_cities: list[Installation]
) -> None:
    mine, other = pair_of_cities
    system = System(kafka, tmp_path, lambda _: pytest.fail("it has a database"), postgres)
    sent = person_hired("mine")
    message = structured(sent)
    try:
        start(system, other, "worker")
        start(system, mine, "worker")
        publish(kafka, [replace(message, topic=mine.broker.named(message.topic)), replace(message, value=b"no JSON",
                topic=mine.broker.named(message.topic))])  # fmt: skip
        receipts = mine.broker.named(f"receipts.{DISTRICT}")
        eventually(lambda: len(whole(kafka, receipts)) > 1)
        answers = {answer.json.get("id"): answer.json for answer in whole(kafka, receipts)}
        assert answers[sent["id"]]["status"] == "accepted", answers
        (fact,) = eventually(lambda: whole(kafka, mine.broker.named(f"{SERVICE}.events")))
        assert fact.json["reportid"] == sent["id"]
        (unreadable,) = eventually(lambda: whole(kafka, mine.broker.named("quarantine")))
        assert unreadable.json["topic"] == message.topic  # as the contract calls it
        assert whole(kafka, *(other.broker.named(topic.name) for topic in topics.wanted(DISTRICTS))) == []
        assert counts(mine) == (1, 2)
        assert counts(other) == (0, 0)
        server = mine.role_dsn(SERVICE).rpartition("/")[0]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            run(asyncpg.connect(f"{server}/{other.database(SERVICE)}"))
        api = start(system, mine, "api")
        of_whom = {}
        for city in pair_of_cities:
            _, key = KeyFile(city.key_file, city.key_pepper).add(Role.DISTRICT, (f"/districts/{DISTRICT}/",))
            headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"}
            of_whom[city.city] = httpx.post(
                f"{api.url}/v1/events", headers=headers, content=json.dumps(sent), timeout=20
            )
        assert {name: answer.status_code for name, answer in of_whom.items()} == {mine.city: 200, other.city: 401}
    finally:
        system.close()


def test_a_flood_is_taken_evenly_where_the_servers_are_shared(
    kafka: str, postgres: str, tmp_path: Path, pair_of_cities: list[Installation]
) -> None:
    """No more than so many a second, and all of them in the end."""
    city, rate, flood = pair_of_cities[0], 40, [structured(person_hired(f"flood-{n}")) for n in range(100)]
    system = System(kafka, tmp_path, lambda _: pytest.fail("it has a database"), postgres)
    publish(kafka, [replace(message, topic=city.broker.named(message.topic)) for message in flood])
    try:
        start(system, city, "worker", SKILLPLAN_INBOX_RATE=str(rate))
        eventually(lambda: counts(city) == (len(flood), len(flood)))
        (row,) = system.query(SERVICE, "select max(recorded_at) - min(recorded_at) as took from fact")
        assert row["took"].total_seconds() > len(flood) / rate / 2
    finally:
        system.close()


def counts(city: Installation) -> tuple[int, int]:
    async def ask() -> tuple[int, int]:
        connection = await asyncpg.connect(city.role_dsn(SERVICE))
        try:
            (row,) = await connection.fetch("select position, receipts from log_head")
            return row["position"], row["receipts"]
        finally:
            await connection.close()

    return run(ask())


def test_what_a_city_has_on_the_servers_goes_with_it_and_nothing_else(
    kafka: str, postgres: str, pair_of_cities: list[Installation]
) -> None:
    gone, stays = pair_of_cities
    cities.remove_from_servers(gone)
    names = [city.database(SERVICE) for city in pair_of_cities]
    there = run(_names(postgres, names))
    assert there == {stays.database(SERVICE), f"{stays.database(SERVICE)}_owner"}
    assert run(stays.broker.problem([topic.name for topic in topics.wanted(DISTRICTS)])) is None
    assert gone.broker.named("quarantine") in str(eventually(lambda: run(gone.broker.problem(["quarantine"]))))


def test_topics_of_another_installation_with_the_same_name_are_refused(kafka: str, tmp_path: Path) -> None:
    name, beside = (f"c{secrets.token_hex(4)}" for _ in range(2))
    first, second = (Installation(tmp_path, city=name, kafka=kafka, city_key=secrets.token_hex(32)) for _ in range(2))
    for _ in range(2):
        run(topics.claim(first.broker, first.mark))
    run(topics.claim(Broker(kafka, namespace=beside), second.mark))
    try:
        with pytest.raises(LocalError, match="another installation's, with another city key") as refused:
            run(topics.claim(second.broker, second.mark))
        assert len(refused.value.en.splitlines()) == 1
        settings = {"SKILLPLAN_KAFKA": kafka, "SKILLPLAN_NAMESPACE": name, "SKILLPLAN_MARK": second.mark}
        done = subprocess.run(
            [sys.executable, "-m", "deploy.kafka.topics"], cwd=ROOT, env=os.environ | settings,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{name}.skillplan.mark." in done.stderr
        assert len(done.stderr.splitlines()) == 1
        there = run(_topics(first.broker))
        assert [topic for topic in there if topic.startswith(first.broker.named(""))] == [
            first.broker.named(mark_topic(first.mark))
        ]
    finally:
        for namespace in (name, beside):
            run(topics.delete_all(Broker(kafka, namespace=namespace)))


async def _topics(broker: Broker) -> list[str]:
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        return sorted(await admin.list_topics())
    finally:
        await admin.close()


async def _names(postgres: str, names: list[str]) -> set[str]:
    connection = await asyncpg.connect(postgres)
    try:
        rows = await connection.fetch(
            "select rolname from pg_roles where rolname = any($1) union"
            " select datname from pg_database where datname = any($2)",
            [*names, *(f"{name}_owner" for name in names)],
            names,
        )
        return {row[0] for row in rows}
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["", "Ningbo", "a", "9th", "ning-bo", "ning_bo", "receipts", "enrollment", "x" * 21])
def test_a_name_that_would_look_like_anothers_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalError, match="name"):
        cities.begin(Installation(tmp_path), name, ROOT / "plans")
    assert not (tmp_path / "cities").exists()


def test_a_city_has_its_plan_alone_and_another_one_once_that_is_named(tmp_path: Path) -> None:
    host, made_up = Installation(tmp_path), ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml"
    with pytest.raises(LocalError, match="PLAN="):
        cities.begin(host, "lakeside", None)
    folder = cities.begin(host, "lakeside", ROOT / "plans")
    assert [file.name for file in (folder / "plans").iterdir()] == ["shaoxing-2023-2025.yaml"]
    assert cities.begin(host, "lakeside", made_up) == folder
    assert [file.name for file in (folder / "plans").iterdir()] == [made_up.name]
    assert cities.begin(host, "lakeside", None) == folder
    assert host.cities == [folder]
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: x\n", encoding="utf-8")
    with pytest.raises(LocalError):
        cities.begin(host, "brook", broken)
    assert host.cities == [folder]


def test_the_broker_names_what_is_ours_and_knows_it_again() -> None:
    first, further = Broker("nowhere:1"), Broker("nowhere:1", namespace="ningbo")
    assert (first.named("quarantine"), further.named("quarantine")) == ("quarantine", "ningbo.quarantine")
    assert further.plain("ningbo.quarantine") == first.plain("quarantine") == "quarantine"
