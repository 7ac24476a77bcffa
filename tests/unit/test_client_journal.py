"""The journal of what was sent: whole after a crash at any moment, and right about what is to be sent again."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client.journal import Journal
from client.messages import Receipt
from client.output import CommandError
from tests.conftest import ROOT

EVENT: dict[str, Any] = {
    "id": "a", "source": "/districts/330681/hr", "type": "skillplan.recruitment.person-hired.v1", "district": "330681",
    "data": {"person": {"id_number": "339977199007134895", "name": "演示罗辰己"}},
}  # fmt: skip
OTHER = {**EVENT, "id": "b"}
# Sends in batches for ever, and says after each how far it is: what it said must be there after a kill.
SENDER = """
import sys
from pathlib import Path
from client.journal import Journal
journal = Journal(Path(sys.argv[1]), "kafka:x")
for batch in range(100000):
    events = [{"id": f"{batch}-{at}", "source": "/districts/330681/hr", "type": "t"} for at in range(20)]
    journal.sending(events)
    journal.acknowledged(events)
    print(batch, flush=True)
"""


def receipt(event: dict[str, Any], status: str, code: str | None = None, at: int = 1, **more: Any) -> Receipt:
    reasons = [{"code": code}] if code else []
    named = {name: event[name] for name in ("source", "id", "type", "district")}
    when = f"2025-06-18T0{at}:00:00.000000Z"
    made: Any = {**named, "status": status, "reasons": reasons, "received_at": when, "decided_at": when, **more}
    receipt: Receipt = made
    return receipt


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "j.sqlite", "kafka:x")


def arrive(journal: Journal, *events: dict[str, Any]) -> None:
    journal.sending(events)
    journal.acknowledged(events)


def counts(journal: Journal, **filters: Any) -> list[int]:
    rows = [row.counts for row in journal.statement(**filters)]
    return [sum(column) for column in zip(*rows, strict=True)]


def test_what_was_acknowledged_is_not_sent_again_and_what_was_under_way_is(journal: Journal) -> None:
    arrive(journal, EVENT)
    journal.sending([OTHER])
    assert [journal.is_settled(event) for event in (EVENT, OTHER, {**EVENT, "id": "c"})] == [True, False, False]


def test_other_content_under_the_same_id_is_sent(journal: Journal) -> None:
    arrive(journal, EVENT)
    assert not journal.is_settled({**EVENT, "time": "2025-01-01T00:00:00Z"})


def test_another_place_to_send_to_knows_nothing(journal: Journal, tmp_path: Path) -> None:
    arrive(journal, EVENT)
    with Journal(tmp_path / "j.sqlite", "kafka:y") as other:
        assert not other.is_settled(EVENT)


@pytest.mark.parametrize("code", ["wrong-district", "not-your-source"])
def test_what_a_key_or_a_setting_may_mend_is_sent_again_under_its_id(code: str, journal: Journal) -> None:
    """RULES A3."""
    journal.sending([EVENT])
    journal.acknowledged([EVENT], [receipt(EVENT, "refused", code)])
    assert not journal.is_settled(EVENT)
    journal.acknowledged([EVENT], [receipt(EVENT, "refused", "already-open", 2)])
    assert journal.is_settled(EVENT), "a rule's refusal is final"


def test_a_statement_counts_each_report_once_by_how_it_stands(journal: Journal) -> None:
    arrive(journal, EVENT, OTHER)
    assert counts(journal) == [2, 0, 0, 0, 0, 2]
    journal.answered([receipt(EVENT, "waiting")], "receipts.330681", 1)
    journal.answered([receipt(EVENT, "accepted", at=2), receipt(EVENT, "waiting")], "receipts.330681", 3)
    journal.answered([receipt(OTHER, "refused", "not-open")], "receipts.330681", 4)
    assert counts(journal) == [2, 1, 0, 1, 0, 0]
    assert journal.next_offset("receipts.330681") == 4
    assert counts(journal, district="330602") == []
    assert counts(journal, since="2025-06-19") == []


def test_an_answer_that_binds_no_id_displaces_no_decision(journal: Journal) -> None:
    """RULES A3, A5, A6."""
    accepted = receipt(EVENT, "accepted")
    journal.answered([accepted], "r", 1)
    for later in (
        receipt(EVENT, "invalid", "bad-value", 2),
        receipt(EVENT, "refused", "id-reused", 3, first=receipt(EVENT, "refused", "not-open", 3)),
        receipt(EVENT, "duplicate", at=4, first=accepted),
    ):
        journal.answered([later], "r", 2)
        assert counts(journal) == [1, 1, 0, 0, 0, 0]


def test_what_was_answered_without_having_been_sent_from_here_is_in_the_statement(journal: Journal) -> None:
    journal.answered([receipt(OTHER, "invalid", "bad-value"), receipt(OTHER, "invalid", id=None)], "r", 1)
    assert counts(journal) == [1, 0, 0, 0, 1, 0]


def test_nothing_personal_is_in_the_file_and_nobody_else_may_read_it(journal: Journal, tmp_path: Path) -> None:
    arrive(journal, EVENT)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"339977199007134895" not in stored
    assert "演示罗辰己".encode() not in stored
    assert (tmp_path / "j.sqlite").stat().st_mode & 0o077 == 0
    with Journal(tmp_path / "k.sqlite", "kafka:x") as other:
        assert other.digest(EVENT) != journal.digest(EVENT), "a digest says nothing without the file's own key"


def test_a_sender_killed_at_any_moment_leaves_a_whole_journal_with_all_that_it_acknowledged(tmp_path: Path) -> None:
    for kills in range(4):
        file = tmp_path / f"{kills}.sqlite"
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with sender:
            assert sender.stdout is not None
            last = 0
            for line in sender.stdout:
                last = int(line)
                if last >= 7 * kills + 3:
                    break
            sender.send_signal(signal.SIGKILL)
            last = max([last, *map(int, sender.stdout.read().split())])
        with Journal(file, "kafka:x") as journal:
            events = [
                {"id": f"{batch}-{at}", "source": "/districts/330681/hr", "type": "t"}
                for batch in range(last + 1) for at in range(20)
            ]  # fmt: skip
            assert all(map(journal.is_settled, events))
        assert sqlite3.connect(file).execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_journal_that_cannot_be_kept_gets_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "no-database").write_bytes(b"something else entirely, and long enough to be no database" * 20)
    for place in (tmp_path / "no-database", tmp_path):
        with pytest.raises(CommandError, match="SKILLPLAN_JOURNAL"):
            Journal(place, "kafka:x")
