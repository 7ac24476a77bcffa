"""What there is of backups: which are whole, what is due, which may go, and what the last trial restore has shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Self

from deploy.operations.erasable import MANIFEST
from shared.contract.events import LOCAL_TIME

STAMP: Final = "%Y%m%dT%H%M%SZ"
_RESTORE_TEST: Final = "restore-test.json"
_SUNDAY: Final = 6
_TEST_DAYS: Final = 8  # a week, and a day in which a failed one is done again
_BROKEN_OFF: Final = timedelta(days=1)  # after which a folder without a manifest is no backup that is being written


class Schedule(NamedTuple):
    """When of the day a backup is taken, how many days one is kept, and how many hours old the newest may become."""

    at: time = time(2, 30)
    days: int = 30
    hours: int = 26


@dataclass(frozen=True)
class RestoreTest:
    """What came of restoring a backup beside what runs; `problems`: a sentence for each thing that was wrong."""

    tested_at: str
    backup: str
    seconds: float
    facts: int
    problems: list[str]

    def write(self, backups: Path) -> None:
        """Keep it beside the backups; a power cut leaves this one or the one before."""
        fresh = backups / f"{_RESTORE_TEST}.new"
        fresh.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        fresh.replace(backups / _RESTORE_TEST)

    @classmethod
    def last(cls, backups: Path) -> Self | None:
        """Return the last one, None before the first, and where its file cannot be read."""
        try:
            return cls(**json.loads((backups / _RESTORE_TEST).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def whole(backups: Path) -> list[str]:
    """Return the names of the backups that were written to their end, the newest last."""
    return sorted(manifest.parent.name for manifest in backups.glob(f"2*/{MANIFEST}"))


def taken_at(name: str) -> datetime:
    """Return when a backup was taken."""
    return datetime.strptime(name, STAMP).replace(tzinfo=UTC)


def is_backup_due(backups: Path, now: datetime, at: time) -> bool:
    """Tell whether none was taken since the time of the day was last passed; what a stop has missed is due, too."""
    names = whole(backups)
    return not names or taken_at(names[-1]) < _last(now, at)


def is_test_due(backups: Path, now: datetime, at: time) -> bool:
    """Tell whether the newest backup is to be restored: each week, and a day after one that failed."""
    names, last = whole(backups), RestoreTest.last(backups)
    if not names or last is None:
        return bool(names)
    return datetime.fromisoformat(last.tested_at) < _last(now, at, None if last.problems else _SUNDAY)


def _last(now: datetime, at: time, weekday: int | None = None) -> datetime:
    moment = datetime.combine(now.astimezone(LOCAL_TIME).date(), at, LOCAL_TIME)
    while moment > now or weekday not in (None, moment.weekday()):
        moment -= timedelta(days=1)
    return moment


def let_go(backups: Path, keys: Path, now: datetime, days: int) -> list[str]:
    """Delete what is older than so many days, with its keys, but never the newest; return the names.

    What broke off while it was written is no backup, and goes a day later.
    """
    names = whole(backups)
    gone = [name for name in names[:-1] if taken_at(name) < now - timedelta(days=days)]
    started = {folder.name for folder in backups.glob("2*T*Z") if folder.is_dir()}
    gone += sorted(name for name in started.difference(names) if taken_at(name) < now - _BROKEN_OFF)
    for name in gone:
        shutil.rmtree(backups / name)
        (keys / f"{name}.json").unlink(missing_ok=True)
    return gone


def warnings(backups: Path, now: datetime, hours: int) -> Iterator[tuple[str, str | None]]:
    """Yield for backup and restore test what an operator has to know of it, None where all is well."""
    names, last = whole(backups), RestoreTest.last(backups)
    if not names:
        yield "backup", "没有备份 there is no backup"
    else:
        age = (now - taken_at(names[-1])) / timedelta(hours=1)
        late = f"最新的备份已 {age:.0f} 小时 the newest backup is {age:.0f} hours old: {names[-1]}"
        yield "backup", late if age > hours else None
    if last is None:
        yield "restore-test", "备份还没有试恢复过 no backup was ever restored on trial"
    elif last.problems:
        yield "restore-test", f"备份 {last.backup} 试恢复有误 its trial restore failed: {'; '.join(last.problems)}"
    else:
        days = (now - datetime.fromisoformat(last.tested_at)) / timedelta(days=1)
        late = f"上次试恢复已 {days:.0f} 天 the last trial restore was {days:.0f} days ago"
        yield "restore-test", late if days > _TEST_DAYS else None
