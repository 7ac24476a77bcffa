"""An auditor's page, command by command, and the attacks of its table by a superuser of PostgreSQL (docs/audit.md)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from client.audit.verify import leaf_of, root_of
from client.audit.witness import CosigningWitness, server_of
from deploy.local import postgres
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import Cosigner, CosigningKey, TreeHead, read_checkpoint
from shared.log.sm2 import new_key
from tests.conftest import ROOT
from tests.harness.databases import drop
from tests.harness.processes import LOG_KEY, System, eventually, run
from tests.harness.reports import person_hired
from tests.harness.topics import settle, whole

pytestmark = pytest.mark.waits

SERVICES = ("recruitment",)
PAGE: Final = ROOT / "docs" / "audit.md"
VERIFY: Final = ROOT / "client" / "audit" / "verify.py"
FACTS: Final = 30
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
KEY: Final = LogSigner("recruitment", bytes.fromhex(LOG_KEY)).verifier_key
# What a superuser does at position 7, and what is found. `altered`: the bytes with a word changed; `renumbered`: with
# the position before.
ATTACKS: Final = {
    "changed": (
        "update fact set bytes = altered(bytes), sha256 = sha256(altered(bytes)) where position = 7",
        "position 7 was changed.",
    ),
    "changed-bytes": ("update fact set bytes = altered(bytes) where position = 7", "position 7 was changed."),
    "removed": ("delete from fact where position = 7", "position 7 was removed."),
    "removed-renumbered": (
        "delete from fact where position = 7; update fact set bytes = renumbered(bytes, position) where position > 7;"
        " update fact set position = position + 1000 where position > 7;"
        " update fact set position = position - 1001, sha256 = sha256(bytes) where position > 1000",
        "position 7 was changed;",
    ),
    "inserted": (
        "update fact set position = position + 1000 where position > 6;"
        " insert into fact select 7, stream, 9999, gen_random_uuid(), report_source, 'x', tags, recorded_at,"
        " altered(bytes), sha256(altered(bytes)) from fact where position = 6;"
        " update fact set position = position - 999 where position > 1000",
        "position 7 has one inserted before it (line 7).",
    ),
    "reordered": (
        "update fact set position = 1000 where position = 7; update fact set position = 7 where position = 8;"
        " update fact set position = 8 where position = 1000",
        "position 8 is out of its place (line 7).",
    ),
    "truncated": ("delete from fact where position >= 7", "position 7 is the first of "),
}
FUNCTIONS: Final = """
create or replace function altered(bytea) returns bytea language sql immutable
return convert_to(replace(convert_from($1, 'UTF8'), '"channel":', '"chanel":'), 'UTF8');
create or replace function renumbered(bytea, bigint) returns bytea language sql immutable
return convert_to(replace(convert_from($1, 'UTF8'), '"position":' || $2, '"position":' || $2 - 1), 'UTF8')
"""
STARTED: Final = """for _ in $(seq 300); do if [ -s started ]; then break; fi; sleep 0.2; done
kill "$(cat pid)"; grep -q '"key":"audit.example+' started"""
ON_THE_STACK: Final = {"forked", "cut-back"}


@dataclass
class Auditor:
    """A folder with verify.py, apart from the checkout, and what its commands are given."""

    system: System
    folder: Path
    tools: Path
    restored: str = ""

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        programs = (str(Path(sys.executable).parent), str(ROOT / "bin"), str(self.tools), os.environ["PATH"])
        environment = {
            "PATH": os.pathsep.join(programs), "HOME": str(self.folder), "LANG": "C.UTF-8",
            "URL": self.system.the("recruitment", "api").url, "DATABASE": self.restored,
        }  # fmt: skip
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment,
            capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    def verify(self, *arguments: str) -> tuple[int, str]:
        """Run verify.py by itself; return its exit code and what it printed."""
        done = subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments], cwd=self.folder,
            capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    def mirror(self, folder: str = "recruitment", key: str = KEY) -> tuple[int, str]:
        return self.verify("mirror", self.system.the("recruitment", "api").url, folder, "--key", key)

    def reached(self) -> int:
        """Wait until the tree has every fact."""
        http = self.system.the("recruitment", "api").http
        head: int = http.get("/v1/log/head").json()["position"]
        eventually(lambda: http.get("/v1/log/proof", params={"position": head}).is_success)
        return head

    def plant_anew(self) -> None:
        """Have the service build and sign its tree over what the database holds now."""
        worker = self.system.the("recruitment", "worker")
        worker.stop()
        self.system.query("recruitment", "truncate tree_tile, tree_node")
        self.system.query("recruitment", "update tree set size = 0, edge = ''")
        worker.start(wait=False)
        self.reached()


@pytest.fixture(name="auditor", scope="module")
def auditor_fixture(running: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auditor]:
    """Reports that were accepted, a mirror, receipts, and a backup that was restored to another database."""
    folder = tmp_path_factory.mktemp("auditor")
    shutil.copy(VERIFY, folder / "verify.py")
    major = int(running.query("recruitment", "show server_version_num")[0][0]) // 10_000
    able = [binaries for binaries in postgres.find_binaries() if binaries.major >= major]
    made = Auditor(running, folder, min(able, key=lambda binaries: binaries.major).folder)
    running.query("recruitment", FUNCTIONS.partition(";")[0])
    running.query("recruitment", FUNCTIONS.partition(";")[2])
    reports = [person_hired(f"audited-{number}") for number in range(FACTS)]
    answer = running.the("recruitment", "api").http.post("/v1/events", json=reports, headers=BATCH)
    receipts = answer.json()["results"]
    assert {receipt["status"] for receipt in receipts} == {"accepted"}
    lines = "".join(json.dumps(receipt, ensure_ascii=False) + "\n" for receipt in receipts)
    (folder / "receipts.ndjson").write_text(lines, encoding="utf-8")
    made.reached()
    assert made.mirror() == (0, made.mirror()[1])
    write_certificate(folder)
    name = f"restored_{secrets.token_hex(4)}"
    address = str(urlunsplit(urlsplit(running.superuser)._replace(path=f"/{name}")))
    source = str(urlunsplit(urlsplit(running.superuser)._replace(path=f"/{running.databases['recruitment'].name}")))
    made.restored = address
    done = made.shell(
        f"psql '{running.superuser}' -qc 'create database {name}'\n"
        f"pg_dump --format=custom --file=backup.dump '{source}'\n"
        f"pg_restore --exit-on-error --no-owner --no-privileges --dbname='{address}' backup.dump"
    )
    assert done.returncode == 0, done.stderr
    yield made
    run(drop(running.superuser, name))


def write_certificate(folder: Path) -> None:
    """Write a certificate of erasure as planning signs it, its key, and a mirror of its log (real ones: e2e)."""
    signer = LogSigner("planning", b"p" * 32)
    digests = [hashlib.sha256(name).digest() for name in (b"asked", b"approved", b"other")]
    leaves = [leaf_of(digest) for digest in digests]
    recorded = [{"position": at, "sha256": digests[at - 1].hex(), "by": by} for at, by in ((1, "信息科"), (2, "局长"))]
    text = json.dumps(
        {"recorded": recorded, "services": {"recruitment": {"facts": 3, "waiting": 0}}}, ensure_ascii=False
    )
    (folder / "planning").mkdir()
    (folder / "planning" / "leaves").write_bytes(b"".join(leaves))
    (folder / "planning" / "checkpoint").write_text(signer.checkpoint(3, root_of(b"".join(leaves))), encoding="utf-8")
    (folder / "planning.key").write_text(signer.verifier_key, encoding="utf-8")
    (folder / "erasure.certificate").write_text(signer.note(f"{text}\n"), encoding="utf-8")
    (folder / "changed.certificate").write_text(signer.note(f"{text}\n").replace("局长", "他人"), encoding="utf-8")
    wrong = text.replace(digests[1].hex(), digests[2].hex())
    (folder / "wrong.certificate").write_text(signer.note(f"{wrong}\n"), encoding="utf-8")
    (folder / "note.certificate").write_text(signer.note("a note\n"), encoding="utf-8")


async def attacked(address: str, sql: str) -> bytes:
    """Attack as superuser with triggers off; return the facts as the page exports them, and undo it."""
    connection = await asyncpg.connect(address)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(sql)
        rows = await connection.fetch("select bytes from fact order by position")
        lines: list[bytes] = [row["bytes"] for row in rows]
        await transaction.rollback()
    finally:
        await connection.close()
    return b"".join(line + b"\n" for line in lines)


def test_every_command_of_the_page_runs(auditor: Auditor) -> None:
    commands = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(commands) == 8
    for command in commands:
        if "skillplan evidence" in command:
            continue  # a month must be closed: test_planning.py runs it
        serves = "skillplan witness" in command  # it answers until it is stopped
        beside = f"( {command.strip()} --port 0 --json & echo $! >pid ) >started 2>&1\n{STARTED}"
        done = auditor.shell(beside if serves else command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert (auditor.folder / "recruitment.key").read_text().strip() == KEY


def test_the_page_lists_the_attacks_that_are_tried() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == (
        ATTACKS.keys() | ON_THE_STACK
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_what_a_superuser_does_to_a_restored_backup_is_named(auditor: Auditor, name: str) -> None:
    sql, named = ATTACKS[name]
    export = auditor.folder / f"{name}.ndjson"
    export.write_bytes(run(attacked(auditor.restored, sql)))
    code, printed = auditor.verify("facts", export.name, "--key", KEY, "--mirror", "recruitment")
    assert (code, named in printed) == (1, True), printed
    code, printed = auditor.verify("facts", export.name, "--key", KEY, "--checkpoint", "recruitment/checkpoint")
    assert code == 1, printed


def test_the_topic_holds_the_facts_of_the_checkpoint(auditor: Auditor) -> None:
    settle(auditor.system, "recruitment")
    messages = whole(auditor.system.kafka, "recruitment.events")
    lines = {message.json["position"]: message.value or b"" for message in messages}
    export = auditor.folder / "topic.ndjson"
    export.write_bytes(b"".join(lines[position] + b"\n" for position in sorted(lines)))
    assert auditor.verify("facts", export.name, "--key", KEY, "--mirror", "recruitment")[0] == 0
    export.write_bytes(b"".join(lines[position] + b"\n" for position in sorted(lines) if position != 7))
    code, printed = auditor.verify("facts", export.name, "--key", KEY, "--mirror", "recruitment")
    assert (code, "position 7 was removed" in printed) == (1, True), printed


def test_a_history_that_the_service_itself_signs_anew_is_a_fork(auditor: Auditor) -> None:
    """A superuser changes a fact, its digest and the tree; the service signs it, and the receipts prove it."""
    system = auditor.system
    assert auditor.mirror()[0] == 0
    shutil.copytree(auditor.folder / "recruitment", auditor.folder / "kept", dirs_exist_ok=True)
    system.query("recruitment", "create table aside as select * from fact where position = 7")
    system.query("recruitment", ATTACKS["changed"][0])
    try:
        export = (system.the("recruitment", "api").url, "forked.ndjson")
        assert auditor.verify("export", *export)[0] == 0
        code, printed = auditor.verify("facts", "forked.ndjson", "--key", KEY, "--mirror", "kept")
        assert (code, "position 7 was changed." in printed) == (1, True), printed
        auditor.plant_anew()
        code, printed = auditor.mirror("kept")
        assert (code, "they differ from position 7 on" in printed) == (1, True), printed
        assert auditor.mirror("forked")[0] == 0, "who comes for the first time sees one history only"
        earlier = ("--checkpoint", "kept/checkpoint")
        code, printed = auditor.verify("facts", "forked.ndjson", "--key", KEY, "--mirror", "forked", *earlier)
        assert (code, "Fork" in printed) == (1, True), printed
        receipts = ("receipts", "receipts.ndjson", "--key", KEY, "--mirror", "forked")
        code, printed = auditor.verify(*receipts)
        assert (code, "position 7 is not the fact that was acknowledged" in printed) == (1, True), printed
    finally:
        system.query("recruitment", "delete from fact where position = 7")
        system.query("recruitment", "insert into fact select * from aside")
        system.query("recruitment", "drop table aside")
        auditor.plant_anew()
    assert auditor.mirror("kept")[0] == 0


def test_a_log_that_ends_earlier_than_last_time_is_named(auditor: Auditor) -> None:
    system = auditor.system
    assert auditor.mirror()[0] == 0
    worker = system.the("recruitment", "worker")
    worker.stop()
    system.query("recruitment", "truncate tree_tile, tree_node")
    system.query("recruitment", "update tree set size = 0, edge = ''")
    code, printed = auditor.mirror()
    assert (code, "it ends at 0" in printed) == (1, True), printed
    worker.start(wait=False)
    auditor.reached()
    assert auditor.mirror()[0] == 0


def test_what_cannot_be_checked_is_said_in_a_sentence(auditor: Auditor, tmp_path: Path) -> None:
    folder, mirror = auditor.folder, ("--mirror", "recruitment")
    assert auditor.mirror()[0] == 0
    assert auditor.verify("export", auditor.system.the("recruitment", "api").url, "whole.ndjson")[0] == 0
    raw = (folder / "whole.ndjson").read_bytes()
    (folder / "cut.ndjson").write_bytes(raw[: len(raw) // 2])
    receipt: dict[str, Any] = json.loads((folder / "receipts.ndjson").read_text(encoding="utf-8").splitlines()[0])
    (folder / "later.ndjson").write_text(json.dumps(receipt | {"position": 10**9}), encoding="utf-8")
    earlier = {name: value for name, value in receipt.items() if name != "sha256"}
    (folder / "earlier.ndjson").write_text(json.dumps(earlier), encoding="utf-8")
    assert (
        "1 have no hash and were not checked" in auditor.verify("receipts", "earlier.ndjson", "--key", KEY, *mirror)[1]
    )
    (folder / "none.ndjson").write_text("{}\n", encoding="utf-8")
    shutil.copytree(folder / "recruitment", folder / "damaged", dirs_exist_ok=True)
    leaves = (folder / "damaged" / "leaves").read_bytes()
    (folder / "damaged" / "leaves").write_bytes(b"x" + leaves[1:])
    other = LogSigner("recruitment", b"x" * 32).verifier_key
    whole_ = ("facts", "whole.ndjson")
    url, before = auditor.system.the("recruitment", "api").url, _bytes_below(folder)
    for arguments, zh, en in (
        (("facts", "cut.ndjson", "--key", KEY, *mirror), "中间断了", "is cut off within line"),
        ((*whole_, "--key", other, *mirror), "没有这把公钥", "no signature of this key"),
        ((*whole_, "--key", KEY[:-4], *mirror), "不是验证公钥", "neither a verifier key"),
        ((*whole_, "--key", KEY, "--mirror", "damaged"), "已损坏", "damaged"),
        ((*whole_, "--key", KEY, "--mirror", "nowhere"), "没有镜像", "run mirror first"),
        ((*whole_, "--key", KEY), "请给出", "Give --mirror"),
        (("facts", "missing.ndjson", "--key", KEY, *mirror), "读不了", "cannot be read"),
        (("receipts", "later.ndjson", "--key", KEY, *mirror), "请再取镜像", "mirror again"),
        (("receipts", "none.ndjson", "--key", KEY, *mirror), "不是回执", "not a receipt."),
        (("mirror", "ftp://nowhere", "x", "--key", KEY), "http://", "must begin with"),
        (("mirror", url, "recruitment", "--key", other), "没有这把公钥", "no signature of this key"),
        (("mirror", url, "damaged", "--key", KEY), "已损坏", "damaged"),
        (("export", f"{url}/nowhere", "whole.ndjson"), "取不到", "cannot be fetched"),
        (("export", url, "nowhere/whole.ndjson"), "写不了", "cannot be written"),
    ):  # fmt: skip
        code, printed = auditor.verify(*arguments)
        assert (code, zh in printed, en in printed) == (2, True, True), (arguments, printed)
    assert _bytes_below(folder) == before, "what cannot be checked changes nothing"


def _bytes_below(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_certificate_of_erasure_is_signed_and_its_facts_are_in_the_log(auditor: Auditor) -> None:
    planning = ("--key", "planning.key", "--mirror", "planning")
    code, printed = auditor.verify("certificate", "erasure.certificate", *planning)
    assert (code, "信息科 申请、局长 核准(位置 1、2,都在日志中);3 条事实" in printed) == (0, True), printed
    assert "were not looked up" in auditor.verify("certificate", "erasure.certificate", *planning[:2])[1]
    for arguments, code, sentence in (
        (("changed.certificate", *planning), 2, "the signature is wrong"),
        (("wrong.certificate", *planning), 1, "position 2 is not the fact that the certificate names"),
        (("note.certificate", *planning), 2, "is no certificate"),
        (("erasure.certificate", "--key", KEY), 2, "no signature of this key"),
        (("nowhere.certificate", *planning), 2, "cannot be read"),
    ):
        assert (code, True) == ((done := auditor.verify("certificate", *arguments))[0], sentence in done[1]), done


def test_the_file_imports_nothing_of_ours() -> None:
    text = VERIFY.read_text(encoding="utf-8")
    imported = set(re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", text, re.MULTILINE))
    assert imported - set(sys.stdlib_module_names) == {"cryptography", "gmssl_pyx"}
    # The second is asked for only where a city signs by SM2, too, and is there.
    assert re.findall(r"^(?:from|import) gmssl_pyx", text, re.MULTILINE) == []


def test_witnesses_cosign_what_is_published_and_nothing_waits_for_one_that_is_away(
    auditor: Auditor, tmp_path: Path
) -> None:
    system, keys = auditor.system, [KEY]
    witnesses = [CosigningWitness(tmp_path / name, f"{name}.example", keys) for name in ("district", "bureau")]
    servers = [server_of(witness, "127.0.0.1", 0) for witness in witnesses]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    away = CosigningKey("away.example", b"a" * 32).verifier_key
    pairs = zip(servers, witnesses, strict=True)
    addresses = [f"http://127.0.0.1:{server.server_port}/#{each.key.verifier_key}" for server, each in pairs]
    worker, http = system.the("recruitment", "worker"), system.the("recruitment", "api").http
    worker.stop()
    worker.settings["SKILLPLAN_WITNESSES"] = " ".join([*addresses, f"http://127.0.0.1:9/#{away}"])
    sm2_key = worker.settings["SKILLPLAN_LOG_GM_KEY"] = new_key()
    worker.start()
    try:
        size = http.get("/v1/log/head").json()["position"]

        def published() -> TreeHead | None:
            head = read_checkpoint(http.get("/v1/log/checkpoint").text)
            return head if head.size == size and len(head.signatures) > 2 else None

        head = eventually(published)
        assert head is not None
        for witness in witnesses:
            assert Cosigner(witness.key.verifier_key).cosigned_at(head.text, head.signatures)
            assert witness.last(head.origin).size == head.size
        warning = worker.http.get("/readyz").json()["warnings"]["witnesses"]
        assert warning.startswith("2 of 3 cosign, 1 are needed: away.example does not answer")
        signer = LogSigner("recruitment", bytes.fromhex(LOG_KEY), sm2_key)
        (tmp_path / "sm2.key").write_text(f"{signer.sm2_verifier_key}\n", encoding="utf-8")
        assert auditor.mirror("by-sm2", str(tmp_path / "sm2.key"))[0] == 0, "decision 0032, in a process"
        assert auditor.mirror("witnessed")[0] == 0, "who knows nothing of either reads it as before"
        # The service signs a shorter log: no witness cosigns it, and what was cosigned stays published.
        worker.stop()
        system.query("recruitment", "truncate tree_tile, tree_node")
        system.query("recruitment", "update tree set size = 0, edge = ''")
        assert read_checkpoint(http.get("/v1/log/checkpoint?cosigned=false").text).size == 0
        assert published() == head
    finally:
        worker.settings |= {"SKILLPLAN_WITNESSES": "", "SKILLPLAN_LOG_GM_KEY": ""}
        worker.start()
        auditor.reached()
        for server in servers:
            server.shutdown()
            server.server_close()
        for witness in witnesses:
            witness.close()
    eventually(lambda: len(read_checkpoint(http.get("/v1/log/checkpoint").text).signatures) == 1)
