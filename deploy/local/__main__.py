"""The commands behind the targets of the Makefile that start, look at and mend an installation."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.local import cities, console, status, up, watching
from deploy.local.installation import Installation, held, is_there, load
from deploy.local.processes import Supervisor, client_addresses, programs, supervised
from deploy.local.refusal import LocalError
from deploy.local.servers import refuse_older_code
from deploy.operations import admin, backup, doctor, keeper, reconcile, restore_test
from deploy.operations.kept_backups import Schedule
from services.catalogue import DOMAIN_SERVICES, WITH_DATABASE
from shared.process import command_line

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
State = Annotated[Path, typer.Option(envvar="STATE", help="状态文件夹 the state folder")]
_DEFAULT = Path(".state")
_SERVERS = ("kafka", "postgres")
_USUAL = Schedule()
_NEVER = 24 * 365 * 100  # hours: an upgrade's backup deletes nothing


@app.command("up")
def _up(state: State = _DEFAULT, demo: Annotated[str, typer.Option(envvar="DEMO")] = "city") -> None:
    """启动全部并等待就绪 Start everything and wait until all is well."""
    match demo.lower():
        case "city" | "1" | "true" | "yes":
            wish = up.Wish(demo="city")
        case "small":
            wish = up.Wish(demo="small")
        case "" | "0" | "false" | "no":
            wish = up.Wish()
        case _:
            raise LocalError("DEMO 应为 0、small 或 city。", "DEMO is 0, small or city.")
    installation = up.up(state.resolve(), wish)
    for city in installation.cities:
        up.up(city, up.Wish())
    up.summary(installation)


@app.command("city")
def _city(
    state: State = _DEFAULT,
    name: Annotated[str, typer.Option(envvar="NAME")] = "",
    plan: Annotated[Path | None, typer.Option(envvar="PLAN")] = None,
) -> None:
    """在同一套服务器上再建一个市 Another city on the same servers: its plan, keys, databases, topics and ports."""
    host = _running(_existing(state))
    up.summary(up.up(cities.begin(host, name, plan), up.Wish()))


@app.command("infra-up")
def _infra_up(state: Annotated[Path, typer.Argument()] = _DEFAULT) -> None:
    """只启动 Kafka 和 PostgreSQL Start the broker and the database only."""
    installation = up.up(state.resolve(), up.Wish(infrastructure_only=True))
    sys.stdout.write(f"kafka={installation.bootstrap}\npostgres={installation.superuser}\n")


@app.command("down")
def _down(state: State = _DEFAULT) -> None:
    """停止全部,数据保留 Stop everything; the data stays."""
    folder = _existing(state)
    for part in (*load(folder).cities, folder):
        with held(part), console.step(f"停止 {part.name}", f"Stopping {part.name}"):
            Supervisor(part).stop()


@app.command("start")
def _start(state: State = _DEFAULT, service: Annotated[str, typer.Option(envvar="SERVICE")] = "") -> None:
    """启动指定的服务或进程 Start services or processes that do not run."""
    _turn(_existing(state), service, stop=False, start=True)


@app.command("stop")
def _stop(state: State = _DEFAULT, service: Annotated[str, typer.Option(envvar="SERVICE")] = "") -> None:
    """停止指定的服务或进程 Stop services or processes."""
    _turn(_existing(state), service, stop=True, start=False)


@app.command("restart")
def _restart(state: State = _DEFAULT, service: Annotated[str, typer.Option(envvar="SERVICE")] = "") -> None:
    """重启指定的服务或进程 Stop services or processes and start them again."""
    _turn(_existing(state), service, stop=True, start=True)


def _turn(folder: Path, service: str, *, stop: bool, start: bool) -> None:
    """Stop parts, start them, or both, and wait for it; `service`: services and processes, with commas between them."""
    with held(folder):
        installation, supervisor = _running(folder), Supervisor(folder)
        parts = supervisor.parts(service.split(","))
        if stop:
            with console.step(f"停止 {service}", f"Stopping {service}"):
                supervisor.stop_parts(parts)
        if not start:
            console.say(
                "其余照常;make start 或 make up 使其恢复。", "The rest goes on; make start or make up brings it back."
            )
            return
        supervisor.start_parts(parts)
        names = {part.rpartition(":")[2] for part in parts}
        # A server is there again once the services that need it are ready.
        everything = not names.isdisjoint(_SERVERS)
        concerned = [it for it in programs(installation) if everything or it.name in names]
        up.wait_ready([it for it in concerned if supervisor.is_alive(it.name)], supervisor)


@app.command("upgrade")
def _upgrade(state: State = _DEFAULT) -> None:
    """备份,迁移,换上检出的代码与计划,核对 Back up, migrate, run the checkout's code and plan, and check."""
    folder = _existing(state)
    installation = _running(folder)
    if not (changed := Supervisor(folder).changed(supervised(installation))):
        console.say("运行的已是检出的代码与计划。", "What runs is the checkout's code and plan already.")
        return
    refuse_older_code(installation)
    console.say(*up.what_changed(changed))
    made = backup.back_up(installation, None, None, _NEVER, lambda _: installation.broker)
    console.say(
        f"如需退回:换回原来的代码,再 make restore FROM={made.folder}",
        "To go back: check out the code from before, then run that.",
    )
    up.up(folder, up.Wish())
    _reconcile(state)


