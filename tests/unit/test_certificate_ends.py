"""Which certificates a process warns of, and from when on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.process.certificate_ends import End, ends, warning
from tests.harness.certificates import ending_in

NOW = datetime.now(UTC)


def test_the_first_that_ends_within_thirty_days_is_named(tmp_path: Path) -> None:
    soon, later = (End(Path(name), NOW + timedelta(days=days)) for name, days in (("a.pem", 29), ("b.pem", 31)))
    assert warning([later], NOW) is None
    text = warning([later, soon], NOW)
    assert text is not None
    assert text.startswith(f"a.pem ends on {soon.at:%Y-%m-%d}")
    assert warning([], NOW) is None


def test_of_authorities_the_last_counts_and_a_file_without_any_is_left_out(tmp_path: Path) -> None:
    served, authorities, none = (tmp_path / name for name in ("served.pem", "ca.pem", "none.pem"))
    chain = ending_in(timedelta(days=90)) + ending_in(timedelta(days=10))
    served.write_bytes(chain)
    authorities.write_bytes(chain)
    none.write_text("no certificate", encoding="utf-8")
    days = [round((end.at - NOW).total_seconds() / 86400) for end in ends(served, (authorities, none, None))]
    assert days == [10, 90]
