"""What runs on each of three hosts: the settings of our processes, and systemd units for them and for the servers."""

from __future__ import annotations

from typing import Final

from deploy.cluster.hosts import Host, ThreeHosts
from deploy.cluster.servers import API_DOORS, KAFKA
from services.catalogue import SERVICES, WITH_DATABASE

TARGET: Final = "skillplan.target"


def settings_of(cluster: ThreeHosts, host: Host, name: str, command: str) -> dict[str, str]:
    """Return the environment of one process; what is secret comes from files."""
    entry = SERVICES[name]
    pem = f"{cluster.etc}/host.pem"
    settings = {
        "SKILLPLAN_HOST": str(host.address),
        "SKILLPLAN_PORT": str(entry.ports[command]),
        "SKILLPLAN_PLANS": f"{cluster.code}/plans",
        "SKILLPLAN_SECRETS": f"{cluster.etc}/secrets/{name}",
        "SKILLPLAN_KEYS": f"{cluster.etc}/keys.json",
        "SKILLPLAN_TLS_CERT": pem,
        "SKILLPLAN_TLS_KEY": pem,
        "SKILLPLAN_CA": f"{cluster.etc}/ca.pem",
        "PYTHONUNBUFFERED": "1",
    }
    if command == "api":  # HAProxy is one address to whom it asks
        settings |= {"SKILLPLAN_PROBES": str(entry.probes[command]), "SKILLPLAN_ADDRESS_CONNECTIONS": "1000"}
    if name in WITH_DATABASE:
        settings |= {
            "SKILLPLAN_KAFKA": cluster.all("{address}:{port}", port=KAFKA["INSIDE"]),
            "SKILLPLAN_KAFKA_USER": name,
            "SKILLPLAN_KAFKA_CA": f"{cluster.etc}/ca.pem",
        }
    return settings | entry.address_settings(lambda other: f"http://127.0.0.1:{SERVICES[other].port + API_DOORS}")


def settings_of_keeper(cluster: ThreeHosts, host: Host) -> dict[str, str]:
    """Return the environment of the process that keeps the backups."""
    pem = f"{cluster.etc}/host.pem"
    return {
        "SKILLPLAN_HOST": str(host.address),
        "SKILLPLAN_PORT": "8090",
        "SKILLPLAN_TLS_CERT": pem,
        "SKILLPLAN_TLS_KEY": pem,
        "PG_BIN": str(cluster.postgres),
        "PYTHONUNBUFFERED": "1",
    }


def units(cluster: ThreeHosts, host: Host) -> dict[str, str]:
    """Return the units of a host, by file name."""
    python = f"{cluster.code}/.venv/bin/python"
    broker = f"{cluster.etc}/kafka.properties {cluster.data}/kafka {cluster.kafka_id}"
    commands = {
        "etcd": ("etcd", "/usr/bin/etcd", f"EnvironmentFile={cluster.etc}/etcd.env"),
        "kafka": ("skillplan", f"{python} -m deploy.cluster kafka {broker}", ""),
        "postgres": ("postgres", f"/usr/bin/patroni {cluster.etc}/postgres/patroni.yml", ""),
        "haproxy": ("haproxy", f"/usr/sbin/haproxy -W -db -f {cluster.etc}/haproxy.cfg",
                    "AmbientCapabilities=CAP_NET_BIND_SERVICE"),
    }  # fmt: skip
    if host.services:
        for name, entry in SERVICES.items():
            for command in entry.commands:
                process = f"{name}-{command}"
                commands[process] = (
                    "skillplan", f"{python} -m services.{name} {command}",
                    f"EnvironmentFile={cluster.etc}/settings/{process}.env",
                )  # fmt: skip
    if host.backups:
        commands["backup-keeper"] = (
            "skillplan", f"{python} -m deploy.cluster keep {cluster.etc}/operator/hosts.json {cluster.etc}/operator",
            f"EnvironmentFile={cluster.etc}/settings/backup-keeper.env",
        )  # fmt: skip
    made = {f"skillplan-{name}.service": _unit(cluster, name, *parts) for name, parts in commands.items()}
    target = f"[Unit]\nDescription=Skillplan on {host.name}\nWants={' '.join(made)}\n\n"
    return made | {TARGET: f"{target}[Install]\nWantedBy=multi-user.target\n"}


def _unit(cluster: ThreeHosts, name: str, user: str, command: str, further: str) -> str:
    further_lines = f"{further}\n" if further else ""
    return f"""\
[Unit]
Description=Skillplan {name}
After=network-online.target
PartOf={TARGET}

[Service]
User={user}
WorkingDirectory={cluster.code}
{further_lines}ExecStart={command}
Restart=always
RestartSec=1
TimeoutStopSec=60
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ReadWritePaths={cluster.data}

[Install]
WantedBy={TARGET}
"""
