"""The order of `make up`: servers, databases, topics, processes, demo feed, and that all of it is well at the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from deploy.local import children, dashboard, progress, servers, watching
from deploy.local.console import say, show, step
from deploy.local.installation import ROOT, Installation, check_room, choosing_ports, held, load
from deploy.local.processes import (
    CODE,
    DEMO,
    INFRASTRUCTURE_PORTS,
    PLAN,
    PORTS,
    ProcessState,
    Program,
    Supervisor,
    client_addresses,
    client_environment,
    command_environment,
    inherited,
    programs,
    supervised,
)
from deploy.local.refusal import LocalError
from services.catalogue import DOMAIN_SERVICES, PROBES, SERVICES

_LEFT_OVER_PATIENCE = 10.0
_READY_PATIENCE = 120.0
_ENDED_OFTEN = 2  # times, beside the one before this start
_CAUGHT_UP_PATIENCE = 120.0
# How long the whole city's demo is waited for, when it is begun and when it goes on; the rest comes in by itself.
_CITY_PATIENCE = 75.0
_REST_OF_THE_CITY_PATIENCE = 5.0
_DEMO_REPORTS = 2_000
_OK = 200


@dataclass(frozen=True)
class Wish:
    """Options of the command; `demo`: which size of it, where there is none yet."""

    demo: Literal["city", "small"] | None = None
    infrastructure_only: bool = False


def up(state: Path, wish: Wish) -> Installation:
    """Bring the installation of this state folder up, from whatever it was; return when all is well."""
    with held(state):
        check_room(state)
        installation = load(state)
        _name_servers(installation)
        supervisor = Supervisor(state)
        if wish.demo and not installation.demo_size:
            installation.demo_size = "small" if installation.demo else wish.demo
        with choosing_ports(_must_wait):
            others = _start(installation, supervisor, wish)
        if others and wish.demo:
            _demo(installation, supervisor)
        installation.save()
        _tell_clients(installation)
        if not wish.infrastructure_only:
            watching.write_targets(installation)
    return installation


def _name_servers(installation: Installation) -> None:
    """Note which servers are used that are not the installation's own: those named, or those of the host of a city."""
    installation.kafka = os.environ.get("KAFKA_BOOTSTRAP") or None
    installation.superuser_dsn = os.environ.get("PG_DSN") or None
    if installation.city:
        if Supervisor(installation.host).pid() is None:
            raise LocalError(
                f"{installation.city} 所用的服务器没有在运行。请先 make up STATE={installation.host}。",
                f"The servers of {installation.city} do not run. First make up STATE={installation.host}.",
            )
        host = load(installation.host)
        installation.kafka, installation.superuser_dsn = host.bootstrap, host.superuser


def _tell_clients(installation: Installation) -> None:
    """Write where clients find this installation: `bin/skillplan` reads it."""
    lines = [f"{name}={value}\n" for name, value in client_addresses(installation).items()]
    (installation.state / "client.env").write_text("".join(lines), encoding="utf-8")


def _must_wait() -> None:
    say("另一个 make up 正在占用端口,等它就绪……", "Another make up is taking its ports; waiting until it is ready …")


def _start(installation: Installation, supervisor: Supervisor, wish: Wish) -> list[Program]:
    """Start servers and processes on ports of their own; return the processes once each is ready."""
    running = supervisor.pid() is not None
    if not running and children.left_over(supervisor.mark):
        with step("结束上次遗留的进程", "Ending what an earlier run left over"):
            children.end(supervisor.mark, _LEFT_OVER_PATIENCE)
    given = {"kafka", "kafka-controller"} if installation.kafka else set()
    given |= {"postgres"} if installation.superuser_dsn else set()
    # What runs keeps its port; a service that is new since it was started gets one.
    given |= installation.ports.keys() if running else set()
    wanted = {part: port for part, port in {**PORTS, **INFRASTRUCTURE_PORTS}.items() if part not in given}
    for part, usual, actual in installation.choose_ports(wanted):
        say(f"端口 {usual} 已被占用,{part} 改用 {actual}。", f"Port {usual} is taken; {part} moves to {actual}.")
    installation.make_secrets(list(SERVICES))
    others = [] if wish.infrastructure_only else programs(installation)
    run_later = [] if wish.infrastructure_only else supervised(installation)
    wanted_servers = servers.prepare(installation)
    if running:
        changed = supervisor.changed(run_later)
        if changed & {CODE}:
            servers.refuse_older_code(installation)
        if changed:
            say(*what_changed(changed))
    supervisor.start(wanted_servers, run_later)
    with ThreadPoolExecutor(2) as beside:
        # It needs nothing of all the rest, which mostly waits.
        built = beside.submit(dashboard.build, lambda _: None) if others else None
        migrated = beside.submit(
            servers.databases_ready, installation, supervisor, migrate=not wish.infrastructure_only
        )
        servers.topics_ready(installation, supervisor)
        with step("创建数据库与表", "Creating databases and tables"):
            migrated.result()
        installation.save()
        if built is not None:
            _await_dashboard(built)
    if others:
        supervisor.start_services()
        wait_ready(others, supervisor)
    return others