@app.command("uninstall")
def _uninstall(state: State = _DEFAULT, confirm: Annotated[str, typer.Option(envvar="CONFIRM")] = "") -> None:
    """停止并删除这套安装,备份留下 Stop and remove this installation; its backups stay."""
    folder = _existing(state)
    if confirm != folder.name:
        raise LocalError(
            f"将删除 {folder} 中的数据库、主题和密钥,备份(backups、backup-keys)留下。确认请加 CONFIRM={folder.name}。",
            f"This removes databases, topics and keys in {folder}; backups stay. To confirm add CONFIRM={folder.name}.",
        )
    installation = load(folder)
    if installation.city:
        _running(installation.host)
    left = [str(part.relative_to(folder.parent)) for city in installation.cities for part in _remove(city)]
    left += [part.name for part in _remove(folder)]
    console.say(f"已删除;留下:{', '.join(left) or '无'}", f"Removed; still there: {', '.join(left) or 'nothing'}")


def _remove(folder: Path) -> list[Path]:
    """Stop an installation or a city, remove it, and return what stays: its backups, and those of its cities."""
    with held(folder):
        with console.step(f"停止 {folder.name}", f"Stopping {folder.name}"):
            Supervisor(folder).stop()
        installation = load(folder)
        if installation.city:
            watching.forget(installation)
        if installation.city and Supervisor(installation.host).pid() is not None:
            cities.remove_from_servers(installation)
        data = folder / "postgres"
        if data.is_symlink():  # PostgreSQL's files lie where its user may go
            shutil.rmtree(data.resolve().parent)
        if not any((folder / "cities").glob("*")):
            shutil.rmtree(folder / "cities", ignore_errors=True)
        for part in folder.iterdir():
            if part.name not in ("backups", "backup-keys", "cities", "lock"):
                part.unlink() if part.is_symlink() or part.is_file() else shutil.rmtree(part)
    left = [part for part in folder.iterdir() if part.name != "lock"]
    if not left:
        shutil.rmtree(folder)
    return left


@app.command("doctor")
def _doctor(state: State = _DEFAULT) -> None:
    """磁盘、备份、密钥、版本、主题、时钟、积压 What to mend before it breaks, each with its fix."""
    folder = _existing(state)
    running = _running(folder)
    well = [doctor.examine(load(part), Supervisor(part)) for part in (folder, *running.cities)]
    raise typer.Exit(0 if all(well) else 1)


@app.command("status")
def _status(state: State = _DEFAULT, json: Annotated[str, typer.Option(envvar="JSON")] = "") -> None:
    """什么在哪里运行 What runs where."""
    folder = _existing(state)
    if json not in ("", "0"):
        sys.stdout.write(status.as_json(_running(folder), Supervisor(folder)) + "\n")
        return
    well = [status.show(load(part), Supervisor(part)) for part in (folder, *load(folder).cities)]
    raise typer.Exit(0 if all(well) else 1)


