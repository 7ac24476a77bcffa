"""Restores the newest backup beside what runs, compares its logs with their topics, and recounts its numbers.

Nothing that is in use is changed. The topics are read as far as each restored log goes: whether a log is, byte by byte,
the beginning of its topic is what a recovery rests on, and only the topic that is in use can say.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from deploy.local import databases
from deploy.local.console import say, step
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import backup, kept_backups, reconcile
from deploy.operations import erasure_records as records
from deploy.operations.hops.comparison import Compared
from deploy.operations.kept_backups import RestoreTest
from services.catalogue import DOMAIN_SERVICES, WITH_DATABASE
from shared.kafka.clients import Broker


def restore_newest(installation: Installation, broker: Broker) -> RestoreTest:
    """Restore the newest backup into databases of its own, which are dropped again, and keep what it has shown.

    Raises what says that a server is away: then nothing is known, and nothing is kept.
    """
    backups, began = installation.state / "backups", time.monotonic()
    name = kept_backups.whole(backups)[-1]
    facts, problems = 0, list[str]()
    try:
        with records.alone(backups), step(f"试恢复 {name}", f"Restoring {name} on trial"):
            results = _restored(installation, backup.read(backups / name, list(WITH_DATABASE)), broker)
        facts = sum(compared.counts["facts"] for compared in results)
        problems = [
            f"{each.service} [{each.hop}] @{each.position}: {each.zh} {each.en}"
            for compared in results
            for each in compared.differences.values()
        ]
    except LocalError as refused:
        problems = [f"{refused.zh} {refused.en}"]
    tested = RestoreTest(
        datetime.now(UTC).isoformat(timespec="seconds"), name, round(time.monotonic() - began, 1), facts, problems
    )
    tested.write(backups)
    if problems:
        say(f"✗ 试恢复 {name} 有误:{problems[0]}", f"Restored on trial: {len(problems)} problems.")
    else:
        say(f"✓ 试恢复 {name}:{facts} 条事实,重算一致", f"Restored on trial: {facts} facts, recounted, equal.")
    return tested


def run(installation: Installation, broker: Broker) -> int:
    """Restore the newest backup on trial; return the exit code: 0 when it was whole and equal."""
    if not kept_backups.whole(installation.state / "backups"):
        raise LocalError("还没有备份。", "There is no backup yet.")
    return 1 if restore_newest(installation, broker).problems else 0


def _fill(installation: Installation, taken: backup.Backup, service: str, name: str) -> None:
    backup.fill(installation, taken, service, name)
    if not databases.migrate(service, installation.owner_dsn(service, name)):
        raise LocalError(f"{service} 的库未能迁移。", f"The database of {service} could not be migrated.")


def _restored(installation: Installation, taken: backup.Backup, broker: Broker) -> list[Compared]:
    """Compare a backup in databases of its own."""
    own = {service: f"{installation.database(service)}_tested" for service in WITH_DATABASE}
    try:
        with ThreadPoolExecutor(2) as beside:  # what runs besides keeps most of the machine
            list(beside.map(partial(_fill, installation, taken), own, own.values()))
        places = {service: installation.role_dsn(service, name) for service, name in own.items()}
        results = asyncio.run(reconcile.compare(reconcile.Places(places, broker), restored=True))
        for compared in results:
            noted = taken.manifest["services"][compared.service]["position"]
            if compared.service in DOMAIN_SERVICES and compared.counts["facts"] != noted:
                compared.differs("log", noted, "备份所记的位次不是日志末端", "the backup notes another end of the log")
        return results
    finally:
        for name in own.values():
            asyncio.run(backup.drop(installation.superuser, name))
