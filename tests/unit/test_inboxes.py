"""How far raw reports may be deleted: as far as a backup of some time ago reached, and no further than is decided."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from deploy.operations.inboxes import covered

DAY = timedelta(hours=24)
INBOX, OTHER = "recruitment.reports.330681/0", "recruitment.reports.330602/2"


def test_records_go_as_far_as_the_newest_backup_that_is_a_day_old(tmp_path: Path) -> None:
    file = tmp_path / "inboxes.json"
    assert covered(file, "20261101T010000Z", {INBOX: 10}, DAY) == {}
    assert covered(file, "20261102T000000Z", {INBOX: 20}, DAY) == {}, "the first one is 23 hours old"
    assert covered(file, "20261102T010000Z", {INBOX: 30, OTHER: 5}, DAY) == {INBOX: 10}
    assert covered(file, "20261103T090000Z", {INBOX: 40, OTHER: 6}, DAY) == {INBOX: 30, OTHER: 5}
    assert sorted(json.loads(file.read_text())) == ["20261102T010000Z", "20261103T090000Z"], (
        "what is older is forgotten"
    )


def test_after_a_restore_nothing_goes_that_is_to_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "inboxes.json"
    covered(file, "20261101T010000Z", {INBOX: 100, OTHER: 7}, DAY)
    assert covered(file, "20261103T010000Z", {INBOX: 60}, DAY) == {INBOX: 60}, "the other could not be asked for"
