"""Prepares an installation of docker-compose.yml at each start: `secrets`, `databases`, `topics`; rotates its keys."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import typer
from pydantic import SecretStr

from deploy.kafka import access
from deploy.local import console, databases
from deploy.local.databases import Passwords
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations.preparing import make_databases, make_topics
from deploy.secrets import certificates
from deploy.secrets.kept import LOG_GM_KEY, KeptSecrets
from services.catalogue import DOMAIN_SERVICES, GATEWAY, OFFICE, OFFICE_USER, SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, KeyRing, Role
from shared.kafka.clients import Broker, BrokerSettings
from shared.kafka.names import district_user
from shared.log.sm2 import Sm2Refused, Sm2Signer
from shared.plan.districts import district_codes
from shared.process import command_line

_ALL: Final = Path("/secrets/all")
_KEYS: Final = Path("/run/keys/keys.json")
_POSTGRES: Final = "postgres:5432"
_KAFKA: Final = "kafka:9092"
_KAFKA_TLS: Final = "kafka:9096"
_CA: Final = "ca.pem"  # of our own servers, in the volume of each that asks them
_TLS: Final = "tls.pem"  # key and certificate that a server shows
# What was handed out once and goes where it no longer is: without TLS, and without a key of SM2.
_MAY_GO: Final = {
    *("skillplan_tls_cert", "skillplan_tls_key", "skillplan_ca", "skillplan_kafka_ca"),
    f"skillplan_{LOG_GM_KEY}",
}
_HERE: Final = Path("/run/skillplan")  # where a process finds its volume
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_CHANGEABLE: Final = {name for entry in SERVICES.values() for name in entry.keys}
_FULL_VERSION: Final = re.compile(r"@sha256:|postgres:\d+\.\d+|:\d+\.\d+\.\d+")
# Who reads a volume of secrets: the users of the public images, else ours.
_OURS: Final = 10001
_READERS: Final = {"postgres": 999, "kafka": 1000, "exporter": 65534, "alertmanager": 65534, "grafana": 472}


class _Store(KeptSecrets):
    """All secrets of the installation, one file each; `own` is the operator's folder, which wins."""

    def __init__(self, folder: Path, own: Path | None) -> None:
        super().__init__(folder)
        self.own = own

    def take(
        self, name: str, make: Callable[[], str], form: re.Pattern[str] | None = None, *, for_ever: bool = True
    ) -> str:
        """Return a secret: the operator's, else the one that is there, else a new one. It is kept from now on.

        `for_ever`: a key, of that form, may never be another.
        """
        file = self.folder / name
        there = file.read_text(encoding="utf-8") if file.exists() else None
        wanted = self.given(name, form) or there or make()
        if form is _KEY and for_ever and there is not None and wanted != there:
            raise LocalError(
                f"{name} 与在用的密钥不同;已封存的数据只能用原密钥打开。请放回原密钥,或用新的安装。",
                f"{name} differs from the key in use, which alone opens what is sealed; put that one back.",
            )
        if wanted != there:
            write(file, wanted, _OURS)
        return wanted

    def key(self, name: str) -> str:
        """Return a key of 32 bytes, in hex; those that seal nothing may become others."""
        return self.take(name, _key, _KEY, for_ever=name not in _CHANGEABLE)

    def api_key(self) -> str:
        """Return the key that the projection shows to the services, in the file that all follow."""
        return self.take("api_key", lambda: _api_key(self.key("key_pepper")))

    def given(self, name: str, form: re.Pattern[str] | None = None) -> str | None:
        """Return what the operator's own folder has under a name, None where it has nothing."""
        if self.own is None:
            return None
        file = self.own / name
        try:
            text = file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = type(error).__name__
            raise LocalError(
                f"读不了密钥文件 {name}({why})。", f"cannot read the secret file {name} ({why})."
            ) from None
        if not text:
            raise LocalError(f"密钥文件 {name} 是空的。", f"the secret file {name} is empty.")
        if form is not None and not form.fullmatch(text):
            raise LocalError(
                f"密钥文件 {name} 应为 64 位十六进制(小写)。",
                f"the secret file {name} must be 64 hex digits, lower case.",
            )
        if name.endswith(".pem"):
            certificates.check(name, text)
        if name == LOG_GM_KEY:
            _check_sm2(text)
        return text


def _check_sm2(key: str) -> None:
    """Refuse a key that services would not start with: of another form, or in an image without what signs by it."""
    try:
        Sm2Signer(key)
    except Sm2Refused as refused:
        raise LocalError(refused.zh, refused.en) from None


