"""Keys: kept as HMACs in a file that is replaced whole, and found by their secrets only (RULES A10)."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.secrets.keys import app
from shared.contract.decoder import Channel
from shared.http.access import PERMISSIONS, Caller, TokenBucket
from shared.http.api_keys import KeyFile, KeyFileError, KeyRing, Role
from shared.http.problems import Problem
from shared.observability.health import ConfigurationError

PEPPER = "5e" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ZHUJI = ("/districts/330681/",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    KeyFile(path, PEPPER).create()
    return path


def is_found(file: Path, text: str, now: datetime = NOW) -> bool:
    return KeyRing(file, PEPPER).find(text, now) is not None


def test_a_secret_is_shown_once_and_kept_as_an_hmac(file: Path) -> None:
    key, text = KeyFile(file, PEPPER).add(Role.DISTRICT, ZHUJI, "诸暨市证书系统")
    secret = text.removeprefix(f"sk_{key.id}_")
    assert len(secret) == 43  # 32 bytes
    assert secret not in file.read_text()
    assert key.secrets[0].mac in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert is_found(file, text)


def test_only_the_whole_secret_of_the_same_key_is_taken(file: Path) -> None:
    keys = KeyFile(file, PEPPER)
    key, text = keys.add(Role.READER)
    other, of_other = keys.add(Role.READER)
    swapped = of_other.replace(other.id, key.id)
    for wrong in (swapped, text[:-1], text + "A", text.upper(), f" {text}", "", "sk__", f"sk_00000000_{'A' * 43}"):
        assert not is_found(file, wrong)
    assert is_found(file, text)
    assert is_found(file, of_other)


def test_another_pepper_opens_nothing_and_says_so(file: Path) -> None:
    KeyFile(file, PEPPER).add(Role.READER)
    with pytest.raises(KeyFileError, match="KEY_PEPPER"):
        KeyRing(file, "ab" * 32)
    with pytest.raises(KeyFileError, match="32 bytes in hex"):
        KeyRing(file, "")


def test_a_rotated_key_takes_both_secrets_until_the_overlap_ends(file: Path) -> None:
    keys = KeyFile(file, PEPPER)
    key, old = keys.add(Role.READER, now=NOW)
    _, new = keys.rotate(key.id, timedelta(days=7), now=NOW)
    last = NOW + timedelta(days=7) - timedelta(microseconds=1)
    assert is_found(file, old, last)
    assert not is_found(file, old, NOW + timedelta(days=7))
    assert is_found(file, new, NOW + timedelta(days=70))


def test_a_second_rotation_does_not_lengthen_the_first_secrets_life(file: Path) -> None:
    keys = KeyFile(file, PEPPER)
    key, first = keys.add(Role.READER, now=NOW)
    _, second = keys.rotate(key.id, timedelta(days=1), now=NOW)
    keys.rotate(key.id, timedelta(days=30), now=NOW + timedelta(hours=1))
    assert not is_found(file, first, NOW + timedelta(days=2))
    assert is_found(file, second, NOW + timedelta(days=2))
    keys.rotate(key.id, timedelta(0), now=NOW + timedelta(days=3))
    assert not is_found(file, second, NOW + timedelta(days=3))


def test_a_revoked_key_stays_in_the_file_and_keeps_the_doors_closed(file: Path) -> None:
    keys = KeyFile(file, PEPPER)
    key, text = keys.add(Role.READER, now=NOW)
    assert keys.revoke(key.id, now=NOW).state(NOW) == "revoked"
    ring = KeyRing(file, PEPPER)
    assert ring.closed
    revoked = ring.find(text, NOW)
    assert revoked is not None
    assert revoked.state(NOW) == "revoked"
    for wrong in (lambda: keys.revoke(key.id), lambda: keys.rotate(key.id, timedelta(1))):
        with pytest.raises(KeyFileError, match="revoked"):
            wrong()


def test_an_expired_key_says_so(file: Path) -> None:
    key, _ = KeyFile(file, PEPPER).add(Role.READER, expires_at=NOW + timedelta(days=1), now=NOW)
    assert [key.state(NOW + timedelta(hours=hours)) for hours in (23, 24)] == ["valid", "expired"]


@pytest.mark.parametrize(
    ("role", "prefixes"),
    [
        (Role.DISTRICT, ()),
        (Role.PLANNER, ()),
        (Role.READER, ZHUJI),
        (Role.DISTRICT, ("/districts/33/",)),
        (Role.DISTRICT, ("/districts/330681/a b",)),
        (Role.DISTRICT, ("",)),
    ],
)
def test_a_prefix_is_a_districts_and_has_its_form(file: Path, role: Role, prefixes: tuple[str, ...]) -> None:
    before = file.read_bytes()
    with pytest.raises(KeyFileError, match="source prefixes"):
        KeyFile(file, PEPPER).add(role, prefixes)
    assert file.read_bytes() == before


def test_the_doors_stay_open_until_the_first_key_that_is_no_services(file: Path) -> None:
    """RULES A10; the installation's own processes have keys from the first hour."""
    keys = KeyFile(file, PEPPER)
    assert not KeyRing(None, "").closed
    assert not KeyRing(file, PEPPER).closed
    keys.add(Role.SERVICE)
    assert not KeyRing(file, PEPPER).closed
    keys.add(Role.READER)
    assert KeyRing(file, PEPPER).closed


