"""What an operator sets wrongly is one sentence at start and a non-zero exit, and nothing was changed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from deploy.local import debian
from deploy.local.databases import Database
from deploy.local.ports import is_free
from shared.log.migrate import connect
from tests.conftest import ROOT, NewDatabase
from tests.harness.fork_server import fork_server
from tests.harness.ports import any_free
from tests.harness.processes import CITY_KEY, FIGURES_KEY, SERVICE_KEY, eventually, run

POOLER = ROOT / ".cache" / "pgbouncer"


def starts(service: str, command: str, database: Database, **settings: str) -> str:
    """Start a process that is to refuse; return the one sentence it says."""
    environment = {
        "SKILLPLAN_PG_DSN": database.dsn,
        "SKILLPLAN_PG_OWNER_DSN": database.owner_dsn,
        "SKILLPLAN_CITY_KEY": CITY_KEY,
        "SKILLPLAN_SERVICE_KEY": SERVICE_KEY,
        "SKILLPLAN_FIGURES_KEY": FIGURES_KEY,
        "SKILLPLAN_KAFKA": "127.0.0.1:1",
        **settings,
    }
    done = fork_server().run(f"services.{service}", [command], environment)
    message = done.output.strip()
    assert done.returncode != 0
    assert len(message.splitlines()) == 1, message
    for secret in (CITY_KEY, SERVICE_KEY, database.dsn.partition("@")[0].rpartition(":")[2]):
        assert secret not in message
    return message


def execute(database: Database, sql: str) -> list[asyncpg.Record]:
    async def work() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database.owner_dsn)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    return run(work())


@pytest.mark.parametrize(("service", "command"), [("recruitment", "worker"), ("projection", "api")])
def test_a_database_of_another_version_is_named_with_what_to_do(
    database: NewDatabase, service: str, command: str
) -> None:
    place = database(service)
    execute(place, "insert into migration values ('999_later.sql', 'x')")
    assert "999_later.sql" in starts(service, command, place)
    execute(place, "delete from migration")
    assert f"python -m services.{service} migrate" in starts(service, command, place)
    execute(place, "drop table migration")
    assert f"python -m services.{service} migrate" in starts(service, command, place)


@pytest.mark.parametrize("name", ["city_key", "service_key"])
def test_a_key_other_than_the_one_the_log_was_begun_with_is_refused(database: NewDatabase, name: str) -> None:
    """The city's key twice different would count a person twice, without anybody noticing."""
    place = database("recruitment")
    begun = "insert into key_check values ('city_key', 'x'), ('service_key', 'x')"
    ours = "select name, digest from key_check order by name"
    setting = f"SKILLPLAN_{name.upper()}"
    execute(place, begun.replace(f"'{name}', 'x'", f"'{name}', 'other'"))
    before = execute(place, ours)
    assert setting in starts("recruitment", "api", place)
    assert execute(place, ours) == before


def test_a_wrong_password_database_or_address_is_told_from_one_that_is_away(database: NewDatabase) -> None:
    place = database("recruitment")
    wrong = {
        "password": place.dsn.replace("recruitment:", "recruitment:no", 1),
        "such database": place.dsn + "x",
        "address": "127.0.0.1",
    }
    for says, dsn in wrong.items():
        assert says in starts("recruitment", "api", place, SKILLPLAN_PG_DSN=dsn)
    away = "postgresql://a:b@127.0.0.1:1/x"
    assert "nothing was changed" in starts("recruitment", "migrate", place, SKILLPLAN_PG_OWNER_DSN=away)
    assert "nothing was changed" in starts("projection", "recount", place, SKILLPLAN_PG_DSN=away)


def test_a_misspelt_setting_is_answered_with_the_one_that_is_meant(database: NewDatabase) -> None:
    message = starts("recruitment", "migrate", database("recruitment"), SKILLPLAN_KAFKA_USR="x")
    assert "SKILLPLAN_KAFKA_USR" in message
    assert "SKILLPLAN_KAFKA_USER" in message


def test_a_server_that_cannot_hold_a_log_is_named_at_start(database: NewDatabase) -> None:
    place = database("recruitment")
    execute(place, f'alter database "{place.name}" set default_transaction_read_only = on')
    for service, command in (("recruitment", "worker"), ("recruitment", "migrate"), ("projection", "projector")):
        assert "read-only" in starts(service, command, place)


def test_a_pooler_in_transaction_mode_is_named_and_one_in_session_mode_is_used(
    database: NewDatabase, tmp_path: Path
) -> None:
    """Session locks and prepared statements break in the first, at random and silently."""
    place = database("recruitment")
    with pooler(place, tmp_path, "transaction") as pooled:
        assert "transaction" in starts("recruitment", "worker", place, SKILLPLAN_PG_DSN=pooled)
        assert "transaction" in starts("recruitment", "migrate", place, SKILLPLAN_PG_OWNER_DSN=pooled)
        assert "transaction" in starts("projection", "api", place, SKILLPLAN_PG_DSN=pooled)
    with pooler(place, tmp_path, "session") as pooled:
        run(closed(connect(pooled, "SKILLPLAN_PG_DSN")))


async def closed(connecting: Awaitable[asyncpg.Connection]) -> None:
    await (await connecting).close()


@contextmanager
def pooler(place: Database, folder: Path, mode: str) -> Iterator[str]:
    """Debian's PgBouncer before the server of a database; yields the address through it."""
    if not (program := POOLER / "usr" / "sbin" / "pgbouncer").exists():
        debian.fetch(["pgbouncer", "libevent-2.1-7", "libc-ares2"], POOLER)
    server, (port,) = urlsplit(place.dsn), any_free(1)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.hostname} port={server.port} user={server.username} "
        f"password={unquote(server.password or '')}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"auth_type = any\npool_mode = {mode}\nunix_socket_dir =\n",
        encoding="utf-8",
    )
    folder.chmod(0o755)
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    libraries = POOLER / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    child = subprocess.Popen(
        [program, *user, folder / "pgbouncer.ini"], env=os.environ | {"LD_LIBRARY_PATH": str(libraries)}
    )
    try:
        eventually(lambda: not is_free(port))
        yield place.dsn.replace(f":{server.port}/", f":{port}/")
    finally:
        child.terminate()
        child.wait(10)
