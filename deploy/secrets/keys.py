"""Command line for HTTP keys: make, list, rotate, revoke; `python -m deploy.secrets.keys`, `make keys`."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console
from rich.table import Table

from deploy.local import console
from shared.contract.events import LOCAL_TIME
from shared.http.api_keys import Key, KeyFile, Role
from shared.http.key_history import Act
from shared.kafka.clients import wrong_settings
from shared.observability.health import ConfigurationError
from shared.process import command_line
from shared.process.settings import Settings

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
_YEAR: Final = timedelta(days=365)
_ACTS: Final[dict[Act, str]] = {"made": "新建 made", "rotated": "轮换 rotated", "revoked": "撤销 revoked"}
_STATES: Final = {"valid": "有效 valid", "expired": "已过期 expired", "revoked": "已撤销 revoked"}
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="HTTP 密钥:新建、列出、轮换、撤销;各进程随即生效,不必重启。"
    " Keys for HTTP: make, list, rotate, revoke; every process follows at once, without a restart.",
)
AsJson = Annotated[bool, typer.Option("--json", help="供程序读取 for programs")]
By = Annotated[str, typer.Option(metavar="NAME", help="谁办的,默认为操作系统用户 who does it; the user of the system")]
Expires = Annotated[
    str,
    typer.Option(
        metavar="DATE", help="有效至(含)当日,默认一年;或 never the last day it is valid, a year from now; or never"
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="密钥编号 the key's id, as `list` shows it")]


@app.command()
def add(
    role: Annotated[Role, typer.Option(help="角色,见 docs/operations.md what it is for")],
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="来源前缀,可多次 a source prefix, several times: /districts/330681/"),
    ] = None,
    label: Annotated[str, typer.Option(help="备注:谁在用 who uses it")] = "",
    expires: Expires = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """新建一把密钥;内容只显示这一次 Make a key; it is shown this once."""
    _print_key(*_file().add(role, tuple(prefix or ()), label, _end_of(expires), by=by), as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """列出全部密钥,含已撤销的 List every key, also those revoked."""
    keys, now = _file().keys(), datetime.now(UTC)
    if as_json:
        sys.stdout.write(json.dumps([_record(key, now) for key in keys], ensure_ascii=False, indent=1) + "\n")
        return
    table = Table()
    for heading in ("编号 Id", "角色 Role", "来源前缀 Prefixes", "备注 Label", "状态 State", "新建 Made", "至 Until"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        until = key.revoked_at or key.expires_at
        state = "将到期 expires soon" if key.expires_soon(now) else _STATES[key.state(now)]
        table.add_row(
            key.id, key.role, "\n".join(key.prefixes), key.label, state, _local(key.created_at),
            _local(until) if until else "不过期 never",
        )  # fmt: skip
    Console().print(table)
    if soon := [key.id for key in keys if key.expires_soon(now)]:
        _say(
            f"{len(soon)} 把密钥一个月内到期,请轮换(rotate):{'、'.join(soon)}",
            f"{len(soon)} keys expire within a month; rotate them: {', '.join(soon)}",
        )
    if lasting := [key.id for key in keys if key.expires_at is None and key.state(now) == "valid"]:
        _say(
            f"{len(lasting)} 把密钥不过期:{'、'.join(lasting)}",
            f"{len(lasting)} keys never expire: {', '.join(lasting)}",
        )
    if not any(key.role is not Role.SERVICE for key in keys):
        _say(
            "尚未设密钥:任何人都能以任何 source 报告,服务只应在 127.0.0.1 上可达。",
            "No keys are set: anybody may report for any source; the services should be reachable from 127.0.0.1 only.",
        )


@app.command()
def rotate(
    id_: Id,
    overlap: Annotated[str, typer.Option(help="旧密钥继续有效多久 how long the old one goes on: 7d, 12h, 0m")] = "7d",
    expires: Expires = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """换新内容,再用一年;旧的在重叠期内仍可用 A new secret for another year; the old one is taken for a while."""
    _print_key(*_file().rotate(id_, _duration(overlap), by=by, expires_at=_end_of(expires)), as_json)


@app.command()
def history(as_json: AsJson = False) -> None:
    """谁在何时新建、轮换、撤销了哪把密钥 Who made, rotated or revoked which key, and when."""
    acts = _file().history()
    if as_json:
        records = [act.model_dump(mode="json", exclude={"mac"}) for act in acts]
        sys.stdout.write(json.dumps(records, ensure_ascii=False, indent=1) + "\n")
        return
    table = Table()
    for heading in ("时间 At", "事项 Act", "编号 Id", "角色 Role", "来源前缀 Prefixes", "备注 Label", "经办 By"):
        table.add_column(heading, overflow="fold")
    for act in acts:
        table.add_row(
            _local(act.at), _ACTS[act.act], act.key, act.role, "\n".join(act.prefixes), act.label, act.by
        )  # fmt: skip
    Console().print(table)


@app.command()
def revoke(id_: Id, by: By = "", as_json: AsJson = False) -> None:
    """立即撤销一把密钥 End a key at once."""
    key = _file().revoke(id_, by=by)
    if as_json:
        sys.stdout.write(json.dumps(_record(key, datetime.now(UTC)), ensure_ascii=False) + "\n")
    else:
        _say(f"✓ 已撤销 {key.id} {key.label}", f"revoked {key.id}")


@app.command()
def init(
    service_key: Annotated[
        Path | None, typer.Option(help="服务间密钥写到此文件 where the services' own key goes")
    ] = None,
) -> None:
    """新建密钥文件(已有则不动)和服务间密钥 Make the key file, unless it is there, and the services' own key."""
    settings = _settings()
    file = _file(settings)
    if settings.keys is not None and not settings.keys.exists():
        file.create()
    if service_key is not None and not service_key.exists():
        _, secret = file.add(Role.SERVICE, label="服务之间 between services")
        service_key.touch(mode=0o600)
        service_key.write_text(secret, encoding="utf-8")
    file.keys()


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(wrong_settings(error)) from None


