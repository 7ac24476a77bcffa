"""Gives every test a real broker and a real database: the environment's, else an embedded pair of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy import topics as deploy_topics
from deploy.local import databases, pair
from deploy.local.databases import Database, Passwords
from deploy.local.processes import Supervisor
from deploy.topics import Topic
from shared.broker import Broker
from shared.migrations import migrate as run_migrations

ROOT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


class NewDatabase(Protocol):
    """Make a fresh database of a service: a copy of a migrated template, dropped after the test."""

    def __call__(self, service: str, migrations: Path | None = None) -> Database:
        """Migrate by `python -m services.<service> migrate`, or with the given folder of migrations."""


class NewTopics(Protocol):
    """Make topics that are empty now and deleted after the test."""

    def __call__(self, *topics: Topic) -> list[str]:
        """Return their names."""


def _wait_for(work: Coroutine[object, object, T]) -> T:
    """Run it in a loop of its own, from a test that may itself run in one."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """A real broker's `host:port`."""
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    with pair.running(with_postgres=False) as own:
        yield own.kafka


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real server's address, as superuser. The tests own its roles: do not give it an installation's server."""
    given = os.environ.get("PG_DSN")
    if given:
        yield given
        return
    with pair.running(with_kafka=False) as own:
        yield own.postgres


@pytest.fixture(scope="session")
def _template(postgres: str) -> Iterator[Callable[[str, Path | None], tuple[str, Passwords]]]:
    """Migrate each service once a session, whatever the number of tests."""
    made: dict[tuple[str, Path | None], str] = {}
    passwords: dict[str, Passwords] = {}

    def template(service: str, migrations: Path | None) -> tuple[str, Passwords]:
        if service not in passwords:
            passwords[service] = Passwords(secrets.token_hex(12), secrets.token_hex(12))
            _wait_for(databases.ensure_roles(postgres, {service: passwords[service]}))
        if (service, migrations) not in made:
            name = f"{service}_template_{secrets.token_hex(4)}"
            _wait_for(_create(postgres, service, name, None))
            _migrate(_addresses(postgres, service, name, passwords[service]), migrations)
            made[service, migrations] = name
        return made[service, migrations], passwords[service]

    yield template
    for name in made.values():
        _wait_for(_drop(postgres, name))


@pytest.fixture
def database(postgres: str, _template: Callable[[str, Path | None], tuple[str, Passwords]]) -> Iterator[NewDatabase]:
    """A factory of fresh, migrated databases."""
    made: list[str] = []

    def new(service: str, migrations: Path | None = None) -> Database:
        template, passwords = _template(service, migrations)
        name = f"{service}_{secrets.token_hex(4)}"
        _wait_for(_create(postgres, service, name, template))
        made.append(name)
        return _addresses(postgres, service, name, passwords)

    yield new
    for name in made:
        _wait_for(_drop(postgres, name))


@pytest.fixture
def topics(kafka: str) -> Iterator[NewTopics]:
    """A factory of topics: `topics(deploy.topics.events("recruitment"), …)`."""
    made: list[str] = []

    def new(*wanted: Topic) -> list[str]:
        names = [topic.name for topic in wanted]
        _wait_for(_delete_topics(kafka, names))
        _wait_for(deploy_topics.create(Broker(kafka), wanted))
        made.extend(names)
        return names

    yield new
    _wait_for(_delete_topics(kafka, made))


@pytest.fixture(scope="module")
def state_folder() -> Iterator[Path]:
    """A folder for an installation of `make up`, stopped and removed at the end."""
    with new_state_folder() as folder:
        yield folder


@contextlib.contextmanager
def new_state_folder() -> Iterator[Path]:
    """The same for as long as a block."""
    room = Path(tempfile.mkdtemp(prefix="skillplan-state-"))
    room.chmod(0o711)  # closed to others, the database's files would have to live elsewhere when we are root
    try:
        yield room / "state"
    finally:
        Supervisor(room / "state").stop()
        shutil.rmtree(room)


def _addresses(superuser: str, service: str, name: str, passwords: Passwords) -> Database:
    return Database(
        service=service,
        name=name,
        owner_dsn=databases.address(superuser, f"{service}_owner", passwords.owner, name),
        dsn=databases.address(superuser, service, passwords.role, name),
    )


def _migrate(database: Database, migrations: Path | None) -> None:
    if migrations is not None:
        _wait_for(run_migrations(database.owner_dsn, migrations, database.service))
        return
    settings = {"SKILLPLAN_PG_OWNER_DSN": database.owner_dsn, "SKILLPLAN_PG_DSN": database.dsn}
    done = subprocess.run(
        [sys.executable, "-m", f"services.{database.service}", "migrate"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"migrating {database.service}: {done.stdout}{done.stderr}"


async def _create(superuser: str, service: str, name: str, template: str | None) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await databases.create_database(connection, service, name, template)
    finally:
        await connection.close()
    if template is not None:
        await _vouch(databases.address(superuser, *_login(superuser), name))


async def _vouch(dsn: str) -> None:
    """Say that the log was compared with its topic, as a worker does: many tests run no worker."""
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("select to_regproc('log_life') is not null"):
            await connection.execute("update log_head set compared = log_life()")
    finally:
        await connection.close()


def _login(dsn: str) -> tuple[str, str]:
    parts = urlsplit(dsn)
    return unquote(parts.username or ""), unquote(parts.password or "")


async def _drop(superuser: str, name: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def _delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = list(set(names) & set(await admin.list_topics()))
        if there:
            await admin.delete_topics(there)
        async with asyncio.timeout(30):
            while set(there) & set(await admin.list_topics()):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
