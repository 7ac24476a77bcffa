"""What of backups is due, what goes, and what an operator has to know of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from deploy.operations import kept_backups
from deploy.operations.erasable import MANIFEST
from deploy.operations.kept_backups import RestoreTest

AT = time(2, 30)
NOW = datetime(2026, 7, 15, 4, 0, tzinfo=UTC)  # a Wednesday, noon in China; half past two was 18:30 the day before


def taken(backups: Path, moment: datetime, whole: bool = True) -> str:
    folder = backups / f"{moment:{kept_backups.STAMP}}"
    folder.mkdir(parents=True)
    if whole:
        (folder / MANIFEST).touch()
    return folder.name


def was_tested(backups: Path, moment: datetime, *problems: str) -> None:
    RestoreTest(moment.isoformat(), "20260701T000000Z", 1.0, 5, list(problems)).write(backups)


@pytest.mark.parametrize(("hours_ago", "due"), [(9, False), (10, True), (1, False), (24 * 9, True)])
def test_a_backup_is_due_once_the_time_of_the_day_has_passed_since_the_last(
    tmp_path: Path, hours_ago: int, due: bool
) -> None:
    assert kept_backups.is_backup_due(tmp_path, NOW, AT)
    taken(tmp_path, NOW - timedelta(hours=hours_ago))
    assert kept_backups.is_backup_due(tmp_path, NOW, AT) == due


def test_one_that_broke_off_is_no_backup_and_goes_a_day_later(tmp_path: Path) -> None:
    taken(tmp_path, NOW - timedelta(hours=1), whole=False)
    assert kept_backups.is_backup_due(tmp_path, NOW, AT)
    assert kept_backups.let_go(tmp_path, tmp_path / "keys", NOW, 30) == []
    assert len(kept_backups.let_go(tmp_path, tmp_path / "keys", NOW + timedelta(days=1), 30)) == 1


@pytest.mark.parametrize(
    ("days_ago", "problems", "due"),
    # Last Sunday, half past two, was 3.4 days ago.
    [(3, (), False), (4, (), True), (0.1, ("x",), False), (0.5, ("x",), True), (None, (), True)],
)
def test_a_trial_restore_is_due_each_week_and_the_day_after_one_that_failed(
    tmp_path: Path, days_ago: float | None, problems: tuple[str, ...], due: bool
) -> None:
    assert not kept_backups.is_test_due(tmp_path, NOW, AT), "there is nothing to restore"
    taken(tmp_path, NOW)
    if days_ago is not None:
        was_tested(tmp_path, NOW - timedelta(days=days_ago), *problems)
    assert kept_backups.is_test_due(tmp_path, NOW, AT) == due


def test_old_ones_go_with_their_keys_and_the_newest_stays_however_old(tmp_path: Path) -> None:
    backups, keys = tmp_path / "backups", tmp_path / "keys"
    keys.mkdir()
    names = [taken(backups, NOW - timedelta(days=days)) for days in (50, 40, 20)]
    for name in names:
        (keys / f"{name}.json").touch()
    assert kept_backups.let_go(backups, keys, NOW, 30) == names[:2]
    assert kept_backups.let_go(backups, keys, NOW + timedelta(days=400), 30) == []
    assert kept_backups.whole(backups) == names[2:]
    assert [file.name for file in keys.iterdir()] == [f"{names[2]}.json"]


def test_what_is_late_or_failed_is_said_and_nothing_besides(tmp_path: Path) -> None:
    def warnings(now: datetime = NOW) -> dict[str, str | None]:
        return dict(kept_backups.warnings(tmp_path, now, 26))

    assert all(warnings().values())
    name = taken(tmp_path, NOW - timedelta(hours=25))
    was_tested(tmp_path, NOW - timedelta(days=7, hours=20))
    assert warnings() == {"backup": None, "restore-test": None}
    later = warnings(NOW + timedelta(hours=5))
    assert f"the newest backup is 30 hours old: {name}" in str(later["backup"])
    assert "the last trial restore was 8 days ago" in str(later["restore-test"])
    (tmp_path / "restore-test.json").write_text("{")
    assert warnings()["restore-test"], "what cannot be read says nothing"
    was_tested(tmp_path, NOW, "recruitment [log] @5: x")
    assert "recruitment [log] @5" in str(warnings()["restore-test"])
