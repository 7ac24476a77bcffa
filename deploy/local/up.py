"""The order of `make up`: servers, databases, topics, processes, demo feed, and that all of it is well at the end."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy import topics
from deploy.local import children, databases, jars, kafka, postgres, progress
from deploy.local.console import say, show, step
from deploy.local.installation import ROOT, Installation, check_room, held, load
from deploy.local.processes import (
    INFRASTRUCTURE_PORTS,
    PORTS,
    Program,
    Supervisor,
    environment,
    inherited,
    programs,
    services,
)
from deploy.local.refusal import Refusal

_LEFT_OVER_PATIENCE = 10.0
_SERVER_PATIENCE = 60.0
_READY_PATIENCE = 120.0
_CAUGHT_UP_PATIENCE = 120.0
_DEMO_REPORTS = 2_000
_OK = 200


@dataclass(frozen=True)
class Wish:
    """What the person asked for."""

    demo: bool = True
    infrastructure_only: bool = False


def up(state: Path, wish: Wish) -> Installation:
    """Bring the installation of this state folder up, from whatever it was; return when all is well."""
    with held(state):
        check_room(state)
        installation = load(state)
        installation.kafka = os.environ.get("KAFKA_BOOTSTRAP") or None
        installation.superuser_dsn = os.environ.get("PG_DSN") or None
        supervisor = Supervisor(state)
        if supervisor.pid() is None:
            if children.left_over(supervisor.mark):
                with step("结束上次遗留的进程", "Ending what an earlier run left over"):
                    children.end(supervisor.mark, _LEFT_OVER_PATIENCE)
            for part, usual, found in installation.choose_ports({**PORTS, **INFRASTRUCTURE_PORTS}):
                say(f"端口 {usual} 已被占用,{part} 改用 {found}。", f"Port {usual} is taken; {part} moves to {found}.")
        installation.make_secrets(services())
        others = [] if wish.infrastructure_only else programs(installation)
        supervisor.start(_infrastructure(installation), others)
        with ThreadPoolExecutor(1) as beside:
            migrated: Future[None] = beside.submit(
                _databases, installation, supervisor, migrate=not wish.infrastructure_only
            )
            _topics(installation, supervisor)
            with step("创建数据库与表", "Creating databases and tables"):
                migrated.result()
        if others:
            supervisor.start_services()
            with step("启动各服务", "Starting the services") as tell:
                _wait(others, supervisor, tell, _READY_PATIENCE)
            if wish.demo:
                _demo(installation, supervisor)
        installation.save()
    return installation


def run(installation: Installation, service: str, *command: str) -> int:
    """Run one command of a service with the installation's settings; its output is ours."""
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", *command],
        cwd=ROOT,
        env={**inherited(), **_told(installation, service)},
        check=False,
    )
    return done.returncode


def _told(installation: Installation, service: str) -> dict[str, str]:
    told = environment(installation, service)
    if service in installation.passwords:
        told["SKILLPLAN_PG_OWNER_DSN"] = installation.owner_dsn(service)
    return told


def _infrastructure(installation: Installation) -> dict[str, list[str]]:
    """Prepare the broker and the database, whichever are ours, and return the commands that run them."""
    wanted: dict[str, list[str]] = {}
    if installation.superuser_dsn is None:
        with step("准备 PostgreSQL", "Preparing PostgreSQL"):
            cluster = postgres.prepare(installation.state / "postgres", installation.superuser_password)
            wanted["postgres"] = cluster.command(installation.ports["postgres"])
    if installation.kafka is None:
        fetching = not jars.CACHE.exists()
        with step(
            "下载并准备 Kafka(43 MB)" if fetching else "准备 Kafka",
            "Fetching and preparing Kafka (43 MB)" if fetching else "Preparing Kafka",
        ):
            wanted["kafka"] = kafka.prepare(
                installation.state / "kafka",
                installation.ports["kafka"],
                installation.ports["kafka-controller"],
                class_path=jars.classpath(),
                java=kafka.find_java(),
            )
    return wanted


def _topics(installation: Installation, supervisor: Supervisor) -> None:
    with step("启动 Kafka", "Starting Kafka"):
        ours = installation.kafka is None
        if not kafka.wait_up(
            installation.bootstrap, _SERVER_PATIENCE, alive=lambda: not ours or supervisor.is_alive("kafka")
        ):
            raise _not_up("Kafka", installation.bootstrap, supervisor.last_words("kafka") if ours else "")
    with step("创建主题", "Creating topics"):
        wanted = topics.wanted(topics.districts_of(ROOT / "plans"))
        asyncio.run(topics.create(installation.bootstrap, wanted))


