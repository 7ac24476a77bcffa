"""What an operator does to the installation of docker-compose.yml: `docker compose run --rm tools …`.

The same as `make` does to a local one; only stopping and starting is Docker's, so a restore asks for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.table import Table

from deploy.local import console, status
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import admin, backup, kept_backups, reconcile, restore_test
from deploy.operations.compose import broker, installed
from deploy.secrets import certificates
from services.catalogue import PROJECTION, SERVICES, WITH_DATABASE
from shared.process import command_line

_SOON: Final = timedelta(days=30)
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("backup")
def _backup(
    raw_hours: Annotated[int, typer.Option(min=1, help="原始报告裁定并备份后再留几小时 hours raw reports stay")] = 24,
) -> None:
    """备份各库,密钥另存 Back up every database, the keys apart from them; raw reports that one of a day ago has go."""
    backup.back_up(installed(), None, None, raw_hours, broker)


@app.command("restore-test")
def _restore_test() -> None:
    """试恢复最新的备份,重算核对,不动在用的 Restore the newest backup beside what runs, recount it, drop it again."""
    raise typer.Exit(restore_test.run(installed(), broker(PROJECTION.name)))


@app.command("restore")
def _restore(
    taken: Annotated[str, typer.Argument(metavar="TIME", help="备份的时刻 when it was taken, the folder's name")] = "",
    service: Annotated[list[str] | None, typer.Argument(help="只恢复这些服务 these services only")] = None,
) -> None:
    """由备份恢复,再从主题取回其后的 Restore a backup, then take back what came after it from the topics."""
    installation, wanted = installed(), service or list(WITH_DATABASE)
    backups = installation.state / "backups"
    if taken not in (there := kept_backups.whole(backups)):
        names = "、".join(there) or "–"
        raise LocalError(f"请指明备份的时刻,现有:{names}。", f"Name one of these backups: {names}.")
    backup.check(installation, backups / taken, wanted, None)
    _must_be_stopped(installation, wanted)
    backup.restore(installation, backups / taken, wanted)
    backup.recover(installation, backups / taken, wanted)


def _must_be_stopped(installation: Installation, wanted: Sequence[str]) -> None:
    """Refuse while a process of theirs has its database open; each has, all the time."""

    async def ask() -> set[str]:
        connection = await asyncpg.connect(installation.superuser)
        try:
            rows = await connection.fetch(
                "select distinct datname from pg_stat_activity where usename = datname and datname = any($1)", wanted
            )
        finally:
            await connection.close()
        return {row["datname"] for row in rows}

    if running := asyncio.run(ask()):
        names = " ".join(
            f"{service}-{command}" for service in sorted(running) for command in SERVICES[service].commands
        )
        raise LocalError(f"请先停 docker compose stop {names}", f"Stop them first: docker compose stop {names}")


@app.command("reconcile")
def _reconcile(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """逐段逐位对账 Compare hop by hop and by position what became of every report."""
    installation = installed()
    databases = {name: installation.role_dsn(name) for name in WITH_DATABASE}
    raise typer.Exit(reconcile.run(reconcile.Places(databases, broker(PROJECTION.name)), as_json))


@app.command("certificates")
def _certificates() -> None:
    """各证书何时到期;三十天内有到期的则退出码非零 When each certificate ends; a code other than 0 if one does soon."""
    raise typer.Exit(0 if list_certificates(Path("/secrets/all")) else 1)


def list_certificates(store: Path) -> bool:
    """Print when each certificate in the store of secrets ends; tell whether none does within thirty days."""
    table, soon, well = Table("", "证书 Certificate", "到期 Ends", "怎么办 What to do"), datetime.now(UTC) + _SOON, True
    for file in sorted(store.glob("*.pem")):
        ends, renew = certificates.ends_at(file.read_bytes()), ""
        if ends < soon:
            renew, well = "把新证书放进密钥文件夹再 up put a new one into the folder of secrets, then up again", False
        table.add_row("✗" if renew else "✓", file.name, f"{ends:%Y-%m-%d}", renew)
    console.show(table)
    return well


@app.command("sql")
def _sql(service: str, statement: Annotated[str, typer.Argument(metavar="SQL")]) -> None:
    """在某服务的库中执行一条 SQL Run one statement in a service's database, as its role."""
    if service not in WITH_DATABASE:
        raise LocalError(f"没有服务 {service}。", f"There is no service {service}.")
    status.print_rows(installed().role_dsn(service), statement)


def _say_how_to_restart(process: str) -> None:
    console.say("随后执行:", f"Now run: docker compose restart {process}")


def _address_of_planning(installation: Installation) -> str:
    return os.environ.get("SKILLPLAN_PLANNING") or f"http://planning-api:{installation.ports['planning']}"


app.add_typer(admin.app, name="admin")


@app.callback()
def _operated(context: typer.Context) -> None:
    context.obj = admin.Operated(
        installed, _say_how_to_restart, _address_of_planning, lambda _here, service: broker(service)
    )


if __name__ == "__main__":
    sys.exit(console.in_one_sentence(lambda: command_line.run(app, "tools", console.INTERRUPTED)))
