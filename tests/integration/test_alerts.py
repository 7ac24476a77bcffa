"""Each alert is provoked on running processes, seen by a real Prometheus, and rests again; Alertmanager tells of it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka import topics as deploy_topics
from deploy.local import jars, kafka, postgres, prometheus, watching
from deploy.local.children import dies_with_parent
from deploy.local.installation import Installation
from deploy.local.ports import HOST
from deploy.operations import kept_backups
from deploy.operations.erasable import MANIFEST
from services.catalogue import SERVICES
from shared.http.api_keys import KeyFile, Role
from shared.kafka.clients import Broker
from shared.log.cosignatures import CosigningKey
from shared.observability.metrics import READINGS
from tests.conftest import ROOT
from tests.faults.clock import Clock
from tests.harness.certificates import ending_in
from tests.harness.ports import any_free
from tests.harness.processes import Process, System, eventually, own_database, run, topics_of
from tests.harness.reports import hire_ended, person_hired
from tests.harness.topics import OutgoingMessage, publish, structured

RULES: Final = ROOT / "deploy" / "monitoring" / "prometheus" / "rules" / "skillplan.yml"
RULE_TESTS: Final = ROOT / "deploy" / "monitoring" / "prometheus" / "tests" / "skillplan.yml"
CONFIGURATION: Final = ROOT / "deploy" / "monitoring" / "prometheus" / "prometheus.yml"
ROUTES: Final = ROOT / "deploy" / "monitoring" / "alertmanager" / "alertmanager.yml"
DASHBOARD: Final = ROOT / "deploy" / "monitoring" / "grafana" / "skillplan.json"
PAGE: Final = ROOT / "docs" / "alerts.md"
ALERTS: Final[list[dict[str, Any]]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
# What is too much in production is too much to wait for here.
SOONER: Final = {
    "SkillplanRestarts": ("> 2", "> 0"),
    "SkillplanInboxBehind": ("> 1000", "> 1"),
    "SkillplanRelayBehind": ("> 60", "> 2"),
    "SkillplanProjectionBehind": ("> 60", "> 2"),
    "SkillplanWaitingMany": ("> 1000", "> 3"),
    "SkillplanWaitingOld": ("> 25 * 86400", "> 1"),
    "SkillplanTransactionOld": ("> 60", "> 2"),
    "SkillplanMemory": ("> 400e6", "> 20e6"),
    "SkillplanDistrictSilent": ("> 7 * 86400", "> 6"),
}
# … and how seldom a process looks.
OFTEN: Final = {
    "shared.observability.metrics._EVERY": 1.0,
    "services.projection.counting.projector._LOOKED_EVERY": 1.0,
    "services.projection.queries.log_heads._SELDOM_SECONDS": 0.2,
}
PATIENCE: Final = 90.0
PEPPER: Final = "5e" * 32
# On a machine that is busy with other things a stack of its own takes long to come up.
pytestmark = [pytest.mark.timeout(400), pytest.mark.waits]


def sooner(text: str) -> str:
    """Return the rules with short times and small thresholds; what they look at stays as it is."""
    document = yaml.safe_load(text)
    for rule in document["groups"][0]["rules"]:
        old, new = SOONER.get(rule["alert"], ("", ""))
        assert old in rule["expr"], rule["alert"]
        rule["expr"] = re.sub(r"\[\d+m\]", "[5s]", rule["expr"].replace(old, new) if old else rule["expr"])
        rule["for"] = "1s"
    configuration: str = yaml.safe_dump(document, allow_unicode=True)
    return configuration


@dataclass
class Watch:
    """Processes of ours on a pair of their own, watched by Prometheus and Alertmanager."""

    system: System
    broker: subprocess.Popen[bytes]
    database: subprocess.Popen[bytes]
    prometheus: str
    alertmanager: str
    backups: Path
    notifications: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0
    # One client: making one costs more than what it is asked.
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10, verify=False))  # noqa: S501 - no TLS

    def the(self, service: str, command: str) -> Process:
        return self.system.the(service, command)

    def firing(self) -> list[dict[str, str]]:
        """Return the labels of what fires."""
        answer = self.http.get(f"{self.prometheus}/api/v1/alerts").json()
        return [alert["labels"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"]

    def has(self, alert: str, **labels: str) -> bool:
        wanted = {"alertname": alert, **labels}.items()
        return any(wanted <= labels.items() for labels in self.firing())

    def fires(self, alert: str, **labels: str) -> None:
        eventually(lambda: self.has(alert, **labels), PATIENCE, 0.3)

    def rests(self, alert: str, **labels: str) -> None:
        eventually(lambda: not self.has(alert, **labels), PATIENCE, 0.3)

    def hire(self) -> int:
        """Report a hire nobody has reported, and return the status of the answer."""
        self._number += 1
        report = person_hired(f"alert-{secrets.token_hex(4)}-{self._number}")
        return self.the("recruitment", "api").http.post("/v1/events", json=report).status_code

    def publish_hires(self, count: int) -> None:
        publish(self.system.kafka, [structured(person_hired(f"alert-{secrets.token_hex(4)}")) for _ in range(count)])


@pytest.fixture(scope="module")
def tools() -> dict[str, Path]:
    return prometheus.programs()


@pytest.fixture(scope="module")
def watch(tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    folder = Path(tempfile.mkdtemp(prefix="skillplan-alerts-"))
    folder.chmod(0o711)  # the database runs as another user when we are root
    broker_port, controller_port, database_port, *ports = any_free(5)
    bootstrap, password = f"{HOST}:{broker_port}", secrets.token_urlsafe(18)
    superuser = postgres.dsn(database_port, password)
    brokers = kafka.prepare(
        folder / "kafka", broker_port, controller_port, class_path=jars.classpath(), java=kafka.find_java()
    )
    cluster = postgres.prepare(folder / "postgres", password)
    system = System(bootstrap, tmp_path_factory.mktemp("alerts"), lambda name: own_database(superuser, name), superuser)
    system.constants = OFTEN
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        broker = stack.enter_context(_child(brokers, folder / "kafka.log"))
        server = cluster.command(database_port, {"fsync": "off"})
        database = stack.enter_context(_child(server, folder / "postgres.log"))
        assert postgres.wait_up(superuser, PATIENCE)
        assert kafka.wait_up(bootstrap, PATIENCE)
        stack.callback(system.close)
        run(deploy_topics.create(Broker(bootstrap), topics_of(["recruitment"])))
        notifications: list[dict[str, Any]] = []
        webhook = stack.enter_context(_webhook(notifications))
        keys = KeyFile(system.folder / "keys.json", PEPPER)
        keys.create()
        for command in ("api", "worker"):
            settings = {"SKILLPLAN_KEYS": str(system.folder / "keys.json"), "SKILLPLAN_KEY_PEPPER": PEPPER}
            system.process("recruitment", command, **settings).start(wait=False)
        services = json.dumps({"recruitment": system.the("recruitment", "api").url})
        system.process("projection", "projector").start(wait=False)
        system.process("projection", "api", SKILLPLAN_SERVICES=services).start(wait=False)
        for process in system.processes:
            process.wait_ready()
        backups, keeper_port = folder / "backups", any_free(1)[0]
        back_up(backups)
        keeper = [sys.executable, "-m", "tests.harness.keeper", str(folder), str(keeper_port)]
        stack.enter_context(_child(dies_with_parent(keeper), folder / "keeper.log", ROOT))
        watching = _prometheus(tools, folder, ports, system.processes, keeper_port, webhook)
        for name, started in watching.items():
            stack.enter_context(_child(dies_with_parent(started), folder / f"{name}.log", prometheus.home(tools[name])))
        first, second = (f"http://{HOST}:{port}" for port in ports)
        made = Watch(system, broker, database, first, second, backups, notifications)
        for url in (made.prometheus, made.alertmanager):
            eventually(lambda url=url: made.http.get(f"{url}/-/ready").is_success, PATIENCE)  # type: ignore[misc]
        assert made.hire() == 200
        # What changes now must differ from something.
        settled = {"query": 'count(count_over_time(up{job="skillplan"}[5s]) > 3)'}
        wanted = str(len(system.processes) + 1)
        eventually(lambda: f'"{wanted}"' in made.http.get(f"{made.prometheus}/api/v1/query", params=settled).text)
        yield made
        made.http.close()


def back_up(backups: Path, *problems: str) -> None:
    """Put there what a backup of just now and its trial restore leave."""
    now = datetime.now(UTC)
    whole = backups / f"{now:{kept_backups.STAMP}}"
    whole.mkdir(parents=True)
    (whole / MANIFEST).touch()
    kept_backups.RestoreTest(now.isoformat(), whole.name, 1.0, 1, list(problems)).write(backups)


def _prometheus(
    tools: dict[str, Path],
    folder: Path,
    ports: list[int],
    processes: list[Process],
    keeper_port: int,
    webhook: str,
) -> dict[str, list[str]]:
    """Write the committed configuration with our addresses and short times, and return the commands."""
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    ours = configuration["scrape_configs"][0]
    by_program = {f"{process.service}-{process.command}": process.port for process in processes}
    by_program["backup-keeper"] = keeper_port
    ours["static_configs"] = [
        {"targets": [f"{HOST}:{by_program[target['labels']['program']]}"], "labels": target["labels"]}
        for target in ours["static_configs"]
        if target["labels"]["program"] in by_program
    ]
    assert len(ours["static_configs"]) == len(by_program)
    configuration["scrape_configs"] = [ours]
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = ["rules.yml"]
    configuration["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"{HOST}:{ports[1]}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    (folder / "rules.yml").write_text(sooner(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    text = re.sub(r"group_wait: \w+", "group_wait: 0s", routes(webhook)).replace("interval: 1m", "interval: 1s")
    (folder / "alertmanager.yml").write_text(text, encoding="utf-8")
    return {
        "prometheus": [
            str(tools["prometheus"]), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={HOST}:{ports[0]}",
        ],
        "alertmanager": [
            str(tools["alertmanager"]), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/told",
            f"--web.listen-address={HOST}:{ports[1]}", "--cluster.listen-address=",
        ],
    }  # fmt: skip


def routes(webhook: str) -> str:
    """Return Alertmanager's configuration with the address itself: it reads it from a file from 0.26 on only, and
    Debian 12 has 0.25."""
    text = ROUTES.read_text(encoding="utf-8")
    assert text.count("url_file: /run/secrets/alert_webhook") == 1
    return text.replace("url_file: /run/secrets/alert_webhook", f"url: {webhook}")


@contextlib.contextmanager
def _child(command: list[str], log: Path, cwd: Path = Path("/")) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, start_new_session=True
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def _webhook(notifications: list[dict[str, Any]]) -> Iterator[str]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notifications.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Receiver)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@contextlib.contextmanager
def stopped(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a server and all its processes stand still, as a hanging machine does: connections stay, nothing answers."""
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    # They go on when the block ends, and when we are killed in it: what stands still cannot be told to end.
    goes_on = f"cat; kill -CONT {' '.join(str(process.pid) for process in family)} 2> /dev/null || true"
    with subprocess.Popen(["sh", "-c", goes_on], stdin=subprocess.PIPE, start_new_session=True):
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield


