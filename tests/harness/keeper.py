"""Runs the keeper of backups on a folder, with no server to take one from: `python -m tests.harness.keeper F PORT`."""

import os
import sys
from pathlib import Path

from deploy.local.installation import Installation
from deploy.operations import keeper
from shared.kafka.clients import Broker

NOWHERE = "127.0.0.1:9"

if __name__ == "__main__":
    state, os.environ["SKILLPLAN_PORT"] = Path(sys.argv[1]), sys.argv[2]
    away = Installation(state, kafka=NOWHERE, superuser_dsn=f"postgresql://{NOWHERE}/nothing")
    keeper.keep(away, lambda _service: Broker(NOWHERE), keeper.KeeperSettings())
