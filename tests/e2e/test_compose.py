"""What an operator gets from `docker compose up -d --wait` alone, driven from outside; needs a Docker daemon."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr

from deploy.local.ports import any_free
from shared.broker import Broker, BrokerSettings
from tests import containers
from tests.conftest import ROOT
from tests.e2e.conftest import progress_of
from tests.integration.processes import eventually
from tests.integration.reports import person_hired

PORTS = ("PROJECTION", "ENROLLMENT", "COMPETITION", "RECRUITMENT", "SUBSIDY", "PLANNING", "KAFKA", "POSTGRES",
         "PROMETHEUS", "ALERTMANAGER")  # fmt: skip
MINE, OTHERS = "330681", "330602"
ONCE = {"secrets", "databases", "topics"}

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(containers.compose_missing() is not None, reason=f"compose: {containers.compose_missing()}"),
]


@dataclass(frozen=True)
class Stack:
    """A project of docker compose with ports of its own."""

    name: str
    ports: dict[str, int]
    folder: Path

    def compose(self, *words: str, **told: str) -> subprocess.CompletedProcess[str]:
        ports = {f"SKILLPLAN_{part}_PORT": str(port) for part, port in self.ports.items()}
        return subprocess.run(
            ["docker", "compose", "-p", self.name, *words],
            cwd=ROOT,
            env={**os.environ, "SKILLPLAN_VERSION": self.name, **ports, **told},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    @property
    def addresses(self) -> dict[str, str]:
        return {part.lower(): f"http://127.0.0.1:{port}" for part, port in self.ports.items()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what Docker says of each container, by service."""
        ids = self.compose("ps", "-aq").stdout.split()
        told = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True).stdout
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in json.loads(told)}

    def credentials(self) -> str:
        """Return what the operator is shown for a district."""
        told = self.compose("run", "--rm", "--no-deps", "databases", "deploy.installation", "district", MINE)
        assert told.returncode == 0, told.stderr
        return told.stdout

    def broker(self, user: str, password: str) -> Broker:
        return BrokerSettings(
            kafka=f"127.0.0.1:{self.ports['KAFKA']}",
            kafka_user=user,
            kafka_password=SecretStr(password),
            kafka_ca=self.folder / "ca.pem",
        ).broker


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(f"skillplan-{secrets.token_hex(4)}", dict(zip(PORTS, any_free(len(PORTS)), strict=True)),
                 tmp_path_factory.mktemp("compose"))  # fmt: skip
    try:
        up = made.compose("up", "-d", "--build", "--wait")
        assert up.returncode == 0, up.stderr[-3000:] + made.compose("logs", "--tail", "5").stdout[-5000:]
        yield made
    finally:
        down = made.compose("--profile", "demo", "down", "-v", "--timeout", "10")
        _docker("image", "rm", f"skillplan:{made.name}")
        assert down.returncode == 0, down.stderr


@pytest.fixture(scope="module")
def district(stack: Stack) -> tuple[str, str]:
    """What an operator hands to a district: its user and password, and the CA's certificate as a file."""
    lines, certificate = stack.credentials().split("# SKILLPLAN_KAFKA_CA:\n")
    (stack.folder / "ca.pem").write_text(certificate)
    settings = dict(line.split("=", 1) for line in lines.splitlines())
    return settings["SKILLPLAN_KAFKA_USER"], settings["SKILLPLAN_KAFKA_PASSWORD"]


def _value(stack: Stack, indicator: str, period: str) -> Any:
    shown = progress_of(stack.addresses)
    (found,) = [one for one in shown["indicators"] if one["id"] == indicator]
    (cell,) = [one for one in found["periods"] if one["period"] == period]
    return cell["value"]


def _hire(name: str) -> dict[str, Any]:
    report = person_hired(name)
    report["source"], report["district"] = f"/districts/{MINE}/hr", MINE
    return report