def test_garbage_and_a_flood_of_invalid_reports_are_told(watch: Watch) -> None:
    publish(watch.system.kafka, [OutgoingMessage("recruitment.reports.330681", b"x", b"\xff\xfe")])
    watch.fires("SkillplanQuarantine", service="recruitment")
    wrong = [{**person_hired(f"wrong-{n}"), "specversion": "0.3"} for n in range(60)]
    batch = {"content-type": "application/cloudevents-batch+json"}
    assert watch.the("recruitment", "api").http.post("/v1/events", json=wrong, headers=batch).status_code == 200
    watch.fires("SkillplanManyInvalid", service="recruitment")
    watch.rests("SkillplanManyInvalid")
    watch.rests("SkillplanQuarantine")


def test_reports_that_wait_are_told_until_what_they_wait_for_has_come(watch: Watch) -> None:
    names = [f"waits-{n}" for n in range(5)]
    api = watch.the("recruitment", "api").http
    assert {api.post("/v1/events", json=hire_ended(name)).status_code for name in names} == {202}
    watch.fires("SkillplanWaitingMany", service="recruitment")
    watch.fires("SkillplanWaitingOld", service="recruitment")
    assert {api.post("/v1/events", json=person_hired(name)).status_code for name in names} == {200}
    watch.rests("SkillplanWaitingMany")
    watch.rests("SkillplanWaitingOld")


