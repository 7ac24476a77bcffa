"""The processes of the catalogue as Deployments, with all that Kubernetes needs to know of them."""

from __future__ import annotations

import hashlib
from typing import Final

from deploy.kafka import topics
from deploy.kubernetes.city import City, Manifest, manifest
from deploy.kubernetes.servers import DATABASE, KAFKA, KAFKA_PORT, POOLER
from services.catalogue import DOMAIN_SERVICES, GATEWAY, SERVICES, WITH_DATABASE, ServiceEntry
from shared.kafka.names import consumer_group

PLANS: Final = "/etc/skillplan/plans"
SECRETS: Final = "/run/skillplan"
# One name that every certificate of ours has besides its own: Prometheus asks pods by their addresses.
ANY_PROCESS: Final = "skillplan"
_USER: Final = 10001  # of the image
_CONTAINER: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_POD: Final = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def settings_of(city: City, name: str, command: str) -> dict[str, str]:
    """Return the environment of one process; what is secret comes from files."""
    entry = SERVICES[name]
    probes = {"SKILLPLAN_PROBES": str(entry.probes[command])} if command == "api" else {}
    # A proxy in front, and the gateway itself, are one address to whom they ask.
    shared = {"SKILLPLAN_ADDRESS_CONNECTIONS": "1000"} if command == "api" else {}
    return (
        {"SKILLPLAN_PORT": str(entry.ports[command])}
        | probes
        | shared
        | {
            "SKILLPLAN_PLANS": PLANS,
            "SKILLPLAN_KEYS": f"{SECRETS}/keys.json",
            "SKILLPLAN_TLS_CERT": f"{SECRETS}/tls.crt",
            "SKILLPLAN_TLS_KEY": f"{SECRETS}/tls.key",
            "SKILLPLAN_CA": f"{SECRETS}/ca.crt",
        }
        | entry.address_settings(lambda other: f"https://{other}-api:{SERVICES[other].port}")
        | _kafka_settings(name)
        | {f"SKILLPLAN_{setting.upper()}": value for setting, value in city.settings.items()}
    )


def _kafka_settings(name: str) -> dict[str, str]:
    if name not in WITH_DATABASE:
        return {}
    return {
        "SKILLPLAN_KAFKA": f"{KAFKA}-kafka-bootstrap:{KAFKA_PORT}",
        "SKILLPLAN_KAFKA_USER": name,
        "SKILLPLAN_KAFKA_CA": f"{SECRETS}/kafka-ca.crt",
    }


def _files(name: str) -> Manifest:
    """Return the volume of a service: its own secrets, and nobody's besides."""

    def of(secret: str, **files: str) -> Manifest:
        items = [{"key": key, "path": path} for path, key in files.items()]
        return {"secret": {"name": secret} | ({"items": items} if items else {})}

    sources = [
        of(f"{name}-settings"),
        of("skillplan-keys", **{"keys.json": "keys.json"}),
        of(f"{name}-tls", **{file: file for file in ("tls.crt", "tls.key", "ca.crt")}),
    ]
    if name in WITH_DATABASE:
        sources += [
            of(name, skillplan_kafka_password="password"),  # noqa: S106 - the name of a key, by Strimzi
            of(f"{KAFKA}-cluster-ca-cert", **{"kafka-ca.crt": "ca.crt"}),
            of(f"{DATABASE}-ca", **{"database-ca.crt": "ca.crt"}),
        ]
    return {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}}


def _pod(city: City, name: str, command: str, container: Manifest, volumes: list[Manifest]) -> Manifest:
    labels = _labels(name, command)
    return {
        "metadata": {"labels": labels, "annotations": {"skillplan/plans": city.plan_digest}},
        "spec": {
            "serviceAccountName": "skillplan",
            "automountServiceAccountToken": False,
            # Kubernetes would name every Service in the environment, and an unknown SKILLPLAN_… is refused.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": _POD,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": key,
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": labels},
                }
                for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            ],
            "containers": [
                container
                | {
                    "name": command,
                    "image": city.image,
                    "securityContext": _CONTAINER,
                    "resources": {
                        "requests": {"cpu": city.processes.cpu, "memory": city.processes.memory},
                        "limits": {"memory": city.processes.memory},
                    },
                    "volumeMounts": [
                        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
                        {"name": "plans", "mountPath": PLANS, "readOnly": True},
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container alone
                    ],
                }
            ],
            "volumes": [
                *volumes,
                {"name": "plans", "configMap": {"name": "plans"}},
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            ],
        },
    }


def _labels(name: str, command: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "skillplan",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": command,
        "program": f"{name}-{command}",
    }


