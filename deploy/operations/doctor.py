"""`make doctor`: what an operator looks at before anything goes wrong, each point with what to do about it."""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from deploy.kafka import topics
from deploy.local import console, status
from deploy.local.installation import Installation
from deploy.local.processes import Program, Supervisor, programs, supervised
from deploy.local.refusal import LocalError
from deploy.operations import kept_backups
from shared.http.api_keys import KeyFile
from shared.plan.districts import district_codes

_FREE_SHARE: Final = 0.1
_CLOCK_SECONDS: Final = 2.0
_MAKE: Final = re.compile(r"make [a-z-]+")


class Finding(NamedTuple):
    """One point: what was looked at, how it is, and the fix; no fix where all is well."""

    subject: str
    remark: str
    fix: str = ""


class _Limit(NamedTuple):
    """A metric that is well up to a limit; `subject` and `fix` as in Finding, {service} stands for its own."""

    metric: str
    most: float
    subject: str
    fix: str


_ALERTS: Final = "docs/alerts.md"
_BEHIND: Final = f"SkillplanProjectionBehind, {_ALERTS}"
_LIMITS: Final = (
    _Limit("skillplan_inbox_lag", 1000, "收件积压 inbox behind", f"SkillplanInboxBehind, {_ALERTS}"),
    _Limit("skillplan_relay_age_seconds", 60, "转发滞后秒数 relay behind", "make restart SERVICE={service}-worker"),
    _Limit("skillplan_projection_behind_seconds", 60, "数字滞后秒数 numbers behind", _BEHIND),
    _Limit("skillplan_parked", 0, "停在缺口前 parked before a hole", f"make reconcile; SkillplanLineParked, {_ALERTS}"),
    _Limit("skillplan_quarantined", 0, "隔离的消息 messages in quarantine", f"SkillplanQuarantine, {_ALERTS}"),
    _Limit("skillplan_recount_differences", 0, "数字与明细之差 numbers against ledger", "make recount; make rebuild"),
    _Limit("skillplan_clock_difference_seconds", _CLOCK_SECONDS, "代理的时钟 the broker's clock, s", "NTP"),
)  # fmt: skip


def examine(installation: Installation, supervisor: Supervisor) -> bool:
    """Print every point and return whether all is well."""
    table = Table(title=f"{installation.state}", title_justify="left")
    for heading in ("", "检查 Check", "情况 State", "怎么办 What to do"):
        table.add_column(heading, overflow="fold")
    findings = list(_findings(installation, supervisor))
    for finding in findings:
        fix = _MAKE.sub(rf"\g<0> CITY={installation.city}", finding.fix) if installation.city else finding.fix
        table.add_row("✗" if fix else "✓", finding.subject, finding.remark, fix)
    console.show(table)
    return not any(finding.fix for finding in findings)


def _findings(installation: Installation, supervisor: Supervisor) -> Iterator[Finding]:
    if supervisor.pid() is None:  # a city whose servers run without it
        yield Finding("进程 processes", "没有在运行 none runs", "make up")
        return
    processes = programs(installation)
    yield _disk(installation)
    yield from _backups(installation)
    yield _keys(installation)
    parts = {part.name: part for part in status.parts(installation, supervisor)}
    for part in parts.values():
        if not part.well:
            yield Finding(part.name, f"{part.state} {part.remark}", _fix_of(part, parts))
    if all(part.well for part in parts.values()):
        yield Finding("进程 processes", f"{len(parts)}")
    changed = supervisor.changed(supervised(installation))
    yield Finding(
        "运行的代码与计划 code and plan that run",
        f"与检出不同 not the checkout's: {', '.join(sorted(changed))}" if changed else "与检出相同 the checkout's",
        "make upgrade" if changed else "",
    )
    if parts["postgres"].well:
        yield asyncio.run(_database(installation))
    if parts["kafka"].well:
        yield _topics(installation)
    with httpx.Client(timeout=5, trust_env=False) as client:
        for process in processes:
            if parts[process.name].well:
                yield from _measured(client, process)