def _file(settings: Settings | None = None) -> KeyFile:
    used = settings or _settings()
    if used.keys is None:
        raise ConfigurationError("缺少设置 missing setting: SKILLPLAN_KEYS")
    return KeyFile(used.keys, used.key_pepper.get_secret_value())


def _duration(given: str) -> timedelta:
    matched = re.fullmatch(r"([0-9]{1,4})([dhm])", given)
    if matched is None:
        raise ConfigurationError("--overlap 形如 7d、12h、30m。 --overlap is like 7d, 12h, 30m.")
    return timedelta(**{_UNITS[matched[2]]: int(matched[1])})


def _end_of(given: str) -> datetime | None:
    """Return when a key ends; a year from today where nothing is given, None for `never`."""
    if given == "never":
        return None
    try:
        last = date.fromisoformat(given) if given else datetime.now(LOCAL_TIME).date() + _YEAR
    except ValueError:
        raise ConfigurationError(
            "--expires 应为日期 YYYY-MM-DD 或 never。 --expires must be a date YYYY-MM-DD, or never."
        ) from None
    end = datetime.combine(last + timedelta(days=1), time(), LOCAL_TIME)
    if end <= datetime.now(UTC):
        raise ConfigurationError("--expires 已经过去。 --expires lies in the past.")
    return end


def _record(key: Key, now: datetime) -> dict[str, JsonValue]:
    record: dict[str, JsonValue] = key.model_dump(mode="json", exclude={"secrets"})
    return record | {
        "state": key.state(now),
        "expires_soon": key.expires_soon(now),
        "secrets": sum(s.until is None or s.until > now for s in key.secrets),
    }


def _print_key(key: Key, secret: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_record(key, datetime.now(UTC)) | {"key": secret}, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(secret + "\n")
    _say(
        "↑ 只显示这一次,请立即交给使用者;请求时写 Authorization: Bearer <密钥>。",
        "Shown this once: hand it over now. Requests carry Authorization: Bearer <key>.",
    )


def _local(at: datetime) -> str:
    return at.astimezone(LOCAL_TIME).strftime("%Y-%m-%d %H:%M")


def _say(zh: str, en: str) -> None:
    sys.stderr.write(f"{zh}\n{en}\n")


def main() -> int:
    """Run one command; what an operator must put right is one sentence and a non-zero code."""
    try:
        command_line.run(app, "keys", console.INTERRUPTED)
    except ConfigurationError as refused:
        sys.stderr.write(f"✗ {refused}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
