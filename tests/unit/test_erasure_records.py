"""What a restore leaves out: the keys of whom an approved erasure destroyed after the backup was taken."""

from __future__ import annotations

from pathlib import Path

from deploy.operations.erasable import RowsFile, digest_of, take_out, write_manifest
from deploy.operations.erasure import Mentions
from deploy.operations.erasure_records import Record, erased_since

TAKEN = "20261101T010000Z"


def test_an_erasure_holds_for_backups_from_before_once_it_is_approved(tmp_path: Path) -> None:
    for number, token, approved, ended_at in (
        ("1", "before", True, "2026-11-01T00:59:59.000000Z"),
        ("2", "after", True, "2026-11-01T01:00:00.000000Z"),
        ("3", "broken-off", True, None),
        ("4", "not-approved", False, None),
    ):
        Record(number, token, approved, ended_at).write(tmp_path)
    assert erased_since([tmp_path, tmp_path / "none"], TAKEN) == {"after", "broken-off"}
    unfinished = Record.unfinished(tmp_path, "not-approved")
    assert unfinished is not None
    unfinished.remove(tmp_path)
    assert Record.unfinished(tmp_path, "not-approved") is None
    assert Record.unfinished(tmp_path, "after") is None


def test_a_person_is_taken_out_of_a_backup_and_the_others_stay(tmp_path: Path) -> None:
    keys, unreadable = tmp_path / "subsidy.person_key.0", tmp_path / "subsidy.quarantine.0"
    keys.write_bytes(b"aa\t\\\\x01\nab\t\\\\x02\n")
    unreadable.write_bytes(
        b"1\tt\t0\t5\tr\t3\t\\\\x00\t\\\\x0a0b\t2026\n2\tt\t0\t6\tr\t3\t\\\\x00\t\\\\x0c\t2026\n3\tt\t0\t7\tr\t3\t\\\\x00\t\\N\t2026\n"
    )
    (tmp_path / "subsidy.person_key.7").write_bytes(b"left by one who was killed")
    apart = {
        "person_key": RowsFile(file=keys.name, sha256=digest_of(keys)),
        "quarantine": RowsFile(file=unreadable.name, sha256=digest_of(unreadable)),
    }
    dumped = {"sha256": "", "bytes": 0, "position": 1, "apart": apart}
    manifest = {"taken_at": TAKEN, "services": {"subsidy": dumped}, "keys": {}}
    write_manifest(tmp_path, manifest)  # type: ignore[arg-type]
    gone = take_out(tmp_path, manifest, "subsidy", "aa", lambda sealed, at: (sealed, at) == (b"\x0a\x0b", "t/0/5"))  # type: ignore[arg-type]
    assert gone == (1, 1)
    assert (tmp_path / apart["person_key"]["file"]).read_bytes() == b"ab\t\\\\x02\n"
    assert b"5\tr\t3\t\\\\x00\t\\N\t" in (tmp_path / apart["quarantine"]["file"]).read_bytes()
    assert len(list(tmp_path.glob("subsidy.*"))) == 2, "what no manifest names is removed"
    assert digest_of(tmp_path / apart["quarantine"]["file"]) == apart["quarantine"]["sha256"]
    assert take_out(tmp_path, manifest, "subsidy", "aa", lambda _sealed, _at: False) == (0, 0)  # type: ignore[arg-type]


def test_a_person_is_found_in_whatever_encoding_and_spelling() -> None:
    mentions = Mentions("33060219900101001X")
    mentions.add({"遗忘之", "19900700000"})
    number = "330602-1990 0101.001x"
    texts = (
        number,
        "３３０６０２１９９００１０１００１Ｘ",
        "遗忘之",
        "tel:199 0070 0000",
        '{"name": "\\u9057\\u5fd8\\u4e4b"}',
    )
    for text in texts:
        for encoding in ("utf-8", "gb18030", "utf-16-le", "utf-16-be", "utf-16"):
            assert mentions(text.encode(encoding)), (text, encoding)
            assert mentions(b"x" + text.encode(encoding) + b"\xff"), (text, encoding)
    assert not mentions("330602199001010028 张三".encode())