def write(file: Path, text: str, reader: int) -> None:
    """Write a file that one user may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.chown(file.parent, reader, reader)
    file.parent.chmod(0o500)
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o400)
    os.chown(fresh, reader, reader)
    fresh.rename(file)


def make_secrets(room: Path, own: Path | None, names: list[str], hosts: list[str], tls: bool) -> None:
    """Make what is missing and hand each part of the installation its own, in its own volume.

    `names`: by which districts reach the broker; `hosts`: by which people reach the gateway.
    """
    store = _Store(room / "all", own)
    if sm2_key := os.environ.get("SKILLPLAN_LOG_GM_KEY"):  # by .env every process has it, and this one
        _check_sm2(sm2_key)
    _check_published(os.environ.get("SKILLPLAN_BIND", "127.0.0.1"), store.key("key_pepper"), tls)
    processes = [f"{name}-{command}" for name, entry in SERVICES.items() for command in entry.commands]
    ours = [*processes, "postgres", "localhost", *hosts]
    http = _certificate(store, "Skillplan", ours, ("tls_names", _CA, _TLS))
    kafka = _certificate(store, "Kafka", names, ("names", "kafka_ca.pem", "kafka_broker.pem"))
    write(store.folder / "tls", "on" if tls else "", _OURS)  # for what an operator does to the installation
    handed = _of_servers(store, http) | _of_services(store, http, kafka, tls)
    users = {user: store.password(f"kafka/{user}") for user in access.users(district_codes(Path("plans")))}
    handed["kafka"] = {"broker.pem": kafka.pem}
    handed["districts"] = {user: users[user] for user in users if user not in WITH_DATABASE} | {
        "ca.pem": kafka.ca,
        "skillplan_kafka": _KAFKA_TLS if tls else _KAFKA,
    }
    if tls:
        handed["districts"] |= {"skillplan_kafka_ca": str(_HERE / "ca.pem")}
    for volume, files in handed.items():
        _hand_out(room / volume, files)
    sys.stdout.write(f"secrets.ready volumes={len(handed)}\n")


class _Shown(NamedTuple):
    """A CA's certificate, and the key and certificate that servers show."""

    ca: str
    pem: str


def _of_servers(store: _Store, http: _Shown) -> dict[str, dict[str, str]]:
    """Return the secrets of what is not ours, and the pepper of who makes keys, by volume."""
    return {
        "postgres": {"password": store.password("postgres"), _TLS: http.pem},
        "exporter": {"password": store.password("exporter"), _CA: http.ca},
        "grafana": {"password": store.password("grafana")},
        # Receivers of alarms; none by default.
        "alertmanager": {"alert_webhook": store.take("alert_webhook", lambda: "http://127.0.0.1:9/nobody")},
        "keys": {"skillplan_key_pepper": store.key("key_pepper")},
    }


def _of_services(store: _Store, http: _Shown, kafka: _Shown, tls: bool) -> dict[str, dict[str, str]]:
    """Return the settings of each service that are secret, or follow from what is, by volume."""
    access_settings = {
        "skillplan_keys": str(_KEYS),
        "skillplan_open": "true",  # until there are keys, ports are published on the host's loopback alone
    }
    if tls:
        access_settings |= {
            "skillplan_tls_cert": str(_HERE / _TLS),
            "skillplan_tls_key": str(_HERE / _TLS),
            "skillplan_ca": str(_HERE / _CA),
            _CA: http.ca,
        }
    # It shows its callers' keys and has none of its own; and to people the certificate that the operator may give.
    http_pem = store.given("http.pem")
    if http_pem is not None:
        write(store.folder / "http.pem", http_pem, _OURS)  # looked at with the others
    handed = {GATEWAY.name: store.files(GATEWAY.name) | access_settings | ({_TLS: http_pem or http.pem} if tls else {})}
    for service in WITH_DATABASE:
        role = store.password(f"{service}.pg")
        store.password(f"{service}.pg_owner")
        settings = {
            "skillplan_pg_dsn": f"postgresql://{service}:{role}@{_POSTGRES}/{service}" + _checked(tls, _HERE / _CA),
            "skillplan_kafka": _KAFKA_TLS if tls else _KAFKA,
            "skillplan_kafka_user": service,
            "skillplan_kafka_password": store.password(f"kafka/{service}"),
        }
        if tls:
            settings |= {"skillplan_kafka_ca": str(_HERE / "kafka_ca.pem"), "kafka_ca.pem": kafka.ca, _TLS: http.pem}
        handed[service] = settings | access_settings | store.files(service)
    return handed


def _hand_out(volume: Path, files: Mapping[str, str]) -> None:
    """Write what a part is handed into its volume, where it is not there yet; take away what it no longer is."""
    if not volume.is_dir():
        raise LocalError(
            f"docker-compose.yml 中没有卷 {volume.name}。",
            f"there is no volume for {volume.name} in docker-compose.yml.",
        )
    for name in _MAY_GO - files.keys():
        (volume / name).unlink(missing_ok=True)
    for name, text in files.items():
        place = volume / name
        if not place.exists() or place.read_text(encoding="utf-8") != text:
            write(place, text, _READERS.get(volume.name, _OURS))


