"""An older release's databases and topics under today's code: refused before they are migrated, equal numbers after."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.kafka import topics as deploy_topics
from deploy.local.databases import Database
from services.catalogue import WITH_DATABASE
from tests.conftest import NewTopics
from tests.harness.databases import addresses, create, drop, fill, migrate
from tests.harness.fork_server import fork_server
from tests.harness.processes import DISTRICTS, Process, System, eventually, run
from tests.harness.reports import person_hired
from tests.harness.topics import OutgoingMessage, check_log, publish
from tests.integration.conftest import Template
from tests.releases.__main__ import PLAN, read, releases

pytestmark = pytest.mark.waits


class Upgraded:
    """An installation whose databases and topics are a release's, with today's processes on them."""

    def __init__(self, release: str, system: System) -> None:
        self.release = release
        self.system = system
        self._keys = read(release, "keys")

    def process(self, service: str, command: str) -> Process:
        keys = {"SKILLPLAN_CITY_KEY": self._keys["city"], "SKILLPLAN_SERVICE_KEY": self._keys.get(service, "")}
        return self.system.process(service, command, **{name: key for name, key in keys.items() if key})


@pytest.fixture(params=releases()[:1])
def upgraded(
    request: pytest.FixtureRequest,
    kafka: str,
    postgres: str,
    _template: Template,
    topics: NewTopics,
    tmp_path: Path,
) -> Iterator[Upgraded]:
    """The databases of a release as `pg_dump` took them, and its topics as they were; nothing is migrated yet."""
    release: str = request.param
    left = read(release, "topics")
    topics(*deploy_topics.wanted(DISTRICTS))
    publish(
        kafka,
        (
            OutgoingMessage(name, _bytes(key), _bytes(value), tuple((name, _bytes(held)) for name, held in headers))
            for name, topic in left.items()
            for key, value, headers in topic.get("messages", ())
        ),
    )
    dumps, made = read(release, "databases"), list[str]()

    def new_database(service: str) -> Database:
        _, passwords = _template(service, None)
        name = f"{service}_{secrets.token_hex(4)}"
        run(create(postgres, service, name, None))
        made.append(name)
        run(fill(urlunsplit(urlsplit(postgres)._replace(path=f"/{name}")), dumps[service]))
        return addresses(postgres, service, name, passwords)

    with contextlib.closing(System(kafka, tmp_path, new_database, postgres)) as system:
        yield Upgraded(release, system)
    for name in made:
        run(drop(postgres, name))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _numbers(answer: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return every period of every indicator of an answer, by both; without what explains its signal in words."""
    return {
        (row["id"], period["period"]): {name: value for name, value in period.items() if name != "pace"}
        for row in answer["indicators"]
        for period in row["periods"]
    }


def test_a_database_of_an_older_release_is_refused_until_it_is_migrated_and_then_gives_equal_numbers(
    upgraded: Upgraded,
) -> None:
    system = upgraded.system
    api = upgraded.process("recruitment", "api")
    before = system.query("recruitment", "select name from migration order by 1")
    refused = fork_server().run("services.recruitment", ["api"], api.settings)
    assert refused.returncode == 1
    assert "The database lacks these migrations; run python -m services.recruitment migrate first." in refused.output
    assert system.query("recruitment", "select name from migration order by 1") == before, "nothing is changed"

    processes = [
        api,
        upgraded.process("recruitment", "worker"),
        upgraded.process("projection", "projector"),
        upgraded.process("projection", "api"),
    ]
    for service in WITH_DATABASE:
        if service not in system.databases:
            system.databases[service] = system.new_database(service)
        run(migrate(system.databases[service], None))
    for process in processes:
        process.start(wait=False)
    for process in processes:
        process.wait_ready()

    questions = read(upgraded.release, "numbers")
    positions = {name: each["position"] for name, each in questions[0]["answer"]["complete_to"].items()}

    def progress(parameters: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = processes[3].http.get(f"/v1/plans/{PLAN}/progress", params=parameters).json()
        return answer

    eventually(lambda: all(progress({})["complete_to"][name]["position"] >= at for name, at in positions.items()))
    for question in questions:
        now = _numbers(progress(question["asked"]))
        for key, period in _numbers(question["answer"]).items():
            assert {name: now[key].get(name) for name in period} == period, (question["asked"], key)

    hired = person_hired("after-the-upgrade")
    receipt = api.http.post("/v1/events", json=hired).json()
    assert (receipt["status"], receipt["position"]) == ("accepted", positions["recruitment"] + 1)
    check_log(system, "recruitment")