def deployment(city: City, name: str, command: str) -> Manifest:
    """Write the Deployment of one process."""
    entry = SERVICES[name]
    ports = {"http": entry.ports[command], "probes": entry.probes[command]}
    if command != "api":
        del ports["http"]  # an address for probes alone
    container = {
        "args": [f"services.{name}", command],
        "env": [{"name": key, "value": value} for key, value in settings_of(city, name, command).items()],
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "startupProbe": _probe("/livez", 5, 36),
        "livenessProbe": _probe("/livez", 10, 6),
        "readinessProbe": _probe("/readyz", 10, 3),
    }
    replicas = city.processes.apis if command == "api" else city.processes.workers
    return manifest(
        "apps/v1", "Deployment", f"{name}-{command}", labels=_labels(name, command),
        # Where the certificate is renewed, https://github.com/stakater/Reloader, if it is there, starts pods anew.
        annotations={"reloader.stakater.com/auto": "true"},
        spec=({} if _scaled(name, command) else {"replicas": replicas})
        | {
            "revisionHistoryLimit": 3,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": _labels(name, command)},
            "template": _pod(city, name, command, container, [_files(name)]),
        },
    )  # fmt: skip


def _probe(path: str, seconds: int, failures: int) -> Manifest:
    request = {"path": path, "port": "probes", "scheme": "HTTPS"}
    return {"httpGet": request, "periodSeconds": seconds, "timeoutSeconds": 5, "failureThreshold": failures}


def migration(city: City, name: str) -> Manifest:
    """Write the Job that migrates a service's database to this version of the image; repeating one is harmless."""
    container = {
        "args": [f"services.{name}", "migrate"],
        "env": [{"name": "SKILLPLAN_PLANS", "value": PLANS}],
    }
    files = [
        {"secret": {"name": f"{name}-migration"}},
        {"secret": {"name": f"{DATABASE}-ca", "items": [{"key": "ca.crt", "path": "database-ca.crt"}]}},
    ]
    volume = {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": files}}
    pod = _pod(city, name, "migrate", container, [volume])
    pod["spec"]["restartPolicy"] = "OnFailure"
    spec = {"backoffLimit": 20, "ttlSecondsAfterFinished": 86400, "template": pod}
    version = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]  # a Job cannot be changed
    return manifest("batch/v1", "Job", f"{name}-migrate-{version}", labels=_labels(name, "migrate"), spec=spec)


def _scaled(name: str, command: str) -> bool:
    """Tell whether something else says how many of them there are."""
    return command == "api" or name in DOMAIN_SERVICES


def _scaling(city: City, name: str, command: str) -> Manifest | None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-{command}"}
    if command == "api":
        usage = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 200}}  # of what is asked for
        return manifest(
            "autoscaling/v2", "HorizontalPodAutoscaler", f"{name}-{command}",
            spec={
                "scaleTargetRef": target,
                "minReplicas": city.processes.apis,
                "maxReplicas": max(city.processes.apis, city.processes.most_apis),
                "metrics": [{"type": "Resource", "resource": usage}],
            },
        )  # fmt: skip
    if name not in DOMAIN_SERVICES:
        return None  # one projector writes, the others stand by
    partitions = topics.reports(name, city.districts[0]).partitions
    waiting = {
        "bootstrapServers": f"{KAFKA}-kafka-bootstrap.{city.name}.svc:{KAFKA_PORT}",
        "consumerGroup": consumer_group(name),
        "lagThreshold": "1000",
        "allowIdleConsumers": "false",
        "sasl": "scram_sha512",
        "tls": "enable",
    }
    return manifest(
        "keda.sh/v1alpha1", "ScaledObject", f"{name}-{command}",
        spec={
            "scaleTargetRef": target,
            "minReplicaCount": min(city.processes.workers, partitions),
            "maxReplicaCount": partitions,  # a further one would have no partition of any inbox
            "triggers": [{"type": "kafka", "metadata": waiting, "authenticationRef": {"name": name}}],
        },
    )  # fmt: skip


def _lag_reader(name: str) -> Manifest:
    """Write by which user KEDA asks the broker for a service's lag: by the service's own."""
    return manifest(
        "keda.sh/v1alpha1", "TriggerAuthentication", name,
        spec={
            "secretTargetRef": [
                {"parameter": "username", "name": f"{name}-settings", "key": "kafka_user"},
                {"parameter": "password", "name": name, "key": "password"},
                {"parameter": "ca", "name": f"{KAFKA}-cluster-ca-cert", "key": "ca.crt"},
            ]
        },
    )  # fmt: skip


def processes(city: City) -> list[Manifest]:
    """Write everything of every process: what runs it, finds it, scales it, and lets it go."""
    made: list[Manifest] = [
        manifest("v1", "ServiceAccount", "skillplan", automountServiceAccountToken=False),
        manifest("v1", "ConfigMap", "plans", data=city.plan_files),
        *(migration(city, name) for name in WITH_DATABASE),
        *(_lag_reader(name) for name in DOMAIN_SERVICES),
    ]
    for name, entry in SERVICES.items():
        for command in entry.commands:
            process, selector = f"{name}-{command}", {"matchLabels": _labels(name, command)}
            scaling = _scaling(city, name, command)
            made += [
                deployment(city, name, command),
                _service(entry, command),
                manifest("policy/v1", "PodDisruptionBudget", process, spec={"maxUnavailable": 1, "selector": selector}),
                *([scaling] if scaling else ()),
            ]
    return [*made, _ingress(city)]


