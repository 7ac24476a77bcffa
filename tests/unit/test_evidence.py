"""The page that checks evidence packs: one digit changed in any layer, and it says in both languages which it is."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from client.audit.evidence import PAGE, archive
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import CosigningKey, read_checkpoint
from shared.log.tree import inclusion
from tests.conftest import ROOT
from tests.unit.test_tree import defined

SIGNERS: Final[dict[str, LogSigner]] = {
    name: LogSigner(name, name.encode().ljust(32, b"k")) for name in ("recruitment", "planning")
}
WITNESSES: Final = [CosigningKey(f"{name}.example", name.encode().ljust(32, b"w")) for name in ("a", "b", "c")]
SHA256: Final = "5" * 64
FIGURE: Final = {"indicator": "4.1.b", "period": "2024", "numerator": 3, "value": 3, "goal": 5, "met": False}
KNOWN_AT: Final = "2024-12-02T01:00:00Z"


def hire(position: int) -> dict[str, Any]:
    return {"position": position, "subject": f"hire/HT-{position}", "district": "330681", "reportid": f"r-{position}",
            "data": {"hired_on": "2024-03-11"}}  # fmt: skip


CLOSE: Final[dict[str, Any]] = {
    "position": 2, "subject": "month/p/2024-03",
    "data": {"plan": "p", "month": "2024-03", "known_at": KNOWN_AT, "sha256": SHA256, "figures": [FIGURE]},
}  # fmt: skip
LOGS: Final[dict[str, list[dict[str, Any]]]] = {
    "recruitment": [hire(n) for n in range(1, 12)],
    "planning": [{"position": 1}, CLOSE, {"position": 3}],
}
USED: Final = {"recruitment": (2, 5, 11), "planning": (2,)}


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def made() -> dict[str, bytes]:
    """Return the files of a pack as `skillplan evidence` writes them."""
    listed = [
        {"service": "recruitment", "position": n, "subject": f"hire/HT-{n}", "on": "2024-03-11", "district": "330681",
         "report_id": f"r-{n}", "numerator": 1, "denominator": 0}
        for n in USED["recruitment"]
    ]  # fmt: skip
    head = {"plan": "p", "month": "2024-03", "known_at": KNOWN_AT, "sha256": SHA256}
    files = {
        "figures.json": encoded(head | {"as_of": "2024-03-31", "district": None, "figures": [FIGURE]}),
        "contributions.json": encoded([{"indicator": "4.1.b", "period": "2024", "withheld": False, "facts": listed}]),
        "code.txt": f"skillplan 1\nplan p\nmonth 2024-03\nknown_at {KNOWN_AT}\nsha256 {SHA256}".encode(),
        "code.svg": b"<svg/>",
        "check.html": PAGE.read_bytes(),
    }
    for service, facts in LOGS.items():
        lines = [json.dumps(fact, separators=(",", ":")).encode() for fact in facts]
        digests = [hashlib.sha256(line).digest() for line in lines]
        note = SIGNERS[service].checkpoint(len(lines), defined(digests))
        text = read_checkpoint(note).text
        note += "".join(witness.cosign(text, 1_700_000_000) for witness in WITNESSES[:2])
        files[f"checkpoints/{service}.txt"] = note.encode()
        files[f"facts/{service}.ndjson"] = b"".join(lines[n - 1] + b"\n" for n in USED[service])
        files[f"proofs/{service}.json"] = encoded([
            {"position": n, "sha256": digests[n - 1].hex(), "proof": [
                base64.b64encode(defined(digests[first:end])).decode() for first, end in inclusion(n - 1, len(lines))
            ]}
            for n in USED[service]
        ])  # fmt: skip
    manifest = head | {
        "keys": {service: signer.verifier_key for service, signer in SIGNERS.items()},
        "witnesses": {
            "needed": 2,
            "of": [{"name": {"zh": "审计局", "en": "W"}, "key": witness.verifier_key} for witness in WITNESSES],
        },
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return files | {"manifest.json": encoded(manifest)}


def checked(folder: Path, *packs: dict[str, bytes]) -> list[dict[str, Any]]:
    """Return what the page finds in some packs."""
    names = [folder / f"{at}.zip" for at in range(len(packs))]
    for name, pack in zip(names, packs, strict=True):
        name.write_bytes(archive(pack))
    done = subprocess.run(
        ["node", str(ROOT / "tests" / "harness" / "check_pack.mjs"), str(PAGE), *map(str, names)],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# A file, what is replaced in it once, and what the page says of it.
FACTS: Final = "facts/recruitment.ndjson"
CHANGES: Final = [
    ("figures.json", '"numerator": 3', '"numerator": 4', "4.1.b · 2024", "numerator is 4 here; 3 was published"),
    ("figures.json", '"goal": 5', '"goal": 4', "目标这里写 4", "goal is 4 here; 5 was published"),
    ("figures.json", "2024-12-02T01", "2024-12-03T01", "known_at 写", "known_at in figures.json is 2024-12-03T01"),
    ("contributions.json", '"numerator": 1', '"numerator": 7', "合计 9", "is 3; the facts listed add up to 9"),
    ("contributions.json", '"position": 5', '"position": 6', "没有经过证明", "no proven fact at position 6"),
    ("contributions.json", "hire/HT-5", "hire/HT-4", "这里写 hire/HT-4", "is hire/HT-4 here; the fact has hire/HT-5"),
    (FACTS, '"reportid":"r-5"', '"reportid":"r-6"', "位置 5 的事实有改动:hire/HT-5", "at position 5 was changed"),
    (FACTS, '"position":11', '"position":12', "位置 11 的事实有改动:hire/HT-11", "at position 11 was changed"),
    ("facts/planning.ndjson", '"numerator":3', '"numerator":9', "planning 位置 2 的事实", "planning at position 2"),
    ("proofs/recruitment.json", '"position": 5', '"position": 6', "位置 6:证明对不上", "position 6: its proof"),
    ("checkpoints/recruitment.txt", "\n11\n", "\n12\n", "recruitment 的检查点有改动", "of recruitment was changed"),
    ("code.txt", SHA256, "4" + SHA256[1:], "二维码的 sha256 写", "QR code says sha256 4"),
    ("code.txt", "month 2024-03", "month 2024-04", "应为 month 2024-03", "it should be month 2024-03"),
    ("code.txt", f"sha256 {SHA256}", f"sha256 {SHA256}\nlog x 1 y", "二维码多写了 log x", "also says log x 1 y"),
    ("manifest.json", "2024-03", "2024-04", "manifest.json 的 month", "month in manifest.json is 2024-04"),
    ("manifest.json", '"needed": 2', '"needed": 3', "只有 2 份有效副署", "has 2 valid cosignatures of 3"),
]


def test_a_changed_digit_is_named_whatever_layer_it_is_in(tmp_path: Path) -> None:
    whole = made()
    packs = [whole]
    for name, old, new, *_ in CHANGES:
        assert old.encode() in whole[name], (name, old)
        packs.append(whole | {name: whole[name].replace(old.encode(), new.encode(), 1)})
    first, *others = checked(tmp_path, *packs)
    assert (first["findings"], first["open"], first["facts"]) == ([], [], 4)
    signers = {signer.verifier_key for signer in SIGNERS.values()}
    assert set(first["keys"]) == signers | {witness.verifier_key for witness in WITNESSES}
    for (name, _, new, zh, en), result in zip(CHANGES, others, strict=True):
        findings = result["findings"]
        assert any(zh in each["zh"] and en in each["en"] for each in findings), (name, new, findings)


@pytest.mark.parametrize("signed_by", ["log", "witness"])
def test_what_somebody_else_has_signed_does_not_pass(tmp_path: Path, signed_by: str) -> None:
    whole = made()
    note = whole["checkpoints/recruitment.txt"].decode()
    text = read_checkpoint(note).text
    if signed_by == "log":
        other = LogSigner("recruitment", b"o" * 32).checkpoint(11, b"r" * 32).splitlines()[-1]
        note = note.replace(read_checkpoint(note).signatures[0], other)
    else:
        note = note.replace(
            WITNESSES[1].cosign(text, 1_700_000_000), CosigningKey("b.example", b"o" * 32).cosign(text, 5)
        )
    (result,) = checked(tmp_path, whole | {"checkpoints/recruitment.txt": note.encode()})
    assert "recruitment 的检查点" in result["findings"][0]["zh"]


def test_what_the_key_may_not_see_is_proven_by_its_hash(tmp_path: Path) -> None:
    whole = made()
    whole["facts/recruitment.ndjson"] = b"\n\n\n"
    manifest = json.loads(whole["manifest.json"])
    manifest["files"]["facts/recruitment.ndjson"] = hashlib.sha256(b"\n\n\n").hexdigest()
    (result, broken) = checked(tmp_path, whole | {"manifest.json": encoded(manifest)}, {"manifest.json": b"{}"})
    assert result["findings"] == []
    assert "no whole evidence pack" in broken["findings"][0]["en"]


def test_the_same_files_are_the_same_bytes() -> None:
    whole = made()
    assert archive(whole) == archive(dict(reversed(whole.items())))