@app.command("logs")
def _logs(state: State = _DEFAULT, service: Annotated[str, typer.Option(envvar="SERVICE")] = "") -> None:
    """跟随日志 Follow the logs."""
    folder = _existing(state)
    files = sorted(str(file) for file in Supervisor(folder).logs.glob(f"{service}*.log"))
    if not files:
        raise LocalError(f"没有 {service} 的日志。", f"There is no log of {service}.")
    os.execvp("tail", ["tail", "-n", "20", "-F", *files])  # noqa: S606 - nothing of ours is left to do


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _run(context: typer.Context, service: str, state: State = _DEFAULT) -> None:
    """运行某服务的一个命令 Run a command of a service with this installation's settings."""
    raise typer.Exit(up.run(_running(_existing(state)), service, *context.args))


@app.command("demo")
def _demo(
    state: State = _DEFAULT,
    reports: Annotated[int, typer.Option(envvar="REPORTS")] = 1000,
    seed: Annotated[int, typer.Option(envvar="SEED")] = 2,
) -> None:
    """再报一批演示数据 Report another demo feed."""
    raise typer.Exit(up.demo(_running(_existing(state)), reports, seed))


@app.command("sql")
def _sql(
    state: State = _DEFAULT,
    service: Annotated[str, typer.Option(envvar="SERVICE")] = "",
    statement: Annotated[str, typer.Option(envvar="SQL")] = "",
) -> None:
    """在某服务的库中执行一条 SQL Run one statement in a service's database, as its role."""
    installation = _running(_existing(state))
    if service not in WITH_DATABASE or not statement:
        names = "|".join(WITH_DATABASE)
        raise LocalError(f"用法:make sql SERVICE={names} SQL='…'", f"Usage: make sql SERVICE={names} SQL='…'")
    status.print_rows(installation.role_dsn(service), statement)


@app.command("reconcile")
def _reconcile(state: State = _DEFAULT, json: Annotated[str, typer.Option(envvar="JSON")] = "") -> None:
    """逐段逐位对账 Compare hop by hop and by position what became of every report."""
    installation = _running(_existing(state))
    places = reconcile.Places({name: installation.role_dsn(name) for name in WITH_DATABASE}, installation.broker)
    raise typer.Exit(reconcile.run(places, json not in ("", "0")))


