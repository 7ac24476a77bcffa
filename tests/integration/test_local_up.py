"""`make up` on real servers, from whatever state it finds; the services' own start is the journey's matter."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import children, installation, kafka, postgres
from deploy.local import up as up_command
from deploy.local.processes import Program, Supervisor
from deploy.local.refusal import LocalError
from tests.conftest import ROOT


def make(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the local stack on servers of its own."""
    own = {name: value for name, value in os.environ.items() if name not in ("KAFKA_BOOTSTRAP", "PG_DSN", "JSON")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *arguments],
        cwd=ROOT,
        env={**own, "STATE": str(state), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def up(state: Path) -> str:
    done = make(state, "infra-up", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    own = installation.load(state)
    assert kafka.is_up(own.bootstrap)
    assert postgres.is_up(own.superuser)
    return done.stdout


def pid_of(state: Path, name: str) -> int:
    return int(Supervisor(state).states()[name]["pid"])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of ours, with a name that a careless script would trip over."""
    folder = tmp_path_factory.mktemp("local") / "状态 100% it's"
    yield folder
    make(folder, "down")
    data = folder / "postgres"
    if data.is_symlink():
        shutil.rmtree(data.resolve().parent)


def test_a_second_up_is_harmless(state: Path) -> None:
    up(state)
    before = pid_of(state, "kafka"), pid_of(state, "postgres")
    up(state)
    assert (pid_of(state, "kafka"), pid_of(state, "postgres")) == before


@pytest.mark.parametrize("server", ["kafka", "postgres"])
def test_a_killed_server_comes_back(state: Path, server: str) -> None:
    up(state)
    killed = pid_of(state, server)
    os.kill(killed, signal.SIGKILL)
    up(state)
    assert pid_of(state, server) != killed


def test_what_a_killed_supervisor_left_over_ends_before_it_comes_back(state: Path) -> None:
    up(state)
    pids = [pid_of(state, "kafka"), pid_of(state, "postgres")]
    supervisor = Supervisor(state).pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    before = installation.load(state).ports
    up(state)
    assert installation.load(state).ports == before
    assert not any(children.command_of(pid) for pid in pids)


def test_a_taken_port_moves_says_so_and_stays_and_a_pid_file_of_another_program_stops_nobody(state: Path) -> None:
    up(state)
    make(state, "down")
    before = installation.load(state).ports["kafka"]
    (state / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{state / 'postgres'}\n")
    with socket.create_server(("127.0.0.1", before)):
        output = up(state)
        moved = installation.load(state).ports["kafka"]
        assert moved != before
        assert f"{before} 已被占用" in output
        assert f"Port {before} is taken; kafka moves to {moved}" in output
    make(state, "down")
    stopped = make(state, "status", JSON="1")
    assert stopped.returncode == 1
    assert stopped.stdout == ""
    assert "make up" in stopped.stderr
    up(state)
    assert installation.load(state).ports["kafka"] == moved


def test_status_names_the_addresses_and_states_and_no_password(state: Path) -> None:
    up(state)
    written = make(state, "status", JSON="1").stdout
    status, own = json.loads(written), installation.load(state)
    assert own.superuser_password
    assert own.superuser_password not in written
    assert status["kafka"] == own.bootstrap
    assert status["states"]["kafka"]["state"] == "RUNNING"
    assert status["states"]["postgres"]["pid"] == pid_of(state, "postgres")


def test_a_server_that_hangs_is_not_said_to_run(state: Path) -> None:
    up(state)
    pid = pid_of(state, "kafka")
    os.kill(pid, signal.SIGSTOP)
    try:
        states = json.loads(make(state, "status", JSON="1").stdout)["states"]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (states["kafka"]["state"], states["kafka"]["well"]) == ("HUNG", False)
    assert states["postgres"]["state"] == "RUNNING"


def test_an_installation_is_removed_once_that_is_confirmed_and_its_backups_stay(state: Path) -> None:
    up(state)
    (state / "backups").mkdir()
    refused = make(state, "uninstall")
    assert refused.returncode == 1
    assert f"CONFIRM={state.name}" in refused.stderr
    pids = pid_of(state, "kafka"), pid_of(state, "postgres")
    removed = make(state, "uninstall", CONFIRM=state.name)
    assert removed.returncode == 0, removed.stderr
    assert not any(children.command_of(pid) for pid in pids)
    assert sorted(part.name for part in state.iterdir()) == ["backups", "lock"]


def test_a_process_that_ends_again_and_again_is_not_waited_for_and_its_last_words_are_said(tmp_path: Path) -> None:
    """As with a setting that it refuses; by the clock it was two minutes before anything was said."""
    refusal = "设置有误 wrong setting"
    ends = Program("ends-api", [sys.executable, "-c", f"raise SystemExit('{refusal}')"], {}, "http://127.0.0.1:9")
    supervisor, began = Supervisor(tmp_path), time.monotonic()
    try:
        supervisor.start({}, [ends])
        supervisor.start_services()
        with pytest.raises(LocalError, match=refusal):
            up_command.wait_ready([ends], supervisor)
    finally:
        supervisor.stop()
    assert time.monotonic() - began < 60


def test_the_folder_of_another_major_version_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    refused = make(tmp_path, "up")
    assert refused.returncode == 1
    assert "PostgreSQL 9" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [file.name for file in data.iterdir()] == ["PG_VERSION"]


def test_a_folder_without_an_installation_is_told_so(tmp_path: Path) -> None:
    refused = make(tmp_path / "none", "down")
    assert refused.returncode == 1
    assert "make up" in refused.stderr
