"""What every way of installing prepares alike: roles, databases and migrations; topics, Kafka users and rights."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import asyncpg

from deploy.local import databases
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from services.catalogue import WITH_DATABASE


def make_databases(installation: Installation, watcher: dict[str, str] | None = None) -> None:
    """Make roles and databases, then migrate each service. `watcher`: a role for statistics, and its password."""
    asyncio.run(make_roles(installation, watcher or {}))
    for service in WITH_DATABASE:
        if not databases.migrate(service, installation.owner_dsn(service)):
            raise LocalError(
                f"{service} 的数据库未能迁移(见上)。", f"The database of {service} was not migrated (see above)."
            )


async def make_roles(installation: Installation, watcher: dict[str, str]) -> None:
    """Make roles and databases, and mark these; raises LocalError, and changes nothing, where they are another's."""
    superuser = installation.superuser
    passwords = {installation.database(service): installation.passwords[service] for service in WITH_DATABASE}
    try:
        await databases.refuse_another(superuser, list(passwords), installation.mark)
        await databases.ensure_roles(superuser, passwords)
        await databases.ensure_databases(superuser, list(passwords))
        await databases.mark_as_own(superuser, list(passwords), installation.mark)
        for role, password in watcher.items():
            await databases.ensure_watcher(superuser, role, password)
    except asyncpg.InvalidPasswordError:
        raise LocalError(
            "PostgreSQL 拒绝超级用户的密码:数据是用另一个密码建立的。请放回原来的 postgres 密钥文件。",
            "PostgreSQL refuses the superuser's password: the data was made with another one; put that one back.",
        ) from None
    except (OSError, asyncpg.PostgresError) as error:
        why = type(error).__name__
        raise LocalError(f"PostgreSQL 不可用({why})。", f"PostgreSQL is not available ({why}).") from None


def make_topics(**settings: str) -> None:
    """Make the topics, then users and rights; both say themselves what is wrong."""
    for module in ("deploy.kafka.topics", "deploy.kafka.access"):
        done = subprocess.run([sys.executable, "-m", module], env={**os.environ, **settings}, check=False)
        if done.returncode:
            sys.exit(done.returncode)
