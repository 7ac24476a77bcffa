"""A city's manifests: what their servers take, what the processes declare, and what the catalogue says, compared.

The schemas are the operators' own, pruned to what is used (tests/harness/kubernetes_schemas.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from deploy.kafka import access, topics
from deploy.kubernetes import processes
from deploy.kubernetes.__main__ import main, rendered, write
from deploy.kubernetes.city import read_city
from deploy.kubernetes.secrets import secret_manifests
from deploy.kubernetes.servers import PARAMETERS
from deploy.local.values import ValuesRefused
from deploy.secrets import certificates
from services.catalogue import DOMAIN_SERVICES, GATEWAY, SERVICES, WITH_DATABASE
from shared.service.main import _NEEDED
from tests.conftest import ROOT
from tests.harness.cities import FURTHER
from tests.harness.kubernetes_schemas import CITY, FILE, manifests

Manifest = dict[str, Any]
SHAOXING: Final = read_city(CITY)
RENDERED: Final = [manifest for some in rendered(SHAOXING).values() for manifest in some]
SCHEMAS: Final = {
    name: Draft202012Validator(schema)
    for name, schema in json.loads(FILE.read_text(encoding="utf-8"))["schemas"].items()
}
PROCESSES: Final = [(name, command) for name, entry in SERVICES.items() for command in entry.commands]
COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def of_kind(kind: str) -> dict[str, Manifest]:
    """Return the rendered manifests of a kind, by name."""
    return {each["metadata"]["name"]: each for each in RENDERED if each["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """Return every pod of ours, by what makes it."""
    return {
        name: made["spec"]["template"] for kind in ("Deployment", "Job") for name, made in of_kind(kind).items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of every Secret that a pod may use: ours, and those that operators make."""
    made = {
        each["metadata"]["name"]: each["stringData"]
        for each in secret_manifests(SHAOXING, tmp_path_factory.mktemp("secrets"))
    }
    made |= {user: {"password": "made by Strimzi"} for user in of_kind("KafkaUser")}
    pair = certificates.make(["kafka"])
    authority = {"ca.crt": pair.ca.decode()}
    server = authority | dict.fromkeys(("tls.crt", "tls.key"), pair.server.decode())
    made |= {each["spec"]["secretName"]: server for each in of_kind("Certificate").values()}
    made |= {f"{name}-cluster-ca-cert": authority for name in of_kind("Kafka")}
    return made | {f"{name}-ca": authority for name in of_kind("Cluster")}


def faults(manifest: Manifest) -> list[str]:
    """Return what its server would not take of it."""
    schema = SCHEMAS[f"{manifest['apiVersion']}/{manifest['kind']}"]
    return [f"{manifest['metadata']['name']}: {error.json_path}: {error.message}"
            for error in schema.iter_errors(manifest)]  # fmt: skip


def test_every_manifest_is_taken_by_its_server_s_own_schema() -> None:
    every = manifests()
    assert len(every) > 300
    assert [fault for each in every for fault in faults(each)] == []


@pytest.mark.parametrize("kind", sorted({each["kind"] for each in RENDERED if "spec" in each}))
def test_a_field_that_no_server_knows_is_refused(kind: str) -> None:
    wrong = deepcopy(next(iter(of_kind(kind).values())))
    wrong["spec"]["replicaz"] = 3
    assert "replicaz" in "".join(faults(wrong))


def test_kustomize_takes_the_folder(tmp_path: Path) -> None:
    write(SHAOXING, tmp_path)
    listed = yaml.safe_load((tmp_path / "kustomization.yaml").read_text(encoding="utf-8"))
    assert {*listed["resources"], "kustomization.yaml"} == {file.name for file in tmp_path.iterdir()}
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in listed["resources"]]
    written = [each for text in texts for each in yaml.safe_load_all(text)]
    assert written == json.loads(json.dumps(RENDERED))
    names = [(each["kind"], each["metadata"]["name"]) for each in written]
    assert len(set(names)) == len(names)