def _databases(installation: Installation, supervisor: Supervisor, *, migrate: bool) -> None:
    ours = installation.superuser_dsn is None
    if not postgres.wait_up(
        installation.superuser, _SERVER_PATIENCE, alive=lambda: not ours or supervisor.is_alive("postgres")
    ):
        where = "PG_DSN" if not ours else f"127.0.0.1:{installation.ports['postgres']}"
        raise _not_up("PostgreSQL", where, supervisor.last_words("postgres") if ours else "")
    names = services()
    asyncio.run(databases.ensure_roles(installation.superuser, {name: installation.passwords[name] for name in names}))
    asyncio.run(databases.ensure_databases(installation.superuser, names))
    if not migrate:
        return
    # All at once: most of each is Python's own start.
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"services.{name}", "migrate"],
            cwd=ROOT,
            env={**inherited(), **_told(installation, name)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    }
    told = {name: child.communicate()[0] for name, child in running.items()}
    for name, child in running.items():
        if child.returncode:
            raise Refusal(
                f"{name} 的数据库迁移失败,未启动任何服务:\n{told[name].strip()[-1500:]}",
                f"Migrating the database of {name} failed (see above); no service was started.",
            )


def _wait(wanted: list[Program], supervisor: Supervisor, tell: object, seconds: float) -> None:
    limit = time.monotonic() + seconds
    with httpx.Client(timeout=3, trust_env=False) as client:
        while True:
            missing = {one.name: why for one in wanted if (why := _unready(client, one.url)) is not None}
            if not missing:
                return
            states = supervisor.states()
            fatal = [name for name in missing if states.get(name, {}).get("statename") == "FATAL"]
            if fatal or time.monotonic() > limit:
                name = (fatal or list(missing))[0]
                log = supervisor.logs / f"{name}.log"
                raise Refusal(
                    f"{name} 未就绪({missing[name]})。日志:{log},最后几行:\n{supervisor.last_words(name)}",
                    f"{name} is not ready ({missing[name]}). The end of its log stands above: {log}",
                )
            if callable(tell):
                tell(", ".join(missing))
            time.sleep(0.2)


def _unready(client: httpx.Client, url: str) -> str | None:
    """Say why a process is not ready, None when it is."""
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == _OK else answer.text[:200]


def _demo(installation: Installation, supervisor: Supervisor) -> None:
    """Publish the demo feed once a state folder, as districts would, and wait until the read models show it."""
    if not (ROOT / "services" / "district" / "__main__.py").exists():
        return
    if not installation.demo:
        with step("各区县演示数据经 Kafka 上报", "Districts report the demo feed through Kafka"):
            done = subprocess.run(
                [sys.executable, "-m", "services.district", "demo", "--reports", str(_DEMO_REPORTS), "--seed", "1"],
                cwd=ROOT,
                env={**inherited(), **_told(installation, "district")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise Refusal(
                    f"演示数据上报失败:\n{done.stdout.strip()[-1500:]}",
                    "Publishing the demo feed failed (see above). `make up DEMO=0` starts without it.",
                )
        installation.demo = True
        installation.save()
    with step("读模型追平", "Read models catch up") as tell:
        limit = time.monotonic() + _CAUGHT_UP_PATIENCE
        seen: object = None
        while time.monotonic() < limit:
            now = _behind(installation)
            if now.behind == 0 and now == seen:
                return
            seen = now
            tell(f"{now.behind}")
            time.sleep(0.3)
        raise Refusal(
            f"{_CAUGHT_UP_PATIENCE:.0f} 秒内读模型未追平。请看 make status 和 {supervisor.logs}。",
            f"The read models did not catch up in {_CAUGHT_UP_PATIENCE:.0f} s. See make status and {supervisor.logs}.",
        )


@dataclass(frozen=True)
class _Behind:
    """How much is still on its way, and where the logs stand: two equal looks at 0 mean that all has arrived."""

    behind: int
    positions: tuple[int, ...]


def _behind(installation: Installation) -> _Behind:
    behind = 0
    with httpx.Client(timeout=5, trust_env=False) as client:
        for service in services():
            if service != "projection":
                told = client.get(f"http://127.0.0.1:{installation.ports[service] + 100}/metrics").text
                found = re.search(r"^skillplan_inbox_lag(?:\{[^}]*\})? ([0-9.e+]+)$", told, re.MULTILINE)
                behind += int(float(found.group(1))) if found else 1
        complete = progress.complete_to(client, installation.url("projection"))
    for one in complete.values():
        behind += 1 if one["behind_events"] is None else int(one["behind_events"])
    return _Behind(behind, tuple(int(one["position"] or 0) for one in complete.values()))


def _not_up(what: str, where: str, last: str) -> Refusal:
    words = f"\n{last}" if last else ""
    return Refusal(
        f"{what} 未能在 {where} 启动。请看其日志。{words}",
        f"{what} did not come up at {where}. See its log{' above' if last else ''}.",
    )


def summary(installation: Installation) -> None:
    """Print what answers where, and today's progress."""
    show(progress.addresses(installation, services()))
    if "projection" in services():
        with httpx.Client(timeout=10, trust_env=False) as client:
            for table in progress.tables(client, installation.url("projection")):
                show(table)