def wait_ready(processes: list[Program], supervisor: Supervisor) -> None:
    """Wait until processes are ready; raises LocalError with the end of the log of one that is not."""
    with step("启动各服务", "Starting the services") as tell:
        _wait(processes, supervisor, tell, _READY_PATIENCE)


def what_changed(settings: set[str]) -> tuple[str, str]:
    """Say by what the processes that run differ from what would be started now."""
    known = {CODE: ("代码", "code"), PLAN: ("计划文件", "plan files")}
    named = [known[name] for name in known if name in settings]
    if others := sorted(settings - known.keys()):
        named.append((f"设置({', '.join(others)})", f"settings ({', '.join(others)})"))
    zh, en = zip(*named, strict=True)
    return f"运行中的{'、'.join(zh)}已有变化,各服务重新启动。", f"{', '.join(en)} changed: the services start again."


def _await_dashboard(built: Future[bool]) -> None:
    """Wait for the pages; without them everything else goes on."""
    try:
        with step("构建看板", "Building the dashboard"):
            built.result()
    except dashboard.NotBuilt as error:
        say(f"! {error.zh}", error.en)


def run(installation: Installation, service: str, *command: str) -> int:
    """Run one command of a service with the installation's settings; its output is ours."""
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", *command],
        cwd=ROOT,
        env=command_environment(installation, service),
        check=False,
    )
    return done.returncode


def demo(installation: Installation, reports: int, seed: int) -> int:
    """Publish a demo feed as districts would; returns the exit code. The output goes to our own."""
    command = _demo_command(reports, seed)
    return subprocess.run(command, cwd=ROOT, env=client_environment(installation), check=False).returncode


def _demo_command(reports: int, seed: int) -> list[str]:
    return [sys.executable, "-m", "client", "demo", "--reports", str(reports), "--seed", str(seed)]


def keys(installation: Installation, *arguments: str) -> int:
    """Run a command on the key file; nothing need run for that."""
    settings = {"SKILLPLAN_KEYS": str(installation.key_file), "SKILLPLAN_KEY_PEPPER": installation.key_pepper}
    command = [sys.executable, "-m", "deploy.secrets.keys", *(arguments or ("--help",))]
    return subprocess.run(command, cwd=ROOT, env=inherited() | settings, check=False).returncode


def _wait(wanted: list[Program], supervisor: Supervisor, tell: Callable[[str], None], seconds: float) -> None:
    limit = time.monotonic() + seconds
    ended: dict[str, set[int]] = {}
    with httpx.Client(timeout=3, trust_env=False) as client:
        while True:
            missing = {program.name: why for program in wanted if (why := _unready(client, program.url)) is not None}
            if not missing:
                return
            states = supervisor.states()
            for name in missing.keys() & states.keys():
                ended.setdefault(name, set()).add(states[name]["stop"])
            # What ends again and again, as with a setting that it refuses, is not waited for.
            hopeless = [name for name in missing if len(ended.get(name, ())) > _ENDED_OFTEN or _given_up(states, name)]
            if hopeless or time.monotonic() > limit:
                name = (hopeless or list(missing))[0]
                log = supervisor.logs / f"{name}.log"
                raise LocalError(
                    f"{name} 未就绪({missing[name]})。日志:{log},最后几行:\n{supervisor.last_words(name)}",
                    f"{name} is not ready ({missing[name]}). The end of its log stands above: {log}",
                )
            tell(", ".join(missing))
            time.sleep(0.2)


def _given_up(states: dict[str, ProcessState], name: str) -> bool:
    return name in states and states[name]["statename"] == "FATAL"


def _unready(client: httpx.Client, url: str) -> str | None:
    """Say why a process is not ready, None when it is."""
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == _OK else answer.text[:200]


