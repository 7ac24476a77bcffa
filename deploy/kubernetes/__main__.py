"""Writes a city's manifests or its Secrets: `python -m deploy.kubernetes render|secrets <city's file> <folder>`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from deploy.kubernetes import processes, servers, watching
from deploy.kubernetes.city import City, Manifest, manifest, read_city
from deploy.kubernetes.secrets import secret_manifests
from deploy.local.refusal import LocalError


def rendered(city: City) -> dict[str, list[Manifest]]:
    """Return the manifests of a city by the file that they go into."""
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {
        "namespace": [manifest("v1", "Namespace", city.name, labels=restricted)],
        "certificates": watching.certificates(city),
        "kafka": servers.kafka(city),
        "topics": servers.kafka_topics(city),
        "users": servers.kafka_users(city),
        "postgres": servers.postgres(city),
        "processes": processes.processes(city),
        "network": processes.network(city),
        "monitoring": watching.monitoring(city),
    }


def write(city: City, folder: Path) -> None:
    """Write a base of Kustomize: `kubectl apply -k <folder>`, or a base of an overlay of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    made = rendered(city)
    for name, manifests in made.items():
        (folder / f"{name}.yaml").write_text(text(manifests), encoding="utf-8")
    base = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": city.name,
        "resources": [f"{name}.yaml" for name in made],
    }
    (folder / "kustomization.yaml").write_text(text([base]), encoding="utf-8")
    sys.stdout.write(f"kubernetes.rendered city={city.name} manifests={sum(map(len, made.values()))}\n")


class _Plain(yaml.SafeDumper):
    """A dumper without anchors, which people and some tools trip over."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def text(manifests: Iterable[Manifest]) -> str:
    """Return manifests as YAML documents."""
    return yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def main(arguments: list[str]) -> None:
    """Run one of the commands."""
    match arguments:
        case ["render", file, folder]:
            write(read_city(Path(file)), Path(folder))
        case ["secrets", file, folder]:
            city = read_city(Path(file))
            made = secret_manifests(city, Path(folder))
            for each in made:
                each["metadata"]["namespace"] = city.name
            sys.stdout.write(text(made))
        case _:
            sys.exit("用法 usage: python -m deploy.kubernetes render|secrets <城市的文件 city's file> <文件夹 folder>")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LocalError as refused:
        sys.exit(f"✗ {refused.zh} {refused.en}")
