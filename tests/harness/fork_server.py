"""Starts processes of services by forking one that has imported their code already, which a start spends most time on.

What is started is a process like any other, with its own environment, log, signals and exit code: only the imports are
done. It runs the module as `python -m` does.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from deploy.local.children import dies_with_parent

_ROOT: Final = Path(__file__).resolve().parents[2]
# What `__main__` of a service and of the client import, at once or on demand.
_IMPORTED: Final = (
    "client.commands.plan",
    "services.planning.api",
    "services.projection.api",
    "services.projection.counting.projector",
    "services.projection.receipts.follower",
    "shared.service.http_reports",
    "shared.service.main",
    "shared.service.worker",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
_PR_SET_PDEATHSIG: Final = 1
_PAUSE: Final = 0.01  # seconds
# To the kernel a child's parent is the thread that started it, so one that stays starts them all.
_STARTER: Final = ThreadPoolExecutor(1)


class Child:
    """A forked process, as `subprocess.Popen` presents one."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Return the exit code, the negative number of the signal that ended it, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raises TimeoutExpired when it still runs after so many seconds."""
        end = time.monotonic() + (timeout or float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_PAUSE)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal; to one that has ended, nothing."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Ended(NamedTuple):
    """A process that has ended: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Return all of it."""
        return self.stdout + self.stderr


class ForkServer:
    """The process that is forked; requests and answers are lines of JSON, one at a time."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._lock = threading.Lock()
        self._server = _STARTER.submit(
            subprocess.Popen[bytes],
            dies_with_parent([sys.executable, "-m", "tests.harness.fork_server"]),
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ).result()
        atexit.register(self.close)

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Send a request and return its answer."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._lock:
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()
            answer = self._server.stdout.readline()
        assert answer, f"the process that is forked has ended: {self._server.wait(10)}"
        return json.loads(answer)

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        error_log: Path | None = None,
        constants: Mapping[str, float] = MappingProxyType({}),
    ) -> Child:
        """Run a module in a process of its own with this environment and no other; what it prints goes to the logs.

        `constants`: what the code waits for, such as `shared.observability.metrics._EVERY`, and what it is here.
        """
        files = {"log": str(log), "error_log": str(error_log or log)}
        request = {"module": module, "arguments": list(arguments), "environment": dict(environment), **files}
        return Child(self, self.ask(request | {"constants": dict(constants)}))

    def run(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], seconds: float = 90) -> Ended:
        """Run a module to its end, with our environment and these variables."""
        with tempfile.TemporaryDirectory() as folder:
            logs = Path(folder) / "stdout", Path(folder) / "stderr"
            code = self.start(module, arguments, {**os.environ, **environment}, *logs).wait(seconds)
            return Ended(code, *(log.read_text(errors="replace") for log in logs))

    def close(self) -> None:
        """End it, and whatever it has started and is left."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()


@functools.cache
def fork_server() -> ForkServer:
    """Return the one of this test process."""
    return ForkServer()


def _serve() -> dict[str, Any] | None:
    """Answer requests until there are none any more, None; in a forked process return what it is to run."""
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.dup(1)
    os.dup2(2, 1)  # nothing that is printed may come among the answers
    codes: dict[int, int | None] = {}  # of every child, None while it runs; more than one thread may ask for it
    while line := requests.readline():
        request: dict[str, Any] = json.loads(line)
        answer: int | None
        if "module" in request:
            if (answer := os.fork()) == 0:
                requests.close()
                os.close(answers)
                return request
            codes[answer] = None
        else:
            pid = request["pid"]
            if codes[pid] is None and (ended := os.waitpid(pid, os.WNOHANG))[0]:
                codes[pid] = os.waitstatus_to_exitcode(ended[1])
            answer = codes[pid]
        os.write(answers, json.dumps(answer).encode() + b"\n")
    for pid in (pid for pid, code in codes.items() if code is None):
        os.kill(pid, signal.SIGTERM)
    return None


def _become(request: Mapping[str, Any]) -> None:
    """Be the process that was asked for, as far as a new one would differ from this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    appended = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    files = (
        os.open(os.devnull, os.O_RDONLY),
        *(os.open(request[name], appended, 0o644) for name in ("log", "error_log")),
    )
    for onto, descriptor in enumerate(files):
        os.dup2(descriptor, onto)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    for name, value in request["constants"].items():
        module, _, constant = name.rpartition(".")
        assert isinstance(getattr(sys.modules[module], constant), int | float), name
        setattr(sys.modules[module], constant, value)
    random.seed()


def main() -> None:
    """Import, serve, and in each forked process run its module."""
    from services.catalogue import DOMAIN_SERVICES  # noqa: PLC0415 - who only asks needs none of it

    for module in (*_IMPORTED, *(f"services.{service}.decider" for service in DOMAIN_SERVICES)):
        importlib.import_module(module)
    assert threading.active_count() == 1, "a fork takes no thread along"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests are interrupted, and end what they started
    gc.collect()
    gc.freeze()
    request = _serve()
    if request is not None:
        _become(request)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
