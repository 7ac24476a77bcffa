"""What a state folder keeps, and what it is refused for."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from client.commands.demo import FeedPlace
from deploy.local import console, databases, installation, kafka, ports, postgres, processes, progress, servers, status
from deploy.local.installation import Installation
from deploy.local.postgres import Binaries
from deploy.local.refusal import LocalError
from services.catalogue import PROBES, SERVICES
from tests.conftest import ROOT

USUAL = {"recruitment": 18_003, "kafka": 19_092}


def test_the_next_free_port_is_taken() -> None:
    assert ports.next_free(8000, given={8001}, free=lambda port: port > 8000) == 8002


def test_a_port_is_kept_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Installation(tmp_path)
    with monkeypatch.context() as taken:
        taken.setattr(installation, "is_free", lambda port: port != USUAL["recruitment"])
        assert local.choose_ports(USUAL) == [("recruitment", 18_003, 18_004)]
    local.save()
    again = installation.load(tmp_path)
    assert again.choose_ports(USUAL) == []
    assert again.ports["recruitment"] == 18_004


def test_a_service_gets_a_port_whose_probe_port_is_free_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Installation(tmp_path)
    monkeypatch.setattr(installation, "is_free", lambda port: port != USUAL["recruitment"] + PROBES)
    local.choose_ports(USUAL)
    assert local.ports["recruitment"] == 18_004


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    local = Installation(tmp_path, ports={"postgres": 5432})
    local.make_secrets(["recruitment"])
    files = [file for file in (tmp_path / "secrets").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {
        "installation.json",
        "skillplan_pg_dsn",
        "skillplan_city_key",
        "skillplan_service_key",
        "skillplan_log_key",
        "skillplan_key_pepper",
        "skillplan_api_key",
        "keys.json",
        "keys.json.lock",
        "keys.json.history",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert local.superuser_password not in (tmp_path / "installation.json").read_text()


def test_a_lost_key_file_is_not_made_anew(tmp_path: Path) -> None:
    """Made anew it would open the doors that an operator has closed."""
    local = Installation(tmp_path, ports={"postgres": 5432})
    local.make_secrets([])
    local.key_file.unlink()
    with pytest.raises(LocalError, match="SKILLPLAN_KEYS"):
        local.make_secrets([])
    assert not local.key_file.exists()


def test_keys_stay_the_same_from_start_to_start(tmp_path: Path) -> None:
    for _ in range(2):
        local = installation.load(tmp_path)
        local.ports = {"postgres": 5432}
        local.make_secrets(["recruitment"])
    again = installation.load(tmp_path)
    assert (again.city_key, again.service_keys, again.log_keys, again.passwords) == (
        local.city_key,
        local.service_keys,
        local.log_keys,
        local.passwords,
    )


def test_the_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="STATE=") as refused:
        postgres.fitting(16, tmp_path, [Binaries(tmp_path, 15), Binaries(tmp_path, 18)])
    assert "PostgreSQL 16" in refused.value.zh
    assert "15, 18" in refused.value.en


def test_the_server_of_the_data_s_major_version_is_chosen(tmp_path: Path) -> None:
    assert postgres.fitting(18, tmp_path, [Binaries(tmp_path, 15), Binaries(tmp_path, 18)]).major == 18


def test_a_full_disk_is_refused_before_a_server_stops_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    with pytest.raises(LocalError, match="5 MB"):
        installation.check_room(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(LocalError, match="STATE="), installation.held(Path("/proc/nowhere/state")):
        pass


def test_two_at_once_on_one_state_folder_are_refused(tmp_path: Path) -> None:
    with installation.held(tmp_path), pytest.raises(LocalError, match=str(tmp_path)), installation.held(tmp_path):
        pass


def test_a_damaged_file_of_the_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "installation.json").write_text("{")
    with pytest.raises(LocalError, match=r"installation\.json"):
        installation.load(tmp_path)


def test_status_as_json_has_every_address_and_state_and_no_password(tmp_path: Path) -> None:
    local = Installation(tmp_path, superuser_password="s3cret")
    local.choose_ports({**processes.PORTS, **processes.INFRASTRUCTURE_PORTS})
    written = status.as_json(local, processes.Supervisor(tmp_path))
    assert "s3cret" not in written
    result = json.loads(written)
    assert set(result) == {*SERVICES, "kafka", "postgres", "states", "cities"}
    assert result["recruitment"] == f"http://127.0.0.1:{local.ports['recruitment']}"
    assert result["kafka"] == f"127.0.0.1:{local.ports['kafka']}"
    assert result["postgres"] == f"postgresql://postgres@127.0.0.1:{local.ports['postgres']}/postgres"
    assert set(result["states"]) == {"kafka", "postgres", *(program.name for program in processes.programs(local))}
    assert {part["state"] for part in result["states"].values()} == {"STOPPED"}


def test_only_the_reading_side_of_the_whole_city_s_demo_has_a_day_of_its_own(tmp_path: Path) -> None:
    local = Installation(tmp_path)
    local.choose_ports({**processes.PORTS, **processes.INFRASTRUCTURE_PORTS})
    for size, services in (("", set()), ("small", set()), ("city", {"projection"})):
        local.demo_size = size
        has = {name for name in SERVICES if "SKILLPLAN_EXAMPLE_DAY" in processes.environment(local, name)}
        assert has == services
    local.save()
    assert installation.load(tmp_path).demo_size == "city"


def test_a_setting_of_our_own_environment_is_a_process_s_and_not_supervisor_s_which_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Installation(tmp_path)
    local.choose_ports({**processes.PORTS, **processes.INFRASTRUCTURE_PORTS})
    monkeypatch.setenv("SKILLPLAN_LOG_LEVEL", "DEBUG")
    assert processes.environment(local, "subsidy")["SKILLPLAN_LOG_LEVEL"] == "DEBUG"
    assert "SKILLPLAN_LOG_LEVEL" not in processes.inherited()
    monkeypatch.delenv("SKILLPLAN_LOG_LEVEL")
    assert "SKILLPLAN_LOG_LEVEL" not in processes.environment(local, "subsidy")


def test_status_says_how_far_the_whole_city_s_demo_is_until_it_is_done(tmp_path: Path) -> None:
    local = Installation(tmp_path, demo_size="city")
    local.choose_ports({**processes.PORTS, **processes.INFRASTRUCTURE_PORTS})
    supervisor = processes.Supervisor(tmp_path)
    place = FeedPlace(local.demo_place)
    place.sent = 30_000
    place.save()
    (row,) = [part for part in status.parts(local, supervisor) if part.name == processes.DEMO]
    assert row.remark == "██████████░░░░░░░░░░ 30,000 / 60,000"
    assert row.well
    place.done = True
    place.save()
    assert (FeedPlace(local.demo_place).sent, progress.demo_place(local).done) == (30_000, True)
    assert not [part for part in status.parts(local, supervisor) if part.name == processes.DEMO]
    local.demo_place.write_text("{")
    assert (FeedPlace(local.demo_place).sent, progress.demo_place(local).sent) == (0, 0)


@pytest.mark.parametrize(
    ("dsn", "written"),
    [
        ("postgresql://u:p@h:1/d", "postgresql://u@h:1/d"),
        ("postgresql://u@h:1/d?password=p&sslmode=require", "postgresql://u@h:1/d?sslmode=require"),
        ("postgresql://u@h:1/d?sslmode=require&password=p", "postgresql://u@h:1/d?sslmode=require"),
        ("postgresql://u:p%40q@h/d?password=p", "postgresql://u@h/d"),
    ],
)
def test_an_address_is_written_without_its_password(dsn: str, written: str) -> None:
    assert databases.without_password(dsn) == written


@pytest.mark.parametrize("path", ["/plain", "/with space", "/目录", r"/back\slash"])
def test_java_reads_the_path_that_was_meant(path: str) -> None:
    escaped = kafka.escaped(path)
    assert escaped.isascii()
    assert escaped.encode().decode("unicode_escape") == path


def test_every_migration_is_found_without_a_walk_through_what_is_being_installed_beside_it() -> None:
    """npm moves whole folders of packages while databases are migrated, and a walk fails on one that has just gone."""
    tracked = subprocess.run(["git", "ls-files", "*/migrations/*.sql"], cwd=ROOT, capture_output=True, check=True)
    migrations = [str(file.relative_to(ROOT)) for file in servers._migrations()]
    assert migrations == sorted(tracked.stdout.decode().split())


def test_no_cluster_id_looks_like_an_option() -> None:
    assert all(kafka.new_cluster_id()[0] != "-" for _ in range(1_000))
    assert len(kafka.new_cluster_id()) == 22


def test_a_service_that_does_not_answer_in_time_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        code = console.in_one_sentence(lambda: httpx.get(f"http://{host}:{port}/readyz", timeout=0.1))
    error = capsys.readouterr().err
    assert code == 1
    assert f"{host}:{port}" in error
    assert "Traceback" not in error