def test_topics_are_those_of_the_code_and_an_acknowledged_message_is_on_two_brokers() -> None:
    made = {
        each["spec"]["topicName"]: (each["spec"]["partitions"], each["spec"]["config"], each["spec"]["replicas"])
        for each in of_kind("KafkaTopic").values()
    }
    assert made == {
        topic.name: (topic.partitions, topic.config | {"min.insync.replicas": "2"}, 3)
        for topic in topics.wanted(SHAOXING.districts)
    }
    settings = of_kind("Kafka")["skillplan"]["spec"]["kafka"]["config"]
    assert settings["auto.create.topics.enable"] is False
    assert {name for name in settings if name.endswith("replication.factor") and settings[name] != 3} == set()
    assert {name for name in settings if name.endswith((".isr", "insync.replicas")) and settings[name] != 2} == set()


def test_users_may_do_what_the_code_allows_and_nothing_besides() -> None:
    names = {"Read": 3, "Write": 4, "Delete": 6, "topic": 2, "group": 3, "literal": 3, "prefix": 4}
    made = {
        access.Right(user, names[operation], names[what["type"]], what["name"], names[what["patternType"]])
        for user, each in of_kind("KafkaUser").items()
        for acl in each["spec"]["authorization"]["acls"]
        for what in [acl["resource"]]
        for operation in acl["operations"]
    }
    assert made == access.rights(SHAOXING.districts)
    assert sorted(of_kind("KafkaUser")) == sorted(access.users(SHAOXING.districts))
    limited = {user for user, each in of_kind("KafkaUser").items() if "quotas" in each["spec"]}
    assert limited == set(access.users(SHAOXING.districts)) - set(WITH_DATABASE)
    for door in of_kind("Kafka")["skillplan"]["spec"]["kafka"]["listeners"]:
        assert (door["tls"], door["authentication"]["type"]) == (True, "scram-sha-512")


def _environment_of_the_image() -> dict[str, str]:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    stage = dockerfile.partition("AS skillplan\n")[2].partition("HEALTHCHECK")[0]
    return dict(re.findall(r"\b(SKILLPLAN_[A-Z_]+)=(\S+)", stage))


