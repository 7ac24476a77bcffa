"""Checks an export of a service's log, and receipts, against its signed checkpoints: one file that runs alone.

It needs Python 3.11 and the package `cryptography` (for a key of SM2 `gmssl-pyx`), and imports nothing of Skillplan.
docs/audit.md says what is checked and how each command is used. Exit codes: 0 it holds; 1 it was tampered with, and
where; 2 it cannot be checked.

    python verify.py mirror URL FOLDER --key KEY          fetch checkpoint and leaf hashes; compare with the last time
    python verify.py facts EXPORT --key KEY [--mirror FOLDER] [--checkpoint FILE …]
    python verify.py receipts RECEIPTS --key KEY --mirror FOLDER
    python verify.py certificate CERTIFICATE --key KEY [--mirror FOLDER]        of a person's erasure; planning's key
    python verify.py export URL FILE                      fetch all facts, a line each (a key of the role auditor)
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

HOLDS, TAMPERED, UNCHECKED = 0, 1, 2
SIZE, WIDTH, MOST = 32, 256, 20
POSITION = re.compile(rb'"position":([0-9]+)')
SM2 = b"\xffGB/T 32918.2 SM2 with SM3"
Check = Callable[[bytes, bytes], bool]
sha256 = hashlib.sha256


class Stop(Exception):
    """The end of a check: its exit code, and why in both languages."""

    def __init__(self, code: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.code, self.zh, self.en = code, zh, en


class SignedHead(NamedTuple):
    """The head of a log's tree that its key has signed."""

    origin: str
    size: int
    root: bytes
    text: str


def fail(zh: str, en: str) -> NoReturn:
    """End: it cannot be checked."""
    raise Stop(UNCHECKED, zh, en)


# --- C2SP signed-note and tlog-checkpoint


class VerifierKey:
    """A verifier key: `<name>+<id>+<base64 of a type and the public key>`, or a file with one.

    The type is 1 for Ed25519, and SM2 for a public point of SM2; each needs its package.
    """

    def __init__(self, given: str) -> None:
        text = Path(given).read_text(encoding="utf-8").strip() if Path(given).is_file() else given.strip()
        self.name, id_, encoded = (*text.split("+", 2), "", "")[:3]
        try:
            public = base64.b64decode(encoded, validate=True)
            self.id = bytes.fromhex(id_)
            if sha256(self.name.encode() + b"\n" + public).digest()[:4] != self.id:
                raise ValueError  # noqa: TRY301 - one sentence for all that is no key
            self._holds = by_sm2(public[len(SM2) :]) if public.startswith(SM2) else by_ed25519(public)
        except ValueError:
            fail(
                "--key 不是验证公钥(名称+编号+base64)。",
                "--key is neither a verifier key (name+id+base64) nor a file that holds one.",
            )

    def open(self, note: str, where: str) -> SignedHead:
        """Return the checkpoint in a note that this key has signed."""
        lines = self.signed(note, where).split("\n")
        try:
            return SignedHead(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True), note)
        except (ValueError, IndexError):
            fail(f"{where}:签署的不是检查点。", f"{where}: what is signed is no checkpoint.")

    def signed(self, note: str, where: str) -> str:
        """Return the text of a note that this key has signed."""
        text, separator, signatures = note.rpartition("\n\n")
        for signature in signatures.splitlines() if separator else ():
            dash, name, encoded = (*signature.split(" "), "", "")[:3]
            try:
                raw = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raw = b""
            if (dash, name, raw[:4]) == ("—", self.name, self.id):
                if not self._holds(raw[4:], f"{text}\n".encode()):
                    fail(f"{where}:签名不对,内容有改动。", f"{where}: the signature is wrong; it was changed.")
                return text
        fail(
            f"{where}:没有这把公钥({self.name})的签名:是别的城市或服务的,或换了密钥。",
            f"{where}: no signature of this key ({self.name}): another city's or service's, or the key changed.",
        )


def by_ed25519(public: bytes) -> Check:
    """Return what tells whether a signature of a message is by this key; raises ValueError where it is none."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - the one package; its lack has a sentence
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        fail("缺少 cryptography 包:pip install cryptography。", "The package is missing: pip install cryptography.")
    key = Ed25519PublicKey.from_public_bytes(public[1:] if public[:1] == b"\1" else b"")

    def holds(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return holds


def by_sm2(public: bytes) -> Check:
    """Return the same for a key of SM2: its signatures are over SM3, DER, with the standard's usual signer id."""
    try:
        from gmssl_pyx import sm2_verify  # noqa: PLC0415 - needed by nobody else
        from gmssl_pyx.gmsslext import GmsslInnerError, InvalidValueError  # noqa: PLC0415
    except ImportError:
        fail(
            "这把公钥是 SM2 的,缺少 gmssl-pyx 包:pip install gmssl-pyx。",
            "This key is of SM2; the package is missing: pip install gmssl-pyx.",
        )
    if len(public) != 2 * SIZE:
        raise ValueError

    def holds(signature: bytes, message: bytes) -> bool:
        try:
            return bool(sm2_verify(public, message, signature))
        except (GmsslInnerError, InvalidValueError):
            return False

    return holds


