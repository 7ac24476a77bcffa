"""Settings of a process, and its command line: both read once, and refused in one sentence when something is wrong."""

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, SecretStr, ValidationError

from shared.kafka.clients import BrokerSettings, wrong_settings
from shared.observability.logs import configure_logs

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


class Settings(BrokerSettings):
    """Settings of every process, from the environment or from files (`BrokerSettings`)."""

    pg_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the service's own role")
    pg_owner_dsn: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the owner of the tables; for `migrate`")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    probes: int = Field(0, ge=0, le=65535, description="Port on which probes and metrics are answered besides; 0: none")
    plans: Path = Field(Path("plans"), description="Folder of the plan files")
    keys: Path | None = Field(None, description="Key file; without it everybody is let in, on loopback only")
    key_pepper: SecretStr = Field(SecretStr(""), description="What keys are hashed with, hex, 32 bytes")
    open: bool = Field(False, description="Without keys, listen beyond loopback all the same: something else guards")
    api_key: SecretStr = Field(SecretStr(""), description="The key shown to other services, of role service")
    rate: int = Field(2000, ge=1, description="Events a second that one key may report to one process, and requests")
    request_seconds: float = Field(30, gt=0, description="Time for a request to arrive, or an answer to be read on")
    connections: int = Field(1000, ge=1, description="Connections at once; more are answered 503")
    address_connections: int = Field(250, ge=1, description="Of these, from one address; a proxy in front is one")
    tls_cert: Path | None = Field(None, description="Certificate chain, PEM; with it every HTTP listener speaks TLS")
    tls_key: Path | None = Field(None, description="Its private key, PEM, without a password")
    cors: str = Field(
        "",
        pattern=r"^(\s*https?://[A-Za-z0-9.:\[\]-]+)*\s*$",
        description="Pages of other origins that may ask, https://…, separated by spaces; none unless named",
    )
    ca: Path | None = Field(None, description="Authorities that other services' certificates are checked by, PEM")
    otlp: str = Field("", description="OpenTelemetry collector, http://…/v1/traces; none: no traces are made")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged")


# Settings of other processes, which may stand in one environment file with ours; a test holds this list to the tree.
_NAMES: Final = (
    "ALERTMANAGER_PORT", "BACKUPS", "BACKUP_AT", "BACKUP_DAYS", "BACKUP_HOURS", "BACKUP_KEYS", "BIND", "BY",
    "CITY_KEY", "DATABASES", "EXTRAS", "FRAMES", "GRAFANA_PORT", "HTTP_HOST", "IMAGES", "INBOX_RATE", "JOURNAL",
    "KAFKA_BIND", "KAFKA_HOST", "KAFKA_NAMES", "KAFKA_PASSWORDS", "KAFKA_PORT", "KEY", "LANG", "LOG_GM_KEY",
    "LOG_KEY", "MARK", "NODE_IMAGE", "OLD_SERVICE_KEY", "OUTLINES", "OWN", "OWN_SECRETS", "PLAN", "POSTGRES_IMAGE",
    "POSTGRES_PORT", "PROMETHEUS_PORT", "PYTHON_IMAGE", "QUARANTINE_DAYS", "REPLICATION", "SECOND_KEY", "SECRETS",
    "SERVICES", "SERVICE_KEY", "STATE", "STATIC", "TLS", "URL", "VERSION", "WITNESSES",
)  # fmt: skip
ELSEWHERE: Final = frozenset(f"SKILLPLAN_{name}" for name in _NAMES)
_OF_ANOTHER_FORM: Final = frozenset(("api_key", "log_gm_key"))  # one of HTTP, one of SM2: their users look at them
S = TypeVar("S", bound=Settings)


def parse_command_line(
    program: str, settings: type[S], needed: Mapping[str, Sequence[str]], elsewhere: Iterable[str] = ()
) -> tuple[str, S]:
    """Return the command that was given and the settings; `needed`: the settings that each command requires.

    `elsewhere`: environment variables of other services, which may stand in one environment file with ours. Anything
    wrong ends the process with one sentence and a non-zero code. `--show-settings` prints the settings, masked.
    """
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004
    if command not in (*needed, "--show-settings"):
        sys.exit(f"用法 usage: python -m {program} {'|'.join((*needed, '--show-settings'))}")
    if unknown := _unknown(settings, elsewhere):
        sys.exit("; ".join(unknown))
    try:
        values = settings()
    except ValidationError as error:
        sys.exit(wrong_settings(error))
    if command == "--show-settings":
        for name, info in settings.model_fields.items():
            sys.stdout.write(f"SKILLPLAN_{name.upper()}={getattr(values, name)}  # {info.description}\n")
        sys.exit(0)
    for name in needed[command]:
        value = getattr(values, name).get_secret_value()
        variable = f"SKILLPLAN_{name.upper()}"
        if not value:
            sys.exit(f"缺少设置 missing setting: {variable}")
    for variable, value in _keys(values):
        if value and not _KEY.fullmatch(value):
            sys.exit(f"设置有误 wrong setting: {variable}: 应为 32 字节的十六进制 must be 32 bytes in hex")
    configure_logs(values.log_level)
    return command, values


def _keys(values: Settings) -> Iterator[tuple[str, str]]:
    """Yield the settings that are keys of 32 bytes, and their values."""
    for name in type(values).model_fields:
        value = getattr(values, name)
        if name.endswith("_key") and name not in _OF_ANOTHER_FORM and isinstance(value, SecretStr):
            yield f"SKILLPLAN_{name.upper()}", value.get_secret_value()


def _unknown(settings: type[Settings], elsewhere: Iterable[str]) -> list[str]:
    """Return a message for each setting that no process knows: a misspelt one would be ignored silently."""
    known = {f"SKILLPLAN_{name.upper()}" for name in settings.model_fields}
    given = {name for name in os.environ if name.startswith("SKILLPLAN_")}
    if folder := os.environ.get("SKILLPLAN_SECRETS"):
        with contextlib.suppress(OSError):
            given |= {name.upper() for name in os.listdir(folder) if name.lower().startswith("skillplan_")}
    messages = []
    for name in sorted(given - known - ELSEWHERE.union(elsewhere)):
        near = difflib.get_close_matches(name, known, 1)
        meant = f"是否为 {near[0]}? Is {near[0]} meant?" if near else ""
        messages.append(f"没有这个设置 unknown setting: {name}. {meant}".rstrip())
    return messages
