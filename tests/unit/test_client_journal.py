"""The journal of what was sent: whole after a crash at any moment, and right about what is to be sent again."""

import contextlib
import hashlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from client import journal as journal_module
from client import journal_queries, journal_schema
from client.journal import Arrival, FileReport, Journal, Resolved, base_id, unusable
from client.journal_queries import ListedReport
from client.messages import source_of
from client.output import CommandError
from shared.contract.messages import Receipt
from tests.conftest import ROOT

EVENT: dict[str, Any] = {
    "id": "a", "source": "/districts/330681/hr", "type": "skillplan.recruitment.person-hired.v1", "district": "330681",
    "data": {"person": {"id_number": "339977199007134895", "name": "演示罗辰己"}},
}  # fmt: skip
OTHER = {**EVENT, "id": "b"}
CHANGED = {**EVENT, "time": "2025-01-01T00:00:00Z"}
HOUR = 3_600_000
AT = 1_750_208_400_000  # 2025-06-18T01:00:00Z
# Sends in batches for ever, and says after each how far it is: what it said must be there after a kill.
SENDER = """
import sys
from pathlib import Path
from client.journal import Arrival, FileReport, Journal
journal = Journal(Path(sys.argv[1]), "kafka:x")
for batch in range(100000):
    events = [{"id": f"{batch}-{at}", "source": "/districts/330681/hr", "type": "t"} for at in range(20)]
    journal.sending(FileReport(1, event, event["id"], journal.digest(event)) for event in events)
    journal.arrived(Arrival(event, None, 1) for event in events)
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


def report(journal: Journal, event: dict[str, Any], line: int = 1) -> FileReport:
    """Return a report of a file under the id that the journal gives it."""
    digest = journal.digest(event)
    return FileReport(line, event | {"id": journal.resolve(event, digest).id}, event["id"], digest)


def arrive(journal: Journal, *events: dict[str, Any], appended: int | None = None, **more: Any) -> None:
    reports = [report(journal, event) for event in events]
    journal.sending(reports, **more)
    journal.arrived(Arrival(each.event, None, appended) for each in reports)


def posted(journal: Journal, event: dict[str, Any], status: str, code: str | None = None, **more: Any) -> str:
    """Record a report and its answer over HTTP; return the id under which it went."""
    sent = report(journal, event)
    journal.sending([sent], **more)
    journal.arrived([Arrival(sent.event, receipt(sent.event, status, code))])
    return str(sent.event["id"])


def resolved(journal: Journal, event: dict[str, Any]) -> Resolved:
    return journal.resolve(event, journal.digest(event))


def is_settled(journal: Journal, event: dict[str, Any]) -> bool:
    return journal.is_settled(resolved(journal, event))


def counts(journal: Journal, **filters: Any) -> list[int]:
    rows = [row.counts for row in journal_queries.statement(journal, **filters)]
    return [sum(column) for column in zip(*rows, strict=True)]


def missing(journal: Journal, *events: dict[str, Any], file: bytes = b"now") -> list[tuple[str, bool]]:
    rows = [ListedReport(*source_of(event), journal.digest(event), event["type"]) for event in events]
    journal_queries.list_reports(journal, rows)
    return [(each.id, each.known) for each in journal_queries.missing(journal, file)]


def test_what_was_acknowledged_is_not_sent_again_and_what_was_under_way_is(journal: Journal) -> None:
    arrive(journal, EVENT)
    journal.sending([report(journal, OTHER)])
    assert [is_settled(journal, event) for event in (EVENT, OTHER, {**EVENT, "id": "c"})] == [True, False, False]


def test_other_content_under_the_same_id_is_sent(journal: Journal) -> None:
    arrive(journal, EVENT)
    assert not is_settled(journal, CHANGED)


def test_another_place_to_send_to_knows_nothing(journal: Journal, tmp_path: Path) -> None:
    arrive(journal, EVENT)
    with Journal(tmp_path / "j.sqlite", "kafka:y") as other:
        assert not is_settled(other, EVENT)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("refused", "wrong-district"), ("refused", "not-your-source"), ("refused", "only-the-city"),
        ("refused", "id-reused"), ("invalid", "bad-value"), ("misdirected", "send-to-subsidy"),
    ],
)  # fmt: skip
def test_what_bound_no_id_is_sent_again_under_its_id_each_time(status: str, code: str, journal: Journal) -> None:
    """RULES A3; case F10."""
    assert posted(journal, EVENT, status, code) == "a"
    assert not is_settled(journal, EVENT)
    assert resolved(journal, EVENT).id == "a"
    posted(journal, EVENT, "refused", "already-open")
    assert is_settled(journal, EVENT), "a rule's refusal is final"


def test_what_a_rule_refused_goes_out_under_a_new_id_once_it_is_mended(journal: Journal) -> None:
    """RULES B8."""
    posted(journal, EVENT, "refused", "already-open")
    assert resolved(journal, EVENT).outcome is not None, "unchanged it is refused, and not sent again"
    assert posted(journal, CHANGED, "refused", "not-open") == "a.2"
    assert posted(journal, {**CHANGED, "subject": "hire/3"}, "accepted") == "a.3"
    assert [resolved(journal, event).id for event in (EVENT, CHANGED, {**CHANGED, "subject": "hire/3"})] == [
        "a", "a.2", "a.3",
    ]  # fmt: skip
    assert base_id("a.3") == "a"
    assert base_id("2024.1") == "2024.1", "there is no first"


def test_a_new_journal_learns_from_the_service_that_a_row_was_mended(journal: Journal) -> None:
    reused = receipt(CHANGED, "refused", "id-reused", 2, first=receipt(EVENT, "refused", "already-open"))
    sent = report(journal, CHANGED)
    journal.sending([sent], "run")
    journal.arrived([Arrival(sent.event, reused)])
    assert journal_queries.mended_of(journal, "run") == 1
    assert resolved(journal, CHANGED).id == "a.2"
    posted(journal, CHANGED, "accepted", run="run")
    assert journal_queries.mended_of(journal, "run") == 0
    assert [each.outcome.status for each in journal_queries.outcomes_of(journal, "run")] == ["accepted"]


def test_an_answer_is_about_the_content_that_the_broker_appended_then(journal: Journal) -> None:
    """Case F01: the answer to one content is none to another under the same id, whoever sent which."""
    first, second = (
        receipt(EVENT, "accepted"),
        receipt(CHANGED, "refused", "id-reused", 2, first=receipt(EVENT, "accepted")),
    )
    arrive(journal, EVENT, appended=AT)
    journal.answered([first, second], "r", 2)
    assert is_settled(journal, EVENT)
    assert [each.is_rejected for each in (resolved(journal, EVENT).outcome,) if each] == [False]
    arrive(journal, CHANGED, appended=AT + HOUR)
    journal.answered([second], "r", 3)
    outcome = resolved(journal, CHANGED).outcome
    assert outcome is not None
    assert (outcome.status, outcome.code) == ("refused", "id-reused")
    assert not is_settled(journal, CHANGED), "it binds nothing, so the service says it anew"
    assert counts(journal) == [2, 1, 0, 1, 0, 0], "the statement has both"


def test_over_http_everything_but_what_was_accepted_is_sent_for_the_services_word(tmp_path: Path) -> None:
    with Journal(tmp_path / "h.sqlite", "http:x") as journal:
        for status, code in (("waiting", None), ("refused", "already-open"), ("invalid", "bad-value")):
            posted(journal, EVENT, status, code)
            assert not is_settled(journal, EVENT)
        posted(journal, EVENT, "accepted")
        assert is_settled(journal, EVENT)


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
    """RULES A3, A5, A6; an id used again is one more report, and refused."""
    accepted = receipt(EVENT, "accepted")
    journal.answered([accepted], "r", 1)
    for later, refused in (
        (receipt(EVENT, "invalid", "bad-value", 2), 0),
        (receipt(EVENT, "duplicate", at=4, first=accepted), 0),
        (receipt(EVENT, "refused", "id-reused", 3, first=accepted), 1),
    ):
        journal.answered([later], "r", 2)
        assert counts(journal) == [1 + refused, 1, 0, refused, 0, 0]


def test_what_was_accepted_and_is_no_longer_in_the_file_is_named(journal: Journal) -> None:
    """Case F25: the six rows of before are known by the four that are still the same; another file's are not."""
    rows = [{**EVENT, "id": f"row-{at}", "subject": f"hire/{at}"} for at in range(6)]
    for row in rows:
        posted(journal, row, "accepted", file=b"six")
    posted(journal, {**EVENT, "id": "other", "subject": "hire/x"}, "accepted", file=b"february")
    journal.answered([receipt({**EVENT, "id": "elsewhere"}, "accepted")])
    assert missing(journal, *rows[:4]) == [
        ("elsewhere", False), ("other", False), ("row-4", True), ("row-5", True),
    ]  # fmt: skip
    retraction = {
        **EVENT, "id": "row-4.r", "type": "skillplan.recruitment.report-retracted.v1", "data": {"report_id": "row-4"},
    }  # fmt: skip
    posted(journal, retraction, "accepted")
    assert ("row-4", True) not in missing(journal, *rows[:4]), "it was taken back"


