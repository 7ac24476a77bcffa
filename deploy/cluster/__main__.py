"""Three hosts: `python -m deploy.cluster render <file> <secrets> <folder>`, `prepare <file> <secrets>`, `kafka …`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from deploy.cluster import servers
from deploy.cluster.hosts import ThreeHosts, read_cluster
from deploy.cluster.units import settings_of, settings_of_keeper, units
from deploy.kafka import access
from deploy.local import console, jars, kafka
from deploy.local.databases import Passwords
from deploy.local.installation import Installation
from deploy.operations import keeper
from deploy.operations.preparing import make_databases, make_topics
from deploy.secrets import certificates
from deploy.secrets.kept import KEYS, KeptSecrets
from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.kafka.clients import Broker, BrokerSettings
from shared.observability.logs import configure_logs
from shared.plan.districts import district_codes
from shared.process import command_line

_PLANS = Path(__file__).resolve().parents[2] / "plans"


def files(cluster: ThreeHosts, secrets: KeptSecrets, listeners: str = "") -> dict[str, dict[str, str]]:
    """Return the files of each host below `etc`, by host; those of systemd are in `units/`.

    `listeners`: further ones of Kafka, without TLS and passwords, with `{address}` for the host's; only tests have any.
    """
    names = [name for host in cluster.hosts for name in (host.name, str(host.address), f"{host.name}.{cluster.host}")]
    made = certificates.make([*names, cluster.host, "localhost", "127.0.0.1"])
    authority = secrets.take("ca.pem", made.ca.decode)
    pem = secrets.take("host.pem", made.server.decode)
    front = secrets.take("front.pem", lambda: pem)  # until the operator has put a public one there
    for name, text in (("ca.pem", authority), ("host.pem", pem), ("front.pem", front)):
        certificates.check(name, text)
    passwords = {name: secrets.password(name) for name in ("postgres", "replicator", "patroni")}
    common = {
        "ca.pem": authority,
        "host.pem": pem,
        "front.pem": front,
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


def keep(cluster: ThreeHosts, secrets: KeptSecrets) -> None:
    """Keep the backups of the three hosts until told to stop."""

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
    make_databases(installation)
    for user in access.users(district_codes(_PLANS)):
        secrets.password(f"kafka/{user}")
    make_topics(
        SKILLPLAN_KAFKA=servers.KAFKA_ADMIN,
        SKILLPLAN_PLANS=str(_PLANS),
        SKILLPLAN_REPLICATION="3",
        SKILLPLAN_MARK=installation.mark,
        SKILLPLAN_KAFKA_PASSWORDS=str(secrets.folder / "kafka"),
    )


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
_File = Annotated[Path, typer.Argument(metavar="HOSTS", help="主机清单 the file of hosts")]
_Secrets = Annotated[Path, typer.Argument(metavar="SECRETS", help="密钥的文件夹 the folder of secrets")]


@app.command("render")
def _render(file: _File, secrets: _Secrets, folder: Annotated[Path, typer.Argument(metavar="FOLDER")]) -> None:
    """写出每台主机的文件与单元 Write the files and units of each host."""
    render(read_cluster(file), KeptSecrets(secrets), folder)


@app.command("prepare")
def _prepare(file: _File, secrets: _Secrets) -> None:
    """建库、迁移、主题、用户;每次升级再做 Databases, migrations, topics, users; again at each upgrade."""
    prepare(read_cluster(file), KeptSecrets(secrets))


@app.command("keep")
def _keep(file: _File, secrets: _Secrets) -> None:
    """保存备份(由单元运行) Keep backups; a unit runs it."""
    keep(read_cluster(file), KeptSecrets(secrets))


@app.command("kafka")
def _kafka(properties: Path, log_dir: Path, cluster_id: str) -> None:
    """运行 Kafka(由单元运行) Run Kafka; a unit does."""
    command = kafka.command(properties, log_dir, cluster_id, class_path=jars.classpath(), java=kafka.find_java())
    os.execvp(command[0], command)  # noqa: S606 - this process becomes the broker


@app.command("jars")
def _jars() -> None:
    """取 Kafka 的 jar,一次 Fetch Kafka's jars, once, as somebody who may write here."""
    jars.classpath()


if __name__ == "__main__":
    sys.exit(console.in_one_sentence(lambda: command_line.run(app, "cluster", console.INTERRUPTED)))
