"""Fixtures of all tests: a real broker and database, the environment's, Docker's or embedded; and who runs what."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
import httpx._transports.default
import hypothesis
import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from deploy.kafka import topics as deploy_topics
from deploy.kafka.topics import Topic
from deploy.local import databases
from deploy.local.databases import Database, Passwords
from deploy.local.processes import Supervisor
from shared.kafka.clients import Broker
from tests.harness import containers, pair
from tests.harness import databases as test_databases
from tests.harness.broker import delete_topics

ROOT = Path(__file__).resolve().parents[1]
# Reading the machine's authorities takes 60 ms of processor time, and httpx does it for each single question.
httpx._transports.default.create_ssl_context = functools.cache(  # type: ignore[attr-defined]
    httpx.create_ssl_context
)
# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
T = TypeVar("T")
_NOT_STARTED: list[str] = []


class NewDatabase(Protocol):
    """Make a fresh database of a service: a copy of a migrated template, dropped after the test."""

    def __call__(self, service: str, migrations: Path | None = None) -> Database:
        """Migrate by `python -m services.<service> migrate`, or with the given folder of migrations."""


class NewTopics(Protocol):
    """Make topics that are empty now and deleted after the test."""

    def __call__(self, *topics: Topic) -> list[str]:
        """Return their names."""


# What takes longest starts first: these files, then the one installation that end-to-end tests share.
_LONGEST = ("test_compose", "test_alerts")
_SHORT = ("unit", "contract")
_MAKE_UP = "make up"


class _Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps a file's tests in one process, since they share what they started, and those of the shared installation.

    Files that mostly wait, for an alert or a server, are the first process's: beside it the others have the machine.
    The marks of a test stay in the processes that collect it (those of `xdist_group` are lost from pytest 9.2 on), so
    a file that waits is known by what it says.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _MAKE_UP if file.startswith("tests/e2e/") and not _waits(file) else file

    def _assign_work_unit(self, node: object) -> None:
        own = (scope for scope in self.workqueue if _waits(scope) == (node is self.nodes[0]))
        self.workqueue.move_to_end(next(own, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)


@functools.cache
def _waits(scope: str) -> bool:
    return scope != _MAKE_UP and "pytest.mark.waits" in (ROOT / scope).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Lanes:
    """Give each process of a parallel run whole files and groups; each has a broker and a database of its own."""
    config.option.loadscopereorder = False
    return _Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first and the short ones last, whatever the random order of the rest.

    What runs on real servers is tried a second time, which the summary names (RERUN): two busy cores, hundreds of
    processes and one late answer are no fault of the product's, a second one is.
    """

    def place(item: pytest.Item) -> tuple[int, bool]:
        folder, is_last = item.path.parent.name, item.get_closest_marker("last") is not None
        traits = (item.path.stem in _LONGEST, folder == "e2e", folder not in _SHORT)
        return [*traits, True].index(True), is_last

    items.sort(key=place)
    for item in items:
        if item.path.parent.name not in _SHORT:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_report_header() -> list[str]:
    """Say where broker and database come from, and whether the composed stack can be driven, and why not."""
    compose = containers.compose_missing()
    return [
        f"kafka: {_origin('KAFKA_BOOTSTRAP', containers.KAFKA)}",
        f"postgres: {_origin('PG_DSN', containers.POSTGRES)}",
        f"compose tests: {'run' if compose is None else f'not run: {compose}'}",
    ]


def _origin(variable: str, image: str) -> str:
    if os.environ.get(variable):
        return f"{variable} of the environment"
    missing = containers.pair_missing()
    return f"Docker, {image}" if missing is None else f"embedded ({missing})"


def _of_docker(stack: contextlib.ExitStack, running: contextlib.AbstractContextManager[str]) -> str | None:
    """Start a server in Docker; None where that cannot be, or did not succeed, which the summary says."""
    if containers.pair_missing() is not None:
        return None
    try:
        return stack.enter_context(running)
    except containers.DidNotStart as error:
        _NOT_STARTED.append(str(error))
        return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat at the end what Docker could not show."""
    for problem in _NOT_STARTED:
        terminalreporter.write_line(f"Docker was there and an embedded server was taken: {problem}")
    if (missing := containers.compose_missing()) is not None:
        terminalreporter.write_line(f"compose tests: not run: {missing}")


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
    with contextlib.ExitStack() as stack:
        if (address := _of_docker(stack, containers.running_kafka())) is None:
            address = stack.enter_context(pair.running(with_postgres=False)).kafka
        yield address


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real server's address, as superuser. The tests own its roles: do not give it an installation's server."""
    given = os.environ.get("PG_DSN")
    if given:
        yield given
        return
    with contextlib.ExitStack() as stack:
        if (address := _of_docker(stack, containers.running_postgres())) is None:
            address = stack.enter_context(pair.running(with_kafka=False)).postgres
        yield address


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
            _wait_for(test_databases.create(postgres, service, name, None))
            _wait_for(
                test_databases.migrate(
                    test_databases.addresses(postgres, service, name, passwords[service]), migrations
                )
            )
            made[service, migrations] = name
        return made[service, migrations], passwords[service]

    yield template
    for name in made.values():
        _wait_for(test_databases.drop(postgres, name))


@pytest.fixture
def database(postgres: str, _template: Callable[[str, Path | None], tuple[str, Passwords]]) -> Iterator[NewDatabase]:
    """A factory of fresh, migrated databases."""
    made: list[str] = []

    def new(service: str, migrations: Path | None = None) -> Database:
        template, passwords = _template(service, migrations)
        name = f"{service}_{secrets.token_hex(4)}"
        _wait_for(test_databases.create(postgres, service, name, template))
        made.append(name)
        return test_databases.addresses(postgres, service, name, passwords)

    yield new
    for name in made:
        _wait_for(test_databases.drop(postgres, name))


@pytest.fixture
def topics(kafka: str) -> Iterator[NewTopics]:
    """A factory of topics: `topics(deploy.kafka.topics.events("recruitment"), …)`."""
    made: list[str] = []

    def new(*wanted: Topic) -> list[str]:
        names = [topic.name for topic in wanted]
        _wait_for(delete_topics(kafka, names))
        _wait_for(deploy_topics.create(Broker(kafka), wanted))
        made.extend(names)
        return names

    yield new
    _wait_for(delete_topics(kafka, made))


@contextlib.contextmanager
def new_state_folder() -> Iterator[Path]:
    """A folder for an installation of `make up` as long as a block; it is stopped and removed at the end."""
    room = Path(tempfile.mkdtemp(prefix="skillplan-state-"))
    room.chmod(0o711)  # closed to others, the database's files would have to live elsewhere when we are root
    try:
        yield room / "state"
    finally:
        Supervisor(room / "state").stop()
        shutil.rmtree(room)