def test_a_number_that_was_tampered_with_is_told(watch: Watch) -> None:
    assert watch.hire() == 200

    number = watch.system.query("projection", "select generation from head")[0][0]
    change = f"update numbers.g{number}_cell set value = value + $1 returning 1"  # noqa: S608 - a number of our own
    assert eventually(lambda: watch.system.query("projection", change, 1, as_role=True))
    # While nothing is counted they are compared once a minute.
    assert watch.hire() == 200
    watch.fires("SkillplanRecountDiffers")
    watch.system.query("projection", change, -1, as_role=True)
    assert watch.hire() == 200
    watch.rests("SkillplanRecountDiffers")


def test_a_log_that_went_back_behind_what_is_counted_is_told(watch: Watch) -> None:
    watch.hire()
    watch.system.query("recruitment", "update log_head set position = position - 1")
    watch.fires("SkillplanProjectionAhead", service="recruitment")
    watch.system.query("recruitment", "update log_head set position = position + 1")
    watch.rests("SkillplanProjectionAhead")


def test_a_head_that_does_not_move_while_reports_arrive_is_told(watch: Watch) -> None:
    with watch.system.holding("recruitment", "select * from log_head for update", as_role=True):
        watch.publish_hires(20)
        watch.fires("SkillplanHeadStill", service="recruitment")
        watch.fires("SkillplanInboxBehind", service="recruitment")
        watch.fires("SkillplanTransactionOld", service="recruitment")
    watch.fires("SkillplanDecisionsSlow", service="recruitment")
    for alert in ("SkillplanHeadStill", "SkillplanInboxBehind", "SkillplanTransactionOld", "SkillplanDecisionsSlow"):
        watch.rests(alert)


