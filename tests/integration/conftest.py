"""The systems that integration tests drive: one a test, or one a module where tests do not disturb each other."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.kafka import topics as deploy_topics
from deploy.local.databases import Database, Passwords
from shared.kafka.clients import Broker
from tests.conftest import NewDatabase, NewTopics
from tests.harness.broker import delete_topics
from tests.harness.databases import addresses, create, drop
from tests.harness.processes import DISTRICTS, System, run, topics_of
from tests.harness.topics import check_log

Template = Callable[[str, Path | None], tuple[str, Passwords]]


@pytest.fixture
def system(kafka: str, postgres: str, database: NewDatabase, topics: NewTopics, tmp_path: Path) -> Iterator[System]:
    """An empty installation: every topic fresh, no process yet; all are killed at the end."""
    topics(*deploy_topics.wanted(DISTRICTS))
    made = System(kafka, tmp_path, database, postgres)
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    kafka: str,
    postgres: str,
    _template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """Both processes of the services that the module names in SERVICES, for all its tests."""
    services: tuple[str, ...] = request.module.SERVICES
    with fresh_topics(kafka, services), fresh_databases(postgres, _template) as new_database:
        made = System(kafka, tmp_path_factory.mktemp("running"), new_database, postgres)
        try:
            made.start_services(*services)
            yield made
            # Whatever the tests did, in whatever order: this holds.
            for service in services:
                check_log(made, service)
        finally:
            made.close()


@contextlib.contextmanager
def fresh_topics(kafka: str, services: tuple[str, ...]) -> Iterator[None]:
    """Make the topics of some services, empty, and delete them afterwards."""
    wanted = topics_of(services)
    names = [topic.name for topic in wanted]
    run(delete_topics(kafka, names))
    run(deploy_topics.create(Broker(kafka), wanted))
    yield
    run(delete_topics(kafka, names))


@contextlib.contextmanager
def fresh_databases(postgres: str, template: Template) -> Iterator[Callable[[str], Database]]:
    """Yield a factory of migrated databases that are dropped afterwards."""
    made: list[str] = []

    def new(service: str) -> Database:
        origin, passwords = template(service, None)
        name = f"{service}_{secrets.token_hex(4)}"
        run(create(postgres, service, name, origin))
        made.append(name)
        return addresses(postgres, service, name, passwords)

    yield new
    for name in made:
        run(drop(postgres, name))
