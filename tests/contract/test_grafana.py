"""Grafana, as the profile `ops` starts it, finds its data and its dashboard.

That the dashboard asks for metrics that exist, tests/integration/test_alerts.py asks a running Prometheus.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conftest import ROOT

COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
GRAFANA: Final[dict[str, Any]] = COMPOSE["services"]["grafana"]
FOLDER: Final = ROOT / "deploy" / "monitoring" / "grafana"
DASHBOARD: Final[dict[str, Any]] = json.loads((FOLDER / "skillplan.json").read_text(encoding="utf-8"))


def _provisioned(kind: str) -> dict[str, Any]:
    (file,) = (FOLDER / "provisioning" / kind).glob("*.yml")
    (entry,) = yaml.safe_load(file.read_text(encoding="utf-8"))[
        {"datasources": "datasources", "dashboards": "providers"}[kind]
    ]
    result: dict[str, Any] = entry
    return result


def _mounts() -> dict[str, str]:
    """Return what of the tree is put where in the container."""
    parted = (volume.split(":") for volume in GRAFANA["volumes"] if volume.startswith("./"))
    return {target: place for place, target, _ in parted}


def test_it_is_there_with_the_profile_alone_on_this_host_alone_and_pinned() -> None:
    assert GRAFANA["profiles"] == ["ops"]
    assert all(port.startswith("127.0.0.1:") for port in GRAFANA["ports"])
    assert re.fullmatch(r"grafana/grafana:\d+\.\d+\.\d+", GRAFANA["image"])
    assert GRAFANA["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/skillplan/")
    assert "secrets-grafana:/run/skillplan:ro" in GRAFANA["volumes"]


def test_its_data_come_from_the_prometheus_of_the_same_file() -> None:
    source = _provisioned("datasources")
    host, port = source["url"].removeprefix("http://").split(":")
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert any(published.endswith(f":{port}") for published in COMPOSE["services"][host]["ports"])
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])


def test_its_dashboard_is_where_it_looks_for_it() -> None:
    folder = _provisioned("dashboards")["options"]["path"]
    home = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) == folder
    assert (ROOT / _mounts()[home]).resolve() == FOLDER / "skillplan.json"
    assert (ROOT / _mounts()["/etc/grafana/provisioning"]).resolve() == FOLDER / "provisioning"
