"""Keeps backups: takes one a day, restores one on trial each week, lets old ones go, and warns of what is late."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from starlette.applications import Starlette

from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import backup, compose, kept_backups, restore_test
from deploy.operations import erasure_records as records
from deploy.operations.kept_backups import Schedule
from services.catalogue import ELSEWHERE, PROJECTION
from shared.kafka.clients import Broker
from shared.observability.health import ConfigurationError, Health
from shared.observability.metrics import Metrics
from shared.observability.unavailable import UNAVAILABLE
from shared.process.process import add_probes, serve
from shared.process.settings import Settings, parse_command_line

_USUAL: Final = Schedule()
_WARN_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 600.0  # after what did not come about
_ANSWER_SECONDS: Final = 10.0
_LOCK: Final = 0x6B656570  # in the server's own database; services lock in theirs
_ANOTHER: Final = "另一处的 backup-keeper 正在保存备份,这里不做 another backup-keeper is at work, this one is not"
_AWAY: Final = (*UNAVAILABLE, KafkaError, TimeoutError, OSError)
_log = structlog.get_logger()


class KeeperSettings(Settings):
    """Settings of the keeper's own; one that is empty is as one that is not there."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    backup_at: time = Field(_USUAL.at, description="When of the day a backup is taken, HH:MM, local time")
    backup_days: int = Field(_USUAL.days, ge=1, description="How many days a backup is kept")
    backup_hours: int = Field(_USUAL.hours, ge=1, description="How old the newest may become before an alarm, hours")


def do_what_is_due(
    installation: Installation, broker_of: Callable[[str], Broker], schedule: Schedule, raw_hours: int = 24
) -> bool:
    """Take a backup, let old ones go and restore one on trial, each where it is due; return whether anything was."""
    backups, keys = installation.state / "backups", installation.state / "backup-keys"
    is_backup_due = kept_backups.is_backup_due(backups, datetime.now(UTC), schedule.at)
    if is_backup_due:
        made = backup.back_up(installation, None, None, raw_hours, broker_of)
        with records.alone(backups):
            gone = kept_backups.let_go(backups, keys, datetime.now(UTC), schedule.days)
        _log.info("backup.taken", backup=made.folder.name, gone=gone)
    is_test_due = kept_backups.is_test_due(backups, datetime.now(UTC), schedule.at)
    if is_test_due:
        tested = restore_test.restore_newest(installation, broker_of(PROJECTION.name))
        _log.info("backup.tested", backup=tested.backup, facts=tested.facts, problems=tested.problems)
    return is_backup_due or is_test_due


@dataclass
class Turn:
    """Whether it is this keeper that keeps the backups of an installation, or another: None while neither is known."""

    is_ours: bool | None = None


async def await_turn(dsn: str, turn: Turn, stop: asyncio.Event) -> None:
    """Hold the lock by which one keeper of an installation is at work, and wait for it while another has it.

    Where backups are kept on another host from now on, the one that is left running there would delete raw reports
    that are in its own backups alone.
    """
    while not stop.is_set():
        try:
            connection = await asyncpg.connect(dsn, timeout=_ANSWER_SECONDS)
            try:
                while not stop.is_set():
                    statement = "select true" if turn.is_ours else f"select pg_try_advisory_lock({_LOCK})"
                    turn.is_ours = await connection.fetchval(statement, timeout=_ANSWER_SECONDS)
                    await _rest(stop, _WARN_SECONDS)
            finally:
                turn.is_ours = None
                await connection.close(timeout=_WARN_SECONDS)
        except (*_AWAY, asyncpg.PostgresError) as error:
            _log.warning("backup.paused", waiting_for="database", problem=type(error).__name__)
            await _rest(stop, _ANSWER_SECONDS)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _keep(
    installation: Installation, broker_of: Callable[[str], Broker], schedule: Schedule, turn: Turn, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        if not turn.is_ours:
            await _rest(stop, _WARN_SECONDS)
            continue
        pause = _LOOK_SECONDS
        try:
            await asyncio.to_thread(do_what_is_due, installation, broker_of, schedule)
        except LocalError as refused:
            pause = _AGAIN_SECONDS
            _log.error("backup.failed", problem=f"{refused.zh} {refused.en}")
        except _AWAY as error:
            pause = _AGAIN_SECONDS
            _log.error("backup.failed", problem=type(error).__name__)
        await _rest(stop, pause)


async def _warn(backups: Path, hours: int, turn: Turn, health: Health, stop: asyncio.Event) -> None:
    while not stop.is_set():
        for part, warning in kept_backups.warnings(backups, datetime.now(UTC), hours):
            health.warn(part, _ANOTHER if turn.is_ours is False else warning)
        await _rest(stop, _WARN_SECONDS)


def keep(installation: Installation, broker_of: Callable[[str], Broker], settings: KeeperSettings) -> None:
    """Keep the backups of an installation until told to stop; probes and metrics are answered meanwhile."""
    schedule = Schedule(settings.backup_at, settings.backup_days, settings.backup_hours)
    metrics, app = Metrics("backup", "keeper", Health()), Starlette()
    add_probes(app, metrics)

    async def beside(stop: asyncio.Event) -> None:
        turn = Turn()
        await asyncio.gather(
            await_turn(installation.superuser, turn, stop),
            _keep(installation, broker_of, schedule, turn, stop),
            _warn(installation.state / "backups", schedule.hours, turn, metrics.health, stop),
        )

    try:
        asyncio.run(serve(app, settings, beside, metrics))
    except ConfigurationError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _, given = parse_command_line("deploy.operations.keeper", KeeperSettings, {"keep": ()}, ELSEWHERE)
    keep(compose.installed(), compose.broker, given)