def _service(entry: ServiceEntry, command: str) -> Manifest:
    ports = {"probes": entry.probes[command]} | ({"http": entry.ports[command]} if command == "api" else {})
    return manifest(
        "v1", "Service", f"{entry.name}-{command}", labels=_labels(entry.name, command),
        spec={
            "selector": _labels(entry.name, command),
            "ports": [{"name": port, "port": number, "targetPort": port} for port, number in ports.items()],
        },
    )  # fmt: skip


def _ingress(city: City) -> Manifest:
    path = {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": f"{GATEWAY.name}-api", "port": {"name": "http"}}},
    }
    return manifest(
        "networking.k8s.io/v1", "Ingress", GATEWAY.name,
        annotations={
            "cert-manager.io/cluster-issuer": city.gateway.issuer,
            "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
            "nginx.ingress.kubernetes.io/proxy-body-size": "5m",  # a batch has 4 MiB (RULES A16)
            "nginx.ingress.kubernetes.io/proxy-buffering": "off",  # pages follow numbers by a stream
        },
        spec={
            "ingressClassName": city.gateway.ingress_class,
            "tls": [{"hosts": [city.gateway.host], "secretName": "gateway-public-tls"}],
            "rules": [{"host": city.gateway.host, "http": {"paths": [path]}}],
        },
    )  # fmt: skip


def network(city: City) -> list[Manifest]:
    """Write who may ask whom: nobody, but for what the catalogue says."""
    ours = {"matchLabels": {"app.kubernetes.io/part-of": "skillplan"}}
    database = {"matchLabels": {"cnpg.io/cluster": DATABASE}}
    dns = {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }
    made = [
        manifest(
            "networking.k8s.io/v1", "NetworkPolicy", "ours",
            spec={"podSelector": ours, "policyTypes": ["Ingress", "Egress"], "egress": [dns]},
        ),
        # Its own instances, our processes, its operator; what it asks itself is the operator's business.
        manifest(
            "networking.k8s.io/v1", "NetworkPolicy", "database",
            spec={
                "podSelector": database,
                "policyTypes": ["Ingress"],
                "ingress": [
                    _from([{"podSelector": ours}, {"podSelector": database},
                           {"podSelector": {"matchLabels": {"cnpg.io/poolerName": POOLER}}}], 5432),
                    _from([_namespace("cnpg-system"), {"podSelector": database}], 8000),
                    _from([_namespace(city.monitoring.namespace)], 9187),
                ],
            },
        ),
    ]  # fmt: skip
    for name, entry in SERVICES.items():
        for command in entry.commands:
            opened = [_from([_namespace(city.monitoring.namespace)], entry.probes[command])]
            if command == "api":
                callers = [other for other, its in SERVICES.items() if name in _asked_by(its)]
                peers: list[Manifest] = [
                    {"podSelector": {"matchLabels": {"app.kubernetes.io/name": caller}}} for caller in callers
                ]
                if name == GATEWAY.name:
                    peers = [_namespace(city.gateway.ingress_namespace)]
                opened.append(_from(peers, entry.ports[command]))
            made.append(
                manifest(
                    "networking.k8s.io/v1", "NetworkPolicy", f"{name}-{command}",
                    spec={
                        "podSelector": {"matchLabels": _labels(name, command)},
                        "policyTypes": ["Ingress", "Egress"],
                        "ingress": opened,
                        "egress": [
                            *([_to({"strimzi.io/cluster": KAFKA}, KAFKA_PORT),
                               _to({"cnpg.io/cluster": DATABASE}, 5432)] if name in WITH_DATABASE else []),
                            *(_to(_labels(other, "api"), SERVICES[other].port) for other in _asked_by(entry)),
                            *([{"to": [_namespace(city.monitoring.namespace)]}] if "otlp" in city.settings else []),
                        ],
                    },
                )
            )  # fmt: skip
    migrations = {"matchExpressions": [
        {"key": "app.kubernetes.io/component", "operator": "In", "values": ["migrate"]}
    ]}  # fmt: skip
    made.append(
        manifest(
            "networking.k8s.io/v1", "NetworkPolicy", "migrations",
            spec={
                "podSelector": migrations, "policyTypes": ["Egress"],
                "egress": [_to({"cnpg.io/cluster": DATABASE}, 5432)],
            },
        )
    )  # fmt: skip
    return made


def _asked_by(entry: ServiceEntry) -> list[str]:
    """Return the services whose APIs a service asks."""
    targets = (entry.addresses or {}).values()
    return sorted({name for target in targets for name in ((target,) if isinstance(target, str) else target)})


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _from(peers: list[Manifest], port: int) -> Manifest:
    return {"from": peers, "ports": [{"protocol": "TCP", "port": port}]}


def _to(labels: dict[str, str], port: int) -> Manifest:
    return {"to": [{"podSelector": {"matchLabels": labels}}], "ports": [{"protocol": "TCP", "port": port}]}
