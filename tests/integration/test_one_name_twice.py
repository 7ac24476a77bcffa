"""Two installations with one name on one PostgreSQL: the second is refused, and the first goes on as it was."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import Passwords
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import backup
from deploy.operations.preparing import make_roles
from services.catalogue import WITH_DATABASE
from tests.harness.processes import run


@pytest.fixture
def installation(postgres: str, tmp_path: Path) -> Iterator[Installation]:
    passwords = {service: Passwords(secrets.token_hex(8), secrets.token_hex(8)) for service in WITH_DATABASE}
    made = Installation(tmp_path, city=f"twin{secrets.token_hex(3)}", superuser_dsn=postgres, passwords=passwords)
    made.city_key = secrets.token_hex(32)
    yield made
    for service in WITH_DATABASE:
        run(backup.drop(postgres, made.database(service)))


def test_the_databases_of_another_installation_are_refused_and_nothing_is_changed(installation: Installation) -> None:
    run(make_roles(installation, {}))
    run(make_roles(installation, {}))
    others = {service: Passwords("other", "other") for service in WITH_DATABASE}
    second = dataclasses.replace(installation, city_key=secrets.token_hex(32), passwords=others)
    with pytest.raises(
        LocalError, match="another installation's, with another city key; nothing was changed"
    ) as refused:
        run(make_roles(second, {}))
    assert len(refused.value.en.splitlines()) == 1
    assert run(_who(installation.role_dsn("recruitment"))) == installation.database("recruitment")


async def _who(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("select current_user"))
    finally:
        await connection.close()