# --- RFC 6962


def leaf_of(digest: bytes) -> bytes:
    """Return the hash of the leaf of a fact, by the SHA-256 of its bytes."""
    return sha256(b"\0" + digest).digest()


def root_of(leaves: bytes | bytearray) -> bytes:
    """Return the hash of a tree by the hashes of its leaves in a row."""
    if not leaves:
        return sha256().digest()
    level = leaves
    while len(level) > SIZE:
        whole = len(level) // (2 * SIZE) * (2 * SIZE)
        pairs = [sha256(b"\1" + level[at : at + 2 * SIZE]).digest() for at in range(0, whole, 2 * SIZE)]
        level = b"".join(pairs) + level[whole:]  # RFC 6962: what is left over joins higher up
    return bytes(level)


# --- the mirror: what an auditor keeps of a log


class Mirror:
    """A folder with the last checkpoint and the hashes of all leaves up to it, 32 bytes each."""

    def __init__(self, folder: str, key: VerifierKey) -> None:
        self.folder, self.key = Path(folder), key
        self.leaves, self.checkpoint = b"", None
        try:
            note = (self.folder / "checkpoint").read_text(encoding="utf-8")
            self.leaves = (self.folder / "leaves").read_bytes()
        except FileNotFoundError:
            return
        checkpoint = key.open(note, str(self.folder / "checkpoint"))
        self.leaves = self.leaves[: checkpoint.size * SIZE]  # more, where the writing of a later one was broken off
        if root_of(self.leaves) != checkpoint.root:
            fail(
                f"{folder} 中的叶与其检查点不符:镜像已损坏。",
                f"{folder}: its leaves do not fit its checkpoint: damaged.",
            )
        self.checkpoint = checkpoint

    def must_be_there(self) -> SignedHead:
        """Return the checkpoint."""
        if self.checkpoint is None:
            fail(
                f"{self.folder} 中没有镜像,请先执行 mirror。", f"There is no mirror in {self.folder}: run mirror first."
            )
        return self.checkpoint

    def follow(self, url: str) -> None:
        """Fetch what is new; the old tree must be the beginning of the new one."""
        address = f"{url.rstrip('/')}/v1/log"
        new, old = self.key.open(fetch(f"{address}/checkpoint").decode(), address), self.checkpoint
        size = old.size if old else 0
        if new.size < size:
            raise Stop(
                TAMPERED,
                f"日志被截短或检查点过时:现在到 {new.size},上次已到 {size}(最早缺位置 {new.size + 1})。",
                f"The log was truncated, or the checkpoint is stale: it ends at {new.size}, last time at {size}"
                f" (missing from position {new.size + 1}).",
            )
        leaves = self.leaves[: size // WIDTH * WIDTH * SIZE] + tiles(address, size // WIDTH, new.size)
        if not leaves.startswith(self.leaves) or root_of(leaves) != new.root:
            fresh = tiles(address, 0, new.size)
            if root_of(fresh) != new.root:
                fail("所发布的分块与其检查点不符。", "The tiles that are published do not fit their own checkpoint.")
            at = first_difference(self.leaves, fresh)
            raise Stop(
                TAMPERED,
                f"分叉:上次与现在的检查点不一致,自位置 {at} 起不同。",
                f"Fork: the checkpoints of last time and now are not consistent; they differ from position {at} on.",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("leaves", leaves), ("checkpoint", new.text.encode())):
            (self.folder / f"{name}.new").write_bytes(content)
            (self.folder / f"{name}.new").replace(self.folder / name)
        self.leaves, self.checkpoint = leaves, new


def fetch(url: str) -> bytes:
    """Return what is answered at an address; the key of SKILLPLAN_KEY is shown."""
    headers = {"Authorization": f"Bearer {key}"} if (key := os.environ.get("SKILLPLAN_KEY")) else {}
    if not url.startswith(("http://", "https://")):
        fail("网址须以 http:// 或 https:// 开头。", "The address must begin with http:// or https://.")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except (OSError, ValueError) as error:
        why = f"{error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        fail(f"取不到 {url}({why})。", f"{url} cannot be fetched ({why}).")


def tiles(address: str, first: int, size: int) -> bytes:
    """Return the hashes of leaves from a tile on, up to the size of a tree (C2SP tlog-tiles)."""
    parts = []
    for number in range(first, -(-size // WIDTH)):
        groups, rest = [f"{number % 1000:03}"], number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        width = min(WIDTH, size - number * WIDTH)
        partial = f".p/{width}" if width < WIDTH else ""
        part = fetch(f"{address}/tile/0/{'/'.join(reversed(groups))}{partial}")
        if len(part) != width * SIZE:
            fail(f"分块 {number} 不完整。", f"Tile {number} is incomplete.")
        parts.append(part)
    return b"".join(parts)


def first_difference(ours: bytes, theirs: bytes | bytearray) -> int:
    """Return the first position at which leaves differ."""
    low, high = 0, min(len(ours), len(theirs)) // SIZE
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ours[: middle * SIZE] == theirs[: middle * SIZE] else (low, middle - 1)
    return low + 1


# --- facts


def save_facts(url: str, export: str) -> int:
    """Fetch all facts of a service to a file, a line each; return how many. One that breaks off leaves no file."""
    count, fresh = 0, Path(f"{export}.new")
    try:
        with fresh.open("wb") as file:
            while page := fetch(f"{url.rstrip('/')}/v1/log?format=ndjson&limit=5000&after={count}"):
                file.write(page)
                count += page.count(b"\n")
        fresh.replace(export)
    except OSError as error:
        fail(f"写不了 {export}({error.strerror})。", f"{export} cannot be written ({error.strerror}).")
    finally:
        fresh.unlink(missing_ok=True)
    return count


def read_leaves(export: str) -> bytearray:
    """Return the hashes of the leaves of an export: a fact a line, its exact bytes."""
    leaves = bytearray()
    add = leaves.extend
    try:
        with open(export, "rb") as file:
            line = b"\n"
            for line in file:
                add(sha256(b"\0" + sha256(line[:-1]).digest()).digest())
    except OSError as error:
        fail(f"读不了 {export}({error.strerror})。", f"{export} cannot be read ({error.strerror}).")
    if not line.endswith(b"\n"):
        fail(
            f"{export} 在第 {len(leaves) // SIZE} 行中间断了:导出不完整。",
            f"{export} is cut off within line {len(leaves) // SIZE}: the export is incomplete.",
        )
    return leaves


def differences(expected: bytes, exported: bytes | bytearray) -> Iterator[tuple[int, str, str]]:
    """Yield position and what is wrong there, by comparing the leaves of a log with those of an export."""
    ours = [expected[at : at + SIZE] for at in range(0, len(expected), SIZE)]
    theirs = [bytes(exported[at : at + SIZE]) for at in range(0, len(exported), SIZE)]
    place, there = {leaf: at for at, leaf in enumerate(ours)}, set(theirs)
    at, seen, early = 0, set[bytes](), set[int]()  # `early`: positions whose fact stands before its place
    for line, leaf in enumerate(theirs, 1):
        while at in early:
            at += 1
        here = ours[at] if at < len(ours) else b""
        known, next_is_here = place.get(leaf), theirs[line : line + 1] == [here]
        if leaf == here:
            at += 1
        elif known is None:
            if here and here not in there and not next_is_here:
                yield at + 1, "被改动", "was changed"
                at += 1
            elif here:
                yield at + 1, f"之前插入了一条(导出第 {line} 行)", f"has one inserted before it (line {line})"
        elif leaf in seen:
            yield known + 1, f"出现两次(导出第 {line} 行)", f"stands there twice (line {line})"
        elif known < at or next_is_here:
            yield known + 1, f"换了位置(导出第 {line} 行)", f"is out of its place (line {line})"
            early.add(known)
        else:
            yield from ((gone + 1, "被删除", "was removed") for gone in range(at, known) if ours[gone] not in there)
            at = known + 1
        seen.add(leaf)
    while at in early:
        at += 1
    if at < len(ours):
        yield truncated(at, len(ours))


def truncated(count: int, size: int) -> tuple[int, str, str]:
    """Return what is wrong where a log of some size ends earlier."""
    return count + 1, f"起缺 {size - count} 条:被截短", f"is the first of {size - count} missing: truncated"


def by_their_own_positions(export: str) -> tuple[int, str, str] | None:
    """Return the first line of an export whose fact has another position than its place."""
    with open(export, "rb") as file:
        for number, line in enumerate(file, 1):
            match = POSITION.search(line)
            if match is None or int(match[1]) != number:
                named = int(match[1]) if match else 0
                return number, f"处的事实自称位置 {named}", f"holds a fact that says it is at {named}"
    return None


def check_facts(options: argparse.Namespace, key: VerifierKey) -> tuple[str, str]:
    """Check an export against a mirror and checkpoints."""
    mirror = Mirror(options.mirror, key) if options.mirror else None
    checkpoints = [(name, key.open(read_text(name), name)) for name in options.checkpoint]
    if mirror:
        checkpoints.append((str(mirror.folder), mirror.must_be_there()))
    if not checkpoints:
        fail("请给出 --mirror 或 --checkpoint。", "Give --mirror or --checkpoint.")
    one_history(checkpoints, mirror.leaves if mirror else b"")
    last = max((checkpoint for _, checkpoint in checkpoints), key=lambda checkpoint: checkpoint.size)
    leaves = read_leaves(options.export)
    count = len(leaves) // SIZE
    if mirror and leaves[: len(mirror.leaves)] != mirror.leaves:
        raise tampered(list(differences(mirror.leaves, leaves)))
    for name, checkpoint in sorted(checkpoints, key=lambda pair: pair[1].size):
        if checkpoint.size <= count and root_of(leaves[: checkpoint.size * SIZE]) == checkpoint.root:
            continue
        if own := by_their_own_positions(options.export):
            raise tampered([own])
        if count < checkpoint.size:
            raise tampered([truncated(count, checkpoint.size)])
        raise Stop(
            TAMPERED,
            f"导出与检查点 {name}(到 {checkpoint.size})不符:前 {checkpoint.size} 条有改动;"
            "有镜像(--mirror)才能指出位置。",
            f"The export is not what {name} (up to {checkpoint.size}) was signed over; a mirror names the position.",
        )
    beyond = count - last.size
    return (
        f"{last.size} 条事实与检查点一致" + (f";其后 {beyond} 条尚无检查点" if beyond > 0 else "") + "。",
        f"{last.size} facts are those of the checkpoint"
        + (f"; {beyond} more have none yet" if beyond > 0 else "")
        + ".",
    )


def one_history(checkpoints: Sequence[tuple[str, SignedHead]], leaves: bytes) -> None:
    """Raise Stop where two checkpoints cannot be of one log."""
    roots: dict[int, tuple[str, bytes]] = {}
    for name, checkpoint in checkpoints:
        other, root = roots.setdefault(checkpoint.size, (name, checkpoint.root))
        if checkpoint.size * SIZE <= len(leaves) and root_of(leaves[: checkpoint.size * SIZE]) != checkpoint.root:
            other, root = "mirror", b""
        if root != checkpoint.root:
            raise Stop(
                TAMPERED,
                f"分叉:{name} 与 {other} 都有签名,却不是同一份日志的(位置 {checkpoint.size} 或之前不同)。",
                f"Fork: {name} and {other} are both signed, not of one log (different at {checkpoint.size} or before).",
            )


def tampered(findings: Sequence[tuple[int, str, str]]) -> Stop:
    """Return the end of a check that has found something."""
    zh = [f"位置 {position} {what}" for position, what, _ in findings[:MOST]]
    en = [f"position {position} {what}" for position, _, what in findings[:MOST]]
    more = len(findings) - MOST
    return Stop(
        TAMPERED,
        ";".join(zh) + (f";另有 {more} 处" if more > 0 else "") + "。",
        "; ".join(en) + (f"; {more} more" if more > 0 else "") + ".",
    )


def read_text(name: str) -> str:
    """Return the text of a file."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        fail(f"读不了 {name}。", f"{name} cannot be read.")


# --- receipts


def check_receipts(options: argparse.Namespace, key: VerifierKey) -> tuple[str, str]:
    """Check that what a service acknowledged is in its log: each accepted receipt's position has its fact's hash."""
    mirror = Mirror(options.mirror, key)
    origin, size = mirror.must_be_there()[:2]
    service = origin.split("/")[1] if "/" in origin else origin
    findings, right, later, bare = list[tuple[int, str, str]](), 0, 0, 0
    for number, line in enumerate(read_text(options.receipts).splitlines(), 1):
        try:
            receipt = json.loads(line)
            counted = receipt["status"] == "accepted" and receipt["service"] == service
            digest = bytes.fromhex(receipt.get("sha256", "")) if counted else b""
            position = int(receipt["position"]) if counted else 0
            id_ = f"{receipt.get('source')} {receipt.get('id')}"
        except (ValueError, KeyError, TypeError, AttributeError):
            fail(
                f"{options.receipts} 第 {number} 行不是回执。",
                f"{options.receipts}, line {number}: not a receipt.",
            )
        if not counted:
            continue
        if not digest:
            bare += 1  # from before receipts had it
        elif position > size:
            later += 1
        elif mirror.leaves[(position - 1) * SIZE : position * SIZE] == leaf_of(digest):
            right += 1
        else:
            findings.append((position, f"不是回执所说的事实({id_})", f"is not the fact that was acknowledged ({id_})"))
    if findings:
        raise tampered(findings)
    if later:
        fail(
            f"{right} 份相符;{later} 份的位置在检查点({size})之后,请再取镜像后核验。",
            f"{right} hold; {later} are at positions after the checkpoint ({size}): mirror again, then check.",
        )
    return (
        f"{right} 份回执都在日志中" + (f";{bare} 份没有哈希,未核验" if bare else "") + "。",
        f"{right} receipts are in the log" + (f"; {bare} have no hash and were not checked" if bare else "") + ".",
    )


# --- certificates of erasure


def check_certificate(options: argparse.Namespace, key: VerifierKey) -> tuple[str, str]:
    """Check that the city signed a certificate of erasure, and that the log has the two facts which it names."""
    text = key.signed(read_text(options.certificate), options.certificate)
    try:
        certificate = json.loads(text)
        recorded = certificate["recorded"]
        facts = [(int(fact["position"]), bytes.fromhex(fact["sha256"])) for fact in recorded]
        asked_by, approved_by = (str(fact["by"]) for fact in recorded)
        unreadable = sum(int(each["facts"]) for each in certificate["services"].values())
        positions = [position for position, _ in facts]
    except (ValueError, KeyError, TypeError, AttributeError):
        fail(f"{options.certificate}:签署的不是删除证书。", f"{options.certificate}: what is signed is no certificate.")
    if options.mirror:
        mirror = Mirror(options.mirror, key)
        size = mirror.must_be_there().size
        if max(positions) > size:
            fail(
                f"位置 {max(positions)} 在检查点({size})之后,请再取镜像后核验。",
                f"Position {max(positions)} is after the checkpoint ({size}): mirror again, then check.",
            )
        wrong = [
            (position, "不是证书所说的事实", "is not the fact that the certificate names")
            for position, digest in facts
            if mirror.leaves[(position - 1) * SIZE : position * SIZE] != leaf_of(digest)
        ]
        if wrong:
            raise tampered(wrong)
    where_zh, where_en = ("都在日志中", "are in the log") if options.mirror else ("未与日志对照", "were not looked up")
    return (
        f"证书由 {key.name} 签署:{asked_by} 申请、{approved_by} 核准(位置 {positions[0]}、{positions[1]},{where_zh});"
        f"{unreadable} 条事实的个人信息已不可读。",
        f"The certificate is signed by {key.name}: asked for by {asked_by}, approved by {approved_by} (positions"
        f" {positions[0]}, {positions[1]}: they {where_en}); the personal fields of {unreadable} facts open no more.",
    )


COMMANDS = {
    "mirror": ("url", "folder"), "facts": ("export",), "receipts": ("receipts",), "export": ("url", "export"),
    "certificate": ("certificate",),
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="verify.py", description=(__doc__ or "").partition("\n")[0])
    commands = made.add_subparsers(dest="command", required=True)
    for name, arguments in COMMANDS.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
        if name == "export":
            continue
        command.add_argument("--key", required=True, help="the log's verifier key, or a file with it 验证公钥或其文件")
        if name != "mirror":
            command.add_argument("--mirror", required=name == "receipts", help="folder of the mirror 镜像文件夹")
        if name == "facts":
            command.add_argument("--checkpoint", action="append", default=[], help="file of a checkpoint 检查点文件")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; print what came of it in both languages and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "export":
            count = save_facts(options.url, options.export)
            zh, en = f"已导出 {count} 条事实。", f"{count} facts are exported."
        elif options.command == "mirror":
            mirror = Mirror(options.folder, VerifierKey(options.key))
            mirror.follow(options.url)
            size = mirror.must_be_there().size
            zh, en = (
                f"镜像已到位置 {size},与上次一致。",
                f"The mirror is at position {size}, consistent with last time.",
            )
        else:
            check = {"facts": check_facts, "receipts": check_receipts, "certificate": check_certificate}
            zh, en = check[options.command](options, VerifierKey(options.key))
    except Stop as stop:
        sys.stderr.write(f"{stop.zh}\n{stop.en}\n")
        return stop.code
    sys.stdout.write(f"{zh}\n{en}\n")
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