def test_corrections_stand_for_what_they_correct_and_are_taken_back_first(journal: Journal) -> None:
    posted(journal, EVENT, "accepted")
    corrected = FileReport(1, {**CHANGED, "id": "a.2", "corrects": "a"}, "a", journal.digest(CHANGED))
    assert journal_queries.free_id(journal, EVENT["source"], "a", ".") == "a.2"
    journal.sending([corrected])
    journal.arrived([Arrival(corrected.event, receipt(corrected.event, "accepted"))])
    assert [each.id for each in journal_queries.standing(journal, "a", None)] == ["a", "a.2"]
    assert is_settled(journal, CHANGED), "the row says what was accepted by its correction"
    assert missing(journal, CHANGED) == []


def test_a_journal_of_the_first_version_is_upgraded_and_read_anew(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "j.sqlite")) as old:
        for statement in journal_schema._FIRST:
            old.execute(statement)
        old.execute("insert into secret values (?)", (b"k" * 32,))
        digests = [
            hashlib.blake2b(orjson.dumps(each, option=orjson.OPT_SORT_KEYS), digest_size=16, key=b"k" * 32).digest()
            for each in (EVENT, CHANGED)
        ]
        for event, digest in ((EVENT, digests[0]), (OTHER, digests[1])):
            old.execute(
                "insert into sent values ('kafka:x', ?, ?, ?, ?, '330681', ?, ?)",
                (event["source"], event["id"], digest, event["type"], *["2025-06-18T00:30:00.000+00:00"] * 2),
            )
        old.execute(
            "insert into answer values ('kafka:x', ?, 'a', ?, '330681', 'accepted', null, 1, ?, ?)",
            (EVENT["source"], EVENT["type"], *["2025-06-18T01:00:00.000000Z"] * 2),
        )
        old.execute("insert into place values ('kafka:x', 'receipts.330681', 7)")
        old.commit()
    with Journal(tmp_path / "j.sqlite", "kafka:x") as journal:
        assert counts(journal) == [2, 1, 0, 0, 0, 1]
        assert journal.next_offset("receipts.330681") is None, "for what was not recorded of them before"
        journal.answered([receipt(EVENT, "accepted", subject="hire/1")], "receipts.330681", 1)
        assert is_settled(journal, EVENT)
        assert journal_queries.standing(journal, "a", None)[0].subject == "hire/1"


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
            assert all(is_settled(journal, event) for event in events)
        assert sqlite3.connect(file).execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_journal_that_cannot_be_kept_gets_one_clear_sentence(tmp_path: Path) -> None:
    damaged, newer = tmp_path / "no-database", tmp_path / "newer"
    damaged.write_bytes(b"something else entirely, and long enough to be no database" * 20)
    with Journal(newer, "kafka:x") as journal:
        journal.database.execute("pragma user_version = 99")
    for place, message in ((damaged, "damaged"), (newer, "newer version"), (tmp_path, "SKILLPLAN_JOURNAL")):
        with pytest.raises(CommandError, match=message):
            Journal(place, "kafka:x")


def test_a_journal_that_another_command_writes_says_so(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", "kafka:x") as journal:
        journal.database.execute("pragma busy_timeout = 50")
        other = sqlite3.connect(tmp_path / "j.sqlite", isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError) as raised:
            arrive(journal, EVENT)
        assert "Another command is using the journal" in str(unusable(raised.value))
        other.execute("rollback")
        other.close()
        arrive(journal, EVENT)
        assert is_settled(journal, EVENT), "and once the other has ended it goes on"


def test_looking_a_report_up_takes_as_long_in_a_large_journal_as_in_a_small_one(journal: Journal) -> None:
    """What is asked for each row, or each line of a run, goes by an index."""
    journal_queries.list_reports(journal, [])
    journal.database.create_function("base_id", 1, base_id)
    for sql in (journal_module._ROWS, journal_queries._OF_RUN):
        parameters = ("x",) * 3 if "?" in sql else {"target": "x", "run": "x"}
        plan = [row[3] for row in journal.database.execute(f"explain query plan {sql}", parameters)]
        searched = [step for step in plan if step.startswith("SEARCH")]
        assert searched
        assert all(step.count("=?") > 1 for step in searched), plan
