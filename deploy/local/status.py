"""Status of an installation: processes and addresses, as tables and as JSON."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import httpx
from rich.table import Table

from deploy.local import console, databases
from deploy.local.installation import Installation
from deploy.local.processes import Supervisor, programs
from deploy.local.refusal import LocalError
from services.catalogue import SERVICES

_OK = 200


def as_json(installation: Installation) -> str:
    """Write the addresses as one JSON object: each service's URL, `kafka`, `postgres` (as superuser, with password)."""
    places = {name: installation.url(name) for name in sorted(SERVICES)}
    return json.dumps({**places, "kafka": installation.bootstrap, "postgres": installation.superuser})


def print_rows(dsn: str, statement: str) -> None:
    """Run one statement and print what it returns."""

    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    try:
        rows = asyncio.run(ask())
    except asyncpg.PostgresError as error:
        raise LocalError(f"数据库拒绝了这条语句:{error}", f"The database refused the statement: {error}") from error
    table = Table(*(rows[0] if rows else {}).keys())
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.show(table)


def show(installation: Installation, supervisor: Supervisor) -> bool:
    """Print a table of the parts and return whether all are well."""
    running = supervisor.pid() is not None
    states = supervisor.states() if running else {}
    table = Table(title=f"{installation.state}", title_justify="left")
    for heading in ("部分 Part", "地址 Address", "状态 State", "进程 Pid", "说明 Remark"):
        table.add_column(heading, overflow="fold")
    well = running
    places = {"kafka": installation.bootstrap, "postgres": databases.without_password(installation.superuser)}
    for name, place in places.items():
        if name in states:
            state = states[name]
            well &= state["statename"] == "RUNNING"
            table.add_row(name, place, state["statename"], str(state["pid"] or ""), state["description"])
        else:
            table.add_row(name, place, "–" if running else "STOPPED", "", "")
    with httpx.Client(timeout=3, trust_env=False) as client:
        for program in programs(installation):
            state = states.get(program.name, {"statename": "STOPPED", "pid": 0, "description": ""})
            remark = _readiness(client, program.url) if state["statename"] == "RUNNING" else str(state["description"])
            well &= remark == "ready"
            table.add_row(program.name, program.url, state["statename"], str(state["pid"] or ""), remark)
    console.show(table)
    return well


def _readiness(client: httpx.Client, url: str) -> str:
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return type(error).__name__
    return "ready" if answer.status_code == _OK else answer.text[:120]
