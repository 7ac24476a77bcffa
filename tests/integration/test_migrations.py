"""No migration keeps a big table from being used for as long as it takes to go through it, and none is half done."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.catalogue import WITH_DATABASE
from shared.log.migrate import MigrationRefused, migrate
from tests.conftest import ROOT, NewDatabase
from tests.harness.databases import create, drop, fill
from tests.harness.migration_locks import blocked_by
from tests.harness.processes import _fetch as fetch
from tests.harness.processes import run
from tests.integration.conftest import Template
from tests.releases.__main__ import read, releases


@pytest.fixture(name="database_of")
def database_of_fixture(
    request: pytest.FixtureRequest, postgres: str, _template: Template
) -> Iterator[tuple[str, str]]:
    """A database of a release with what it held then, as (service, address of a superuser)."""
    release, service = request.param
    _template(service, None)  # its roles
    name = f"{service}_{secrets.token_hex(4)}"
    address = urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    run(create(postgres, service, name, None))
    run(fill(address, read(release, "databases")[service]))
    yield service, address
    run(drop(postgres, name))


def _migrations(service: str) -> list[Path]:
    folder = "services/projection/migrations" if service == "projection" else "shared/log/migrations"
    return sorted((ROOT / folder).glob("*.sql"))


@pytest.mark.parametrize(
    "database_of",
    [(release, service) for release in releases() for service in ("enrollment", "projection")],
    indirect=True,
    ids="-".join,
)
def test_no_migration_since_a_release_goes_through_a_table_under_a_lock(database_of: tuple[str, str]) -> None:
    service, address = database_of
    assert service in WITH_DATABASE

    async def tried() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute("analyze")
            applied = {row["name"] for row in await connection.fetch("select name from migration")}
            assert applied
            for file in _migrations(service):
                if file.name not in applied:
                    sql = file.read_text(encoding="utf-8").replace("{role}", service)
                    assert await blocked_by(connection, sql) == [], file.name
                    await connection.execute(sql)
        finally:
            await connection.close()

    run(tried())


@pytest.mark.parametrize("database_of", [(releases()[0], "enrollment")], indirect=True, ids=["enrollment"])
@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("alter table fact add column note text", None),
        ("alter table fact add column note text not null default 'none'", None),
        ("create table other (fact bigint references fact)", None),
        ("alter table fact add constraint positive check (version > 0) not valid", None),
        ("alter table log_head alter column receipts type numeric", None),
        ("alter table fact add column drawn float not null default random()", "fact: written anew"),
        ("alter table fact alter column version type bigint", "fact: written anew"),
        ("create index fact_id on fact (id)", "fact: gone through under ShareLock"),
        (
            "alter table fact add constraint positive check (version > 0)",
            "fact: gone through under AccessExclusiveLock",
        ),
        ("update fact set report_id = report_id", "fact: every row is changed"),
    ],
)
def test_a_migration_that_would_stop_reports_for_as_long_as_a_table_is_big_is_named(
    database_of: tuple[str, str], sql: str, problem: str | None
) -> None:
    async def tried() -> list[str]:
        connection = await asyncpg.connect(database_of[1])
        try:
            await connection.execute("analyze")
            return await blocked_by(connection, sql)
        finally:
            await connection.close()

    problems = run(tried())
    assert len(problems) == (problem is not None)
    assert all(text.startswith(problem or "") for text in problems)


def test_a_migration_waits_for_a_table_without_keeping_others_from_it(database: NewDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "shared" / "log" / "migrations", folder)
    (folder / "999_note.sql").write_text("alter table fact add column note text;")
    made = database("enrollment")

    async def tried() -> tuple[list[str], int]:
        reader, other = await asyncpg.connect(made.owner_dsn), await asyncpg.connect(made.owner_dsn)
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("select count(*) from fact")  # as an export does for minutes
        migrating = asyncio.create_task(migrate(made.owner_dsn, folder, "enrollment"))
        seen = 0
        waiting = "select count(*) from pg_locks where relation = 'fact'::regclass and not granted"
        while seen < 2:
            assert not migrating.done(), "nobody was in its way: nothing was tried"
            if await other.fetchval(waiting):
                seen += 1
                await asyncio.wait_for(other.fetch("select count(*) from fact"), 30)  # behind it, not for ever
        await transaction.rollback()
        done = await asyncio.wait_for(migrating, 120)
        await reader.close()
        await other.close()
        return done, seen

    assert run(tried()) == (["999_note.sql"], 2)


def test_a_migration_that_breaks_off_is_undone_named_and_may_be_repeated(database: NewDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "shared" / "log" / "migrations", folder)
    made = database("enrollment")
    second = folder / "998_whole.sql"
    broken = folder / "999_half.sql"
    second.write_text("create table whole (n int);")
    broken.write_text("create table half (n int); insert into half values (1); alter table nowhere add column n int;")

    def tables() -> list[str]:
        sql = "select table_name from information_schema.tables where table_schema = 'public' order by 1"
        return [row["table_name"] for row in run(fetch(made.owner_dsn, sql))]

    before = tables()
    with pytest.raises(MigrationRefused, match=r"999_half\.sql did not go through .*as it was before") as refused:
        run(migrate(made.owner_dsn, folder, "enrollment"))
    assert "\n" not in str(refused.value)
    assert tables() == sorted([*before, "whole"]), "what was whole stays, of the half nothing does"
    broken.write_text("create table half (n int);")
    assert run(migrate(made.owner_dsn, folder, "enrollment")) == ["999_half.sql"]
    assert "half" in tables()