@pytest.mark.parametrize("harm", ["deleted", "garbled", "cut off", "other pepper", "emptied of keys"])
def test_a_harmed_file_opens_no_door(file: Path, tmp_path: Path, harm: str) -> None:
    _, text = KeyFile(file, PEPPER).add(Role.READER)
    ring, good = KeyRing(file, PEPPER), file.read_text()
    if harm == "deleted":
        file.unlink()
    elif harm == "other pepper":
        KeyFile(tmp_path / "other", "ab" * 32).create()
        os.replace(tmp_path / "other", file)
    else:
        file.write_text({"garbled": "{]", "cut off": good[:-9]}.get(harm, json.dumps(json.loads(good) | {"keys": []})))
    ring.refresh()
    assert ring.closed
    if harm == "emptied of keys":  # a good file, of which nobody is let in
        assert (ring.problem, ring.find(text, NOW)) == (None, None)
    else:
        assert ring.find(text, NOW) is not None
        assert ring.problem is not None
        assert text not in ring.problem
        with pytest.raises(KeyFileError):
            KeyRing(file, PEPPER)
    file.write_text(good)
    ring.refresh()
    assert ring.problem is None
    assert ring.find(text, NOW) is not None


def test_nothing_is_made_over_a_file_that_is_there(file: Path) -> None:
    KeyFile(file, PEPPER).add(Role.READER)
    before = file.read_bytes()
    with pytest.raises(KeyFileError, match="already"):
        KeyFile(file, PEPPER).create()
    assert file.read_bytes() == before


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=100, now=0)
    assert bucket.take(100, 0) == 0
    assert bucket.take(1, 0) == pytest.approx(0.1)
    assert bucket.take(10, 1) == 0
    assert bucket.take(30, 2) == pytest.approx(2)  # 10 are there, and are left there
    assert bucket.take(10, 2) == 0
    assert bucket.take(100, 1000) == 0
    assert bucket.take(1, 1000) == pytest.approx(0.1)  # kept up to the burst, no more


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=10, now=100)
    assert bucket.take(10, 100) == 0
    assert bucket.take(1, 50) == pytest.approx(0.1)


def test_a_caller_speaks_for_its_prefixes_in_its_role(file: Path) -> None:
    key, _ = KeyFile(file, PEPPER).add(Role.DISTRICT, ("/districts/330681/", "/districts/330602/hr"))
    caller = Caller(key)
    assert caller.channel() == Channel(prefixes=key.prefixes, for_whole=False, reported_by=key.id)
    assert Caller().channel() == Channel()
    for source in ("/districts/330681/any", "/districts/330602/hr"):
        caller.must_cover(source)
    for source in ("/districts/330602/hrm", "/districts/330683/any", "", "/districts/3306810/x"):
        with pytest.raises(Problem):
            caller.must_cover(source)
    auditor, _ = KeyFile(file, PEPPER).add(Role.AUDITOR)
    Caller(auditor).must_cover("/districts/330683/any")
    Caller().must_cover("/districts/330683/any")


def test_every_role_is_good_for_something_and_only_two_may_write() -> None:
    assert set(Role) == PERMISSIONS["GET", ""]
    # What is asked by POST, and a browser's own session, record nothing.
    asked_only = ("/v1/receipts/query", "/v1/would-count", "/v1/session")
    writers = {
        role
        for (method, path), roles in PERMISSIONS.items()
        if method != "GET" and path not in asked_only
        for role in roles
    }
    assert writers == {Role.DISTRICT, Role.PLANNER}


# Who did it, and for how long (issue 13.3)


