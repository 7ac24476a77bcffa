"""The client starts on any system: no module that only POSIX has, none of what the services need besides."""

import subprocess
import sys

from tests.conftest import ROOT

BLOCKED = """
import asyncio, sys  # asyncio itself has another loop on Windows
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "crypt", "spwd", "posix_ipc"):
    sys.modules[name] = None
import client.__main__
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
OF_THE_SERVICES = {"asyncpg", "faust", "mode", "uvloop", "uvicorn", "fastapi", "starlette", "cryptography", "deploy"}


def test_the_client_imports_nothing_that_only_posix_or_only_the_services_have() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], cwd=ROOT, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert {"client", "aiokafka", "httpx"} <= set(done.stdout.split())
    assert not OF_THE_SERVICES & set(done.stdout.split())
