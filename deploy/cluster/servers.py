"""Configuration of the servers on each of three hosts: etcd, Kafka, PostgreSQL under Patroni, and HAProxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import yaml

from deploy.cluster.hosts import Host, ThreeHosts
from deploy.kafka.properties import broker_properties
from deploy.local.kafka import escaped
from deploy.local.postgres import OPTIONS
from services.catalogue import GATEWAY, SERVICES

DATABASE_DOOR: Final = 5000  # of HAProxy, on each host's own loopback: the primary, wherever it is
API_DOORS: Final = 10_000  # … and of each API: its port plus this
KAFKA: Final = {"INSIDE": 9092, "OUTSIDE": 9094, "BROKER": 9096, "CONTROLLER": 9093}
KAFKA_ADMIN: Final = "127.0.0.1:9095"
_POSTGRES, _PATRONI, _ETCD, _ETCD_PEERS = 5432, 8008, 2379, 2380
# Patroni takes a primary for lost after this many seconds without a word: longer than it looks once and tries twice.
_TTL, _LOOK, _TRY = 7, 1, 3
# A database whose process was killed is up again within seconds where it was, and both standbys still follow it. One
# that took over would have none until another has rewound, which copies its WAL; only who is longer away is replaced.
_UP_AGAIN = 5

# What a host that is cut off does not answer is given up after some six seconds, by whichever program waits for it.
SYSCTL: Final = "net.ipv4.tcp_retries2 = 4\nnet.ipv4.tcp_syn_retries = 1\n"


def etcd(cluster: ThreeHosts, host: Host) -> dict[str, str]:
    """Return etcd's settings, as environment variables: nobody comes in without a certificate of ours."""
    address, pem, authority = host.address, f"{cluster.etc}/host.pem", f"{cluster.etc}/ca.pem"
    tls = {
        f"ETCD_{prefix}{name}": value
        for prefix in ("", "PEER_")
        for name, value in (
            ("CERT_FILE", pem), ("KEY_FILE", pem), ("TRUSTED_CA_FILE", authority), ("CLIENT_CERT_AUTH", "true"),
        )
    }  # fmt: skip
    return tls | {
        "ETCD_NAME": host.name,
        "ETCD_DATA_DIR": f"{cluster.data}/etcd",
        "ETCD_LISTEN_CLIENT_URLS": f"https://{address}:{_ETCD}",
        "ETCD_ADVERTISE_CLIENT_URLS": f"https://{address}:{_ETCD}",
        "ETCD_LISTEN_PEER_URLS": f"https://{address}:{_ETCD_PEERS}",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"https://{address}:{_ETCD_PEERS}",
        "ETCD_INITIAL_CLUSTER": cluster.all("{name}=https://{address}:{port}", port=_ETCD_PEERS),
        "ETCD_INITIAL_CLUSTER_TOKEN": f"skillplan-{cluster.name}",
        "ETCD_LOG_LEVEL": "warn",
        "ETCD_ENABLE_V2": "true",  # by which Patroni keeps the leader's key, see `patroni`
    }