def _mounted(volume: Manifest, secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the files of a volume; KeyError for a Secret or a key that nobody makes."""
    files: dict[str, str] = {}
    for source in volume["projected"]["sources"]:
        made = secrets[source["secret"]["name"]]
        items = source["secret"].get("items") or [{"key": key, "path": key} for key in made]
        files |= {item["path"]: made[item["key"]] for item in items}
    return files


def _settings_read(process: tuple[str, str], folder: Path, secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """Run the process as its pod would be run, but for what it listens on: it shows its settings, secrets masked."""
    name, command = process
    pod = pods()[f"{name}-{command}"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [f"services.{name}", command]
    folder = folder / f"{name}-{command}"
    folder.mkdir()
    for file, text in _mounted(pod["volumes"][0], secrets).items():
        (folder / file).write_text(text, encoding="utf-8")
    environment = _environment_of_the_image() | {each["name"]: each["value"] for each in container["env"]}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert environment["SKILLPLAN_SECRETS"] == mounts["secrets"]
    local = {key: value.replace(mounts["secrets"], str(folder)) for key, value in environment.items()}
    done = subprocess.run(
        [sys.executable, "-m", f"services.{name}", "--show-settings"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **local}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{name}-{command}: {done.stdout}{done.stderr}"
    read = dict(re.findall(r"^(SKILLPLAN_\w+)=(.*?)  # ", done.stdout, re.MULTILINE))
    assert {key: read[key] for key in local if key in read and not key.endswith(("SERVICES", "SECRETS"))} == {
        key: value for key, value in local.items() if not key.endswith(("SERVICES", "SECRETS"))
    }
    return read


def test_every_process_takes_the_environment_and_the_secrets_of_its_pod(
    tmp_path: Path, secrets: dict[str, dict[str, str]]
) -> None:
    """An unknown setting, a wrong one, and one that is missing end a process: none of them is there."""
    firsts = [(name, entry.commands[0]) for name, entry in SERVICES.items()]
    with ThreadPoolExecutor(2) as runs:
        read = dict(zip(firsts, runs.map(lambda each: _settings_read(each, tmp_path, secrets), firsts), strict=True))
    for (name, command), settings in read.items():
        given = {setting for setting, value in settings.items() if value == "**********"}
        needed = _NEEDED.get(command, ("pg_dsn",)) if name in DOMAIN_SERVICES else ("pg_dsn",)[: name in WITH_DATABASE]
        entry = SERVICES[name]
        expected = {*needed, *entry.keys, "key_pepper", *(["log_key"] if name in DOMAIN_SERVICES else [])}
        if name in WITH_DATABASE:
            expected |= {"kafka_password", *(["api_key"] if entry.addresses else [])}
        assert given == {f"SKILLPLAN_{setting.upper()}" for setting in expected}, name
        assert int(settings["SKILLPLAN_PORT"]) == entry.ports[command]
        assert int(settings["SKILLPLAN_PROBES"]) == entry.probes[command]
        for other in entry.commands[1:]:  # the same code reads them, and the same files
            first, second = (processes.settings_of(SHAOXING, name, each) for each in (command, other))
            assert second.items() - first.items() == {("SKILLPLAN_PORT", str(entry.ports[other]))}
            assert first.keys() - second.keys() == {"SKILLPLAN_PROBES", "SKILLPLAN_ADDRESS_CONNECTIONS"}
            first, second = (pods()[f"{name}-{each}"]["spec"]["volumes"] for each in (command, other))
            assert first == second


def test_a_pod_has_its_own_service_s_secrets_alone(secrets: dict[str, dict[str, str]]) -> None:
    common = {"skillplan-keys", "skillplan-cluster-ca-cert", "skillplan-db-ca"}
    for process, pod in pods().items():
        name = process.split("-")[0]
        sources = {each["secret"]["name"] for each in pod["spec"]["volumes"][0]["projected"]["sources"]}
        assert sources <= secrets.keys()
        own = {f"{name}-migration"} if "-migrate-" in process else {f"{name}-settings", f"{name}-tls", name}
        assert sources - common <= own, process
    assert {secret for secret, files in secrets.items() if "skillplan_pg_owner_dsn" in files} == {
        f"{name}-migration" for name in WITH_DATABASE
    }


@pytest.mark.parametrize("process", PROCESSES, ids="-".join)
def test_ports_and_probes_are_those_of_the_catalogue(process: tuple[str, str]) -> None:
    name, command = process
    entry = SERVICES[name]
    (container,) = pods()[f"{name}-{command}"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"probes": entry.probes[command]} | ({"http": entry.ports[command]} if command == "api" else {})
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: each["path"] for kind, each in probes.items()} == {
        "startup": "/livez", "liveness": "/livez", "readiness": "/readyz",
    }  # fmt: skip
    assert {(each["port"], each["scheme"]) for each in probes.values()} == {("probes", "HTTPS")}
    service = of_kind("Service")[f"{name}-{command}"]
    assert {each["name"]: each["port"] for each in service["spec"]["ports"]} == ports
    assert service["spec"]["selector"] == pods()[f"{name}-{command}"]["metadata"]["labels"]
    assert of_kind("PodDisruptionBudget")[f"{name}-{command}"]["spec"]["selector"] == {
        "matchLabels": service["spec"]["selector"]
    }


def test_every_address_leads_to_a_service_with_a_certificate_through_an_open_door() -> None:
    names = {
        host for each in of_kind("Certificate").values() for host in each["spec"].get("dnsNames", ())
    }  # fmt: skip
    for caller, pod in pods().items():
        (container,) = pod["spec"]["containers"]
        env = {each["name"]: each["value"] for each in container["env"]}
        urls = [*json.loads(env.get("SKILLPLAN_SERVICES", "{}")).values(), env.get("SKILLPLAN_PROJECTION")]
        for address in map(urlsplit, filter(None, urls)):
            assert address.scheme == "https"
            assert address.hostname in names
            service = of_kind("Service")[str(address.hostname)]
            assert address.port in {each["port"] for each in service["spec"]["ports"]}
            opened = of_kind("NetworkPolicy")[str(address.hostname)]["spec"]["ingress"]
            peers = [peer["podSelector"]["matchLabels"] for each in opened for peer in each["from"]
                     if each["ports"][0]["port"] == address.port and "podSelector" in peer]  # fmt: skip
            assert any(peer.items() <= pod["metadata"]["labels"].items() for peer in peers), caller
    for entry in SERVICES.values():
        for target in (entry.addresses or {}).values():
            assert set((target,) if isinstance(target, str) else target) <= set(SERVICES)


def test_nobody_is_let_in_but_by_a_policy() -> None:
    policies = of_kind("NetworkPolicy")
    closed = policies["ours"]["spec"]
    assert closed["podSelector"] == {"matchLabels": {"app.kubernetes.io/part-of": "skillplan"}}
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed
    assert all(pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "skillplan" for pod in pods().values())
    servers = ("Kafka", "KafkaNodePool", "Cluster")  # whose pods have policies of their own
    labels = [each["metadata"]["labels"] for kind in servers for each in of_kind(kind).values()]
    assert not any("app.kubernetes.io/part-of" in each for each in labels)


def test_pods_are_as_the_restricted_standard_has_them_and_more() -> None:
    (namespace,) = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods().items():
        spec = pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys(), name
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "SKILLPLAN_KAFKA_… of a Service would be an unknown setting"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {
            "projected", "configMap", "emptyDir",
        }  # fmt: skip
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
            assert container["image"] == SHAOXING.image


def test_what_scales_what() -> None:
    apis = {f"{name}-{command}" for name, command in PROCESSES if command == "api"}
    workers = {f"{name}-worker" for name in DOMAIN_SERVICES}
    assert of_kind("HorizontalPodAutoscaler").keys() == apis
    assert of_kind("ScaledObject").keys() == workers
    for name, each in of_kind("ScaledObject").items():
        spec, service = each["spec"], name.removesuffix("-worker")
        partitions = {topics.reports(service, code).partitions for code in SHAOXING.districts}
        assert {spec["maxReplicaCount"]} == partitions
        assert spec["minReplicaCount"] <= spec["maxReplicaCount"]
        assert spec["triggers"][0]["metadata"]["consumerGroup"] == f"skillplan-{service}"
        may_read = {acl["resource"]["name"] for acl in of_kind("KafkaUser")[service]["spec"]["authorization"]["acls"]}
        assert f"skillplan-{service}" in may_read
    for name, each in of_kind("Deployment").items():
        assert ("replicas" in each["spec"]) == (name not in apis | workers)


def test_prometheus_has_the_labels_that_the_rules_ask_by_and_the_rules_themselves() -> None:
    rules = yaml.safe_load((ROOT / "deploy/monitoring/prometheus/rules/skillplan.yml").read_text(encoding="utf-8"))
    assert of_kind("PrometheusRule")["skillplan"]["spec"] == rules
    scraped = of_kind("ServiceMonitor")["skillplan"]["spec"]
    wanted = {f"{name}-{command}" for name, command in PROCESSES}
    chosen = {
        name: labels
        for name, each in of_kind("Service").items()
        for labels in [each["metadata"]["labels"]]
        if scraped["selector"]["matchLabels"].items() <= labels.items()
    }
    assert {labels[scraped["targetLabels"][0]] for labels in chosen.values()} == chosen.keys() == wanted
    assert {labels[scraped["jobLabel"]] for labels in chosen.values()} == {"skillplan"}
    assert scraped["endpoints"][0]["tlsConfig"]["serverName"] == processes.ANY_PROCESS
    for each in of_kind("Certificate").values():
        assert each["spec"].get("isCA") or processes.ANY_PROCESS in each["spec"]["dnsNames"]


def test_postgres_keeps_persons_out_of_its_log_and_services_out_of_others_databases(
    secrets: dict[str, dict[str, str]],
) -> None:
    given = dict(each.removeprefix("-c").split("=") for each in COMPOSE["services"]["postgres"]["command"][1:])
    del given["max_connections"]  # more processes, more connections
    given = {name: value for name, value in given.items() if not name.startswith("ssl")}  # CloudNativePG's own TLS
    assert given == PARAMETERS
    cluster = of_kind("Cluster")["skillplan-db"]["spec"]
    assert cluster["postgresql"]["parameters"].items() >= given.items()
    rules = cluster["postgresql"]["pg_hba"]
    assert of_kind("Database").keys() == set(WITH_DATABASE)
    assert {each["name"] for each in cluster["managed"]["roles"]} == {
        role for name in WITH_DATABASE for role in (name, f"{name}_owner")
    }
    for each in cluster["managed"]["roles"]:
        role, secret = each["name"], secrets[each["passwordSecret"]["name"]]
        assert secret["username"] == role
        service = role.removesuffix("_owner")
        mine = [rule for rule in rules if re.search(rf"\b{role}\b", rule)]
        assert [rule.split()[1] for rule in mine if not rule.endswith("reject")] == [service]
        assert mine[-1] == f"host all {role} all reject"
        dsn = urlsplit({**secrets[f"{service}-settings"], **secrets[f"{service}-migration"]}[
            "skillplan_pg_dsn" if role == service else "skillplan_pg_owner_dsn"])  # fmt: skip
        assert (dsn.username, dsn.password, dsn.path) == (role, secret["password"], f"/{service}")
    assert cluster["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}


def test_secrets_stay_what_they_are(tmp_path: Path) -> None:
    first = secret_manifests(SHAOXING, tmp_path)
    assert secret_manifests(SHAOXING, tmp_path) == first
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


CHANGES: Final = {
    "replicaz": ("name: shaoxing", "name: shaoxing\nreplicaz: 3"),
    "latest": ("skillplan:1.0.0", "skillplan:latest"),
    "plans": ("../../../plans", "nowhere"),
    "settings": ("monitoring:", "settings: {kafka_usr: x}\nmonitoring:"),
    "pooler": ("  storage: 100Gi\n  backup", "  pooler: transaction\n  storage: 100Gi\n  backup"),
    "from_addresses": ("[192.0.2.0/24]", "[]"),
    "YAML": ("gateway:", "gateway: ["),
}


@pytest.mark.parametrize("word", CHANGES)
def test_a_wrong_file_of_a_city_is_refused_in_one_sentence(word: str, tmp_path: Path) -> None:
    text = CITY.read_text(encoding="utf-8").replace("../../../plans", str(ROOT / "plans"))
    before, after = CHANGES[word] if word != "plans" else (str(ROOT / "plans"), "nowhere")
    file = tmp_path / "city.yaml"
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ValuesRefused, match=word):
        read_city(file)
    with pytest.raises(SystemExit):
        main([])


def test_another_city_is_another_file_and_shares_no_name_with_the_first(tmp_path: Path) -> None:
    ningbo = FURTHER[0]
    ningbo.write_plan(tmp_path)
    text = CITY.read_text(encoding="utf-8").replace("../../../plans", str(tmp_path)).replace("shaoxing", ningbo.name)
    file = tmp_path / "values"
    file.write_text(text, encoding="utf-8")
    city = read_city(file)
    made = [manifest for some in rendered(city).values() for manifest in some]
    assert len(made) == len(RENDERED)
    assert [each for each in made if "shaoxing" in json.dumps(each, ensure_ascii=False)] == []
    assert not {code for code in SHAOXING.districts if f"district-{code}" in json.dumps(made)}
    assert [each["metadata"]["name"] for each in made if each["kind"] == "Namespace"] == [ningbo.name]
    write(city, tmp_path / "written")
    assert yaml.safe_load((tmp_path / "written" / "kustomization.yaml").read_text())["namespace"] == ningbo.name


def test_the_door_is_the_gateway() -> None:
    (rule,) = of_kind("Ingress")[GATEWAY.name]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (rule["host"], backend["name"]) == (SHAOXING.gateway.host, f"{GATEWAY.name}-api")
    assert backend["port"]["name"] in {each["name"] for each in of_kind("Service")["gateway-api"]["spec"]["ports"]}