def _certificate(store: _Store, of: str, names: list[str], files: tuple[str, str, str]) -> _Shown:
    """Return the CA's certificate and what servers show; made anew for other names, unless an operator gave them.

    `files`: where the names, the CA's certificate and the servers' key and certificate are remembered.
    """
    remembered, authority, server = files
    made, place, text = certificates.make(dict.fromkeys(names), of), store.folder / remembered, ",".join(names)
    if not place.exists() or place.read_text(encoding="utf-8") != text:
        for name in (authority, server):
            (store.folder / name).unlink(missing_ok=True)
        write(place, text, _OURS)
    return _Shown(store.take(authority, made.ca.decode), store.take(server, made.server.decode))


def _checked(tls: bool, authority: Path) -> str:
    """Return how an address of PostgreSQL ends: by TLS, with the server's certificate checked, or without."""
    return f"?sslmode=verify-full&sslrootcert={authority}" if tls else ""


def _check_published(address: str, pepper: str, tls: bool) -> None:
    """Refuse to publish HTTP beyond this host while everybody is let in (RULES A10), or in clear."""
    if address in ("127.0.0.1", "::1", "localhost"):
        return
    if not (_KEYS.exists() and KeyRing(_KEYS, pepper).closed):
        raise LocalError(
            f"SKILLPLAN_BIND={address} 会让任何人都能报告:请先建密钥(见 .env.example)。",
            f"SKILLPLAN_BIND={address} would let anybody report: make keys first (.env.example).",
        )
    if not tls:
        raise LocalError(
            f"SKILLPLAN_BIND={address} 会让密钥与报告明文传输:请设 SKILLPLAN_TLS=on(见 .env.example)。",
            f"SKILLPLAN_BIND={address} would send keys and reports in clear: set SKILLPLAN_TLS=on (.env.example).",
        )
    for image in os.environ.get("SKILLPLAN_IMAGES", "").split():
        if not _FULL_VERSION.search(image):
            sys.stderr.write(
                f"注意:对外开放的安装宜写明完整版本,{image} 会随系列变动(见 .env.example)"
                f" note: an installation that is published should name full versions; {image} moves with its series\n"
            )


def _tls(setting: str) -> bool:
    if setting not in ("", "on"):
        raise LocalError(f"SKILLPLAN_TLS={setting}:应为 on,或不设。", f"SKILLPLAN_TLS={setting}: on, or leave it out.")
    return setting == "on"


def _api_key(pepper: str) -> str:
    """Make the key that the projection shows to the services, in the file that all follow."""
    keys = KeyFile(_KEYS, pepper)
    if not _KEYS.exists():
        keys.create()
    _, secret = keys.add(Role.SERVICE, label="compose")
    os.chown(_KEYS.parent, _OURS, _OURS)
    for file in _KEYS.parent.iterdir():
        os.chown(file, _OURS, _OURS)
    return secret


def _known(service: str) -> str:
    if service not in DOMAIN_SERVICES:
        raise LocalError(f"没有服务 {service}。", f"There is no service {service}.")
    return service


def rotate(room: Path, service: str) -> None:
    """Give a service a new key beside the old one, in its own volume, too; repeated, it goes on with these two."""
    store = room / "all"
    key, old = store / f"{service}.key", store / f"{service}.old_key"
    if not old.exists() or old.read_text(encoding="utf-8") == key.read_text(encoding="utf-8"):  # broken off in between
        write(old, key.read_text(encoding="utf-8"), _OURS)
        write(key, _key(), _OURS)
    for name, file in (("skillplan_service_key", key), ("skillplan_old_service_key", old)):
        write(room / service / name, file.read_text(encoding="utf-8"), _OURS)
    sys.stdout.write(f"key.rotating service={service}\n")


def rotated(room: Path, service: str) -> None:
    """Let go of the old key once nothing is wrapped by it any more."""
    for file in (room / "all" / f"{service}.old_key", room / service / "skillplan_old_service_key"):
        file.unlink(missing_ok=True)
    sys.stdout.write(f"key.rotated service={service}\n")


def rewrap(service: str) -> None:
    """Rewrap what the old key of a service wrapped, as the owner of its tables."""
    settings = {
        "SKILLPLAN_PG_OWNER_DSN": installed().owner_dsn(service),
        "SKILLPLAN_SERVICE_KEY": _secret(f"{service}.key"),
        "SKILLPLAN_OLD_SERVICE_KEY": _secret(f"{service}.old_key"),
    }
    command = [sys.executable, "-m", f"services.{service}", "rewrap"]
    sys.exit(subprocess.run(command, env={**os.environ, **settings}, check=False).returncode)