def kafka(cluster: ThreeHosts, host: Host, listeners: str = "") -> str:
    """Write the broker's properties: those of deploy/kafka/server.properties, on three hosts.

    `listeners`: further ones, `,NAME://address:port`, without TLS and passwords; only tests have any.
    """
    advertised = {
        "INSIDE": str(host.address), "OUTSIDE": f"{host.name}.{cluster.host}", "BROKER": str(host.address),
    }  # fmt: skip
    more = "".join(f",{each.partition(':')[0]}:PLAINTEXT" for each in listeners.split(",") if each)
    security = "INSIDE:SASL_SSL,OUTSIDE:SASL_SSL,ADMIN:PLAINTEXT,BROKER:SSL,CONTROLLER:SSL"
    own = {
        "node.id": cluster.number(host),
        "broker.rack": host.rack,
        "controller.quorum.voters": cluster.all("{number}@{address}:{port}", port=KAFKA["CONTROLLER"]),
        "listeners": ",".join(f"{name}://{host.address}:{port}" for name, port in KAFKA.items())
        + f",ADMIN://{KAFKA_ADMIN}{listeners}",
        "advertised.listeners": ",".join(f"{name}://{where}:{KAFKA[name]}" for name, where in advertised.items())
        + f",ADMIN://{KAFKA_ADMIN}{listeners}",
        "listener.security.protocol.map": security + more,
        "inter.broker.listener.name": "BROKER",
        # Brokers know each other by certificates; every one of them has the same name.
        "listener.name.broker.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "super.users": "User:ANONYMOUS;User:CN=kafka",
        "ssl.keystore.location": escaped(f"{cluster.etc}/host.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": escaped(f"{cluster.etc}/ca.pem"),
        "log.dirs": escaped(f"{cluster.data}/kafka"),
        # A broker that is gone is noticed within seconds.
        "broker.session.timeout.ms": 6000,
        "broker.heartbeat.interval.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in (broker_properties(3) | own).items())


def patroni(cluster: ThreeHosts, host: Host, passwords: dict[str, str]) -> str:
    """Write Patroni's settings: a commit waits for a standby, and only that one may become the primary.

    `passwords`: of `postgres`, `replicator` and `patroni`, by name.
    """
    pem, authority = f"{cluster.etc}/postgres/host.pem", f"{cluster.etc}/ca.pem"
    trust = {"sslmode": "verify-ca", "sslrootcert": authority}
    left_out = ("listen_addresses", "unix_socket_directories", "max_connections", "log_checkpoints")
    parameters: dict[str, object] = {name: value for name, value in OPTIONS.items() if name not in left_out} | {
        "ssl": "on", "ssl_cert_file": pem, "ssl_key_file": pem, "ssl_ca_file": authority,
        "unix_socket_directories": f"{cluster.data}/postgres",
        # Who is cut off lets go of its locks.
        "tcp_keepalives_idle": 3, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 2, "tcp_user_timeout": 8000,
        # What a standby that was away has missed. No slots: they go with a member that is away, and are made seconds
        # after a new primary takes over; until a standby follows it no commit ends.
        "wal_keep_size": "2GB", "wal_retrieve_retry_interval": "500ms",
        # Before it recovers from a crash it has its whole disk written, not file after file: that took 2 to 6 s of 4.
        "recovery_init_sync_method": "syncfs",
    }  # fmt: skip
    settings: dict[str, object] = {
        "scope": f"skillplan-{cluster.name}",
        "name": host.name,
        "restapi": {
            "listen": f"{host.address}:{_PATRONI}",
            "connect_address": f"{host.address}:{_PATRONI}",
            "authentication": {"username": "patroni", "password": passwords["patroni"]},
        },
        # Not by etcd3: a host that was cut off had the leader's key again when it was back, and 652 commits were gone.
        "etcd": {
            "hosts": cluster.all("{address}:{port}", port=_ETCD).split(","), "protocol": "https", "cacert": authority,
            "cert": pem, "key": pem,
        },
        "bootstrap": {
            "dcs": {
                "ttl": _TTL, "loop_wait": _LOOK, "retry_timeout": _TRY,
                "maximum_lag_on_failover": 1048576, "primary_start_timeout": _UP_AGAIN,
                "synchronous_mode": True, "synchronous_mode_strict": True,
                "postgresql": {
                    "use_pg_rewind": True, "use_slots": False, "parameters": {"max_connections": 300},
                },
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": f"{host.address}:{_POSTGRES}",
            "connect_address": f"{host.address}:{_POSTGRES}",
            "data_dir": f"{cluster.data}/postgres/data",
            "bin_dir": str(cluster.postgres),
            "pgpass": f"{cluster.data}/postgres/pgpass",
            "authentication": {
                "superuser": {"username": "postgres", "password": passwords["postgres"]} | trust,
                "replication": {"username": "replicator", "password": passwords["replicator"]} | trust,
                "rewind": {"username": "postgres", "password": passwords["postgres"]} | trust,
            },
            "parameters": parameters,
            "pg_hba": [
                "local all all scram-sha-256",
                *(f"hostssl {database} {user} {each.address}/32 scram-sha-256" for each in cluster.hosts
                  for database, user in (("replication", "replicator"), ("all", "all"))),
            ],
        },
        "tags": {"nofailover": False, "noloadbalance": False, "clonefrom": False, "nosync": False},
    }  # fmt: skip
    return yaml.safe_dump(settings, sort_keys=False, width=120)


def haproxy(cluster: ThreeHosts) -> str:
    """Write HAProxy's settings, alike on every host: the primary, the APIs, and the door with TLS in front."""
    trusted = f"ssl verify required ca-file {cluster.etc}/ca.pem"
    text = f"""\
global
    maxconn 4000
    log stderr format raw local0 notice
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option redispatch 1
    retries 3
    retry-on conn-failure
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 2s
    default-server inter 1s fastinter 500ms downinter 500ms rise 1 fall 2 on-marked-down shutdown-sessions

listen postgres
    mode tcp
    bind 127.0.0.1:{DATABASE_DOOR}
    option httpchk
    http-check send meth GET uri /primary
    http-check expect status 200
{_servers(cluster.hosts, _POSTGRES, f"check port {_PATRONI}")}
"""
    for name, entry in SERVICES.items():
        bind = f"127.0.0.1:{entry.port + API_DOORS}"
        if name == GATEWAY.name:
            bind = f":443 ssl crt {cluster.etc}/front.pem alpn h2,http/1.1"
        text += f"""
listen {name}-api
    bind {bind}
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect status 200
{_servers(cluster.serving, entry.port, f"{trusted} check check-ssl port {entry.probes['api']}")}
    # Where none is ready, as while the primary changes, they are asked all the same: what works again is not kept
    # waiting until a check has seen it, and what does not says itself why.
    option allbackups
{_servers(cluster.serving, entry.port, f"{trusted} backup", "-anyway")}
"""
    return text


def _servers(hosts: Iterable[Host], port: int, options: str, called: str = "") -> str:
    return "\n".join(f"    server {host.name}{called} {host.address}:{port} {options}" for host in hosts)