def test_what_is_done_to_keys_is_recorded_with_who_and_when(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyFile(file, PEPPER)
    key, text = keys.add(Role.DISTRICT, ZHUJI, "诸暨市证书系统", NOW + timedelta(days=365), NOW, by="张三")
    monkeypatch.setenv("SKILLPLAN_BY", "李四")
    keys.rotate(key.id, timedelta(days=7), now=NOW + timedelta(days=1))
    keys.revoke(key.id, now=NOW + timedelta(days=2), by="王五")
    acts = keys.history()
    assert [(act.act, act.by, act.at, act.key, act.role) for act in acts] == [
        ("made", "张三", NOW, key.id, "district"),
        ("rotated", "李四", NOW + timedelta(days=1), key.id, "district"),
        ("revoked", "王五", NOW + timedelta(days=2), key.id, "district"),
    ]
    assert (acts[0].prefixes, acts[0].label, acts[0].expires_at) == (ZHUJI, "诸暨市证书系统", NOW + timedelta(days=365))
    history = file.with_name("keys.json.history")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert text not in history.read_text(encoding="utf-8")
    with pytest.raises(KeyFileError):
        keys.revoke(key.id)
    assert len(keys.history()) == 3, "what was refused was not done"


@pytest.mark.parametrize("change", ["another name", "a line less", "lines swapped", "no JSON"])
def test_a_history_that_was_changed_is_named_and_nothing_is_done(file: Path, change: str) -> None:
    keys = KeyFile(file, PEPPER)
    for name in ("甲", "乙", "丙"):
        keys.add(Role.READER, by=name)
    history = file.with_name("keys.json.history")
    first, second, third = history.read_text(encoding="utf-8").splitlines()
    lines = {
        "another name": [first, second.replace("乙", "丁"), third],
        "a line less": [first, third],
        "lines swapped": [second, first, third],
        "no JSON": [first, second, third, "{"],
    }[change]
    history.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = file.read_bytes()
    for work in (keys.history, lambda: keys.add(Role.READER)):
        with pytest.raises(ConfigurationError, match="history of keys"):
            work()
    assert file.read_bytes() == before


def test_a_key_file_from_before_there_was_a_history_goes_on(file: Path) -> None:
    keys = KeyFile(file, PEPPER)
    key, text = keys.add(Role.READER, now=NOW)
    file.with_name("keys.json.history").unlink()
    assert keys.history() == []
    assert is_found(file, text, NOW + timedelta(days=3650)), "a key that was made without an expiry has none"
    keys.revoke(key.id, by="甲")
    assert [act.act for act in keys.history()] == ["revoked"]


def test_a_new_key_file_begins_a_history_of_its_own_and_keeps_the_old_one(file: Path) -> None:
    KeyFile(file, PEPPER).add(Role.READER, by="甲")
    file.unlink()  # its pepper was lost, say
    keys = KeyFile(file, "ab" * 32)
    keys.create()
    keys.add(Role.READER, by="乙")
    assert [act.by for act in keys.history()] == ["乙"]
    (earlier,) = file.parent.glob("keys.json.history.*")
    assert "甲" in earlier.read_text(encoding="utf-8")


def run_keys(file: Path, *arguments: str) -> Any:
    environment = {"SKILLPLAN_KEYS": str(file), "SKILLPLAN_KEY_PEPPER": PEPPER, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=environment, catch_exceptions=False)


def test_the_command_makes_keys_for_a_year_unless_told_otherwise(file: Path) -> None:
    def made(*arguments: str) -> dict[str, Any]:
        done = run_keys(file, *arguments, "--json")
        assert done.exit_code == 0, done.output
        record: dict[str, Any] = json.loads(done.stdout)
        return record

    year = made("add", "--role", "reader", "--by", "张三")
    assert datetime.fromisoformat(year["expires_at"]) - datetime.now(UTC) > timedelta(days=364)
    assert datetime.fromisoformat(year["expires_at"]) - datetime.now(UTC) <= timedelta(days=366)
    assert (year["state"], year["expires_soon"]) == ("valid", False)
    assert made("add", "--role", "reader", "--expires", "never")["expires_at"] is None
    week = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
    soon = made("add", "--role", "auditor", "--expires", week)
    assert soon["expires_soon"]
    listed = run_keys(file, "list")
    assert "将到期 expires soon" in listed.stdout
    assert "不过期 never" in listed.stdout
    assert f"1 keys expire within a month; rotate them: {soon['id']}" in listed.stderr
    assert "1 keys never expire" in listed.stderr
    rotated = made("rotate", soon["id"], "--by", "李四")
    assert not rotated["expires_soon"]
    acts = run_keys(file, "history")
    assert all(text in acts.stdout for text in ("张三", "李四", "轮换 rotated", soon["id"]))
    assert [act["by"] for act in json.loads(run_keys(file, "history", "--json").stdout)][0::3] == ["张三", "李四"]
