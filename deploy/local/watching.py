"""What a Prometheus of one's own asks of an installation and its cities, each by name; written at each `make up`.

A city that is added or removed is taken up without a restart: its targets are a file of their own.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import yaml

from deploy.local.installation import ROOT, Installation
from deploy.local.processes import programs

_COMMITTED: Final = ROOT / "deploy" / "monitoring" / "prometheus"
_FIRST: Final = "skillplan"  # no city is called so


def write_targets(installation: Installation) -> None:
    """Write what is asked of an installation or a city, and the configuration beside it, where Prometheus reads them.

    What is of a further city has the label `city`, which the rules' alerts name.
    """
    folder = installation.host / "prometheus"
    targets = folder / "targets"
    targets.mkdir(parents=True, exist_ok=True)
    city = {"city": installation.city} if installation.city else {}
    listed = [
        {"targets": [urlsplit(program.url).netloc], "labels": {"program": program.name} | city}
        for program in programs(installation)
    ]
    file = targets / f"{installation.city or _FIRST}.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    fresh.replace(file)
    configuration = yaml.safe_load((_COMMITTED / "prometheus.yml").read_text(encoding="utf-8"))
    ours = next(job for job in configuration["scrape_configs"] if job["job_name"] == "skillplan")
    del ours["static_configs"]
    ours["file_sd_configs"] = [{"files": ["targets/*.json"], "refresh_interval": "10s"}]
    configuration["scrape_configs"] = [ours]
    configuration["rule_files"] = [str(_COMMITTED / "rules" / "*.yml")]
    (alerted,) = configuration["alerting"]["alertmanagers"]
    alerted["static_configs"][0]["targets"] = ["127.0.0.1:9093"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")


def forget(city: Installation) -> None:
    """Ask nothing more of a city that is removed."""
    (city.host / "prometheus" / "targets" / f"{city.city}.json").unlink(missing_ok=True)
