"""Three hosts: `python -m deploy.cluster render <file> <secrets> <folder>`, `prepare <file> <secrets>`, `kafka …`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from deploy.cluster import servers
from deploy.cluster.hosts import ThreeHosts, read_cluster
from deploy.cluster.units import settings_of, settings_of_keeper, units
from deploy.kafka import access
from deploy.local import databases, jars, kafka
from deploy.local.databases import Passwords
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import keeper
from deploy.secrets import certificates
from deploy.secrets.kept import KEYS, KeptSecrets
from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.kafka.clients import Broker, BrokerSettings
from shared.observability.logs import configure_logs
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
        "sysctl/90-skillplan.conf": servers.SYSCTL,
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
        if host.backups:
            own["settings/backup-keeper.env"] = _environment(settings_of_keeper(cluster, host))
            own |= _of_the_operator(cluster, secrets)
        hosts[host.name] = common | own | {f"units/{name}": text for name, text in units(cluster, host).items()}
    return hosts


def _of_the_operator(cluster: ThreeHosts, secrets: KeptSecrets) -> dict[str, str]:
    """Return what keeping backups needs: the file of hosts, and every secret but those of districts."""
    installed(cluster, secrets)  # makes what is not there yet
    names = [file.relative_to(secrets.folder).as_posix() for file in secrets.folder.rglob("*") if file.is_file()]
    texts = {name: (secrets.folder / name).read_text(encoding="utf-8") for name in names if "district-" not in name}
    return {f"operator/{name}": text for name, text in ({"hosts.json": cluster.model_dump_json()} | texts).items()}


def installed(cluster: ThreeHosts, secrets: KeptSecrets) -> Installation:
    """Return the installation as what is done to one takes it, as seen from a host."""
    return Installation(
        cluster.data,
        ports={name: entry.port for name, entry in SERVICES.items()},
        kafka=cluster.all("{address}:{port}", port=servers.KAFKA["INSIDE"]),
        superuser_dsn=_dsn(cluster, "postgres", secrets.password("postgres"), "postgres"),
        city_key=secrets.key("city_key"),
        passwords={
            service: Passwords(secrets.password(f"{service}.pg_owner"), secrets.password(f"{service}.pg"))
            for service in WITH_DATABASE
        },
        service_keys={service: secrets.key(f"{service}.key") for service in DOMAIN_SERVICES},
        log_keys={service: secrets.key(f"{service}.log_key") for service in DOMAIN_SERVICES},
    )


def _keep(cluster: ThreeHosts, secrets: KeptSecrets) -> None:
    def broker(service: str) -> Broker:
        password = SecretStr(secrets.password(f"kafka/{service}"))
        servers_there = cluster.all("{address}:{port}", port=servers.KAFKA["INSIDE"])
        authority = cluster.etc / "ca.pem"
        return BrokerSettings(
            kafka=servers_there, kafka_user=service, kafka_password=password, kafka_ca=authority
        ).broker

    settings = keeper.KeeperSettings()
    configure_logs(settings.log_level)
    keeper.keep(installed(cluster, secrets), broker, settings)


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
    installation = installed(cluster, secrets)
    try:
        asyncio.run(databases.ensure_roles(installation.superuser, installation.passwords))
        asyncio.run(databases.ensure_databases(installation.superuser, list(WITH_DATABASE)))
    except (OSError, asyncpg.PostgresError) as error:
        why = type(error).__name__
        raise LocalError(f"PostgreSQL 不可用({why})。", f"PostgreSQL is not available ({why}).") from None
    for service in WITH_DATABASE:
        if not databases.migrate(service, installation.owner_dsn(service)):
            raise LocalError(f"{service} 的库未能迁移(见上)。", f"The database of {service} was not migrated.")
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
        case ["keep", file, secrets]:
            _keep(read_cluster(Path(file)), KeptSecrets(Path(secrets)))
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
                " | prepare|keep <hosts.yaml> <secrets> | jars | kafka <properties> <log> <id>"
            )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LocalError as refused:
        sys.exit(f"✗ {refused.zh} {refused.en}")