def test_what_our_code_fails_on_is_told(watch: Watch) -> None:
    with watch.the("recruitment", "worker").watched():
        watch.system.query("recruitment", 'revoke insert on fact from "recruitment"')
        assert watch.hire() == 500
        watch.publish_hires(1)
        watch.fires("SkillplanErrors", program="recruitment-api")
        watch.fires("SkillplanRestarts", program="recruitment-worker")
        watch.system.query("recruitment", 'grant insert on fact to "recruitment"')
        watch.rests("SkillplanRestarts")
        watch.rests("SkillplanErrors")
        watch.the("recruitment", "worker").wait_ready()


def test_requests_that_are_refused_in_numbers_are_told(watch: Watch) -> None:
    """While no keys are set, those to a name that is not this machine's."""

    def refused_on_and_on() -> bool:
        for _ in range(60):
            answer = watch.the("recruitment", "api").http.get("/v1/log/head", headers={"host": "rebound.example"})
            assert answer.status_code == 403
        return watch.has("SkillplanRefused", program="recruitment-api")

    eventually(refused_on_and_on, PATIENCE, 0.3)
    watch.fires("SkillplanRefused", program="recruitment-api")
    assert watch.the("recruitment", "api").text().count('"http.refused"') < 200
    watch.rests("SkillplanRefused")


def test_a_key_that_is_about_to_expire_is_told_until_it_is_rotated_or_revoked(watch: Watch) -> None:
    """One of the services' own, which shut no door; those of districts expire alike."""
    keys = KeyFile(watch.system.folder / "keys.json", PEPPER)
    key, _ = keys.add(Role.SERVICE, label="soon", expires_at=datetime.now(UTC) + timedelta(days=20))
    watch.fires("SkillplanKeysExpire", part="keys")
    keys.revoke(key.id)
    watch.rests("SkillplanKeysExpire")