def _fix_of(part: status.PartOfInstallation, parts: Mapping[str, status.PartOfInstallation]) -> str:
    """Return what to do about a part that is not well: first of all about a server that it needs."""
    away = [name for name in ("kafka", "postgres") if not parts[name].well and name != part.name]
    if away and part.state == "RUNNING":
        return f"先恢复 first of all: {', '.join(away)}"
    return f"make {'start' if part.state == 'STOPPED' else 'restart'} SERVICE={part.name}; make logs"


def _disk(installation: Installation) -> Finding:
    usage = shutil.disk_usage(installation.state)
    remark = f"空闲 free {usage.free >> 30} GB / {usage.total >> 30} GB"
    short = usage.free < usage.total * _FREE_SHARE
    return Finding("磁盘 disk", remark, "腾出空间:主题永久保存 free some: topics are kept for ever" if short else "")


def _backups(installation: Installation) -> Iterator[Finding]:
    backups = installation.state / "backups"
    subjects = {"backup": ("备份 backup", "make backup"), "restore-test": ("试恢复 trial restore", "make restore-test")}
    newest, last = kept_backups.whole(backups)[-1:], kept_backups.RestoreTest.last(backups)
    well = {"backup": "".join(newest), "restore-test": f"{last.tested_at} {last.backup}" if last else ""}
    for part, warning in kept_backups.warnings(backups, datetime.now(UTC), kept_backups.Schedule().hours):
        subject, fix = subjects[part]
        yield Finding(subject, warning or well[part], fix if warning else "")


def _keys(installation: Installation) -> Finding:
    now = datetime.now(UTC)
    keys = KeyFile(installation.key_file, installation.key_pepper).keys()
    ends = [key for key in keys if key.expires_soon(now) or key.state(now) == "expired"]
    remark = f"{sum(key.state(now) == 'valid' for key in keys)} 把有效 valid"
    if ends:
        remark += "; 将到期或已到期 expire or expired: " + ", ".join(
            f"{key.id} {key.expires_at:%Y-%m-%d}" for key in ends
        )
    return Finding("HTTP 密钥 keys", remark, 'make keys ARGS="rotate …"' if ends else "")


async def _database(installation: Installation) -> Finding:
    connection = await asyncpg.connect(installation.superuser, timeout=5)
    try:
        sent = datetime.now(UTC)
        (row,) = await connection.fetch("select clock_timestamp(), current_setting('server_version')")
        there, version = row
        apart = (there - sent).total_seconds()
    finally:
        await connection.close()
    remark = f"PostgreSQL {version}, Python {platform.python_version()}; 时钟差 clock apart {apart:.1f} s"
    return Finding("数据库 database", remark, "NTP" if abs(apart) > _CLOCK_SECONDS else "")


def _topics(installation: Installation) -> Finding:
    wanted = topics.wanted(district_codes(installation.plans))
    subject = "主题设置 settings of topics"
    try:
        differing = asyncio.run(topics.mend(installation.broker, wanted, look_only=True))
    except LocalError as refused:
        return Finding(subject, refused.zh, refused.en)
    wrong = "; ".join(f"{row.topic} {row.setting}={row.before}" for row in differing)
    return Finding(subject, wrong or f"{len(wanted)}", "make up" if wrong else "")


def _measured(client: httpx.Client, process: Program) -> Iterator[Finding]:
    """Yield what a process warns of, and each of its metrics that is over its limit."""
    for name, warning in client.get(f"{process.url}/readyz").json().get("warnings", {}).items():
        yield Finding(f"{process.name}: {name}", warning, _ALERTS)
    limits = {limit.metric: limit for limit in _LIMITS}
    for family in text_string_to_metric_families(client.get(f"{process.url}/metrics").text):
        for sample in family.samples:
            limit = limits.get(sample.name)
            if limit and abs(sample.value) > limit.most:
                service = process.name.partition("-")[0]
                subject = f"{process.name}: {limit.subject}"
                yield Finding(subject, f"{sample.value:g} > {limit.most:g}", limit.fix.format(service=service))
