"""What an operator gets from `docker compose up -d --wait` alone, driven from outside; needs a Docker daemon."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr

from deploy.local import jars
from services.catalogue import SERVICES
from shared.kafka.clients import Broker, BrokerSettings
from tests.conftest import ROOT
from tests.e2e.conftest import PLAN, progress_of
from tests.e2e.test_operations import PAGE, commands
from tests.harness import containers
from tests.harness.ports import any_free
from tests.harness.processes import eventually
from tests.harness.reports import person_hired

PORTS = (*map(str.upper, SERVICES), "KAFKA", "POSTGRES", "PROMETHEUS", "ALERTMANAGER")
MINE, OTHERS = "330681", "330602"
PREPARES = {"secrets", "databases", "topics"}
ONCE = {*PREPARES, "demo"}
IMAGES = ("", "-kafka", "-tools")

# In blocks for a shell and in tables.
_ON_DOCKER = [*commands(), *re.findall(r"`(docker compose [^`\n]+)`", PAGE)]

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.waits,
    pytest.mark.skipif(containers.compose_missing() is not None, reason=f"compose: {containers.compose_missing()}"),
]


@dataclass(frozen=True)
class Stack:
    """A project of docker compose with ports of its own."""

    name: str
    ports: dict[str, int]
    folder: Path

    def compose(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ports = {f"SKILLPLAN_{part}_PORT": str(port) for part, port in self.ports.items()}
        return subprocess.run(
            ["docker", "compose", "-p", self.name, *arguments],
            cwd=ROOT,
            env={**os.environ, "SKILLPLAN_VERSION": self.name, **ports, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def documented(self, text: str, **put: str) -> str:
        """Run the command of the page for operators that has these words, its placeholders filled in."""
        (command,) = {line for line in _ON_DOCKER if line.startswith("docker compose ") and text in line}
        for placeholder, value in put.items():
            command = re.sub(f"<[^>]*{placeholder}>", value, command)
        done = self.compose(*shlex.split(command)[2:])
        assert done.returncode == 0, command + done.stdout[-1000:] + done.stderr[-2000:]
        return done.stdout

    @property
    def addresses(self) -> dict[str, str]:
        return {part.lower(): f"http://127.0.0.1:{port}" for part, port in self.ports.items()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what Docker says of each container, by service."""
        ids = self.compose("ps", "-aq").stdout.split()
        inspected = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True).stdout
        label = "com.docker.compose.service"
        return {container["Config"]["Labels"][label]: container for container in json.loads(inspected)}

    def credentials(self) -> str:
        """Return what the operator is shown for a district."""
        done = self.compose("run", "--rm", "--no-deps", "databases", "deploy.operations.compose", "district", MINE)
        assert done.returncode == 0, done.stderr
        return done.stdout

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
        made.documented("--profile tools build")
        up = made.compose("up", "-d", "--wait")
        assert up.returncode == 0, up.stderr[-3000:] + made.compose("logs", "--tail", "5").stdout[-5000:]
        yield made
    finally:
        down = made.compose("--profile", "*", "down", "-v", "--timeout", "10")
        _docker("image", "rm", "-f", *(f"skillplan{part}:{made.name}" for part in IMAGES))
        assert down.returncode == 0, down.stderr


@pytest.fixture(scope="module")
def district(stack: Stack) -> tuple[str, str]:
    """What an operator hands to a district: its user and password, and the CA's certificate as a file."""
    lines, certificate = stack.credentials().split("# SKILLPLAN_KAFKA_CA:\n")
    (stack.folder / "ca.pem").write_text(certificate)
    settings = dict(line.split("=", 1) for line in lines.splitlines())
    return settings["SKILLPLAN_KAFKA_USER"], settings["SKILLPLAN_KAFKA_PASSWORD"]