@app.command("plan", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _plan(context: typer.Context, state: State = _DEFAULT) -> None:
    """计划办公室的命令行 The plan office's command line on this installation."""
    environment = {**os.environ, **client_addresses(_running(_existing(state)))}
    command = [sys.executable, "-m", "client", "plan", *context.args]
    os.execve(sys.executable, command, environment)  # noqa: S606 - nothing of ours is left to do


@app.command("keys", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _keys(context: typer.Context, state: State = _DEFAULT) -> None:
    """新建、列出、轮换、撤销 HTTP 密钥,轮换服务密钥 Make, list, rotate, revoke HTTP keys; rotate a service's own."""
    match context.args:
        case ["rotate-service", service]:
            _rotate(_existing(state), service)
        case arguments:
            raise typer.Exit(up.keys(load(_existing(state)), *arguments))


def _rotate(folder: Path, service: str) -> None:
    """Rotate a service's key: its processes are away for seconds, then rewrap beside them what the old one wrapped.

    Broken off, it is run again and goes on with the same two keys.
    """
    if service not in DOMAIN_SERVICES:
        names = "|".join(DOMAIN_SERVICES)
        raise LocalError(
            f"用法:make keys ARGS='rotate-service {names}'", f"Usage: make keys ARGS='rotate-service {names}'"
        )
    with held(folder):
        installation, supervisor = _running(folder), Supervisor(folder)
        with console.step(f"给 {service} 换上新密钥", f"Giving {service} its new key"):
            supervisor.stop_parts(supervisor.parts([service]))
            installation.rotate_service_key(service)
            supervisor.start_services()
        if up.run(installation, service, "rewrap"):
            raise LocalError(
                f"{service} 的密钥还没换完,两把都在用;改正后再执行一次。",
                f"The key of {service} is not rotated yet, both are in use; put that right and run it again.",
            )
        installation.forget_old_service_key(service)
    console.say(
        f"{service} 的密钥已换。请立即 make backup:以前的备份要用其自己的密钥文件(KEYS=)恢复。",
        "Rotated. Back up now: earlier backups are restored with the file of keys that belongs to them (KEYS=).",
    )


@app.command("backup")
def _backup(
    state: State = _DEFAULT,
    to: Annotated[Path | None, typer.Option(envvar="TO")] = None,
    keys: Annotated[Path | None, typer.Option(envvar="KEYS")] = None,
    raw_hours: Annotated[int, typer.Option(envvar="RAW_HOURS", min=1)] = 24,
) -> None:
    """备份各库与密钥 Back up every database, and the keys apart from them; raw reports that one of a day ago has go."""
    installation = _running(_existing(state))
    backup.back_up(installation, to, keys, raw_hours, lambda _: installation.broker)


@app.command("backup-due")
def _backup_due(
    state: State = _DEFAULT,
    at: Annotated[str, typer.Option(envvar="AT")] = f"{_USUAL.at:%H:%M}",
    days: Annotated[int, typer.Option(envvar="DAYS", min=1)] = _USUAL.days,
    raw_hours: Annotated[int, typer.Option(envvar="RAW_HOURS", min=1)] = 24,
) -> None:
    """到期才备份、清旧、试恢复,供定时器运行 Back up, let old ones go, restore on trial: what is due, for a timer."""
    try:
        schedule = Schedule(time.fromisoformat(at), days)
    except ValueError:
        raise LocalError(f"AT={at}:应为 时:分。", f"AT={at}: it is HH:MM.") from None
    installation = _running(_existing(state))
    if not keeper.do_what_is_due(installation, lambda _: installation.broker, schedule, raw_hours):
        console.say("备份、试恢复都还没有到期。", "Neither a backup nor a trial restore is due yet.")


@app.command("restore-test")
def _restore_test(state: State = _DEFAULT) -> None:
    """试恢复最新的备份,重算核对,不动在用的 Restore the newest backup beside what runs, recount it, drop it again."""
    installation = _running(_existing(state))
    raise typer.Exit(restore_test.run(installation, installation.broker))


@app.command("restore")
def _restore(
    state: State = _DEFAULT,
    backed_up: Annotated[Path | None, typer.Option("--from", envvar="FROM")] = None,
    service: Annotated[str, typer.Option(envvar="SERVICE")] = "",
    keys: Annotated[Path | None, typer.Option(envvar="KEYS")] = None,
) -> None:
    """由备份恢复,再从主题取回其后的 Restore a backup, then take back what came after it from the topics."""
    if backed_up is None:
        raise LocalError("请指明备份:make restore FROM=<文件夹>。", "Name the backup: make restore FROM=<folder>.")
    folder = _existing(state)
    installation, supervisor = _running(folder), Supervisor(folder)
    wanted = service.split(",") if service else list(WITH_DATABASE)
    with held(folder):
        backup.check(installation, backed_up, wanted, keys)
        with console.step("停止相关进程", "Stopping the processes concerned"):
            supervisor.stop_parts(supervisor.parts(wanted))
        try:
            backup.restore(installation, backed_up, wanted)
            backup.recover(installation, backed_up, wanted)
        finally:
            supervisor.start_services()
    up.up(folder, up.Wish())  # what was started is waited for


def _existing(state: Path) -> Path:
    folder = state.resolve()
    if not is_there(folder):
        raise LocalError(
            f"{folder} 中没有安装。请先运行 make up。", f"Nothing was started in {folder} yet. Run make up first."
        )
    return folder


def _running(folder: Path) -> Installation:
    if Supervisor(folder).pid() is None:
        raise LocalError("没有在运行。请先运行 make up。", "It does not run. Run make up first.")
    return load(folder)


def _named() -> Path:
    return _existing(Path(os.environ.get("STATE") or _DEFAULT))


def _here() -> Installation:
    return _running(_named())


def _restart_process(process: str) -> None:
    _turn(_named(), process, stop=True, start=True)


app.add_typer(admin.app, name="admin")


@app.callback()
def _operated(context: typer.Context) -> None:
    context.obj = admin.Operated(
        _here, _restart_process, lambda here: here.url("planning"), lambda here, _service: here.broker
    )


def _help_of(command: str) -> str:
    """Return where a command is explained: those of an operator's tool by itself, all others are targets of make."""
    return f"{command} --help" if command.startswith("skillplan admin") else "make help"


if __name__ == "__main__":
    sys.exit(console.in_one_sentence(lambda: command_line.run(app, "skillplan", console.INTERRUPTED, help_of=_help_of)))