def _demo(installation: Installation, supervisor: Supervisor) -> None:
    """Publish the demo feed once a state folder, as districts would, and wait until the read models show it."""
    if installation.demo_size == "city":
        _city(installation, supervisor)
        return
    if not installation.demo:
        with step("各区县演示数据经 Kafka 上报", "Districts report the demo feed through Kafka"):
            done = subprocess.run(
                _demo_command(_DEMO_REPORTS, seed=1),
                cwd=ROOT,
                env=client_environment(installation),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise LocalError(
                    f"演示数据上报失败:\n{done.stdout.strip()[-1500:]}",
                    "Publishing the demo feed failed (see above). `make up DEMO=0` starts without it.",
                )
        installation.demo = True
        installation.save()
    if not _caught_up(installation, time.monotonic() + _CAUGHT_UP_PATIENCE):
        raise LocalError(
            f"{_CAUGHT_UP_PATIENCE:.0f} 秒内读模型未追平。请看 make status 和 {supervisor.logs}。",
            f"The read models did not catch up in {_CAUGHT_UP_PATIENCE:.0f} s. See make status and {supervisor.logs}.",
        )


def _city(installation: Installation, supervisor: Supervisor) -> None:
    """Start reporting the whole city, or go on with it; after a while the rest of it comes in while pages answer."""
    place = progress.demo_place(installation)
    limit = time.monotonic() + (_REST_OF_THE_CITY_PATIENCE if place.sent else _CITY_PATIENCE)
    if not place.done:
        say(
            f"看板已可打开:{installation.url('gateway')}/,全市演示数据陆续入账。",
            "The dashboard answers; the demo of the whole city comes in.",
        )
        supervisor.start_demo()
        with step("全市演示数据经 Kafka 上报", "The whole city reports through Kafka") as tell:
            while not (place := progress.demo_place(installation)).done and time.monotonic() < limit:
                if not supervisor.is_alive(DEMO) and not progress.demo_place(installation).done:
                    raise LocalError(
                        f"演示数据上报失败,再次 make up 时接着报:\n{supervisor.last_words(DEMO)}",
                        "Publishing the demo failed (see above); make up goes on with it. `DEMO=0` leaves it.",
                    )
                tell(place.bar)
                time.sleep(0.5)
    if place.done and _caught_up(installation, limit):
        installation.demo = True
    else:
        say(
            f"演示数据在后台继续入账({place.bar}),make status 可看进度。",
            "The demo goes on coming in; make status says how far it is.",
        )


def _caught_up(installation: Installation, limit: float) -> bool:
    """Wait until the read models show all that was reported; tell whether they do in time."""
    with step("读模型追平", "Read models catch up") as tell:
        seen: object = None
        while time.monotonic() < limit:
            try:
                now = _behind(installation)
            except httpx.HTTPError as error:  # as busy as it is now, it may answer late
                tell(type(error).__name__)
                continue
            if now.behind == 0 and now == seen:
                return True
            seen = now
            tell(f"{now.behind}")
            time.sleep(0.3)
    return False


@dataclass(frozen=True)
class _Behind:
    """How much is still on its way, and where the logs stand: two equal looks at 0 mean that all has arrived."""

    behind: int
    positions: tuple[int, ...]


def _behind(installation: Installation) -> _Behind:
    behind = 0
    with httpx.Client(timeout=5, trust_env=False, headers=installation.credentials) as client:
        for service in DOMAIN_SERVICES:
            metrics = client.get(f"http://127.0.0.1:{installation.ports[service] + PROBES}/metrics").text
            match = re.search(r"^skillplan_inbox_lag(?:\{[^}]*\})? ([0-9.e+]+)$", metrics, re.MULTILINE)
            behind += int(float(match.group(1))) if match else 1
        complete = progress.complete_to(client, installation.url("projection"))
    for log in complete.values():
        behind += 1 if log["behind_events"] is None else int(log["behind_events"])
    return _Behind(behind, tuple(int(log["position"] or 0) for log in complete.values()))


def summary(installation: Installation) -> None:
    """Print what answers where, and today's progress."""
    show(progress.addresses(installation, list(SERVICES)))
    with httpx.Client(timeout=10, trust_env=False, headers=installation.credentials) as client:
        for table in progress.tables(client, installation.url("projection")):
            show(table)
        plans = client.get(f"{installation.url('projection')}/v1/plans").json()
        if change := plans["withheld"]:
            say(
                f"! 计划改动后,已计入的 {change['facts']} 件事实不再计入;数字仍按原计划统计。详见 make status。",
                f"The plans as they are now leave out {change['facts']} facts that count; the numbers stay by the plans"
                " before. See make status.",
            )