@pytest.fixture(scope="module")
def keys(stack: Stack) -> dict[str, str]:
    """What an operator hands out, by role; from then on nobody comes in without one."""
    assert progress_of(stack.addresses)["complete_to"], "the door is open until there is a key"
    return {role: stack.documented(f"keys add --role {role}").strip() for role in ("district", "planner", "reader")}


def _report(stack: Stack, key: str, *reports: dict[str, Any]) -> httpx.Response:
    return httpx.post(
        f"{stack.addresses['recruitment']}/v1/events",
        json=reports if len(reports) > 1 else reports[0],
        headers={"content-type": f"application/cloudevents{'-batch' * (len(reports) > 1)}+json"} | _authorization(key),
        timeout=20,
    )


def _authorization(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def _value(stack: Stack, key: str, indicator: str, period: str) -> Any:
    progress = progress_of(stack.addresses, key)
    (row,) = [row for row in progress["indicators"] if row["id"] == indicator]
    (cell,) = [cell for cell in row["periods"] if cell["period"] == period]
    return cell["value"]


def _hire(name: str, district: str = MINE) -> dict[str, Any]:
    return person_hired(name) | {"source": f"/districts/{district}/hr", "district": district}


def test_a_hire_reported_over_http_is_a_number_in_the_projection_and_survives_a_restart(
    stack: Stack, keys: dict[str, str]
) -> None:
    before = _value(stack, keys["reader"], "4.1.b", "2024")
    answer = _report(stack, keys["district"], _hire("compose"))
    assert answer.json()["status"] == "accepted", answer.text
    eventually(lambda: _value(stack, keys["reader"], "4.1.b", "2024") == before + 1)
    credentials = stack.credentials()
    assert stack.compose("restart", "kafka", "postgres", "projection-projector").returncode == 0
    for once in PREPARES:  # what prepares may be repeated, and changes nothing
        again = stack.compose("start", once)
        assert again.returncode == 0, again.stderr
    assert stack.credentials() == credentials
    eventually(lambda: _value(stack, keys["reader"], "4.1.b", "2024") == before + 1)
    repeated = _report(stack, keys["district"], _hire("compose"))
    assert repeated.json()["status"] == "duplicate"


def test_a_district_reports_by_kafka_from_outside_and_writes_nothing_else(
    stack: Stack, keys: dict[str, str], district: tuple[str, str]
) -> None:
    before = _value(stack, keys["reader"], "4.1.b", "2024")
    user, password = district
    (stack.folder / "reports.ndjson").write_bytes(orjson.dumps(_hire("by-kafka")))
    environment = {
        "SKILLPLAN_KAFKA": f"127.0.0.1:{stack.ports['KAFKA']}",
        "SKILLPLAN_KAFKA_USER": user,
        "SKILLPLAN_KAFKA_PASSWORD": password,
        "SKILLPLAN_KAFKA_CA": str(stack.folder / "ca.pem"),
    }
    sent = subprocess.run(
        [sys.executable, "-m", "client", "publish", str(stack.folder / "reports.ndjson")],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stdout + sent.stderr
    eventually(lambda: _value(stack, keys["reader"], "4.1.b", "2024") == before + 1)


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
    done = stack.compose("exec", "-T", "recruitment-worker", "cat", "/run/skillplan/skillplan_kafka_password")
    assert done.returncode == 0, done.stderr
    with pytest.raises(TopicAuthorizationFailedError):
        await _write(stack.broker("recruitment", done.stdout), "subsidy.events")


async def _write(broker: Broker, topic: str) -> None:
    producer = AIOKafkaProducer(request_timeout_ms=20000, **broker.client())
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()


def test_the_broker_runs_the_jars_of_the_list_and_no_other(stack: Stack) -> None:
    """No part that an open advisory names: docs/security.md says which stand in the place of Kafka's own."""
    opened = "find /proc/[0-9]*/fd -lname '*.jar' -printf '%l\\n' | sort -u | xargs sha256sum"
    done = stack.compose("exec", "-T", "kafka", "bash", "-c", opened)
    hashes = (line.split() for line in done.stdout.splitlines())
    running = {Path(jar).name: digest for digest, jar in hashes}
    assert running == jars.listed(), done.stderr


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


def test_docker_shows_what_is_wrong_with_a_process(stack: Stack) -> None:
    assert stack.compose("stop", "kafka").returncode == 0
    try:
        eventually(lambda: "kafka:9092" in _last_word(stack, "subsidy-worker"), within=60)
    finally:
        assert stack.compose("start", "kafka").returncode == 0
    eventually(lambda: _unhealthy(stack) == [], within=180)


def _last_word(stack: Stack, service: str) -> str:
    output: str = stack.containers()[service]["State"]["Health"]["Log"][-1]["Output"]
    return output


def test_nothing_runs_as_root_nothing_of_ours_can_be_written_and_no_port_leaves_this_host(stack: Stack) -> None:
    eventually(lambda: _unhealthy(stack) == [], within=180)  # other tests end and start some
    for service, container in stack.containers().items():
        host = container["HostConfig"]
        assert "ALL" in host["CapDrop"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        if service in ONCE:
            assert container["State"]["ExitCode"] == 0, service
            continue
        assert host["Memory"] > 0, service
        assert host["LogConfig"]["Config"] == {"max-size": "20m", "max-file": "3"}, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert container["Config"]["User"] not in ("", "0", "root"), service
        if service != "kafka":  # its start script writes its configuration
            assert host["ReadonlyRootfs"], service
        for published in host["PortBindings"].values():
            assert {binding["HostIp"] for binding in published} <= {"127.0.0.1"}, service
    who = stack.compose("exec", "-T", "enrollment-worker", "python", "-c", "import os; print(os.getuid())")
    assert who.stdout.strip() == "10001"
    written = stack.compose("exec", "-T", "enrollment-worker", "python", "-c", "open('/app/x', 'w')")
    assert "Read-only file system" in written.stderr


def _unhealthy(stack: Stack) -> list[str]:
    """Return what Docker does not call healthy; every container that stays says how it is."""
    states = {service: container["State"] for service, container in stack.containers().items() if service not in ONCE}
    return [service for service, state in states.items() if state.get("Health", {}).get("Status") != "healthy"]


def test_each_service_sees_its_own_secrets_and_nobody_s_besides(stack: Stack) -> None:
    look = "import os; print(*sorted(os.listdir('/run/skillplan')))"
    seen = stack.compose("exec", "-T", "projection-api", "python", "-c", look).stdout.split()
    assert "skillplan_pg_dsn" in seen
    assert not {"skillplan_city_key", "skillplan_service_key", "skillplan_pg_owner_dsn"} & set(seen)
    mounted = {
        service: {
            mount["Name"].removeprefix(f"{stack.name}_") for mount in container["Mounts"] if mount["Type"] == "volume"
        }
        for service, container in stack.containers().items()
    }
    for service, volumes in mounted.items():
        if service not in ONCE:
            assert len({volume for volume in volumes if volume.startswith("secrets")}) <= 1, service


def test_prometheus_reaches_every_process(stack: Stack) -> None:
    eventually(lambda: not _down(stack, "http"))


def _down(stack: Stack, scheme: str) -> list[str]:
    """Return the addresses that Prometheus does not reach, or reaches in another way."""
    response = httpx.get(f"{stack.addresses['prometheus']}/api/v1/targets", params={"state": "active"}, timeout=10)
    targets = response.json()["data"]["activeTargets"]
    assert len(targets) >= 11
    ours = [target["scrapeUrl"] for target in targets if target["scrapePool"] == "skillplan"]
    down = [target["scrapeUrl"] for target in targets if target["health"] != "up"]
    return down + [url for url in ours if not url.startswith(f"{scheme}://")]


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], capture_output=True, check=True, timeout=60)


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
    ("name", "text", "message"),
    [
        ("postgres", "", "the secret file postgres is empty"),
        ("city_key", "not-hex", "the secret file city_key must be 64 hex digits"),
        ("city_key", "ab" * 32, "city_key differs from the key in use"),
    ],
)
def test_a_wrong_secret_of_the_operator_is_named_and_changes_nothing(
    stack: Stack, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    before = stack.credentials()
    refused = stack.compose("run", "--rm", "secrets", SKILLPLAN_OWN_SECRETS=str(tmp_path))
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    after = stack.credentials()
    assert after == before


def test_publishing_beyond_this_host_in_clear_is_refused(stack: Stack, keys: dict[str, str]) -> None:
    assert keys
    refused = stack.compose("run", "--rm", "secrets", SKILLPLAN_BIND="0.0.0.0")  # noqa: S104 - refused
    assert (refused.returncode, "set SKILLPLAN_TLS=on" in refused.stderr) == (1, True), refused.stderr
    unknown = stack.compose("run", "--rm", "secrets", SKILLPLAN_TLS="yes")
    assert (unknown.returncode, "SKILLPLAN_TLS=yes" in unknown.stderr) == (1, True), unknown.stderr


def test_publishing_beyond_this_host_without_keys_is_refused(stack: Stack) -> None:
    fresh = replace(stack, name=f"{stack.name}-fresh")
    try:
        refused = fresh.compose("run", "--rm", "secrets", SKILLPLAN_BIND="0.0.0.0", SKILLPLAN_VERSION=stack.name)  # noqa: S104 - refused, that is the point
    finally:
        fresh.compose("down", "-v")
    assert refused.returncode == 1
    assert "make keys first" in refused.stderr


def test_with_keys_each_may_what_its_role_says_and_the_services_go_on(stack: Stack, keys: dict[str, str]) -> None:
    """RULES A10, with keys made by the documented commands."""
    for key, status in (("", 401), ("sk_00000000_" + "A" * 43, 401), (keys["reader"], 403)):
        refused = _report(stack, key, _hire("gate"))
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
        assert refused.json()["zh"], refused.text
    assert httpx.get(f"{stack.addresses['projection']}/v1/plans", timeout=20).status_code == 401
    others = _report(stack, keys["district"], _hire("gate", OTHERS))
    assert (others.status_code, [reason["code"] for reason in others.json()["reasons"]]) == (422, ["not-your-source"])
    assert _report(stack, keys["district"], _hire("gate")).json()["status"] == "accepted"
    assert _report(stack, keys["planner"], _hire("gate-planner")).status_code in (403, 422)
    answered = httpx.get(f"{stack.addresses['planning']}/v1/log", headers=_authorization(keys["planner"]), timeout=20)
    assert answered.status_code == 403
    for service in ("projection", "recruitment", "planning"):
        for probe in ("livez", "readyz", "metrics"):
            assert httpx.get(f"{stack.addresses[service]}/{probe}", timeout=20).status_code == 200
    eventually(lambda: _behind(stack, keys["reader"]) == {0})
    revoked = stack.documented("keys add --role district").strip()
    assert _report(stack, revoked, _hire("gate")).json()["status"] == "duplicate"
    listed = stack.documented("keys list")
    assert revoked.split("_")[1] in listed
    stack.documented("keys revoke", id=revoked.split("_")[1])
    refused = _report(stack, revoked, _hire("gate"))
    assert (refused.status_code, refused.json()["en"]) == (401, "The key was revoked.")


def _behind(stack: Stack, key: str) -> set[int | None]:
    """Return how far the numbers are behind each log; the projection asks the services, with a key of its own."""
    return {log["behind_events"] for log in progress_of(stack.addresses, key)["complete_to"].values()}


def test_what_came_after_a_backup_is_taken_back_and_counted_once(stack: Stack, keys: dict[str, str]) -> None:
    district, reader = keys["district"], keys["reader"]
    hires = [_hire(f"backup-{n}") for n in range(40)]

    def statuses(reports: list[dict[str, Any]]) -> set[str]:
        return {receipt["status"] for receipt in _report(stack, district, *reports).json()["results"]}

    before = _value(stack, reader, "4.1.b", "2024")
    assert statuses(hires[:20]) == {"accepted"}
    stack.documented("tools backup")
    done = stack.compose("run", "--rm", "tools", "restore")
    assert done.returncode == 1
    taken = re.findall(r"\b\d{8}T\d{6}Z\b", done.stderr)[-1]
    assert statuses(hires[20:]) == {"accepted"}
    eventually(lambda: _value(stack, reader, "4.1.b", "2024") == before + 40)
    refused = stack.compose("run", "--rm", "tools", "restore", taken, "recruitment")
    assert refused.returncode == 1
    assert "docker compose stop recruitment-api recruitment-worker" in refused.stderr
    stack.documented("stop recruitment-api recruitment-worker")
    destroy = ("exec", "-T", "postgres", "bash", "-c")
    lost = "PGPASSWORD=$(cat /run/skillplan/password) psql -h 127.0.0.1 -U postgres -c 'drop database recruitment'"
    assert stack.compose(*destroy, lost).returncode == 0
    stack.documented("tools restore <", time=taken)
    stack.documented("compose up -d --wait")
    assert statuses(hires) == {"duplicate"}
    eventually(lambda: _behind(stack, reader) == {0})
    assert _value(stack, reader, "4.1.b", "2024") == before + 40
    log = stack.compose("run", "--rm", "tools", "admin", "log", "recruitment")
    assert (log.returncode, "position" in log.stdout + log.stderr) == (0, True), log.stderr
    assert "Nothing of 2023" in stack.documented("tools admin store-away")
    nobody = ("tools", "admin", "erase", "--reason", "申请", "--second", "某人")
    refused = stack.compose("run", "--rm", "-T", *nobody)
    assert (refused.returncode, "没有证件号" in refused.stderr) == (1, True), refused.stderr
    stack.documented("tools certificates")
    stack.documented("tools restore-test")
    dense = "select count(*) >= 40 and count(*) = max(position) as dense from fact"
    assert "True" in stack.compose("run", "--rm", "tools", "sql", "recruitment", dense).stdout
    recount = ("projection-projector", "services.projection", "recount")
    assert stack.compose("run", "--rm", "--no-deps", *recount).returncode == 0
    stack.documented("tools reconcile")


def test_the_keeper_takes_a_backup_by_itself_and_another_waits_until_it_ends(stack: Stack) -> None:
    look = ("exec", "-T", "backup-keeper", "cat", "/state/backups/restore-test.json")
    tested = json.loads(eventually(lambda: stack.compose(*look).stdout, within=240))
    assert tested["problems"] == []
    ready = '{"status":"ready","problems":{}}'  # looked at every two seconds

    def said_by(keeper: int) -> str:
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/readyz').read().decode())"
        done = stack.compose("exec", "-T", "--index", str(keeper), "backup-keeper", "python", "-c", ask)
        return done.stdout.strip()

    eventually(lambda: said_by(1) == ready)
    more = ("up", "-d", "--no-recreate", "--no-deps", "--scale", "backup-keeper=2", "backup-keeper")
    try:
        assert stack.compose(*more).returncode == 0
        eventually(lambda: "another backup-keeper is at work" in said_by(2))
        _docker("stop", "-t", "0", f"{stack.name}-backup-keeper-1")
        eventually(lambda: said_by(2) == ready)
    finally:
        _docker("rm", "-f", f"{stack.name}-backup-keeper-2")
        assert stack.compose("start", "backup-keeper").returncode == 0


def test_what_the_page_has_for_docker_in_the_place_of_make_runs(stack: Stack, keys: dict[str, str]) -> None:
    assert "healthy" in stack.documented("compose ps")
    assert "databases.ready" in stack.documented("logs secrets")
    assert stack.documented("logs --tail 50 recruitment-worker")
    assert "make rebuild ACCEPT=" in stack.documented("services.projection beside")
    stack.documented("services.projection back")
    stack.documented("--no-deps projection-projector services.projection rebuild")
    stack.documented("SKILLPLAN_ACCEPT=", code="000000000000")
    eventually(lambda: _behind(stack, keys["reader"]) == {0})


def test_a_service_s_key_is_rotated_and_it_goes_on(stack: Stack, keys: dict[str, str]) -> None:
    assert _report(stack, keys["district"], _hire("rotated")).json()["status"] in ("accepted", "duplicate")
    stack.documented("stop recruitment-api recruitment-worker")
    stack.documented("compose rotate recruitment")
    stack.documented("start recruitment-api recruitment-worker")
    assert "keys of 0 persons" not in stack.documented("rewrap recruitment")
    stack.documented("rotated recruitment")
    stack.documented("restart recruitment-worker")  # with the new one alone
    eventually(lambda: _report(stack, keys["district"], _hire("rotated")).json().get("status") == "duplicate")


def test_the_demo_profile_brings_numbers_and_ends_well(stack: Stack, keys: dict[str, str]) -> None:
    """README's `docker compose --profile demo up -d --wait`."""
    up = stack.compose("--profile", "demo", "up", "-d", "--wait")
    assert up.returncode == 0, up.stderr[-3000:]
    assert stack.containers()["demo"]["State"]["ExitCode"] == 0
    eventually(lambda: sum(_positions(stack, keys["reader"])) > 500)
    eventually(lambda: _still(stack, keys["reader"]))  # other tests count


def _positions(stack: Stack, key: str) -> list[int]:
    return [log["position"] for log in progress_of(stack.addresses, key)["complete_to"].values()]


def _still(stack: Stack, key: str) -> bool:
    before = _positions(stack, key)
    time.sleep(3)
    return before == _positions(stack, key) and _behind(stack, key) == {0}


@pytest.mark.last
def test_tls_is_turned_on_for_all_of_it_and_it_goes_on(stack: Stack, keys: dict[str, str]) -> None:
    """HTTP, PostgreSQL, health checks and Prometheus; what other tests ask in clear is answered no more."""
    before = _value(stack, keys["reader"], "4.1.b", "2024")
    up = stack.compose("up", "-d", "--wait", SKILLPLAN_TLS="on")
    assert up.returncode == 0, up.stderr[-3000:] + stack.compose("logs", "--tail", "3").stdout[-4000:]
    trusted = ssl.create_default_context(cadata=stack.documented("compose authority"))
    url = f"https://127.0.0.1:{stack.ports['GATEWAY']}"
    with httpx.Client(base_url=url, verify=trusted, timeout=20) as gateway:
        by_district, by_reader = _authorization(keys["district"]), _authorization(keys["reader"])
        answer = gateway.post("/v1/events", json=_hire("by-tls"), headers=by_district)
        assert answer.json()["status"] == "accepted", answer.text

        def hired() -> int:
            progress = gateway.get(f"/v1/plans/{PLAN}/progress", headers=by_reader).json()
            (row,) = [row for row in progress["indicators"] if row["id"] == "4.1.b"]
            return next(int(cell["value"]) for cell in row["periods"] if cell["period"] == "2024")

        eventually(lambda: hired() == before + 1)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{stack.addresses['recruitment']}/readyz", timeout=20)
    sessions = "select usename from pg_stat_ssl join pg_stat_activity using (pid) where usename = datname and not ssl"
    ask = f'PGPASSWORD=$(cat /run/skillplan/password) psql -h 127.0.0.1 -U postgres -Atc "{sessions}"'
    in_clear = stack.compose("exec", "-T", "postgres", "bash", "-c", ask)
    assert (in_clear.returncode, in_clear.stdout) == (0, ""), in_clear.stderr
    eventually(lambda: not _down(stack, "https"))