def test_a_hire_reported_over_http_is_a_number_in_the_projection_and_survives_a_restart(stack: Stack) -> None:
    before = _value(stack, "4.1.b", "2024")
    answer = httpx.post(f"{stack.addresses['recruitment']}/v1/events", json=_hire("compose"), timeout=20)
    assert answer.json()["status"] == "accepted", answer.text
    eventually(lambda: _value(stack, "4.1.b", "2024") == before + 1)
    kept = stack.credentials()
    assert stack.compose("restart", "kafka", "postgres", "projection-projector").returncode == 0
    for once in ONCE:  # what prepares may be repeated, and changes nothing
        again = stack.compose("start", once)
        assert again.returncode == 0, again.stderr
    assert stack.credentials() == kept
    eventually(lambda: _value(stack, "4.1.b", "2024") == before + 1)
    repeated = httpx.post(f"{stack.addresses['recruitment']}/v1/events", json=_hire("compose"), timeout=20)
    assert repeated.json()["status"] == "duplicate"


def test_a_district_reports_by_kafka_from_outside_and_writes_nothing_else(
    stack: Stack, district: tuple[str, str]
) -> None:
    before = _value(stack, "4.1.b", "2024")
    user, password = district
    (stack.folder / "reports.ndjson").write_bytes(orjson.dumps(_hire("by-kafka")))
    told = {
        "SKILLPLAN_KAFKA": f"127.0.0.1:{stack.ports['KAFKA']}",
        "SKILLPLAN_KAFKA_USER": user,
        "SKILLPLAN_KAFKA_PASSWORD": password,
        "SKILLPLAN_KAFKA_CA": str(stack.folder / "ca.pem"),
    }
    sent = subprocess.run(
        [sys.executable, "-m", "services.district", "publish", str(stack.folder / "reports.ndjson")],
        cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stdout + sent.stderr
    eventually(lambda: _value(stack, "4.1.b", "2024") == before + 1)


@pytest.mark.parametrize("topic", [f"recruitment.reports.{OTHERS}", "recruitment.events", f"receipts.{MINE}"])
async def test_a_district_is_refused_on_what_is_not_its_own(
    stack: Stack, district: tuple[str, str], topic: str
) -> None:
    """RULES A10: the broker's ACL says who may write a topic."""
    with pytest.raises((TopicAuthorizationFailedError, ClusterAuthorizationFailedError)):
        await _write(stack.broker(*district), topic)


async def test_a_district_does_not_see_the_receipts_of_another(stack: Stack, district: tuple[str, str]) -> None:
    broker = stack.broker(*district)
    assert await broker.problem([f"receipts.{MINE}"]) is None
    assert "may not use" in (await broker.problem([f"receipts.{OTHERS}"]) or "")


async def test_a_service_cannot_write_the_facts_of_another(stack: Stack, district: tuple[str, str]) -> None:
    told = stack.compose("exec", "-T", "recruitment-worker", "cat", "/run/skillplan/skillplan_kafka_password")
    assert told.returncode == 0, told.stderr
    with pytest.raises(TopicAuthorizationFailedError):
        await _write(stack.broker("recruitment", told.stdout), "subsidy.events")


async def _write(broker: Broker, topic: str) -> None:
    producer = AIOKafkaProducer(request_timeout_ms=20000, **broker.client())
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()


def test_the_broker_shows_itself_by_the_installation_s_ca_alone(stack: Stack, district: tuple[str, str]) -> None:
    trusted = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    assert len(trusted.get_ca_certs()) == 1
    address = ("127.0.0.1", stack.ports["KAFKA"])
    assert ssl.get_server_certificate(address, ca_certs=str(stack.folder / "ca.pem")).startswith("-----BEGIN")


def test_the_administrator_s_door_is_open_inside_the_broker_s_container_alone(stack: Stack) -> None:
    knock = "import socket; socket.create_connection(('kafka', {port}), 3)"
    inside = stack.compose("exec", "-T", "recruitment-api", "python", "-c", knock.format(port=9092))
    assert inside.returncode == 0, inside.stderr
    for port in (9093, 9095):
        refused = stack.compose("exec", "-T", "recruitment-api", "python", "-c", knock.format(port=port))
        assert "ConnectionRefusedError" in refused.stderr


def test_nothing_runs_as_root_nothing_of_ours_can_be_written_and_no_port_leaves_this_host(stack: Stack) -> None:
    for service, one in stack.containers().items():
        host = one["HostConfig"]
        assert "ALL" in host["CapDrop"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        if service in ONCE:
            assert one["State"]["ExitCode"] == 0, service
            continue
        assert host["Memory"] > 0, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert one["Config"]["User"] not in ("", "0", "root"), service
        if service != "kafka":  # its start script writes its configuration
            assert host["ReadonlyRootfs"], service
        for published in host["PortBindings"].values():
            assert {binding["HostIp"] for binding in published} <= {"127.0.0.1"}, service
    who = stack.compose("exec", "-T", "enrollment-worker", "python", "-c", "import os; print(os.getuid())")
    assert who.stdout.strip() == "10001"
    written = stack.compose("exec", "-T", "enrollment-worker", "python", "-c", "open('/app/x', 'w')")
    assert "Read-only file system" in written.stderr


def test_each_service_sees_its_own_secrets_and_nobody_s_besides(stack: Stack) -> None:
    look = "import os; print(*sorted(os.listdir('/run/skillplan')))"
    seen = stack.compose("exec", "-T", "projection-api", "python", "-c", look).stdout.split()
    assert "skillplan_pg_dsn" in seen
    assert not {"skillplan_city_key", "skillplan_service_key", "skillplan_pg_owner_dsn"} & set(seen)
    mounted = {
        service: {mount["Name"].removeprefix(f"{stack.name}_") for mount in one["Mounts"] if mount["Type"] == "volume"}
        for service, one in stack.containers().items()
    }
    for service, volumes in mounted.items():
        if service not in ONCE:
            assert len({volume for volume in volumes if volume.startswith("secrets")}) <= 1, service


def test_prometheus_reaches_every_process(stack: Stack) -> None:
    def down() -> list[str]:
        told = httpx.get(f"{stack.addresses['prometheus']}/api/v1/targets", params={"state": "active"}, timeout=10)
        targets = told.json()["data"]["activeTargets"]
        assert len(targets) >= 11
        return [target["scrapeUrl"] for target in targets if target["health"] != "up"]

    eventually(lambda: not down())


def _docker(*words: str) -> None:
    subprocess.run(["docker", *words], capture_output=True, check=True, timeout=60)


def test_a_process_that_ends_is_started_again(stack: Stack) -> None:
    """Also one that its memory limit ended: a compressed batch is unpacked by the client before our code sees it."""
    before = stack.containers()["subsidy-worker"]["RestartCount"]
    kill = (
        "import os, pathlib, signal\n"
        "for one in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    if one.read_bytes().startswith(b'python\\0-m\\0services.'): os.kill(int(one.parent.name), signal.SIGKILL)"
    )
    stack.compose("exec", "-T", "subsidy-worker", "python", "-c", kill)
    eventually(lambda: stack.containers()["subsidy-worker"]["RestartCount"] > before)
    eventually(lambda: stack.containers()["subsidy-worker"]["State"]["Health"]["Status"] == "healthy", within=180)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("postgres", "", "the secret file postgres is empty"),
        ("city_key", "not-hex", "the secret file city_key must be 64 hex digits"),
        ("city_key", "ab" * 32, "city_key differs from the key in use"),
    ],
)
def test_a_wrong_secret_of_the_operator_is_named_and_changes_nothing(
    stack: Stack, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    before = stack.credentials()
    refused = stack.compose("run", "--rm", "secrets", SKILLPLAN_OWN_SECRETS=str(tmp_path))
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    after = stack.credentials()
    assert after == before


def test_publishing_beyond_this_host_without_keys_is_refused(stack: Stack) -> None:
    refused = stack.compose("run", "--rm", "secrets", SKILLPLAN_BIND="0.0.0.0")  # noqa: S104 - refused, that is the point
    assert refused.returncode == 1
    assert "make keys first" in refused.stderr