def test_a_backup_that_is_not_taken_or_does_not_restore_is_told(watch: Watch) -> None:
    """The keeper has no server here: what it tries fails, and it goes on warning."""
    shutil.rmtree(watch.backups)
    watch.fires("SkillplanBackupOld", part="backup")
    watch.fires("SkillplanRestoreTest", part="restore-test")
    back_up(watch.backups, "recruitment.dump is damaged")
    watch.rests("SkillplanBackupOld")
    assert watch.has("SkillplanRestoreTest")
    shutil.rmtree(watch.backups)
    back_up(watch.backups)
    watch.rests("SkillplanRestoreTest")


def test_witnesses_that_are_away_and_an_authority_about_to_end_are_told(watch: Watch, tmp_path: Path) -> None:
    worker, authority = watch.the("recruitment", "worker"), tmp_path / "ca.pem"
    authority.write_bytes(ending_in(timedelta(days=20)))
    usual = worker.settings
    witness = f"http://{HOST}:9/#{CosigningKey('away.example', b'w' * 32).verifier_key}"
    worker.stop()
    worker.settings = {
        **usual, "SKILLPLAN_LOG_KEY": "6b" * 32, "SKILLPLAN_WITNESSES": witness, "SKILLPLAN_CA": str(authority),
    }  # fmt: skip
    worker.start()
    assert watch.hire() == 200
    watch.fires("SkillplanCertificatesExpire", program="recruitment-worker")
    watch.fires("SkillplanWitnesses", service="recruitment")
    worker.stop()
    worker.settings = usual
    worker.start()
    for alert in ("SkillplanCertificatesExpire", "SkillplanWitnesses"):
        watch.rests(alert)


def test_a_hole_is_told_until_the_missing_fact_comes(watch: Watch) -> None:
    assert watch.hire() == 200
    last = watch.the("recruitment", "api").http.get("/v1/log/head").json()["position"]
    fact = watch.the("recruitment", "api").http.get(f"/v1/log?after={last - 1}").json()["facts"][0]
    beyond = json.dumps({**fact, "position": last + 2}).encode()
    eventually(lambda: f" {last}.0" in watch.the("projection", "projector").http.get("/metrics").text)
    publish(watch.system.kafka, [OutgoingMessage("recruitment.events", b"x", beyond)])
    watch.fires("SkillplanLineParked", line="recruitment.events")
    watch.fires("SkillplanNotReady", part="lines")
    # More than one: a worker that starts compares the last fact of the topic with its log, and ours is not of the log.
    assert [watch.hire() for _ in range(3)] == [200] * 3
    watch.rests("SkillplanLineParked")
    watch.rests("SkillplanNotReady", part="lines")


def test_a_process_that_is_gone_and_what_follows_is_told(watch: Watch) -> None:
    worker, projector = watch.the("recruitment", "worker"), watch.the("projection", "projector")
    watch.fires("SkillplanMemory", program="recruitment-worker")
    for process in (worker, projector):
        process.stop()
    assert watch.hire() == 200
    watch.fires("SkillplanDown", program="recruitment-worker")
    watch.fires("SkillplanRelayBehind", service="recruitment", outbox="facts")
    watch.fires("SkillplanProjectionBehind", service="recruitment")
    watch.fires("SkillplanNoWriter")
    watch.rests("SkillplanMemory", program="recruitment-worker")
    for process in (worker, projector):
        process.start(wait=False)
    for alert in ("SkillplanDown", "SkillplanRelayBehind", "SkillplanProjectionBehind", "SkillplanNoWriter"):
        watch.rests(alert)


