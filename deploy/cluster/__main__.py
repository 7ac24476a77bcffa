"""Three hosts: `python -m deploy.cluster render <file> <secrets> <folder>`, `prepare <file> <secrets>`, `kafka …`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg

from deploy.cluster import servers
from deploy.cluster.hosts import ThreeHosts, read_cluster
from deploy.cluster.units import settings_of, units
from deploy.kafka import access
from deploy.local import databases, jars, kafka
from deploy.local.databases import Passwords
from deploy.local.refusal import LocalError
from deploy.secrets import certificates
from deploy.secrets.kept import KEYS, KeptSecrets
from services.catalogue import SERVICES, WITH_DATABASE
from shared.plan.districts import district_codes

_PLANS = Path(__file__).resolve().parents[2] / "plans"


def files(cluster: ThreeHosts, secrets: KeptSecrets, listeners: str = "") -> dict[str, dict[str, str]]:
    """Return the files of each host below `etc`, by host; those of systemd are in `units/`.

    `listeners`: further ones of Kafka, without TLS and passwords, with `{address}` for the host's; only tests have any.
    """
    names = [name for host in cluster.hosts for name in (host.name, str(host.address), f"{host.name}.{cluster.host}")]
    made = certificates.make([*names, cluster.host, "localhost", "127.0.0.1"])
    authority = secrets.take("ca.pem", made.ca.decode)
    pem = secrets.take("host.pem", made.server.decode)
    passwords = {name: secrets.password(name) for name in ("postgres", "replicator", "patroni")}
    common = {
        "ca.pem": authority,
        "host.pem": pem,
        "front.pem": secrets.take("front.pem", lambda: pem),  # until the operator has put a public one there
        "postgres/host.pem": pem,
        KEYS: secrets.key_file(),
        "haproxy.cfg": servers.haproxy(cluster),
    }
    for service in SERVICES:
        own = secrets.files(service)
        if service in WITH_DATABASE:
            own["skillplan_kafka_password"] = secrets.password(f"kafka/{service}")
            own["skillplan_pg_dsn"] = _dsn(cluster, service, secrets.password(f"{service}.pg"), service)
        common |= {f"secrets/{service}/{name}": text for name, text in own.items()}
    hosts = {}
    for host in cluster.hosts:
        own = {
            "etcd.env": _environment(servers.etcd(cluster, host)),
            "kafka.properties": servers.kafka(cluster, host, listeners.format(address=host.address)),
            "postgres/patroni.yml": servers.patroni(cluster, host, passwords),
        }
        if host.services:
            for name, entry in SERVICES.items():
                own |= {
                    f"settings/{name}-{command}.env": _environment(settings_of(cluster, host, name, command))
                    for command in entry.commands
                }
        hosts[host.name] = common | own | {f"units/{name}": text for name, text in units(cluster, host).items()}
    return hosts


def _environment(settings: dict[str, str]) -> str:
    return "".join(f"{name}='{value}'\n" for name, value in settings.items())


def _dsn(cluster: ThreeHosts, role: str, password: str, database: str) -> str:
    trust = f"sslmode=verify-ca&sslrootcert={cluster.etc}/ca.pem"
    return f"postgresql://{role}:{password}@127.0.0.1:{servers.DATABASE_DOOR}/{database}?{trust}"


def render(cluster: ThreeHosts, secrets: KeptSecrets, folder: Path) -> None:
    """Write the files of each host into a folder of its name, readable by nobody else."""
    for host, texts in files(cluster, secrets).items():
        for name, text in texts.items():
            file = folder / host / name
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"cluster.rendered host={host} files={len(texts)}\n")


def prepare(cluster: ThreeHosts, secrets: KeptSecrets) -> None:
    """Make roles, databases, topics, users and rights, and migrate; on one of the hosts, and again at each upgrade."""
    superuser = _dsn(cluster, "postgres", secrets.password("postgres"), "postgres")
    passwords = {
        service: Passwords(secrets.password(f"{service}.pg_owner"), secrets.password(f"{service}.pg"))
        for service in WITH_DATABASE
    }
    try:
        asyncio.run(databases.ensure_roles(superuser, passwords))
        asyncio.run(databases.ensure_databases(superuser, list(WITH_DATABASE)))
    except (OSError, asyncpg.PostgresError) as error:
        why = type(error).__name__
        raise LocalError(f"PostgreSQL 不可用({why})。", f"PostgreSQL is not available ({why}).") from None
    for service in WITH_DATABASE:
        owner = _dsn(cluster, f"{service}_owner", passwords[service].owner, service)
        _run("-m", f"services.{service}", "migrate", SKILLPLAN_PG_OWNER_DSN=owner)
    for user in access.users(district_codes(_PLANS)):
        secrets.password(f"kafka/{user}")
    broker = {"SKILLPLAN_KAFKA": servers.KAFKA_ADMIN, "SKILLPLAN_PLANS": str(_PLANS)}
    _run("-m", "deploy.kafka.topics", SKILLPLAN_REPLICATION="3", **broker)
    _run("-m", "deploy.kafka.access", SKILLPLAN_KAFKA_PASSWORDS=str(secrets.folder / "kafka"), **broker)


def _run(*arguments: str, **settings: str) -> None:
    done = subprocess.run([sys.executable, *arguments], env={**os.environ, **settings}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main(arguments: list[str]) -> None:
    """Run one of the commands."""
    match arguments:
        case ["render", file, secrets, folder]:
            render(read_cluster(Path(file)), KeptSecrets(Path(secrets)), Path(folder))
        case ["prepare", file, secrets]:
            prepare(read_cluster(Path(file)), KeptSecrets(Path(secrets)))
        case ["kafka", properties, log_dir, cluster_id]:
            command = kafka.command(
                Path(properties), Path(log_dir), cluster_id, class_path=jars.classpath(), java=kafka.find_java()
            )
            os.execvp(command[0], command)  # noqa: S606 - this process becomes the broker
        case ["jars"]:
            jars.classpath()  # fetched once, by somebody who may write here
        case _:
            sys.exit(
                "用法 usage: python -m deploy.cluster render <hosts.yaml> <secrets> <folder>"
                " | prepare <hosts.yaml> <secrets> | jars | kafka <properties> <log> <id>"
            )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LocalError as refused:
        sys.exit(f"✗ {refused.zh} {refused.en}")
