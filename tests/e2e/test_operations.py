"""Every command that the pages for operators give runs on an installation; those for Docker in test_compose.py."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from deploy.local import cities, installation, processes, servers
from tests.conftest import ROOT
from tests.e2e.conftest import addresses_of, make
from tests.harness.processes import eventually, run
from tests.harness.topics import OutgoingMessage, publish

STRUCTURED = {"content-type": "application/cloudevents+json"}
PAGES = ("operations.md", "alerts.md", "planning.md")
PAGE = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)


def commands(text: str = PAGE) -> list[str]:
    """Return the commands of the blocks for a shell, each once."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line))


def ran(command: str, environment: dict[str, str]) -> str:
    """Run a command in the checkout; return what it said if it failed or said nothing."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # quarantined bytes come as they came
        check=False,
        timeout=120,
    )
    if done.returncode or not (done.stdout or done.stderr or "|| true" in command):
        return f"{command}\n{done.stdout[-500:]}{done.stderr[-1000:]}"
    return ""


def test_every_alert_has_a_command_to_begin_with() -> None:
    parts = re.findall(r"^### (Skillplan\w+)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert len(parts) > 15
    assert [name for name, text in parts if not commands(text) and "`source`" not in text] == []


@pytest.mark.timeout(400)
def test_every_command_for_operators_runs(state: Path) -> None:
    places = addresses_of(state)
    projector = re.sub(r"\d+$", lambda port: str(int(port[0]) + 100), places["projection"])
    environment = {"STATE": str(state), "URL": places["recruitment"], "PROJECTOR": projector}
    elsewhere = ("docker compose", "make keys")  # test_compose.py, and below
    lines = [command for command in commands() if not command.startswith(elsewhere)]
    lines += [
        'make sql SERVICE=recruitment SQL="select position from log_head"',
        "make backup RAW_HOURS=24",
        "make rebuild ACCEPT=000000000000",  # nothing stands beside that would have to be accepted
        "make stop SERVICE=subsidy && make start SERVICE=subsidy",
        "timeout 2 make logs SERVICE=subsidy || test $? = 124",
    ]
    assert len(lines) > 15
    assert [failure for command in lines if (failure := ran(command, environment))] == []


@pytest.mark.timeout(400)
def test_what_runs_other_code_is_named_and_started_again_and_older_code_changes_nothing(state: Path) -> None:
    def pids() -> dict[str, int]:
        parts = json.loads(make(state, "status", JSON="1").stdout)["states"]
        return {name: part["pid"] for name, part in parts.items()}

    there, supervisor, running = installation.load(state), processes.Supervisor(state), pids()

    def recorded(statement: str) -> None:
        run(_fetch(there.owner_dsn("subsidy"), statement))

    others = [
        dataclasses.replace(program, environment={**program.environment, processes.CODE: "other"})
        for program in processes.supervised(there)
    ]
    assert supervisor.start(servers.prepare(there), others) == {processes.CODE}
    stopped = pids()
    assert "make upgrade" in make(state, "doctor").stdout
    recorded("insert into migration (name, sha256) values ('999_later.sql', '')")
    try:
        refused = make(state, "upgrade")
        assert refused.returncode != 0
        assert "999_later.sql" in refused.stderr
        assert pids() == stopped
    finally:
        recorded("delete from migration where name = '999_later.sql'")
    upgraded = make(state, "upgrade")
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert "make restore FROM=" in upgraded.stdout
    after = pids()
    assert {name for name in running if running[name] == after[name]} == {"kafka", "postgres"}
    assert "make upgrade" not in make(state, "doctor").stdout


def test_the_check_up_of_an_installation_names_what_is_wrong_in_each_of_its_cities(state: Path) -> None:
    cities.begin(installation.load(state), "ningbo", ROOT / "plans")
    try:
        assert "make up CITY=ningbo" in make(state, "doctor", COLUMNS="200").stdout
    finally:
        shutil.rmtree(state / "cities")


async def _fetch(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


def test_a_checkout_s_program_goes_to_its_own_installation_unless_another_is_named(state: Path) -> None:
    def planning(**environment: str) -> str:
        command = [str(ROOT / "bin" / "skillplan"), "plan", "--json", "show", "4.1.b"]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout + done.stderr

    assert '"4.1.b"' in planning(STATE=str(state))
    assert "127.0.0.1:9" in planning(STATE=str(state), SKILLPLAN_PLANNING="http://127.0.0.1:9")
    assert "make up" in planning(STATE=str(state / "none"))


def test_every_command_for_keys_runs(state: Path, tmp_path: Path) -> None:
    """On a copy of the installation: the first key shuts the doors that other tests come in by."""
    copy = tmp_path / "state"
    shutil.copytree(state / "secrets", copy / "secrets")
    shutil.copy(state / "installation.json", copy)
    environment = {"STATE": str(copy)}
    # A service's own key is rotated on the running installation, in test_backup.py.
    lines = [command for command in commands() if command.startswith("make keys") and "rotate-service" not in command]
    add, *others = lines
    assert ran(add, environment) == ""
    listed = subprocess.run(
        ["make", "keys", "ARGS=list --json"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Beside the one that the installation's own services have.
    (number,) = [key["id"] for key in json.loads(listed) if key["role"] == "district"]
    assert len(others) == 5
    assert [failure for command in others if (failure := ran(command.replace("<编号 id>", number), environment))] == []


def admin(state: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "bin" / "skillplan"), "admin", *arguments]
    environment = os.environ | {"STATE": str(state)}
    return subprocess.run(
        command, env=environment, input=typed, capture_output=True, text=True, check=False, timeout=120
    )


def test_what_an_operator_puts_right_is_done_once_and_noted_with_who(state: Path) -> None:
    there, places, mark = installation.load(state), addresses_of(state), secrets.token_hex(4)
    raw = f"no object {mark}".encode()
    publish(places["kafka"], [OutgoingMessage("recruitment.reports.330681", b"x", raw)])
    statement = "select number from quarantine where size = $1 order by number desc limit 1"
    dsn = there.role_dsn("recruitment")
    number = str(eventually(lambda: run(_fetch(dsn, statement, len(raw))))[0]["number"])
    assert number in admin(state, "quarantine", "recruitment").stdout
    assert admin(state, "open", "recruitment", number, "--by", "值班员").stdout.encode() == raw + b"\n"

    async def ended_while_open() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("begin")
        pid = str(connection.get_server_pid())
        assert pid in (await asyncio.to_thread(admin, state, "sessions", "recruitment")).stdout
        assert (await asyncio.to_thread(admin, state, "end", "recruitment", pid)).returncode == 0
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await connection.execute("commit")
        connection.terminate()

    run(ended_while_open())
    assert "planning" in admin(state, "log", "nowhere").stderr
    assert admin(state, "resend", "recruitment", "--after", "999999999").returncode == 1
    acts = admin(state, "history").stdout
    assert json.loads(acts.splitlines()[-1])["undone"]
    kinds = [(act["act"], act["by"] == "值班员") for act in map(json.loads, acts.splitlines())]
    assert {("open", True), ("end", False)} <= set(kinds)