def test_clocks_that_are_apart_are_told_and_the_later_one_decides(watch: Watch, tmp_path: Path) -> None:
    worker, clock = watch.the("recruitment", "worker"), Clock(tmp_path)
    usual = worker.settings
    worker.stop()
    worker.settings = {**usual, **clock.settings}
    worker.start()
    clock.set(-3600)
    # By our clock it lies more than a day ahead, by the broker's less (RULES A2).
    soon = (datetime.now(UTC) + timedelta(hours=23, minutes=30)).isoformat()
    early = person_hired(f"alert-{secrets.token_hex(4)}") | {"time": soon}
    publish(watch.system.kafka, [structured(early)])
    receipt = {"source": early["source"], "id": early["id"]}
    api = watch.the("recruitment", "api").http
    eventually(lambda: api.get("/v1/receipts", params=receipt).is_success)
    assert api.get("/v1/receipts", params=receipt).json()["status"] == "accepted"
    watch.fires("SkillplanClocksApart", service="recruitment")
    eventually(lambda: "clock" in worker.http.get("/readyz").json().get("warnings", {}))
    ready = worker.http.get("/readyz")
    assert (ready.status_code, ready.json()["warnings"]["clock"][:23]) == (200, "Kafka's clock is +3600 ")
    clock.set(0)
    assert watch.hire() == 200
    watch.rests("SkillplanClocksApart")
    worker.stop()
    worker.settings = usual
    worker.start()


def test_a_district_from_which_nothing_comes_is_told(watch: Watch) -> None:
    assert watch.hire() == 200
    watch.fires("SkillplanDistrictSilent", district="330681")
    assert watch.hire() == 200
    watch.rests("SkillplanDistrictSilent", district="330681")


def test_numbers_whose_log_does_not_answer_are_told(watch: Watch) -> None:
    api = watch.the("recruitment", "api")
    api.kill()
    watch.fires("SkillplanProjectionUnknown", service="recruitment")

    def warned() -> bool:
        readiness = watch.the("projection", "api").http.get("/readyz")
        return (readiness.status_code, list(readiness.json().get("warnings", ()))) == (200, ["recruitment"])

    eventually(warned, PATIENCE)  # numbers can still be read
    api.start()
    watch.rests("SkillplanProjectionUnknown")
    watch.rests("SkillplanDown", program="recruitment-api")


def test_a_broker_that_hangs_is_told(watch: Watch) -> None:
    with stopped(watch.broker):
        watch.fires("SkillplanKafkaDown", service="recruitment")
        watch.fires("SkillplanKafkaDown", service="projection")
        assert watch.hire() == 200, "deciding needs no broker"
    watch.rests("SkillplanKafkaDown")


def test_a_database_that_hangs_wakes_somebody_once(watch: Watch) -> None:
    watch.notifications.clear()
    with stopped(watch.database):
        for process in watch.system.processes:
            eventually(lambda process=process: "database" in process.problems())  # type: ignore[misc]
            assert process.http.get("/metrics").elapsed.total_seconds() < 5, "asking for numbers waits for nobody"
        watch.fires("SkillplanDatabaseDown", service="recruitment")
        watch.fires("SkillplanDatabaseDown", service="projection")
        eventually(lambda: "SkillplanDatabaseDown" in names(watch.notifications, "firing"), PATIENCE)
        watch.publish_hires(20)
        watch.fires("SkillplanHeadStill", service="recruitment")

        def kept_back() -> bool:
            alerts = watch.http.get(f"{watch.alertmanager}/api/v2/alerts").json()
            return any(
                alert["labels"]["alertname"] == "SkillplanHeadStill" and alert["status"]["inhibitedBy"]
                for alert in alerts
            )

        eventually(kept_back, PATIENCE)
        assert "SkillplanHeadStill" not in names(watch.notifications, "firing")
    for process in watch.system.processes:
        process.wait_ready()
    eventually(lambda: "SkillplanDatabaseDown" in names(watch.notifications, "resolved"), PATIENCE)
    for alert in ("SkillplanDatabaseDown", "SkillplanHeadStill"):
        watch.rests(alert)
    summary = next(group for group in watch.notifications if "SkillplanDatabaseDown" in names([group], "firing"))[
        "alerts"
    ][0]
    assert set(summary["annotations"]) == {"summary_zh", "summary_en", "runbook_url"}


def names(notifications: list[dict[str, Any]], status: str) -> set[str]:
    return {
        alert["labels"]["alertname"]
        for group in notifications
        for alert in group["alerts"]
        if alert["status"] == status
    }


