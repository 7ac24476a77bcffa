"""The configuration of three hosts: what the catalogue, the processes and the other ways of running say, compared.

It runs for real in `make faults`: tests/faults/hosts.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.cluster import servers
from deploy.cluster.__main__ import app, files, installed, render
from deploy.cluster.hosts import read_cluster
from deploy.cluster.units import settings_of, units
from deploy.kafka.properties import broker_properties
from deploy.local.postgres import OPTIONS
from deploy.local.refusal import LocalError
from deploy.local.values import ValuesRefused
from deploy.secrets import certificates
from deploy.secrets.kept import KeptSecrets
from services.catalogue import ELSEWHERE, GATEWAY, SERVICES
from shared.process.settings import Settings
from tests.conftest import ROOT

FILE: Final = ROOT / "deploy" / "cluster" / "shaoxing.yaml"
CLUSTER: Final = read_cluster(FILE)
PROCESSES: Final = [(name, command) for name, entry in SERVICES.items() for command in entry.commands]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return files(CLUSTER, KeptSecrets(tmp_path_factory.mktemp("secrets")))


def test_two_hosts_run_every_process_and_all_three_the_servers(hosts: dict[str, dict[str, str]]) -> None:
    ours = {f"{name}-{command}" for name, command in PROCESSES}
    for host in CLUSTER.hosts:
        written = {Path(file).stem.removeprefix("skillplan-"): text for file, text in hosts[host.name].items()
                 if file.endswith(".service")}  # fmt: skip
        keeper = {"backup-keeper"} if host.backups else set()
        assert set(written) == {"etcd", "kafka", "postgres", "haproxy"} | keeper | (ours if host.services else set())
        assert all("\nRestart=always\n" in text and "\nNoNewPrivileges=yes\n" in text for text in written.values())
        assert all(f"skillplan-{name}.service" in hosts[host.name]["units/skillplan.target"] for name in written)
        for name, text in written.items():
            for file in re.findall(rf"{CLUSTER.etc}/(\S+)", text):
                there = any(each == file or each.startswith(f"{file}/") for each in hosts[host.name])
                assert there, f"{name} reads {file}, which nobody writes"


def test_an_expired_certificate_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    with monkeypatch.context() as past:
        past.setattr(certificates, "_YEARS", timedelta(minutes=-30))
        (tmp_path / "secrets" / "front.pem").write_bytes(certificates.make(["skills.example.org"]).server)
    with pytest.raises(LocalError, match=r"the certificate front\.pem expired on"):
        render(CLUSTER, KeptSecrets(tmp_path / "secrets"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units_of_any_host(tmp_path: Path) -> None:
    """But that servers are not installed here."""
    cluster = CLUSTER.model_copy(update={"code": ROOT})
    for host in cluster.hosts:
        folder = tmp_path / host.name
        folder.mkdir()
        for name, text in units(cluster, host).items():
            (folder / name).write_text(text, encoding="utf-8")
        command = ["systemd-analyze", "verify", "--man=no", *map(str, folder.iterdir())]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()
        assert [line for line in lines if not re.search(r"Command /usr/\S+ is not executable", line)] == []


@pytest.mark.parametrize("process", PROCESSES, ids="-".join)
def test_a_process_has_settings_that_it_knows_and_files_that_are_there(
    process: tuple[str, str], hosts: dict[str, dict[str, str]]
) -> None:
    name, command = process
    settings = settings_of(CLUSTER, CLUSTER.hosts[0], name, command)
    written = dict(re.findall(r"^(\w+)='(.*)'$", hosts["one"][f"settings/{name}-{command}.env"], re.MULTILINE))
    assert written == settings
    secrets = {file.rpartition("/")[2] for file in hosts["one"] if file.startswith(f"secrets/{name}/")}
    known = {f"SKILLPLAN_{each.upper()}" for each in Settings.model_fields} | ELSEWHERE
    known |= {"SKILLPLAN_SERVICES", "SKILLPLAN_SECRETS"}
    assert {each for each in settings if each.startswith("SKILLPLAN_")} <= known
    of_services = {"SKILLPLAN_CITY_KEY", "SKILLPLAN_SERVICE_KEY", "SKILLPLAN_LOG_KEY"}
    assert {each.upper() for each in secrets} <= known | of_services
    for value in settings.values():
        if value.startswith(f"{CLUSTER.etc}/"):
            file = value.removeprefix(f"{CLUSTER.etc}/")
            assert any(each == file or each.startswith(f"{file}/") for each in hosts["one"]), value
    assert int(settings["SKILLPLAN_PORT"]) == SERVICES[name].ports[command]
    doors = re.findall(r"bind 127\.0\.0\.1:(\d+)", hosts["one"]["haproxy.cfg"])
    urls = [*json.loads(settings.get("SKILLPLAN_SERVICES", "{}")).values(), settings.get("SKILLPLAN_PROJECTION")]
    assert {url.rpartition(":")[2] for url in filter(None, urls)} <= set(doors)


def test_haproxy_asks_each_api_on_its_own_port_how_it_is(hosts: dict[str, dict[str, str]]) -> None:
    text = hosts["three"]["haproxy.cfg"]
    for name, entry in SERVICES.items():
        block = text.partition(f"listen {name}-api\n")[2].partition("\nlisten ")[0]
        checked = re.findall(r"server \w+ (\S+):(\d+) ssl verify required .* port (\d+)", block)
        serving = [(str(host.address), str(entry.port), str(entry.probes["api"])) for host in CLUSTER.serving]
        assert checked == serving
        anyway = re.findall(r"server \w+-anyway (\S+):(\d+) ssl verify required \S+ \S+ backup$", block, re.MULTILINE)
        assert anyway == [(str(host.address), str(entry.port)) for host in CLUSTER.serving]
    door = text.partition(f"listen {GATEWAY.name}-api\n")[2].partition("\nlisten ")[0]
    assert "bind :443 ssl crt" in door
    assert re.findall(r"bind (?!127\.0\.0\.1:)(\S+)", text) == [":443"]


def test_a_message_and_a_commit_are_on_two_hosts_before_they_are_acknowledged(
    hosts: dict[str, dict[str, str]],
) -> None:
    for at, host in enumerate(CLUSTER.hosts, 1):
        lines = (line.partition("=") for line in hosts[host.name]["kafka.properties"].splitlines())
        broker = {name: value for name, _, value in lines}
        assert (broker["node.id"], broker["broker.rack"]) == (str(at), host.rack)
        assert {broker[name] for name in broker if name.endswith("replication.factor")} == {"3"}
        assert {broker[name] for name in broker if name.endswith((".isr", "insync.replicas"))} == {"2"}
        secured = dict(each.split(":") for each in broker["listener.security.protocol.map"].split(","))
        opened = dict(each.split("://") for each in broker["listeners"].split(","))
        plain = {name: where for name, where in opened.items() if secured[name] == "PLAINTEXT"}
        assert plain == {"ADMIN": servers.KAFKA_ADMIN}
        untouched = {
            name: value for name, value in broker_properties(1).items()
            if name.startswith(("auto.", "sasl.", "authorizer.", "allow.", "group.", "listener.name."))
        }  # fmt: skip
        assert untouched.items() <= broker.items()
        patroni: dict[str, Any] = yaml.safe_load(hosts[host.name]["postgres/patroni.yml"])
        assert "etcd" in patroni, "by etcd3 a host that comes back may take the leader's key from the new primary"
        assert servers.etcd(CLUSTER, host)["ETCD_ENABLE_V2"] == "true"
        rules = patroni["bootstrap"]["dcs"]
        assert rules["synchronous_mode"] is rules["synchronous_mode_strict"] is True
        assert rules["ttl"] >= rules["loop_wait"] + 2 * rules["retry_timeout"]
        parameters = patroni["postgresql"]["parameters"]
        private = {name: OPTIONS[name] for name in OPTIONS if name.startswith(("log_parameter", "log_min"))}
        assert private.items() <= parameters.items()
        assert not any(rule.startswith("host ") for rule in patroni["postgresql"]["pg_hba"]), "only by TLS"


def test_secrets_stay_what_they_are(tmp_path: Path) -> None:
    first = files(CLUSTER, KeptSecrets(tmp_path))
    assert files(CLUSTER, KeptSecrets(tmp_path)) == first


WRONG: Final[dict[str, Callable[[str], str]]] = {
    "address": lambda text: text.replace("192.0.2.12", "192.0.2.11"),
    "services": lambda text: text.replace("rack: b, services: true", "rack: b"),
    "backups": lambda text: text.replace("services: true}", "services: true, backups: true}"),
    "nets": lambda text: text + "nets: 1\n",
    "YAML": lambda text: text + "hosts: [\n",
}


@pytest.mark.parametrize("word", WRONG)
def test_a_wrong_file_of_hosts_is_refused_in_one_sentence(word: str, tmp_path: Path) -> None:
    file = tmp_path / "hosts.yaml"
    file.write_text(WRONG[word](FILE.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValuesRefused, match=word):
        read_cluster(file)


def test_one_host_alone_has_what_keeping_backups_needs(tmp_path: Path) -> None:
    """What it is given is all that an installation is made of: nothing is made anew there."""
    secrets = KeptSecrets(tmp_path / "secrets")
    written = files(CLUSTER, secrets)
    assert [host for host, texts in written.items() if any(file.startswith("operator/") for file in texts)] == ["three"]
    for name, text in written["three"].items():
        if name.startswith("operator/"):
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    there = KeptSecrets(tmp_path / "operator")
    before = set(there.folder.rglob("*"))
    cluster = read_cluster(tmp_path / "operator" / "hosts.json")
    assert (cluster, installed(cluster, there)) == (CLUSTER, installed(CLUSTER, secrets))
    assert set(there.folder.rglob("*")) == before


def test_every_host_s_folder_is_its_own_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(["render", str(FILE), str(tmp_path / "secrets"), str(tmp_path / "out")], standalone_mode=False)
    assert capsys.readouterr().out.count("cluster.rendered") == len(CLUSTER.hosts)
    modes = subprocess.run(["find", tmp_path / "out", "-type", "f", "-perm", "/077"], capture_output=True, check=True)
    assert modes.stdout == b""