def _key() -> str:
    return secrets.token_hex(32)


def _secret(name: str) -> str:
    return (_ALL / name).read_text(encoding="utf-8")


def installed(state: Path = Path("/state")) -> Installation:
    """Return the installation as what `make` does to one takes it."""
    tls = _by_tls()
    return Installation(
        state,
        ports={name: entry.port for name, entry in SERVICES.items()},
        kafka=_KAFKA_TLS if tls else _KAFKA,
        superuser_dsn=databases.address(
            f"postgresql://{_POSTGRES}/postgres{_checked(tls, _ALL / _CA)}",
            "postgres",
            _secret("postgres"),
            "postgres",
        ),
        city_key=_secret("city_key"),
        passwords={
            service: Passwords(_secret(f"{service}.pg_owner"), _secret(f"{service}.pg")) for service in WITH_DATABASE
        },
        service_keys={service: _secret(f"{service}.key") for service in DOMAIN_SERVICES},
        log_keys={service: _secret(f"{service}.log_key") for service in DOMAIN_SERVICES},
    )


def broker(service: str) -> Broker:
    """Return the broker as a service's user, who alone may delete from its inboxes."""
    servers, authority = (_KAFKA_TLS, _ALL / "kafka_ca.pem") if _by_tls() else (_KAFKA, None)
    password = SecretStr(_secret(f"kafka/{service}"))
    return BrokerSettings(kafka=servers, kafka_user=service, kafka_password=password, kafka_ca=authority).broker


def _by_tls() -> bool:
    return (_ALL / "tls").exists() and _secret("tls") == "on"


def print_district(code: str) -> None:
    """Print what a district, or the plan office (`office`), needs to report by Kafka."""
    user = OFFICE_USER if code == OFFICE else district_user(code)
    if not (_ALL / "kafka" / user).exists():
        raise LocalError(f"没有区县 {code}。", f"there is no district {code}.")
    sys.stdout.write(
        f"SKILLPLAN_KAFKA_USER={user}\nSKILLPLAN_KAFKA_PASSWORD={_secret(f'kafka/{user}')}\n"
        f"# SKILLPLAN_KAFKA_CA:\n{_secret('kafka_ca.pem')}"
    )


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("secrets")
def _make_secrets() -> None:
    """生成缺少的密钥,分到各卷 Make the secrets that are missing, and hand each part its own."""
    own = os.environ.get("SKILLPLAN_OWN")
    names = dict.fromkeys(os.environ.get("SKILLPLAN_KAFKA_NAMES", "kafka,localhost,127.0.0.1").split(","))
    hosts = os.environ.get("SKILLPLAN_HTTP_HOST", "127.0.0.1").split(",")
    tls = _tls(os.environ.get("SKILLPLAN_TLS", ""))
    make_secrets(_ALL.parent, Path(own) if own else None, list(names), hosts, tls)


@app.command("databases")
def _make_databases() -> None:
    """角色、数据库、迁移 Roles, databases, migrations."""
    make_databases(installed(), {"exporter": _secret("exporter")})
    sys.stdout.write(f"databases.ready count={len(WITH_DATABASE)}\n")


@app.command("topics")
def _make_topics() -> None:
    """主题、Kafka 用户与权限 Topics, Kafka users and rights."""
    make_topics(SKILLPLAN_MARK=installed().mark)


@app.command("authority")
def _print_authority() -> None:
    """显示根证书 Print the certificate that all others are checked by."""
    sys.stdout.write(_secret(_CA))


@app.command("grafana")
def _print_grafana() -> None:
    """显示 Grafana 管理员密码 Print the password of Grafana's administrator."""
    sys.stdout.write(f"{_secret('grafana')}\n")


@app.command("district")
def _print_district(code: str) -> None:
    """显示区县或计划办公室(office)的 Kafka 凭据 Print what a district, or the plan office, needs for Kafka."""
    print_district(code)


@app.command("rotate")
def _rotate(service: str) -> None:
    """给服务一把新密钥,旧的暂留 Give a service a new key beside the old one."""
    rotate(_ALL.parent, _known(service))


@app.command("rewrap")
def _rewrap(service: str) -> None:
    """改由新密钥包裹 Rewrap by the new key what the old one wrapped."""
    rewrap(_known(service))


@app.command("rotated")
def _rotated(service: str) -> None:
    """忘掉旧密钥 Let go of the old key."""
    rotated(_ALL.parent, _known(service))


if __name__ == "__main__":
    sys.exit(console.in_one_sentence(lambda: command_line.run(app, "compose", console.INTERRUPTED)))
