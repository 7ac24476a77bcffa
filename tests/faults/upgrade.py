"""A rolling upgrade: an older release's processes and today's side by side on one broker and one database."""

from __future__ import annotations

import io
import signal
import subprocess
import tarfile
import time
from pathlib import Path

from services.catalogue import WITH_DATABASE
from shared.log.migrate import migrate
from tests.conftest import ROOT
from tests.harness.faults import FaultInstallation
from tests.harness.processes import run
from tests.releases.__main__ import releases

_PATIENCE = 180.0


def oldest_release(folder: Path) -> Path:
    """Put the code of the oldest release of which something is kept into a folder, from git's history."""
    code = folder / "release"
    archive = subprocess.run(["git", "archive", releases()[0]], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(code, filter="data")
    return code


def rolling_upgrade(own: FaultInstallation, held: float) -> str:
    """Migrate under the old processes, start today's beside each of them, and end the old ones one by one."""
    old, seconds = list(own.processes), held / 6
    assert own.system.code != ROOT, "they run today's code: nothing was tried"
    time.sleep(seconds)
    applied = [
        name
        for service, database in own.system.databases.items()
        if service in WITH_DATABASE
        for name in run(migrate(database.owner_dsn, migrations_of(service), service))
    ]
    assert applied, "the databases were today's already: nothing was tried"
    time.sleep(seconds)
    own.system.code = ROOT
    fresh = [own.start_beside(process) for process in old]
    for process in fresh:
        process.wait_ready(_PATIENCE)
    time.sleep(seconds)
    for process in old:
        own.system.processes.remove(process)
        assert process.retire() in (0, -signal.SIGTERM), process.text()[-2000:]
        time.sleep(seconds / len(old))
    return f"{releases()[0]} → HEAD; {len(applied)} 项迁移 migrations, {len(old)} 个进程 processes"


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations in today's code."""
    return ROOT / ("services/projection/migrations" if service == "projection" else "shared/log/migrations")
