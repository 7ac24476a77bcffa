"""What the runbook has an operator look at and put right in one service's log: `skillplan admin`, `tools admin`.

Each act is written with who and when to `backups/acts.ndjson`, which is only ever added to, before it is done.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import asyncpg
import typer
from cryptography.exceptions import InvalidTag
from rich.table import Table

from deploy.local import console, status
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import erasure
from services.catalogue import DOMAIN_SERVICES
from shared.contract.identity_numbers import canonical, is_resident_number
from shared.http.key_history import operator
from shared.kafka.clients import Broker
from shared.log import store_away
from shared.log.event_store import read_queries
from shared.log.sealing import Seal
from shared.observability.health import ConfigurationError

_SQL: Final = read_queries("deploy.operations", "admin.sql")
Most = Annotated[int, typer.Option("--limit", min=1, help="至多几行 rows at most")]
By = Annotated[str, typer.Option(metavar="NAME", help="谁办的,默认为操作系统用户 who does it; the user of the system")]


def _known(service: str) -> str:
    if service not in DOMAIN_SERVICES:
        names = ", ".join(DOMAIN_SERVICES)
        raise LocalError(f"没有服务 {service}。可选:{names}", f"There is no service {service}. There are {names}")
    return service


Service = Annotated[str, typer.Argument(callback=_known, help="哪个服务 which service")]


class IdType(StrEnum):
    """The kinds of numbers that reports name a person by (VOCABULARY, person)."""

    RESIDENT = "resident"
    PASSPORT = "passport"
    PERMIT = "hk-macao-taiwan"


@dataclass(frozen=True)
class Operated:
    """The installation that is operated on.

    `restart` starts one of its processes again, or says how. `planning`: the address of that service. `broker`: the
    broker, as a service's user.
    """

    installed: Callable[[], Installation]
    restart: Callable[[str], None]
    planning: Callable[[Installation], str]
    broker: Callable[[Installation, str], Broker]


app = typer.Typer(no_args_is_help=True, help="运维:查看并处置 An operator's view of a log, and what to put right")


@app.command("log")
def _log(context: typer.Context, service: Service) -> None:
    """日志到哪里、有无缺口、已转发到哪里 How far the log is, whether it is dense, how far it was sent."""
    _show(context.obj.installed().role_dsn(service), "log")


@app.command("sessions")
def _sessions(context: typer.Context, service: Service) -> None:
    """谁的事务开着、被谁挡住 Whose transactions are open, and who blocks them."""
    _show(_above(context.obj.installed(), service), "sessions")


@app.command("end")
def _end(context: typer.Context, service: Service, pid: int, by: By = "") -> None:
    """结束一个会话,其未提交的作废 End a session; what it has not committed is undone."""
    installation: Installation = context.obj.installed()
    _note(installation, "end", by, service=service, pid=pid)
    if not _rows(_above(installation, service), "end", pid):
        _note(installation, "end", by, service=service, pid=pid, undone="no such session")
        raise LocalError(f"{service} 的库中没有会话 {pid}。", f"No session {pid} in the database of {service}.")
    console.say(f"已结束会话 {pid}。", f"Session {pid} is ended.")


@app.command("resend")
def _resend(
    context: typer.Context,
    service: Service,
    after: Annotated[int, typer.Option(min=0, help="从其后一条起 from the fact after this position on")],
    by: By = "",
) -> None:
    """把某位之后的事实重发到主题;读者跳过已有的 Send facts again; readers skip what they have."""
    installation: Installation = context.obj.installed()
    _note(installation, "resend", by, service=service, after=after)
    if not _rows(installation.role_dsn(service), "resend", after):
        _note(installation, "resend", by, service=service, after=after, undone="nothing was sent")
        raise LocalError(
            f"{service} 尚未转发到第 {after} 位之后,无可重发。",
            f"{service} has sent nothing after position {after} yet.",
        )
    context.obj.restart(f"{service}-worker")


@app.command("waiting")
def _waiting(
    context: typer.Context,
    service: Service,
    longest: Annotated[bool, typer.Option("--longest", help="逐份,等得最久的在前 one by one, oldest first")] = False,
    limit: Most = 20,
) -> None:
    """哪些报告在等什么 What reports wait for."""
    _show(context.obj.installed().role_dsn(service), "waiting_longest" if longest else "waiting", limit)


@app.command("quarantine")
def _quarantine(context: typer.Context, service: Service, limit: Most = 20) -> None:
    """读不懂的消息:位置、原因、大小 Messages that could not be read: place, reason, size."""
    _show(context.obj.installed().role_dsn(service), "quarantine", limit)


@app.command("open")
def _open(context: typer.Context, service: Service, number: int, by: By = "") -> None:
    """打开隔离区的一条,原样写到标准输出;可能含个人信息 Write quarantined bytes as they came; may be personal."""
    installation: Installation = context.obj.installed()
    rows = _rows(installation.role_dsn(service), "quarantined", number)
    if not rows or rows[0]["sealed"] is None:
        raise LocalError(
            f"隔离区没有第 {number} 条,或其字节已到期删去。",
            f"No message {number} is there, or its bytes have ended.",
        )
    _note(installation, "open", by, service=service, number=number)
    keys = installation.service_keys[service], installation.old_service_keys.get(service, "")
    try:
        raw = Seal(*map(bytes.fromhex, keys)).unseal_unreadable(rows[0]["sealed"], rows[0]["place"])
    except InvalidTag:
        raise LocalError(
            f"{service} 现在的密钥打不开它。", f"The key that {service} has now does not open it."
        ) from None
    sys.stdout.buffer.write(raw + b"\n")


@app.command("invalid")
def _invalid(context: typer.Context, service: Service, limit: Most = 20) -> None:
    """最近一千份无裁定的回执按区县 The last thousand receipts without a decision, by district."""
    _show(context.obj.installed().role_dsn(service), "invalid", limit)


@app.command("erase")
def _erase(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="依据:谁的申请、文号 on what grounds")],
    second: Annotated[str, typer.Option(metavar="NAME", help="核准人,须为另一人 who approves it, another person")],
    kind: Annotated[IdType, typer.Option("--type", help="证件类型 kind of number")] = IdType.RESIDENT,
    by: By = "",
    backups: Annotated[list[Path] | None, typer.Option(help="别处的备份文件夹 folders of backups elsewhere")] = None,
    key: Annotated[str, typer.Option(envvar="SKILLPLAN_KEY", help="申请人的密钥 the first one's key")] = "",
    second_key: Annotated[str, typer.Option(envvar="SKILLPLAN_SECOND_KEY", help="核准人的密钥 the second's")] = "",
) -> None:
    """由标准输入读证件号,销毁此人在各处的密钥 Read a number from standard input; that person's keys go everywhere."""
    given = typer.prompt("证件号 number", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    number = canonical(given.strip())
    if not number:
        raise LocalError(
            "标准输入里没有证件号,什么也没有删;请由标准输入给一行证件号。",
            "Standard input has no number, so nothing was erased: give it one line with the number.",
        )
    if kind is IdType.RESIDENT and not is_resident_number(number):
        raise LocalError("证件号不对,什么也没有删。", "That is not an identity number; nothing was erased.")
    installation: Installation = context.obj.installed()
    _note(installation, "erase", by, second=second, reason=reason)
    act = erasure.Act(kind, number, by or operator(), second, reason, (key, second_key))
    planning, broker_of = context.obj.planning(installation), partial(context.obj.broker, installation)
    certificate = erasure.erase(act, erasure.ErasureSites(installation, planning, broker_of, tuple(backups or ())))
    console.say(f"已销毁此人的密钥;证书 {certificate}", "This person's keys are destroyed; that is the certificate.")


@app.command("store-away")
def _store_away(
    context: typer.Context,
    service: Service,
    year: Annotated[int, typer.Argument(min=2000, max=9998, help="哪一年,须已结束 a year that is over")],
    tablespace: Annotated[str, typer.Option(help="放到哪个表空间 the tablespace to store it in")] = "",
    back: Annotated[bool, typer.Option("--back", help="移回日志的表 back into the log's own table")] = False,
    by: By = "",
) -> None:
    """把已结束一年的事实原文移到较便宜的存储,照常可查 A closed year's facts to cheaper storage, read as before."""
    installation: Installation = context.obj.installed()
    _note(installation, "store-away", by, service=service, year=year, tablespace=tablespace, back=back)
    owner = installation.owner_dsn(service)
    try:
        with console.step(f"移动 {service} {year} 年的事实", f"Moving the facts of {year}") as detail:
            if back:
                acting = store_away.bring_back(service, owner, year, lambda done: detail(str(done)))
            else:
                acting = store_away.store_away(service, owner, year, tablespace, lambda done: detail(str(done)))
            moved = asyncio.run(acting)
    except ConfigurationError as refused:
        raise LocalError(str(refused), "What was moved before is where it belongs, and is read as ever.") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as broken:
        raise LocalError(
            f"没有移完({broken});每件事实都在一处,再执行一次即接着移。",
            "Not all was moved; each fact is in one place. Run it again and it goes on.",
        ) from None
    if moved:
        console.say(f"已移动 {moved} 件。", f"{moved} facts were moved.")
    else:
        console.say(f"{year} 年没有要移动的。", f"Nothing of {year} is left to move.")


@app.command("history")
def _history(context: typer.Context) -> None:
    """谁在何时做了什么 Who did what, and when."""
    file = context.obj.installed().state / "backups" / "acts.ndjson"
    if file.exists():
        sys.stdout.write(file.read_text(encoding="utf-8"))
    else:
        console.say("没有。", "None.")


def _above(installation: Installation, service: str) -> str:
    """Return a service's database as superuser, who alone sees and ends what others do there."""
    return urlsplit(installation.superuser)._replace(path=f"/{installation.database(service)}").geturl()


def _rows(dsn: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    return status.rows_of(dsn, _SQL[query], *arguments)


def _show(dsn: str, query: str, *arguments: object) -> None:
    rows = _rows(dsn, query, *arguments)
    if not rows:
        console.say("没有。", "None.")
        return
    table = Table()
    for heading in rows[0].keys():  # noqa: SIM118 - a record is no mapping
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.show(table)


def _note(installation: Installation, act: str, by: str, **about: object) -> None:
    """Add an act to the history of acts, before it is done: one that was broken off is there, too."""
    folder = installation.state / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"at": at, "by": by or operator(), "act": act, **about}, ensure_ascii=False)
    descriptor = os.open(folder / "acts.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as out:
        out.write(line + "\n")
        out.flush()
        os.fsync(out.fileno())