def test_rules_routes_and_configuration_are_sound(tools: dict[str, Path], tmp_path: Path) -> None:
    alertmanager = tmp_path / "alertmanager.yml"
    alertmanager.write_text(routes("http://127.0.0.1:9/"), encoding="utf-8")
    for command in (
        [tools["promtool"], "check", "rules", RULES],
        [tools["promtool"], "check", "config", CONFIGURATION],
        [tools["promtool"], "test", "rules", RULE_TESTS],
        [tools["amtool"], "check-config", alertmanager],
    ):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_prometheus_of_one_s_own_is_told_what_each_city_runs(tools: dict[str, Path], tmp_path: Path) -> None:
    ports = {name: 18_000 + at for at, name in enumerate((*SERVICES, "kafka", "postgres"))}
    first = Installation(tmp_path, ports=ports)
    city = Installation(tmp_path / "cities" / "ningbo", city="ningbo", ports=ports)
    for installation in (first, city):
        watching.write_targets(installation)
    folder = tmp_path / "prometheus"
    command = [str(tools["promtool"]), "check", "config", str(folder / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    by_city = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (folder / "targets").glob("*.json")}
    processes = {f"{name}-{command}" for name, entry in SERVICES.items() for command in entry.commands}
    assert by_city.keys() == {"skillplan", "ningbo"}
    for name, targets in by_city.items():
        assert {each["labels"]["program"] for each in targets} == processes
        assert {each["labels"].get("city") for each in targets} == {None if name == "skillplan" else name}
    watching.forget(city)
    assert [file.name for file in (folder / "targets").iterdir()] == ["skillplan.json"]


def test_every_process_of_the_composed_stack_is_scraped() -> None:
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    ours = {
        f"{name}:{parts['environment'].get('SKILLPLAN_PROBES', parts['environment']['SKILLPLAN_PORT'])}": name
        for name, parts in composed.items()
        if re.fullmatch(r"\w+-(api|worker|projector|keeper)", name)
    }
    scraped = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["scrape_configs"][0]["static_configs"]
    assert {target: group["labels"]["program"] for group in scraped for target in group["targets"]} == ours


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_in_both_languages_what_is_wrong_and_where_it_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    annotations = rule["annotations"]
    assert re.search(r"[\u4e00-\u9fff]", annotations["summary_zh"])
    assert not re.search(r"[\u4e00-\u9fff]", annotations["summary_en"])
    assert annotations["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"
    assert f"### {rule['alert']}\n" in PAGE.read_text(encoding="utf-8")
    own = Path(__file__).read_text(encoding="utf-8")
    assert re.search(rf'fires\("{rule["alert"]}"', own), "it is provoked above"
    assert f"name: {rule['alert']}" in RULE_TESTS.read_text(encoding="utf-8")


def expressions() -> list[str]:
    """Return every expression of the rules and the dashboard."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(expressions) > 20
    return [*(rule["expr"] for rule in ALERTS), *expressions]


def test_every_metric_and_label_of_rules_and_dashboard_exists(watch: Watch) -> None:
    labels: dict[str, set[str]] = {
        name: set(of) for name, (_, of) in READINGS.items() if name in ("skillplan_problem", "skillplan_warning")
    }
    assert watch.hire() == 200

    def gathered() -> bool:
        for process in watch.system.processes:
            for family in text_string_to_metric_families(process.http.get("/metrics").text):
                for sample in family.samples:
                    labels.setdefault(sample.name, set()).update(sample.labels)
        return named <= set(labels)

    named = {name for text in expressions() for name in re.findall(r"\b(?:skillplan|process)_\w+", text)}
    eventually(gathered)
    for text in expressions():
        for metric, selected in re.findall(r"\b((?:skillplan|process)_\w+)\{([^}]*)\}", text):
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
            assert used <= labels[metric] | {"job", "program"}, text
        used = {name.strip() for match in re.findall(r"\bby \(([^)]*)\)", text) for name in match.split(",")}
        known = {label for metric in re.findall(r"\b(?:skillplan|process)_\w+", text) for label in labels[metric]}
        assert used <= known | {"job", "program", "le", "city"}, text
