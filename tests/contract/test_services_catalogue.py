"""The catalogue of services agrees with the folders, with docker-compose.yml, and with what Prometheus scrapes."""

import json
import subprocess
import sys
from typing import Any, Final

import pytest
import yaml

from services.catalogue import COUNTED, DOMAIN_SERVICES, GATEWAY, PROJECTION, SERVICES, WITH_DATABASE
from shared.http.api_keys import Role
from tests.conftest import ROOT

COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PROMETHEUS: Final = yaml.safe_load(
    (ROOT / "deploy" / "monitoring" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
)
PROCESSES: Final = {
    f"{name}-{command}": (name, command, port)
    for name, entry in SERVICES.items()
    for command, port in entry.ports.items()
}
# What compose runs besides: it prepares, stores, watches, or is started by hand.
OTHERS: Final = {
    "secrets", "databases", "topics", "keys", "tools", "kafka", "postgres", "prometheus", "alertmanager",
    "postgres-exporter", "demo", "grafana", "backup-keeper",
}  # fmt: skip


def test_every_folder_of_a_service_is_in_the_catalogue() -> None:
    folders = {main.parent.name for main in (ROOT / "services").glob("*/__main__.py")}
    assert folders == set(SERVICES)


@pytest.mark.parametrize("name", DOMAIN_SERVICES)
def test_an_entry_says_what_the_code_of_its_service_says(name: str) -> None:
    entry = DOMAIN_SERVICES[name]
    assert entry.language.service == name
    assert (ROOT / "services" / name / "policies.py").exists() == bool(entry.hears)
    assert tuple(language.service for language in entry.heard) == entry.hears
    assert set(entry.hears) <= set(DOMAIN_SERVICES) - {name}
    assert entry.reporters <= set(Role)


def test_the_image_asks_a_process_whether_it_is_ready() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    check = dockerfile.partition("\nHEALTHCHECK ")[2].partition("\nENTRYPOINT")[0]
    assert "GET /readyz" in check
    assert "SKILLPLAN_PROBES" in check
    assert "SKILLPLAN_PORT" in check


def test_no_two_processes_have_one_port() -> None:
    ports = [port for entry in SERVICES.values() for port in {*entry.ports.values(), *entry.probes.values()}]
    assert len(set(ports)) == len(ports)


def test_a_process_imports_no_other_service() -> None:
    """The catalogue's imports are lazy: a service's processes hold its own code, and the language that it hears."""
    script = """
import sys
from services import catalogue
for name in catalogue.DOMAIN_SERVICES:
    catalogue.DOMAIN_SERVICES[name].composed()
    print(name, *(module for module in sys.modules if module.startswith("services.")))
    for module in [module for module in sys.modules if module.startswith("services.")]:
        del sys.modules[module]
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name: modules for name, *modules in map(str.split, done.stdout.splitlines())}
    assert loaded.keys() == DOMAIN_SERVICES.keys()
    for name, modules in loaded.items():
        others = {module.split(".")[1] for module in modules} - {"catalogue", "vocabulary", name}
        assert others == set(DOMAIN_SERVICES[name].hears)
        assert not any(module.endswith(".decider") for module in modules if not module.startswith(f"services.{name}."))


def test_compose_runs_the_processes_of_the_catalogue() -> None:
    assert set(COMPOSE["services"]) == {*PROCESSES, *OTHERS}


@pytest.mark.parametrize("process", PROCESSES)
def test_compose_runs_a_process_as_the_catalogue_says(process: str) -> None:
    name, command, port = PROCESSES[process]
    block: dict[str, Any] = COMPOSE["services"][process]
    settings: dict[str, Any] = block["environment"]
    assert block["command"] == [f"services.{name}", command]
    assert settings.pop("SKILLPLAN_PORT") == port
    assert f"secrets-{name}:/run/skillplan:ro" in block["volumes"]
    assert "healthcheck" not in block  # the image's own asks for /readyz
    if command == "api":
        assert settings.pop("SKILLPLAN_PROBES") == SERVICES[name].probes[command]
        usual = "${SKILLPLAN_BIND:-127.0.0.1}:${SKILLPLAN_%s_PORT:-%d}:%d" % (name.upper(), port, port)  # noqa: UP031
        assert block["ports"] == [usual]
        derived = SERVICES[name].address_settings(
            lambda other: f"http${{SKILLPLAN_TLS:+s}}://{other}-api:{SERVICES[other].port}"
        )
        assert {key: _read(value) for key, value in settings.items()} == {k: _read(v) for k, v in derived.items()}
    else:
        assert "ports" not in block
        assert settings == {}


def _read(value: str) -> object:
    return json.loads(value) if value.startswith("{") else value


def test_compose_hands_every_service_its_secrets() -> None:
    volumes = {f"secrets-{name}" for name in SERVICES}
    assert volumes <= set(COMPOSE["volumes"])
    assert {f"secrets-{name}:/secrets/{name}" for name in SERVICES} <= set(COMPOSE["services"]["secrets"]["volumes"])
    tools = set(COMPOSE["services"]["tools"]["volumes"])
    assert {f"secrets-{name}:/state/secrets/{name}:ro" for name in WITH_DATABASE} <= tools


def test_the_demo_waits_for_every_service_that_it_reports_to() -> None:
    assert set(COMPOSE["services"]["demo"]["depends_on"]) == {f"{name}-worker" for name in COUNTED}


def test_prometheus_asks_by_tls_for_the_same_where_it_is_on() -> None:
    """`prometheus-tls.yml` is `prometheus.yml` but for how Skillplan's processes are asked."""
    folder = ROOT / "deploy" / "monitoring" / "prometheus"
    by_tls: dict[str, Any] = yaml.safe_load((folder / "prometheus-tls.yml").read_text(encoding="utf-8"))
    (job,) = (job for job in by_tls["scrape_configs"] if job["job_name"] == "skillplan")
    assert job.pop("scheme") == "https"
    assert job.pop("tls_config") == {"insecure_skip_verify": True}
    assert by_tls == PROMETHEUS
    (file,) = (word for word in COMPOSE["services"]["prometheus"]["command"] if "config.file" in word)
    assert file == "--config.file=/etc/prometheus/prometheus${SKILLPLAN_TLS:+-tls}.yml"


def test_prometheus_scrapes_every_process_of_the_catalogue() -> None:
    (job,) = (job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "skillplan")
    scraped = {target: row["labels"]["program"] for row in job["static_configs"] for target in row["targets"]}
    probed = {process: SERVICES[name].probes[command] for process, (name, command, _) in PROCESSES.items()}
    keeper = COMPOSE["services"]["backup-keeper"]["environment"]["SKILLPLAN_PORT"]
    probed["backup-keeper"] = keeper
    assert scraped == {f"{process}:{port}": process for process, port in probed.items()}


def test_projection_and_gateway_ask_every_service_that_takes_reports() -> None:
    assert PROJECTION.addresses == {"services": tuple(DOMAIN_SERVICES)}
    assert GATEWAY.addresses == {"projection": "projection", "services": tuple(DOMAIN_SERVICES)}
