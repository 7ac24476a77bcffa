"""Status of an installation: processes and addresses, as tables and as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import asyncpg
import httpx
from rich.table import Table

from deploy.local import console, databases, kafka, postgres, progress
from deploy.local.installation import Installation, load
from deploy.local.processes import DEMO, ProcessState, Supervisor, programs
from deploy.local.refusal import LocalError
from services.catalogue import SERVICES

_OK = 200
HUNG = "HUNG"  # it runs, and does not answer
_HUNG_REMARK = "进程在,不应答 it is there and does not answer: make restart"
_READY = "ready"


def as_json(installation: Installation, supervisor: Supervisor) -> str:
    """Write one JSON object: the address of each service, of `kafka` and of `postgres`, none with a password; `states`.

    `states`: for each part its address, supervisor's state, pid and what is said of it, `ready` where all is well; a
    server that is not ours has no state. `cities`: the same of each further city, by its name.
    """
    return json.dumps(_described(installation, supervisor), ensure_ascii=False)


def _described(installation: Installation, supervisor: Supervisor) -> dict[str, object]:
    places = {name: installation.url(name) for name in sorted(SERVICES)} | _servers(installation)
    states = {part.name: part._asdict() for part in parts(installation, supervisor)}
    cities = {folder.name: _described(load(folder), Supervisor(folder)) for folder in installation.cities}
    return {**places, "states": states, "cities": cities}


def rows_of(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Run one statement and return what it returns."""

    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    return asyncio.run(ask())


def print_rows(dsn: str, statement: str) -> None:
    """Run one statement and print what it returns."""
    try:
        rows = rows_of(dsn, statement)
    except asyncpg.PostgresError as error:
        raise LocalError(f"数据库拒绝了这条语句:{error}", f"The database refused the statement: {error}") from error
    table = Table(*(rows[0] if rows else {}).keys())
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.show(table)


def show(installation: Installation, supervisor: Supervisor) -> bool:
    """Print a table of the parts and return whether all are well."""
    table = Table(title=f"{installation.state}", title_justify="left")
    for heading in ("部分 Part", "地址 Address", "状态 State", "进程 Pid", "说明 Remark"):
        table.add_column(heading, overflow="fold")
    all_parts = list(parts(installation, supervisor))
    for part in all_parts:
        table.add_row(part.name, part.address, part.state or "–", str(part.pid or ""), part.remark)
    console.show(table)
    return all(part.well for part in all_parts)


class PartOfInstallation(NamedTuple):
    """A process, or a server that is not ours, and how it is; `pid` is 0 where it does not run."""

    name: str
    address: str
    state: str | None
    pid: int
    remark: str
    well: bool


def parts(installation: Installation, supervisor: Supervisor) -> Iterator[PartOfInstallation]:
    """Yield every part of an installation, each process asked whether it is ready."""
    running = supervisor.pid() is not None
    states = supervisor.states() if running else {}
    stopped: ProcessState = {"statename": "STOPPED", "pid": 0, "stop": 0, "description": ""}
    servers = {"kafka": installation.bootstrap, "postgres": installation.superuser}
    answers: dict[str, Callable[[str], bool]] = {"kafka": kafka.is_up, "postgres": postgres.is_up}
    for name, place in _servers(installation).items():
        if running and name not in states:
            yield PartOfInstallation(name, place, None, 0, "", well=True)
        else:
            state = states.get(name, stopped)
            remark, well = str(state["description"]), state["statename"] == "RUNNING"
            if well and not answers[name](servers[name]):
                state, remark, well = {**state, "statename": HUNG}, _HUNG_REMARK, False
            yield PartOfInstallation(name, place, state["statename"], state["pid"], remark, well)
    with httpx.Client(timeout=3, trust_env=False) as client:
        for program in programs(installation):
            state = states.get(program.name, stopped)
            remark = str(state["description"])
            if state["statename"] == "RUNNING" and (remark := _readiness(client, program.url)) == _HUNG_REMARK:
                state = {**state, "statename": HUNG}
            well = remark.startswith(_READY)
            yield PartOfInstallation(program.name, program.url, state["statename"], state["pid"], remark, well)
    demo = progress.demo_place(installation)
    if installation.demo_size == "city" and not demo.done:
        state = states.get(DEMO, stopped)
        yield PartOfInstallation(DEMO, "", state["statename"], state["pid"], demo.bar, well=True)


def _servers(installation: Installation) -> dict[str, str]:
    return {"kafka": installation.bootstrap, "postgres": databases.without_password(installation.superuser)}


def _readiness(client: httpx.Client, url: str) -> str:
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.TimeoutException:
        return _HUNG_REMARK
    except httpx.HTTPError as error:
        return type(error).__name__
    if answer.status_code != _OK:
        return _problems(answer)
    # Of all warnings the one that waits for an operator's decision: a change of the plans that takes facts out.
    return "; ".join([_READY, *(text for part, text in answer.json().get("warnings", {}).items() if part == "plans")])


def _problems(answer: httpx.Response) -> str:
    """Return what `/readyz` names as wrong, for people."""
    try:
        return "; ".join(f"{part}: {problem}" for part, problem in answer.json()["problems"].items())
    except (ValueError, KeyError, AttributeError):
        return answer.text[:120]
