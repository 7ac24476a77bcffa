"""Certificates by cert-manager, and what Prometheus scrapes and alarms of: the rules of deploy/monitoring."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from deploy.kubernetes.city import City, Manifest, manifest
from deploy.kubernetes.processes import ANY_PROCESS
from services.catalogue import SERVICES

_RULES: Final = Path(__file__).resolve().parents[1] / "monitoring" / "prometheus" / "rules"
_CERT_MANAGER: Final = "cert-manager.io/v1"
_MONITORING: Final = "monitoring.coreos.com/v1"


def certificates(city: City) -> list[Manifest]:
    """Write an authority of the city's own, and a certificate a service by it; the door's own comes by the Ingress."""
    key = {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}
    root, ours = {"name": "skillplan-root", "kind": "Issuer"}, {"name": "skillplan", "kind": "Issuer"}
    return [
        manifest(_CERT_MANAGER, "Issuer", "skillplan-root", spec={"selfSigned": {}}),
        manifest(
            _CERT_MANAGER, "Certificate", "skillplan-ca",
            spec={
                "isCA": True, "commonName": f"skillplan {city.name}", "secretName": "skillplan-ca",
                "duration": "87600h", "renewBefore": "8760h", "privateKey": key | {"rotationPolicy": "Never"},
                "issuerRef": root,
            },
        ),
        manifest(_CERT_MANAGER, "Issuer", "skillplan", spec={"ca": {"secretName": "skillplan-ca"}}),
        *(
            manifest(
                _CERT_MANAGER, "Certificate", f"{name}-tls",
                spec={
                    "secretName": f"{name}-tls", "duration": "8760h", "renewBefore": "2160h", "privateKey": key,
                    "usages": ["server auth"],
                    "dnsNames": [
                        ANY_PROCESS,
                        *(host for command in entry.commands
                          for host in (f"{name}-{command}", f"{name}-{command}.{city.name}.svc")),
                    ],
                    "issuerRef": ours,
                },
            )
            for name, entry in SERVICES.items()
        ),
    ]  # fmt: skip


def monitoring(city: City) -> list[Manifest]:
    """Write what is scraped, with the labels that the rules ask by, and the rules as they stand."""
    groups = [
        group
        for file in sorted(_RULES.glob("*.yml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]
    authority = {"ca": {"secret": {"name": "skillplan-ca", "key": "ca.crt"}}, "serverName": ANY_PROCESS}
    return [
        manifest(
            _MONITORING, "ServiceMonitor", "skillplan", labels=city.monitoring.labels,
            spec={
                "jobLabel": "app.kubernetes.io/part-of",
                "targetLabels": ["program"],
                "selector": {"matchLabels": {"app.kubernetes.io/part-of": "skillplan"}},
                "endpoints": [
                    {"port": "probes", "path": "/metrics", "scheme": "https", "interval": "10s",
                     "tlsConfig": authority}
                ],
            },
        ),
        manifest(
            _MONITORING, "PrometheusRule", "skillplan", labels=city.monitoring.labels, spec={"groups": groups}
        ),
    ]  # fmt: skip
